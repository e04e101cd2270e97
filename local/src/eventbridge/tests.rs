use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::ProvideErrorMetadata as _;
use aws_sdk_eventbridge::operation::put_events::PutEventsOutput;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_eventbridge::types::builders::PutEventsRequestEntryBuilder;

use super::*;
use crate::testing::sdk_for;

async fn client(bus: &EventBus) -> Client {
    Client::new(&sdk_for(bus.router()).await)
}

fn entry(detail: &str) -> PutEventsRequestEntryBuilder {
    PutEventsRequestEntry::builder().event_bus_name("bus").source("test").detail_type("message.text").detail(detail)
}

async fn put(client: &Client, entries: Vec<PutEventsRequestEntryBuilder>) -> Result<PutEventsOutput, String> {
    let entries = entries.into_iter().map(PutEventsRequestEntryBuilder::build).collect();
    let put = client.put_events().set_entries(Some(entries)).send().await;
    put.map_err(|error| error.code().unwrap_or("no code").to_owned())
}

/// The code of each entry, empty if it was accepted.
fn codes(output: &PutEventsOutput) -> Vec<&str> {
    output.entries().iter().map(|entry| entry.error_code().unwrap_or_default()).collect()
}

#[tokio::test]
async fn events_from_the_sdk_are_delivered_in_order_with_a_time_and_an_id() {
    let bus = EventBus::new("bus");
    let client = client(&bus).await;
    let first = entry(r#"{"id":"1"}"#).time(DateTime::from_secs(1_700_000_000));
    let second = entry(r#"{"id":"2"}"#).event_bus_name("arn:aws:events:us-east-1:000000000000:event-bus/bus");
    let output = put(&client, vec![first, second]).await.unwrap();
    assert_eq!((output.failed_entry_count(), codes(&output)), (0, vec!["", ""]));
    let delivered = bus.delivered();
    let ids: Vec<&str> = delivered.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids, output.entries().iter().map(|entry| entry.event_id().unwrap()).collect::<Vec<_>>());
    assert_ne!(ids[0], ids[1]);
    assert_eq!(delivered[0].time, Timestamp::from_unix(1_700_000_000));
    assert!(SystemClock.now().since(delivered[1].time).as_secs() < 60, "without a time it is now");
    assert_eq!((delivered[0].source.as_str(), delivered[0].detail_type.as_str()), ("test", "message.text"));
    assert_eq!(delivered[1].detail, json!({ "id": "2" }));
}

#[tokio::test]
async fn a_malformed_entry_fails_alone_and_the_others_are_accepted() {
    let bus = EventBus::new("bus");
    let client = client(&bus).await;
    let long = "x".repeat(129);
    let entries = vec![
        entry("{}"),
        entry("{}").set_source(None),
        entry("{}").detail_type(""),
        entry("{}").set_detail(None),
        entry("{"),
        entry("[]"),
        entry("{}").detail_type(&long),
        entry("{}").source("aws.ec2"),
        entry("{}").detail_type("长".repeat(128)),
    ];
    let output = put(&client, entries).await.unwrap();
    let argument = "InvalidArgument";
    let expected = [
        "",
        argument,
        argument,
        argument,
        "MalformedDetail",
        "MalformedDetail",
        argument,
        "NotAuthorizedForSourceException",
        "",
    ];
    assert_eq!(codes(&output), expected);
    assert_eq!(output.failed_entry_count(), 7);
    assert!(output.entries()[1].error_message().unwrap().contains("Source is a required argument"));
    assert_eq!(bus.delivered().len(), 2);
}

#[tokio::test]
async fn a_request_that_is_out_of_bounds_is_refused_as_a_whole() {
    let bus = EventBus::new("bus");
    let client = client(&bus).await;
    let large = format!(r#"{{"x":"{}"}}"#, "x".repeat(150_000));
    let requests =
        [vec![], vec![entry("{}"); 11], vec![entry(&large), entry(&large)], vec![entry("{}").set_source(None)]];
    for request in requests {
        assert_eq!(put(&client, request).await.unwrap_err(), "ValidationException");
    }
    assert!(put(&client, vec![entry("{}"); 10]).await.is_ok());
    assert!(put(&client, vec![entry(&large)]).await.is_ok());
    assert_eq!(bus.delivered().len(), 11);
}

#[tokio::test]
async fn another_bus_and_another_operation_are_refused() {
    let bus = EventBus::new("arn:aws:events:us-east-1:000000000000:event-bus/bus");
    let client = client(&bus).await;
    assert!(put(&client, vec![entry("{}")]).await.is_ok(), "a name of the same bus");
    for other in [entry("{}").event_bus_name("another"), entry("{}").set_event_bus_name(None)] {
        assert_eq!(put(&client, vec![entry("{}"), other]).await.unwrap_err(), "ResourceNotFoundException");
    }
    assert_eq!(bus.delivered().len(), 1, "none of a refused request");
    let error = client.list_event_buses().send().await.unwrap_err();
    assert_eq!(error.code(), Some("UnknownOperationException"));
}

#[tokio::test]
async fn a_bus_with_trouble_refuses_as_many_entries_as_requested() {
    let bus = EventBus::new("bus");
    let client = client(&bus).await;
    bus.refuse_next(2);
    let output = put(&client, vec![entry("{}"), entry("{"), entry("{}"), entry("{}")]).await.unwrap();
    assert_eq!(codes(&output), ["InternalFailure", "MalformedDetail", "InternalFailure", ""]);
    assert_eq!(bus.delivered().len(), 1);
}

#[tokio::test]
async fn the_newest_thousand_are_kept() {
    let bus = EventBus::new("bus");
    let client = client(&bus).await;
    for batch in 0..101 {
        let entries = (0..10).map(|number| entry(&format!(r#"{{"n":{}}}"#, batch * 10 + number))).collect();
        put(&client, entries).await.unwrap();
    }
    let delivered = bus.delivered();
    assert_eq!(
        (delivered.len(), &delivered[0].detail, &delivered[999].detail),
        (1_000, &json!({ "n": 10 }), &json!({ "n": 1009 }))
    );
}

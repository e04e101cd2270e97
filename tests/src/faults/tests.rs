//! Each fault as the SDK sees it.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_dynamodb::operation::put_item::{PutItemError, PutItemOutput};
use aws_sdk_dynamodb::types::AttributeValue;
use local::dynamodb::Embedded;
use local::table::create_table;

use super::*;

struct World {
    embedded: Embedded,
    faults: Faults,
    client: Client,
}

impl World {
    /// One table, one client with faults and this many tries.
    async fn with_tries(tries: u32) -> Self {
        let embedded = Embedded::memory().unwrap();
        create_table(&embedded.client(), "table").await.unwrap();
        let faults = Faults::default();
        let retries = RetryConfig::standard().with_max_attempts(tries).with_initial_backoff(Duration::from_millis(1));
        let config = embedded.config().http_client(faults.client()).retry_config(retries).build();
        Self { embedded, faults, client: Client::from_conf(config) }
    }

    async fn put(&self, pk: &str) -> Result<PutItemOutput, SdkError<PutItemError>> {
        let put = self.client.put_item().table_name("table").item("pk", AttributeValue::S(pk.into()));
        put.item("sk", AttributeValue::S("-".into())).condition_expression("attribute_not_exists(pk)").send().await
    }

    async fn items(&self) -> usize {
        let scan = self.embedded.client().scan().table_name("table").send().await.unwrap();
        scan.items().len()
    }
}

#[tokio::test]
async fn without_a_rule_requests_pass_and_are_counted_by_operation() {
    let world = World::with_tries(1).await;
    world.put("a").await.unwrap();
    assert_eq!(world.faults.all_requests(), BTreeMap::from([("PutItem".to_owned(), 1)]));
    world.faults.reset_counts();
    assert_eq!(world.faults.requests("PutItem"), 0);
}

#[tokio::test]
async fn the_sdk_tries_throttled_failed_and_refused_requests_again() {
    for fault in [Fault::Throttle, Fault::ServerError, Fault::Away] {
        let world = World::with_tries(2).await;
        world.faults.next(1, Matching::operation("PutItem"), fault);
        world.put("a").await.unwrap();
        assert_eq!(world.faults.requests("PutItem"), 2, "{fault:?}");
        assert!(world.faults.all_used());
    }
}

#[tokio::test]
async fn a_fault_can_befall_every_third_request() {
    let world = World::with_tries(1).await;
    world.faults.every(3, Matching::any(), Fault::Away);
    let mut failed = Vec::new();
    for number in 1..=7 {
        if world.put(&number.to_string()).await.is_err() {
            failed.push(number);
        }
    }
    assert_eq!(failed, [3, 6]);
}

#[tokio::test]
async fn a_throttle_is_the_one_of_dynamodb() {
    let world = World::with_tries(1).await;
    world.faults.always(Matching::any(), Fault::Throttle);
    let error = world.put("a").await.unwrap_err();
    assert_eq!(error.code(), Some("ProvisionedThroughputExceededException"));
    world.faults.clear();
    world.put("a").await.unwrap();
}

#[tokio::test]
async fn only_matching_requests_are_hit_and_an_unused_rule_is_told() {
    let world = World::with_tries(1).await;
    world.faults.next(1, Matching::operation("PutItem").containing("\"wx1\""), Fault::ServerError);
    world.faults.next(1, Matching::operation("GetItem"), Fault::ServerError);
    world.put("wx2").await.unwrap();
    world.put("wx1").await.unwrap_err();
    assert!(!world.faults.all_used());
    assert_eq!(world.items().await, 1);
}

#[tokio::test]
async fn after_a_lost_reply_the_retry_loses_to_our_own_write() {
    let world = World::with_tries(2).await;
    world.faults.next(1, Matching::any(), Fault::LostReply);
    let error = world.put("a").await.unwrap_err().into_service_error();
    assert!(error.is_conditional_check_failed_exception(), "{error:?}");
    assert_eq!(world.items().await, 1);
}

#[tokio::test]
async fn a_hang_ends_with_the_callers_time_out_and_nothing_is_written() {
    let world = World::with_tries(1).await;
    world.faults.next(1, Matching::any(), Fault::Hang);
    let bound = TimeoutConfig::builder().operation_timeout(Duration::from_millis(50)).build();
    let config = world.client.config().to_builder().timeout_config(bound).build();
    let hurried = World { client: Client::from_conf(config), ..world };
    assert!(matches!(hurried.put("a").await, Err(SdkError::TimeoutError(_))));
    assert_eq!(hurried.items().await, 0);
}

#[tokio::test]
async fn a_delayed_request_arrives_in_the_end() {
    let world = World::with_tries(1).await;
    world.faults.next(1, Matching::any(), Fault::Delay(Duration::from_millis(20)));
    let start = std::time::Instant::now();
    world.put("a").await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(20));
}

#[tokio::test]
async fn one_request_is_held_on_either_side_of_its_effect_and_the_others_pass() {
    for (side, items) in [(Side::Before, 1), (Side::After, 2)] {
        let world = World::with_tries(1).await;
        let mut held = world.faults.hold(1, Matching::operation("PutItem"), side);
        world.put("a").await.unwrap();
        let release = async {
            held.until_reached().await;
            assert_eq!(world.items().await, items, "{side:?}");
            held.release();
        };
        let (put, ()) = tokio::join!(world.put("b"), release);
        put.unwrap();
        assert_eq!(world.items().await, 2);
    }
}

#[tokio::test]
async fn a_fault_can_befall_one_request_after_others() {
    let world = World::with_tries(1).await;
    world.faults.once_after(1, Matching::operation("PutItem"), Fault::Away);
    world.put("a").await.unwrap();
    world.put("b").await.unwrap_err();
    world.put("b").await.unwrap();
}

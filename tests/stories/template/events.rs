//! What wakes the refresher, and what becomes of what fails for good.

use serde_json::{Value, json};
use store::INBOX_SORT_PREFIX;
use token_refresher::Task;

use super::{events, properties, template, text};

#[test]
fn the_schedules_start_the_tasks_that_the_refresher_knows() {
    let template = template();
    let refresher = &template["Resources"]["TokenRefresher"];
    let mut tasks: Vec<Task> = events(refresher, "ScheduleV2")
        .map(|event| Task::parse(serde_json::from_str(text(&event["Input"])).unwrap()).unwrap())
        .collect();
    tasks.sort_by_key(ToString::to_string);
    assert_eq!(tasks, [Task::Reconcile, Task::Renew]);
}

#[test]
fn the_stream_wakes_the_refresher_for_new_inbox_entries_only() {
    let template = template();
    let refresher = &template["Resources"]["TokenRefresher"];
    let streams: Vec<&Value> = events(refresher, "DynamoDB").collect();
    let [stream] = streams[..] else { panic!("{} streams", streams.len()) };
    assert_eq!(stream["Stream"], json!({ "Fn::GetAtt": ["Table", "StreamArn"] }));
    let filters = stream["FilterCriteria"]["Filters"].as_array().unwrap();
    let [filter] = &filters[..] else { panic!("{} filters", filters.len()) };
    let pattern: Value = serde_json::from_str(text(&filter["Pattern"])).unwrap();
    let expected = json!({
        "eventName": ["INSERT"],
        "dynamodb": { "Keys": { "sk": { "S": [{ "prefix": INBOX_SORT_PREFIX }] } } },
    });
    assert_eq!(pattern, expected);
}

#[test]
fn what_fails_for_good_is_kept_in_the_queue_and_old_runs_are_not_repeated() {
    let template = template();
    let queue = json!({ "Fn::GetAtt": ["Failures", "Arn"] });
    let refresher = &template["Resources"]["TokenRefresher"];
    for schedule in events(refresher, "ScheduleV2") {
        assert_eq!(schedule["DeadLetterConfig"]["Arn"], queue);
        assert_eq!(schedule["RetryPolicy"], json!({ "MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 240 }));
    }
    for stream in events(refresher, "DynamoDB") {
        assert_eq!(stream["DestinationConfig"]["OnFailure"]["Destination"], queue);
    }
    let runs = &properties(&template, "TokenRefresher")["EventInvokeConfig"];
    assert_eq!((&runs["MaximumRetryAttempts"], &runs["MaximumEventAgeInSeconds"]), (&json!(0), &json!(240)));
    assert_eq!(runs["DestinationConfig"]["OnFailure"]["Destination"], queue);
}

#[test]
fn one_parameter_stops_everything_that_issues_by_itself() {
    let template = template();
    let refresher = &template["Resources"]["TokenRefresher"];
    for schedule in events(refresher, "ScheduleV2") {
        assert_eq!(schedule["State"], json!({ "Fn::If": ["RunRefresher", "ENABLED", "DISABLED"] }));
    }
    for stream in events(refresher, "DynamoDB") {
        assert_eq!(stream["Enabled"], json!({ "Fn::If": ["RunRefresher", true, false] }));
    }
    let on = json!({ "Fn::Equals": [{ "Ref": "RefresherEnabled" }, "true"] });
    assert_eq!(template["Conditions"]["RunRefresher"], on);
    assert_eq!(template["Parameters"]["RefresherEnabled"]["Default"], "true");
}

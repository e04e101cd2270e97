//! What starts the refresher, and what happens to events that fail permanently.

use platform::bus::{RECONCILIATION_REQUESTED, RUN_REQUESTED, SOURCE};
use serde_json::{Value, json};
use store::{DuePart, EVENT_SORT_PREFIX, INBOX_SORT_PREFIX};
use token_refresher::Task;

use super::{deployed, events, of_type, properties, template, text};

/// The schedules of the parts after the first, and their targets.
fn parts(template: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    let schedules = of_type(template, "AWS::Scheduler::Schedule").map(|(_, schedule)| &schedule["Properties"]);
    schedules.map(|schedule| (schedule, &schedule["Target"]))
}

/// The task that a schedule starts in a stack with this many runs.
fn task(input: &Value, runs: u64) -> Task {
    let input = input["Fn::Sub"].as_str().unwrap_or_else(|| text(input));
    Task::parse(serde_json::from_str(&input.replace("${RefresherRuns}", &runs.to_string())).unwrap()).unwrap()
}

#[test]
fn the_schedules_start_the_tasks_that_the_refresher_knows() {
    for runs in [1, 2, 4] {
        let template = deployed(&[("RefresherRuns", &runs.to_string())]);
        let own = events(&template["Resources"]["TokenRefresher"], "ScheduleV2").map(|event| &event["Input"]);
        let inputs = own.chain(parts(&template).map(|(_, target)| &target["Input"]));
        let mut tasks: Vec<Task> = inputs.map(|input| task(input, runs)).collect();
        tasks.sort_by_key(ToString::to_string);
        let renewals = (0..runs).map(|number| Task::Renew(DuePart::new(number, runs).unwrap()));
        assert_eq!(tasks, std::iter::once(Task::Reconcile).chain(renewals).collect::<Vec<_>>());
    }
}

#[test]
fn what_somebody_asks_for_is_started_by_an_event_of_the_bus() {
    let template = template();
    let rules = events(&template["Resources"]["TokenRefresher"], "EventBridgeRule");
    let started = rules.map(|rule| {
        assert_eq!(rule["EventBusName"], json!({ "Ref": "EventBus" }));
        assert_eq!(rule["Pattern"]["source"], json!([SOURCE]));
        (text(&rule["Pattern"]["detail-type"][0]), task(&rule["Input"], 1).to_string())
    });
    let mut started: Vec<_> = started.collect();
    started.sort_unstable();
    let renews = task(&json!(r#"{"task":"requested"}"#), 1);
    assert_eq!(renews, Task::Requested);
    assert_eq!(started, [(RECONCILIATION_REQUESTED, Task::Reconcile.to_string()), (RUN_REQUESTED, renews.to_string())]);
}

#[test]
fn the_parameter_takes_the_numbers_of_runs_that_the_refresher_takes() {
    let parameter = &template()["Parameters"]["RefresherRuns"];
    let possible: Vec<u64> = (0..100).filter(|runs| DuePart::new(0, *runs).is_some()).collect();
    assert_eq!((&parameter["AllowedValues"], &parameter["Default"]), (&json!(possible), &json!(1)));
}

#[test]
fn the_runs_of_all_parts_are_scheduled_alike() {
    let template = template();
    let refresher = &template["Resources"]["TokenRefresher"];
    let first = events(refresher, "ScheduleV2").find(|event| event["Name"]["Fn::Sub"] == "${AWS::StackName}-renew");
    let first = first.expect("the first part has a schedule");
    for (schedule, target) in parts(&template) {
        assert_eq!(schedule["ScheduleExpression"], first["ScheduleExpression"]);
        assert_eq!(target["Arn"], json!({ "Fn::GetAtt": ["TokenRefresher", "Arn"] }));
        assert_eq!(target["RoleArn"], json!({ "Fn::GetAtt": ["TokenRefresherRenewRole", "Arn"] }));
    }
}

#[test]
fn set_aside_runs_leave_room_for_reconcile_and_pushes() {
    let template = template();
    let refused =
        |rule: &str| template["Rules"][rule]["Assertions"][0]["Assert"]["Fn::Not"][0]["Fn::Contains"][0].clone();
    assert_eq!(refused("PushesDoNotWaitForRenewals"), json!(["1", "2"]));
    for (rule, runs, too_few) in
        [("PushesDoNotWaitForTwoRuns", "2", json!(["3"])), ("PushesDoNotWaitForFourRuns", "4", json!(["3", "4", "5"]))]
    {
        assert_eq!(
            template["Rules"][rule]["RuleCondition"],
            json!({ "Fn::Equals": [{ "Ref": "RefresherRuns" }, runs] })
        );
        assert_eq!(refused(rule), too_few);
    }
}

#[test]
fn the_stream_wakes_the_refresher_for_new_inbox_entries_and_state_events_only() {
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
        "dynamodb": { "Keys": { "sk": { "S": [{ "prefix": INBOX_SORT_PREFIX }, { "prefix": EVENT_SORT_PREFIX }] } } },
    });
    assert_eq!(pattern, expected);
}

#[test]
fn what_fails_for_good_is_kept_in_the_queue_and_old_runs_are_not_repeated() {
    let template = template();
    let queue = json!({ "Fn::GetAtt": ["Failures", "Arn"] });
    let refresher = &template["Resources"]["TokenRefresher"];
    for schedule in events(refresher, "ScheduleV2").chain(parts(&template).map(|(_, target)| target)) {
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
    for schedule in events(refresher, "ScheduleV2").chain(parts(&template).map(|(schedule, _)| schedule)) {
        assert_eq!(schedule["State"], json!({ "Fn::If": ["RunRefresher", "ENABLED", "DISABLED"] }));
    }
    for stream in events(refresher, "DynamoDB") {
        assert_eq!(stream["Enabled"], json!({ "Fn::If": ["RunRefresher", true, false] }));
    }
    let on = json!({ "Fn::Equals": [{ "Ref": "RefresherEnabled" }, "true"] });
    assert_eq!(template["Conditions"]["RunRefresher"], on);
    assert_eq!(template["Parameters"]["RefresherEnabled"]["Default"], "true");
}

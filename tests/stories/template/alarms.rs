//! What tells that something is wrong: an alarm for each way to die, a page that shows all that is measured.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use shared::telemetry::Measure;

use super::{FUNCTIONS, many, of_type, properties, template, text};

/// What the code publishes, each with the dimension that it is split by.
fn published() -> BTreeMap<&'static str, Option<&'static str>> {
    Measure::ALL.iter().map(|measure| (measure.name(), measure.dimension())).collect()
}

const OWN_NAMESPACE: &str = "WechatPlatform/${AWS::StackName}";

fn alarms(template: &Value) -> impl Iterator<Item = (&str, &Value)> {
    of_type(template, "AWS::CloudWatch::Alarm").map(|(name, alarm)| (name, &alarm["Properties"]))
}

/// The dashboard as it is deployed, with each reference as a plain `<name>`.
fn dashboard(template: &Value) -> Value {
    let body = &properties(template, "Dashboard")["DashboardBody"]["Fn::Sub"];
    assert_eq!(body[1], json!({ "Own": { "Fn::Sub": OWN_NAMESPACE } }));
    let mut plain = text(&body[0]).replace("${!", "{");
    while let Some(start) = plain.find("${") {
        let end = start + plain[start..].find('}').unwrap();
        plain.replace_range(start..=end, &format!("<{}>", &plain[start + 2..end]));
    }
    serde_json::from_str(&plain).unwrap_or_else(|error| panic!("the dashboard is no JSON: {error}"))
}

/// Our own metrics on the dashboard: name and dimension.
fn shown(dashboard: &Value) -> BTreeSet<(String, Option<String>)> {
    let widgets = dashboard["widgets"].as_array().unwrap();
    let metrics = widgets.iter().flat_map(|widget| widget["properties"]["metrics"].as_array().into_iter().flatten());
    metrics
        .filter_map(|metric| match &metric[0] {
            // SEARCH('{"<Own>",code} MetricName="failed"', 'Sum', 300)
            Value::Object(search) => {
                let expression = text(&search["expression"]);
                let dimension = expression.strip_prefix("SEARCH('{\"<Own>\",")?.split('}').next()?;
                let name = expression.split("MetricName=\"").nth(1)?.split('"').next()?;
                assert_eq!(search["label"], format!("{{PROP('Dim.{dimension}')}}"), "{expression}");
                Some((name.to_owned(), Some(dimension.to_owned())))
            }
            namespace if *namespace == "<Own>" => {
                Some((text(&metric[1]).to_owned(), metric[2].as_str().map(str::to_owned)))
            }
            namespace => {
                assert!(text(namespace).starts_with("AWS/"), "{metric}");
                None
            }
        })
        .collect()
}

#[test]
fn the_dashboard_shows_everything_that_is_published_and_nothing_else() {
    let shown = shown(&dashboard(&template()));
    let expected: BTreeSet<(String, Option<String>)> =
        published().iter().map(|(name, dimension)| ((*name).to_owned(), dimension.map(str::to_owned))).collect();
    assert_eq!(shown, expected);
}

#[test]
fn the_dashboard_shows_every_alarm_at_its_top() {
    let template = template();
    let dashboard = dashboard(&template);
    let first = &dashboard["widgets"][0];
    assert_eq!((&first["type"], &first["y"]), (&json!("alarm"), &json!(0)));
    let shown: BTreeSet<&str> = many(&first["properties"]["alarms"]).into_iter().map(text).collect();
    let all: Vec<String> = alarms(&template).map(|(name, _)| format!("<{name}.Arn>")).collect();
    assert_eq!(shown, all.iter().map(String::as_str).collect());
}

#[test]
fn every_alarm_looks_at_something_that_is_published() {
    let template = template();
    let namespace = &template["Globals"]["Function"]["Environment"]["Variables"]["METRICS_NAMESPACE"];
    assert_eq!(*namespace, json!({ "Fn::Sub": OWN_NAMESPACE }));
    let published = published();
    let mut own = 0;
    for (name, alarm) in alarms(&template) {
        if alarm["Namespace"] != *namespace {
            let foreign = alarm["Namespace"].as_str().is_none_or(|it| ["AWS/SQS", "AWS/ApiGateway"].contains(&it));
            assert!(foreign, "{name}: {}", alarm["Namespace"]);
            continue;
        }
        own += 1;
        let dimension = published.get(text(&alarm["MetricName"]));
        let dimension = dimension.unwrap_or_else(|| panic!("{name}: nobody publishes {}", alarm["MetricName"]));
        if let Some(split) = alarm["Dimensions"].as_array() {
            let [split] = &split[..] else { panic!("{name}: a metric has one dimension at most") };
            assert_eq!(Some(text(&split["Name"])), *dimension, "{name}");
        }
    }
    assert_eq!(own, 9);
}

#[test]
fn every_function_has_an_alarm_for_errors_and_for_being_throttled() {
    let template = template();
    for function in FUNCTIONS {
        let mut watched = BTreeSet::new();
        for (name, alarm) in alarms(&template) {
            for metric in alarm["Metrics"].as_array().into_iter().flatten() {
                let of = &metric["MetricStat"]["Metric"];
                if of["Dimensions"] == json!([{ "Name": "FunctionName", "Value": { "Ref": function } }]) {
                    assert_eq!((&of["Namespace"], &metric["ReturnData"]), (&json!("AWS/Lambda"), &json!(false)));
                    let sum = &alarm["Metrics"][0]["Expression"];
                    assert!(text(sum).contains(&format!("FILL({}, 0)", text(&metric["Id"]))), "{name}: {sum}");
                    watched.insert(text(&of["MetricName"]));
                }
            }
        }
        assert_eq!(watched, ["Errors", "Throttles"].into(), "{function}");
    }
}

#[test]
fn every_alarm_tells_the_topic_what_is_wrong_and_where_to_read_on() {
    let template = template();
    let topic = json!([{ "Ref": "Alarms" }]);
    assert_eq!(alarms(&template).count(), 15);
    for (name, alarm) in alarms(&template) {
        assert_eq!(alarm["AlarmActions"], topic, "{name}");
        assert!(alarm["OKActions"].is_null() || alarm["OKActions"] == topic, "{name}");
        assert!(alarm["ActionsEnabled"].is_null(), "{name}");
        assert!(alarm["TreatMissingData"].is_string(), "{name}: silence means something, say what");
        let description = text(&alarm["AlarmDescription"]);
        assert!(description.is_ascii() && description.len() <= 1024, "{name}: {}", description.len());
        assert!(description.contains(" First "), "{name}: what to do first?");
        assert!(description.ends_with(&format!(" See docs/operations.md, {name}.")), "{name}: {description}");
    }
}

#[test]
fn a_silent_refresher_is_an_alarm_although_it_publishes_nothing() {
    let template = template();
    let alarm = properties(&template, "RefresherSilent");
    assert_eq!(alarm["TreatMissingData"], "breaching");
    assert_eq!(alarm["Dimensions"], json!([{ "Name": "task", "Value": "renew" }]));
    let waited = alarm["Period"].as_u64().unwrap() * alarm["EvaluationPeriods"].as_u64().unwrap();
    assert_eq!(waited, 15 * 60);
    // A run that has not ended within its own time has not hung for longer than this alarm waits.
    assert!(properties(&template, "TokenRefresher")["Timeout"].as_u64().unwrap() < 300);
}

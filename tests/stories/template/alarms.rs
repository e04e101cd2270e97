//! Alarms for each way to fail, and a dashboard of all that is measured.

use std::collections::{BTreeMap, BTreeSet};

use runtime::telemetry::Measure;
use serde_json::{Value, json};
use store::{AccountState, DuePart, ScheduledTask};

use super::{FUNCTIONS, deployed, many, of_type, properties, template, text};

/// The published metrics, each with the dimension by which it is split.
fn published() -> BTreeMap<&'static str, Option<&'static str>> {
    Measure::ALL.iter().map(|measure| (measure.name(), measure.dimension())).collect()
}

const OWN_NAMESPACE: &str = "WechatPlatform/${AWS::StackName}";

fn alarms(template: &Value) -> impl Iterator<Item = (&str, &Value)> {
    of_type(template, "AWS::CloudWatch::Alarm").map(|(name, alarm)| (name, &alarm["Properties"]))
}

/// The metrics that an alarm evaluates: the one that it names, or those of its expression.
fn looked_at(alarm: &Value) -> impl Iterator<Item = &Value> {
    let named = alarm["MetricName"].is_string().then_some(alarm);
    let metrics = alarm["Metrics"].as_array().into_iter().flatten().map(|metric| &metric["MetricStat"]["Metric"]);
    named.into_iter().chain(metrics.filter(|metric| metric.is_object()))
}

/// A stack with a dashboard and every optional part that it shows.
fn with_dashboard() -> Value {
    deployed(&[
        ("Dashboard", "true"),
        ("ReplyWebhookUrl", "https://reply.example.com"),
        ("EventWebhookUrl", "https://events.example.com"),
        ("RefresherRuns", "4"),
        ("Console", "on"),
        ("LoginHost", "login.example.com"),
        ("LoginCertificateArn", "arn:aws:acm:eu-central-1:123456789012:certificate/0e46f1d4"),
    ])
}

/// The dashboard as it is deployed, with each reference as a plain `<name>`.
fn dashboard(template: &Value) -> Value {
    let body = &properties(template, "DashboardPage")["DashboardBody"]["Fn::Sub"];
    assert_eq!(body[1]["Own"], json!({ "Fn::Sub": OWN_NAMESPACE }));
    let mut plain = text(&body[0]).replace("${!", "{");
    // The optional parts.
    for (name, optional) in body[1].as_object().unwrap().iter().filter(|(name, _)| *name != "Own") {
        plain = plain.replace(&format!("${{{name}}}"), optional["Fn::Sub"].as_str().unwrap_or_default());
    }
    while let Some(start) = plain.find("${") {
        let end = start + plain[start..].find('}').unwrap();
        plain.replace_range(start..=end, &format!("<{}>", &plain[start + 2..end]));
    }
    serde_json::from_str(&plain).unwrap_or_else(|error| panic!("the dashboard is not JSON: {error}"))
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
    let shown = shown(&dashboard(&with_dashboard()));
    let expected: BTreeSet<(String, Option<String>)> =
        published().iter().map(|(name, dimension)| ((*name).to_owned(), dimension.map(str::to_owned))).collect();
    assert_eq!(shown, expected);
}

#[test]
fn the_dashboard_shows_every_alarm_of_the_stack_at_its_top() {
    for template in [with_dashboard(), deployed(&[("Dashboard", "true")])] {
        let dashboard = dashboard(&template);
        let first = &dashboard["widgets"][0];
        assert_eq!((&first["type"], &first["y"]), (&json!("alarm"), &json!(0)));
        let shown: BTreeSet<&str> = many(&first["properties"]["alarms"]).into_iter().map(text).collect();
        let all: Vec<String> = alarms(&template).map(|(name, _)| format!("<{name}.Arn>")).collect();
        assert_eq!(shown, all.iter().map(String::as_str).collect());
    }
}

#[test]
fn the_dashboard_and_its_address_are_there_on_request_only() {
    let has = |template: &Value| {
        let page = of_type(template, "AWS::CloudWatch::Dashboard").count();
        (page, template["Outputs"]["DashboardUrl"].is_object())
    };
    assert_eq!(has(&deployed(&[])), (0, false));
    assert_eq!(has(&with_dashboard()), (1, true));
}

#[test]
fn alarms_of_what_is_optional_are_there_with_it_and_all_others_always() {
    let names = |template: &Value| alarms(template).map(|(name, _)| name.to_owned()).collect::<BTreeSet<_>>();
    let mut all = names(&template());
    assert_eq!(names(&with_dashboard()), all);
    assert!(all.remove("RefresherPartSilent") && all.remove("ConsoleFailing"));
    let [replies, events] = ["ReplyWebhookUrl", "EventWebhookUrl"].map(|name| (name, "https://app.example.com"));
    assert_eq!(names(&deployed(&[replies, events])), all);
    assert!(all.remove("EventWebhookFailing") && all.remove("EventsGivenUp"));
    assert_eq!(names(&deployed(&[replies])), all);
    assert!(all.remove("WebhookFailing"));
    assert_eq!(names(&deployed(&[])), all);
    assert_eq!(names(&deployed(&[("RefresherEnabled", "false"), ("Egress", "vpc"), ("Stage", "test")])), all);
}

#[test]
fn every_alarm_looks_at_something_that_is_published() {
    let template = with_dashboard();
    let namespace = &template["Globals"]["Function"]["Environment"]["Variables"]["METRICS_NAMESPACE"];
    assert_eq!(*namespace, json!({ "Fn::Sub": OWN_NAMESPACE }));
    let published = published();
    let (mut own, mut totals) = (0, BTreeSet::new());
    for (name, metric) in alarms(&template).flat_map(|(name, alarm)| looked_at(alarm).map(move |metric| (name, metric)))
    {
        if metric["Namespace"] != *namespace {
            let foreign = ["AWS/SQS", "AWS/ApiGateway", "AWS/Lambda"].contains(&text(&metric["Namespace"]));
            assert!(foreign, "{name}: {}", metric["Namespace"]);
            continue;
        }
        own += 1;
        let dimension = published.get(text(&metric["MetricName"]));
        let dimension = dimension.unwrap_or_else(|| panic!("{name}: nobody publishes {}", metric["MetricName"]));
        if let Some(split) = metric["Dimensions"].as_array() {
            let [split] = &split[..] else { panic!("{name}: a metric has one dimension at most") };
            assert_eq!(Some(text(&split["Name"])), *dimension, "{name}");
        } else if dimension.is_some() {
            totals.insert(text(&metric["MetricName"]));
        }
    }
    let published = Measure::ALL.iter().filter(|measure| measure.has_total() && measure.dimension().is_some());
    assert_eq!(
        totals,
        published.map(|measure| measure.name()).collect(),
        "the totals that alarms look at are published, and no others"
    );
    assert_eq!(own, 27);
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
    for (name, alarm) in alarms(&template) {
        assert_eq!(alarm["AlarmActions"], topic, "{name}");
        assert!(alarm["OKActions"].is_null() || alarm["OKActions"] == topic, "{name}");
        assert!(alarm["ActionsEnabled"].is_null(), "{name}");
        // Silence is acceptable only if the parameter that stops the refresher causes it.
        let stopped = ["RefresherSilent", "RefresherPartSilent", "TicketMissing"].contains(&name);
        assert!((alarm["TreatMissingData"] == switched_silence()) == stopped, "{name}");
        assert!(stopped || alarm["TreatMissingData"].is_string(), "{name}: silence means something, say what");
        let description = text(&alarm["AlarmDescription"]);
        assert!(description.is_ascii() && description.len() <= 1024, "{name}: {}", description.len());
        assert!(description.contains(" First "), "{name}: what to do first?");
        assert!(description.ends_with(&format!(" See docs/operations.md, {name}.")), "{name}: {description}");
    }
}

#[test]
fn the_operator_can_read_about_every_alarm_and_every_metric() {
    let manual = include_str!("../../../docs/operations.md");
    let named = |name: &str| manual.lines().any(|line| line.starts_with("| `") && line.contains(&format!("`{name}`")));
    for (name, _) in alarms(&template()) {
        assert!(named(name), "docs/operations.md has no row for the alarm {name}");
    }
    for measure in Measure::ALL {
        assert!(named(measure.name()), "docs/operations.md has no row for the metric {}", measure.name());
    }
}

/// What an alarm evaluates and when it fires: name; metric; statistic, comparison, threshold; seconds of a period and
/// how many of them; the meaning of silence.
type Rule = (&'static str, &'static str, (&'static str, &'static str, u64), (u64, u64), &'static str);

const OVER: &str = "GreaterThanThreshold";
const UNDER: &str = "LessThanThreshold";

/// Breaching, unless the parameter that stops the refresher causes the silence.
const SWITCHED: &str = "switched";

const RULES: [Rule; 16] = [
    // Before the first ticket there is no age: no data is as bad as an old ticket.
    ("TicketMissing", "ticket_age", ("Maximum", OVER, 1500), (900, 1), SWITCHED),
    ("ComponentTokenLapsing", "component_token_left", ("Minimum", UNDER, 600), (300, 1), "ignore"),
    ("RenewalsLeftOver", "left_over", ("Sum", OVER, 0), (300, 3), "notBreaching"),
    ("InboxStuck", "inbox_waiting", ("Minimum", OVER, 0), (300, 6), "ignore"),
    ("SecondIssuer", "second_issuer", ("Sum", OVER, 0), (300, 1), "notBreaching"),
    ("CallsUnanswered", "upstream_error", ("Sum", OVER, 50), (300, 3), "notBreaching"),
    ("TokensRefused", "token_refused", ("Sum", OVER, 10), (300, 1), "notBreaching"),
    ("SecretServedStale", "secret_served_stale", ("Sum", OVER, 0), (300, 1), "notBreaching"),
    ("WechatRefusesAddress", "wechat_refused", ("Sum", OVER, 0), (300, 1), "notBreaching"),
    ("WebhookFailing", "webhook_failed", ("Sum", OVER, 0), (300, 3), "notBreaching"),
    ("EventsGivenUp", "event_given_up", ("Sum", OVER, 0), (300, 1), "notBreaching"),
    ("EventWebhookFailing", "event_webhook_failed", ("Sum", OVER, 0), (300, 6), "notBreaching"),
    ("StateEventsStuck", "state_events_waiting", ("Minimum", OVER, 0), (300, 6), "ignore"),
    ("EventsDelayed", "event_delayed", ("Sum", OVER, 0), (300, 3), "notBreaching"),
    // One per second for five minutes.
    ("PushesRefused", "push_refused", ("Sum", OVER, 300), (300, 1), "notBreaching"),
    ("DeadLetters", "ApproximateNumberOfMessagesVisible", ("Maximum", OVER, 0), (300, 1), "ignore"),
];

#[test]
fn each_alarm_fires_when_it_is_meant_to() {
    let template = template();
    for (name, metric, (statistic, comparison, threshold), (period, periods), missing) in RULES {
        let alarm = properties(&template, name);
        let silence = if missing == SWITCHED { switched_silence() } else { json!(missing) };
        let rule = json!([metric, statistic, comparison, threshold, period, periods, silence]);
        let set = ["MetricName", "Statistic", "ComparisonOperator", "Threshold", "Period", "EvaluationPeriods"];
        let mut set: Vec<Value> = set.map(|key| alarm[key].clone()).into();
        set.push(alarm["TreatMissingData"].clone());
        assert_eq!(json!(set), rule, "{name}");
    }
    for (name, alarm) in alarms(&template).filter(|(name, _)| name.ends_with("Failing") && *name != "RenewalsFailing") {
        let set = (&alarm["ComparisonOperator"], &alarm["Threshold"], &alarm["TreatMissingData"]);
        assert_eq!(set, (&json!(OVER), &json!(0), &json!("notBreaching")), "{name}");
    }
    // The tries of an event become rare.
    assert_eq!(properties(&template, "EventWebhookFailing")["DatapointsToAlarm"], 3);
    // The six that the tests below check.
    assert_eq!(alarms(&template).count(), RULES.len() + FUNCTIONS.len() + 6);
}

fn switched_silence() -> Value {
    json!({ "Fn::If": ["RunRefresher", "breaching", "notBreaching"] })
}

/// A metric of ours in an expression: the sum of five minutes.
fn summed(id: &str, metric: &str, dimensions: &Value) -> Value {
    let mut of = json!({ "Namespace": { "Fn::Sub": OWN_NAMESPACE }, "MetricName": metric });
    if !dimensions.is_null() {
        of["Dimensions"] = dimensions.clone();
    }
    json!({ "Id": id, "ReturnData": false, "MetricStat": { "Stat": "Sum", "Period": 300, "Metric": of } })
}

#[test]
fn fifteen_minutes_without_a_heartbeat_are_an_alarm() {
    let template = template();
    let alarm = properties(&template, "RefresherSilent");
    let renew = json!([{ "Name": "task", "Value": "renew" }]);
    assert_eq!(alarm["Metrics"][0]["Expression"], "FILL(runs, 0)");
    assert_eq!(alarm["Metrics"][1], summed("runs", "run_finished", &renew));
    assert_eq!((&alarm["EvaluationPeriods"], &alarm["ComparisonOperator"]), (&json!(3), &json!(UNDER)));
    assert_eq!(alarm["Threshold"], json!({ "Fn::If": ["RunRefresher", 1, 0] }));
    assert_eq!(alarm["TreatMissingData"], switched_silence());
}

#[test]
fn fifteen_minutes_without_a_heartbeat_of_one_of_several_runs_are_an_alarm() {
    for (runs, expression) in [(2, "FILL(runs_1, 0)"), (4, "FILL(runs_1, 0) * FILL(runs_2, 0) * FILL(runs_3, 0)")] {
        let template = deployed(&[("RefresherRuns", &runs.to_string())]);
        let alarm = properties(&template, "RefresherPartSilent");
        assert_eq!(alarm["Metrics"][0]["Expression"], expression);
        let beats = (1..runs).map(|number| {
            // The name that the refresher gives to the runs of this part.
            let task = ScheduledTask::Renew(DuePart::new(number, runs).unwrap()).name();
            let task = json!([{ "Name": "task", "Value": task }]);
            let mut beats = summed(&format!("runs_{number}"), "run_finished", &task);
            beats["MetricStat"]["Period"] = json!(900);
            beats
        });
        assert_eq!(alarm["Metrics"].as_array().unwrap()[1..], beats.collect::<Vec<_>>());
        assert_eq!((&alarm["EvaluationPeriods"], &alarm["ComparisonOperator"]), (&json!(1), &json!(UNDER)));
        assert_eq!((&alarm["Threshold"], &alarm["TreatMissingData"]), (&json!(1), &json!("breaching")));
    }
}

#[test]
fn answers_with_5xx_are_an_alarm_unless_wechat_was_the_reason() {
    let template = template();
    let alarm = properties(&template, "ApiErrors");
    let ours = "IF(FILL(upstream, 0) > 0, FILL(all, 0) - 1.5 * FILL(upstream, 0), FILL(all, 0))";
    assert_eq!(alarm["Metrics"][0]["Expression"], ours);
    let with_login_host = with_dashboard();
    for (template, all, apis) in [
        (&deployed(&[]), "FILL(common, 0)", vec![("common", "HttpApi")]),
        (&with_login_host, "FILL(common, 0) + FILL(logins, 0)", vec![("common", "HttpApi"), ("logins", "LoginApi")]),
    ] {
        let metrics = properties(template, "ApiErrors")["Metrics"].as_array().unwrap();
        assert_eq!(metrics[1], json!({ "Id": "all", "ReturnData": false, "Expression": all }));
        let answers = apis.iter().map(|(id, api)| {
            let api = json!([{ "Name": "ApiId", "Value": { "Ref": api } }]);
            let of = json!({ "Namespace": "AWS/ApiGateway", "MetricName": "5xx", "Dimensions": api });
            json!({ "Id": id, "ReturnData": false, "MetricStat": { "Stat": "Sum", "Period": 300, "Metric": of } })
        });
        let upstream = summed("upstream", "upstream_error", &Value::Null);
        assert_eq!(metrics[2..], answers.chain([upstream]).collect::<Vec<_>>());
    }
    assert_eq!((&alarm["ComparisonOperator"], &alarm["Threshold"]), (&json!(OVER), &json!(0)));
    assert_eq!((&alarm["EvaluationPeriods"], &alarm["TreatMissingData"]), (&json!(1), &json!("notBreaching")));
}

#[test]
fn one_use_of_a_revoked_key_is_an_alarm_and_so_is_a_flood_of_keys_that_are_not_valid() {
    let template = template();
    let alarm = properties(&template, "KeysRefused");
    assert_eq!(alarm["Metrics"][0]["Expression"], "IF(FILL(revoked, 0) > 0, 101, 0) + FILL(all, 0)");
    assert_eq!(alarm["Metrics"][1], summed("all", "key_refused", &Value::Null));
    let revoked = json!([{ "Name": "reason", "Value": "revoked" }]);
    assert_eq!(alarm["Metrics"][2], summed("revoked", "key_refused", &revoked));
    assert_eq!((&alarm["ComparisonOperator"], &alarm["Threshold"]), (&json!(OVER), &json!(100)));
    assert_eq!((&alarm["EvaluationPeriods"], &alarm["TreatMissingData"]), (&json!(1), &json!("notBreaching")));
}

#[test]
fn failures_are_an_alarm_by_their_share() {
    let template = template();
    let alarm = properties(&template, "RenewalsFailing");
    let share = "100 * FILL(failures, 0) / (FILL(failures, 0) + FILL(renewals, 0) + 0.001)";
    assert_eq!(alarm["Metrics"][0]["Expression"], share);
    assert_eq!(alarm["Metrics"][1], summed("failures", "failed", &Value::Null));
    assert_eq!(alarm["Metrics"][2], summed("renewals", "renewed", &Value::Null));
    assert_eq!((&alarm["ComparisonOperator"], &alarm["Threshold"]), (&json!(OVER), &json!(5)));
    // Failed accounts wait 5, 10, 20 minutes: on a small platform no three periods in a row have a failure.
    assert_eq!((&alarm["EvaluationPeriods"], &alarm["DatapointsToAlarm"]), (&json!(6), &json!(3)));
    assert_eq!(alarm["TreatMissingData"], "notBreaching");
}

#[test]
fn an_unusual_share_of_accounts_that_are_lost_is_an_alarm() {
    let template = template();
    let alarm = properties(&template, "AccountsLost");
    let of_an_hour = |mut metric: Value, statistic: &str| {
        metric["MetricStat"]["Period"] = json!(3600);
        metric["MetricStat"]["Stat"] = json!(statistic);
        metric
    };
    let share = "IF(lost >= 5, 100 * lost / (lost + FILL(active, REPEAT)), 0)";
    assert_eq!(alarm["Metrics"][0]["Expression"], share);
    assert_eq!(alarm["Metrics"][1]["Expression"], "FILL(refused, 0) + FILL(withdrawn, 0)");
    assert_eq!(alarm["Metrics"][2], of_an_hour(summed("refused", "grants_gone", &Value::Null), "Sum"));
    let withdrawn = json!([{ "Name": "kind", "Value": "unauthorized" }]);
    assert_eq!(alarm["Metrics"][3], of_an_hour(summed("withdrawn", "push_stored", &withdrawn), "Sum"));
    let active = json!([{ "Name": "state", "Value": AccountState::Active.as_str() }]);
    assert_eq!(alarm["Metrics"][4], of_an_hour(summed("active", "accounts", &active), "Maximum"));
    assert_eq!((&alarm["ComparisonOperator"], &alarm["Threshold"]), (&json!(OVER), &json!(2)));
    assert_eq!((&alarm["EvaluationPeriods"], &alarm["TreatMissingData"]), (&json!(1), &json!("notBreaching")));
}

#[test]
fn alarms_on_one_value_of_a_metric_name_it() {
    let template = template();
    let one = |name: &str, value: &str| json!([{ "Name": name, "Value": value }]);
    assert_eq!(properties(&template, "WechatRefusesAddress")["Dimensions"], one("code", "61004"));
    // The others look at the totals.
    for name in ["TicketMissing", "InboxStuck", "PushesRefused"] {
        assert!(properties(&template, name)["Dimensions"].is_null(), "{name}");
    }
}

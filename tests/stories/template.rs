//! What is deployed is what was tested: template.yaml against the functions' own constants.

use std::collections::BTreeSet;
use std::sync::Mutex;

use http::Method;
use serde_json::Value;
use shared::config::{PageConfig, StoreConfig, WechatConfig};
use shared::vault::{DUE_INDEX, INBOX_SORT_PREFIX};
use token_refresher::Task;

/// A route as both sides have it: method, path, and whether IAM guards it.
type Route = (String, String, bool);

pub(crate) fn template() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml");
    let text = std::fs::read_to_string(path).expect("template.yaml stands at the root of the workspace");
    serde_saphyr::from_str(&text).unwrap()
}

pub(crate) fn functions(template: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let resources = template["Resources"].as_object().unwrap().iter();
    resources.filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function")
}

fn events<'a>(function: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    let events = function["Properties"]["Events"].as_object().unwrap().values();
    events.filter(move |event| event["Type"] == kind).map(|event| &event["Properties"])
}

fn routes(exported: &[(Method, &str)], guarded: bool) -> BTreeSet<Route> {
    exported.iter().map(|(method, path)| (method.to_string(), (*path).to_owned(), guarded)).collect()
}

#[test]
fn each_function_is_sent_exactly_the_routes_that_its_router_has() {
    let template = template();
    let deployed = |name: &str| -> BTreeSet<Route> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        events(&template["Resources"][name], "HttpApi")
            .map(|event| {
                assert_eq!(event["ApiId"], "HttpApi", "{name}");
                let guard = &event["Auth"]["Authorizer"];
                assert!(guard.is_null() || guard == "AWS_IAM", "{name}: {guard}");
                (text(&event["Method"]), text(&event["Path"]), !guard.is_null())
            })
            .collect()
    };
    assert_eq!(deployed("TicketPush"), routes(&ticket_push::ROUTES, false));
    assert_eq!(deployed("OauthCallback"), routes(&oauth_callback::ROUTES, false));
    let mut links = routes(&preauth_link::PUBLIC_ROUTES, false);
    links.extend(routes(&preauth_link::BUSINESS_ROUTES, true));
    assert_eq!(deployed("PreauthLink"), links);
    assert_eq!(deployed("TokenRefresher"), BTreeSet::new());
    assert_eq!(functions(&template).count(), 4, "every function is compared above");
    let auth = &template["Resources"]["HttpApi"]["Properties"]["Auth"];
    assert_eq!(auth["EnableIamAuthorizer"], true);
    assert!(auth["DefaultAuthorizer"].is_null(), "WeChat and merchants have no credentials");
}

#[test]
fn the_schedules_start_the_tasks_that_the_refresher_knows() {
    let template = template();
    let refresher = &template["Resources"]["TokenRefresher"];
    let mut tasks: Vec<Task> = events(refresher, "ScheduleV2")
        .map(|event| Task::parse(serde_json::from_str(event["Input"].as_str().unwrap()).unwrap()).unwrap())
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
    let filters = stream["FilterCriteria"]["Filters"].as_array().unwrap();
    let [filter] = &filters[..] else { panic!("{} filters", filters.len()) };
    let pattern: Value = serde_json::from_str(filter["Pattern"].as_str().unwrap()).unwrap();
    let expected = serde_json::json!({
        "eventName": ["INSERT"],
        "dynamodb": { "Keys": { "sk": { "S": [{ "prefix": INBOX_SORT_PREFIX }] } } },
    });
    assert_eq!(pattern, expected);
}

#[test]
fn the_index_has_the_name_that_is_asked_for() {
    let template = template();
    let indexes = template["Resources"]["Table"]["Properties"]["GlobalSecondaryIndexes"].as_array().unwrap();
    let names: Vec<&Value> = indexes.iter().map(|index| &index["IndexName"]).collect();
    assert_eq!(names, [DUE_INDEX]);
    let policies = statements(&template);
    let resources: Vec<String> = policies.iter().map(|statement| statement["Resource"].to_string()).collect();
    assert!(resources.iter().any(|resource| resource.ends_with(&format!("/index/{DUE_INDEX}\""))), "{resources:?}");
}

/// Every statement of every role.
fn statements(template: &Value) -> Vec<Value> {
    let resources = template["Resources"].as_object().unwrap().values();
    let roles = resources.filter(|resource| resource["Type"] == "AWS::IAM::Role");
    let policies = roles.flat_map(|role| role["Properties"]["Policies"].as_array().unwrap());
    policies.flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().unwrap().clone()).collect()
}

#[test]
fn no_role_may_do_anything_by_a_wildcard() {
    let template = template();
    let statements = statements(&template);
    assert!(statements.len() > 4);
    for statement in statements {
        assert_eq!(statement["Effect"], "Allow");
        let actions = match &statement["Action"] {
            Value::String(one) => vec![one.as_str()],
            many => many.as_array().unwrap().iter().map(|action| action.as_str().unwrap()).collect(),
        };
        assert!(!actions.is_empty() && actions.iter().all(|action| !action.contains('*')), "{actions:?}");
        assert_ne!(statement["Resource"], "*", "{actions:?}");
        let of_table = actions.iter().any(|action| action.starts_with("dynamodb:") && !action.contains("Stream"));
        let of_stream = statement["Sid"] == "ReadStream";
        let keys = &statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"];
        assert!(!of_table || of_stream || keys.is_array(), "{actions:?} may touch every kind of item");
    }
}

/// The names of the variables that a configuration asks for.
fn asked(read: impl FnOnce(&dyn Fn(&str) -> Option<String>)) -> BTreeSet<String> {
    let names = Mutex::new(BTreeSet::new());
    read(&|name: &str| {
        names.lock().unwrap().insert(name.to_owned());
        Some(if name == "RETURN_URL_ORIGINS" { "" } else { "https://a.example.com" }.to_owned())
    });
    names.into_inner().unwrap()
}

#[test]
fn every_variable_that_a_function_reads_is_set_for_it() {
    let store = asked(|environment| drop(StoreConfig::read(&environment).unwrap()));
    let pages = asked(|environment| drop(PageConfig::read(&environment).unwrap()));
    let wechat = asked(|environment| drop(WechatConfig::read(&environment).unwrap()));
    assert_eq!((store.len(), pages.len(), wechat.len()), (2, 2, 3), "the configurations really ask");
    let log: BTreeSet<String> = ["RUST_LOG".to_owned()].into();
    // The authorization pages are preauth-link's alone.
    let api: BTreeSet<String> = wechat.iter().filter(|name| name.contains("_API_")).cloned().collect();

    let template = template();
    let names = |variables: &Value| -> BTreeSet<String> {
        variables.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
    };
    let common = names(&template["Globals"]["Function"]["Environment"]["Variables"]);
    for (function, reads) in [
        ("TicketPush", vec![&store, &log]),
        ("PreauthLink", vec![&store, &log, &pages, &wechat]),
        ("OauthCallback", vec![&store, &log, &pages, &api]),
        ("TokenRefresher", vec![&store, &log, &api]),
    ] {
        let mut set = names(&template["Resources"][function]["Properties"]["Environment"]["Variables"]);
        set.extend(common.iter().cloned());
        let reads: BTreeSet<String> = reads.into_iter().flatten().cloned().collect();
        assert_eq!(set, reads, "{function}: what is set and what is read");
    }
}

//! The deployment matches the tests: template.yaml against the functions' own constants.
//!
//! `.ci/check_template.py` checks what SAM makes of the template (authorizers, generated roles, permissions).

mod alarms;
mod console_role;
mod deployer;
mod events;
mod functions;
mod network;
mod parameters;
mod policies;
mod roles;
mod routes;
mod store;

use serde_json::Value;

pub(crate) use stories::template::{deployed, written as template};

/// The functions' logical ids.
const FUNCTIONS: [&str; 10] = [
    "AccountApi",
    "AccountPush",
    "OauthCallback",
    "OperatorConsole",
    "PreauthLink",
    "TicketPush",
    "TokenApi",
    "TokenRefresher",
    "WebLogin",
    "WechatCalls",
];

/// The resources of a type, with their logical ids.
fn of_type<'a>(template: &'a Value, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let resources = template["Resources"].as_object().unwrap().iter();
    resources.filter(move |(_, resource)| resource["Type"] == kind).map(|(name, resource)| (name.as_str(), resource))
}

pub(crate) fn functions(template: &Value) -> impl Iterator<Item = (&str, &Value)> {
    of_type(template, "AWS::Serverless::Function")
}

/// The properties of a resource.
fn properties<'a>(template: &'a Value, name: &str) -> &'a Value {
    let properties = &template["Resources"][name]["Properties"];
    assert!(properties.is_object(), "template.yaml has no resource {name}");
    properties
}

/// The properties of a function's events of a type.
fn events<'a>(function: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    let events = function["Properties"]["Events"].as_object().unwrap().values();
    events.filter(move |event| event["Type"] == kind).map(|event| &event["Properties"])
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// A list, or the single item that represents a list of one.
fn many(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |list| list.iter().collect())
}

/// Calls `see` with every object in a value, the outermost first.
fn walk<'a>(value: &'a Value, see: &mut impl FnMut(&'a serde_json::Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            see(map);
            map.values().for_each(|value| walk(value, see));
        }
        Value::Array(list) => list.iter().for_each(|value| walk(value, see)),
        _ => {}
    }
}

#[test]
fn every_function_is_known_to_these_tests() {
    let template = template();
    let mut names: Vec<&str> = functions(&template).map(|(name, _)| name).collect();
    names.sort_unstable();
    assert_eq!(names, FUNCTIONS);
}

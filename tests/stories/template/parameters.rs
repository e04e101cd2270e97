//! A user's decisions: every parameter is explained, checked and used.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{template, text, walk};

/// Every name that a value refers to, by Ref or within a Sub.
fn referred(value: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    walk(value, &mut |map| {
        if let Some(name) = map.get("Ref") {
            names.insert(text(name).to_owned());
        }
        if let Some(sub) = map.get("Fn::Sub") {
            let pattern = text(sub.get(0).unwrap_or(sub));
            names.extend(pattern.split("${").skip(1).map(|rest| rest.split(['}', '.']).next().unwrap().to_owned()));
        }
    });
    names
}

#[test]
fn every_parameter_is_used() {
    let template = template();
    let mut used = BTreeSet::new();
    for section in ["Conditions", "Globals", "Resources"] {
        used.extend(referred(&template[section]));
    }
    for name in template["Parameters"].as_object().unwrap().keys() {
        assert!(used.contains(name), "{name}");
    }
}

#[test]
fn every_condition_decides_something() {
    let template = template();
    let mut used = BTreeSet::new();
    for section in ["Resources", "Outputs", "Globals"] {
        walk(&template[section], &mut |map| {
            used.extend(map.get("Condition").and_then(Value::as_str));
            used.extend(map.get("Fn::If").map(|choice| text(&choice[0])));
        });
    }
    let defined: BTreeSet<&str> = template["Conditions"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(used, defined);
}

#[test]
fn every_parameter_is_explained_and_says_what_to_do_when_it_is_wrong() {
    let template = template();
    for (name, parameter) in template["Parameters"].as_object().unwrap() {
        let description = text(&parameter["Description"]);
        assert!(description.is_ascii() && description.len() > 20, "{name}: {description}");
        if parameter["AllowedValues"].is_array() {
            continue;
        }
        assert!(text(&parameter["ConstraintDescription"]).starts_with("must be "), "{name}");
        if parameter["Type"] == "Number" {
            assert!(parameter["MinValue"].is_u64() && parameter["MaxValue"].is_u64(), "{name}");
        } else {
            let pattern = text(&parameter["AllowedPattern"]);
            assert!(pattern.starts_with('^') && pattern.ends_with('$'), "{name}: {pattern}");
        }
    }
}

#[test]
fn every_parameter_stands_in_one_group_of_the_console() {
    let template = template();
    let groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"].as_array().unwrap();
    let mut grouped: Vec<&str> =
        groups.iter().flat_map(|group| group["Parameters"].as_array().unwrap()).map(text).collect();
    grouped.sort_unstable();
    let parameters: Vec<&str> = template["Parameters"].as_object().unwrap().keys().map(String::as_str).collect();
    let mut sorted = parameters;
    sorted.sort_unstable();
    assert_eq!(grouped, sorted);
}

#[test]
fn only_the_public_address_must_be_given() {
    let template = template();
    let parameters = template["Parameters"].as_object().unwrap().iter();
    let required: Vec<&String> = parameters.filter(|(_, it)| it["Default"].is_null()).map(|(name, _)| name).collect();
    assert_eq!(required, ["PublicBaseUrl"]);
}

#[test]
fn every_rule_names_the_parameter_that_it_refuses() {
    let template = template();
    let rules = template["Rules"].as_object().unwrap();
    assert!(rules.len() >= 4);
    for (name, rule) in rules {
        for assertion in rule["Assertions"].as_array().unwrap() {
            let sentence = text(&assertion["AssertDescription"]);
            let asserted = referred(&assertion["Assert"]);
            assert!(asserted.iter().any(|parameter| sentence.contains(parameter)), "{name}: {sentence}");
        }
    }
}

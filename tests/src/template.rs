//! `template.yaml`, as it is written and as it is deployed with some parameters.
//!
//! Its tags are kept: `!Ref Table` is read as `{"Ref": "Table"}`, `!GetAtt Table.Arn` as `{"Fn::GetAtt": ["Table",
//! "Arn"]}`, which is how AWS reads them. So a reference to something is never confused with a text of the same
//! letters.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};
use serde_saphyr::Tagged;

/// The template as it is written.
#[must_use]
pub fn written() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml");
    parse(&std::fs::read_to_string(path).expect("template.yaml is at the root of the workspace")).unwrap()
}

/// The contents of a stack with these parameters, the others at their defaults: what a condition excludes is removed,
/// and each choice is made.
#[must_use]
pub fn deployed(parameters: &[(&str, &str)]) -> Value {
    let template = written();
    let known = |name: &str| template["Parameters"][name].is_object();
    assert!(parameters.iter().all(|(name, _)| known(name)), "a parameter is unknown: {parameters:?}");
    let stack = Stack { template: &template, parameters };
    let mut deployed = stack.chosen(&template);
    for section in ["Resources", "Outputs"] {
        let things = deployed[section].as_object_mut().unwrap();
        things.retain(|_, thing| thing["Condition"].as_str().is_none_or(|condition| stack.holds(condition)));
    }
    deployed
}

/// The values in the gateway's access log for an accepted message: one of the longest IPv4 addresses, and ids as the
/// gateway and Lambda create them.
pub const ACCEPTED: [(&str, &str); 8] = [
    ("routeKey", "POST /wechat/accounts/{appid}/events"),
    ("status", "200"),
    ("responseLatency", "28"),
    ("identity.sourceIp", "101.226.103.161"),
    ("integration.requestId", "0e46f1d4-6f5c-4c1b-8f0f-1a9d6f0d7c3e"),
    ("requestId", "JKJaXmPLvHcESHA="),
    ("error.message", "-"),
    ("integrationErrorMessage", "-"),
];

/// The line of the gateway's access log about such a message.
#[must_use]
pub fn accepted_line(template: &Value) -> String {
    let format = &template["Resources"]["HttpApi"]["Properties"]["AccessLogSettings"]["Format"];
    let line = ACCEPTED.iter().fold(format.as_str().unwrap().to_owned(), |line, (name, value)| {
        let next = line.replacen(&format!("$context.{name}"), value, 1);
        assert_ne!(next, line, "the access log has no {name}");
        next
    });
    assert!(!line.contains('$'), "{line}");
    line
}

/// A template and its parameters.
struct Stack<'a> {
    template: &'a Value,
    parameters: &'a [(&'a str, &'a str)],
}

impl Stack<'_> {
    fn holds(&self, condition: &str) -> bool {
        self.is_true(&self.template["Conditions"][condition])
    }

    fn is_true(&self, rule: &Value) -> bool {
        let (function, of) = rule.as_object().and_then(|rule| rule.iter().next()).expect("a condition is a function");
        match function.as_str() {
            "Condition" => self.holds(of.as_str().unwrap()),
            "Fn::Equals" => self.text(&of[0]) == self.text(&of[1]),
            "Fn::Not" => !self.is_true(&of[0]),
            "Fn::And" => of.as_array().unwrap().iter().all(|rule| self.is_true(rule)),
            _ => panic!("the conditions have no {function} yet"),
        }
    }

    /// A side of a comparison. Numbers are compared as text, as CloudFormation does.
    fn text(&self, value: &Value) -> String {
        let Some(name) = value["Ref"].as_str() else {
            return value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        };
        if name == "AWS::Partition" {
            return "aws".to_owned();
        }
        let given = self.parameters.iter().find(|(parameter, _)| *parameter == name);
        let default = &self.template["Parameters"][name]["Default"];
        given.map_or_else(|| self.text(default), |(_, value)| (*value).to_owned())
    }

    fn chosen(&self, value: &Value) -> Value {
        match value {
            Value::Object(map) if map.contains_key("Fn::If") => {
                let choice = &map["Fn::If"];
                let place = if self.holds(choice[0].as_str().unwrap()) { 1 } else { 2 };
                self.chosen(&choice[place])
            }
            Value::Object(map) => map
                .iter()
                .map(|(name, value)| (name.clone(), self.chosen(value)))
                .filter(|(_, it)| is_there(it))
                .collect(),
            Value::Array(list) => list.iter().map(|value| self.chosen(value)).filter(is_there).collect(),
            _ => value.clone(),
        }
    }
}

fn is_there(value: &Value) -> bool {
    value["Ref"] != "AWS::NoValue"
}

fn parse(text: &str) -> Result<Value, serde_saphyr::Error> {
    serde_saphyr::from_str::<Node>(text).map(|node| node.0)
}

/// A value and the function that its tag calls.
struct Node(Value);

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Tagged(Untagged(value), tag) = Tagged::deserialize(deserializer)?;
        let Some(tag) = tag else { return Ok(Self(value)) };
        let function = tag.strip_prefix('!').ok_or_else(|| D::Error::custom(format!("unknown tag {tag}")))?;
        Ok(Self(match function {
            "Ref" | "Condition" => json!({ function: value }),
            "GetAtt" => {
                let path = value.as_str().and_then(|path| path.split_once('.'));
                let (resource, attribute) = path.ok_or_else(|| D::Error::custom("GetAtt without an attribute"))?;
                json!({ "Fn::GetAtt": [resource, attribute] })
            }
            _ => json!({ format!("Fn::{function}"): value }),
        }))
    }
}

/// The value after the tag.
struct Untagged(Value);

impl<'de> Deserialize<'de> for Untagged {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything).map(Self)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(json!(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(json!(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(json!(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(json!(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(json!(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Node(value)) = elements.next_element()? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, Node(value))) = entries.next_entry::<String, _>()? {
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_not_the_text_of_the_same_letters() {
        let text = "a: Table\nb: !Ref Table\nc: !GetAtt Domain.Regional.Name\nd: !If [Own, !Ref Key, 5]\n";
        let expected = json!({
            "a": "Table",
            "b": { "Ref": "Table" },
            "c": { "Fn::GetAtt": ["Domain", "Regional.Name"] },
            "d": { "Fn::If": ["Own", { "Ref": "Key" }, 5] },
        });
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn what_a_condition_excludes_is_not_deployed() {
        let text = "
Parameters: { Size: { Default: 2 }, Name: { Default: '' } }
Conditions:
  Large: !Not [!Equals [!Ref Size, '1']]
  Named: !And [!Condition Large, !Equals [!Ref Name, x]]
Resources:
  A: { Condition: Large, Properties: { Parts: [1, !If [Named, 2, !Ref 'AWS::NoValue']], Note: !If [Named, named, none] } }
  B: { Condition: Named }
Outputs: {}
";
        let template = parse(text).unwrap();
        let resources = |parameters: &[(&str, &str)]| {
            let stack = Stack { template: &template, parameters };
            (["Large", "Named"].map(|name| stack.holds(name)), stack.chosen(&template["Resources"]["A"]["Properties"]))
        };
        assert_eq!(resources(&[]), ([true, false], json!({ "Parts": [1], "Note": "none" })));
        assert_eq!(resources(&[("Name", "x")]), ([true, true], json!({ "Parts": [1, 2], "Note": "named" })));
        assert_eq!(resources(&[("Name", "x"), ("Size", "1")]).0, [false, false]);
    }
}

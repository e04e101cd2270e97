//! The template's YAML with its tags: `!Ref Table` is read as `{"Ref": "Table"}`, `!GetAtt Table.Arn` as
//! `{"Fn::GetAtt": ["Table", "Arn"]}`, which is what AWS makes of them. So a reference to something is never taken for a
//! text of the same letters.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};
use serde_saphyr::Tagged;

pub(super) fn parse(text: &str) -> Result<Value, serde_saphyr::Error> {
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

/// What stands behind the tag.
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

#[test]
fn a_reference_is_not_the_text_of_the_same_letters() {
    let read = parse("a: Table\nb: !Ref Table\nc: !GetAtt Domain.Regional.Name\nd: !If [Own, !Ref Key, 5]\n").unwrap();
    let expected = json!({
        "a": "Table",
        "b": { "Ref": "Table" },
        "c": { "Fn::GetAtt": ["Domain", "Regional.Name"] },
        "d": { "Fn::If": ["Own", { "Ref": "Key" }, 5] },
    });
    assert_eq!(read, expected);
}

//! All elements of a message as JSON, under WeChat's own names, so that nothing new from WeChat is lost.
//!
//! An element with text becomes a string, one with child elements an object, and repeated ones an array in their order.
//! `item` and `List`, WeChat's names for members of a list, are always arrays, even if there is only one, so that a
//! reader need not distinguish the two cases.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::inner::{self, Document, Element};

/// The elements of a message below its root. They contain what followers write, so they are never logged.
#[derive(Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Fields(Map<String, Value>);

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fields([REDACTED])")
    }
}

impl Fields {
    /// Parses a decrypted message, as far as possible.
    #[must_use]
    pub fn parse(xml: &str) -> Self {
        Self::of(inner::read(xml))
    }

    pub(super) fn of(document: Document<'_>) -> Self {
        let mut fields = Map::new();
        for element in document.elements {
            // WeChat writes its own elements once. In a truncated document, a second one may be a stranger's imitation.
            if !(inner::is_wechats_own(element.name) && fields.contains_key(element.name)) {
                insert(&mut fields, element);
            }
        }
        Self(fields)
    }

    /// The text of a direct child of the root, as it was sent; `None` unless there is exactly one.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// The text of a direct child of the root that is a name, a number or the like: not empty, and trimmed.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.text(name).map(str::trim_ascii).filter(|text| !text.is_empty())
    }

    /// Removes the elements for which `is_secret` is true, given their name and text, at every depth.
    #[must_use]
    pub fn without(mut self, is_secret: fn(&str, Option<&str>) -> bool) -> Self {
        remove(&mut self.0, is_secret);
        self
    }

    /// All names and texts, in an order that does not depend on the document's: the same for any two documents with the
    /// same content.
    pub(super) fn parts(&self) -> Vec<&str> {
        let mut parts = Vec::new();
        add_members(&self.0, &mut parts);
        parts
    }
}

fn add_members<'a>(members: &'a Map<String, Value>, parts: &mut Vec<&'a str>) {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    for (name, value) in members {
        parts.push(name);
        add(value, parts);
    }
}

fn add<'a>(value: &'a Value, parts: &mut Vec<&'a str>) {
    match value {
        Value::Array(values) => {
            parts.push("[");
            for value in values {
                add(value, parts);
            }
            parts.push("]");
        }
        Value::Object(members) => {
            parts.push("{");
            add_members(members, parts);
            parts.push("}");
        }
        text => parts.push(text.as_str().unwrap_or_default()),
    }
}

fn insert(siblings: &mut Map<String, Value>, element: Element<'_>) {
    let name = element.name;
    let value = match element.value {
        inner::Value::Typed(text) => Value::String(text.to_owned()),
        inner::Value::Plain(text) => Value::String(text.into_owned()),
        inner::Value::Elements(children) => {
            let mut members = Map::new();
            for child in children {
                insert(&mut members, child);
            }
            Value::Object(members)
        }
    };
    match siblings.get_mut(name) {
        None if inner::is_list(name) => {
            siblings.insert(name.to_owned(), Value::Array(vec![value]));
        }
        None => {
            siblings.insert(name.to_owned(), value);
        }
        Some(Value::Array(values)) => values.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
}

fn remove(members: &mut Map<String, Value>, is_secret: fn(&str, Option<&str>) -> bool) {
    members.retain(|name, value| keep(name, value, is_secret));
}

fn keep(name: &str, value: &mut Value, is_secret: fn(&str, Option<&str>) -> bool) -> bool {
    match value {
        Value::Array(values) => {
            values.retain_mut(|value| keep(name, value, is_secret));
            true
        }
        Value::Object(members) => {
            remove(members, is_secret);
            !is_secret(name, None)
        }
        value => !is_secret(name, value.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn json(xml: &str) -> Value {
        serde_json::to_value(Fields::parse(xml)).unwrap()
    }

    #[test]
    fn every_element_is_kept_under_its_name() {
        let xml = "<xml><ToUserName><![CDATA[gh_1]]></ToUserName><MsgId>1234567890123456789</MsgId><Empty/>\
                   <Content><![CDATA[ 你好 ]]> 😀\n]]></Content></xml>";
        assert_eq!(
            json(xml),
            json!({ "ToUserName": "gh_1", "MsgId": "1234567890123456789", "Empty": "", "Content": " 你好 ]]> 😀\n" })
        );
    }

    #[test]
    fn children_make_an_object_and_repeats_an_array() {
        let xml = "<xml><a><b>1</b><c><d>2</d></c></a><a/><a><b>4</b></a><m>1</m><m>2</m><x/><m>3</m></xml>";
        assert_eq!(
            json(xml),
            json!({ "a": [{ "b": "1", "c": { "d": "2" } }, "", { "b": "4" }], "m": ["1", "2", "3"], "x": "" })
        );
    }

    #[test]
    fn members_of_a_list_are_an_array_also_where_there_is_one_only() {
        let pictures = "<xml><SendPicsInfo><Count>1</Count><PicList><item><PicMd5Sum>x</PicMd5Sum></item></PicList>\
                        </SendPicsInfo></xml>";
        assert_eq!(
            json(pictures),
            json!({ "SendPicsInfo": { "Count": "1", "PicList": { "item": [{ "PicMd5Sum": "x" }] } } })
        );
        assert_eq!(json("<xml><E><List><T>1</T></List></E></xml>"), json!({ "E": { "List": [{ "T": "1" }] } }));
    }

    #[test]
    fn children_of_one_element_are_not_taken_for_those_of_the_next() {
        assert_eq!(
            json("<xml><a><b><c>1</c></b></a><d><b/></d></xml>"),
            json!({ "a": { "b": { "c": "1" } }, "d": { "b": "" } })
        );
    }

    #[test]
    fn the_deepest_document_that_is_accepted_is_kept_whole() {
        let deep = format!("<xml>{}x{}</xml>", "<a>".repeat(inner::MAX_DEPTH), "</a>".repeat(inner::MAX_DEPTH));
        let mut value = json(&deep);
        for _ in 0..inner::MAX_DEPTH {
            value = value["a"].take();
        }
        assert_eq!(value, "x");
    }

    #[test]
    fn the_parts_do_not_depend_on_order_and_layout_and_keep_structures_apart() {
        let parts = |xml: &str| Fields::parse(xml).parts().join("|");
        let one = parts("<xml><a>1</a><b><c>2</c></b></xml>");
        assert_eq!(one, parts("<xml>\n<b>\n<c><![CDATA[2]]></c></b> <a><![CDATA[1]]></a></xml>"));
        for other in
            ["<xml><a>1</a><b>2</b></xml>", "<xml><a>1</a><b/><c>2</c></xml>", "<xml><a>1</a><b><c>3</c></b></xml>"]
        {
            assert_ne!(one, parts(other), "{other}");
        }
    }

    #[test]
    fn what_is_secret_is_left_out_at_every_depth() {
        let fields = Fields::parse("<xml><code>1</code><a><code>2</code><b>3</b></a><l>4</l><l>secret</l></xml>");
        let clean = fields.without(|name, text| name == "code" || text == Some("secret"));
        assert_eq!(serde_json::to_value(clean).unwrap(), json!({ "a": { "b": "3" }, "l": ["4"] }));
    }
}

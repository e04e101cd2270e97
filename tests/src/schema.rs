//! `docs/events.schema.json` applied: whether what is handed on is what its readers were told.
//!
//! Knows the keywords that the schema uses. One that it does not know is a panic, so that nothing is passed over.

use serde_json::Value;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/events.schema.json");

/// The schema.
#[derive(Debug)]
pub struct Schema(Value);

impl Schema {
    /// Reads it.
    #[must_use]
    pub fn read() -> Self {
        Self(serde_json::from_str(&std::fs::read_to_string(PATH).unwrap()).unwrap())
    }

    /// Whether a value is of one of the shapes that the schema defines: `message_detail`, `grant_detail`, `state_detail`,
    /// `webhook_request`, `webhook_answer`.
    ///
    /// # Errors
    /// The keyword that it breaks, and where: a value itself is never told.
    pub fn fits(&self, definition: &str, value: &Value) -> Result<(), String> {
        let schema = &self.0["$defs"][definition];
        assert!(schema.is_object(), "the schema does not define {definition}");
        self.apply(schema, value, definition)
    }

    fn apply(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        for (keyword, rule) in schema.as_object().unwrap() {
            self.keyword(keyword, rule, schema, value, at)?;
        }
        Ok(())
    }

    fn keyword(&self, keyword: &str, rule: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let holds = |schema: &&Value| self.apply(schema, value, at).is_ok();
        let least = |length: Option<usize>| length.is_none_or(|length| length as u64 >= rule.as_u64().unwrap());
        let fine = match keyword {
            "description" | "format" => true,
            "$ref" => return self.apply(self.referred(rule), value, at),
            "type" => each(rule).any(|name| is_of(value, name.as_str().unwrap())),
            "const" => value == rule,
            "enum" => each(rule).any(|one| value == one),
            "pattern" => value.as_str().is_none_or(|text| matches(rule.as_str().unwrap(), text)),
            "minimum" => value.as_i64().is_none_or(|number| number >= rule.as_i64().unwrap()),
            "maxLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 <= rule.as_u64().unwrap()),
            "minLength" => least(value.as_str().map(|text| text.chars().count())),
            "minItems" => least(value.as_array().map(Vec::len)),
            "maxItems" => value.as_array().is_none_or(|list| list.len() as u64 <= rule.as_u64().unwrap()),
            "not" => !holds(&rule),
            "anyOf" => each(rule).any(|one| holds(&one)),
            "allOf" => each(rule).all(|one| holds(&one)),
            "oneOf" => each(rule).filter(holds).count() == 1,
            "required" => {
                value.as_object().is_none_or(|map| each(rule).all(|it| map.contains_key(it.as_str().unwrap())))
            }
            "items" => {
                let members = value.as_array().into_iter().flatten();
                return members.enumerate().try_for_each(|(place, it)| self.apply(rule, it, &format!("{at}[{place}]")));
            }
            "properties" => {
                let known = rule.as_object().unwrap().iter();
                let mut there = known.filter_map(|(name, schema)| value.get(name).map(|it| (name, schema, it)));
                return there.try_for_each(|(name, schema, it)| self.apply(schema, it, &format!("{at}.{name}")));
            }
            "additionalProperties" => {
                assert!(schema["properties"].is_null(), "additionalProperties beside properties is not known here");
                let mut members = value.as_object().into_iter().flatten();
                return members.try_for_each(|(name, it)| self.apply(rule, it, &format!("{at}.{name}")));
            }
            unknown => panic!("the schema uses {unknown}, which is not known here"),
        };
        if fine { Ok(()) } else { Err(format!("{at}: {keyword}")) }
    }

    fn referred(&self, reference: &Value) -> &Value {
        let name = reference.as_str().unwrap().strip_prefix("#/$defs/").expect("a definition of this schema");
        &self.0["$defs"][name]
    }
}

/// A list, or the one thing that stands for a list of one.
fn each(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter()
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        unknown => panic!("the schema has the type {unknown}, which is not known here"),
    }
}

/// The patterns of the schema.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern {
        "^[0-9a-f]{64}$" => text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
        r"\S" => text.chars().any(|c| !c.is_whitespace()),
        r"^\S+$" => !text.is_empty() && !text.contains(char::is_whitespace),
        r"^\S*$" => !text.contains(char::is_whitespace),
        "[\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\ufffe\\uffff]" => text.contains(
            |c: char| matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}'),
        ),
        unknown => panic!("the schema has the pattern {unknown}, which is not known here"),
    }
}

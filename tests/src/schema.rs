//! `docs/events.schema.json` applied: whether published events match what their readers were told.

use jsonschema::Validator;
use serde_json::{Value, json};

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

    /// Checks that a value has one of the shapes that the schema defines: `message_detail`, `grant_detail`,
    /// `state_detail`, `webhook_request`, `webhook_answer`.
    ///
    /// # Errors
    /// The violated keyword, and its place, never the value itself.
    pub fn fits(&self, definition: &str, value: &Value) -> Result<(), String> {
        let definitions = &self.0["$defs"];
        assert!(definitions[definition].is_object(), "the schema does not define {definition}");
        holds(&validator(&json!({ "$ref": format!("#/$defs/{definition}"), "$defs": definitions })), value)
    }
}

/// Checks a value with a validator.
///
/// # Errors
/// The violated keyword, and its place.
pub(crate) fn holds(validator: &Validator, value: &Value) -> Result<(), String> {
    let misfit =
        |error: &jsonschema::ValidationError<'_>| format!("{}: {}", error.instance_path(), error.kind().keyword());
    validator.validate(value).map_err(|error| misfit(&error))
}

/// The validator of a schema.
pub(crate) fn validator(schema: &Value) -> Validator {
    jsonschema::draft202012::options().should_validate_formats(true).build(schema).expect("it is a schema")
}

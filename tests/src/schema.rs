//! `docs/events.schema.json` applied: whether what is handed on is what its readers were told.

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

    /// Whether a value is of one of the shapes that the schema defines: `message_detail`, `grant_detail`, `state_detail`,
    /// `webhook_request`, `webhook_answer`.
    ///
    /// # Errors
    /// The keyword that it breaks, and where: a value itself is never told.
    pub fn fits(&self, definition: &str, value: &Value) -> Result<(), String> {
        let definitions = &self.0["$defs"];
        assert!(definitions[definition].is_object(), "the schema does not define {definition}");
        holds(&validator(&json!({ "$ref": format!("#/$defs/{definition}"), "$defs": definitions })), value)
    }
}

/// Whether a value fits what a validator was made of.
///
/// # Errors
/// The keyword that it breaks, and where.
pub(crate) fn holds(validator: &Validator, value: &Value) -> Result<(), String> {
    let misfit =
        |error: &jsonschema::ValidationError<'_>| format!("{}: {}", error.instance_path(), error.kind().keyword());
    validator.validate(value).map_err(|error| misfit(&error))
}

/// What holds values against a schema.
pub(crate) fn validator(schema: &Value) -> Validator {
    jsonschema::draft202012::options().should_validate_formats(true).build(schema).expect("it is a schema")
}

//! Reading the attributes of an item. Reading is lenient: an attribute that is missing or has the wrong type is `None`,
//! and it is an error only if the item is useless without it.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use base::clock::Timestamp;
use secrecy::SecretString;

use crate::StoreError;

pub(crate) type Attributes = HashMap<String, AttributeValue>;

/// An item that was read, with the name of its kind for errors.
pub(crate) struct Item {
    pub(crate) kind: &'static str,
    pub(crate) attributes: Attributes,
}

impl Item {
    pub(crate) const fn new(kind: &'static str, attributes: Attributes) -> Self {
        Self { kind, attributes }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.attributes.contains_key(name)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)?.as_s().ok().map(String::as_str)
    }

    pub(crate) fn number<N: std::str::FromStr>(&self, name: &str) -> Option<N> {
        self.attributes.get(name)?.as_n().ok()?.parse().ok()
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.attributes.get(name)?.as_bool().ok().copied()
    }

    pub(crate) fn instant(&self, name: &str) -> Option<Timestamp> {
        self.number(name).map(Timestamp::from_unix)
    }

    pub(crate) fn secret(&self, name: &str) -> Option<SecretString> {
        self.text(name).map(SecretString::from)
    }

    /// The members of a list; no members if it is missing.
    pub(crate) fn list(&self, name: &str) -> impl Iterator<Item = &AttributeValue> {
        self.attributes.get(name).and_then(|list| list.as_l().ok()).into_iter().flatten()
    }

    /// The numbers of a list.
    pub(crate) fn numbers<N: std::str::FromStr>(&self, name: &str) -> impl Iterator<Item = N> {
        self.list(name).filter_map(|number| number.as_n().ok()?.parse().ok())
    }

    pub(crate) fn parsed<T, E>(&self, name: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        self.text(name).and_then(|text| parse(text).ok())
    }

    pub(crate) const fn lacks(&self, attribute: &'static str) -> StoreError {
        StoreError::Corrupt { item: self.kind, attribute }
    }
}

//! A builder of writes to one item: what is set and removed, and under which condition.
//!
//! The builders name their placeholders themselves and escape every attribute's name: an expression cannot use a value
//! that is not bound, bind one that is not used, or contain one of DynamoDB's 573 reserved words. `serde_dynamo` would
//! not help here: nearly all writes are conditional updates of a few attributes.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Put, TransactWriteItem, Update};
use base::clock::Timestamp;
use base::ids::{AppId, AttemptId, KeyId, LinkId, OperatorId, OperatorName};
use secrecy::{ExposeSecret as _, SecretString};

use crate::StoreError;
use crate::attributes::PK;
use crate::part::{Key, Part};

/// A value as it is stored.
#[derive(Clone)]
pub(crate) struct Value(pub(crate) AttributeValue);

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self(AttributeValue::S(text))
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// Implements the conversion of ids to values.
macro_rules! id_value {
    ($($kind:ty),*) => {
        $(impl From<&$kind> for $crate::write::Value {
            fn from(id: &$kind) -> Self {
                id.as_str().into()
            }
        })*
    };
}

pub(crate) use id_value;

macro_rules! number_value {
    ($($kind:ty),*) => {
        $(impl From<$kind> for Value {
            fn from(number: $kind) -> Self {
                Self(AttributeValue::N(number.to_string()))
            }
        })*
    };
}

id_value!(AppId, LinkId, AttemptId, KeyId, OperatorId, OperatorName);
number_value!(u8, u32, i32, i64, u64);

impl From<Timestamp> for Value {
    fn from(at: Timestamp) -> Self {
        at.unix().into()
    }
}

impl From<&SecretString> for Value {
    fn from(secret: &SecretString) -> Self {
        secret.expose_secret().into()
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self(AttributeValue::Bool(yes))
    }
}

impl Value {
    /// A list, in order.
    pub(crate) fn list<T: Into<Self>>(values: impl IntoIterator<Item = T>) -> Self {
        Self(AttributeValue::L(values.into_iter().map(|value| value.into().0).collect()))
    }

    /// A set of strings, at least one.
    pub(crate) fn set(texts: Vec<String>) -> Self {
        Self(AttributeValue::Ss(texts))
    }

    /// A map from names to values.
    pub(crate) fn map<const N: usize>(members: [(&str, Self); N]) -> Self {
        Self(AttributeValue::M(members.into_iter().map(|(name, value)| (name.to_owned(), value.0)).collect()))
    }
}

/// What the current item must fulfil for a write to take effect.
#[derive(Clone)]
pub(crate) enum Condition {
    /// The attribute exists.
    Exists(String),
    /// The attribute, or the whole item, does not exist.
    Absent(String),
    /// The attribute compares with a value.
    Compares(String, &'static str, Value),
    /// The set has this member.
    Contains(String, Value),
    /// The set has fewer members.
    SmallerThan(String, u32),
    /// All of these hold.
    All(Vec<Self>),
    /// At least one of these holds.
    Any(Vec<Self>),
}

impl Condition {
    pub(crate) fn and(self, other: Self) -> Self {
        Self::All(vec![self, other])
    }

    pub(crate) fn or(self, other: Self) -> Self {
        Self::Any(vec![self, other])
    }
}

pub(crate) fn exists(attribute: &str) -> Condition {
    Condition::Exists(attribute.to_owned())
}

pub(crate) fn absent(attribute: &str) -> Condition {
    Condition::Absent(attribute.to_owned())
}

pub(crate) fn equals(attribute: &str, value: impl Into<Value>) -> Condition {
    Condition::Compares(attribute.to_owned(), "=", value.into())
}

pub(crate) fn differs(attribute: &str, value: impl Into<Value>) -> Condition {
    Condition::Compares(attribute.to_owned(), "<>", value.into())
}

pub(crate) fn is_before(attribute: &str, at: impl Into<Value>) -> Condition {
    Condition::Compares(attribute.to_owned(), "<", at.into())
}

pub(crate) fn is_until(attribute: &str, at: Timestamp) -> Condition {
    Condition::Compares(attribute.to_owned(), "<=", at.into())
}

pub(crate) fn is_after(attribute: &str, at: Timestamp) -> Condition {
    Condition::Compares(attribute.to_owned(), ">", at.into())
}

pub(crate) fn contains(attribute: &str, member: impl Into<Value>) -> Condition {
    Condition::Contains(attribute.to_owned(), member.into())
}

pub(crate) fn has_fewer_than(attribute: &str, members: u32) -> Condition {
    Condition::SmallerThan(attribute.to_owned(), members)
}

/// A counter has this value; a missing one is 0.
pub(crate) fn counts(counter: &str, value: u64) -> Condition {
    let is_there = equals(counter, value);
    if value == 0 { is_there.or(absent(counter)) } else { is_there }
}

/// The names and values that an expression refers to, numbered as they come.
#[derive(Default)]
struct Placeholders {
    names: Vec<String>,
    values: Vec<AttributeValue>,
}

impl Placeholders {
    fn name(&mut self, attribute: &str) -> String {
        let number = self.names.iter().position(|name| name == attribute).unwrap_or_else(|| {
            self.names.push(attribute.to_owned());
            self.names.len() - 1
        });
        format!("#{number}")
    }

    fn value(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into().0);
        format!(":{}", self.values.len() - 1)
    }

    /// The names and the values by their placeholders, as in a request.
    fn bound(self) -> (HashMap<String, String>, Option<HashMap<String, AttributeValue>>) {
        let names = (0..).map(|number: usize| format!("#{number}")).zip(self.names).collect();
        let values: HashMap<_, _> = (0..).map(|number: usize| format!(":{number}")).zip(self.values).collect();
        // DynamoDB refuses an empty map of values.
        (names, Some(values).filter(|values| !values.is_empty()))
    }

    fn condition(&mut self, condition: Condition) -> String {
        match condition {
            Condition::Exists(attribute) => format!("attribute_exists({})", self.name(&attribute)),
            Condition::Absent(attribute) => format!("attribute_not_exists({})", self.name(&attribute)),
            Condition::Compares(attribute, operator, value) => {
                format!("{} {operator} {}", self.name(&attribute), self.value(value))
            }
            Condition::Contains(attribute, member) => {
                format!("contains({}, {})", self.name(&attribute), self.value(member))
            }
            Condition::SmallerThan(attribute, members) => {
                format!("size({}) < {}", self.name(&attribute), self.value(members))
            }
            Condition::All(all) => self.joined(all, " AND "),
            Condition::Any(any) => self.joined(any, " OR "),
        }
    }

    fn joined(&mut self, conditions: Vec<Condition>, operator: &str) -> String {
        let conditions: Vec<String> = conditions.into_iter().map(|condition| self.condition(condition)).collect();
        format!("({})", conditions.join(operator))
    }
}

/// An update of some attributes of one item, which it creates if there is none.
pub(crate) struct Change {
    part: Part,
    key: Key,
    set: Vec<String>,
    add: Vec<String>,
    remove: Vec<String>,
    condition: Option<String>,
    placeholders: Placeholders,
}

/// The parts of an update as the SDK's builders take them.
pub(crate) struct Rendered {
    pub(crate) key: HashMap<String, AttributeValue>,
    pub(crate) expression: String,
    pub(crate) condition: Option<String>,
    pub(crate) names: HashMap<String, String>,
    pub(crate) values: Option<HashMap<String, AttributeValue>>,
}

impl Change {
    pub(crate) fn of(part: &Part, key: Key) -> Self {
        Self {
            part: part.clone(),
            key,
            set: Vec::new(),
            add: Vec::new(),
            remove: Vec::new(),
            condition: None,
            placeholders: Placeholders::default(),
        }
    }

    pub(crate) fn set(mut self, attribute: &str, value: impl Into<Value>) -> Self {
        let (name, value) = (self.placeholders.name(attribute), self.placeholders.value(value));
        self.set.push(format!("{name} = {value}"));
        self
    }

    /// Sets the attribute if there is a value, and otherwise leaves it as it is.
    pub(crate) fn set_some(self, attribute: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.set(attribute, value),
            None => self,
        }
    }

    /// Sets the attribute if there is a value, and otherwise removes it.
    pub(crate) fn set_or_remove(self, attribute: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.set(attribute, value),
            None => self.remove([attribute]),
        }
    }

    /// Sets the attribute unless it exists.
    pub(crate) fn set_once(mut self, attribute: &str, value: impl Into<Value>) -> Self {
        let (name, value) = (self.placeholders.name(attribute), self.placeholders.value(value));
        self.set.push(format!("{name} = if_not_exists({name}, {value})"));
        self
    }

    /// Adds to a counter; a missing one is 0.
    pub(crate) fn increment(mut self, counter: &str, by: impl Into<Value>) -> Self {
        let (name, value) = (self.placeholders.name(counter), self.placeholders.value(by));
        self.add.push(format!("{name} {value}"));
        self
    }

    /// Adds a member to a set of strings.
    pub(crate) fn add_to_set(mut self, attribute: &str, member: &str) -> Self {
        let name = self.placeholders.name(attribute);
        let value = self.placeholders.value(Value::set(vec![member.to_owned()]));
        self.add.push(format!("{name} {value}"));
        self
    }

    pub(crate) fn remove<'a>(mut self, attributes: impl IntoIterator<Item = &'a str>) -> Self {
        for attribute in attributes {
            let name = self.placeholders.name(attribute);
            self.remove.push(name);
        }
        self
    }

    /// Sets the condition, of which there is at most one.
    pub(crate) fn when(mut self, condition: Condition) -> Self {
        self.condition = Some(self.placeholders.condition(condition));
        self
    }

    pub(crate) const fn part(&self) -> &Part {
        &self.part
    }

    pub(crate) fn rendered(self) -> Rendered {
        let clauses = [("SET", self.set), ("REMOVE", self.remove), ("ADD", self.add)];
        let clauses = clauses.into_iter().filter(|(_, parts)| !parts.is_empty());
        let clauses: Vec<String> = clauses.map(|(verb, parts)| format!("{verb} {}", parts.join(", "))).collect();
        let (names, values) = self.placeholders.bound();
        Rendered { key: self.key.attributes(), expression: clauses.join(" "), condition: self.condition, names, values }
    }

    /// The update as a part of a transaction.
    pub(crate) fn in_transaction(self) -> Result<TransactWriteItem, StoreError> {
        let table = self.part.table().to_owned();
        let rendered = self.rendered();
        let update = Update::builder()
            .table_name(table)
            .set_key(Some(rendered.key))
            .update_expression(rendered.expression)
            .set_condition_expression(rendered.condition)
            .set_expression_attribute_names(Some(rendered.names))
            .set_expression_attribute_values(rendered.values)
            .build()
            .map_err(StoreError::unbuildable)?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

/// A condition on an item that a transaction does not write.
pub(crate) fn check(part: &Part, key: Key, condition: Condition) -> Result<TransactWriteItem, StoreError> {
    let mut placeholders = Placeholders::default();
    let condition = placeholders.condition(condition);
    let (names, values) = placeholders.bound();
    let check = ConditionCheck::builder()
        .table_name(part.table())
        .set_key(Some(key.attributes()))
        .condition_expression(condition)
        .set_expression_attribute_names(Some(names))
        .set_expression_attribute_values(values)
        .build()
        .map_err(StoreError::unbuildable)?;
    Ok(TransactWriteItem::builder().condition_check(check).build())
}

/// A whole new item.
pub(crate) struct NewItem {
    part: Part,
    attributes: HashMap<String, AttributeValue>,
    condition: String,
    placeholders: Placeholders,
}

impl NewItem {
    /// An item that is written unless there is one with this key.
    pub(crate) fn of(part: &Part, key: Key) -> Self {
        let mut placeholders = Placeholders::default();
        let condition = placeholders.condition(absent(PK));
        Self { part: part.clone(), attributes: key.attributes(), condition, placeholders }
    }

    pub(crate) fn set(mut self, attribute: &str, value: impl Into<Value>) -> Self {
        self.attributes.insert(attribute.to_owned(), value.into().0);
        self
    }

    /// Sets the attribute if there is a value.
    pub(crate) fn set_some(self, attribute: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.set(attribute, value),
            None => self,
        }
    }

    /// Also replaces an existing item that fulfils this condition.
    pub(crate) fn or_when(mut self, condition: Condition) -> Self {
        let other = self.placeholders.condition(condition);
        self.condition = format!("{} OR {other}", self.condition);
        self
    }

    pub(crate) const fn part(&self) -> &Part {
        &self.part
    }

    pub(crate) fn into_parts(self) -> NewItemParts {
        let (names, values) = self.placeholders.bound();
        NewItemParts { attributes: self.attributes, condition: self.condition, names, values }
    }

    /// The item as a part of a transaction.
    pub(crate) fn in_transaction(self) -> Result<TransactWriteItem, StoreError> {
        let table = self.part.table().to_owned();
        let parts = self.into_parts();
        let put = Put::builder()
            .table_name(table)
            .set_item(Some(parts.attributes))
            .condition_expression(parts.condition)
            .set_expression_attribute_names(Some(parts.names))
            .set_expression_attribute_values(parts.values)
            .build()
            .map_err(StoreError::unbuildable)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

/// The parts of a new item as the SDK's builders take them.
pub(crate) struct NewItemParts {
    pub(crate) attributes: HashMap<String, AttributeValue>,
    pub(crate) condition: String,
    pub(crate) names: HashMap<String, String>,
    pub(crate) values: Option<HashMap<String, AttributeValue>>,
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::Client;
    use aws_sdk_dynamodb::config::BehaviorVersion;

    use super::*;

    fn change() -> Change {
        let config = aws_sdk_dynamodb::Config::builder().behavior_version(BehaviorVersion::latest()).build();
        let part = Part::new(Client::from_conf(config), "table".into(), AppId::parse("wx1").unwrap());
        part.change(part.only("kind", "sort"))
    }

    /// The expression with the names and values instead of their placeholders.
    fn resolved(change: Change) -> (String, Option<String>) {
        let rendered = change.rendered();
        let values = rendered.values.unwrap_or_default();
        let resolve = |expression: String| {
            let words = expression.split_inclusive(['(', ')', ',', ' ']).map(|word| {
                let (word, end) = word.split_at(word.trim_end_matches(['(', ')', ',', ' ']).len());
                let word = match values.get(word) {
                    Some(AttributeValue::N(number)) => number.clone(),
                    Some(AttributeValue::S(text)) => format!("'{text}'"),
                    Some(other) => format!("{other:?}"),
                    None => rendered.names.get(word).map_or(word, String::as_str).to_owned(),
                };
                word + end
            });
            words.collect::<String>()
        };
        (resolve(rendered.expression), rendered.condition.map(resolve))
    }

    #[test]
    fn an_update_sets_removes_and_adds_under_its_condition() {
        let at = Timestamp::from_unix(7);
        let change = change()
            .set("state", "active")
            .set_some("left", None::<Timestamp>)
            .set_or_remove("gone", None::<Timestamp>)
            .set_once("since", at)
            .increment("failures", 1)
            .remove(["ttl"])
            .when(absent("lease").or(is_until("lease", at)).and(counts("seq", 0)));
        let (expression, condition) = resolved(change);
        assert_eq!(expression, "SET state = 'active', since = if_not_exists(since, 7) REMOVE gone, ttl ADD failures 1");
        assert_eq!(
            condition.unwrap(),
            "((attribute_not_exists(lease) OR lease <= 7) AND (seq = 0 OR attribute_not_exists(seq)))"
        );
    }

    #[test]
    fn every_name_is_escaped_once_and_nothing_is_bound_that_is_not_used() {
        let rendered = change().remove(["status", "ttl"]).when(exists("status")).rendered();
        assert_eq!((rendered.names.len(), rendered.values), (2, None), "DynamoDB refuses an empty map of values");
        assert!(!rendered.expression.contains("status"), "it is a reserved word: {}", rendered.expression);
        let rendered = change().set("a", 1).when(equals("a", 1)).rendered();
        let used = rendered.expression + &rendered.condition.unwrap();
        assert!(
            rendered.values.unwrap().keys().chain(rendered.names.keys()).all(|bound| used.contains(bound.as_str()))
        );
    }

    #[test]
    fn a_new_item_is_written_over_none_but_its_own() {
        let part = change().part().clone();
        let parts = part.new_item(part.only("link", "link")).set("by", "me").or_when(equals("by", "me")).into_parts();
        assert_eq!(parts.condition, "attribute_not_exists(#0) OR #1 = :0");
        assert_eq!((parts.names["#0"].as_str(), parts.names["#1"].as_str()), ("pk", "by"));
    }
}

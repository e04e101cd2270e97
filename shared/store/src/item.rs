//! Reading attributes, and the few request shapes that all items share.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure, Select};
use base::clock::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use super::{DUE_INDEX, Vault, VaultError};

/// The attribute DynamoDB expires items by. A store's housekeeping: rules never read it.
pub(super) const EXPIRES: &str = "expires_at";

pub(super) type Attributes = HashMap<String, AttributeValue>;

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

pub(super) fn instant(at: Timestamp) -> AttributeValue {
    number(at.unix())
}

pub(super) fn secret(value: &SecretString) -> AttributeValue {
    text(value.expose_secret())
}

/// An item that was read, with the name of its kind for errors.
pub(super) struct Item {
    pub(super) kind: &'static str,
    pub(super) attributes: Attributes,
}

impl Item {
    pub(super) const fn new(kind: &'static str, attributes: Attributes) -> Self {
        Self { kind, attributes }
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)?.as_s().ok().map(String::as_str)
    }

    pub(super) fn number<N: std::str::FromStr>(&self, name: &str) -> Option<N> {
        self.attributes.get(name)?.as_n().ok()?.parse().ok()
    }

    pub(super) fn instant(&self, name: &str) -> Option<Timestamp> {
        self.number(name).map(Timestamp::from_unix)
    }

    pub(super) fn secret(&self, name: &str) -> Option<SecretString> {
        self.text(name).map(SecretString::from)
    }

    pub(super) fn parsed<T, E>(&self, name: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        self.text(name).and_then(|text| parse(text).ok())
    }

    pub(super) const fn lacks(&self, attribute: &'static str) -> VaultError {
        VaultError::Corrupt { item: self.kind, attribute }
    }
}

/// The outcome of a conditional update.
pub(super) enum Updated<T = Attributes> {
    /// It took effect; the item as it is now, if that was asked for.
    Done(T),
    /// The condition did not hold; the item as it is, `None` if there is no such item. After a lost reply this may be
    /// the effect of the same update's first try.
    Refused(Option<Attributes>),
}

/// A claim on an item that may be made, for a while, until what is done is done.
pub(super) struct LeaseUpdate<'a> {
    pub(super) owner: &'a str,
    pub(super) now: Timestamp,
    pub(super) until: Timestamp,
    /// The attribute that keeps who was the first to claim it.
    pub(super) first: &'a str,
    /// The attribute that says that it is done.
    pub(super) done: &'a str,
    /// How long the item is kept.
    pub(super) keep: Duration,
}

impl Vault {
    /// Claims an item unless it is done, or claimed by somebody else whose time is not over.
    pub(super) fn leasing(&self, pk: String, sk: &str, lease: &LeaseUpdate<'_>) -> UpdateItemFluentBuilder {
        let LeaseUpdate { owner, now, until, first, done, keep } = *lease;
        self.update(pk, sk)
            .update_expression(format!(
                "SET lease_owner = :owner, lease_until = :until, {first} = if_not_exists({first}, :owner), \
                 {EXPIRES} = if_not_exists({EXPIRES}, :expires)"
            ))
            .condition_expression(format!(
                "attribute_not_exists({done}) AND \
                 (attribute_not_exists(lease_until) OR lease_until <= :now OR lease_owner = :owner)"
            ))
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":until", instant(until))
            .expression_attribute_values(":now", instant(now))
            .expression_attribute_values(":expires", expires(now, keep))
    }

    /// Reads one item, as of now.
    pub(super) async fn get(&self, pk: String, sk: &str) -> Result<Option<Attributes>, VaultError> {
        self.client()
            .get_item()
            .table_name(self.table())
            .key("pk", text(pk))
            .key("sk", text(sk))
            .consistent_read(true)
            .send()
            .await
            .map(|output| output.item)
            .map_err(|error| VaultError::from_sdk("GetItem", &error))
    }

    /// What stands in one shard of the `due` index and falls due until `until`, the longest overdue first.
    pub(super) fn due_query(&self, shard: String, until: Timestamp) -> QueryFluentBuilder {
        self.client()
            .query()
            .table_name(self.table())
            .index_name(DUE_INDEX)
            .key_condition_expression("due_shard = :shard AND due_at <= :until")
            .expression_attribute_values(":shard", text(shard))
            .expression_attribute_values(":until", instant(until))
    }

    /// How much stands there.
    pub(super) async fn count_index(&self, shard: String, until: Timestamp) -> Result<u64, VaultError> {
        let mut count = 0;
        let mut after = None;
        loop {
            let output = self
                .due_query(shard.clone(), until)
                .select(Select::Count)
                .set_exclusive_start_key(after)
                .send()
                .await
                .map_err(|error| VaultError::from_sdk("Query", &error))?;
            count += u64::try_from(output.count).unwrap_or(0);
            match output.last_evaluated_key {
                Some(key) => after = Some(key),
                None => return Ok(count),
            }
        }
    }

    /// How much stands in several of them.
    pub(super) async fn count_shards(
        &self,
        shards: impl IntoIterator<Item = String>,
        until: Timestamp,
    ) -> Result<u64, VaultError> {
        let mut count = 0;
        for shard in shards {
            count += self.count_index(shard, until).await?;
        }
        Ok(count)
    }

    /// An update of one item, to be given its expressions. How it is sent decides whether the item comes back: never with
    /// [`write`], after a failed condition with [`write_or_read`], always with [`send`].
    pub(super) fn update(&self, pk: String, sk: &str) -> UpdateItemFluentBuilder {
        self.client().update_item().table_name(self.table()).key("pk", text(pk)).key("sk", text(sk))
    }
}

/// How often an update is sent again that met a transaction on the same item: the SDK does not do it.
const CONFLICT_TRIES: u32 = 4;

/// The pause before it is, which grows with each try. A transaction takes a few milliseconds.
const CONFLICT_PAUSE: Duration = Duration::from_millis(20);

/// Sends an update whose item nobody needs to see, and returns whether it took effect. Items hold tickets, codes and
/// tokens, and a role that may only write them must not be shown one in the response.
pub(super) async fn write(update: UpdateItemFluentBuilder) -> Result<bool, VaultError> {
    Ok(matches!(dispatch(update).await?, Updated::Done(_)))
}

/// Sends an update and returns the item only if the condition did not hold.
pub(super) async fn write_or_read(update: UpdateItemFluentBuilder) -> Result<Updated<()>, VaultError> {
    let update = update.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    Ok(match dispatch(update).await? {
        Updated::Done(_) => Updated::Done(()),
        Updated::Refused(item) => Updated::Refused(item),
    })
}

/// Sends an update and returns the item, also if the condition did not hold.
pub(super) async fn send(update: UpdateItemFluentBuilder) -> Result<Updated, VaultError> {
    let update = update.return_values(ReturnValue::AllNew);
    dispatch(update.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)).await
}

/// Sends an update, again after a conflict, and distinguishes a failed condition from a failure.
async fn dispatch(update: UpdateItemFluentBuilder) -> Result<Updated, VaultError> {
    for attempt in 1..=CONFLICT_TRIES {
        match update.clone().send().await {
            Err(error) if error.as_service_error().is_some_and(UpdateItemError::is_transaction_conflict_exception) => {
                tokio::time::sleep(CONFLICT_PAUSE * attempt).await;
            }
            result => return read_result(result),
        }
    }
    Err(VaultError::Contended { item: "updated" })
}

fn read_result<R: std::fmt::Debug>(
    result: Result<UpdateItemOutput, SdkError<UpdateItemError, R>>,
) -> Result<Updated, VaultError> {
    match result {
        Ok(output) => Ok(Updated::Done(output.attributes.unwrap_or_default())),
        Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => {
            let UpdateItemError::ConditionalCheckFailedException(failed) = service.into_err() else {
                return Ok(Updated::Refused(None));
            };
            Ok(Updated::Refused(failed.item))
        }
        Err(error) => Err(VaultError::from_sdk("UpdateItem", &error)),
    }
}

/// When DynamoDB may delete what is of no use after `keep`.
pub(super) fn expires(now: Timestamp, keep: Duration) -> AttributeValue {
    instant(now.plus(keep))
}

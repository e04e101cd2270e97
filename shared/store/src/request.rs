//! The few kinds of request that all repositories share: writes, reads, queries and transactions.

use std::collections::HashMap;
use std::iter::Sum;
use std::ops::ControlFlow;
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::{
    KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure, Select, TransactWriteItem,
};
use base::clock::Timestamp;
use futures::future::try_join_all;

use crate::accounts::END_OF_TIME;
use crate::attributes::{DUE_AT, DUE_SHARD, LIST_PK, LIST_SK, PK, SK};
use crate::item::{Attributes, Item};
use crate::part::{Key, Part};
use crate::write::{Change, NewItem, Value};
use crate::{DUE_INDEX, LIST_INDEX, StoreError};

/// The outcome of a conditional write.
#[derive(Debug)]
pub(crate) enum Written<T = Attributes> {
    /// It took effect; the new item, if that was requested.
    Done(T),
    /// The condition did not hold; the current item, `None` if there is no such item. After a lost reply the reason may
    /// be the same write's first try.
    Refused(Option<Attributes>),
}

/// The outcome of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transacted {
    /// It took effect.
    Done,
    /// A condition did not hold. After a lost reply the reason may be the same transaction's first try.
    Refused,
    /// Another request was writing one of the items.
    Conflict,
    /// The table is throttled.
    Throttled,
}

impl Transacted {
    /// The error of a transaction that repeatedly ended with this outcome.
    pub(crate) fn failure(self, item: &'static str) -> StoreError {
        match self {
            Self::Throttled => StoreError::Unavailable { operation: TRANSACTION, cause: "throttled".to_owned() },
            Self::Done | Self::Refused | Self::Conflict => StoreError::Contended { item },
        }
    }
}

/// The operation's name in errors.
const TRANSACTION: &str = "TransactWriteItems";

/// The codes of a cancelled transaction for an item that it can never write, for example because it has grown too
/// large.
const UNWRITABLE: [&str; 2] = ["ValidationError", "ItemCollectionSizeLimitExceeded"];

/// The order in which a list is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Ascending,
    Descending,
}

/// DynamoDB's limit of items in one batch.
const BATCH: usize = 100;

/// How often items that DynamoDB left out of a batch are requested again.
const BATCH_TRIES: u32 = 8;

/// The first pause before that, doubled each time: a throttled partition recovers within a second or two.
const BATCH_PAUSE: Duration = Duration::from_millis(20);

/// The end of a page of a query.
#[derive(Debug, Clone)]
pub struct PagePosition(Attributes);

/// How often an update that conflicted with a transaction on the same item is sent again: the SDK does not do that.
const CONFLICT_TRIES: u32 = 4;

/// The pause before that, which grows with each try. A transaction takes a few milliseconds.
const CONFLICT_PAUSE: Duration = Duration::from_millis(20);

/// A count that may have been cut short.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// How many were counted.
    pub number: u64,
    /// Whether there are more.
    pub is_cut: bool,
}

impl Counted {
    /// A complete count.
    #[must_use]
    pub const fn all(number: u64) -> Self {
        Self { number, is_cut: false }
    }
}

impl Sum for Counted {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, count| Self {
            number: sum.number + count.number,
            is_cut: sum.is_cut || count.is_cut,
        })
    }
}

impl Part {
    /// Begins an update of one item. The method that sends it decides whether the item is returned: never with
    /// [`Change::apply`], after a failed condition with [`Change::apply_or_read`], always with
    /// [`Change::apply_and_read`].
    pub(crate) fn change(&self, key: Key) -> Change {
        Change::of(self, key)
    }

    /// Begins a new item.
    pub(crate) fn new_item(&self, key: Key) -> NewItem {
        NewItem::of(self, key)
    }

    /// Reads one item, strongly consistent.
    pub(crate) async fn get(&self, key: Key) -> Result<Option<Attributes>, StoreError> {
        self.read(key, &[]).await
    }

    /// Reads these attributes of one item, strongly consistent; all if none is named.
    pub(crate) async fn read(&self, key: Key, attributes: &[&str]) -> Result<Option<Attributes>, StoreError> {
        self.read_item(key, attributes, true).await
    }

    /// The same, eventually consistent, at half the price.
    pub(crate) async fn read_eventually(
        &self,
        key: Key,
        attributes: &[&str],
    ) -> Result<Option<Attributes>, StoreError> {
        self.read_item(key, attributes, false).await
    }

    async fn read_item(
        &self,
        key: Key,
        attributes: &[&str],
        as_of_now: bool,
    ) -> Result<Option<Attributes>, StoreError> {
        let (names, projection) = projected(attributes);
        self.client()
            .get_item()
            .table_name(self.table())
            .set_key(Some(key.attributes()))
            .set_projection_expression(projection)
            .set_expression_attribute_names(names)
            .consistent_read(as_of_now)
            .send()
            .await
            .map(|output| output.item)
            .map_err(|error| StoreError::from_sdk("GetItem", &error))
    }

    /// Reads many items, eventually consistent, in no particular order: these attributes of them, or all if none is
    /// named. A missing item does not exist, unless DynamoDB has repeatedly left items out: then the second value is
    /// `false`. Half a read unit per item of up to 4 KB.
    pub(crate) async fn batch(
        &self,
        keys: Vec<Key>,
        attributes: &[&str],
    ) -> Result<(Vec<Attributes>, bool), StoreError> {
        let mut found = Vec::with_capacity(keys.len());
        let mut is_complete = true;
        for chunk in keys.chunks(BATCH) {
            let (names, projection) = projected(attributes);
            let keys = KeysAndAttributes::builder()
                .set_keys(Some(chunk.iter().cloned().map(Key::attributes).collect()))
                .set_projection_expression(projection)
                .set_expression_attribute_names(names);
            let mut wanted = Some(keys.build().map_err(StoreError::unbuildable)?);
            let mut tries = 0;
            while let Some(keys) = wanted.take() {
                if tries > BATCH_TRIES {
                    is_complete = false;
                    break;
                }
                if tries > 0 {
                    tokio::time::sleep(BATCH_PAUSE * 2_u32.pow(tries - 1)).await;
                }
                tries += 1;
                let batch = self.client().batch_get_item().request_items(self.table(), keys).send().await;
                let batch = batch.map_err(|error| StoreError::from_sdk("BatchGetItem", &error))?;
                found.extend(batch.responses.unwrap_or_default().into_values().flatten());
                wanted = batch.unprocessed_keys.and_then(|mut rest| rest.remove(self.table()));
            }
        }
        Ok((found, is_complete))
    }

    /// The same as [`Part::batch`], but never leaves items out.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], also if DynamoDB leaves items out: none is silently missing.
    pub(crate) async fn batch_complete(
        &self,
        keys: Vec<Key>,
        attributes: &[&str],
    ) -> Result<Vec<Attributes>, StoreError> {
        match self.batch(keys, attributes).await? {
            (items, true) => Ok(items),
            (_, false) => {
                Err(StoreError::Unavailable { operation: "BatchGetItem", cause: "items were left out".to_owned() })
            }
        }
    }

    /// The same in the order of the keys, each of which is named once; missing items are left out. If attributes are
    /// named, `pk` and `sk` must be among them.
    pub(crate) async fn batch_in_order(
        &self,
        keys: Vec<Key>,
        attributes: &[&str],
    ) -> Result<Vec<Attributes>, StoreError> {
        let place = |(place, key): (usize, &Key)| ((key.pk.clone(), key.sk.clone()), place);
        let order: HashMap<(String, String), usize> = keys.iter().enumerate().map(place).collect();
        let mut items = self.batch_complete(keys, attributes).await?;
        let text = |item: &Attributes, name| item.get(name)?.as_s().ok().cloned();
        items.sort_by_cached_key(|item| order.get(&(text(item, PK)?, text(item, SK)?)).copied());
        Ok(items)
    }

    /// A page of a list in the index, in the order of its sort keys: the keys of the table's items in it. `after` is
    /// the key of the previous page's last item, and its sort key in the list. The second value says whether there are
    /// more.
    pub(crate) async fn page_of_list(
        &self,
        list: &str,
        order: Order,
        limit: usize,
        after: Option<(Key, String)>,
    ) -> Result<(Vec<Attributes>, bool), StoreError> {
        let after = after.map(|(key, place)| {
            let mut position = key.attributes();
            position.insert(LIST_PK.to_owned(), Value::from(list).0);
            position.insert(LIST_SK.to_owned(), Value::from(place).0);
            position
        });
        page(self.list(list), order, limit, after).await
    }

    /// The entries of a list in the index.
    fn list(&self, list: &str) -> QueryFluentBuilder {
        self.client()
            .query()
            .table_name(self.table())
            .index_name(LIST_INDEX)
            .key_condition_expression(format!("{LIST_PK} = :key"))
            .expression_attribute_values(":key", Value::from(list).0)
    }

    /// The number of items in a list in the index.
    pub(crate) async fn count_list(&self, list: &str) -> Result<u64, StoreError> {
        let (mut pages, mut count) = (self.list(list).select(Select::Count).into_paginator().send(), 0);
        while let Some(page) = pages.try_next().await.map_err(|error| StoreError::from_sdk("Query", &error))? {
            count += u64::try_from(page.count).unwrap_or(0);
        }
        Ok(count)
    }

    /// The number of items on the first page of a list in the index: about 10,000 are a megabyte.
    pub(crate) async fn count_first_of_list(&self, list: &str) -> Result<Counted, StoreError> {
        count_page(self.list(list)).await
    }

    /// The number of entries on the first page of each of these shards of the `due` index.
    pub(crate) async fn count_first_due(
        &self,
        shards: impl IntoIterator<Item = String>,
    ) -> Result<Counted, StoreError> {
        let pages = shards.into_iter().map(|shard| count_page(self.due(shard, END_OF_TIME)));
        Ok(try_join_all(pages).await?.into_iter().sum())
    }

    /// A page of a partition's items, in the order of their sort keys, eventually consistent. `after` is the key of the
    /// previous page's last item. The second value says whether there are more.
    pub(crate) async fn page_of_partition(
        &self,
        partition: String,
        order: Order,
        limit: usize,
        after: Option<Key>,
    ) -> Result<(Vec<Attributes>, bool), StoreError> {
        let query = self.client().query().table_name(self.table());
        let query = query.key_condition_expression(format!("{PK} = :key"));
        let query = query.expression_attribute_values(":key", Value::from(partition).0);
        page(query, order, limit, after.map(Key::attributes)).await
    }

    /// The same for the items whose sort keys begin with `prefix`: only these attributes of them, or all if none is
    /// named.
    pub(crate) async fn page_below(
        &self,
        partition: String,
        prefix: &str,
        attributes: &[&str],
        order: Order,
        limit: usize,
        after: Option<Key>,
    ) -> Result<(Vec<Attributes>, bool), StoreError> {
        let (names, projection) = projected(attributes);
        let query = self.client().query().table_name(self.table());
        let query = query.key_condition_expression(format!("{PK} = :key AND begins_with({SK}, :prefix)"));
        let query = query.expression_attribute_values(":key", Value::from(partition).0);
        let query = query.expression_attribute_values(":prefix", Value::from(prefix).0);
        let query = query.set_projection_expression(projection).set_expression_attribute_names(names);
        page(query, order, limit, after.map(Key::attributes)).await
    }

    /// The items of a partition from a sort key on, in order, eventually consistent. One query per megabyte.
    pub(crate) async fn all_from(&self, partition: String, sk: &str) -> Result<Vec<Attributes>, StoreError> {
        let query = self.client().query().table_name(self.table());
        let query = query.key_condition_expression(format!("{PK} = :key AND {SK} >= :from"));
        let query = query.expression_attribute_values(":key", Value::from(partition).0);
        let mut pages = query.expression_attribute_values(":from", Value::from(sk).0).into_paginator().send();
        let mut items = Vec::new();
        while let Some(page) = pages.try_next().await.map_err(|error| StoreError::from_sdk("Query", &error))? {
            items.extend(page.items.unwrap_or_default());
        }
        Ok(items)
    }

    /// The number of items in a partition, eventually consistent.
    pub(crate) async fn count_partition(&self, partition: String) -> Result<usize, StoreError> {
        let mut count = 0;
        let mut pages = self
            .client()
            .query()
            .table_name(self.table())
            .key_condition_expression(format!("{PK} = :key"))
            .expression_attribute_values(":key", Value::from(partition).0)
            .select(Select::Count)
            .into_paginator()
            .send();
        while let Some(page) = pages.try_next().await.map_err(|error| StoreError::from_sdk("Query", &error))? {
            count += usize::try_from(page.count).unwrap_or(0);
        }
        Ok(count)
    }

    /// Deletes an item, and returns whether there was one. After a lost reply the SDK's second try finds none.
    pub(crate) async fn delete(&self, key: Key) -> Result<bool, StoreError> {
        let delete = self.client().delete_item().table_name(self.table()).set_key(Some(key.attributes()));
        match delete.condition_expression(format!("attribute_exists({PK})")).send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(StoreError::from_sdk("DeleteItem", &error)),
            },
        }
    }

    /// Passes the items of a partition whose sort keys begin with `prefix` to `take`, in order and strongly consistent,
    /// until it has what it needs; only those with the attribute `with`, if it is given. One query per megabyte, and no
    /// more than a megabyte in memory.
    pub(crate) async fn each_of(
        &self,
        partition: String,
        prefix: &str,
        with: Option<&str>,
        mut take: impl FnMut(Attributes) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut pages = self
            .client()
            .query()
            .table_name(self.table())
            .key_condition_expression(format!("{PK} = :pk AND begins_with({SK}, :prefix)"))
            .expression_attribute_values(":pk", Value::from(partition).0)
            .expression_attribute_values(":prefix", Value::from(prefix).0)
            .set_filter_expression(with.map(|attribute| format!("attribute_exists({attribute})")))
            .consistent_read(true)
            .into_paginator()
            .send();
        while let Some(page) = pages.try_next().await.map_err(|error| StoreError::from_sdk("Query", &error))? {
            if page.items.unwrap_or_default().into_iter().try_for_each(&mut take).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The entries of one shard of the `due` index that are due by `until`, the longest overdue first.
    fn due(&self, shard: String, until: Timestamp) -> QueryFluentBuilder {
        self.client()
            .query()
            .table_name(self.table())
            .index_name(DUE_INDEX)
            .key_condition_expression(format!("{DUE_SHARD} = :shard AND {DUE_AT} <= :until"))
            .expression_attribute_values(":shard", Value::from(shard).0)
            .expression_attribute_values(":until", Value::from(until).0)
    }

    /// A page of one shard of the index: the results of `read` for the partition of each entry.
    pub(crate) async fn page_of_due<T>(
        &self,
        shard: String,
        until: Timestamp,
        limit: i32,
        after: Option<PagePosition>,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<(Vec<T>, Option<PagePosition>), StoreError> {
        let output = self
            .due(shard, until)
            .limit(limit)
            .set_exclusive_start_key(after.map(|position| position.0))
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("Query", &error))?;
        let found = output.items().iter().filter_map(|item| read(item.get(PK)?.as_s().ok()?)).collect();
        Ok((found, output.last_evaluated_key.map(PagePosition)))
    }

    /// The keys of the items in shards of the index that are due first, in this order, and whether there are more. One
    /// query of each shard.
    pub(crate) async fn first_due(
        &self,
        shards: impl IntoIterator<Item = String>,
        limit: usize,
    ) -> Result<(Vec<Key>, bool), StoreError> {
        let pages = shards.into_iter().map(|shard| page(self.due(shard, END_OF_TIME), Order::Ascending, limit, None));
        let pages = try_join_all(pages).await?;
        let mut has_more = pages.iter().any(|(_, has_more)| *has_more);
        let mut found: Vec<(i64, Key)> = pages.into_iter().flat_map(|(items, _)| items).filter_map(due_key).collect();
        found.sort_by_key(|(due_at, _)| *due_at);
        has_more |= found.len() > limit;
        found.truncate(limit);
        Ok((found.into_iter().map(|(_, key)| key).collect(), has_more))
    }

    /// The number of entries in shards of the index that are due by `until`.
    pub(crate) async fn count_due(
        &self,
        shards: impl IntoIterator<Item = String>,
        until: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut count = 0;
        for shard in shards {
            let mut pages = self.due(shard, until).select(Select::Count).into_paginator().send();
            while let Some(page) = pages.try_next().await.map_err(|error| StoreError::from_sdk("Query", &error))? {
                count += u64::try_from(page.count).unwrap_or(0);
            }
        }
        Ok(count)
    }

    /// Sends a transaction, repeatedly while somebody else is writing one of its items, and returns whether its
    /// conditions held. `item` names its subject in errors.
    pub(crate) async fn transact_or_refuse(
        &self,
        writes: Vec<TransactWriteItem>,
        item: &'static str,
    ) -> Result<bool, StoreError> {
        let mut last = Transacted::Conflict;
        for attempt in 0..TRANSACTION_TRIES {
            if attempt > 0 {
                tokio::time::sleep(TRANSACTION_PAUSE * attempt).await;
            }
            last = self.transact(writes.clone()).await?;
            match last {
                Transacted::Done => return Ok(true),
                Transacted::Refused => return Ok(false),
                Transacted::Conflict | Transacted::Throttled => {}
            }
        }
        Err(last.failure(item))
    }

    /// Sends a transaction. If there are several reasons for its cancellation, a failed condition counts more than a
    /// temporary one.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if an item can never be written like this.
    pub(crate) async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<Transacted, StoreError> {
        match self.client().transact_write_items().set_transact_items(Some(writes)).send().await {
            Ok(_) => Ok(Transacted::Done),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    let codes: Vec<&str> =
                        cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code()).collect();
                    if let Some(code) = codes.iter().find(|code| UNWRITABLE.contains(code)) {
                        return Err(StoreError::Refused { operation: TRANSACTION, code: (*code).to_owned() });
                    }
                    Ok(if codes.contains(&"ConditionalCheckFailed") {
                        Transacted::Refused
                    } else if codes.contains(&"TransactionConflict") {
                        Transacted::Conflict
                    } else {
                        Transacted::Throttled
                    })
                }
                _ => Err(StoreError::from_sdk(TRANSACTION, &error)),
            },
        }
    }
}

/// How often a transaction is sent while somebody else is writing one of its items.
const TRANSACTION_TRIES: u32 = 5;

/// The pause before it is sent again, which grows with each try.
const TRANSACTION_PAUSE: Duration = Duration::from_millis(20);

/// When an entry of the index is due, and the key of its item.
fn due_key(entry: Attributes) -> Option<(i64, Key)> {
    let entry = Item::new("entry of the index", entry);
    let key = Key { pk: entry.text(PK)?.to_owned(), sk: entry.text(SK)?.to_owned() };
    Some((entry.number(DUE_AT)?, key))
}

/// The placeholders of attributes, and the expression that selects only these; neither if none is named.
fn projected(attributes: &[&str]) -> (Option<HashMap<String, String>>, Option<String>) {
    let names = attributes.iter().map(|name| (format!("#{name}"), (*name).to_owned()));
    let names = Some(names.collect()).filter(|names: &HashMap<_, _>| !names.is_empty());
    let projection = names.as_ref().map(|names| names.keys().cloned().collect::<Vec<_>>().join(", "));
    (names, projection)
}

/// A page of a query after `after`, and whether there are more.
async fn page(
    query: QueryFluentBuilder,
    order: Order,
    limit: usize,
    after: Option<Attributes>,
) -> Result<(Vec<Attributes>, bool), StoreError> {
    // One more item than is wanted shows whether there are more.
    let limit = limit.saturating_add(1);
    let query = query.scan_index_forward(order == Order::Ascending).limit(i32::try_from(limit).unwrap_or(i32::MAX));
    let output = query.set_exclusive_start_key(after).send().await;
    let output = output.map_err(|error| StoreError::from_sdk("Query", &error))?;
    let mut found = output.items.unwrap_or_default();
    let has_more = found.len() >= limit || output.last_evaluated_key.is_some();
    found.truncate(limit - 1);
    Ok((found, has_more))
}

/// The number of items on the first page of a query.
async fn count_page(query: QueryFluentBuilder) -> Result<Counted, StoreError> {
    let page = query.select(Select::Count).send().await.map_err(|error| StoreError::from_sdk("Query", &error))?;
    Ok(Counted { number: u64::try_from(page.count).unwrap_or(0), is_cut: page.last_evaluated_key.is_some() })
}

impl Change {
    /// Applies the update, and returns whether it took effect. Items hold tickets, codes and tokens, and a role that may
    /// only write them must not be shown one in the response.
    pub(crate) async fn apply(self) -> Result<bool, StoreError> {
        Ok(matches!(dispatch(self.request()).await?, Written::Done(_)))
    }

    /// Applies the update, and returns the item only if the condition did not hold.
    pub(crate) async fn apply_or_read(self) -> Result<Written<()>, StoreError> {
        let update =
            self.request().return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        Ok(match dispatch(update).await? {
            Written::Done(_) => Written::Done(()),
            Written::Refused(item) => Written::Refused(item),
        })
    }

    /// Applies the update, and returns the item, even if the condition did not hold.
    pub(crate) async fn apply_and_read(self) -> Result<Written, StoreError> {
        let update = self.request().return_values(ReturnValue::AllNew);
        dispatch(update.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)).await
    }

    fn request(self) -> UpdateItemFluentBuilder {
        let update = self.part().client().update_item().table_name(self.part().table());
        let rendered = self.rendered();
        update
            .set_key(Some(rendered.key))
            .update_expression(rendered.expression)
            .set_condition_expression(rendered.condition)
            .set_expression_attribute_names(Some(rendered.names))
            .set_expression_attribute_values(rendered.values)
    }
}

impl NewItem {
    /// Writes the item, and returns whether it did.
    pub(crate) async fn put(self) -> Result<bool, StoreError> {
        Ok(matches!(self.send(ReturnValuesOnConditionCheckFailure::None).await?, Written::Done(())))
    }

    /// Writes the item, or returns the one that already exists.
    pub(crate) async fn put_or_read(self) -> Result<Written<()>, StoreError> {
        self.send(ReturnValuesOnConditionCheckFailure::AllOld).await
    }

    async fn send(self, if_refused: ReturnValuesOnConditionCheckFailure) -> Result<Written<()>, StoreError> {
        let put = self.part().client().put_item().table_name(self.part().table());
        let parts = self.into_parts();
        let put = put
            .set_item(Some(parts.attributes))
            .condition_expression(parts.condition)
            .set_expression_attribute_names(Some(parts.names))
            .set_expression_attribute_values(parts.values)
            .return_values_on_condition_check_failure(if_refused);
        match put.send().await {
            Ok(_) => Ok(Written::Done(())),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(known)) => Ok(Written::Refused(known.item.clone())),
                _ => Err(StoreError::from_sdk("PutItem", &error)),
            },
        }
    }
}

/// Sends an update, again after a conflict, and distinguishes a failed condition from an error.
async fn dispatch(update: UpdateItemFluentBuilder) -> Result<Written, StoreError> {
    for attempt in 1..=CONFLICT_TRIES {
        match update.clone().send().await {
            Err(error) if error.as_service_error().is_some_and(UpdateItemError::is_transaction_conflict_exception) => {
                tokio::time::sleep(CONFLICT_PAUSE * attempt).await;
            }
            result => return read_result(result),
        }
    }
    Err(StoreError::Contended { item: "updated" })
}

fn read_result<R: std::fmt::Debug>(
    result: Result<UpdateItemOutput, SdkError<UpdateItemError, R>>,
) -> Result<Written, StoreError> {
    match result {
        Ok(output) => Ok(Written::Done(output.attributes.unwrap_or_default())),
        Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => {
            let UpdateItemError::ConditionalCheckFailedException(failed) = service.into_err() else {
                return Ok(Written::Refused(None));
            };
            Ok(Written::Refused(failed.item))
        }
        Err(error) => Err(StoreError::from_sdk("UpdateItem", &error)),
    }
}

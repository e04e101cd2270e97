//! One platform's part of the table, and the structure of its keys.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use base::ids::AppId;

use crate::attributes::{PK, SK};

/// The key of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

impl Key {
    pub(crate) fn attributes(self) -> HashMap<String, AttributeValue> {
        HashMap::from([(PK.to_owned(), AttributeValue::S(self.pk)), (SK.to_owned(), AttributeValue::S(self.sk))])
    }
}

/// The part of the table that belongs to one platform; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Part(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: Client,
    table: Arc<str>,
    component: AppId,
}

impl Part {
    pub(crate) fn new(client: Client, table: Arc<str>, component: AppId) -> Self {
        Self(Arc::new(Shared { client, table, component }))
    }

    pub(crate) fn component(&self) -> &AppId {
        &self.0.component
    }

    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }

    pub(crate) fn table(&self) -> &str {
        &self.0.table
    }

    /// The key of the only item of a kind.
    pub(crate) fn only(&self, kind: &str, sk: &str) -> Key {
        Key { pk: self.kind(kind), sk: sk.to_owned() }
    }

    /// The key of one of many items of a kind.
    pub(crate) fn key(&self, kind: &str, id: &str, sk: &str) -> Key {
        Key { pk: self.partition(kind, id), sk: sk.to_owned() }
    }

    /// The name of a partition: the platform and a kind.
    pub(crate) fn kind(&self, kind: &str) -> String {
        format!("{}#{kind}", self.component())
    }

    /// The name of a partition: the platform, a kind and an id, for kinds with many partitions.
    pub(crate) fn partition(&self, kind: &str, id: &str) -> String {
        format!("{}#{kind}#{id}", self.component())
    }

    /// The account in a partition's name; `None` in the cases of [`Part::id_in`], or if the id is not an appid.
    pub(crate) fn account_in(&self, kind: &str, partition: &str) -> Option<AppId> {
        AppId::parse(self.id_in(kind, partition)?).ok()
    }

    /// The id in a partition's name; `None` for another kind of item or another platform's.
    pub(crate) fn id_in<'a>(&self, kind: &str, partition: &'a str) -> Option<&'a str> {
        partition.strip_prefix(self.component().as_str())?.strip_prefix('#')?.strip_prefix(kind)?.strip_prefix('#')
    }
}

//! What a business says about an account: on the merchant's link, and later on the account itself.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use base::ids::AppId;
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::attributes::{REFERENCE, TAGS};
use crate::details::AccountDetails;
use crate::item::Item;
use crate::part::Part;
use crate::write::{Change, NewItem, Value};

/// The greatest number of characters of a reference: enough for an id or two, but not for a document.
pub const LONGEST_REFERENCE: usize = 256;

/// The greatest number of an account's tags.
pub const MAX_TAGS: usize = 20;

/// The greatest number of characters of a tag's key.
pub const LONGEST_KEY: usize = 40;

/// The greatest number of characters of a tag's value.
pub const LONGEST_VALUE: usize = 200;

/// The greatest number of an account's login origins.
pub const MAX_LOGIN_ORIGINS: usize = 20;

/// Why labels are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// The reference is empty or too long.
    #[error("reference must have 1 to 256 characters")]
    Reference,
    /// There are too many tags, or one is empty or too long.
    #[error("tags must be at most 20, with keys of 1 to 40 characters and strings of at most 200 characters as values")]
    Tags,
    /// There are too many origins.
    #[error("login_origins must be at most 20")]
    LoginOrigins,
}

/// The change of one member of what a business has said (RFC 7396).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// It stays as it is.
    #[default]
    Unchanged,
    /// It is removed.
    Removed,
    /// It becomes this.
    To(T),
}

impl<T> Patch<T> {
    /// The member after the patch.
    fn apply(&self, known: Option<T>) -> Option<T>
    where
        T: Clone,
    {
        match self {
            Self::Unchanged => known,
            Self::Removed => None,
            Self::To(new) => Some(new.clone()),
        }
    }
}

/// A change of what a business has said about an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountPatch {
    /// The reference.
    pub reference: Patch<String>,
    /// The tags to be set, and those to be removed, which have no value.
    pub tags: Patch<BTreeMap<String, Option<String>>>,
    /// The origins that web logins of the account may return to.
    pub login_origins: Patch<Vec<String>>,
}

impl AccountPatch {
    /// Applies the patch to what the business has said.
    pub(crate) fn apply(&self, known: &AccountDetails) -> Result<Said, LabelError> {
        let reference = self.reference.apply(known.labels.reference.clone());
        let mut tags = known.labels.tags.clone();
        match &self.tags {
            Patch::Unchanged => {}
            Patch::Removed => tags.clear(),
            Patch::To(changes) => {
                for (key, value) in changes {
                    match value {
                        Some(value) => drop(tags.insert(key.clone(), value.clone())),
                        None => drop(tags.remove(key)),
                    }
                }
            }
        }
        let login_origins = self.login_origins.apply(Some(known.login_origins.clone())).unwrap_or_default();
        if login_origins.len() > MAX_LOGIN_ORIGINS {
            return Err(LabelError::LoginOrigins);
        }
        Ok(Said { labels: Labels::new(reference, tags)?, login_origins })
    }
}

/// All that a business has said about an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) labels: Labels,
    pub(crate) login_origins: Vec<String>,
}

impl Said {
    /// Whether the account's details already contain it.
    pub(crate) fn is_known(&self, known: &AccountDetails) -> bool {
        self.labels == known.labels && self.login_origins == known.login_origins
    }
}

/// What a business has said about an account, which is in every event of the account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labels {
    /// The business's own reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

impl Labels {
    /// Labels from a business.
    ///
    /// # Errors
    /// [`LabelError`] if they are out of bounds.
    pub fn new(reference: Option<String>, tags: BTreeMap<String, String>) -> Result<Self, LabelError> {
        if reference.as_ref().is_some_and(|reference| !Self::is_reference(reference)) {
            return Err(LabelError::Reference);
        }
        let fits = |(key, value): (&String, &String)| {
            (1..=LONGEST_KEY).contains(&key.chars().count()) && value.chars().count() <= LONGEST_VALUE
        };
        if tags.len() > MAX_TAGS || !tags.iter().all(fits) {
            return Err(LabelError::Tags);
        }
        Ok(Self { reference, tags })
    }

    /// Whether a text can be a reference: neither empty nor too long for a key.
    #[must_use]
    pub fn is_reference(text: &str) -> bool {
        (1..=LONGEST_REFERENCE).contains(&text.chars().count())
    }

    pub(crate) fn read(item: &Item) -> Self {
        let tags = item.attributes.get(TAGS).and_then(|tags| tags.as_m().ok()).into_iter().flatten();
        let tags = tags.filter_map(|(key, value)| Some((key.clone(), value.as_s().ok()?.clone())));
        Self { reference: item.text(REFERENCE).map(str::to_owned), tags: tags.collect() }
    }

    /// These labels, overridden by newer ones.
    #[must_use]
    pub fn with(&self, newer: &Self) -> Self {
        let tags = if newer.tags.is_empty() { &self.tags } else { &newer.tags };
        Self { reference: newer.reference.clone().or_else(|| self.reference.clone()), tags: tags.clone() }
    }

    fn stored_tags(&self) -> Option<Value> {
        let tags = self.tags.iter().map(|(key, value)| (key.clone(), AttributeValue::S(value.clone())));
        Some(Value(AttributeValue::M(tags.collect()))).filter(|_| !self.tags.is_empty())
    }
}

/// The attributes that [`AccountLabels::get`] reads. A role that may read only these learns nothing else about an
/// account.
pub const LABEL_ATTRIBUTES: [&str; 2] = [REFERENCE, TAGS];

/// The labels of accounts, without their other details.
#[derive(Debug, Clone)]
pub struct AccountLabels(pub(crate) Part);

impl AccountLabels {
    /// Reads the labels of an account, eventually consistent; empty for an unknown account. One read.
    pub async fn get(&self, authorizer: &AppId) -> Result<Labels, StoreError> {
        let details = self.0.read_eventually(self.0.details(authorizer), &LABEL_ATTRIBUTES).await?;
        Ok(details.map(|attributes| Labels::read(&Item::new("details", attributes))).unwrap_or_default())
    }
}

impl Change {
    pub(crate) fn label(self, labels: &Labels) -> Self {
        self.set_or_remove(REFERENCE, labels.reference.as_ref()).set_or_remove(TAGS, labels.stored_tags())
    }
}

impl NewItem {
    pub(crate) fn label(self, labels: &Labels) -> Self {
        self.set_some(REFERENCE, labels.reference.as_ref()).set_some(TAGS, labels.stored_tags())
    }
}

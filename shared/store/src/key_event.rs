//! The events of an API key: that somebody created it, and that somebody revoked it.
//!
//! An event contains the key's properties at that time, since the key is deleted some time after its end. It contains
//! neither the key's text nor the digest of its secret.

use std::collections::BTreeSet;
use std::net::IpAddr;

use base::clock::Timestamp;
use base::ids::AppId;
use serde::{Deserialize, Serialize};

use crate::api_key::ApiKey;

/// The author of a recorded action, and where the request came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The author: the ARN of an AWS principal with the name of its session, `key:` and a key's id, or `cargo ops`.
    pub by: String,
    /// The address from which the request came, if it came through the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ip: Option<IpAddr>,
    /// The id of the request in the log, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// What happened to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyChange {
    /// It was created.
    Created,
    /// It was revoked.
    Revoked,
}

/// The creation or revocation of a key, as it is reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEvent {
    /// Whether it was created or revoked.
    pub change: KeyChange,
    /// When it happened, by our clock, in seconds since 1970.
    pub at: i64,
    /// Who did it.
    #[serde(flatten)]
    pub actor: Actor,
    /// The key's name.
    pub name: String,
    /// The words of its scopes.
    pub scopes: Vec<String>,
    /// The accounts to which it is limited; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appids: Option<BTreeSet<AppId>>,
    /// Whether it may be sent in a query.
    pub in_url: bool,
    /// When it stops being accepted, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<i64>,
}

impl KeyChange {
    /// The word in the event's type.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Revoked => "revoked",
        }
    }

    /// Its number among the events of the key: each happens only once.
    pub(crate) const fn sequence(self) -> u64 {
        match self {
            Self::Created => 1,
            Self::Revoked => 2,
        }
    }
}

impl KeyEvent {
    pub(crate) fn of(key: &ApiKey, change: KeyChange, actor: &Actor, at: Timestamp) -> Self {
        Self {
            change,
            at: at.unix(),
            actor: actor.clone(),
            name: key.name.clone(),
            scopes: key.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
            appids: key.appids.clone(),
            in_url: key.in_url,
            ends_at: key.ends_at.map(Timestamp::unix),
        }
    }
}

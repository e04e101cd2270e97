//! The events of an account: each change of its state, its permission sets or its profile.

use base::ids::LinkId;
use serde::{Deserialize, Serialize};

use crate::labels::Labels;

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StateChange {
    /// A merchant has authorized the platform, for the first time or again.
    Authorized {
        /// The ids of the permission sets granted.
        permissions: Vec<u32>,
    },
    /// WeChat refuses the grant: the merchant has to authorize again.
    NeedsAuthorization {
        /// WeChat's code for the last refused call; `None` if an earlier version has ended the grant.
        errcode: Option<i64>,
        /// WeChat's id of that call, if it returned one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rid: Option<String>,
        /// The link that was created with the event, through which the merchant can authorize the platform again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asks_again: Option<LinkId>,
    },
    /// The merchant revoked the grant.
    Unauthorized,
    /// A grant that seemed to be gone works again.
    Recovered {
        /// The ids of the permission sets granted.
        permissions: Vec<u32>,
    },
    /// The permission sets of a grant in use have changed.
    PermissionsChanged {
        /// The ids that were added.
        added: Vec<u32>,
        /// The ids that were removed.
        removed: Vec<u32>,
    },
    /// The profile has changed.
    ProfileChanged {
        /// The members of the profile that differ.
        members: Vec<String>,
    },
}

/// One change of an account, as it is reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateEvent {
    /// What changed.
    #[serde(flatten)]
    pub change: StateChange,
    /// When it happened, by our clock, in seconds since 1970.
    pub at: i64,
    /// What the business had said about the account at that time.
    #[serde(flatten)]
    pub labels: Labels,
    /// The link through which the current grant came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkId>,
}

impl StateChange {
    /// The word in the event's type.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Authorized { .. } => "authorized",
            Self::NeedsAuthorization { .. } => "needs_authorization",
            Self::Unauthorized => "unauthorized",
            Self::Recovered { .. } => "recovered",
            Self::PermissionsChanged { .. } => "permissions_changed",
            Self::ProfileChanged { .. } => "profile_changed",
        }
    }
}

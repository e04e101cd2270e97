//! WeChat's state: accounts, grants, tickets, tokens and codes, and the rules about them as methods.
//!
//! Plain data behind the simulator's mutex. Every rule takes the present instant from a [`Moment`]; nothing here does
//! I/O. Serialized as a whole into the state file, including tokens and codes: that file is this world's memory. No
//! type here that owns one of them derives `Debug`.
//!
//! Split by concern: [`tickets`], [`tokens`], [`grants`] (consent, codes, revocation), [`accounts`] (who can be chosen).

mod accounts;
mod effects;
mod grants;
mod tickets;
mod tokens;

use std::collections::BTreeMap;

use base::clock::Timestamp;
use base::ids::AppId;
use base::random::Random;
use serde::{Deserialize, Serialize};

use self::grants::{AuthorizationCode, Grant, PreAuthCode};
use self::tickets::Ticket;
use crate::behaviour::Lifetimes;
use crate::business::Business;

pub(crate) use self::accounts::follower_of;
pub use self::accounts::{Account, AccountKind};
pub use self::effects::{Effects, IssuedSecret, SecretKind};
pub(crate) use self::grants::Authorization;
pub use self::grants::{Consent, Registration};
pub(crate) use self::tokens::{Holder, Sets};

/// Characters of an access token, as long as WeChat's are.
const TOKEN_LENGTH: usize = 160;

/// Characters of a refresh token, as long as WeChat's are.
const REFRESH_TOKEN_LENGTH: usize = 70;

/// What a rule needs besides the state.
pub(crate) struct Moment<'a> {
    pub(crate) now: Timestamp,
    pub(crate) random: &'a Random,
    pub(crate) lifetimes: &'a Lifetimes,
}

/// The whole state.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct World {
    accounts: BTreeMap<AppId, Account>,
    grants: BTreeMap<AppId, Grant>,
    grants_made: u64,
    tickets: Vec<Ticket>,
    tickets_stopped: bool,
    component_token: Option<Token>,
    /// The tokens of grants that were revoked.
    #[serde(default)]
    revoked_tokens: Vec<Token>,
    pre_auth_codes: BTreeMap<String, PreAuthCode>,
    authorization_codes: BTreeMap<String, AuthorizationCode>,
    effects: Effects,
    /// The state of what services call.
    #[serde(default)]
    pub(crate) business: Business,
    /// Everything issued by this process or alive when it started. Not saved: dead secrets cannot leak anything.
    #[serde(skip)]
    issued: Vec<IssuedSecret>,
}

/// An access token. Only the newest of its kind is kept, since only that one is accepted.
#[derive(Serialize, Deserialize)]
struct Token {
    value: String,
    expires_at: Timestamp,
    /// The authorization code whose exchange issued it. Missing in a state saved by an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

impl World {
    pub(crate) fn with_accounts(accounts: Vec<Account>) -> Self {
        Self {
            accounts: accounts.into_iter().map(|account| (account.appid.clone(), account)).collect(),
            ..Self::default()
        }
    }

    /// A world that was read back: what is alive in it counts as issued.
    pub(crate) fn restored(mut self) -> Self {
        let mut issued = Vec::new();
        let mut note = |kind, value: &str| issued.push(IssuedSecret { kind, value: value.to_owned() });
        self.tickets.iter().for_each(|ticket| note(SecretKind::Ticket, &ticket.value));
        self.component_token.iter().for_each(|token| note(SecretKind::ComponentToken, &token.value));
        self.pre_auth_codes.keys().for_each(|code| note(SecretKind::PreAuthCode, code));
        self.authorization_codes.keys().for_each(|code| note(SecretKind::AuthorizationCode, code));
        self.business.login_codes().for_each(|code| note(SecretKind::LoginCode, code));
        self.business.registration_tickets().for_each(|ticket| note(SecretKind::RegistrationTicket, ticket));
        self.business.page_tickets().for_each(|ticket| note(SecretKind::JsTicket, ticket));
        self.business.web_login_secrets().for_each(|(kind, value)| note(kind, value));
        for grant in self.grants.values() {
            note(SecretKind::RefreshToken, &grant.refresh_token);
            grant.access_token.iter().for_each(|token| note(SecretKind::AuthorizerToken, &token.value));
        }
        self.issued = issued;
        self
    }

    /// Continues as another world, without forgetting what this one issued.
    pub(crate) fn replace_with(&mut self, mut other: Self) {
        other.issued.append(&mut self.issued);
        *self = other;
    }

    pub(crate) fn effects(&self) -> &Effects {
        &self.effects
    }

    pub(crate) fn issued(&self) -> &[IssuedSecret] {
        &self.issued
    }

    /// Makes up a secret value and remembers it. `prefix` is the beginning of WeChat's.
    pub(crate) fn issue(&mut self, kind: SecretKind, prefix: &str, at: &Moment<'_>) -> String {
        let mut value = format!("{prefix}{}{}", at.random.id(), at.random.id());
        // WeChat's tokens are longer than its other secrets, and their size in a table is measured.
        let length = match kind {
            SecretKind::ComponentToken | SecretKind::AuthorizerToken | SecretKind::VisitorToken => TOKEN_LENGTH,
            SecretKind::RefreshToken | SecretKind::VisitorRefreshToken => REFRESH_TOKEN_LENGTH,
            _ => value.len(),
        };
        while value.len() < length {
            value += &at.random.id();
        }
        value.truncate(length);
        self.note_issued(kind, &value);
        value
    }

    /// Remembers a secret that was made up elsewhere.
    pub(crate) fn note_issued(&mut self, kind: SecretKind, value: &str) {
        self.issued.push(IssuedSecret { kind, value: value.to_owned() });
    }
}

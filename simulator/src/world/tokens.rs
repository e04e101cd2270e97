//! Access tokens and refresh tokens (protocol sections 1.2, 1.5 and rules 1 to 5 of 1.8): only the newest token of its
//! kind is accepted, without a grace period for the previous one.

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;

use super::{AccountKind, Moment, SecretKind, Token, World};
use crate::refusal::Refusal;

/// The result of a renewal.
pub(crate) struct RenewedTokens {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

/// The owner of a token.
pub(crate) struct Holder {
    pub(crate) account: AppId,
    /// The authorization code whose exchange issued the token.
    pub(crate) code: Option<String>,
}

/// The permission sets that allow a call, of which one is enough. A kind of account without any lacks the API.
#[derive(Clone, Copy)]
pub(crate) struct Sets {
    pub(crate) official_account: &'static [u32],
    pub(crate) mini_program: &'static [u32],
}

impl Token {
    fn new(value: &str, lifetime: Duration, now: Timestamp) -> Self {
        Self { value: value.to_owned(), expires_at: now.plus(lifetime), code: None }
    }

    fn check(&self, now: Timestamp) -> Result<(), Refusal> {
        if now < self.expires_at { Ok(()) } else { Err(Refusal::token_expired()) }
    }
}

impl World {
    /// Issues the component token; the previous one becomes invalid at once.
    pub(crate) fn issue_component_token(&mut self, ticket: &str, at: &Moment<'_>) -> Result<String, Refusal> {
        self.check_ticket(ticket, at)?;
        let value = self.issue(SecretKind::ComponentToken, "61_", at);
        self.component_token = Some(Token::new(&value, at.lifetimes.component_token, at.now));
        self.effects.component_tokens += 1;
        Ok(value)
    }

    /// Checks that `token` may call the component's API: 42001, 61014 or 40001 if not.
    pub(crate) fn check_component_token(&self, token: &str, now: Timestamp) -> Result<(), Refusal> {
        match &self.component_token {
            Some(newest) if newest.value == token => newest.check(now),
            _ if self.holder(token).is_some() => Err(Refusal::new(61014, "must use component token for component api")),
            _ => Err(Refusal::wrong_token(token)),
        }
    }

    /// The account that may be called for with `token`: 42001, 61015, 61003 or 40001 if there is none.
    pub(crate) fn account_of_token(&self, token: &str, now: Timestamp) -> Result<Holder, Refusal> {
        if let Some((appid, newest)) = self.holder(token) {
            newest.check(now)?;
            return Ok(Holder { account: appid.clone(), code: newest.code.clone() });
        }
        let is = |known: &Token| known.value == token;
        if self.component_token.as_ref().is_some_and(is) {
            return Err(Refusal::new(61015, "must use api authorizer access token for a non-component api"));
        }
        Err(if self.revoked_tokens.iter().any(is) { Refusal::not_authorized() } else { Refusal::wrong_token(token) })
    }

    /// The same for a call that accepts the component's token as well: `None` then.
    pub(crate) fn holder_of_either(&self, token: &str, now: Timestamp) -> Result<Option<Holder>, Refusal> {
        match &self.component_token {
            Some(newest) if newest.value == token => newest.check(now).map(|()| None),
            _ => self.account_of_token(token, now).map(Some),
        }
    }

    /// Checks that an account has a call at all, and has granted it: 48001 or 61007 if not.
    pub(crate) fn check_sets(&self, appid: &AppId, sets: Sets) -> Result<(), Refusal> {
        let sets = match self.account(appid).map(|account| account.kind) {
            Some(AccountKind::OfficialAccount) => sets.official_account,
            Some(AccountKind::MiniProgram) => sets.mini_program,
            None => &[],
        };
        if sets.is_empty() {
            return Err(Refusal::api_unauthorized());
        }
        let is_granted = self.has_granted(appid, sets);
        if is_granted { Ok(()) } else { Err(Refusal::new(61007, "api is unauthorized to component")) }
    }

    /// Keeps the token of a grant that ends: until it would have expired, it is refused because of the grant.
    pub(super) fn keep_revoked_token(&mut self, token: Option<Token>, now: Timestamp) {
        self.revoked_tokens.retain(|token| now < token.expires_at);
        self.revoked_tokens.extend(token);
    }

    /// Renews an account's token. `rotate` replaces the refresh token as well.
    pub(crate) fn renew(
        &mut self,
        appid: &AppId,
        refresh_token: &str,
        rotate: bool,
        at: &Moment<'_>,
    ) -> Result<RenewedTokens, Refusal> {
        let grant = self.grants.get(appid).ok_or_else(Refusal::not_authorized)?;
        if grant.refresh_token != refresh_token {
            return Err(Refusal::new(61023, "refresh_token is invalid"));
        }
        if rotate {
            let fresh = self.issue(SecretKind::RefreshToken, "refreshtoken@@@", at);
            if let Some(grant) = self.grants.get_mut(appid) {
                grant.refresh_token = fresh;
            }
        }
        let tokens = self.issue_authorizer_token(appid, None, at)?;
        *self.effects.renewals.entry(appid.clone()).or_default() += 1;
        Ok(tokens)
    }

    /// Issues an account's token, for an authorization code or without one; the previous token becomes invalid at once.
    pub(super) fn issue_authorizer_token(
        &mut self,
        appid: &AppId,
        code: Option<&str>,
        at: &Moment<'_>,
    ) -> Result<RenewedTokens, Refusal> {
        let access_token = self.issue(SecretKind::AuthorizerToken, "62_", at);
        let grant = self.grants.get_mut(appid).ok_or_else(Refusal::not_authorized)?;
        let token = Token::new(&access_token, at.lifetimes.authorizer_token, at.now);
        grant.access_token = Some(Token { code: code.map(str::to_owned), ..token });
        Ok(RenewedTokens { access_token, refresh_token: grant.refresh_token.clone() })
    }

    /// The account whose newest token this is, or one of whose visitors has it, expired or not.
    pub(crate) fn owner_of_token(&self, token: &str) -> Option<&AppId> {
        // Most calls are the platform's own: with many accounts, searching all of them for each call is too slow.
        if self.component_token.as_ref().is_some_and(|newest| newest.value == token) {
            return None;
        }
        let of_visitor = self.business.account_of_visitor(token);
        of_visitor.or_else(|| self.holder(token).map(|(appid, _)| appid))
    }

    fn holder(&self, token: &str) -> Option<(&AppId, &Token)> {
        self.grants.iter().find_map(|(appid, grant)| {
            grant.access_token.as_ref().filter(|newest| newest.value == token).map(|newest| (appid, newest))
        })
    }
}

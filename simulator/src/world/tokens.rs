//! Access tokens and refresh tokens (protocol sections 1.2, 1.5 and rules 1 to 5 of 1.8): the newest token of its kind
//! is the only one accepted, without a grace period for the one before.

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;

use super::{Moment, SecretKind, Token, World};
use crate::refusal::Refusal;

/// What a renewal answers.
pub(crate) struct RenewedTokens {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

/// Who sends a customer-service message.
pub(crate) struct Sender {
    pub(crate) authorizer: AppId,
    /// The authorization code whose exchange issued the token.
    pub(crate) code: Option<String>,
}

/// The permission sets that allow customer-service messages (section 5.6): one of them is enough.
const CUSTOMER_SERVICE: [u32; 5] = [1, 6, 19, 100, 101];

impl Token {
    fn new(value: &str, lifetime: Duration, now: Timestamp) -> Self {
        Self { value: value.to_owned(), expires_at: now.plus(lifetime), code: None }
    }

    fn check(&self, now: Timestamp) -> Result<(), Refusal> {
        if now < self.expires_at { Ok(()) } else { Err(Refusal::new(42001, "access_token expired")) }
    }
}

impl World {
    /// Issues the component token; the one before is dead at once.
    pub(crate) fn issue_component_token(&mut self, ticket: &str, at: &Moment<'_>) -> Result<String, Refusal> {
        self.check_ticket(ticket, at)?;
        let value = self.issue(SecretKind::ComponentToken, "61_", at);
        self.component_token = Some(Token::new(&value, at.lifetimes.component_token, at.now));
        self.effects.component_tokens += 1;
        Ok(value)
    }

    /// Whether `token` may call the component's API: 41001, 42001, 61014 or 40001 if not.
    pub(crate) fn check_component_token(&self, token: Option<&str>, now: Timestamp) -> Result<(), Refusal> {
        let token = present(token)?;
        match &self.component_token {
            Some(newest) if newest.value == token => newest.check(now),
            _ if self.holder(token).is_some() => Err(Refusal::new(61014, "must use component token for component api")),
            _ => Err(Refusal::invalid_credential()),
        }
    }

    /// Whose customer-service messages may be sent with `token`: 41001, 42001, 61015 or 40001 if nobody's, 61007 if the
    /// account did not grant that.
    pub(crate) fn check_sender(&self, token: Option<&str>, now: Timestamp) -> Result<Sender, Refusal> {
        let token = present(token)?;
        let Some((appid, newest)) = self.holder(token) else {
            let component = self.component_token.as_ref().is_some_and(|newest| newest.value == token);
            return Err(if component {
                Refusal::new(61015, "must use api authorizer access token for a non-component api")
            } else {
                Refusal::invalid_credential()
            });
        };
        newest.check(now)?;
        if !self.has_granted(appid, &CUSTOMER_SERVICE) {
            return Err(Refusal::new(61007, "api is unauthorized to component"));
        }
        Ok(Sender { authorizer: appid.clone(), code: newest.code.clone() })
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

    /// Issues an account's token, for an authorization code or without one; the token before is dead at once.
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

    fn holder(&self, token: &str) -> Option<(&AppId, &Token)> {
        self.grants.iter().find_map(|(appid, grant)| {
            grant.access_token.as_ref().filter(|newest| newest.value == token).map(|newest| (appid, newest))
        })
    }
}

fn present(token: Option<&str>) -> Result<&str, Refusal> {
    token.filter(|token| !token.is_empty()).ok_or_else(|| Refusal::new(41001, "access_token missing"))
}

//! Grants: pre-auth codes, a merchant's consent, authorization codes, revocation, fast registration (protocol sections
//! 1.3, 1.4, 1.6, 1.7, 2 and 5.12).
//!
//! Both kinds of code work once and expire. A new consent of an account replaces its grant: refresh token, access token
//! and open codes of the earlier one become invalid.

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::{AppId, hex};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::accounts::made_up_appid;
use super::{Account, Moment, SecretKind, Token, World};
use crate::behaviour::Codes;
use crate::push::{Applicant, Push};
use crate::refusal::{AuthorizationRefusal, Refusal};

/// How long dead codes are remembered, to distinguish "expired" and "used" from "never issued".
const REMEMBERED: Duration = Duration::from_hours(24);

#[derive(Serialize, Deserialize)]
pub(super) struct Grant {
    number: u64,
    pub(super) refresh_token: String,
    pub(super) access_token: Option<Token>,
    authorized_at: Timestamp,
    func_ids: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct PreAuthCode {
    expires_at: Timestamp,
    used: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct AuthorizationCode {
    appid: AppId,
    grant: u64,
    expires_at: Timestamp,
    used: bool,
}

/// The authorization that a merchant confirms.
pub(crate) struct Authorization<'a> {
    pub(crate) appid: &'a AppId,
    /// The link's code; `None` if the merchant acts without a link.
    pub(crate) pre_auth_code: Option<&'a str>,
    /// `category_id_list` of the link: only these permission sets.
    pub(crate) category_ids: Option<&'a [u32]>,
    pub(crate) codes: Codes,
}

/// A merchant's consent: the account is authorized, and both notifications of it are ready. Neither is sent yet.
pub struct Consent {
    /// The account.
    pub authorizer_appid: AppId,
    /// `auth_code` of the redirect.
    pub redirect_code: String,
    /// `AuthorizationCode` of the push: the same or another one ([`Codes`]).
    pub push_code: String,
    /// How long the codes are valid.
    pub expires_in: Duration,
    /// `authorized`, or `updateauthorized` if the account was already authorized.
    pub push: Push,
}

/// A mini program made by fast registration.
pub struct Registration {
    /// Its appid.
    pub appid: AppId,
    /// `auth_code` of the push.
    pub push_code: String,
    /// `notify_third_fasteregister` with status 0, not sent yet.
    pub push: Push,
}

impl World {
    pub(crate) fn issue_pre_auth_code(&mut self, at: &Moment<'_>) -> String {
        if is_time_to_forget(self.pre_auth_codes.len()) {
            self.pre_auth_codes.retain(|_, code| at.now.since(code.expires_at) < REMEMBERED);
        }
        let value = self.issue(SecretKind::PreAuthCode, "preauthcode@@@", at);
        let code = PreAuthCode { expires_at: at.now.plus(at.lifetimes.pre_auth_code), used: false };
        self.pre_auth_codes.insert(value.clone(), code);
        self.effects.pre_auth_codes += 1;
        value
    }

    /// Whether a link with this code may be opened or confirmed.
    pub(crate) fn check_pre_auth_code(&self, code: &str, now: Timestamp) -> Result<(), AuthorizationRefusal> {
        match self.pre_auth_codes.get(code) {
            None => Err(AuthorizationRefusal::PreAuthCodeUnknown),
            Some(code) if code.used => Err(AuthorizationRefusal::PreAuthCodeUsed),
            Some(code) if now >= code.expires_at => Err(AuthorizationRefusal::PreAuthCodeExpired),
            Some(_) => Ok(()),
        }
    }

    /// A merchant confirms: spends the pre-auth code and replaces the account's grant.
    pub(crate) fn authorize(
        &mut self,
        asked: &Authorization<'_>,
        component: &AppId,
        at: &Moment<'_>,
    ) -> Result<Consent, AuthorizationRefusal> {
        let account = self.accounts.get(asked.appid).ok_or(AuthorizationRefusal::Account)?;
        let mut func_ids = account.func_ids.clone();
        if let Some(wanted) = asked.category_ids {
            func_ids.retain(|id| wanted.contains(id));
            if func_ids.is_empty() {
                return Err(AuthorizationRefusal::PermissionSets);
            }
        }
        if let Some(code) = asked.pre_auth_code {
            self.check_pre_auth_code(code, at.now)?;
            if let Some(code) = self.pre_auth_codes.get_mut(code) {
                code.used = true;
            }
        }

        let info_type = if self.grants.contains_key(asked.appid) { "updateauthorized" } else { "authorized" };
        let grant = self.grant(asked.appid, func_ids, at);
        let redirect_code = self.issue_authorization_code(asked.appid, grant, at);
        let push_code = match asked.codes {
            Codes::Same => redirect_code.clone(),
            Codes::Different => self.issue_authorization_code(asked.appid, grant, at),
        };
        let push = Push::granted(
            info_type,
            component,
            asked.appid,
            &push_code,
            at.now.plus(at.lifetimes.authorization_code),
            asked.pre_auth_code,
            at.now,
        );
        Ok(Consent {
            authorizer_appid: asked.appid.clone(),
            redirect_code,
            push_code,
            expires_in: at.lifetimes.authorization_code,
            push,
        })
    }

    /// A merchant withdraws the grant: the account's tokens and open codes become invalid. `false` if there was no
    /// grant.
    pub(crate) fn revoke(&mut self, appid: &AppId, now: Timestamp) -> bool {
        let Some(grant) = self.grants.remove(appid) else { return false };
        self.keep_revoked_token(grant.access_token, now);
        self.effects.revocations += 1;
        true
    }

    /// Adds this many accounts, each of which authorizes the platform; returns the pushes.
    pub(crate) fn add_authorized(
        &mut self,
        count: usize,
        codes: Codes,
        component: &AppId,
        at: &Moment<'_>,
    ) -> Vec<Push> {
        // After the demo accounts in every list.
        let new = (1_u64..).map(|number| (number, made_up_appid(&format!("wxf{number:015x}"))));
        let new: Vec<(u64, AppId)> = new.filter(|(_, appid)| self.account(appid).is_none()).take(count).collect();
        let mut pushes = Vec::with_capacity(new.len());
        for (number, appid) in new {
            let nick_name = format!("示例店铺 {number}");
            let account = if number % 3 == 0 {
                Account::mini_program(appid.clone(), &nick_name)
            } else {
                Account::official_account(appid.clone(), &nick_name)
            };
            self.put_account(Account { user_name: format!("gh_f{number:011x}"), ..account });
            let asked = Authorization { appid: &appid, pre_auth_code: None, category_ids: None, codes };
            pushes.extend(self.authorize(&asked, component, at).ok().map(|consent| consent.push));
        }
        pushes
    }

    /// Changes the permission sets of a grant without another consent: the merchant changed one in WeChat's console, or
    /// granted an exclusive set to another platform. `false` if there is no grant.
    pub(crate) fn set_permissions(&mut self, appid: &AppId, func_ids: Vec<u32>) -> bool {
        let grant = self.grants.get_mut(appid);
        grant.map(|grant| grant.func_ids = func_ids).is_some()
    }

    /// A mini program made for the platform and authorized to it.
    pub(crate) fn register_mini_program(
        &mut self,
        name: &str,
        applicant: &Applicant,
        component: &AppId,
        at: &Moment<'_>,
    ) -> Registration {
        let appid = made_up_appid(&format!("wx{}", hex(&at.random.bytes::<8>())));
        let account = Account::mini_program(appid.clone(), name);
        let grant = self.grant(&appid, account.func_ids.clone(), at);
        self.put_account(account);
        let push_code = self.issue_authorization_code(&appid, grant, at);
        let push = Push::registered(component, &appid, &push_code, applicant, at.now);
        Registration { appid, push_code, push }
    }

    /// A further authorization code of a granted account, of which the platform is not notified.
    pub(crate) fn issue_code(&mut self, appid: &AppId, at: &Moment<'_>) -> Result<String, AuthorizationRefusal> {
        let grant = self.grants.get(appid).ok_or(AuthorizationRefusal::Account)?.number;
        Ok(self.issue_authorization_code(appid, grant, at))
    }

    /// The account that an authorization code belongs to, spent or not.
    pub(crate) fn account_of_code(&self, code: &str) -> Option<&AppId> {
        self.authorization_codes.get(code).map(|known| &known.appid)
    }

    /// Exchanges an authorization code for tokens: the response of `api_query_auth`.
    pub(crate) fn exchange(&mut self, code: &str, at: &Moment<'_>) -> Result<Value, Refusal> {
        let invalid = || Refusal::new(61009, "code is invalid");
        let known = self.authorization_codes.get(code).filter(|known| !known.used).ok_or_else(invalid)?;
        let appid = known.appid.clone();
        let grant = self.grants.get(&appid).ok_or_else(Refusal::not_authorized)?;
        if grant.number != known.grant {
            return Err(invalid());
        }
        if at.now >= known.expires_at {
            return Err(Refusal::new(61010, "code is expired"));
        }
        let func_info = grant.func_info();
        if let Some(known) = self.authorization_codes.get_mut(code) {
            known.used = true;
        }
        let tokens = self.issue_authorizer_token(&appid, Some(code), at)?;
        *self.effects.exchanges.entry(appid.clone()).or_default() += 1;
        Ok(json!({ "authorization_info": {
            "authorizer_appid": appid,
            "authorizer_access_token": tokens.access_token,
            "expires_in": at.lifetimes.authorizer_token.as_secs(),
            "authorizer_refresh_token": tokens.refresh_token,
            "func_info": func_info,
        }}))
    }

    /// The response of `api_get_authorizer_info`.
    pub(crate) fn authorizer_info(&self, appid: &AppId, without_refresh_token: bool) -> Result<Value, Refusal> {
        let grant = self.grants.get(appid).ok_or_else(Refusal::not_authorized)?;
        let refresh_token = if without_refresh_token { "" } else { &grant.refresh_token };
        Ok(json!({
            "authorizer_info": self.account_details(appid),
            "authorization_info": {
                "authorizer_appid": appid,
                "authorizer_refresh_token": refresh_token,
                "func_info": grant.func_info(),
            },
        }))
    }

    /// The response of `api_get_authorizer_list`, in the order of appids.
    pub(crate) fn authorizer_list(&self, offset: usize, count: usize, without_refresh_tokens: bool) -> Value {
        let page = self.grants.iter().skip(offset).take(count).map(|(appid, grant)| {
            let refresh_token = if without_refresh_tokens { "" } else { &grant.refresh_token };
            json!({ "authorizer_appid": appid, "refresh_token": refresh_token, "auth_time": grant.authorized_at })
        });
        json!({ "total_count": self.grants.len(), "list": page.collect::<Vec<_>>() })
    }

    pub(crate) fn is_authorized(&self, appid: &AppId) -> bool {
        self.grants.contains_key(appid)
    }

    /// Whether the account has granted one of these permission sets.
    pub(crate) fn has_granted(&self, appid: &AppId, sets: &[u32]) -> bool {
        self.grants.get(appid).is_some_and(|grant| sets.iter().any(|set| grant.func_ids.contains(set)))
    }

    fn grant(&mut self, appid: &AppId, func_ids: Vec<u32>, at: &Moment<'_>) -> u64 {
        self.grants_made += 1;
        self.effects.consents += 1;
        let refresh_token = self.issue(SecretKind::RefreshToken, "refreshtoken@@@", at);
        let grant =
            Grant { number: self.grants_made, refresh_token, access_token: None, authorized_at: at.now, func_ids };
        self.grants.insert(appid.clone(), grant);
        self.grants_made
    }

    /// The code contains characters that careless encoding would change: real ones have `@@@`, others are conceivable.
    fn issue_authorization_code(&mut self, appid: &AppId, grant: u64, at: &Moment<'_>) -> String {
        if is_time_to_forget(self.authorization_codes.len()) {
            self.authorization_codes.retain(|_, code| at.now.since(code.expires_at) < REMEMBERED);
        }
        let value = self.issue(SecretKind::AuthorizationCode, "queryauthcode@@@+/=", at);
        let expires_at = at.now.plus(at.lifetimes.authorization_code);
        let code = AuthorizationCode { appid: appid.clone(), grant, expires_at, used: false };
        self.authorization_codes.insert(value.clone(), code);
        value
    }
}

impl Grant {
    /// Some entries have more members than the documented `id`, which a client must ignore.
    fn func_info(&self) -> Value {
        let entries = self.func_ids.iter().map(|id| {
            let mut entry = json!({ "funcscope_category": { "id": id } });
            if *id == 17 {
                entry["confirm_info"] = json!({ "need_confirm": 0, "already_confirm": 0, "can_confirm": 0 });
            }
            entry
        });
        entries.collect()
    }
}

/// Whether to look for codes to forget: at powers of two, so that a hundred thousand consents do not each cost a look
/// at every code, and the remembered codes stay within twice the live ones.
const fn is_time_to_forget(kept: usize) -> bool {
    kept.is_power_of_two()
}

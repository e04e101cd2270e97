//! The calls of a web login: the code is exchanged for the visitor's tokens, and these give access to the profile
//! (protocol section 5.4, steps 2 to 5).

use base::clock::Timestamp;
use base::ids::AppId;
use serde_json::{Value, json};

use super::{ACCESS_TOKEN_LIFETIME, Login, PERMISSION_SET, REFRESH_TOKEN_LIFETIME, Scope, Token, logins};
use crate::api::{Outcome, Request, ok};
use crate::refusal::Refusal;
use crate::simulator::Simulator;
use crate::world::{Moment, SecretKind, Sets, World};

/// The permission set of the calls that require the component's token.
pub(crate) const SETS: Sets = Sets { official_account: &[PERMISSION_SET], mini_program: &[] };

impl Simulator {
    /// The login that a visitor's token belongs to: 40001 or 42001 if there is none.
    pub(crate) fn login_of(&self, token: &str, now: Timestamp) -> Result<Login, Refusal> {
        self.of_platform(|of| {
            let token = of.web_logins.access_tokens.get(token).ok_or_else(|| Refusal::wrong_token(token))?;
            let is_alive = now < token.expires_at;
            if is_alive { Ok(token.login.clone()) } else { Err(Refusal::token_expired()) }
        })
    }
}

impl Login {
    /// Checks the `openid` next to a visitor's token: 41009 if it is missing, 40003 if it is not the token's.
    pub(crate) fn check_openid(&self, request: &Request) -> Result<(), Refusal> {
        let open_id = request.parameter("openid").ok_or_else(|| Refusal::new(41009, "missing openid"))?;
        if open_id == self.open_id { Ok(()) } else { Err(Refusal::invalid_openid()) }
    }
}

/// Step 2: exchanges a code for tokens.
pub(crate) fn exchange(simulator: &Simulator, request: &Request, account: &AppId) -> Outcome {
    request.check_grant_type("authorization_code")?;
    let code = request.parameter("code").ok_or_else(|| Refusal::new(41008, "missing code"))?;
    let (login, mut answer) = simulator.change(|world, at| {
        let login = logins(world).spend(code, account, at.now)?;
        let refresh_token = world.issue(SecretKind::VisitorRefreshToken, "65_", at);
        let token = Token { login: login.clone(), expires_at: at.now.plus(REFRESH_TOKEN_LIFETIME) };
        logins(world).refresh_tokens.insert(refresh_token.clone(), token);
        let answer = issue_access_token(world, &login, &refresh_token, at);
        Ok((login, answer))
    })?;
    if login.is_snapshot {
        answer["is_snapshotuser"] = json!(1);
    }
    if login.scope == Scope::UserInfo {
        add_union_id(simulator, &login, &mut answer);
    }
    Ok(answer.into())
}

/// Step 3: issues another access token. The earlier one stays valid for its lifetime, and the refresh token stays the
/// same.
pub(crate) fn renew(simulator: &Simulator, request: &Request, account: &AppId) -> Outcome {
    request.check_grant_type("refresh_token")?;
    let missing = || Refusal::new(41003, "missing refresh_token");
    let refresh_token = request.parameter("refresh_token").ok_or_else(missing)?;
    let answer = simulator.change(|world, at| {
        let login = logins(world).renewable(refresh_token, account, at.now)?;
        Ok(issue_access_token(world, &login, refresh_token, at))
    })?;
    Ok(answer.into())
}

/// Step 4: the visitor's profile.
pub(crate) fn profile(simulator: &Simulator, _: &Request, login: &Login) -> Outcome {
    if login.scope == Scope::Base {
        return Err(Refusal::api_unauthorized());
    }
    let visitor = simulator.visitor(&login.account, &login.open_id);
    let mut answer = json!({
        "openid": login.open_id,
        "nickname": visitor.nickname,
        "sex": 0,
        "language": "",
        "city": "",
        "province": "",
        "country": "",
        "headimgurl": visitor.head_img_url,
        "privilege": [],
    });
    add_union_id(simulator, login, &mut answer);
    Ok(answer.into())
}

/// Step 5: the check that the token and the openid belong together, which has been made already.
pub(crate) fn check(_: &Simulator, _: &Request, _: &Login) -> Outcome {
    Ok(ok(json!({})))
}

/// The common part of the responses of steps 2 and 3.
fn issue_access_token(world: &mut World, login: &Login, refresh_token: &str, at: &Moment<'_>) -> Value {
    let access_token = world.issue(SecretKind::VisitorToken, "64_", at);
    let token = Token { login: login.clone(), expires_at: at.now.plus(ACCESS_TOKEN_LIFETIME) };
    logins(world).access_tokens.insert(access_token.clone(), token);
    json!({
        "access_token": access_token,
        "expires_in": ACCESS_TOKEN_LIFETIME.as_secs(),
        "refresh_token": refresh_token,
        "openid": login.open_id,
        "scope": login.scope.as_str(),
    })
}

fn add_union_id(simulator: &Simulator, login: &Login, answer: &mut Value) {
    if let Some(union_id) = simulator.union_id(&login.account, &login.open_id) {
        answer["unionid"] = json!(union_id);
    }
}

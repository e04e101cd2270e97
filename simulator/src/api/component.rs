//! The component's own API (protocol section 1), which the platform calls on its own behalf.
//!
//! Success has no `errcode`, except where documented.

use base::ids::AppId;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{Answer, Outcome, Request};
use crate::refusal::Refusal;
use crate::simulator::Simulator;
use crate::world::World;

/// The most accounts that one page of the list may have (section 1.7).
const MAX_LIST: u64 = 500;

impl Request {
    fn authorizer(&self) -> Result<AppId, Refusal> {
        let invalid = || Refusal::new(40013, "invalid appid: authorizer_appid");
        AppId::parse(self.text("authorizer_appid")?.ok_or_else(invalid)?).map_err(|_| invalid())
    }

    /// Checks that `component_appid` is there and is the platform's.
    fn check_component(&self, simulator: &Simulator) -> Result<(), Refusal> {
        match self.text("component_appid")? {
            None => Err(Refusal::new(41018, "missing component_appid")),
            Some(appid) if appid == simulator.platform().component_appid.as_str() => Ok(()),
            Some(_) => Err(Refusal::new(40013, "invalid appid")),
        }
    }

    /// Checks the `AppSecret`, whose field has a different name on each of two paths.
    fn check_secret(&self, simulator: &Simulator, field: &str) -> Result<(), Refusal> {
        match self.text(field)? {
            None => Err(Refusal::new(41004, "appsecret missing")),
            Some(secret) if secret == simulator.platform().component_appsecret.expose_secret() => Ok(()),
            Some(_) => Err(Refusal::new(40001, "invalid credential, component_appsecret is wrong")),
        }
    }
}

pub(super) fn start_push_ticket(simulator: &Simulator, request: &Request) -> Outcome {
    request.check_component(simulator)?;
    request.check_secret(simulator, "component_secret")?;
    let was_off = simulator.change(|world, _| world.start_tickets());
    if was_off {
        simulator.send_in_background(simulator.ticket());
    }
    Ok(json!({ "errcode": 0, "errmsg": if was_off { "ok" } else { "in a normal state" } }).into())
}

pub(super) fn component_token(simulator: &Simulator, request: &Request) -> Outcome {
    request.check_component(simulator)?;
    request.check_secret(simulator, "component_appsecret")?;
    // An empty ticket is one that was never issued: 61006.
    let ticket = request.text("component_verify_ticket")?.unwrap_or_default();
    let token = simulator.change(|world, at| world.issue_component_token(ticket, at))?;
    Ok(json!({
        "component_access_token": token,
        "expires_in": simulator.lifetimes().component_token.as_secs(),
    })
    .into())
}

pub(super) fn create_preauthcode(simulator: &Simulator, request: &Request) -> Outcome {
    request.check_component(simulator)?;
    let code = simulator.change(World::issue_pre_auth_code);
    Ok(json!({ "pre_auth_code": code, "expires_in": simulator.lifetimes().pre_auth_code.as_secs() }).into())
}

pub(super) fn query_auth(simulator: &Simulator, request: &Request) -> Outcome {
    request.check_component(simulator)?;
    let missing = || Refusal::new(40097, "invalid args: authorization_code is missing");
    let code = request.text("authorization_code")?.ok_or_else(missing)?;
    simulator.change(|world, at| world.exchange(code, at)).map(Answer::from)
}

pub(super) fn authorizer_token(simulator: &Simulator, request: &Request) -> Outcome {
    request.check_component(simulator)?;
    let authorizer = request.authorizer()?;
    // An empty refresh token is a wrong one: 61023.
    let refresh_token = request.text("authorizer_refresh_token")?.unwrap_or_default();
    let rotate = simulator.behaviour().rotate_refresh_tokens;
    let tokens = simulator.change(|world, at| world.renew(&authorizer, refresh_token, rotate, at))?;
    Ok(json!({
        "authorizer_access_token": tokens.access_token,
        "expires_in": simulator.lifetimes().authorizer_token.as_secs(),
        "authorizer_refresh_token": tokens.refresh_token,
    })
    .into())
}

pub(super) fn get_authorizer_info(simulator: &Simulator, request: &Request) -> Outcome {
    request.check_component(simulator)?;
    let authorizer = request.authorizer()?;
    let without_refresh_token = simulator.behaviour().info_without_refresh_token;
    simulator.read(|world| world.authorizer_info(&authorizer, without_refresh_token)).map(Answer::from)
}

pub(super) fn get_authorizer_list(simulator: &Simulator, request: &Request) -> Outcome {
    request.check_component(simulator)?;
    let (offset, count) = (request.number("offset")?, request.number("count")?);
    if count > MAX_LIST {
        return Err(Refusal::new(40170, "args count exceed count limit"));
    }
    let size = |number| usize::try_from(number).unwrap_or(usize::MAX);
    let without_refresh_tokens = simulator.behaviour().list_without_refresh_tokens;
    Ok(simulator.read(|world| world.authorizer_list(size(offset), size(count), without_refresh_tokens)).into())
}

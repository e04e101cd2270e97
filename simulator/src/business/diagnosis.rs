//! WeChat's record of refused calls (protocol section 4.4).

use std::collections::VecDeque;
use std::time::Duration;

use axum::response::Response;
use serde_json::json;

use crate::api::{Outcome, Request, ok};
use crate::received::Received;
use crate::refusal::{Refusal, Rid};
use crate::simulator::{Simulator, lock};
use crate::world::Holder;

/// How many refused calls are remembered, the latest.
const REMEMBERED: usize = 1_000;
/// How long they can be queried.
const LIFETIME: Duration = Duration::from_hours(7 * 24);

/// The latest refused calls.
#[derive(Default)]
pub(crate) struct RefusedCalls(VecDeque<RefusedCall>);

#[derive(Clone)]
struct RefusedCall {
    rid: Rid,
    account: Option<String>,
    received: Received,
    refusal: Refusal,
}

impl Simulator {
    /// Records a call if it was refused. `account` is the caller's; `None` for the platform's own call.
    pub(crate) fn record_refusal(&self, account: Option<&str>, received: Received, response: &Response) {
        let extensions = response.extensions();
        let (Some(rid), Some(refusal)) = (extensions.get::<Rid>(), extensions.get::<Refusal>()) else { return };
        let mut refused = lock(&self.0.refused);
        if refused.0.len() == REMEMBERED {
            refused.0.pop_front();
        }
        let (rid, account, refusal) = (rid.clone(), account.map(str::to_owned), refusal.clone());
        refused.0.push_back(RefusedCall { rid, account, received, refusal });
    }
}

/// Returns the whole URL, with the token that was in it.
pub(crate) fn get(simulator: &Simulator, request: &Request, holder: Option<&Holder>) -> Outcome {
    let rid = request.text("rid")?.ok_or_else(|| Refusal::new(76002, "rid is error"))?;
    let known = lock(&simulator.0.refused).0.iter().find(|call| call.rid.0 == rid).cloned();
    let RefusedCall { rid, account, received, refusal } = known.ok_or_else(|| Refusal::new(76001, "rid not found"))?;
    if account.as_deref() != holder.map(|holder| holder.account.as_str()) {
        return Err(Refusal::new(76003, "could not query this rid, no permission"));
    }
    if simulator.now().since(received.at) >= LIFETIME {
        return Err(Refusal::new(76004, "rid is overtime"));
    }
    Ok(ok(json!({ "request": {
        "invoke_time": received.at.unix(),
        "cost_in_ms": 1,
        "request_url": format!("https://api.weixin.qq.com{}?{}", received.path, received.query),
        "request_body": String::from_utf8_lossy(&received.body),
        "response_body": refusal.body(&rid).to_string(),
        "client_ip": "203.0.113.9",
    }})))
}

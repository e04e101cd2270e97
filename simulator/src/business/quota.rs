//! Quota (protocol section 5.2): calls of an account in a day of Beijing's calendar.
//!
//! The counts are not in the state file: a restart is a new day.

use std::collections::BTreeMap;

use base::clock::Timestamp;
use base::ids::AppId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::{Outcome, Request, ok};
use crate::beijing::{beijing_day, beijing_month};
use crate::refusal::Refusal;
use crate::simulator::{Simulator, lock};
use crate::world::Holder;

/// Calls in a day, as far as documented.
const LIMITS: [(&str, u64); 8] = [
    ("/cgi-bin/menu/create", 1_000),
    ("/cgi-bin/menu/get", 10_000),
    ("/cgi-bin/menu/delete", 1_000),
    ("/cgi-bin/media/upload", 100_000),
    ("/cgi-bin/media/get", 200_000),
    ("/cgi-bin/message/custom/send", 500_000),
    ("/cgi-bin/user/get", 500),
    ("/cgi-bin/user/info", 5_000_000),
];
/// Calls in a day if they are not documented.
const LIMIT: u64 = 1_000_000;
/// The most clears of one account, or of the platform, in a month.
const MAX_CLEARS: usize = 10;

/// Calls so far, of an account or, without one, of the platform.
#[derive(Default)]
pub(crate) struct Quota(BTreeMap<(Option<AppId>, String), Used>);

struct Used {
    day: String,
    calls: u64,
}

/// When a quota was cleared.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Clears(Vec<Timestamp>);

impl Clears {
    fn add(&mut self, now: Timestamp) -> Result<(), Refusal> {
        self.0.retain(|at| beijing_month(*at) == beijing_month(now));
        if self.0.len() >= MAX_CLEARS {
            return Err(Refusal::new(48006, "forbid to clear quota because of reaching the limit"));
        }
        self.0.push(now);
        Ok(())
    }
}

impl Quota {
    fn used(&mut self, of: Option<&AppId>, path: &str, day: String) -> &mut Used {
        let used = self.0.entry((of.cloned(), path.to_owned())).or_insert_with(|| Used { day: day.clone(), calls: 0 });
        if used.day != day {
            *used = Used { day, calls: 0 };
        }
        used
    }
}

fn limit_of(path: &str) -> u64 {
    LIMITS.iter().find(|(known, _)| *known == path).map_or(LIMIT, |(_, limit)| *limit)
}

impl Simulator {
    /// Counts a call, or refuses it: 45009.
    pub(crate) fn count_call(&self, account: &AppId, path: &str) -> Result<(), Refusal> {
        let mut quota = lock(&self.0.quota);
        let used = quota.used(Some(account), path, beijing_day(self.now()));
        if used.calls >= limit_of(path) {
            return Err(Refusal::new(45009, "reach max api daily quota limit"));
        }
        used.calls += 1;
        Ok(())
    }

    /// Uses up an account's quota for this path for today.
    pub fn use_quota_up(&self, account: &AppId, path: &str) {
        lock(&self.0.quota).used(Some(account), path, beijing_day(self.now())).calls = limit_of(path);
    }
}

pub(crate) fn clear(simulator: &Simulator, request: &Request, holder: Option<&Holder>) -> Outcome {
    let account = holder.map(|holder| &holder.account);
    let appid = account.unwrap_or(&simulator.platform().component_appid);
    if request.required("appid")? != appid.as_str() {
        return Err(Refusal::new(40013, "invalid appid"));
    }
    match account {
        Some(account) => simulator.change_account(account, |of, at| of.clears.add(at.now))?,
        None => simulator.change_platform(|of, at| of.clears.add(at.now))?,
    }
    lock(&simulator.0.quota).0.retain(|(of, _), _| of.as_ref() != account);
    Ok(ok(json!({})))
}

pub(crate) fn get(simulator: &Simulator, request: &Request, holder: Option<&Holder>) -> Outcome {
    let path = request.text("cgi_path")?.unwrap_or_default();
    if !path.starts_with('/') || path.contains('?') {
        return Err(Refusal::new(76003, "invalid cgi_path"));
    }
    if path.starts_with("/sns/") {
        return Err(Refusal::new(76022, "could not use this cgi_path, no permission"));
    }
    let mut quota = lock(&simulator.0.quota);
    let account = holder.map(|holder| &holder.account);
    let (limit, used) = (limit_of(path), quota.used(account, path, beijing_day(simulator.now())).calls);
    let members: Value = json!({ "daily_limit": limit, "used": used, "remain": limit.saturating_sub(used) });
    Ok(ok(json!({ "quota": members })))
}

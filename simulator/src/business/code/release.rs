//! Releases, gradual releases and reverts (protocol section 12.1).

use base::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Code, Version};
use crate::api::{Outcome, Request, ok};
use crate::business::OfAccount;
use crate::refusal::Refusal;
use crate::simulator::Simulator;
use crate::world::{Holder, Moment};

/// How many versions one can go back.
const MAX_BACK: usize = 5;
/// The minimum base library of a mini program that has set none.
const BASE_LIBRARY: &str = "2.0.0";

/// A gradual release in progress.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Gray {
    percentage: u64,
    since: Timestamp,
}

impl Code {
    /// The version whose audit was passed last.
    fn audited(&self, not_passed: i64) -> Result<&Version, Refusal> {
        let audit = self.audits.last().ok_or_else(Refusal::nothing_audited)?;
        if !audit.is_passed() {
            return Err(Refusal::new(not_passed, "the audit is not passed"));
        }
        if audit.is_released { Err(Refusal::new(85052, "the version is released already")) } else { Ok(&audit.version) }
    }

    /// The versions to which one can go back, the latest first.
    fn earlier(&self) -> impl Iterator<Item = &Version> {
        self.released.iter().rev().skip(1).take(MAX_BACK)
    }
}

impl OfAccount {
    fn release(&mut self, at: &Moment<'_>) -> Result<(), Refusal> {
        let mut version = self.code.audited(85020)?.clone();
        self.code.releases_made += 1;
        version.released_at = Some((at.now, self.code.releases_made));
        self.code.released.push(version);
        self.code.audits.iter_mut().for_each(|audit| audit.is_released = true);
        self.code.gray = None;
        self.privacy.release();
        Ok(())
    }
}

pub(crate) fn release(simulator: &Simulator, _: &Request, holder: &Holder) -> Outcome {
    simulator.change_account(&holder.account, OfAccount::release)?;
    Ok(ok(json!({})))
}

/// Releases to a part of the users; to all of them at 100 percent.
pub(crate) fn gray(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let percentage = request.number("gray_percentage")?;
    simulator.change_account(&holder.account, |of, at| {
        if of.code.released.is_empty() {
            return Err(Refusal::new(85079, "no online release"));
        }
        of.code.audited(85080)?;
        if !(1..=100).contains(&percentage) {
            return Err(Refusal::new(85081, "invalid gray_percentage"));
        }
        let before = of.code.gray.clone().unwrap_or(Gray { percentage: 0, since: at.now });
        if percentage <= before.percentage {
            return Err(Refusal::new(85082, "gray_percentage must be higher than before"));
        }
        if percentage == 100 {
            return of.release(at);
        }
        of.code.gray = Some(Gray { percentage, ..before });
        Ok(())
    })?;
    Ok(ok(json!({})))
}

pub(crate) fn gray_plan(simulator: &Simulator, _: &Request, holder: &Holder) -> Outcome {
    let gray = simulator.of_account(&holder.account, |of| of.code.gray.clone());
    let plan = gray.map_or(
        json!({ "status": 0 }),
        |gray| json!({ "status": 1, "create_timestamp": gray.since.unix(), "gray_percentage": gray.percentage }),
    );
    Ok(ok(json!({ "gray_release_plan": plan })))
}

pub(crate) fn cancel_gray(simulator: &Simulator, _: &Request, holder: &Holder) -> Outcome {
    simulator.change_account(&holder.account, |of, _| of.code.gray = None);
    Ok(ok(json!({})))
}

/// Goes back to an earlier version, or lists the versions to which one can go back.
pub(crate) fn go_back(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    if request.parameter("action") == Some("get_history_version") {
        let earlier: Vec<_> =
            simulator.of_account(&holder.account, |of| of.code.earlier().map(Version::as_released).collect());
        return Ok(ok(json!({ "version_list": earlier })));
    }
    let wanted = request.parameter("app_version");
    simulator.change_account(&holder.account, |of, _| {
        if of.code.gray.is_some() {
            return Err(Refusal::new(87011, "a gradual release is under way"));
        }
        let is_wanted = |version: &&Version| wanted.is_none_or(|wanted| version.number().to_string() == wanted);
        let target = of.code.earlier().find(is_wanted).map(Version::number);
        let target = target.ok_or_else(|| Refusal::new(87012, "the version can not be reverted to"))?;
        of.code.released.retain(|version| version.number() <= target);
        Ok(ok(json!({})))
    })
}

impl Version {
    fn number(&self) -> u64 {
        self.released_at.map_or(0, |(_, number)| number)
    }

    fn as_released(&self) -> Value {
        json!({
            "app_version": self.number(),
            "user_version": self.name,
            "user_desc": self.description,
            "commit_time": self.committed_at.unix(),
        })
    }
}

pub(crate) fn versions(simulator: &Simulator, _: &Request, holder: &Holder) -> Outcome {
    let mut answer = json!({});
    simulator.of_account(&holder.account, |of| {
        if let Some(trial) = &of.code.trial {
            answer["exp_info"] = json!({
                "exp_time": trial.committed_at.unix(),
                "exp_version": trial.name,
                "exp_desc": trial.description,
            });
        }
        if let Some(live) = of.code.released.last() {
            answer["release_info"] = json!({
                "release_time": live.released_at.map(|(at, _)| at.unix()),
                "release_version": live.name,
                "release_desc": live.description,
            });
        }
    });
    Ok(ok(answer))
}

/// Pauses the service of a mini program, or resumes it.
pub(crate) fn change_visits(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let is_paused = match request.required("action")? {
        "close" => true,
        "open" => false,
        _ => return Err(Refusal::new(85022, "invalid action")),
    };
    let was_paused =
        simulator.change_account(&holder.account, |of, _| std::mem::replace(&mut of.code.is_paused, is_paused));
    if was_paused == is_paused { Err(Refusal::new(85021, "status not allowed")) } else { Ok(ok(json!({}))) }
}

pub(crate) fn visits(simulator: &Simulator, _: &Request, holder: &Holder) -> Outcome {
    let is_paused = simulator.of_account(&holder.account, |of| of.code.is_paused);
    Ok(ok(json!({ "status": u8::from(!is_paused) })))
}

pub(crate) fn set_base_library(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let version = request.required("version")?.to_owned();
    if !version.split('.').all(|part| part.parse::<u32>().is_ok()) {
        return Err(Refusal::new(89014, "support version error"));
    }
    simulator.change_account(&holder.account, |of, _| of.code.base_library = Some(version));
    Ok(ok(json!({})))
}

pub(crate) fn base_library(simulator: &Simulator, _: &Request, holder: &Holder) -> Outcome {
    let version = simulator.of_account(&holder.account, |of| of.code.base_library.clone());
    let version = version.unwrap_or_else(|| BASE_LIBRARY.to_owned());
    Ok(ok(json!({ "now_version": version, "uv_info": { "items": [{ "version": version, "percentage": 100 }] } })))
}

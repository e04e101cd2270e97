//! Audits (protocol sections 12.1 and 12.2).

use base::clock::Timestamp;
use base::ids::AppId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Code, Version, check_scanned};
use crate::api::{Outcome, Request, ok};
use crate::beijing::{beijing_day, beijing_month};
use crate::business::media::{Format, Purpose, sample_picture};
use crate::message::Message;
use crate::refusal::Refusal;
use crate::simulator::Simulator;
use crate::world::Holder;

/// The most audits of all mini programs of the platform in a month, and how many of them may be expedited.
const MAX_AUDITS: (u64, u64) = (100, 5);
/// The most withdrawals of one mini program in a day, and in a month.
const MAX_WITHDRAWALS: (usize, usize) = (5, 10);
/// The most items of a submission.
const MAX_ITEMS: usize = 5;
/// The most characters of an item's title.
const MAX_TITLE: usize = 32;

#[derive(Serialize, Deserialize)]
pub(super) struct Audit {
    id: u64,
    pub(super) version: Version,
    status: Status,
    reason: String,
    screenshots: Vec<String>,
    submitted_at: Timestamp,
    is_expedited: bool,
    pub(super) is_released: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Status {
    Passed = 0,
    Refused = 1,
    Pending = 2,
    Withdrawn = 3,
    Delayed = 4,
}

/// The result of an audit, or its delay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum AuditResult {
    /// The version may be released.
    Passed,
    /// The version may not be released.
    Refused {
        /// The reason.
        reason: String,
        /// What the auditor saw: [`Simulator::audit_screenshot`].
        #[serde(default)]
        screenshots: Vec<String>,
    },
    /// The audit takes longer; another result follows.
    Delayed {
        /// The reason.
        reason: String,
    },
}

/// The audits that the platform has used in a month.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct AuditQuota {
    month: String,
    audits: u64,
    expedited: u64,
}

impl AuditQuota {
    fn of(&mut self, now: Timestamp) -> &mut Self {
        let month = beijing_month(now);
        if self.month != month {
            *self = Self { month, ..Self::default() };
        }
        self
    }
}

impl Audit {
    const fn is_under_way(&self) -> bool {
        matches!(self.status, Status::Pending | Status::Delayed)
    }

    pub(super) fn is_passed(&self) -> bool {
        self.status == Status::Passed
    }

    fn written(&self) -> Value {
        let mut written = json!({ "status": self.status as u64 });
        if matches!(self.status, Status::Refused | Status::Delayed) {
            written["reason"] = json!(self.reason);
        }
        if self.status == Status::Refused {
            written["screenshot"] = json!(self.screenshots.join("|"));
        }
        written
    }
}

impl Code {
    fn audit_under_way(&mut self) -> Option<&mut Audit> {
        self.audits.last_mut().filter(|audit| audit.is_under_way())
    }

    fn audit(&mut self, id: u64) -> Result<&mut Audit, Refusal> {
        let audit = self.audits.iter_mut().find(|audit| audit.id == id);
        audit.ok_or_else(|| Refusal::new(85012, "invalid audit id"))
    }
}

impl Simulator {
    /// Has WeChat's auditors decide about the version of a mini program that is in audit. The event is returned unsent;
    /// `None` if none is in audit.
    #[must_use]
    pub fn decide_audit(&self, mini_program: &AppId, result: &AuditResult) -> Option<Message> {
        let account = self.account(mini_program)?;
        let decided = self.change_account(mini_program, |of, _| {
            let audit = of.code.audit_under_way()?;
            let (status, reason, screenshots) = match result {
                AuditResult::Passed => (Status::Passed, "", &[][..]),
                AuditResult::Refused { reason, screenshots } => (Status::Refused, reason.as_str(), &screenshots[..]),
                AuditResult::Delayed { reason } => (Status::Delayed, reason.as_str(), &[][..]),
            };
            (audit.status, audit.reason, audit.screenshots) = (status, reason.to_owned(), screenshots.to_vec());
            Some(())
        });
        decided?;
        let now = self.now().unix().to_string();
        let event = |name: &str| Message::event(&account, &account.administrator(), name);
        Some(match result {
            AuditResult::Passed => event("weapp_audit_success").with("SuccTime", &now),
            AuditResult::Refused { reason, screenshots } => {
                let event = event("weapp_audit_fail").with("Reason", reason).with("FailTime", &now);
                event.with("ScreenShot", &screenshots.join("|"))
            }
            AuditResult::Delayed { reason } => {
                event("weapp_audit_delay").with("Reason", reason).with("DelayTime", &now)
            }
        })
    }

    /// Whether a version of the mini program is in audit.
    #[must_use]
    pub fn is_in_audit(&self, mini_program: &AppId) -> bool {
        self.of_account(mini_program, |of| of.code.audits.last().is_some_and(Audit::is_under_way))
    }

    /// A picture of what an auditor saw of a mini program: its media id, for `get_material`.
    #[must_use]
    pub fn audit_screenshot(&self, mini_program: &AppId) -> String {
        let picture = sample_picture(20_000).into();
        self.keep_medium(mini_program, Purpose::Audit, Format::Jpeg, &picture).id
    }
}

pub(crate) fn submit(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    if let Some(items) = request.body.get("item_list").and_then(Value::as_array) {
        check_items(items)?;
    }
    for id in request.text("feedback_stuff")?.unwrap_or_default().split('|').filter(|id| !id.is_empty()) {
        if !simulator.has_medium(&holder.account, id) {
            return Err(Refusal::invalid_medium());
        }
    }
    let id = simulator.change_both(&holder.account, |of, platform, at| {
        let trial = of.code.trial.clone().ok_or_else(|| Refusal::new(85086, "should commit before submit"))?;
        if of.code.audit_under_way().is_some() {
            return Err(Refusal::new(85009, "there is a code version in audit already"));
        }
        check_scanned(&trial, at.now)?;
        let quota = platform.audit_quota.of(at.now);
        if quota.audits >= MAX_AUDITS.0 {
            return Err(Refusal::new(85085, "audit quota of this month is used up"));
        }
        quota.audits += 1;
        let id = 100_000_000 + at.random.up_to(899_999_999);
        of.code.audits.push(Audit {
            id,
            version: trial,
            status: Status::Pending,
            reason: String::new(),
            screenshots: Vec::new(),
            submitted_at: at.now,
            is_expedited: false,
            is_released: false,
        });
        Ok(id)
    })?;
    Ok(ok(json!({ "auditid": id })))
}

fn check_items(items: &[Value]) -> Result<(), Refusal> {
    if items.is_empty() || items.len() > MAX_ITEMS {
        return Err(Refusal::new(85023, "invalid item_list size"));
    }
    for item in items {
        let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("first_class").is_empty() || text("second_class").is_empty() {
            return Err(Refusal::new(85008, "invalid category"));
        }
        if text("title").chars().count() > MAX_TITLE {
            return Err(Refusal::new(85011, "invalid title"));
        }
    }
    Ok(())
}

pub(crate) fn status(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let id = request.number("auditid")?;
    simulator.change_account(&holder.account, |of, _| of.code.audit(id).map(|audit| ok(audit.written())))
}

pub(crate) fn latest(simulator: &Simulator, _: &Request, holder: &Holder) -> Outcome {
    simulator.of_account(&holder.account, |of| {
        let audit = of.code.audits.last().ok_or_else(Refusal::nothing_audited)?;
        let mut written = audit.written();
        written["auditid"] = json!(audit.id);
        written["user_version"] = json!(audit.version.name);
        written["user_desc"] = json!(audit.version.description);
        written["submit_audit_time"] = json!(audit.submitted_at.unix());
        Ok(ok(written))
    })
}

pub(crate) fn withdraw(simulator: &Simulator, _: &Request, holder: &Holder) -> Outcome {
    simulator.change_account(&holder.account, |of, at| {
        let (day, month) = (beijing_day(at.now), beijing_month(at.now));
        of.code.withdrawals.retain(|then| beijing_month(*then) == month);
        let today = of.code.withdrawals.iter().filter(|then| beijing_day(**then) == day).count();
        if today >= MAX_WITHDRAWALS.0 || of.code.withdrawals.len() >= MAX_WITHDRAWALS.1 {
            return Err(Refusal::new(87013, "no quota to undo code audit"));
        }
        let audit = of.code.audit_under_way().ok_or_else(Refusal::nothing_audited)?;
        audit.status = Status::Withdrawn;
        of.code.withdrawals.push(at.now);
        Ok(ok(json!({})))
    })
}

pub(crate) fn expedite(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let id = request.number("auditid")?;
    simulator.change_both(&holder.account, |of, platform, at| {
        let audit = of.code.audit(id)?;
        if !audit.is_under_way() {
            return Err(Refusal::new(89402, "the audit is not under way"));
        }
        if audit.is_expedited {
            return Err(Refusal::new(89404, "the audit is expedited already"));
        }
        let quota = platform.audit_quota.of(at.now);
        if quota.expedited >= MAX_AUDITS.1 {
            return Err(Refusal::new(89405, "no quota to expedite an audit"));
        }
        quota.expedited += 1;
        audit.is_expedited = true;
        Ok(ok(json!({})))
    })
}

pub(crate) fn quota(simulator: &Simulator, _: &Request, _: &Holder) -> Outcome {
    let (audits, expedited) = simulator.change_platform(|of, at| {
        let quota = of.audit_quota.of(at.now);
        (quota.audits, quota.expedited)
    });
    let (limit, speedup_limit) = MAX_AUDITS;
    Ok(ok(json!({
        "rest": limit - audits,
        "limit": limit,
        "speedup_rest": speedup_limit - expedited,
        "speedup_limit": speedup_limit,
    })))
}

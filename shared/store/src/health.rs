//! The records of the refresher's last runs, one item for each scheduled task and part of it, for people and tools
//! outside.
//!
//! The platform itself does not depend on them. They contain counts, codes and WeChat's sanitized messages, no secret.

use base::clock::Timestamp;
use wechat::api::{Api, ErrCode, LastAnswer, LastRefusal, LastResponses, Refusal};

use crate::StoreError;
use crate::accounts::DuePart;
use crate::attributes::{
    ANSWER_API, ANSWER_AT, ANSWER_CODE, FINISHED_AT, REFUSAL_API, REFUSAL_AT, REFUSAL_CODE, REFUSAL_IP, REFUSAL_RID,
    REFUSAL_WORDS, REPORT,
};
use crate::item::{Attributes, Item};
use crate::part::Part;
use crate::write::{absent, is_until};

/// A scheduled task of the refresher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduledTask {
    /// Every five minutes: renews the accounts of a part that are due.
    Renew(DuePart),
    /// Every hour: compares the accounts with WeChat's list.
    Reconcile,
}

impl ScheduledTask {
    /// The word in the table, in logs and in metrics: `renew` for the first part and for an undivided run, `renew-1` to
    /// `renew-3` for the others.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Renew(part) => match part.number() {
                0 => "renew",
                1 => "renew-1",
                2 => "renew-2",
                3.. => "renew-3",
            },
            Self::Reconcile => "reconcile",
        }
    }
}

/// The record of the newest run of a task, or of a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// When it ended, by our clock.
    pub finished_at: Timestamp,
    /// Its report as JSON text.
    pub report: String,
    /// WeChat's last responses. When written: in this run. When read: in the newest run that recorded any; the response
    /// and the refusal may be from different runs.
    pub last_responses: LastResponses,
}

/// The health items of the tasks.
#[derive(Debug, Clone)]
pub struct HealthRecords(pub(crate) Part);

impl HealthRecords {
    /// Stores the record of a run, unless a run that ended later has stored its own. Responses that the run did not get
    /// stay as they were. One write.
    pub async fn put(&self, task: ScheduledTask, health: &Health) -> Result<(), StoreError> {
        let mut change = self
            .0
            .change(self.0.only("health", task.name()))
            .set(FINISHED_AT, health.finished_at)
            .set(REPORT, &health.report);
        if let Some(answer) = &health.last_responses.answer {
            change = change.set(ANSWER_AT, answer.at).set(ANSWER_API, answer.api.name()).set(ANSWER_CODE, &answer.code);
        }
        if let Some(LastRefusal { at, refusal }) = &health.last_responses.refusal {
            change = change
                .set(REFUSAL_AT, *at)
                .set(REFUSAL_API, refusal.api.name())
                .set(REFUSAL_CODE, refusal.code.code())
                .set(REFUSAL_WORDS, &refusal.errmsg)
                .set_or_remove(REFUSAL_RID, refusal.rid.as_ref())
                .set_or_remove(REFUSAL_IP, refusal.refused_ip.map(|ip| ip.to_string()));
        }
        change.when(absent(FINISHED_AT).or(is_until(FINISHED_AT, health.finished_at))).apply().await.map(drop)
    }

    /// Reads the record of a task's newest run; `None` before the first. One read.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn get(&self, task: ScheduledTask) -> Result<Option<Health>, StoreError> {
        let Some(attributes) = self.0.get(self.0.only("health", task.name())).await? else { return Ok(None) };
        read(attributes).map(Some)
    }
}

fn read(attributes: Attributes) -> Result<Health, StoreError> {
    let item = Item::new("health", attributes);
    Ok(Health {
        finished_at: item.instant(FINISHED_AT).ok_or(item.lacks(FINISHED_AT))?,
        report: item.text(REPORT).ok_or(item.lacks(REPORT))?.to_owned(),
        last_responses: LastResponses { answer: answer(&item), refusal: refusal(&item) },
    })
}

fn answer(item: &Item) -> Option<LastAnswer> {
    Some(LastAnswer {
        at: item.instant(ANSWER_AT)?,
        api: Api::from_name(item.text(ANSWER_API)?)?,
        code: item.text(ANSWER_CODE)?.to_owned(),
    })
}

fn refusal(item: &Item) -> Option<LastRefusal> {
    let refusal = Refusal {
        api: Api::from_name(item.text(REFUSAL_API)?)?,
        code: ErrCode::from_code(item.number(REFUSAL_CODE)?),
        errmsg: item.text(REFUSAL_WORDS)?.to_owned(),
        rid: item.text(REFUSAL_RID).map(str::to_owned),
        refused_ip: item.parsed(REFUSAL_IP, str::parse),
    };
    Some(LastRefusal { at: item.instant(REFUSAL_AT)?, refusal })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_task_and_each_part_has_a_name_of_its_own() {
        let parts = DuePart::all_of(DuePart::ALL.shards().count().try_into().unwrap()).unwrap();
        let renew = parts.into_iter().map(ScheduledTask::Renew);
        let tasks: Vec<_> = renew.chain([ScheduledTask::Reconcile]).collect();
        let names: BTreeSet<_> = tasks.iter().map(|task| task.name()).collect();
        assert_eq!(names.len(), tasks.len());
    }
}

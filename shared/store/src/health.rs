//! How the refresher's last runs went, one item for each scheduled task and part of it: for people and tools that look
//! from outside.
//!
//! Nothing in the platform reads it. It holds counts, codes and WeChat's cleaned words, no secret.

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

/// A task that the refresher does on schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduledTask {
    /// Every five minutes: renews what is due of a part of the accounts.
    Renew(DuePart),
    /// Every hour: compares with WeChat's list of accounts.
    Reconcile,
}

impl ScheduledTask {
    /// The word in the table, in logs and in metrics: of the first part, and of an undivided run, `renew`; of the others
    /// `renew-1` to `renew-3`.
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

/// How the newest run of a task, or of a part of it, went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// When it ended, by our clock.
    pub finished_at: Timestamp,
    /// Its report as JSON text.
    pub report: String,
    /// What WeChat last said. Written: in this run. Read: in the newest run that heard anything, each part of its own.
    pub last_responses: LastResponses,
}

/// The health items of the tasks.
#[derive(Debug, Clone)]
pub struct HealthRecords(pub(crate) Part);

impl HealthRecords {
    /// Writes down how a run went, unless one that ended later has done so. What the run did not hear stays as it was.
    /// One write.
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

    /// How the newest run of a task went; `None` before the first. One read.
    ///
    /// # Errors
    /// [`StoreError`] where it cannot be read.
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

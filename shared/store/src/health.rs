//! How the refresher's last runs went, one item for each scheduled task: for people and tools that look from outside.
//!
//! Nothing in the platform reads it. It holds counts, codes and WeChat's cleaned words, no secret.

use base::clock::Timestamp;
use wechat::api::{Api, ErrCode, Heard, LastAnswer, LastRefusal, Refusal};

use super::item::{Attributes, Item, instant, number, text, write};
use super::{Vault, VaultError};

/// A task that the refresher does on schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduledTask {
    /// Every five minutes: renews what is due.
    Renew,
    /// Every hour: compares with WeChat's list of accounts.
    Reconcile,
}

impl ScheduledTask {
    /// The word in the table, in events and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Renew => "renew",
            Self::Reconcile => "reconcile",
        }
    }
}

/// How the newest run of a task went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// When it ended, by our clock.
    pub finished_at: Timestamp,
    /// Its report as JSON text.
    pub report: String,
    /// What WeChat last said. Written: in this run. Read: in the newest run that heard anything, each part of its own.
    pub heard: Heard,
}

impl Vault {
    fn health_key(&self) -> String {
        self.key("health", None)
    }

    /// Writes down how a run went, unless one that ended later has done so. What the run did not hear stays as it was.
    /// One write.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn put_health(&self, task: ScheduledTask, health: &Health) -> Result<(), VaultError> {
        let mut set = vec![("finished_at", instant(health.finished_at)), ("report", text(&health.report))];
        let mut remove = Vec::new();
        if let Some(answer) = &health.heard.answer {
            set.push(("answer_at", instant(answer.at)));
            set.push(("answer_api", text(answer.api.name())));
            set.push(("answer_code", text(&answer.code)));
        }
        if let Some(LastRefusal { at, refusal }) = &health.heard.refusal {
            set.push(("refusal_at", instant(*at)));
            set.push(("refusal_api", text(refusal.api.name())));
            set.push(("refusal_code", number(refusal.code.code())));
            set.push(("refusal_words", text(&refusal.errmsg)));
            for (name, value) in
                [("refusal_rid", refusal.rid.clone()), ("refusal_ip", refusal.refused_ip.map(|ip| ip.to_string()))]
            {
                match value {
                    Some(value) => set.push((name, text(value))),
                    None => remove.push(name),
                }
            }
        }
        let assignments: Vec<String> = set.iter().map(|(name, _)| format!("{name} = :{name}")).collect();
        let mut expression = format!("SET {}", assignments.join(", "));
        if !remove.is_empty() {
            expression = format!("{expression} REMOVE {}", remove.join(", "));
        }
        let mut update = self
            .update(self.health_key(), task.as_str())
            .update_expression(expression)
            .condition_expression("attribute_not_exists(finished_at) OR finished_at <= :finished_at");
        for (name, value) in set {
            update = update.expression_attribute_values(format!(":{name}"), value);
        }
        write(update).await.map(drop)
    }

    /// How the newest run of a task went; `None` before the first. One read.
    ///
    /// # Errors
    /// [`VaultError`] where it cannot be read.
    pub async fn health(&self, task: ScheduledTask) -> Result<Option<Health>, VaultError> {
        let Some(attributes) = self.get(self.health_key(), task.as_str()).await? else { return Ok(None) };
        read(attributes).map(Some)
    }
}

fn read(attributes: Attributes) -> Result<Health, VaultError> {
    let item = Item::new("health", attributes);
    Ok(Health {
        finished_at: item.instant("finished_at").ok_or(item.lacks("finished_at"))?,
        report: item.text("report").ok_or(item.lacks("report"))?.to_owned(),
        heard: Heard { answer: answer(&item), refusal: refusal(&item) },
    })
}

fn answer(item: &Item) -> Option<LastAnswer> {
    Some(LastAnswer {
        at: item.instant("answer_at")?,
        api: Api::from_name(item.text("answer_api")?)?,
        code: item.text("answer_code")?.to_owned(),
    })
}

fn refusal(item: &Item) -> Option<LastRefusal> {
    let refusal = Refusal {
        api: Api::from_name(item.text("refusal_api")?)?,
        code: ErrCode::from_code(item.number("refusal_code")?),
        errmsg: item.text("refusal_words")?.to_owned(),
        rid: item.text("refusal_rid").map(str::to_owned),
        refused_ip: item.parsed("refusal_ip", str::parse),
    };
    Some(LastRefusal { at: item.instant("refusal_at")?, refusal })
}

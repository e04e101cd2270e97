//! How the refresher fares: its last runs and what WeChat last said to it, from the items it leaves in the table.
//!
//! The doctor calls nothing of WeChat's: each call would count, and some replace tokens.

use std::time::Duration;

use base::clock::Timestamp;
use serde::Deserialize;
use store::{DuePart, Health, ScheduledTask, Store, StoreError};
use wechat::api::{LastAnswer, LastRefusal, SUCCESS};

use super::items::unreadable;
use super::refusal;
use crate::finding::Finding;
use crate::format::{ago, count};

const RENEWED: &str = "refresher";

const RECONCILED: &str = "reconcile";

const WECHAT: &str = "WeChat's answers";

/// It runs every 5 minutes: after this long it has stopped, and the alarm rings too.
const RENEW_SILENT: Duration = Duration::from_mins(15);

/// It runs every hour: after this long it has stopped.
const RECONCILE_SILENT: Duration = Duration::from_hours(3);

/// The part of a run's report that matters here.
#[derive(Debug, Deserialize, Default)]
#[serde(default)]
struct Report {
    renewed: u64,
    failed: std::collections::BTreeMap<String, u64>,
    left_over: u64,
    inbox_done: u64,
}

impl Report {
    fn of(health: &Health) -> Self {
        serde_json::from_str(&health.report).unwrap_or_default()
    }

    /// What several runs did that share the accounts.
    fn add(mut self, other: Self) -> Self {
        self.renewed += other.renewed;
        self.left_over += other.left_over;
        self.inbox_done += other.inbox_done;
        for (code, number) in other.failed {
            *self.failed.entry(code).or_default() += number;
        }
        self
    }
}

/// Both tasks, and what WeChat said in either. Each of the parts of the accounts has a renew run.
pub(super) async fn examine(store: &Store, parts: &[DuePart], now: Timestamp) -> Vec<Finding> {
    let (renew, reconcile) = match (renew_runs(store, parts).await, store.health.get(ScheduledTask::Reconcile).await) {
        (Ok(renew), Ok(reconcile)) => (renew, reconcile),
        (Err(error), _) | (_, Err(error)) => return vec![unreadable(RENEWED, &error)],
    };
    let renews = renew.iter().any(Option::is_some);
    let mut findings = vec![renewed(&renew, now), reconciled(reconcile.as_ref(), renews, now)];
    let runs = || renew.iter().chain([&reconcile]).flatten();
    let answer = runs().filter_map(|health| health.heard.answer.as_ref()).max_by_key(|answer| answer.at);
    let refused = runs().filter_map(|health| health.heard.refusal.as_ref()).max_by_key(|refused| refused.at);
    findings.extend(heard(answer, refused, now));
    findings
}

/// How the newest run of each part went.
async fn renew_runs(store: &Store, parts: &[DuePart]) -> Result<Vec<Option<Health>>, StoreError> {
    let mut found = Vec::new();
    for part in parts {
        found.push(store.health.get(ScheduledTask::Renew(*part)).await?);
    }
    Ok(found)
}

fn renewed(parts: &[Option<Health>], now: Timestamp) -> Finding {
    let stopped = "is its schedule on (EventBridge Scheduler), and what does token-refresher's log say? A run that cannot read \
                   the secret does not count; the queue of failures has runs that never began";
    let which = |place: usize| match parts.len() {
        1 => "it".to_owned(),
        _ => format!("the run of part {place}"),
    };
    // One that never ended comes before all others.
    let oldest = parts.iter().enumerate().min_by_key(|(_, health)| health.as_ref().map(|health| health.finished_at));
    let (place, oldest) = oldest.map_or((0, None), |(place, health)| (place, health.as_ref()));
    let Some(oldest) = oldest else {
        let sentence = format!("{} has never finished a run, and one comes every 5 minutes", which(place));
        return Finding::wrong(RENEWED, sentence, stopped);
    };
    let when = ago(oldest.finished_at, now);
    if now.since(oldest.finished_at) > RENEW_SILENT {
        return Finding::wrong(
            RENEWED,
            format!("{} last ran {when}, and should every 5 minutes", which(place)),
            stopped,
        );
    }
    let report = parts.iter().flatten().map(Report::of).fold(Report::default(), Report::add);
    let did = format!("it ran {when}: {} renewed, {} of the inbox done", report.renewed, report.inbox_done);
    let failed: Vec<String> = report.failed.iter().map(|(code, number)| format!("{number} by {code}")).collect();
    match (failed.is_empty(), report.left_over) {
        (true, 0) => Finding::ok(RENEWED, format!("{did}, nothing failed")),
        (true, left) => Finding::warning(
            RENEWED,
            format!("{did}, {} left over for want of time", count(left, "account")),
            "the next run goes on; if it stays so, raise RefresherWindow or RefresherRuns",
        ),
        (false, left) => {
            let left = if left == 0 { String::new() } else { format!(", {} left over", count(left, "account")) };
            let sentence = format!("{did}; failed: {}{left}", failed.join(", "));
            Finding::warning(
                RENEWED,
                sentence,
                "see WeChat's answers below and token-refresher's log; it is tried again",
            )
        }
    }
}

fn reconciled(health: Option<&Health>, renews: bool, now: Timestamp) -> Finding {
    let advice = "is its schedule on (EventBridge Scheduler), and what does token-refresher's log say?";
    match health {
        None if renews => Finding::ok(RECONCILED, "not yet; it comes every hour"),
        None => Finding::warning(RECONCILED, "it has never run", advice),
        Some(health) if now.since(health.finished_at) > RECONCILE_SILENT => {
            let sentence = format!("it last ran {}, and should every hour", ago(health.finished_at, now));
            Finding::wrong(RECONCILED, sentence, advice)
        }
        Some(health) => Finding::ok(RECONCILED, format!("it ran {}", ago(health.finished_at, now))),
    }
}

/// The last answer, and the last refusal where it is of any interest.
fn heard(answer: Option<&LastAnswer>, refused: Option<&LastRefusal>, now: Timestamp) -> Vec<Finding> {
    let Some(answer) = answer else {
        let advice = "it calls at its next run, once there is a ticket";
        return vec![Finding::warning(WECHAT, "the refresher has not called WeChat yet", advice)];
    };
    let said = format!("{} {}", answer.api.name(), ago(answer.at, now));
    let mut findings = Vec::new();
    if answer.code == SUCCESS {
        findings.push(Finding::ok(WECHAT, format!("the last was a success: {said}")));
    } else if answer.code.parse::<i64>().is_err() {
        let sentence = format!("the last call brought no answer ({}): {said}", answer.code);
        let advice =
            "check the functions' way out: NAT, routes, security groups; and that WECHAT_API_BASE_URL is right";
        findings.push(Finding::wrong(WECHAT, sentence, advice));
    }
    let Some(refused) = refused else { return findings };
    let told = refusal::told(&refused.refusal);
    let when = ago(refused.at, now);
    if answer.code == SUCCESS && answer.at > refused.at {
        findings.push(Finding::ok(WECHAT, format!("a refusal {when} is over, WeChat has answered well since: {told}")));
    } else {
        let sentence = format!("refused {when}: {told}");
        findings.push(
            Finding::wrong(WECHAT, sentence, refusal::advice(&refused.refusal))
                .with(refusal::verdict(&refused.refusal)),
        );
    }
    findings
}

//! All checks of the table's items.

use base::clock::Timestamp;
use store::{DuePart, Health, HealthRecords, ScheduledTask, StoreError};

use crate::answers::Answers;
use crate::finding::{Check, Finding};
use crate::runs::{Reconciliations, Renewals};
use crate::{component_token, inbox, messages, outbox, ticket};

store::access_to! {
    /// The repositories of the checks. They read nothing secret.
    pub struct Reads {
        vitals: Vitals,
        health: HealthRecords,
        arrivals: Arrivals,
        message_arrivals: MessageArrivals,
    }
}

/// What is known about the deployment apart from its table.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The base of the URLs that must be entered in WeChat's console, without a trailing slash.
    pub public_base: String,
    /// The parts of the accounts, each with a run of its own.
    pub parts: Vec<DuePart>,
}

impl Setup {
    /// The URL to which WeChat must push tickets and authorizations.
    #[must_use]
    pub fn events_url(&self) -> String {
        format!("{}/wechat/events", self.public_base)
    }

    /// The URL to which WeChat must push messages and events of accounts, with the `$APPID$` that WeChat replaces.
    #[must_use]
    pub fn messages_url(&self) -> String {
        format!("{}/wechat/accounts/$APPID$/events", self.public_base)
    }
}

/// Runs every check, in the order in which the findings are best read: what later ones depend on comes first. A check
/// that fails does not stop the others. It takes about a dozen reads and queries; the caller bounds the time.
pub async fn examine(reads: &Reads, setup: &Setup, now: Timestamp) -> Vec<Finding> {
    let (mut findings, token, runs, messages, inbox, outbox) = tokio::join!(
        examine_ticket(reads, setup, now),
        component_token::look(&reads.vitals, now),
        examine_runs(reads, setup, now),
        examine_messages(reads, setup, now),
        inbox::look(&reads.arrivals, now),
        outbox::look(&reads.arrivals, now),
    );
    findings.push(token);
    findings.extend(runs);
    findings.push(messages);
    findings.push(inbox);
    findings.extend(outbox);
    findings
}

/// Checks the newest ticket only, with one read.
pub async fn examine_ticket(reads: &Reads, setup: &Setup, now: Timestamp) -> Vec<Finding> {
    ticket::look(&reads.vitals, setup.events_url(), now).await
}

/// Checks when a message last arrived, with half a read unit.
pub async fn examine_messages(reads: &Reads, setup: &Setup, now: Timestamp) -> Finding {
    messages::look(&reads.message_arrivals, setup.messages_url(), now).await
}

/// Checks the runs of both tasks, and WeChat's responses in them. It takes one read for each part of the accounts,
/// since each part has its own renew run, and one for the reconcile run.
pub async fn examine_runs(reads: &Reads, setup: &Setup, now: Timestamp) -> Vec<Finding> {
    let (health, parts) = (&reads.health, &setup.parts);
    let (renew, reconcile) = match tokio::try_join!(renew_runs(health, parts), health.get(ScheduledTask::Reconcile)) {
        Ok(runs) => runs,
        Err(error) => return vec![Finding::unreadable(Check::Renewals, error)],
    };
    let renews = renew.iter().any(Option::is_some);
    let mut findings =
        vec![Renewals::of(&renew, now).into(), Reconciliations::of(reconcile.as_ref(), renews, now).into()];
    let runs = renew.iter().chain([&reconcile]).flatten();
    findings.extend(Answers::of(runs, now).into_iter().map(Finding::from));
    findings
}

/// The record of the newest run of each part.
async fn renew_runs(health: &HealthRecords, parts: &[DuePart]) -> Result<Vec<Option<Health>>, StoreError> {
    let mut found = Vec::new();
    for part in parts {
        found.push(health.get(ScheduledTask::Renew(*part)).await?);
    }
    Ok(found)
}

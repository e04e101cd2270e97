//! `cargo run -- release-check`: plays WeChat's side of the release check (全网发布接入检测, protocol section 7).
//!
//! Through the simulator's control API it lets WeChat's own test accounts authorize the platform, sends what WeChat sends
//! and judges what comes back; and it sends the same for an ordinary account, which must get none of it. Every wait is
//! bounded. Codes and tokens are compared and never printed, nor is any text that was not expected.

mod candidate;
mod control;
mod judge;
mod ordinary;
mod report;

use std::time::Duration;

use base::clock::{Clock as _, SystemClock, Timestamp};
use futures::future::join_all;
use simulator::{Account, AccountKind, PushAnswer};
use tokio::time::Instant;
use url::Url;

use self::candidate::Candidate;
use self::control::{Control, ControlError};
use self::judge::{accepted, milliseconds};
use crate::args::ReleaseCheckArgs;

pub use self::report::{Report, Row};

/// How long is waited for what may come after the answer.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// For the customer-service message of a test account.
    message: Duration,
    /// For the one that an ordinary account must not send: longer than a test account's takes.
    nothing: Duration,
}

/// The platform means to send the message within two seconds; a slow one is told by its time, not by its absence.
const PATIENCE: Patience = Patience { message: Duration::from_secs(8), nothing: Duration::from_secs(3) };

/// Checks the platform that the simulator at `options.simulator` pushes to.
pub async fn check(options: &ReleaseCheckArgs) -> Report {
    run(&options.simulator, &options.groups(), PATIENCE, SystemClock.now()).await
}

async fn run(simulator: &Url, groups: &[u8], patience: Patience, now: Timestamp) -> Report {
    let shown = simulator.as_str().trim_end_matches('/');
    let control = match Control::new(simulator) {
        Ok(control) => control,
        Err(error) => return Report::nothing(format!("no HTTP client on this machine: {error}")),
    };
    let known = match control.accounts().await {
        Ok(known) => known,
        Err(ControlError::Unreachable) => {
            return Report::nothing(format!(
                "Nothing answers at {shown}. Start cargo run in another terminal, or say with --simulator where the \
                 simulator is."
            ));
        }
        Err(error) => {
            return Report::nothing(format!(
                "At {shown} there is no simulator of this version: {error}. Start cargo run in another terminal, or say with \
                 --simulator where the simulator is."
            ));
        }
    };
    let candidates: Vec<Candidate> = groups.iter().copied().flat_map(candidates).collect();
    let ready = async {
        not_used_up(&control, &candidates, now).await?;
        ticket(&control).await
    };
    let ticket = match ready.await {
        Ok(row) => row,
        Err(nothing) => return nothing,
    };
    let (checked, ordinary) = tokio::join!(
        join_all(candidates.iter().map(|candidate| candidate.check(&control, patience.message))),
        ordinary::check(&control, &known, patience.nothing),
    );
    let rows = std::iter::once(ticket).chain(checked.into_iter().flatten()).chain(ordinary).collect();
    for candidate in &candidates {
        candidate.leave(&control).await;
    }
    Report::of(format!("Release check through {shown}"), rows)
}

/// The official account and the mini program of a group.
fn candidates(group: u8) -> impl Iterator<Item = Candidate> {
    [AccountKind::OfficialAccount, AccountKind::MiniProgram].into_iter().filter_map(move |kind| {
        let index = usize::from(group).checked_sub(1)?;
        let account = Account::release_check().into_iter().filter(|account| account.kind == kind).nth(index)?;
        Some(Candidate { group, account })
    })
}

/// The platform takes a further code of each account; else the check would find fault with what is meant to be so.
async fn not_used_up(control: &Control, candidates: &[Candidate], now: Timestamp) -> Result<(), Report> {
    let sent = control
        .sent()
        .await
        .map_err(|error| Report::nothing(format!("The simulator does not say what was sent: {error}.")))?;
    let Some(used_up) = candidates.iter().find(|candidate| candidate.is_used_up(&sent, now)) else { return Ok(()) };
    Err(Report::nothing(format!(
        "Nothing was checked: more than three codes a minute and account are refused, and {} has had its three. Wait a \
         minute and run it again, or check another group with --group.",
        used_up.account.appid
    )))
}

/// A ticket, which the platform must answer with `success`: where it does not answer at all, there is nothing to check.
async fn ticket(control: &Control) -> Result<Row, Report> {
    let start = Instant::now();
    let outcome =
        control.ticket().await.map_err(|error| Report::nothing(format!("No ticket could be pushed: {error}.")))?;
    if let PushAnswer::Unanswered { .. } = outcome.answer {
        return Err(Report::nothing(
            "The simulator runs, and the platform it pushes to gives no answer. Is that cargo run still there? Start both \
             again."
                .to_owned(),
        ));
    }
    Ok(accepted("ticket", "platform", &outcome, milliseconds(start)))
}

#[cfg(test)]
mod tests;

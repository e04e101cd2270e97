//! `/console`: is the platform alive, and who was lost.

use std::time::Duration;

use askama::Template;
use axum::response::Response;
use base::clock::Timestamp;
use base::ids::{AppId, LinkId};
use base::language::Language;
use diagnosis::words::change;
use diagnosis::{Finding, Verdict};
use http::StatusCode;
use store::{AccountList, AccountState, KnownAccount, PastRun, StateChange, Turn, TurnedAccount};

use super::setup::class;
use crate::chart::{self, Bar};
use crate::trouble::Trouble;
use crate::view::View;
use crate::visit::{OpenVisit, Visit};
use crate::words::{self, Badge};

/// The charts show this long.
const DAY: Duration = Duration::from_hours(24);

const HOUR: i64 = 3_600;

/// Bars of a chart.
const HOURS: i64 = 24;

/// Accounts that were lost within this time are listed.
const LATELY: Duration = Duration::from_hours(24 * 7);

/// As many of them as are shown.
const SHOWN: usize = 20;

#[derive(Template)]
#[template(path = "overview.html")]
struct Page<'a> {
    v: &'a View,
    wrong: usize,
    warnings: usize,
    findings: Vec<Row>,
    states: Vec<Tile>,
    chart: Option<String>,
    renewed: u64,
    failed: u64,
    reasons: Vec<(String, u64)>,
    lost: Vec<Turned>,
    has_more_lost: bool,
    gained: Vec<Turned>,
}

/// A finding of the doctor's.
struct Row {
    class: &'static str,
    verdict: &'static str,
    check: &'static str,
    sentence: String,
    remedy: Option<String>,
}

/// How many accounts are in a state.
struct Tile {
    count: u64,
    text: &'static str,
    word: &'static str,
}

/// An account that came or was lost.
struct Turned {
    appid: AppId,
    name: String,
    reference: String,
    at: Timestamp,
    what: String,
    /// How it is doing now, where that is something else by then.
    now: Option<Badge>,
    /// The link that asks the merchant again.
    link: Option<LinkId>,
}

/// `GET /console`.
pub(crate) async fn show(visit: Visit) -> Response {
    visit.answer("showing the overview", shown).await
}

/// The doctor's findings about the table.
pub(super) async fn examine(visit: &OpenVisit) -> Vec<Finding> {
    let config = visit.console.config();
    let setup = diagnosis::Setup {
        events_url: format!("{}/wechat/events", config.public_base.as_str()),
        parts: store::DuePart::all_of(config.refresher_runs).unwrap_or_else(|| vec![store::DuePart::ALL]),
    };
    Box::pin(diagnosis::examine(&visit.open.reads, &setup, visit.open.now())).await
}

async fn shown(visit: OpenVisit) -> Result<Response, Trouble> {
    let v = visit.titled("概览", "Overview");
    let (items, now) = (&visit.open.items, visit.open.now());
    let lists = &items.account_lists;
    let (findings, read) = tokio::join!(examine(&visit), async {
        tokio::try_join!(
            items.runs.renewals(now.minus(DAY)),
            items.turns.page(Turn::Lost, SHOWN, None),
            items.turns.page(Turn::Gained, SHOWN, None),
            lists.count(AccountList::InState(AccountState::Active)),
            lists.count(AccountList::InState(AccountState::NeedsAuthorization)),
            lists.count(AccountList::InState(AccountState::Unauthorized)),
        )
    });
    let (runs, lost, gained, active, needed, withdrawn) = read?;
    let counts = [active, needed, withdrawn];
    let states = [AccountState::Active, AccountState::NeedsAuthorization, AccountState::Unauthorized];
    let tile = |(state, count): (AccountState, u64)| Tile {
        count,
        text: words::state(state, v.language).text,
        word: state.as_str(),
    };
    let has_more_lost = lost.next.is_some();
    let (lost, gained) =
        (turned(&visit, lost.turns, v.language).await?, turned(&visit, gained.turns, v.language).await?);
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (wrong, warnings) = (count(Verdict::Wrong), count(Verdict::Warning));
    let bars = bars(&runs, now);
    let [renewed, failed] = [|bar: &Bar| bar.done, |bar: &Bar| bar.failed].map(|count| bars.iter().map(count).sum());
    let said = match v.language {
        Language::Chinese => format!("最近 24 小时每小时的续期：共成功 {renewed} 次，失败 {failed} 次"),
        Language::English => format!("Renewals of tokens in the last 24 hours: {renewed} done, {failed} failed"),
    };
    let page = Page {
        wrong,
        warnings,
        findings: findings.iter().map(|finding| Row::of(finding, v.language)).collect(),
        states: states.into_iter().zip(counts).map(tile).collect(),
        chart: chart::bars(&bars, &said),
        renewed,
        failed,
        reasons: reasons(&runs, v.language),
        lost,
        has_more_lost,
        gained,
        v: &v,
    };
    Ok(v.page(StatusCode::OK, &page)?)
}

impl Row {
    fn of(finding: &Finding, language: Language) -> Self {
        Self {
            class: class(finding.verdict),
            verdict: finding.verdict.title(language),
            check: finding.check.title(language),
            sentence: finding.sentence(language),
            remedy: finding.remedy(language),
        }
    }
}

/// What the runs have done, hour by hour, the present one last; hours are Beijing's, whose offset is whole.
fn bars(runs: &[PastRun], now: Timestamp) -> Vec<Bar> {
    let present = now.unix().div_euclid(HOUR);
    let hours = (present - HOURS + 1)..=present;
    let mut bars: Vec<Bar> = hours
        .clone()
        .map(|hour| Bar { label: format!("{:02}:00", (hour + 8).rem_euclid(HOURS)), ..Bar::default() })
        .collect();
    for run in runs {
        let place = usize::try_from(run.finished_at.unix().div_euclid(HOUR) - hours.start()).ok();
        if let Some(bar) = place.and_then(|place| bars.get_mut(place)) {
            bar.done += run.counts.renewed;
            bar.failed += run.counts.failed.values().sum::<u64>();
        }
    }
    bars
}

/// Why something has failed, the most frequent reason first.
fn reasons(runs: &[PastRun], language: Language) -> Vec<(String, u64)> {
    let mut counted = std::collections::BTreeMap::<&str, u64>::new();
    for (label, count) in runs.iter().flat_map(|run| &run.counts.failed) {
        *counted.entry(label).or_default() += count;
    }
    let mut reasons: Vec<(String, u64)> =
        counted.into_iter().map(|(label, count)| (words::failure(label, language), count)).collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    reasons
}

/// Turns of the last days, with how their accounts are doing now.
async fn turned(visit: &OpenVisit, turns: Vec<TurnedAccount>, language: Language) -> Result<Vec<Turned>, Trouble> {
    let since = visit.open.now().minus(LATELY).unix();
    let turns: Vec<TurnedAccount> = turns.into_iter().filter(|turn| turn.event.at >= since).collect();
    let mut appids: Vec<AppId> = turns.iter().map(|turn| turn.account.clone()).collect();
    appids.sort_unstable();
    appids.dedup();
    let known = visit.open.items.account_lists.known(AccountList::All, &appids).await?;
    Ok(turns.into_iter().map(|turn| Turned::of(turn, &known, language)).collect())
}

impl Turned {
    fn of(turn: TurnedAccount, known: &[KnownAccount], language: Language) -> Self {
        let TurnedAccount { account, event } = turn;
        let known = known.iter().find(|known| known.appid == account);
        let profile = known.and_then(|known| known.details.profile.as_ref());
        let is_over = known.and_then(|known| known.details.state).is_some_and(|(_, since)| since.unix() > event.at);
        let link = match &event.change {
            StateChange::NeedsAuthorization { asks_again, .. } => asks_again.clone(),
            _ => None,
        };
        Self {
            name: profile.and_then(|profile| profile.nick_name.clone()).unwrap_or_else(|| account.to_string()),
            reference: event.labels.reference.clone().unwrap_or_default(),
            at: Timestamp::from_unix(event.at),
            what: change(&event.change, language),
            now: known.filter(|_| is_over).map(|known| words::standing(known, language)),
            link: link.filter(|_| !is_over),
            appid: account,
        }
    }
}

#[cfg(test)]
mod tests {
    use store::{Measured, RunCounts};

    use super::*;

    #[test]
    fn runs_are_counted_in_the_hour_in_which_they_ended() {
        let run = |at: i64, renewed: u64| PastRun {
            task: "renew".to_owned(),
            finished_at: Timestamp::from_unix(at),
            duration: Duration::ZERO,
            counts: RunCounts { renewed, failed: [("-1".to_owned(), 1)].into(), ..RunCounts::default() },
            measured: Measured::default(),
        };
        // 08:30 in Beijing.
        let now = Timestamp::from_unix(1_769_819_400);
        let hour = now.unix().div_euclid(HOUR) * HOUR;
        let bars = bars(&[run(hour, 1), run(hour + 60, 2), run(hour - 1, 4), run(hour - 25 * HOUR, 8)], now);
        assert_eq!(bars.len(), 24);
        assert_eq!((bars[23].done, bars[23].failed, bars[22].done), (3, 2, 4));
        assert_eq!(bars[23].label, "08:00");
        assert_eq!(bars.iter().map(|bar| bar.done).sum::<u64>(), 7, "what is older is not shown");
    }
}

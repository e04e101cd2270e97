//! `/console`: whether the platform works, and which accounts were lost. `/console/lost`: all lost accounts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use askama::Template;
use axum::response::Response;
use base::clock::Timestamp;
use base::ids::{AppId, LinkId};
use base::language::Language;
use base::phrase::Noun;
use diagnosis::words::change;
use diagnosis::{Finding, Setup, Verdict};
use http::StatusCode;
use store::{
    AccountList, AccountState, Churn, ChurnPlace, ChurnedAccount, Counted, DuePart, KnownAccount, LinkStatus, PastRun,
    StateChange, StoreError,
};

use crate::chart::{self, Bar};
use crate::trouble::Trouble;
use crate::view::{View, with_query};
use crate::visit::{OpenVisit, Visit};
use crate::words::{self, Badge, Section};

/// The time that the charts cover.
const DAY: Duration = Duration::from_hours(24);

const HOUR: i64 = 3_600;

/// Bars of a chart.
const HOURS: i64 = 24;

/// How long a lost account is listed here.
const LATELY: Duration = Duration::from_hours(24 * 7);

/// The most of them that are shown on the overview.
const SHOWN: usize = 20;

/// Accounts on a page of lost accounts.
const PAGE: usize = 50;

#[derive(Template)]
#[template(path = "overview.html")]
struct Page<'a> {
    v: &'a View,
    wrong: Option<String>,
    warnings: Option<String>,
    findings: Vec<Row>,
    // Each of these is missing if it cannot be read.
    states: Option<Vec<Tile>>,
    runs: Option<Runs>,
    lost: Option<Vec<Turned>>,
    /// The URL of more of them.
    next: Option<String>,
    gained: Option<Vec<Turned>>,
}

/// The results of the last day's runs.
struct Runs {
    chart: Option<String>,
    renewed: u64,
    /// Failures of any kind.
    failed: u64,
    reasons: Vec<(String, u64)>,
}

#[derive(Template)]
#[template(path = "lost.html")]
struct AllLost<'a> {
    v: &'a View,
    lost: Vec<Turned>,
    next: Option<String>,
    /// Whether it is the first page.
    is_first: bool,
}

/// A finding of the doctor's.
pub(super) struct Row {
    pub(super) class: &'static str,
    pub(super) verdict: &'static str,
    pub(super) check: &'static str,
    pub(super) sentence: String,
    pub(super) remedy: Option<String>,
}

/// The number of accounts in a state.
struct Tile {
    count: String,
    text: &'static str,
    word: &'static str,
    /// When they were counted, if that was not now.
    counted_at: Option<Timestamp>,
}

/// An account that was gained or lost.
struct Turned {
    appid: AppId,
    name: String,
    reference: String,
    at: Timestamp,
    what: String,
    /// The current state of the account, if it has changed since.
    now: Option<Badge>,
    /// The link that asks the merchant to authorize again.
    link: Option<LinkId>,
}

/// `GET /console`.
pub(crate) async fn show(visit: Visit) -> Response {
    visit.answer("showing the overview", shown).await
}

/// The doctor's knowledge of the deployment.
pub(super) fn known_setup(visit: &OpenVisit) -> Setup {
    let config = visit.console.config();
    Setup {
        public_base: config.public_base.as_str().to_owned(),
        parts: DuePart::all_of(config.refresher_runs).unwrap_or_else(|| vec![DuePart::ALL]),
    }
}

async fn shown(visit: OpenVisit) -> Result<Response, Trouble> {
    let v = visit.section(Section::Overview);
    let (items, now) = (&visit.open.items, visit.open.now());
    let setup = known_setup(&visit);
    let (findings, runs, lost, gained, states) = tokio::join!(
        Box::pin(diagnosis::examine(&visit.open.reads, &setup, now)),
        items.runs.renewals(first_hour(now)),
        Box::pin(turned(&visit, Churn::Lost, v.language)),
        Box::pin(turned(&visit, Churn::Gained, v.language)),
        tiles(&visit, v.language),
    );
    let lost = visit.part("listing accounts that were lost", lost);
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (wrong, warnings) = (count(Verdict::Wrong), count(Verdict::Warning));
    let page = Page {
        wrong: (wrong > 0).then(|| PROBLEMS.count(wrong as u64, v.language)),
        warnings: (warnings > 0).then(|| WARNINGS.count(warnings as u64, v.language)),
        findings: findings.iter().map(|finding| Row::of(finding, v.language)).collect(),
        states: visit.part("counting accounts", states),
        runs: visit.part("reading the last runs", runs).map(|runs| Runs::of(&runs, now, v.language)),
        next: lost.as_ref().and_then(|(_, next)| next.clone()),
        lost: lost.map(|(lost, _)| lost),
        gained: visit.part("listing new accounts", gained).map(|(gained, _)| still_there(gained)),
        v: &v,
    };
    Ok(v.page(StatusCode::OK, &page)?)
}

/// Each account once, by its last return, without those that were lost since.
fn still_there(gained: Vec<Turned>) -> Vec<Turned> {
    let mut seen = BTreeSet::new();
    gained.into_iter().filter(|turned| seen.insert(turned.appid.clone()) && turned.now.is_none()).collect()
}

impl Runs {
    fn of(runs: &[PastRun], now: Timestamp, language: Language) -> Self {
        let bars = bars(runs, now);
        let [renewed, failed] =
            [|bar: &Bar| bar.done, |bar: &Bar| bar.failed].map(|count| bars.iter().map(count).sum());
        let said = match language {
            Language::Chinese => format!("最近 24 小时每小时的续期和失败：续期 {renewed} 次，失败 {failed} 次"),
            Language::English => format!("The last 24 hours by hour: {renewed} tokens renewed, {failed} failures"),
        };
        Self { chart: chart::bars(&bars, &said), renewed, failed, reasons: reasons(runs, language) }
    }
}

const PROBLEMS: Noun = Noun::new("项异常", "problem");
const WARNINGS: Noun = Noun::new("项警告", "warning");

/// The number of accounts in each state: counted now, or if there are too many for that, as the last reconciliation
/// counted them.
async fn tiles(visit: &OpenVisit, language: Language) -> Result<Vec<Tile>, StoreError> {
    const STATES: [AccountState; 3] =
        [AccountState::Active, AccountState::NeedsAuthorization, AccountState::Unauthorized];
    let (items, now) = (&visit.open.items, visit.open.now());
    let [active, needed, withdrawn] = STATES.map(|state| items.account_lists.count_first(AccountList::InState(state)));
    let (active, needed, withdrawn) = tokio::try_join!(active, needed, withdrawn)?;
    let counts = [active, needed, withdrawn];
    let measured = if counts.iter().any(|count| count.is_cut) {
        let runs = items.runs.reconciliations(now.minus(DAY)).await?;
        runs.into_iter().rev().find_map(|run| Some((run.measured.accounts?, run.finished_at)))
    } else {
        None
    };
    let tile = |(state, counted): (AccountState, Counted)| {
        let Counted { number: counted, is_cut } = counted;
        let measured = measured.filter(|_| is_cut).map(|(counts, at)| (counts.of(state).max(counted), at));
        Tile {
            count: match measured {
                Some((count, _)) => count.to_string(),
                None if is_cut => format!("{counted}+"),
                None => counted.to_string(),
            },
            text: words::state(state, language).text,
            word: state.as_str(),
            counted_at: measured.map(|(_, at)| at),
        }
    };
    Ok(STATES.into_iter().zip(counts).map(tile).collect())
}

/// `GET /console/lost`.
pub(crate) async fn lost(visit: Visit) -> Response {
    visit.answer("listing accounts that were lost", all_lost).await
}

async fn all_lost(visit: OpenVisit) -> Result<Response, Trouble> {
    let v = visit.titled("失去授权的账号", "Accounts that were lost");
    let after = visit.read("after", ChurnPlace::parse)?;
    let page = visit.open.items.churn.page(Churn::Lost, PAGE, after.as_ref()).await?;
    let next = page.next.as_ref().map(ChurnPlace::as_str).map(lost_behind);
    let lost = Box::pin(looked_up(&visit, page.accounts, v.language)).await?;
    Ok(v.page(StatusCode::OK, &AllLost { lost, next, is_first: after.is_none(), v: &v })?)
}

fn lost_behind(place: &str) -> String {
    with_query("/console/lost", [("after", place)])
}

impl Row {
    pub(super) fn of(finding: &Finding, language: Language) -> Self {
        Self {
            class: class(finding.verdict),
            verdict: finding.verdict.title(language),
            check: finding.check.title(language),
            sentence: finding.sentence(language),
            remedy: finding.remedy(language),
        }
    }
}

/// The CSS class of a verdict.
const fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "good",
        Verdict::Warning => "warn",
        Verdict::Wrong => "bad",
        Verdict::Skipped | Verdict::Unknown => "",
    }
}

/// The beginning of the first hour of a chart.
fn first_hour(now: Timestamp) -> Timestamp {
    Timestamp::from_unix((now.unix().div_euclid(HOUR) - HOURS + 1) * HOUR)
}

/// The results of the runs, hour by hour, the present one last. Hours are Beijing's, whose offset is whole.
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
            bar.failed += run.counts.failed.values().sum::<u64>() + run.counts.gone;
        }
    }
    bars
}

/// The reasons of failures, the most frequent first.
fn reasons(runs: &[PastRun], language: Language) -> Vec<(String, u64)> {
    let mut counted = BTreeMap::<&str, u64>::new();
    for (label, count) in runs.iter().flat_map(|run| &run.counts.failed) {
        *counted.entry(label).or_default() += count;
    }
    let mut reasons: Vec<(String, u64)> =
        counted.into_iter().map(|(label, count)| (words::failure(label, language), count)).collect();
    let gone: u64 = runs.iter().map(|run| run.counts.gone).sum();
    if gone > 0 {
        reasons.push((language.pick("授权已失效", "authorization lost").to_owned(), gone));
    }
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    reasons
}

/// The accounts that were lost or gained in the last days; and where more are, if there are more.
async fn turned(
    visit: &OpenVisit,
    turn: Churn,
    language: Language,
) -> Result<(Vec<Turned>, Option<String>), StoreError> {
    let page = visit.open.items.churn.page(turn, SHOWN, None).await?;
    let since = visit.open.now().minus(LATELY).unix();
    let (lately, before): (Vec<_>, Vec<_>) = page.accounts.into_iter().partition(|turn| turn.event.at >= since);
    let next = page.next.filter(|_| before.is_empty()).map(|place| lost_behind(place.as_str()));
    Ok((Box::pin(looked_up(visit, lately, language)).await?, next))
}

/// Gains or losses with the present state of their accounts, and with the links that ask again and can be used.
async fn looked_up(
    visit: &OpenVisit,
    churn: Vec<ChurnedAccount>,
    language: Language,
) -> Result<Vec<Turned>, StoreError> {
    let (items, now) = (&visit.open.items, visit.open.now());
    let accounts: BTreeSet<&AppId> = churn.iter().map(|turn| &turn.account).collect();
    let accounts: Vec<AppId> = accounts.into_iter().cloned().collect();
    let links: BTreeSet<&LinkId> = churn.iter().filter_map(|turn| asking_again(&turn.event.change)).collect();
    let links: Vec<LinkId> = links.into_iter().cloned().collect();
    let (known, mut links) =
        tokio::try_join!(items.account_lists.known(AccountList::All, &accounts), items.links.many(&links, now))?;
    links.retain(|link| link.status(now) == LinkStatus::Pending);
    let links: Vec<LinkId> = links.into_iter().map(|link| link.id).collect();
    Ok(churn.into_iter().map(|turn| Turned::of(turn, &known, &links, language)).collect())
}

/// The link that was created to ask the merchant again.
pub(super) const fn asking_again(change: &StateChange) -> Option<&LinkId> {
    match change {
        StateChange::NeedsAuthorization { asks_again, .. } => asks_again.as_ref(),
        _ => None,
    }
}

impl Turned {
    fn of(turn: ChurnedAccount, known: &[KnownAccount], pending: &[LinkId], language: Language) -> Self {
        let ChurnedAccount { account, event } = turn;
        let known = known.iter().find(|known| known.appid == account);
        let profile = known.and_then(|known| known.details.profile.as_ref());
        let is_over = known.and_then(|known| known.details.state).is_some_and(|(_, since)| since.unix() > event.at);
        let link = asking_again(&event.change).filter(|link| pending.contains(link)).cloned();
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

//! A service that reads the lists of accounts page by page, while other accounts come, end and come back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use base::clock::Clock;
use base::ids::{AppId, LinkId};
use base::random::Random;
use platform::schedule;
use store::{GrantEnd, NewGrant, Store, WriteOutcome};
use stories::business::{ACCOUNTS, Business};
use stories::world::World;
use tokio::time::Instant;

use super::{LIFETIME, LapseClock, appid, refresh_token};

/// The pause between two changes.
const PAUSE: Duration = Duration::from_millis(50);

/// An account ends when this many others have come after it.
const STAYS: u32 = 40;

/// It comes back when this many more have come.
const AWAY: u32 = 40;

/// The accounts that come and go; the accounts that the readings are about are between them in the list.
pub(super) struct Visitors {
    store: Store,
    clock: Arc<LapseClock>,
    /// The number of accounts that stay all the time.
    residents: u32,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// By appid.
    visitors: BTreeMap<String, Visitor>,
    /// The number of changes so far.
    changes: u64,
}

#[derive(Clone, Copy)]
struct Visitor {
    is_active: bool,
    /// The change that made it so; `None` while it is being changed.
    since: Option<u64>,
}

impl Visitors {
    pub(super) fn new(world: &World, clock: &Arc<LapseClock>, residents: u32) -> Self {
        Self { store: world.store(), clock: Arc::clone(clock), residents, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has grants come and end all over the list until `is_over`; then the last ones end.
    pub(super) async fn come_and_go(&self, is_over: &AtomicBool) -> anyhow::Result<()> {
        let mut number = 0;
        while !is_over.load(Ordering::Relaxed) {
            self.come(&self.visitor(number)?).await?;
            if let Some(older) = number.checked_sub(STAYS) {
                self.leave(&self.visitor(older)?).await?;
            }
            if let Some(oldest) = number.checked_sub(STAYS + AWAY) {
                self.come(&self.visitor(oldest)?).await?;
            }
            number += 1;
            tokio::time::sleep(PAUSE).await;
        }
        let active: Vec<String> = {
            let known = self.known();
            known.visitors.iter().filter(|(_, visitor)| visitor.is_active).map(|(appid, _)| appid.clone()).collect()
        };
        for visitor in active {
            self.leave(&AppId::parse(&visitor)?).await?;
        }
        println!("{number} other accounts have come and gone in {} changes", self.known().changes);
        Ok(())
    }

    /// The visitor of a number. Successive ones are far from each other in the list, and each is between two accounts
    /// that stay.
    fn visitor(&self, number: u32) -> anyhow::Result<AppId> {
        /// A prime, so that all places of the list are used before one is used again.
        const STRIDE: u64 = 1_000_003;
        let places = u64::from(self.residents / 10).max(1);
        let (place, round) = (u64::from(number) * STRIDE % places, u64::from(number) / places);
        // After the account whose number ends with 9, and before the next one.
        let appid = appid(usize::try_from(place * 10 + 9)?);
        Ok(AppId::parse(&format!("{appid}-{round}"))?)
    }

    async fn come(&self, visitor: &AppId) -> anyhow::Result<()> {
        self.change(visitor, true, async |seq| {
            let (now, token) = (self.clock.now(), "a".repeat(160).into());
            let refresh_token = refresh_token().into();
            let grant = NewGrant {
                access_token: Some((&token, now.plus(LIFETIME))),
                refresh_token: Some(&refresh_token),
                due_at: Some(schedule::due_at(now, LIFETIME, schedule::authorizer_margin(&Random::system()))),
                granted_at: Some(now),
                func_info: &[1, 15],
                origin: None,
                is_recovery: false,
                claim: None,
            };
            Ok(self.store.accounts.store_grant(visitor, seq, &grant, now).await?)
        })
        .await
    }

    async fn leave(&self, visitor: &AppId) -> anyhow::Result<()> {
        let link = LinkId::generate(&Random::system());
        self.change(visitor, false, async |seq| {
            let now = self.clock.now();
            let end = GrantEnd::TakenBack { at: Some(now) };
            Ok(self.store.accounts.end_grant(visitor, seq, &end, &link, now).await?)
        })
        .await
    }

    /// Changes a visitor; while that lasts, its state is unknown.
    async fn change(
        &self,
        visitor: &AppId,
        is_active: bool,
        write: impl AsyncFn(u64) -> anyhow::Result<WriteOutcome>,
    ) -> anyhow::Result<()> {
        let appid = visitor.as_str().to_owned();
        self.known().visitors.insert(appid.clone(), Visitor { is_active, since: None });
        loop {
            let stored = self.store.accounts.get(visitor).await?;
            // The refresher may have renewed it meanwhile.
            if write(stored.map_or(0, |stored| stored.token.seq)).await? == WriteOutcome::Stored {
                break;
            }
        }
        let mut known = self.known();
        known.changes += 1;
        let since = Some(known.changes);
        known.visitors.insert(appid, Visitor { is_active, since });
        Ok(())
    }

    /// Checks a list that was read during the changes after `before`: the accounts that were there all the time are in
    /// it, each once, and none that was never there.
    fn check(&self, listed: &[String], is_in: impl Fn(&Visitor) -> bool, before: u64) -> anyhow::Result<()> {
        ensure!(listed.is_sorted_by(|one, next| one < next), "an account was listed twice, or not in its order");
        let known = self.known();
        let unchanged = |visitor: &&Visitor| visitor.since.is_some_and(|since| since <= before);
        let mut residents = 0;
        for appid in listed {
            match known.visitors.get(appid) {
                Some(visitor) => {
                    let is_wrong = unchanged(&visitor) && !is_in(visitor);
                    ensure!(!is_wrong, "{appid} was listed but was not there");
                }
                None => residents += 1,
            }
        }
        ensure!(residents == self.residents, "{residents} of {} accounts that stay were listed", self.residents);
        for (appid, _) in known.visitors.iter().filter(|(_, visitor)| unchanged(visitor) && is_in(visitor)) {
            ensure!(listed.binary_search(appid).is_ok(), "{appid} was there but was not listed");
        }
        Ok(())
    }
}

/// Reads the list of all accounts and that of the active ones in turn, repeatedly. It ends with a reading that is
/// wrong.
pub(super) async fn read(world: &World, visitors: &Visitors) -> anyhow::Result<()> {
    let business = Business::of(world);
    for reading in 1.. {
        let (filter, is_of_active) = if reading % 2 == 0 { ("&state=active", true) } else { ("", false) };
        let before = visitors.known().changes;
        let requests = || (world.faults.requests("Query"), world.faults.requests("BatchGetItem"));
        let reads = requests();
        let (mut listed, mut times, mut cursor) = (Vec::new(), Vec::new(), String::new());
        loop {
            let begun = Instant::now();
            let page = business.get(&format!("{ACCOUNTS}?limit=100{filter}{cursor}")).await;
            times.push(begun.elapsed());
            ensure!(page.status == 200, "a page is answered with {}", page.body);
            let accounts = page.body["accounts"].as_array().into_iter().flatten();
            listed.extend(accounts.filter_map(|account| account["appid"].as_str().map(str::to_owned)));
            match page.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        visitors.check(&listed, |visitor| !is_of_active || visitor.is_active, before)?;
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
        let each =
            |now: usize, before: usize| f64::from(u32::try_from(now - before).unwrap_or(u32::MAX)) / pages(&times);
        let (queries, batches) = requests();
        println!(
            "reading {reading}{filter}: {} accounts on {} pages, {:.1} ms a page, 99 of 100 within {:.1} ms; a page is {:.2} \
             queries and {:.2} batches of reads; {} changes meanwhile",
            listed.len(),
            times.len(),
            at(50),
            at(99),
            each(queries, reads.0),
            each(batches, reads.1),
            visitors.known().changes - before,
        );
    }
    Ok(())
}

fn pages(times: &[Duration]) -> f64 {
    f64::from(u32::try_from(times.len()).unwrap_or(u32::MAX))
}

//! What happened to accounts, delivered to the business in the order of each account's events.
//!
//! A change and its event are written together, by whatever process; the table's stream wakes a run for it, and each renew
//! run looks after what is left. An event that cannot be delivered holds up those behind it, of the same account only.

use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use base::ids::AppId;
use futures::stream::{self, Stream};
use futures::{StreamExt as _, TryStreamExt as _};
use platform::bus::{BusError, BusEvent};
use store::{PendingEvent, StateEvents, StoreError};

use crate::Run;
use crate::breaker::Breaker;
use crate::publish::{AT_ONCE, BUS_PAUSE, count_delivered};
use crate::report::Report;
use crate::shards::shards_by_turns;

/// Until an event that this version does not understand is looked at again.
const UNREADABLE_PAUSE: Duration = Duration::from_mins(10);

/// The outcome for one event.
enum Delivery {
    /// The bus has it.
    Done,
    /// The bus will never take it.
    Never,
    /// It has to wait, and those behind it with it.
    Later,
}

impl Run {
    /// Delivers the state events that wait, as far as time and the bus allow. This needs nothing of WeChat's, so it is done
    /// also in a run that a refusal of WeChat's has ended.
    pub(crate) async fn deliver_outbox(&self, report: &mut Report) {
        let (store, until) = (&self.store, self.now());
        let accounts = shards_by_turns(&self.context.random, 0..StateEvents::SHARDS, |shard, after| {
            store.state_events.due(shard, until, after)
        });
        // An account comes once for each of its events, and is to be at one place only. Eight bytes of each are kept.
        let (keys, mut seen) = (RandomState::new(), HashSet::new());
        let accounts = accounts.try_filter(move |account| futures::future::ready(seen.insert(keys.hash_one(account))));
        self.deliver_events_of(accounts, report).await;
    }

    /// Delivers the state events of accounts that the stream has named.
    pub(crate) async fn deliver_named(&self, accounts: BTreeSet<AppId>, report: &mut Report) {
        self.deliver_events_of(stream::iter(accounts).map(Ok), report).await;
    }

    async fn deliver_events_of(&self, accounts: impl Stream<Item = Result<AppId, StoreError>>, report: &mut Report) {
        let table = Breaker::default();
        let delivered = accounts
            .take_while(|_| futures::future::ready(self.may_deliver(&table)))
            .map(async |account| self.deliver_in_order(&account?).await)
            .buffer_unordered(AT_ONCE);
        let left = "an account's events are left to the next run";
        report.events_delivered += count_delivered(delivered, &table, left, report).await;
    }

    /// Delivers an account's events until one has to wait; returns how many were.
    async fn deliver_in_order(&self, account: &AppId) -> Result<u64, StoreError> {
        let mut delivered = 0;
        for pending in self.store.state_events.waiting(account).await? {
            match self.deliver_event(account, &pending).await? {
                Delivery::Done => delivered += 1,
                Delivery::Never => {}
                Delivery::Later => break,
            }
        }
        Ok(delivered)
    }

    async fn deliver_event(&self, account: &AppId, pending: &PendingEvent) -> Result<Delivery, StoreError> {
        let (events, sequence) = (&self.store.state_events, pending.sequence);
        if self.now() < pending.due_at {
            return Ok(Delivery::Later);
        }
        let Some(event) = &pending.event else {
            // Of a later version, which delivers it where it runs.
            tracing::error!(authorizer = %account, sequence, "event {sequence} of account {account} cannot be read and waits");
            events.postpone(account, sequence, self.now().plus(UNREADABLE_PAUSE)).await?;
            return Ok(Delivery::Later);
        };
        let mut delivery = Delivery::Done;
        match self.put(&BusEvent::of_state(self.store.component(), account, sequence, event)).await {
            Ok(()) => {}
            // Left as it is, for the next run.
            Err(BusError::Away(_)) => return Ok(Delivery::Later),
            Err(error) if error.may_pass() => {
                tracing::warn!(authorizer = %account, sequence, "event {sequence} of account {account} is delivered later: {error}");
                events.postpone(account, sequence, self.now().plus(BUS_PAUSE)).await?;
                return Ok(Delivery::Later);
            }
            Err(error) => {
                tracing::error!(authorizer = %account, sequence, "event {sequence} of account {account} is never delivered: {error}");
                delivery = Delivery::Never;
            }
        }
        events.finish(account, sequence).await?;
        Ok(delivery)
    }
}

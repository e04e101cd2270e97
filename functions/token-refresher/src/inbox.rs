//! The inbox, processed per account in the order of WeChat's times.
//!
//! The effect of an entry is in [`crate::effect`].

use std::collections::BTreeSet;
use std::time::Duration;

use base::limits::LEASE;
use futures::StreamExt as _;
use futures::stream;
use platform::schedule;
use platform::tokens::{Scope, TokenError};
use store::{Entry, EntryBody, Partition};
use wechat::push::AuthorizationEvent;

use crate::Run;
use crate::effect::Outcome;
use crate::publish::BUS_PAUSE;
use crate::report::Report;

/// The most accounts whose entries are processed at once.
const PARTITIONS_AT_ONCE: usize = 16;

/// An entry that has failed this often, over two and a half days, is given up: its code has expired long ago, and
/// reconcile finds the grant if there is one.
const LAST_TRY: u32 = 15;

/// The label of what the bus did not accept.
const BUS: &str = "bus";

impl Run {
    /// Processes everything in the inbox that is due, one page of the index at a time. Entries that stay because they
    /// can be neither processed nor postponed do not prevent later pages from being read.
    pub(crate) async fn process_inbox(&self, report: &mut Report) {
        let (store, until) = (&self.store, self.now());
        let mut after = None;
        while !self.is_over() {
            let (partitions, next) = match store.inbox.due_partitions(until, after).await {
                Ok(page) => page,
                Err(error) => {
                    if let Some(own) = self.breaker.own_failure(error.into()) {
                        tracing::warn!("the inbox cannot be listed: {own}");
                        report.fail(&own.label());
                    }
                    return;
                }
            };
            self.process_partitions(partitions, report).await;
            match next {
                Some(position) => after = Some(position),
                None => return,
            }
        }
    }

    /// Processes what the stream has named by its table keys: entries of the inbox, and events of accounts and API
    /// keys, which do not wait for calls that hang at WeChat.
    pub(crate) async fn process_named(&self, keys: &BTreeSet<String>, report: &mut Report) {
        let mut delivered = Report::default();
        let partitions = keys.iter().filter_map(|key| self.store.inbox.partition(key)).collect();
        let subjects = keys.iter().filter_map(|key| self.store.outbox.subject_of(key)).collect();
        tokio::join!(self.process_partitions(partitions, report), self.deliver_named(&subjects, &mut delivered));
        report.add(&delivered);
    }

    /// Processes the given partitions. An entry that fails is postponed; only a failure that concerns everything ends
    /// the run.
    ///
    /// Pushes come before redirects: both may bring the same code, but only a push names its account, which has to be
    /// guessed from a code that is already spent.
    pub(crate) async fn process_partitions(&self, partitions: Vec<Partition>, report: &mut Report) {
        let (pushes, redirects) = partitions.into_iter().partition(Partition::is_of_account);
        self.process_together(pushes, report).await;
        self.process_together(redirects, report).await;
    }

    async fn process_together(&self, partitions: Vec<Partition>, report: &mut Report) {
        let mut processed = stream::iter(partitions)
            .map(async |partition| {
                let mut part = Report::default();
                let result = self.process_one(&partition, &mut part).await;
                (part, result)
            })
            .buffer_unordered(PARTITIONS_AT_ONCE);
        while let Some((part, result)) = processed.next().await {
            report.add(&part);
            match result {
                Ok(()) => self.breaker.table_answered(),
                Err(error) => {
                    if let Some(own) = self.breaker.own_failure(error) {
                        tracing::error!("a part of the inbox could not be processed: {own}");
                        report.fail(&own.label());
                    }
                }
            }
        }
    }

    async fn process_one(&self, partition: &Partition, report: &mut Report) -> Result<(), TokenError> {
        let entries = self.store.inbox.waiting(partition).await?;
        // The entries that stay after this pass: their codes stay valid until the grant is revoked.
        let mut left = Vec::new();
        let mut failure = None;
        for entry in &entries {
            if self.is_over() {
                break;
            }
            if self.now() < entry.due_at {
                left.push(entry);
                continue;
            }
            match self.process_entry(entry, &mut left, report).await {
                Ok(true) => {}
                Ok(false) => left.push(entry),
                Err(error) => {
                    left.push(entry);
                    // The entry could not be written, or needs an API that cannot be used: later entries may do
                    // without.
                    let ends = matches!(error.scope(), Scope::Platform | Scope::OutOfTime);
                    failure = Some(error);
                    if ends {
                        break;
                    }
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// Processes an entry; `false` if it is to be retried.
    async fn process_entry(
        &self,
        entry: &Entry,
        before: &mut Vec<&Entry>,
        report: &mut Report,
    ) -> Result<bool, TokenError> {
        let push = match &entry.body {
            EntryBody::Push(xml) => Some(AuthorizationEvent::parse(xml.clone())),
            EntryBody::Callback(_) | EntryBody::ReleaseCheck(_) | EntryBody::Unreadable => None,
        };
        let taken = match &entry.outcome {
            // It has taken effect before; only the business has not been notified.
            Some(outcome) => Ok(Outcome::done(outcome)),
            None => self.take_effect(entry, push.as_ref(), before, report).await,
        };
        let word = match taken {
            Ok(Outcome::Done(word)) => word,
            Ok(Outcome::Busy) => {
                self.postpone(entry, "busy", LEASE, report).await?;
                return Ok(false);
            }
            Err(error) => match error.scope() {
                Scope::Platform | Scope::Api | Scope::OutOfTime => return Err(error),
                _ if !error.may_pass() || entry.tries >= LAST_TRY => {
                    report.fail(&error.label());
                    tracing::error!(entry = %entry.key, "an inbox entry will never take effect: {error}");
                    error.label()
                }
                _ => {
                    report.fail(&error.label());
                    let wait = schedule::backoff(entry.tries.saturating_add(1));
                    tracing::warn!(entry = %entry.key, "an inbox entry is retried in {} s: {error}", wait.as_secs());
                    self.postpone(entry, &error.label(), wait, report).await?;
                    return Ok(false);
                }
            },
        };
        self.tell_and_finish(entry, push.as_ref(), &word, report).await
    }

    async fn postpone(
        &self,
        entry: &Entry,
        label: &str,
        wait: Duration,
        report: &mut Report,
    ) -> Result<(), TokenError> {
        self.store.inbox.postpone(entry, label, self.now().plus(wait)).await?;
        report.inbox_postponed += 1;
        Ok(())
    }

    /// Publishes what has taken effect, then finishes the entry. If a run dies between the two, it is published again.
    pub(crate) async fn tell_and_finish(
        &self,
        entry: &Entry,
        push: Option<&AuthorizationEvent>,
        word: &str,
        report: &mut Report,
    ) -> Result<bool, TokenError> {
        let store = &self.store;
        let told = match push {
            Some(push) => self.publish_grant(push).await,
            None => Ok(()),
        };
        match told {
            Err(error) if error.may_pass() => {
                store.inbox.postpone_publishing(entry, word, BUS, self.now().plus(BUS_PAUSE)).await?;
                report.inbox_postponed += 1;
                return Ok(false);
            }
            Err(error) => tracing::error!(entry = %entry.key, "an event is never delivered: {error}"),
            Ok(()) => {}
        }
        store.inbox.finish(&entry.key, word, self.now()).await?;
        report.inbox_done += 1;
        Ok(true)
    }
}

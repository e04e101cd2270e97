//! `{"task":"renew"}`: ticket, component token, inbox, then every account that is due.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::stream::{self, Stream};
use futures::{StreamExt as _, TryStreamExt as _};
use secrecy::SecretString;
use shared::ids::AppId;
use shared::renewal::TICKET_STALE;
use shared::telemetry::Metric;
use shared::tokens::{Renewal, TokenError};
use shared::vault::{AccountState, GrantWrite, LeaseFor, Slot, Vault, VaultError};
use shared::wechat::LIST_PAGE;

use crate::Run;
use crate::pace::Pace;
use crate::report::Report;

/// Accounts whose refresh token has to be looked up in WeChat's list are remembered up to this many; more are due again
/// after their back-off.
const MAX_FOR_LIST: usize = 10_000;

/// Inbox partitions looked up at once.
pub(crate) const INBOX_PARTITIONS: i32 = 1_000;

impl Run {
    pub(crate) async fn renew_all(&self, report: &mut Report) -> Result<(), TokenError> {
        self.look_after_ticket(report).await?;
        let component = self.session.component_token().await;
        if component.is_ok() {
            let due = self.session.vault().due_partitions(self.session.now(), INBOX_PARTITIONS).await?;
            self.work_off(due, report).await?;
            self.renew_accounts(report).await?;
        }
        component.map(drop)
    }

    /// WeChat pushes a ticket every 10 minutes. When it stops, it has to be asked to go on; the ticket at hand serves
    /// for 12 hours.
    async fn look_after_ticket(&self, report: &mut Report) -> Result<(), TokenError> {
        let ticket = self.session.vault().ticket().await?;
        let age = ticket.as_ref().map(|ticket| self.session.now().since(ticket.received_at));
        report.ticket_age_seconds = age.map(|age| age.as_secs());
        if age.is_some_and(|age| age <= TICKET_STALE) {
            return Ok(());
        }
        self.session.metrics().put(&Metric::count("ticket_stale", 1));
        let platform = self.session.platform();
        match self.session.wechat().start_push_ticket(&platform.component, &platform.app_secret).await {
            Ok(_) => tracing::warn!("no ticket for {} minutes: WeChat is asked to push", age.map_or(0, minutes)),
            Err(error) => self.session.report("api_start_push_ticket", &error),
        }
        Ok(())
    }

    async fn renew_accounts(&self, report: &mut Report) -> Result<(), TokenError> {
        let stopped = AtomicBool::new(false);
        let mut stop = None;
        let pace = Pace::per_second(self.settings.per_second);
        let mut for_list = Vec::new();
        let renewals = self
            .due()
            .take_while(|_| futures::future::ready(!stopped.load(Ordering::Relaxed) && !self.is_out_of_time()))
            .map(async |account| {
                pace.turn().await;
                let renewed = self.renew_one(account).await;
                if let (_, Err(error)) = &renewed
                    && error.is_platform_wide()
                {
                    stopped.store(true, Ordering::Relaxed);
                }
                renewed
            })
            .buffer_unordered(self.settings.window);
        let mut renewals = std::pin::pin!(renewals);
        while let Some((account, renewed)) = renewals.next().await {
            match renewed {
                Ok(Renewal::Renewed(_)) => report.renewed += 1,
                Ok(Renewal::NotOurs) => {}
                Ok(Renewal::Gone) => report.gone += 1,
                Ok(Renewal::NeedsList) if for_list.len() < MAX_FOR_LIST => for_list.extend(account),
                Ok(Renewal::NeedsList) => report.fail("61023"),
                Err(error) if error.is_platform_wide() => stop = Some(error),
                Err(error) => {
                    report.fail(&error.label());
                    if let Some(account) = account {
                        tracing::warn!(authorizer = %account, "account {account} was not renewed: {error}");
                    }
                }
            }
        }
        if let Some(error) = stop {
            report.left_over = self.session.vault().count_due(self.session.now()).await?;
            return Err(error);
        }
        if !for_list.is_empty() && !self.is_out_of_time() {
            self.recover_from_list(for_list, report).await?;
        }
        if self.is_out_of_time() {
            report.left_over = self.session.vault().count_due(self.session.now()).await?;
        }
        Ok(())
    }

    /// The accounts that are due, shard by shard, a page at a time, so that memory stays flat however many there are.
    fn due(&self) -> impl Stream<Item = Result<AppId, VaultError>> + '_ {
        let until = self.session.now();
        let first = (0, None);
        stream::try_unfold(Some(first), move |place| async move {
            let Some((shard, after)) = place else { return Ok(None) };
            let (accounts, next) = self.session.vault().due_accounts(shard, until, after).await?;
            let next = match next {
                Some(position) => Some((shard, Some(position))),
                None if shard + 1 < Vault::due_shards() => Some((shard + 1, None)),
                None => None,
            };
            Ok(Some((stream::iter(accounts.into_iter().map(Ok)), next)))
        })
        .try_flatten()
    }

    async fn renew_one(&self, account: Result<AppId, VaultError>) -> (Option<AppId>, Result<Renewal, TokenError>) {
        match account {
            Ok(account) => {
                let renewed = self.session.renew(&Slot::Authorizer(account.clone()), LeaseFor::Due).await;
                (Some(account), renewed)
            }
            Err(error) => (None, Err(error.into())),
        }
    }

    /// One pass over WeChat's list for all accounts of this run whose refresh token is of no use. Who is not there, or
    /// there with nothing better, needs the merchant.
    async fn recover_from_list(&self, accounts: Vec<AppId>, report: &mut Report) -> Result<(), TokenError> {
        let mut wanted: std::collections::BTreeSet<AppId> = accounts.into_iter().collect();
        let mut offset = 0;
        loop {
            let page = self
                .session
                .with_component(|token| async move {
                    self.session.wechat().authorizer_list(self.session.call(&token), offset, LIST_PAGE).await
                })
                .await?;
            for listed in &page.list {
                if wanted.contains(&listed.authorizer)
                    && let Some(refresh_token) = &listed.refresh_token
                    && self.try_refresh_token(&listed.authorizer, refresh_token, report).await?
                {
                    wanted.remove(&listed.authorizer);
                }
            }
            offset += page.entries();
            if page.entries() == 0 || offset >= page.total_count || wanted.is_empty() {
                break;
            }
            if self.is_out_of_time() {
                return Ok(());
            }
        }
        for account in wanted {
            let seq = self.session.vault().account(&account).await?.map_or(0, |stored| stored.token.seq);
            let ended = self.session.end_grant(&account, seq, AccountState::NeedsAuthorization, None).await?;
            report.gone += u64::from(ended == GrantWrite::Stored);
        }
        Ok(())
    }

    /// Whether the account is settled: renewed with the refresh token of the list, or changed meanwhile.
    async fn try_refresh_token(
        &self,
        account: &AppId,
        refresh_token: &SecretString,
        report: &mut Report,
    ) -> Result<bool, TokenError> {
        let Some(stored) = self.session.vault().account(account).await? else { return Ok(true) };
        let now = self.session.now();
        let repaired = self.session.vault().repair_refresh_token(account, stored.token.seq, refresh_token, now).await?;
        if repaired == GrantWrite::Changed {
            return Ok(true);
        }
        match self.session.renew(&Slot::Authorizer(account.clone()), LeaseFor::Due).await {
            Ok(Renewal::Renewed(_)) => {
                tracing::warn!(authorizer = %account, "account {account} was renewed with the refresh token of the list");
                report.renewed += 1;
                report.repaired += 1;
                Ok(true)
            }
            Ok(Renewal::NeedsList) => Ok(false),
            Ok(Renewal::NotOurs | Renewal::Gone) => Ok(true),
            Err(error) if error.is_platform_wide() => Err(error),
            Err(error) => {
                report.fail(&error.label());
                Ok(true)
            }
        }
    }
}

const fn minutes(age: Duration) -> u64 {
    age.as_secs() / 60
}

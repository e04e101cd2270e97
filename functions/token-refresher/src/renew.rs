//! `{"task":"renew"}`: ticket, component token, inbox, then every account that is due; and beside all this
//! the messages that wait for the bus.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::Stream;
use secrecy::SecretString;
use shared::ids::AppId;
use shared::renewal::TICKET_STALE;
use shared::telemetry::{Measure, Metric};
use shared::tokens::{Renewal, TokenError};
use shared::vault::{AccountState, GrantWrite, LeaseFor, Slot, Vault, VaultError};
use shared::wechat::{AuthorizerPage, LIST_PAGE};

use crate::Run;
use crate::report::Report;
use crate::shards::shard_by_shard;

/// Accounts whose refresh token has to be looked up in WeChat's list are remembered up to this many; more are due again
/// after their back-off.
const MAX_FOR_LIST: usize = 10_000;

/// Inbox partitions looked up at once.
pub(crate) const INBOX_PARTITIONS: i32 = 1_000;

impl Run {
    pub(crate) async fn renew_all(&self, report: &mut Report) -> Result<(), TokenError> {
        // Side by side: neither waits for what hangs at the other's service.
        let mut deliveries = Report::default();
        let (renewed, delivered) = tokio::join!(self.renew_what_is_due(report), self.deliver_waiting(&mut deliveries));
        report.add(&deliveries);
        renewed.and(delivered)
    }

    async fn renew_what_is_due(&self, report: &mut Report) -> Result<(), TokenError> {
        self.look_after_ticket(report).await?;
        let component = self.session.component_token().await;
        if component.is_ok() {
            let due = self.session.vault().due_partitions(self.session.now(), INBOX_PARTITIONS).await?;
            self.work_off(due, report).await?;
            Box::pin(self.renew_accounts(report)).await?;
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
        self.session.metrics().put(&Metric::count(Measure::TicketStale, 1));
        let platform = self.session.platform();
        match self.session.wechat().start_push_ticket(&platform.component, &platform.app_secret).await {
            Ok(_) => tracing::warn!("no ticket for {} minutes: WeChat is asked to push", age.map_or(0, minutes)),
            Err(error) => self.session.report("api_start_push_ticket", &error),
        }
        Ok(())
    }

    async fn renew_accounts(&self, report: &mut Report) -> Result<(), TokenError> {
        let mut ended = Ok(());
        let mut for_list = BTreeMap::new();
        let renewals = self
            .due()
            .take_while(|_| futures::future::ready(!self.is_over()))
            .map(async |account| {
                self.pace.turn().await;
                let renewed = self.renew_one(account).await;
                let ends = renewed.1.as_ref().is_err_and(|error| self.ends_with(error));
                (renewed, ends)
            })
            .buffer_unordered(self.window);
        let mut renewals = std::pin::pin!(renewals);
        while let Some(((account, renewed), ends)) = renewals.next().await {
            match (renewed, account) {
                (Ok(Renewal::Renewed(_)), _) => report.renewed += 1,
                (Ok(Renewal::NotOurs), _) => {}
                (Ok(Renewal::Gone), _) => report.gone += 1,
                (Ok(Renewal::NeedsList { seq }), Some(account)) if for_list.len() < MAX_FOR_LIST => {
                    for_list.insert(account, seq);
                }
                (Ok(Renewal::NeedsList { .. }), _) => report.fail("61023"),
                (Err(error), _) if ends => ended = Err(error),
                (Err(error), account) => {
                    report.fail(&error.label());
                    if let Some(account) = account {
                        tracing::warn!(authorizer = %account, "account {account} was not renewed: {error}");
                    }
                }
            }
        }
        if ended.is_ok() && !for_list.is_empty() {
            ended = self.recover_from_list(for_list, report).await;
        }
        if self.is_over() {
            report.left_over = self.session.vault().count_due(self.session.now()).await?;
        }
        ended
    }

    /// The accounts that are due.
    fn due(&self) -> impl Stream<Item = Result<AppId, VaultError>> + '_ {
        let (vault, until) = (self.session.vault(), self.session.now());
        shard_by_shard(0, Vault::due_shards(), move |shard, after| vault.due_accounts(shard, until, after))
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

    /// One pass over WeChat's list for all accounts of this run whose refresh token is of no use, with the `token_seq`
    /// that this was found with. Who is there with nothing better, or not there and unknown to WeChat, needs the merchant.
    async fn recover_from_list(&self, mut wanted: BTreeMap<AppId, u64>, report: &mut Report) -> Result<(), TokenError> {
        let mut offset = 0;
        loop {
            let page = self.list_page(offset).await?;
            for listed in &page.list {
                if self.is_over() {
                    return Ok(());
                }
                if let Some(seq) = wanted.remove(&listed.authorizer) {
                    self.recover_one(&listed.authorizer, seq, listed.refresh_token.as_ref(), report).await?;
                }
            }
            offset += page.entries();
            if page.entries() == 0 || offset >= page.total_count || wanted.is_empty() {
                break;
            }
        }
        for (account, seq) in wanted {
            if self.is_over() {
                return Ok(());
            }
            // The list shifts while it is read: who is missing is asked about.
            if self.session.is_gone(&account).await? {
                self.needs_merchant(&account, seq, report).await?;
            }
        }
        Ok(())
    }

    /// Tries the refresh token of the list; where there is none, or it is of no use either, only the merchant can help.
    async fn recover_one(
        &self,
        account: &AppId,
        seq: u64,
        refresh_token: Option<&SecretString>,
        report: &mut Report,
    ) -> Result<(), TokenError> {
        let Some(refresh_token) = refresh_token else { return self.needs_merchant(account, seq, report).await };
        let now = self.session.now();
        let repaired = self.session.vault().repair_refresh_token(account, seq, refresh_token, now).await?;
        if repaired == GrantWrite::Changed {
            return Ok(());
        }
        match self.session.renew(&Slot::Authorizer(account.clone()), LeaseFor::Due).await {
            Ok(Renewal::Renewed(_)) => {
                tracing::warn!(authorizer = %account, "account {account} was renewed with the refresh token of the list");
                report.renewed += 1;
                report.repaired += 1;
            }
            Ok(Renewal::NeedsList { seq }) => self.needs_merchant(account, seq, report).await?,
            Ok(Renewal::NotOurs) => {}
            Ok(Renewal::Gone) => report.gone += 1,
            Err(error) if self.ends_with(&error) => return Err(error),
            Err(error) => report.fail(&error.label()),
        }
        Ok(())
    }

    async fn needs_merchant(&self, account: &AppId, seq: u64, report: &mut Report) -> Result<(), TokenError> {
        let ended = self.session.end_grant(account, seq, AccountState::NeedsAuthorization, None).await?;
        report.gone += u64::from(ended == GrantWrite::Stored);
        Ok(())
    }

    /// A page of WeChat's list of accounts.
    pub(crate) async fn list_page(&self, offset: u64) -> Result<AuthorizerPage, TokenError> {
        self.session
            .with_component(|token| async move {
                self.session.wechat().authorizer_list(self.session.call(&token), offset, LIST_PAGE).await
            })
            .await
    }
}

const fn minutes(age: Duration) -> u64 {
    age.as_secs() / 60
}

//! The renewal of every due account of a part, many at once.

use std::collections::BTreeMap;

use base::ids::AppId;
use futures::StreamExt as _;
use futures::stream::Stream;
use platform::tokens::{Refused, Renewal, TokenError};
use store::StoreError;
use wechat::api::Api;

use crate::Run;
use crate::report::Report;
use crate::shards::shards_by_turns;

/// The most refused accounts to remember; any more are due again after their back-off.
const MAX_REFUSED: usize = 10_000;

impl Run {
    /// Renews the accounts of the run's part that are due.
    pub(crate) async fn renew_accounts(&self, report: &mut Report) {
        let mut refused = BTreeMap::new();
        {
            let renewals = self
                .due()
                .take_while(|_| futures::future::ready(!self.is_over() && !self.is_used_up(Api::AuthorizerToken)))
                .map(async |account| {
                    self.rate_limiter.acquire().await;
                    self.renew_one(account).await
                })
                .buffer_unordered(self.window);
            let mut renewals = std::pin::pin!(renewals);
            while let Some((account, renewed)) = renewals.next().await {
                self.note_renewal(account, renewed, &mut refused, report);
            }
        }
        if !refused.is_empty() {
            self.decide_on_refused(refused, report).await;
        }
    }

    fn due(&self) -> impl Stream<Item = Result<AppId, StoreError>> + '_ {
        let (store, until) = (&self.store, self.now());
        shards_by_turns(&self.context.random, self.part.shards(), move |shard, after| {
            store.accounts.due(shard, until, after)
        })
    }

    async fn renew_one(&self, account: Result<AppId, StoreError>) -> (Option<AppId>, Result<Renewal, TokenError>) {
        match account {
            Ok(account) => {
                let renewed = self.tokens.renew(&account).await;
                (Some(account), renewed)
            }
            Err(error) => (None, Err(error.into())),
        }
    }

    fn note_renewal(
        &self,
        account: Option<AppId>,
        renewed: Result<Renewal, TokenError>,
        refused: &mut BTreeMap<AppId, Refused>,
        report: &mut Report,
    ) {
        let renewal = match renewed {
            Ok(renewal) => {
                self.breaker.table_answered();
                renewal
            }
            Err(error) => {
                let Some(own) = self.breaker.own_failure(error) else { return };
                report.fail(&own.label());
                if let Some(account) = account {
                    tracing::warn!(authorizer = %account, "account {account} was not renewed: {own}");
                } else {
                    tracing::warn!("a shard of the due accounts cannot be read: {own}");
                }
                return;
            }
        };
        match (renewal, account) {
            (Renewal::Renewed(_), _) => report.renewed += 1,
            (Renewal::Refused(word), Some(account)) if refused.len() < MAX_REFUSED => {
                refused.insert(account, word);
            }
            (Renewal::Refused(word), _) => report.fail(&word.code.to_string()),
            (Renewal::NotOurs, _) => {}
        }
    }
}

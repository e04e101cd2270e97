//! The end of a pass over WeChat's list: a check of every account in use that the list did not name.

use base::ids::AppId;
use futures::{StreamExt as _, TryStreamExt as _};
use platform::tokens::TokenError;
use store::{AccountState, END_OF_TIME, ListedAccounts, ReconcileCursor};
use wechat::api::{ErrCode, WechatError};

use crate::Run;
use crate::reconcile::was_asked;
use crate::refused::Ended;
use crate::report::Report;
use crate::shards::shards_by_turns;

/// The progress of the walk over the accounts in use.
#[derive(Default)]
struct Walk {
    /// Accounts in use.
    seen: u64,
    /// Accounts that were checked with WeChat.
    asked: usize,
    ended: Vec<Ended>,
}

impl Run {
    /// Checks the accounts that a pass did not name with WeChat; `false` if time was up before all were checked.
    pub(crate) async fn look_for_gone(&self, pass: ReconcileCursor, report: &mut Report) -> Result<bool, TokenError> {
        let listed = self.store.reconcile_passes.listed(pass).await?;
        let mut walk = Walk::default();
        let complete = Box::pin(self.walk(&listed, &mut walk, report)).await;
        self.end_grants(walk.ended, walk.seen, report).await;
        Ok(complete)
    }

    async fn walk(&self, listed: &ListedAccounts, walk: &mut Walk, report: &mut Report) -> bool {
        let store = &self.store;
        let accounts = shards_by_turns(&self.context.random, self.part.shards(), |shard, after| {
            store.accounts.due(shard, END_OF_TIME, after)
        });
        let mut accounts = std::pin::pin!(accounts.map_err(TokenError::from));
        while let Some(account) = accounts.next().await {
            if self.is_over() {
                return false;
            }
            let outcome = match account {
                Ok(account) => {
                    walk.seen += 1;
                    if listed.contains(&account) {
                        continue;
                    }
                    if walk.asked == self.gone_checks {
                        tracing::error!(
                            "WeChat's list lacks over {} accounts: the next pass checks the others",
                            self.gone_checks
                        );
                        return true;
                    }
                    self.ask(account, walk).await
                }
                Err(error) => Err(error),
            };
            match outcome {
                Ok(()) => self.breaker.table_answered(),
                Err(error) => {
                    if let Some(own) = self.breaker.own_failure(error) {
                        tracing::warn!("an account that WeChat does not list was not checked: {own}");
                        report.fail(&own.label());
                    }
                }
            }
        }
        true
    }

    /// Asks WeChat whether the grant of one account is valid, unless that was asked today.
    async fn ask(&self, account: AppId, walk: &mut Walk) -> Result<(), TokenError> {
        let Some(stored) = self.store.accounts.get(&account).await? else { return Ok(()) };
        if !stored.has_details {
            self.move_details(&account).await;
        }
        let now = self.now();
        if stored.token.state != AccountState::Active || was_asked(&stored, now) {
            return Ok(());
        }
        walk.asked += 1;
        match self.component.details(&account).await {
            Ok(_) => self.store.accounts.note_asked(&account, stored.token.seq, now).await?,
            Err(error) if error.says_gone() => walk.ended.push(Ended {
                account,
                seq: stored.token.seq,
                errcode: error.wechat().and_then(WechatError::code).map(ErrCode::code),
                rid: error.wechat().and_then(WechatError::rid).map(str::to_owned),
                refused_since: stored.token.refused_since,
            }),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

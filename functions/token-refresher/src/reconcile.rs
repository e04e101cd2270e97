//! `{"task":"reconcile"}`: compares with WeChat's list of accounts (protocol sections 1.7 and 1.8).
//!
//! What a lost push or a lost answer left wrong is found here: accounts that are missing, refresh tokens that are not
//! WeChat's, grants that are gone. The list says where to look; what is done follows from the account's details, read
//! after the row. A live account is never taken out because a list did not name it.

use futures::StreamExt as _;
use futures::stream;
use secrecy::ExposeSecret as _;
use shared::clock::Timestamp;
use shared::ids::AppId;
use shared::renewal::{self, Order};
use shared::tokens::TokenError;
use shared::vault::{AccountState, END_OF_TIME, GrantWrite, Pass, StoredAccount, Vault};
use shared::wechat::ListedAuthorizer;

use crate::Run;
use crate::report::Report;

/// Accounts that a pass did not name are asked about up to this many times: a list that is suddenly empty is WeChat's
/// fault, not every merchant's wish, and must not use up the day's calls.
const MAX_GONE_CHECKS: usize = 500;

/// What looking at one listed account came to.
enum Look {
    Right,
    Added,
    Repaired,
}

impl Run {
    pub(crate) async fn reconcile(&self, report: &mut Report) -> Result<(), TokenError> {
        let mut pass = self.session.vault().open_pass(self.session.now()).await?;
        loop {
            if self.is_over() {
                tracing::info!(offset = pass.offset, "the pass over WeChat's list goes on at {}", pass.offset);
                return Ok(());
            }
            let page = self.list_page(pass.offset).await?;
            let next = pass.offset + page.entries();
            let total = page.total_count;
            if next == pass.offset {
                break;
            }
            let listed: Vec<AppId> = page.list.iter().map(|listed| listed.authorizer.clone()).collect();
            if !self.compare(page.list, &listed, report).await? {
                return Ok(());
            }
            let finished = self.session.vault().finish_page(pass, next, &listed, self.session.now()).await?;
            let Some(advanced) = finished else {
                tracing::info!("another run is at the same pass over WeChat's list");
                return Ok(());
            };
            pass = advanced;
            if next >= total {
                break;
            }
        }
        self.look_for_gone(pass, report).await?;
        Ok(self.session.vault().close_pass(pass).await?)
    }

    /// Whether the whole page could be compared before the time was up.
    async fn compare(
        &self,
        mut list: Vec<ListedAuthorizer>,
        authorizers: &[AppId],
        report: &mut Report,
    ) -> Result<bool, TokenError> {
        let stored = self.session.vault().glance(authorizers).await?;
        let now = self.session.now();
        list.retain(|listed| !is_right(stored.get(&listed.authorizer), listed, now));
        let mut looks = stream::iter(list)
            .map(async |listed| {
                if self.is_over() {
                    return (listed.authorizer, None);
                }
                self.pace.turn().await;
                let look = self.look_at(&listed).await;
                if let Err(error) = &look {
                    self.ends_with(error);
                }
                (listed.authorizer, Some(look))
            })
            .buffer_unordered(self.window);
        let mut complete = true;
        let mut ended = Ok(());
        while let Some((account, look)) = looks.next().await {
            match look {
                None => complete = false,
                Some(Ok(Look::Right)) => {}
                Some(Ok(Look::Added)) => report.added += 1,
                Some(Ok(Look::Repaired)) => report.repaired += 1,
                Some(Err(error)) if error.is_platform_wide() => ended = Err(error),
                Some(Err(error)) => {
                    tracing::warn!(authorizer = %account, "account {account} was not reconciled: {error}");
                    report.fail(&error.label());
                }
            }
        }
        ended.map(|()| complete)
    }

    /// Reads the row, then WeChat's details, and writes over the row as it was read.
    async fn look_at(&self, listed: &ListedAuthorizer) -> Result<Look, TokenError> {
        let authorizer = &listed.authorizer;
        let mut stored = self.session.vault().account(authorizer).await?;
        // A profile from before messages were received: what it says of their address is kept without asking WeChat.
        if let Some(row) = stored.as_mut().filter(|row| !row.is_named)
            && let Some(profile) = &row.profile
        {
            self.session.vault().name_account(authorizer, profile.user_name.as_deref()).await?;
            row.is_named = true;
        }
        if is_right(stored.as_ref(), listed, self.session.now()) {
            return Ok(Look::Right);
        }
        let details = self.session.details(authorizer).await?;
        let Some(stored) = stored.as_ref().filter(|stored| stored.token.state == AccountState::Active) else {
            self.session.adopt(authorizer, stored.as_ref(), &details, listed.auth_time, None).await?;
            tracing::warn!(authorizer = %authorizer, "account {authorizer} was missing and is added");
            return Ok(Look::Added);
        };
        let seq = stored.token.seq;
        // Another refresh token may be of another grant, with other permission sets.
        self.session.keep_profile(authorizer, seq, &details).await?;
        // Without a due date nobody renews it: it had no API permission once.
        let known =
            details.refresh_token.filter(|known| stored.token.due_at.is_none() || !stored.token.is_renewed_by(known));
        let Some(known) = known else { return Ok(Look::Right) };
        match self.session.vault().repair_refresh_token(authorizer, seq, &known, self.session.now()).await? {
            GrantWrite::Stored => {
                tracing::warn!(authorizer = %authorizer, "account {authorizer} had another refresh token than WeChat's");
                Ok(Look::Repaired)
            }
            GrantWrite::Changed => Ok(Look::Right),
        }
    }

    /// Asks WeChat about every account in use that the pass did not name.
    async fn look_for_gone(&self, pass: Pass, report: &mut Report) -> Result<(), TokenError> {
        let vault = self.session.vault();
        let listed = vault.listed_accounts(pass).await?;
        let mut checks = 0;
        for shard in 0..Vault::due_shards() {
            let mut after = None;
            loop {
                let (accounts, next) = vault.due_accounts(shard, END_OF_TIME, after).await?;
                for account in accounts.into_iter().filter(|account| !listed.contains(account)) {
                    if self.is_over() {
                        return Ok(());
                    }
                    checks += 1;
                    if checks > MAX_GONE_CHECKS {
                        tracing::error!(
                            "WeChat's list lacks over {MAX_GONE_CHECKS} accounts: the rest is not asked about"
                        );
                        return Ok(());
                    }
                    match self.mark_if_gone(&account, report).await {
                        Err(error) if self.ends_with(&error) => return Err(error),
                        Err(error) => {
                            tracing::warn!(authorizer = %account, "account {account} was not asked about: {error}");
                            report.fail(&error.label());
                        }
                        Ok(()) => {}
                    }
                }
                match next {
                    Some(position) => after = Some(position),
                    None => break,
                }
            }
        }
        Ok(())
    }

    async fn mark_if_gone(&self, account: &AppId, report: &mut Report) -> Result<(), TokenError> {
        let stored = self.session.vault().account(account).await?;
        let Some(stored) = stored.filter(|stored| stored.token.state == AccountState::Active) else { return Ok(()) };
        if self.session.is_gone(account).await? {
            let ended =
                self.session.end_grant(account, stored.token.seq, AccountState::NeedsAuthorization, None).await?;
            report.gone += u64::from(ended == GrantWrite::Stored);
        }
        Ok(())
    }
}

/// Whether the row agrees with the list, as far as the list goes. An account that was taken back after the time of the
/// list's grant is right as it is; what its details say is asked where that is not certain.
fn is_right(stored: Option<&StoredAccount>, listed: &ListedAuthorizer, now: Timestamp) -> bool {
    let Some(stored) = stored else { return false };
    match stored.token.state {
        AccountState::Active => {
            let same = listed
                .refresh_token
                .as_ref()
                .is_none_or(|named| stored.token.is_renewed_by(named) && stored.token.due_at.is_some());
            same && stored.profile.is_some() && stored.is_named
        }
        AccountState::Unauthorized => renewal::order(listed.auth_time, stored.revoked_at, now) == Order::Earlier,
        AccountState::NeedsAuthorization => {
            let same = stored.token.refresh_token.as_ref().zip(listed.refresh_token.as_ref());
            same.is_none_or(|(kept, named)| kept.expose_secret() == named.expose_secret())
        }
    }
}

//! `{"task":"reconcile"}`: compares with WeChat's list of accounts (protocol sections 1.7 and 1.8).
//!
//! This repairs the effects of lost pushes and lost responses: accounts that are missing, refresh tokens that differ
//! from WeChat's, grants that have ended, and grants that were marked as gone although WeChat lists them. The list says
//! where to look; what is done follows from the account's details, read after the row. A live account is never removed
//! because a list did not name it, and one that cannot be compared delays no other.

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;
use futures::StreamExt as _;
use futures::stream;
use platform::tokens::{Renewal, Scope, TokenError};
use secrecy::ExposeSecret as _;
use store::{AccountState, FinishedPage, PassCounts, ReconcileCursor, StoredAccount, TokenOwner};
use wechat::api::{AuthorizerDetails, AuthorizerPage, LIST_PAGE, ListedAuthorizer};
use wechat::times::{self, Order};

use crate::Run;
use crate::report::Report;

/// The sizes of the pages in which the list is requested: if WeChat cannot return a whole page, one entry of it is the
/// cause.
const PAGE_SIZES: [u32; 5] = [LIST_PAGE, 100, 20, 4, 1];

/// WeChat's list and details may lag its response to a renewal by this much: a token stored since then is newer.
const LIST_LAG: Duration = Duration::from_mins(15);

/// An account that was checked and found correct is not checked again for this long: its row and the list may differ
/// permanently.
const ASK_DAILY: Duration = Duration::from_hours(20);

/// The shortest wait before an account whose grant was marked as gone is checked again.
const FIRST_ASK: Duration = Duration::from_mins(50);

/// A pass, and what the run had done when the pass was last recorded.
struct Counted {
    pass: ReconcileCursor,
    before: Report,
}

impl Counted {
    /// What has been done since then.
    fn since(&self, report: &Report) -> PassCounts {
        let failed = |report: &Report| report.failed.values().sum::<u64>();
        PassCounts {
            added: report.added - self.before.added,
            repaired: report.repaired - self.before.repaired,
            gone: report.gone - self.before.gone,
            failed: failed(report) - failed(&self.before),
        }
    }
}

/// The outcome of comparing one listed account.
enum Comparison {
    Right,
    Added,
    Repaired,
}

impl Run {
    pub(crate) async fn reconcile(&self, report: &mut Report) {
        if let Err(error) = self.pass_over_list(report).await
            && let Some(own) = self.breaker.own_failure(error)
        {
            tracing::warn!("the pass over WeChat's list continues in the next run: {own}");
            report.fail(&own.label());
        }
    }

    async fn pass_over_list(&self, report: &mut Report) -> Result<(), TokenError> {
        let pass = self.store.reconcile_passes.open(&self.write_id(), self.now()).await?;
        let mut counted = Counted { pass, before: report.clone() };
        let ended = self.pass_on(&mut counted, report).await;
        // What was done after the last finished page; a pass that has ended has counted it.
        let left = counted.since(report);
        if left != PassCounts::default() {
            self.store.reconcile_passes.count(counted.pass, left, &self.write_id()).await?;
        }
        ended
    }

    /// The name of one write, by which it is recognized if its response is lost.
    fn write_id(&self) -> String {
        self.context.random.id()
    }

    async fn pass_on(&self, counted: &mut Counted, report: &mut Report) -> Result<(), TokenError> {
        loop {
            let pass = counted.pass;
            if self.is_over() {
                tracing::info!(offset = pass.offset, "the pass over WeChat's list continues at {}", pass.offset);
                return Ok(());
            }
            let page = self.readable_page(pass.offset, report).await?;
            let next = pass.offset + page.entries();
            let total = page.total_count;
            if next == pass.offset {
                break;
            }
            let listed: Vec<AppId> = page.list.iter().map(|listed| listed.authorizer.clone()).collect();
            if !self.compare(page.list, &listed, report).await? {
                return Ok(());
            }
            let counts = counted.since(report);
            let page = FinishedPage { next_offset: next, total, listed: &listed, counts };
            let Some(advanced) =
                self.store.reconcile_passes.finish_page(pass, &page, &self.write_id(), self.now()).await?
            else {
                tracing::info!("another run is doing the same pass over WeChat's list");
                return Ok(());
            };
            *counted = Counted { pass: advanced, before: report.clone() };
            if next >= total {
                break;
            }
        }
        let pass = counted.pass;
        if self.look_for_gone(pass, report).await? {
            let counts = counted.since(report);
            if self.store.reconcile_passes.close(pass, counts, &self.write_id(), self.now()).await? {
                counted.before = report.clone();
            }
            self.move_ended().await?;
        }
        Ok(())
    }

    /// Moves, once a day, the details of accounts out of use to their own item, for rows that an earlier version has
    /// written. WeChat does not list these accounts.
    async fn move_ended(&self) -> Result<(), TokenError> {
        let store = &self.store;
        let last = store.reconcile_passes.ended_read_at().await?;
        if last.is_some_and(|last| self.now().since(last) < ASK_DAILY) {
            return Ok(());
        }
        for state in [AccountState::Unauthorized, AccountState::NeedsAuthorization] {
            let mut after = None;
            loop {
                if self.is_over() {
                    return Ok(());
                }
                let (page, next) = store.accounts.ended(state, after).await?;
                let rows = store.accounts.get_eventually(&page).await?;
                let earlier = rows.into_iter().filter(|(_, row)| !row.has_details);
                stream::iter(earlier)
                    .for_each_concurrent(self.window, async |(account, _)| {
                        if !self.is_over() {
                            self.rate_limiter.acquire().await;
                            self.move_details(&account).await;
                        }
                    })
                    .await;
                match next {
                    Some(position) => after = Some(position),
                    None => break,
                }
            }
        }
        store.reconcile_passes.note_ended_read(self.now()).await?;
        Ok(())
    }

    /// Moves the details that an earlier version wrote into an account's row. A failure does no harm: the row is read
    /// as it is, and moved another time.
    pub(crate) async fn move_details(&self, account: &AppId) {
        if let Err(error) = self.store.accounts.move_details(account, self.now()).await {
            tracing::warn!(authorizer = %account, "the details of account {account} were not moved yet: {error}");
        }
    }

    /// The page at `offset`, smaller if WeChat does not return a whole one. An entry that cannot be read on its own is
    /// skipped if the following ones can.
    pub(crate) async fn readable_page(&self, offset: u64, report: &mut Report) -> Result<AuthorizerPage, TokenError> {
        let mut failure = None;
        for size in PAGE_SIZES {
            match self.component.list_page(offset, size).await {
                Ok(page) => return Ok(page),
                Err(error) if error.scope() != Scope::Subject || self.is_over() => return Err(error),
                Err(error) => failure = Some(error),
            }
        }
        let behind = self.component.list_page(offset + 1, 1).await?;
        if let Some(failure) = failure {
            tracing::error!(offset, "entry {offset} of WeChat's list cannot be read and is skipped: {failure}");
            report.fail(&failure.label());
        }
        Ok(AuthorizerPage::without_one_entry(behind.total_count))
    }

    /// Compares a page; `false` if time was up before all of it was compared. An account that fails is compared again
    /// in the next pass.
    async fn compare(
        &self,
        mut list: Vec<ListedAuthorizer>,
        authorizers: &[AppId],
        report: &mut Report,
    ) -> Result<bool, TokenError> {
        let stored = self.store.accounts.get_eventually(authorizers).await?;
        let now = self.now();
        list.retain(|listed| {
            let row = stored.get(&listed.authorizer);
            !is_right(row, listed, now) || row.is_some_and(|row| !row.has_details)
        });
        let mut looks = stream::iter(list)
            .map(async |listed| {
                if self.is_over() {
                    return (listed.authorizer, None);
                }
                self.rate_limiter.acquire().await;
                let look = self.look_at(&listed).await;
                (listed.authorizer, Some(look))
            })
            .buffer_unordered(self.window);
        let mut complete = true;
        while let Some((account, look)) = looks.next().await {
            match look {
                None => complete = false,
                Some(Ok(look)) => {
                    self.breaker.table_answered();
                    match look {
                        Comparison::Right => {}
                        Comparison::Added => report.added += 1,
                        Comparison::Repaired => report.repaired += 1,
                    }
                }
                Some(Err(error)) => {
                    if let Some(own) = self.breaker.own_failure(error) {
                        tracing::warn!(authorizer = %account, "account {account} was not reconciled: {own}");
                        report.fail(&own.label());
                    }
                }
            }
        }
        Ok(complete && self.breaker.cause().is_none())
    }

    /// Reads the row, then WeChat's details, and updates the row only if it has not changed since.
    async fn look_at(&self, listed: &ListedAuthorizer) -> Result<Comparison, TokenError> {
        let authorizer = &listed.authorizer;
        let mut stored = self.store.accounts.get(authorizer).await?;
        if stored.as_ref().is_some_and(|row| !row.has_details) {
            self.move_details(authorizer).await;
            stored = self.store.accounts.get(authorizer).await?;
        }
        if is_right(stored.as_ref(), listed, self.now()) {
            return Ok(Comparison::Right);
        }
        let details = self.details_or_listed(listed, stored.as_ref()).await?;
        match &stored {
            Some(row) if row.token.state == AccountState::Active => {
                self.compare_active(authorizer, row, &details).await
            }
            Some(row) if row.token.state == AccountState::NeedsAuthorization => {
                self.try_again(authorizer, row, &details).await
            }
            row => {
                self.exchange.adopt(authorizer, row.as_ref(), &details, grant_time(listed, &details)).await?;
                tracing::warn!(authorizer = %authorizer, "account {authorizer} was missing and is added");
                Ok(Comparison::Added)
            }
        }
    }

    /// The account's details, completed or replaced by what the list says if they are incomplete or cannot be read.
    async fn details_or_listed(
        &self,
        listed: &ListedAuthorizer,
        row: Option<&StoredAccount>,
    ) -> Result<AuthorizerDetails, TokenError> {
        let authorizer = &listed.authorizer;
        let error = match self.component.details(authorizer).await {
            Ok(details) => {
                let refresh_token = details.refresh_token.or_else(|| listed.refresh_token.clone());
                return Ok(AuthorizerDetails { refresh_token, ..details });
            }
            Err(error) => error,
        };
        let denies = error.says_gone();
        if error.scope() == Scope::Subject && !denies && listed.refresh_token.is_some() {
            tracing::warn!(authorizer = %authorizer, "the details of account {authorizer} cannot be read: {error}");
            let known = if row.is_some() { self.store.details.get(authorizer).await? } else { None };
            let func_info = known.map(|known| known.func_info).unwrap_or_default();
            return Ok(AuthorizerDetails { profile: None, refresh_token: listed.refresh_token.clone(), func_info });
        }
        if let (true, Some(row)) = (denies, row) {
            self.store.accounts.note_asked(authorizer, row.token.seq, self.now()).await?;
        }
        Err(error)
    }

    /// If the row and WeChat differ, the row's own refresh token is tried first, unless that has just failed: WeChat's
    /// details and list may lag. Renewing falls back on the details.
    async fn compare_active(
        &self,
        authorizer: &AppId,
        row: &StoredAccount,
        details: &AuthorizerDetails,
    ) -> Result<Comparison, TokenError> {
        let store = &self.store;
        // Another refresh token may belong to another grant, with other permission sets.
        if let Err(error) = self.profiles.keep(authorizer, row.token.seq, details).await {
            tracing::warn!(authorizer = %authorizer, "the profile of account {authorizer} was not stored: {error}");
        }
        let Some(known) = &details.refresh_token else { return Ok(Comparison::Right) };
        let owner = TokenOwner::Authorizer(authorizer.clone());
        match &row.token.refresh_token {
            Some(_) if row.token.is_renewed_by(known) && row.token.due_at.is_some() => {
                store.accounts.note_asked(authorizer, row.token.seq, self.now()).await?;
                return Ok(Comparison::Right);
            }
            Some(_) if row.token.due_at.is_some() && row.token.failures == 0 => {
                store.accounts.note_asked(authorizer, row.token.seq, self.now()).await?;
                store.tokens.mark_due(&owner, self.now()).await?;
            }
            // Unusable, or never used: the account had granted no API permission before.
            _ => drop(store.accounts.overwrite_refresh_token(authorizer, row.token.seq, known, self.now()).await?),
        }
        tracing::warn!(authorizer = %authorizer, "account {authorizer} had another refresh token than WeChat's");
        match self.tokens.renew(authorizer).await? {
            Renewal::Renewed(_) => Ok(Comparison::Repaired),
            Renewal::NotOurs | Renewal::Refused(_) => Ok(Comparison::Right),
        }
    }

    /// Handles an account that WeChat lists although its grant was marked as gone. If its refresh token works, it is in
    /// use again.
    async fn try_again(
        &self,
        authorizer: &AppId,
        row: &StoredAccount,
        details: &AuthorizerDetails,
    ) -> Result<Comparison, TokenError> {
        self.store.accounts.note_asked(authorizer, row.token.seq, self.now()).await?;
        if self.tokens.revive(authorizer, row, details).await? {
            tracing::warn!(authorizer = %authorizer, "account {authorizer} was marked as gone and is in use again");
            return Ok(Comparison::Added);
        }
        Ok(Comparison::Right)
    }
}

/// WeChat's time of the details' grant: the list's, if both name the same refresh token. The merchant may have left and
/// returned after the list was read.
fn grant_time(listed: &ListedAuthorizer, details: &AuthorizerDetails) -> Option<Timestamp> {
    let (of_list, of_details) = listed.refresh_token.as_ref().zip(details.refresh_token.as_ref())?;
    listed.auth_time.filter(|_| of_list.expose_secret() == of_details.expose_secret())
}

/// Whether the row agrees with the list, as far as the list goes. An account that was revoked after the time of the
/// list's grant is correct as it is; if that is not certain, its details are read.
fn is_right(stored: Option<&StoredAccount>, listed: &ListedAuthorizer, now: Timestamp) -> bool {
    let Some(stored) = stored else { return false };
    let token = &stored.token;
    match token.state {
        AccountState::Active => {
            let same =
                listed.refresh_token.as_ref().is_none_or(|named| token.is_renewed_by(named) && token.due_at.is_some());
            let is_newer = token.due_at.is_some() && token.stored_at.is_some_and(|at| now.since(at) < LIST_LAG);
            (same || is_newer) && stored.is_described || was_asked(stored, now)
        }
        AccountState::Unauthorized => times::order(listed.auth_time, stored.revoked_at, now) == Order::Earlier,
        AccountState::NeedsAuthorization => !is_time_to_ask(stored, now),
    }
}

/// Whether an account was checked today and needs no other check: its renewals have not failed since.
pub(crate) fn was_asked(stored: &StoredAccount, now: Timestamp) -> bool {
    stored.token.failures == 0 && stored.asked_at.is_some_and(|at| now.since(at) < ASK_DAILY)
}

/// Whether it is time to check an account that is listed although its grant was marked as gone: soon after its end,
/// then each time after as long as it has been out of use, and finally once a day.
fn is_time_to_ask(stored: &StoredAccount, now: Timestamp) -> bool {
    let (Some(ended), Some(asked)) = (stored.token.due_at, stored.asked_at) else { return true };
    asked < ended || now.since(asked) >= asked.since(ended).clamp(FIRST_ASK, ASK_DAILY)
}

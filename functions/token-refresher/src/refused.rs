//! The handling of accounts that WeChat refuses to renew (protocol sections 1.8 and 6).
//!
//! WeChat has returned 61003 or 61023 for accounts whose grants were valid, for minutes and for many at once. So a
//! grant ends only if independent sources agree: the renewal, the account's details, and the list of all accounts. An
//! account that the list still names is retried with back-off; only when that has failed for hours is the merchant
//! asked to authorize again, and reconcile keeps checking.

use std::collections::BTreeMap;
use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;
use platform::tokens::{DetailsSay, Refused, Renewal, TokenError};
use secrecy::SecretString;
use store::{GrantEnd, TokenOwner, WriteOutcome};
use tokio::time::Instant;
use wechat::api::ListedAuthorizer;

use crate::Run;
use crate::report::Report;

/// The most pages of the list that a renew run of all accounts reads, or runs of parts together. One run finds all of
/// 10,000 accounts in them; on a larger platform, reconcile compares with the whole list and decides on the account.
const LIST_PAGES: u64 = 20;

/// A grant has ended, even if the list still names the account, when every response about it was a refusal for this
/// long: six in a row, with their pauses.
const REFUSALS_THAT_END: Duration = Duration::from_mins(150);

/// A grant that has been refused for this long ends however many others do.
const BEYOND_DOUBT: Duration = Duration::from_hours(24);

/// The grants that a run of all accounts may end in any case, or runs of parts together: few enough to be a day's
/// ordinary revocations whose pushes were lost.
const USUAL_ENDS: u64 = 5;

/// One in this many: if more of the accounts that a run has looked at seem gone, the run ends none of them.
const UNUSUAL_PART: u64 = 10;

/// The label of grants that seem to have ended but are kept, because there are too many of them at once.
const MASS_LOSS: &str = "mass-loss";

/// A grant that has ended according to WeChat.
pub(crate) struct Ended {
    pub(crate) account: AppId,
    /// The `token_seq` at the time of the finding.
    pub(crate) seq: u64,
    /// WeChat's code of the last refusal, if it is known.
    pub(crate) errcode: Option<i64>,
    /// WeChat's id of that call.
    pub(crate) rid: Option<String>,
    /// Since when its renewals have been refused, if they have been.
    pub(crate) refused_since: Option<Timestamp>,
}

impl Ended {
    fn refused(account: AppId, word: &Refused) -> Self {
        let (seq, errcode, rid) = (word.seq, Some(word.code.code()), word.rid.clone());
        Self { account, seq, errcode, rid, refused_since: Some(word.since) }
    }
}

/// The result of looking a refused account up in the list.
enum ListSays {
    /// It was renewed with the refresh token in the list.
    Recovered,
    /// The account no longer has a refresh token.
    NoToken,
    /// The grant is valid; nothing in the list helps.
    Named,
}

impl Run {
    /// Looks up refused accounts in WeChat's list, in one pass for all of them, and decides on them.
    pub(crate) async fn decide_on_refused(&self, mut refused: BTreeMap<AppId, Refused>, report: &mut Report) {
        let looked_at = report.renewed + u64::try_from(refused.len()).unwrap_or(u64::MAX);
        let mut ended = Vec::new();
        let whole_list = match self.look_up(&mut refused, &mut ended, report).await {
            Ok(whole_list) => whole_list,
            Err(error) => {
                if let Some(own) = self.breaker.own_failure(error) {
                    tracing::warn!("refused accounts were not looked up in WeChat's list: {own}");
                    report.fail(&own.label());
                }
                false
            }
        };
        for (account, word) in refused {
            let is_gone = whole_list && word.details == DetailsSay::Gone;
            if is_gone || self.has_lasted(&word) {
                ended.push(Ended::refused(account, &word));
            } else {
                stays(&account, &word, report);
            }
        }
        self.end_grants(ended, looked_at, report).await;
    }

    /// Removes the accounts that the list names from `refused`; returns whether the whole list was read.
    async fn look_up(
        &self,
        refused: &mut BTreeMap<AppId, Refused>,
        ended: &mut Vec<Ended>,
        report: &mut Report,
    ) -> Result<bool, TokenError> {
        let mut offset = 0;
        let mut skipped = 0;
        for _ in 0..self.part.share_of(LIST_PAGES) {
            if self.is_over() {
                return Ok(false);
            }
            let page = self.readable_page(offset, report).await?;
            for listed in &page.list {
                if self.is_over() {
                    return Ok(false);
                }
                let Some(word) = refused.remove(&listed.authorizer) else { continue };
                match self.try_listed(listed, &word).await {
                    Ok(ListSays::Recovered) => {
                        report.renewed += 1;
                        report.repaired += 1;
                    }
                    Ok(ListSays::NoToken) => ended.push(Ended::refused(listed.authorizer.clone(), &word)),
                    Ok(ListSays::Named) if self.has_lasted(&word) => {
                        ended.push(Ended::refused(listed.authorizer.clone(), &word));
                    }
                    Ok(ListSays::Named) => stays(&listed.authorizer, &word, report),
                    Err(error) => {
                        if let Some(own) = self.breaker.own_failure(error) {
                            report.fail(&own.label());
                        }
                    }
                }
            }
            offset += page.entries();
            skipped += page.skipped;
            if refused.is_empty() || offset >= page.total_count {
                // An entry that cannot be read may be any account's.
                return Ok(skipped == 0);
            }
            if page.entries() == 0 {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// Tries the refresh token in the list, if it differs from ours.
    async fn try_listed(&self, listed: &ListedAuthorizer, word: &Refused) -> Result<ListSays, TokenError> {
        let account = &listed.authorizer;
        let Some(named) = &listed.refresh_token else {
            let agreed = word.details == DetailsSay::NoRefreshToken;
            return Ok(if agreed { ListSays::NoToken } else { ListSays::Named });
        };
        if self.keeps(account, named).await? {
            return Ok(ListSays::Named);
        }
        let now = self.now();
        let repaired = self.store.accounts.overwrite_refresh_token(account, word.seq, named, now).await?;
        if repaired == WriteOutcome::Superseded {
            return Ok(ListSays::Named);
        }
        match self.tokens.renew(account).await? {
            Renewal::Renewed(_) => {
                tracing::warn!(authorizer = %account, "account {account} was renewed with the refresh token of the list");
                Ok(ListSays::Recovered)
            }
            Renewal::NotOurs | Renewal::Refused(_) => Ok(ListSays::Named),
        }
    }

    async fn keeps(&self, account: &AppId, refresh_token: &SecretString) -> Result<bool, TokenError> {
        let stored = self.store.tokens.get(&TokenOwner::Authorizer(account.clone())).await?;
        let kept = stored.is_some_and(|token| token.is_renewed_by(refresh_token));
        Ok(kept)
    }

    /// Ends grants, unless they are so many that a fault of WeChat's is more likely. They were found among `looked_at`
    /// accounts.
    pub(crate) async fn end_grants(&self, ended: Vec<Ended>, looked_at: u64, report: &mut Report) {
        let now = self.now();
        let is_certain = |one: &Ended| one.refused_since.is_some_and(|since| now.since(since) >= BEYOND_DOUBT);
        let (mut ended, doubtful): (Vec<Ended>, Vec<Ended>) = ended.into_iter().partition(is_certain);
        let count = u64::try_from(doubtful.len()).unwrap_or(u64::MAX);
        if count > self.part.share_of(USUAL_ENDS).max(looked_at / UNUSUAL_PART) {
            tracing::error!(
                count,
                looked_at,
                "WeChat says of {count} accounts at once that their grants are gone: none is ended, all are asked about \
                 again; compare with the accounts in WeChat's console"
            );
            report.fail_times(MASS_LOSS, count);
        } else {
            ended.extend(doubtful);
        }
        for Ended { account, seq, errcode, rid, .. } in ended {
            if self.breaker.cause().is_some() || Instant::now() >= self.ends_at {
                return;
            }
            match self.tokens.end_grant(&account, seq, &GrantEnd::Refused { errcode, rid }).await {
                Ok(written) => report.gone += u64::from(written == WriteOutcome::Stored),
                Err(error) => {
                    if let Some(own) = self.breaker.own_failure(error.into()) {
                        tracing::warn!(authorizer = %account, "the end of the grant of account {account} was not stored: {own}");
                        report.fail(&own.label());
                    }
                }
            }
        }
    }

    /// Whether the refusals have lasted too long to be a temporary fault, and the details were read.
    fn has_lasted(&self, word: &Refused) -> bool {
        self.now().since(word.since) >= REFUSALS_THAT_END && word.details != DetailsSay::Nothing
    }
}

/// Keeps the account's grant and what is left of its token; it is retried after its back-off.
fn stays(account: &AppId, word: &Refused, report: &mut Report) {
    tracing::warn!(authorizer = %account, code = %word.code, "account {account} was refused and will be retried");
    report.fail(&word.code.to_string());
}

//! The number of accounts in each state.

use base::language::Language;
use store::{AccountCounts, Accounts};

use crate::finding::{Check, Finding, State, Verdict};

/// Counts the accounts by state, with one query for each megabyte of the accounts' keys in the index. The caller bounds
/// the time.
pub async fn examine_accounts(accounts: &Accounts) -> Finding {
    match accounts.counts().await {
        Ok(counts) => counts.into(),
        Err(error) => Finding::unreadable(Check::Accounts, error),
    }
}

impl State for AccountCounts {
    fn check(&self) -> Check {
        Check::Accounts
    }

    fn verdict(&self) -> Verdict {
        Verdict::Ok
    }

    fn sentence(&self, language: Language) -> String {
        if *self == Self::default() {
            return language.pick("还没有账号授权给本平台", "none has authorized the platform yet").to_owned();
        }
        let Self { active, unauthorized, needs_authorization } = self;
        say!(
            language,
            "授权有效 {active} 个，已取消授权 {unauthorized} 个，需要重新授权 {needs_authorization} 个",
            "{active} active, {unauthorized} unauthorized (taken back), {needs_authorization} need authorization again",
        )
    }

    fn remedy(&self, _: Language) -> Option<String> {
        None
    }
}

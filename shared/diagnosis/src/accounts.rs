//! How many accounts there are.

use base::language::Language;
use store::{AccountState, Accounts, StoreError};

use crate::finding::{Check, Finding, State, Verdict};

/// How many accounts are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccountCounts {
    /// Those that are renewed. One that granted no API permission has no token and is not among them.
    pub active: u64,
    /// Those whose merchants took the authorization back.
    pub unauthorized: u64,
    /// Those that WeChat refuses until the merchant authorizes again.
    pub needs_authorization: u64,
}

/// Counts the accounts.
pub(crate) async fn look(accounts: &Accounts) -> Finding {
    match AccountCounts::count(accounts).await {
        Ok(counts) => counts.into(),
        Err(error) => Finding::unreadable(Check::Accounts, error),
    }
}

impl AccountCounts {
    async fn count(accounts: &Accounts) -> Result<Self, StoreError> {
        let (active, unauthorized, needs_authorization) = tokio::try_join!(
            accounts.count(AccountState::Active),
            accounts.count(AccountState::Unauthorized),
            accounts.count(AccountState::NeedsAuthorization),
        )?;
        Ok(Self { active, unauthorized, needs_authorization })
    }

    /// Those in a state.
    #[must_use]
    pub const fn of(self, state: AccountState) -> u64 {
        match state {
            AccountState::Active => self.active,
            AccountState::Unauthorized => self.unauthorized,
            AccountState::NeedsAuthorization => self.needs_authorization,
        }
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

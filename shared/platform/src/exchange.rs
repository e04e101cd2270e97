//! The exchange of an authorization code for an account's tokens (protocol section 1.4), by whichever comes first: the
//! refresher with a push, or the callback with a redirect.
//!
//! A code can be spent only once. So it is claimed before it is sent, and the tokens are stored before anything else is
//! done with them. If WeChat says that a code is spent but no grant is stored, the account's refresh token is read from
//! its details instead. The details describe the present state, whichever code was the reason to read them. The future
//! of [`Exchange::run`] must not be dropped once it was polled.

mod keep;
mod recover;

use base::clock::Timestamp;
use base::ids::AppId;
use base::limits::{CODE_LIFE, LEASE};
use secrecy::SecretString;
use store::{
    AccountState, Arrival, Binding, Bound, BoundBy, ClaimKey, Claimed, ClaimedCode, CodeDigest, GrantOrigin, Lease,
    LeaseTerm, Store, StoreError, StoredAccount, TokenOwner,
};
use wechat::api::{Reaction, WechatError};
use wechat::times::{self, Order};

use crate::component::Component;
use crate::context::Context;
use crate::profiles::Profiles;
use crate::tokens::{TokenError, Tokens};

/// A code to be exchanged.
pub struct Code<'a> {
    /// The code. WeChat's pushes about trial mini programs have none: the tokens are read from the account's details.
    pub code: Option<&'a SecretString>,
    /// Its claim.
    pub claim: &'a ClaimKey,
    /// The account that it is for.
    pub owner: CodeOwner<'a>,
    /// WeChat's time of the grant, if a push has a credible one.
    pub granted_at: Option<Timestamp>,
    /// When it arrived.
    pub received_at: Timestamp,
}

/// The account that a code is for.
#[derive(Debug, Clone, Copy)]
pub enum CodeOwner<'a> {
    /// A push named it.
    Known(&'a AppId),
    /// It is probably this one; only WeChat's response confirms it.
    Presumed(&'a AppId),
    /// It is unknown, as with a redirect.
    Unknown,
}

/// The outcome of an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exchanged {
    /// The account's grant is stored, by this exchange or an earlier one.
    Granted {
        /// The account.
        authorizer: AppId,
        /// The outcome for the link that the code belongs to; `None` if it belongs to none.
        bound: Option<Bound>,
    },
    /// Another process is exchanging it.
    Busy,
    /// By WeChat's timestamps the grant has been revoked since: the code was not sent.
    RevokedSince,
    /// WeChat says that the account's grant is gone again.
    Gone,
    /// The code is spent or expired and its account is unknown: if there is a grant, reconciliation finds it.
    Spent {
        /// Whether an earlier attempt of ours may have spent it and lost the response.
        by_us: bool,
    },
}

/// A code that we have claimed.
struct ClaimedExchange<'a> {
    code: &'a Code<'a>,
    claimed: ClaimedCode<'a>,
    /// The account before WeChat was called: its `token_seq` shows whether anything was stored since.
    before: Option<StoredAccount>,
    lease: Lease<ClaimKey>,
    binding: Option<Binding>,
    /// Whether an earlier attempt may have spent the code.
    tried: bool,
}

impl Code<'_> {
    /// The digest that a claim stores of the code exchanged under it.
    fn digest(&self) -> CodeDigest {
        self.code.map_or_else(|| CodeDigest::from_stored(self.claim.as_str()), CodeDigest::of)
    }

    /// Whose word binds the link to the account: a push's, which names the account, or a browser's, which does not.
    const fn evidence(&self) -> BoundBy {
        if self.owner.known().is_some() { BoundBy::Push } else { BoundBy::Browser }
    }
}

impl<'a> CodeOwner<'a> {
    const fn account(self) -> Option<&'a AppId> {
        match self {
            Self::Known(account) | Self::Presumed(account) => Some(account),
            Self::Unknown => None,
        }
    }

    const fn known(self) -> Option<&'a AppId> {
        match self {
            Self::Known(account) => Some(account),
            Self::Presumed(_) | Self::Unknown => None,
        }
    }
}

/// The exchange of codes, while one event is handled.
#[derive(Clone)]
pub struct Exchange {
    tokens: Tokens,
}

impl Exchange {
    /// The exchange of codes for a platform.
    #[must_use]
    pub fn of(component: &Component) -> Self {
        Self { tokens: Tokens::of(component) }
    }

    const fn component(&self) -> &Component {
        self.tokens.component()
    }

    const fn profiles(&self) -> &Profiles {
        self.tokens.profiles()
    }

    const fn store(&self) -> &Store {
        self.component().store()
    }

    const fn context(&self) -> &Context {
        self.component().context()
    }

    fn now(&self) -> Timestamp {
        self.context().now()
    }

    /// Exchanges a code under its claim and stores what it brings; binds the link that the claim belongs to.
    ///
    /// # Errors
    /// [`TokenError`]: another try later can succeed, and nothing is lost.
    pub async fn run(&self, code: &Code<'_>) -> Result<Exchanged, TokenError> {
        let before = match code.owner.account() {
            Some(account) => self.store().accounts.get(account).await?,
            None => None,
        };
        if code.owner.known().is_some() && self.is_revoked_since(before.as_ref(), code) {
            return Ok(Exchanged::RevokedSince);
        }
        let digest = code.digest();
        let arrival = code
            .owner
            .known()
            .map_or(Arrival::Redirect, |authorizer| Arrival::Push { authorizer, granted_at: code.granted_at });
        let claimed = ClaimedCode { claim: code.claim, code: &digest, arrival };
        let term = LeaseTerm::new(&self.context().random, self.now(), LEASE);
        let (lease, binding, tried, redirected) = match self.store().claims.claim(&claimed, &term).await? {
            Claimed::Busy => return Ok(Exchanged::Busy),
            Claimed::Done(grant, binding) => {
                return Box::pin(self.exchanged_before(code, &grant, before.as_ref(), binding)).await;
            }
            Claimed::Ours { lease, binding, tried, redirected } => (lease, binding, tried, redirected),
        };
        let attempt = ClaimedExchange { code, claimed, before, lease, binding, tried };
        // On the heap: these futures are large, and would otherwise be part of the future of every page and entry.
        let result = match &redirected {
            Some(grant) => Box::pin(self.confirm_redirected(&attempt, grant)).await,
            None => Box::pin(self.exchange_claimed(&attempt)).await,
        };
        self.end(&attempt, &result, redirected.is_none()).await;
        result
    }

    async fn exchange_claimed(&self, attempt: &ClaimedExchange<'_>) -> Result<Exchanged, TokenError> {
        let code = attempt.code;
        let Some(secret) = code.code else { return self.recover_spent(attempt).await };
        let (component, context) = (self.component(), self.context());
        let sent = component.call(|token| async move {
            context.may_still_call(attempt.lease.until())?;
            component.wechat().query_auth(component.carries(&token), secret).await
        });
        match sent.await {
            Ok(grant) => {
                let Some(seq) = self.keep_grant(&grant, attempt).await? else { return Ok(Exchanged::Gone) };
                let authorizer = &grant.authorizer;
                tracing::info!(authorizer = %authorizer, "account {authorizer} has authorized the platform");
                self.profiles().fetch(authorizer, seq).await;
                self.granted(grant.authorizer, attempt.binding.as_ref(), code.evidence()).await
            }
            Err(TokenError::Wechat(refused)) => match refused.reaction() {
                Reaction::CodeSpent => self.recover_spent(attempt).await,
                Reaction::Reauthorize => self.on_not_authorized(attempt, refused).await,
                _ => Err(refused.into()),
            },
            Err(error) => Err(error),
        }
    }

    /// Handles the refusal that a code's account has not authorized the platform. WeChat sometimes says this of a fresh
    /// code: while a code is valid, it is believed only if the account's details confirm it.
    async fn on_not_authorized(
        &self,
        attempt: &ClaimedExchange<'_>,
        refused: WechatError,
    ) -> Result<Exchanged, TokenError> {
        let may_live = self.now().since(attempt.code.received_at) < CODE_LIFE;
        match attempt.code.owner.known() {
            Some(authorizer) if self.component().is_gone(authorizer).await? => Ok(Exchanged::Gone),
            _ if may_live => Err(refused.into()),
            Some(_) => self.recover_spent(attempt).await,
            None => Ok(Exchanged::Gone),
        }
    }

    /// Ends the claim, unless the write of the grant has ended it. If WeChat may have spent the code and its response
    /// is lost, it may also have replaced the account's token.
    async fn end(
        &self,
        attempt: &ClaimedExchange<'_>,
        result: &Result<Exchanged, TokenError>,
        finished_when_granted: bool,
    ) {
        let may_be_spent = result.as_ref().is_err_and(|error| attempt.tried || may_have_spent(error));
        if may_be_spent
            && let Some(account) = attempt.code.owner.account()
            && let Err(error) = self.store().tokens.mark_due(&TokenOwner::Authorizer(account.clone()), self.now()).await
        {
            tracing::warn!(authorizer = %account, "account {account} may have a dead token until it is renewed: {error}");
        }
        if finished_when_granted && matches!(result, Ok(Exchanged::Granted { .. })) {
            return;
        }
        if let Err(error) = self.store().claims.release(&attempt.lease, may_be_spent).await {
            tracing::warn!(claim = %attempt.claimed.claim, "the claim on an authorization code was not released and will expire: {error}");
        }
    }

    async fn granted(
        &self,
        authorizer: AppId,
        binding: Option<&Binding>,
        by: BoundBy,
    ) -> Result<Exchanged, TokenError> {
        let Some(binding) = binding else { return Ok(Exchanged::Granted { authorizer, bound: None }) };
        let bound = self.store().links.bind(&binding.link, &authorizer, by, self.now()).await?;
        if bound == Bound::Yes
            && let Some(origin) = self.origin_of(binding, &authorizer, by).await?
        {
            self.store().accounts.note_origin(&authorizer, &origin, self.now()).await?;
        }
        Ok(Exchanged::Granted { authorizer, bound: Some(bound) })
    }

    /// What the merchant's link says about the account; `None` if the link is cancelled or bound to another account: a
    /// link is for one account only. One read.
    async fn origin_of(
        &self,
        binding: &Binding,
        authorizer: &AppId,
        by: BoundBy,
    ) -> Result<Option<GrantOrigin>, StoreError> {
        let link = match self.store().links.get(&binding.link, self.now()).await {
            Ok(link) => link.filter(|link| link.is_open_to(authorizer)),
            // The grant is kept, whatever the state of its link.
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(link = %binding.link, "the account's reference cannot be read from its link: {error}");
                None
            }
            Err(error) => return Err(error),
        };
        Ok(link.map(|link| {
            let binds = link.authorized.is_none().then_some(by);
            GrantOrigin { labels: link.says(), link: link.id, binds }
        }))
    }

    /// Whether, by WeChat's timestamps, a revocation that is in force is later than the code's grant.
    fn is_revoked_since(&self, account: Option<&StoredAccount>, code: &Code<'_>) -> bool {
        account.is_some_and(|account| {
            account.token.state != AccountState::Active
                && times::order(code.granted_at, account.revoked_at, self.now()) == Order::Earlier
        })
    }
}

/// Whether a failed exchange may nevertheless have spent the code.
fn may_have_spent(error: &TokenError) -> bool {
    match error {
        TokenError::Wechat(error) => error.may_have_taken_effect(),
        // WeChat may have returned the tokens.
        TokenError::Store(_) => true,
        _ => false,
    }
}

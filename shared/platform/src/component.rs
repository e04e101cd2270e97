//! Calls of the component API, each with a component token that WeChat accepts.

use std::sync::Arc;

use base::ids::AppId;
use futures::future::BoxFuture;
use runtime::telemetry::{Measure, Metric};
use secrecy::SecretString;
use store::{Issued, Lease, RenewalReason, Store, TokenOwner, TokenRecord};
use wechat::api::{AuthorizerDetails, AuthorizerPage, ComponentCall, WechatClient, WechatError};

use crate::context::Context;
use crate::derived_key::DerivedKeys;
use crate::error::TokenError;
use crate::leased::{self, IssueError, Renewable, Renewal, UsableToken};
use crate::memory::TokenMemory;
use crate::schedule;
use crate::secret::Platform;

/// The platform as WeChat knows it, while one event is handled.
#[derive(Clone)]
pub struct Component {
    platform: Arc<Platform>,
    wechat: WechatClient,
    store: Store,
    context: Context,
    /// Shared by all clones.
    memory: Arc<TokenMemory>,
}

impl Component {
    pub(crate) fn new(platform: Arc<Platform>, wechat: WechatClient, store: Store, context: Context) -> Self {
        Self { platform, wechat, store, context, memory: Arc::default() }
    }

    /// The same, recording WeChat's last responses: [`WechatClient::last_responses`].
    #[must_use]
    pub fn recording(self) -> Self {
        Self { wechat: self.wechat.recording(self.context.clock.clone()), ..self }
    }

    /// Its `component_appid`.
    #[must_use]
    pub fn appid(&self) -> &AppId {
        &self.platform.component
    }

    /// The platform's secret.
    #[must_use]
    pub const fn platform(&self) -> &Arc<Platform> {
        &self.platform
    }

    /// The client of WeChat's API, with the event's deadline, for calls without a component token.
    #[must_use]
    pub const fn wechat(&self) -> &WechatClient {
        &self.wechat
    }

    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    /// Our own keys, derived from the platform's secret.
    #[must_use]
    pub fn derived_keys(&self) -> &DerivedKeys {
        &self.platform.derived
    }

    /// Clock, random bytes, metrics and time limits of the event.
    #[must_use]
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// The platform's `component_access_token`, renewed if it is due. It is cached for the rest of the event, and read
    /// again only when it has become due or WeChat has refused it.
    pub async fn token(&self) -> Result<SecretString, TokenError> {
        if let Some(token) = self.memory.get(self.context.now()) {
            return Ok(token);
        }
        let found = Box::pin(leased::usable(self, None)).await?.token;
        self.memory.keep(&found);
        Ok(found.token)
    }

    /// Calls WeChat with the component token; if WeChat refuses the token, renews it unless another process has, and
    /// calls once more, never twice.
    ///
    /// WeChat may also refuse the token only in calls about one account, and keep refusing every new token there. A
    /// call that names no account distinguishes the two cases.
    ///
    /// # Errors
    /// [`TokenError`]: [`TokenError::NoComponentToken`] if there is no token that WeChat accepts, otherwise the call's
    /// own failure.
    pub async fn call<T, F>(&self, call: impl Fn(SecretString) -> F) -> Result<T, TokenError>
    where
        F: Future<Output = Result<T, WechatError>>,
    {
        let token = self.token().await.map_err(no_component_token)?;
        let refused = match call(token.clone()).await {
            Err(refused) if refused.token_rejected() => refused,
            answer => return Ok(answer?),
        };
        if self.was_replaced_in_vain(&token, &refused).await? {
            return Err(refused.into());
        }
        leased::warn_of_rejection(&TokenOwner::Component, &refused);
        let fresh = Box::pin(leased::usable(self, Some(&token)));
        let UsableToken { token: fresh, renewed } = fresh.await.map_err(no_component_token)?;
        self.memory.keep(&fresh);
        match call(fresh.token.clone()).await {
            Err(refused) if refused.token_rejected() => {
                if self.accepts(&fresh.token, &refused).await {
                    return Err(refused.into());
                }
                self.report_second_issuer(renewed);
                Err(no_component_token(refused.into()))
            }
            answer => {
                self.report_second_issuer(renewed);
                Ok(answer?)
            }
        }
    }

    /// The credentials of a call of the component API.
    #[must_use]
    pub fn carries<'a>(&'a self, token: &'a SecretString) -> ComponentCall<'a> {
        ComponentCall { component: &self.platform.component, token }
    }

    /// What WeChat knows about an account.
    pub async fn details(&self, authorizer: &AppId) -> Result<AuthorizerDetails, TokenError> {
        self.call(|token| async move { self.wechat.authorizer_info(self.carries(&token), authorizer).await }).await
    }

    /// Whether WeChat itself says that the account has not authorized the platform.
    ///
    /// # Errors
    /// [`TokenError`] if WeChat does not say.
    pub async fn is_gone(&self, authorizer: &AppId) -> Result<bool, TokenError> {
        match self.details(authorizer).await {
            Ok(_) => Ok(false),
            Err(error) if error.says_gone() => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// A part of WeChat's list of the accounts that have authorized the platform.
    pub async fn list_page(&self, offset: u64, count: u32) -> Result<AuthorizerPage, TokenError> {
        self.call(|token| async move { self.wechat.authorizer_list(self.carries(&token), offset, count).await }).await
    }

    /// Whether a refused token has itself just replaced a refused one, and is accepted in a call that names no account.
    /// Then a new one would be refused as well, and each counts against the daily limit.
    async fn was_replaced_in_vain(&self, token: &SecretString, refused: &WechatError) -> Result<bool, TokenError> {
        let record = self.store.tokens.get(&TokenOwner::Component).await?;
        let replaced = record.is_some_and(|record| record.after_refusal && record.holds(token));
        Ok(replaced && self.accepts(token, refused).await)
    }

    /// Whether WeChat accepts the component token in a call that names no account, although it refused it in another
    /// call. If that call fails for another reason, the refusal is taken to concern the other call only.
    async fn accepts(&self, token: &SecretString, refused: &WechatError) -> bool {
        refused.refusal().is_some_and(|refusal| refusal.api.names_subject()) && self.is_accepted(token).await
    }

    /// Whether WeChat accepts a component token in a call that names no account.
    pub(crate) async fn is_accepted(&self, token: &SecretString) -> bool {
        let answer = self.wechat.authorizer_list(self.carries(token), 0, 1).await;
        !answer.is_err_and(|error| error.token_rejected() || error.is_platform_wide())
    }

    /// Reports that another server issues tokens for the platform: one of our tokens was void and none of our processes
    /// had replaced it. Call it only once it is clear that the refusal was about the token.
    pub(crate) fn report_second_issuer(&self, renewed: bool) {
        if renewed {
            self.context.metrics.put(&Metric::count(Measure::SecondIssuer, 1));
            tracing::error!("the platform was issued a token by somebody else: is another server running it?");
        }
    }

    /// `api_component_token` (protocol section 1.2).
    async fn issue(&self, lease: &Lease<TokenRecord>, after_refusal: bool) -> Result<Issued, IssueError> {
        let ticket = self.store.tickets.newest().await?.ok_or(TokenError::NoTicket)?;
        self.context.may_still_call(lease.until())?;
        let Platform { component, app_secret, .. } = &*self.platform;
        let issued = self.wechat.component_token(component, app_secret, &ticket.ticket).await?;
        let now = self.context.now();
        Ok(Issued {
            access_token: issued.token,
            issued_at: now,
            expires_at: now.plus(issued.expires_in),
            due_at: schedule::due_at(now, issued.expires_in, schedule::COMPONENT_MARGIN),
            new_refresh_token: None,
            after_refusal,
        })
    }
}

impl Renewable for Component {
    fn owner(&self) -> TokenOwner {
        TokenOwner::Component
    }

    fn tokens(&self) -> (&store::StoredTokens, &Context) {
        (&self.store.tokens, &self.context)
    }

    fn renew<'a>(&'a self, reason: RenewalReason<'a>) -> BoxFuture<'a, Result<Renewal, TokenError>> {
        Box::pin(async move {
            let Some(lease) = leased::take(self, reason).await? else { return Ok(Renewal::NotOurs) };
            let issued = self.issue(&lease, matches!(reason, RenewalReason::Rejected(_))).await;
            leased::settle(self, &lease, issued).await
        })
    }
}

fn no_component_token(cause: TokenError) -> TokenError {
    TokenError::NoComponentToken(Box::new(cause))
}

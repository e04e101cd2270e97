//! What becomes of an authentic message: the release check, a claim, delivery and reply side by side, the answer.

use std::sync::Arc;

use axum::extract::FromRef;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret as _, SecretString};
use shared::bus::{Bus, BusEvent};
use shared::clock::SharedClock;
use shared::ids::{AppId, Digest};
use shared::limits::{Limits, MESSAGE_LEASE};
use shared::platform::PlatformSource;
use shared::push::{AccountMessage, AccountPush, PushRejection, ReleaseCheck, Reply, TestAccounts, plain_answer};
use shared::random::Random;
use shared::telemetry::{Measure, Metric, Metrics};
use shared::vault::{MessageClaim, Store, Vault, VaultError};
use tokio::time::{Instant, sleep};

use crate::names::Names;
use crate::webhook::{Webhook, WebhookError};

/// What the function is built from, once; clones share it.
#[derive(Clone)]
pub struct Reception {
    /// The platform's secret.
    pub platform: Arc<PlatformSource>,
    /// The table.
    pub store: Store,
    /// Where messages are delivered.
    pub bus: Bus,
    /// Who is asked for replies.
    pub webhook: Option<Webhook>,
    /// With whom WeChat runs its release check.
    pub test_accounts: TestAccounts,
    /// Where the rules read the time.
    pub clock: SharedClock,
    /// Random bytes.
    pub random: Random,
    /// Where metrics go.
    pub metrics: Metrics,
    /// Bounds on every wait.
    pub limits: Limits,
    names: Names,
}

/// The parts of a [`Reception`] that its maker chooses.
pub struct Parts {}

impl FromRef<Reception> for Arc<PlatformSource> {
    fn from_ref(reception: &Reception) -> Self {
        Self::clone(&reception.platform)
    }
}

impl FromRef<Reception> for Metrics {
    fn from_ref(reception: &Reception) -> Self {
        reception.metrics.clone()
    }
}

/// Why an authentic message gets no answer that WeChat takes for one: it sends it again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiveError {
    /// It was sent to another account than the path names.
    #[error(transparent)]
    Refused(#[from] PushRejection),
    /// The table did not answer.
    #[error("a message was not handled: {0}")]
    Table(#[from] VaultError),
    /// Neither the bus nor the table took it.
    #[error("a message was not handled: it could neither be delivered nor be kept ({0})")]
    NotKept(VaultError),
    /// Something hung, or an earlier delivery of the same message is still under way.
    #[error("a message was not handled: no answer within the bound")]
    TooSlow,
}

impl IntoResponse for ReceiveError {
    fn into_response(self) -> Response {
        if let Self::Refused(rejection) = self {
            return rejection.into_response();
        }
        tracing::error!("{self}");
        plain_answer(StatusCode::INTERNAL_SERVER_ERROR, "not handled: send it again")
    }
}

/// A message under way.
struct Work<'a> {
    authorizer: &'a AppId,
    message: &'a AccountMessage,
    vault: Vault,
    digest: Digest,
    owner: String,
    by: Instant,
}

impl Reception {
    /// Handles a message to `authorizer`; the answer is due `by` then.
    pub(crate) async fn take(
        &self,
        authorizer: &AppId,
        push: &AccountPush,
        by: Instant,
    ) -> Result<Response, ReceiveError> {
        let message = &push.message;
        let vault = self.store.vault(&push.seal.platform().component);
        if let Some(check) = ReleaseCheck::of(message, authorizer, &self.test_accounts) {
            return self.check(&check, authorizer, push, &vault).await;
        }
        if !self.names.fit(&vault, authorizer, &message.user_name).await? {
            let refused = PushRejection::ForeignAccount;
            refused.report(&self.metrics);
            return Err(refused.into());
        }
        let digest = message.dedup(authorizer);
        let work = Work { authorizer, message, vault, digest, owner: self.random.token(), by };
        let reply = match self.claim(&work).await? {
            Some(first) => self.handle(&work, push, first).await?,
            None => self.known(&work).await?,
        };
        todo!()
    }
}

//! A return, checked and made durable: afterwards the code is exchanged, here or by the refresher.

use base::ids::{AttemptId, LinkId};
use http::HeaderMap;
use platform::context::Context;
use platform::exchange::Exchange;
use secrecy::SecretString;
use store::{Callback, CallbackEntry, ClaimKey, CodeCount, CodeDigest};
use tokio::time::Instant;
use web::{AttemptCookie, InternalError};

use crate::{CallbackError, CallbackService, Repositories};

/// The contents of the redirect.
pub(crate) struct CallbackRequest {
    pub(crate) link: LinkId,
    pub(crate) attempt: AttemptId,
    pub(crate) code: SecretString,
}

/// A code in the inbox.
pub(crate) struct AcceptedCode {
    pub(crate) exchange: Exchange,
    pub(crate) context: Context,
    pub(crate) items: Repositories,
    /// When the last call of WeChat must have ended.
    pub(crate) deadline: Instant,
    pub(crate) code: SecretString,
    pub(crate) claim: ClaimKey,
    pub(crate) entry: CallbackEntry,
    target: ReturnTarget,
}

/// Where the merchant is sent next.
#[derive(Clone)]
pub(crate) struct ReturnTarget {
    pub(crate) link: LinkId,
    /// The business's page; also `None` if the browser is not the one that began the attempt.
    pub(crate) return_url: Option<String>,
    /// Whom the link asks for, if it names somebody.
    pub(crate) requester_name: Option<String>,
    /// Whether the browser is the one that began the attempt: only then the code is bound to the link.
    pub(crate) ours: bool,
}

impl AcceptedCode {
    pub(crate) const fn target(&self) -> &ReturnTarget {
        &self.target
    }

    /// Whether a grant from the code is bound to the link.
    pub(crate) const fn binds(&self) -> bool {
        self.target.ours
    }
}

/// Checks a return and puts its code into the inbox. Up to two reads and two writes; nothing is stored for an attempt
/// that is not ours.
pub(crate) async fn receive(
    service: &CallbackService,
    back: CallbackRequest,
    headers: &HeaderMap,
    bound: Instant,
) -> Result<AcceptedCode, CallbackError> {
    let services = service.services();
    let deadline = bound.checked_sub(services.limits.table).unwrap_or(bound);
    let component = services.open(Some(deadline)).await.map_err(InternalError::Platform)?;
    let items = service.table().of(component.appid());
    let now = component.context().now();
    // A link that has expired meanwhile still takes the grant, which WeChat has already given.
    let link = items.links.get(&back.link, now).await?.ok_or(CallbackError::Unknown)?;
    let attempt = items.attempts.get(&back.link, &back.attempt, now).await?.ok_or(CallbackError::Unknown)?;
    let ours = attempt.cookie.is_some_and(|cookie| AttemptCookie::matches(headers, &back.attempt, &cookie));
    let digest = CodeDigest::of(&back.code);
    let claim = if ours { attempt.claim } else { ClaimKey::of_code(&digest) };
    if items.attempts.count_code(&back.link, &back.attempt, &digest).await? == CodeCount::TooMany {
        tracing::warn!(link = %back.link, "an attempt of link {} has brought too many codes", back.link);
        return Err(CallbackError::TooMany);
    }
    let callback = Callback { code: back.code, claim };
    let entry = items.inbox.put_callback(&callback, now).await?;
    let return_url = link.request.return_url.filter(|_| ours);
    let target = ReturnTarget { link: back.link, return_url, requester_name: link.request.requester_name, ours };
    let Callback { code, claim } = callback;
    // If the page is opened again in another browser, that shows the outcome of the code where it came first.
    let claim = if ours { claim } else { entry.claim.clone() };
    let exchange = Exchange::of(&component);
    let context = component.context().clone();
    Ok(AcceptedCode { exchange, context, items, deadline, code, claim, entry, target })
}

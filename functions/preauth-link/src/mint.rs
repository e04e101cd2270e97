//! A fresh pre-auth code for one attempt (protocol section 1.3): counted, minted, stored, in this order.

use base::clock::Timestamp;
use base::ids::AttemptId;
use secrecy::SecretString;
use store::{CookieDigest, Link, MintCount};
use url::Url;
use web::InternalError;

use crate::wechat_urls::Launch;
use crate::{LinkError, LinkService, OpenPlatform};

/// A pre-auth code and the page that it leads to.
pub(crate) struct Minted {
    pub(crate) attempt: AttemptId,
    pub(crate) code: SecretString,
    pub(crate) expires_at: Timestamp,
    pub(crate) on_computer: Url,
    pub(crate) on_phone: Url,
}

/// Mints a code for a pending link; `cookie` is the digest of the cookie that the browser will carry.
///
/// Counted before it is minted: a count too many costs the merchant a press, a code too many costs every merchant.
pub(crate) async fn mint(
    service: &LinkService,
    open: &OpenPlatform,
    link: Link,
    cookie: Option<&CookieDigest>,
) -> Result<Minted, LinkError> {
    let now = open.now();
    if let MintCount::Refused(refused) = open.items.links.count_mint(&link, now).await? {
        return Err(LinkError::of_mint(refused, now));
    }
    let component = &open.component;
    let call =
        component.call(|token| async move { component.wechat().create_preauthcode(component.carries(&token)).await });
    // Boxed: with the renewal of a token the future is large.
    let made = Box::pin(call).await.map_err(InternalError::Token)?;
    let now = open.now();
    let attempt = AttemptId::generate(open.random());
    open.items.attempts.put(&link.id, &attempt, &made.code, cookie, now).await?;
    tracing::info!(link = %link.id, "link {} was followed: a pre-auth code was issued", link.id);
    let redirect_uri = service.callback_url(&link.id, &attempt);
    let launch =
        Launch { component: component.appid(), code: &made.code, redirect_uri: &redirect_uri, request: &link.request };
    Ok(Minted {
        on_computer: launch.on_computer(service.wechat()),
        on_phone: launch.on_phone(service.wechat()),
        expires_at: now.plus(made.expires_in),
        attempt,
        code: made.code,
    })
}

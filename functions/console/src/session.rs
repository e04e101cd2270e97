//! Who looks: a browser that an invitation has bound.
//!
//! The cookie has a secret, the table a digest of it. Once a day a browser is offered a new one, and from the moment when it
//! comes with that, the old one is worth nothing: a copy of a cookie works until its owner looks at the console on another
//! day. Whoever comes with the old one later has a copy, or is the owner of what somebody else has copied: the browser is
//! ended, for both.

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::{BrowserId, OperatorName};
use base::random::Random;
use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use store::{Actor, Browser, Operator, SecretDigest, WriteOutcome};
use web::source::Source;
use web::{InternalError, SameSite, cookies, set_cookie};

use crate::access::Open;

/// A secret is replaced when it is this old.
const ROTATED_AFTER: Duration = Duration::from_hours(24);

/// A response may be lost: a browser that has not come with the secret that it was offered is offered another one after this
/// time. For as long an old secret is good in requests that were under way when it was replaced.
const UNDER_WAY: Duration = Duration::from_mins(1);

/// What a browser holds.
#[derive(Debug, Clone)]
pub(crate) struct Cookie {
    operator: OperatorName,
    browser: BrowserId,
    secret: SecretString,
}

impl Cookie {
    /// A new one for a browser.
    pub(crate) fn generate(operator: &OperatorName, browser: &BrowserId, random: &Random) -> Self {
        Self { operator: operator.clone(), browser: browser.clone(), secret: random.secret().into() }
    }

    /// The cookie of a request.
    pub(crate) fn of(headers: &HeaderMap, secure: bool) -> Option<Self> {
        let name = name(secure);
        let mut sent = cookies(headers).filter(|(sent, _)| *sent == name);
        let (Some((_, value)), None) = (sent.next(), sent.next()) else { return None };
        // An operator's name may have dots in it.
        let (rest, secret) = value.rsplit_once('.')?;
        let (operator, browser) = rest.rsplit_once('.')?;
        Some(Self {
            operator: OperatorName::parse(operator).ok()?,
            browser: BrowserId::parse(browser).ok()?,
            secret: secret.into(),
        })
    }

    /// What is kept of it.
    pub(crate) fn digest(&self) -> SecretDigest {
        SecretDigest::of(&self.secret)
    }

    /// The header that hands it out, for as long as the browser is bound.
    pub(crate) fn header(&self, life: Duration, secure: bool) -> Option<HeaderValue> {
        let value = format!("{}.{}.{}", self.operator, self.browser, self.secret.expose_secret());
        set_cookie(name(secure), &value, "/", life, SameSite::Strict, secure)
    }
}

/// A browser refuses the prefix without TLS, which `cargo run` does not have.
const fn name(secure: bool) -> &'static str {
    if secure { "__Host-console" } else { "console" }
}

/// A browser that is bound, and to whom.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) operator: Operator,
    pub(crate) browser: Browser,
    /// What the browser is to have from now on.
    pub(crate) new_cookie: Option<Cookie>,
}

/// Whose browser a request has come from; `None` where it is nobody's.
pub(crate) async fn find(
    open: &Open,
    cookie: &Cookie,
    source: &Source,
    random: &Random,
) -> Result<Option<Session>, InternalError> {
    let (now, browsers) = (open.now(), &open.items.browsers);
    let found = browsers.session(&cookie.operator, &cookie.browser, now).await?;
    let Some((operator, browser)) = found else { return Ok(None) };
    let mut new_cookie = None;
    match held(&browser, &cookie.digest(), now) {
        Held::Current if is_to_be_replaced(&browser, now) => {
            let offered = Cookie::generate(&operator.name, &browser.id, random);
            // Of requests at the same moment one offers a secret.
            if browsers.offer(&browser, &offered.digest(), now).await? == WriteOutcome::Stored {
                new_cookie = Some(offered);
            }
        }
        Held::Current | Held::JustReplaced => {}
        // If somebody else has just taken it, it is the current one.
        Held::Offered => drop(browsers.take(&browser, now).await?),
        Held::Copied => {
            tracing::warn!(
                operator = %operator.name,
                browser = %browser.id,
                "a browser is ended: it came with a secret that had been replaced, so there is a copy of its cookie"
            );
            let actor = Actor { by: "console".to_owned(), source_ip: source.ip, request_id: source.request_id.clone() };
            browsers.end(&operator.name, &browser.id, &actor, now).await?;
            return Ok(None);
        }
        Held::Nothing => return Ok(None),
    }
    note_seen(open, &browser, now).await;
    Ok(Some(Session { operator, browser, new_cookie }))
}

/// Notes the day, once a day.
async fn note_seen(open: &Open, browser: &Browser, now: Timestamp) {
    let today = now.rfc3339();
    let Some(today) = today.get(..DAY) else { return };
    if browser.last_seen_on.as_deref() == Some(today) {
        return;
    }
    if let Err(error) = open.items.browsers.note_seen(browser, today).await {
        tracing::warn!("the day on which a browser came is not noted: {error}");
    }
}

/// Characters of a day, `2026-01-31`.
const DAY: usize = 10;

/// Which of a browser's secrets somebody holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Current,
    /// The one that is to be the current one.
    Offered,
    /// The last one, and requests with it may still be under way.
    JustReplaced,
    /// The last one, although the current one has been seen for a while.
    Copied,
    Nothing,
}

fn held(browser: &Browser, digest: &SecretDigest, now: Timestamp) -> Held {
    if browser.secret.matches(digest) {
        return Held::Current;
    }
    if browser.next.as_ref().is_some_and(|(offered, _)| offered.matches(digest)) {
        return Held::Offered;
    }
    match &browser.previous {
        Some((previous, replaced_at)) if previous.matches(digest) => {
            if now.since(*replaced_at) <= UNDER_WAY {
                Held::JustReplaced
            } else {
                Held::Copied
            }
        }
        _ => Held::Nothing,
    }
}

fn is_to_be_replaced(browser: &Browser, now: Timestamp) -> bool {
    now.since(browser.rotated_at) >= ROTATED_AFTER
        && browser.next.as_ref().is_none_or(|(_, offered_at)| now.since(*offered_at) > UNDER_WAY)
}

//! Sessions: an operator is identified by a browser that an invitation has bound.
//!
//! The cookie has a secret, the table a digest of it. Once a day a browser is offered a new one, and as soon as it
//! comes with that, the old one is worthless: a copy of a cookie works only until its owner uses the console on another
//! day. A browser that comes with an older secret has a copy, or its own cookie has been copied: the browser is ended,
//! for both. So that this is noticed however often the secret was replaced since, the cookie also has a part that
//! stays, the lineage, which proves that its holder once had the browser's cookie.

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::{BrowserId, Digest, OperatorName};
use base::random::Random;
use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use store::{Browser, CONSOLE_ITSELF, Operator, SecretDigest, WriteOutcome};
use web::source::Source;
use web::{InternalError, SameSite, cookies, set_cookie};

use crate::access::Open;

/// A secret is replaced when it is this old.
const ROTATED_AFTER: Duration = Duration::from_hours(24);

/// A response may be lost: a browser that has not come with the secret that it was offered is offered another one after
/// this time. An old secret is accepted for the same time, for requests that were in progress when it was replaced.
const UNDER_WAY: Duration = Duration::from_mins(1);

/// The cookie of a browser.
#[derive(Debug, Clone)]
pub(crate) struct Cookie {
    operator: OperatorName,
    browser: BrowserId,
    /// The part that stays, as text.
    lineage: SecretString,
    secret: SecretString,
}

/// The part that all cookies of a browser share. Only the holder of one of them, or of its pages, knows it.
fn lineage(form_token: &SecretString) -> Digest {
    Digest::of(&["console-lineage", form_token.expose_secret()])
}

impl Cookie {
    /// A new cookie for the browser whose forms have this token.
    pub(crate) fn generate(
        operator: &OperatorName,
        browser: &BrowserId,
        form_token: &SecretString,
        random: &Random,
    ) -> Self {
        let lineage = lineage(form_token).as_str().into();
        Self { operator: operator.clone(), browser: browser.clone(), lineage, secret: random.secret().into() }
    }

    /// The cookie of a request.
    pub(crate) fn of(headers: &HeaderMap, secure: bool) -> Option<Self> {
        let name = name(secure);
        let mut sent = cookies(headers).filter(|(sent, _)| *sent == name);
        let (Some((_, value)), None) = (sent.next(), sent.next()) else { return None };
        // An operator's name may contain dots.
        let (rest, secret) = value.rsplit_once('.')?;
        let (rest, lineage) = rest.rsplit_once('.')?;
        let (operator, browser) = rest.rsplit_once('.')?;
        Some(Self {
            operator: OperatorName::parse(operator).ok()?,
            browser: BrowserId::parse(browser).ok()?,
            lineage: lineage.into(),
            secret: secret.into(),
        })
    }

    /// Whether it belongs to this browser, from whatever day.
    fn is_of(&self, browser: &Browser) -> bool {
        lineage(&browser.form_token).matches(&Digest::from_stored(self.lineage.expose_secret()))
    }

    /// What is stored of it.
    pub(crate) fn digest(&self) -> SecretDigest {
        SecretDigest::of(&self.secret)
    }

    /// The header that sets it, for as long as the browser is bound.
    pub(crate) fn header(&self, life: Duration, secure: bool) -> Option<HeaderValue> {
        let [lineage, secret] = [&self.lineage, &self.secret].map(SecretString::expose_secret);
        let value = format!("{}.{}.{lineage}.{secret}", self.operator, self.browser);
        set_cookie(name(secure), &value, "/", life, SameSite::Strict, secure)
    }
}

/// A browser refuses the prefix without TLS, which `cargo run` does not have.
const fn name(secure: bool) -> &'static str {
    if secure { "__Host-console" } else { "console" }
}

/// A bound browser, and its operator.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) operator: Operator,
    pub(crate) browser: Browser,
    /// The cookie that the browser gets now.
    pub(crate) new_cookie: Option<Cookie>,
}

/// The operator and browser of a request; `None` if the browser is not bound.
pub(crate) async fn find(
    open: &Open,
    cookie: &Cookie,
    source: &Source,
    random: &Random,
) -> Result<Option<Session>, InternalError> {
    let (now, browsers) = (open.now(), &open.items.browsers);
    let found = browsers.session(&cookie.operator, &cookie.browser, now).await?;
    let Some((operator, browser)) = found.filter(|(_, browser)| cookie.is_of(browser)) else { return Ok(None) };
    let held = held(&browser, &cookie.digest(), now);
    if held == Held::Copied {
        tracing::warn!(
            operator = %operator.name,
            browser = %browser.id,
            "a browser was ended: it sent a secret that has been replaced, so there is a copy of its cookie"
        );
        let actor = source.actor(CONSOLE_ITSELF.to_owned());
        browsers.end(&operator.name, &browser.id, &actor, now).await?;
        return Ok(None);
    }
    let (browser, is_current) = match held {
        Held::Offered => taken(open, browser, now).await,
        held => (browser, held == Held::Current),
    };
    let mut new_cookie = None;
    if is_current && is_to_be_replaced(&browser, now) {
        let offered = Cookie::generate(&operator.name, &browser.id, &browser.form_token, random);
        // Of simultaneous requests, one offers a secret. If it cannot be written, the next request offers one.
        match browsers.offer(&browser, &offered.digest(), now).await {
            Ok(WriteOutcome::Stored) => new_cookie = Some(offered),
            Ok(_) => {}
            Err(error) => tracing::warn!("a browser was not offered a new secret: {error}"),
        }
    }
    note_seen(open, &browser, now).await;
    Ok(Some(Session { operator, browser, new_cookie }))
}

/// Makes the offered secret the browser's own. Returns the updated browser, and whether the update is certain: not if
/// another request was first, or if it cannot be written, which leaves the secret on offer.
async fn taken(open: &Open, browser: Browser, now: Timestamp) -> (Browser, bool) {
    match (open.items.browsers.take(&browser, now).await, browser.next.clone()) {
        (Ok(WriteOutcome::Stored), Some((secret, rotated_at))) => {
            let previous = Some((browser.secret.clone(), now));
            (Browser { secret, rotated_at, previous, next: None, ..browser }, true)
        }
        (Ok(_), _) => (browser, false),
        (Err(error), _) => {
            tracing::warn!("the new secret of a browser was not stored: {error}");
            (browser, false)
        }
    }
}

/// Records the day, once a day.
async fn note_seen(open: &Open, browser: &Browser, now: Timestamp) {
    let today = now.rfc3339();
    let Some(today) = today.get(..DAY) else { return };
    if browser.last_seen_on.as_deref() == Some(today) {
        return;
    }
    if let Err(error) = open.items.browsers.note_seen(browser, today).await {
        tracing::warn!("the day on which a browser was used was not recorded: {error}");
    }
}

/// Characters of a day, `2026-01-31`.
const DAY: usize = 10;

/// Which of a browser's secrets the holder of one of its cookies has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Current,
    /// The one on offer, about to become the current one.
    Offered,
    /// The previous one, with which requests may still be in progress.
    JustReplaced,
    /// An older one although the current one has been in use for a while, or one whose offer was replaced by another.
    Copied,
}

fn held(browser: &Browser, digest: &SecretDigest, now: Timestamp) -> Held {
    if browser.secret.matches(digest) {
        return Held::Current;
    }
    if browser.next.as_ref().is_some_and(|(offered, _)| offered.matches(digest)) {
        return Held::Offered;
    }
    let just_replaced = browser.previous.as_ref().filter(|(_, replaced_at)| now.since(*replaced_at) <= UNDER_WAY);
    if just_replaced.is_some_and(|(previous, _)| previous.matches(digest)) {
        return Held::JustReplaced;
    }
    Held::Copied
}

fn is_to_be_replaced(browser: &Browser, now: Timestamp) -> bool {
    now.since(browser.rotated_at) >= ROTATED_AFTER
        && browser.next.as_ref().is_none_or(|(_, offered_at)| now.since(*offered_at) > UNDER_WAY)
}

//! The cookie that ties an attempt to the browser that began it.
//!
//! Only a callback from that browser may bind the link: otherwise anybody could bind an account of their own through
//! somebody else's attempt. The table has the digest, the browser the value.

use std::time::Duration;

use base::ids::{AttemptId, LinkId};
use base::random::Random;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use store::{ATTEMPT_KEEP, CookieDigest};

/// A new cookie. Its value exists only here and in the browser.
pub struct AttemptCookie(String);

impl AttemptCookie {
    /// A value of 128 random bits.
    #[must_use]
    pub fn generate(random: &Random) -> Self {
        Self(random.id())
    }

    /// The digest to be stored.
    #[must_use]
    pub fn digest(&self) -> CookieDigest {
        CookieDigest::of(&self.0)
    }

    /// The `Set-Cookie` header: the cookie is sent only with top-level navigations to this link's pages. `secure` if
    /// our own origin is https. `None` cannot happen: ids and values are URL-safe.
    #[must_use]
    pub fn header(&self, link: &LinkId, attempt: &AttemptId, secure: bool) -> Option<HeaderValue> {
        set_cookie(&name(attempt), &self.0, &format!("/authorize/{link}"), ATTEMPT_KEEP, SameSite::Lax, secure)
    }

    /// Whether a request has the cookie whose digest is `remembered`.
    #[must_use]
    pub fn matches(headers: &HeaderMap, attempt: &AttemptId, remembered: &CookieDigest) -> bool {
        let name = name(attempt);
        cookies(headers).filter(|(sent, _)| *sent == name).any(|(_, value)| CookieDigest::of(value).matches(remembered))
    }
}

/// The requests from other sites that are sent with a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Top-level navigations.
    Lax,
    /// None.
    Strict,
}

/// A `Set-Cookie` header for a cookie that no script can read and no frame of another site sends. A life of zero
/// deletes the cookie. `None` if a part contains a character that is invalid in a header.
#[must_use]
pub fn set_cookie(
    name: &str,
    value: &str,
    path: &str,
    life: Duration,
    same_site: SameSite,
    secure: bool,
) -> Option<HeaderValue> {
    let (seconds, secure) = (life.as_secs(), if secure { "; Secure" } else { "" });
    let header = format!("{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite={same_site:?}{secure}");
    let mut header = HeaderValue::from_str(&header).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// The cookies of a request, each with name and value.
pub fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let sent = headers.get_all(COOKIE).into_iter().filter_map(|header| header.to_str().ok());
    sent.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

/// The cookie's name: each attempt has its own, so that attempts in two tabs do not overwrite each other.
fn name(attempt: &AttemptId) -> String {
    format!("attempt-{attempt}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> (LinkId, AttemptId) {
        (LinkId::generate(&Random::system()), AttemptId::generate(&Random::system()))
    }

    fn sent(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn the_browser_that_got_the_cookie_fits_and_no_other() {
        let (link, attempt) = ids();
        let cookie = AttemptCookie::generate(&Random::system());
        let header = cookie.header(&link, &attempt, true).unwrap();
        let pair = header.to_str().unwrap().split(';').next().unwrap().to_owned();
        let fits = |headers: &HeaderMap| AttemptCookie::matches(headers, &attempt, &cookie.digest());
        assert!(fits(&sent(&pair)));
        assert!(fits(&sent(&format!("other=1; {pair}; x=y"))));
        assert!(!fits(&HeaderMap::new()));
        assert!(!fits(&sent(&format!("attempt-{attempt}=guess"))));
        assert!(!AttemptCookie::matches(&sent(&pair), &ids().1, &cookie.digest()), "another attempt's name");
    }

    #[test]
    fn the_cookie_is_kept_from_scripts_other_paths_and_plain_http() {
        let (link, attempt) = ids();
        let cookie = AttemptCookie::generate(&Random::system());
        let header = cookie.header(&link, &attempt, true).unwrap();
        let attributes = header.to_str().unwrap().split_once("; ").unwrap().1;
        assert_eq!(attributes, format!("Path=/authorize/{link}; Max-Age=86400; HttpOnly; SameSite=Lax; Secure"));
        let local = cookie.header(&link, &attempt, false).unwrap();
        assert!(!local.to_str().unwrap().contains("Secure"));
    }
}

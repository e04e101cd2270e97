//! A login that has begun, as the browser carries it until WeChat sends it back.
//!
//! Everything is in a cookie, so that a login costs no write before WeChat has said who the visitor is. The cookie is
//! signed but not encrypted: the browser had all of it in a URL a moment before. Each attempt has its own name, which
//! WeChat carries as `state`: two tabs do not disturb each other, and a browser that did not begin an attempt cannot
//! end it.

use std::cmp::Reverse;
use std::time::Duration;

use base::clock::Timestamp;
use base::ids::{AppId, hex};
use base::random::Random;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue};
use platform::derived_key::{DerivedKeys, Purpose};
use serde::{Deserialize, Serialize};
use web::{SameSite, cookies, set_cookie};

use crate::request::LoginRequest;

/// The time in which an attempt can come back: a visitor who thinks, and WeChat's code after that.
const ATTEMPT_LIFE: Duration = Duration::from_mins(10);

/// How many attempts a browser carries, and how many bytes of them: the gateway takes 10 KB of URL and headers, and a
/// page that begins one login after another would lock its visitor out. An attempt has 300 bytes, with the longest URLs
/// 2.4 KB.
const MOST_CARRIED: usize = 3;
const MOST_BYTES: usize = 4 * 1024;

/// The prefix of a cookie's name. Browsers accept a `__Host-` cookie from this host only, not from another host of the
/// same domain.
const NAME: &str = "login-";
const NAME_OVER_TLS: &str = "__Host-login-";

/// The characters of an attempt's name: 128 bits in hexadecimal, since WeChat wants letters and digits.
const STATE_LENGTH: usize = 32;

/// The name of an attempt, WeChat's `state`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AttemptState(String);

impl AttemptState {
    pub(crate) fn generate(random: &Random) -> Self {
        Self(hex(&random.bytes::<16>()))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (text.len() == STATE_LENGTH && text.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A login that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) account: AppId,
    pub(crate) request: LoginRequest,
    /// Unix time in seconds.
    began_at: i64,
}

impl Attempt {
    pub(crate) const fn new(account: AppId, request: LoginRequest, now: Timestamp) -> Self {
        Self { account, request, began_at: now.unix() }
    }

    /// The cookie's value.
    fn sign(&self, keys: &DerivedKeys, state: &AttemptState) -> Option<String> {
        let content = serde_json::to_vec(self).ok()?;
        let signature = keys.sign(Purpose::LoginAttempt, &[state.as_str().as_bytes(), &content]);
        Some(format!("{}.{}", URL_SAFE_NO_PAD.encode(content), URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The attempt in a cookie's value; `None` if we did not sign it for this name, or it has expired.
    fn verified(keys: &DerivedKeys, state: &AttemptState, value: &str, now: Timestamp) -> Option<Self> {
        let (content, signature) = value.split_once('.')?;
        let content = URL_SAFE_NO_PAD.decode(content).ok()?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?.try_into().ok()?;
        if !keys.verifies(Purpose::LoginAttempt, &[state.as_str().as_bytes(), &content], &signature) {
            return None;
        }
        let attempt = serde_json::from_slice::<Self>(&content).ok()?;
        (now < Timestamp::from_unix(attempt.began_at).plus(ATTEMPT_LIFE)).then_some(attempt)
    }

    /// The attempt of this name that the browser carries.
    pub(crate) fn carried(
        headers: &HeaderMap,
        keys: &DerivedKeys,
        state: &AttemptState,
        is_https: bool,
        now: Timestamp,
    ) -> Option<Self> {
        let mut carried = all_carried(headers, is_https).filter(|(known, _)| known == state);
        carried.find_map(|(state, value)| Self::verified(keys, &state, value, now))
    }

    /// Whether the browser sends a cookie of this name.
    pub(crate) fn is_sent(headers: &HeaderMap, state: &AttemptState, is_https: bool) -> bool {
        all_carried(headers, is_https).any(|(known, _)| known == *state)
    }

    /// The `Set-Cookie` headers that begin this attempt and end surplus ones. `None` cannot happen.
    pub(crate) fn begin(
        &self,
        headers: &HeaderMap,
        keys: &DerivedKeys,
        state: &AttemptState,
        is_https: bool,
    ) -> Option<Vec<HeaderValue>> {
        let value = self.sign(keys, state)?;
        let mut set = vec![cookie(state, &value, ATTEMPT_LIFE, is_https)?];
        let now = Timestamp::from_unix(self.began_at);
        let began_at =
            |state: &AttemptState, value| Self::verified(keys, state, value, now).map(|known| known.began_at);
        let mut others: Vec<_> = all_carried(headers, is_https)
            .map(|(state, value)| (began_at(&state, value), state, value.len()))
            .collect();
        // The newest first; cookies that are not ours come last.
        others.sort_by_key(|(began_at, ..)| Reverse(*began_at));
        let mut bytes = value.len();
        for (index, (began_at, state, length)) in others.iter().enumerate() {
            bytes += length;
            if began_at.is_none() || index + 1 >= MOST_CARRIED || bytes > MOST_BYTES {
                set.push(cookie(state, "", Duration::ZERO, is_https)?);
            }
        }
        Some(set)
    }
}

/// All cookies with our prefix, whether they are ours or not.
fn all_carried(headers: &HeaderMap, is_https: bool) -> impl Iterator<Item = (AttemptState, &str)> {
    cookies(headers)
        .filter_map(move |(name, value)| Some((AttemptState::parse(name.strip_prefix(prefix(is_https))?)?, value)))
}

const fn prefix(is_https: bool) -> &'static str {
    if is_https { NAME_OVER_TLS } else { NAME }
}

fn cookie(state: &AttemptState, value: &str, life: Duration, is_https: bool) -> Option<HeaderValue> {
    set_cookie(&format!("{}{}", prefix(is_https), state.as_str()), value, "/", life, SameSite::Lax, is_https)
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;
    use secrecy::SecretString;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_790_000_000);

    fn keys() -> DerivedKeys {
        let key = SecretString::from("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG");
        DerivedKeys::new(&AppId::parse("wx1234567890abcdef").unwrap(), &key, None)
    }

    fn attempt(began_at: Timestamp) -> Attempt {
        let query = "scope=snsapi_base&return_url=https://shop.example.com/in&state=0123456789abcdef";
        Attempt::new(AppId::parse("wx0000000000000001").unwrap(), LoginRequest::read(query).unwrap(), began_at)
    }

    /// The cookie that a `Set-Cookie` header sets, as a browser sends it.
    fn pair(header: &HeaderValue) -> String {
        header.to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    fn sent(pairs: &[String]) -> HeaderMap {
        HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(&pairs.join("; ")).unwrap())])
    }

    fn begun(began_at: Timestamp, headers: &HeaderMap) -> (AttemptState, Vec<HeaderValue>) {
        let state = AttemptState::generate(&Random::system());
        let set = attempt(began_at).begin(headers, &keys(), &state, true).unwrap();
        (state, set)
    }

    #[test]
    fn the_browser_that_began_carries_the_attempt_and_no_other_does() {
        let (state, set) = begun(NOW, &HeaderMap::new());
        let carried = |headers: &HeaderMap, state: &AttemptState| Attempt::carried(headers, &keys(), state, true, NOW);
        let browser = sent(&[pair(&set[0])]);
        assert_eq!(carried(&browser, &state), Some(attempt(NOW)));
        assert_eq!(carried(&HeaderMap::new(), &state), None);
        let (other, _) = begun(NOW, &HeaderMap::new());
        assert_eq!(carried(&browser, &other), None);
        // A value under another attempt's name.
        let moved = pair(&set[0]).replace(state.as_str(), other.as_str());
        assert_eq!(carried(&sent(&[moved]), &other), None);
        // The name on a host without TLS, which a neighbouring host can set.
        let plain = pair(&set[0]).replace("__Host-", "");
        assert_eq!(carried(&sent(&[plain]), &state), None);
    }

    #[test]
    fn an_attempt_that_was_changed_or_is_too_old_is_none() {
        let (state, set) = begun(NOW, &HeaderMap::new());
        let pair = pair(&set[0]);
        let (name, value) = pair.split_once('=').unwrap();
        let (content, signature) = value.split_once('.').unwrap();
        let changed = String::from_utf8(URL_SAFE_NO_PAD.decode(content).unwrap()).unwrap();
        let changed = URL_SAFE_NO_PAD.encode(changed.replace("shop.example", "evil.example"));
        for value in [format!("{changed}.{signature}"), content.to_owned(), format!("{content}."), String::new()] {
            let headers = sent(&[format!("{name}={value}")]);
            assert_eq!(Attempt::carried(&headers, &keys(), &state, true, NOW), None, "{value}");
        }
        let later = NOW.plus(ATTEMPT_LIFE);
        assert_eq!(Attempt::carried(&sent(std::slice::from_ref(&pair)), &keys(), &state, true, later), None);
        let before = later.minus(Duration::from_secs(1));
        assert!(Attempt::carried(&sent(&[pair]), &keys(), &state, true, before).is_some());
    }

    #[test]
    fn the_cookie_is_of_this_host_and_kept_from_scripts_and_frames() {
        let (_, set) = begun(NOW, &HeaderMap::new());
        let attributes = set[0].to_str().unwrap().split_once("; ").unwrap().1;
        assert!(set[0].to_str().unwrap().starts_with("__Host-login-"));
        assert_eq!(attributes, "Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure");
        let state = AttemptState::generate(&Random::system());
        let local = attempt(NOW).begin(&HeaderMap::new(), &keys(), &state, false).unwrap();
        assert!(local[0].to_str().unwrap().starts_with("login-") && !local[0].to_str().unwrap().contains("Secure"));
    }

    #[test]
    fn a_browser_carries_three_attempts_at_most_the_newest_ones() {
        let mut pairs: Vec<String> = Vec::new();
        let mut states = Vec::new();
        for second in 0..4 {
            let (state, set) = begun(NOW.plus(Duration::from_secs(second)), &sent(&pairs));
            let ended: Vec<String> = set[1..].iter().map(pair).collect();
            pairs.retain(|known| !ended.iter().any(|ended| known.starts_with(ended.as_str())));
            pairs.push(pair(&set[0]));
            states.push(state);
        }
        assert_eq!(pairs.len(), 3);
        let carried = |state| Attempt::carried(&sent(&pairs), &keys(), state, true, NOW).is_some();
        assert_eq!(states.iter().map(carried).collect::<Vec<_>>(), [false, true, true, true]);
        // Cookies that are not ours go first.
        let strange = format!("__Host-login-{}=x", "0".repeat(32));
        let (_, set) = begun(NOW, &sent(&[strange]));
        assert!(set[1].to_str().unwrap().contains("; Max-Age=0; "));
    }

    #[test]
    fn the_longest_attempts_leave_room_for_other_headers() {
        let (url, state) = (format!("https://a.example.com/{}", "x".repeat(1_002)), "s".repeat(256));
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs([("scope", "snsapi_userinfo"), ("return_url", &url), ("state", &state)]);
        query.append_pair("challenge", &"x".repeat(43));
        let request = LoginRequest::read(&query.finish()).unwrap();
        let mut pairs: Vec<String> = Vec::new();
        for _ in 0..5 {
            let longest = Attempt::new(AppId::parse(&"w".repeat(64)).unwrap(), request.clone(), NOW);
            let state = AttemptState::generate(&Random::system());
            let set = longest.begin(&sent(&pairs), &keys(), &state, true).unwrap();
            assert!(set[0].len() < 2_500, "{}", set[0].len());
            let ended: Vec<String> = set[1..].iter().map(pair).collect();
            pairs.retain(|known| !ended.iter().any(|ended| known.starts_with(ended.as_str())));
            pairs.push(pair(&set[0]));
            assert!(pairs.join("; ").len() < MOST_BYTES + 200, "{}", pairs.len());
        }
    }
}

//! The authorization code in the query of the redirect.
//!
//! Codes contain `@`, `+`, `/` and `=`. A `+` is read literally: no code contains the space that it means in a form.

use percent_encoding::percent_decode_str;
use secrecy::SecretString;

/// The most bytes of a query that WeChat makes: a code of some hundred bytes and a number.
const MAX_QUERY: usize = 4 * 1024;

/// The most bytes of a code. Real ones have about 100.
const MAX_CODE: usize = 512;

/// `auth_code`; `None` unless there is exactly one, of printable ASCII and of bounded length.
pub(crate) fn auth_code(query: &str) -> Option<SecretString> {
    if query.len() > MAX_QUERY {
        return None;
    }
    let mut codes = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(|(name, _)| percent_decode_str(name).eq(b"auth_code".iter().copied()))
        .map(|(_, value)| value);
    let code = codes.next()?;
    if codes.next().is_some() {
        return None;
    }
    let code = percent_decode_str(code).decode_utf8().ok()?;
    let usable = (1..=MAX_CODE).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_graphic());
    usable.then(|| SecretString::from(code.as_ref()))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn read(query: &str) -> Option<String> {
        auth_code(query).map(|code| code.expose_secret().to_owned())
    }

    #[test]
    fn a_code_is_read_encoded_or_not() {
        let code = Some("queryauthcode@@@a+b/c=".to_owned());
        assert_eq!(read("auth_code=queryauthcode%40%40%40a%2Bb%2Fc%3D&expires_in=600"), code);
        assert_eq!(read("expires_in=600&auth_code=queryauthcode@@@a+b/c="), code);
        assert_eq!(read("auth%5Fcode=queryauthcode@@@a+b/c="), code);
    }

    #[test]
    fn none_several_and_unlikely_codes_are_refused() {
        for query in ["", "auth_code", "auth_code=", "code=x", "auth_code=a&auth_code=a", "auth_code=a%20b"] {
            assert_eq!(read(query), None, "{query}");
        }
        for query in ["auth_code=a%0A", "auth_code=%FF", "auth_code=微信", "auth_code=a&auth%5fcode=b"] {
            assert_eq!(read(query), None, "{query}");
        }
        assert!(read(&format!("auth_code={}", "x".repeat(512))).is_some());
        assert!(read(&format!("auth_code={}", "x".repeat(513))).is_none());
        assert!(read(&format!("auth_code=x&y={}", "x".repeat(4_096))).is_none());
    }
}

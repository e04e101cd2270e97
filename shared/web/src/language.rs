//! The language of a merchant's pages, by `Accept-Language` (RFC 9110, section 12.5.4).

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use base::language::Language;
use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;
use http::request::Parts;

/// How many languages of a header are read: real headers name a handful.
const LOOKED_AT: usize = 20;

/// The extractor of the language that a request prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptLanguage(pub Language);

impl AcceptLanguage {
    /// The language of a request with these headers.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let wanted = headers.get_all(ACCEPT_LANGUAGE).into_iter().filter_map(|header| header.to_str().ok());
        let wanted = wanted.flat_map(|header| header.split(',')).take(LOOKED_AT).filter_map(choice);
        let mut best = (Language::English, 0);
        for (language, quality) in wanted {
            // Among equals the first one counts.
            if quality > best.1 {
                best = (language, quality);
            }
        }
        Self(best.0)
    }
}

/// One of the header's languages with its quality in thousandths; `None` for one that is not supported.
fn choice(text: &str) -> Option<(Language, u16)> {
    let (tag, parameters) = text.split_once(';').unwrap_or((text, ""));
    let primary = tag.trim().split('-').next()?.to_ascii_lowercase();
    let language = match primary.as_str() {
        "zh" => Language::Chinese,
        "en" | "*" => Language::English,
        _ => return None,
    };
    let quality = match parameters.trim().strip_prefix("q=") {
        Some(quality) => thousandths(quality)?,
        None => 1000,
    };
    Some((language, quality))
}

/// Parses `0.8` as 800; `None` if the text is not a quality.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    if fraction.len() > 3 || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let fraction = format!("{fraction:0<3}").parse::<u16>().ok()?;
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

impl<S: Sync> FromRequestParts<S> for AcceptLanguage {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(header: &str) -> Language {
        AcceptLanguage::of(&HeaderMap::from_iter([(ACCEPT_LANGUAGE, HeaderValue::from_str(header).unwrap())])).0
    }

    #[test]
    fn every_variant_of_chinese_gets_chinese() {
        for header in ["zh", "zh-CN", "zh-TW,zh;q=0.9,en;q=0.8", "ZH-hans", "fr, zh;q=0.1", "en;q=0.5, zh-CN;q=0.7"] {
            assert_eq!(of(header), Language::Chinese, "{header}");
        }
    }

    #[test]
    fn everybody_else_gets_english() {
        assert_eq!(AcceptLanguage::of(&HeaderMap::new()).0, Language::English);
        for header in ["en", "fr", "*", "en-GB, zh;q=0.9", "zh;q=0", "zh;q=0.5, en;q=0.6", "zhx", "", ";;,,", "zh;q=2"]
        {
            assert_eq!(of(header), Language::English, "{header}");
        }
    }

    #[test]
    fn the_first_of_equals_wins() {
        assert_eq!(of("zh;q=0.8, en;q=0.8"), Language::Chinese);
        assert_eq!(of("en;q=0.8, zh;q=0.8"), Language::English);
    }
}

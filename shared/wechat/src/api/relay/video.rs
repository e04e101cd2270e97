//! Videos, which WeChat does not send itself: it answers with the address that they are at (protocol section 5.7).

use url::Url;

use super::super::json;
use super::RelayAnswer;

/// The members that may hold a video's address: of temporary media, and of permanent ones.
const MEMBERS: [&str; 2] = ["video_url", "down_url"];

/// The domains that WeChat's servers are in.
const DOMAINS: [&str; 3] = ["qq.com", "qpic.cn", "wechat.com"];

/// The longest answer that is looked through for an address, in bytes.
const LONGEST: usize = 64 * 1024;

/// Where a video is: on a server of WeChat's, which asks for no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoAddress(Url);

impl VideoAddress {
    /// The address that an answer names; `None` where it names none, or one that is not WeChat's. The server that was
    /// asked is WeChat's as well. WeChat writes these addresses with `http://`; its servers speak HTTPS, which is the one
    /// way out of the stack's network.
    #[must_use]
    pub fn in_answer(answer: &RelayAnswer, api: &Url) -> Option<Self> {
        if answer.refusal.is_some() || answer.body.len() > LONGEST {
            return None;
        }
        let document = json::parse(&answer.body).ok()?;
        let address = MEMBERS.iter().find_map(|member| document.get(member)?.as_str())?;
        let mut url = Url::parse(address).ok()?;
        if !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        if url.origin() != api.origin() {
            if !is_of_wechat(&url) {
                return None;
            }
            url.set_scheme("https").ok()?;
        }
        Some(Self(url))
    }

    pub(in super::super) const fn url(&self) -> &Url {
        &self.0
    }
}

/// Whether an address is on a host of WeChat's, at the default port of its scheme.
fn is_of_wechat(url: &Url) -> bool {
    let Some(url::Host::Domain(host)) = url.host() else { return false };
    let is_within = |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    matches!((url.scheme(), url.port()), ("http" | "https", None)) && DOMAINS.into_iter().any(is_within)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;

    fn found(body: &str) -> Option<String> {
        let answer = RelayAnswer {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec(),
            refusal: None,
            code: None,
        };
        let api = Url::parse("http://127.0.0.1:3002").unwrap();
        VideoAddress::in_answer(&answer, &api).map(|address| address.url().to_string())
    }

    #[test]
    fn only_an_address_of_wechats_is_followed_and_that_over_https() {
        for (member, address, fetched) in [
            (
                "video_url",
                "http://vweixinp.tc.qq.com/1007_a.f20.mp4?vkey=b",
                "https://vweixinp.tc.qq.com/1007_a.f20.mp4?vkey=b",
            ),
            ("video_url", "http://v.qq.com:80/a", "https://v.qq.com/a"),
            (
                "video_url",
                "https://mp.weixin.qq.com/mp/readtemplate?t=c",
                "https://mp.weixin.qq.com/mp/readtemplate?t=c",
            ),
            ("down_url", "http://mmbiz.qpic.cn/a", "https://mmbiz.qpic.cn/a"),
            ("video_url", "http://127.0.0.1:3002/videos/a", "http://127.0.0.1:3002/videos/a"),
        ] {
            assert_eq!(found(&format!(r#"{{"title":"t","{member}":"{address}"}}"#)).as_deref(), Some(fetched));
        }
        for address in [
            "http://169.254.169.254/latest/meta-data",
            "http://10.0.0.1/a",
            "http://127.0.0.1:3003/a",
            "http://[::1]/a",
            "http://evilqq.com/a",
            "http://qq.com.evil.example/a",
            "http://qq.com@evil.example/a",
            "http://user@v.qq.com/a",
            "http://v.qq.com:8080/a",
            "http://qq.com/a",
            "file:///etc/passwd",
            "ftp://v.qq.com/a",
            "//v.qq.com/a",
            "v.qq.com/a",
            "",
        ] {
            assert_eq!(found(&format!(r#"{{"video_url":"{address}"}}"#)), None, "{address}");
        }
        for body in ["", "[]", "{}", r#"{"video_url":5}"#, r#"{"media":{"video_url":"http://v.qq.com/a"}}"#, "\u{1}{"] {
            assert_eq!(found(body), None, "{body}");
        }
    }
}

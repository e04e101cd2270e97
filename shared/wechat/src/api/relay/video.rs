//! Videos, which WeChat does not send in its response: it returns their address (protocol section 5.7).

use url::Url;

use super::super::json;
use super::RelayAnswer;

/// The members that may contain a video's address, for temporary and for permanent media.
const MEMBERS: [&str; 2] = ["video_url", "down_url"];

/// The domains of WeChat's servers.
const DOMAINS: [&str; 3] = ["qq.com", "qpic.cn", "wechat.com"];

/// The longest response that is searched for an address, in bytes.
const LONGEST: usize = 64 * 1024;

/// The address of a video, on a server of WeChat that requires no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoAddress(Url);

impl VideoAddress {
    /// The address in a response; `None` if there is none, or it is not WeChat's. The server that was called counts as
    /// WeChat's as well. WeChat writes these addresses with `http://`; its servers support HTTPS, the only protocol
    /// that may leave the stack's network.
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

/// Whether an address is on one of WeChat's hosts, at the default port of its scheme.
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

//! The query of a call: our token, then the service's query without any token.

use percent_encoding::percent_decode_str;
use secrecy::ExposeSecret as _;
use url::form_urlencoded;

use super::{RelayCall, SpecialCall};

/// The names under which WeChat accepts tokens. The third is of WeChat's own cloud.
const TOKENS: [&str; 3] = ["access_token", "component_access_token", "cloudbase_access_token"];

const PLATFORM: &str = "component_appid";

/// The only parameters that are passed on for a login below a mini program's appid. The platform's token is valid for
/// every account, so nothing is passed on that WeChat might take for another appid, and no secret that a library sends
/// instead of our token.
const LOGIN: [&str; 2] = ["js_code", "grant_type"];

/// The query to send. The service's query is kept byte for byte, except for the parameters that we set ourselves and
/// any other that could contain a token; for a login below a mini program's appid, only its two parameters are kept.
pub(in super::super) fn with_token(call: &RelayCall<'_>) -> String {
    let mut ours = TOKENS.to_vec();
    let mut written = form_urlencoded::Serializer::new(String::new());
    written.append_pair(call.path.token_parameter(), call.token.expose_secret());
    if call.path.special() == Some(SpecialCall::MiniProgramLogin) {
        written.append_pair(PLATFORM, call.component.as_str());
        ours.push(PLATFORM);
        if let Some(account) = call.account {
            let said = form_urlencoded::parse(call.query.as_bytes()).filter(|(name, _)| LOGIN.contains(&name.as_ref()));
            return written.append_pair("appid", account.as_str()).extend_pairs(said).finish();
        }
    }
    let (token, rest) = (written.finish(), without(call.query, &ours));
    if rest.is_empty() { token } else { format!("{token}&{rest}") }
}

/// A query without the parameters that could contain a token, otherwise unchanged byte for byte.
#[must_use]
pub fn without_tokens(query: &str) -> String {
    without(query, &TOKENS)
}

fn without(query: &str, names: &[&str]) -> String {
    let pieces = query.split('&').filter(|piece| !piece.is_empty() && !is_named(piece, names));
    pieces.collect::<Vec<_>>().join("&")
}

/// Whether a piece of a query is a parameter with one of these names, in any spelling.
fn is_named(piece: &str, names: &[&str]) -> bool {
    let name = piece.split_once('=').map_or(piece, |(name, _)| name).replace('+', " ");
    let name = percent_decode_str(&name).decode_utf8_lossy().trim().to_ascii_lowercase();
    names.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use base::ids::AppId;
    use bytes::Bytes;
    use http::{HeaderMap, Method};
    use secrecy::SecretString;

    use super::super::{CallPath, Target};
    use super::*;

    fn sent(query: &str, path: &str, target: Target) -> String {
        with_token(&RelayCall {
            method: &Method::GET,
            path: &CallPath::parse(path, target).unwrap(),
            component: &AppId::parse("wxcomponent").unwrap(),
            account: (target == Target::Account).then_some(&AppId::parse("wxaccount").unwrap()),
            token: &SecretString::from("to+ken"),
            query,
            headers: &HeaderMap::new(),
            body: &Bytes::new(),
            largest_answer: 0,
        })
    }

    #[test]
    fn every_token_of_the_service_is_dropped_and_the_rest_stays_as_it_was_written() {
        let query = "openid=o%2b1&access_token=a&lang=zh_CN&ACCESS_TOKEN=b&component%5Faccess_token=c&x&cloudbase_access_token\
                     &access%5ftoken=d&+access_token=e&&y=a=b&access_token";
        assert_eq!(
            sent(query, "cgi-bin/user/info", Target::Account),
            "access_token=to%2Bken&openid=o%2b1&lang=zh_CN&x&y=a=b"
        );
        assert_eq!(sent("", "cgi-bin/user/info", Target::Account), "access_token=to%2Bken");
        assert_eq!(
            sent("access_tokens=a", "cgi-bin/user/info", Target::Account),
            "access_token=to%2Bken&access_tokens=a"
        );
    }

    #[test]
    fn the_platforms_token_has_the_name_that_the_call_knows() {
        let login = sent("appid=wx1&js_code=c&component_appid=wx2", "sns/component/jscode2session", Target::Platform);
        assert_eq!(login, "component_access_token=to%2Bken&component_appid=wxcomponent&appid=wx1&js_code=c");
        for query in [
            "appid=wx1&secret=wxp_a&js_code=c%3Bd&grant_type=g",
            "APPID=wx1&js_code=c;d&appid%00=wx1&app%69d%09=wx1&grant_type=g&appid[]=wx1&SECRET=wxp_a",
        ] {
            assert_eq!(
                sent(query, "sns/jscode2session", Target::Account),
                "component_access_token=to%2Bken&component_appid=wxcomponent&appid=wxaccount&js_code=c%3Bd&grant_type=g"
            );
        }
        let component = sent("a=b", "cgi-bin/component/api_get_authorizer_list", Target::Platform);
        assert_eq!(component, "component_access_token=to%2Bken&a=b");
        assert_eq!(
            sent("component_appid=wx2", "wxa/gettemplatelist", Target::Platform),
            "access_token=to%2Bken&component_appid=wx2"
        );
    }
}

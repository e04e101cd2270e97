//! Which API a service wants to call, and what the platform does about it.

use std::fmt;

use percent_encoding::percent_decode_str;

/// The longest path that is passed on, in bytes; WeChat's have some 60.
const LONGEST_PATH: usize = 200;

/// The path of one of WeChat's APIs without its leading slash, such as `cgi-bin/user/info`: letters, digits, `_`, `.`, `-`
/// and `/`, with no empty, `.` or `..` segment. Nothing in it can name another host or be read in two ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallPath(String);

/// Why a path is not one of WeChat's APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the path behind the appid must be one of WeChat's, such as cgi-bin/user/info: at most 200 letters, digits, _, ., - \
     and /, no empty segment and none that is . or .., no slash at its end"
)]
pub struct PathError;

/// What the platform does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// It is passed on, and so is the answer.
    PassOn,
    /// It is passed on; secrets are taken out of the answer, and an answer in which they cannot be found is not passed
    /// back.
    Redact,
    /// As [`Self::Redact`], and the authorization code in the answer is for the platform itself.
    KeepCode,
    /// It is refused.
    Refuse(RefusedPath),
}

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedPath {
    /// It issues a token or a code, or spends one: the platform does that itself, and a second caller would take away
    /// what it keeps.
    Issues,
    /// It takes the platform's or the account's secret.
    TakesSecret,
    /// It belongs to web logins: its tokens are visitors'.
    OfVisitors,
}

/// Paths with a rule of their own, in lower case. Everything else is passed on.
const RULES: [(&str, Rule); 13] = [
    ("cgi-bin/component/api_start_push_ticket", Rule::Refuse(RefusedPath::Issues)),
    ("cgi-bin/component/api_component_token", Rule::Refuse(RefusedPath::Issues)),
    ("cgi-bin/component/api_create_preauthcode", Rule::Refuse(RefusedPath::Issues)),
    ("cgi-bin/component/api_query_auth", Rule::Refuse(RefusedPath::Issues)),
    ("cgi-bin/component/api_authorizer_token", Rule::Refuse(RefusedPath::Issues)),
    ("cgi-bin/token", Rule::Refuse(RefusedPath::Issues)),
    ("cgi-bin/stable_token", Rule::Refuse(RefusedPath::Issues)),
    ("cgi-bin/clear_quota/v2", Rule::Refuse(RefusedPath::TakesSecret)),
    ("cgi-bin/component/clear_quota/v2", Rule::Refuse(RefusedPath::TakesSecret)),
    ("cgi-bin/component/api_get_authorizer_list", Rule::Redact),
    ("cgi-bin/component/api_get_authorizer_info", Rule::Redact),
    ("cgi-bin/openapi/rid/get", Rule::Redact),
    ("cgi-bin/account/fastregister", Rule::KeepCode),
];

/// Calls of web logins and their one exception: the login of a mini program's user.
const OF_VISITORS: &str = "sns/";
const MINI_PROGRAM_LOGIN: &str = "sns/component/jscode2session";

impl CallPath {
    /// A path as it came behind the appid, percent-encoded or not: it is decoded once.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn parse(raw: &str) -> Result<Self, PathError> {
        let path = percent_decode_str(raw).decode_utf8().map_err(|_| PathError)?;
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'/');
        let is_path = path.len() <= LONGEST_PATH
            && path.bytes().all(is_allowed)
            && path.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
        if is_path { Ok(Self(path.into_owned())) } else { Err(PathError) }
    }

    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is to be done with a call of this path, with an account's token or the platform's. Whether WeChat tells
    /// capitals apart is not known: here they are not.
    #[must_use]
    pub fn rule(&self, is_platform: bool) -> Rule {
        let path = self.lowered();
        if path.starts_with(OF_VISITORS) && !(is_platform && path == MINI_PROGRAM_LOGIN) {
            return Rule::Refuse(RefusedPath::OfVisitors);
        }
        RULES.into_iter().find(|(of, _)| *of == path).map_or(Rule::PassOn, |(_, rule)| rule)
    }

    /// The query parameter that carries the platform's token: the component's own calls and those of logins know a name of
    /// theirs (protocol section 11).
    pub(super) fn platforms_parameter(&self) -> &'static str {
        let path = self.lowered();
        if path.starts_with("cgi-bin/component/") || path.starts_with(OF_VISITORS) {
            "component_access_token"
        } else {
            "access_token"
        }
    }

    /// Whether a call with the platform's token also has the platform's appid in its query.
    pub(super) fn names_platform(&self) -> bool {
        self.lowered().starts_with(OF_VISITORS)
    }

    fn lowered(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Display for CallPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(path: &str, is_platform: bool) -> Rule {
        CallPath::parse(path).unwrap().rule(is_platform)
    }

    #[test]
    fn a_path_is_decoded_once_and_then_has_nothing_that_could_lead_elsewhere() {
        for (raw, path) in [
            ("cgi-bin/user/info", "cgi-bin/user/info"),
            ("cgi%2Dbin%2Fuser/info", "cgi-bin/user/info"),
            ("wxa/get_page", "wxa/get_page"),
            ("a.b/..c", "a.b/..c"),
        ] {
            assert_eq!(CallPath::parse(raw).unwrap().as_str(), path);
        }
        let long = "a".repeat(LONGEST_PATH + 1);
        for raw in [
            "",
            "/",
            "/cgi-bin",
            "cgi-bin/",
            "cgi-bin//user",
            "cgi-bin/./user",
            "cgi-bin/../user",
            "..",
            "a/%2e%2e/b",
            "a/%2e/b",
            "a%2f%2fb",
            "a%252e",
            "a%252fb",
            "a\\b",
            "a%5cb",
            "a@b",
            "a:b",
            "a;b",
            "a?b",
            "a%3fb",
            "a#b",
            "a b",
            "a%20b",
            "a%00b",
            "a%0d%0ab",
            "%ff",
            "用户",
            "%E7%94%A8",
            &long,
        ] {
            assert_eq!(CallPath::parse(raw), Err(PathError), "{raw}");
        }
    }

    #[test]
    fn what_issues_spends_or_takes_a_secret_is_refused_however_it_is_written() {
        for path in [
            "cgi-bin/component/api_component_token",
            "CGI-BIN/component/API_Query_Auth",
            "cgi-bin/component/api_authorizer%5Ftoken",
            "cgi-bin/token",
            "cgi-bin/stable_token",
        ] {
            for is_platform in [true, false] {
                assert_eq!(rule(path, is_platform), Rule::Refuse(RefusedPath::Issues), "{path}");
            }
        }
        assert_eq!(rule("cgi-bin/clear_quota/v2", false), Rule::Refuse(RefusedPath::TakesSecret));
        assert_eq!(rule("cgi-bin/clear_quota", false), Rule::PassOn);
    }

    #[test]
    fn of_web_logins_the_mini_programs_alone_is_passed_on_and_with_the_platforms_token() {
        assert_eq!(rule("sns/component/jscode2session", true), Rule::PassOn);
        for (path, is_platform) in [
            ("sns/component/jscode2session", false),
            ("sns/oauth2/component/access_token", true),
            ("sns/oauth2/component/refresh_token", true),
            ("SNS/userinfo", false),
        ] {
            assert_eq!(rule(path, is_platform), Rule::Refuse(RefusedPath::OfVisitors), "{path}");
        }
    }

    #[test]
    fn the_name_of_the_tokens_parameter_follows_the_path() {
        for (path, parameter) in [
            ("cgi-bin/component/api_get_authorizer_list", "component_access_token"),
            ("sns/component/jscode2session", "component_access_token"),
            ("wxa/gettemplatelist", "access_token"),
            ("wxa/component/fastregisterpersonalweapp", "access_token"),
            ("cgi-bin/components", "access_token"),
        ] {
            assert_eq!(CallPath::parse(path).unwrap().platforms_parameter(), parameter, "{path}");
        }
    }
}

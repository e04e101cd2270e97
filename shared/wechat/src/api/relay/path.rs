//! The path of the API that a service calls, and the rules for it.

use std::fmt;

/// The longest path that is passed on, in bytes; WeChat's have about 60.
const LONGEST_PATH: usize = 200;

/// The owner of the token that a call takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// An account.
    Account,
    /// The platform itself.
    Platform,
}

/// The path of a call that may be passed on, without its leading slash, such as `cgi-bin/user/info`: letters, digits, `_`,
/// `.`, `-` and `/`, with no empty, `.` or `..` segment. Nothing in it can name another host or be read in two ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallPath {
    path: String,
    token_parameter: &'static str,
    treatment: Treatment,
    special: Option<SpecialCall>,
}

/// A call that is not simply passed on with the token of the requested account or platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpecialCall {
    /// The login of a mini program's user (protocol section 5.5), which takes the platform's token.
    MiniProgramLogin,
    /// A ticket of an account's web pages (protocol section 5.9), which the platform stores.
    PageTicket,
}

/// Why a path is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It cannot be the path of an API.
    #[error(
        "the path after /wechat/{{appid}}/ or /wechat/platform/ must be one of WeChat's, such as cgi-bin/user/info: at most 200 \
         letters, digits, _, ., - and /, without an empty, . or .. segment or a trailing slash"
    )]
    Malformed,
    /// The call is not relayed.
    #[error("{0}")]
    Refused(RefusedCall),
}

/// What is done with the response to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Treatment {
    /// It is passed back.
    PassBack,
    /// Secrets are removed from it; if it cannot be searched for them, it is not passed back.
    Redact,
    /// Only what is known to contain no secret is passed back.
    Diagnosis,
    /// As [`Self::Redact`], and the authorization code in it is for the platform itself.
    KeepCode,
}

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusedCall {
    /// It issues a token or a code, or spends one.
    #[error(
        "the platform manages tokens and codes itself, and another one would void its own: GET /tokens/{{appid}} returns an account's \
         token, POST /authorization-links creates a link"
    )]
    Issues,
    /// It takes the platform's or the account's secret.
    #[error(
        "the call takes a secret, which the platform does not send on a service's behalf: call cgi-bin/clear_quota instead, with \
         the account's token"
    )]
    TakesSecret,
    /// It belongs to web logins, which have their own tokens.
    #[error(
        "calls for web logins are not relayed. Of those below sns/, only the login of a mini program's user is, \
         sns/jscode2session, under the mini program's appid"
    )]
    WebLogin,
}

/// The rule for a path.
enum Rule {
    Answer(Treatment),
    Refuse(RefusedCall),
}

/// The paths with a rule of their own, in lower case. Any other call is passed on, and its response is passed back.
const RULES: [(&str, Rule); 13] = [
    ("cgi-bin/component/api_start_push_ticket", Rule::Refuse(RefusedCall::Issues)),
    ("cgi-bin/component/api_component_token", Rule::Refuse(RefusedCall::Issues)),
    ("cgi-bin/component/api_create_preauthcode", Rule::Refuse(RefusedCall::Issues)),
    ("cgi-bin/component/api_query_auth", Rule::Refuse(RefusedCall::Issues)),
    ("cgi-bin/component/api_authorizer_token", Rule::Refuse(RefusedCall::Issues)),
    ("cgi-bin/token", Rule::Refuse(RefusedCall::Issues)),
    ("cgi-bin/stable_token", Rule::Refuse(RefusedCall::Issues)),
    ("cgi-bin/clear_quota/v2", Rule::Refuse(RefusedCall::TakesSecret)),
    ("cgi-bin/component/clear_quota/v2", Rule::Refuse(RefusedCall::TakesSecret)),
    ("cgi-bin/component/api_get_authorizer_list", Rule::Answer(Treatment::Redact)),
    ("cgi-bin/component/api_get_authorizer_info", Rule::Answer(Treatment::Redact)),
    ("cgi-bin/openapi/rid/get", Rule::Answer(Treatment::Diagnosis)),
    ("cgi-bin/account/fastregister", Rule::Answer(Treatment::KeepCode)),
];

/// Calls of web logins and their one exception: the login of a mini program's user. It takes the platform's token, even
/// if a service calls it as a mini program with its own secret would.
const WEB_LOGINS: &str = "sns/";
const MINI_PROGRAMS_OWN_LOGIN: &str = "sns/jscode2session";

/// The path of the login of a mini program's user.
pub const MINI_PROGRAM_LOGIN: &str = "sns/component/jscode2session";

/// The path of a ticket of an account's web pages.
pub const PAGE_TICKET: &str = "cgi-bin/ticket/getticket";

/// The query parameter of a token. Calls of the component API and of logins have their own name for the platform's
/// token (protocol section 11).
const TOKEN: &str = "access_token";
const COMPONENT_TOKEN: &str = "component_access_token";

impl CallPath {
    /// Parses a path as it came after the appid, not percent-encoded. Whether WeChat distinguishes upper and lower case
    /// is not known: the rules do not.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn parse(path: &str, target: Target) -> Result<Self, PathError> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'/');
        let is_path = path.len() <= LONGEST_PATH
            && path.bytes().all(is_allowed)
            && path.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
        if !is_path {
            return Err(PathError::Malformed);
        }
        let lowered = path.to_ascii_lowercase();
        let is_components = target == Target::Platform && lowered.starts_with("cgi-bin/component/");
        let call = Self {
            path: path.to_owned(),
            token_parameter: if is_components { COMPONENT_TOKEN } else { TOKEN },
            treatment: Treatment::PassBack,
            special: None,
        };
        match (target, lowered.as_str()) {
            (Target::Platform, MINI_PROGRAM_LOGIN) | (Target::Account, MINI_PROGRAMS_OWN_LOGIN) => Ok(Self {
                path: MINI_PROGRAM_LOGIN.to_owned(),
                token_parameter: COMPONENT_TOKEN,
                special: Some(SpecialCall::MiniProgramLogin),
                ..call
            }),
            (_, login) if login.starts_with(WEB_LOGINS) => Err(PathError::Refused(RefusedCall::WebLogin)),
            (Target::Account, PAGE_TICKET) => Ok(Self { special: Some(SpecialCall::PageTicket), ..call }),
            (_, lowered) => match RULES.iter().find(|(of, _)| *of == lowered) {
                Some((_, Rule::Refuse(reason))) => Err(PathError::Refused(*reason)),
                Some((_, Rule::Answer(treatment))) => Ok(Self { treatment: *treatment, ..call }),
                None => Ok(call),
            },
        }
    }

    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.path
    }

    /// What is special about the call.
    #[must_use]
    pub const fn special(&self) -> Option<SpecialCall> {
        self.special
    }

    pub(in super::super) const fn treatment(&self) -> Treatment {
        self.treatment
    }

    pub(super) const fn token_parameter(&self) -> &'static str {
        self.token_parameter
    }
}

impl fmt::Display for CallPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGETS: [Target; 2] = [Target::Account, Target::Platform];

    #[test]
    fn a_path_cannot_lead_elsewhere_or_be_read_in_two_ways() {
        for path in ["cgi-bin/user/info", "wxa/get_page", "a.b/..c"] {
            assert_eq!(CallPath::parse(path, Target::Account).unwrap().as_str(), path);
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
            "cgi%2Dbin/user/info",
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
            assert_eq!(CallPath::parse(raw, Target::Platform), Err(PathError::Malformed), "{raw}");
        }
    }

    #[test]
    fn what_issues_spends_or_takes_a_secret_is_refused_however_it_is_written() {
        for (path, reason) in [
            ("cgi-bin/component/api_component_token", RefusedCall::Issues),
            ("CGI-BIN/component/API_Query_Auth", RefusedCall::Issues),
            ("cgi-bin/component/api_authorizer_token", RefusedCall::Issues),
            ("cgi-bin/token", RefusedCall::Issues),
            ("cgi-bin/stable_token", RefusedCall::Issues),
            ("cgi-bin/clear_quota/v2", RefusedCall::TakesSecret),
            ("sns/oauth2/component/access_token", RefusedCall::WebLogin),
            ("SNS/userinfo", RefusedCall::WebLogin),
        ] {
            for target in TARGETS {
                assert_eq!(CallPath::parse(path, target), Err(PathError::Refused(reason)), "{path}");
            }
        }
        assert!(CallPath::parse("cgi-bin/clear_quota", Target::Account).is_ok());
        assert!(CallPath::parse("sns/component/jscode2session", Target::Platform).is_ok());
        assert!(CallPath::parse("sns/component/jscode2session", Target::Account).is_err());
        assert!(CallPath::parse("sns/jscode2session", Target::Platform).is_err());
        let own = CallPath::parse("SNS/jscode2session", Target::Account).unwrap();
        assert_eq!((own.as_str(), own.special()), (MINI_PROGRAM_LOGIN, Some(SpecialCall::MiniProgramLogin)));
    }

    #[test]
    fn responses_with_secrets_are_recognized_by_their_path() {
        for (path, treatment) in [
            ("cgi-bin/component/API_get_authorizer_list", Treatment::Redact),
            ("cgi-bin/openapi/rid/get", Treatment::Diagnosis),
            ("cgi-bin/account/fastregister", Treatment::KeepCode),
            ("cgi-bin/user/info", Treatment::PassBack),
        ] {
            for target in TARGETS {
                assert_eq!(CallPath::parse(path, target).unwrap().treatment(), treatment, "{path}");
            }
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
            assert_eq!(CallPath::parse(path, Target::Platform).unwrap().token_parameter(), parameter, "{path}");
        }
        let guide = CallPath::parse("cgi-bin/component/getprivacysetting", Target::Account).unwrap();
        assert_eq!(guide.token_parameter(), "access_token");
    }
}

//! The calls, as names and paths.

use std::fmt;

/// A call of WeChat's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Api {
    /// `api_start_push_ticket`: asks WeChat to push tickets (section 1.1).
    StartPushTicket,
    /// `api_component_token`: issues the component's token (section 1.2).
    ComponentToken,
    /// `api_create_preauthcode`: mints a pre-auth code (section 1.3).
    CreatePreAuthCode,
    /// `api_query_auth`: spends an authorization code (section 1.4).
    QueryAuth,
    /// `api_authorizer_token`: renews an account's token (section 1.5).
    AuthorizerToken,
    /// `api_get_authorizer_info`: an account's details (section 1.6).
    AuthorizerInfo,
    /// `api_get_authorizer_list`: a page of the accounts (section 1.7).
    AuthorizerList,
    /// `custom/send`: a customer-service message, with an account's token (section 5.6).
    CustomSend,
    /// `ticket/getticket`: a ticket for an account's web pages, with the account's token (section 5.9).
    GetTicket,
    /// `jscode2session`: who has opened an account's mini program, with the component's token (section 5.5).
    MiniProgramSession,
    /// `oauth2/component/access_token`: who has come to an account's web page, with the component's token (section 5.4).
    WebLogin,
    /// `userinfo`: that visitor's nickname and picture, with the visitor's own token (section 5.4).
    VisitorProfile,
    /// A call that a service of the business makes through the platform (section 11), whatever it is.
    OnBehalf,
}

impl Api {
    /// Every call of the platform's own. One that is missing here is not recognized by [`Self::from_name`].
    const ALL: [Self; 12] = [
        Self::StartPushTicket,
        Self::ComponentToken,
        Self::CreatePreAuthCode,
        Self::QueryAuth,
        Self::AuthorizerToken,
        Self::AuthorizerInfo,
        Self::AuthorizerList,
        Self::CustomSend,
        Self::GetTicket,
        Self::MiniProgramSession,
        Self::WebLogin,
        Self::VisitorProfile,
    ];

    /// The call of this name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.name() == name)
    }

    /// The protocol's name of the call, such as `api_component_token`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StartPushTicket => "api_start_push_ticket",
            Self::ComponentToken => "api_component_token",
            Self::CreatePreAuthCode => "api_create_preauthcode",
            Self::QueryAuth => "api_query_auth",
            Self::AuthorizerToken => "api_authorizer_token",
            Self::AuthorizerInfo => "api_get_authorizer_info",
            Self::AuthorizerList => "api_get_authorizer_list",
            Self::CustomSend => "custom/send",
            Self::GetTicket => "getticket",
            Self::MiniProgramSession => "jscode2session",
            Self::WebLogin => "oauth2/component/access_token",
            Self::VisitorProfile => "userinfo",
            Self::OnBehalf => "a call on behalf",
        }
    }

    /// What stands before the name in the path.
    pub(super) const fn folder(self) -> &'static str {
        match self {
            Self::CustomSend => "/cgi-bin/message/",
            Self::GetTicket => "/cgi-bin/ticket/",
            Self::MiniProgramSession => "/sns/component/",
            Self::WebLogin | Self::VisitorProfile => "/sns/",
            _ => "/cgi-bin/component/",
        }
    }

    /// The query parameter that carries the token: the component's own calls know a name of theirs.
    pub(super) const fn token_parameter(self) -> &'static str {
        match self {
            Self::CustomSend | Self::GetTicket | Self::VisitorProfile => "access_token",
            _ => "component_access_token",
        }
    }

    /// Whether the call is about one account or one code, so that a refusal may concern only that one.
    #[must_use]
    pub const fn names_subject(self) -> bool {
        matches!(
            self,
            Self::QueryAuth
                | Self::AuthorizerToken
                | Self::AuthorizerInfo
                | Self::CustomSend
                | Self::GetTicket
                | Self::MiniProgramSession
                | Self::WebLogin
                | Self::VisitorProfile
                | Self::OnBehalf
        )
    }

    /// Whether the call authenticates with the component's secret instead of its token.
    #[must_use]
    pub const fn takes_secret(self) -> bool {
        matches!(self, Self::StartPushTicket | Self::ComponentToken)
    }

    /// The longest answer that is read, in bytes.
    ///
    /// A page of 500 accounts has about 150 KB and everything else a few KB, so real answers stay far below; above it
    /// the refresher, with up to 256 calls in flight, would run out of memory.
    pub(super) const fn longest_answer(self) -> usize {
        match self {
            Self::AuthorizerList => 8 * 1024 * 1024,
            _ => 512 * 1024,
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

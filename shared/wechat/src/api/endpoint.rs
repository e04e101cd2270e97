//! The API calls with their names and paths.

use std::fmt;

/// A call of WeChat's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Api {
    /// `api_start_push_ticket`: asks WeChat to push tickets (section 1.1).
    StartPushTicket,
    /// `api_component_token`: issues the component's token (section 1.2).
    ComponentToken,
    /// `api_create_preauthcode`: creates a pre-auth code (section 1.3).
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
    /// `jscode2session`: identifies the user of an account's mini program, with the component's token (section 5.5).
    MiniProgramSession,
    /// `oauth2/component/access_token`: identifies the visitor of an account's web page, with the component's token
    /// (section 5.4).
    WebLogin,
    /// `userinfo`: that visitor's nickname and picture, with the visitor's own token (section 5.4).
    VisitorProfile,
    /// Any call that a service of the business makes through the platform (section 11).
    OnBehalf,
}

impl Api {
    /// All of the platform's own calls. [`Self::from_name`] does not recognize one that is missing here.
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

    /// The part of the path before the name.
    pub(super) const fn folder(self) -> &'static str {
        match self {
            Self::CustomSend => "/cgi-bin/message/",
            Self::GetTicket => "/cgi-bin/ticket/",
            Self::MiniProgramSession => "/sns/component/",
            Self::WebLogin | Self::VisitorProfile => "/sns/",
            _ => "/cgi-bin/component/",
        }
    }

    /// The query parameter of the token: calls of the component API have their own name for it.
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

    /// The longest response that is read, in bytes.
    ///
    /// A page of 500 accounts has about 150 KB and everything else a few KB, so real responses stay far below it; above
    /// it the refresher, with up to 256 concurrent calls, would run out of memory.
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

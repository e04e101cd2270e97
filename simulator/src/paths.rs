//! The paths that a platform calls on its own behalf or sends merchants to, under WeChat's names (protocol sections 1,
//! 2, 5.4 and 5.6). Faults and counters are per path, including paths that only services call: the table of `api` has
//! those.

/// Switches the ticket push on (section 1.1).
pub const START_PUSH_TICKET: &str = "/cgi-bin/component/api_start_push_ticket";
/// Exchanges a ticket for the component token (section 1.2).
pub const COMPONENT_TOKEN: &str = "/cgi-bin/component/api_component_token";
/// Issues a pre-auth code (section 1.3).
pub const CREATE_PREAUTHCODE: &str = "/cgi-bin/component/api_create_preauthcode";
/// Exchanges an authorization code for the account's tokens (section 1.4).
pub const QUERY_AUTH: &str = "/cgi-bin/component/api_query_auth";
/// Renews an authorizer token (section 1.5).
pub const AUTHORIZER_TOKEN: &str = "/cgi-bin/component/api_authorizer_token";
/// Details of an authorized account (section 1.6).
pub const GET_AUTHORIZER_INFO: &str = "/cgi-bin/component/api_get_authorizer_info";
/// Lists the authorized accounts (section 1.7).
pub const GET_AUTHORIZER_LIST: &str = "/cgi-bin/component/api_get_authorizer_list";
/// A customer-service message (section 5.6), which the release check requires.
pub const CUSTOM_SEND: &str = "/cgi-bin/message/custom/send";
/// Exchanges the code of a web login for the visitor's tokens (section 5.4).
pub const WEB_LOGIN_TOKEN: &str = "/sns/oauth2/component/access_token";
/// Renews a visitor's token (section 5.4).
pub const WEB_LOGIN_REFRESH: &str = "/sns/oauth2/component/refresh_token";
/// A visitor's profile (section 5.4).
pub const VISITOR_INFO: &str = "/sns/userinfo";
/// Checks a visitor's token (section 5.4).
pub const VISITOR_CHECK: &str = "/sns/auth";

/// The authorization page for PCs (section 2).
pub const PC_PAGE: &str = "/cgi-bin/componentloginpage";
/// The authorization page inside WeChat on a phone (section 2).
pub const MOBILE_PAGE: &str = "/wxaopen/safe/bindcomponent";
/// Where both authorization pages send the merchant's decision: the simulator's own path.
pub const CONSENT: &str = "/cgi-bin/componentloginpage/consent";

/// The page of a web login, where a visitor agrees (section 5.4).
pub const WEB_LOGIN_PAGE: &str = "/connect/oauth2/authorize";

/// The page of the port: the simulator's own path.
pub(crate) const HOME: &str = "/";

/// As the path of a fault: every path except the control API.
pub const ANY: &str = "*";

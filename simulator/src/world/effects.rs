//! What happened so far: how often each kind of thing was issued, and every secret value.

use std::collections::BTreeMap;

use base::ids::AppId;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

/// How often each effect occurred since the world began, including before restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effects {
    /// Tickets made for a push, delivered or not.
    pub tickets: u64,
    /// Component tokens issued.
    pub component_tokens: u64,
    /// Pre-auth codes issued.
    pub pre_auth_codes: u64,
    /// Consents: a merchant confirmed, or a mini program was registered.
    pub consents: u64,
    /// Authorization codes exchanged, per account.
    pub exchanges: BTreeMap<AppId, u64>,
    /// Authorizer tokens renewed, per account.
    pub renewals: BTreeMap<AppId, u64>,
    /// Grants revoked.
    pub revocations: u64,
}

impl Effects {
    /// How often the token of one account was renewed.
    #[must_use]
    pub fn renewals_of(&self, account: &AppId) -> u64 {
        self.renewals.get(account).copied().unwrap_or(0)
    }
}

/// A kind of secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretKind {
    /// 第三方平台 `AppSecret`.
    AppSecret,
    /// 消息校验Token.
    Token,
    /// 消息加解密Key.
    EncodingAesKey,
    /// `component_verify_ticket`.
    Ticket,
    /// `component_access_token`.
    ComponentToken,
    /// `pre_auth_code`.
    PreAuthCode,
    /// `authorization_code`.
    AuthorizationCode,
    /// `authorizer_access_token`.
    AuthorizerToken,
    /// `authorizer_refresh_token`.
    RefreshToken,
    /// A code that a mini program gets for a user's login or phone number.
    LoginCode,
    /// `session_key` of a login.
    SessionKey,
    /// The ticket with which a mini program takes over an official account's verification.
    RegistrationTicket,
    /// `jsapi_ticket`, or the ticket of cards.
    JsTicket,
    /// `code` of a web login.
    WebLoginCode,
    /// `access_token` of a visitor.
    VisitorToken,
    /// `refresh_token` of a visitor.
    VisitorRefreshToken,
}

/// A secret value that the simulator issued or was configured with. No `Debug`: it is the secret.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct IssuedSecret {
    /// Its kind.
    pub kind: SecretKind,
    /// The value as in a response, a push or the configuration.
    pub value: String,
}

impl IssuedSecret {
    /// Whether `text` contains the value, unchanged or percent-encoded as in a URL.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        let encoded = |set| utf8_percent_encode(&self.value, set).to_string();
        text.contains(&self.value)
            || text.contains(&encoded(NON_ALPHANUMERIC))
            || text.contains(&encoded(&KEPT_BY_URLS))
            || text.contains(&encoded(&KEPT_BY_FORMS))
    }
}

/// Characters that encoders of URL components leave unchanged: those of RFC 3986, and those of HTML forms.
const KEPT_BY_URLS: percent_encoding::AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const KEPT_BY_FORMS: percent_encoding::AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*');

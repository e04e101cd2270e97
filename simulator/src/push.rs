//! Pushes to the 授权事件接收URL (protocol sections 3.1 and 3.2): built as a [`Push`], sealed into a [`SealedPush`], sent.
//! The messages of authorized accounts travel in the same envelope: [`crate::Message`].
//!
//! The three steps are separate so that a test can send a message twice, late, out of order or tampered with. Each
//! sealing uses a new timestamp and nonce, as each of WeChat's tries may.

use std::fmt::Write as _;
use std::time::Duration;

use base::clock::Timestamp;
use base::ids::{AppId, hex};
use base::random::Random;
use http::header::CONTENT_TYPE;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};
use url::{Url, form_urlencoded};
use wechat::crypto::{Generations, Keyring};

use crate::xml::element;

/// How many characters of a response are kept: it is `success` or the beginning of an explanation.
const KEPT_ANSWER: usize = 512;
/// The same for a response to a message, which may be a sealed reply: the longest one, eight articles, is far below.
const KEPT_REPLY: usize = 64 * 1024;

/// A message before it is sealed. No `Debug`: it holds a ticket or a code.
#[derive(Clone)]
pub struct Push {
    /// `InfoType`.
    pub info_type: String,
    /// `CreateTime`.
    pub create_time: Timestamp,
    /// The XML that will be sealed.
    pub message: String,
}

/// A sealed message, as it is sent.
#[derive(Clone)]
pub struct SealedPush {
    /// `InfoType` of the content, for the record; for a message, `message.text` or `event.CLICK`.
    pub info_type: String,
    /// The account that receives the message, by its message URL; `None` for a push to the platform itself.
    pub authorizer: Option<AppId>,
    /// The query of the URL: `signature`, `timestamp`, `nonce`, `encrypt_type`, `msg_signature`; for a message also
    /// `openid`.
    pub query: String,
    /// The outer XML.
    pub body: String,
}

/// The outcome of a push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushOutcome {
    /// `InfoType`.
    pub info_type: String,
    /// How often it was sent: more than once only if redelivery is on.
    pub attempts: u32,
    /// The last response.
    pub answer: PushAnswer,
}

impl PushOutcome {
    /// Whether the platform accepted the push: 200 and `success`, nothing else.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        matches!(&self.answer, PushAnswer::Answered { status: 200, body } if body == "success")
    }
}

/// The response to a push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum PushAnswer {
    /// An HTTP response came.
    Answered {
        /// Its status.
        status: u16,
        /// The beginning of its body.
        body: String,
    },
    /// No response came, or there is no push URL.
    Unanswered {
        /// The reason.
        reason: String,
    },
}

impl Push {
    /// The same push as stamped by a server whose clock is `ahead` of the others.
    #[must_use]
    pub fn stamped_ahead(&self, ahead: Duration) -> Self {
        let create_time = self.create_time.plus(ahead);
        let element = |at: Timestamp| format!("<CreateTime>{}</CreateTime>", at.unix());
        let message = self.message.replacen(&element(self.create_time), &element(create_time), 1);
        Self { info_type: self.info_type.clone(), create_time, message }
    }

    pub(crate) fn ticket(component: &AppId, ticket: &str, now: Timestamp) -> Self {
        Self::new("component_verify_ticket", component, &element("ComponentVerifyTicket", ticket), now)
    }

    pub(crate) fn granted(
        info_type: &str,
        component: &AppId,
        authorizer: &AppId,
        code: &str,
        code_expires_at: Timestamp,
        pre_auth_code: Option<&str>,
        now: Timestamp,
    ) -> Self {
        let mut inner = element("AuthorizerAppid", authorizer.as_str()) + &element("AuthorizationCode", code);
        let seconds = code_expires_at.unix();
        let _ = write!(inner, "<AuthorizationCodeExpiredTime>{seconds}</AuthorizationCodeExpiredTime>");
        if let Some(pre_auth_code) = pre_auth_code {
            inner.push_str(&element("PreAuthCode", pre_auth_code));
        }
        Self::new(info_type, component, &inner, now)
    }

    pub(crate) fn unauthorized(component: &AppId, authorizer: &AppId, now: Timestamp) -> Self {
        Self::new("unauthorized", component, &element("AuthorizerAppid", authorizer.as_str()), now)
    }

    /// Note the second, lower-case `appid`: the new mini program, next to the platform's `AppId`.
    pub(crate) fn registered(
        component: &AppId,
        appid: &AppId,
        code: &str,
        applicant: &Applicant,
        now: Timestamp,
    ) -> Self {
        let inner = element("appid", appid.as_str())
            + "<status>0</status>"
            + &element("auth_code", code)
            + &element("msg", "OK")
            + &applicant.written();
        Self::new("notify_third_fasteregister", component, &inner, now)
    }

    pub(crate) fn registration_failed(
        component: &AppId,
        status: i64,
        msg: &str,
        applicant: &Applicant,
        now: Timestamp,
    ) -> Self {
        let inner = format!("<status>{status}</status>{}{}", element("msg", msg), applicant.written());
        Self::new("notify_third_fasteregister", component, &inner, now)
    }

    /// A trial mini program, for which there is no authorization code.
    pub(crate) fn trial_registered(
        component: &AppId,
        appid: &AppId,
        unique_id: &str,
        name: &str,
        now: Timestamp,
    ) -> Self {
        let info = element("unique_id", unique_id) + &element("name", name);
        let inner = element("appid", appid.as_str())
            + "<status>0</status>"
            + &element("msg", "OK")
            + &format!("<info>{info}</info>");
        Self::new("notify_third_fastregisterbetaapp", component, &inner, now)
    }

    fn new(info_type: &str, component: &AppId, inner: &str, now: Timestamp) -> Self {
        let message = format!(
            "<xml>{}<CreateTime>{}</CreateTime>{}{inner}</xml>",
            element("AppId", component.as_str()),
            now.unix(),
            element("InfoType", info_type),
        );
        Self { info_type: info_type.to_owned(), create_time: now, message }
    }

    pub(crate) fn envelope(&self, component: &AppId) -> Envelope<'_> {
        Envelope {
            info_type: &self.info_type,
            authorizer: None,
            head: element("AppId", component.as_str()),
            open_id: None,
            message: &self.message,
        }
    }
}

/// A message and its envelope on the wire.
pub(crate) struct Envelope<'a> {
    pub(crate) info_type: &'a str,
    pub(crate) authorizer: Option<&'a AppId>,
    /// The element next to `Encrypt`: `AppId` or `ToUserName`.
    pub(crate) head: String,
    /// `openid` of the query.
    pub(crate) open_id: Option<&'a str>,
    pub(crate) message: &'a str,
}

impl Envelope<'_> {
    /// Seals the message for the wire.
    pub(crate) fn seal(&self, keyring: &Keyring, token: &SecretString, random: &Random, now: Timestamp) -> SealedPush {
        let timestamp = now.unix().to_string();
        let nonce = random.up_to(9_999_999_999).to_string();
        let sealed = keyring.seal(self.message.as_bytes(), random.bytes(), &timestamp, &nonce, Generations::CURRENT);
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("signature", &url_signature(token, &timestamp, &nonce))
            .append_pair("timestamp", &timestamp)
            .append_pair("nonce", &nonce);
        if let Some(open_id) = self.open_id {
            query.append_pair("openid", open_id);
        }
        query.append_pair("encrypt_type", "aes").append_pair("msg_signature", &sealed.msg_signature);
        SealedPush {
            info_type: self.info_type.to_owned(),
            authorizer: self.authorizer.cloned(),
            query: query.finish(),
            body: format!("<xml>{}{}</xml>", self.head, element("Encrypt", &sealed.encrypt)),
        }
    }
}

impl SealedPush {
    /// Posts the push once.
    pub(crate) async fn post(&self, http: &reqwest::Client, url: Option<Url>) -> PushAnswer {
        let Some(mut url) = url else {
            return PushAnswer::Unanswered { reason: "no usable URL is set".to_owned() };
        };
        url.set_query(Some(&self.query));
        let sent = http.post(url).header(CONTENT_TYPE, "text/xml").body(self.body.clone()).send().await;
        let received = match sent {
            Ok(response) => {
                let status = response.status().as_u16();
                response.text().await.map(|body| (status, body))
            }
            Err(error) => Err(error),
        };
        let kept = if self.authorizer.is_some() { KEPT_REPLY } else { KEPT_ANSWER };
        match received {
            Ok((status, body)) => PushAnswer::Answered { status, body: body.chars().take(kept).collect() },
            Err(error) => PushAnswer::Unanswered { reason: why_unanswered(&error).to_owned() },
        }
    }
}

/// The reason in words that distinguish a slow platform from one that is not there.
fn why_unanswered(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "nothing within 5 seconds"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    }
}

/// `signature` of the URL: SHA-1 over token, timestamp and nonce. It does not cover the body, so nobody may rely on it.
fn url_signature(token: &SecretString, timestamp: &str, nonce: &str) -> String {
    let mut parts = [token.expose_secret(), timestamp, nonce];
    parts.sort_unstable();
    hex(&Sha1::digest(parts.concat()))
}

/// The applicant for a mini program, as the result of its registration repeats it.
pub(crate) struct Applicant {
    /// A company's name; a person's is empty.
    pub(crate) name: String,
    /// A company's code.
    pub(crate) code: String,
    pub(crate) phone: String,
    /// The task, if the registration was requested by API.
    pub(crate) task_id: Option<String>,
}

impl Applicant {
    /// A company whose registration was not requested by API.
    pub(crate) fn company(name: &str) -> Self {
        let [code, phone] = ["91310000MA1K00000X", "021-00000000"].map(str::to_owned);
        Self { name: name.to_owned(), code, phone, task_id: None }
    }

    fn written(&self) -> String {
        let task_id = self.task_id.as_deref().map(|id| element("taskid", id)).unwrap_or_default();
        format!(
            "<info>{}{}<code_type>{}</code_type>{}{}{}{task_id}</info>",
            element("name", &self.name),
            element("code", &self.code),
            u8::from(!self.code.is_empty()),
            element("legal_persona_wechat", "demo_persona"),
            element("legal_persona_name", "张三"),
            element("component_phone", &self.phone),
        )
    }
}

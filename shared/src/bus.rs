//! What the business learns through EventBridge: messages and events of accounts, and what became of grants.
//!
//! The form of the events is a promise to other programs: `docs/events.schema.json`. They carry what WeChat sent under
//! its own names, and never a ticket, a token or a code of the platform's. (What a follower writes is handed on as it was
//! written.) Every event has an `id` that is the same at each delivery:
//! delivered is at least once.

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::SdkError;
use aws_sdk_eventbridge::operation::put_events::PutEventsError;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_smithy_types::DateTime;
use secrecy::ExposeSecret as _;
use serde_json::json;
use std::fmt;
use std::sync::Arc;

use crate::aws::failure;
use crate::clock::Timestamp;
use crate::ids::{AppId, Digest, LinkId};
use crate::push::{AccountMessage, AuthorizationEvent, Content, Event, Fields};

/// The source of every event.
pub const SOURCE: &str = "wechat.platform";

/// The longest name of WeChat's that becomes part of a detail-type, of which EventBridge takes 128 characters.
const LONGEST_NAME: usize = 100;

/// Elements of authorization pushes that are secrets, or of no use without one.
const SECRET_NAMES: [&str; 5] =
    ["AuthorizationCode", "AuthorizationCodeExpiredTime", "PreAuthCode", "auth_code", "ComponentVerifyTicket"];

/// What WeChat's secrets begin with, should one stand where nobody expects it.
const SECRET_PREFIXES: [&str; 4] = ["queryauthcode@@@", "preauthcode@@@", "ticket@@@", "refreshtoken@@@"];

/// An event, ready to be sent. What followers write is in it: it is never logged.
#[derive(Clone)]
pub struct BusEvent {
    /// The same at each delivery.
    pub id: Digest,
    /// `message.text`, `event.subscribe`, `grant.authorized`, …
    pub detail_type: String,
    /// WeChat's time of it.
    pub time: Timestamp,
    /// The detail: a JSON object.
    pub detail: String,
}

/// The link that a merchant came through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantLink {
    /// Its id.
    pub id: LinkId,
    /// The business's own mark on it; `None` also for a link that is forgotten.
    pub reference: Option<String>,
}

impl BusEvent {
    /// The event of a message to `authorizer`.
    #[must_use]
    pub fn of_message(component: &AppId, authorizer: &AppId, message: &AccountMessage) -> Self {
        let id = message.dedup(authorizer);
        let mut detail = json!({
            "id": id.as_str(),
            "component_appid": component,
            "authorizer_appid": authorizer,
            "create_time": message.create_time,
            "user_name": message.user_name,
            "open_id": message.open_id,
            "message": message.content,
            "fields": message.fields,
        });
        if let Some(msg_id) = &message.msg_id {
            detail["msg_id"] = json!(msg_id);
        }
        let detail_type = match &message.content {
            Content::Event(event) => format!("event.{}", name(&event.event)),
            Content::Other { msg_type } => format!("message.{}", name(msg_type)),
            known => format!("message.{}", known.kind()),
        };
        Self { id, detail_type, time: message.create_time, detail: detail.to_string() }
    }

    /// The event of an authorization push, with the link that the merchant came through, where that is known; `None` for
    /// a ticket, which is nobody's business.
    #[must_use]
    pub fn of_grant(push: &AuthorizationEvent, link: Option<&GrantLink>) -> Option<Self> {
        if matches!(push.event, Event::ComponentVerifyTicket { .. }) {
            return None;
        }
        let id = push.dedup();
        let info_type = push.event.info_type();
        // The push was read from the same document.
        let fields = Fields::parse(push.xml.expose_secret()).unwrap_or_default().without(is_secret);
        let mut detail = json!({
            "id": id.as_str(),
            "component_appid": push.component,
            "create_time": push.create_time,
            "info_type": info_type,
            "fields": fields,
        });
        if let Some(account) = push.event.account() {
            detail["authorizer_appid"] = json!(account);
        }
        if let Some(link) = link {
            detail["link_id"] = json!(link.id);
            if let Some(reference) = &link.reference {
                detail["reference"] = json!(reference);
            }
        }
        let detail_type = format!("grant.{}", name(info_type));
        Some(Self { id, detail_type, time: push.create_time, detail: detail.to_string() })
    }
}

/// A name of WeChat's, if it fits into a detail-type and into the patterns of rules.
fn name(text: &str) -> &str {
    let fits = (1..=LONGEST_NAME).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if fits { text } else { "unknown" }
}

fn is_secret(name: &str, text: Option<&str>) -> bool {
    SECRET_NAMES.iter().any(|secret| secret.eq_ignore_ascii_case(name))
        || text.is_some_and(|text| SECRET_PREFIXES.iter().any(|prefix| text.trim_start().starts_with(prefix)))
}

/// EventBridge's word for too many events, of a request or of an entry in it.
const THROTTLED: &str = "ThrottlingException";

/// Why the bus did not take an event.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum BusError {
    /// EventBridge did not answer, or refuses whatever we send: no event is taken now. It may have taken this one.
    #[error("EventBridge takes no events ({0}): check EVENT_BUS_NAME, the function's permission and the network")]
    Away(String),
    /// EventBridge takes fewer events than it is offered.
    #[error("EventBridge takes no more events now ({0}): the region's limit of PutEvents calls a second is reached")]
    Busy(String),
    /// EventBridge refused this event.
    #[error("EventBridge did not take an event ({0})")]
    Refused(String),
    /// EventBridge will never take this event.
    #[error("EventBridge will never take an event ({0})")]
    Malformed(String),
}

impl BusError {
    /// Whether the same event may be taken later.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        !matches!(self, Self::Malformed(_))
    }

    fn of_request<R: fmt::Debug>(error: &SdkError<PutEventsError, R>) -> Self {
        let cause = failure(error);
        match (error, cause.as_str()) {
            (SdkError::ServiceError(_), THROTTLED) => Self::Busy(cause),
            // The one refusal of a request that is about what is in it.
            (SdkError::ServiceError(_), "ValidationException") => Self::Refused(cause),
            _ => Self::Away(cause),
        }
    }
}

/// The bus; clones share the connections.
#[derive(Debug, Clone)]
pub struct Bus {
    client: Client,
    name: Arc<str>,
}

impl Bus {
    /// The bus `name` (or its ARN), reached through `client`, whose time-outs are those of [`crate::aws`].
    #[must_use]
    pub fn new(client: Client, name: &str) -> Self {
        Self { client, name: name.into() }
    }

    /// Puts an event on the bus.
    ///
    /// # Errors
    /// [`BusError`]: it has to be put again, unless it never can be.
    pub async fn put(&self, event: &BusEvent) -> Result<(), BusError> {
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&*self.name)
            .source(SOURCE)
            .detail_type(&event.detail_type)
            .time(DateTime::from_secs(event.time.unix()))
            .detail(&event.detail)
            .build();
        let answer = self.client.put_events().entries(entry).send().await;
        let answer = answer.map_err(|error| BusError::of_request(&error))?;
        // A refused entry comes with an answer that is otherwise a success.
        match answer.entries().first().and_then(|entry| entry.error_code()) {
            None if answer.failed_entry_count() == 0 => Ok(()),
            Some(THROTTLED) => Err(BusError::Busy(THROTTLED.to_owned())),
            Some(code @ ("MalformedDetail" | "InvalidArgument")) => Err(BusError::Malformed(code.to_owned())),
            code => Err(BusError::Refused(code.unwrap_or("no reason").to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn component() -> AppId {
        AppId::parse("wx1234567890abcdef").unwrap()
    }

    fn of_message(inner: &str) -> BusEvent {
        let head = "<ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><CreateTime>1700000000</CreateTime>";
        let message = AccountMessage::parse(format!("<xml>{head}{inner}</xml>").into()).unwrap();
        BusEvent::of_message(&component(), &AppId::parse("wxshop").unwrap(), &message)
    }

    fn of_grant(inner: &str) -> Option<(BusEvent, Value)> {
        let head = "<AppId>wx1234567890abcdef</AppId><CreateTime>1700000000</CreateTime>";
        let push = AuthorizationEvent::parse(format!("<xml>{head}{inner}</xml>").into()).unwrap();
        let event = BusEvent::of_grant(&push, None)?;
        let detail = serde_json::from_str(&event.detail).unwrap();
        Some((event, detail))
    }

    #[test]
    fn a_message_is_told_with_its_typed_part_and_every_field() {
        let event = of_message("<MsgType>text</MsgType><Content>你好 \"😀\"</Content><MsgId>7</MsgId><New>x</New>");
        assert_eq!((event.detail_type.as_str(), event.time.unix()), ("message.text", 1_700_000_000));
        let detail: Value = serde_json::from_str(&event.detail).unwrap();
        assert_eq!(
            detail,
            json!({
                "id": event.id.as_str(),
                "component_appid": "wx1234567890abcdef",
                "authorizer_appid": "wxshop",
                "create_time": 1_700_000_000,
                "user_name": "gh_1",
                "open_id": "o1",
                "msg_id": "7",
                "message": { "type": "text", "content": "你好 \"😀\"" },
                "fields": {
                    "ToUserName": "gh_1", "FromUserName": "o1", "CreateTime": "1700000000", "MsgType": "text",
                    "Content": "你好 \"😀\"", "MsgId": "7", "New": "x",
                },
            })
        );
    }

    #[test]
    fn events_and_kinds_keep_wechats_names_unless_they_fit_no_pattern() {
        let detail_type = |inner: &str| of_message(inner).detail_type;
        assert_eq!(detail_type("<MsgType>event</MsgType><Event>SCAN</Event>"), "event.SCAN");
        assert_eq!(detail_type("<MsgType>event</MsgType>"), "event.unknown");
        assert_eq!(detail_type("<MsgType>notsure</MsgType>"), "message.notsure");
        assert_eq!(detail_type("<MsgType>event</MsgType><Event>a b</Event>"), "event.unknown");
        assert_eq!(detail_type(&format!("<MsgType>{}</MsgType>", "a".repeat(101))), "message.unknown");
    }

    #[test]
    fn a_grant_is_told_without_its_codes() {
        let (event, detail) = of_grant(
            "<InfoType>authorized</InfoType><AuthorizerAppid>wxshop</AuthorizerAppid>\
             <AuthorizationCode>queryauthcode@@@1</AuthorizationCode><PreAuthCode>preauthcode@@@2</PreAuthCode>\
             <AuthorizationCodeExpiredTime>1700003600</AuthorizationCodeExpiredTime><New>1</New>",
        )
        .unwrap();
        assert_eq!(event.detail_type, "grant.authorized");
        assert_eq!(
            detail,
            json!({
                "id": event.id.as_str(),
                "component_appid": "wx1234567890abcdef",
                "authorizer_appid": "wxshop",
                "create_time": 1_700_000_000,
                "info_type": "authorized",
                "fields": {
                    "AppId": "wx1234567890abcdef", "CreateTime": "1700000000", "InfoType": "authorized",
                    "AuthorizerAppid": "wxshop", "New": "1",
                },
            })
        );
    }

    #[test]
    fn codes_in_places_of_their_own_are_left_out_and_a_companys_code_is_not() {
        let (_, detail) = of_grant(
            "<InfoType>notify_third_fasteregister</InfoType><appid>wxnew</appid><status>0</status>\
             <auth_code>queryauthcode@@@1</auth_code><info><code>91310000</code><auth_code>x</auth_code></info>",
        )
        .unwrap();
        assert_eq!(detail["fields"]["info"], json!({ "code": "91310000" }));
        assert!(detail["fields"].get("auth_code").is_none() && detail["authorizer_appid"] == "wxnew");

        let (event, detail) =
            of_grant("<InfoType>brand_new</InfoType><a><b> queryauthcode@@@1</b><c>1</c></a>").unwrap();
        assert_eq!((event.detail_type.as_str(), &detail["fields"]["a"]), ("grant.brand_new", &json!({ "c": "1" })));
        assert!(detail.get("authorizer_appid").is_none());
    }

    #[test]
    fn a_grant_names_the_link_that_it_came_through_and_the_businesss_mark_on_it() {
        let xml = "<xml><AppId>wx1234567890abcdef</AppId><CreateTime>1700000000</CreateTime>\
                   <InfoType>authorized</InfoType><AuthorizerAppid>wxshop</AuthorizerAppid>\
                   <AuthorizationCode>queryauthcode@@@1</AuthorizationCode></xml>";
        let push = AuthorizationEvent::parse(xml.to_owned().into()).unwrap();
        let told = |link: Option<&GrantLink>| {
            let event = BusEvent::of_grant(&push, link).unwrap();
            serde_json::from_str::<Value>(&event.detail).unwrap()
        };
        let id = LinkId::parse("0123456789abcdefABCDE_").unwrap();
        let mut link = GrantLink { id, reference: Some("order \"7\"".to_owned()) };
        let detail = told(Some(&link));
        assert_eq!(
            (&detail["link_id"], &detail["reference"]),
            (&json!("0123456789abcdefABCDE_"), &json!("order \"7\""))
        );
        link.reference = None;
        assert!(told(Some(&link)).get("reference").is_none());
        assert!(told(None).get("link_id").is_none());
    }

    #[test]
    fn a_ticket_is_never_told() {
        let ticket = "<InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>t</ComponentVerifyTicket>";
        assert!(of_grant(ticket).is_none());
    }
}

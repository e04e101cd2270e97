//! The form of the events on the bus, a promise to other programs: `docs/events.schema.json`.
//!
//! Events contain what WeChat sent, under WeChat's names, and never a ticket, a token or a code of the platform. (What
//! a follower writes is passed on as it was written.) Every event has an `id` that is the same at each delivery. One
//! that is too large for the bus names what was left out.

use base::clock::Timestamp;
use base::ids::{AppId, Digest, KeyId, LinkId};
use base::random::Random;
use runtime::config::Origin;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};
use store::{Actor, KeyEvent, Labels, StateChange, StateEvent, TokenOwner};
use wechat::push::{AccountMessage, AuthorizationEvent, Content, Event, Fields};

/// The source of every event.
pub const SOURCE: &str = "wechat.platform";

/// The detail-type of the event that starts a reconciliation: `template.yaml` has a rule for it.
pub const RECONCILIATION_REQUESTED: &str = "reconciliation.requested";

/// The detail-type of the event that starts a run of the refresher: `template.yaml` has a rule for it.
pub const RUN_REQUESTED: &str = "run.requested";

/// The detail-type of the event that reports that somebody was given a token.
const TOKEN_READ: &str = "token.read";

/// The longest of WeChat's names that becomes part of a detail-type, for which EventBridge allows 128 characters.
const LONGEST_NAME: usize = 100;

/// The largest entry that EventBridge accepts in every region, in bytes. JSON needs six bytes for a control character,
/// so a message of 48 KiB full of them becomes an event of more than 500 KiB.
pub(super) const LARGEST: usize = 256 * 1024;

/// The size that EventBridge counts for an entry's time, in bytes.
const TIME_SIZE: usize = 14;

/// How many bytes are kept of each text of a message whose event is too large even without its fields: eight such texts
/// still fit.
const CUT_TEXT: usize = 4_096;

/// Elements of authorization pushes that are secrets, or useless without one.
const SECRET_NAMES: [&str; 5] =
    ["AuthorizationCode", "AuthorizationCodeExpiredTime", "PreAuthCode", "auth_code", "ComponentVerifyTicket"];

/// The prefixes of WeChat's secrets, in case one is in an unexpected element.
const SECRET_PREFIXES: [&str; 4] = ["queryauthcode@@@", "preauthcode@@@", "ticket@@@", "refreshtoken@@@"];

/// An event, ready to be sent. It contains what followers write, so it is never logged.
#[derive(Clone)]
pub struct BusEvent {
    /// The same at each delivery.
    pub id: Digest,
    /// `message.text`, `event.subscribe`, `grant.authorized`, …
    pub detail_type: String,
    /// WeChat's time of it, if it came with one.
    pub time: Option<Timestamp>,
    /// The detail: a JSON object.
    pub detail: String,
    /// How many of [`Reduction::ALL`] have been applied to it.
    reductions: usize,
}

/// The steps of reducing an event, in this order. The words are those of `omitted` in the detail.
#[derive(Clone, Copy)]
enum Reduction {
    /// Leaves out everything that WeChat sent under its own names, and the text that could not be parsed.
    Fields,
    /// Keeps only the beginning of each of the message's texts.
    Message,
}

impl Reduction {
    const ALL: [Self; 2] = [Self::Fields, Self::Message];

    const fn word(self) -> &'static str {
        match self {
            Self::Fields => "fields",
            Self::Message => "message",
        }
    }

    fn apply(self, detail: &mut Map<String, Value>) {
        match self {
            Self::Fields => {
                detail.remove("fields");
                detail.remove("raw");
            }
            Self::Message => {
                let texts = detail.get_mut("message").and_then(Value::as_object_mut).into_iter().flatten();
                for text in
                    texts.filter_map(|(_, value)| if let Value::String(text) = value { Some(text) } else { None })
                {
                    text.truncate(text.floor_char_boundary(CUT_TEXT));
                }
            }
        }
    }
}

impl BusEvent {
    /// The event of a message to `authorizer`. The account is unconfirmed if the message itself names none.
    #[must_use]
    pub fn of_message(component: &AppId, authorizer: &AppId, labels: &Labels, message: &AccountMessage) -> Self {
        let id = Digest::from(message.id(authorizer));
        let mut detail = json!({
            "id": id.as_str(),
            "component_appid": component,
            "authorizer_appid": authorizer,
            "message": message.content,
            "fields": message.fields,
        });
        let optional = [
            ("create_time", message.create_time.map(|at| json!(at))),
            ("user_name", message.user_name.as_ref().map(|name| json!(name))),
            ("open_id", message.open_id.as_ref().map(|name| json!(name))),
            ("msg_id", message.msg_id.as_ref().map(|id| json!(id))),
            (
                "missing",
                Some(message.missing().collect::<Vec<_>>()).filter(|names| !names.is_empty()).map(|names| json!(names)),
            ),
            // Then only the URL says whose message this is.
            ("unconfirmed", message.user_name.is_none().then(|| json!(["authorizer_appid"]))),
            ("raw", (!message.is_whole).then(|| json!(message.xml.expose_secret()))),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                detail[name] = value;
            }
        }
        // If only the URL names the account, the event does not get what the business has said about the account.
        if message.user_name.is_some() {
            add_labels(&mut detail, labels);
        }
        let detail_type = match &message.content {
            Content::Event(event) => format!("event.{}", name(&event.event)),
            Content::Other { msg_type } => format!("message.{}", name(msg_type)),
            known => format!("message.{}", known.kind()),
        };
        Self { id, detail_type, time: message.create_time, detail: detail.to_string(), reductions: 0 }.fitting()
    }

    /// The event of a message whose account only the URL names: the table, which has the account's original id, did not
    /// respond, or has no original id for that account.
    #[must_use]
    pub fn of_unconfirmed_message(component: &AppId, authorizer: &AppId, message: &AccountMessage) -> Self {
        let event = Self::of_message(component, authorizer, &Labels::default(), message);
        let detail = event.changed(|detail| {
            detail.insert("unconfirmed".to_owned(), json!(["authorizer_appid"]));
        });
        Self { detail: detail.unwrap_or_else(|| event.detail.clone()), ..event }
    }

    /// The event of an authorization push, with the merchant's link, if known, and what the business has said on the
    /// link or about the account; `None` for a ticket, which is never published.
    #[must_use]
    pub fn of_grant(
        component: &AppId,
        push: &AuthorizationEvent,
        link: Option<&LinkId>,
        labels: &Labels,
    ) -> Option<Self> {
        if matches!(push.event, Event::ComponentVerifyTicket { .. }) {
            return None;
        }
        let id = Digest::from(push.id());
        let info_type = push.event.info_type();
        let fields = Fields::parse(push.xml.expose_secret()).without(is_secret);
        let mut detail = json!({
            "id": id.as_str(),
            "component_appid": component,
            "info_type": info_type,
            "fields": fields,
        });
        if let Some(create_time) = push.create_time {
            detail["create_time"] = json!(create_time);
        }
        if let Some(account) = push.event.account() {
            detail["authorizer_appid"] = json!(account);
        }
        if let Some(link) = link {
            detail["link_id"] = json!(link);
        }
        add_labels(&mut detail, labels);
        let detail_type = format!("grant.{}", name(info_type));
        Some(Self { id, detail_type, time: push.create_time, detail: detail.to_string(), reductions: 0 }.fitting())
    }

    /// The event of a change of an account, with its number among the account's events. A link in it is below
    /// `public_base`.
    #[must_use]
    pub fn of_state(
        component: &AppId,
        authorizer: &AppId,
        sequence: u64,
        event: &StateEvent,
        public_base: &Origin,
    ) -> Self {
        let id = Digest::of(&["state", component.as_str(), authorizer.as_str(), &sequence.to_string()]);
        let at = Timestamp::from_unix(event.at);
        let mut detail = json!({
            "id": id.as_str(),
            "component_appid": component,
            "authorizer_appid": authorizer,
            "sequence": sequence,
            "change": event.change.word(),
            "occurred_at": at.rfc3339(),
        });
        let more = match &event.change {
            StateChange::Authorized { permissions } | StateChange::Recovered { permissions } => {
                json!({ "permissions": permissions })
            }
            StateChange::NeedsAuthorization { errcode, rid, asks_again } => {
                let url = asks_again.as_ref().map(|link| format!("{}/authorize/{link}", public_base.as_str()));
                let members = [
                    ("errcode", errcode.map(|code| json!(code))),
                    ("rid", rid.as_ref().map(|rid| json!(rid))),
                    ("authorization_url", url.map(|url| json!(url))),
                    ("authorization_link_id", asks_again.as_ref().map(|link| json!(link))),
                ];
                members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
            }
            StateChange::Unauthorized => json!({}),
            StateChange::PermissionsChanged { added, removed } => json!({ "added": added, "removed": removed }),
            StateChange::ProfileChanged { members } => json!({ "members": members }),
        };
        for (name, value) in more.as_object().into_iter().flatten() {
            detail[name] = value.clone();
        }
        if let Some(link) = &event.link {
            detail["link_id"] = json!(link);
        }
        add_labels(&mut detail, &event.labels);
        let detail_type = format!("account.{}", event.change.word());
        Self { id, detail_type, time: Some(at), detail: detail.to_string(), reductions: 0 }.fitting()
    }

    /// The event that reports that an API key was created or revoked.
    #[must_use]
    pub fn of_key(component: &AppId, key: &KeyId, event: &KeyEvent) -> Self {
        let word = event.change.word();
        let id = Digest::of(&["key", component.as_str(), key.as_str(), word]);
        let at = Timestamp::from_unix(event.at);
        let mut detail = json!({
            "id": id.as_str(),
            "component_appid": component,
            "key_id": key,
            "change": word,
            "occurred_at": at.rfc3339(),
            "name": event.name,
            "scopes": event.scopes,
            "in_url": event.in_url,
        });
        if let Some(appids) = &event.appids {
            detail["appids"] = json!(appids);
        }
        if let Some(ends_at) = event.ends_at {
            detail["expires_at"] = json!(Timestamp::from_unix(ends_at).rfc3339());
        }
        add_actor(&mut detail, &event.actor);
        let detail_type = format!("key.{word}");
        Self { id, detail_type, time: Some(at), detail: detail.to_string(), reductions: 0 }
    }

    /// The event that reports that somebody was given a token, named by its id. Each time is another event.
    #[must_use]
    pub fn of_token_read(
        component: &AppId,
        owner: &TokenOwner,
        token_id: &str,
        actor: &Actor,
        random: &Random,
        at: Timestamp,
    ) -> Self {
        let id = Digest::of(&["token-read", component.as_str(), &random.id()]);
        let mut detail = json!({
            "id": id.as_str(),
            "component_appid": component,
            "token_id": token_id,
            "occurred_at": at.rfc3339(),
        });
        if let Some(account) = owner.account() {
            detail["authorizer_appid"] = json!(account);
        }
        add_actor(&mut detail, actor);
        let detail_type = TOKEN_READ.to_owned();
        Self { id, detail_type, time: Some(at), detail: detail.to_string(), reductions: 0 }
    }

    /// The event that starts a reconciliation that somebody requested.
    #[must_use]
    pub fn of_requested_reconciliation(component: &AppId, reconciliation: &str) -> Self {
        let id = Digest::of(&["reconciliation", component.as_str(), reconciliation]);
        let detail = json!({
            "id": id.as_str(),
            "component_appid": component,
            "reconciliation_id": reconciliation,
        });
        let detail_type = RECONCILIATION_REQUESTED.to_owned();
        Self { id, detail_type, time: None, detail: detail.to_string(), reductions: 0 }
    }

    /// The event that starts a run of the refresher that somebody requested. `request` names the request.
    #[must_use]
    pub fn of_requested_run(component: &AppId, request: &str) -> Self {
        let id = Digest::of(&["run", component.as_str(), request]);
        let detail = json!({ "id": id.as_str(), "component_appid": component });
        let detail_type = RUN_REQUESTED.to_owned();
        Self { id, detail_type, time: None, detail: detail.to_string(), reductions: 0 }
    }

    /// The event, reduced as far as the bus requires.
    fn fitting(self) -> Self {
        let mut event = self;
        while event.size() > LARGEST {
            match event.smaller() {
                Some(smaller) => event = smaller,
                None => break,
            }
        }
        event
    }

    /// The size that counts against [`LARGEST`].
    pub(super) fn size(&self) -> usize {
        SOURCE.len() + self.detail_type.len() + self.detail.len() + TIME_SIZE
    }

    /// The event reduced by one more step; `None` if nothing more can be left out.
    pub(super) fn smaller(&self) -> Option<Self> {
        let reductions = self.reductions + 1;
        let applied = Reduction::ALL.get(..reductions)?;
        let detail = self.changed(|detail| {
            for reduction in applied {
                reduction.apply(detail);
            }
            let omitted: Vec<_> = applied.iter().map(|reduction| reduction.word()).collect();
            detail.insert("omitted".to_owned(), json!(omitted));
        })?;
        Some(Self { detail, reductions, ..self.clone() })
    }

    /// Whether something had to be left out.
    pub(super) const fn is_reduced(&self) -> bool {
        self.reductions > 0
    }

    fn changed(&self, change: impl FnOnce(&mut Map<String, Value>)) -> Option<String> {
        let mut detail: Value = serde_json::from_str(&self.detail).ok()?;
        change(detail.as_object_mut()?);
        Some(detail.to_string())
    }
}

/// Adds what the business has said about the account, if anything.
fn add_labels(detail: &mut Value, labels: &Labels) {
    if let Some(reference) = &labels.reference {
        detail["reference"] = json!(reference);
    }
    if !labels.tags.is_empty() {
        detail["tags"] = json!(labels.tags);
    }
}

/// Adds who did it, and from where.
fn add_actor(detail: &mut Value, actor: &Actor) {
    detail["by"] = json!(actor.by);
    if let Some(source_ip) = actor.source_ip {
        detail["source_ip"] = json!(source_ip);
    }
    if let Some(request_id) = &actor.request_id {
        detail["request_id"] = json!(request_id);
    }
}

/// One of WeChat's names, if it fits into a detail-type and into the patterns of rules.
fn name(text: &str) -> &str {
    let fits = (1..=LONGEST_NAME).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if fits { text } else { "unknown" }
}

fn is_secret(name: &str, text: Option<&str>) -> bool {
    SECRET_NAMES.iter().any(|secret| secret.eq_ignore_ascii_case(name))
        || text.is_some_and(|text| SECRET_PREFIXES.iter().any(|prefix| text.contains(prefix)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    fn component() -> AppId {
        AppId::parse("wx1234567890abcdef").unwrap()
    }

    fn of_message(inner: &str) -> BusEvent {
        let head = "<ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><CreateTime>1700000000</CreateTime>";
        let message = AccountMessage::parse(format!("<xml>{head}{inner}</xml>").into());
        BusEvent::of_message(&component(), &AppId::parse("wxshop").unwrap(), &Labels::default(), &message)
    }

    fn of_grant(inner: &str) -> Option<(BusEvent, Value)> {
        let head = "<AppId>wx1234567890abcdef</AppId><CreateTime>1700000000</CreateTime>";
        let push = AuthorizationEvent::parse(format!("<xml>{head}{inner}</xml>").into());
        let event = BusEvent::of_grant(&component(), &push, None, &Labels::default())?;
        let detail = serde_json::from_str(&event.detail).unwrap();
        Some((event, detail))
    }

    #[test]
    fn a_message_is_published_with_its_typed_part_and_every_field() {
        let event = of_message("<MsgType>text</MsgType><Content>你好 \"😀\"</Content><MsgId>7</MsgId><New>x</New>");
        assert_eq!(
            (event.detail_type.as_str(), event.time),
            ("message.text", Some(Timestamp::from_unix(1_700_000_000)))
        );
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
    fn a_grant_is_published_without_its_codes() {
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
        let push = AuthorizationEvent::parse(xml.to_owned().into());
        let told = |link: Option<&LinkId>, labels: &Labels| {
            let event = BusEvent::of_grant(&component(), &push, link, labels).unwrap();
            serde_json::from_str::<Value>(&event.detail).unwrap()
        };
        let link = LinkId::parse("0123456789abcdefABCDE_").unwrap();
        let tags = BTreeMap::from([("plan".to_owned(), "gold".to_owned())]);
        let labels = Labels::new(Some("order \"7\"".to_owned()), tags).unwrap();
        let detail = told(Some(&link), &labels);
        assert_eq!(
            (&detail["link_id"], &detail["reference"], &detail["tags"]),
            (&json!("0123456789abcdefABCDE_"), &json!("order \"7\""), &json!({ "plan": "gold" }))
        );
        let detail = told(None, &Labels::default());
        assert!(["link_id", "reference", "tags"].iter().all(|name| detail.get(name).is_none()), "{detail}");
    }

    #[test]
    fn the_largest_message_that_is_received_fits_the_bus_whatever_is_in_it() {
        for filler in ["\"", "\\", "\n", "\u{1}", "\u{0}", "\u{7f}", "字", "<a/>", "<a>\"</a>", "]]>"] {
            let inner = filler.repeat((48 * 1024 - 400) / filler.len());
            let text = |name: &str| format!("<MsgType>{name}</MsgType><Content><![CDATA[{inner}]]></Content>");
            let event = format!("<MsgType>event</MsgType><Event>x</Event><EventKey><![CDATA[{inner}]]></EventKey>");
            for message in [text("text"), text("hologram"), event, inner.clone()] {
                let event = of_message(&message);
                let detail: Value = serde_json::from_str(&event.detail).unwrap();
                assert!(event.size() <= LARGEST, "{filler:?}: {}", event.size());
                assert_eq!(detail.get("fields").is_none(), event.is_reduced(), "{filler:?}");
                assert_eq!(detail["omitted"].is_array(), event.is_reduced(), "{filler:?}");
            }
        }
    }

    #[test]
    fn a_ticket_is_never_told() {
        let ticket = "<InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>t</ComponentVerifyTicket>";
        assert!(of_grant(ticket).is_none());
    }
}

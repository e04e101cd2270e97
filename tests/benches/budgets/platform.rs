//! The platform of the measurements: its secret, its pushes, and a table that responds at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base::clock::{Clock as _, SystemClock};
use base::ids::AppId;
use serde_json::json;
use stories::bootstrap::messages_of;
use stories::http_events::HttpEvent;
use wechat::crypto::{EncodingAesKey, Generations, Keyring};

use crate::http::{Request, answer};
use crate::line::{Host, Line};

/// The platform.
pub(crate) const COMPONENT: &str = "wx1234567890abcdef";
/// The token of its pushes.
pub(crate) const TOKEN: &str = "BudgetVerificationToken";
/// The key of its pushes.
pub(crate) const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
/// `nonce` of its pushes.
pub(crate) const NONCE: &str = "1234567890";

/// A ticket push as the receiver gets it.
pub(crate) struct TicketPush {
    /// The body.
    pub(crate) body: String,
    /// The `Encrypt` in it.
    pub(crate) encrypt: String,
    /// Its `msg_signature`.
    pub(crate) msg_signature: String,
    /// Its `timestamp`.
    pub(crate) timestamp: String,
}

/// The `timestamp` of its pushes, and their time: now, since an older or later push has no effect.
pub(crate) fn timestamp() -> String {
    SystemClock.now().unix().to_string()
}

/// Token and key.
pub(crate) fn keyring() -> Keyring {
    let key = EncodingAesKey::parse(&KEY.into()).expect("a key");
    Keyring::new(AppId::parse(COMPONENT).expect("an appid"), TOKEN.into(), key)
}

/// A ticket push of real size.
pub(crate) fn ticket_push() -> TicketPush {
    let timestamp = timestamp();
    let message = format!(
        "<xml><AppId><![CDATA[{COMPONENT}]]></AppId><CreateTime>{timestamp}</CreateTime>\
         <InfoType><![CDATA[component_verify_ticket]]></InfoType>\
         <ComponentVerifyTicket><![CDATA[ticket@@@{}]]></ComponentVerifyTicket></xml>",
        "Tz4".repeat(29)
    );
    let sealed = keyring().seal(message.as_bytes(), *b"0123456789abcdef", &timestamp, NONCE, Generations::CURRENT);
    let body =
        format!("<xml><AppId><![CDATA[{COMPONENT}]]></AppId><Encrypt><![CDATA[{}]]></Encrypt></xml>", sealed.encrypt);
    TicketPush { body, encrypt: sealed.encrypt, msg_signature: sealed.msg_signature, timestamp }
}

/// The same as an event of the gateway.
pub(crate) fn ticket_event() -> String {
    let push = ticket_push();
    let query = format!(
        "signature=none&timestamp={}&nonce={NONCE}&encrypt_type=aes&msg_signature={}",
        push.timestamp, push.msg_signature
    );
    HttpEvent::new("POST", "/wechat/events")
        .query(&query)
        .header("content-type", "text/xml")
        .body(&push.body)
        .build()
        .to_string()
}

/// The original id of the account that followers write to.
pub(crate) const USER_NAME: &str = "gh_0123456789ab";

/// A follower's text as an event of the gateway.
pub(crate) fn message_event() -> String {
    let timestamp = timestamp();
    let message = format!(
        "<xml><ToUserName><![CDATA[{USER_NAME}]]></ToUserName>\
         <FromUserName><![CDATA[oFollower-0123456789_abcdefg]]></FromUserName><CreateTime>{timestamp}</CreateTime>\
         <MsgType><![CDATA[text]]></MsgType><Content><![CDATA[请问周末几点开门？]]></Content>\
         <MsgId>1234567890123456789</MsgId></xml>"
    );
    let sealed = keyring().seal(message.as_bytes(), *b"0123456789abcdef", &timestamp, NONCE, Generations::CURRENT);
    let body = format!(
        "<xml><ToUserName><![CDATA[{USER_NAME}]]></ToUserName><Encrypt><![CDATA[{}]]></Encrypt></xml>",
        sealed.encrypt
    );
    let query = format!(
        "signature=none&timestamp={timestamp}&nonce={NONCE}&openid=oFollower-0123456789_abcdefg&encrypt_type=aes\
         &msg_signature={}",
        sealed.msg_signature
    );
    messages_of("wx0123456789abcdef").query(&query).header("content-type", "text/xml").body(&body).build().to_string()
}

/// Requests to AWS, counted by operation.
#[derive(Default, Clone)]
pub(crate) struct Counts(Arc<Mutex<BTreeMap<String, u64>>>);

impl Counts {
    /// Counts a request, and returns its operation.
    fn of(&self, request: &Request) -> String {
        let target = request.header("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        *self.0.lock().expect("nobody panics").entry(operation.clone()).or_default() += 1;
        operation
    }

    /// The number of requests of an operation.
    pub(crate) fn get(&self, operation: &str) -> f64 {
        let count = self.0.lock().expect("nobody panics").get(operation).copied().unwrap_or(0);
        f64::from(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// The number of requests of all operations.
    pub(crate) fn total(&self) -> f64 {
        let count = self.0.lock().expect("nobody panics").values().sum::<u64>();
        f64::from(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Starts again from zero.
    pub(crate) fn clear(&self) {
        self.0.lock().expect("nobody panics").clear();
    }
}

/// Secrets Manager, DynamoDB and EventBridge, and the variables with which a function finds them.
pub(crate) struct Aws {
    /// The requests to them.
    pub(crate) counts: Counts,
    /// The address of DynamoDB.
    pub(crate) dynamodb: SocketAddr,
    variables: Vec<(&'static str, String)>,
}

impl Aws {
    /// Starts all of them; `table` responds to an operation of DynamoDB.
    pub(crate) fn start(table: impl Fn(&str, &Request) -> String + Send + Sync + 'static) -> Self {
        Self::start_as(&Line::Plain, table)
    }

    /// The same over a line of another kind.
    pub(crate) fn start_as(line: &Line, table: impl Fn(&str, &Request) -> String + Send + Sync + 'static) -> Self {
        let counts = Counts::default();
        let secret = json!({
            "component_appid": COMPONENT,
            "component_appsecret": "0123456789abcdef0123456789abcdef",
            "token": TOKEN,
            "encoding_aes_key": KEY,
            "webhook_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        });
        let secret = json!({ "Name": "platform", "SecretString": secret.to_string() }).to_string();
        let (of_secrets, of_table, of_events) = (counts.clone(), counts.clone(), counts.clone());
        let secrets = line.serve(Host::Address, move |request| {
            of_secrets.of(request);
            answer("200 OK", &[("content-type", "application/x-amz-json-1.1")], &secret)
        });
        let dynamodb = line.serve(Host::Name, move |request| {
            let body = table(&of_table.of(request), request);
            answer("200 OK", &[("content-type", "application/x-amz-json-1.0")], &body)
        });
        let taken = json!({ "FailedEntryCount": 0, "Entries": [{ "EventId": "0" }] }).to_string();
        let events = line.serve(Host::Name, move |request| {
            of_events.of(request);
            answer("200 OK", &[("content-type", "application/x-amz-json-1.1")], &taken)
        });
        let mut variables = line.variables();
        variables.extend([
            ("TABLE_NAME", "wechat-platform".to_owned()),
            ("SECRET_ID", "wechat-platform/secret".to_owned()),
            ("PUBLIC_BASE_URL", "https://auth.example.com".to_owned()),
            ("AWS_ENDPOINT_URL_DYNAMODB", line.url(Host::Name, dynamodb)),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", line.url(Host::Address, secrets)),
            ("EVENT_BUS_NAME", "wechat-platform".to_owned()),
            ("AWS_ENDPOINT_URL_EVENTBRIDGE", line.url(Host::Name, events)),
        ]);
        Self { counts, dynamodb, variables }
    }

    /// The variables that a function needs.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        self.variables.clone()
    }
}

//! The platform's side of the message URL: opens what arrives with the shared crypto, and responds as instructed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::routing::post;
use base::ids::AppId;
use http::StatusCode;
use simulator::{Account, Simulator};
use tokio::net::TcpListener;
use wechat::crypto::{EncodingAesKey, Generations, Keyring, Signed};

use crate::harness::{COMPONENT, KEY, TOKEN, element};

/// A message as it arrived.
#[derive(Clone)]
pub(crate) struct Arrived {
    pub(crate) appid: String,
    pub(crate) query: String,
    /// The outer XML.
    pub(crate) outer: String,
    /// The opened XML.
    pub(crate) message: String,
}

impl Arrived {
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        element(&self.message, name)
    }
}

pub(crate) struct AccountSide {
    arrived: Mutex<Vec<Arrived>>,
    answers: Mutex<VecDeque<(StatusCode, String)>>,
}

impl AccountSide {
    /// Starts on a port of its own and becomes the simulator's message URL.
    pub(crate) async fn start(simulator: &Simulator) -> Arc<Self> {
        let side = Arc::new(Self { arrived: Mutex::default(), answers: Mutex::default() });
        let router = Router::new().route("/accounts/{appid}/events", post(receive)).with_state(Arc::clone(&side));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        simulator.set_message_url(format!("http://{}/accounts/$APPID$/events", listener.local_addr().unwrap()));
        tokio::spawn(axum::serve(listener, router).into_future());
        side
    }

    /// Sets the response to the next message; otherwise it is 200 with an empty body.
    pub(crate) fn answer_next(&self, status: StatusCode, body: impl Into<String>) {
        self.answers.lock().unwrap().push_back((status, body.into()));
    }

    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Arrived {
        self.arrived().pop().expect("a message has arrived")
    }
}

async fn receive(
    State(side): State<Arc<AccountSide>>,
    Path(appid): Path<String>,
    RawQuery(query): RawQuery,
    outer: String,
) -> (StatusCode, String) {
    let query = query.unwrap();
    let parameter =
        |name: &str| url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).unwrap().1.into_owned();
    let signed = Signed {
        timestamp: &parameter("timestamp"),
        nonce: &parameter("nonce"),
        msg_signature: &parameter("msg_signature"),
        encrypt: &element(&outer, "Encrypt").unwrap(),
    };
    let Ok(opened) = keyring(COMPONENT, TOKEN).open(&signed) else {
        return (StatusCode::UNAUTHORIZED, "not authentic".to_owned());
    };
    let message = String::from_utf8(opened.message).unwrap();
    side.arrived.lock().unwrap().push(Arrived { appid, query: query.clone(), outer, message });
    side.answers.lock().unwrap().pop_front().unwrap_or_default()
}

pub(crate) fn keyring(appid: &str, token: &str) -> Keyring {
    Keyring::new(AppId::parse(appid).unwrap(), token.into(), EncodingAesKey::parse(&KEY.into()).unwrap())
}

/// Any text sealed as a reply.
pub(crate) fn sealed(keyring: &Keyring, message: &str) -> String {
    let sealed = keyring.seal(message.as_bytes(), *b"0123456789abcdef", "1700000001", "77", Generations::CURRENT);
    format!(
        "<xml>\n<Encrypt><![CDATA[{}]]></Encrypt><MsgSignature><![CDATA[{}]]></MsgSignature>\
         <TimeStamp>1700000001</TimeStamp><Nonce><![CDATA[77]]></Nonce></xml>",
        sealed.encrypt, sealed.msg_signature
    )
}

/// The inner XML of a reply with these further elements.
pub(crate) fn reply(account: &Account, open_id: &str, msg_type: &str, further: &str) -> String {
    format!(
        "<xml><ToUserName><![CDATA[{open_id}]]></ToUserName><FromUserName><![CDATA[{}]]></FromUserName>\
         <CreateTime>1700000001</CreateTime><MsgType><![CDATA[{msg_type}]]></MsgType>{further}</xml>",
        account.user_name
    )
}

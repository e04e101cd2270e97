//! A simulator on a port of its own, a clock to move, and a receiver that opens the pushes.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::routing::post;
use base::clock::{ManualClock, Timestamp};
use base::ids::AppId;
use http::StatusCode;
use serde_json::{Value, json};
use simulator::{Account, Options, Platform, Simulator, paths};
use tokio::net::TcpListener;
use wechat::crypto::{EncodingAesKey, Keyring, Signed};

pub(crate) const COMPONENT: &str = "wx1234567890abcdef";
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const TOKEN: &str = "pushtoken";
pub(crate) const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";

pub(crate) struct Harness {
    pub(crate) simulator: Simulator,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) base: String,
    pub(crate) http: reqwest::Client,
    pub(crate) receiver: Arc<Receiver>,
}

pub(crate) fn options(clock: Arc<ManualClock>) -> Options {
    let platform = Platform {
        component_appid: AppId::parse(COMPONENT).unwrap(),
        component_appsecret: SECRET.into(),
        token: TOKEN.into(),
        encoding_aes_key: KEY.into(),
    };
    Options::new(platform, "launch.test", clock)
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_unix(1_700_000_000)))
}

impl Harness {
    pub(crate) async fn start() -> Self {
        let clock = clock();
        Self::with(options(Arc::clone(&clock)), clock).await
    }

    pub(crate) async fn with(options: Options, clock: Arc<ManualClock>) -> Self {
        let simulator = Simulator::new(options).unwrap();
        let receiver = Receiver::start(&simulator).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(simulator.clone().serve(listener, std::future::pending()));
        Self { simulator, clock, base, http: client(), receiver }
    }

    /// Posts a body unchanged.
    pub(crate) async fn post_raw(&self, path: &str, query: &str, body: String) -> reqwest::Result<reqwest::Response> {
        self.http.post(format!("{}{path}?{query}", self.base)).body(body).send().await
    }

    /// Posts JSON and returns the response, which must have status 200.
    pub(crate) async fn call(&self, path: &str, token: Option<&str>, body: Value) -> Value {
        let query = token.map(|token| format!("access_token={token}")).unwrap_or_default();
        let response = self.post_raw(path, &query, body.to_string()).await.unwrap();
        json_of(response).await
    }

    /// A call of the component's API whose body names the platform.
    pub(crate) async fn component_call(&self, path: &str, token: &str, mut body: Value) -> Value {
        body["component_appid"] = json!(COMPONENT);
        self.call(path, Some(token), body).await
    }

    pub(crate) async fn component_token(&self) -> String {
        self.simulator.push_ticket().await;
        let answer = self.call(paths::COMPONENT_TOKEN, None, token_body(&self.receiver.last_ticket())).await;
        text(&answer, "/component_access_token")
    }

    pub(crate) async fn pre_auth_code(&self, token: &str) -> String {
        let answer = self.component_call(paths::CREATE_PREAUTHCODE, token, json!({})).await;
        text(&answer, "/pre_auth_code")
    }

    pub(crate) async fn exchange(&self, token: &str, code: &str) -> Value {
        self.component_call(paths::QUERY_AUTH, token, json!({ "authorization_code": code })).await
    }

    pub(crate) async fn renew(&self, token: &str, account: &AppId, refresh_token: &str) -> Value {
        let body = json!({ "authorizer_appid": account, "authorizer_refresh_token": refresh_token });
        self.component_call(paths::AUTHORIZER_TOKEN, token, body).await
    }

    /// A token of an account, which authorizes the platform for this.
    pub(crate) async fn token_of(&self, account: &AppId) -> String {
        let component = self.component_token().await;
        let consent = self.simulator.authorize_without_link(account).unwrap();
        text(&self.exchange(&component, &consent.push_code).await, "/authorization_info/authorizer_access_token")
    }

    pub(crate) async fn get_raw(&self, path: &str, query: &str) -> reqwest::Response {
        self.http.get(format!("{}{path}?{query}", self.base)).send().await.unwrap()
    }

    /// A `GET` with a token and further parameters, whose response is JSON.
    pub(crate) async fn get(&self, path: &str, token: &str, parameters: &str) -> Value {
        json_of(self.get_raw(path, &format!("access_token={token}{parameters}")).await).await
    }

    /// Uploads a file as the part `media`, or under another name.
    pub(crate) async fn upload(&self, path: &str, query: &str, part: &str, bytes: &[u8]) -> Value {
        self.upload_with(path, query, part, bytes, "").await
    }

    /// The same with a text in the part `description`.
    pub(crate) async fn upload_with(
        &self,
        path: &str,
        query: &str,
        part: &str,
        bytes: &[u8],
        description: &str,
    ) -> Value {
        let boundary = "----a b'()+_,-./:=?";
        let text =
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"description\"\r\n\r\n{description}\r\n");
        let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{part}\"; filename=\"图.jpg\"; ");
        let head = format!("{head}filelength={}\r\nContent-Type: image/jpeg\r\n\r\n", bytes.len());
        let body = [text.as_bytes(), head.as_bytes(), bytes, format!("\r\n--{boundary}--\r\n").as_bytes()].concat();
        let content_type = format!("multipart/form-data; boundary=\"{boundary}\"");
        let request = self.http.post(format!("{}{path}?{query}", self.base)).header("content-type", content_type);
        json_of(request.body(body).send().await.unwrap()).await
    }

    /// The first account of the demo, an official account.
    pub(crate) fn account() -> AppId {
        Account::demo()[0].appid.clone()
    }

    /// The first mini program of the demo.
    pub(crate) fn mini_program() -> AppId {
        Account::demo()[2].appid.clone()
    }
}

pub(crate) async fn json_of(response: reqwest::Response) -> Value {
    assert_eq!(response.status(), 200);
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// Follows no redirect and keeps no connection: a dropped one must not be confused with a stale one.
#[expect(clippy::disallowed_methods, reason = "a test client of its own")]
fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .build()
        .unwrap()
}

pub(crate) fn token_body(ticket: &str) -> Value {
    json!({ "component_appid": COMPONENT, "component_appsecret": SECRET, "component_verify_ticket": ticket })
}

#[track_caller]
pub(crate) fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {value}")).to_owned()
}

/// The `errcode`, or 0 if there is none.
pub(crate) fn errcode(value: &Value) -> i64 {
    value["errcode"].as_i64().unwrap_or_default()
}

/// The platform's side of the push URL.
pub(crate) struct Receiver {
    keyring: Keyring,
    messages: Mutex<Vec<String>>,
    queries: Mutex<Vec<String>>,
    answers: Mutex<Vec<(StatusCode, &'static str)>>,
}

impl Receiver {
    async fn start(simulator: &Simulator) -> Arc<Self> {
        let key = EncodingAesKey::parse(&KEY.into()).unwrap();
        let receiver = Arc::new(Self {
            keyring: Keyring::new(AppId::parse(COMPONENT).unwrap(), TOKEN.into(), key),
            messages: Mutex::default(),
            queries: Mutex::default(),
            answers: Mutex::default(),
        });
        let router = Router::new().route("/wechat/events", post(receive)).with_state(Arc::clone(&receiver));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        simulator.set_push_url(format!("http://{}/wechat/events", listener.local_addr().unwrap()).parse().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());
        receiver
    }

    /// Sets the responses to the next pushes; afterwards 200 `success` again.
    pub(crate) fn answer_next(&self, answers: &[(StatusCode, &'static str)]) {
        self.answers.lock().unwrap().extend(answers.iter().rev());
    }

    /// The opened messages, in the order of their arrival.
    pub(crate) fn messages(&self) -> Vec<String> {
        self.messages.lock().unwrap().clone()
    }

    /// The message in a push, sent or not; `None` if it is not authentic.
    pub(crate) fn open(&self, query: &str, body: &str) -> Option<String> {
        let parameter = |name: &str| {
            let mut query = url::form_urlencoded::parse(query.as_bytes());
            query.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        let signed = Signed {
            timestamp: &parameter("timestamp").unwrap(),
            nonce: &parameter("nonce").unwrap(),
            msg_signature: &parameter("msg_signature").unwrap(),
            encrypt: &element(body, "Encrypt").unwrap(),
        };
        self.keyring.open(&signed).ok().map(|opened| String::from_utf8(opened.message).unwrap())
    }

    pub(crate) fn last(&self) -> String {
        self.messages().pop().expect("a push has arrived")
    }

    pub(crate) fn last_query(&self) -> String {
        self.queries.lock().unwrap().last().cloned().unwrap()
    }

    pub(crate) fn last_ticket(&self) -> String {
        element(&self.last(), "ComponentVerifyTicket").unwrap()
    }
}

async fn receive(
    State(receiver): State<Arc<Receiver>>,
    RawQuery(query): RawQuery,
    body: String,
) -> (StatusCode, &'static str) {
    let query = query.unwrap();
    let Some(opened) = receiver.open(&query, &body) else {
        return (StatusCode::UNAUTHORIZED, "not authentic");
    };
    receiver.messages.lock().unwrap().push(opened);
    receiver.queries.lock().unwrap().push(query);
    receiver.answers.lock().unwrap().pop().unwrap_or((StatusCode::OK, "success"))
}

/// The text of an element that occurs once. WeChat does not escape what people type, so what arrives need not be XML:
/// the text extends to the last end tag of the element.
pub(crate) fn element(document: &str, name: &str) -> Option<String> {
    let (_, from) = document.split_once(&format!("<{name}>"))?;
    let (inside, _) = from.rsplit_once(&format!("</{name}>"))?;
    let typed = inside.strip_prefix("<![CDATA[").and_then(|typed| typed.strip_suffix("]]>"));
    Some(typed.unwrap_or(inside).to_owned())
}

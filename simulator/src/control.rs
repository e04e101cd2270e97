//! The control API: what a test in the same process does with [`crate::Simulator`], for other processes and `curl`.
//!
//! JSON in and out, under `/_simulator`. It lists secrets and requires no authentication: serve it on loopback only.
//!
//! | route | does |
//! |---|---|
//! | `GET /_simulator/accounts` | the accounts, each with `authorized` |
//! | `POST /_simulator/accounts` | `{"appid":"…","kind":"official-account"}` or `"mini-program"`, optionally `nick_name`, `user_name`, `principal_name`, `account_status` and `func_ids`: adds an account or replaces it; an existing grant stays |
//! | `POST /_simulator/permissions` | `{"authorizer_appid":"…","func_ids":[1,15]}`: replaces the granted permission sets, and pushes nothing; 404 if there is no grant |
//! | `POST /_simulator/authorized-accounts` | `{"count":500}`: adds accounts, each of which authorizes the platform; the pushes follow one after another |
//! | `GET /_simulator/apis` | the APIs that are modelled, [`crate::KnownApi`] |
//! | `GET /_simulator/counters` | [`crate::Counters`] |
//! | `GET /_simulator/calls` | the calls in order, [`crate::Call`] |
//! | `GET /_simulator/requests?path=…` | the requests for this path, unchanged: `authorizer_appid`, `method`, `path`, `query`, `headers`, and `body` in Base64 |
//! | `GET /_simulator/pushes` | the outcome of every push, [`crate::PushOutcome`] |
//! | `GET /_simulator/secrets` | every secret, [`crate::IssuedSecret`] |
//! | `GET`, `PUT /_simulator/behaviour` | [`crate::Behaviour`]: rotation, delivery, codes, redelivery, web login (`{"web_login":{"snapshot":true}}`) |
//! | `POST /_simulator/faults` | adds an [`crate::Injection`]: `{"path":"/cgi-bin/component/api_component_token","fault":{"kind":"drop-after"},"times":1}`; an errcode is `{"kind":"errcode","value":{"errcode":45009,"errmsg":"…"}}`, a delay `{"kind":"delay","value":250}` in milliseconds, a response with other bytes in place of a text `{"kind":"garble","value":{"text":"…","bytes":[20]}}` |
//! | `DELETE /_simulator/faults` | forgets every fault |
//! | `GET /_simulator/held` | how many responses are held, per path |
//! | `POST /_simulator/release` | `{"path":"…"}`: releases the responses held on this path |
//! | `POST /_simulator/ticket` | pushes a ticket now; returns the outcome |
//! | `POST /_simulator/stop-tickets` | WeChat stops pushing tickets until `api_start_push_ticket` |
//! | `POST /_simulator/authorize` | `{"authorizer_appid":"…","pre_auth_code":"…"}`, the code being optional: the merchant confirms. Returns `redirect_code`, `expires_in` and `push`, the outcome, null if [`crate::Delivery`] excludes the push |
//! | `POST /_simulator/unauthorize` | `{"authorizer_appid":"…"}`: revokes and pushes `unauthorized`; returns the outcome, 404 if there is no grant |
//! | `POST /_simulator/code` | `{"authorizer_appid":"…"}`: a further authorization code of an authorized account, as `{"code":"…"}`; nothing is pushed, 404 if there is no grant |
//! | `POST /_simulator/messages` | `{"authorizer_appid":"…","open_id":"…","fields":{"MsgType":"text","Content":"…"}}`, the fields being texts or numbers, or `{"authorizer_appid":"…","xml":"<xml>…</xml>"}` for any inner XML: sends a message to the account; returns [`crate::MessageOutcome`] |
//! | `GET /_simulator/sent` | the customer-service messages that were accepted, [`crate::SentMessage`] |
//! | `POST /_simulator/followers` | `{"authorizer_appid":"…","open_id":"…","follows":true}`: somebody follows or unfollows the account |
//! | `POST /_simulator/subscriptions` | `{"authorizer_appid":"…","open_id":"…","template_id":"…"}`: a user of a mini program consents to one message of this template |
//! | `POST /_simulator/login-codes` | `{"authorizer_appid":"…","open_id":"…"}`: a user opens a mini program; returns the `code` of `wx.login`. Without `open_id` the user is the same person as the follower of the chat page |
//! | `POST /_simulator/phone-codes` | `{"authorizer_appid":"…","number":"…"}`: a user provides a phone number; returns its `code` |
//! | `POST /_simulator/visitors` | `{"authorizer_appid":"…","open_id":"…","nickname":"…"}`, optionally `head_img_url`: adds a [`crate::Visitor`], who opens the account's pages until another one is added |
//! | `POST /_simulator/web-login-codes` | `{"authorizer_appid":"…","open_id":"…","scope":"snsapi_base"}` or `"snsapi_userinfo"`: a visitor passes the page of a web login; returns its `code` |
//! | `PUT /_simulator/web-domains` | `{"hosts":["…"]}`: the platform's 公众号开发域名, to which web logins may go back |
//! | `POST /_simulator/js-sdk-checks` | `{"appId":"…","timestamp":1700000000,"nonceStr":"…","signature":"…","url":"…"}`, the `url` being the page's `location.href`: checks it as `wx.config` does; returns the `errMsg`, such as `config:ok` |
//! | `POST /_simulator/used-quotas` | `{"authorizer_appid":"…","path":"…"}`: uses up the account's quota for this path for today |
//! | `POST /_simulator/drafts` | `{"user_version":"…","user_desc":"…"}`: a developer uploads a draft for the platform's templates; returns its `draft_id` |
//! | `POST /_simulator/audits` | `{"authorizer_appid":"…","result":"passed"}`, `{…,"result":"refused","reason":"…","screenshots":[]}` or `{…,"result":"delayed","reason":"…"}`: decides about the version of a mini program in audit, and sends the event; returns [`crate::MessageOutcome`], 404 if none is in audit |
//! | `POST /_simulator/registrations` | `{"name":"…","status":0,"msg":"OK"}`: pushes a fast-register result; with status 0 for a new mini program. With `taskid` instead of `name` it is that of a registration requested by API, 404 if none is in progress. Returns `appid` and `push` |
//!
//! Bodies need `Content-Type: application/json`. Mistakes are answered with 4xx and a text.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::{Json, Query, State};
use axum::routing::{get, post};
use base::ids::AppId;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::MessageOutcome;
use crate::api::{KnownApi, known_apis};
use crate::behaviour::{Behaviour, Delivery};
use crate::business;
use crate::calls::{Call, Counters};
use crate::faults::Injection;
use crate::message::Message;
use crate::push::PushOutcome;
use crate::sent::SentMessage;
use crate::simulator::Simulator;
use crate::world::{Account, AccountKind, IssuedSecret, Registration};

/// The prefix of the control API.
pub(crate) const PREFIX: &str = "/_simulator";

/// Whether a request is for the control API, which no fault affects.
pub(crate) fn is_under_prefix(path: &str) -> bool {
    path.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with('/'))
}

pub(crate) fn router() -> Router<Simulator> {
    Router::new()
        .route("/accounts", get(accounts).post(put_account))
        .route("/permissions", post(set_permissions))
        .route("/authorized-accounts", post(add_authorized_accounts))
        .route("/apis", get(apis))
        .route("/counters", get(counters))
        .route("/calls", get(calls))
        .route("/requests", get(requests))
        .route("/pushes", get(pushes))
        .route("/secrets", get(secrets))
        .route("/behaviour", get(behaviour).put(set_behaviour))
        .route("/faults", post(inject).delete(clear_faults))
        .route("/held", get(held))
        .route("/release", post(release))
        .route("/ticket", post(ticket))
        .route("/stop-tickets", post(stop_tickets))
        .route("/authorize", post(authorize))
        .route("/unauthorize", post(unauthorize))
        .route("/registrations", post(register))
        .route("/code", post(code))
        .route("/messages", post(message))
        .route("/sent", get(sent))
        .merge(business::control::router())
}

type Refused = (StatusCode, String);

async fn accounts(State(simulator): State<Simulator>) -> Json<Vec<Value>> {
    let listed = simulator.accounts().into_iter().map(|account| {
        let authorized = simulator.is_authorized(&account.appid);
        json!({
            "appid": account.appid,
            "kind": account.kind,
            "nick_name": account.nick_name,
            "user_name": account.user_name,
            "authorized": authorized,
        })
    });
    Json(listed.collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutAccount {
    appid: AppId,
    kind: AccountKind,
    nick_name: Option<String>,
    user_name: Option<String>,
    principal_name: Option<String>,
    account_status: Option<i64>,
    func_ids: Option<Vec<u32>>,
}

async fn put_account(State(simulator): State<Simulator>, Json(asked): Json<PutAccount>) -> StatusCode {
    let nick_name = asked.nick_name.unwrap_or_else(|| asked.appid.to_string());
    let account = match asked.kind {
        AccountKind::OfficialAccount => Account::official_account(asked.appid, &nick_name),
        AccountKind::MiniProgram => Account::mini_program(asked.appid, &nick_name),
    };
    simulator.put_account(Account {
        user_name: asked.user_name.unwrap_or(account.user_name),
        principal_name: asked.principal_name.unwrap_or(account.principal_name),
        account_status: asked.account_status.unwrap_or(account.account_status),
        func_ids: asked.func_ids.unwrap_or(account.func_ids),
        ..account
    });
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetPermissions {
    authorizer_appid: AppId,
    func_ids: Vec<u32>,
}

async fn set_permissions(State(simulator): State<Simulator>, Json(asked): Json<SetPermissions>) -> StatusCode {
    let is_granted = simulator.set_permissions(&asked.authorizer_appid, &asked.func_ids);
    if is_granted { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddAuthorizedAccounts {
    count: u16,
}

async fn add_authorized_accounts(
    State(simulator): State<Simulator>,
    Json(asked): Json<AddAuthorizedAccounts>,
) -> StatusCode {
    simulator.send_all_in_background(simulator.add_authorized_accounts(usize::from(asked.count)));
    StatusCode::ACCEPTED
}

async fn apis() -> Json<Vec<KnownApi>> {
    Json(known_apis().collect())
}

async fn counters(State(simulator): State<Simulator>) -> Json<Counters> {
    Json(simulator.counters())
}

async fn calls(State(simulator): State<Simulator>) -> Json<Vec<Call>> {
    Json(simulator.calls())
}

#[derive(Deserialize)]
struct OfPath {
    path: String,
}

async fn requests(State(simulator): State<Simulator>, Query(asked): Query<OfPath>) -> Json<Vec<Value>> {
    let written = simulator.requests(&asked.path).into_iter().map(|received| {
        let headers = received.headers.iter();
        let headers: Vec<_> =
            headers.map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default())).collect();
        json!({
            "at": received.at,
            "authorizer_appid": received.authorizer,
            "method": received.method.as_str(),
            "path": received.path,
            "query": received.query,
            "headers": headers,
            "body": STANDARD.encode(&received.body),
        })
    });
    Json(written.collect())
}

async fn pushes(State(simulator): State<Simulator>) -> Json<Vec<PushOutcome>> {
    Json(simulator.pushes())
}

async fn secrets(State(simulator): State<Simulator>) -> Json<Vec<IssuedSecret>> {
    Json(simulator.issued_secrets())
}

async fn behaviour(State(simulator): State<Simulator>) -> Json<Behaviour> {
    Json(simulator.behaviour())
}

async fn set_behaviour(State(simulator): State<Simulator>, Json(behaviour): Json<Behaviour>) -> Json<Behaviour> {
    simulator.set_behaviour(behaviour);
    Json(behaviour)
}

async fn inject(State(simulator): State<Simulator>, Json(injection): Json<Injection>) -> StatusCode {
    simulator.inject(injection);
    StatusCode::NO_CONTENT
}

async fn clear_faults(State(simulator): State<Simulator>) -> StatusCode {
    simulator.clear_faults();
    StatusCode::NO_CONTENT
}

async fn held(State(simulator): State<Simulator>) -> Json<BTreeMap<String, usize>> {
    Json(simulator.faults().held())
}

async fn release(State(simulator): State<Simulator>, Json(asked): Json<OfPath>) -> StatusCode {
    simulator.release(&asked.path);
    StatusCode::NO_CONTENT
}

async fn ticket(State(simulator): State<Simulator>) -> Json<PushOutcome> {
    Json(simulator.push_ticket().await)
}

async fn stop_tickets(State(simulator): State<Simulator>) -> StatusCode {
    simulator.stop_ticket_pushes();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authorize {
    authorizer_appid: AppId,
    pre_auth_code: Option<String>,
}

async fn authorize(State(simulator): State<Simulator>, Json(asked): Json<Authorize>) -> Result<Json<Value>, Refused> {
    let consent = simulator
        .authorize(&asked.authorizer_appid, asked.pre_auth_code.as_deref(), None)
        .map_err(|refused| (StatusCode::UNPROCESSABLE_ENTITY, refused.to_string()))?;
    let push = match simulator.behaviour().delivery {
        Delivery::RedirectOnly => None,
        Delivery::Concurrent | Delivery::PushFirst | Delivery::PushOnly => Some(simulator.send(&consent.push).await),
    };
    Ok(Json(json!({
        "redirect_code": consent.redirect_code,
        "expires_in": consent.expires_in.as_secs(),
        "push": push,
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authorizer {
    authorizer_appid: AppId,
}

async fn unauthorize(
    State(simulator): State<Simulator>,
    Json(asked): Json<Authorizer>,
) -> Result<Json<PushOutcome>, Refused> {
    let push = simulator
        .unauthorize(&asked.authorizer_appid)
        .ok_or_else(|| (StatusCode::NOT_FOUND, "the account has not authorized the platform".to_owned()))?;
    Ok(Json(simulator.send(&push).await))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Register {
    taskid: Option<String>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    status: i64,
    #[serde(default)]
    msg: String,
}

async fn register(State(simulator): State<Simulator>, Json(asked): Json<Register>) -> Result<Json<Value>, Refused> {
    let registered = |registration: Registration| (Some(registration.appid), registration.push);
    let Register { taskid, name, status, msg } = &asked;
    let ended = match (taskid, status) {
        (Some(task_id), 0) => simulator.confirm_registration(task_id).map(registered),
        (Some(task_id), _) => simulator.refuse_registration(task_id, *status, msg).map(|push| (None, push)),
        (None, 0) => Some(registered(simulator.register_mini_program(name))),
        (None, _) => Some((None, simulator.fail_registration(name, *status, msg))),
    };
    let (appid, push) =
        ended.ok_or_else(|| (StatusCode::NOT_FOUND, "no such registration is in progress".to_owned()))?;
    Ok(Json(json!({ "appid": appid, "push": simulator.send(&push).await })))
}

async fn code(State(simulator): State<Simulator>, Json(asked): Json<Authorizer>) -> Result<Json<Value>, Refused> {
    let code = simulator
        .issue_code(&asked.authorizer_appid)
        .map_err(|_| (StatusCode::NOT_FOUND, "the account has not authorized the platform".to_owned()))?;
    Ok(Json(json!({ "code": code })))
}

/// Either of two forms; a name that belongs to neither is an error.
#[derive(Deserialize)]
#[serde(untagged)]
enum SendMessage {
    Fields(FieldsMessage),
    Xml(XmlMessage),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldsMessage {
    authorizer_appid: AppId,
    open_id: String,
    fields: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct XmlMessage {
    authorizer_appid: AppId,
    xml: String,
}

async fn message(
    State(simulator): State<Simulator>,
    Json(asked): Json<SendMessage>,
) -> Result<Json<MessageOutcome>, Refused> {
    let message = match asked {
        SendMessage::Xml(asked) => Message::of(&asked.authorizer_appid, asked.xml),
        SendMessage::Fields(asked) => asked.message(&simulator)?,
    };
    Ok(Json(simulator.send_message(&message).await))
}

impl FieldsMessage {
    fn message(&self, simulator: &Simulator) -> Result<Message, Refused> {
        let refused = |why: String| (StatusCode::UNPROCESSABLE_ENTITY, why);
        let account = simulator
            .account(&self.authorizer_appid)
            .ok_or_else(|| (StatusCode::NOT_FOUND, "there is no such account".to_owned()))?;
        let msg_type = self.fields.get("MsgType").and_then(Value::as_str);
        let msg_type = msg_type.ok_or_else(|| refused("fields has no MsgType".to_owned()))?;
        let message = Message::new(&account, &self.open_id, msg_type);
        self.fields.iter().try_fold(message, |message, (name, value)| {
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                return Err(refused(format!("{name:?} is not a valid field name")));
            }
            match value {
                Value::String(text) => Ok(message.with(name, text)),
                Value::Number(number) => Ok(message.with(name, &number.to_string())),
                _ => Err(refused(format!("{name} is neither a text nor a number: send it as xml"))),
            }
        })
    }
}

async fn sent(State(simulator): State<Simulator>) -> Json<Vec<SentMessage>> {
    Json(simulator.sent())
}

//! The control API for what services call: the actions of accounts' users and WeChat's auditors. [`crate::control`]
//! lists the routes.

use axum::Router;
use axum::extract::{Json, State};
use axum::routing::{post, put};
use base::ids::AppId;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::code::audit::AuditResult;
use super::js_sdk::PageConfig;
use super::web_login::{Scope, Visitor};
use crate::answer::MessageOutcome;
use crate::simulator::Simulator;
use crate::world::follower_of;

pub(crate) fn router() -> Router<Simulator> {
    Router::new()
        .route("/followers", post(follow))
        .route("/subscriptions", post(subscribe))
        .route("/login-codes", post(login_code))
        .route("/phone-codes", post(phone_code))
        .route("/visitors", post(put_visitor))
        .route("/web-login-codes", post(web_login_code))
        .route("/web-domains", put(set_web_domains))
        .route("/js-sdk-checks", post(check_page))
        .route("/used-quotas", post(use_quota_up))
        .route("/drafts", post(upload_draft))
        .route("/audits", post(decide_audit))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Follow {
    authorizer_appid: AppId,
    open_id: String,
    follows: bool,
}

async fn follow(State(simulator): State<Simulator>, Json(asked): Json<Follow>) -> StatusCode {
    if asked.follows {
        simulator.follow(&asked.authorizer_appid, &asked.open_id);
    } else {
        simulator.unfollow(&asked.authorizer_appid, &asked.open_id);
    }
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Subscribe {
    authorizer_appid: AppId,
    open_id: String,
    template_id: String,
}

async fn subscribe(State(simulator): State<Simulator>, Json(asked): Json<Subscribe>) -> StatusCode {
    simulator.subscribe(&asked.authorizer_appid, &asked.open_id, &asked.template_id);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginCode {
    authorizer_appid: AppId,
    /// By default the follower of the chat page.
    open_id: Option<String>,
}

async fn login_code(State(simulator): State<Simulator>, Json(asked): Json<LoginCode>) -> Json<Value> {
    let open_id = asked.open_id.unwrap_or_else(|| follower_of(&asked.authorizer_appid));
    Json(json!({ "code": simulator.login_code(&asked.authorizer_appid, &open_id) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PhoneCode {
    authorizer_appid: AppId,
    number: String,
}

async fn phone_code(State(simulator): State<Simulator>, Json(asked): Json<PhoneCode>) -> Json<Value> {
    Json(json!({ "code": simulator.phone_code(&asked.authorizer_appid, &asked.number) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutVisitor {
    authorizer_appid: AppId,
    open_id: String,
    nickname: String,
    head_img_url: Option<String>,
}

async fn put_visitor(State(simulator): State<Simulator>, Json(asked): Json<PutVisitor>) -> StatusCode {
    let visitor = Visitor::new(&asked.open_id, &asked.nickname);
    let head_img_url = asked.head_img_url.unwrap_or(visitor.head_img_url);
    simulator.put_visitor(&asked.authorizer_appid, Visitor { head_img_url, ..visitor });
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebLoginCode {
    authorizer_appid: AppId,
    open_id: String,
    scope: Scope,
}

async fn web_login_code(State(simulator): State<Simulator>, Json(asked): Json<WebLoginCode>) -> Json<Value> {
    Json(json!({ "code": simulator.web_login_code(&asked.authorizer_appid, &asked.open_id, asked.scope) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebDomains {
    hosts: Vec<String>,
}

async fn set_web_domains(State(simulator): State<Simulator>, Json(asked): Json<WebDomains>) -> StatusCode {
    simulator.set_web_domains(asked.hosts);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UsedQuota {
    authorizer_appid: AppId,
    path: String,
}

async fn use_quota_up(State(simulator): State<Simulator>, Json(asked): Json<UsedQuota>) -> StatusCode {
    simulator.use_quota_up(&asked.authorizer_appid, &asked.path);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    user_version: String,
    user_desc: String,
}

async fn upload_draft(State(simulator): State<Simulator>, Json(asked): Json<Draft>) -> Json<Value> {
    Json(json!({ "draft_id": simulator.upload_draft(&asked.user_version, &asked.user_desc) }))
}

#[derive(Deserialize)]
struct Decision {
    authorizer_appid: AppId,
    #[serde(flatten)]
    result: AuditResult,
}

async fn decide_audit(
    State(simulator): State<Simulator>,
    Json(asked): Json<Decision>,
) -> Result<Json<MessageOutcome>, (StatusCode, String)> {
    let event = simulator
        .decide_audit(&asked.authorizer_appid, &asked.result)
        .ok_or_else(|| (StatusCode::NOT_FOUND, "the account has nothing in audit".to_owned()))?;
    Ok(Json(simulator.send_message(&event).await))
}

async fn check_page(State(simulator): State<Simulator>, Json(config): Json<PageConfig>) -> Json<Value> {
    Json(json!({ "errMsg": simulator.check_page(&config).err_msg() }))
}

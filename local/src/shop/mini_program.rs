//! A user of a mini program: the code of `wx.login`, which the mini program sends to the shop's server, is exchanged
//! for an openid.

use axum::extract::{Form, State};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse as _, Redirect, Response};
use base::ids::AppId;
use serde::Deserialize;
use serde_json::json;
use web::AcceptLanguage;

use super::platform::ApiError;
use super::steps::Step;
use super::visitor::MiniProgramUser;
use super::{Shop, with_cookie};

/// The mini program that is opened.
#[derive(Deserialize)]
pub(super) struct Opened {
    account: AppId,
}

/// `POST /mini-program`.
pub(super) async fn open(
    State(shop): State<Shop>,
    AcceptLanguage(language): AcceptLanguage,
    headers: HeaderMap,
    Form(opened): Form<Opened>,
) -> Response {
    let mut steps = Vec::new();
    let user = shop.user_of(&mut steps, &opened.account).await;
    let (id, user) = shop.sessions().change(&headers, |session| {
        session.steps = steps;
        user.map(|user| session.mini_program = Some(user))
    });
    match user {
        Ok(()) => with_cookie(Redirect::to("/#mini-program").into_response(), id.cookie()),
        Err(error) => shop.pages().refused(language, &error, None),
    }
}

impl Shop {
    async fn user_of(&self, steps: &mut Vec<Step>, program: &AppId) -> Result<MiniProgramUser, ApiError> {
        let code = self.0.wechat.login_code(steps, program.as_str()).await?;
        let path = format!("/accounts/{program}/mini-program-sessions");
        let answer = self.platform().ask(steps, Method::POST, &path, Some(&json!({ "js_code": code }))).await?;
        let user: MiniProgramUser = serde_json::from_value(answer.body).unwrap_or_default();
        Ok(MiniProgramUser { appid: program.to_string(), ..user })
    }
}

//! `cgi-bin/ticket/getticket`, answered with the ticket that the platform keeps: WeChat issues few of them, and each service
//! that asked for one of its own would use them up.

use std::time::Duration;

use axum::response::Response;
use base::clock::Timestamp;
use http::StatusCode;
use platform::tokens::{TokenError, ValidToken};
use secrecy::ExposeSecret as _;
use serde_json::json;
use store::TokenOwner;
use tokio::time::Instant;
use web::api::{ApiError, json, of_wechat};
use wechat::api::ErrCode;
use wechat::api::relay::RelayError;

use crate::OpenPlatform;
use crate::call::count;
use crate::failure::failed_call;
use crate::request::CallRequest;
use crate::response::{address_refused, not_authorized};

/// The ticket, in WeChat's words.
pub(crate) async fn answer(
    open: &OpenPlatform,
    request: &CallRequest,
    ticket: &TokenOwner,
) -> Result<Response, ApiError> {
    let (context, begun) = (open.component.context(), Instant::now());
    match open.tokens.valid(ticket).await {
        Ok(ticket) => {
            let expires_in = keep_for(&ticket, context.now()).as_secs();
            let ticket = ticket.token.expose_secret();
            Ok(json(
                StatusCode::OK,
                &json!({ "errcode": 0, "errmsg": "ok", "ticket": ticket, "expires_in": expires_in }),
            ))
        }
        Err(TokenError::Wechat(error)) if !error.was_not_started() => {
            let refusal = error.refusal().cloned();
            let failed = Err(RelayError::NoAnswer(error.clone()));
            count(open, failed_call(request, 0, &failed, context.now(), begun.elapsed())).await;
            Err(match refusal {
                Some(refusal) if refusal.code == ErrCode::NotAuthorized => not_authorized(&refusal).into(),
                Some(refusal) if refusal.code == ErrCode::ClientIpNotRegistered => {
                    context.report("a ticket for web pages", &error);
                    ApiError::Upstream(Box::new(address_refused(&refusal)))
                }
                _ => of_wechat(&error),
            })
        }
        Err(error) => Err(ApiError::of_token(error, context.now())),
    }
}

/// How long a service may keep a ticket: until another one may be issued, and while that is overdue until its end.
fn keep_for(ticket: &ValidToken, now: Timestamp) -> Duration {
    let until = if now < ticket.use_until { ticket.use_until } else { ticket.expires_at };
    until.since(now)
}

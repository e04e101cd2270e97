//! `cgi-bin/ticket/getticket`, answered with the ticket that the platform stores: WeChat issues few of them, and
//! services that each requested one of their own would use them up.

use axum::response::Response;
use base::clock::Timestamp;
use base::ids::AppId;
use http::StatusCode;
use platform::tokens::{TokenError, ValidToken};
use secrecy::ExposeSecret as _;
use serde_json::json;
use store::{TicketKind, TokenOwner};
use web::api::{ApiError, json as json_response, of_wechat};
use wechat::api::ErrCode;

use crate::OpenPlatform;
use crate::failure::Asked;
use crate::response::{address_refused, not_authorized};

/// The owner of the ticket in the store.
pub(crate) fn owner(account: &AppId, kind: TicketKind) -> TokenOwner {
    TokenOwner::Pages(account.clone(), kind)
}

/// The ticket, in the form of WeChat's response.
pub(crate) async fn answer(open: &OpenPlatform, asked: &Asked<'_>, kind: TicketKind) -> Result<Response, ApiError> {
    let now = open.component.context().now();
    match open.tokens.valid(&owner(asked.account, kind)).await {
        Ok(ticket) => {
            let expires_in = keep_until(&ticket, now).since(now).as_secs();
            let ticket = ticket.token.expose_secret();
            let body = json!({ "errcode": 0, "errmsg": "ok", "ticket": ticket, "expires_in": expires_in });
            Ok(json_response(StatusCode::OK, &body))
        }
        Err(error) => Err(refused(open, asked, error).await),
    }
}

/// The response if there is no ticket.
pub(crate) async fn refused(open: &OpenPlatform, asked: &Asked<'_>, error: TokenError) -> ApiError {
    let context = open.component.context();
    let error = match error {
        TokenError::Wechat(error) if !error.was_not_started() => error,
        error => return ApiError::of_token(error, context.now()),
    };
    asked.record(open, &error).await;
    match error.refusal() {
        Some(refusal) if refusal.code == ErrCode::NotAuthorized => not_authorized(refusal).into(),
        Some(refusal) if refusal.code == ErrCode::ClientIpNotRegistered => {
            context.report("a ticket for web pages", &error);
            ApiError::Upstream(Box::new(address_refused(refusal)))
        }
        _ => of_wechat(&error),
    }
}

/// Until when a service may keep a ticket: until another one may be issued, or until it expires if that is overdue.
pub(crate) fn keep_until(ticket: &ValidToken, now: Timestamp) -> Timestamp {
    if now < ticket.use_until { ticket.use_until } else { ticket.expires_at }
}

//! `POST /wechat/accounts/{appid}/events`, WeChat's 消息与事件接收URL (protocol section 3.3): messages and events of
//! authorized accounts, answered and delivered.
//!
//! WeChat waits 5 s for a response and sends a message three times in all. So a message is looked up (or claimed, if
//! the webhook is to be called), delivered to the business and answered, and the reply is recorded for repeats. What
//! the bus does not accept at once waits in the table; if the table fails, the message goes to the bus all the same;
//! only if neither can be reached is WeChat made to send it again. This function never calls WeChat, and sees no token.

mod arrivals;
mod delivery;
mod handler;
mod labels;
mod memory;
mod recipient;
mod reply;

use axum::Router;
use axum::extract::{Extension, Path, State};
use axum::http::{Method, StatusCode};
use axum::middleware;
use axum::response::Response;
use axum::routing::post;
use base::ids::AppId;
use web::push::{AccountPush, AnswerBy, Verified, answer_in_time, plain_answer};

use self::handler::{MessageHandler, ReceiveError};

pub use self::handler::MessageService;
pub use self::reply::REPLY_WEBHOOK;

/// The routes of this function, from which its router is built. WeChat replaces `$APPID$` with the account's appid.
pub const ROUTES: [(Method, &str); 1] = [(Method::POST, "/wechat/accounts/{appid}/events")];

/// The function's router.
pub fn router(handler: MessageService) -> Router {
    let [(_, events)] = ROUTES;
    let bound = handler.limits.message;
    Router::new()
        .route(events, post(receive))
        .layer(middleware::from_fn(move |request, next| answer_in_time(bound, too_slow, request, next)))
        .with_state(MessageHandler::new(handler))
}

async fn receive(
    State(handler): State<MessageHandler>,
    Path(appid): Path<String>,
    Extension(AnswerBy(by)): Extension<AnswerBy>,
    Verified(push): Verified<AccountPush>,
) -> Response {
    let Ok(authorizer) = AppId::parse(&appid) else {
        return plain_answer(StatusCode::NOT_FOUND, "the path names no appid");
    };
    // What the handler holds across its waits is a large state machine: boxed, it does not enlarge the router's.
    Box::pin(handler.handle(&authorizer, &push, by)).await.unwrap_or_else(|error| error.response(&appid))
}

fn too_slow() -> Response {
    ReceiveError::TooSlow.response("unknown")
}

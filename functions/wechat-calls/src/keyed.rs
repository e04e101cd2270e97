//! Calls with an `Idempotency-Key`: the first one is sent, and every later one gets its response.

use axum::response::Response;
use base::limits::LEASE;
use http::{HeaderName, HeaderValue};
use store::{KeptAnswer, KeyedCall, Lease, LeaseTerm};
use web::api::ApiError;
use web::{Problem, ProblemKind};

use crate::OpenPlatform;
use crate::attempt::Effect;
use crate::call::make;
use crate::request::{CallRequest, Idempotency};
use crate::response::PassedBack;

/// The largest response that is stored, in bytes: that to a message has a few hundred, and each KB is another write
/// unit.
const LARGEST_KEPT: usize = 4 * 1024;

/// The header that marks the response of an earlier call.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Makes a call, unless one was already made under its key.
pub(crate) async fn run(
    open: &OpenPlatform,
    request: &CallRequest,
    idempotency: &Idempotency,
) -> Result<Response, ApiError> {
    let context = open.component.context();
    let term = LeaseTerm::new(&context.random, context.now(), LEASE);
    match open.items.keyed_calls.claim(&idempotency.key, &idempotency.request, &term).await? {
        KeyedCall::Ours(lease) => {
            let outcome = make(open, request).await;
            let settling = settle(open, &lease, outcome.effect, outcome.answer.as_ref().ok().and_then(storable));
            Box::pin(outcome.finish(open, settling)).await.map(PassedBack::response)
        }
        KeyedCall::Answered(Some(kept)) => replay(kept),
        KeyedCall::Answered(None) => {
            let detail = "the first call with this Idempotency-Key was made, and its response was too large to be kept: do not send it again";
            Err(not_repeated(Effect::Done, detail).into())
        }
        KeyedCall::UnderWay(until) => {
            let detail = "the first call with this Idempotency-Key is in progress: retry after the time in Retry-After";
            let problem = Problem::new(ProblemKind::CallUnderWay, detail);
            Err(problem.with_retry_after(until.since(context.now())).into())
        }
        KeyedCall::Unknown => {
            let detail = "the first call with this Idempotency-Key may have been sent, and whether it took effect is not known: check that, \
                          and send it under another key if it did not";
            Err(not_repeated(Effect::Unknown, detail).into())
        }
        KeyedCall::OtherRequest => {
            let detail = "the first call with this Idempotency-Key had another query, Content-Type, body or file: use a new \
                          Idempotency-Key for each call";
            Err(Problem::new(ProblemKind::KeyReused, detail).into())
        }
    }
}

fn not_repeated(effect: Effect, detail: &str) -> Problem {
    Problem::new(ProblemKind::CallNotRepeated, detail).with("effect", effect.word())
}

/// Records the outcome of a call. If that fails, the key counts as one whose call has an unknown outcome: nothing is
/// sent twice.
async fn settle(open: &OpenPlatform, lease: &Lease<()>, effect: Effect, answer: Option<KeptAnswer>) {
    let calls = &open.items.keyed_calls;
    let settled = match effect {
        Effect::None => calls.give_back(lease).await,
        Effect::Unknown => calls.ended_unknown(lease).await,
        Effect::Done => calls.answered(lease, answer.as_ref(), open.component.context().now()).await,
    };
    if let Err(error) = settled {
        tracing::warn!("a repeat of a call with a key is not sent, and gets no response: {error}");
    }
}

fn storable(answer: &PassedBack) -> Option<KeptAnswer> {
    if answer.redirect.is_some() {
        // It expires long before the key does.
        return None;
    }
    let head = serde_json::to_string(&answer.head).ok()?;
    let fits = head.len() + answer.body.len() <= LARGEST_KEPT;
    fits.then(|| KeptAnswer { head, body: answer.body.clone() })
}

fn replay(kept: KeptAnswer) -> Result<Response, ApiError> {
    let head = serde_json::from_str(&kept.head).map_err(|_| {
        // Another version wrote it.
        ApiError::from(not_repeated(
            Effect::Done,
            "the first call with this Idempotency-Key was made; its response cannot be read",
        ))
    })?;
    let mut response = PassedBack { head, body: kept.body, redirect: None }.response();
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

//! Calls with an `Idempotency-Key`: the first one is sent, and every later one gets its answer.

use axum::response::Response;
use base::limits::LEASE;
use http::{HeaderName, HeaderValue};
use store::{CallKey, KeptAnswer, KeyedCall, Lease, LeaseTerm, RequestDigest};
use web::api::ApiError;
use web::{Problem, ProblemKind};

use crate::OpenPlatform;
use crate::call::{Effect, PassedBack, make};
use crate::request::CallRequest;

/// Larger answers are not kept: what a send is answered with has a few hundred bytes, and each KB is another write unit.
const LARGEST_KEPT: usize = 4 * 1024;

/// Says that an answer is that of an earlier call.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Makes a call, unless one was made under its key.
pub(crate) async fn run(
    open: &OpenPlatform,
    request: &CallRequest,
    key: &CallKey,
    digest: &RequestDigest,
) -> Result<Response, ApiError> {
    let context = open.component.context();
    let term = LeaseTerm::new(&context.random, context.now(), LEASE);
    match open.items.keyed_calls.claim(key, digest, &term).await? {
        KeyedCall::Ours(lease) => {
            let outcome = make(open, request).await;
            let settling = settle(open, &lease, outcome.effect, outcome.answer.as_ref().ok().and_then(kept));
            Box::pin(outcome.finish(open, settling)).await.map(PassedBack::response)
        }
        KeyedCall::Answered(Some(kept)) => replayed(kept),
        KeyedCall::Answered(None) => {
            let detail =
                "the first call with this key was made, and its answer was too large to be kept: do not send it again";
            Err(not_repeated(Effect::Done, detail).into())
        }
        KeyedCall::UnderWay(until) => {
            let detail = "the first call with this key is under way: ask again as Retry-After says";
            let problem = Problem::new(ProblemKind::CallUnderWay, detail);
            Err(problem.with_retry_after(until.since(context.now())).into())
        }
        KeyedCall::Unknown => {
            let detail = "the first call with this key may have been sent, and whether it took effect is not known: check that, \
                          and send it under another key if it did not";
            Err(not_repeated(Effect::Unknown, detail).into())
        }
        KeyedCall::OtherRequest => {
            let detail = "query, Content-Type or body differ from the first call with this key: use a key of its own for \
                          each call";
            Err(Problem::new(ProblemKind::KeyReused, detail).into())
        }
    }
}

fn not_repeated(effect: Effect, detail: &str) -> Problem {
    Problem::new(ProblemKind::CallNotRepeated, detail).with("effect", effect.word())
}

/// Writes down what became of a call. Where that fails, the key counts as one whose call ended unknown: nothing is sent
/// twice.
async fn settle(open: &OpenPlatform, lease: &Lease<()>, effect: Effect, answer: Option<KeptAnswer>) {
    let calls = &open.items.keyed_calls;
    let settled = match effect {
        Effect::None => calls.give_back(lease).await,
        Effect::Unknown => calls.ended_unknown(lease).await,
        Effect::Done => calls.answered(lease, answer.as_ref(), open.component.context().now()).await,
    };
    if let Err(error) = settled {
        tracing::warn!("a repeat of a call with a key is not sent, and gets no answer: {error}");
    }
}

fn kept(answer: &PassedBack) -> Option<KeptAnswer> {
    if answer.head.leads_elsewhere() {
        // For a quarter of an hour only.
        return None;
    }
    let head = serde_json::to_string(&answer.head).ok()?;
    let fits = head.len() + answer.body.len() <= LARGEST_KEPT;
    fits.then(|| KeptAnswer { head, body: answer.body.clone() })
}

fn replayed(kept: KeptAnswer) -> Result<Response, ApiError> {
    let head = serde_json::from_str(&kept.head).map_err(|_| {
        // Written by another version.
        ApiError::from(not_repeated(Effect::Done, "the first call with this key was made; its answer cannot be read"))
    })?;
    let mut response = PassedBack { head, body: kept.body }.response();
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

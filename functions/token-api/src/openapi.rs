//! The requests and responses of the function's routes, as OpenAPI describes them.

use http::StatusCode;
use serde_json::{Value, json};
use web::ProblemKind;
use web::openapi::{Description, Operation};

use crate::ROUTES;
use crate::view::{RenewedTokenView, TokenView};

const TOKENS: &str = "Tokens";

/// The body of a renewal.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes what is read member by member")]
pub(crate) struct RenewalBody {
    /// The `token_id` of the token that WeChat refused.
    token_id: String,
}

/// The routes of [`ROUTES`].
#[must_use]
pub fn description() -> Description {
    let [platform, platform_renewal, token, renewal] = &ROUTES;
    let id = json!({ "pattern": "^[0-9a-f]{16}$" });
    Description::default()
        .answer::<TokenView>()
        .answer::<RenewedTokenView>()
        .body::<RenewalBody>()
        .narrow("Token", "token_id", id.clone())
        .narrow("RenewalBody", "token_id", id)
        .route(token, reads().with_token_of_account())
        .route(renewal, renews().with_token_of_account())
        .route(platform, reads_platform())
        .route(platform_renewal, renews_platform())
}

/// The problems of each route if there is no token.
fn may_fail(operation: Operation) -> Operation {
    operation.refuses(&[ProblemKind::TokenBeingRenewed, ProblemKind::TokenUnavailable])
}

fn reads() -> Operation {
    let reads = Operation::new(
        "readToken",
        TOKENS,
        "Get an account's token",
        "An `access_token` that WeChat accepts now, for calls that you make yourself. Ask before each call, or keep it until \
         `use_until`: it is then renewed, and WeChat refuses the one before. An expired token is renewed for you; of two \
         simultaneous requests one may get `token-being-renewed`, and the token a second later. WeChat accepts calls \
         only from the addresses on the platform's list.",
    );
    may_fail(reads).answers::<TokenView>(StatusCode::OK, "The token.", &[], &token())
}

fn renews() -> Operation {
    let renews = Operation::new(
        "renewToken",
        TOKENS,
        "Get another token for one that WeChat refused",
        "For a call that WeChat has refused with 40001, 40014 or 42001. The token is renewed if the refused one is \
         still the stored one, at most once a minute for all callers together; otherwise the one that has replaced it \
         is returned.",
    );
    renewal(renews).answers::<RenewedTokenView>(StatusCode::OK, "The current token.", &[], &renewed(&token()))
}

fn reads_platform() -> Operation {
    let reads = Operation::new(
        "readPlatformToken",
        TOKENS,
        "Get the platform's own token",
        "The `component_access_token`, which permits everything that the platform can do. Unless the stack was \
         deployed with `PlatformTokenRoute=on`, the response is 404.",
    );
    may_fail(reads).answers::<TokenView>(StatusCode::OK, "The token.", &[], &platform_token())
}

fn renews_platform() -> Operation {
    let renews = Operation::new(
        "renewPlatformToken",
        TOKENS,
        "Get another platform token for one that WeChat refused",
        "For a call that WeChat has refused with 40001, 40014, 42001 or 42006; as for an account's token.",
    );
    renewal(renews).answers::<RenewedTokenView>(StatusCode::OK, "The current token.", &[], &renewed(&platform_token()))
}

fn renewal(operation: Operation) -> Operation {
    may_fail(operation)
        .takes::<RenewalBody>(&["application/json"], &json!({ "token_id": "9f86d081884c7d65" }))
        .refuses(&[ProblemKind::InvalidField, ProblemKind::TooSoon])
}

fn platform_token() -> Value {
    json!({
        "access_token": "EXAMPLE-OF-A-TOKEN", "token_id": "5d41402abc4b2a76", "use_until": "2026-01-31T09:50:00Z",
        "expires_in": 6_900,
    })
}

fn token() -> Value {
    let mut token = platform_token();
    token["appid"] = json!("wx1234567890abcdef");
    token
}

fn renewed(token: &Value) -> Value {
    let mut renewed = token.clone();
    renewed["renewed"] = json!(true);
    renewed
}

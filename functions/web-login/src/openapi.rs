//! The requests and responses of the route for services, as OpenAPI describes them.

use http::StatusCode;
use serde_json::json;
use web::ProblemKind;
use web::openapi::{Description, Operation};

use crate::BUSINESS_ROUTES;
use crate::redeem::{LoginView, VisitorProfileView};

const LOGINS: &str = "Logins";

/// The body of a redemption.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes what is read member by member")]
pub(crate) struct RedemptionBody {
    /// The parameter `login_code` with which the visitor returned to your page.
    login_code: String,
    /// The text whose SHA-256 was the `challenge` of the login. Required if there was one, refused otherwise.
    #[schema(value_type = Option<String>)]
    verifier: Option<String>,
}

/// The routes of [`BUSINESS_ROUTES`].
#[must_use]
pub fn description() -> Description {
    let [redeem] = &BUSINESS_ROUTES;
    Description::default()
        .answer::<LoginView>()
        .answer::<VisitorProfileView>()
        .body::<RedemptionBody>()
        .narrow("RedemptionBody", "verifier", json!({ "pattern": "^[A-Za-z0-9._~-]{43,128}$" }))
        .narrow("Login", "scope", json!({ "enum": ["snsapi_base", "snsapi_userinfo"] }))
        .route(redeem, redeems())
}

fn redeems() -> Operation {
    let login = json!({
        "appid": "wx1234567890abcdef", "openid": "oVisitor-0123456789abcdefghi", "unionid": "oUnion-0123456789abcdefghijk",
        "scope": "snsapi_userinfo", "snapshot": false,
        "profile": { "nickname": "小明", "headimgurl": "https://thirdwx.qlogo.cn/mmopen/example/132" },
        "state": "0123456789abcdef",
    });
    Operation::new(
        "redeemLogin",
        LOGINS,
        "Find out who a visitor is",
        "A visitor of an account's web page logs in at `GET /login/{appid}` and returns to your page with a `login_code`. It can \
         be redeemed once, within a minute; a repeat within ten seconds gets the same response. Compare `state` with \
         the one that you gave this browser before you believe the rest.",
    )
    .takes::<RedemptionBody>(&["application/json"], &json!({ "login_code": "f2p0sQm5dXk7T1vR9wZ3yB6nC8hJ4gL0aE2iU5oP7qS" }))
    .refuses(&[ProblemKind::InvalidField, ProblemKind::UnknownLogin, ProblemKind::VerifierRefused])
    .answers::<LoginView>(StatusCode::OK, "The visitor.", &[], &login)
}

//! The requests and responses of the routes for businesses, as OpenAPI describes them.

use http::StatusCode;
use serde_json::{Value, json};
use store::{AccountState, BoundBy, LONGEST_KEY, LONGEST_REFERENCE, LONGEST_VALUE, MAX_TAGS};
use web::ProblemKind;
use web::openapi::{Description, Operation};

use crate::BUSINESS_ROUTES;
use crate::business::{CreatedLink, LinkPage, MintedCode};
use crate::link_request::{
    AUTH_TYPES, Body, DEFAULT_AUTH_TYPE, DEFAULT_LIFE, MAX_CATEGORIES, MAX_CATEGORY, MAX_LIFE, MAX_RETURN_URL, MIN_LIFE,
};
use crate::link_state::LinkState;

const LINKS: &str = "Links";

/// A link's id.
const LINK_ID: &str = "^[A-Za-z0-9_-]{22}$";

/// The form of appids that WeChat issues today.
const ISSUED: &str = "^wx[0-9a-f]{16}$";

/// The routes of [`BUSINESS_ROUTES`].
#[must_use]
pub fn description() -> Description {
    let [create, list, one, cancel, codes] = &BUSINESS_ROUTES;
    let id = json!({ "pattern": LINK_ID, "example": "Zk3vQ0c8SgWqT1n2yXb4aA" });
    let auth_types: Vec<Option<u8>> = AUTH_TYPES.into_iter().map(Some).chain([None]).collect();
    let bound_by = [BoundBy::Browser, BoundBy::Push].map(BoundBy::as_str);
    Description::default()
        .answer::<CreatedLink>()
        .answer::<LinkState>()
        .answer::<LinkPage>()
        .answer::<MintedCode>()
        .body::<Body>()
        .narrow("CreatedLink", "link_id", id.clone())
        .narrow("Link", "link_id", id)
        .narrow("Link", "status", json!({ "enum": ["pending", "authorized", "cancelled", "expired"] }))
        .optional("LinkedAccount")
        .narrow("LinkedAccount", "authorizer_appid", json!({ "example": "wx1234567890abcdef" }))
        .narrow("LinkedAccount", "bound_by", json!({ "enum": bound_by }))
        .narrow("LinkedAccount", "account_state", json!({ "enum": AccountState::ALL.map(AccountState::as_str) }))
        .narrow("LinkRequest", "auth_type", json!({ "enum": auth_types, "default": DEFAULT_AUTH_TYPE }))
        .narrow("LinkRequest", "biz_appid", json!({ "pattern": ISSUED, "example": "wx1234567890abcdef" }))
        .narrow(
            "LinkRequest",
            "category_ids",
            json!({
                "items": { "type": "integer", "minimum": 1, "maximum": MAX_CATEGORY },
                "maxItems": MAX_CATEGORIES,
                "uniqueItems": true,
            }),
        )
        .narrow("LinkRequest", "return_url", json!({ "format": "uri", "maxLength": MAX_RETURN_URL }))
        .narrow("LinkRequest", "requester_name", json!({ "minLength": 1 }))
        .narrow("LinkRequest", "reference", json!({ "minLength": 1, "maxLength": LONGEST_REFERENCE }))
        .narrow("LinkRequest", "tags", tags())
        .narrow(
            "LinkRequest",
            "expires_in_seconds",
            json!({ "minimum": MIN_LIFE, "maximum": MAX_LIFE, "default": DEFAULT_LIFE }),
        )
        .route(create, creates())
        .route(list, lists())
        .route(one, reads())
        .route(cancel, cancels())
        .route(codes, mints())
}

fn tags() -> Value {
    json!({
        "maxProperties": MAX_TAGS,
        "propertyNames": { "minLength": 1, "maxLength": LONGEST_KEY },
        "additionalProperties": { "type": "string", "maxLength": LONGEST_VALUE },
    })
}

fn of_link(operation: Operation) -> Operation {
    let schema = json!({ "type": "string", "pattern": LINK_ID });
    operation.in_path("link_id", &schema, "The link.").refuses(&[ProblemKind::UnknownLink])
}

fn creates() -> Operation {
    Operation::new(
        "createLink",
        LINKS,
        "Create a link",
        "A link by which one merchant authorizes one account. A member that is not documented, one that appears twice, and one \
         of another type are refused.",
    )
    .takes::<Body>(
        &["application/json"],
        &json!({ "requester_name": "示例商城", "reference": "order-0001", "tags": { "plan": "gold" } }),
    )
    .refuses(&[ProblemKind::InvalidField])
    .answers::<CreatedLink>(
        StatusCode::CREATED,
        "The link.",
        &[],
        &json!({
            "link_id": "Zk3vQ0c8SgWqT1n2yXb4aA",
            "url": "https://auth.example.com/authorize/Zk3vQ0c8SgWqT1n2yXb4aA",
            "expires_at": "2026-02-07T08:00:00Z",
        }),
    )
}

fn lists() -> Operation {
    Operation::new(
        "listLinks",
        LINKS,
        "List the links with a reference",
        "The links that were created with exactly this reference, the newest first. A parameter that is not \
         documented, one that appears twice or is empty, and a cursor of another reference are refused.",
    )
    .parameter(json!({
        "in": "query", "name": "reference", "required": true, "description": "The links' reference.",
        "schema": { "type": "string", "minLength": 1, "maxLength": LONGEST_REFERENCE },
    }))
    .in_pages()
    .refuses(&[ProblemKind::InvalidParameter])
    .answers::<LinkPage>(StatusCode::OK, "A page of links.", &[], &json!({ "links": [authorized()] }))
}

fn reads() -> Operation {
    of_link(Operation::new(
        "readLink",
        LINKS,
        "Read a link",
        "The outcome of the link, and the state of the account that was authorized through it. A link is deleted 30 \
         days after it has expired.",
    ))
    .answers::<LinkState>(StatusCode::OK, "The link.", &[], &authorized())
}

fn cancels() -> Operation {
    of_link(Operation::new(
        "cancelLink",
        LINKS,
        "Cancel a link",
        "Nobody is authorized through the link from then on. A repeat gets the same response.",
    ))
    .refuses(&[ProblemKind::LinkUsed, ProblemKind::LinkExpired])
    .answers::<LinkState>(
        StatusCode::OK,
        "The link, with `status` `cancelled`.",
        &[],
        &json!({
            "link_id": "Zk3vQ0c8SgWqT1n2yXb4aA", "status": "cancelled", "cancelled_at": "2026-01-31T09:00:00Z",
            "reference": "order-0001", "expires_at": "2026-02-07T08:00:00Z",
        }),
    )
}

fn mints() -> Operation {
    of_link(Operation::new(
        "createCode",
        LINKS,
        "Create a pre-auth code for a page of your own",
        "For a page on the host of `PublicBaseUrl`, which sends the merchant to `pc_url` or `mobile_url`. At most 10 an hour and 50 in all, \
         including those that the link's own page creates for merchants. The request has no body.",
    ))
    .refuses(&[
        ProblemKind::LinkUsed,
        ProblemKind::LinkCancelled,
        ProblemKind::LinkExpired,
        ProblemKind::TooManyCodes,
    ])
    .answers::<MintedCode>(
        StatusCode::CREATED,
        "The code.",
        &[],
        &json!({
            "pre_auth_code": "preauthcode@@@example",
            "expires_at": "2026-01-31T08:30:00Z",
            "pc_url": "https://mp.weixin.qq.com/cgi-bin/componentloginpage?…",
            "mobile_url": "https://open.weixin.qq.com/wxaopen/safe/bindcomponent?…",
        }),
    )
}

fn authorized() -> Value {
    json!({
        "link_id": "Zk3vQ0c8SgWqT1n2yXb4aA", "status": "authorized", "authorizer_appid": "wx1234567890abcdef",
        "authorized_at": "2026-01-31T08:05:00Z", "bound_by": "browser", "account_state": "active",
        "state_since": "2026-01-31T08:05:00Z", "reference": "order-0001", "tags": { "plan": "gold" },
        "expires_at": "2026-02-07T08:00:00Z",
    })
}

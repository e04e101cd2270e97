//! The business routes are open only to callers whom the gateway has authenticated with IAM.

use std::time::Duration;

use serde_json::json;
use stories::bootstrap::Bootstrap;
use stories::http_events::HttpEvent;
use stories::world::World;

use super::{BINARY, BUSINESS, asks_for_link};

#[tokio::test]
async fn a_caller_whom_the_gateway_has_authenticated_makes_a_link_and_looks_at_it() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    let function = Bootstrap::start(BINARY, &world).await;
    let made = function.request(&asks_for_link(r#"{"reference":"a-7"}"#).iam(BUSINESS)).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(
        (&made.headers["content-type"], &made.headers["cache-control"]),
        (&json!("application/json"), &json!("no-store"))
    );
    let made: serde_json::Value = serde_json::from_str(&made.body).unwrap();
    let id = made["link_id"].as_str().unwrap();
    assert_eq!(made["url"], world.public_url.join(&format!("authorize/{id}")).unwrap().as_str());

    let look = HttpEvent::new("GET", &format!("/authorization-links/{id}")).route("/authorization-links/{link_id}");
    let looked = function.request(&look.iam(BUSINESS)).await;
    assert_eq!(looked.status, 200, "{looked:?}");
    let state: serde_json::Value = serde_json::from_str(&looked.body).unwrap();
    assert_eq!((&state["status"], &state["reference"]), (&json!("pending"), &json!("a-7")));
}

#[tokio::test]
async fn nobody_else_does_whatever_the_request_pretends() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    let function = Bootstrap::start(BINARY, &world).await;
    let context = json!({ "authorizer": { "iam": { "userArn": BUSINESS } } });
    let mut pretends = asks_for_link(&json!({ "requestContext": context }).to_string());
    for name in
        ["authorization", "x-amzn-request-context", "x-amzn-iam-user-arn", "x-amz-user-arn", "x-apigateway-context"]
    {
        pretends = pretends.header(name, &context.to_string());
    }
    let foreign_route = HttpEvent::new("POST", "/authorization-links/0123456789abcdefABCDE_/codes")
        .route("/authorization-links/{link_id}/codes");
    for unsigned in [asks_for_link("{}"), asks_for_link("{}").iam(""), pretends.cookie("userArn=x"), foreign_route] {
        let refused = function.request(&unsigned).await;
        assert_eq!((refused.status, refused.problem().as_str()), (403, "no-identity"));
    }
    // Another kind of authorizer than IAM, with an ARN that the caller may have put into the token.
    let mut with_token = asks_for_link("{}").build();
    with_token["requestContext"]["authorizer"] = json!({ "jwt": { "claims": { "userArn": BUSINESS }, "scopes": [] } });
    assert_eq!(function.invoke(with_token).await.unwrap()["statusCode"], 403);
    assert_eq!(world.items().await, 0, "nothing was made");
}

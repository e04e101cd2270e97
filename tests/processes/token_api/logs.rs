//! Promise 5: whatever is requested, no secret is in what the process prints, at any log level, and none in a response
//! except the requested token.

use std::time::Duration;

use serde_json::json;
use simulator::{Fault, SecretKind, paths};
use stories::bootstrap::Bootstrap;
use stories::business::Business;
use stories::logs::{assert_nothing_leaked, assert_request_ids};
use stories::world::World;

use super::{BINARY, asks, refused};

/// Everything, and more: the filter of somebody who looks for a fault.
const TRACE: &str =
    "trace,lambda_runtime=trace,aws_smithy_runtime=trace,hyper=trace,reqwest=trace,shared=trace,token_api=trace";

#[tokio::test]
async fn no_request_good_or_bad_leaves_a_secret_in_the_log() {
    let world = World::beside_processes(Duration::from_mins(130), |_| {}).await;
    world.expect_error("issued a token by somebody else");
    world.get_ready().await;
    let account = world.authorized_account().await;
    let [second, third] = [1, 2].map(|number| world.account(number));
    for account in [&second, &third] {
        world.push_and_work(&world.merchant_authorizes(account).push).await;
    }
    world.pass(Duration::from_mins(130));
    world.simulator.push_ticket().await;
    let function = Bootstrap::with(BINARY, &world, |variables| {
        variables.insert("RUST_LOG".into(), TRACE.into());
        variables.insert("PLATFORM_TOKEN_ROUTE".into(), "on".into());
        variables.insert("TOKEN_READ_EVENTS".into(), "on".into());
    })
    .await;
    let business = Business::of(&world);
    assert_eq!(business.code(&business.link(json!({})).await).await.status, 201);
    // All tokens have expired: they are renewed.
    let given = function.request(&asks("GET", &format!("/tokens/{account}"))).await;
    assert_eq!(given.status, 200);
    let told = world.simulator.issued_secrets().into_iter().filter(|secret| secret.is_in(&given.body));
    assert_eq!(told.map(|secret| secret.kind).collect::<Vec<_>>(), [SecretKind::AuthorizerToken]);
    for event in [
        asks("GET", "/tokens/platform"),
        refused("platform", "0123456789abcdef"),
        refused(account.as_str(), "0123456789abcdef"),
        refused(account.as_str(), "no id"),
    ] {
        let answer = function.request(&event).await;
        assert!(answer.status < 500, "{}", answer.status);
    }
    // Another server has invalidated the component token; then WeChat refuses with a text that repeats the request.
    world.another_server_issues_a_component_token().await;
    assert_eq!(function.request(&asks("GET", &format!("/tokens/{second}"))).await.status, 200);
    let issued = world.simulator.issued_secrets().into_iter();
    // Except for the token of the pushes, which no call uses.
    let issued = issued.filter(|secret| secret.kind != SecretKind::Token);
    let secrets: Vec<String> = issued.map(|secret| secret.value).collect();
    let quoted = Fault::Errcode { errcode: 48_001, errmsg: secrets.join(" ") };
    world.simulator.inject(quoted.on(paths::AUTHORIZER_TOKEN));
    let quoting = function.request(&asks("GET", &format!("/tokens/{third}"))).await;
    assert_eq!(quoting.status, 503);
    for secret in world.simulator.issued_secrets() {
        assert!(!secret.is_in(&quoting.body), "{:?}", secret.kind);
    }
    let output = function.kill();
    assert_request_ids(&output);
    assert_nothing_leaked(&output, &world.simulator, &[]).await;
}

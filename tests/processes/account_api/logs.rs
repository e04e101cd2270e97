//! Promise 5: whatever is requested, no secret is in what the process prints or returns, at any log level.

use std::time::Duration;

use base::ids::KeyId;
use serde_json::{Value, json};
use simulator::{Fault, SecretKind, paths};
use stories::bootstrap::Bootstrap;
use stories::business::Business;
use stories::logs::{assert_neither_leaked, assert_request_ids};
use stories::world::World;

use super::{BINARY, asks, makes_a_key, patches, with_key};

/// Everything, and more: the filter of somebody who looks for a fault.
const TRACE: &str =
    "trace,lambda_runtime=trace,aws_smithy_runtime=trace,hyper=trace,reqwest=trace,shared=trace,account_api=trace";

#[tokio::test]
async fn no_request_good_or_bad_leaves_a_secret_in_the_log() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.expect_error("issued a token by somebody else");
    world.get_ready().await;
    let account = world.authorized_account().await;
    let business = Business::of(&world);
    assert_eq!(business.code(&business.link(json!({})).await).await.status, 201);
    let function = Bootstrap::with(BINARY, &world, |variables| {
        variables.insert("RUST_LOG".into(), TRACE.into());
    })
    .await;
    let one = format!("/accounts/{account}");
    for event in [
        asks("GET", "/accounts"),
        asks("GET", &one),
        patches(&account, r#"{"reference":"shop 7"}"#),
        patches(&account, r#"{"reference":7}"#),
        asks("POST", "/reconciliations"),
    ] {
        let answer = function.request(&event).await;
        assert!(answer.status < 500, "{answer:?}");
    }
    let made = function.request(&makes_a_key(&account)).await;
    let made: Value = serde_json::from_str(&made.body).unwrap();
    let key = made["key"].as_str().unwrap();
    let wrong = format!("{}{}", &key[..key.len() - 1], if key.ends_with('A') { "B" } else { "A" });
    for (key, status) in [(key, 200), (&wrong, 401)] {
        assert_eq!(function.request(&with_key("GET", &one, key)).await.status, status);
    }
    assert_eq!(function.request(&asks("GET", "/keys")).await.status, 200);
    assert_eq!(function.request(&asks("DELETE", &format!("/keys/{}", made["id"].as_str().unwrap()))).await.status, 204);
    // Another server has invalidated the component token; then WeChat refuses with a text that repeats the request.
    world.another_server_issues_a_component_token().await;
    let readings = asks("POST", &format!("{one}/profile-readings"));
    assert_eq!(function.request(&readings).await.status, 200);
    let issued = world.simulator.issued_secrets().into_iter();
    // Except for the token of the pushes, which no call uses.
    let issued = issued.filter(|secret| secret.kind != SecretKind::Token);
    let secrets: Vec<String> = issued.map(|secret| secret.value).collect();
    let quoted = Fault::Errcode { errcode: 50_002, errmsg: secrets.join(" ") };
    world.simulator.inject(quoted.on(paths::GET_AUTHORIZER_INFO));
    let other = world.account(1);
    world.push_and_work(&world.merchant_authorizes(&other).push).await;
    let refused = function.request(&asks("POST", &format!("/accounts/{other}/profile-readings"))).await;
    assert_eq!(refused.status, 502, "{refused:?}");
    for secret in world.simulator.issued_secrets() {
        assert!(!secret.is_in(&refused.body), "{:?}", secret.kind);
    }
    let output = function.kill();
    assert_request_ids(&output);
    // After the prefix and the id, which is in the log.
    let secrets = [key, &wrong].map(|key| ("Key", &key["wxp_".len() + KeyId::LENGTH + 1..]));
    assert_neither_leaked(&output, &world.simulator, &secrets).await;
}

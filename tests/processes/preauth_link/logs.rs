//! Promise 5: whatever is requested, neither a pre-auth code nor a cookie nor any other secret is in what the process
//! prints, at any log level.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde_json::json;
use simulator::{Fault, paths};
use stories::bootstrap::Bootstrap;
use stories::browser::parameter;
use stories::business::Business;
use stories::http_events::HttpEvent;
use stories::logs::{assert_nothing_leaked, assert_request_ids, leaks};
use stories::world::World;

use super::{BINARY, BUSINESS, asks_for_link, at_page};

/// Everything, and more: the filter of somebody who looks for a fault.
const TRACE: &str =
    "trace,lambda_runtime=trace,aws_smithy_runtime=trace,hyper=trace,reqwest=trace,shared=trace,preauth_link=trace";

#[tokio::test]
async fn no_request_good_or_bad_leaves_a_secret_in_the_log() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.expect_error("issued a token by somebody else");
    world.get_ready().await;
    world.authorized_account().await;
    let link = Business::of(&world).link(json!({})).await;
    let codes = HttpEvent::new("POST", &format!("/authorization-links/{}/codes", link.id))
        .route("/authorization-links/{link_id}/codes")
        .iam(BUSINESS);
    let function = Bootstrap::with(BINARY, &world, |variables| {
        variables.insert("RUST_LOG".into(), TRACE.into());
    })
    .await;

    assert_eq!(function.request(&asks_for_link("{}").iam(BUSINESS)).await.status, 201);
    assert_eq!(function.request(&at_page("GET", &link.id)).await.status, 200);
    assert_eq!(function.request(&codes).await.status, 201);
    let pressed = function.request(&at_page("POST", &link.id)).await;
    let code = parameter(&pressed.location(), "pre_auth_code");
    let (cookie, _) = pressed.cookies[0].split_once(';').unwrap();
    let (_, cookie_value) = cookie.split_once('=').unwrap();
    // A holder of a code or a cookie may send it where it is not read, or where it is refused.
    let misplaced = [
        at_page("GET", &link.id).cookie(cookie).query(&format!("pre_auth_code={code}")),
        asks_for_link(&json!({ "reference": [&code], "cookie": cookie }).to_string()).iam(BUSINESS),
        asks_for_link(&format!("{{\"{code}\":\"{cookie_value}\"}}")).iam(BUSINESS),
        asks_for_link(&code).header("x-forwarded-for", cookie),
    ];
    for event in &misplaced {
        function.request(event).await;
    }
    // Another server has invalidated the component token; then WeChat refuses and repeats the request.
    world.another_server_issues_a_component_token().await;
    assert_eq!(function.request(&codes).await.status, 201);
    let quoted = [
        world.component().await.token().await.unwrap().expose_secret().to_owned(),
        stories::world::platform().component_appsecret.expose_secret().to_owned(),
    ];
    let errmsg = format!("invalid: {}", quoted.join(" "));
    world.simulator.inject(Fault::Errcode { errcode: 99_999, errmsg }.on(paths::CREATE_PREAUTHCODE).times(1));
    assert_eq!(function.request(&at_page("POST", &link.id)).await.status, 503);

    let output = function.kill();
    assert!(output.contains("a pre-auth code was issued") && output.contains("***"), "it does print:\n{output}");
    assert_request_ids(&output);
    assert_nothing_leaked(&output, &world.simulator, &[]).await;
    assert_eq!(leaks(&output, [("cookie", cookie_value)]), Vec::<String>::new());
}

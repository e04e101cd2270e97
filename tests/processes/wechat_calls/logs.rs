//! Promise 5: whatever is called, no secret is in what the process prints, at any log level, nor the request.

use std::time::Duration;

use serde_json::json;
use simulator::{Fault, SecretKind};
use stories::bootstrap::Bootstrap;
use stories::business::Business;
use stories::http_events::HttpEvent;
use stories::logs::{assert_neither_leaked, assert_request_ids};
use stories::world::World;

use super::{BINARY, calls, sends};

/// Everything, and more: the filter of somebody who looks for a fault.
const TRACE: &str =
    "trace,lambda_runtime=trace,aws_smithy_runtime=trace,hyper=trace,reqwest=trace,shared=trace,wechat_calls=trace";

const USER_INFO: &str = "/cgi-bin/user/info";

#[tokio::test]
async fn no_call_good_or_bad_leaves_a_secret_in_the_log() {
    let world = World::beside_processes(Duration::from_mins(130), |_| {}).await;
    world.get_ready().await;
    let account = world.authorized_account().await;
    world.simulator.follow(&account, "oFollower1");
    let program = world.account(2);
    world.push_and_work(&world.merchant_authorizes(&program).push).await;
    world.pass(Duration::from_mins(130));
    world.simulator.push_ticket().await;
    let variables = |variables: &mut stories::bootstrap::Variables| {
        variables.insert("RUST_LOG".into(), TRACE.into());
    };
    let function = Bootstrap::with(BINARY, &world, variables).await;
    let business = Business::of(&world);
    assert_eq!(business.code(&business.link(json!({})).await).await.status, 201);
    let code = world.simulator.login_code(&program, "oVisitor");
    let login = format!("appid={program}&js_code={code}&grant_type=authorization_code");
    let list = r#"{"component_appid":"wx1234567890abcdef","offset":0,"count":10}"#;
    let info =
        calls("GET", account.as_str(), "cgi-bin/user/info").query("openid=oFollower1&access_token=theirs-not-ours");
    for event in [
        info.clone(),
        sends(&account, "order-4711"),
        sends(&account, "order-4711"),
        calls("GET", "platform", "sns/component/jscode2session").query(&login),
        calls("POST", "platform", "cgi-bin/component/api_get_authorizer_list").body(list),
        calls("POST", account.as_str(), "cgi-bin/token").body("{}"),
        calls("GET", account.as_str(), "cgi-bin/no_such_api"),
        HttpEvent::new("GET", "/calls").iam("arn:aws:iam::123456789012:role/orders"),
    ] {
        let answer = function.request(&event).await;
        assert!(answer.status < 500, "{}", answer.status);
    }
    // WeChat refuses with a text that repeats the request, and more.
    let issued = world.simulator.issued_secrets().into_iter().filter(|secret| secret.kind != SecretKind::Token);
    let secrets: Vec<String> = issued.map(|secret| secret.value).collect();
    world.simulator.inject(Fault::Errcode { errcode: 48_001, errmsg: secrets.join(" ") }.on(USER_INFO));
    drop(function.request(&info).await);
    world.simulator.clear_faults();
    world.simulator.inject(Fault::DropAfter.on(USER_INFO));
    assert_eq!(function.request(&info).await.status, 504);
    let output = function.kill();
    assert_request_ids(&output);
    let private = [("Follower", "oFollower1"), ("Visitor", "oVisitor"), ("Token", "theirs-not-ours")];
    assert_neither_leaked(&output, &world.simulator, &private).await;
}

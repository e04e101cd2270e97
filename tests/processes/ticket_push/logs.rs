//! Promise 5: whatever arrives, nothing secret is in what the process prints, at any log level.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret as _;
use simulator::Push;
use stories::bootstrap::{Bootstrap, pushed};
use stories::http_events::HttpEvent;
use stories::logs::{assert_nothing_leaked, assert_request_ids};
use stories::world::World;

use super::BINARY;

/// Everything, and more: the filter of somebody who looks for a fault.
const TRACE: &str = "trace,lambda_runtime=trace,aws_smithy_runtime=trace,hyper=trace,shared=trace";

async fn tracing(world: &World, variables: &[(&str, &str)]) -> Bootstrap {
    Bootstrap::with(BINARY, world, |all| {
        for (name, value) in [("RUST_LOG", TRACE)].iter().chain(variables) {
            all.insert((*name).into(), (*value).into());
        }
    })
    .await
}

/// A grant through a link, so that it has a pre-auth code.
async fn grant(world: &World) -> Push {
    let component = world.component().await;
    let token = component.token().await.unwrap();
    let code = component.wechat().create_preauthcode(component.carries(&token)).await.unwrap();
    world.simulator.confirm(code.code.expose_secret(), &world.account(1)).unwrap().push
}

#[tokio::test]
async fn no_push_good_or_bad_leaves_a_secret_in_the_log() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.expect_error("a push was not stored");
    world.expect_error("no push can be accepted");
    world.get_ready().await;
    world.authorized_account().await;
    let (ticket, granted) = (world.simulator.ticket(), grant(&world).await);
    let registered = world.simulator.register_mini_program("小店").push;
    let cut_off = Push { message: granted.message.replace("</xml>", ""), ..granted.clone() };
    let foreign =
        Push { message: ticket.message.replace("wx1234567890abcdef", "wx0000000000000000"), ..ticket.clone() };
    let timeless = Push { message: ticket.message.replace("CreateTime", "CreatedTime"), ..ticket.clone() };

    let function = tracing(&world, &[]).await;
    for good in [&ticket, &granted, &registered, &cut_off, &timeless] {
        let sealed = world.simulator.seal(good);
        assert!(function.push(&sealed).await.is_success());
        assert!(function.request(&pushed(&sealed).base64_body(sealed.body.as_bytes())).await.is_success());
    }
    assert_eq!(function.push(&world.simulator.seal(&foreign)).await.status, 401);
    // A sender may put a secret where none belongs.
    for misplaced in [&ticket.message, &granted.message] {
        let sealed = world.simulator.seal(&ticket);
        let encoded = utf8_percent_encode(misplaced, NON_ALPHANUMERIC).to_string();
        for event in [
            pushed(&sealed).body(misplaced),
            HttpEvent::new("POST", "/wechat/events").query(&format!("msg_signature={encoded}")).body(&sealed.body),
            HttpEvent::new("POST", &format!("/wechat/{encoded}")).body(misplaced).header("x-forwarded-for", &encoded),
        ] {
            assert!(function.request(&event).await.status >= 400);
        }
    }
    let output = function.kill();
    assert!(output.contains("\"level\":\"INFO\"") && output.contains("push_stored"), "it does print:\n{output}");

    // A table that does not exist, an invalid secret.
    let tableless = tracing(&world, &[("TABLE_NAME", "another")]).await;
    for push in [&ticket, &granted] {
        assert_eq!(tableless.push(&world.simulator.seal(push)).await.status, 500);
    }
    let output = output + &tableless.kill();
    for broken in ["not json: ", "[", "{\"component_appid\":\"wx1\"}, "] {
        let secret = format!("{broken}{}", stories::world::secret_json().expose_secret());
        world.secrets.set(secret.into());
        let misconfigured = tracing(&world, &[]).await;
        assert_eq!(misconfigured.push(&world.simulator.seal(&ticket)).await.status, 500);
        let said = misconfigured.kill();
        assert_request_ids(&said);
        assert_nothing_leaked(&said, &world.simulator, &[]).await;
    }
    assert!(output.contains("a push was not stored"), "{output}");
    assert_nothing_leaked(&output, &world.simulator, &[&ticket, &granted, &registered, &cut_off]).await;
    assert!(!output.contains("CDATA"), "not even a part of a message:\n{output}");
}

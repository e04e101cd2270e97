//! Promise 5: whatever arrives, nothing secret or private is in what the process prints, at any log level.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret as _;
use simulator::{Account, Message};
use stories::bootstrap::{Bootstrap, messages_of, pushed};
use stories::logs::{assert_neither_leaked, assert_request_ids};
use stories::world::{WEBHOOK_SECRET, World};

use super::{BINARY, FOLLOWER, metrics, world_with_shop};

/// Everything, and more: the filter of somebody who looks for a fault.
const TRACE: &str = "trace,lambda_runtime=trace,aws_smithy_runtime=trace,hyper=trace,reqwest=trace,\
                     shared=trace,account_push=trace";

/// A follower's text.
const TEXT: &str = "My card number is 6222-0000-1111-2222, 你好 <b>";

/// Part of a webhook's URL.
const URL_SECRET: &str = "hook-key-0123456789abcdef";

async fn tracing(world: &World, variables: &[(&str, &str)]) -> Bootstrap {
    Bootstrap::with(BINARY, world, |all| {
        for (name, value) in [("RUST_LOG", TRACE)].iter().chain(variables) {
            all.insert((*name).into(), (*value).into());
        }
    })
    .await
}

/// So that WeChat has issued secrets of every kind.
async fn issue_a_pre_auth_code(world: &World) {
    let component = world.component().await;
    let token = component.token().await.unwrap();
    component.wechat().create_preauthcode(component.carries(&token)).await.unwrap();
}

/// Searches the output of processes for all that must not be in it; `code` is repeated by a message of the release
/// check.
async fn assert_private(output: &str, world: &World, code: &str) {
    let private = [
        ("text of a message", TEXT),
        ("follower", FOLLOWER),
        ("code of the release check", code),
        ("webhook's key", WEBHOOK_SECRET.strip_prefix("whsec_").unwrap()),
        ("part of the webhook's address", URL_SECRET),
    ];
    assert_request_ids(output);
    assert_neither_leaked(output, &world.simulator, &private).await;
    assert!(!output.contains("CDATA"), "not even a part of a message:\n{output}");
}

/// What an ordinary message may add to the function's own log, in bytes. With the gateway's line, of at most 200, it stays
/// below 600.
const LINE: usize = 400;

#[tokio::test]
async fn an_ordinary_message_is_one_line_of_log() {
    let (world, shop) = world_with_shop().await;
    let function = Bootstrap::start(BINARY, &world).await;
    let started = function.output().len();
    for text in ["one", "two", "three"] {
        assert_eq!(
            function.push(&world.simulator.seal_message(&Message::text(&shop, FOLLOWER, text))).await.status,
            200
        );
    }
    let output = function.kill();
    let lines: Vec<&str> = output[started..].lines().collect();
    assert_eq!(lines.len(), 3, "{output}");
    for line in lines {
        assert!(line.contains("\"a message\"") && line.len() < LINE, "{} bytes: {line}", line.len());
    }
}

#[tokio::test]
async fn no_message_good_or_bad_leaves_anything_private_in_the_log() {
    let (world, shop) = world_with_shop().await;
    issue_a_pre_auth_code(&world).await;
    let checked = Account::release_check().remove(0);
    world.simulator.put_account(checked.clone());
    drop(world.merchant_authorizes(&checked.appid));
    let code = world.simulator.issue_code(&checked.appid).unwrap();
    let text = Message::text(&shop, FOLLOWER, TEXT);

    let function = tracing(&world, &[]).await;
    for message in [
        &text,
        &Message::event(&shop, FOLLOWER, "subscribe").with("EventKey", TEXT),
        &Message::new(&shop, FOLLOWER, "hologram").with("Depth", TEXT),
        &Message::text(&shop, FOLLOWER, "TESTCOMPONENT_MSG_TYPE_TEXT"),
        &Message::event(&checked, FOLLOWER, "LOCATION").with("Label", TEXT),
        &Message::text(&checked, FOLLOWER, &format!("QUERY_AUTH_CODE:{code}")),
        // To an ordinary account it is a message like any other.
        &Message::text(&shop, FOLLOWER, &format!("QUERY_AUTH_CODE:{code}")),
    ] {
        let sealed = world.simulator.seal_message(message);
        assert_eq!(function.push(&sealed).await.status, 200);
        assert_eq!(function.request(&pushed(&sealed).base64_body(sealed.body.as_bytes())).await.status, 200);
    }
    let inner = format!("<xml><FromUserName>{FOLLOWER}</FromUserName><MsgType>text</MsgType><Content>{TEXT}");
    let foreign = world.simulator.seal_message(&Message::text(&checked, FOLLOWER, TEXT));
    let broken_off = function.push(&world.simulator.seal_message(&Message::of(&shop.appid, inner))).await;
    let foreign = function.request(&messages_of(shop.appid.as_str()).query(&foreign.query).body(&foreign.body)).await;
    assert_eq!((broken_off.status, foreign.status), (200, 401), "{broken_off:?} {foreign:?}");
    // A sender may put private data where they do not belong.
    for misplaced in [TEXT, FOLLOWER, &code] {
        let sealed = world.simulator.seal_message(&text);
        let encoded = utf8_percent_encode(misplaced, NON_ALPHANUMERIC).to_string();
        for event in [
            pushed(&sealed).body(misplaced),
            messages_of(shop.appid.as_str()).query(&format!("msg_signature={encoded}")).body(&sealed.body),
            messages_of(&encoded).query(&sealed.query).body(misplaced).header("x-forwarded-for", &encoded),
        ] {
            assert!(function.request(&event).await.status >= 400);
        }
    }
    let output = function.kill();
    assert!(output.contains("\"level\":\"INFO\"") && output.contains("\"a message\""), "it does print:\n{output}");
    assert_private(&output, &world, &code).await;
}

#[tokio::test]
async fn nothing_that_fails_leaves_anything_private_in_the_log() {
    let (world, shop) = world_with_shop().await;
    world.expect_error("a message was not handled");
    world.expect_error("no push can be accepted");
    world.expect_error("a message was delivered but not recorded");
    issue_a_pre_auth_code(&world).await;
    let code = world.simulator.issue_code(&shop.appid).unwrap();
    let seal = || world.simulator.seal_message(&Message::text(&shop, FOLLOWER, TEXT));

    let address = format!("https://127.0.0.1:9/hook?key={URL_SECRET}");
    let name = format!("https://localhost:9/{URL_SECRET}");
    let mut output = String::new();
    for url in [&address, &name] {
        let function = tracing(&world, &[("REPLY_WEBHOOK_URL", url)]).await;
        assert_eq!(function.push(&seal()).await.status, 200);
        let said = function.kill();
        assert_eq!(metrics(&said, "webhook_failed").len(), 1, "it was to be asked: {said}");
        output += &said;
    }
    // A bus and a table that do not exist.
    let busless = tracing(&world, &[("EVENT_BUS_NAME", "another")]).await;
    assert_eq!(busless.push(&seal()).await.status, 200);
    let tableless = tracing(&world, &[("TABLE_NAME", "another")]).await;
    assert_eq!(tableless.push(&seal()).await.status, 200);
    let neither = tracing(&world, &[("TABLE_NAME", "another"), ("EVENT_BUS_NAME", "another")]).await;
    assert_eq!(neither.push(&seal()).await.status, 500);
    let (busless, tableless, neither) = (busless.kill(), tableless.kill(), neither.kill());
    assert!(busless.contains("a message will be delivered later"), "{busless}");
    assert!(tableless.contains("a message was delivered but not recorded"), "{tableless}");
    assert!(neither.contains("a message was not handled"), "{neither}");
    output += &(busless + &tableless + &neither);
    // Unusable secrets and variables.
    let malformed = format!("http://app.example.com/hook?key={URL_SECRET}");
    output += &tracing(&world, &[("REPLY_WEBHOOK_URL", &malformed)]).await.fail().await;
    let usable = stories::world::secret_json().expose_secret().to_owned();
    let keyless = usable.replace("whsec_", "whsec");
    assert_ne!(keyless, usable);
    for (secret, status) in [(keyless, 200), (format!("[{usable}"), 500), (format!("not json: {usable}"), 500)] {
        world.secrets.set(secret.into());
        let function = tracing(&world, &[("REPLY_WEBHOOK_URL", &address)]).await;
        assert_eq!(function.push(&seal()).await.status, status);
        output += &function.kill();
    }
    assert!(output.contains("not-configured"), "a key that is none: {output}");
    assert_private(&output, &world, &code).await;
}

//! Promise 5: through a whole story, and whatever WeChat may return, nothing secret is in what the process prints, at
//! any log level.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use simulator::{Behaviour, Fault, Push, paths};
use store::TokenOwner;
use stories::bootstrap::Bootstrap;
use stories::logs::{assert_nothing_leaked, assert_request_ids};
use stories::refresher_events::{inserts, reconcile, renew};
use stories::world::World;

use super::{BINARY, TO_EXPIRY};

/// Everything, and more: the filter of somebody who looks for a fault.
const TRACE: &str = "trace,lambda_runtime=trace,aws_smithy_runtime=trace,hyper=trace,reqwest=trace,shared=trace";

async fn tracing(world: &World, variables: &[(&str, &str)]) -> Bootstrap {
    Bootstrap::with(BINARY, world, |all| {
        for (name, value) in [("RUST_LOG", TRACE)].iter().chain(variables) {
            all.insert((*name).into(), (*value).into());
        }
    })
    .await
}

/// A grant through a link, so that it has a pre-auth code.
async fn grant(world: &World, number: usize) -> Push {
    let component = world.component().await;
    let token = component.token().await.unwrap();
    let code = component.wechat().create_preauthcode(component.carries(&token)).await.unwrap();
    let push = world.simulator.confirm(code.code.expose_secret(), &world.account(number)).unwrap().push;
    assert!(world.simulator.send(&push).await.is_accepted());
    push
}

/// Makes the stored tokens of the first account due.
async fn make_due(world: &World) {
    world.store().tokens.mark_due(&TokenOwner::Authorizer(world.account(0)), world.now()).await.unwrap();
}

#[tokio::test]
async fn a_whole_story_of_grants_renewals_and_refusals_leaves_no_secret_in_the_log() {
    let world = World::beside_processes(TO_EXPIRY, |_| {}).await;
    world.expect_error("issued a token by somebody else");
    world.simulator.set_behaviour(Behaviour { rotate_refresh_tokens: true, ..Behaviour::default() });
    world.get_ready().await;
    let account = world.authorized_account().await;
    world.pass(TO_EXPIRY);
    let ticket = world.simulator.ticket();
    assert!(world.simulator.send(&ticket).await.is_accepted());

    // The component token, a renewal, an exchange.
    let function = tracing(&world, &[]).await;
    assert_eq!(function.invoke(renew()).await.unwrap()["renewed"], 1);
    let mut pushes = vec![ticket, grant(&world, 1).await];
    assert_eq!(function.invoke(inserts(&world.inbox_keys().await)).await.unwrap()["inbox_done"], 1);
    drop(world.merchant_authorizes(&world.account(2)));
    assert_eq!(function.invoke(reconcile()).await.unwrap()["added"], 1);

    // 40001: another server invalidated the component token. 61023: and the refresh token was lost with a response.
    make_due(&world).await;
    world.another_server_issues_a_component_token().await;
    assert_eq!(function.invoke(renew()).await.unwrap()["renewed"], 1);
    make_due(&world).await;
    world.simulator.inject(Fault::DropAfter.on(paths::AUTHORIZER_TOKEN).times(1));
    assert_eq!(function.invoke(renew()).await.unwrap()["failed"]["connection-lost"], 1);
    make_due(&world).await;
    assert_eq!(function.invoke(renew()).await.unwrap()["renewed"], 1);

    // The merchant leaves.
    let revoked = world.simulator.unauthorize(&account).unwrap();
    assert!(world.simulator.send(&revoked).await.is_accepted());
    assert_eq!(function.invoke(renew()).await.unwrap()["gone"], 1);
    pushes.push(revoked);

    let output = function.kill();
    assert!(output.contains("was issued a token by somebody else") && output.contains("lost its refresh token"));
    assert!(output.contains("has authorized the platform"), "it does print:\n{output}");
    assert_request_ids(&output);
    assert_nothing_leaked(&output, &world.simulator, &pushes.iter().collect::<Vec<_>>()).await;
    assert!(!output.contains("CDATA"), "not even a part of a message:\n{output}");
}

#[tokio::test]
async fn a_refusal_that_quotes_every_secret_leaves_none_in_the_log() {
    let world = World::beside_processes(Duration::from_mins(1), |_| {}).await;
    world.expect_error("issued a token by somebody else");
    world.expect_error("the run stops here");
    world.expect_error("api_get_authorizer_list is not called any more in this run");
    world.get_ready().await;
    let account = world.authorized_account().await;
    let function = tracing(&world, &[]).await;
    let mut pushes = Vec::new();
    // Unknown, busy, void, permission, reauthorize, quota: each has its own path through the code.
    for errcode in [99_999, -1, 40_001, 48_001, 61_023, 61_009, 45_009, 61_004] {
        world.pass(Duration::from_secs(1));
        let push = grant(&world, 1).await;
        let quoted = quoting(&world, &push, &account).await;
        pushes.push(push);
        let fault = Fault::Errcode { errcode, errmsg: quoted };
        for path in [paths::QUERY_AUTH, paths::AUTHORIZER_TOKEN, paths::GET_AUTHORIZER_INFO, paths::GET_AUTHORIZER_LIST]
        {
            world.simulator.inject(fault.clone().on(path).if_called());
        }
        make_due(&world).await;
        function.invoke(renew()).await.unwrap();
        function.invoke(inserts(&world.inbox_keys().await)).await.unwrap();
        function.invoke(reconcile()).await.unwrap();
        world.simulator.clear_faults();
    }
    // Missing responses, and a component token that is refused.
    for fault in [Fault::BadGateway, Fault::DropBefore, Fault::DropAfter] {
        world.simulator.inject(fault.on(paths::ANY));
        make_due(&world).await;
        function.invoke(renew()).await.unwrap();
        world.simulator.clear_faults();
    }
    let push = world.simulator.ticket();
    assert!(world.simulator.send(&push).await.is_accepted());
    let errmsg = quoting(&world, &push, &account).await;
    world.simulator.inject(Fault::Errcode { errcode: 61_005, errmsg }.on(paths::COMPONENT_TOKEN));
    world.store().tokens.mark_due(&TokenOwner::Component, world.now()).await.unwrap();
    function.invoke(renew()).await.unwrap();
    pushes.push(push);

    let mut output = function.kill();
    assert!(output.contains("***"), "what WeChat said is printed, cleaned:\n{output}");
    // A table that does not exist.
    let tableless = tracing(&world, &[("TABLE_NAME", "another")]).await;
    assert!(tableless.invoke(renew()).await.unwrap()["failed"]["table"].as_u64() >= Some(1));
    output += &tableless.kill();
    assert_nothing_leaked(&output, &world.simulator, &pushes.iter().collect::<Vec<_>>()).await;
}

/// A text of WeChat's that repeats everything in the requests of this story.
async fn quoting(world: &World, push: &Push, account: &base::ids::AppId) -> String {
    let store = world.store();
    let component = store.tokens.get(&TokenOwner::Component).await.unwrap().unwrap().access_token.unwrap();
    let refresh = store.accounts.get(account).await.unwrap().and_then(|stored| stored.token.refresh_token);
    let refresh = refresh.as_ref().map_or("none", |token| token.expose_secret());
    let platform = stories::world::platform();
    let sent = [component.expose_secret(), refresh, platform.component_appsecret.expose_secret()];
    let in_push = ["AuthorizationCode", "ComponentVerifyTicket"].map(|name| element(&push.message, name));
    format!("invalid: {} {}", sent.join(" "), in_push.join(" "))
}

/// The text of an element of a push, empty if there is none.
fn element(message: &str, name: &str) -> String {
    let inner = message.split_once(&format!("<{name}><![CDATA[")).and_then(|(_, rest)| rest.split_once("]]>"));
    inner.map_or("", |(text, _)| text).to_owned()
}

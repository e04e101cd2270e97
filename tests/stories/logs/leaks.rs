//! Promise 5: no secret, ticket, token, code or cookie reaches the log, nor do conversations of followers and accounts,
//! whatever `RUST_LOG` says and whatever fails.

use std::collections::BTreeSet;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde_json::json;
use simulator::{Behaviour, Fault, SecretKind, paths};
use store::TokenOwner;
use stories::browser::Browser;
use stories::business::Business;
use stories::logs::{KINDS, leaks};
use stories::world::World;

use super::conversations;

/// The places of the simulator's secrets and the browsers' cookies in a text.
fn leaked(text: &str, world: &World, browsers: &[&Browser]) -> Vec<String> {
    let issued = world.simulator.issued_secrets();
    let cookies: Vec<String> = browsers.iter().flat_map(|browser| browser.cookie_values()).collect();
    let kinds: Vec<String> = issued.iter().map(|secret| format!("{:?}", secret.kind)).collect();
    let issued = kinds.iter().zip(&issued).map(|(kind, secret)| (kind.as_str(), secret.value.as_str()));
    leaks(text, issued.chain(cookies.iter().map(|cookie| ("cookie", cookie.as_str()))))
}

/// A refusal in which WeChat repeats the request.
fn quoting(errcode: i64, secret: &str) -> Fault {
    Fault::Errcode { errcode, errmsg: format!("invalid credential: {secret} rid: 65f1a2b3-00000000-11111111") }
}

async fn stored_token(world: &World, owner: TokenOwner) -> String {
    let record = world.store().tokens.get(&owner).await.unwrap().unwrap();
    record.access_token.unwrap().expose_secret().to_owned()
}

/// A merchant's visit with everything that can go wrong.
async fn merchant(world: &World, browser: &Browser) {
    let business = Business::of(world);
    let account = world.account(0);
    let link = business.link(json!({ "return_url": "https://app.example.com/done" })).await;
    let launch = browser.open(&link.url).await;
    world.simulator.inject(Fault::ip_not_registered().on(paths::CREATE_PREAUTHCODE).times(1));
    assert_eq!(browser.submit(&launch, &[]).await.status, 503);
    let component = stored_token(world, TokenOwner::Component).await;
    world.simulator.inject(quoting(40001, &component).on(paths::CREATE_PREAUTHCODE).times(1));
    let pressed = browser.submit(&launch, &[]).await;
    let choose = browser.open_from(&launch, &pressed.location()).await;
    world.simulator.inject(Fault::system_error().on(paths::QUERY_AUTH).times(2));
    let confirmed = browser.submit(&choose, &[("authorizer_appid", account.as_str()), ("decision", "confirm")]).await;
    let back = confirmed.location();
    browser.open_from(&choose, &back).await;
    world.simulator.pushes_settled().await;
    world.pass(Duration::from_mins(1));
    world.renew().await;
    browser.open(&back).await;
    Browser::on_computer().open(&back).await;

    let page = browser.press(&business.link(json!({})).await).await;
    let consent = world.confirms(&page, &world.account(1));
    world.simulator.inject(quoting(61009, &consent.redirect_code).on(paths::QUERY_AUTH).times(1));
    browser.open(&page.way_back(&consent.redirect_code)).await;
    world.push_and_work(&consent.push).await;
    assert_eq!(business.code(&business.link(json!({})).await).await.status, 201);
}

/// Pushes that are refused, and one that no table accepts.
async fn pushes(world: &World) {
    use stories::faults::{Fault as TableFault, Matching};
    let consent = world.merchant_authorizes(&world.account(2));
    let mut forged = world.simulator.seal(&consent.push);
    forged.query = forged.query.replace("nonce=", "nonce=1");
    assert!(!world.simulator.send_sealed(&forged).await.is_accepted());
    forged.body.truncate(60);
    assert!(!world.simulator.send_sealed(&forged).await.is_accepted());
    world.faults.always(Matching::operation("PutItem"), TableFault::ServerError);
    assert!(!world.simulator.send(&consent.push).await.is_accepted());
    world.faults.clear();
    world.simulator.inject(Fault::DropAfter.on(paths::QUERY_AUTH).times(1));
    world.push_and_work(&consent.push).await;
    world.pass(Duration::from_mins(6));
    world.renew().await;
    let registration = world.simulator.register_mini_program("小店");
    world.push_and_work(&registration.push).await;
}

/// Renewals that rotate, fail and are refused.
async fn renewals(world: &World) {
    world.simulator.set_behaviour(Behaviour { rotate_refresh_tokens: true, ..Behaviour::default() });
    let account = world.account(0);
    for fault in [Fault::DropAfter, Fault::BadGateway, Fault::DropBefore] {
        world.pass(Duration::from_mins(101));
        assert!(world.simulator.push_ticket().await.is_accepted());
        world.simulator.inject(fault.on(paths::AUTHORIZER_TOKEN).times(1));
        world.renew().await;
    }
    world.pass(Duration::from_mins(121));
    assert!(world.simulator.push_ticket().await.is_accepted());
    let ticket = world.store().tickets.newest().await.unwrap().unwrap().ticket;
    world.simulator.inject(quoting(61006, ticket.expose_secret()).on(paths::COMPONENT_TOKEN).times(1));
    assert!(world.renew().await.failed.contains_key("61006"));
    world.pass(Duration::from_mins(10));
    let refresh_token = world.stored(&account).await.token.refresh_token.unwrap();
    let quoted = quoting(61023, refresh_token.expose_secret());
    world.simulator.inject(quoted.on(paths::AUTHORIZER_TOKEN).for_authorizer(&account).times(1));
    let renewed = world.renew().await;
    assert!(renewed.renewed > 0, "{renewed}");
    world.reconcile().await;
    let revoked = world.simulator.unauthorize(&account).unwrap();
    world.push_and_work(&revoked).await;
}

#[tokio::test]
async fn no_secret_reaches_the_log_at_any_level_whatever_fails() {
    let world = World::ready().await;
    for error in [
        "following a link failed",
        "issued a token by somebody else",
        "a push was not stored",
        "nothing more is delivered in this run",
        "a message was not handled",
        "a message was delivered but not recorded",
    ] {
        world.expect_error(error);
    }
    let browser = Browser::on_computer();
    merchant(&world, &browser).await;
    pushes(&world).await;
    renewals(&world).await;
    let said = conversations::happen(&world).await;

    let text = world.log.text();
    for event in [
        "has authorized the platform",
        "a push was not stored",
        "WeChat refused the stored token",
        "a message\"",
        "a message will be delivered later",
        "a message was not handled",
        "the reply webhook",
        "a message of the release check",
    ] {
        assert!(text.contains(event), "{event}: {text}");
    }
    let kinds: BTreeSet<SecretKind> = world.simulator.issued_secrets().iter().map(|secret| secret.kind).collect();
    assert_eq!(kinds, KINDS.into(), "every kind is looked for");
    assert!(!browser.cookie_values().is_empty());
    let found = leaked(&text, &world, &[&browser]);
    assert!(found.is_empty(), "{found:#?}");
    let metrics = format!("{:?}", world.metrics.all());
    assert!(leaked(&metrics, &world, &[&browser]).is_empty(), "nor do metrics carry one");
    let said = || said.iter().map(|(kind, value)| (*kind, value.as_str()));
    let found = leaks(&text, said());
    assert!(found.is_empty(), "{found:#?}");
    assert!(leaks(&metrics, said()).is_empty());
}

#[tokio::test]
async fn a_secret_of_any_kind_in_the_log_would_be_found() {
    let world = World::ready().await;
    world.without_proof();
    let browser = Browser::on_computer();
    merchant(&world, &browser).await;
    assert!(leaked("nothing of it", &world, &[&browser]).is_empty());
    for kind in KINDS {
        let secrets = world.simulator.issued_secrets();
        let planted = secrets.iter().find(|secret| secret.kind == kind).unwrap_or_else(|| panic!("no {kind:?}"));
        let before = leaked(&world.log.text(), &world, &[&browser]).len();
        tracing::trace!(target: "store::planted", "the line says {}", planted.value);
        assert!(leaked(&world.log.text(), &world, &[&browser]).len() > before, "{kind:?}");
    }
    assert!(!leaked(&browser.cookie_values()[0], &world, &[&browser]).is_empty());
    for (kind, value) in conversations::happen(&world).await {
        assert!(leaks(&world.log.text(), [(kind, value.as_str())]).is_empty(), "{kind}");
        tracing::trace!(target: "store::planted", "the line says {value}");
        assert!(!leaks(&world.log.text(), [(kind, value.as_str())]).is_empty(), "{kind}");
    }
}

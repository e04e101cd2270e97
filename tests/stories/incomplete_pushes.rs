//! Pushes that WeChat has signed but that lack something: each is acknowledged and recorded, and has as much effect as
//! its content allows.

use serde_json::json;
use simulator::{Consent, Push};
use store::AccountState;
use stories::browser::Browser;
use stories::business::Business;
use stories::schema::Schema;
use stories::world::World;

/// A push without the element `name`.
fn without(push: &Push, name: &str) -> Push {
    let (before, rest) = push.message.split_once(&format!("<{name}>")).unwrap();
    let (_, after) = rest.split_once(&format!("</{name}>")).unwrap();
    Push { message: format!("{before}{after}"), ..push.clone() }
}

/// A push with another message.
fn with(push: &Push, message: &str) -> Push {
    Push { message: message.to_owned(), ..push.clone() }
}

/// A merchant has authorized the platform; nothing is pushed yet.
fn consent(world: &World) -> Consent {
    world.merchant_authorizes(&world.account(0))
}

/// Whether the account's grant has taken effect.
async fn is_granted(world: &World) -> bool {
    let account = world.account(0);
    let stored = world.store().accounts.get(&account).await.unwrap();
    let is_active = stored.is_some_and(|stored| stored.token.state == AccountState::Active);
    is_active && world.wechat_accepts(&account).await
}

#[tokio::test]
async fn a_grant_without_a_code_takes_effect_through_the_accounts_details() {
    for name in ["AuthorizationCode", "AuthorizationCodeExpiredTime"] {
        let world = World::ready().await;
        let push = without(&consent(&world).push, name);
        let report = world.push_and_work(&push).await;
        assert_eq!((report.inbox_done, report.failed.len()), (1, 0), "{report}");
        assert!(is_granted(&world).await, "{name}");
        let event = world.bus.delivered().pop().unwrap();
        assert_eq!(event.detail_type, "grant.authorized");
        // A repeat of it changes nothing.
        assert_eq!(world.push_and_work(&push).await.inbox_done, 0);
    }
}

#[tokio::test]
async fn a_trial_mini_programs_grant_has_neither_code_nor_pre_auth_code() {
    let world = World::ready().await;
    let mut push = consent(&world).push;
    for name in ["AuthorizationCode", "AuthorizationCodeExpiredTime"] {
        push = without(&push, name);
    }
    let (account, now) = (world.account(0), world.now().unix());
    let bare = format!(
        "<xml><AppId><![CDATA[wx1234567890abcdef]]></AppId><CreateTime>{now}</CreateTime>\
         <InfoType><![CDATA[authorized]]></InfoType><AuthorizerAppid><![CDATA[{account}]]></AuthorizerAppid></xml>"
    );
    world.push_and_work(&with(&push, &bare)).await;
    assert!(is_granted(&world).await);
    let again = bare.replace("[authorized]", "[updateauthorized]");
    world.push_and_work(&with(&push, &again)).await;
    assert!(is_granted(&world).await);
}

#[tokio::test]
async fn a_grant_without_a_code_binds_its_link() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let link = business.link(json!({})).await;
    let page = Browser::on_computer().press(&link).await;
    let consent = world.confirms(&page, &world.account(0));
    world.push_and_work(&without(&consent.push, "AuthorizationCode")).await;
    let seen = business.look(&link).await;
    assert_eq!((&seen["status"], &seen["authorizer_appid"]), (&json!("authorized"), &json!(world.account(0))));
}

#[tokio::test]
async fn a_grant_without_an_account_takes_effect_through_its_code() {
    let world = World::ready().await;
    world.push_and_work(&without(&consent(&world).push, "AuthorizerAppid")).await;
    assert!(is_granted(&world).await);
}

#[tokio::test]
async fn a_grant_without_a_time_or_with_members_that_cannot_be_read_takes_effect() {
    let change = |message: &str, name: &str, text: &str| {
        let (before, rest) = message.split_once(&format!("<{name}>")).unwrap();
        let (_, after) = rest.split_once(&format!("</{name}>")).unwrap();
        format!("{before}<{name}>{text}</{name}>{after}")
    };
    for (name, text) in [
        ("CreateTime", ""),
        ("CreateTime", "yesterday"),
        ("AppId", ""),
        ("AuthorizationCodeExpiredTime", "<a>1</a>"),
        ("InfoType", " <![CDATA[authorized]]> "),
    ] {
        let world = World::ready().await;
        let push = consent(&world).push;
        let changed = with(&push, &change(&push.message, name, text));
        world.push_and_work(&changed).await;
        assert!(is_granted(&world).await, "{name}: {text}");
        let event = world.bus.delivered().pop().unwrap();
        Schema::read().fits("grant_detail", &event.detail).unwrap_or_else(|misfit| panic!("{name}: {misfit}"));
        assert_eq!(world.push_and_work(&changed).await.inbox_done, 0, "{name}: a repeat");
    }
}

#[tokio::test]
async fn a_revocation_without_a_time_takes_effect() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    world.pass(std::time::Duration::from_hours(1));
    let push = world.simulator.unauthorize(&account).unwrap();
    world.push_and_work(&without(&push, "CreateTime")).await;
    assert_eq!(world.stored(&account).await.token.state, AccountState::Unauthorized);
}

#[tokio::test]
async fn a_ticket_without_what_it_does_not_need_is_stored() {
    for name in ["AppId", "CreateTime"] {
        let world = World::start().await;
        let outcome = world.simulator.send(&without(&world.simulator.ticket(), name)).await;
        assert!(outcome.is_accepted(), "{name}: {outcome:?}");
        assert!(world.store().tickets.newest().await.unwrap().is_some(), "{name}");
        assert!(world.renew().await.failed.is_empty(), "{name}: a component token comes of it");
    }
}

#[tokio::test]
async fn a_push_that_says_nothing_is_recorded_and_acknowledged() {
    let world = World::ready().await;
    let ticket = world.simulator.ticket();
    let time = world.now().unix();
    for (message, told) in [
        ("", Some("grant.unknown")),
        ("not xml", Some("grant.unknown")),
        ("<xml></xml>", Some("grant.unknown")),
        (
            &*format!("<xml><CreateTime>{time}</CreateTime><InfoType>unauthorized</InfoType></xml>"),
            Some("grant.unauthorized"),
        ),
        (
            &*format!("<xml><CreateTime>{time}</CreateTime><InfoType>authorized</InfoType></xml>"),
            Some("grant.authorized"),
        ),
        (&*format!("<xml><CreateTime>{time}</CreateTime><InfoType>component_verify_ticket</InfoType></xml>"), None),
    ] {
        let before = world.bus.delivered().len();
        let report = world.push_and_work(&with(&ticket, message)).await;
        assert_eq!((report.inbox_done, report.failed.len()), (1, 0), "{message}: {report}");
        let events = world.bus.delivered().split_off(before);
        assert_eq!(events.first().map(|event| event.detail_type.as_str()), told, "{message}");
        for event in events {
            Schema::read().fits("grant_detail", &event.detail).unwrap_or_else(|misfit| panic!("{message}: {misfit}"));
        }
    }
}

#[tokio::test]
async fn two_accounts_and_two_codes_of_one_second_are_two_grants() {
    let world = World::ready().await;
    let (one, two) = (world.account(0), world.account(1));
    let pushes = [world.merchant_authorizes(&one).push, world.merchant_authorizes(&two).push];
    for push in pushes.iter().chain(&pushes) {
        assert!(world.simulator.send(push).await.is_accepted());
    }
    assert_eq!(world.renew().await.inbox_done, 2);
    for account in [one, two] {
        assert!(world.wechat_accepts(&account).await);
    }
}

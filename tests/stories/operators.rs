//! Operators of the console are created, listed and ended below `/operators`, only by principals of AWS.

use std::time::Duration;

use base::ids::OperatorName;
use http::Method;
use serde_json::{Value, json};
use store::Browser;
use stories::business::{Answer, Business, OPERATORS};
use stories::faults::{Fault, Matching};
use stories::world::{TABLE, World};

/// The creator of an operator, as stored.
const ADMIN: &str = "arn:aws:sts::123456789012:assumed-role/orders";

async fn make(world: &World, body: &Value) -> Answer {
    Business::of(world).ask(Method::POST, OPERATORS, body).await
}

async fn invite(world: &World, name: &str) -> Answer {
    Business::of(world).post(&format!("{OPERATORS}/{name}/invitations")).await
}

async fn end(world: &World, tail: &str) -> Answer {
    Business::of(world).ask(Method::DELETE, &format!("{OPERATORS}/{tail}"), &json!({})).await
}

/// The listed operators.
async fn listed(world: &World) -> Vec<Value> {
    let listed = Business::of(world).get(OPERATORS).await;
    assert_eq!((listed.status, listed.body.get("next_cursor")), (200, None), "{}", listed.body);
    listed.body["operators"].as_array().unwrap().clone()
}

/// The code in the URL of an invitation.
fn code(world: &World, invitation: &Value) -> String {
    let url = invitation["url"].as_str().unwrap();
    let code = url.strip_prefix(&format!("{}/console/invitations/", world.public_url.as_str().trim_end_matches('/')));
    code.unwrap_or_else(|| panic!("{url}")).to_owned()
}

async fn is_let_in(world: &World, browser: &Browser) -> bool {
    world.store().browsers.session(&browser.operator, &browser.id, world.now()).await.unwrap().is_some()
}

#[tokio::test]
async fn an_operator_is_made_with_an_invitation_that_one_answer_has() {
    let world = World::ready().await;
    let until = world.now().plus(Duration::from_hours(24 * 90)).rfc3339();
    let made = make(&world, &json!({ "name": "li", "rights": "act", "until": until })).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let expected = json!({
        "name": "li", "rights": "act", "until": until, "created_at": world.now().rfc3339(), "created_by": ADMIN,
        "invitation": {
            "url": made.body["invitation"]["url"], "ends_at": world.now().plus(Duration::from_mins(30)).rfc3339(),
        },
    });
    assert_eq!(made.body, expected);
    let code = code(&world, &made.body["invitation"]);
    let browser = world.bind_browser(&code).await.expect("the invitation is good");
    let listed = listed(&world).await;
    assert_eq!(listed[0]["browsers"][0]["id"], browser.id.as_str());
    assert_eq!(listed[0]["browsers"][0]["label"], "Chrome, Windows");
    assert!(world.bind_browser(&code).await.is_none(), "once");

    let items = world.database.client().scan().table_name(TABLE).send().await.unwrap();
    let (_, secret) = code.rsplit_once('.').unwrap();
    for place in [format!("{items:?}"), json!(listed).to_string(), world.log.text()] {
        assert!(!place.contains(secret), "the code is in {place}");
    }
    assert!(world.log.text().contains("an operator was created and invited"));
}

#[tokio::test]
async fn another_browser_is_invited_and_a_second_operator_of_the_name_is_not_made() {
    let world = World::ready().await;
    let first = make(&world, &json!({ "name": "li", "rights": "look" })).await;
    let again = make(&world, &json!({ "name": "li", "rights": "act" })).await;
    assert_eq!((again.status, again.problem()), (409, "operator-exists"));
    assert!(again.detail().contains("/operators/li/invitations"), "{}", again.detail());
    let further = invite(&world, "li").await;
    assert_eq!(further.status, 201, "{}", further.body);
    assert!(world.bind_browser(&code(&world, &first.body["invitation"])).await.is_some());
    assert!(world.bind_browser(&code(&world, &further.body)).await.is_some());
    let listed = listed(&world).await;
    assert_eq!((listed.len(), &listed[0]["rights"]), (1, &json!("look")));
    assert_eq!(listed[0]["browsers"].as_array().unwrap().len(), 2);
    let unknown = invite(&world, "wang").await;
    assert_eq!((unknown.status, unknown.problem()), (404, "unknown-operator"));
}

#[tokio::test]
async fn an_ended_operator_has_no_access_and_can_be_created_again_from_nothing() {
    let world = World::ready().await;
    let made = make(&world, &json!({ "name": "li", "rights": "look" })).await;
    let browser = world.bind_browser(&code(&world, &made.body["invitation"])).await.unwrap();
    let unused = invite(&world, "li").await;
    for _ in 0..2 {
        assert_eq!(end(&world, "li").await.status, 204);
    }
    let ended = &listed(&world).await[0];
    assert_eq!((&ended["ended_at"], &ended["browsers"]), (&json!(world.now().rfc3339()), &json!([])));
    assert!(ended["ended_by"].as_str().unwrap().starts_with(ADMIN));
    let refused = async || {
        assert!(!is_let_in(&world, &browser).await);
        assert!(world.bind_browser(&code(&world, &unused.body)).await.is_none());
    };
    refused().await;
    let late = invite(&world, "li").await;
    assert_eq!((late.status, late.problem()), (404, "unknown-operator"));
    let anew = make(&world, &json!({ "name": "li", "rights": "act" })).await;
    assert_eq!(anew.status, 201);
    refused().await;
    assert_eq!(listed(&world).await[0]["browsers"], json!([]));
    assert!(world.bind_browser(&code(&world, &anew.body["invitation"])).await.is_some());
    let unknown = end(&world, "wang").await;
    assert_eq!((unknown.status, unknown.problem()), (404, "unknown-operator"));
}

#[tokio::test]
async fn an_operator_with_an_end_may_be_invited_until_then() {
    let world = World::ready().await;
    let until = world.now().plus(Duration::from_mins(10)).rfc3339();
    let made = make(&world, &json!({ "name": "li", "rights": "act", "until": until })).await;
    let browser = world.bind_browser(&code(&world, &made.body["invitation"])).await.unwrap();
    let unused = invite(&world, "li").await;
    world.pass(Duration::from_mins(10));
    assert!(!is_let_in(&world, &browser).await);
    assert!(world.bind_browser(&code(&world, &unused.body)).await.is_none());
    assert_eq!(invite(&world, "li").await.problem(), "unknown-operator");
    assert_eq!(make(&world, &json!({ "name": "li", "rights": "look" })).await.status, 201);
}

#[tokio::test]
async fn one_browser_is_ended_and_the_others_stay() {
    let world = World::ready().await;
    let made = make(&world, &json!({ "name": "li", "rights": "look" })).await;
    let one = world.bind_browser(&code(&world, &made.body["invitation"])).await.unwrap();
    let other = world.bind_browser(&code(&world, &invite(&world, "li").await.body)).await.unwrap();
    for _ in 0..2 {
        assert_eq!(end(&world, &format!("li/browsers/{}", one.id)).await.status, 204);
    }
    assert!(!is_let_in(&world, &one).await && is_let_in(&world, &other).await);
    let browsers = listed(&world).await[0]["browsers"].clone();
    assert_eq!((browsers.as_array().unwrap().len(), &browsers[0]["id"]), (1, &json!(other.id.as_str())));
    for unknown in ["li/browsers/AAAAAAAAAAAAAAAAAAAAAA", &format!("wang/browsers/{}", other.id)] {
        let refused = end(&world, unknown).await;
        assert_eq!((refused.status, refused.problem()), (404, "unknown-browser"), "{unknown}");
    }
}

#[tokio::test]
async fn what_is_done_about_operators_is_in_the_audit_with_who_did_it() {
    let world = World::ready().await;
    make(&world, &json!({ "name": "li", "rights": "look" })).await;
    world.pass(Duration::from_secs(1));
    let further = invite(&world, "li").await;
    world.pass(Duration::from_secs(1));
    let browser = world.bind_browser(&code(&world, &further.body)).await.unwrap();
    world.pass(Duration::from_secs(1));
    end(&world, &format!("li/browsers/{}", browser.id)).await;
    world.pass(Duration::from_secs(1));
    end(&world, "li").await;
    let entries = world.store().audit_log.page(None, 10).await.unwrap().entries;
    let acts: Vec<(&str, bool)> =
        entries.iter().rev().map(|entry| (entry.act.as_str(), entry.actor.by.starts_with(ADMIN))).collect();
    let expected = [
        ("operator.create", true),
        ("operator.invite", true),
        ("browser.bind", false),
        ("browser.end", true),
        ("operator.end", true),
    ];
    assert_eq!(acts, expected);
    assert!(entries.iter().all(|entry| entry.outcome.as_deref() == Some("done")));
    let said = format!("{entries:?}");
    assert!(!said.contains(code(&world, &further.body).rsplit_once('.').unwrap().1), "{said}");
}

#[tokio::test]
async fn operators_are_read_page_after_page() {
    let world = World::ready().await;
    for name in ["li", "chen", "zhao", "wang", "an"] {
        assert_eq!(make(&world, &json!({ "name": name, "rights": "look" })).await.status, 201);
    }
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = Business::of(&world).get(&format!("{OPERATORS}?limit=2{cursor}")).await;
        names.extend(page.body["operators"].as_array().unwrap().iter().map(|one| one["name"].clone()));
        let Some(next) = page.body["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(json!(names), json!(["an", "chen", "li", "wang", "zhao"]));
}

#[tokio::test]
async fn an_operator_invites_and_ends_nobody() {
    let world = World::ready().await;
    make(&world, &json!({ "name": "li", "rights": "act" })).await;
    let li = Business::as_operator(&world, &OperatorName::parse("li").unwrap());
    for (method, path) in [
        (Method::POST, OPERATORS.to_owned()),
        (Method::GET, OPERATORS.to_owned()),
        (Method::POST, format!("{OPERATORS}/li/invitations")),
        (Method::DELETE, format!("{OPERATORS}/li")),
        (Method::DELETE, format!("{OPERATORS}/li/browsers/AAAAAAAAAAAAAAAAAAAAAA")),
    ] {
        let refused = li.ask(method, &path, &json!({ "name": "wang", "rights": "act" })).await;
        assert_eq!((refused.status, refused.problem()), (403, "not-allowed"), "{path}");
    }
    assert_eq!(listed(&world).await.len(), 1);
}

#[tokio::test]
async fn an_operator_who_may_have_been_made_can_be_invited_again() {
    let world = World::ready().await;
    world.expect_error("making an operator failed");
    world.faults.always(Matching::operation("TransactWriteItems"), Fault::Away);
    let body = json!({ "name": "li", "rights": "look" });
    let away = make(&world, &body).await;
    assert_eq!((away.status, away.problem()), (503, "unavailable"));
    world.faults.clear();
    assert!(listed(&world).await.is_empty());
    world.faults.next(1, Matching::operation("TransactWriteItems"), Fault::LostReply);
    let made = make(&world, &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    world.faults.next(1, Matching::operation("TransactWriteItems"), Fault::LostReply);
    assert_eq!(invite(&world, "li").await.status, 201);
    world.faults.next(1, Matching::operation("TransactWriteItems"), Fault::LostReply);
    assert_eq!(end(&world, "li").await.status, 204);
}

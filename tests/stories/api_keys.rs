//! The API keys of services outside AWS: how operators create, list and revoke them, and how they are stored.

use std::collections::BTreeSet;
use std::time::Duration;

use base::ids::AppId;
use base::random::Random;
use http::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use store::{Actor, ApiKey, KeyDigest, KeyText, Scope, StoreError};
use stories::business::{Answer, Business, KEYS};
use stories::faults::{Fault, Matching};
use stories::world::{TABLE, World};

/// An actor who creates and revokes keys.
fn by() -> Actor {
    Actor { by: "arn:aws:iam::123456789012:role/admin".to_owned(), source_ip: None, request_id: None }
}

/// A key with all its members, and its text.
fn key(world: &World) -> (ApiKey, KeyText) {
    let text = KeyText::generate(&Random::system());
    let key = ApiKey {
        id: text.id.clone(),
        name: "订单 orders".to_owned(),
        scopes: BTreeSet::from([Scope::Links, Scope::Calls]),
        appids: Some(BTreeSet::from([AppId::parse("wx1234567890abcdef").unwrap()])),
        secret: KeyDigest::of(&text.secret),
        in_url: true,
        created_at: world.now(),
        created_by: "arn:aws:iam::123456789012:role/admin".to_owned(),
        ends_at: Some(world.now().plus(Duration::from_hours(24))),
        revoked_at: None,
        last_used_on: None,
    };
    (key, text)
}

#[tokio::test]
async fn a_key_is_kept_without_its_secret_and_never_overwritten() {
    let world = World::start().await;
    let keys = world.store().api_keys;
    let (kept, text) = key(&world);
    world.faults.reset_counts();
    keys.create(&kept, &by()).await.unwrap();
    assert_eq!(keys.get(&kept.id).await.unwrap(), Some(kept.clone()));
    let requests = world.faults.all_requests();
    assert_eq!(
        requests.into_iter().collect::<Vec<_>>(),
        [("GetItem".to_owned(), 1), ("TransactWriteItems".to_owned(), 1)]
    );
    let items = world.database.client().scan().table_name(TABLE).send().await.unwrap();
    assert!(!format!("{items:?}").contains(text.secret.expose_secret()), "the secret is in the table");

    let other = ApiKey { secret: KeyDigest::of(&"another".into()), ..kept.clone() };
    assert!(matches!(keys.create(&other, &by()).await, Err(StoreError::Contended { .. })));
    assert_eq!(keys.get(&kept.id).await.unwrap(), Some(kept));

    world.faults.next(1, Matching::operation("TransactWriteItems"), Fault::LostReply);
    let (lost, _) = key(&world);
    let lost = ApiKey { appids: None, ends_at: None, in_url: false, ..lost };
    keys.create(&lost, &by()).await.unwrap();
    assert_eq!(keys.get(&lost.id).await.unwrap(), Some(lost));
}

#[tokio::test]
async fn a_key_is_valid_until_it_is_revoked_or_has_ended() {
    let world = World::start().await;
    let keys = world.store().api_keys;
    let (kept, _) = key(&world);
    let ends_at = kept.ends_at.unwrap();
    assert!(kept.is_valid(world.now()) && kept.is_valid(ends_at.minus(Duration::from_secs(1))));
    assert!(!kept.is_valid(ends_at));
    assert_eq!(keys.revoke(&kept.id, &by(), world.now()).await.unwrap(), None, "there is no such key");
    assert_eq!(world.items().await, 0, "none is made by revoking it");

    keys.create(&kept, &by()).await.unwrap();
    world.faults.next(1, Matching::operation("TransactWriteItems"), Fault::LostReply);
    let then = world.now();
    let revoked = Some(ApiKey { revoked_at: Some(then), ..kept.clone() });
    assert_eq!(keys.revoke(&kept.id, &by(), then).await.unwrap(), revoked);
    world.pass(Duration::from_mins(1));
    assert_eq!(keys.revoke(&kept.id, &by(), world.now()).await.unwrap(), revoked);
    let revoked = keys.get(&kept.id).await.unwrap().unwrap();
    assert_eq!(revoked.revoked_at, Some(then), "a second revocation keeps the first time");
    assert!(!revoked.is_valid(world.now()));
}

#[tokio::test]
async fn the_use_of_a_key_is_noted_once_a_day() {
    let world = World::start().await;
    let keys = world.store().api_keys;
    let (kept, _) = key(&world);
    keys.note_use(&kept.id, "2026-01-31").await.unwrap();
    assert_eq!(world.items().await, 0, "none is made by using it");
    keys.create(&kept, &by()).await.unwrap();
    for (day, noted) in [
        ("2026-01-31", "2026-01-31"),
        ("2026-01-31", "2026-01-31"),
        ("2026-02-01", "2026-02-01"),
        ("2026-01-31", "2026-02-01"),
    ] {
        keys.note_use(&kept.id, day).await.unwrap();
        assert_eq!(keys.get(&kept.id).await.unwrap().unwrap().last_used_on.as_deref(), Some(noted), "{day}");
    }
}

#[tokio::test]
async fn keys_are_listed_page_after_page_until_some_time_after_their_end() {
    let world = World::start().await;
    let keys = world.store().api_keys;
    let mut made = Vec::new();
    for _ in 0..5 {
        world.pass(Duration::from_secs(1));
        let (kept, _) = key(&world);
        keys.create(&kept, &by()).await.unwrap();
        made.insert(0, kept.id);
    }
    let listed = async |limit| {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = keys.page(limit, after.as_ref(), world.now()).await.unwrap();
            assert!(page.keys.len() <= limit);
            found.extend(page.keys.into_iter().map(|key| key.id));
            match page.next {
                Some(next) => after = Some(next),
                None => return found,
            }
        }
    };
    for limit in [1, 2, 5, 100] {
        assert_eq!(listed(limit).await, made, "{limit} a page, the newest first");
    }
    keys.revoke(&made[0], &by(), world.now()).await.unwrap();
    assert_eq!(listed(100).await, made, "what was revoked is still known");
    world.pass(Duration::from_hours(24 * 30));
    assert_eq!(listed(2).await, made[1..], "for thirty days");
    world.pass(Duration::from_hours(24));
    assert_eq!(listed(2).await, [], "and so is what has ended");
}

/// Creates a key.
async fn make(business: &Business, body: Value) -> Value {
    let made = business.ask(Method::POST, KEYS, &body).await;
    assert_eq!((made.status, &made.headers["cache-control"]), (201, &"no-store".parse().unwrap()), "{}", made.body);
    made.body
}

/// All keys, page by page.
async fn list(business: &Business, limit: usize) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = business.get(&format!("{KEYS}?limit={limit}{cursor}")).await;
        assert_eq!((page.status, &page.headers["cache-control"]), (200, &"no-store".parse().unwrap()), "{}", page.body);
        let keys = page.body["keys"].as_array().unwrap();
        assert!(keys.len() <= limit);
        found.extend(keys.iter().cloned());
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

async fn revoke(business: &Business, id: &str) -> Answer {
    business.ask(Method::DELETE, &format!("{KEYS}/{id}"), &json!({})).await
}

#[tokio::test]
async fn a_key_is_made_listed_and_revoked_and_its_text_is_shown_once() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let account = world.authorized_account().await;
    let ends_at = world.now().plus(Duration::from_hours(24 * 365)).rfc3339();
    let made = make(
        &business,
        json!({
            "name": " 订单 orders ", "scopes": ["calls", "accounts:read", "calls"], "appids": [account],
            "expires_at": ends_at, "in_url": true,
        }),
    )
    .await;
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let terms = json!({
        "id": id, "name": "订单 orders", "scopes": ["accounts:read", "calls"], "appids": [account],
        "expires_at": ends_at, "in_url": true, "created_at": world.now().rfc3339(),
    });
    let with = |more: Value| {
        let mut all = terms.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    assert_eq!(made, with(json!({ "key": key })));
    let text = KeyText::parse(key).unwrap();
    assert_eq!(text.id.as_str(), id);
    let store = world.store().api_keys;
    let stored = store.get(&text.id).await.unwrap().unwrap();
    assert!(stored.secret.matches(&KeyDigest::of(&text.secret)) && stored.is_valid(world.now()));

    let by = "arn:aws:sts::123456789012:assumed-role/orders";
    assert_eq!(list(&business, 10).await, [with(json!({ "created_by": by }))]);
    store.note_use(&text.id, "2027-01-15").await.unwrap();
    assert_eq!(list(&business, 10).await, [with(json!({ "created_by": by, "last_used_on": "2027-01-15" }))]);

    world.pass(Duration::from_mins(1));
    let revoked_at = world.now().rfc3339();
    for _ in 0..2 {
        let revoked = revoke(&business, id).await;
        assert_eq!((revoked.status, revoked.bytes.len()), (204, 0), "again: the same");
        assert_eq!(revoked.headers["cache-control"], "no-store");
        world.pass(Duration::from_mins(1));
    }
    let listed = list(&business, 10).await;
    assert_eq!(listed, [with(json!({ "created_by": by, "last_used_on": "2027-01-15", "revoked_at": revoked_at }))]);

    let secret = text.secret.expose_secret();
    let items = world.database.client().scan().table_name(TABLE).send().await.unwrap();
    for (place, shown) in
        [("the list", json!(listed).to_string()), ("the table", format!("{items:?}")), ("the log", world.log.text())]
    {
        assert!(!shown.contains(secret), "the secret is in {place}");
        assert!(shown.contains(id), "the id is in {place}");
    }
    for said in ["an API key was created", "an API key was revoked", "订单 orders", "accounts:read calls", by] {
        assert!(world.log.text().contains(said), "{said}");
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_made_is_refused_with_what_to_do() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let items = world.items().await;
    let now = world.now().rfc3339();
    for (body, detail) in [
        (json!({ "name": "", "scopes": ["links"] }), "name must have 1 to 64 visible characters"),
        (json!({ "name": "a\u{202e}b", "scopes": ["links"] }), "name must have"),
        (json!({ "name": "店".repeat(65), "scopes": ["links"] }), "name must have"),
        (json!({ "name": "a", "scopes": [] }), "scopes must be one or more of accounts:read"),
        (json!({ "name": "a", "scopes": null }), "scopes must be"),
        (json!({ "name": "a", "scopes": ["links", "link"] }), "scopes must be"),
        (json!({ "name": "a", "scopes": ["calls"], "appids": [] }), "appids must be 1 to 100"),
        (json!({ "name": "a", "scopes": ["calls"], "appids": ["gh_1"] }), "appids must be"),
        (
            json!({ "name": "a", "scopes": ["calls", "platform:calls"], "appids": ["wx1234567890abcdef"] }),
            "platform:calls concerns the platform and cannot be limited by appids",
        ),
        (
            json!({ "name": "a", "scopes": ["platform:tokens"], "appids": ["wx1234567890abcdef"] }),
            "platform:tokens concerns the platform",
        ),
        (json!({ "name": "a", "scopes": ["links"], "expires_at": now }), "expires_at must be a time in the future"),
        (json!({ "name": "a", "scopes": ["links"], "expires_at": "tomorrow" }), "expires_at must be"),
    ] {
        let refused = business.ask(Method::POST, KEYS, &body).await;
        assert_eq!((refused.status, refused.problem()), (400, "invalid-field"), "{body}");
        assert!(refused.detail().contains(detail), "{}", refused.detail());
    }
    for id in ["0123456789abcdefABCDE_", "short", "%2e%2e"] {
        let unknown = revoke(&business, id).await;
        assert_eq!((unknown.status, unknown.problem()), (404, "unknown-key"), "{id}");
    }
    assert_eq!(world.items().await, items, "nothing is stored");
    let stranger = Business::unsigned(&world);
    let body = json!({ "name": "a", "scopes": ["links"] });
    let refused = [
        stranger.ask(Method::POST, KEYS, &body).await,
        stranger.get(KEYS).await,
        revoke(&stranger, "0123456789abcdefABCDE_").await,
    ];
    assert!(refused.iter().all(|answer| (answer.status, answer.problem()) == (403, "no-identity")), "{refused:?}");
}

#[tokio::test]
async fn keys_are_listed_for_operators_page_after_page() {
    let world = World::ready().await;
    let business = Business::of(&world);
    assert_eq!(list(&business, 1).await, [] as [Value; 0]);
    let mut names = Vec::new();
    for number in 0..5 {
        world.pass(Duration::from_secs(1));
        let name = format!("service {number}");
        let ends_at = (number == 4).then(|| world.now().plus(Duration::from_hours(1)).rfc3339());
        make(&business, json!({ "name": name, "scopes": ["links"], "expires_at": ends_at })).await;
        names.insert(0, name);
    }
    let listed = async |limit| -> Vec<String> {
        let keys = list(&business, limit).await;
        keys.iter().map(|key| key["name"].as_str().unwrap().to_owned()).collect()
    };
    for limit in [1, 2, 5, 100] {
        assert_eq!(listed(limit).await, names, "{limit} a page");
    }
    let cursor = business.get(&format!("{KEYS}?limit=1")).await.body["next_cursor"].as_str().unwrap().to_owned();
    let elsewhere = business.get(&format!("/calls?cursor={cursor}")).await;
    assert_eq!(elsewhere.problem(), "invalid-parameter", "a cursor is of its list");

    world.pass(Duration::from_hours(24 * 31));
    assert_eq!(listed(2).await, names[1..], "a key that ended a month ago is forgotten, the others have no end");
}

#[tokio::test]
async fn a_key_whose_reply_the_table_lost_is_made_and_revoked_once() {
    let world = World::ready().await;
    let business = Business::of(&world);
    world.faults.next(1, Matching::operation("TransactWriteItems").containing("secret_digest"), Fault::LostReply);
    let made = make(&business, json!({ "name": "a", "scopes": ["links"] })).await;
    assert_eq!(list(&business, 10).await.len(), 1);
    world.faults.next(1, Matching::operation("TransactWriteItems").containing("revoked_at"), Fault::LostReply);
    assert_eq!(revoke(&business, made["id"].as_str().unwrap()).await.status, 204);
    assert_eq!(list(&business, 10).await[0]["revoked_at"], world.now().rfc3339());
}

//! The keys of services outside AWS: how they are kept.

use std::collections::BTreeSet;
use std::time::Duration;

use base::ids::AppId;
use base::random::Random;
use secrecy::ExposeSecret as _;
use store::{ApiKey, KeyDigest, KeyText, Scope, StoreError};
use stories::faults::{Fault, Matching};
use stories::world::World;

/// A key with everything that can be said of one, and its text.
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
    keys.create(&kept).await.unwrap();
    assert_eq!(keys.get(&kept.id).await.unwrap(), Some(kept.clone()));
    let requests = world.faults.all_requests();
    assert_eq!(requests.into_iter().collect::<Vec<_>>(), [("GetItem".to_owned(), 1), ("PutItem".to_owned(), 1)]);
    let items = world.database.client().scan().table_name(stories::world::TABLE).send().await.unwrap();
    assert!(!format!("{items:?}").contains(text.secret.expose_secret()), "the secret is in the table");

    let other = ApiKey { secret: KeyDigest::of(&"another".into()), ..kept.clone() };
    assert!(matches!(keys.create(&other).await, Err(StoreError::Contended { .. })));
    assert_eq!(keys.get(&kept.id).await.unwrap(), Some(kept));

    world.faults.next(1, Matching::operation("PutItem"), Fault::LostReply);
    let (lost, _) = key(&world);
    let lost = ApiKey { appids: None, ends_at: None, in_url: false, ..lost };
    keys.create(&lost).await.unwrap();
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
    assert!(!keys.revoke(&kept.id, world.now()).await.unwrap(), "there is no such key");
    assert_eq!(world.items().await, 0, "none is made by revoking it");

    keys.create(&kept).await.unwrap();
    world.faults.next(1, Matching::operation("UpdateItem"), Fault::LostReply);
    let then = world.now();
    assert!(keys.revoke(&kept.id, then).await.unwrap());
    world.pass(Duration::from_mins(1));
    assert!(keys.revoke(&kept.id, world.now()).await.unwrap());
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
    keys.create(&kept).await.unwrap();
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
        keys.create(&kept).await.unwrap();
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
    keys.revoke(&made[0], world.now()).await.unwrap();
    assert_eq!(listed(100).await, made, "what was revoked is still known");
    world.pass(Duration::from_hours(24 * 30));
    assert_eq!(listed(2).await, made[1..], "for thirty days");
    world.pass(Duration::from_hours(24));
    assert_eq!(listed(2).await, [], "and so is what has ended");
}

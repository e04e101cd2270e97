//! The function with another implementation of DynamoDB and Secrets Manager than in all other tests.

use std::time::Duration;

use serde_json::{Value, json};
use stories::bootstrap::Bootstrap;
use stories::moto::Moto;
use stories::world::World;

use super::{BINARY, asks, makes_a_key, patches, with_key};

/// Run by hand: `pip install 'moto[server]'`, then `cargo test -p processes -- --ignored moto`.
#[tokio::test]
#[ignore = "needs moto_server on the PATH, a Python program"]
async fn moto_agrees_on_lists_pages_and_patches() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    let accounts = [world.account(0), world.account(1), world.account(2)];
    for account in &accounts {
        world.push_and_work(&world.merchant_authorizes(account).push).await;
    }
    let moto = Moto::start().await;
    moto.take_over(&world).await;
    let function = Bootstrap::with(BINARY, &world, |variables| moto.redirect(variables)).await;
    for account in &accounts {
        let patched = function.request(&patches(account, r#"{"reference":"shop 7"}"#)).await;
        assert_eq!(patched.status, 200, "{patched:?}");
    }
    for query in ["limit=2", "state=active&limit=2", "reference=shop%207&limit=2"] {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = function.request(&asks("GET", "/accounts").query(&format!("{query}{cursor}"))).await;
            let page: Value = serde_json::from_str(&page.body).unwrap();
            found.extend(page["accounts"].as_array().unwrap().iter().map(|account| account["appid"].clone()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let mut expected: Vec<Value> = accounts.iter().map(|account| json!(account)).collect();
        expected.sort_unstable_by_key(Value::to_string);
        assert_eq!(found, expected, "{query}");
    }
    let gone = function.request(&patches(&accounts[0], r#"{"reference":null}"#)).await;
    assert_eq!(gone.status, 200, "{gone:?}");
    let left = function.request(&asks("GET", "/accounts").query("reference=shop%207")).await;
    let left: Value = serde_json::from_str(&left.body).unwrap();
    assert_eq!(left["accounts"].as_array().map(Vec::len), Some(2));
}

/// Run by hand, like the one above.
#[tokio::test]
#[ignore = "needs moto_server on the PATH, a Python program"]
async fn moto_agrees_on_keys_and_what_they_permit() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    let account = world.authorized_account().await;
    let moto = Moto::start().await;
    moto.take_over(&world).await;
    let start = || Bootstrap::with(BINARY, &world, |variables| moto.redirect(variables));
    let function = start().await;
    let read = |body: &str| serde_json::from_str::<Value>(body).unwrap();
    let mut made = Vec::new();
    for _ in 0..3 {
        let answer = function.request(&makes_a_key(&account)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        made.push(read(&answer.body));
    }
    let text = |number: usize, member: &str| made[number][member].as_str().unwrap().to_owned();
    for number in 0..3 {
        let seen = function.request(&with_key("GET", "/accounts", &text(number, "key"))).await;
        assert_eq!((seen.status, &read(&seen.body)["accounts"][0]["appid"]), (200, &json!(account)), "{seen:?}");
    }
    for _ in 0..2 {
        assert_eq!(function.request(&asks("DELETE", &format!("/keys/{}", text(1, "id")))).await.status, 204);
    }
    assert_eq!(function.request(&asks("DELETE", "/keys/AAAAAAAAAAAAAAAAAAAAAA")).await.problem(), "unknown-key");

    let (mut listed, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = function.request(&asks("GET", "/keys").query(&format!("limit=2{cursor}"))).await;
        let page = read(&page.body);
        listed.extend(page["keys"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(listed.len(), 3, "{listed:?}");
    for key in &listed {
        let is_revoked = key["id"] == made[1]["id"];
        assert_eq!((key["revoked_at"].is_string(), key["last_used_on"].is_string()), (is_revoked, true), "{key}");
    }
    let another = start().await;
    for (number, status) in [(0, 200), (1, 401), (2, 200)] {
        let answer = another.request(&with_key("GET", &format!("/accounts/{account}"), &text(number, "key"))).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
}

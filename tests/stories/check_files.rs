//! The files with which WeChat checks a domain: how operators store, list and remove them with the API.

mod operators;
mod served;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use http::Method;
use serde_json::{Value, json};
use store::{CheckFile, CheckFileOrigin, MAX_CHECK_FILES, NewCheckFile};
use stories::business::{Answer, Business, CHECK_FILES};
use stories::faults::{Fault, Matching};
use stories::world::{COMPONENT, TABLE, World};
use wechat::check_file::{CheckFileContent, CheckFileName};

/// Names as WeChat gives them by API, and in an account's own console.
const BY_API: &str = "87PweoaRBw.txt";
const OF_CONSOLE: &str = "MP_verify_a1B2c3D4e5F6g7H8.txt";

const CONTENT: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

async fn put(business: &Business, file: &str, content: &str) -> Answer {
    business.ask(Method::PUT, &format!("{CHECK_FILES}/{file}"), &json!({ "content": content })).await
}

async fn remove(business: &Business, file: &str) -> Answer {
    business.ask(Method::DELETE, &format!("{CHECK_FILES}/{file}"), &Value::Null).await
}

/// The names of all files, read page by page.
async fn names(business: &Business) -> Vec<String> {
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = business.get(&format!("{CHECK_FILES}?limit=2{cursor}")).await;
        assert_eq!(page.status, 200, "{}", page.body);
        names.extend(page.body["files"].as_array().unwrap().iter().map(|it| it["file"].as_str().unwrap().to_owned()));
        let Some(next) = page.body["next_cursor"].as_str() else { return names };
        cursor = format!("&cursor={next}");
    }
}

/// A file that somebody has stored.
fn file(world: &World, name: &str) -> CheckFile {
    CheckFile {
        name: CheckFileName::parse(name).unwrap(),
        content: CheckFileContent::parse(CONTENT).unwrap(),
        origin: CheckFileOrigin::Manual,
        stored_at: world.now(),
    }
}

#[tokio::test]
async fn an_operator_puts_replaces_lists_and_removes_check_files() {
    let world = World::start().await;
    let business = Business::of(&world);
    assert!(names(&business).await.is_empty());
    for name in [OF_CONSOLE, BY_API, "AAAAAAAAAA.txt"] {
        assert_eq!(put(&business, name, CONTENT).await.status, 200);
    }
    let replaced = put(&business, BY_API, "abcdefghij0123456789").await;
    let known = json!({
        "file": BY_API, "content": "abcdefghij0123456789", "origin": "manual", "stored_at": world.now().rfc3339(),
    });
    assert_eq!((replaced.status, &replaced.body), (200, &known));
    assert_eq!(names(&business).await, [BY_API, "AAAAAAAAAA.txt", OF_CONSOLE]);
    assert_eq!(business.get(CHECK_FILES).await.body["files"][0], known);

    assert_eq!(remove(&business, BY_API).await.status, 204);
    let again = remove(&business, BY_API).await;
    assert_eq!((again.status, again.problem()), (404, "unknown-check-file"));
    assert_eq!(names(&business).await, ["AAAAAAAAAA.txt", OF_CONSOLE]);
    let log = world.log.text();
    assert!(log.contains("a check file was stored") && log.contains("a check file was removed"), "{log}");
}

#[tokio::test]
async fn a_file_that_wechat_did_not_create_is_refused_with_the_reason() {
    let world = World::start().await;
    let business = Business::of(&world);
    for (name, content, reason) in [
        (BY_API, "\u{feff}0f1e2d3c4b5a69788796a5b4c3d2e1f0", "byte order mark"),
        (BY_API, "0f1e2d3c4b5a69788796a5b4c3d2e1f0\n", "line break"),
        (BY_API, "0f1e2d3c4b5a69788796a5b4c3d2e1f0\r\n", "line break"),
        (BY_API, "", "16 to 64 letters or digits"),
        (BY_API, "<script>alert(1)</script>", "16 to 64 letters or digits"),
        ("87PweoaRBw.TXT", CONTENT, "87PweoaRBw.txt"),
        ("87PweoaRBw1.txt", CONTENT, "10 letters or digits"),
        ("..%2f87Pweoa.txt", CONTENT, "10 letters or digits"),
        ("%E5%BE%AE%E4%BF%A10123.txt", CONTENT, "10 letters or digits"),
        ("robots.txt", CONTENT, "10 letters or digits"),
    ] {
        let refused = put(&business, name, content).await;
        assert_eq!((refused.status, refused.problem()), (400, "invalid-check-file"), "{name} {content:?}");
        assert!(refused.detail().contains(reason), "{name} {content:?}: {}", refused.detail());
    }
    assert_eq!(world.items().await, 0);
    let elsewhere = remove(&business, "..%2f87Pweoa.txt").await;
    assert_eq!((elsewhere.status, elsewhere.problem()), (404, "unknown-check-file"));
}

/// Stores the most files that are permitted, without the count that each new one costs.
async fn fill(world: &World) {
    let attributes = |number: usize| {
        let text = |text: String| AttributeValue::S(text);
        HashMap::from([
            ("pk".to_owned(), text(format!("{COMPONENT}#check-file"))),
            ("sk".to_owned(), text(format!("{number:010}.txt"))),
            ("content".to_owned(), text(CONTENT.to_owned())),
            ("stored_at".to_owned(), AttributeValue::N("1".to_owned())),
        ])
    };
    let numbers: Vec<usize> = (0..MAX_CHECK_FILES).collect();
    for batch in numbers.chunks(25) {
        let put = |number: &usize| PutRequest::builder().set_item(Some(attributes(*number))).build().unwrap();
        let writes = batch.iter().map(|number| WriteRequest::builder().put_request(put(number)).build()).collect();
        let write = world.database.client().batch_write_item().request_items(TABLE, writes);
        assert!(write.send().await.unwrap().unprocessed_items.unwrap_or_default().is_empty());
    }
}

#[tokio::test]
async fn check_files_are_stored_up_to_their_greatest_number() {
    let world = World::start().await;
    let business = Business::of(&world);
    fill(&world).await;
    let refused = put(&business, BY_API, CONTENT).await;
    assert_eq!((refused.status, refused.problem()), (409, "too-many-check-files"));
    assert!(refused.detail().contains("1000") && refused.detail().contains("DELETE"), "{}", refused.detail());
    assert_eq!(put(&business, "0000000007.txt", "abcdefghij0123456789").await.status, 200, "one that is there");
    assert_eq!(remove(&business, "0000000007.txt").await.status, 204);
    assert_eq!(put(&business, BY_API, CONTENT).await.status, 200);
}

#[tokio::test]
async fn a_check_file_costs_a_write_and_a_lost_reply_nothing() {
    let world = World::start().await;
    let files = world.store().check_files;
    let file = file(&world, BY_API);
    let counted = |requests: &[(&str, usize)]| {
        let requests: Vec<_> = requests.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        assert_eq!(world.faults.all_requests().into_iter().collect::<Vec<_>>(), requests);
        world.faults.reset_counts();
    };
    world.faults.reset_counts();
    files.put(&file).await.unwrap();
    counted(&[("Query", 1), ("UpdateItem", 2)]);
    files.put(&file).await.unwrap();
    counted(&[("UpdateItem", 1)]);
    assert_eq!(files.get(&file.name).await.unwrap().as_ref(), Some(&file));
    counted(&[("GetItem", 1)]);

    world.faults.next(1, Matching::operation("UpdateItem"), Fault::LostReply);
    assert_eq!(files.put(&file).await.unwrap(), NewCheckFile::Stored);
    world.faults.next(1, Matching::operation("DeleteItem"), Fault::LostReply);
    assert!(!files.remove(&file.name).await.unwrap(), "our own first try has removed it");
    assert_eq!(files.get(&file.name).await.unwrap(), None);
}

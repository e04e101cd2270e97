//! The operator copies a restored table.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use local::dynamodb::Embedded;
use local::table::create_table;
use ops::copy_table::{Copied, CopyError, copy};

async fn put(client: &Client, table: &str, key: &str, text: &str) {
    let value = |text: &str| AttributeValue::S(text.to_owned());
    let put = client.put_item().table_name(table).item("pk", value(key)).item("sk", value("account"));
    put.item("text", value(text)).send().await.unwrap();
}

/// Key and text of every item.
async fn texts(client: &Client, table: &str) -> Vec<(String, String)> {
    let pages = client.scan().table_name(table).into_paginator().items().send();
    let items: Vec<HashMap<String, AttributeValue>> = pages.try_collect().await.unwrap();
    let text = |item: &HashMap<String, AttributeValue>, name: &str| item[name].as_s().unwrap().clone();
    let mut texts: Vec<_> = items.iter().map(|item| (text(item, "pk"), text(item, "text"))).collect();
    texts.sort_unstable();
    texts
}

async fn two_tables() -> (Embedded, Client) {
    let database = Embedded::memory().unwrap();
    let client = database.client();
    for name in ["restored", "live"] {
        create_table(&client, name).await.unwrap();
    }
    (database, client)
}

#[tokio::test]
async fn what_is_missing_is_copied_and_what_is_there_stays() {
    let (_database, client) = two_tables().await;
    // More than a page of a megabyte.
    let long = "x".repeat(100_000);
    for number in 0..25 {
        put(&client, "restored", &format!("old-{number:02}"), &long).await;
    }
    put(&client, "restored", "both", "old").await;
    put(&client, "live", "both", "new").await;
    put(&client, "live", "only", "new").await;

    let copied = copy(&client, "restored", "live").await.unwrap();
    assert_eq!(copied, Copied { copied: 25, kept: 1 });
    let live = texts(&client, "live").await;
    assert_eq!(live.len(), 27);
    assert_eq!(live[0], ("both".to_owned(), "new".to_owned()));
    assert!(live.iter().any(|(key, text)| key == "old-24" && *text == long));

    let again = copy(&client, "restored", "live").await.unwrap();
    assert_eq!(again, Copied { copied: 0, kept: 26 });
    assert_eq!(texts(&client, "restored").await.len(), 26);
}

#[tokio::test]
async fn what_businesses_said_comes_back_to_accounts_that_are_known_again_already() {
    let (_database, client) = two_tables().await;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let details = |table: &str, account: &str| {
        let put = client.put_item().table_name(table).item("sk", text("details"));
        put.item("pk", text(&format!("wx1#details#{account}")))
    };
    let tags = AttributeValue::M(HashMap::from([("plan".to_owned(), text("gold"))]));
    let said =
        |put: PutItemFluentBuilder, reference: &str| put.item("reference", text(reference)).item("tags", tags.clone());
    said(details("restored", "wx1"), "shop 1").send().await.unwrap();
    said(details("restored", "wx2"), "shop 2").send().await.unwrap();
    details("live", "wx1").item("state", text("active")).send().await.unwrap();
    details("live", "wx2").item("reference", text("newer")).send().await.unwrap();

    copy(&client, "restored", "live").await.unwrap();
    let items: Vec<_> = client.scan().table_name("live").into_paginator().items().send().try_collect().await.unwrap();
    let of = |account: &str| {
        let item = items.iter().find(|item| item["pk"].as_s().unwrap().ends_with(account)).unwrap();
        (item["reference"].as_s().unwrap().as_str(), item["tags"] == tags, item.contains_key("state"))
    };
    assert_eq!((of("wx1"), of("wx2")), (("shop 1", true, true), ("newer", true, false)));
}

#[tokio::test]
async fn a_table_that_is_not_there_is_named() {
    let (_database, client) = two_tables().await;
    let error = copy(&client, "nowhere", "live").await.unwrap_err().to_string();
    assert!(error.contains("table nowhere") && error.contains("--region"), "{error}");
    let error = copy(&client, "restored", "nowhere").await.unwrap_err().to_string();
    assert!(error.contains("table nowhere"), "{error}");
    assert!(matches!(copy(&client, "live", "live").await, Err(CopyError::Same(_))));
}

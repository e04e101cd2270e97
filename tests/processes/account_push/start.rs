//! The configuration without which the process does not start.

use std::time::Duration;

use stories::bootstrap::Bootstrap;
use stories::world::World;

use super::BINARY;

async fn world() -> World {
    World::beside_processes(Duration::ZERO, |_| {}).await
}

#[tokio::test]
async fn a_missing_variable_ends_the_start_and_is_named() {
    let world = world().await;
    for name in ["TABLE_NAME", "SECRET_ID", "EVENT_BUS_NAME"] {
        for value in [None, Some("")] {
            let output = Bootstrap::fails_with(BINARY, &world, name, value).await;
            assert!(output.contains(name), "{output}");
        }
    }
}

#[tokio::test]
async fn a_malformed_variable_ends_the_start_and_is_named_without_its_value() {
    let world = world().await;
    for (name, bad) in [
        ("REPLY_WEBHOOK_URL", "app.example.com/s3cr3t"),
        ("REPLY_WEBHOOK_URL", "ftp://app.example.com/s3cr3t"),
        ("REPLY_WEBHOOK_URL", "http://app.example.com/hook?key=s3cr3t"),
        ("REPLY_WEBHOOK_URL", "https://user:s3cr3t@app.example.com/hook"),
        ("REPLY_WEBHOOK_URL", "https://app.example.com/hook#s3cr3t"),
        ("RELEASE_CHECK_ACCOUNTS", "wx570bc396a51b8ff8;s3cr3t"),
        ("METRICS_NAMESPACE", "AWS/s3cr3t"),
    ] {
        let output = Bootstrap::fails_with(BINARY, &world, name, Some(bad)).await;
        assert!(output.contains(name) && !output.contains("s3cr3t"), "{bad}: {output}");
    }
}

#[tokio::test]
async fn a_webhook_without_tls_ends_the_start_even_on_this_machine() {
    let world = world().await;
    for url in ["http://127.0.0.1:9/hook?key=s3cr3t", "http://localhost:9/", "http://[::1]:9/"] {
        let output = Bootstrap::fails_with(BINARY, &world, "REPLY_WEBHOOK_URL", Some(url)).await;
        assert!(output.contains("REPLY_WEBHOOK_URL") && output.contains("https://"), "{url}: {output}");
        assert!(!output.contains("s3cr3t"), "{output}");
    }
}

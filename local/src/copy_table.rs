//! `cargo run -- copy-table FROM TO`: brings what a table lacks from another one, such as a restored backup.
//!
//! What stands in the target is newer and stays: each item is written under the condition that there is none with its
//! key. So the command may be run again after a failure, and beside functions that are at work.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use futures::StreamExt as _;
use futures::stream;

use crate::cause::Cause;

/// Writes under way at once: some hundred items a second over a distance.
const WINDOW: usize = 32;

/// A page of a scan is a megabyte.
const TRY: Duration = Duration::from_secs(20);

/// One operation, with its tries again.
const OPERATION: Duration = Duration::from_mins(1);

/// What was done.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Items that the target lacked.
    pub copied: u64,
    /// Items that were there already.
    pub kept: u64,
}

/// Why not everything was copied. What was copied stays.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A table cannot be copied into itself.
    #[error("{0} is named twice: name the table to copy from, then the one to copy to")]
    Same(String),
    /// DynamoDB did not do what was asked.
    #[error("{problem} (table {table}, after {} items): {advice}. Run the command again to go on", done.copied + done.kept)]
    Refused {
        /// What went wrong.
        problem: String,
        /// The table that was asked.
        table: String,
        /// What was done until then.
        done: Copied,
        /// What to do.
        advice: String,
    },
}

/// DynamoDB, bounded in time for pages of a scan.
#[must_use]
pub fn client(config: &SdkConfig) -> Client {
    let bounds = TimeoutConfig::builder().operation_attempt_timeout(TRY).operation_timeout(OPERATION).build();
    Client::new(&config.to_builder().timeout_config(bounds).build())
}

/// Copies every item of the table `from` that the table `to` lacks.
///
/// # Errors
/// [`CopyError`]; what was copied until then stays.
pub async fn copy(client: &Client, from: &str, to: &str) -> Result<Copied, CopyError> {
    if from == to {
        return Err(CopyError::Same(from.to_owned()));
    }
    let mut done = Copied::default();
    // Before anything is read: a source without items would hide that there is no target.
    for table in [from, to] {
        let described = client.describe_table().table_name(table).send().await;
        described.map_err(|error| refused(&error, "dynamodb:DescribeTable", table, done))?;
    }
    let mut pages = client.scan().table_name(from).consistent_read(true).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| refused(&error, "dynamodb:Scan", from, done))?;
        let mut writes = stream::iter(page.items.unwrap_or_default())
            .map(|item| {
                let put = client.put_item().table_name(to).set_item(Some(item));
                put.condition_expression("attribute_not_exists(pk)").send()
            })
            .buffer_unordered(WINDOW);
        while let Some(written) = writes.next().await {
            match written {
                Ok(_) => done.copied += 1,
                Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => {
                    done.kept += 1;
                }
                Err(error) => return Err(refused(&error, "dynamodb:PutItem", to, done)),
            }
        }
    }
    Ok(done)
}

fn refused<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>, action: &str, table: &str, done: Copied) -> CopyError {
    let cause = Cause::of(error);
    CopyError::Refused { problem: cause.sentence(action), table: table.to_owned(), done, advice: cause.advice(action) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use aws_sdk_dynamodb::types::AttributeValue;

    use super::*;
    use crate::dynamodb::Embedded;
    use crate::table::create_table;

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
    async fn a_table_that_is_not_there_is_named() {
        let (_database, client) = two_tables().await;
        let error = copy(&client, "nowhere", "live").await.unwrap_err().to_string();
        assert!(error.contains("table nowhere") && error.contains("--region"), "{error}");
        let error = copy(&client, "restored", "nowhere").await.unwrap_err().to_string();
        assert!(error.contains("table nowhere"), "{error}");
        assert!(matches!(copy(&client, "live", "live").await, Err(CopyError::Same(_))));
    }
}

//! `cargo ops copy-table FROM TO`: copies the items that a table lacks from another one, such as a restored backup.
//!
//! What the target already has is newer and is kept: each item is written on the condition that there is none with its
//! key. So the command may be run again after a failure, and while functions are running. Only the backup has what
//! businesses have said about accounts: it is added to the details that the platform has created again.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use futures::StreamExt as _;
use futures::stream;
use runtime::aws::AwsFailure;
use store::{DETAILS_SORT, LABEL_ATTRIBUTES};

use crate::explain::Explain as _;

/// The number of concurrent writes: some hundred items per second over a long distance.
const WINDOW: usize = 32;

/// The time-out of one try: a page of a scan is a megabyte.
const TRY: Duration = Duration::from_secs(20);

/// The time-out of one operation, including its retries.
const OPERATION: Duration = Duration::from_mins(1);

/// The result of a copy.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Items that the target lacked.
    pub copied: u64,
    /// Items that the target already had.
    pub kept: u64,
}

/// Why not everything was copied. What was copied is kept.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A table cannot be copied to itself.
    #[error("{0} is named twice: name the table to copy from, then the one to copy to")]
    Same(String),
    /// A DynamoDB operation failed.
    #[error("{problem} (table {table}, after {} items): {advice}. Run the command again to continue", done.copied + done.kept)]
    Refused {
        /// What is wrong.
        problem: String,
        /// The table of the operation.
        table: String,
        /// What was copied until then.
        done: Copied,
        /// What to do.
        advice: String,
    },
}

/// A DynamoDB client with time-outs for pages of a scan.
#[must_use]
pub fn client(config: &SdkConfig) -> Client {
    let bounds = TimeoutConfig::builder().operation_attempt_timeout(TRY).operation_timeout(OPERATION).build();
    Client::new(&config.to_builder().timeout_config(bounds).build())
}

/// Copies every item of the table `from` that the table `to` lacks.
///
/// # Errors
/// [`CopyError`]; what was copied until then is kept.
pub async fn copy(client: &Client, from: &str, to: &str) -> Result<Copied, CopyError> {
    if from == to {
        return Err(CopyError::Same(from.to_owned()));
    }
    let mut done = Copied::default();
    // Checked before anything is read: with an empty source, a missing target would go unnoticed.
    for table in [from, to] {
        let described = client.describe_table().table_name(table).send().await;
        described.map_err(|error| refused(&error, "dynamodb:DescribeTable", table, done))?;
    }
    let mut labelled = Vec::new();
    let mut pages = client.scan().table_name(from).consistent_read(true).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| refused(&error, "dynamodb:Scan", from, done))?;
        let items = page.items.unwrap_or_default();
        labelled.extend(items.iter().filter_map(|item| added_labels(client, to, item)));
        let mut writes = stream::iter(items)
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
        for labels in labelled.drain(..) {
            labels.send().await.map_err(|error| refused(&error, "dynamodb:UpdateItem", to, done))?;
        }
    }
    Ok(done)
}

/// The write that adds what a business has said about an account to the target's details of the account, if these have
/// nothing of the kind; `None` for an item without it.
fn added_labels(client: &Client, to: &str, item: &HashMap<String, AttributeValue>) -> Option<UpdateItemFluentBuilder> {
    if item.get("sk")?.as_s().ok()? != DETAILS_SORT {
        return None;
    }
    let said: Vec<&str> = LABEL_ATTRIBUTES.into_iter().filter(|name| item.contains_key(*name)).collect();
    if said.is_empty() {
        return None;
    }
    let set: Vec<String> = said.iter().map(|name| format!("#{name} = if_not_exists(#{name}, :{name})")).collect();
    let update = client.update_item().table_name(to).update_expression(format!("SET {}", set.join(", ")));
    let update =
        ["pk", "sk"].into_iter().try_fold(update, |update, name| Some(update.key(name, item.get(name)?.clone())))?;
    said.iter().try_fold(update, |update, name| {
        let update = update.expression_attribute_names(format!("#{name}"), *name);
        Some(update.expression_attribute_values(format!(":{name}"), item.get(*name)?.clone()))
    })
}

fn refused<E, R>(error: &SdkError<E, R>, action: &str, table: &str, done: Copied) -> CopyError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let failure = AwsFailure::of(error);
    CopyError::Refused {
        problem: failure.sentence(action),
        table: table.to_owned(),
        done,
        advice: failure.advice(action),
    }
}

//! The table itself: whether it exists, and whether it is as the template defines it.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    ContinuousBackupsDescription, IndexStatus, PointInTimeRecoveryStatus, TableDescription, TableStatus,
    TimeToLiveStatus,
};
use runtime::aws::{AwsFailure, FailureKind};
use store::{DUE_INDEX, LIST_INDEX};

use super::refused;
use crate::deployment::Target;
use crate::explain::Explain as _;
use crate::finding::Finding;

const CHECK: &str = "table";

const AGAIN: &str = "deploy template.yaml again; it defines the table";

/// Checks the table's definition, and returns whether checking items makes sense. Whether items can be read is for the
/// checks of the items.
pub(super) async fn examine(client: &Client, name: &str, target: Target) -> (Vec<Finding>, bool) {
    const ACTION: &str = "dynamodb:DescribeTable";
    let table = match client.describe_table().table_name(name).send().await {
        Ok(output) => output.table.unwrap_or_else(|| TableDescription::builder().build()),
        Err(error) => {
            let failure = AwsFailure::of(&error);
            let finding = match failure.kind {
                FailureKind::NotFound => Finding::wrong(CHECK, format!("there is no table {name}"), missing(target)),
                _ => refused(CHECK, &failure, ACTION, target),
            };
            let away = [FailureKind::NotFound, FailureKind::Timeout, FailureKind::Connection].contains(&failure.kind);
            return (vec![finding], !away);
        }
    };
    let mut findings = definition(&table);
    findings.extend(expiry(client, name).await);
    if target != Target::Local {
        if table.deletion_protection_enabled != Some(true) {
            let sentence = "deletion protection is off: one wrong click loses every account's token";
            findings.push(Finding::warning(CHECK, sentence, "deploy with Stage=production, unless this is a test"));
        }
        findings.extend(backups(client, name).await);
    }
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, format!("{name} exists, with its indexes, its stream and its expiry")));
    }
    (findings, true)
}

const fn missing(target: Target) -> &'static str {
    match target {
        Target::Local => "restart cargo run, which creates it",
        Target::Aws | Target::Emulator => "restore it from its backup under this name, or deploy the stack again",
    }
}

/// The indexes, and the consequence if one is missing.
const INDEXES: [(&str, &str); 2] =
    [(DUE_INDEX, "nothing that falls due would be found"), (LIST_INDEX, "no account could be listed")];

fn definition(table: &TableDescription) -> Vec<Finding> {
    let mut findings = Vec::new();
    match table.table_status() {
        Some(TableStatus::Active) | None => {}
        Some(status) => {
            let sentence = format!("it is not ready: its state is {}", status.as_str());
            findings.push(Finding::wrong(
                CHECK,
                sentence,
                "wait until it is ACTIVE; if that takes long, look at DynamoDB's console",
            ));
        }
    }
    for (name, without) in INDEXES {
        match table.global_secondary_indexes().iter().find(|index| index.index_name() == Some(name)) {
            None => findings.push(Finding::wrong(CHECK, format!("it has no index {name}: {without}"), AGAIN)),
            Some(index) if index.index_status().is_some_and(|status| *status != IndexStatus::Active) => {
                let sentence = format!("its index {name} is not ready yet");
                findings.push(Finding::wrong(CHECK, sentence, "wait until it is ACTIVE"));
            }
            Some(_) => {}
        }
    }
    if !table.stream_specification().is_some_and(|stream| stream.stream_enabled) {
        let sentence = "its stream is off: pushes take effect only every 5 minutes";
        findings.push(Finding::wrong(CHECK, sentence, AGAIN));
    }
    findings
}

async fn expiry(client: &Client, name: &str) -> Option<Finding> {
    const ACTION: &str = "dynamodb:DescribeTimeToLive";
    match client.describe_time_to_live().table_name(name).send().await {
        Ok(output) => {
            let status = output.time_to_live_description.and_then(|described| described.time_to_live_status);
            let on = matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling));
            let sentence = "its expiry is off: links and inbox entries are kept forever";
            (!on).then(|| Finding::warning(CHECK, sentence, AGAIN))
        }
        Err(error) => Some(unseen(&AwsFailure::of(&error), ACTION)),
    }
}

async fn backups(client: &Client, name: &str) -> Option<Finding> {
    const ACTION: &str = "dynamodb:DescribeContinuousBackups";
    match client.describe_continuous_backups().table_name(name).send().await {
        Ok(output) => {
            let on = |described: &ContinuousBackupsDescription| {
                let status = described.point_in_time_recovery_description()?.point_in_time_recovery_status()?;
                Some(*status == PointInTimeRecoveryStatus::Enabled)
            };
            let on = output.continuous_backups_description.as_ref().and_then(on) == Some(true);
            let sentence = "point-in-time recovery is off: lost data cannot be restored";
            (!on).then(|| Finding::warning(CHECK, sentence, AGAIN))
        }
        Err(error) => Some(unseen(&AwsFailure::of(&error), ACTION)),
    }
}

fn unseen(failure: &AwsFailure, action: &str) -> Finding {
    Finding::warning(CHECK, failure.sentence(action), failure.advice(action))
}

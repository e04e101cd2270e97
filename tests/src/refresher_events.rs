//! The events of token-refresher: the ticks of EventBridge Scheduler and a batch of the table's stream.

use serde_json::{Value, json};

/// The five-minute tick.
#[must_use]
pub fn renew() -> Value {
    json!({ "task": "renew" })
}

/// The five-minute tick of one of several runs that share the accounts.
#[must_use]
pub fn renew_part(part: u64, of: u64) -> Value {
    json!({ "task": "renew", "part": part, "of": of })
}

/// The hourly tick.
#[must_use]
pub fn reconcile() -> Value {
    json!({ "task": "reconcile" })
}

/// The inserts of items with these keys (`pk`, `sk`), as a stream of keys reports them.
#[must_use]
pub fn inserts<'a>(keys: impl IntoIterator<Item = &'a (String, String)>) -> Value {
    let record = |(number, (pk, sk)): (usize, &(String, String))| {
        json!({
            "eventID": format!("{number:032}"),
            "eventName": "INSERT",
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": "us-east-1",
            "dynamodb": {
                "ApproximateCreationDateTime": 1_700_000_000,
                "Keys": { "pk": { "S": pk }, "sk": { "S": sk } },
                "SequenceNumber": format!("{number:021}"),
                "SizeBytes": pk.len() + sk.len(),
                "StreamViewType": "KEYS_ONLY",
            },
            "eventSourceARN": "arn:aws:dynamodb:us-east-1:123456789012:table/wechat-platform/stream/2023-11-14T22:13:20.000",
        })
    };
    json!({ "Records": keys.into_iter().enumerate().map(record).collect::<Vec<_>>() })
}

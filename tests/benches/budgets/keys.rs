//! The cost of the check of an API key in token-api: the same request with a key and with an identity of IAM,
//! alternately, to one warm process; and how often a key is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use base::random::Random;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use store::{KeyDigest, KeyText};
use stories::http_events::HttpEvent;

use crate::build;
use crate::calls::{self, ACCOUNT, SERVICE};
use crate::http::Request;
use crate::lambda::Function;
use crate::platform::{Aws, COMPONENT};
use crate::report::{Report, median};

/// Requests before the measurement, and in it.
const WARM_UP: u32 = 20;
const REQUESTS: u32 = 1_000;

/// Keys of services.
const KEYS: usize = 10;

pub(crate) fn measure(report: &mut Report) {
    let keys: Vec<KeyText> = (0..KEYS).map(|_| KeyText::generate(&Random::system())).collect();
    let reads = Arc::new(AtomicU32::new(0));
    let (known, counted) = (keys.clone(), Arc::clone(&reads));
    let aws = Aws::start(move |operation, request| match key_in(&known, request) {
        Some(key) if operation == "GetItem" => {
            counted.fetch_add(1, Ordering::Relaxed);
            key
        }
        _ => calls::table(operation, request),
    });
    let counted = || f64::from(reads.swap(0, Ordering::Relaxed));
    let function = Function::start(&build::function("token-api"), &[], &aws.variables());
    let asks = |authorization: &str, status: u16| {
        let event = HttpEvent::new("GET", &format!("/v1/tokens/{ACCOUNT}")).header("authorization", authorization);
        invoke(&function, &event, status)
    };
    let bearer = |key: &KeyText| format!("Bearer {}", key.text().expose_secret());

    for key in &keys {
        asks(&bearer(key), 200);
    }
    #[expect(clippy::cast_precision_loss, reason = "ten")]
    let each = counted() / KEYS as f64;
    report.at_most("a key that a process has not seen: reads", 1.0, each, "", "");
    report.at_least("the same, and it is read", 1.0, each, "", "");

    let signed = HttpEvent::new("GET", &format!("/tokens/{ACCOUNT}")).route("/tokens/{appid}").iam(SERVICE);
    let [first, ..] = &keys[..] else { return };
    let (mut with_key, mut by_iam) = (Vec::new(), Vec::new());
    for round in 0..WARM_UP + REQUESTS {
        let one = asks(&bearer(first), 200);
        let other = invoke(&function, &signed, 200);
        if round >= WARM_UP {
            with_key.push(one);
            by_iam.push(other);
        }
    }
    let (with_key, by_iam) = (median(with_key), median(by_iam));
    let note = format!("with IAM {by_iam:.3} ms, with a key {with_key:.3}");
    report.at_most("a key's check, warm", 0.1, with_key - by_iam, "ms", &note);
    report.at_most("the same: reads of the key", 0.0, counted(), "", &format!("in {} requests", WARM_UP + REQUESTS));

    let short = bearer(first);
    for malformed in ["", "Bearer", "Bearer wxp_short", &short[..short.len() - 1], "Basic d3hwOg==", &"a".repeat(7_000)]
    {
        asks(malformed, 401);
    }
    report.at_most("a malformed key: reads", 0.0, counted(), "", "");
}

/// Sends a request, and returns how long it took, in milliseconds.
fn invoke(function: &Function, event: &HttpEvent, status: u16) -> f64 {
    let event = event.build().to_string();
    let begun = Instant::now();
    let (answered, answer) = function.invoke(&event);
    assert!(answer.contains(&format!("\"statusCode\":{status}")), "{answer}");
    (answered - begun).as_secs_f64() * 1e3
}

/// The response to a read of one of the keys, which was used today, so that nothing is recorded.
fn key_in(keys: &[KeyText], request: &Request) -> Option<String> {
    let body: Value = serde_json::from_slice(&request.body).ok()?;
    let partition = body["Key"]["pk"]["S"].as_str()?;
    let key = keys.iter().find(|key| partition == format!("{COMPONENT}#key#{}", key.id))?;
    let item = json!({
        "pk": { "S": partition }, "sk": { "S": "key" },
        "name": { "S": "crm" },
        "scopes": { "L": [{ "S": "tokens" }] },
        "appids": { "L": [{ "S": ACCOUNT }] },
        "secret_digest": { "S": KeyDigest::of(&key.secret).as_str() },
        "created_at": { "N": "1" },
        "created_by": { "S": SERVICE },
        "last_used_on": { "S": "9999-12-31" },
    });
    Some(json!({ "Item": item }).to_string())
}

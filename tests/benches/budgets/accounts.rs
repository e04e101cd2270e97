//! What account-api adds to a page of accounts and to a look-up: one request at a time to a warm process, with a table
//! that responds at once. How long DynamoDB takes for a page does not depend on the number of accounts.

use std::time::Instant;

use serde_json::{Value, json};
use stories::http_events::HttpEvent;

use crate::build;
use crate::http::Request;
use crate::lambda::Function;
use crate::platform::{Aws, COMPONENT};
use crate::report::{Report, median, percentile_99};

/// Requests before the measurement, and in it.
const WARM_UP: u32 = 10;
const REQUESTS: u32 = 200;

/// Accounts of the largest page.
const PAGE: usize = 100;

/// A service, as IAM names it.
const SERVICE: &str = "arn:aws:sts::123456789012:assumed-role/crm/session";

pub(crate) fn measure(report: &mut Report) {
    let aws = Aws::start(table);
    let function = Function::start(&build::function("account-api"), &[], &aws.variables());
    for (what, path, query, listed) in [
        ("a page of 100 accounts", "/accounts", "limit=100", PAGE),
        ("a look-up by reference", "/accounts", "reference=customer-42", 50),
        ("one account", "/accounts/wx0000000000000007", "", 0),
    ] {
        let event = asks(path, query);
        for _ in 0..WARM_UP {
            let (_, answer) = function.invoke(&event);
            let answer: Value = serde_json::from_str(&answer).expect("an answer in JSON");
            assert_eq!(answer["statusCode"], 200, "{answer}");
            let body: Value = serde_json::from_str(answer["body"].as_str().expect("a body")).expect("JSON");
            assert_eq!(body["accounts"].as_array().map_or(0, Vec::len), listed, "{what}");
        }
        aws.counts.clear();
        let mut times = Vec::new();
        for _ in 0..REQUESTS {
            let begun = Instant::now();
            let (answered, _) = function.invoke(&event);
            times.push((answered - begun).as_secs_f64() * 1e3);
        }
        let note = format!("of 100 requests, 99 within {:.2} ms", percentile_99(times.clone()));
        report.at_most(what, 10.0, median(times), "ms", &note);
        let queries = aws.counts.get("Query") / f64::from(REQUESTS);
        report.at_most(&format!("{what}: queries of the index"), 1.0, queries, "", "");
    }
}

/// A service's request as an event of API Gateway.
fn asks(path: &str, query: &str) -> String {
    HttpEvent::new("GET", path).query(query).iam(SERVICE).build().to_string()
}

/// The request for a page of accounts.
pub(crate) fn page_event() -> String {
    asks("/accounts", "limit=100")
}

/// A table in which every list begins with the same accounts, as many as requested.
pub(crate) fn table(operation: &str, request: &Request) -> String {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let answer = match operation {
        "Query" => {
            let limit = body["Limit"].as_u64().unwrap_or(1);
            let items: Vec<Value> = (0..limit).map(|number| key("details", number, "details")).collect();
            json!({ "Items": items, "Count": items.len() })
        }
        "BatchGetItem" => {
            let (name, asked) =
                body["RequestItems"].as_object().and_then(|asked| asked.iter().next()).expect("one table");
            let items = asked["Keys"].as_array().into_iter().flatten().map(item);
            json!({ "Responses": { name: items.collect::<Vec<_>>() }, "UnprocessedKeys": {} })
        }
        "GetItem" => json!({ "Item": item(&body["Key"]) }),
        _ => json!({}),
    };
    answer.to_string()
}

fn key(kind: &str, number: u64, sk: &str) -> Value {
    json!({ "pk": { "S": format!("{COMPONENT}#{kind}#wx{number:016}") }, "sk": { "S": sk } })
}

/// The item with this key: the row of an account, or its details.
fn item(key: &Value) -> Value {
    let mut item = key.clone();
    let attributes = if key["sk"]["S"] == "details" {
        let profile = json!({
            "kind": "official_account",
            "nick_name": "示例商城",
            "head_img": "http://wx.qlogo.cn/mmopen/example/0",
            "user_name": "gh_0123456789ab",
            "principal_name": "示例商贸有限公司",
            "alias": null,
            "qrcode_url": "http://mmbiz.qpic.cn/mmbiz_jpg/example/0",
            "signature": null,
            "service_type": 2,
            "verify_type": 0,
            "account_status": 1,
        });
        json!({
            "state": { "S": "active" },
            "state_since": { "N": "1800000000" },
            "func_info": { "L": [{ "N": "1" }, { "N": "15" }, { "N": "4" }, { "N": "7" }, { "N": "2" }] },
            "profile": { "S": profile.to_string() },
            "reference": { "S": "customer-42" },
            "tags": { "M": { "plan": { "S": "gold" }, "city": { "S": "杭州" } } },
            "events": { "N": "1800000000" },
            "version": { "N": "3" },
        })
    } else {
        json!({
            "state": { "S": "active" },
            "active_since": { "N": "1800000000" },
            "granted_at": { "N": "1800000000" },
            "token_seq": { "N": "17" },
            "token_expires_at": { "N": "1800007200" },
            "stored_at": { "N": "1800000000" },
            "due_at": { "N": "1800005400" },
        })
    };
    for (name, value) in attributes.as_object().into_iter().flatten() {
        item[name] = value.clone();
    }
    item
}

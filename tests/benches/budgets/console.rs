//! What the console adds to a page with 100,000 accounts: one page at a time to a warm process, with a table that
//! responds at once.
//!
//! Lists of accounts come from an index, so a page of one takes the same time however long it is. What does depend on
//! the number is bounded, and the table here reaches the bound: every count says that there is more.

use std::time::Instant;

use base::clock::{Clock as _, SystemClock};
use base::ids::Digest;
use serde_json::{Value, json};
use store::SecretDigest;
use stories::http_events::HttpEvent;

use crate::accounts;
use crate::build;
use crate::http::{Request, answer};
use crate::lambda::Function;
use crate::line::{Host, Line};
use crate::platform::{Aws, COMPONENT};
use crate::report::{Report, median, percentile_99};

/// Requests before the measurement, and in it.
const WARM_UP: u32 = 10;
const REQUESTS: u32 = 200;

/// Milliseconds of a page.
const PAGE: f64 = 30.0;

/// Kilobytes of a page.
const HEAVIEST: f64 = 60.0;

/// An operator's browser.
const OPERATOR: &str = "AAAAAAAAAAAAAAAAAAAAAA";
const SECRET: &str = "a secret of a browser";
const FORM_TOKEN: &str = "a token of its forms";

pub(crate) fn measure(report: &mut Report) {
    let line = Line::Plain;
    let aws = Aws::start(table);
    let function = Function::start(&build::function("console"), &[], &variables(&line, &aws));
    for (what, path, query, shown) in [
        ("the overview", "/console", "", "10000+"),
        ("a page of 100 accounts in the console", "/console/accounts", "", "示例商城"),
        ("accounts by reference", "/console/accounts", "reference=customer-42", "示例商城"),
        ("an account's page", "/console/accounts/wx0000000000000007", "", "示例商城"),
        ("pushes and deliveries", "/console/arrivals", "", "wx0000000000000007"),
        ("authorization links", "/console/links", "", "customer-42"),
        ("the audit", "/console/audit", "", "wx0000000000000007"),
    ] {
        let event = asks(path, query);
        let mut bytes = 0;
        for _ in 0..WARM_UP {
            let page = page_of(&function, &event);
            assert!(page.contains(shown), "{what}: {page}");
            bytes = page.len();
        }
        let mut times = Vec::new();
        for _ in 0..REQUESTS {
            let begun = Instant::now();
            let (answered, _) = function.invoke(&event);
            times.push((answered - begun).as_secs_f64() * 1e3);
        }
        let note = format!("of 100 requests, 99 within {:.2} ms", percentile_99(times.clone()));
        report.at_most(what, PAGE, median(times), "ms", &note);
        let bytes = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
        report.at_most(&format!("{what}: its size"), HEAVIEST, bytes / 1e3, "kB", "");
    }
    by_name(report, &function);
}

/// A name is compared with one account after another, for two seconds a page: this measures how many.
fn by_name(report: &mut Report, function: &Function) {
    let page = page_of(function, &asks("/console/accounts", "q=nobody-has-this-name"));
    let (before, _) = page.rsplit_once(" accounts compared so far.").expect("it is said how many");
    let number = before.rsplit([' ', '>']).next().unwrap_or_default().replace([',', '+'], "");
    let compared: f64 = number.parse().unwrap_or_else(|_| panic!("no number: {number}"));
    report.at_least("accounts compared with a name in one page", 10_000.0, compared, "", "in two seconds");
}

/// The page in response to an event.
fn page_of(function: &Function, event: &str) -> String {
    let (_, answer) = function.invoke(event);
    let answer: Value = serde_json::from_str(&answer).expect("an answer in JSON");
    assert_eq!(answer["statusCode"], 200, "{answer}");
    answer["body"].as_str().expect("a page").to_owned()
}

/// A request of an operator's browser as an event of API Gateway.
fn asks(path: &str, query: &str) -> String {
    let lineage = Digest::of(&["console-lineage", FORM_TOKEN]);
    let cookie = format!("__Host-console=li.{OPERATOR}.{}.{SECRET}", lineage.as_str());
    HttpEvent::new("GET", path).query(query).cookie(&cookie).header("accept-language", "en").build().to_string()
}

/// The request for the overview.
pub(crate) fn overview_event() -> String {
    asks("/console", "")
}

/// The console's environment, including the function that returns the platform's appid.
pub(crate) fn variables(line: &Line, aws: &Aws) -> Vec<(&'static str, String)> {
    let body = json!({ "component_appid": COMPONENT }).to_string();
    let platform = json!({ "statusCode": 200, "body": body }).to_string();
    let lambda = line.serve(Host::Name, move |_| answer("200 OK", &[("content-type", "application/json")], &platform));
    let mut variables = aws.variables();
    variables.extend([
        ("ACCOUNT_API_FUNCTION", "account-api".to_owned()),
        ("PREAUTH_LINK_FUNCTION", "preauth-link".to_owned()),
        ("AWS_ENDPOINT_URL_LAMBDA", line.url(Host::Name, lambda)),
    ]);
    variables
}

/// A table with an operator, their browser, and lists without end.
pub(crate) fn table(operation: &str, request: &Request) -> String {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let asked_for = body["Key"]["sk"]["S"].as_str().unwrap_or_default();
    match operation {
        "GetItem" if asked_for == "operator" => json!({ "Item": operator(&body["Key"]) }).to_string(),
        "GetItem" if asked_for.starts_with("browser#") => json!({ "Item": browser(&body["Key"]) }).to_string(),
        "GetItem" if !["details", "account"].contains(&asked_for) => "{}".to_owned(),
        "Query" if body["Select"] == "COUNT" && body["IndexName"] == "list" => {
            json!({ "Count": 10_000, "LastEvaluatedKey": body["ExpressionAttributeValues"] }).to_string()
        }
        "Query" => query(&body).map_or_else(|| accounts::table(operation, request), |page| page.to_string()),
        "BatchGetItem" => batch(&body).map_or_else(|| accounts::table(operation, request), |items| items.to_string()),
        _ => accounts::table(operation, request),
    }
}

/// A page of a list of something else than accounts.
fn query(body: &Value) -> Option<Value> {
    let list = body["ExpressionAttributeValues"][":key"]["S"].as_str().unwrap_or_default();
    let list = list.strip_prefix(COMPONENT).unwrap_or_default();
    let entry: fn(u64) -> Value = match list {
        _ if list.starts_with("#accounts") => return None,
        "#links" => |number| listed(&format!("link#{number:022}"), "listed", &format!("{number:010}#{number:022}")),
        "#arrived" => |number| {
            let entry = format!("1800000000#{number:064}");
            let account = format!("wx{number:016}");
            listed(
                &format!("inbox#{account}"),
                &format!("entry#{entry}"),
                &format!("1800000000#{account}#entry#{entry}"),
            )
        },
        "#audit" => |number| act(&json!({ "S": format!("act#1800000000#{number:022}") })),
        _ => return Some(json!({ "Items": [], "Count": 0 })),
    };
    let limit = body["Limit"].as_u64().unwrap_or(1);
    let items: Vec<Value> = (0..limit).map(entry).collect();
    Some(json!({ "Count": items.len(), "Items": items }))
}

/// An entry of a list in the index.
fn listed(id: &str, sk: &str, place: &str) -> Value {
    json!({ "pk": { "S": format!("{COMPONENT}#{id}") }, "sk": { "S": sk }, "list_sk": { "S": place } })
}

/// Items of a batch that are no account's.
fn batch(body: &Value) -> Option<Value> {
    let (name, asked) = body["RequestItems"].as_object()?.iter().next()?;
    let keys = asked["Keys"].as_array()?;
    let kind = keys.first()?["pk"]["S"].as_str()?.split('#').nth(1)?;
    let item: fn(&Value) -> Value = match kind {
        "link" => link,
        "inbox" => push,
        _ => return None,
    };
    Some(json!({ "Responses": { name: keys.iter().map(item).collect::<Vec<_>>() }, "UnprocessedKeys": {} }))
}

fn link(key: &Value) -> Value {
    let now = SystemClock.now().unix();
    let mut item = key.clone();
    for (name, value) in [
        ("created_at", json!({ "N": now.to_string() })),
        ("created_by", json!({ "S": "operator:li" })),
        ("made_by", json!({ "S": "operator:li" })),
        ("valid_until", json!({ "N": (now + 86_400).to_string() })),
        ("auth_type", json!({ "N": "3" })),
        ("category_ids", json!({ "L": [] })),
        ("requester_name", json!({ "S": "示例商贸有限公司" })),
        ("reference", json!({ "S": "customer-42" })),
        ("mints", json!({ "N": "0" })),
        ("mint_times", json!({ "L": [] })),
    ] {
        item[name] = value;
    }
    item
}

fn push(key: &Value) -> Value {
    let mut item = key.clone();
    item["info_type"] = json!({ "S": "updateauthorized" });
    item["received_at"] = json!({ "N": "1800000000" });
    item["finished_at"] = json!({ "N": "1800000001" });
    item["outcome"] = json!({ "S": "stored" });
    item
}

fn act(sk: &Value) -> Value {
    json!({
        "pk": { "S": format!("{COMPONENT}#audit") },
        "sk": sk,
        "at": { "N": "1800000000" },
        "by": { "S": "operator:li" },
        "act": { "S": "account.label" },
        "authorizer": { "S": "wx0000000000000007" },
        "detail": { "S": r#"{"reference":"customer-42","tags":{"plan":"gold","old":null}}"# },
        "source_ip": { "S": "192.0.2.7" },
        "outcome": { "S": "done" },
    })
}

fn operator(key: &Value) -> Value {
    let mut item = key.clone();
    item["operator_id"] = json!({ "S": OPERATOR });
    item["rights"] = json!({ "S": "act" });
    item["created_at"] = json!({ "N": "1800000000" });
    item
}

/// The browser was bound now and has been seen today, so that nothing is written.
fn browser(key: &Value) -> Value {
    let now = SystemClock.now();
    let number = |number: i64| json!({ "N": number.to_string() });
    let mut item = key.clone();
    item["operator_id"] = json!({ "S": OPERATOR });
    item["secret_digest"] = json!({ "S": SecretDigest::of(&SECRET.into()).as_str() });
    item["form_token"] = json!({ "S": FORM_TOKEN });
    item["bound_at"] = number(now.unix());
    item["rotated_at"] = number(now.unix());
    item["ends_at"] = number(now.unix() + 86_400);
    item["last_seen_on"] = json!({ "S": now.rfc3339().get(..10).unwrap_or_default() });
    item
}

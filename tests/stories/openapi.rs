//! docs/openapi.json describes the requests and responses of the business API. [`Business::send`] checks every response
//! of the stories against it.

use std::collections::{BTreeMap, BTreeSet};

use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};
use stories::business::Business;
use stories::openapi::{Answered, Contract, PATH, document, text};
use stories::world::{BUSINESS_ROUTES, World};
use web::ProblemKind;
use web::doors::KEY_DOOR;
use web::openapi::security;

#[test]
fn the_committed_description_is_the_one_that_the_code_makes() {
    let committed = std::fs::read_to_string(PATH).unwrap();
    assert!(committed == text(), "cargo run -p stories --example openapi writes it anew");
}

#[tokio::test]
async fn services_are_given_the_committed_description() {
    let world = World::start().await;
    let answer = Business::of(&world).get("/openapi.json").await;
    assert_eq!((answer.status, &answer.body), (200, &document()));
    assert_eq!(answer.headers["cache-control"], "private, max-age=300");
    let refused = Business::unsigned(&world).get("/openapi.json").await;
    assert_eq!((refused.status, refused.problem()), (403, "no-identity"));
}

/// OpenAPI cannot express a part of a path that may contain slashes.
fn described_as(method: &Method, path: &str) -> String {
    format!("{method} {}", path.replace("{proxy+}", "{path}"))
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let contract = Contract::get();
    let described: BTreeSet<String> =
        contract.operations().map(|(method, path, _)| format!("{method} {path}")).collect();
    assert_eq!(described, BUSINESS_ROUTES.iter().map(|route| described_as(&route.method, route.path)).collect());
    let ids: BTreeSet<&str> = contract.operations().map(|(.., it)| it["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), BUSINESS_ROUTES.len());
}

#[test]
fn every_operation_says_what_a_key_must_permit() {
    let rights: BTreeMap<String, Value> =
        BUSINESS_ROUTES.iter().map(|route| (described_as(&route.method, route.path), security(route.right))).collect();
    let said: BTreeMap<String, Value> = Contract::get()
        .operations()
        .map(|(method, path, it)| (format!("{method} {path}"), it["security"].clone()))
        .collect();
    assert_eq!(said, rights);
    for operators in ["GET /keys", "POST /keys", "DELETE /keys/{key_id}", "PUT /check-files/{file}"] {
        assert_eq!(said[operators], json!([{ "iam": [] }]), "{operators}");
    }
    assert_eq!(said["GET /accounts"], json!([{ "iam": [] }, { "key": ["accounts:read"] }]));
    assert_eq!(said["GET /openapi.json"], json!([{ "iam": [] }, { "key": [] }]));
    let patch = json!([{ "iam": [] }, { "key": ["accounts:write"] }, { "key": ["accounts:origins"] }]);
    assert_eq!(said["PATCH /accounts/{appid}"], patch);
    let document = document();
    let urls: Vec<&str> =
        document["servers"].as_array().unwrap().iter().map(|it| it["url"].as_str().unwrap()).collect();
    assert_eq!(urls.iter().filter(|url| url.ends_with(KEY_DOOR)).count(), 2, "a deployment and this machine: {urls:?}");
}

/// All objects with a member of this name, wherever they are.
fn with_member<'a>(value: &'a Value, member: &str, found: &mut Vec<&'a Value>) {
    if value.get(member).is_some() {
        found.push(value);
    }
    match value {
        Value::Object(members) => members.values().for_each(|value| with_member(value, member, found)),
        Value::Array(items) => items.iter().for_each(|value| with_member(value, member, found)),
        _ => {}
    }
}

#[test]
fn every_example_fits_the_schema_that_it_is_an_example_of() {
    let (contract, document) = (Contract::get(), document());
    let mut found = Vec::new();
    with_member(&document, "example", &mut found);
    let found: Vec<&Value> = found.into_iter().filter(|it| it["schema"].is_object()).collect();
    assert!(found.len() > 2 * BUSINESS_ROUTES.len());
    for it in found {
        assert_eq!(contract.holds(&it["schema"], &it["example"]), Ok(()), "{}", it["example"]);
    }
}

#[test]
fn every_problem_is_one_of_some_route_but_for_another_method() {
    let document = document();
    let mut found = Vec::new();
    with_member(&document["components"]["schemas"], "const", &mut found);
    let urns: BTreeSet<&str> =
        found.iter().filter_map(|it| it["const"].as_str()?.strip_prefix("urn:wechat-platform:problem:")).collect();
    let known = ProblemKind::ALL.iter().filter(|kind| **kind != ProblemKind::MethodNotAllowed);
    assert_eq!(urns, known.map(|kind| kind.name()).collect());
}

#[test]
fn an_answer_that_is_not_described_is_noticed() {
    let contract = Contract::get();
    let account = json!({ "appid": "wx1234567890abcdef", "health": "ok", "tags": {}, "state": "active" });
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    let listed = |body: &Value, status, headers: &HeaderMap| {
        contract.fits(&Answered { method: "GET", path: "/accounts", status, headers, body })
    };
    let page = json!({ "accounts": [account] });
    assert_eq!(listed(&page, 200, &headers), Ok(()));
    let change = |member: &str, value: Value| {
        let mut page = page.clone();
        page["accounts"][0][member] = value;
        page
    };
    for bad in [
        change("token", json!("secret")),
        change("state", json!("needs-authorization")),
        change("granted_at", json!("yesterday")),
        change("nick_name", Value::Null),
        json!({ "accounts": [], "more": true }),
        json!({}),
    ] {
        assert!(listed(&bad, 200, &headers).is_err(), "{bad}");
    }
    assert!(listed(&page, 201, &headers).is_err());
    assert!(listed(&page, 400, &headers).is_err());
    let mut odd = headers.clone();
    odd.insert("server", HeaderValue::from_static("x"));
    assert!(listed(&page, 200, &odd).is_err());
    let read = Answered { method: "GET", path: "/accounts/wx1", status: 200, headers: &headers, body: &account };
    assert_eq!(contract.fits(&read), Err("the header etag is missing".to_owned()));
    let elsewhere =
        Answered { method: "GET", path: "/accounts/wx1/token", status: 200, headers: &headers, body: &account };
    assert!(contract.fits(&elsewhere).is_err());
}

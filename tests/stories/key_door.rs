//! Access: what each key permits and nothing else, what a key costs, how long a revoked one works, and which routes are
//! for operators.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::body::Body;
use base::ids::{AppId, LinkId, OperatorName};
use base::random::Random;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;
use http::{Method, Request};
use runtime::telemetry::Measure;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use store::{Actor, ApiKey, KeyRequest, KeyText, Scope};
use stories::business::{Answer, Business};
use stories::world::{BUSINESS_ROUTES, World};
use tower::ServiceExt as _;
use web::doors::Route;

const FOLLOWER: &str = "oFollower1";

/// The contract of each route: the scopes of which one is enough. Repeated here, so that a right that is changed by
/// mistake is noticed, and so is a route that is missing here.
const RIGHTS: [(&str, &[&str]); 39] = [
    ("GET /accounts", &["accounts:read"]),
    ("GET /accounts/{appid}", &["accounts:read"]),
    ("PATCH /accounts/{appid}", &["accounts:origins", "accounts:write"]),
    ("POST /accounts/{appid}/profile-readings", &["accounts:write"]),
    ("POST /accounts/{appid}/renewals", &["accounts:write"]),
    ("POST /retries", &["accounts:write"]),
    ("POST /reconciliations", &["accounts:write"]),
    ("GET /reconciliations/{reconciliation_id}", &["accounts:read"]),
    ("GET /platform", &["any"]),
    ("GET /openapi.json", &["any"]),
    ("POST /keys", &[]),
    ("GET /keys", &[]),
    ("DELETE /keys/{key_id}", &[]),
    ("POST /operators", &[]),
    ("GET /operators", &[]),
    ("DELETE /operators/{name}", &[]),
    ("POST /operators/{name}/invitations", &[]),
    ("DELETE /operators/{name}/browsers/{browser_id}", &[]),
    ("PUT /check-files/{file}", &[]),
    ("GET /check-files", &[]),
    ("DELETE /check-files/{file}", &[]),
    ("GET /tokens/platform", &["platform:tokens"]),
    ("POST /tokens/platform/renewals", &["platform:tokens"]),
    ("GET /tokens/{appid}", &["tokens"]),
    ("POST /tokens/{appid}/renewals", &["tokens"]),
    ("GET /wechat/platform/{proxy+}", &["platform:calls"]),
    ("POST /wechat/platform/{proxy+}", &["platform:calls"]),
    ("GET /wechat/{appid}/{proxy+}", &["calls"]),
    ("POST /wechat/{appid}/{proxy+}", &["calls"]),
    ("GET /calls", &["accounts:read"]),
    ("POST /files", &["calls"]),
    ("POST /logins", &["logins"]),
    ("POST /accounts/{appid}/js-sdk-configs", &["calls"]),
    ("POST /accounts/{appid}/mini-program-sessions", &["calls"]),
    ("POST /authorization-links", &["links"]),
    ("GET /authorization-links", &["links"]),
    ("GET /authorization-links/{link_id}", &["links"]),
    ("DELETE /authorization-links/{link_id}", &["links"]),
    ("POST /authorization-links/{link_id}/codes", &["links"]),
];

/// The routes that the console may call for operators.
const FOR_OPERATORS: [&str; 8] = [
    "GET /platform",
    "POST /accounts/{appid}/renewals",
    "POST /retries",
    "PATCH /accounts/{appid}",
    "POST /accounts/{appid}/profile-readings",
    "DELETE /keys/{key_id}",
    "POST /authorization-links",
    "DELETE /authorization-links/{link_id}",
];

/// The actor who creates and revokes keys.
pub(crate) fn operator() -> Actor {
    Actor { by: "arn:aws:iam::123456789012:role/operators".to_owned(), source_ip: None, request_id: None }
}

/// Creates keys.
struct Keys<'a>(&'a World);

impl Keys<'_> {
    async fn make(&self, change: impl FnOnce(&mut ApiKey)) -> SecretString {
        let request = KeyRequest::new("crm", &["links"]).unwrap();
        let (mut key, text) = request.make(&operator().by, &Random::system(), self.0.now());
        key.scopes.clear();
        change(&mut key);
        self.0.store().api_keys.create(&key, &operator()).await.unwrap();
        text.text()
    }

    async fn with(&self, scopes: &[Scope]) -> SecretString {
        self.make(|key| key.scopes = scopes.iter().copied().collect()).await
    }

    async fn limited(&self, scopes: &[Scope], appids: &[&AppId]) -> SecretString {
        let appids = appids.iter().map(|appid| (*appid).clone()).collect();
        self.make(|key| (key.scopes, key.appids) = (scopes.iter().copied().collect(), Some(appids))).await
    }
}

/// A path for a route.
fn path_of(route: &Route, account: &AppId) -> String {
    let path = route.path.replace("{appid}", account.as_str()).replace("{proxy+}", "cgi-bin/user/info");
    let path = path.replace("{link_id}", "AAAAAAAAAAAAAAAAAAAAAA").replace("{key_id}", "AAAAAAAAAAAAAAAAAAAAAA");
    let path = path.replace("{name}", "li").replace("{browser_id}", "AAAAAAAAAAAAAAAAAAAAAA");
    path.replace("{reconciliation_id}", "AAAAAAAAAAAAAAAAAAAAAA").replace("{file}", "87PweoaRBw.txt")
}

/// Whether a request was let through, whatever happened after.
fn has_passed(answer: &Answer) -> bool {
    !matches!(answer.status, 401 | 403) || !["invalid-key", "not-allowed", "no-identity"].contains(&answer.problem())
}

#[tokio::test]
async fn a_key_opens_what_its_scopes_say_and_nothing_else() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    let rights: BTreeMap<&str, &[&str]> = RIGHTS.into();
    let known: BTreeSet<String> =
        BUSINESS_ROUTES.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    assert_eq!(known, rights.keys().map(|route| (*route).to_owned()).collect());
    let without = Business::with_key(&world, &Keys(&world).with(&[]).await);
    let mut with_one = Vec::new();
    for scope in Scope::ALL {
        with_one.push((scope.as_str(), without.with_another_key(&Keys(&world).with(&[*scope]).await)));
    }
    with_one.push(("", without));
    for route in BUSINESS_ROUTES.iter() {
        let path = path_of(route, &account);
        let name = format!("{} {}", route.method, route.path);
        let enough = rights[name.as_str()];
        for (scope, business) in &with_one {
            let answer = business.ask(route.method.clone(), &path, &json!({})).await;
            let expected = enough.contains(scope) || enough.contains(&"any");
            assert_eq!(has_passed(&answer), expected, "{name} with {scope}: {} {}", answer.status, answer.body);
        }
        let nobody = Business::unsigned(&world);
        let refused = nobody.ask(route.method.clone(), &path, &json!({})).await;
        assert_eq!((refused.status, refused.problem()), (403, "no-identity"), "{name}");
        let refused = nobody.ask(route.method.clone(), &format!("/v1{path}"), &json!({})).await;
        assert_eq!((refused.status, refused.problem()), (401, "invalid-key"), "{name}");
        assert!(refused.body["detail"].as_str().unwrap().contains("no complete API key"), "{refused:?}");
    }
}

#[tokio::test]
async fn an_operator_opens_what_is_for_operators_and_nothing_else() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    let li = Business::as_operator(&world, &OperatorName::parse("li").unwrap());
    let mut opened = Vec::new();
    for route in BUSINESS_ROUTES.iter() {
        let (path, name) = (path_of(route, &account), format!("{} {}", route.method, route.path));
        let answer = li.ask(route.method.clone(), &path, &json!({})).await;
        if has_passed(&answer) {
            opened.push(name.clone());
        } else {
            assert_eq!((answer.status, answer.problem()), (403, "not-allowed"), "{name}");
        }
        let with_key = li.ask(route.method.clone(), &format!("/v1{path}"), &json!({})).await;
        assert_eq!((with_key.status, with_key.problem()), (401, "invalid-key"), "{name}");
    }
    opened.sort_unstable();
    let mut expected = FOR_OPERATORS.to_vec();
    expected.sort_unstable();
    assert_eq!(opened, expected);
    let other = li.ask(Method::PUT, &format!("/accounts/{account}"), &json!({})).await;
    assert_eq!((other.status, other.problem()), (405, "method-not-allowed"));
}

#[tokio::test]
async fn an_operator_acts_for_every_account_and_is_named_in_what_is_kept() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    let li = Business::as_operator(&world, &OperatorName::parse("li").unwrap());
    let changed = li.patch(&account, &json!({ "reference": "r", "login_origins": [] }), None).await;
    assert_eq!((changed.status, &changed.body["reference"]), (200, &json!("r")), "{}", changed.body);
    let link = li.link(json!({ "biz_appid": account.as_str() })).await;
    let link_id = LinkId::parse(&link.id).unwrap();
    let stored = world.store().links.get(&link_id, world.now()).await.unwrap().unwrap();
    assert_eq!(stored.request.made_by.as_deref(), Some("operator:li"));
    let key = Keys(&world).with(&[]).await;
    let id = KeyText::parse(key.expose_secret()).unwrap().id;
    assert_eq!(li.ask(Method::DELETE, &format!("/keys/{id}"), &json!({})).await.status, 204);
    assert!(world.log.text().contains("operator:li"), "{}", world.log.text());
}

#[tokio::test]
async fn a_key_that_is_limited_to_accounts_sees_and_uses_no_other() {
    let world = World::ready().await;
    let (own, other) = (world.account(0), world.account(1));
    for account in [&own, &other] {
        world.push_and_work(&world.merchant_authorizes(account).push).await;
        world.simulator.follow(account, FOLLOWER);
    }
    let scopes = [Scope::AccountsRead, Scope::AccountsWrite, Scope::Links, Scope::Tokens, Scope::Calls];
    let business = Business::with_key(&world, &Keys(&world).limited(&scopes, &[&own]).await);
    assert_eq!(business.appids("").await, [own.as_str()]);
    assert_eq!(business.appids("state=unauthorized").await, [""; 0]);
    assert!(business.appids(&format!("q={other}")).await.is_empty());
    let user_info = format!("cgi-bin/user/info?openid={FOLLOWER}");
    assert_eq!(business.reads_of_wechat(&own, &user_info).await.body["openid"], FOLLOWER);
    let before = world.simulator.requests("/cgi-bin/user/info").len();
    for answer in [
        business.reads_of_wechat(&other, &user_info).await,
        business.get(&format!("/accounts/{other}")).await,
        business.get(&format!("/tokens/{other}")).await,
        business.patch(&other, &json!({ "reference": "mine" }), None).await,
        business.post("/reconciliations").await,
        business.get("/calls").await,
        business.get(&format!("/calls?appid={other}")).await,
        business.get("/calls?appid=platform").await,
        business.ask(Method::POST, "/authorization-links", &json!({ "biz_appid": other.as_str() })).await,
    ] {
        assert_eq!((answer.status, answer.problem()), (403, "not-allowed"), "{}", answer.body);
    }
    assert_eq!(world.simulator.requests("/cgi-bin/user/info").len(), before);
    assert_eq!(business.get(&format!("/calls?appid={own}")).await.status, 200);
    assert_eq!(business.get(&format!("/tokens/{own}")).await.status, 200);

    let theirs = Business::of(&world).link(json!({ "reference": "r" })).await;
    world.pass(Duration::from_secs(1));
    let mine = business.link(json!({ "reference": "r" })).await;
    world.pass(Duration::from_secs(1));
    Business::of(&world).link(json!({ "reference": "r" })).await;
    let listed = business.get("/authorization-links?reference=r").await;
    let ids: Vec<&str> =
        listed.body["links"].as_array().unwrap().iter().map(|link| link["link_id"].as_str().unwrap()).collect();
    assert_eq!(ids, [mine.id.as_str()]);
    let mut place = String::new();
    for _ in 0..3 {
        let page = business.get(&format!("/authorization-links?reference=r&limit=1{place}")).await;
        let Some(cursor) = page.body["next_cursor"].as_str() else { break };
        let decoded = String::from_utf8_lossy(&URL_SAFE_NO_PAD.decode(cursor).unwrap()).into_owned();
        assert!(!decoded.contains(&theirs.id) && decoded.contains(&mine.id), "{decoded}");
        place = format!("&cursor={cursor}");
    }
    for (method, tail) in [(Method::GET, ""), (Method::DELETE, ""), (Method::POST, "/codes")] {
        let path = format!("/authorization-links/{}{tail}", theirs.id);
        let answer = business.ask(method, &path, &json!({})).await;
        assert_eq!((answer.status, answer.problem()), (404, "unknown-link"), "{tail}");
    }
    assert_eq!(business.status(&mine).await, "pending");
    assert_eq!(Business::of(&world).status(&theirs).await, "pending");
}

#[tokio::test]
async fn where_logins_return_to_has_a_scope_of_its_own() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    let labels = Business::with_key(&world, &Keys(&world).with(&[Scope::AccountsWrite]).await);
    let origins = labels.with_another_key(&Keys(&world).with(&[Scope::AccountsOrigins]).await);
    let both = labels.with_another_key(&Keys(&world).with(&[Scope::AccountsWrite, Scope::AccountsOrigins]).await);
    let (label, origin) = (json!({ "reference": "r" }), json!({ "login_origins": ["https://shop.example.com"] }));
    let all = json!({ "reference": "r", "login_origins": ["https://shop.example.com"] });
    for (business, body, status) in [
        (&labels, &label, 200),
        (&labels, &origin, 403),
        (&labels, &all, 403),
        (&origins, &label, 403),
        (&origins, &origin, 200),
        (&origins, &all, 403),
        (&both, &all, 200),
    ] {
        assert_eq!(business.patch(&account, body, None).await.status, status, "{body}");
    }
}

#[tokio::test]
async fn a_key_is_read_once_a_minute_and_noted_once_a_day() {
    let world = World::ready().await;
    let business = Business::with_key(&world, &Keys(&world).with(&[Scope::AccountsRead]).await);
    assert_eq!(business.with_another_key(&Keys(&world).with(&[]).await).get("/openapi.json").await.status, 200);
    let reads = async || {
        world.faults.reset_counts();
        assert_eq!(business.get("/openapi.json").await.status, 200);
        let mut requests = world.faults.all_requests();
        // Once in five minutes, whatever is requested.
        requests.remove("GetSecretValue");
        requests
    };
    assert_eq!(reads().await, [("GetItem".to_owned(), 1), ("UpdateItem".to_owned(), 1)].into());
    assert!(reads().await.is_empty());
    world.pass(Duration::from_secs(59));
    assert!(reads().await.is_empty());
    world.pass(Duration::from_secs(1));
    assert_eq!(reads().await, [("GetItem".to_owned(), 1)].into());
    world.pass(Duration::from_hours(24));
    assert_eq!(reads().await, [("GetItem".to_owned(), 1), ("UpdateItem".to_owned(), 1)].into());
}

/// A request with these values of `Authorization`.
async fn presented(world: &World, values: &[&str]) -> (u16, String) {
    let request = Request::builder().uri("/v1/openapi.json");
    let request = values.iter().fold(request, |request, value| request.header(AUTHORIZATION, *value));
    let response = world.business_router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let authenticate = response.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
    (response.status().as_u16(), authenticate.unwrap_or_default())
}

#[tokio::test]
async fn what_cannot_be_a_key_costs_no_read_and_what_is_none_costs_one() {
    let world = World::ready().await;
    let key = Keys(&world).with(&[]).await;
    let key = key.expose_secret();
    let bearer = format!("Bearer {key}");
    let long = format!("Bearer {}", "a".repeat(7_000));
    world.faults.reset_counts();
    for values in [
        vec![],
        vec![""],
        vec!["Bearer"],
        vec!["Bearer "],
        vec![key],
        vec!["Basic d3hwOg=="],
        vec!["Bearer wxp_short"],
        vec![&bearer[..bearer.len() - 1]],
        vec![&long],
        vec!["Bearer wxp_\u{ff}"],
        vec![&bearer, &bearer],
    ] {
        let (status, authenticate) = presented(&world, &values).await;
        assert_eq!((status, authenticate.as_str()), (401, "Bearer"), "{values:?}");
    }
    assert!(world.faults.all_requests().is_empty());
    let unknown = KeyText::generate(&Random::system()).text();
    assert_eq!(presented(&world, &[&format!("Bearer {}", unknown.expose_secret())]).await.0, 401);
    assert_eq!(world.faults.all_requests(), [("GetItem".to_owned(), 1)].into());
    let mut wrong = bearer.clone();
    wrong.replace_range(wrong.len() - 1.., if wrong.ends_with('A') { "B" } else { "A" });
    assert_eq!(presented(&world, &[&wrong]).await.0, 401);
    assert_eq!(presented(&world, &[&bearer.replace("Bearer", "bearer")]).await.0, 200);
    assert!(world.metrics.sum(Measure::KeyRefused) >= 13.0);
    let lines = world.log.text();
    assert!(!lines.contains(&key[30..]), "{lines}");
}

#[tokio::test]
async fn a_revoked_key_works_for_a_minute_more_and_one_that_ends_not_at_all() {
    let world = World::ready().await;
    let text = Keys(&world).with(&[]).await;
    let business = Business::with_key(&world, &text);
    assert_eq!(business.get("/openapi.json").await.status, 200);
    let id = KeyText::parse(text.expose_secret()).unwrap().id;
    assert!(world.store().api_keys.revoke(&id, &operator(), world.now()).await.unwrap().is_some());
    world.pass(Duration::from_secs(59));
    assert_eq!(business.get("/openapi.json").await.status, 200, "another process remembers it");
    assert_eq!(
        Business::with_key(&world, &text).get("/openapi.json").await.status,
        401,
        "one that has not seen it does not"
    );
    world.pass(Duration::from_secs(1));
    let refused = business.get("/openapi.json").await;
    assert_eq!((refused.status, refused.problem()), (401, "invalid-key"));
    let ends_at = world.now().plus(Duration::from_secs(30));
    let ending = business.with_another_key(&Keys(&world).make(|key| key.ends_at = Some(ends_at)).await);
    assert_eq!(ending.get("/openapi.json").await.status, 200);
    world.pass(Duration::from_secs(30));
    assert_eq!(ending.get("/openapi.json").await.status, 401);
}

#[tokio::test]
async fn calls_and_files_belong_to_the_key_that_made_them() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    world.simulator.follow(&account, FOLLOWER);
    let one = Business::with_key(&world, &Keys(&world).with(&[Scope::Calls]).await);
    let other = one.with_another_key(&Keys(&world).with(&[Scope::Calls]).await);
    let message = json!({ "touser": FOLLOWER, "msgtype": "text", "text": { "content": "once" } });
    let key = [("idempotency-key", "order-4711")];
    for business in [&one, &one, &other, &other] {
        let sent = business.calls_wechat(&account, "cgi-bin/message/custom/send", &key, &message).await;
        assert_eq!((sent.status, &sent.body["errcode"]), (200, &json!(0)));
    }
    assert_eq!(world.simulator.requests("/cgi-bin/message/custom/send").len(), 2, "one for each");
    let place = one.ask(Method::POST, "/files", &json!({ "content_type": "image/jpeg", "length": 3 })).await;
    assert_eq!(place.status, 201, "{}", place.body);
    let id = place.body["file_id"].as_str().unwrap();
    let request = Request::builder().method(Method::POST).uri(format!("/wechat/{account}/cgi-bin/media/upload"));
    let used = other.send(request.header("x-body-file", id).body(Body::empty()).unwrap()).await;
    assert_eq!((used.status, used.problem()), (404, "unknown-file"));
}

#[tokio::test]
async fn another_method_is_answered_as_such() {
    let world = World::ready().await;
    let business = Business::with_key(&world, &Keys(&world).with(Scope::ALL).await);
    for (method, path) in [(Method::PUT, "/accounts"), (Method::DELETE, "/openapi.json"), (Method::PATCH, "/files")] {
        let answer = business.ask(method, path, &json!({})).await;
        assert_eq!((answer.status, answer.problem()), (405, "method-not-allowed"), "{path}");
    }
}

#[tokio::test]
async fn a_key_is_good_where_its_use_cannot_be_noted() {
    let world = World::ready().await;
    let business = Business::with_key(&world, &Keys(&world).with(&[]).await);
    world.faults.always(stories::faults::Matching::operation("UpdateItem"), stories::faults::Fault::Hang);
    assert_eq!(business.get("/openapi.json").await.status, 200);
    world.faults.reset_counts();
    assert_eq!(business.get("/openapi.json").await.status, 200);
    assert_eq!(world.faults.all_requests().get("UpdateItem"), None, "not tried again");
    world.faults.clear();
}

#[tokio::test]
async fn a_table_that_is_away_lets_nobody_in_and_says_so() {
    let world = World::ready().await;
    let text = Keys(&world).with(&[]).await;
    world.expect_error("checking a key failed");
    world.faults.always(stories::faults::Matching::operation("GetItem"), stories::faults::Fault::ServerError);
    let refused = Business::with_key(&world, &text).get("/openapi.json").await;
    assert_eq!((refused.status, refused.problem()), (503, "unavailable"));
    world.faults.clear();
}

//! WeChat's libraries, unchanged, below `/v1/wechat/`: they request a token with a key as their secret, send it in the
//! query, and read errors in a body of status 200.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use base::ids::AppId;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request};
use runtime::telemetry::Measure;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use simulator::Fault;
use store::{ApiKey, Scope};
use stories::business::Business;
use stories::http_events::HttpEvent;
use stories::world::{World, secret_json};
use tower::ServiceExt as _;

use crate::key_door::operator;

const USER_INFO: &str = "/cgi-bin/user/info";
const FOLLOWER: &str = "oFollower1";

/// Longer than a revoked key is accepted.
const A_MINUTE: Duration = Duration::from_secs(61);

struct Stage {
    world: World,
    router: Router,
    account: AppId,
}

/// A response as a library sees it.
#[derive(Debug)]
struct Said {
    status: u16,
    json: Value,
}

impl Said {
    fn errcode(&self) -> i64 {
        assert_eq!(self.status, 200, "libraries read nothing else: {}", self.json);
        self.json["errcode"].as_i64().unwrap_or(0)
    }
}

impl Stage {
    async fn ready() -> Self {
        let world = World::ready().await;
        let account = world.authorized_account().await;
        world.simulator.follow(&account, FOLLOWER);
        Self { router: world.business_router(), account, world }
    }

    /// A key, in the table.
    async fn key(&self, change: impl FnOnce(&mut ApiKey)) -> (ApiKey, SecretString) {
        self.world.key(&["calls"], change).await
    }

    async fn send(&self, request: Request<Body>) -> Said {
        let path = request.uri().path().to_owned();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let kind = response.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for secret in self.world.simulator.issued_secrets() {
            assert!(!secret.is_in(&text), "{path} has a {:?}", secret.kind);
        }
        assert!(
            kind.starts_with(if status == 200 { "application/json" } else { "application/problem+json" }),
            "{kind}"
        );
        Said { status, json: serde_json::from_slice(&bytes).unwrap() }
    }

    async fn get(&self, path: &str) -> Said {
        self.send(Request::builder().uri(format!("/v1/wechat/{path}")).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, body: &Value) -> Said {
        let request = Request::builder().method(Method::POST).uri(format!("/v1/wechat/{path}"));
        self.send(request.header(CONTENT_TYPE, "application/json").body(body.to_string().into()).unwrap()).await
    }

    /// `cgi-bin/token`, as libraries call it.
    async fn asks_for_token(&self, key: &SecretString) -> Said {
        let (account, key) = (&self.account, key.expose_secret());
        self.get(&format!("{account}/cgi-bin/token?grant_type=client_credential&appid={account}&secret={key}")).await
    }

    async fn token(&self, key: &SecretString) -> String {
        let said = self.asks_for_token(key).await;
        assert_eq!((said.errcode(), &said.json["expires_in"]), (0, &json!(7_200)), "{}", said.json);
        said.json["access_token"].as_str().unwrap().to_owned()
    }

    async fn user_info(&self, token: &str) -> Said {
        self.get(&format!("{}/cgi-bin/user/info?access_token={token}&openid={FOLLOWER}", self.account)).await
    }

    fn reads_of_the_table(&self) -> usize {
        let all = self.world.faults.all_requests();
        all.iter()
            .filter(|(operation, _)| !operation.starts_with("Get") || operation == &"GetItem")
            .map(|(_, n)| n)
            .sum()
    }
}

#[tokio::test]
async fn a_library_gets_a_token_of_ours_and_calls_with_it() {
    let stage = Stage::ready().await;
    let (_, key) = stage.key(|_| ()).await;
    let token = stage.token(&key).await;
    assert!(token.starts_with("wxs_") && token.len() < 512, "{token}");
    assert_eq!(stage.user_info(&token).await.json["openid"], FOLLOWER);
    let sent = stage.world.simulator.requests(USER_INFO).remove(0);
    assert!(!sent.query.contains("wxs_") && sent.query.ends_with(&format!("&openid={FOLLOWER}")));
    // Of the stable kind.
    let account = &stage.account;
    let body = json!({
        "grant_type": "client_credential", "appid": account, "secret": key.expose_secret(), "force_refresh": true,
    });
    let stable = stage.post(&format!("{account}/cgi-bin/stable_token"), &body).await;
    let stable = stable.json["access_token"].as_str().unwrap();
    assert_eq!(stage.user_info(stable).await.json["openid"], FOLLOWER);
    // A service that has its key in a header can do the same.
    let request = Request::builder()
        .uri(format!("/v1/wechat/{account}/cgi-bin/token"))
        .header(AUTHORIZATION, format!("Bearer {}", key.expose_secret()));
    assert!(stage.send(request.body(Body::empty()).unwrap()).await.json["access_token"].is_string());
}

#[tokio::test]
async fn tokens_cost_neither_a_write_nor_a_read_of_their_own() {
    let stage = Stage::ready().await;
    let (_, key) = stage.key(|_| ()).await;
    let token = stage.token(&key).await;
    assert_eq!(stage.user_info(&token).await.errcode(), 0);
    stage.world.faults.reset_counts();
    for _ in 0..10 {
        stage.token(&key).await;
        assert_eq!(stage.user_info(&token).await.errcode(), 0);
        assert_eq!(stage.user_info("wxs_forged").await.errcode(), 40_001);
    }
    assert_eq!(stage.reads_of_the_table(), 0, "{:?}", stage.world.faults.all_requests());
}

#[tokio::test]
async fn a_token_is_for_one_key_one_account_and_two_hours() {
    let stage = Stage::ready().await;
    let other = stage.world.account(1);
    stage.world.push_and_work(&stage.world.merchant_authorizes(&other).push).await;
    let (_, key) = stage.key(|key| key.scopes = [Scope::Calls, Scope::PlatformCalls, Scope::AccountsRead].into()).await;
    let token = stage.token(&key).await;
    let called = stage.world.simulator.requests(USER_INFO).len();
    let (head, tail) = token.split_at(token.len() - 1);
    let (id, rest) = token["wxs_".len()..].split_at(22);
    let (time, signature) = rest[1..].split_once('_').unwrap();
    let later = format!("wxs_{id}_{:08x}_{signature}", u32::from_str_radix(time, 16).unwrap() + 1);
    let changed = format!("{head}{}", if tail == "A" { "B" } else { "A" });
    let another_key = format!("wxs_{}_{time}_{signature}", "A".repeat(22));
    for forged in [
        later.as_str(),
        &changed,
        &another_key,
        "wxs_",
        "",
        "x",
        &token[..40],
        &format!("{token}A"),
        &"a".repeat(10_000),
    ] {
        assert_eq!(stage.user_info(forged).await.errcode(), 40_001, "{forged}");
    }
    // For another account.
    let elsewhere = stage.get(&format!("{other}/cgi-bin/user/info?access_token={token}&openid={FOLLOWER}")).await;
    assert_eq!(elsewhere.errcode(), 40_001);
    let platform = stage.get(&format!("platform/wxa/gettemplatelist?access_token={token}")).await;
    assert_eq!(platform.errcode(), 40_001);
    let accounts = Request::builder().uri(format!("/v1/accounts?access_token={token}")).body(Body::empty()).unwrap();
    assert_eq!(stage.send(accounts).await.status, 401);
    let bearer = Request::builder().uri("/v1/accounts").header(AUTHORIZATION, format!("Bearer {token}"));
    assert_eq!(stage.send(bearer.body(Body::empty()).unwrap()).await.status, 401);
    // Twice, and next to a header.
    let path = format!("{}/cgi-bin/user/info?openid={FOLLOWER}&access_token={token}", stage.account);
    assert_eq!(stage.get(&format!("{path}&access_token={token}")).await.errcode(), 0);
    assert_eq!(stage.get(&format!("{path}&access_token={later}")).await.errcode(), 40_001);
    let both = Request::builder().uri(format!("/v1/wechat/{path}")).header(AUTHORIZATION, "Bearer wxp_wrong");
    let both = stage.send(both.body(Body::empty()).unwrap()).await;
    assert_eq!((both.status, &both.json["errcode"]), (401, &json!(40_001)));
    // At its expiry.
    assert_eq!(stage.world.simulator.requests(USER_INFO).len(), called + 1);
    stage.world.pass(Duration::from_secs(7_259));
    assert_eq!(stage.user_info(&token).await.errcode(), 0);
    stage.world.pass(Duration::from_secs(1));
    let expired = stage.user_info(&token).await;
    assert_eq!((expired.errcode(), &expired.json["status"]), (42_001, &json!(401)));
    assert!(expired.json["errmsg"].as_str().unwrap().starts_with("access_token expired: "), "{}", expired.json);
    assert_eq!(stage.user_info(&stage.token(&key).await).await.errcode(), 0);
}

#[tokio::test]
async fn a_revoked_key_takes_its_tokens_with_it() {
    let stage = Stage::ready().await;
    let (stored, key) = stage.key(|_| ()).await;
    let token = stage.token(&key).await;
    assert_eq!(stage.user_info(&token).await.errcode(), 0);
    stage.world.store().api_keys.revoke(&stored.id, &operator(), stage.world.now()).await.unwrap();
    stage.world.pass(A_MINUTE);
    let refused = stage.user_info(&token).await;
    assert_eq!(refused.errcode(), 40_001);
    let again = stage.asks_for_token(&key).await;
    assert_eq!(again.errcode(), 40_125);
    assert!(again.json["errmsg"].as_str().unwrap().contains("unknown, revoked or expired"), "{}", again.json);
    assert!(stage.world.metrics.sum(Measure::KeyRefused) > 0.0);
}

#[tokio::test]
async fn a_token_lives_on_when_the_platforms_key_is_changed() {
    let stage = Stage::ready().await;
    let (_, key) = stage.key(|_| ()).await;
    let token = stage.token(&key).await;
    let mut secret: Value = serde_json::from_str(secret_json().expose_secret()).unwrap();
    secret["previous_encoding_aes_key"] = secret["encoding_aes_key"].take();
    secret["encoding_aes_key"] = json!("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefg");
    stage.world.secrets.set(secret.to_string().into());
    stage.world.pass(Duration::from_mins(6));
    assert_eq!(stage.user_info(&token).await.errcode(), 0);
    let fresh = stage.token(&key).await;
    assert_eq!(stage.user_info(&fresh).await.errcode(), 0);
    // Changed again: only the previous key is still accepted.
    secret["previous_encoding_aes_key"] = secret["encoding_aes_key"].take();
    secret["encoding_aes_key"] = json!("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg");
    stage.world.secrets.set(secret.to_string().into());
    stage.world.pass(Duration::from_mins(6));
    assert_eq!(stage.user_info(&token).await.errcode(), 40_001);
    assert_eq!(stage.user_info(&fresh).await.errcode(), 0);
}

#[tokio::test]
async fn a_key_is_a_token_only_if_it_was_made_for_urls() {
    let stage = Stage::ready().await;
    let (_, key) = stage.key(|_| ()).await;
    let refused = stage.user_info(key.expose_secret()).await;
    assert_eq!(refused.errcode(), 40_001);
    assert!(refused.json["detail"].as_str().unwrap().contains("in_url"), "{}", refused.json);
    let (_, for_urls) = stage.key(|key| key.in_url = true).await;
    assert_eq!(stage.user_info(for_urls.expose_secret()).await.json["openid"], FOLLOWER);
    let sent = stage.world.simulator.requests(USER_INFO);
    assert!(sent.len() == 1 && !sent[0].query.contains("wxp_"));
    assert!(!stage.world.log.text().contains(for_urls.expose_secret()));
}

#[tokio::test]
async fn a_key_that_does_not_permit_it_gets_no_token() {
    let stage = Stage::ready().await;
    let (_, without) = stage.key(|key| key.scopes = [Scope::AccountsRead].into()).await;
    assert_eq!(stage.asks_for_token(&without).await.errcode(), 48_001);
    let others = AppId::parse("wx0000000000000000").unwrap();
    let (_, limited) = stage.key(|key| key.appids = Some([others].into())).await;
    assert_eq!(stage.asks_for_token(&limited).await.errcode(), 48_001);
    let (_, key) = stage.key(|_| ()).await;
    let (account, text) = (&stage.account, key.expose_secret());
    for (query, code) in [
        (format!("appid=wx0000000000000000&secret={text}"), 40_013),
        (format!("appid={account}&secret={text}&grant_type=refresh_token"), 40_002),
        (format!("appid={account}&secret={text}x"), 40_125),
        (format!("appid={account}&secret="), 40_125),
        (format!("appid={account}&secret={}", "k".repeat(10_000)), 40_125),
        (format!("appid={account}&secret=%00%ff%E5%BE%AE"), 40_125),
    ] {
        assert_eq!(stage.get(&format!("{account}/cgi-bin/token?{query}")).await.errcode(), code, "{query}");
    }
    for body in [json!([]), json!("x"), json!({ "secret": 1 }), json!({ "secret": "k".repeat(20_000) })] {
        let said = stage.post(&format!("{account}/cgi-bin/stable_token"), &body).await;
        assert!(said.status == 401 || said.errcode() == 40_125, "{said:?}");
    }
    // Without any credential: not a library.
    let bare = stage.get(&format!("{account}/cgi-bin/user/info")).await;
    assert_eq!((bare.status, &bare.json["type"]), (401, &json!("urn:wechat-platform:problem:invalid-key")));
    assert_eq!(bare.json["errcode"], 41_001);
}

#[tokio::test]
async fn with_iam_credentials_no_token_is_issued() {
    let stage = Stage::ready().await;
    let business = Business::of(&stage.world);
    let refused = business.reads_of_wechat(&stage.account, "cgi-bin/token").await;
    assert_eq!((refused.status, refused.problem()), (403, "path-refused"));
    assert_eq!(refused.body.get("errcode"), None);
}

#[tokio::test]
async fn the_platforms_own_calls_take_a_token_of_ours_too() {
    let stage = Stage::ready().await;
    let (_, key) = stage.key(|key| key.scopes = [Scope::PlatformCalls].into()).await;
    let component = stages_component(&stage);
    let body = json!({
        "component_appid": component, "component_appsecret": key.expose_secret(), "component_verify_ticket": "any",
    });
    let issued = stage.post("platform/cgi-bin/component/api_component_token", &body).await;
    assert_eq!((issued.errcode(), &issued.json["expires_in"]), (0, &json!(7_200)));
    let token = issued.json["component_access_token"].as_str().unwrap();
    let list = json!({ "component_appid": component, "offset": 0, "count": 10 });
    let path = format!("platform/cgi-bin/component/api_get_authorizer_list?component_access_token={token}");
    let listed = stage.post(&path, &list).await;
    assert_eq!((listed.errcode(), &listed.json["total_count"]), (0, &json!(1)));
    let templates = stage.get(&format!("platform/wxa/gettemplatelist?access_token={token}")).await;
    assert_eq!(templates.errcode(), 0, "{}", templates.json);
    // The account's path has no such token.
    let account = &stage.account;
    let refused = stage.post(&format!("{account}/cgi-bin/component/api_component_token"), &body).await;
    assert_ne!(refused.status, 200);
    // What would invalidate the platform's own stays refused.
    let codes = format!("platform/cgi-bin/component/api_create_preauthcode?component_access_token={token}");
    assert_eq!(stage.post(&codes, &json!({ "component_appid": component })).await.errcode(), 48_001);
}

fn stages_component(_: &Stage) -> AppId {
    stories::world::platform().component_appid
}

#[tokio::test]
async fn errors_are_said_as_wechat_says_them() {
    let stage = Stage::ready().await;
    let (_, key) = stage.key(|_| ()).await;
    let token = stage.token(&key).await;
    // WeChat's own pass through.
    stage.world.simulator.inject(Fault::errcode(45_009).on(USER_INFO).times(1));
    assert_eq!(stage.user_info(&token).await.errcode(), 45_009);
    // The platform renews a token that WeChat refuses.
    stage.world.pass(Duration::from_mins(2));
    stage.world.simulator.inject(Fault::errcode(40_001).on(USER_INFO).times(1));
    assert_eq!(stage.user_info(&token).await.errcode(), 0);
    // If it cannot, the library's token is not to blame: some libraries would get another one of ours endlessly.
    stage.world.simulator.inject(Fault::errcode(40_001).on(USER_INFO).times(1));
    let refused = stage.user_info(&token).await;
    assert_eq!((refused.errcode(), &refused.json["wechat_errcode"]), (-1, &json!(40_001)));
    // The same if WeChat refuses to renew it.
    stage.world.pass(Duration::from_hours(2));
    let renewal = "/cgi-bin/component/api_authorizer_token";
    stage.world.simulator.push_ticket().await;
    stage.world.simulator.inject(Fault::errcode(42_001).on(renewal).for_authorizer(&stage.account));
    let token = stage.token(&key).await;
    let refused = stage.user_info(&token).await;
    assert_eq!((refused.errcode(), &refused.json["wechat_errcode"]), (-1, &json!(42_001)), "{}", refused.json);
    stage.world.simulator.clear_faults();
    stage.world.pass(Duration::from_mins(10));
    // The same if WeChat refuses it when the platform requests a ticket.
    assert_eq!(stage.user_info(&token).await.errcode(), 0);
    stage.world.pass(Duration::from_mins(2));
    stage.world.simulator.inject(Fault::errcode(40_001).on("/cgi-bin/ticket/getticket").times(2));
    let ticket = format!("{}/cgi-bin/ticket/getticket?type=jsapi&access_token={token}", stage.account);
    let refused = stage.get(&ticket).await;
    assert_eq!((refused.errcode(), &refused.json["wechat_errcode"]), (-1, &json!(40_001)), "{}", refused.json);
    // Not sent: the library may repeat it. Perhaps sent: it must not.
    stage.world.simulator.inject(Fault::DropAfter.on(USER_INFO).times(1));
    let unknown = stage.user_info(&token).await;
    assert_eq!((unknown.errcode(), &unknown.json["effect"]), (504, &json!("unknown")));
    // Paths that do not exist.
    let account = &stage.account;
    let secret = key.expose_secret();
    let refused = stage.get(&format!("{account}/sns/oauth2/access_token?appid={account}&secret={secret}&code=c")).await;
    assert_eq!((refused.errcode(), &refused.json["status"]), (48_001, &json!(403)));
    let malformed = stage.get(&format!("{account}/cgi-bin//info?access_token={token}")).await;
    assert_eq!(malformed.errcode(), 40_066);
    let method = Request::builder()
        .method(Method::DELETE)
        .uri(format!("/v1/wechat/{account}/cgi-bin/menu?access_token={token}"));
    let method = stage.send(method.body(Body::empty()).unwrap()).await;
    assert_eq!((method.errcode(), &method.json["status"]), (405, &json!(405)));
    // With a key in the header the status is the problem's, and the body says both.
    let request = Request::builder()
        .uri(format!("/v1/wechat/{account}/cgi-bin//info"))
        .header(AUTHORIZATION, format!("Bearer {}", key.expose_secret()));
    let said = stage.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!((said.status, &said.json["errcode"]), (400, &json!(40_066)));
    assert!(said.json["errmsg"].as_str().unwrap().contains(said.json["detail"].as_str().unwrap()));
    // A merchant who has left.
    let withdrawal = stage.world.simulator.unauthorize(account).unwrap();
    stage.world.push_and_work(&withdrawal).await;
    stage.world.pass(Duration::from_secs(6));
    let left = stage.user_info(&token).await;
    assert_eq!((left.errcode(), &left.json["state"]), (61_003, &json!("unauthorized")));
    let log = stage.world.log.text();
    assert!(!log.contains(&token) && !log.contains(key.expose_secret()));
}

#[tokio::test]
async fn a_mini_programs_server_logs_its_users_in_as_with_a_secret_of_its_own() {
    let stage = Stage::ready().await;
    let program = stage.world.account(2);
    stage.world.push_and_work(&stage.world.merchant_authorizes(&program).push).await;
    let (_, key) = stage.key(|key| key.appids = Some([program.clone()].into())).await;
    let secret = key.expose_secret();
    let login = async |account: &AppId, appid: &AppId, code: &str| {
        let query = format!("appid={appid}&secret={secret}&js_code={code}&grant_type=authorization_code");
        let uri = format!("/v1/wechat/{account}/sns/jscode2session?{query}");
        let request = Request::builder().uri(uri).body(Body::empty()).unwrap();
        let response = stage.router.clone().oneshot(request).await.unwrap();
        serde_json::from_slice::<Value>(&to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap()
    };
    let code = stage.world.simulator.login_code(&program, "oVisitor");
    let session = login(&program, &program, &code).await;
    assert_eq!((&session["openid"], session["session_key"].is_string()), (&json!("oVisitor"), true), "{session}");
    let sent = stage.world.simulator.requests("/sns/component/jscode2session").remove(0);
    assert!(!sent.query.contains("wxp_") && !sent.query.contains("secret="), "{}", sent.query);
    assert_eq!(login(&program, &program, &code).await["errcode"], 40_163);
    // With a token in place of the secret, which keeps the key out of the URL.
    let asked = format!("{program}/cgi-bin/token?grant_type=client_credential&appid={program}&secret={secret}");
    let token = stage.get(&asked).await.json["access_token"].as_str().unwrap().to_owned();
    let code = stage.world.simulator.login_code(&program, "oVisitor");
    let query = format!("access_token={token}&js_code={code}&grant_type=authorization_code");
    let request = Request::builder().uri(format!("/v1/wechat/{program}/sns/jscode2session?{query}"));
    let response = stage.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let session = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&session).unwrap()["openid"], "oVisitor");
    // Naming another account in the query or in a body gives no access to its users.
    let other = stage.world.account(3);
    let theirs = stage.world.simulator.login_code(&other, "oStranger");
    assert_eq!(login(&program, &other, &theirs).await["errcode"], 40_029);
    let logins = stage.world.simulator.requests("/sns/component/jscode2session").len();
    for (method, spelling) in [(Method::POST, "jscode2session"), (Method::GET, "JSCODE2SESSION")] {
        let request = Request::builder()
            .method(method)
            .uri(format!("/v1/wechat/{program}/sns/{spelling}"))
            .header(AUTHORIZATION, format!("Bearer {secret}"))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let form = format!("appid={other}&js_code={theirs}&grant_type=authorization_code");
        let refused = stage.send(request.body(form.into()).unwrap()).await;
        assert_eq!((refused.status, &refused.json["errcode"]), (400, &json!(400)));
    }
    assert_eq!(stage.world.simulator.requests("/sns/component/jscode2session").len(), logins);
    assert_eq!(login(&stage.account, &program, &code).await["errcode"], 48_001);
}

#[tokio::test]
async fn a_limited_key_and_its_token_reach_no_other_account_however_that_is_spelled() {
    let stage = Stage::ready().await;
    let other = stage.world.account(1);
    stage.world.push_and_work(&stage.world.merchant_authorizes(&other).push).await;
    let account = stage.account.clone();
    let (_, key) = stage.key(|key| key.appids = Some([account.clone()].into())).await;
    let token = stage.token(&key).await;
    let asked = stage.world.simulator.requests(USER_INFO).len();
    let (own, others) = (account.as_str(), other.as_str());
    let escaped = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat();
    let gateway = stage.world.gateway();
    for path in [
        format!("{others}/cgi-bin/user/info"),
        format!("{}/cgi-bin/user/info", escaped(others)),
        format!("{}/cgi-bin/user/info", others.to_uppercase()),
        format!("{own}/../{others}/cgi-bin/user/info"),
        format!("{own}/%2e%2e/{others}/cgi-bin/user/info"),
        format!("{own}%2f..%2f{others}/cgi-bin/user/info"),
        format!("{own}%2F%2E%2E%2F{others}%2Fcgi-bin%2Fuser%2Finfo"),
        format!("{others}%2fcgi-bin/user/info"),
        format!("{own},{others}/cgi-bin/user/info"),
        format!("/{others}/cgi-bin/user/info"),
        format!("{own}%00{others}/cgi-bin/user/info"),
        format!("{own}//{others}/cgi-bin/user/info"),
        "platform/cgi-bin/user/info".to_owned(),
        format!("{}/cgi-bin/user/info", escaped("platform")),
        format!("{own}/..%2fplatform/cgi-bin/user/info"),
    ] {
        for query in [
            format!("access_token={token}"),
            format!("appid={own}&access_token={token}"),
            format!("access%5Ftoken={token}"),
        ] {
            let query = format!("{query}&openid={FOLLOWER}");
            let uri = format!("/v1/wechat/{path}?{query}");
            let bare = Request::builder().uri(&uri).body(Body::empty()).unwrap();
            let said = stage.router.clone().oneshot(bare).await.unwrap();
            let bytes = to_bytes(said.into_body(), 1 << 20).await.unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains("subscribe"), "{uri}");
            let bearer = Request::builder().uri(&uri).header(AUTHORIZATION, format!("Bearer {}", key.expose_secret()));
            assert!(
                stage
                    .router
                    .clone()
                    .oneshot(bearer.body(Body::empty()).unwrap())
                    .await
                    .unwrap()
                    .status()
                    .is_client_error()
            );
            let event = HttpEvent::new("GET", &format!("/v1/wechat/{path}")).query(&query);
            gateway.answer(&event.build().to_string()).await;
        }
    }
    assert_eq!(stage.world.simulator.requests(USER_INFO).len(), asked);
    let twice =
        stage.get(&format!("{own}/cgi-bin/user/info?access_token={token}&openid={FOLLOWER}&appid={others}")).await;
    assert_eq!((twice.errcode(), stage.world.simulator.requests(USER_INFO).len()), (0, asked + 1));
    // A token in place of a key permits nothing, and issues no other token.
    for path in ["cgi-bin/token?grant_type=client_credential&secret=", "cgi-bin/user/info?openid=o&secret="] {
        let refused = stage.get(&format!("{own}/{path}{token}")).await;
        assert!(refused.json["access_token"].is_null() && refused.json["openid"].is_null(), "{}", refused.json);
    }
}

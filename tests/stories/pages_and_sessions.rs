//! Web pages signed for the JS-SDK, and logins of users of mini programs.

use std::time::Duration;

use base::ids::{AppId, hex};
use http::Method;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use simulator::{Fault, SecretKind};
use stories::business::{Answer, Business};
use stories::world::World;

const TICKETS: &str = "/cgi-bin/ticket/getticket";
const LOGIN: &str = "/sns/component/jscode2session";

struct Stage {
    world: World,
    business: Business,
    shop: AppId,
    program: AppId,
}

impl Stage {
    async fn ready() -> Self {
        let world = World::ready().await;
        let (shop, program) = (world.account(0), world.account(2));
        for account in [&shop, &program] {
            world.push_and_work(&world.merchant_authorizes(account).push).await;
        }
        Self { business: Business::of(&world), shop, program, world }
    }

    async fn sign(&self, account: &AppId, url: &str) -> Answer {
        let path = format!("/accounts/{account}/js-sdk-configs");
        self.business.ask(Method::POST, &path, &json!({ "url": url })).await
    }

    async fn log_in(&self, code: &str) -> Answer {
        let path = format!("/accounts/{}/mini-program-sessions", self.program);
        self.business.ask(Method::POST, &path, &json!({ "js_code": code })).await
    }

    /// The ticket that WeChat has issued.
    fn ticket(&self) -> String {
        let issued = self.world.simulator.issued_secrets();
        issued.iter().find(|secret| secret.kind == SecretKind::JsTicket).unwrap().value.clone()
    }

    /// The signature that `wx.config` computes for a configuration.
    fn signature(&self, config: &Value, url: &str) -> String {
        let mut members = [
            ("url", url.to_owned()),
            ("timestamp", config["timestamp"].as_i64().unwrap().to_string()),
            ("noncestr", config["nonceStr"].as_str().unwrap().to_owned()),
            ("jsapi_ticket", self.ticket()),
        ];
        members.sort();
        let pairs: Vec<String> = members.iter().map(|(name, value)| format!("{name}={value}")).collect();
        hex(&Sha1::digest(pairs.join("&")))
    }
}

fn errcode(answer: &Answer) -> i64 {
    answer.body["errcode"].as_i64().unwrap()
}

#[tokio::test]
async fn a_page_is_signed_as_wechat_checks_it_whatever_is_in_its_address() {
    let stage = Stage::ready().await;
    let parts = (
        prop_oneof![Just("https"), Just("http")],
        prop_oneof![Just(""), Just(":8443"), Just(":80")],
        "(/[a-z0-9._~%-]{0,8}|/%E5%95%86|/商品){0,4}/?",
        "(\\?([a-z]{1,4}=[A-Za-z0-9%+&=商]{0,8}&?){0,3})?",
        "(#[!/a-z?=商]{0,8})?",
    );
    let mut runner = TestRunner::deterministic();
    for _ in 0..1_000 {
        let (scheme, port, path, query, fragment) = parts.new_tree(&mut runner).unwrap().current();
        let signed = format!("{scheme}://pages.example.com{port}{path}{query}");
        let config = stage.sign(&stage.shop, &format!("{signed}{fragment}")).await;
        assert_eq!(config.status, 200, "{signed}: {}", config.body);
        assert_eq!(config.body["appId"], stage.shop.as_str());
        assert_eq!(config.body["signature"], stage.signature(&config.body, &signed), "{signed}");
    }
    assert_eq!(stage.world.simulator.requests(TICKETS).len(), 1, "one ticket for all of them");
}

#[tokio::test]
async fn a_page_is_signed_on_the_platforms_web_domains_only() {
    let stage = Stage::ready().await;
    let own = format!("https://{}.shops.example.com/", stage.shop);
    let others = format!("https://{}.shops.example.com/", stage.program);
    for (url, status) in [
        ("https://pages.example.com", 200),
        ("https://PAGES.example.com/a", 200),
        (&own, 200),
        (&others, 422),
        ("https://shops.example.com/", 422),
        ("https://pages.example.com.evil.com/", 422),
        ("https://evil.com/?pages.example.com", 422),
        ("https://evil.com/#pages.example.com", 422),
        ("https://a.pages.example.com/", 422),
        ("https://pages.example.com@evil.com/", 400),
        ("https://user@pages.example.com/", 400),
        ("https://evil.com\\@pages.example.com/", 400),
        ("https:\\\\pages.example.com/", 400),
        ("javascript://pages.example.com/%0aalert(1)", 400),
        ("pages.example.com", 400),
        ("//pages.example.com/", 400),
        (" https://pages.example.com/", 400),
        ("https://pages.example.com/a b", 400),
        ("https://pages.example.com/\n", 400),
        ("", 400),
        (&format!("https://pages.example.com/{}", "a".repeat(2_048)), 400),
    ] {
        let answer = stage.sign(&stage.shop, url).await;
        assert_eq!(answer.status, status, "{url}: {}", answer.body);
        match status {
            422 => assert_eq!(answer.problem(), "url-not-on-web-domain"),
            400 => assert_eq!(answer.problem(), "invalid-field"),
            _ => {}
        }
    }
    let refused = stage.sign(&stage.shop, "https://evil.com/").await;
    assert!(refused.detail().contains("pages.example.com, $APPID$.shops.example.com"), "{}", refused.body);
}

#[tokio::test]
async fn what_keeps_an_account_from_signing_is_named() {
    let stage = Stage::ready().await;
    let page = "https://pages.example.com/";
    let program = stage.sign(&stage.program, page).await;
    assert_eq!((program.status, program.problem(), errcode(&program)), (409, "pages-not-permitted", 48_001));
    assert!(program.detail().contains("official accounts"), "{}", program.body);
    stage.world.simulator.inject(Fault::errcode(48_001).on(TICKETS).times(1));
    let unverified = stage.sign(&stage.shop, page).await;
    assert_eq!((unverified.problem(), unverified.detail().contains("服务号")), ("pages-not-permitted", true));
    let failed = stage.business.get("/calls").await.body["calls"][0].clone();
    assert_eq!((&failed["path"], &failed["errcode"]), (&json!("cgi-bin/ticket/getticket"), &json!(48_001)));
    // Every visitor of such a page causes a request, WeChat is not asked each time, and everyone gets the same
    // response.
    let asked = stage.world.simulator.requests(TICKETS).len();
    let again = stage.sign(&stage.shop, page).await;
    assert_eq!((again.status, again.problem(), errcode(&again)), (409, "pages-not-permitted", 48_001));
    assert_eq!(stage.world.simulator.requests(TICKETS).len(), asked);
    let unknown = stage.sign(&AppId::parse("wx0000000000000000").unwrap(), page).await;
    assert_eq!((unknown.status, unknown.problem()), (404, "unknown-account"));
    let withdrawal = stage.world.simulator.unauthorize(&stage.shop).unwrap();
    stage.world.push_and_work(&withdrawal).await;
    stage.world.pass(Duration::from_secs(16));
    let left = stage.sign(&stage.shop, page).await;
    assert_eq!((left.status, left.problem()), (409, "authorization-ended"));
}

#[tokio::test]
async fn a_user_of_a_mini_program_is_logged_in_once_with_a_code() {
    let stage = Stage::ready().await;
    let code = stage.world.simulator.login_code(&stage.program, "oVisitor");
    let session = stage.log_in(&code).await;
    assert_eq!((session.status, &session.body["openid"]), (200, &json!("oVisitor")));
    assert!(session.body["session_key"].is_string() && session.body.get("errcode").is_none());
    let again = stage.log_in(&code).await;
    assert_eq!((again.status, again.problem(), errcode(&again)), (422, "login-code-refused", 40_163));
    let phone = stage.world.simulator.phone_code(&stage.program, "13800000000");
    let mixed_up = stage.log_in(&phone).await;
    assert_eq!((mixed_up.status, mixed_up.problem(), errcode(&mixed_up)), (422, "login-code-refused", 40_029));
    assert!(mixed_up.detail().contains("getPhoneNumber"), "{}", mixed_up.body);
    let path = format!("/accounts/{}/mini-program-sessions", stage.shop);
    let code = stage.world.simulator.login_code(&stage.program, "oVisitor");
    let not_a_program = stage.business.ask(Method::POST, &path, &json!({ "js_code": code })).await;
    assert_eq!((not_a_program.problem(), errcode(&not_a_program)), ("login-code-refused", 40_029));
    assert!(not_a_program.detail().contains("not a mini program"), "{}", not_a_program.body);
    for (fault, status, problem) in [
        (Fault::errcode(40_226), 403, "user-blocked"),
        (Fault::errcode(45_011), 429, "too-many-logins"),
        (Fault::system_error(), 503, "wechat-busy"),
        (Fault::errcode(61_003), 409, "authorization-ended"),
        (Fault::DropUnread, 502, "wechat-unreachable"),
        (Fault::BadGateway, 502, "wechat-unreachable"),
    ] {
        stage.world.simulator.inject(fault.on(LOGIN).times(1));
        let refused = stage.log_in(&stage.world.simulator.login_code(&stage.program, "oVisitor")).await;
        assert_eq!((refused.status, refused.problem()), (status, problem), "{}", refused.body);
    }
    for bad in [json!({}), json!({ "js_code": "" }), json!({ "js_code": "a b" }), json!({ "js_code": "a".repeat(129) })]
    {
        let path = format!("/accounts/{}/mini-program-sessions", stage.program);
        let refused = stage.business.ask(Method::POST, &path, &bad).await;
        assert_eq!((refused.status, refused.problem()), (400, "invalid-field"), "{bad}");
    }
    let log = stage.world.log.text();
    assert!(!log.contains(&code) && !log.contains("oVisitor"));
}

#[tokio::test]
async fn a_component_token_that_wechat_refuses_costs_no_login() {
    let stage = Stage::ready().await;
    stage.world.simulator.inject(Fault::errcode(40_001).on(LOGIN).times(1));
    stage.world.expect_error("the platform was issued a token by somebody else");
    let session = stage.log_in(&stage.world.simulator.login_code(&stage.program, "oVisitor")).await;
    assert_eq!((session.status, &session.body["openid"]), (200, &json!("oVisitor")), "{}", session.body);
}

//! Logins of visitors of an account's web pages, through WeChat: from the page and back to it.

mod attacks;
mod ends;
mod places;

use std::time::Duration;

use base::ids::AppId;
use http::Method;
use serde_json::{Value, json};
use simulator::{Visitor, WebLoginBehaviour, paths};
use stories::browser::{Browser, Page, parameter};
use stories::business::{Answer, Business};
use stories::world::World;
use url::Url;

const SHOP: &str = "https://shop.example.com/in?order=1";
const VISITOR: &str = "oVisitor-0123456789abcdefghi";

/// A nickname that would break a page that treats it as markup.
const NICKNAME: &str = "小明的小店 <b>";

/// The `state` that the shop gave the browser.
const STATE: &str = "state-of-one-browser";

/// An account whose shop logs in its visitors.
struct Stage {
    world: World,
    business: Business,
    account: AppId,
}

impl Stage {
    async fn ready() -> Self {
        Self::of(World::start().await).await
    }

    async fn of(world: World) -> Self {
        world.get_ready().await;
        let account = world.authorized_account().await;
        let business = Business::of(&world);
        let origins = json!({ "login_origins": ["https://shop.example.com"] });
        assert_eq!(business.patch(&account, &origins, None).await.status, 200);
        world.simulator.put_visitor(&account, Visitor::new(VISITOR, NICKNAME));
        Self { world, business, account }
    }

    fn login_url(&self, scope: &str) -> Url {
        let mut url = self.world.public_url.join(&format!("/login/{}", self.account)).unwrap();
        url.query_pairs_mut().extend_pairs([("scope", scope), ("return_url", SHOP), ("state", STATE)]);
        url
    }

    fn wechat_does(&self, web_login: WebLoginBehaviour) {
        self.world.simulator.set_behaviour(simulator::Behaviour { web_login, ..Default::default() });
    }

    /// The URL to which WeChat sends back a visitor who is not asked.
    async fn way_back(&self, browser: &Browser) -> Url {
        let begun = browser.open(&self.login_url("snsapi_base")).await;
        assert_eq!(begun.status, 303, "{}", begun.text);
        browser.open(&begun.location()).await.location()
    }

    /// The same for a visitor who presses our button and agrees.
    async fn way_back_after_consent(&self, browser: &Browser) -> Url {
        let button = browser.open(&self.login_url("snsapi_userinfo")).await;
        let asked = browser.open(&button.link("Continue with WeChat")).await;
        if asked.status == 302 {
            return asked.location();
        }
        browser.submit(&asked, &[("open_id", VISITOR), ("decision", "agree")]).await.location()
    }

    /// A visitor who returns to the shop with a code.
    async fn login_code(&self) -> String {
        let browser = Browser::in_wechat();
        let way_back = self.way_back(&browser).await;
        let page = browser.open(&way_back).await;
        parameter(&returned(&page), "login_code")
    }

    async fn redeem(&self, code: &str) -> Answer {
        redeem(&self.business, code).await
    }
}

async fn redeem(business: &Business, code: &str) -> Answer {
    business.ask(Method::POST, "/logins", &json!({ "login_code": code })).await
}

/// The URL at which a visitor comes back to the shop, with the shop's own parameters.
fn returned(page: &Page) -> Url {
    assert_eq!(page.status, 303, "{}", page.text);
    let url = page.location();
    assert!(url.as_str().starts_with(SHOP), "{url}");
    assert_eq!(parameter(&url, "state"), STATE);
    url
}

/// The error that the shop gets instead of a code.
fn error_of(page: &Page) -> String {
    parameter(&returned(page), "error")
}

/// Checks that nothing a browser sees or a shop gets is WeChat's: no code, no token, no openid.
fn assert_nothing_of_wechats(stage: &Stage, texts: &[&str]) {
    let issued = stage.world.simulator.issued_secrets();
    for text in texts {
        assert!(!text.contains(VISITOR), "{text}");
        let leaked = issued.iter().find(|secret| secret.is_in(text));
        assert!(leaked.is_none(), "{:?} in {text}", leaked.map(|secret| secret.kind));
    }
}

#[tokio::test]
async fn a_visitor_is_logged_in_without_being_asked_and_it_costs_one_write() {
    let stage = Stage::ready().await;
    let browser = Browser::in_wechat();
    stage.world.faults.reset_counts();
    let way_back = stage.way_back(&browser).await;
    assert!(
        !stage.world.faults.all_requests().keys().any(|operation| is_write(operation)),
        "before WeChat has answered"
    );
    let page = browser.open(&way_back).await;
    let back = returned(&page);
    let writes: Vec<_> =
        stage.world.faults.all_requests().into_iter().filter(|(operation, _)| is_write(operation)).collect();
    assert_eq!(writes, [("PutItem".to_owned(), 1)]);
    assert_nothing_of_wechats(&stage, &[back.as_str(), &page.text]);

    let login = stage.redeem(&parameter(&back, "login_code")).await;
    let expected = json!({
        "appid": stage.account, "openid": VISITOR, "scope": "snsapi_base", "snapshot": false, "state": STATE,
    });
    assert_eq!((login.status, login.body), (200, expected));
    assert_eq!(stage.world.calls(paths::VISITOR_INFO), 0);
}

fn is_write(operation: &str) -> bool {
    ["Put", "Update", "Delete", "Transact", "BatchWrite"].iter().any(|name| operation.starts_with(name))
}

#[tokio::test]
async fn a_visitor_who_agrees_shows_name_and_picture() {
    let stage = Stage::ready().await;
    assert!(stage.world.simulator.set_permissions(&stage.account, &[4, 24]));
    let bound = stage.business.calls_wechat(&stage.account, "cgi-bin/open/create", &[], &json!({})).await;
    assert_eq!(bound.body["errcode"], 0, "{}", bound.body);
    let browser = Browser::in_wechat();
    let button = browser.open(&stage.login_url("snsapi_userinfo")).await;
    assert_eq!(button.status, 200, "{}", button.text);
    let name = stage.world.simulator.account(&stage.account).unwrap().nick_name;
    assert!(button.text.contains(&name), "{}", button.text);
    assert!(button.text.contains("src=\"https://wx.qlogo.cn/"), "{}", button.text);
    assert!(button.headers["content-security-policy"].to_str().unwrap().contains("img-src https://*.qlogo.cn"));
    assert!(!button.text.contains("<script"));

    let way_back = stage.way_back_after_consent(&browser).await;
    let login = stage.redeem(&parameter(&returned(&browser.open(&way_back).await), "login_code")).await;
    assert_eq!(login.body["openid"], VISITOR);
    assert_eq!(login.body["profile"]["nickname"], NICKNAME);
    assert!(login.body["profile"]["headimgurl"].as_str().unwrap().starts_with("https://thirdwx.qlogo.cn/"));
    assert_eq!(login.body["unionid"].as_str().unwrap().len(), 28);
    let members: Vec<_> = login.body.as_object().unwrap().keys().collect();
    assert_eq!(members, ["appid", "openid", "profile", "scope", "snapshot", "state", "unionid"]);
}

#[tokio::test]
async fn a_visitor_may_refuse_here_and_at_wechat() {
    let stage = Stage::ready().await;
    let browser = Browser::in_wechat();
    let button = browser.open(&stage.login_url("snsapi_userinfo")).await;
    let not_now = button.link("Not now");
    assert_eq!((parameter(&not_now, "error"), parameter(&not_now, "state")), ("access_denied".into(), STATE.into()));

    let asked = browser.open(&button.link("Continue with WeChat")).await;
    let refused = browser.submit(&asked, &[("open_id", VISITOR), ("decision", "refuse")]).await;
    assert_eq!(error_of(&browser.open(&refused.location()).await), "access_denied");
    assert_eq!(stage.world.calls(paths::WEB_LOGIN_TOKEN), 0);
}

#[tokio::test]
async fn a_page_outside_wechat_shows_the_address_as_a_code_and_begins_nothing() {
    let stage = Stage::ready().await;
    for browser in [Browser::on_computer(), Browser::on_phone()] {
        let page = browser.open(&stage.login_url("snsapi_base")).await;
        assert_eq!(page.status, 200, "{}", page.text);
        assert!(page.text.contains("<svg") && page.text.contains("Log in inside WeChat"), "{}", page.text);
        assert_eq!(browser.cookie_names(), [""; 0]);
        // A visitor who scans it continues in WeChat.
        let shown = format!("127.0.0.1{}", stage.login_url("snsapi_base").path());
        let scanned = Browser::in_wechat();
        let begun = scanned.open(&page.link(&shown)).await;
        assert_eq!(begun.status, 303, "{}", begun.text);
    }
}

#[tokio::test]
async fn a_code_is_redeemed_once_within_a_minute_and_again_by_the_same_service_a_moment_later() {
    let stage = Stage::ready().await;
    let another = Business::as_another_service(&stage.world);
    let code = stage.login_code().await;
    let first = stage.redeem(&code).await;
    assert_eq!(first.status, 200, "{}", first.body);
    stage.world.pass(Duration::from_secs(9));
    assert_eq!(stage.redeem(&code).await.body, first.body);
    assert_eq!(redeem(&another, &code).await.problem(), "unknown-login");
    stage.world.pass(Duration::from_secs(1));
    assert_eq!(stage.redeem(&code).await.problem(), "unknown-login");

    let code = stage.login_code().await;
    stage.world.pass(Duration::from_secs(59));
    assert_eq!(stage.redeem(&code).await.status, 200);
    let code = stage.login_code().await;
    stage.world.pass(Duration::from_mins(1));
    assert_eq!(stage.redeem(&code).await.problem(), "unknown-login");
    for unknown in ["x", &"A".repeat(43), &"中".repeat(2_000)] {
        assert_eq!(stage.redeem(unknown).await.problem(), "unknown-login");
    }
}

#[tokio::test]
async fn of_two_services_that_redeem_at_once_one_gets_the_visitor() {
    let stage = Stage::ready().await;
    let another = Business::as_another_service(&stage.world);
    for _ in 0..8 {
        let code = stage.login_code().await;
        let (one, other) = tokio::join!(stage.redeem(&code), redeem(&another, &code));
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 404]);
    }
}

#[tokio::test]
async fn a_key_redeems_logins_of_its_accounts_only_and_spends_no_other() {
    let stage = Stage::ready().await;
    let code = stage.login_code().await;
    let with = async |scopes: &[&str], accounts: Option<AppId>| {
        let (_, key) = stage.world.key(scopes, |key| key.appids = accounts.map(|account| [account].into())).await;
        redeem(&stage.business.with_another_key(&key), &code).await
    };
    assert_eq!(with(&["calls", "accounts:read"], None).await.problem(), "not-allowed");
    assert_eq!(with(&["logins"], Some(stage.world.account(1))).await.problem(), "not-allowed");
    assert_eq!(with(&["logins"], Some(stage.account.clone())).await.body["openid"], VISITOR);
    assert_eq!(redeem(&Business::unsigned(&stage.world), &code).await.problem(), "no-identity");
}

/// The example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

#[tokio::test]
async fn a_login_with_a_challenge_is_for_whoever_has_its_verifier() {
    let stage = Stage::ready().await;
    let browser = Browser::in_wechat();
    let mut url = stage.world.public_url.join(&format!("/login/{}", stage.account)).unwrap();
    url.query_pairs_mut().extend_pairs([("scope", "snsapi_base"), ("return_url", SHOP), ("challenge", CHALLENGE)]);
    let at_wechat = browser.open(&url).await.location();
    let back = browser.open(&browser.open(&at_wechat).await.location()).await.location();
    let code = parameter(&back, "login_code");
    assert!(!back.query_pairs().any(|(name, _)| name == "state"), "{back}");
    let with = async |verifier: Value| {
        let body = json!({ "login_code": code, "verifier": verifier });
        stage.business.ask(Method::POST, "/logins", &body).await
    };
    for wrong in [Value::Null, json!("x".repeat(43))] {
        assert_eq!(with(wrong).await.problem(), "verifier-refused");
    }
    let another = Business::as_another_service(&stage.world);
    assert_eq!(with(json!("short")).await.problem(), "invalid-field");
    let login = with(json!(VERIFIER)).await;
    assert_eq!((login.status, &login.body["openid"], login.body.get("state")), (200, &json!(VISITOR), None));
    // Once it is used or expired, it is unknown whatever is sent with it.
    assert_eq!(redeem(&another, &code).await.problem(), "unknown-login");
    stage.world.pass(Duration::from_mins(1));
    assert_eq!(with(json!("x".repeat(43))).await.problem(), "unknown-login");

    // Somebody has removed the challenge from the URL.
    let code = stage.login_code().await;
    let body = json!({ "login_code": code, "verifier": VERIFIER });
    assert_eq!(stage.business.ask(Method::POST, "/logins", &body).await.problem(), "verifier-refused");
}

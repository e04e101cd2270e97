//! WeChat's page of a web login: which links it accepts, which visitors it asks, where it sends them.

use http::StatusCode;
use serde_json::{Value, json};
use simulator::{Account, Fault, SecretKind, Visitor, WebLoginBehaviour, paths};
use url::Url;
use url::form_urlencoded::{Serializer, parse};

use super::{STATE, authorized, exchange, set};
use crate::harness::{COMPONENT, Harness, errcode, text};

const CALLBACK: &str = "https://launch.test/login/callback?shop=1";

/// The parameters of a correct link, in their order.
pub(super) fn link(scope: &str) -> Vec<(&'static str, String)> {
    let values =
        [Harness::account().as_str(), CALLBACK, "code", scope, STATE, COMPONENT].map(str::to_owned).into_iter();
    ["appid", "redirect_uri", "response_type", "scope", "state", "component_appid"].into_iter().zip(values).collect()
}

fn with(name: &str, value: &str) -> Vec<(&'static str, String)> {
    let changed = |(known, old)| (known, if known == name { value.to_owned() } else { old });
    link("snsapi_base").into_iter().map(changed).collect()
}

fn encoded(parameters: &[(&str, String)]) -> String {
    Serializer::new(String::new()).extend_pairs(parameters).finish()
}

async fn open(wechat: &Harness, parameters: &[(&str, String)]) -> reqwest::Response {
    wechat.get_raw(paths::WEB_LOGIN_PAGE, &encoded(parameters)).await
}

pub(super) async fn shown(wechat: &Harness, parameters: &[(&str, String)]) -> String {
    let response = open(wechat, parameters).await;
    assert_eq!(response.status(), 200);
    response.text().await.unwrap()
}

async fn decide(wechat: &Harness, decision: &str, open_id: &str) -> reqwest::Response {
    let mut parameters = link("snsapi_userinfo");
    parameters.extend([("open_id", open_id.to_owned()), ("decision", decision.to_owned())]);
    let request = wechat.http.post(format!("{}{}", wechat.base, paths::WEB_LOGIN_PAGE));
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    request.body(encoded(&parameters)).send().await.unwrap()
}

fn back(response: &reqwest::Response) -> Url {
    assert_eq!(response.status(), StatusCode::FOUND);
    response.headers()["location"].to_str().unwrap().parse().unwrap()
}

fn code_of(response: &reqwest::Response) -> String {
    let back = back(response);
    let (_, code) = back.query_pairs().find(|(name, _)| name == "code").unwrap();
    let expected = format!("{CALLBACK}&code={code}&state={STATE}&appid={}", Harness::account());
    assert_eq!(back.as_str(), expected);
    code.into_owned()
}

async fn visitor_of(wechat: &Harness, response: reqwest::Response) -> Value {
    let component = wechat.component_token().await;
    exchange(wechat, &component, &code_of(&response)).await
}

#[tokio::test]
async fn the_base_scope_goes_straight_back_and_the_other_asks_the_visitor() {
    let wechat = authorized().await;
    let follower = wechat.simulator.account(&Harness::account()).unwrap().follower();
    let silent = visitor_of(&wechat, open(&wechat, &link("snsapi_base")).await).await;
    assert_eq!((&silent["openid"], &silent["scope"]), (&json!(follower), &json!("snsapi_base")));

    let page = shown(&wechat, &link("snsapi_userinfo")).await;
    let account = wechat.simulator.account(&Harness::account()).unwrap();
    assert!(page.contains(&account.nick_name) && page.contains("同意") && page.contains("拒绝"), "{page}");
    let agreed = visitor_of(&wechat, decide(&wechat, "agree", &follower).await).await;
    assert_eq!((&agreed["openid"], &agreed["scope"]), (&json!(follower), &json!("snsapi_userinfo")));
}

#[tokio::test]
async fn a_visitor_who_refuses_goes_back_with_the_state_only() {
    let wechat = authorized().await;
    let follower = wechat.simulator.account(&Harness::account()).unwrap().follower();
    let refused = decide(&wechat, "refuse", &follower).await;
    assert_eq!(back(&refused).as_str(), format!("{CALLBACK}&state={STATE}"));
    assert_eq!(decide(&wechat, "agree", "oSomebody").await.status(), 400);
    assert!(wechat.simulator.issued_secrets().iter().all(|secret| secret.kind != SecretKind::WebLoginCode));
}

#[tokio::test]
async fn a_fragment_ends_up_after_the_query() {
    let wechat = authorized().await;
    let response = open(&wechat, &with("redirect_uri", "https://launch.test/a#/page")).await;
    let back = back(&response);
    assert!(back.query().unwrap().starts_with("code=") && back.fragment() == Some("/page"), "{back}");
}

#[tokio::test]
async fn links_that_wechat_refuses_show_its_error() {
    let wechat = authorized().await;
    let long = "a".repeat(129);
    for (name, value, expected) in [
        ("redirect_uri", "https://evil.test/", "错误码 10003"),
        ("redirect_uri", "https://wx0a20000000000002.launch.test/", "错误码 10003"),
        ("redirect_uri", "https://launch.test.evil.test/", "错误码 10003"),
        ("component_appid", "", "错误码 10003"),
        ("scope", "snsapi_login", "错误码 10005"),
        ("scope", "snsapi_base,snsapi_login", "错误码 10005"),
        ("scope", "", "错误码 10010"),
        ("redirect_uri", "", "错误码 10011"),
        ("appid", "", "错误码 10012"),
        ("state", "", "错误码 10013"),
        ("appid", "wx0a20000000000002", "错误码 10015"),
        ("appid", "wxunknown", "错误码 10015"),
        ("component_appid", "wxotherplatform", "错误码 10015"),
        ("appid", COMPONENT, "错误码 10016"),
        ("redirect_uri", "/relative", "该链接无法访问"),
        ("redirect_uri", "ftp://launch.test/", "该链接无法访问"),
        ("response_type", "token", "该链接无法访问"),
        ("state", "a-b", "该链接无法访问"),
        ("state", &long, "该链接无法访问"),
    ] {
        let page = shown(&wechat, &with(name, value)).await;
        assert!(page.contains(expected), "{name}={value}: {expected} in {page}");
    }
    assert!(wechat.simulator.issued_secrets().iter().all(|secret| secret.kind != SecretKind::WebLoginCode));
    assert_eq!(open(&wechat, &with("scope", "snsapi_base,snsapi_userinfo")).await.status(), 200, "a page asks");
    assert_eq!(open(&wechat, &with("state", &"a".repeat(128))).await.status(), StatusCode::FOUND);
}

#[tokio::test]
async fn names_order_and_spelling_are_the_documented_ones() {
    let wechat = authorized().await;
    let right = link("snsapi_base");
    for changed in 0..right.len() {
        let mut swapped = right.clone();
        swapped.swap(changed, (changed + 1) % right.len());
        let mut twice = right.clone();
        twice.insert(changed, right[changed].clone());
        let mut upper = encoded(&right);
        upper = upper.replacen(right[changed].0, &right[changed].0.to_uppercase(), 1);
        for query in [encoded(&swapped), encoded(&twice), upper, format!("{}&forcePopup=true", encoded(&right))] {
            let page = wechat.get_raw(paths::WEB_LOGIN_PAGE, &query).await.text().await.unwrap();
            assert!(page.contains("该链接无法访问"), "{query}");
        }
    }
    let plain = encoded(&right).replace("%3A%2F%2F", "://");
    let page = wechat.get_raw(paths::WEB_LOGIN_PAGE, &plain).await.text().await.unwrap();
    assert!(page.contains("该链接无法访问"), "{page}");
}

#[tokio::test]
async fn the_account_must_be_a_verified_service_account_with_the_permission_set() {
    let wechat = authorized().await;
    let shop = Account::demo().remove(0);
    let page = async |account: Account| {
        wechat.simulator.put_account(account);
        let response = open(&wechat, &link("snsapi_base")).await;
        if response.status() == StatusCode::FOUND { String::new() } else { response.text().await.unwrap() }
    };
    assert!(page(Account { service_type: 0, ..shop.clone() }).await.contains("10005"));
    assert!(page(Account { verify_type: -1, ..shop.clone() }).await.contains("10005"));
    for account_status in [14, 16, 19] {
        assert!(page(Account { account_status, ..shop.clone() }).await.contains("10004"));
    }
    assert_eq!(page(Account { account_status: 18, ..shop.clone() }).await, "");
    assert!(wechat.simulator.set_permissions(&shop.appid, &[1, 15]));
    assert!(page(shop.clone()).await.contains("10015"));
    assert!(wechat.simulator.set_permissions(&shop.appid, &[4]));
    assert_eq!(page(shop.clone()).await, "");
    drop(wechat.simulator.unauthorize(&shop.appid));
    assert!(page(shop).await.contains("10015"));

    let mini_program = Harness::mini_program();
    drop(wechat.simulator.authorize_without_link(&mini_program).unwrap());
    assert!(shown(&wechat, &with("appid", mini_program.as_str())).await.contains("10005"));
}

#[tokio::test]
async fn an_open_accounts_appid_is_not_an_accounts() {
    let wechat = Harness::start().await;
    wechat.simulator.put_account(Account { func_ids: vec![24], ..Account::demo().remove(0) });
    let token = wechat.token_of(&Harness::account()).await;
    let open = text(&wechat.call("/cgi-bin/open/create", Some(&token), json!({})).await, "/open_appid");
    assert!(shown(&wechat, &with("appid", &open)).await.contains("10016"));
}

#[tokio::test]
async fn visitors_go_back_to_a_web_domain_or_the_accounts_own_child_of_one() {
    let wechat = authorized().await;
    wechat.simulator.set_web_domains(vec!["one.test".to_owned(), "two.test".to_owned()]);
    let own = format!("https://{}.two.test:8443/", Harness::account());
    for (callback, is_taken) in [
        ("http://one.test/", true),
        ("https://two.test/any", true),
        (&own, true),
        ("https://www.one.test/", false),
        ("https://launch.test/", false),
    ] {
        let status = open(&wechat, &with("redirect_uri", callback)).await.status();
        assert_eq!(status == StatusCode::FOUND, is_taken, "{callback}");
    }
}

#[tokio::test]
async fn a_visitor_can_be_added_and_chosen() {
    let wechat = authorized().await;
    for (open_id, nickname) in [("oFirst", "阿青"), ("oSecond", "<b>")] {
        wechat.simulator.put_visitor(&Harness::account(), Visitor::new(open_id, nickname));
    }
    let silent = visitor_of(&wechat, open(&wechat, &link("snsapi_base")).await).await;
    assert_eq!(silent["openid"], "oSecond");
    let page = shown(&wechat, &link("snsapi_userinfo")).await;
    assert_eq!(page.matches(r#"type="radio""#).count(), 3);
    assert!(page.contains("阿青") && !page.contains("<b>"));
    assert!(page.lines().any(|line| line.contains("oSecond") && line.contains("checked")), "{page}");
    let agreed = visitor_of(&wechat, decide(&wechat, "agree", "oFirst").await).await;
    assert_eq!(agreed["openid"], "oFirst");
}

#[tokio::test]
async fn only_a_follower_passes_silently() {
    let wechat = authorized().await;
    set(&wechat, WebLoginBehaviour { silent: true, ..WebLoginBehaviour::default() });
    wechat.simulator.put_visitor(&Harness::account(), Visitor::new("oVisitor", "阿青"));
    assert!(shown(&wechat, &link("snsapi_userinfo")).await.contains("同意"));
    wechat.simulator.follow(&Harness::account(), "oVisitor");
    let silent = visitor_of(&wechat, open(&wechat, &link("snsapi_userinfo")).await).await;
    assert_eq!((&silent["openid"], &silent["scope"]), (&json!("oVisitor"), &json!("snsapi_userinfo")));
}

#[tokio::test]
async fn a_snapshot_asks_nobody_and_makes_up_the_visitor() {
    let wechat = authorized().await;
    set(&wechat, WebLoginBehaviour { snapshot: true, ..WebLoginBehaviour::default() });
    let first = visitor_of(&wechat, open(&wechat, &link("snsapi_userinfo")).await).await;
    let second = visitor_of(&wechat, open(&wechat, &link("snsapi_userinfo")).await).await;
    let follower = wechat.simulator.account(&Harness::account()).unwrap().follower();
    assert_eq!(first["is_snapshotuser"], 1);
    assert_eq!(text(&first, "/openid").len(), follower.len());
    assert!(first["openid"] != second["openid"] && first["openid"] != follower.as_str(), "{first} {second}");
    let real = visitor_of(&wechat, open(&wechat, &link("snsapi_base")).await).await;
    assert_eq!((&real["openid"], real.get("is_snapshotuser")), (&json!(follower), None));
}

#[tokio::test]
async fn a_double_load_is_a_page_that_loads_the_callback_in_a_frame_and_as_itself() {
    let wechat = authorized().await;
    set(&wechat, WebLoginBehaviour { double_load: true, ..WebLoginBehaviour::default() });
    let response = open(&wechat, &link("snsapi_base")).await;
    assert_eq!(response.status(), 200);
    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("frame-src http: https:"), "{policy}");
    let refresh = response.headers()["refresh"].to_str().unwrap().to_owned();
    let back = refresh.strip_prefix("1; url=").unwrap();
    assert!(back.starts_with(&format!("{CALLBACK}&code=")), "{back}");
    let page = response.text().await.unwrap();
    assert!(page.contains(&format!("<iframe src=\"{}\"", back.replace('&', "&#38;"))), "{page}");
    let query: Vec<_> = parse(back.split_once('?').unwrap().1.as_bytes()).into_owned().collect();
    let component = wechat.component_token().await;
    assert_eq!(errcode(&exchange(&wechat, &component, &query[1].1).await), 0);
    assert_eq!(errcode(&exchange(&wechat, &component, &query[1].1).await), 40163);
}

#[tokio::test]
async fn a_link_that_is_never_right_is_the_platforms_fault() {
    let wechat = authorized().await;
    open(&wechat, &with("redirect_uri", "https://evil.test/")).await;
    open(&wechat, &with("appid", "wx0a20000000000002")).await;
    assert_eq!(wechat.simulator.unexpected_calls(), []);
    open(&wechat, &with("state", "a-b")).await;
    open(&wechat, &with("scope", "snsapi_login")).await;
    assert_eq!(wechat.simulator.unexpected_calls().len(), 2);
    wechat.simulator.inject(Fault::BadGateway.on(paths::WEB_LOGIN_PAGE).times(1));
    assert_eq!(open(&wechat, &link("snsapi_base")).await.status(), 502);
}

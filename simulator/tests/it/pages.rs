//! The authorization pages, as a browser that comes from the launch page uses them.

use std::collections::HashMap;
use std::time::Duration;

use simulator::{Account, Behaviour, Delivery, paths};
use url::Url;
use url::form_urlencoded::{Serializer, parse};

use crate::harness::{COMPONENT, Harness, element, errcode};

const CALLBACK: &str = "https://launch.test/authorize/l/callback/a?x=1%262";

struct Link<'a> {
    path: &'a str,
    referer: Option<&'a str>,
    parameters: HashMap<&'a str, &'a str>,
}

impl<'a> Link<'a> {
    fn pc(code: &'a str) -> Self {
        let parameters =
            [("component_appid", COMPONENT), ("pre_auth_code", code), ("redirect_uri", CALLBACK), ("auth_type", "3")];
        Self { path: paths::PC_PAGE, referer: Some("https://launch.test/"), parameters: parameters.into() }
    }

    fn with(mut self, name: &'a str, value: &'a str) -> Self {
        self.parameters.insert(name, value);
        self
    }

    async fn open(&self, wechat: &Harness) -> String {
        let query = Serializer::new(String::new()).extend_pairs(&self.parameters).finish();
        let mut request = wechat.http.get(format!("{}{}?{query}", wechat.base, self.path));
        if let Some(referer) = self.referer {
            request = request.header("Referer", referer);
        }
        request.send().await.unwrap().text().await.unwrap()
    }

    async fn decide(&self, wechat: &Harness, decision: &str, account: &str) -> reqwest::Response {
        let body = Serializer::new(String::new())
            .extend_pairs(&self.parameters)
            .append_pair("authorizer_appid", account)
            .append_pair("decision", decision)
            .finish();
        let request = wechat.http.post(format!("{}{}", wechat.base, paths::CONSENT));
        request.header("Content-Type", "application/x-www-form-urlencoded").body(body).send().await.unwrap()
    }
}

/// The code in the redirect, which must lead back to the callback with its own query unchanged.
fn code_of(response: &reqwest::Response) -> String {
    assert_eq!(response.status(), 303);
    let back = Url::parse(response.headers()["location"].to_str().unwrap()).unwrap();
    assert!(back.as_str().starts_with(&format!("{CALLBACK}&auth_code=")), "{back}");
    let query: HashMap<_, _> = parse(back.query().unwrap().as_bytes()).collect();
    assert_eq!(query["expires_in"], "600");
    query["auth_code"].clone().into_owned()
}

#[tokio::test]
async fn a_merchant_chooses_an_account_and_comes_back_with_a_code() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    let code = wechat.pre_auth_code(&token).await;
    let link = Link::pc(&code);
    let page = link.open(&wechat).await;
    for account in wechat.simulator.accounts() {
        assert!(page.contains(account.appid.as_str()) && page.contains(&account.nick_name));
    }
    assert!(page.contains(r#"name="viewport""#) && !page.contains("<script"));

    let back = link.decide(&wechat, "confirm", Harness::account().as_str()).await;
    let returned = code_of(&back);
    wechat.simulator.pushes_settled().await;
    assert_eq!(element(&wechat.receiver.last(), "AuthorizationCode").unwrap(), returned);
    assert_eq!(errcode(&wechat.exchange(&token, &returned).await), 0);
    assert!(link.open(&wechat).await.contains("-110"));
    let again = link.decide(&wechat, "confirm", Harness::account().as_str()).await;
    assert!(again.text().await.unwrap().contains("-110"));
}

#[tokio::test]
async fn wechats_test_accounts_come_last() {
    let wechat = Harness::start().await;
    let demo: Vec<_> = wechat.simulator.accounts();
    for account in Account::release_check() {
        wechat.simulator.put_account(account);
    }
    let accounts = wechat.simulator.accounts();
    assert_eq!((&accounts[..demo.len()], accounts.len()), (&demo[..], demo.len() + 10));
    let token = wechat.component_token().await;
    let page = Link::pc(&wechat.pre_auth_code(&token).await).open(&wechat).await;
    let checked = page.lines().find(|line| line.contains(" checked>")).unwrap();
    assert!(checked.contains(demo[0].appid.as_str()), "{checked}");
}

#[tokio::test]
async fn the_entry_page_must_be_on_the_launch_domain() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    let code = wechat.pre_auth_code(&token).await;
    let page = async |referer| Link { referer, ..Link::pc(&code) }.open(&wechat).await;
    assert!(page(None).await.contains("授权入口页所在域名：空"));
    assert!(page(Some("https://evil.test/launch.test")).await.contains("授权入口页所在域名：evil.test"));
    assert!(page(Some("https://launch.test:8443/page")).await.contains("<form"));
}

#[tokio::test]
async fn wrong_links_show_wechats_error() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    let expired = wechat.pre_auth_code(&token).await;
    wechat.clock.advance(Duration::from_mins(30));
    let code = wechat.pre_auth_code(&token).await;
    let mobile = || Link { path: paths::MOBILE_PAGE, ..Link::pc(&code) };
    for (link, expected) in [
        (Link::pc(&expired), "-101"),
        (Link::pc("preauthcode@@@invented"), "-100"),
        (Link::pc(""), "-307"),
        (Link::pc(&code).with("component_appid", "wxother"), "-305"),
        (Link::pc(&code).with("redirect_uri", "https://evil.test/"), "-302"),
        (Link::pc(&code).with("redirect_uri", "/relative"), "-301"),
        (Link::pc(&code).with("auth_type", ""), "-301"),
        (Link::pc(&code).with("auth_type", "7"), "-301"),
        (Link::pc(&code).with("auth_type", "5"), "-111"),
        (Link::pc(&code).with("biz_appid", "wxnobody"), "-111"),
        (Link::pc(&code).with("category_id_list", "1,2"), "-104"),
        (mobile(), "-301"),
        (mobile().with("action", "bindcomponent").with("no_scan", "0"), "-301"),
        (mobile().with("action", "bindcomponent").with("no_scan", "1"), "<form"),
    ] {
        let page = link.open(&wechat).await;
        assert!(page.contains(expected), "{expected} in {page}");
    }
}

#[tokio::test]
async fn auth_type_and_biz_appid_limit_the_choice() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    let code = wechat.pre_auth_code(&token).await;
    let choices = async |link: Link<'_>| link.open(&wechat).await.matches(r#"type="radio""#).count();
    assert_eq!(choices(Link::pc(&code)).await, 4);
    assert_eq!(choices(Link::pc(&code).with("auth_type", "1")).await, 2);
    assert_eq!(choices(Link::pc(&code).with("auth_type", "2")).await, 2);
    let account = Harness::account();
    let limited = || Link::pc(&code).with("auth_type", "2").with("biz_appid", account.as_str());
    assert_eq!(choices(limited()).await, 1);
    let other = wechat.simulator.accounts().pop().unwrap().appid;
    assert!(limited().decide(&wechat, "confirm", other.as_str()).await.text().await.unwrap().contains("-111"));
    assert!(!wechat.simulator.is_authorized(&other));
}

#[tokio::test]
async fn category_id_list_narrows_what_is_granted() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    let code = wechat.pre_auth_code(&token).await;
    let link = Link::pc(&code).with("category_id_list", "1|15|99");
    let returned = code_of(&link.decide(&wechat, "confirm", Harness::account().as_str()).await);
    let granted = wechat.exchange(&token, &returned).await;
    let ids: Vec<_> = granted["authorization_info"]["func_info"]
        .as_array()
        .unwrap()
        .iter()
        .map(|set| set["funcscope_category"]["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids, [1, 15]);
}

#[tokio::test]
async fn a_merchant_who_cancels_grants_nothing() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    let code = wechat.pre_auth_code(&token).await;
    let answer = Link::pc(&code).decide(&wechat, "cancel", Harness::account().as_str()).await;
    assert!(answer.text().await.unwrap().contains("已取消"));
    assert!(!wechat.simulator.is_authorized(&Harness::account()));
    assert!(Link::pc(&code).open(&wechat).await.contains("<form"));
}

#[tokio::test]
async fn push_and_redirect_arrive_as_configured() {
    for (delivery, status, pushes) in
        [(Delivery::PushFirst, 303, 1), (Delivery::PushOnly, 200, 1), (Delivery::RedirectOnly, 303, 0)]
    {
        let wechat = Harness::start().await;
        wechat.simulator.set_behaviour(Behaviour { delivery, ..Behaviour::default() });
        let token = wechat.component_token().await;
        let code = wechat.pre_auth_code(&token).await;
        let answer = Link::pc(&code).decide(&wechat, "confirm", Harness::account().as_str()).await;
        assert_eq!(answer.status(), status);
        if delivery == Delivery::PushOnly {
            wechat.simulator.pushes_settled().await;
        }
        assert_eq!(wechat.receiver.messages().len(), 1 + pushes, "{delivery:?}");
    }
}

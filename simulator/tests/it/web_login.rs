//! Web login: the use of the code that WeChat's page issues.

mod console;
mod page;

use std::sync::Arc;
use std::time::Duration;

use base::ids::AppId;
use http::StatusCode;
use serde_json::{Value, json};
use simulator::{Account, Behaviour, Fault, Scope, SecretKind, Simulator, Visitor, WebLoginBehaviour, paths};
use url::form_urlencoded::Serializer;

use crate::harness::{COMPONENT, Harness, clock, errcode, json_of, options, text};

const STATE: &str = "a1B2c3";

async fn authorized() -> Harness {
    let wechat = Harness::start().await;
    let _unsent = wechat.simulator.authorize_without_link(&Harness::account()).unwrap();
    wechat
}

fn set(wechat: &Harness, web_login: WebLoginBehaviour) {
    wechat.simulator.set_behaviour(Behaviour { web_login, ..wechat.simulator.behaviour() });
}

/// `GET` with the parameters that every call of the component below `/sns/oauth2/` has.
async fn call(wechat: &Harness, path: &str, component: &str, account: &AppId, rest: &str) -> Value {
    let query = format!("appid={account}&component_appid={COMPONENT}&component_access_token={component}&{rest}");
    json_of(wechat.get_raw(path, &query).await).await
}

async fn exchange(wechat: &Harness, component: &str, code: &str) -> Value {
    let rest = format!("code={code}&grant_type=authorization_code");
    call(wechat, paths::WEB_LOGIN_TOKEN, component, &Harness::account(), &rest).await
}

async fn renew(wechat: &Harness, component: &str, refresh_token: &str) -> Value {
    let rest = format!("refresh_token={refresh_token}&grant_type=refresh_token");
    call(wechat, paths::WEB_LOGIN_REFRESH, component, &Harness::account(), &rest).await
}

async fn profile(wechat: &Harness, token: &str, open_id: &str) -> Value {
    wechat.get(paths::VISITOR_INFO, token, &format!("&openid={open_id}&lang=zh_CN")).await
}

fn code(simulator: &Simulator, scope: Scope) -> String {
    simulator.web_login_code(&Harness::account(), "oVisitor", scope)
}

#[tokio::test]
async fn a_code_is_exchanged_once_and_within_five_minutes() {
    let wechat = authorized().await;
    let component = wechat.component_token().await;
    let first = code(&wechat.simulator, Scope::Base);
    let mut answer = exchange(&wechat, &component, &first).await;
    let (access, refresh) = (text(&answer, "/access_token"), text(&answer, "/refresh_token"));
    let members = answer.as_object_mut().unwrap();
    members.retain(|name, _| !name.ends_with("_token"));
    assert_eq!(answer, json!({ "expires_in": 7200, "openid": "oVisitor", "scope": "snsapi_base" }));
    let secrets = wechat.simulator.issued_secrets();
    for (kind, value) in [
        (SecretKind::WebLoginCode, &first),
        (SecretKind::VisitorToken, &access),
        (SecretKind::VisitorRefreshToken, &refresh),
    ] {
        assert!(secrets.iter().any(|secret| secret.kind == kind && secret.value == *value), "{kind:?}");
    }

    assert_eq!(errcode(&exchange(&wechat, &component, &first).await), 40163);
    assert_eq!(errcode(&exchange(&wechat, &component, "invented").await), 40029);
    let of_another = wechat.simulator.web_login_code(&Harness::mini_program(), "oVisitor", Scope::Base);
    assert_eq!(errcode(&exchange(&wechat, &component, &of_another).await), 40029);
    let late = code(&wechat.simulator, Scope::Base);
    wechat.clock.advance(Duration::from_mins(5));
    assert_eq!(errcode(&exchange(&wechat, &component, &late).await), 42003);
    assert_eq!(wechat.simulator.unexpected_calls(), []);
}

#[tokio::test]
async fn an_exchange_requires_the_components_token_and_the_permission_set() {
    let wechat = Harness::start().await;
    let account = wechat.token_of(&Harness::account()).await;
    let component = wechat.component_token().await;
    let open = code(&wechat.simulator, Scope::Base);
    assert_eq!(errcode(&exchange(&wechat, &account, &open).await), 48001);
    assert_eq!(wechat.simulator.unexpected_calls(), []);
    let appid = Harness::account();
    let other = Account::demo().remove(1).appid;
    for (account, rest, expected) in [
        (&appid, format!("code={open}"), 40002),
        (&appid, "grant_type=authorization_code".to_owned(), 41008),
        (&other, format!("code={open}&grant_type=authorization_code"), 61003),
    ] {
        let answer = call(&wechat, paths::WEB_LOGIN_TOKEN, &component, account, &rest).await;
        assert_eq!(errcode(&answer), expected, "{rest}");
    }
    assert_eq!(wechat.simulator.unexpected_calls().len(), 2, "the platform sends every parameter");
    assert!(wechat.simulator.set_permissions(&appid, &[1]));
    assert_eq!(errcode(&exchange(&wechat, &component, &open).await), 48001);
    assert!(wechat.simulator.set_permissions(&appid, &[4]));
    assert_eq!(errcode(&exchange(&wechat, &component, &open).await), 0);
}

#[tokio::test]
async fn a_visitors_token_is_renewed_for_thirty_days() {
    let wechat = authorized().await;
    let component = wechat.component_token().await;
    let answer = exchange(&wechat, &component, &code(&wechat.simulator, Scope::UserInfo)).await;
    let (access, refresh) = (text(&answer, "/access_token"), text(&answer, "/refresh_token"));
    wechat.clock.advance(Duration::from_hours(2));
    assert_eq!(errcode(&profile(&wechat, &access, "oVisitor").await), 42001);
    let component = wechat.component_token().await;
    let renewed = renew(&wechat, &component, &refresh).await;
    assert_eq!(renewed["refresh_token"], refresh.as_str());
    assert_eq!(renewed.as_object().unwrap().len(), 5, "{renewed}");
    assert_eq!(errcode(&profile(&wechat, &text(&renewed, "/access_token"), "oVisitor").await), 0);

    assert_eq!(errcode(&renew(&wechat, &component, "invented").await), 40030);
    let missing = "grant_type=refresh_token";
    let missing = call(&wechat, paths::WEB_LOGIN_REFRESH, &component, &Harness::account(), missing).await;
    assert_eq!(errcode(&missing), 41003);
    wechat.clock.advance(Duration::from_hours(30 * 24));
    let component = wechat.component_token().await;
    assert_eq!(errcode(&renew(&wechat, &component, &refresh).await), 42002);
}

#[tokio::test]
async fn a_profile_is_read_with_the_visitors_token_and_openid() {
    let wechat = authorized().await;
    let component = wechat.component_token().await;
    let visitor = Visitor { head_img_url: String::new(), ..Visitor::new("oVisitor", "阿青 🌿") };
    wechat.simulator.put_visitor(&Harness::account(), visitor);
    let answer = exchange(&wechat, &component, &code(&wechat.simulator, Scope::UserInfo)).await;
    let token = text(&answer, "/access_token");
    let expected = json!({
        "openid": "oVisitor", "nickname": "阿青 🌿", "sex": 0, "language": "", "city": "", "province": "",
        "country": "", "headimgurl": "", "privilege": [],
    });
    assert_eq!(profile(&wechat, &token, "oVisitor").await, expected);
    assert_eq!(errcode(&profile(&wechat, &token, "oOther").await), 40003);
    assert_eq!(errcode(&wechat.get(paths::VISITOR_INFO, &token, "").await), 41009);
    assert_eq!(errcode(&profile(&wechat, &component, "oVisitor").await), 40001);
    let checked = wechat.get(paths::VISITOR_CHECK, &token, "&openid=oVisitor").await;
    assert_eq!((errcode(&checked), &checked["errmsg"]), (0, &json!("ok")));
    assert_eq!(errcode(&wechat.get(paths::VISITOR_CHECK, &token, "&openid=oOther").await), 40003);

    let base = exchange(&wechat, &component, &code(&wechat.simulator, Scope::Base)).await;
    let base = text(&base, "/access_token");
    assert_eq!(errcode(&profile(&wechat, &base, "oVisitor").await), 48001);
    assert_eq!(errcode(&wechat.get(paths::VISITOR_CHECK, &base, "&openid=oVisitor").await), 0);
}

#[tokio::test]
async fn a_unionid_needs_the_profile_scope_and_an_open_account() {
    let wechat = Harness::start().await;
    wechat.simulator.put_account(Account { func_ids: vec![2, 4, 24], ..Account::demo().remove(0) });
    let account = wechat.token_of(&Harness::account()).await;
    let component = wechat.component_token().await;
    let ask = async |scope| exchange(&wechat, &component, &code(&wechat.simulator, scope)).await;
    assert_eq!(ask(Scope::UserInfo).await.get("unionid"), None);
    assert_eq!(errcode(&wechat.call("/cgi-bin/open/create", Some(&account), json!({})).await), 0);
    assert_eq!(ask(Scope::Base).await.get("unionid"), None);
    let answer = ask(Scope::UserInfo).await;
    let profile = profile(&wechat, &text(&answer, "/access_token"), "oVisitor").await;
    assert_eq!(text(&answer, "/unionid"), text(&profile, "/unionid"));
    wechat.simulator.follow(&Harness::account(), "oVisitor");
    let follower = wechat.get("/cgi-bin/user/info", &account, "&openid=oVisitor").await;
    assert_eq!(text(&answer, "/unionid"), text(&follower, "/unionid"));

    set(&wechat, WebLoginBehaviour { snapshot: true, ..WebLoginBehaviour::default() });
    let snapshot = ask(Scope::UserInfo).await;
    assert_eq!(snapshot["is_snapshotuser"], 1);
    assert_ne!(text(&answer, "/unionid"), text(&snapshot, "/unionid"));
}

#[tokio::test]
async fn faults_act_on_the_calls_of_a_web_login_for_one_account_too() {
    let wechat = authorized().await;
    let component = wechat.component_token().await;
    let (account, other) = (Harness::account(), Account::demo().remove(1).appid);
    let system_error = |path, appid| Fault::system_error().on(path).times(1).for_authorizer(appid);
    wechat.simulator.inject(system_error(paths::WEB_LOGIN_TOKEN, &other).if_called());
    wechat.simulator.inject(system_error(paths::WEB_LOGIN_TOKEN, &account));
    wechat.simulator.inject(system_error(paths::VISITOR_INFO, &account));
    let open = code(&wechat.simulator, Scope::UserInfo);
    assert_eq!(errcode(&exchange(&wechat, &component, &open).await), -1);
    let token = text(&exchange(&wechat, &component, &open).await, "/access_token");
    assert_eq!(errcode(&profile(&wechat, &token, "oVisitor").await), -1);
    assert_eq!(errcode(&profile(&wechat, &token, "oVisitor").await), 0);
    assert_eq!(wechat.simulator.unused_faults(), []);
}

#[tokio::test]
async fn a_restart_forgets_no_code_no_token_and_no_visitor() {
    let directory = tempfile::tempdir().unwrap();
    let clock = clock();
    let started = async || {
        let mut options = options(Arc::clone(&clock));
        options.state_file = Some(directory.path().join("wechat.json"));
        Harness::with(options, Arc::clone(&clock)).await
    };
    let before = started().await;
    drop(before.simulator.authorize_without_link(&Harness::account()).unwrap());
    before.simulator.put_visitor(&Harness::account(), Visitor::new("oVisitor", "阿青"));
    let component = before.component_token().await;
    let (used, open) = (code(&before.simulator, Scope::UserInfo), code(&before.simulator, Scope::UserInfo));
    let answer = exchange(&before, &component, &used).await;
    let (access, refresh) = (text(&answer, "/access_token"), text(&answer, "/refresh_token"));

    let after = started().await;
    let secrets = after.simulator.issued_secrets();
    assert!([&used, &open, &access, &refresh].iter().all(|value| secrets.iter().any(|known| known.value == **value)));
    assert_eq!(errcode(&exchange(&after, &component, &used).await), 40163);
    assert_eq!(errcode(&exchange(&after, &component, &open).await), 0);
    assert_eq!(profile(&after, &access, "oVisitor").await["nickname"], "阿青");
    assert_eq!(errcode(&renew(&after, &component, &refresh).await), 0);
}

#[tokio::test]
async fn web_logins_are_controlled_from_outside() {
    let wechat = authorized().await;
    let component = wechat.component_token().await;
    let send = async |method: reqwest::Method, route: &str, body: Value| {
        let request = wechat.http.request(method, format!("{}/_simulator/{route}", wechat.base));
        let request = request.header("Content-Type", "application/json").body(body.to_string());
        request.send().await.unwrap()
    };
    let account = Harness::account();
    let visitor = json!({ "authorizer_appid": account, "open_id": "oVisitor", "nickname": "阿青" });
    assert_eq!(send(reqwest::Method::POST, "visitors", visitor).await.status(), 204);
    let asked = json!({ "authorizer_appid": account, "open_id": "oVisitor", "scope": "snsapi_userinfo" });
    let made = json_of(send(reqwest::Method::POST, "web-login-codes", asked).await).await;
    let answer = exchange(&wechat, &component, &text(&made, "/code")).await;
    assert_eq!(profile(&wechat, &text(&answer, "/access_token"), "oVisitor").await["nickname"], "阿青");
    let behaviour = json!({ "web_login": { "snapshot": true } });
    assert_eq!(send(reqwest::Method::PUT, "behaviour", behaviour).await.status(), 200);
    assert!(wechat.simulator.behaviour().web_login.snapshot);
    let domains = json!({ "hosts": ["elsewhere.test"] });
    assert_eq!(send(reqwest::Method::PUT, "web-domains", domains).await.status(), 204);
    let query = Serializer::new(String::new())
        .append_pair("appid", account.as_str())
        .append_pair("redirect_uri", "https://elsewhere.test/")
        .append_pair("response_type", "code")
        .append_pair("scope", "snsapi_base")
        .append_pair("state", STATE)
        .append_pair("component_appid", COMPONENT)
        .finish();
    assert_eq!(wechat.get_raw(paths::WEB_LOGIN_PAGE, &query).await.status(), StatusCode::FOUND);
}

//! The console's settings for web logins.

use base::ids::AppId;
use http::StatusCode;
use simulator::{Scope, WebLoginBehaviour, paths};

use super::page::{link, shown};
use super::{authorized, call, exchange};
use crate::harness::Harness;

async fn send(wechat: &Harness, path: &str, form: &'static str) {
    let request = wechat.http.post(format!("{}/console{path}", wechat.base)).body(form);
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    assert_eq!(request.send().await.unwrap().status(), StatusCode::SEE_OTHER, "{path} {form}");
}

async fn console(wechat: &Harness) -> String {
    wechat.http.get(format!("{}/console", wechat.base)).send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn the_boxes_control_wechats_browser() {
    let wechat = authorized().await;
    let ticked = async || console(&wechat).await.matches(" checked").count();
    assert_eq!(ticked().await, 0);
    send(&wechat, "/web-login", "silent=on&double_load=on").await;
    let expected = WebLoginBehaviour { silent: true, snapshot: false, double_load: true };
    assert_eq!((wechat.simulator.behaviour().web_login, ticked().await), (expected, 2));
    send(&wechat, "/web-login", "snapshot=on").await;
    let expected = WebLoginBehaviour { snapshot: true, ..WebLoginBehaviour::default() };
    assert_eq!(wechat.simulator.behaviour().web_login, expected);
    send(&wechat, "/web-login", "").await;
    assert_eq!((wechat.simulator.behaviour().web_login, ticked().await), (WebLoginBehaviour::default(), 0));
}

#[tokio::test]
async fn visitors_have_a_unionid_while_their_account_is_bound() {
    let wechat = authorized().await;
    let component = wechat.component_token().await;
    let path = format!("/{}", Harness::account());
    let union_id = async || {
        let code = wechat.simulator.web_login_code(&Harness::account(), "oVisitor", Scope::UserInfo);
        exchange(&wechat, &component, &code).await["unionid"].as_str().map(str::to_owned)
    };
    assert_eq!(union_id().await, None);
    send(&wechat, &path, "nick_name=a&func_ids=1+4&action=bind_to_open_account").await;
    let first = union_id().await;
    assert!(first.is_some());
    send(&wechat, &path, "nick_name=a&func_ids=1+4&action=bind_to_open_account").await;
    assert_eq!(union_id().await, first, "it is bound already");
    // In another account of the same owner, a person has the same unionid.
    let other = AppId::parse("wx0a20000000000002").unwrap();
    send(&wechat, &format!("/{other}"), "nick_name=b&func_ids=4&action=bind_to_open_account").await;
    let code = wechat.simulator.web_login_code(&other, "oVisitor", Scope::UserInfo);
    let rest = format!("code={code}&grant_type=authorization_code");
    let _unsent = wechat.simulator.authorize_without_link(&other).unwrap();
    let answer = call(&wechat, paths::WEB_LOGIN_TOKEN, &component, &other, &rest).await;
    assert_eq!(answer["unionid"].as_str().map(str::to_owned), first);
    send(&wechat, &path, "nick_name=a&func_ids=1+4&action=unbind_from_open_account").await;
    assert_eq!(union_id().await, None);
}

#[tokio::test]
async fn each_new_visitor_is_somebody_else() {
    let wechat = authorized().await;
    let path = format!("/{}", Harness::account());
    let page = async || shown(&wechat, &link("snsapi_userinfo")).await;
    assert!(!page().await.contains("oVisitor"));
    for (visitor, names) in [("oVisitor1", &["阿青"][..]), ("oVisitor2", &["阿青", "Lin"])] {
        send(&wechat, &path, "nick_name=a&func_ids=1+4&action=add_visitor").await;
        let page = page().await;
        assert!(page.contains(&format!("value=\"{visitor}\" checked")), "{page}");
        assert!(names.iter().all(|name| page.contains(name)), "{page}");
    }
}

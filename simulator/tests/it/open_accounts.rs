//! Open accounts, and the unionid that they provide.

use serde_json::{Value, json};
use simulator::Account;

use crate::harness::{COMPONENT, Harness, errcode, json_of, text};

async fn call(wechat: &Harness, token: &str, name: &str, body: Value) -> Value {
    wechat.call(&format!("/cgi-bin/open/{name}"), Some(token), body).await
}

/// A token of an official account that permits managing its open account.
async fn token_of(wechat: &Harness, account: Account) -> String {
    wechat.simulator.put_account(Account { func_ids: vec![2, 3, 24], ..account.clone() });
    wechat.token_of(&account.appid).await
}

#[tokio::test]
async fn an_open_account_is_created_bound_and_left() {
    let wechat = Harness::start().await;
    let [first, second, ..] = &Account::demo()[..] else { panic!("a demo") };
    let (one, two) = (token_of(&wechat, first.clone()).await, token_of(&wechat, second.clone()).await);
    assert_eq!(errcode(&call(&wechat, &one, "get", json!({})).await), 89002);
    assert_eq!(errcode(&call(&wechat, &one, "create", json!({ "appid": second.appid })).await), 40013);
    let open = text(&call(&wechat, &one, "create", json!({ "appid": first.appid })).await, "/open_appid");
    assert_eq!(errcode(&call(&wechat, &one, "create", json!({})).await), 89000);
    assert_eq!(text(&call(&wechat, &one, "get", json!({})).await, "/open_appid"), open);

    let bind = || json!({ "open_appid": open });
    assert_eq!(wechat.get("/cgi-bin/open/have", &two, "").await["have_open"], false);
    assert_eq!(errcode(&call(&wechat, &two, "bind", json!({ "open_appid": "wxother" })).await), 40013);
    assert_eq!(errcode(&call(&wechat, &two, "unbind", bind()).await), 89002);
    assert_eq!(errcode(&call(&wechat, &two, "bind", bind()).await), 0);
    assert_eq!(errcode(&call(&wechat, &two, "bind", bind()).await), 89000);
    assert_eq!(wechat.get("/cgi-bin/open/have", &two, "").await["have_open"], true);
    assert_eq!(errcode(&call(&wechat, &two, "unbind", bind()).await), 0);
    assert_eq!(errcode(&call(&wechat, &two, "get", json!({})).await), 89002);
}

#[tokio::test]
async fn an_open_account_has_room_for_five_accounts_of_its_owner() {
    let wechat = Harness::start().await;
    let _unsent = wechat.simulator.add_authorized_accounts(6);
    let mut accounts =
        wechat.simulator.accounts().into_iter().filter(|account| account.appid.as_str().starts_with("wxf"));
    let token = token_of(&wechat, accounts.next().unwrap()).await;
    let open = text(&call(&wechat, &token, "create", json!({})).await, "/open_appid");
    let stranger = Account { principal_name: "别的公司".to_owned(), ..accounts.next().unwrap() };
    let token = token_of(&wechat, stranger).await;
    assert_eq!(errcode(&call(&wechat, &token, "bind", json!({ "open_appid": open })).await), 89001);
    let mut codes = Vec::new();
    for account in Account::demo().into_iter().take(2).chain(accounts) {
        let token = token_of(&wechat, Account { kind: simulator::AccountKind::OfficialAccount, ..account }).await;
        codes.push(errcode(&call(&wechat, &token, "bind", json!({ "open_appid": open })).await));
    }
    assert_eq!(codes, [0, 0, 0, 0, 89004, 89004]);
}

#[tokio::test]
async fn a_person_has_one_unionid_in_all_accounts_of_an_open_account() {
    let wechat = Harness::start().await;
    let (shop, program) = (Account::demo().remove(0), Harness::mini_program());
    let (one, two) = (token_of(&wechat, shop.clone()).await, wechat.token_of(&program).await);
    wechat.simulator.follow(&shop.appid, "oAnn");
    let info = async || wechat.get("/cgi-bin/user/info", &one, "&openid=oAnn").await;
    assert!(info().await.get("unionid").is_none());
    let open = text(&call(&wechat, &one, "create", json!({})).await, "/open_appid");
    let union_id = text(&info().await, "/unionid");
    wechat.simulator.unfollow(&shop.appid, "oAnn");
    let list = json!({ "user_list": [{ "openid": "oAnn" }, { "openid": shop.follower() }] });
    let batch = wechat.call("/cgi-bin/user/info/batchget", Some(&one), list).await;
    assert_eq!(text(&batch, "/user_info_list/0/unionid"), union_id);
    assert_ne!(text(&batch, "/user_info_list/1/unionid"), union_id);

    assert_eq!(errcode(&call(&wechat, &two, "bind", json!({ "open_appid": open })).await), 0);
    let component = wechat.component_token().await;
    let code = wechat.simulator.login_code(&program, "oAnn");
    let query = format!(
        "appid={program}&js_code={code}&grant_type=authorization_code&component_appid={COMPONENT}\
         &component_access_token={component}"
    );
    let session = json_of(wechat.get_raw("/sns/component/jscode2session", &query).await).await;
    assert_eq!(text(&session, "/unionid"), union_id);
}

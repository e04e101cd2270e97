//! Quota and the diagnosis of refused calls.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{COMPONENT, Harness, errcode, text};

#[tokio::test]
async fn calls_count_until_the_day_ends_in_beijing_or_the_quota_is_cleared() {
    let wechat = Harness::start().await;
    let account = Harness::account();
    let token = wechat.token_of(&account).await;
    let quota = async |token: &str, path: &str| {
        let answer = wechat.call("/cgi-bin/openapi/quota/get", Some(token), json!({ "cgi_path": path })).await;
        (answer["quota"]["used"].as_u64(), answer["quota"]["remain"].as_u64(), errcode(&answer))
    };
    let path = "/cgi-bin/user/get";
    assert_eq!(quota(&token, path).await, (Some(0), Some(500), 0));
    wechat.get(path, &token, "").await;
    assert_eq!(quota(&token, path).await, (Some(1), Some(499), 0));
    wechat.simulator.use_quota_up(&account, path);
    assert_eq!(errcode(&wechat.get(path, &token, "").await), 45009);
    let clear = async |token: &str, appid: &str| {
        errcode(&wechat.call("/cgi-bin/clear_quota", Some(token), json!({ "appid": appid })).await)
    };
    assert_eq!(clear(&token, COMPONENT).await, 40013);
    assert_eq!(clear(&token, account.as_str()).await, 0);
    assert_eq!(quota(&token, path).await, (Some(0), Some(500), 0));

    wechat.simulator.use_quota_up(&account, path);
    // 06:13 in Beijing: the next day begins in less than 18 hours.
    wechat.clock.advance(Duration::from_hours(18));
    let token = wechat.token_of(&account).await;
    assert_eq!(errcode(&wechat.get(path, &token, "").await), 0);
    for wrong in ["cgi-bin/user/get", "/cgi-bin/user/get?x=1", "https://api.weixin.qq.com/cgi-bin/user/get"] {
        assert_eq!(quota(&token, wrong).await.2, 76003, "{wrong}");
    }
    assert_eq!(quota(&token, "/sns/userinfo").await.2, 76022);
}

#[tokio::test]
async fn a_quota_is_cleared_ten_times_a_month_the_platforms_separately() {
    let wechat = Harness::start().await;
    let account = Harness::account();
    let token = wechat.token_of(&account).await;
    let clear = async |token: &str, appid: &str| {
        errcode(&wechat.call("/cgi-bin/clear_quota", Some(token), json!({ "appid": appid })).await)
    };
    for _ in 0..10 {
        assert_eq!(clear(&token, account.as_str()).await, 0);
    }
    assert_eq!(clear(&token, account.as_str()).await, 48006);
    let component = wechat.component_token().await;
    assert_eq!(clear(&component, COMPONENT).await, 0);
    wechat.clock.advance(Duration::from_hours(16 * 24));
    let token = wechat.token_of(&account).await;
    assert_eq!(clear(&token, account.as_str()).await, 0);
}

#[tokio::test]
async fn a_refused_call_is_explained_to_whoever_made_it_with_its_token() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::account()).await;
    let refused = wechat.get("/cgi-bin/user/info", &token, "&openid=o9").await;
    let rid = text(&refused, "/errmsg").rsplit_once(" rid: ").unwrap().1.to_owned();
    let explain = async |token: &str, body: Value| wechat.call("/cgi-bin/openapi/rid/get", Some(token), body).await;
    let answer = explain(&token, json!({ "rid": rid })).await;
    let url = format!("https://api.weixin.qq.com/cgi-bin/user/info?access_token={token}&openid=o9");
    assert_eq!(answer["request"]["request_url"], url);
    assert_eq!(text(&answer, "/request/response_body"), refused.to_string());
    let component = wechat.component_token().await;
    assert_eq!(errcode(&explain(&component, json!({ "rid": rid })).await), 76003);
    assert_eq!(errcode(&explain(&token, json!({ "rid": "1-2-3" })).await), 76001);
    assert_eq!(errcode(&explain(&token, json!({})).await), 76002);
    wechat.clock.advance(Duration::from_hours(7 * 24));
    let token = wechat.token_of(&Harness::account()).await;
    assert_eq!(errcode(&explain(&token, json!({ "rid": rid })).await), 76004);
}

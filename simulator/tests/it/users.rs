//! Followers of an official account.

use serde_json::json;

use crate::harness::{Harness, errcode, text};

#[tokio::test]
async fn followers_have_profiles_and_those_who_left_have_none() {
    let wechat = Harness::start().await;
    let account = Harness::account();
    let token = wechat.token_of(&account).await;
    wechat.simulator.follow(&account, "o1");
    wechat.simulator.follow(&account, "o2");
    wechat.simulator.unfollow(&account, "o2");

    let user = wechat.get("/cgi-bin/user/info", &token, "&openid=o1&lang=en").await;
    assert_eq!((&user["subscribe"], &user["language"]), (&json!(1), &json!("en")));
    assert_eq!(user["subscribe_time"], 1_700_000_000);
    let left = wechat.get("/cgi-bin/user/info", &token, "&openid=o2").await;
    assert_eq!(left, json!({ "subscribe": 0, "openid": "o2" }));
    assert_eq!(errcode(&wechat.get("/cgi-bin/user/info", &token, "&openid=o3").await), 40003);

    let list = wechat.get("/cgi-bin/user/get", &token, "").await;
    let chat = wechat.simulator.account(&account).unwrap().follower();
    assert_eq!((&list["total"], &list["count"]), (&json!(2), &json!(2)));
    assert!(list["data"]["openid"].as_array().unwrap().contains(&json!(chat)));
    let end = text(&list, "/next_openid");
    assert_eq!(wechat.get("/cgi-bin/user/get", &token, &format!("&next_openid={end}")).await["count"], 0);
    assert_eq!(errcode(&wechat.get("/cgi-bin/user/get", &token, "&next_openid=o9").await), 40003);
}

#[tokio::test]
async fn at_most_a_hundred_users_are_queried_at_once() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::account()).await;
    wechat.simulator.follow(&Harness::account(), "o1");
    let ask = async |count: usize| {
        let list = vec![json!({ "openid": "o1", "lang": "zh_TW" }); count];
        wechat.call("/cgi-bin/user/info/batchget", Some(&token), json!({ "user_list": list })).await
    };
    let hundred = ask(100).await;
    assert_eq!(hundred["user_info_list"].as_array().unwrap().len(), 100);
    assert_eq!(hundred["user_info_list"][99]["language"], "zh_TW");
    assert_eq!(errcode(&ask(101).await), 40032);
    assert_eq!(errcode(&ask(0).await), 40031);
}

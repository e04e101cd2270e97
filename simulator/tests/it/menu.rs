//! The menu of an official account.

use serde_json::{Value, json};

use crate::harness::{Harness, errcode};

const CREATE: &str = "/cgi-bin/menu/create";

fn click(name: &str) -> Value {
    json!({ "type": "click", "name": name, "key": "K" })
}

#[tokio::test]
async fn a_menu_is_there_from_its_creation_to_its_deletion() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::account()).await;
    assert_eq!(errcode(&wechat.get("/cgi-bin/menu/get", &token, "").await), 46003);
    let buttons = json!([click("今日歌曲"), { "name": "菜单", "sub_button": [click("赞一下我们")] }]);
    assert_eq!(errcode(&wechat.call(CREATE, Some(&token), json!({ "button": buttons })).await), 0);
    assert_eq!(wechat.get("/cgi-bin/menu/get", &token, "").await, json!({ "menu": { "button": buttons } }));
    assert_eq!(errcode(&wechat.get("/cgi-bin/menu/delete", &token, "").await), 0);
    assert_eq!(errcode(&wechat.get("/cgi-bin/menu/get", &token, "").await), 46003);
}

#[tokio::test]
async fn wrong_buttons_are_refused_with_their_code() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::account()).await;
    for (buttons, expected) in [
        (json!([]), 40016),
        (json!([click("1"), click("2"), click("3"), click("4")]), 40016),
        (json!([click("")]), 40018),
        (json!([click("太长太长太长")]), 40018),
        (json!([{ "name": "a" }]), 40017),
        (json!([{ "name": "a", "type": "click" }]), 40019),
        (json!([{ "name": "a", "type": "view" }]), 40020),
        (json!([{ "name": "a", "sub_button": vec![click("b"); 6] }]), 40023),
        (json!([{ "name": "a", "sub_button": [{ "name": "b" }] }]), 40017),
    ] {
        let answer = wechat.call(CREATE, Some(&token), json!({ "button": buttons })).await;
        assert_eq!(errcode(&answer), expected, "{buttons}");
    }
}

//! Settings of mini programs.

use serde_json::{Value, json};

use crate::harness::{Harness, errcode, text};

#[tokio::test]
async fn profile_and_categories_can_be_read() {
    let wechat = Harness::start().await;
    let program = wechat.simulator.account(&Harness::mini_program()).unwrap();
    let token = wechat.token_of(&program.appid).await;
    let profile = wechat.get("/cgi-bin/account/getaccountbasicinfo", &token, "").await;
    assert_eq!(
        (text(&profile, "/nickname"), text(&profile, "/principal_name")),
        (program.nick_name, program.principal_name)
    );
    let categories = wechat.get("/wxa/get_category", &token, "").await;
    assert_eq!(text(&categories, "/category_list/0/first_class"), "工具");
}

#[tokio::test]
async fn testers_are_added_and_removed() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::mini_program()).await;
    let call = async |name: &str, body: Value| wechat.call(&format!("/wxa/{name}"), Some(&token), body).await;
    let ann = text(&call("bind_tester", json!({ "wechatid": "ann" })).await, "/userstr");
    assert_eq!(errcode(&call("bind_tester", json!({ "wechatid": "ann" })).await), 85004);
    assert_eq!(errcode(&call("bind_tester", json!({ "wechatid": "bob" })).await), 0);
    let members = async || call("memberauth", json!({ "action": "get_experiencer" })).await["members"].clone();
    assert_eq!(members().await.as_array().unwrap().len(), 2);
    assert_eq!(errcode(&call("unbind_tester", json!({ "wechatid": "bob" })).await), 0);
    assert_eq!(members().await, json!([{ "userstr": ann }]));
    assert_eq!(errcode(&call("unbind_tester", json!({ "userstr": ann })).await), 0);
    assert_eq!(errcode(&call("unbind_tester", json!({ "userstr": ann })).await), 85001);
    for number in 0..100 {
        assert_eq!(errcode(&call("bind_tester", json!({ "wechatid": number.to_string() })).await), 0);
    }
    assert_eq!(errcode(&call("bind_tester", json!({ "wechatid": "one more" })).await), 85003);
    assert_eq!(errcode(&call("memberauth", json!({ "action": "other" })).await), 40097);
}

//! Messages made from templates.

use serde_json::{Value, json};
use simulator::Account;

use crate::harness::{Harness, errcode, text};

fn data(thing: &str, time: &str) -> Value {
    json!({ "thing1": { "value": thing }, "time2": { "value": time } })
}

#[tokio::test]
async fn a_template_message_reaches_followers_only() {
    let wechat = Harness::start().await;
    let account = Harness::account();
    let token = wechat.token_of(&account).await;
    let added = json!({ "template_id_short": "TM00015", "keyword_name_list": ["预约项目", "预约时间"] });
    let added = wechat.call("/cgi-bin/template/api_add_template", Some(&token), added).await;
    let id = text(&added, "/template_id");
    let list = wechat.get("/cgi-bin/template/get_all_private_template", &token, "").await;
    assert_eq!(list["template_list"][0]["template_id"], json!(id));
    assert_eq!(text(&list, "/template_list/0/content"), "{{thing1.DATA}}\n{{time2.DATA}}\n");

    wechat.simulator.follow(&account, "o1");
    wechat.simulator.follow(&account, "o2");
    wechat.simulator.unfollow(&account, "o2");
    let good = data("剪发", "2026-01-31 08:00");
    for (to, template, data, expected) in [
        ("o1", id.as_str(), good.clone(), 0),
        ("o2", &id, good.clone(), 43004),
        ("o3", &id, good.clone(), 40003),
        ("o1", "other", good, 40037),
        ("o1", &id, data("", "x"), 47003),
        ("o1", &id, json!({ "thing1": { "value": "剪发" } }), 47003),
        ("o1", &id, data(&"长".repeat(21), "x"), 47003),
        ("o1", &id, data(&"长".repeat(20), "x"), 0),
    ] {
        let body = json!({ "touser": to, "template_id": template, "data": data });
        let answer = wechat.call("/cgi-bin/message/template/send", Some(&token), body.clone()).await;
        assert_eq!(errcode(&answer), expected, "{body}");
        assert_eq!(answer["msgid"].is_u64(), expected == 0);
    }
    let delete = async || {
        let body = json!({ "template_id": id });
        errcode(&wechat.call("/cgi-bin/template/del_private_template", Some(&token), body).await)
    };
    assert_eq!((delete().await, delete().await), (0, 40037));
}

#[tokio::test]
async fn one_consent_is_one_subscription_message() {
    let wechat = Harness::start().await;
    let account = Harness::mini_program();
    let token = wechat.token_of(&account).await;
    let added = json!({ "tid": "401", "kidList": [1, 2], "sceneDesc": "预约" });
    let id = text(&wechat.call("/wxaapi/newtmpl/addtemplate", Some(&token), added).await, "/priTmplId");
    let list = wechat.get("/wxaapi/newtmpl/gettemplate", &token, "").await;
    assert_eq!(list["data"][0]["priTmplId"], json!(id));
    let send = async |data: Value| {
        let body = json!({ "touser": "oUser", "template_id": id, "data": data });
        errcode(&wechat.call("/cgi-bin/message/subscribe/send", Some(&token), body).await)
    };
    let good = || data("剪发", "2026-01-31 08:00");
    assert_eq!(send(good()).await, 43101);
    wechat.simulator.subscribe(&account, "oUser", &id);
    assert_eq!(send(data("", "x")).await, 47003);
    assert_eq!(send(good()).await, 0);
    assert_eq!(send(good()).await, 43101);
    let deleted = wechat.call("/wxaapi/newtmpl/deltemplate", Some(&token), json!({ "priTmplId": id })).await;
    assert_eq!((errcode(&deleted), send(good()).await), (0, 40037));
}

#[tokio::test]
async fn a_service_account_sends_to_those_who_subscribed_too() {
    let wechat = Harness::start().await;
    let shop = Account { func_ids: vec![89], ..Account::demo().remove(0) };
    wechat.simulator.put_account(shop.clone());
    let token = wechat.token_of(&shop.appid).await;
    let added = json!({ "tid": "401", "kidList": [1] });
    let id = text(&wechat.call("/wxaapi/newtmpl/addtemplate", Some(&token), added).await, "/priTmplId");
    wechat.simulator.subscribe(&shop.appid, "oUser", &id);
    let send = async || {
        let body = json!({ "touser": "oUser", "template_id": id, "data": { "thing1": { "value": "剪发" } } });
        errcode(&wechat.call("/cgi-bin/message/subscribe/bizsend", Some(&token), body).await)
    };
    assert_eq!((send().await, send().await), (0, 43101));
}

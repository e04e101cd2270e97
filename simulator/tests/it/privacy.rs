//! The privacy guide of a mini program.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::AuditResult;

use crate::harness::{Harness, errcode, text};

const SET: &str = "/cgi-bin/component/setprivacysetting";
const GET: &str = "/cgi-bin/component/getprivacysetting";

fn guide() -> Value {
    json!({
        "owner_setting": { "contact_phone": "021-00000000", "notice_method": "公告" },
        "setting_list": [{ "privacy_key": "PhoneNumber", "privacy_text": "登录" }],
    })
}

#[tokio::test]
async fn a_guide_requires_the_account_token_and_is_checked() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::mini_program()).await;
    let component = wechat.component_token().await;
    assert_eq!(errcode(&wechat.call(SET, Some(&component), guide()).await), 61015);
    for (pointer, value, expected) in [
        ("/owner_setting", Value::Null, 40097),
        ("/owner_setting/notice_method", json!(""), 40097),
        ("/owner_setting/contact_phone", json!(""), 40097),
        ("/owner_setting/contact_phone", json!("1"), 0),
        ("/setting_list/0/privacy_key", json!("Invented"), 40097),
        ("/setting_list", json!([]), 0),
    ] {
        let mut body = guide();
        *body.pointer_mut(pointer).unwrap() = value;
        assert_eq!(errcode(&wechat.call(SET, Some(&token), body.clone()).await), expected, "{body}");
    }
    let mut body = guide();
    body["owner_setting"]["ext_file_media_id"] = json!("unknown");
    assert_eq!(errcode(&wechat.call(SET, Some(&token), body.clone()).await), 40007);
    let upload = "/cgi-bin/component/uploadprivacyextfile";
    let query = format!("access_token={token}");
    assert_eq!(errcode(&wechat.upload(upload, &query, "media", b"text").await), 41005);
    let file = wechat.upload(upload, &query, "file", b"text").await;
    body["owner_setting"]["ext_file_media_id"] = json!(text(&file, "/ext_file_media_id"));
    assert_eq!(errcode(&wechat.call(SET, Some(&token), body).await), 0);
    body = guide();
    body["privacy_ver"] = json!(3);
    assert_eq!(errcode(&wechat.call(SET, Some(&token), body).await), 40097);
}

#[tokio::test]
async fn a_guide_goes_live_with_the_next_release() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::mini_program()).await;
    let get = async |body: Value| wechat.call(GET, Some(&token), body).await;
    let nothing = get(json!({})).await;
    assert_eq!((&nothing["code_exist"], &nothing["setting_list"]), (&json!(0), &json!([])));
    assert_eq!(errcode(&wechat.call(SET, Some(&token), guide()).await), 0);
    assert_eq!(get(json!({})).await["setting_list"], guide()["setting_list"]);
    assert_eq!(get(json!({ "privacy_ver": 1 })).await["setting_list"], json!([]));

    let version = json!({ "template_id": 0, "ext_json": "{}", "user_version": "1.0.0", "user_desc": "" });
    assert_eq!(errcode(&wechat.call("/wxa/commit", Some(&token), version).await), 0);
    wechat.clock.advance(Duration::from_mins(1));
    assert_eq!(errcode(&wechat.call("/wxa/submit_audit", Some(&token), json!({})).await), 0);
    assert!(wechat.simulator.decide_audit(&Harness::mini_program(), &AuditResult::Passed).is_some());
    assert_eq!(errcode(&wechat.call("/wxa/release", Some(&token), json!({})).await), 0);
    let live = get(json!({ "privacy_ver": 1 })).await;
    assert_eq!((&live["setting_list"], &live["code_exist"]), (&guide()["setting_list"], &json!(1)));
    assert_eq!(text(&live, "/owner_setting/notice_method"), "公告");
}

//! The life of a mini program's code: template, commit, audit, release.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::AuditResult;

use crate::harness::{Harness, element, errcode, text};

const MINUTE: Duration = Duration::from_mins(1);

async fn call(wechat: &Harness, token: &str, name: &str, body: Value) -> Value {
    wechat.call(&format!("/wxa/{name}"), Some(token), body).await
}

async fn get(wechat: &Harness, token: &str, name: &str) -> Value {
    wechat.get(&format!("/wxa/{name}"), token, "").await
}

async fn commit(wechat: &Harness, token: &str, version: &str) -> i64 {
    let body = json!({ "template_id": 0, "ext_json": "{}", "user_version": version, "user_desc": "花店" });
    errcode(&call(wechat, token, "commit", body).await)
}

/// Commits a version, waits for its scan and submits it.
async fn submit(wechat: &Harness, token: &str, version: &str) -> Value {
    assert_eq!(commit(wechat, token, version).await, 0);
    wechat.clock.advance(MINUTE);
    call(wechat, token, "submit_audit", json!({})).await
}

/// Takes a version to its release.
async fn release(wechat: &Harness, token: &str, version: &str) {
    assert_eq!(errcode(&submit(wechat, token, version).await), 0);
    assert!(wechat.simulator.decide_audit(&Harness::mini_program(), &AuditResult::Passed).is_some());
    assert_eq!(errcode(&call(wechat, token, "release", json!({})).await), 0);
}

#[tokio::test]
async fn a_draft_becomes_a_template_of_the_platform() {
    let wechat = Harness::start().await;
    let account = wechat.token_of(&Harness::mini_program()).await;
    let token = wechat.component_token().await;
    let draft = wechat.simulator.upload_draft("2.0.0", "会员卡");
    let list = get(&wechat, &token, "gettemplatedraftlist").await;
    assert_eq!(list["draft_list"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&list["draft_list"][0]["draft_id"], text(&list, "/draft_list/0/user_version")),
        (&json!(draft), "2.0.0".to_owned())
    );
    assert_eq!(errcode(&call(&wechat, &token, "addtotemplate", json!({ "draft_id": draft + 1 })).await), 85064);
    let added = json!({ "draft_id": draft, "template_type": 1 });
    assert_eq!(errcode(&call(&wechat, &token, "addtotemplate", added).await), 0);
    let list = wechat.get("/wxa/gettemplatelist", &token, "&template_type=1").await;
    let [template] = &list["template_list"].as_array().unwrap()[..] else { panic!("{list}") };
    assert_eq!((&template["template_id"], &template["user_desc"]), (&json!(1), &json!("会员卡")));
    assert_eq!(get(&wechat, &token, "gettemplatelist").await["template_list"].as_array().unwrap().len(), 2);
    let delete = async || errcode(&call(&wechat, &token, "deletetemplate", json!({ "template_id": 1 })).await);
    assert_eq!((delete().await, delete().await), (0, 85064));

    assert_eq!(errcode(&get(&wechat, &account, "gettemplatelist").await), 61014);
    assert_eq!(errcode(&call(&wechat, &token, "gettemplatelist", json!({})).await), 43001);
    for _ in 0..199 {
        assert_eq!(errcode(&call(&wechat, &token, "addtotemplate", json!({ "draft_id": draft })).await), 0);
    }
    assert_eq!(errcode(&call(&wechat, &token, "addtotemplate", json!({ "draft_id": draft })).await), 85065);
}

#[tokio::test]
async fn a_commit_is_checked_and_gives_a_trial_version() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::mini_program()).await;
    assert_eq!(errcode(&get(&wechat, &token, "get_page").await), 86001);
    assert_eq!(errcode(&get(&wechat, &token, "get_qrcode").await), 86001);
    let good = json!({ "template_id": 0, "ext_json": r#"{"pages":["pages/a","pages/b"]}"#, "user_version": "1.0.0" });
    for (name, value, expected) in [
        ("template_id", json!(9), 85014),
        ("template_id", json!("0"), 47001),
        ("ext_json", json!({}), 47001),
        ("ext_json", json!("{"), 85048),
        ("ext_json", json!(r#"{"pages":[]}"#), 85047),
        ("user_version", json!("1".repeat(65)), 40097),
        ("user_version", json!("1".repeat(64)), 0),
    ] {
        let mut body = good.clone();
        body[name] = value;
        assert_eq!(errcode(&call(&wechat, &token, "commit", body.clone()).await), expected, "{body}");
    }
    let pages = get(&wechat, &token, "get_page").await;
    assert_eq!(pages["page_list"], json!(["pages/a", "pages/b"]));
    let picture = wechat.get_raw("/wxa/get_qrcode", &format!("access_token={token}&path=pages%252Fa")).await;
    assert_eq!(picture.headers()["content-type"], "image/jpeg");
    assert_eq!(picture.headers()["content-disposition"], "attachment; filename=\"QRCode.jpg\"");
    assert!(picture.bytes().await.unwrap().len() > 10_000);
    let versions = call(&wechat, &token, "getversioninfo", json!({})).await;
    assert_eq!(versions["exp_info"]["exp_time"], 1_700_000_000);
    assert!(versions.get("release_info").is_none());
}

#[tokio::test]
async fn a_version_is_submitted_when_its_scan_is_over_and_one_at_a_time() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::mini_program()).await;
    let submit = async |body: Value| errcode(&call(&wechat, &token, "submit_audit", body).await);
    assert_eq!(submit(json!({})).await, 85086);
    assert_eq!(commit(&wechat, &token, "1.0.0").await, 0);
    assert_eq!(errcode(&get(&wechat, &token, "security/get_code_privacy_info").await), 61039);
    assert_eq!(submit(json!({})).await, 61039);
    wechat.clock.advance(MINUTE);
    let scan = get(&wechat, &token, "security/get_code_privacy_info").await;
    assert_eq!((errcode(&scan), &scan["without_auth_list"]), (0, &json!([])));
    let item = json!({ "first_class": "工具", "second_class": "效率", "first_id": 1, "second_id": 2, "title": "首页" });
    let with = |name: &str, value: &str| {
        let mut item = item.clone();
        item[name] = json!(value);
        json!({ "item_list": [item] })
    };
    assert_eq!(submit(json!({ "item_list": [] })).await, 85023);
    assert_eq!(submit(json!({ "item_list": vec![item.clone(); 6] })).await, 85023);
    assert_eq!(submit(with("first_class", "")).await, 85008);
    assert_eq!(submit(with("title", &"长".repeat(33))).await, 85011);
    assert_eq!(submit(json!({ "feedback_stuff": "unknown" })).await, 40007);
    assert_eq!(submit(with("title", &"长".repeat(32))).await, 0);
    assert_eq!(submit(json!({})).await, 85009);
    let quota = get(&wechat, &token, "queryquota").await;
    assert_eq!((&quota["rest"], &quota["limit"]), (&json!(99), &json!(100)));
    assert_eq!(commit(&wechat, &token, "1.0.1").await, 0);
    assert_eq!(errcode(&get(&wechat, &token, "security/get_code_privacy_info").await), 61039, "the scan begins again");
}

#[tokio::test]
async fn an_audit_ends_with_an_event_and_its_status() {
    let wechat = Harness::start().await;
    let account = Harness::mini_program();
    let token = wechat.token_of(&account).await;
    assert!(wechat.simulator.decide_audit(&account, &AuditResult::Passed).is_none());
    assert_eq!(errcode(&get(&wechat, &token, "get_latest_auditstatus").await), 85019);
    let id = submit(&wechat, &token, "1.0.0").await["auditid"].as_u64().unwrap();
    let status = async || call(&wechat, &token, "get_auditstatus", json!({ "auditid": id })).await;
    assert_eq!(status().await["status"], 2);
    assert_eq!(errcode(&call(&wechat, &token, "get_auditstatus", json!({ "auditid": 1 })).await), 85012);

    let delayed = AuditResult::Delayed { reason: "需要更多时间".to_owned() };
    assert!(wechat.simulator.decide_audit(&account, &delayed).is_some());
    assert_eq!((&status().await["status"], text(&status().await, "/reason")), (&json!(4), "需要更多时间".to_owned()));
    assert!(wechat.simulator.is_in_audit(&account));
    let screenshot = wechat.simulator.audit_screenshot(&account);
    let refused =
        AuditResult::Refused { reason: "1: 类目不符".to_owned(), screenshots: vec![screenshot.clone(); 2] };
    assert!(wechat.simulator.decide_audit(&account, &refused).is_some());
    let latest = get(&wechat, &token, "get_latest_auditstatus").await;
    assert_eq!((&latest["auditid"], &latest["status"]), (&json!(id), &json!(1)));
    assert_eq!(text(&latest, "/screenshot"), format!("{screenshot}|{screenshot}"));
    assert_eq!((text(&latest, "/user_version"), text(&latest, "/user_desc")), ("1.0.0".to_owned(), "花店".to_owned()));
    assert!(!wechat.simulator.is_in_audit(&account));
    let asked = json!({ "media_id": screenshot }).to_string();
    let picture = wechat.post_raw("/cgi-bin/material/get_material", &format!("access_token={token}"), asked).await;
    assert_eq!(picture.unwrap().headers()["content-type"], "image/jpeg");
    assert_eq!(errcode(&call(&wechat, &token, "release", json!({})).await), 85020);

    submit(&wechat, &token, "1.0.1").await;
    assert!(wechat.simulator.decide_audit(&account, &AuditResult::Passed).is_some());
    assert_eq!(get(&wechat, &token, "get_latest_auditstatus").await["status"], 0);
}

#[tokio::test]
async fn an_audit_is_announced_by_an_event_of_the_account() {
    let wechat = Harness::start().await;
    let account = Harness::mini_program();
    let token = wechat.token_of(&account).await;
    for (result, event, name) in [
        (json!({ "result": "delayed", "reason": "慢" }), "weapp_audit_delay", "DelayTime"),
        (json!({ "result": "refused", "reason": "<不>" }), "weapp_audit_fail", "FailTime"),
        (json!({ "result": "passed" }), "weapp_audit_success", "SuccTime"),
    ] {
        if !wechat.simulator.is_in_audit(&account) {
            assert_eq!(errcode(&submit(&wechat, &token, "1.0.0").await), 0);
        }
        let result: AuditResult = serde_json::from_value(result).unwrap();
        let message = wechat.simulator.decide_audit(&account, &result).unwrap();
        let sealed = wechat.simulator.seal_message(&message);
        let opened = wechat.receiver.open(&sealed.query, &sealed.body).unwrap();
        assert_eq!(element(&opened, "Event").as_deref(), Some(event));
        assert!(element(&opened, name).is_some_and(|at| at.parse::<i64>().is_ok()), "{opened}");
        assert_eq!(element(&opened, "MsgId"), None);
    }
}

#[tokio::test]
async fn an_audit_can_be_withdrawn_five_times_a_day_and_expedited_once() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::mini_program()).await;
    let withdraw = async || errcode(&get(&wechat, &token, "undocodeaudit").await);
    assert_eq!(withdraw().await, 85019);
    let id = submit(&wechat, &token, "1.0.0").await["auditid"].clone();
    let expedite = async |id: Value| errcode(&call(&wechat, &token, "speedupaudit", json!({ "auditid": id })).await);
    assert_eq!((expedite(json!(1)).await, expedite(id.clone()).await, expedite(id.clone()).await), (85012, 0, 89404));
    assert_eq!((withdraw().await, expedite(id).await), (0, 89402));
    for _ in 0..4 {
        submit(&wechat, &token, "1.0.0").await;
        assert_eq!(withdraw().await, 0);
    }
    submit(&wechat, &token, "1.0.0").await;
    assert_eq!(withdraw().await, 87013);
    let quota = get(&wechat, &token, "queryquota").await;
    assert_eq!((&quota["rest"], &quota["speedup_rest"]), (&json!(94), &json!(4)));
}

#[tokio::test]
async fn versions_are_released_once_and_one_can_go_back() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::mini_program()).await;
    assert_eq!(errcode(&call(&wechat, &token, "release", json!({})).await), 85019);
    assert_eq!(errcode(&get(&wechat, &token, "revertcoderelease").await), 87012);
    release(&wechat, &token, "1.0.0").await;
    assert_eq!(errcode(&call(&wechat, &token, "release", json!({})).await), 85052);
    release(&wechat, &token, "1.0.1").await;
    release(&wechat, &token, "1.0.2").await;
    let live =
        async || text(&call(&wechat, &token, "getversioninfo", json!({})).await, "/release_info/release_version");
    assert_eq!(live().await, "1.0.2");
    let history = wechat.get("/wxa/revertcoderelease", &token, "&action=get_history_version").await;
    let versions = history["version_list"].as_array().unwrap();
    assert_eq!((versions.len(), &versions[0]["user_version"]), (2, &json!("1.0.1")));
    let first = format!("&app_version={}", versions[1]["app_version"]);
    assert_eq!(errcode(&wechat.get("/wxa/revertcoderelease", &token, "&app_version=9").await), 87012);
    assert_eq!(errcode(&get(&wechat, &token, "revertcoderelease").await), 0);
    assert_eq!(live().await, "1.0.1");
    assert_eq!(errcode(&wechat.get("/wxa/revertcoderelease", &token, &first).await), 0);
    assert_eq!(live().await, "1.0.0");
    assert_eq!(errcode(&get(&wechat, &token, "revertcoderelease").await), 87012);
}

#[tokio::test]
async fn a_gradual_release_only_grows_until_it_is_whole_or_cancelled() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::mini_program()).await;
    let gray =
        async |part: u64| errcode(&call(&wechat, &token, "grayrelease", json!({ "gray_percentage": part })).await);
    assert_eq!(gray(10).await, 85079);
    release(&wechat, &token, "1.0.0").await;
    submit(&wechat, &token, "1.0.1").await;
    assert_eq!(gray(10).await, 85080);
    assert!(wechat.simulator.decide_audit(&Harness::mini_program(), &AuditResult::Passed).is_some());
    assert_eq!((gray(0).await, gray(101).await, gray(10).await, gray(10).await), (85081, 85081, 0, 85082));
    let plan = get(&wechat, &token, "getgrayreleaseplan").await;
    assert_eq!(plan["gray_release_plan"]["gray_percentage"], 10);
    assert_eq!(errcode(&get(&wechat, &token, "revertcoderelease").await), 87011);
    assert_eq!(errcode(&get(&wechat, &token, "revertgrayrelease").await), 0);
    assert_eq!(get(&wechat, &token, "getgrayreleaseplan").await["gray_release_plan"]["status"], 0);
    assert_eq!((gray(50).await, gray(100).await, gray(100).await), (0, 0, 85052));
    let versions = call(&wechat, &token, "getversioninfo", json!({})).await;
    assert_eq!(text(&versions, "/release_info/release_version"), "1.0.1");
}

#[tokio::test]
async fn service_is_paused_and_the_base_library_set() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::mini_program()).await;
    let change =
        async |action: &str| errcode(&call(&wechat, &token, "change_visitstatus", json!({ "action": action })).await);
    let status = async || call(&wechat, &token, "getvisitstatus", json!({})).await["status"].clone();
    assert_eq!((status().await, change("stop").await, change("open").await), (json!(1), 85022, 85021));
    assert_eq!((change("close").await, status().await, change("close").await), (0, json!(0), 85021));

    let library =
        async |name: &str, body: Value| wechat.call(&format!("/cgi-bin/wxopen/{name}"), Some(&token), body).await;
    let set = async |version: &str| errcode(&library("setweappsupportversion", json!({ "version": version })).await);
    assert_eq!((set("new").await, set("3.4.5").await), (89014, 0));
    assert_eq!(library("getweappsupportversion", json!({})).await["now_version"], "3.4.5");
    let empty = wechat.post_raw("/wxa/getvisitstatus", &format!("access_token={token}"), String::new()).await.unwrap();
    assert!(empty.text().await.unwrap().contains("44002"));
}

#[tokio::test]
async fn a_qr_code_is_a_picture_or_says_at_the_same_url_why_not() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::mini_program()).await;
    release(&wechat, &token, "1.0.0").await;
    let token = wechat.token_of(&Harness::mini_program()).await;
    for (body, expected) in [
        (json!({ "scene": "a=1&b=2", "page": "pages/index/index", "width": 280 }), 0),
        (json!({ "scene": "a", "page": "pages/other", "check_path": false }), 0),
        (json!({ "scene": "a", "page": "pages/other" }), 41030),
        (json!({ "scene": "" }), 40169),
        (json!({ "scene": "花" }), 40169),
        (json!({ "scene": "a".repeat(33) }), 40169),
        (json!({ "scene": "a", "env_version": "beta" }), 40097),
        (json!({ "scene": "a", "width": 1_281 }), 40097),
    ] {
        let query = format!("access_token={token}");
        let response = wechat.post_raw("/wxa/getwxacodeunlimit", &query, body.to_string()).await.unwrap();
        let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        let bytes = response.bytes().await.unwrap();
        if expected == 0 {
            assert_eq!((content_type.as_str(), &bytes[..3]), ("image/jpeg", &[0xFF, 0xD8, 0xFF][..]));
        } else {
            assert_eq!(content_type, "application/json; encoding=utf-8");
            assert_eq!(errcode(&serde_json::from_slice(&bytes).unwrap()), expected, "{body}");
        }
    }
    assert_eq!(errcode(&call(&wechat, &token, "getwxacode", json!({})).await), 40097);
}

#[tokio::test]
async fn auditors_decide_on_the_page_of_the_console() {
    let wechat = Harness::start().await;
    let account = Harness::mini_program();
    let token = wechat.token_of(&account).await;
    let page = async || wechat.http.get(format!("{}/console", wechat.base)).send().await.unwrap().text().await.unwrap();
    for (action, status) in [("refuse_audit", 1), ("pass_audit", 0)] {
        assert!(!page().await.contains(action));
        assert_eq!(errcode(&submit(&wechat, &token, "1.0.0").await), 0);
        assert_eq!(page().await.matches(action).count(), 1, "one account has something in audit");
        let form = format!("nick_name=a&func_ids=17+18&action={action}");
        let decide = wechat.http.post(format!("{}/console/{account}", wechat.base)).body(form);
        let decide = decide.header("content-type", "application/x-www-form-urlencoded");
        assert_eq!(decide.send().await.unwrap().status(), 303);
        assert_eq!(get(&wechat, &token, "get_latest_auditstatus").await["status"], status);
    }
}

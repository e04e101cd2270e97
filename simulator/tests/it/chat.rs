//! The chat page over HTTP, as a browser without script uses it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use simulator::{Account, Fault, Message, paths};
use url::form_urlencoded::Serializer;

use crate::account_side::{AccountSide, keyring, reply, sealed};
use crate::harness::{COMPONENT, Harness, TOKEN, errcode, text};

fn account() -> Account {
    Account::demo().remove(0)
}

/// A simulator whose first account has authorized the platform.
async fn authorized() -> Harness {
    let wechat = Harness::start().await;
    let _ = wechat.simulator.authorize_without_link(&account().appid).unwrap();
    wechat
}

async fn get(wechat: &Harness, path: &str) -> (u16, String) {
    let response = wechat.http.get(format!("{}{path}", wechat.base)).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn page(wechat: &Harness) -> String {
    get(wechat, &format!("/chat/{}", account().appid)).await.1
}

/// Sends the form, which redirects to the page.
async fn post(wechat: &Harness, fields: &[(&str, &str)]) {
    let path = format!("/chat/{}", account().appid);
    let body = Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = wechat.http.post(format!("{}{path}", wechat.base));
    let response = request.header("Content-Type", "application/x-www-form-urlencoded").body(body).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["location"].to_str().unwrap()), (303, path.as_str()));
}

fn in_order(page: &str, texts: &[&str]) -> bool {
    let mut rest = page;
    texts.iter().all(|text| {
        let found = rest.split_once(text);
        rest = found.map_or("", |(_, after)| after);
        found.is_some()
    })
}

#[tokio::test]
async fn the_list_shows_authorized_accounts_or_how_to_authorize_one() {
    let wechat = Harness::start().await;
    let (status, list) = get(&wechat, "/chat").await;
    assert_eq!(status, 200);
    let host = wechat.base.trim_start_matches("http://");
    assert!(list.contains(&format!("http://{host}/_simulator/authorize")) && !list.contains("/chat/wx"), "{list}");

    let _ = wechat.simulator.authorize_without_link(&account().appid).unwrap();
    let (_, list) = get(&wechat, "/chat").await;
    assert!(list.contains(&format!("href=\"/chat/{}\"", account().appid)) && list.contains(&account().nick_name));
    assert_eq!(list.matches("href=\"/chat/wx").count(), 1);
    assert!(!list.contains("_simulator"));
    let other = Account::demo().pop().unwrap().appid;
    for path in [format!("/chat/{other}"), format!("/chat/{other}/messages"), "/chat/wx%20".to_owned()] {
        assert_eq!(get(&wechat, &path).await.0, 303, "{path}");
    }
}

#[tokio::test]
async fn a_follower_writes_and_reads_the_passive_reply() {
    let wechat = authorized().await;
    let platform = AccountSide::start(&wechat.simulator).await;
    let inner = reply(&account(), &account().follower(), "text", "<Content>几点都行</Content>");
    platform.answer_next(StatusCode::OK, sealed(&keyring(COMPONENT, TOKEN), &inner));
    post(&wechat, &[("text", "几点关门？")]).await;
    assert_eq!(platform.last().field("FromUserName").unwrap(), account().follower());
    let shown = page(&wechat).await;
    let expected =
        ["class=\"own\"", "几点关门？", "11-15 06:13:20", "已回复", "class=\"theirs\"", "几点都行", "被动回复"];
    assert!(in_order(&shown, &expected), "{shown}");
    let (_, fragment) = get(&wechat, &format!("/chat/{}/messages", account().appid)).await;
    assert!(shown.contains(fragment.trim()) && fragment.contains("几点都行"));
}

#[tokio::test]
async fn whatever_is_written_arrives_unchanged_and_is_shown_as_text() {
    let wechat = authorized().await;
    let platform = AccountSide::start(&wechat.simulator).await;
    let hostile = "<script>alert('1')</script> ]]> & \"&amp;\" 👩‍👩‍👧 + %20";
    let inner = reply(&account(), &account().follower(), "text", "<Content><![CDATA[<img src=x>]]></Content>");
    platform.answer_next(StatusCode::OK, sealed(&keyring(COMPONENT, TOKEN), &inner));
    post(&wechat, &[("text", hostile)]).await;
    assert_eq!(platform.last().field("Content").as_deref(), Some(hostile));
    let shown = page(&wechat).await;
    assert!(!shown.contains("<script>alert") && !shown.contains("<img"), "{shown}");
    assert!(shown.contains("&#60;script&#62;alert(") && shown.contains("]]&#62;") && shown.contains("👩‍👩‍👧"));
}

#[tokio::test]
async fn only_our_own_styles_and_script_are_let_in() {
    let wechat = authorized().await;
    let response = wechat.http.get(format!("{}/chat/{}", wechat.base, account().appid)).send().await.unwrap();
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let shown = response.text().await.unwrap();
    let mut hashed = 0;
    for (opening, closing) in [("<style>", "</style>"), ("<script>", "</script>")] {
        for part in shown.split(opening).skip(1) {
            let text = part.split_once(closing).unwrap().0;
            let hash = STANDARD.encode(Sha256::digest(text.as_bytes()));
            assert!(policy.contains(&format!("'sha256-{hash}'")), "{text}");
            hashed += 1;
        }
    }
    assert_eq!(hashed, 3);
    assert!(!shown.contains(" style=") && !shown.contains(" onclick="));
}

#[tokio::test]
async fn an_empty_response_and_a_broken_one_are_distinguished() {
    let wechat = authorized().await;
    let platform = AccountSide::start(&wechat.simulator).await;
    post(&wechat, &[("text", "one")]).await;
    assert!(page(&wechat).await.contains("空回复"));
    platform.answer_next(StatusCode::INTERNAL_SERVER_ERROR, "oops");
    post(&wechat, &[("text", "two")]).await;
    let shown = page(&wechat).await;
    assert!(in_order(&shown, &["one", "空回复", "two", "该公众号暂时无法提供服务", "HTTP 500"]), "{shown}");
}

#[tokio::test]
async fn buttons_cause_events_and_a_picture() {
    let wechat = authorized().await;
    let platform = AccountSide::start(&wechat.simulator).await;
    for (deed, key, field, expected) in [
        ("subscribe", "", "Event", "subscribe"),
        ("unsubscribe", "", "Event", "unsubscribe"),
        ("SCAN", "qrscene", "EventKey", "qrscene"),
        ("CLICK", "HOURS", "EventKey", "HOURS"),
        ("CLICK", "", "EventKey", "DEMO_MENU_KEY"),
        ("VIEW", "", "EventKey", "https://www.example.com/"),
        ("LOCATION", "", "Latitude", "23.137466"),
        ("user_enter_tempsession", "", "Event", "user_enter_tempsession"),
        ("weapp_audit_success", "", "SuccTime", "1700000000"),
        ("image", "", "MediaId", "DEMO_MEDIA_ID"),
    ] {
        post(&wechat, &[("deed", deed), ("key", key)]).await;
        assert_eq!(platform.last().field(field).as_deref(), Some(expected), "{deed}");
        assert!(page(&wechat).await.contains(expected), "{deed}");
    }
    let sent = platform.arrived().len();
    post(&wechat, &[("deed", "invented")]).await;
    for nothing in ["", " \u{3000}\t"] {
        post(&wechat, &[("text", nothing)]).await;
    }
    assert_eq!(platform.arrived().len(), sent);
}

#[tokio::test]
async fn the_buttons_match_the_kind_of_account() {
    let wechat = authorized().await;
    let program = Account::demo().pop().unwrap();
    let _ = wechat.simulator.authorize_without_link(&program.appid).unwrap();
    let official = page(&wechat).await;
    let (_, program) = get(&wechat, &format!("/chat/{}", program.appid)).await;
    assert!(official.contains("value=\"subscribe\"") && !official.contains("weapp_audit_success"));
    assert!(program.contains("value=\"weapp_audit_success\"") && !program.contains("value=\"subscribe\""));
    assert!(
        program.contains("value=\"image\"") && official.contains("name=\"key\"") && !program.contains("name=\"key\"")
    );
}

#[tokio::test]
async fn every_kind_of_reply_is_shown_and_only_web_addresses_are_links() {
    let wechat = authorized().await;
    let platform = AccountSide::start(&wechat.simulator).await;
    let news = "<ArticleCount>1</ArticleCount><Articles><item><Title>新豆</Title><Description>耶加雪菲</Description>\
                <PicUrl>javascript:alert(1)</PicUrl><Url>https://example.com/a</Url></item></Articles>";
    for (msg_type, further, expected) in [
        ("news", news, &["图文", "新豆", "耶加雪菲", "javascript:alert(1)", "href=\"https://example.com/a\""][..]),
        ("image", "<Image><MediaId>m-1</MediaId></Image>", &["图片", "m-1"]),
        ("voice", "<Voice><MediaId>m-2</MediaId></Voice>", &["语音", "m-2"]),
        ("video", "<Video><MediaId>m-3</MediaId><Title>夜</Title></Video>", &["视频", "m-3", "夜"]),
        ("music", "<Music><Title>曲</Title><ThumbMediaId>m-4</ThumbMediaId></Music>", &["音乐", "曲", "m-4"]),
        (
            "transfer_customer_service",
            "<TransInfo><KfAccount>anna@shop</KfAccount></TransInfo>",
            &["转接人工客服", "anna@shop"],
        ),
    ] {
        let inner = reply(&account(), &account().follower(), msg_type, further);
        platform.answer_next(StatusCode::OK, sealed(&keyring(COMPONENT, TOKEN), &inner));
        post(&wechat, &[("text", "?")]).await;
        let shown = page(&wechat).await;
        let last = &shown[shown.rfind("class=\"theirs\"").unwrap()..];
        assert!(in_order(last, expected), "{msg_type}: {last}");
    }
    assert!(!page(&wechat).await.contains("href=\"javascript"));
}

#[tokio::test]
async fn of_several_articles_only_an_event_brings_more_than_the_first() {
    let wechat = authorized().await;
    let platform = AccountSide::start(&wechat.simulator).await;
    let article = |title: &str| format!("<item><Title>{title}</Title><Url>https://example.com/a</Url></item>");
    let news = format!("<ArticleCount>2</ArticleCount><Articles>{}{}</Articles>", article("新豆"), article("旧豆"));
    for (fields, shown_too) in [(("text", "?"), false), (("deed", "image"), false), (("deed", "CLICK"), true)] {
        let inner = reply(&account(), &account().follower(), "news", &news);
        platform.answer_next(StatusCode::OK, sealed(&keyring(COMPONENT, TOKEN), &inner));
        post(&wechat, &[fields]).await;
        let shown = page(&wechat).await;
        let last = &shown[shown.rfind("class=\"theirs\"").unwrap()..];
        assert!(last.contains("新豆") && last.contains("旧豆") == shown_too, "{fields:?}: {last}");
    }
}

#[tokio::test]
async fn customer_service_messages_appear_in_the_conversation() {
    let wechat = Harness::start().await;
    let component = wechat.component_token().await;
    let consent = wechat.simulator.authorize_without_link(&account().appid).unwrap();
    let answer = wechat.exchange(&component, &consent.push_code).await;
    let token = text(&answer, "/authorization_info/authorizer_access_token");
    let article = json!({ "title": "菜单 <b>", "description": "今日", "url": "https://example.com/menu" });
    for (to, msg_type, content) in [
        (account().follower(), "text", json!({ "content": "您的订单好了" })),
        (account().follower(), "news", json!({ "articles": [article] })),
        ("oSomebodyElse".to_owned(), "text", json!({ "content": "not for this page" })),
    ] {
        let body = json!({ "touser": to, "msgtype": msg_type, (msg_type): content });
        assert_eq!(errcode(&wechat.call(paths::CUSTOM_SEND, Some(&token), body).await), 0);
    }
    let shown = page(&wechat).await;
    assert!(
        in_order(&shown, &["class=\"theirs\"", "您的订单好了", "客服消息", "菜单 &#60;b&#62;", "客服消息"]),
        "{shown}"
    );
    assert!(shown.contains("href=\"https://example.com/menu\"") && !shown.contains("not for this page"));
}

#[tokio::test]
async fn conversations_are_separate_and_bounded() {
    let wechat = authorized().await;
    AccountSide::start(&wechat.simulator).await;
    let other = Account::demo().pop().unwrap();
    let elsewhere = Message::text(&other, &other.follower(), "elsewhere");
    wechat.simulator.send_message(&elsewhere).await;
    wechat.simulator.send_message(&Message::text(&account(), "oAnother", "another follower")).await;
    wechat.simulator.send_message(&Message::text(&account(), &account().follower(), "the first")).await;
    let shown = page(&wechat).await;
    assert!(shown.contains("the first") && !shown.contains("elsewhere") && !shown.contains("another follower"));
    for _ in 0..2_000 {
        wechat.simulator.send_message(&elsewhere).await;
    }
    assert!(!page(&wechat).await.contains("the first"));
}

#[tokio::test]
async fn the_page_is_not_recorded_as_a_call_and_no_fault_affects_it() {
    let wechat = authorized().await;
    wechat.simulator.inject(Fault::BadGateway.on(paths::ANY));
    assert!(page(&wechat).await.contains("还没有消息"));
    assert!(wechat.simulator.calls().is_empty());
}

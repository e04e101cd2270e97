//! The tickets of the JS-SDK, and the pages that are signed with them.

use std::time::Duration;

use base::ids::{AppId, hex};
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use simulator::{PageCheck, PageConfig, SecretKind};

use crate::harness::{Harness, errcode, text};

const TICKETS: &str = "/cgi-bin/ticket/getticket";
const PAGE: &str = "http://localhost:3003/signed?a=1&b=商品";

/// The account's newest ticket of this kind.
async fn ticket(wechat: &Harness, kind: &str) -> String {
    let token = wechat.token_of(&Harness::account()).await;
    text(&wechat.get(TICKETS, &token, &format!("&type={kind}")).await, "/ticket")
}

/// The configuration of a page at `url` that was signed for `signed`.
fn config(ticket: &str, signed: &str, url: &str) -> PageConfig {
    let (timestamp, nonce) = (1_700_000_000, "Wm3WZYTPz0wzccnW");
    let text = format!("jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={signed}");
    let signature = hex(&Sha1::digest(text));
    PageConfig { app_id: Harness::account(), timestamp, nonce_str: nonce.to_owned(), signature, url: url.to_owned() }
}

#[tokio::test]
async fn a_page_is_ready_if_its_own_url_was_signed_with_a_ticket_of_its_account() {
    let wechat = Harness::start().await;
    wechat.simulator.set_web_domains(vec!["localhost".to_owned()]);
    let first = ticket(&wechat, "jsapi").await;
    let second = ticket(&wechat, "jsapi").await;
    let cards = ticket(&wechat, "wx_card").await;
    let check = |config: &PageConfig| wechat.simulator.check_page(config);
    for ticket in [&first, &second] {
        assert_eq!(check(&config(ticket, PAGE, PAGE)), PageCheck::Ready);
        assert_eq!(check(&config(ticket, PAGE, &format!("{PAGE}#part"))), PageCheck::Ready);
    }
    assert_eq!(check(&config(&cards, PAGE, PAGE)), PageCheck::Signature);
    assert_eq!(check(&config("invented", PAGE, PAGE)), PageCheck::Signature);
    assert_eq!(check(&config(&first, PAGE, &format!("{PAGE}&c"))), PageCheck::Signature);
    let elsewhere = "https://shop.example.com/";
    assert_eq!(check(&config(&first, elsewhere, elsewhere)), PageCheck::UrlDomain);
    let others = AppId::parse("wx0a20000000000002").unwrap();
    assert_eq!(check(&PageConfig { app_id: others, ..config(&first, PAGE, PAGE) }), PageCheck::Signature);
    let later = PageConfig { timestamp: 1_700_000_001, ..config(&first, PAGE, PAGE) };
    assert_eq!(check(&later), PageCheck::Signature);

    wechat.clock.advance(Duration::from_hours(2));
    assert_eq!(check(&config(&second, PAGE, PAGE)), PageCheck::Signature);
}

#[tokio::test]
async fn another_process_gets_the_pages_result_without_a_ticket() {
    let wechat = Harness::start().await;
    wechat.simulator.set_web_domains(vec!["localhost".to_owned()]);
    let ticket = ticket(&wechat, "jsapi").await;
    let PageConfig { app_id, timestamp, nonce_str, signature, url } = config(&ticket, PAGE, PAGE);
    let asked =
        json!({ "appId": app_id, "timestamp": timestamp, "nonceStr": nonce_str, "signature": signature, "url": url });
    let check = async |body: &Value| {
        let request = wechat.http.post(format!("{}/_simulator/js-sdk-checks", wechat.base));
        let response = request.header("Content-Type", "application/json").body(body.to_string()).send().await.unwrap();
        response.text().await.unwrap()
    };
    assert_eq!(check(&asked).await, r#"{"errMsg":"config:ok"}"#);
    let mut wrong = asked.clone();
    wrong["nonceStr"] = json!("another");
    assert_eq!(check(&wrong).await, r#"{"errMsg":"config:invalid signature"}"#);
    wrong["url"] = json!("https://shop.example.com/");
    assert_eq!(check(&wrong).await, r#"{"errMsg":"config:invalid url domain"}"#);
    assert!(wechat.simulator.issued_secrets().iter().any(|known| known.kind == SecretKind::JsTicket));
}

#[tokio::test]
async fn each_ticket_of_the_js_sdk_is_new_and_the_quota_can_be_used_up() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::account()).await;
    let ask = async || wechat.get(TICKETS, &token, "&type=jsapi").await;
    let (first, second) = (ask().await, ask().await);
    assert_eq!(first["expires_in"], 7200);
    assert_ne!(text(&first, "/ticket"), text(&second, "/ticket"));
    wechat.simulator.use_quota_up(&Harness::account(), TICKETS);
    assert_eq!(errcode(&ask().await), 45009);
    assert_eq!(errcode(&wechat.get(TICKETS, &token, "").await), 45009);
    wechat.clock.advance(Duration::from_hours(24));
    let token = wechat.token_of(&Harness::account()).await;
    assert_eq!(errcode(&wechat.get(TICKETS, &token, "&type=wx_card").await), 0);
    assert_eq!(errcode(&wechat.get(TICKETS, &token, "&type=other").await), 40097);
}

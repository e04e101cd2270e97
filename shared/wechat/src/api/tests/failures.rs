//! Failing calls: what the error says, and what it must not say.

use std::io::{Read as _, Write as _};

use tokio::time::Instant;

use super::*;

/// A server that reads one request, sends these bytes, closes the connection and stops listening.
fn raw_server(answer: &'static [u8]) -> Url {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        while !request.ends_with(b"}") {
            let read = connection.read(&mut buffer).unwrap();
            request.extend_from_slice(&buffer[..read]);
        }
        connection.write_all(answer).unwrap();
    });
    base
}

#[tokio::test]
async fn a_refusal_keeps_its_code_and_id_and_drops_what_was_sent() {
    let errmsg = format!("code {} is invalid for {} rid: 62bc0b4a-0b2d5f9a-1c2d3e4f", SECRETS[3], SECRETS[2]);
    let server = Server::answering(json!({ "errcode": 61009, "errmsg": errmsg })).await;
    let error = error(exchange(&server.client()).await);
    let refusal = error.refusal().unwrap();
    assert_eq!((refusal.api, refusal.code), (Api::QueryAuth, ErrCode::CodeInvalid));
    assert_eq!(refusal.errmsg, "code *** is invalid for *** rid: 62bc0b4a-0b2d5f9a-1c2d3e4f");
    assert_eq!(refusal.rid.as_deref(), Some("62bc0b4a-0b2d5f9a-1c2d3e4f"));
    assert_eq!(error.reaction(), Reaction::CodeSpent);
}

#[tokio::test]
async fn secret_and_ticket_are_removed_from_a_refusals_words() {
    let errmsg = format!("bad {} or {}", SECRETS[0], SECRETS[1]);
    let server = Server::answering(json!({ "errcode": 61006, "errmsg": errmsg })).await;
    let error = error(server.client().component_token(&component(), &secret(0), &secret(1)).await);
    assert_eq!(error.refusal().unwrap().errmsg, "bad *** or ***");
}

#[tokio::test]
async fn an_error_code_counts_more_than_content_type_and_status() {
    let server = Server::start(200, "text/plain", r#"{"errcode":"61004","errmsg":"requestIP: 203.0.113.9"}"#, false);
    let refused = error(exchange(&server.await.client()).await);
    assert_eq!(refused.refusal().unwrap().refused_ip.unwrap().to_string(), "203.0.113.9");

    let server = Server::start(500, "text/html", r#"{"errcode":-1,"errmsg":"system error"}"#, false).await;
    assert_eq!(error(exchange(&server.client()).await).code_label(), "-1");
}

#[tokio::test]
async fn a_gateways_page_is_recognized_by_its_status() {
    let page = format!("<html>{} {}</html>", SECRETS[2], SECRETS[3]);
    let server = Server::start(502, "text/html", page.clone(), false).await;
    assert!(matches!(error(exchange(&server.client()).await), WechatError::HttpStatus(502)));
    let server = Server::start(200, "text/html", page, false).await;
    assert!(matches!(error(exchange(&server.client()).await), WechatError::Malformed(_)));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = Server::start(302, "text/html", "", false).await;
    assert!(matches!(error(exchange(&server.client()).await), WechatError::HttpStatus(302)));
    server.seen();
}

#[tokio::test]
async fn an_oversized_response_is_not_read_completely() {
    let server = Server::start(200, "application/json", vec![b' '; Api::QueryAuth.longest_answer() + 1], false).await;
    let error = error(exchange(&server.client()).await);
    assert!(matches!(error, WechatError::Malformed("it is too large")));
    assert!(error.may_have_taken_effect());
}

#[tokio::test]
async fn a_success_without_the_requested_member_is_malformed() {
    for body in ["{}", r#"{"authorization_info":{}}"#, "[]", "", r#"{"errcode":{}}"#] {
        let server = Server::start(200, "application/json", body, false).await;
        assert!(matches!(error(exchange(&server.client()).await), WechatError::Malformed(_)), "{body}");
    }
    let server = Server::answering(json!({ "component_access_token": "", "expires_in": 7200 })).await;
    let result = server.client().component_token(&component(), &secret(0), &secret(1)).await;
    assert!(matches!(error(result), WechatError::Malformed("component_access_token")));
}

#[tokio::test]
async fn a_call_ends_with_its_limit_and_may_have_taken_effect() {
    let server = Server::start(200, "application/json", "{}", true).await;
    let limits = Limits { api: Duration::from_millis(50), ..Limits::interactive() };
    let error = error(exchange(&WechatClient::new(&server.base, &limits).unwrap()).await);
    assert!(matches!(error, WechatError::Transport { kind: TransportKind::Timeout, .. }));
    assert!(error.may_have_taken_effect());
}

#[tokio::test]
async fn a_deadline_shortens_a_call_and_after_it_nothing_is_sent() {
    let server = Server::start(200, "application/json", "{}", true).await;
    let client = server.client().with_deadline(Instant::now() + Duration::from_millis(50));
    let late = error(exchange(&client).await);
    assert!(matches!(late, WechatError::Transport { kind: TransportKind::Timeout, .. }));
    server.seen();

    let past = error(exchange(&client.with_deadline(Instant::now())).await);
    assert!(matches!(past, WechatError::Transport { kind: TransportKind::NotStarted, .. }));
    assert!(!past.may_have_taken_effect());
    assert!(server.script.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_connection_lost_after_sending_may_have_taken_effect() {
    let cut_off = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"authorization_info\":";
    for answer in [&b""[..], &cut_off[..]] {
        let client = WechatClient::new(&raw_server(answer), &Limits::interactive()).unwrap();
        let error = error(exchange(&client).await);
        assert!(matches!(error, WechatError::Transport { kind: TransportKind::Lost, .. }), "{error:?}");
        assert!(error.may_have_taken_effect());
    }
}

#[tokio::test]
async fn a_refused_connection_certainly_had_no_effect() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let error = error(exchange(&WechatClient::new(&base, &Limits::interactive()).unwrap()).await);
    assert!(matches!(error, WechatError::Transport { kind: TransportKind::Connect, .. }));
    assert!(!error.may_have_taken_effect());
}

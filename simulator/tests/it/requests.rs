//! The record of requests, to the byte.

use http::Method;
use serde_json::json;
use simulator::{CallOutcome, Fault, sample_picture};

use crate::harness::{Harness, errcode};

const TYPING: &str = "/cgi-bin/message/custom/typing";

#[tokio::test]
async fn a_request_is_recorded_unchanged() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::account()).await;
    let body: Vec<u8> = (0..=u8::MAX).collect();
    let url = format!("{}{TYPING}?access_token={token}&a=%2F+b&a=", wechat.base);
    let sent = wechat.http.post(url).header("Wechatmp-Appid", "wx1").header("cookie", "a=b").body(body.clone());
    sent.send().await.unwrap();
    let requests = wechat.simulator.requests(TYPING);
    let [request] = requests.as_slice() else { panic!("{} requests", requests.len()) };
    assert_eq!((&request.method, request.body.as_ref()), (&Method::POST, &body[..]));
    assert_eq!(request.query, format!("access_token={token}&a=%2F+b&a="));
    let parameters = request.parameters();
    let names: Vec<_> = parameters.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((names, parameters[1].1.as_str()), (vec!["access_token", "a", "a"], "/ b"));
    assert_eq!(request.authorizer, Some(Harness::account()));
    assert_eq!(request.header("wechatmp-appid"), Some("wx1"));
    assert_eq!(request.header("Cookie"), Some("a=b"));
    assert_eq!(request.header("accept-language"), None);
    assert_eq!(wechat.simulator.requests("/other").len(), 0);
}

#[tokio::test]
async fn a_connection_that_is_cut_before_the_body_was_read_brings_no_request() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::account()).await;
    for (fault, requests) in [(Fault::DropUnread, 0), (Fault::DropBefore, 1), (Fault::DropAfter, 2)] {
        wechat.simulator.inject(fault.on(TYPING).for_authorizer(&Harness::account()).times(1));
        let body = json!({ "touser": "o1", "command": "Typing" }).to_string();
        let error = wechat.post_raw(TYPING, &format!("access_token={token}"), body).await.unwrap_err();
        assert!(error.is_request(), "{error:?}");
        assert_eq!(wechat.simulator.requests(TYPING).len(), requests);
    }
    let outcomes: Vec<_> = wechat.simulator.calls().into_iter().filter(|call| call.path == TYPING).collect();
    let outcomes: Vec<_> = outcomes.into_iter().map(|call| call.outcome).collect();
    assert_eq!(outcomes, [CallOutcome::Lost, CallOutcome::Lost, CallOutcome::Done]);
    assert_eq!(wechat.simulator.counters().calls[TYPING], 3);
    assert_eq!(wechat.simulator.unused_faults(), []);
}

#[tokio::test]
async fn a_fault_can_refuse_the_token_of_one_account_until_it_is_cleared() {
    let wechat = Harness::start().await;
    let sick = Harness::account();
    let (one, other) = (wechat.token_of(&sick).await, wechat.token_of(&wechat.simulator.accounts()[1].appid).await);
    wechat.simulator.inject(Fault::errcode(40001).on(TYPING).for_authorizer(&sick));
    let ask = async |token: &str| {
        errcode(&wechat.call(TYPING, Some(token), json!({ "touser": "o1", "command": "Typing" })).await)
    };
    assert_eq!((ask(&one).await, ask(&other).await, ask(&one).await), (40001, 0, 40001));
    wechat.simulator.clear_faults();
    assert_eq!(ask(&one).await, 0);
}

#[tokio::test]
async fn a_response_can_be_changed_or_replaced_and_the_call_takes_effect() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::account()).await;
    let ask = async || {
        let body = json!({ "touser": "o1", "command": "Typing" }).to_string();
        wechat.post_raw(TYPING, &format!("access_token={token}"), body).await.unwrap()
    };
    let large = b"x".repeat(10 * 1024 * 1024);
    wechat.simulator.inject(Fault::content_type("text/plain").on(TYPING).times(1));
    let cookies = ["a=b", "c=d"].map(|cookie| ("Set-Cookie".to_owned(), cookie.to_owned()));
    wechat.simulator.inject(Fault::Headers(cookies.to_vec()).on(TYPING).times(1));
    wechat.simulator.inject(Fault::answer("image/jpeg", sample_picture(300)).on(TYPING).times(1));
    wechat.simulator.inject(Fault::answer("text/html", large.clone()).on(TYPING).times(1));
    let moved = vec![("location".to_owned(), "http://127.0.0.1:1/".to_owned())];
    wechat.simulator.inject(Fault::Answer { status: 302, headers: moved, body: Vec::new() }.on(TYPING).times(1));

    let plain = ask().await;
    assert_eq!(plain.headers()["content-type"], "text/plain");
    assert_eq!(plain.text().await.unwrap(), r#"{"errcode":0,"errmsg":"ok"}"#);
    let cookie = ask().await;
    assert_eq!(cookie.headers().get_all("set-cookie").iter().collect::<Vec<_>>(), ["a=b", "c=d"]);
    assert_eq!(cookie.headers()["content-type"], "application/json; encoding=utf-8");
    assert!(ask().await.bytes().await.unwrap() == sample_picture(300));
    assert!(ask().await.bytes().await.unwrap() == large);
    assert_eq!(ask().await.status(), 302);
    assert!(wechat.simulator.calls().iter().all(|call| call.outcome == CallOutcome::Done));
}

#[tokio::test]
async fn a_response_can_end_or_wait_in_the_middle_of_its_body() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::account()).await;
    let ask = async || {
        let body = json!({ "touser": "o1", "command": "Typing" }).to_string();
        wechat.post_raw(TYPING, &format!("access_token={token}"), body).await.unwrap()
    };
    let whole = br#"{"errcode":0,"errmsg":"ok"}"#;
    wechat.simulator.inject(Fault::CutShort(7).on(TYPING).times(1));
    wechat.simulator.inject(Fault::HoldHalfway.on(TYPING).times(1));

    let mut cut = ask().await;
    assert_eq!(cut.content_length(), Some(27));
    assert_eq!(cut.chunk().await.unwrap().as_deref(), Some(&whole[..7]));
    assert!(cut.chunk().await.is_err());

    let mut held = ask().await;
    assert_eq!(held.chunk().await.unwrap().as_deref(), Some(&whole[..13]));
    wechat.simulator.until_held(TYPING, 1).await;
    wechat.simulator.release(TYPING);
    assert_eq!(held.chunk().await.unwrap().as_deref(), Some(&whole[13..]));
    assert_eq!(held.chunk().await.unwrap(), None);
    let counted = wechat.simulator.calls().iter().filter(|call| call.outcome == CallOutcome::Done).count();
    assert_eq!(counted, wechat.simulator.calls().len());
}

#[tokio::test]
async fn a_token_can_be_replaced_while_a_call_is_in_progress() {
    let wechat = Harness::start().await;
    let account = Harness::account();
    let token = wechat.token_of(&account).await;
    wechat.simulator.inject(Fault::HoldBefore.on(TYPING).for_authorizer(&account).times(2));
    let ask =
        async || errcode(&wechat.call(TYPING, Some(&token), json!({ "touser": "o1", "command": "Typing" })).await);
    let release = async {
        wechat.simulator.until_held(TYPING, 1).await;
        wechat.simulator.release(TYPING);
    };
    assert_eq!(tokio::join!(ask(), release), (0, ()));
    let replace = async {
        wechat.simulator.until_held(TYPING, 1).await;
        wechat.token_of(&account).await;
        wechat.simulator.release(TYPING);
    };
    assert_eq!(tokio::join!(ask(), replace), (40001, ()));
    assert_eq!(wechat.simulator.requests(TYPING).len(), 2);
}

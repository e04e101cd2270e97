//! Faults as a client sees them, and what took effect all the same.

use std::time::{Duration, Instant};

use base::ids::AppId;
use serde_json::json;
use simulator::{CallOutcome, Fault, paths};

use crate::harness::{COMPONENT, Harness, errcode, text, token_body};

/// Sends a ticket to the platform, which asks for its token.
async fn ask(wechat: &Harness) -> reqwest::Result<reqwest::Response> {
    wechat.post_raw(paths::COMPONENT_TOKEN, "", token_body(&wechat.receiver.last_ticket()).to_string()).await
}

async fn with_ticket() -> Harness {
    let wechat = Harness::start().await;
    wechat.simulator.push_ticket().await;
    wechat
}

fn issued(wechat: &Harness) -> u64 {
    wechat.simulator.counters().effects.component_tokens
}

#[tokio::test]
async fn a_dropped_call_looks_like_no_response_at_all() {
    let wechat = with_ticket().await;
    for (fault, issued_after, outcome) in
        [(Fault::DropBefore, 0, CallOutcome::Lost), (Fault::DropAfter, 1, CallOutcome::Done)]
    {
        wechat.simulator.inject(fault.on(paths::COMPONENT_TOKEN).times(1));
        let error = ask(&wechat).await.unwrap_err();
        assert!(error.is_request() && error.status().is_none(), "{error:?}");
        assert_eq!(issued(&wechat), issued_after);
        assert_eq!(wechat.simulator.calls().pop().unwrap().outcome, outcome);
    }
    assert_eq!(ask(&wechat).await.unwrap().status(), 200);
    assert_eq!(issued(&wechat), 2);
    assert_eq!(wechat.simulator.counters().calls[paths::COMPONENT_TOKEN], 3);
}

#[tokio::test]
async fn a_garbled_answer_has_other_bytes_in_the_place_of_a_text_and_takes_effect() {
    let wechat = with_ticket().await;
    wechat.simulator.inject(Fault::garble("expires_in", b"\xff\x14").on(paths::COMPONENT_TOKEN).times(1));
    let answer = ask(&wechat).await.unwrap();
    assert_eq!(answer.status(), 200);
    let body = answer.bytes().await.unwrap();
    assert!(body.windows(5).any(|window| window == b"\"\xff\x14\":"), "{body:?}");
    assert_eq!(issued(&wechat), 1);
}

#[tokio::test]
async fn a_502_page_and_an_errcode_have_no_effect() {
    let wechat = with_ticket().await;
    wechat.simulator.inject(Fault::BadGateway.on(paths::COMPONENT_TOKEN).times(1));
    wechat.simulator.inject(Fault::ip_not_registered().on(paths::ANY));
    let page = ask(&wechat).await.unwrap();
    assert_eq!(page.status(), 502);
    assert!(page.text().await.unwrap().starts_with("<html>"));
    for _ in 0..2 {
        let answer = wechat.call(paths::COMPONENT_TOKEN, None, token_body("any")).await;
        assert_eq!(errcode(&answer), 61004);
        assert!(text(&answer, "/errmsg").contains("requestIP: 203.0.113.9"));
    }
    assert_eq!(issued(&wechat), 0);
    wechat.simulator.clear_faults();
    assert_eq!(ask(&wechat).await.unwrap().status(), 200);
    assert_eq!(issued(&wechat), 1);
}

#[tokio::test]
async fn a_fault_can_affect_only_one_account() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    let accounts: Vec<AppId> = wechat.simulator.accounts().into_iter().map(|account| account.appid).collect();
    wechat.simulator.inject(Fault::system_error().on(paths::GET_AUTHORIZER_INFO).for_authorizer(&accounts[0]));
    for (account, expected) in [(&accounts[0], -1), (&accounts[1], 61003), (&accounts[0], -1)] {
        let body = json!({ "authorizer_appid": account });
        assert_eq!(errcode(&wechat.component_call(paths::GET_AUTHORIZER_INFO, &token, body).await), expected);
    }
}

#[tokio::test]
async fn a_delayed_answer_is_late_and_its_effect_is_not() {
    let wechat = with_ticket().await;
    let delay = Duration::from_millis(60);
    wechat.simulator.inject(Fault::Delay(delay).on(paths::COMPONENT_TOKEN));
    let before = Instant::now();
    assert_eq!(ask(&wechat).await.unwrap().status(), 200);
    assert!(before.elapsed() >= delay);
    assert_eq!(issued(&wechat), 1);
}

#[tokio::test]
async fn a_held_answer_goes_when_released() {
    let wechat = with_ticket().await;
    wechat.simulator.inject(Fault::Hold.on(paths::COMPONENT_TOKEN).times(2));
    let both = async { tokio::join!(ask(&wechat), ask(&wechat)) };
    let release = async {
        wechat.simulator.until_held(paths::COMPONENT_TOKEN, 2).await;
        assert_eq!(issued(&wechat), 2);
        wechat.simulator.release(paths::COMPONENT_TOKEN);
    };
    let ((first, second), ()) = tokio::join!(both, release);
    assert_eq!((first.unwrap().status().as_u16(), second.unwrap().status().as_u16()), (200, 200));
}

#[tokio::test]
async fn a_caller_that_is_killed_while_held_is_forgotten() {
    let wechat = with_ticket().await;
    wechat.simulator.inject(Fault::Hold.on(paths::COMPONENT_TOKEN).times(1));
    tokio::select! {
        answer = ask(&wechat) => panic!("answered with {answer:?}"),
        () = wechat.simulator.until_held(paths::COMPONENT_TOKEN, 1) => {}
    }
    // The client is dropped with its connection: the simulator notices, and serves the next one.
    while wechat.http.get(format!("{}/_simulator/held", wechat.base)).send().await.unwrap().text().await.unwrap()
        != "{}"
    {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask(&wechat).await.unwrap().status(), 200);
    assert_eq!(issued(&wechat), 2);
}

#[tokio::test]
async fn the_record_of_calls_has_no_secrets() {
    let wechat = with_ticket().await;
    ask(&wechat).await.unwrap();
    let calls = wechat.simulator.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].path, paths::COMPONENT_TOKEN);
    assert_eq!(calls[0].fields["component_appid"], COMPONENT);
    let printed = format!("{calls:?}");
    assert!(wechat.simulator.issued_secrets().iter().all(|secret| !secret.is_in(&printed)));
}

#[tokio::test]
async fn faults_that_were_not_used_up_are_remembered_after_they_are_cleared() {
    let wechat = with_ticket().await;
    wechat.simulator.inject(Fault::BadGateway.on(paths::COMPONENT_TOKEN).times(1));
    wechat.simulator.inject(Fault::BadGateway.on(paths::COMPONENT_TOKEN).times(3));
    wechat.simulator.inject(Fault::BadGateway.on(paths::QUERY_AUTH).if_called());
    for _ in 0..2 {
        assert_eq!(ask(&wechat).await.unwrap().status(), 502);
    }
    let left = [Fault::BadGateway.on(paths::COMPONENT_TOKEN).times(2)];
    assert_eq!(wechat.simulator.unused_faults(), left);
    wechat.simulator.clear_faults();
    wechat.simulator.inject(Fault::ip_not_registered().on(paths::ANY));
    ask(&wechat).await.unwrap();
    assert_eq!(wechat.simulator.unused_faults(), left, "one that acts on every call needs one");
}

#[tokio::test]
async fn only_calls_that_are_never_right_count_as_unexpected() {
    let wechat = with_ticket().await;
    wechat.call(paths::QUERY_AUTH, Some("61_unknown"), json!({ "component_appid": COMPONENT })).await;
    wechat.simulator.inject(Fault::errcode(41001).on("/any").times(1));
    wechat.call("/any", None, json!({ "some": "body" })).await;
    assert_eq!(wechat.simulator.unexpected_calls(), []);
    wechat.call("/any", None, json!({ "some": "body" })).await;
    let calls = wechat.simulator.unexpected_calls();
    let [call] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!((call.path.as_str(), call.outcome), ("/any", CallOutcome::Refused(41001)));
}

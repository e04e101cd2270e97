//! Pushes: their content, their sealing, and the record of them.

use std::time::Duration;

use base::ids::AppId;
use http::StatusCode;
use serde_json::json;
use simulator::{Behaviour, PushAnswer, paths};

use crate::harness::{COMPONENT, Harness, SECRET, element, errcode, text};

#[tokio::test]
async fn a_push_opens_with_the_platforms_token_and_key() {
    let wechat = Harness::start().await;
    let outcome = wechat.simulator.push_ticket().await;
    assert!(outcome.is_accepted(), "{outcome:?}");
    let message = wechat.receiver.last();
    assert_eq!(element(&message, "InfoType").as_deref(), Some("component_verify_ticket"));
    assert_eq!(element(&message, "AppId").as_deref(), Some(COMPONENT));
    assert_eq!(element(&message, "CreateTime").as_deref(), Some("1700000000"));
    let query = wechat.receiver.last_query();
    for name in ["signature", "timestamp", "nonce", "encrypt_type", "msg_signature"] {
        assert!(query.contains(&format!("{name}=")), "{name} in {query}");
    }
}

#[tokio::test]
async fn a_grant_push_names_account_code_and_pre_auth_code() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    let code = wechat.pre_auth_code(&token).await;
    wechat.clock.advance(Duration::from_secs(5));
    let consent = wechat.simulator.confirm(&code, &Harness::account()).unwrap();
    wechat.simulator.send(&consent.push).await;
    let message = wechat.receiver.last();
    for (name, expected) in [
        ("InfoType", "authorized"),
        ("CreateTime", "1700000005"),
        ("AuthorizerAppid", Harness::account().as_str()),
        ("AuthorizationCode", &consent.push_code),
        ("AuthorizationCodeExpiredTime", "1700000605"),
        ("PreAuthCode", &code),
    ] {
        assert_eq!(element(&message, name).as_deref(), Some(expected), "{name}");
    }
    let gone = wechat.simulator.unauthorize(&Harness::account()).unwrap();
    wechat.simulator.send(&gone).await;
    assert_eq!(element(&wechat.receiver.last(), "InfoType").as_deref(), Some("unauthorized"));
}

#[tokio::test]
async fn a_push_that_is_not_accepted_is_sent_again_only_on_demand() {
    let wechat = Harness::start().await;
    let fault = (StatusCode::INTERNAL_SERVER_ERROR, "not stored");
    wechat.receiver.answer_next(&[fault]);
    let outcome = wechat.simulator.push_ticket().await;
    assert!(!outcome.is_accepted());
    assert_eq!((outcome.attempts, wechat.receiver.messages().len()), (1, 1));
    assert_eq!(outcome.answer, PushAnswer::Answered { status: 500, body: "not stored".into() });

    wechat.simulator.set_behaviour(Behaviour { redeliver_pushes: true, ..Behaviour::default() });
    wechat.receiver.answer_next(&[fault, (StatusCode::OK, "SUCCESS")]);
    let outcome = wechat.simulator.push_ticket().await;
    assert!(outcome.is_accepted());
    assert_eq!((outcome.attempts, wechat.receiver.messages().len()), (3, 4));
    wechat.receiver.answer_next(&[fault, fault, fault]);
    assert_eq!(wechat.simulator.push_ticket().await.attempts, 3);
    assert_eq!(wechat.simulator.pushes().len(), 3);
}

#[tokio::test]
async fn a_sealed_push_can_be_sent_twice_or_tampered_with() {
    let wechat = Harness::start().await;
    let mut sealed = wechat.simulator.seal(&wechat.simulator.ticket());
    assert!(wechat.simulator.send_sealed(&sealed).await.is_accepted());
    assert!(wechat.simulator.send_sealed(&sealed).await.is_accepted());
    sealed.query = sealed.query.replace("timestamp=17", "timestamp=18");
    let outcome = wechat.simulator.send_sealed(&sealed).await;
    assert_eq!(outcome.answer, PushAnswer::Answered { status: 401, body: "not authentic".into() });
}

#[tokio::test]
async fn changed_keys_seal_what_follows() {
    let wechat = Harness::start().await;
    let key = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefg";
    wechat.simulator.change_keys(&"another".into(), &key.into()).unwrap();
    assert!(!wechat.simulator.push_ticket().await.is_accepted());
    assert!(wechat.simulator.issued_secrets().iter().any(|secret| secret.value == key));
    assert!(wechat.simulator.change_keys(&"another".into(), &"short".into()).is_err());
}

#[tokio::test]
async fn registrations_bring_a_new_account_or_a_reason() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    let registration = wechat.simulator.register_mini_program("茶馆 ]]> 🍵");
    wechat.simulator.send(&registration.push).await;
    let message = wechat.receiver.last();
    let appid = element(&message, "appid").unwrap();
    assert_eq!(AppId::parse(&appid).unwrap(), registration.appid);
    assert_eq!(element(&message, "status").as_deref(), Some("0"));
    assert_eq!(element(&message, "name").as_deref(), Some("茶馆 ]]> 🍵"));
    let answer = wechat.exchange(&token, &element(&message, "auth_code").unwrap()).await;
    assert_eq!(text(&answer, "/authorization_info/authorizer_appid"), appid);

    let failure = wechat.simulator.fail_registration("茶馆", 100_001, "legal person did not confirm");
    wechat.simulator.send(&failure).await;
    let message = wechat.receiver.last();
    assert_eq!(element(&message, "status").as_deref(), Some("100001"));
    assert_eq!((element(&message, "appid"), element(&message, "auth_code")), (None, None));
}

#[tokio::test]
async fn stopped_ticket_pushes_start_again_on_request() {
    let wechat = Harness::start().await;
    let body = json!({ "component_appid": COMPONENT, "component_secret": SECRET });
    let answer = wechat.call(paths::START_PUSH_TICKET, None, body.clone()).await;
    assert_eq!(text(&answer, "/errmsg"), "in a normal state");
    assert!(wechat.receiver.messages().is_empty());

    wechat.simulator.stop_ticket_pushes();
    let answer = wechat.call(paths::START_PUSH_TICKET, None, body).await;
    assert_eq!((errcode(&answer), text(&answer, "/errmsg").as_str()), (0, "ok"));
    wechat.simulator.pushes_settled().await;
    assert!(wechat.receiver.last_ticket().starts_with("ticket@@@"));
}

#[tokio::test]
async fn the_timer_pushes_at_once() {
    let wechat = Harness::start().await;
    tokio::select! {
        () = wechat.simulator.run_ticket_timer(Duration::from_mins(10)) => {}
        () = async { while wechat.simulator.pushes().is_empty() { tokio::task::yield_now().await } } => {}
    }
    assert!(wechat.simulator.pushes()[0].is_accepted());
}

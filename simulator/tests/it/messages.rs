//! Messages of authorized accounts: their content, their sealing, and the check of a response.

use std::collections::BTreeSet;
use std::time::Duration;

use http::StatusCode;
use simulator::{Account, AnswerFault, Behaviour, Message, MessageOutcome, PushAnswer};

use crate::account_side::{AccountSide, keyring, reply, sealed};
use crate::harness::{COMPONENT, Harness, TOKEN, element};

const FOLLOWER: &str = "oFollower_1-x";

fn account() -> Account {
    Account::demo().remove(0)
}

fn hello() -> Message {
    Message::text(&account(), FOLLOWER, "hello")
}

/// Sends one message and responds with this body.
async fn answered_with(body: &str) -> MessageOutcome {
    let wechat = Harness::start().await;
    AccountSide::start(&wechat.simulator).await.answer_next(StatusCode::OK, body);
    wechat.simulator.send_message(&hello()).await
}

async fn answered_with_reply(inner: &str) -> MessageOutcome {
    answered_with(&sealed(&keyring(COMPONENT, TOKEN), inner)).await
}

#[tokio::test]
async fn a_text_arrives_at_its_accounts_url_and_opens_with_the_platforms_key() {
    let wechat = Harness::start().await;
    let platform = AccountSide::start(&wechat.simulator).await;
    let text = "你好 ]]> <b>&amp; 👩‍👩‍👧 ";
    let outcome = wechat.simulator.send_message(&Message::text(&account(), FOLLOWER, text)).await;
    assert!(outcome.is_empty(), "{outcome:?}");
    let arrived = platform.last();
    assert_eq!(arrived.appid, account().appid.as_str());
    for (name, expected) in [
        ("ToUserName", account().user_name.as_str()),
        ("FromUserName", FOLLOWER),
        ("CreateTime", "1700000000"),
        ("MsgType", "text"),
        ("Content", text),
    ] {
        assert_eq!(arrived.field(name).as_deref(), Some(expected), "{name}");
    }
    let id = arrived.field("MsgId").unwrap();
    assert!(id.len() == 19 && id.parse::<i64>().is_ok(), "{id}");
    assert_eq!(element(&arrived.outer, "ToUserName"), Some(account().user_name));
    assert!(arrived.query.contains(&format!("openid={FOLLOWER}&")), "{}", arrived.query);
}

#[tokio::test]
async fn an_event_has_its_fields_and_no_msgid() {
    let wechat = Harness::start().await;
    let platform = AccountSide::start(&wechat.simulator).await;
    let event = Message::event(&account(), FOLLOWER, "CLICK").with("EventKey", "HOURS");
    wechat.simulator.send_message(&event).await;
    let arrived = platform.last();
    assert_eq!(arrived.field("Event").as_deref(), Some("CLICK"));
    assert_eq!(arrived.field("EventKey").as_deref(), Some("HOURS"));
    assert_eq!(arrived.field("MsgId"), None);
}

#[tokio::test]
async fn a_message_sent_again_is_the_same_message_under_another_seal() {
    let wechat = Harness::start().await;
    let platform = AccountSide::start(&wechat.simulator).await;
    let message = hello();
    wechat.simulator.send_message(&message).await;
    wechat.clock.advance(Duration::from_secs(9));
    wechat.simulator.send_message(&message.clone()).await;
    wechat.simulator.send_message(&hello()).await;
    wechat.simulator.send_message(&message.with("Content", "hello again")).await;
    let arrived = platform.arrived();
    assert_eq!(arrived[0].message, arrived[1].message);
    assert_ne!(arrived[0].query, arrived[1].query);
    let ids: BTreeSet<_> = arrived.iter().map(|arrived| arrived.field("MsgId")).collect();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn a_given_id_and_time_and_any_xml_are_sent_unchanged() {
    let wechat = Harness::start().await;
    let platform = AccountSide::start(&wechat.simulator).await;
    let fixed = hello().with("MsgId", "7").with("CreateTime", "1600000000");
    wechat.simulator.send_message(&fixed).await;
    assert_eq!(platform.last().field("MsgId").as_deref(), Some("7"));
    assert_eq!(platform.last().field("CreateTime").as_deref(), Some("1600000000"));

    let xml = "<xml><ToUserName>gh_other</ToUserName><FromUserName>o2</FromUserName></xml>";
    wechat.simulator.send_message(&Message::of(&account().appid, xml)).await;
    assert_eq!(platform.last().message, xml);
    assert_eq!(element(&platform.last().outer, "ToUserName").as_deref(), Some("gh_other"));
    assert!(platform.last().query.contains("openid=o2&"));
    wechat.simulator.send_message(&Message::of(&account().appid, "no XML")).await;
    assert_eq!(platform.last().message, "no XML");
}

#[tokio::test]
async fn a_sealed_message_can_be_sent_twice_or_tampered_with() {
    let wechat = Harness::start().await;
    let platform = AccountSide::start(&wechat.simulator).await;
    let mut sealed = wechat.simulator.seal_message(&hello());
    for _ in 0..2 {
        let outcome = wechat.simulator.send_sealed(&sealed).await;
        assert_eq!(outcome.answer, PushAnswer::Answered { status: 200, body: String::new() });
    }
    assert_eq!(platform.arrived()[0].message, platform.arrived()[1].message);
    sealed.query = sealed.query.replace("timestamp=17", "timestamp=18");
    let outcome = wechat.simulator.send_sealed(&sealed).await;
    assert_eq!(outcome.answer, PushAnswer::Answered { status: 401, body: "not authentic".into() });
    assert_eq!(outcome.info_type, "message.text");
}

#[tokio::test]
async fn an_empty_body_and_success_are_valid_without_a_reply() {
    for body in ["", "success"] {
        let outcome = answered_with(body).await;
        assert!(outcome.is_empty(), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_sealed_reply_is_opened() {
    let inner = reply(&account(), FOLLOWER, "text", "<Content><![CDATA[你好 ]]]]><![CDATA[> 🍵]]></Content>");
    let outcome = answered_with_reply(&inner).await;
    assert_eq!((outcome.fault, outcome.reply.as_deref()), (None, Some(inner.as_str())));
    assert_eq!(outcome.reply_text().as_deref(), Some("你好 ]]> 🍵"));
    assert!(!outcome.is_empty());
}

#[tokio::test]
async fn a_reply_may_be_laid_out_and_written_without_cdata() {
    let further = "\n  <Content>tea &amp; &lt;milk&gt; &#x1F375; </Content>\n";
    let inner = reply(&account(), FOLLOWER, "text", further).replace("><![", ">\n  <![").replace("]]><", "]]>\n<");
    let outcome = answered_with_reply(&format!("<?xml version=\"1.0\"?>\n{inner}\n")).await;
    assert_eq!(outcome.reply_text().as_deref(), Some("tea & <milk> 🍵 "));
}

#[tokio::test]
async fn every_kind_of_reply_is_known() {
    let article = "<item><Title>t</Title><Description>d</Description><PicUrl>p</PicUrl><Url>u</Url></item>";
    let news = format!("<ArticleCount>2</ArticleCount><Articles>{article}{article}</Articles>");
    for (msg_type, further) in [
        ("image", "<Image><MediaId>m</MediaId></Image>"),
        ("voice", "<Voice><MediaId>m</MediaId></Voice>"),
        ("video", "<Video><MediaId>m</MediaId><Title>t</Title></Video>"),
        ("music", "<Music><Title>t</Title><ThumbMediaId>m</ThumbMediaId></Music>"),
        ("news", &news),
        ("transfer_customer_service", ""),
    ] {
        let outcome = answered_with_reply(&reply(&account(), FOLLOWER, msg_type, further)).await;
        assert_eq!(outcome.fault, None, "{msg_type}");
    }
}

#[tokio::test]
async fn replies_that_are_not_sealed_correctly_are_garbage() {
    let inner = reply(&account(), FOLLOWER, "text", "<Content>hi</Content>");
    let good = sealed(&keyring(COMPONENT, TOKEN), &inner);
    for (body, fault) in [
        (inner.clone(), AnswerFault::NotSealed),
        ("Success".to_owned(), AnswerFault::NotSealed),
        ("{}".to_owned(), AnswerFault::NotSealed),
        (format!("<!DOCTYPE xml>{good}"), AnswerFault::NotSealed),
        (format!("{good}<xml/>"), AnswerFault::NotSealed),
        (format!("{}{}", "<xml>".repeat(100), "</xml>".repeat(100)), AnswerFault::NotSealed),
        (good.replace("<Nonce><![CDATA[77]]></Nonce>", ""), AnswerFault::NotSealed),
        (good.replace("<![CDATA[77]]>", "78"), AnswerFault::Signature),
        (good.replace(">1700000001<", ">1700000002<"), AnswerFault::Signature),
        (sealed(&keyring(COMPONENT, "another"), &inner), AnswerFault::Signature),
        (sealed(&keyring(account().appid.as_str(), TOKEN), &inner), AnswerFault::AppId),
        (sealed(&keyring(COMPONENT, TOKEN), "hi"), AnswerFault::NotXml),
        (sealed(&keyring(COMPONENT, TOKEN), "<reply/>"), AnswerFault::NotXml),
    ] {
        let outcome = answered_with(&body).await;
        assert_eq!((outcome.fault, outcome.reply), (Some(fault), None), "{body}");
    }
}

#[tokio::test]
async fn replies_with_wrong_content_are_garbage() {
    let text = "<Content>hi</Content>";
    let unswapped = Account { user_name: FOLLOWER.to_owned(), ..account() };
    for (inner, fault) in [
        (reply(&account(), "oSomebody", "text", text), AnswerFault::Addressee),
        (reply(&unswapped, &account().user_name, "text", text), AnswerFault::Addressee),
        (reply(&account(), FOLLOWER, "link", text), AnswerFault::MsgType),
        (reply(&account(), FOLLOWER, "text", ""), AnswerFault::Incomplete),
        (reply(&account(), FOLLOWER, "image", "<MediaId>m</MediaId>"), AnswerFault::Incomplete),
        (
            reply(&account(), FOLLOWER, "text", &format!("<Content>{}</Content>", "a".repeat(2_048))),
            AnswerFault::TooLong,
        ),
        (
            reply(&account(), FOLLOWER, "news", "<ArticleCount>2</ArticleCount><Articles><item/></Articles>"),
            AnswerFault::Incomplete,
        ),
        (
            reply(&account(), FOLLOWER, "text", text).replace("<CreateTime>1700000001</CreateTime>", ""),
            AnswerFault::Incomplete,
        ),
    ] {
        assert_eq!(answered_with_reply(&inner).await.fault, Some(fault), "{inner}");
    }
}

#[tokio::test]
async fn an_error_status_and_silence_are_garbage() {
    let wechat = Harness::start().await;
    let silent = wechat.simulator.send_message(&hello()).await;
    assert_eq!(silent.fault, Some(AnswerFault::Unanswered));
    wechat.simulator.set_message_url("http://127.0.0.1:1/$APPID$".to_owned());
    let nobody = wechat.simulator.send_message(&hello()).await;
    assert_eq!(nobody.answer, PushAnswer::Unanswered { reason: "no connection".into() });
    let platform = AccountSide::start(&wechat.simulator).await;
    platform.answer_next(StatusCode::INTERNAL_SERVER_ERROR, "success");
    let refused = wechat.simulator.send_message(&hello()).await;
    assert_eq!((refused.fault, refused.attempts), (Some(AnswerFault::Status), 1));
}

#[tokio::test]
async fn a_message_without_a_valid_answer_is_sent_three_times_in_all_on_demand() {
    let wechat = Harness::start().await;
    let platform = AccountSide::start(&wechat.simulator).await;
    wechat.simulator.set_behaviour(Behaviour { redeliver_pushes: true, ..Behaviour::default() });
    platform.answer_next(StatusCode::BAD_GATEWAY, "");
    platform.answer_next(StatusCode::OK, "garbage");
    let outcome = wechat.simulator.send_message(&hello()).await;
    assert_eq!((outcome.attempts, outcome.is_empty()), (3, true));
    let messages: BTreeSet<_> = platform.arrived().into_iter().map(|arrived| arrived.message).collect();
    let queries: BTreeSet<_> = platform.arrived().into_iter().map(|arrived| arrived.query).collect();
    assert_eq!((messages.len(), queries.len()), (1, 3));
    for _ in 0..4 {
        platform.answer_next(StatusCode::OK, "garbage");
    }
    let outcome = wechat.simulator.send_message(&hello()).await;
    assert_eq!((outcome.attempts, outcome.fault), (3, Some(AnswerFault::NotSealed)));
}

#[tokio::test]
async fn changed_keys_seal_messages_and_open_replies() {
    let wechat = Harness::start().await;
    let platform = AccountSide::start(&wechat.simulator).await;
    let inner = reply(&account(), FOLLOWER, "text", "<Content>hi</Content>");
    wechat.simulator.change_keys(&"another".into(), &crate::harness::KEY.into()).unwrap();
    let refused = wechat.simulator.send_message(&hello()).await;
    assert_eq!(refused.fault, Some(AnswerFault::Status));
    assert!(platform.arrived().is_empty());
    wechat.simulator.change_keys(&TOKEN.into(), &crate::harness::KEY.into()).unwrap();
    platform.answer_next(StatusCode::OK, sealed(&keyring(COMPONENT, TOKEN), &inner));
    assert_eq!(wechat.simulator.send_message(&hello()).await.reply_text().as_deref(), Some("hi"));
}

//! Followers type what they like, and WeChat puts it into its XML unescaped: it arrives as typed, forges nothing, and
//! costs no message.

use serde_json::json;
use simulator::{Account, Message};
use stories::schema::Schema;
use stories::webhook::Service;
use stories::world::{COMPONENT, World};

use super::{FOLLOWER, delivered, service_for, shop, texts};

#[tokio::test]
async fn whatever_a_follower_types_arrives_as_it_was_typed_and_is_answered() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    let service = service_for(&world).await;
    for typed in [
        "a]]>b",
        "<xml><status><![CDATA[1]]></status></xml>",
        "]]></Content><MsgId>1</MsgId><Content><![CDATA[",
        "]]></Content><FromUserName><![CDATA[oSomebodyElse]]></FromUserName><Content><![CDATA[x",
        "]]></Content><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[subscribe]]></Event></xml>",
        "&amp; &#x1; &nope; <b> < >",
        "\u{0}\u{1}\u{8}\u{7f}\u{fffe}\u{ffff}",
    ] {
        let outcome = world.simulator.send_message(&Message::text(&shop, FOLLOWER, typed)).await;
        assert!(outcome.fault.is_none(), "{typed:?}: {outcome:?}");
        let detail = delivered(&world).pop().unwrap();
        assert_eq!(detail["message"], json!({ "type": "text", "content": typed }));
        assert_eq!(detail["fields"]["Content"], typed);
        assert_eq!((&detail["open_id"], &detail["user_name"]), (&json!(FOLLOWER), &json!(shop.user_name)), "{typed:?}");
        assert_eq!((&detail["create_time"], &detail["authorizer_appid"]), (&json!(world.now()), &json!(shop.appid)));
        Schema::read().fits("message_detail", &detail).unwrap();
        let asked = service.asked().pop().unwrap();
        assert_eq!(asked.body["data"], detail, "{typed:?}");
    }
}

#[tokio::test]
async fn every_text_that_a_stranger_can_type_is_taken_for_what_it_is() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    let message = |kind: &str| Message::new(&shop, FOLLOWER, kind);
    let event = |name: &str| Message::event(&shop, FOLLOWER, name);
    for (field, message) in [
        ("Recognition", message("voice").with("MediaId", "m").with("Format", "amr")),
        ("Label", message("location").with("Location_X", "1").with("Location_Y", "2").with("Scale", "9")),
        ("Title", message("link").with("Title", "").with("Description", "d").with("Url", "u")),
        ("Description", message("link").with("Title", "t").with("Description", "").with("Url", "u")),
        ("Url", message("link").with("Title", "t").with("Description", "d").with("Url", "")),
        ("EventKey", event("CLICK")),
        ("nickname", event("wxa_nickname_audit").with("ret", "2")),
        ("Nobody_knows_it", message("hologram").with("Known", "1")),
    ] {
        for own in ["ToUserName", "FromUserName", "CreateTime", "MsgType", "Event", "MsgId"] {
            let typed = format!("x]]></{field}><{own}><![CDATA[forged]]></{own}><{field}><![CDATA[y");
            let outcome = world.simulator.send_message(&message.clone().with(field, &typed)).await;
            assert!(outcome.is_empty(), "{field}: {outcome:?}");
            let detail = delivered(&world).pop().unwrap();
            assert_eq!(detail["fields"][field], typed, "{field}");
            let told = detail.to_string().replace(&typed, "");
            assert!(!told.contains("\"forged\"") && detail["open_id"] == FOLLOWER, "{told}");
        }
    }
}

#[tokio::test]
async fn a_message_that_lacks_something_is_delivered_with_what_it_has() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    let service = service_for(&world).await;
    let now = world.now().unix();
    let whole = format!(
        "<xml><ToUserName>{}</ToUserName><FromUserName>{FOLLOWER}</FromUserName><CreateTime>{now}</CreateTime>\
         <MsgType>text</MsgType><Content>hello</Content><MsgId>9</MsgId></xml>",
        shop.user_name
    );
    let without = |name: &str| {
        let (before, rest) = whole.split_once(&format!("<{name}>")).unwrap();
        format!("{before}{}", rest.split_once(&format!("</{name}>")).unwrap().1)
    };
    for (name, asked) in [("ToUserName", 0), ("FromUserName", 0), ("CreateTime", 1), ("MsgType", 2)] {
        let outcome = world.simulator.send_message(&Message::of(&shop.appid, without(name))).await;
        assert!(outcome.fault.is_none(), "{name}: {outcome:?}");
        let event = world.bus.delivered().pop().unwrap();
        assert_eq!(event.detail["missing"], json!([name]));
        assert_eq!(event.detail["fields"]["Content"], "hello", "{name}");
        assert_eq!(event.detail_type, if name == "MsgType" { "message.unknown" } else { "message.text" });
        Schema::read().fits("message_detail", &event.detail).unwrap_or_else(|misfit| panic!("{name}: {misfit}"));
        assert_eq!(service.asked().len(), asked, "{name}: a reply needs a sender and an addressee");
    }
    assert_eq!(texts(&world).len(), 3);
}

#[tokio::test]
async fn what_is_not_xml_or_not_utf_8_is_delivered_as_far_as_it_can_be_read() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    for raw in ["{\"MsgType\":\"text\"}", "", "<xml><ToUserName>", "<xml><a><![CDATA[x]]></b></xml>"] {
        let outcome = world.simulator.send_message(&Message::of(&shop.appid, raw)).await;
        assert!(outcome.is_empty(), "{raw}: {outcome:?}");
        let event = world.bus.delivered().pop().unwrap();
        assert_eq!((event.detail_type.as_str(), &event.detail["raw"]), ("message.unknown", &json!(raw)));
        Schema::read().fits("message_detail", &event.detail).unwrap_or_else(|misfit| panic!("{raw}: {misfit}"));
    }
    let cut = format!(
        "<xml><ToUserName><![CDATA[{}]]></ToUserName><FromUserName><![CDATA[{FOLLOWER}]]></FromUserName>\
         <CreateTime>{}</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[hel",
        shop.user_name,
        world.now().unix()
    );
    assert!(world.simulator.send_message(&Message::of(&shop.appid, cut)).await.is_empty());
    let detail = delivered(&world).pop().unwrap();
    assert_eq!((&detail["open_id"], &detail["message"]["type"]), (&json!(FOLLOWER), &json!("text")));

    // "你好" in GBK, and a text that was cut in the middle of a character.
    for bytes in [&b"\xc4\xe3\xba\xc3"[..], b"ab\xe4\xbd"] {
        let head = format!(
            "<xml><ToUserName>{}</ToUserName><FromUserName>{FOLLOWER}</FromUserName><CreateTime>{}</CreateTime>\
             <MsgType>text</MsgType><Content><![CDATA[",
            shop.user_name,
            world.now().unix()
        );
        let tail = format!("]]></Content><MsgId>{}</MsgId></xml>", 70 + bytes.len());
        let message = [head.as_bytes(), bytes, tail.as_bytes()].concat();
        assert_eq!(post_sealed(&world, &shop, &message).await, 200);
        let detail = delivered(&world).pop().unwrap();
        assert_eq!(detail["open_id"], FOLLOWER);
        assert!(detail["message"]["content"].as_str().unwrap().contains('\u{fffd}'), "{detail}");
    }
}

/// Posts bytes to the account's message URL, sealed as WeChat seals them.
async fn post_sealed(world: &World, shop: &Account, message: &[u8]) -> u16 {
    use wechat::crypto::{EncodingAesKey, Generations, Keyring};
    let platform = stories::world::platform();
    let key = EncodingAesKey::parse(&platform.encoding_aes_key).unwrap();
    let keyring = Keyring::new(platform.component_appid, platform.token, key);
    assert_eq!(keyring.component().as_str(), COMPONENT);
    let sealed = keyring.seal(message, [7; 16], "1800000000", "1", Generations::CURRENT);
    let mut url = world.public_url.join(&format!("wechat/accounts/{}/events", shop.appid)).unwrap();
    url.set_query(Some(&format!("timestamp=1800000000&nonce=1&msg_signature={}", sealed.msg_signature)));
    let body = format!("<xml><Encrypt><![CDATA[{}]]></Encrypt></xml>", sealed.encrypt);
    stories::http_client().post(url).body(body).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_service_is_never_asked_for_a_reply_that_could_not_be_addressed() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    let service = Service::replying(json!({ "type": "text", "content": "hi" })).await;
    world.ask_for_replies(service.url()).await;
    let outcome = world.simulator.send_message(&Message::of(&shop.appid, "<xml><MsgType>text</MsgType></xml>")).await;
    assert!(outcome.is_empty(), "{outcome:?}");
    assert!(service.asked().is_empty() && delivered(&world).len() == 1);
}

use serde_json::{Value, json};

use super::*;

fn parse(inner: &str) -> AccountMessage {
    let head = "<ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[o1]]></FromUserName>\
                <CreateTime>1700000000</CreateTime>";
    AccountMessage::parse(format!("<xml>{head}{inner}</xml>").into())
}

fn typed(inner: &str) -> Value {
    serde_json::to_value(parse(inner).content).unwrap()
}

fn id_of(inner: &str, authorizer: &str) -> MessageId {
    parse(inner).id(&AppId::parse(authorizer).unwrap())
}

#[test]
fn the_head_of_a_message_is_read() {
    let message = parse("<MsgType>text</MsgType><Content>hi</Content><MsgId>1234567890123456789</MsgId>");
    assert_eq!((message.user_name.as_deref(), message.open_id.as_deref()), (Some("gh_1"), Some("o1")));
    assert_eq!(message.create_time, Some(Timestamp::from_unix(1_700_000_000)));
    assert_eq!(message.msg_id.as_deref(), Some("1234567890123456789"));
    assert!(message.is_whole && message.missing().next().is_none());
    assert!(parse("<MsgType>event</MsgType>").msg_id.is_none());
}

#[test]
fn each_known_kind_has_its_members() {
    let cases = [
        (
            "<MsgType>text</MsgType><Content><![CDATA[ a <b> ]]></Content>",
            json!({ "type": "text", "content": " a <b> " }),
        ),
        (
            "<MsgType>image</MsgType><PicUrl>http://p</PicUrl><MediaId>m</MediaId>",
            json!({ "type": "image", "pic_url": "http://p", "media_id": "m" }),
        ),
        (
            "<MsgType>voice</MsgType><MediaId>m</MediaId><Format>amr</Format><Recognition>你好</Recognition>",
            json!({ "type": "voice", "media_id": "m", "format": "amr", "recognition": "你好" }),
        ),
        (
            "<MsgType>video</MsgType><MediaId>m</MediaId><ThumbMediaId>t</ThumbMediaId>",
            json!({ "type": "video", "media_id": "m", "thumb_media_id": "t" }),
        ),
        ("<MsgType>shortvideo</MsgType><MediaId>m</MediaId>", json!({ "type": "shortvideo", "media_id": "m" })),
        (
            "<MsgType>location</MsgType><Location_X>23.125</Location_X><Location_Y>113.5</Location_Y>\
             <Scale>20</Scale><Label>here</Label>",
            json!({ "type": "location", "latitude": 23.125, "longitude": 113.5, "scale": 20, "label": "here" }),
        ),
        (
            "<MsgType>link</MsgType><Title>t</Title><Description>d</Description><Url>u</Url>",
            json!({ "type": "link", "title": "t", "description": "d", "url": "u" }),
        ),
        (
            "<MsgType>event</MsgType><Event>SCAN</Event><EventKey>7</EventKey><Ticket>T</Ticket>",
            json!({ "type": "event", "event": "SCAN", "event_key": "7", "ticket": "T" }),
        ),
        (
            "<MsgType>event</MsgType><Event>weapp_audit_fail</Event><Reason>r</Reason><FailTime>1</FailTime>",
            json!({ "type": "event", "event": "weapp_audit_fail", "reason": "r", "fail_time": 1 }),
        ),
        ("<MsgType>notsure</MsgType>", json!({ "type": "notsure" })),
    ];
    for (inner, expected) in cases {
        assert_eq!(typed(inner), expected, "{inner}");
    }
}

#[test]
fn missing_or_unreadable_members_never_lose_a_message() {
    assert_eq!(typed("<MsgType>text</MsgType>"), json!({ "type": "text", "content": "" }));
    assert_eq!(typed("<MsgType>event</MsgType>"), json!({ "type": "event", "event": "" }));
    let location =
        "<MsgType>location</MsgType><Location_X>north</Location_X><Location_Y>inf</Location_Y><Scale>a</Scale>";
    assert_eq!(typed(location), json!({ "type": "location" }));
    assert_eq!(typed("<MsgType>text</MsgType><Content><b>x</b></Content>"), json!({ "type": "text", "content": "" }));
}

#[test]
fn a_message_without_what_every_message_has_is_read_and_says_what_is_missing() {
    let whole = "<xml><ToUserName>g</ToUserName><FromUserName>o</FromUserName><CreateTime>1</CreateTime>\
                 <MsgType>text</MsgType><Content>hi</Content></xml>";
    for name in MEMBERS {
        let (before, rest) = whole.split_once(&format!("<{name}>")).unwrap();
        let (_, after) = rest.split_once(&format!("</{name}>")).unwrap();
        for instead in [String::new(), format!("<{name}/>"), format!("<{name}> </{name}>")] {
            let message = AccountMessage::parse(format!("{before}{instead}{after}").into());
            assert_eq!(message.missing().collect::<Vec<_>>(), [name], "{instead}");
            assert_eq!(message.fields.text("Content"), Some("hi"), "{name}");
        }
    }
    for time in ["today", "-1", "1700000000000", "1.5"] {
        let message = AccountMessage::parse(whole.replace(">1<", &format!(">{time}<")).into());
        assert_eq!((message.create_time, message.missing().next()), (None, Some("CreateTime")), "{time}");
    }
    let nothing = AccountMessage::parse("{\"MsgType\":\"text\"}".into());
    assert!(!nothing.is_whole && nothing.missing().eq(MEMBERS));
    assert_eq!(serde_json::to_value(&nothing.content).unwrap(), json!({ "type": "unknown" }));
}

/// A message from `sender`, created at `time`.
fn from(sender: &str, time: u32, inner: &str) -> MessageId {
    let head =
        format!("<ToUserName>gh_1</ToUserName><FromUserName>{sender}</FromUserName><CreateTime>{time}</CreateTime>");
    AccountMessage::parse(format!("<xml>{head}{inner}</xml>").into()).id(&AppId::parse("wx1").unwrap())
}

#[test]
fn a_message_is_identified_by_everything_that_wechat_repeats() {
    let text =
        |id: u32, content: &str| format!("<MsgType>text</MsgType><Content>{content}</Content><MsgId>{id}</MsgId>");
    assert_eq!(id_of(&text(1, "a"), "wx1"), id_of(&text(1, "a"), "wx1"));
    assert_eq!(id_of(&text(1, "a"), "wx1"), id_of(&text(1, "b"), "wx1"));
    assert_ne!(id_of(&text(1, "a"), "wx1"), id_of(&text(2, "a"), "wx1"));
    assert_ne!(id_of(&text(1, "a"), "wx1"), id_of(&text(1, "a"), "wx2"));

    let first = from("o1", 1, &text(1, "a"));
    assert_ne!(first, from("o2", 1, &text(1, "a")), "another follower");
    assert_ne!(first, from("o1", 2, &text(1, "a")), "another second");
}

#[test]
fn a_constant_or_missing_id_tells_no_two_messages_apart() {
    for id in ["", "<MsgId/>", "<MsgId>0</MsgId>", "<MsgId>000</MsgId>"] {
        let text = |content: &str| format!("<MsgType>text</MsgType><Content>{content}</Content>{id}");
        assert_eq!(id_of(&text("a"), "wx1"), id_of(&text("a"), "wx1"), "{id}");
        assert_ne!(id_of(&text("a"), "wx1"), id_of(&text("b"), "wx1"), "{id}");
    }
}

#[test]
fn an_event_is_identified_by_its_whole_content() {
    for id in ["", "<MsgId>0</MsgId>", "<MsgId>77</MsgId>", "<MsgID>77</MsgID>"] {
        let event = |name: &str, key: &str| {
            format!("<MsgType>event</MsgType><Event>{name}</Event><EventKey>{key}</EventKey>{id}")
        };
        assert_eq!(id_of(&event("CLICK", "a"), "wx1"), id_of(&event("CLICK", "a"), "wx1"));
        assert_ne!(id_of(&event("CLICK", "a"), "wx1"), id_of(&event("CLICK", "b"), "wx1"));
        assert_ne!(id_of(&event("CLICK", "a"), "wx1"), id_of(&event("VIEW", "a"), "wx1"));
        assert_ne!(id_of(&event("CLICK", "a"), "wx1"), id_of(&event("CLICK", "a"), "wx2"));
        assert_ne!(from("o1", 1, &event("CLICK", "a")), from("o2", 1, &event("CLICK", "a")));
        assert_ne!(from("o1", 1, &event("CLICK", "a")), from("o1", 2, &event("CLICK", "a")));
    }
    let finished = |id: u32| format!("<MsgType>event</MsgType><Event>TEMPLATESENDJOBFINISH</Event><MsgID>{id}</MsgID>");
    assert_ne!(id_of(&finished(1), "wx1"), id_of(&finished(2), "wx1"), "two jobs that ended in one second");
    let laid_out = "<EventKey>\n<![CDATA[a]]></EventKey>\n<Event><![CDATA[CLICK]]></Event><MsgType>event</MsgType>";
    let as_ever = "<MsgType>event</MsgType><Event>CLICK</Event><EventKey>a</EventKey>";
    assert_eq!(id_of(laid_out, "wx1"), id_of(as_ever, "wx1"), "order and layout say nothing");
}

#[test]
fn a_message_without_a_recipient_has_one_identity_wherever_it_is_sent() {
    for xml in ["<xml><MsgType>text</MsgType><MsgId>7</MsgId></xml>", "<xml><MsgType>event</MsgType></xml>", "no xml"] {
        let id_of = |account| AccountMessage::parse(xml.into()).id(&AppId::parse(account).unwrap());
        assert_eq!(id_of("wx1"), id_of("wx2"), "{xml}");
    }
}

#[test]
fn nothing_of_a_message_is_in_its_debug_text() {
    let text = format!("{:?}", parse("<MsgType>text</MsgType><Content>hush</Content>"));
    assert!(text.contains("text") && !text.contains("hush") && !text.contains("o1"), "{text}");
}

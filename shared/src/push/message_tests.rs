use serde_json::{Value, json};

use super::*;

fn parse(inner: &str) -> Result<AccountMessage, PushError> {
    let head = "<ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[o1]]></FromUserName>\
                <CreateTime>1700000000</CreateTime>";
    AccountMessage::parse(format!("<xml>{head}{inner}</xml>").into())
}

fn typed(inner: &str) -> Value {
    serde_json::to_value(parse(inner).unwrap().content).unwrap()
}

fn dedup(inner: &str, authorizer: &str) -> Digest {
    parse(inner).unwrap().dedup(&AppId::parse(authorizer).unwrap())
}

#[test]
fn the_head_of_a_message_is_read() {
    let message = parse("<MsgType>text</MsgType><Content>hi</Content><MsgId>1234567890123456789</MsgId>").unwrap();
    assert_eq!((message.user_name.as_str(), message.open_id.as_str()), ("gh_1", "o1"));
    assert_eq!((message.create_time.unix(), message.msg_id.as_deref()), (1_700_000_000, Some("1234567890123456789")));
    assert!(parse("<MsgType>event</MsgType>").unwrap().msg_id.is_none());
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
fn what_is_missing_or_unreadable_never_costs_a_message() {
    assert_eq!(typed("<MsgType>text</MsgType>"), json!({ "type": "text", "content": "" }));
    assert_eq!(typed("<MsgType>event</MsgType>"), json!({ "type": "event", "event": "" }));
    let location =
        "<MsgType>location</MsgType><Location_X>north</Location_X><Location_Y>inf</Location_Y><Scale>a</Scale>";
    assert_eq!(typed(location), json!({ "type": "location" }));
    assert_eq!(typed("<MsgType>text</MsgType><Content><b>x</b></Content>"), json!({ "type": "text", "content": "" }));
}

#[test]
fn what_tells_messages_apart_is_demanded() {
    for (xml, missing) in [
        ("<xml><FromUserName>o</FromUserName><CreateTime>1</CreateTime><MsgType>text</MsgType></xml>", "ToUserName"),
        ("<xml><ToUserName>g</ToUserName><CreateTime>1</CreateTime><MsgType>text</MsgType></xml>", "FromUserName"),
        ("<xml><ToUserName>g</ToUserName><FromUserName>o</FromUserName><MsgType>text</MsgType></xml>", "CreateTime"),
        ("<xml><ToUserName>g</ToUserName><FromUserName>o</FromUserName><CreateTime>1</CreateTime></xml>", "MsgType"),
    ] {
        assert_eq!(AccountMessage::parse(xml.into()).unwrap_err(), PushError::Missing(missing), "{xml}");
    }
    let twice = "<ToUserName>gh_2</ToUserName><MsgType>text</MsgType>";
    assert_eq!(parse(twice).unwrap_err(), PushError::Missing("ToUserName"));
}

#[test]
fn a_repeat_is_told_by_its_msg_id_and_an_event_by_all_of_it() {
    let text =
        |id: u32, content: &str| format!("<MsgType>text</MsgType><Content>{content}</Content><MsgId>{id}</MsgId>");
    assert_eq!(dedup(&text(1, "a"), "wx1"), dedup(&text(1, "a"), "wx1"));
    assert_eq!(dedup(&text(1, "a"), "wx1"), dedup(&text(1, "b"), "wx1"));
    assert_ne!(dedup(&text(1, "a"), "wx1"), dedup(&text(2, "a"), "wx1"));
    assert_ne!(dedup(&text(1, "a"), "wx1"), dedup(&text(1, "a"), "wx2"));

    let event =
        |name: &str, key: &str| format!("<MsgType>event</MsgType><Event>{name}</Event><EventKey>{key}</EventKey>");
    assert_eq!(dedup(&event("CLICK", "a"), "wx1"), dedup(&event("CLICK", "a"), "wx1"));
    assert_ne!(dedup(&event("CLICK", "a"), "wx1"), dedup(&event("CLICK", "b"), "wx1"));
    assert_ne!(dedup(&event("CLICK", "a"), "wx1"), dedup(&event("VIEW", "a"), "wx1"));
    assert_ne!(dedup(&event("CLICK", "a"), "wx1"), dedup(&event("CLICK", "a"), "wx2"));
}

#[test]
fn nothing_of_a_message_is_in_its_debug_text() {
    let text = format!("{:?}", parse("<MsgType>text</MsgType><Content>hush</Content>").unwrap());
    assert!(text.contains("text") && !text.contains("hush") && !text.contains("o1"), "{text}");
}

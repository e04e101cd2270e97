//! Each type of reply compared with the document that real systems send, and texts that would break it.

use std::borrow::Cow;

use super::super::xml::{Node, walk};
use super::*;

const AT: Timestamp = Timestamp::from_unix(1_700_000_000);

fn parse(json: &str) -> Result<Option<Reply>, ReplyError> {
    Reply::parse(json.as_bytes())
}

/// The document for a webhook's response, without the part that is always the same.
fn body(json: &str) -> String {
    let xml = parse(json).unwrap().unwrap().xml("o1", "gh_1", AT);
    let head = "<xml><ToUserName><![CDATA[o1]]></ToUserName><FromUserName><![CDATA[gh_1]]></FromUserName>\
                <CreateTime>1700000000</CreateTime>";
    xml.strip_prefix(head).unwrap().strip_suffix("</xml>").unwrap().to_owned()
}

/// The text of `Content` as an XML parser reads it.
fn content_as_read(xml: &str) -> String {
    let mut content = None;
    walk(xml, |node| {
        if let Node::Field { name: "Content", text } = node {
            content = text.map(Cow::into_owned);
        }
        Ok(())
    })
    .unwrap();
    content.unwrap()
}

#[test]
fn a_text_is_written_as_real_systems_write_it() {
    let expected = "<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[你好]]></Content>";
    assert_eq!(body(r#"{"type":"text","content":"你好"}"#), expected);
    assert_eq!(Reply::text("你好"), parse(r#"{"type":"text","content":"你好"}"#).unwrap().unwrap());
}

#[test]
fn an_image_and_a_voice_hold_their_media_id_one_level_down() {
    assert_eq!(
        body(r#"{"type":"image","media_id":"m1"}"#),
        "<MsgType><![CDATA[image]]></MsgType><Image><MediaId><![CDATA[m1]]></MediaId></Image>"
    );
    assert_eq!(
        body(r#"{"type":"voice","media_id":"m1"}"#),
        "<MsgType><![CDATA[voice]]></MsgType><Voice><MediaId><![CDATA[m1]]></MediaId></Voice>"
    );
}

#[test]
fn a_video_has_a_title_and_a_description_where_they_are_given() {
    assert_eq!(
        body(r#"{"type":"video","media_id":"m1","title":"t","description":"d"}"#),
        "<MsgType><![CDATA[video]]></MsgType><Video><MediaId><![CDATA[m1]]></MediaId><Title><![CDATA[t]]></Title>\
         <Description><![CDATA[d]]></Description></Video>"
    );
    assert_eq!(
        body(r#"{"type":"video","media_id":"m1","title":null}"#),
        "<MsgType><![CDATA[video]]></MsgType><Video><MediaId><![CDATA[m1]]></MediaId></Video>"
    );
}

#[test]
fn music_needs_its_thumbnail_only() {
    assert_eq!(
        body(
            r#"{"type":"music","title":"t","description":"d","music_url":"https://a/?b&c","hq_music_url":"https://h",
                "thumb_media_id":"m1"}"#
        ),
        "<MsgType><![CDATA[music]]></MsgType><Music><Title><![CDATA[t]]></Title>\
         <Description><![CDATA[d]]></Description><MusicUrl><![CDATA[https://a/?b&c]]></MusicUrl>\
         <HQMusicUrl><![CDATA[https://h]]></HQMusicUrl><ThumbMediaId><![CDATA[m1]]></ThumbMediaId></Music>"
    );
    assert_eq!(
        body(r#"{"type":"music","thumb_media_id":"m1"}"#),
        "<MsgType><![CDATA[music]]></MsgType><Music><ThumbMediaId><![CDATA[m1]]></ThumbMediaId></Music>"
    );
}

#[test]
fn articles_are_counted_and_each_has_all_four_elements() {
    assert_eq!(
        body(
            r#"{"type":"news","articles":[{"title":"t1","description":"d1","pic_url":"p1","url":"u1"},
                {"title":"t2","url":"u2"}]}"#
        ),
        "<MsgType><![CDATA[news]]></MsgType><ArticleCount>2</ArticleCount><Articles>\
         <item><Title><![CDATA[t1]]></Title><Description><![CDATA[d1]]></Description>\
         <PicUrl><![CDATA[p1]]></PicUrl><Url><![CDATA[u1]]></Url></item>\
         <item><Title><![CDATA[t2]]></Title><Description><![CDATA[]]></Description>\
         <PicUrl><![CDATA[]]></PicUrl><Url><![CDATA[u2]]></Url></item></Articles>"
    );
}

#[test]
fn a_transfer_names_the_agent_only_where_one_is_wanted() {
    assert_eq!(
        body(r#"{"type":"transfer_customer_service","kf_account":"test1@test"}"#),
        "<MsgType><![CDATA[transfer_customer_service]]></MsgType>\
         <TransInfo><KfAccount><![CDATA[test1@test]]></KfAccount></TransInfo>"
    );
    for json in [r#"{"type":"transfer_customer_service"}"#, r#"{"type":"transfer_customer_service","kf_account":""}"#] {
        assert_eq!(body(json), "<MsgType><![CDATA[transfer_customer_service]]></MsgType>");
    }
}

#[test]
fn nothing_can_be_said_in_four_ways() {
    for json in ["", " \r\n", "null", " null\n", r#"{"type":"none"}"#, r#"{"type":"none","content":"x"}"#] {
        assert_eq!(parse(json).unwrap(), None, "{json:?}");
    }
}

#[test]
fn what_later_versions_may_add_is_not_an_error() {
    assert!(parse(r#"{"type":"text","content":"a","priority":{"of":[1]}}"#).unwrap().is_some());
}

#[test]
fn a_response_that_is_not_a_reply_is_refused_by_reason() {
    let article = r#"{"title":"hush","description":"d","pic_url":"p","url":"u"}"#;
    let news = |count: usize| format!(r#"{{"type":"news","articles":[{}]}}"#, vec![article; count].join(","));
    assert!(parse(&news(1)).is_ok() && parse(&news(MAX_ARTICLES)).is_ok());
    for (json, reason) in [
        ("hush", ReplyError::NotJson),
        ("\"hush\"", ReplyError::NotJson),
        ("[\"text\",\"hush\"]", ReplyError::NotJson),
        ("<html>hush</html>", ReplyError::NotJson),
        (r#"{"type":"text","content":"hush""#, ReplyError::NotJson),
        (r#"{"type":"text","content":["hush"]}"#, ReplyError::Malformed("content")),
        (r#"{"type":"text","content":"\ud83d hush"}"#, ReplyError::NotJson),
        (r#"{"type":["text"],"content":"hush"}"#, ReplyError::Malformed("type")),
        (r#"{"type":"news","articles":"hush"}"#, ReplyError::Malformed("articles")),
        (r#"{"type":"news","articles":[["hush","d","p","u"]]}"#, ReplyError::Malformed("articles")),
        ("{}", ReplyError::Type),
        (r#"{"type":null}"#, ReplyError::Type),
        (r#"{"type":"hush"}"#, ReplyError::Type),
        (r#"{"type":"Text","content":"hush"}"#, ReplyError::Type),
        (r#"{"type":"text"}"#, ReplyError::Missing("content")),
        (r#"{"type":"text","content":" \n"}"#, ReplyError::Missing("content")),
        (r#"{"type":"text","content":"\u0001"}"#, ReplyError::Character("content")),
        (r#"{"type":"image","content":"hush"}"#, ReplyError::Missing("media_id")),
        (r#"{"type":"voice","media_id":""}"#, ReplyError::Missing("media_id")),
        (r#"{"type":"video","title":"hush"}"#, ReplyError::Missing("media_id")),
        (r#"{"type":"music","media_id":"hush"}"#, ReplyError::Missing("thumb_media_id")),
        (r#"{"type":"news"}"#, ReplyError::Articles),
        (&news(0), ReplyError::Articles),
        (&news(MAX_ARTICLES + 1), ReplyError::Articles),
        (r#"{"type":"news","articles":[{"url":"u"}]}"#, ReplyError::Missing("title")),
        (r#"{"type":"news","articles":[{"title":"hush"}]}"#, ReplyError::Missing("url")),
    ] {
        let error = parse(json).unwrap_err();
        assert_eq!(error, reason, "{json}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
}

#[test]
fn a_text_of_2047_bytes_is_the_longest() {
    for longest in ["a".repeat(2_047), format!("{}ab", "字".repeat(681) + "é"), "]]>".repeat(682) + "]"] {
        let text = |content: &str| serde_json::json!({ "type": "text", "content": content }).to_string();
        assert_eq!(longest.len(), 2_047);
        assert!(parse(&text(&longest)).unwrap().is_some());
        assert_eq!(parse(&text(&format!("{longest}a"))).unwrap_err(), ReplyError::TooLong("content"));
        assert_eq!(content_as_read(&Reply::text(&*longest).xml("o1", "gh_1", AT)), longest);
    }
}

/// Every member of a reply, in a reply that has it.
const MEMBERS: [(&str, &str); 14] = [
    ("content", r#"{"type":"text","content":"@"}"#),
    ("media_id", r#"{"type":"image","media_id":"@"}"#),
    ("media_id", r#"{"type":"voice","media_id":"@"}"#),
    ("media_id", r#"{"type":"video","media_id":"@"}"#),
    ("title", r#"{"type":"video","media_id":"m","title":"@"}"#),
    ("description", r#"{"type":"video","media_id":"m","description":"@"}"#),
    ("thumb_media_id", r#"{"type":"music","thumb_media_id":"@"}"#),
    ("music_url", r#"{"type":"music","thumb_media_id":"m","music_url":"@"}"#),
    ("hq_music_url", r#"{"type":"music","thumb_media_id":"m","hq_music_url":"@"}"#),
    ("title", r#"{"type":"news","articles":[{"title":"@","url":"u"}]}"#),
    ("description", r#"{"type":"news","articles":[{"title":"t","url":"u","description":"@"}]}"#),
    ("pic_url", r#"{"type":"news","articles":[{"title":"t","url":"u","pic_url":"@"}]}"#),
    ("url", r#"{"type":"news","articles":[{"title":"t","url":"u"},{"title":"t","url":"@"}]}"#),
    ("kf_account", r#"{"type":"transfer_customer_service","kf_account":"@"}"#),
];

#[test]
fn no_member_of_a_reply_is_too_long_or_has_a_character_that_xml_does_not_know() {
    for (member, reply) in MEMBERS {
        assert!(parse(&reply.replace('@', &"a".repeat(2_047))).unwrap().is_some(), "{reply}");
        let too_long = parse(&reply.replace('@', &"a".repeat(2_048))).unwrap_err();
        assert_eq!(too_long, ReplyError::TooLong(member), "{reply}");
        for character in [r"\u0000", r"\u0008", r"\u000b", r"\u001f", r"\ufffe", r"\uffff"] {
            let refused = parse(&reply.replace('@', &format!("a{character}b"))).unwrap_err();
            assert_eq!(refused, ReplyError::Character(member), "{reply}: {character}");
        }
    }
}

#[test]
fn the_name_of_something_of_wechats_has_no_white_space() {
    for (member, reply) in MEMBERS.into_iter().filter(|(member, _)| member.ends_with("_id") || *member == "kf_account")
    {
        for name in [" m", "m ", "m\\n", "a b", "a\u{3000}b"] {
            let refused = parse(&reply.replace('@', name)).unwrap_err();
            assert_eq!(refused, ReplyError::Character(member), "{reply}: {name}");
        }
    }
}

#[test]
fn any_text_arrives_as_it_was_said() {
    for text in
        ["]]>", "a]]>b]]>]]>c", "]]]]>>", "<b>&amp;&lt;", "<![CDATA[x]]>", "emoji 👩‍👩‍👧 🇨🇳 \u{1F600}", "一\n二", "]]"]
    {
        let xml = Reply::text(text).xml("o1", "gh_1", AT);
        assert_eq!(content_as_read(&xml), text, "{xml}");
    }
    let xml = Reply::text("a]]>b").xml("o1", "gh_1", AT);
    assert!(xml.ends_with("<Content><![CDATA[a]]]]><![CDATA[>b]]></Content></xml>"), "{xml}");
}

#[test]
fn characters_that_xml_does_not_know_are_dropped_from_replies_of_our_own() {
    let text = "a\u{0}\u{8}\u{b}\u{1f}b\tc\u{fffe}\u{ffff}\u{fffd}\u{7f}\u{10000}";
    let xml = Reply::text(text).xml("o1", "gh_1", AT);
    assert_eq!(content_as_read(&xml), "ab\tc\u{fffd}\u{7f}\u{10000}");
    // Dropping characters must not produce the end of the section.
    let xml = Reply::text("a]]\u{1}>b").xml("o1", "gh_1", AT);
    assert_eq!(content_as_read(&xml), "a]]>b");
}

#[test]
fn names_of_either_side_cannot_break_the_replys_document() {
    let xml = Reply::text("a").xml("o]]><x/>", "gh\u{0}_1", AT);
    assert!(xml.contains("<![CDATA[o]]]]><![CDATA[><x/>]]></ToUserName><FromUserName><![CDATA[gh_1]]>"), "{xml}");
}

#[test]
fn a_debug_text_tells_the_type_only() {
    assert_eq!(format!("{:?}", Reply::text("hush")), "Reply(text)");
}

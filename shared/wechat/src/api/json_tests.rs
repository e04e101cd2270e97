//! Bytes as WeChat may send them, through every layer up to the members that matter.

use base::clock::Timestamp;
use base::ids::AppId;
use proptest::prelude::*;
use secrecy::ExposeSecret;
use serde_json::json;

use super::*;
use crate::api::answer::Answer;
use crate::api::model::{AuthorizerDetails, AuthorizerPage, Grant, IssuedToken, RenewedToken};

const TOKEN: &str = "refreshtoken@@@QIguVZ21urYOvHF4oM9-_0";

fn account() -> AppId {
    AppId::parse("wxaaaabbbbccccdddd").unwrap()
}

fn details(bytes: &[u8]) -> Result<AuthorizerDetails, WechatError> {
    AuthorizerDetails::read(Answer::of(&parse(bytes)?)?, &account())
}

/// The details of an account whose name consists of these bytes.
fn details_named(name: &[u8]) -> Vec<u8> {
    let before = br#"{"authorizer_info":{"nick_name":""#;
    let between = br#"","user_name":"gh_0123456789ab","signature":"x"},"authorization_info":{"authorizer_appid":"wxaaaabbbbccccdddd","authorizer_refresh_token":""#;
    let after = br#"","func_info":[{"funcscope_category":{"id":1}}]}}"#;
    [before, name, between, TOKEN.as_bytes(), after].concat()
}

fn refresh_token(details: &AuthorizerDetails) -> Option<&str> {
    details.refresh_token.as_ref().map(ExposeSecret::expose_secret)
}

#[test]
fn whatever_is_in_a_merchants_name_damages_only_the_name() {
    let names: [(&[u8], &str); 25] = [
        (b"Sh\x14op", "Sh\u{fffd}op"),
        (b"a\x00b", "a\u{fffd}b"),
        (b"a\nb\tc\rd\x1b[0m", "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}[0m"),
        (b"a\x7fb", "a\x7fb"),
        // 王军 and 小店 in GBK.
        (b"\xcd\xf5\xbe\xfc", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
        (b"\xd0\xa1\xb5\xea", "С\u{fffd}\u{fffd}"),
        (b"\xb5\xea", "\u{fffd}\u{fffd}"),
        // Characters of GBK and Big5 whose second byte is a backslash, alone, before the end, and twice.
        (b"\x81\x5c", "\u{fffd}"),
        (b"\xd5\x5cx", "\u{fffd}\u{fffd}x"),
        (b"\x81\x5c\xb3\x5c", "\u{fffd}\u{fffd}"),
        // Half of a surrogate pair: either half, the halves in the wrong order, and one before another escape.
        (br"\ud83d", "\u{fffd}"),
        (br"x\udE00y", "x\u{fffd}y"),
        (br"\ude00\ud83d", "\u{fffd}\u{fffd}"),
        (br#"\ud83d\""#, "\u{fffd}\""),
        (br"\ud83d\ud83d\ude00", "\u{fffd}😀"),
        // UTF-8 that was cut within a character, in the middle and at the end of the text.
        ("店".as_bytes().split_at(2).0, "\u{fffd}"),
        (b"\xf0\x9f\x98 x", "\u{fffd} x"),
        (b"\xe5\xba\\n", "\u{fffd}\n"),
        // Surrogates encoded as bytes, bytes that are invalid in every encoding, overlong slashes.
        (b"\xed\xa0\xbd", "\u{fffd}\u{fffd}\u{fffd}"),
        (b"\xff\xfe", "\u{fffd}\u{fffd}"),
        (b"\xc0\xaf", "\u{fffd}\u{fffd}"),
        // Escapes that JSON does not know.
        (br"a\x41", "a\u{fffd}x41"),
        (br"it\'s", "it\u{fffd}'s"),
        (br"\u12", "\u{fffd}12"),
        (b"a\\\nb", "a\u{fffd}\u{fffd}b"),
    ];
    for (name, read) in names {
        let details = details(&details_named(name)).unwrap_or_else(|error| panic!("{name:x?}: {error}"));
        assert_eq!(refresh_token(&details), Some(TOKEN), "{name:x?}");
        assert_eq!(details.func_info, [1], "{name:x?}");
        let profile = details.profile.unwrap();
        assert_eq!(profile.nick_name.as_deref(), Some(read), "{name:x?}");
        assert_eq!(profile.user_name.as_deref(), Some("gh_0123456789ab"), "{name:x?}");
    }
}

#[test]
fn what_is_json_is_read_unchanged() {
    let odd = json!({ "a": [1, -2, 3.5, u64::MAX, true, null, ""], "\u{fffd}": { "b\u{0}": "\\ \" 😀 \u{7f}" } });
    assert_eq!(parse(odd.to_string().as_bytes()).unwrap(), odd);
    assert_eq!(parse(br#""\ud83d\ude00\/\u0041""#).unwrap(), json!("😀/A"));
}

#[test]
fn a_byte_order_mark_nul_bytes_and_odd_numbers_do_no_harm() {
    for (bytes, value) in [
        (&b"\xef\xbb\xbf{\"a\":1}"[..], json!({ "a": 1 })),
        (b"{\"a\":1}\x00\x00", json!({ "a": 1 })),
        (b"\x00{\x0b\"a\" : 1 }\r\n", json!({ "a": 1 })),
        (b"{\"a\":1e999,\"b\":2}", json!({ "a": "1e999", "b": 2 })),
        (
            b"{\"a\":NaN,\"b\":-Infinity,\"c\":007,\"d\":7200s}",
            json!({ "a": "NaN", "b": "-Infinity", "c": "007", "d": "7200s" }),
        ),
        (b"{\"a\":true,\"b\":false,\"c\":null,\"d\":+1}", json!({ "a": true, "b": false, "c": null, "d": "+1" })),
    ] {
        assert_eq!(parse(bytes).unwrap(), value, "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn among_members_with_one_name_the_last_one_with_a_value_counts() {
    for (bytes, value) in [
        (r#"{"a":1,"a":2}"#, json!({ "a": 2 })),
        (r#"{"a":"x","a":""}"#, json!({ "a": "x" })),
        (r#"{"a":"x","a":null}"#, json!({ "a": "x" })),
        (r#"{"a":null,"a":"x"}"#, json!({ "a": "x" })),
        (r#"{"a":"","a":null}"#, json!({ "a": "" })),
    ] {
        assert_eq!(parse(bytes.as_bytes()).unwrap(), value, "{bytes}");
    }
}

#[test]
fn what_is_not_a_document_is_malformed_however_it_is_read() {
    let deep = "[".repeat(100_000);
    for bytes in
        ["", "\u{feff}", "{", "{\"a\"", "{\"a\":1}}", "{\"a\":\"x}", "<html>busy</html>", "{\"a\":\"x\"y}", &deep]
    {
        assert!(matches!(parse(bytes.as_bytes()), Err(WechatError::Malformed(_))), "{bytes:.20}");
    }
}

#[test]
fn a_damaged_token_is_refused_and_never_stored_otherwise_than_wechat_made_it() {
    for damaged in [&b"61_a\x00b"[..], b"61_a\xff", br"61_a\ud83d", br"61_a\u0000", b"61_a b", b"61_\xb5\xea"] {
        let with = |name: &str| [br#"{""#, name.as_bytes(), br#"":""#, damaged, br#"","expires_in":7200}"#].concat();
        let read = |bytes: &[u8]| parse(bytes).unwrap();
        let component = read(&with("component_access_token"));
        let error = IssuedToken::read(Answer::of(&component).unwrap()).unwrap_err();
        assert!(matches!(error, WechatError::Malformed("component_access_token")), "{damaged:x?}");

        let details = String::from_utf8(details_named(b"x")).unwrap();
        let (before, after) = details.split_once(TOKEN).unwrap();
        let details = [before.as_bytes(), damaged, after.as_bytes()].concat();
        let error = super::tests::details(&details).unwrap_err();
        assert!(matches!(error, WechatError::Malformed("authorizer_refresh_token")), "{damaged:x?}");
    }
}

#[test]
fn a_damaged_token_does_not_lose_the_other_one() {
    let renewed = br#"{"authorizer_access_token":"61_new","authorizer_refresh_token":"refresh\ud83d"}"#;
    let renewed = RenewedToken::read(Answer::of(&parse(renewed).unwrap()).unwrap()).unwrap();
    assert_eq!(renewed.access_token.expose_secret(), "61_new");
    assert!(renewed.refresh_token.is_none(), "the one that is stored stays");

    let grant = |access: &str, refresh: &str| {
        let info = json!({ "authorizer_appid": "wxshop", "authorizer_access_token": access, "authorizer_refresh_token": refresh });
        Grant::read(Answer::of(&json!({ "authorization_info": info })).unwrap())
    };
    let kept = grant("61_\u{fffd}", TOKEN).unwrap();
    assert!(kept.access_token.is_none() && kept.refresh_token.unwrap().expose_secret() == TOKEN);
    assert!(matches!(grant("61_a", "\u{fffd}"), Err(WechatError::Malformed("authorizer_refresh_token"))));
    assert!(matches!(grant("61_\u{fffd}", ""), Err(WechatError::Malformed("authorizer_access_token"))));
}

#[test]
fn a_user_name_that_was_damaged_is_not_kept() {
    let details = String::from_utf8(details_named(b"x")).unwrap().replace("gh_0123456789ab", r"gh_\ud83d");
    assert_eq!(super::tests::details(details.as_bytes()).unwrap().profile.unwrap().user_name, None);
}

#[test]
fn details_without_a_readable_profile_still_bring_the_refresh_token_back() {
    for info in ["", r#""authorizer_info":null,"#, r#""authorizer_info":[],"#, r#""authorizer_info":"x","#] {
        let bytes = format!(r#"{{{info}"authorization_info":{{"authorizer_refresh_token":"{TOKEN}"}}}}"#);
        let details = details(bytes.as_bytes()).unwrap();
        assert!(details.profile.is_none(), "{info}");
        assert_eq!(refresh_token(&details), Some(TOKEN), "{info}");
    }
}

#[test]
fn only_an_odd_entry_itself_is_lost_and_a_repeated_one_counts_once() {
    let bytes = [
        &br#"{"total_count":"9","list":[{"authorizer_appid":"wx1","refresh_token":"a\ud83d","auth_time":"5"},null,7,"#[..],
        br#"{"authorizer_appid":"wx2","refresh_token":"old","auth_time":10},{"authorizer_appid":"wx\x00","refresh_token":"x"},"#,
        br#"{"authorizer_appid":12,"refresh_token":"digits"},{"authorizer_appid":"wx2","refresh_token":"new","auth_time":20},"#,
        br#"{"authorizer_appid":"wx2","refresh_token":"older","auth_time":5},{"authorizer_appid":"wx2","refresh_token":"","auth_time":30}]}"#,
    ]
    .concat();
    let page = AuthorizerPage::read(Answer::of(&parse(&bytes).unwrap()).unwrap()).unwrap();
    let listed: Vec<_> = page
        .list
        .iter()
        .map(|entry| {
            let token = entry.refresh_token.as_ref().map(ExposeSecret::expose_secret);
            (entry.authorizer.as_str(), token, entry.auth_time.map(Timestamp::unix))
        })
        .collect();
    assert_eq!(listed, [("wx1", None, Some(5)), ("wx2", Some("new"), Some(30)), ("12", Some("digits"), None)]);
    assert_eq!((page.entries(), page.skipped, page.total_count), (9, 3, 9));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        drop(details(&bytes));
    }

    /// Quotes and backslashes in the name end or join strings, so they are left out: no other byte does any harm.
    #[test]
    fn no_bytes_in_a_name_but_quotes_and_backslashes_lose_the_token(
        name in proptest::collection::vec(any::<u8>().prop_filter("ends a text", |byte| !matches!(byte, b'"' | b'\\')), 0..60),
    ) {
        let details = details(&details_named(&name)).unwrap();
        prop_assert_eq!(refresh_token(&details), Some(TOKEN));
    }

    /// Names in a two-byte encoding, every second byte included.
    #[test]
    fn no_name_in_gbk_or_big5_loses_the_token(
        name in proptest::collection::vec((0x81..=0xfe_u8, prop_oneof![0x40..=0x7e_u8, 0x80..=0xfe_u8]), 1..20),
    ) {
        let name: Vec<u8> = name.into_iter().flat_map(|(first, second)| [first, second]).collect();
        let details = details(&details_named(&name)).unwrap();
        prop_assert_eq!(refresh_token(&details), Some(TOKEN));
    }

    #[test]
    fn damage_anywhere_never_turns_a_token_into_another(
        name in "[a-z店\u{7f}]{0,8}", damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let whole = details_named(name.as_bytes());
        let at = whole.windows(TOKEN.len()).position(|window| window == TOKEN.as_bytes()).unwrap();
        let mut damaged = whole.clone();
        for (index, byte) in damage {
            let place = index.index(whole.len());
            if !(at..at + TOKEN.len()).contains(&place) {
                damaged[place] = byte;
            }
        }
        if let Ok(details) = details(&damaged) {
            prop_assert!(refresh_token(&details).is_none_or(|token| token == TOKEN));
        }
    }
}

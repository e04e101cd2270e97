//! Tests of [`super`]: events of every kind, and events in which something is missing.

use base::clock::Timestamp;
use proptest::prelude::*;
use secrecy::{ExposeSecret, SecretString};

use crate::push::{AuthorizationEvent, Event, Notice};

const HEAD: &str = "<AppId>wx1234567890abcdef</AppId><CreateTime>1700000100</CreateTime>";
const GRANT: &str = "<AuthorizerAppid>wxaaaabbbbccccdddd</AuthorizerAppid>\
    <AuthorizationCode>queryauthcode@@@demo</AuthorizationCode>";

fn parse(xml: &str) -> AuthorizationEvent {
    AuthorizationEvent::parse(SecretString::from(xml))
}

fn event(info_type: &str, fields: &str) -> AuthorizationEvent {
    parse(&format!("<xml>{HEAD}<InfoType>{info_type}</InfoType>{fields}</xml>"))
}

fn exposed(secret: Option<&SecretString>) -> Option<&str> {
    secret.map(ExposeSecret::expose_secret)
}

#[test]
fn a_ticket_is_read_whatever_the_order_and_the_white_space() {
    let xml = "<xml>\n<InfoType>\n<![CDATA[component_verify_ticket]]>\n</InfoType><New><a>1</a></New>\
        <ComponentVerifyTicket>\n <![CDATA[ticket@@@demo]]> </ComponentVerifyTicket>\
        <CreateTime>1700000000</CreateTime><AppId>\n<![CDATA[wx1]]>\n</AppId></xml>\n";
    let push = parse(xml);
    assert_eq!(push.component.unwrap().as_str(), "wx1");
    assert_eq!(push.create_time, Some(Timestamp::from_unix(1_700_000_000)));
    let Event::ComponentVerifyTicket { ticket } = &push.event else { panic!("no ticket") };
    assert_eq!(exposed(ticket.as_ref()), Some("ticket@@@demo"));
    assert_eq!(push.xml.expose_secret(), xml);
}

#[test]
fn grants_carry_code_account_and_attempt() {
    for info_type in ["authorized", "updateauthorized"] {
        let push = event(info_type, &format!("{GRANT}<PreAuthCode>preauthcode@@@demo</PreAuthCode>"));
        assert_eq!(push.event.info_type(), info_type);
        assert_eq!(push.event.account().unwrap().as_str(), "wxaaaabbbbccccdddd");
        assert_eq!(exposed(push.event.code()), Some("queryauthcode@@@demo"));
        let (Event::Authorized(grant) | Event::UpdateAuthorized(grant)) = &push.event else { panic!("{push:?}") };
        assert_eq!(exposed(grant.pre_auth_code.as_ref()), Some("preauthcode@@@demo"));
        assert_eq!(grant.code_expires, None);
    }
}

#[test]
fn the_expiry_of_a_code_is_an_instant_or_a_duration_and_never_loses_the_grant() {
    for (text, expected) in [
        ("1700003700", Some(1_700_003_700)),
        ("600", Some(1_700_000_700)),
        ("1000000000", Some(2_700_000_100)),
        ("0", Some(1_700_000_100)),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("9223372036854775807", Some(i64::MAX)),
        ("99999999999999999999", None),
    ] {
        let field = format!("{GRANT}<AuthorizationCodeExpiredTime>{text}</AuthorizationCodeExpiredTime>");
        let push = event("authorized", &field);
        let Event::Authorized(grant) = push.event else { panic!("not authorized") };
        assert_eq!(grant.code_expires.map(base::clock::Timestamp::unix), expected, "{text}");
    }
}

#[test]
fn a_failed_fast_registration_does_not_have_the_platforms_appid() {
    let failed = event("notify_third_fasteregister", "<status>-1</status><msg>no</msg>");
    let Event::FastRegister(result) = &failed.event else { panic!("{failed:?}") };
    assert_eq!((result.status, &result.appid), (Some(-1), &None));
    assert!(result.auth_code.is_none());

    let fields = "<appid>wxnew</appid><status>0</status><auth_code>code@@@1</auth_code>\
        <info><appid>wxother</appid><status>9</status></info>";
    let made = event("notify_third_fasteregister", fields);
    let Event::FastRegister(result) = &made.event else { panic!("{made:?}") };
    assert_eq!((result.status, result.appid.as_ref().unwrap().as_str()), (Some(0), "wxnew"));
    assert_eq!(exposed(made.event.code()), Some("code@@@1"));
    assert_eq!(made.component.unwrap().as_str(), "wx1234567890abcdef");
}

#[test]
fn other_events_are_named_and_unknown_ones_keep_their_name() {
    for notice in Notice::ALL {
        let push = event(notice.info_type(), "<appid>a</appid><appid>b</appid><status>x</status>");
        assert!(matches!(push.event, Event::Notice(read) if read == notice), "{push:?}");
    }
    let push = event("notify_from_the_future", "");
    assert!(matches!(&push.event, Event::Unknown { info_type } if info_type == "notify_from_the_future"));
}

#[test]
fn an_event_without_what_it_should_have_is_read_with_what_it_has() {
    let no_code = event("authorized", "<AuthorizerAppid>wxa</AuthorizerAppid>");
    assert!(no_code.event.account().is_some() && no_code.event.code().is_none());
    let no_account = event("updateauthorized", "<AuthorizationCode>c</AuthorizationCode>");
    assert!(no_account.event.account().is_none() && no_account.event.code().is_some());
    for (info_type, fields) in [
        ("unauthorized", ""),
        ("unauthorized", "<authorizerappid>wxa</authorizerappid>"),
        ("unauthorized", "<AuthorizerAppid>a b</AuthorizerAppid>"),
        ("unauthorized", "<AuthorizerAppid><a/></AuthorizerAppid>"),
        ("authorized", "<PreAuthCode><a>1</a></PreAuthCode>"),
        ("notify_third_fasteregister", "<status>ok</status>"),
        ("component_verify_ticket", "<x><ComponentVerifyTicket>t</ComponentVerifyTicket></x>"),
    ] {
        let push = event(info_type, fields);
        assert_eq!(push.event.info_type(), info_type, "{fields}");
        assert!(push.event.account().is_none() && push.event.code().is_none(), "{info_type} {fields}");
    }
    for time in
        ["", "<CreateTime>today</CreateTime>", "<CreateTime>-1</CreateTime>", "<CreateTime>1700000000000</CreateTime>"]
    {
        let push = parse(&format!("<xml><AppId>a b</AppId>{time}<InfoType>x</InfoType></xml>"));
        assert!(push.component.is_none() && push.create_time.is_none(), "{time}");
        assert_eq!(push.event.info_type(), "x");
    }
    assert_eq!(parse("<xml><AppId>wx1</AppId></xml>").event.info_type(), "unknown");
    assert_eq!(parse("not xml").event.info_type(), "unknown");
}

#[test]
fn the_first_element_of_a_name_counts() {
    let push =
        event("authorized", &format!("{GRANT}{HEAD}<AuthorizerAppid>wxb</AuthorizerAppid><InfoType>x</InfoType>"));
    assert_eq!((push.event.info_type(), push.event.account().unwrap().as_str()), ("authorized", "wxaaaabbbbccccdddd"));
}

#[test]
fn one_event_has_one_digest_and_another_event_another() {
    let id = |info_type: &str, fields: &str| event(info_type, fields).id();
    let first = id("authorized", GRANT);
    assert_eq!(first, id("authorized", &format!("{GRANT}<PreAuthCode>p</PreAuthCode>")));
    assert_ne!(first, id("updateauthorized", GRANT));
    assert_ne!(first, id("authorized", &GRANT.replace("demo", "other")));
    assert_ne!(first, id("authorized", &GRANT.replace("wxaaaa", "wxbbbb")));

    let audited =
        |audit_id| id("order_path_audit_result_notify", &format!("<list><audit_id>{audit_id}</audit_id></list>"));
    assert_eq!(audited(1), audited(1));
    assert_ne!(audited(1), audited(2));
}

#[test]
fn nothing_secret_is_in_a_debug_text() {
    let push = event("authorized", &format!("{GRANT}<PreAuthCode>preauthcode</PreAuthCode>"));
    let text = format!("{push:?}");
    assert!(text.contains("authorized") && !text.contains("code@@@") && !text.contains("preauthcode"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn no_text_makes_it_panic(text in ".{0,300}") {
        drop(parse(&text));
        drop(event("authorized", &text));
    }

    #[test]
    fn any_code_is_read_as_it_was_sent(code in "[!-~]{1,80}") {
        prop_assume!(!code.contains("]]>"));
        let fields = GRANT.replace("queryauthcode@@@demo", &format!("<![CDATA[{code}]]>"));
        let push = event("authorized", &fields);
        prop_assert_eq!(exposed(push.event.code()), Some(code.as_str()));
    }

    #[test]
    fn of_a_truncated_event_no_member_is_cut(cut in 1_usize..250) {
        let whole = format!("<xml>{HEAD}<InfoType>authorized</InfoType>{GRANT}</xml>");
        let push = parse(&whole[..whole.len().saturating_sub(cut)]);
        prop_assert!(push.event.account().is_none_or(|account| account.as_str() == "wxaaaabbbbccccdddd"));
        prop_assert!(exposed(push.event.code()).is_none_or(|code| code == "queryauthcode@@@demo"));
        prop_assert!(matches!(push.event.info_type(), "authorized" | "unknown"));
    }
}

#[test]
fn an_unknown_name_is_logged_only_where_it_is_short_and_visible_ascii() {
    let label = |name: &str| Event::Unknown { info_type: name.to_owned() }.label().to_owned();
    assert_eq!(label("notify_something_new"), "notify_something_new");
    for odd in ["", "a b", "a\nb", "通知", "\u{1b}[31m", &"x".repeat(65)] {
        assert_eq!(label(odd), "other", "{odd:?}");
        assert_eq!(format!("{:?}", Event::Unknown { info_type: odd.to_owned() }), "other");
    }
    assert_eq!(label(&"x".repeat(64)), "x".repeat(64));
}

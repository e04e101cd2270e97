//! The events in the folder `events/`: one of each kind that reaches a function, good and bad.
//!
//! Everything in them is fixed (times, nonces, the random bytes of a seal), so that the same bytes result each time.
//! They are signed and sealed with the demo secret of [`crate::world`]. A push is accepted for a day, or for 30, after
//! WeChat's time of it: for use with this machine's clock they are generated again, [`files`]. `events/README.md` lists
//! the expected responses.

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::{AppId, AttemptId, LinkId, hex};
use base::random::Random;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use store::{
    AccountPatch, Actor, ApiKey, CodeDigest, INBOX_SORT_PREFIX, KeyDigest, KeyRequest, KeyText, Labels, LinkRequest,
    NewGrant, Patch, Store, StoreError,
};
use web::AttemptCookie;
use web::push::BODY_LIMIT;
use wechat::crypto::{EncodingAesKey, Generations, Keyring, Sealed};
use wechat::push::AuthorizationEvent;

use crate::http_events::HttpEvent;
use crate::world::{COMPONENT, TABLE, platform};

/// The folder.
pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../events");

/// The time of everything in the committed files: 2023-11-14T22:13:20Z.
pub const TIME: i64 = 1_700_000_000;

/// The account of the `authorized` push.
pub const ACCOUNT: &str = "wxdemoaccount00001";

/// The original id of that account, to which messages are addressed.
const USER_NAME: &str = "gh_demoaccount001";

/// An account in the table, with only its permission sets and the origin to which its visitors' logins return.
pub const KNOWN_ACCOUNT: &str = "wxdemoaccount00003";

/// An account that has never authorized the platform.
pub const UNKNOWN_ACCOUNT: &str = "wxdemoaccount0000f";

/// A file with which WeChat checks a domain.
const CHECK_FILE: &str = "87PweoaRBw.txt";

/// The origin of visitors of [`KNOWN_ACCOUNT`].
const SHOP: &str = "https://shop.example.com";

/// The follower who writes to it.
const FOLLOWER: &str = "oDemoFollower000000000000001";

/// The link that merchants follow.
pub const LINK: &str = "demo-link-00000000000A";

/// A link that its business cancels.
pub const CANCELLED_LINK: &str = "demo-link-to-cancel00A";

/// A link that does not exist.
pub const UNKNOWN_LINK: &str = "demo-link-unknown0000A";

/// A key that does not exist.
pub const UNKNOWN_KEY: &str = "demo-key-unknown00000A";

/// The press of the link's button that the redirects belong to.
pub const ATTEMPT: &str = "demo-attempt-00000000A";

/// A press that never happened.
pub const UNKNOWN_ATTEMPT: &str = "demo-attempt-unknown0A";

/// The value of the attempt's cookie: the URL-safe Base64 of 16 bytes.
pub const COOKIE: &str = "demo-cookie-000000000A";

/// The API key of a service outside AWS.
pub const API_KEY: &str = "wxp_demo-key-000000000000A_demo-secret-0000000000000000000000000000000";

/// The code in the `authorized` push.
pub const PUSHED_CODE: &str = "queryauthcode@@@demo-push+/0001=";

/// The code in the redirects, with every character that careless encoding may damage.
pub const REDIRECTED_CODE: &str = "queryauthcode@@@demo-redirect+/0002=";

/// [`REDIRECTED_CODE`] percent-encoded.
const REDIRECTED_CODE_ENCODED: &str = "queryauthcode%40%40%40demo-redirect%2B%2F0002%3D";

/// The pre-auth code that led to the grant of the `authorized` push.
pub const PRE_AUTH_CODE: &str = "preauthcode@@@demo-0001";

/// The longest URL that the HTTP library accepts, in bytes.
const LONGEST_URL: usize = 65_534;

const TICKET: &str = "ticket@@@demo-component-verify-ticket-0001";
const OTHER_COMPONENT: &str = "wxfedcba0987654321";
const NONCE: &str = "1320562132";
const RANDOM: [u8; 16] = *b"demo-random-0016";

const CALLER: &str = "arn:aws:iam::123456789012:role/orders";
const COMPUTER: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
const WECHAT_ON_PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
     Mobile/15E148 MicroMessenger/8.0.50(0x18003231) NetType/WIFI Language/zh_CN";

/// Every generated file of the folder, as of `time` in Unix seconds: its path in it, and its content.
#[must_use]
pub fn files(time: i64) -> Vec<(String, String)> {
    let folders = [
        ("ticket-push", ticket_push(time)),
        ("account-push", account_push(time)),
        ("preauth-link", preauth_link()),
        ("account-api", account_api()),
        ("token-api", token_api()),
        ("wechat-calls", wechat_calls()),
        ("oauth-callback", oauth_callback()),
        ("web-login", web_login()),
        ("console", operators_console()),
        ("token-refresher", token_refresher(time)),
    ];
    let events = folders.into_iter().flat_map(|(folder, events)| {
        events.into_iter().map(move |(name, event)| (format!("{folder}/{name}.json"), event))
    });
    std::iter::once(("secret.json".to_owned(), secret()))
        .chain(events)
        .map(|(path, content)| (path, format!("{content:#}\n")))
        .collect()
}

/// Puts what the events are about into the table: the account's name, the account [`KNOWN_ACCOUNT`], the links [`LINK`]
/// and [`CANCELLED_LINK`], the press of the first one's button, whose cookie is [`COOKIE`], and the key [`API_KEY`].
///
/// # Errors
/// [`StoreError`], also if the attempt exists already.
pub async fn put_what_they_are_about(store: &Store, now: Timestamp) -> Result<(), StoreError> {
    let (link, attempt) = (LinkId::parse(LINK).unwrap(), AttemptId::parse(ATTEMPT).unwrap());
    let request = LinkRequest {
        auth_type: 3,
        biz_appid: None,
        category_ids: Vec::new(),
        return_url: Some("https://app.example.com/done".to_owned()),
        requester_name: None,
        labels: Labels::default(),
        made_by: None,
    };
    store.user_names.put(&app_id(ACCOUNT), USER_NAME).await?;
    let grant = NewGrant {
        access_token: None,
        refresh_token: None,
        due_at: None,
        granted_at: Some(now),
        func_info: &[1, 15],
        origin: None,
        is_recovery: false,
        claim: None,
    };
    store.accounts.store_grant(&app_id(KNOWN_ACCOUNT), 0, &grant, now).await?;
    let origins = AccountPatch { login_origins: Patch::To(vec![SHOP.to_owned()]), ..AccountPatch::default() };
    store.accounts.patch(&app_id(KNOWN_ACCOUNT), &origins, |_| true, now).await?;
    let cancelled = LinkId::parse(CANCELLED_LINK).unwrap();
    for link in [&link, &cancelled] {
        store.links.put(link, &request, now.plus(Duration::from_hours(24)), now).await?;
    }
    let text = KeyText::parse(API_KEY).unwrap();
    let request = KeyRequest::new("demo", &["accounts:read", "calls"]).unwrap();
    let (key, _) = request.make(CALLER, &Random::system(), now);
    let key = ApiKey { secret: KeyDigest::of(&text.secret), id: text.id, ..key };
    store.api_keys.create(&key, &Actor { by: CALLER.to_owned(), source_ip: None, request_id: None }).await?;
    let cookie = URL_SAFE_NO_PAD.decode(COOKIE).unwrap();
    let cookie = AttemptCookie::generate(&Random::from_fn(move |bytes| bytes.copy_from_slice(&cookie)));
    store.attempts.put(&link, &attempt, &PRE_AUTH_CODE.into(), Some(&cookie.digest()), now).await
}

/// The demo platform's secret, as it would be in Secrets Manager.
fn secret() -> Value {
    use secrecy::ExposeSecret as _;
    serde_json::from_str(crate::world::secret_json().expose_secret()).unwrap()
}

type Events = Vec<(&'static str, Value)>;

fn ticket_push(time: i64) -> Events {
    let ticket = message(time, "component_verify_ticket", &element("ComponentVerifyTicket", TICKET));
    let good = seal(time, &keyring(COMPONENT), &ticket);
    let Sealed { encrypt, msg_signature } = good.clone();
    let body = envelope(&encrypt);
    let forged = Keyring::new(app_id(COMPONENT), "AnotherToken".into(), key());
    let forged = Sealed { encrypt: encrypt.clone(), ..seal(time, &forged, &ticket) };
    let middle = encrypt.len() / 2;
    let changed = if encrypt[middle..].starts_with('A') { "B" } else { "A" };
    let tampered = format!("{}{changed}{}", &encrypt[..middle], &encrypt[middle + 1..]);
    let padded = format!("{body}{}", " ".repeat(BODY_LIMIT + 1 - body.len()));
    vec![
        ("ticket", push(time, &good)),
        ("ticket-base64", push_of(time, &msg_signature).base64_body(body.as_bytes()).build()),
        ("authorized", push(time, &seal(time, &keyring(COMPONENT), &authorized(time)))),
        ("bad-signature", push(time, &forged)),
        ("tampered-body", push(time, &Sealed { encrypt: tampered, msg_signature: msg_signature.clone() })),
        ("wrong-appid", push(time, &seal(time, &keyring(OTHER_COMPONENT), &ticket))),
        ("malformed-xml", push_of(time, &msg_signature).body(&body[..body.len() / 2]).build()),
        ("oversized-body", push_of(time, &msg_signature).body(&padded).build()),
        ("odd-query", with(push(time, &good), "rawQueryString", json!("timestamp=<\"> 1"))),
        ("oversized-query", with(push(time, &good), "rawQueryString", json!("x".repeat(LONGEST_URL + 1)))),
        ("broken-base64", with(push_of(time, &msg_signature).base64_body(b"").build(), "body", json!("no Base64*"))),
        ("odd-headers", with(push(time, &good), "headers", odd_headers())),
    ]
}

fn account_push(time: i64) -> Events {
    let to = |user_name: &str, sealed: &Sealed| {
        let body = format!("<xml>{}{}</xml>", element("ToUserName", user_name), element("Encrypt", &sealed.encrypt));
        let path = format!("/wechat/accounts/{ACCOUNT}/events");
        push_to(time, &path, &sealed.msg_signature).route("/wechat/accounts/{appid}/events").body(&body).build()
    };
    let text = |user_name: &str, content: &str, id: u8| {
        let inner = element("Content", content) + &format!("<MsgId>240000000000000000{id}</MsgId>");
        account_message(time, user_name, "text", &inner)
    };
    let ours = keyring(COMPONENT);
    let question = text(USER_NAME, "请问今天营业到几点？😊", 1);
    let forged = Keyring::new(app_id(COMPONENT), "AnotherToken".into(), key());
    let follow = account_message(time, USER_NAME, "event", &(element("Event", "subscribe") + &element("EventKey", "")));
    let check = text(USER_NAME, "TESTCOMPONENT_MSG_TYPE_TEXT", 2);
    let misled = text("gh_demoaccount002", "hello", 3);
    vec![
        ("text", to(USER_NAME, &seal(time, &ours, &question))),
        ("subscribe", to(USER_NAME, &seal(time, &ours, &follow))),
        ("release-check", to(USER_NAME, &seal(time, &ours, &check))),
        ("foreign-account", to("gh_demoaccount002", &seal(time, &ours, &misled))),
        ("bad-signature", to(USER_NAME, &seal(time, &forged, &question))),
        (
            "odd-appid",
            with(to(USER_NAME, &seal(time, &ours, &question)), "rawPath", json!("/wechat/accounts/wx#1/events")),
        ),
    ]
}

fn preauth_link() -> Events {
    let create = HttpEvent::new("POST", "/authorization-links").header("content-type", "application/json");
    let good = json!({
        "requester_name": "示例商城",
        "reference": "order-0001",
        "return_url": "https://app.example.com/done",
    });
    let good = create.clone().body(&good.to_string());
    // Right-to-left override: the page would show a different name from the one that was sent.
    let hidden = json!({ "requester_name": "工商\u{202e}行银" });
    let misspelled = json!({ "requester": "示例商城" });
    let of_link = |method: &str, link: &str| {
        let event = HttpEvent::new(method, &format!("/authorization-links/{link}"));
        event.route("/authorization-links/{link_id}").iam(CALLER).build()
    };
    let page = |method: &str, link: &str| {
        HttpEvent::new(method, &format!("/authorize/{link}"))
            .route("/authorize/{link_id}")
            .header("accept-language", "zh-CN,zh;q=0.9")
    };
    let press = page("POST", LINK).header("content-type", "application/x-www-form-urlencoded").body("");
    vec![
        ("create-link", good.clone().iam(CALLER).build()),
        ("create-link-without-identity", good.clone().build()),
        ("create-link-with-hidden-direction", create.clone().body(&hidden.to_string()).iam(CALLER).build()),
        ("create-link-with-unknown-member", create.body(&misspelled.to_string()).iam(CALLER).build()),
        ("read-link", of_link("GET", LINK)),
        ("cancel-link", of_link("DELETE", CANCELLED_LINK)),
        ("page-of-cancelled-link", page("GET", CANCELLED_LINK).header("user-agent", COMPUTER).build()),
        ("page", page("GET", LINK).header("user-agent", COMPUTER).build()),
        ("press-on-computer", press.clone().header("user-agent", COMPUTER).build()),
        ("press-in-wechat", press.header("user-agent", WECHAT_ON_PHONE).build()),
        ("page-of-unknown-link", page("GET", UNKNOWN_LINK).header("user-agent", COMPUTER).build()),
        ("hash-in-path", with(page("GET", LINK).build(), "rawPath", json!(format!("/authorize/{LINK}#x")))),
        (
            "backslash-in-path",
            with(page("GET", LINK).build(), "rawPath", json!(format!("/authorize/..\\authorization-links\\{LINK}"))),
        ),
        ("another-route", with(page("GET", LINK).build(), "rawPath", json!(format!("/authorization-links/{LINK}")))),
        ("odd-query-of-a-business", with(good.iam(CALLER).build(), "rawQueryString", json!("a=<"))),
    ]
}

fn account_api() -> Events {
    let list = HttpEvent::new("GET", "/accounts");
    let of_account = |method: &str, appid: &str| {
        HttpEvent::new(method, &format!("/accounts/{appid}")).route("/accounts/{appid}").iam(CALLER)
    };
    let patch = of_account("PATCH", KNOWN_ACCOUNT).header("content-type", "application/merge-patch+json");
    let labels = json!({ "reference": "customer-42", "tags": { "plan": "gold" } }).to_string();
    let create_key = |body: &str| {
        HttpEvent::new("POST", "/keys").header("content-type", "application/json").iam(CALLER).body(body).build()
    };
    let operators = |method: &str, body: &str| {
        HttpEvent::new(method, "/operators").header("content-type", "application/json").iam(CALLER).body(body).build()
    };
    let of_operator =
        |method: &str, tail: &str| HttpEvent::new(method, &format!("/operators/wang{tail}")).iam(CALLER).build();
    let of_file = |method: &str, file: &str| {
        HttpEvent::new(method, &format!("/check-files/{file}")).route("/check-files/{file}").iam(CALLER)
    };
    let put_file =
        |file: &str, body: &str| of_file("PUT", file).header("content-type", "application/json").body(body).build();
    let of_service = |method: &str, path: &str| with_key(&HttpEvent::new(method, path));
    vec![
        ("list-accounts", list.clone().iam(CALLER).build()),
        ("list-accounts-in-use", list.clone().query("state=active&limit=10").iam(CALLER).build()),
        ("list-accounts-by-unknown-parameter", list.clone().query("stat=active").iam(CALLER).build()),
        ("list-accounts-without-identity", list.clone().build()),
        ("read-account", of_account("GET", KNOWN_ACCOUNT).build()),
        ("read-unknown-account", of_account("GET", UNKNOWN_ACCOUNT).build()),
        ("change-account", patch.clone().body(&labels).build()),
        ("change-account-of-another-version", patch.clone().header("if-match", "\"4711\"").body(&labels).build()),
        ("change-account-for-operator", patch.clone().operator("li").body(&labels).build()),
        ("list-accounts-for-operator", list.clone().operator("li").build()),
        ("change-account-with-unknown-member", patch.body(r#"{"referenc":"customer-42"}"#).build()),
        ("retry", HttpEvent::new("POST", "/retries").iam(CALLER).build()),
        ("begin-reconciliation", HttpEvent::new("POST", "/reconciliations").iam(CALLER).build()),
        (
            "read-unknown-reconciliation",
            HttpEvent::new("GET", "/reconciliations/1")
                .route("/reconciliations/{reconciliation_id}")
                .iam(CALLER)
                .build(),
        ),
        ("read-platform", HttpEvent::new("GET", "/platform").iam(CALLER).build()),
        ("read-description", HttpEvent::new("GET", "/openapi.json").iam(CALLER).build()),
        ("create-key", create_key(r#"{"name":"orders, Shanghai","scopes":["accounts:read","calls"]}"#)),
        ("create-key-with-unknown-scope", create_key(r#"{"name":"orders, Shanghai","scopes":["everything"]}"#)),
        ("list-keys", HttpEvent::new("GET", "/keys").iam(CALLER).build()),
        (
            "revoke-unknown-key",
            HttpEvent::new("DELETE", &format!("/keys/{UNKNOWN_KEY}")).route("/keys/{key_id}").iam(CALLER).build(),
        ),
        ("create-operator", operators("POST", r#"{"name":"li","rights":"act"}"#)),
        ("create-operator-with-unknown-rights", operators("POST", r#"{"name":"li","rights":"admin"}"#)),
        ("list-operators", HttpEvent::new("GET", "/operators").iam(CALLER).build()),
        ("invite-unknown-operator", of_operator("POST", "/invitations")),
        ("end-unknown-operator", of_operator("DELETE", "")),
        ("end-unknown-browser", of_operator("DELETE", &format!("/browsers/{UNKNOWN_KEY}"))),
        ("put-check-file", put_file(CHECK_FILE, r#"{"content":"0f1e2d3c4b5a69788796a5b4c3d2e1f0"}"#)),
        ("put-check-file-with-line-break", put_file(CHECK_FILE, r#"{"content":"0f1e2d3c4b5a69788796a5b4c3d2e1f0\n"}"#)),
        (
            "put-check-file-with-another-name",
            put_file("index.html", r#"{"content":"0f1e2d3c4b5a69788796a5b4c3d2e1f0"}"#),
        ),
        ("list-check-files", HttpEvent::new("GET", "/check-files").iam(CALLER).build()),
        ("remove-unknown-check-file", of_file("DELETE", "0000000000.txt").build()),
        ("list-accounts-with-key", of_service("GET", "/v1/accounts").build()),
        (
            "change-account-with-key-for-reading",
            of_service("PATCH", &format!("/v1/accounts/{KNOWN_ACCOUNT}"))
                .header("content-type", "application/merge-patch+json")
                .body(&labels)
                .build(),
        ),
        ("list-keys-with-key", of_service("GET", "/v1/keys").build()),
        ("list-accounts-without-key", HttpEvent::new("GET", "/v1/accounts").build()),
    ]
}

fn wechat_calls() -> Events {
    let of_account = |appid: &str, api: &str| {
        HttpEvent::new("GET", &format!("/wechat/{appid}/{api}")).route("/wechat/{appid}/{proxy+}")
    };
    let file = |body: &str| {
        HttpEvent::new("POST", "/files").header("content-type", "application/json").iam(CALLER).body(body).build()
    };
    vec![
        (
            "call-without-permission",
            of_account(KNOWN_ACCOUNT, "cgi-bin/user/info").query("openid=o1").iam(CALLER).build(),
        ),
        ("call-of-unknown-account", of_account(UNKNOWN_ACCOUNT, "cgi-bin/user/info").iam(CALLER).build()),
        ("call-without-identity", of_account(KNOWN_ACCOUNT, "cgi-bin/user/info").build()),
        ("call-for-a-token", of_account(KNOWN_ACCOUNT, "cgi-bin/token").iam(CALLER).build()),
        (
            "call-with-key",
            with_key(&HttpEvent::new("GET", &format!("/v1/wechat/{KNOWN_ACCOUNT}/cgi-bin/user/info")))
                .query("openid=o1")
                .build(),
        ),
        ("list-failed-calls", HttpEvent::new("GET", "/calls").iam(CALLER).build()),
        ("create-file", file(r#"{"content_type":"image/jpeg","length":6000000}"#)),
        ("create-file-that-is-too-large", file(r#"{"content_type":"image/jpeg","length":20971521}"#)),
    ]
}

fn token_api() -> Events {
    let of_account =
        |appid: &str| HttpEvent::new("GET", &format!("/tokens/{appid}")).route("/tokens/{appid}").iam(CALLER).build();
    let renewal = HttpEvent::new("POST", &format!("/tokens/{KNOWN_ACCOUNT}/renewals"))
        .route("/tokens/{appid}/renewals")
        .header("content-type", "application/json")
        .iam(CALLER);
    vec![
        ("read-token-without-permission", of_account(KNOWN_ACCOUNT)),
        ("read-token-of-unknown-account", of_account(UNKNOWN_ACCOUNT)),
        (
            "read-token-without-identity",
            HttpEvent::new("GET", &format!("/tokens/{KNOWN_ACCOUNT}")).route("/tokens/{appid}").build(),
        ),
        ("renew-token-without-id", renewal.clone().body("{}").build()),
        ("renew-token-without-permission", renewal.body(r#"{"token_id":"0123456789abcdef"}"#).build()),
    ]
}

/// The request of a service outside AWS.
fn with_key(event: &HttpEvent) -> HttpEvent {
    event.clone().header("authorization", &format!("Bearer {API_KEY}"))
}

/// The event with one member changed to what a gateway should never send.
fn with(mut event: Value, member: &str, value: Value) -> Value {
    event[member] = value;
    event
}

/// Headers with characters that no real request has.
fn odd_headers() -> Value {
    json!({ "host": "auth example\\ .com\" <", "x-forwarded-proto": "java script", "no name\r\n": "", "content-type": "text/xml" })
}

fn oauth_callback() -> Events {
    let back = |attempt: &str| {
        HttpEvent::new("GET", &format!("/authorize/{LINK}/callback/{attempt}"))
            .route("/authorize/{link_id}/callback/{attempt}")
            .header("accept-language", "zh-CN,zh;q=0.9")
            .header("user-agent", COMPUTER)
    };
    let ours = back(ATTEMPT).cookie(&format!("attempt-{ATTEMPT}={COOKIE}"));
    let code = format!("auth_code={REDIRECTED_CODE_ENCODED}");
    let query = format!("{code}&expires_in=600");
    vec![
        ("return", ours.clone().query(&query).build()),
        // The same URL in a browser that did not begin the attempt, and so has no cookie of it.
        ("replayed-code", back(ATTEMPT).query(&query).build()),
        ("missing-code", ours.clone().query("expires_in=600").build()),
        ("duplicate-code", ours.query(&format!("{code}&{query}")).build()),
        ("unknown-attempt", back(UNKNOWN_ATTEMPT).query(&query).build()),
        ("odd-query", with(back(ATTEMPT).build(), "rawQueryString", json!("auth_code=\"<script>\""))),
    ]
}

fn web_login() -> Events {
    let visitor = |path: &str, route: &str, query: &str| {
        HttpEvent::new("GET", path).route(route).query(query).header("accept-language", "zh-CN,zh;q=0.9")
    };
    let begin = |appid: &str, query: &str| visitor(&format!("/login/{appid}"), "/login/{appid}", query);
    let in_wechat = |event: HttpEvent| event.header("user-agent", WECHAT_ON_PHONE).build();
    let shop = "return_url=https%3A%2F%2Fshop.example.com%2Flogin%2Freturn&state=demo-state-000000000001";
    let [base, asked] = ["snsapi_base", "snsapi_userinfo"].map(|scope| format!("scope={scope}&{shop}"));
    let callback = |query: &str| visitor(&format!("/login/{KNOWN_ACCOUNT}/callback"), "/login/{appid}/callback", query);
    let redeem = HttpEvent::new("POST", "/logins").header("content-type", "application/json");
    let redeem = redeem.body(r#"{"login_code":"demo-login-code-unknown-0000000000000000000"}"#);
    let with_a_key = with_key(&HttpEvent::new("POST", "/v1/logins")).header("content-type", "application/json");
    vec![
        ("begin", in_wechat(begin(KNOWN_ACCOUNT, &base))),
        ("begin-with-button", in_wechat(begin(KNOWN_ACCOUNT, &asked))),
        ("begin-outside-wechat", begin(KNOWN_ACCOUNT, &base).header("user-agent", COMPUTER).build()),
        ("begin-without-state", in_wechat(begin(KNOWN_ACCOUNT, base.split("&state").next().unwrap()))),
        ("begin-for-another-origin", in_wechat(begin(KNOWN_ACCOUNT, &base.replace("shop.", "evil.")))),
        ("begin-at-unknown-account", in_wechat(begin(UNKNOWN_ACCOUNT, &base))),
        // The URL to which WeChat sends a visitor back, in a browser that did not begin the login.
        ("callback-without-attempt", in_wechat(callback("code=demo-code-0001&state=0123456789abcdef0123456789abcdef"))),
        ("redeem-unknown-code", redeem.clone().iam(CALLER).build()),
        ("redeem-without-identity", redeem.build()),
        ("redeem-with-key-for-other-things", with_a_key.body(r#"{"login_code":"demo-login-code"}"#).build()),
    ]
}

fn operators_console() -> Events {
    let from_browser = |method: &str, path: &str| {
        HttpEvent::new(method, path).header("user-agent", COMPUTER).header("accept-language", "zh-CN,zh;q=0.9")
    };
    let form = from_browser("POST", "/console/links").header("origin", "https://auth.example.com");
    let form = form.header("content-type", "application/x-www-form-urlencoded").body("reference=shop-1&form_token=x");
    // A cookie of the right form that belongs to nobody.
    let cookie = "__Host-console=li.demo-browser-00000000A.demo-secret-0000000000000000000000000000000";
    let invitation = "/console/invitations/li.demo-invitation-000000000000000000000000000";
    vec![
        ("page-without-cookie", from_browser("GET", "/console").build()),
        ("page-with-unknown-cookie", from_browser("GET", "/console/accounts").cookie(cookie).build()),
        ("form-without-cookie", form.build()),
        ("invitation-that-is-over", from_browser("GET", invitation).build()),
        ("unknown-asset", from_browser("GET", "/console/assets/unknown.js").build()),
    ]
}

fn token_refresher(time: i64) -> Events {
    let push = AuthorizationEvent::parse(authorized(time).into());
    let pushed = record(time, 1, ACCOUNT, time, push.id().as_str());
    // A code that came through a redirect: for no account yet, and without a time of WeChat's.
    let redirected = CodeDigest::of(&REDIRECTED_CODE.into());
    let redirected = record(time, 2, &format!("~{}", redirected.as_str()), 0, redirected.as_str());
    vec![
        ("renew", json!({ "task": "renew" })),
        ("renew-part", json!({ "task": "renew", "part": 1, "of": 4 })),
        ("renew-odd-part", json!({ "task": "renew", "part": 4, "of": 4 })),
        ("requested", json!({ "task": "requested" })),
        ("reconcile", json!({ "task": "reconcile" })),
        ("stream-batch", json!({ "Records": [pushed, redirected] })),
        (
            "foreign",
            json!({
                "version": "0",
                "id": "00000000-0000-0000-0000-000000000001",
                "detail-type": "Scheduled Event",
                "source": "aws.events",
                "account": "123456789012",
                "time": "2023-11-14T22:13:20Z",
                "region": "us-east-1",
                "resources": ["arn:aws:events:us-east-1:123456789012:rule/somebody-elses"],
                "detail": {},
            }),
        ),
    ]
}

/// The record of the table's stream for a new inbox entry.
fn record(now: i64, number: u8, partition: &str, time: i64, digest: &str) -> Value {
    json!({
        "eventID": digest[..32],
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": now,
            "Keys": {
                "pk": { "S": format!("{COMPONENT}#inbox#{partition}") },
                "sk": { "S": format!("{INBOX_SORT_PREFIX}{time:010}#{digest}") },
            },
            "SequenceNumber": format!("10000000000000000000{number}"),
            "SizeBytes": 120,
            "StreamViewType": "KEYS_ONLY",
        },
        "eventSourceARN": format!("arn:aws:dynamodb:us-east-1:123456789012:table/{TABLE}/stream/2023-11-14T00:00:00.000"),
    })
}

fn app_id(text: &str) -> AppId {
    AppId::parse(text).unwrap()
}

fn key() -> EncodingAesKey {
    EncodingAesKey::parse(&platform().encoding_aes_key).unwrap()
}

/// Our token and key, and the appid that a message is sealed for.
fn keyring(component: &str) -> Keyring {
    Keyring::new(app_id(component), platform().token, key())
}

fn seal(time: i64, keyring: &Keyring, message: &str) -> Sealed {
    keyring.seal(message.as_bytes(), RANDOM, &time.to_string(), NONCE, Generations::CURRENT)
}

fn authorized(time: i64) -> String {
    let expires = time + 3_600;
    let inner = element("AuthorizerAppid", ACCOUNT)
        + &element("AuthorizationCode", PUSHED_CODE)
        + &format!("<AuthorizationCodeExpiredTime>{expires}</AuthorizationCodeExpiredTime>")
        + &element("PreAuthCode", PRE_AUTH_CODE);
    message(time, "authorized", &inner)
}

/// A message as WeChat writes it, before it is sealed.
fn message(time: i64, info_type: &str, inner: &str) -> String {
    let (component, info_type) = (element("AppId", COMPONENT), element("InfoType", info_type));
    format!("<xml>{component}<CreateTime>{time}</CreateTime>{info_type}{inner}</xml>")
}

/// A message of the follower.
fn account_message(time: i64, user_name: &str, msg_type: &str, inner: &str) -> String {
    let [to, from] = [element("ToUserName", user_name), element("FromUserName", FOLLOWER)];
    format!("<xml>{to}{from}<CreateTime>{time}</CreateTime>{}{inner}</xml>", element("MsgType", msg_type))
}

fn envelope(encrypt: &str) -> String {
    format!("<xml>{}{}</xml>", element("AppId", COMPONENT), element("Encrypt", encrypt))
}

fn element(name: &str, text: &str) -> String {
    format!("<{name}><![CDATA[{text}]]></{name}>")
}

fn push(time: i64, sealed: &Sealed) -> Value {
    push_of(time, &sealed.msg_signature).body(&envelope(&sealed.encrypt)).build()
}

fn push_of(time: i64, msg_signature: &str) -> HttpEvent {
    push_to(time, "/wechat/events", msg_signature)
}

fn push_to(time: i64, path: &str, msg_signature: &str) -> HttpEvent {
    let signature = url_signature(time);
    HttpEvent::new("POST", path).header("content-type", "text/xml").header("user-agent", "Mozilla/4.0").query(&format!(
        "signature={signature}&timestamp={time}&nonce={NONCE}&encrypt_type=aes&msg_signature={msg_signature}"
    ))
}

/// `signature` of the URL, which does not cover the body; WeChat sends it with every push, and nobody reads it.
fn url_signature(time: i64) -> String {
    use secrecy::ExposeSecret as _;
    let (token, timestamp) = (platform().token, time.to_string());
    let mut parts = [token.expose_secret(), timestamp.as_str(), NONCE];
    parts.sort_unstable();
    hex(&Sha1::digest(parts.concat()))
}

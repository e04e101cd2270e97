//! The client against a server on this machine that responds from a script and records what it was sent.

mod failures;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::ids::AppId;
use base::limits::Limits;
use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::*;

/// All secrets that these tests send. Each contains every character that some hop might change.
const SECRETS: [&str; 5] =
    ["app-s3cr3t", "ticket@@@a+b/c=", "61_tok+en/=", "queryauthcode@@@q+r/s=", "refresh@@@t+u/v="];

fn secret(number: usize) -> SecretString {
    SecretString::from(SECRETS[number])
}

fn component() -> AppId {
    AppId::parse("wx1234567890abcdef").unwrap()
}

fn account() -> AppId {
    AppId::parse("wxaaaabbbbccccdddd").unwrap()
}

#[derive(Clone)]
struct Script {
    status: u16,
    content_type: &'static str,
    body: Bytes,
    hangs: bool,
    seen: Arc<Mutex<Vec<(Method, String, Value)>>>,
}

struct Server {
    base: Url,
    script: Script,
}

impl Server {
    async fn start(status: u16, content_type: &'static str, body: impl Into<Bytes>, hangs: bool) -> Self {
        let script = Script { status, content_type, body: body.into(), hangs, seen: Arc::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let answers = script.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let script = answers.clone();
                let service = service_fn(move |request| answer(script.clone(), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(connection), service));
            }
        });
        Self { base, script }
    }

    async fn answering(body: Value) -> Self {
        Self::start(200, "application/json", body.to_string(), false).await
    }

    fn client(&self) -> WechatClient {
        WechatClient::new(&self.base, &Limits::interactive()).unwrap()
    }

    fn seen(&self) -> (Method, String, Value) {
        let mut seen = self.script.seen.lock().unwrap();
        assert_eq!(seen.len(), 1, "one call sends one request");
        seen.remove(0)
    }
}

async fn answer(script: Script, request: Request<Incoming>) -> http::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let body = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
    script.seen.lock().unwrap().push((parts.method, parts.uri.to_string(), body));
    if script.hangs {
        std::future::pending::<()>().await;
    }
    let answer = Response::builder().status(script.status).header(header::CONTENT_TYPE, script.content_type);
    answer.header(header::LOCATION, "/elsewhere").body(Full::new(script.body))
}

/// Exchanges a code: the call under test if it does not matter which.
async fn exchange(client: &WechatClient) -> Result<Grant, WechatError> {
    client.query_auth(ComponentCall { component: &component(), token: &secret(2) }, &secret(3)).await
}

/// Returns the error, after checking that printing it shows neither a secret nor a URL.
fn error<T>(result: Result<T, WechatError>) -> WechatError {
    let error = result.err().expect("the call fails");
    let mut printed = format!("{error} {error:?} {}", error.code_label());
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        printed += &cause.to_string();
        source = cause.source();
    }
    for secret in SECRETS {
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        assert!(!printed.contains(secret) && !printed.contains(&encoded), "{printed}");
    }
    assert!(!printed.contains("://") && !printed.contains("/cgi-bin"), "{printed}");
    error
}

/// The path and query of a call with the component's token, form-encoded.
fn with_token(name: &str) -> String {
    format!("/cgi-bin/component/{name}?component_access_token=61_tok%2Ben%2F%3D")
}

#[tokio::test]
async fn the_ticket_push_is_started_with_component_secret_and_no_token() {
    for (errmsg, state) in [("ok", PushState::Started), ("in a normal state", PushState::AlreadyOn)] {
        let server = Server::answering(json!({ "errcode": 0, "errmsg": errmsg })).await;
        assert_eq!(server.client().start_push_ticket(&component(), &secret(0)).await.unwrap(), state);
        let body = json!({ "component_appid": "wx1234567890abcdef", "component_secret": SECRETS[0] });
        assert_eq!(server.seen(), (Method::POST, "/cgi-bin/component/api_start_push_ticket".into(), body));
    }
}

#[tokio::test]
async fn a_component_token_is_issued_for_appsecret_and_unchanged_ticket() {
    let server = Server::answering(json!({ "component_access_token": "61_demo", "expires_in": 7200 })).await;
    let issued = server.client().component_token(&component(), &secret(0), &secret(1)).await.unwrap();
    assert_eq!((issued.token.expose_secret(), issued.expires_in.as_secs()), ("61_demo", 7200));
    let body = json!({
        "component_appid": "wx1234567890abcdef",
        "component_appsecret": SECRETS[0],
        "component_verify_ticket": SECRETS[1],
    });
    assert_eq!(server.seen(), (Method::POST, "/cgi-bin/component/api_component_token".into(), body));
}

#[tokio::test]
async fn a_component_token_is_not_lost_over_an_unreadable_lifetime() {
    for lifetime in
        ["", r#","expires_in":0"#, r#","expires_in":-1"#, r#","expires_in":"7200s""#, r#","expires_in":7200000"#]
    {
        let body = format!(r#"{{"component_access_token":"61_demo"{lifetime}}}"#);
        let server = Server::start(200, "application/json", body, false).await;
        let issued = server.client().component_token(&component(), &secret(0), &secret(1)).await.unwrap();
        assert_eq!((issued.token.expose_secret(), issued.expires_in.as_secs()), ("61_demo", 7200), "{lifetime}");
    }
}

#[tokio::test]
async fn a_pre_auth_code_of_unreadable_lifetime_lives_for_ten_to_thirty_minutes() {
    for (lifetime, seconds) in
        [("null", 600), ("\"soon\"", 600), ("0", 600), ("1800", 1800), ("1800000", 1800), ("60", 60)]
    {
        let body = format!(r#"{{"pre_auth_code":"preauthcode@@@a","expires_in":{lifetime}}}"#);
        let server = Server::start(200, "application/json", body, false).await;
        let call = ComponentCall { component: &component(), token: &secret(2) };
        let minted = server.client().create_preauthcode(call).await.unwrap();
        assert_eq!(minted.expires_in.as_secs(), seconds, "{lifetime}");
    }
}

#[tokio::test]
async fn a_pre_auth_code_is_minted_and_comes_unchanged() {
    let server = Server::answering(json!({ "pre_auth_code": "preauthcode@@@a+/=", "expires_in": "600" })).await;
    let call = ComponentCall { component: &component(), token: &secret(2) };
    let minted = server.client().create_preauthcode(call).await.unwrap();
    assert_eq!((minted.code.expose_secret(), minted.expires_in.as_secs()), ("preauthcode@@@a+/=", 600));
    let body = json!({ "component_appid": "wx1234567890abcdef" });
    assert_eq!(server.seen(), (Method::POST, with_token("api_create_preauthcode"), body));
}

#[tokio::test]
async fn a_code_is_exchanged_unchanged_for_a_grant() {
    let server = Server::answering(json!({ "authorization_info": {
        "authorizer_appid": "wxaaaabbbbccccdddd", "authorizer_access_token": "61_auth", "expires_in": 7100,
        "authorizer_refresh_token": "refreshtoken@@@x+/=",
        "func_info": [{ "funcscope_category": { "id": 1 } }, { "funcscope_category": { "id": 15 } }],
    } }))
    .await;
    let grant = exchange(&server.client()).await.unwrap();
    assert_eq!(grant.authorizer, account());
    assert_eq!(grant.access_token.unwrap().expose_secret(), "61_auth");
    assert_eq!(grant.expires_in.as_secs(), 7100);
    assert_eq!(grant.refresh_token.unwrap().expose_secret(), "refreshtoken@@@x+/=");
    assert_eq!(grant.func_info, [1, 15]);
    let body = json!({ "component_appid": "wx1234567890abcdef", "authorization_code": SECRETS[3] });
    assert_eq!(server.seen(), (Method::POST, with_token("api_query_auth"), body));
}

#[tokio::test]
async fn a_grant_without_api_permission_has_no_tokens() {
    let info =
        json!({ "appid": "wxaaaabbbbccccdddd", "authorizer_access_token": "", "authorizer_refresh_token": null });
    let server = Server::answering(json!({ "authorization_info": info })).await;
    let grant = exchange(&server.client()).await.unwrap();
    assert_eq!(grant.authorizer, account());
    assert!(grant.access_token.is_none() && grant.refresh_token.is_none() && grant.func_info.is_empty());
}

#[tokio::test]
async fn an_account_token_is_renewed_and_an_empty_refresh_token_is_none() {
    for (refresh, expected) in [("refreshtoken@@@new", Some("refreshtoken@@@new")), ("", None)] {
        let answer = json!({
            "authorizer_access_token": "61_new", "expires_in": 7200, "authorizer_refresh_token": refresh,
        });
        let server = Server::answering(answer).await;
        let call = ComponentCall { component: &component(), token: &secret(2) };
        let renewed = server.client().authorizer_token(call, &account(), &secret(4)).await.unwrap();
        assert_eq!((renewed.access_token.expose_secret(), renewed.expires_in.as_secs()), ("61_new", 7200));
        assert_eq!(renewed.refresh_token.as_ref().map(ExposeSecret::expose_secret), expected);
        let body = json!({
            "component_appid": "wx1234567890abcdef",
            "authorizer_appid": "wxaaaabbbbccccdddd",
            "authorizer_refresh_token": SECRETS[4],
        });
        assert_eq!(server.seen(), (Method::POST, with_token("api_authorizer_token"), body));
    }
}

#[tokio::test]
async fn details_show_the_kind_of_account_by_their_members() {
    let cases = [
        (json!({}), AccountKind::OfficialAccount),
        (json!({ "MiniProgramInfo": { "visit_status": 0 } }), AccountKind::MiniProgram),
        (json!({ "MiniProgramInfo": null }), AccountKind::OfficialAccount),
        (json!({ "store_info": { "id": 0 } }), AccountKind::Other),
    ];
    for (mut info, kind) in cases {
        info["nick_name"] = json!("Demo 🍜");
        info["alias"] = json!("");
        info["service_type_info"] = json!({ "id": "2" });
        info["verify_type_info"] = json!({ "id": -1 });
        info["account_status"] = json!(1);
        let authorization = json!({
            "authorizer_appid": "wxaaaabbbbccccdddd", "authorizer_refresh_token": "refreshtoken@@@demo",
            "func_info": [{ "funcscope_category": { "id": 30 } }],
        });
        let server = Server::answering(json!({ "authorizer_info": info, "authorization_info": authorization })).await;
        let call = ComponentCall { component: &component(), token: &secret(2) };
        let details = server.client().authorizer_info(call, &account()).await.unwrap();
        let profile = details.profile.unwrap();
        assert_eq!(profile.kind, kind);
        assert_eq!(profile.nick_name.as_deref(), Some("Demo 🍜"));
        assert_eq!(profile.alias, None);
        let numbers = (profile.service_type, profile.verify_type, profile.account_status);
        assert_eq!(numbers, (Some(2), Some(-1), Some(1)));
        assert_eq!(details.refresh_token.unwrap().expose_secret(), "refreshtoken@@@demo");
        assert_eq!(details.func_info, [30]);
        let body = json!({ "component_appid": "wx1234567890abcdef", "authorizer_appid": "wxaaaabbbbccccdddd" });
        assert_eq!(server.seen(), (Method::POST, with_token("api_get_authorizer_info"), body));
    }
}

#[tokio::test]
async fn details_of_another_account_are_refused() {
    let authorization = json!({ "authorizer_appid": "wxeeeeffff00001111", "authorizer_refresh_token": SECRETS[4] });
    let server = Server::answering(json!({ "authorizer_info": {}, "authorization_info": authorization })).await;
    let call = ComponentCall { component: &component(), token: &secret(2) };
    let result = server.client().authorizer_info(call, &account()).await;
    assert!(matches!(error(result), WechatError::Malformed(_)));
}

#[tokio::test]
async fn a_malformed_entry_does_not_lose_the_page() {
    let server = Server::answering(json!({ "total_count": 1003, "list": [
        { "authorizer_appid": "wxaaaabbbbccccdddd", "refresh_token": "refreshtoken@@@demo", "auth_time": 1_700_000_000 },
        { "authorizer_appid": "not an appid", "refresh_token": "x" },
        { "authorizer_appid": "wxeeeeffff00001111", "refresh_token": "", "auth_time": "0" },
    ] }))
    .await;
    let call = ComponentCall { component: &component(), token: &secret(2) };
    let page = server.client().authorizer_list(call, 500, LIST_PAGE).await.unwrap();
    assert_eq!((page.total_count, page.skipped, page.entries()), (1003, 1, 3));
    assert_eq!(page.list[0].authorizer, account());
    assert_eq!(page.list[0].refresh_token.as_ref().unwrap().expose_secret(), "refreshtoken@@@demo");
    assert_eq!(page.list[0].auth_time.unwrap().unix(), 1_700_000_000);
    assert!(page.list[1].refresh_token.is_none() && page.list[1].auth_time.is_none());
    let body = json!({ "component_appid": "wx1234567890abcdef", "offset": 500, "count": 500 });
    assert_eq!(server.seen(), (Method::POST, with_token("api_get_authorizer_list"), body));
}

#[tokio::test]
async fn a_page_without_its_list_is_not_an_empty_page() {
    let call = ComponentCall { component: &component(), token: &secret(2) };
    for body in [json!({}), json!({ "total_count": 3 }), json!({ "list": [] })] {
        let server = Server::answering(body).await;
        let result = server.client().authorizer_list(call, 0, LIST_PAGE).await;
        assert!(matches!(error(result), WechatError::Malformed(_)));
    }
    let server = Server::answering(json!({ "total_count": 0 })).await;
    assert_eq!(server.client().authorizer_list(call, 0, LIST_PAGE).await.unwrap().entries(), 0);
}

#[test]
fn types_with_a_secret_print_only_their_ids() {
    let grant = Grant {
        authorizer: account(),
        access_token: Some(secret(2)),
        expires_in: Duration::ZERO,
        refresh_token: Some(secret(4)),
        func_info: Vec::new(),
    };
    let printed = format!("{grant:?}");
    assert!(
        printed.contains("wxaaaabbbbccccdddd") && SECRETS.iter().all(|secret| !printed.contains(secret)),
        "{printed}"
    );
}

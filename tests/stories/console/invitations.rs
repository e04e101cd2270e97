//! How a browser is bound: by the button of an invitation, once and within a time limit.

use std::time::Duration;

use axum::body::Body;
use base::random::Random;
use http::header::{COOKIE, ORIGIN, SET_COOKIE};
use http::{Request, Response};
use runtime::config::Origin;
use secrecy::ExposeSecret as _;
use store::InvitationCode;
use stories::browser::Browser;
use tower::ServiceExt as _;

use super::Stage;
use crate::key_door::operator as admin;

async fn asked(console: console::Console, request: http::request::Builder) -> Response<Body> {
    console::router(console).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn an_invitation_binds_the_browser_in_which_its_button_is_pressed_once() {
    let stage = Stage::ready().await;
    let code = stage.invited("li", "act").await;
    let before = stage.table().await;
    // Programs that preview links in a chat open it, too.
    for browser in [Browser::in_wechat(), Browser::on_phone(), Browser::on_computer()] {
        let page = browser.open(&stage.invitation(&code)).await;
        assert_eq!(page.status, 200, "{}", page.text);
        assert!(
            page.text.contains("<strong>li</strong>") && page.text.contains("Sign in this browser"),
            "{}",
            page.text
        );
        assert!(!page.headers.contains_key(SET_COOKIE) && !page.text.contains("form_token"));
    }
    assert_eq!(stage.table().await, before);

    let browser = Browser::on_computer();
    let shown = browser.open(&stage.invitation(&code)).await;
    let bound = browser.submit_to(&shown, stage.invitation(&code).path(), &[]).await;
    assert_eq!((bound.status, bound.location()), (303, stage.url("/console?done=bound")), "{}", bound.text);
    let cookie = bound.headers[SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("console=li."), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Max-Age=2592000; HttpOnly; SameSite=Strict"), "{cookie}");
    let overview = browser.open(&bound.location()).await;
    assert_eq!(overview.status, 200, "{}", overview.text);
    assert!(overview.text.contains("This browser is signed in, for at most 30 days"), "{}", overview.text);
    assert!(stage.audit().await.iter().any(|entry| entry.starts_with("operator:li browser.bind ")));

    let after = stage.table().await;
    for another in [Browser::on_phone(), browser.copied()] {
        for page in [another.open(&stage.invitation(&code)).await, stage.accept(&another, &code).await] {
            assert_eq!(page.status, 410, "{}", page.text);
            assert!(page.text.contains("works once"), "{}", page.text);
            assert!(!page.headers.contains_key(SET_COOKIE));
        }
    }
    assert_eq!(stage.table().await, after);
    assert!(!after.contains(code.text().expose_secret().rsplit_once('.').unwrap().1), "the table has no code");
    assert!(stage.is_bound(&browser).await);
}

#[tokio::test]
async fn an_invitation_is_over_after_half_an_hour_and_with_its_operator() {
    let stage = Stage::ready().await;
    let (late, ended) = (stage.invited("li", "act").await, stage.invited("wang", "act").await);
    stage.world.pass(Duration::from_secs(30 * 60 - 1));
    assert_eq!(Browser::on_computer().open(&stage.invitation(&late)).await.status, 200);
    let wang = stage.operator("wang").await;
    stage.world.store().operators.end(&wang.name, &admin(), stage.world.now()).await.unwrap();
    stage.world.pass(Duration::from_secs(1));
    let unknown = InvitationCode::generate(&wang.name, &Random::system());
    for code in [late, ended, unknown] {
        let browser = Browser::on_computer();
        assert_eq!(browser.open(&stage.invitation(&code)).await.status, 410);
        assert_eq!(stage.accept(&browser, &code).await.status, 410);
        assert_eq!(browser.cookie_names(), [""; 0]);
    }
    for odd in ["x", "li.", "li.x", "%2e%2e", "li%00", &"a".repeat(3_000), "%FF", "%E6%9D%8E.x"] {
        let url = stage.url(&format!("/console/invitations/{odd}"));
        for page in [
            Browser::on_computer().open(&url).await,
            Browser::on_computer().send_form(&url, Some(&stage.origin()), &[]).await,
        ] {
            // The parent path is the console's own.
            assert!([308, 400, 404, 405, 410].contains(&page.status), "{odd}: {} {}", page.status, page.text);
        }
    }
}

#[tokio::test]
async fn nobody_elses_page_presses_the_button() {
    let stage = Stage::ready().await;
    let code = stage.invited("li", "act").await;
    let before = stage.table().await;
    let port = stage.world.public_url.port().unwrap();
    let (other_port, other_host) = (format!("http://127.0.0.1:{}", port - 1), format!("http://localhost:{port}"));
    let (tls, longer) = (format!("https://127.0.0.1:{port}"), format!("{}.evil.example", stage.origin()));
    let others = [None, Some("null"), Some("https://evil.example"), Some(other_port.as_str()), Some(&other_host)];
    for origin in others.into_iter().chain([Some(tls.as_str()), Some(&longer), Some("")]) {
        let victim = Browser::on_computer();
        let page = victim.send_form(&stage.invitation(&code), origin, &[]).await;
        assert_eq!(page.status, 403, "{origin:?}: {}", page.text);
        assert_eq!(victim.cookie_names(), [""; 0]);
    }
    let claims = Request::post(stage.invitation(&code).path()).header(ORIGIN, stage.origin());
    let response = asked(stage.world.console(), claims.header("sec-fetch-site", "same-site")).await;
    assert_eq!(response.status(), 403, "a browser that says both is believed in the worse");
    assert_eq!(stage.table().await, before);
    stage.bind(&Browser::on_computer(), &code).await;
}

#[tokio::test]
async fn over_tls_the_cookie_is_for_this_host_alone_and_the_plain_one_is_refused() {
    let stage = Stage::ready().await;
    let secure = || {
        let mut parts = stage.world.console_parts();
        parts.config.public_base = Origin::parse("https://auth.example.com").unwrap();
        console::Console::new(parts)
    };
    let code = stage.invited("li", "act").await;
    let accept = Request::post(stage.invitation(&code).path()).header(ORIGIN, "https://auth.example.com");
    let bound = asked(secure(), accept).await;
    assert_eq!(bound.status(), 303);
    assert!(bound.headers()["strict-transport-security"].to_str().unwrap().contains("max-age="));
    let cookie = bound.headers()[SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("__Host-console=li."), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Max-Age=2592000; HttpOnly; SameSite=Strict; Secure"), "{cookie}");
    let pair = cookie.split(';').next().unwrap();
    let with = async |cookie: &str| asked(secure(), Request::get("/console/browsers").header(COOKIE, cookie)).await;
    assert_eq!(with(pair).await.status(), 200);
    // A page on a sibling host, or without TLS, can set only the name without the prefix.
    assert_eq!(with(pair.strip_prefix("__Host-").unwrap()).await.status(), 401);
    assert_eq!(with(&format!("{pair}; {pair}")).await.status(), 401, "of two nobody knows which is ours");
    assert_eq!(with(&format!("console=x; {pair}")).await.status(), 200);
}

#[tokio::test]
async fn a_browser_that_one_process_has_bound_is_known_to_another() {
    let stage = Stage::ready().await;
    let browser = stage.bound("li", "look").await;
    let cookie = format!("console={}", browser.cookie_values()[0]);
    for _ in 0..2 {
        let request = Request::get("/console/accounts").header(COOKIE, &cookie);
        assert_eq!(asked(stage.world.console(), request).await.status(), 200);
    }
}

//! Logins behind the gateway: a host of its own for each account, below `LOGIN_HOST`, and a key that changes while
//! several processes respond.

use platform::services::Services;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use stories::browser::Browser;
use stories::http_events::HttpEvent;
use stories::world::{KEYS, secret_json};
use url::Url;
use web::gateway::Gateway;

use super::{STATE, Stage};

/// web-login as it is deployed with `LOGIN_HOST=login.example.com`.
fn gateway(stage: &Stage) -> Gateway {
    process(stage, stage.world.services.clone(), "login.example.com")
}

/// A process of web-login.
fn process(stage: &Stage, services: Services, login_host: &str) -> Gateway {
    let service = stage.world.login_service_at(services, "https://auth.example.com", login_host);
    let router = web_login::public_router(service.clone()).merge(web_login::business_router(service, KEYS));
    Gateway::new(router, stage.world.services.metrics.clone()).with_problems_on(&web_login::BUSINESS_ROUTES)
}

async fn answer(gateway: &Gateway, event: HttpEvent) -> Value {
    let answer = gateway.answer(&event.build().to_string()).await;
    serde_json::to_value(answer).unwrap()
}

fn location(answer: &Value) -> Url {
    assert_eq!(answer["statusCode"], 303, "{answer}");
    Url::parse(answer["headers"]["location"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn each_account_logs_its_visitors_in_at_a_host_of_its_own() {
    let stage = Stage::ready().await;
    let (gateway, browser) = (gateway(&stage), Browser::in_wechat());
    let own = format!("{}.login.example.com", stage.account);
    let visit = |host: &str| browser.visit(&stage.login_url("snsapi_base"), "/login/{appid}").host(host);

    let moved = location(&answer(&gateway, visit("auth.example.com")).await);
    assert_eq!((moved.host_str(), moved.path()), (Some(own.as_str()), stage.login_url("").path()));
    assert_eq!(moved.query(), stage.login_url("snsapi_base").query());

    let begun = answer(&gateway, visit(&own)).await;
    let at_wechat = location(&begun);
    let back = at_wechat.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1.into_owned();
    assert_eq!(back, format!("https://{own}/login/{}/callback", stage.account));
    let cookie = begun["cookies"][0].as_str().unwrap();
    assert!(
        cookie.starts_with("__Host-login-") && cookie.contains("; Path=/; ") && cookie.ends_with("; Secure"),
        "{cookie}"
    );

    // A mistake is reported before the visitor is sent anywhere.
    let foreign = browser.visit(&stage.login_url("snsapi_base"), "/login/{appid}").host("auth.example.com");
    let foreign =
        foreign.query(&format!("scope=snsapi_base&return_url=https%3A%2F%2Fevil.example.com%2F&state={STATE}"));
    assert_eq!(answer(&gateway, foreign).await["statusCode"], 400);
    // A proxy that uses another name is served, not redirected to where it came from.
    let behind = location(&answer(&gateway, visit("abc.execute-api.us-east-1.amazonaws.com")).await);
    assert_eq!(behind.path(), "/connect/oauth2/authorize");

    // The host of another merchant, whose page could be blocked.
    let other = answer(&gateway, visit("wx0000000000000000.login.example.com")).await;
    assert_eq!(other["statusCode"], 404, "{other}");

    // The way back, in the browser that has the cookie and in another one.
    stage.world.simulator.set_web_domains(vec!["login.example.com".to_owned()]);
    let returned = browser.open(&at_wechat).await.location();
    let event = || {
        let query = returned.query().unwrap();
        browser.visit(&returned, "/login/{appid}/callback").host(&own).query(query)
    };
    let refused = answer(&gateway, event()).await;
    assert_eq!(refused["statusCode"], 400, "{refused}");
    let pair = cookie.split(';').next().unwrap();
    let back = location(&answer(&gateway, event().cookie(pair)).await);
    assert!(back.as_str().starts_with(super::SHOP) && back.as_str().contains("login_code="), "{back}");
    assert!(back.as_str().ends_with(&format!("&state={STATE}")), "{back}");
}

/// A visitor begins at one process and comes back to another.
async fn logs_in(stage: &Stage, one: &Gateway, other: &Gateway) -> Value {
    let browser = Browser::in_wechat();
    let begun = answer(one, browser.visit(&stage.login_url("snsapi_base"), "/login/{appid}")).await;
    let returned = browser.open(&location(&begun)).await.location();
    let cookie = begun["cookies"][0].as_str().unwrap().split(';').next().unwrap();
    answer(other, browser.visit(&returned, "/login/{appid}/callback").cookie(cookie)).await
}

#[tokio::test]
async fn a_change_of_the_key_in_mid_login_costs_nothing() {
    let stage = Stage::ready().await;
    stage.world.simulator.set_web_domains(vec!["auth.example.com".to_owned()]);
    // This process has cached the old secret.
    let old = process(&stage, stage.world.services.clone(), "");
    let mut secret: Value = serde_json::from_str(secret_json().expose_secret()).unwrap();
    secret["previous_encoding_aes_key"] = secret["encoding_aes_key"].take();
    secret["encoding_aes_key"] = json!("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefg");
    stage.world.secrets.set(secret.to_string().into());
    let new = process(&stage, stage.world.another_process(), "");
    assert!(
        location(&logs_in(&stage, &old, &new).await).as_str().contains("login_code="),
        "the one before is accepted"
    );
    assert!(location(&logs_in(&stage, &new, &old).await).as_str().contains("login_code="), "the new one is looked for");
}

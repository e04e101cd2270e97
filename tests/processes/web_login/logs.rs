//! Promise 5: whoever logs in, neither a code of WeChat's or ours nor a cookie, nor the visitor's identity, is in what
//! the process prints, at any log level.

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use simulator::{Fault, paths};
use stories::bootstrap::Bootstrap;
use stories::browser::{Browser, parameter};
use stories::business::Business;
use stories::http_events::HttpEvent;
use stories::logs::{assert_neither_leaked, assert_request_ids};

use super::{BINARY, Back, CALLBACK, NICKNAME, SERVICE, STATE, Stage, VISITOR, redeems};

/// Everything, and more: the filter of somebody who looks for a fault.
const TRACE: &str =
    "trace,lambda_runtime=trace,aws_smithy_runtime=trace,hyper=trace,reqwest=trace,shared=trace,web_login=trace";

/// A verifier without a login: it is refused, and stays secret.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

#[tokio::test]
async fn no_login_good_or_bad_says_in_the_log_who_it_was_or_with_which_code() {
    let stage = Stage::ready().await;
    let world = &stage.world;
    // Another function's requests, for a secret of each kind.
    Browser::on_computer().press(&Business::of(world).link(json!({})).await).await;
    let function = Bootstrap::with(BINARY, world, |variables| {
        variables.insert("RUST_LOG".into(), TRACE.into());
    })
    .await;
    let (mut cookies, mut codes) = (Vec::new(), Vec::new());
    for scope in ["snsapi_base", "snsapi_userinfo"] {
        let back = Back::from_wechat(&stage, &function, scope).await;
        let code = parameter(&function.request(&back.event).await.location(), "login_code");
        assert_eq!(function.request(&back.event).await.status, 303, "the page is loaded again");
        let with_verifier = json!({ "login_code": code, "verifier": VERIFIER }).to_string();
        let refused = function.request(&redeems(&code).body(&with_verifier).iam(SERVICE)).await;
        assert_eq!((refused.status, refused.problem().as_str()), (422, "verifier-refused"));
        let login = function.request(&redeems(&code).iam(SERVICE)).await;
        let login: Value = serde_json::from_str(&login.body).unwrap();
        assert_eq!(login["openid"], VISITOR);

        // A holder of a code or a cookie may send it where it is not read, or where it is refused.
        let query = back.url.query().unwrap();
        let misplaced = [
            HttpEvent::new("GET", back.url.path()).route(CALLBACK).query(query),
            back.event.clone().query(&format!("{query}&{query}")),
            HttpEvent::new("GET", &format!("/login/{code}")).route("/login/{appid}").query(query),
            redeems(&code).header("x-forwarded-for", &back.cookie),
            redeems(&code).body(&json!({ &code: &back.cookie }).to_string()).iam(SERVICE),
        ];
        for event in &misplaced {
            function.request(event).await;
        }
        cookies.push(back.cookie);
        codes.push(code);
    }
    // WeChat is busy, drops the connection, and refuses while it repeats the request.
    let token = world.component().await.token().await.unwrap();
    for number in 0..3 {
        let back = Back::from_wechat(&stage, &function, "snsapi_base").await;
        let errmsg = format!("invalid: {} {}", parameter(&back.url, "code"), token.expose_secret());
        let fault = match number {
            0 => Fault::system_error(),
            1 => Fault::DropAfter,
            _ => Fault::Errcode { errcode: 99_999, errmsg },
        };
        world.simulator.inject(fault.on(paths::WEB_LOGIN_TOKEN).times(1));
        assert_eq!(parameter(&function.request(&back.event).await.location(), "error"), "temporarily_unavailable");
        cookies.push(back.cookie);
    }
    // It refuses the visitor's profile, and repeats the request.
    let back = Back::from_wechat(&stage, &function, "snsapi_userinfo").await;
    let errmsg = format!("invalid openid: {VISITOR}");
    world.simulator.inject(Fault::Errcode { errcode: 40_003, errmsg }.on(paths::VISITOR_INFO).times(1));
    codes.push(parameter(&function.request(&back.event).await.location(), "login_code"));

    let output = function.kill();
    assert!(
        output.contains("reading the profile of a visitor of") && output.contains("***"),
        "it does print:\n{output}"
    );
    assert_request_ids(&output);
    let mut private = vec![("openid", VISITOR), ("nickname", NICKNAME), ("state", STATE), ("verifier", VERIFIER)];
    private.extend(codes.iter().map(|code| ("login code", code.as_str())));
    private.extend(cookies.iter().map(|cookie| ("cookie", cookie.split_once('=').unwrap().1)));
    assert_neither_leaked(&output, &world.simulator, &private).await;
}

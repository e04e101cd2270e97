//! The time of web-login for a visitor's login, and its logins per second: one after the other to a warm process, with
//! a table and a WeChat that respond at once. With `snsapi_base`: `snsapi_userinfo` takes one more call of WeChat.

use std::thread;
use std::time::Instant;

use base::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};
use stories::browser::parameter;
use stories::http_events::HttpEvent;
use url::Url;

use crate::build;
use crate::calls::{self, ACCOUNT, SERVICE};
use crate::http::{Request, answer, serve};
use crate::lambda::Function;
use crate::platform::Aws;
use crate::report::{Report, median, percentile_99};

/// Logins before the measurement, and in it.
const WARM_UP: u32 = 20;
const LOGINS: u32 = 1_000;

const WECHAT: &str = "Mozilla/5.0 (Linux; Android 14) Mobile Safari/537.36 MicroMessenger/8.0.49";

pub(crate) fn measure(report: &mut Report) {
    let visitor = json!({
        "access_token": "t".repeat(110), "expires_in": 7200, "refresh_token": "r".repeat(110),
        "openid": "oVisitor-0123456789abcdefghi", "scope": "snsapi_base",
    })
    .to_string();
    let wechat = serve(move |_| answer("200 OK", &[("content-type", "text/plain")], &visitor));
    let aws = Aws::start(table);
    let mut variables = aws.variables();
    variables.push(("WECHAT_API_BASE_URL", format!("http://{wechat}")));
    let function = Function::start(&build::function("web-login"), &[], &variables);

    for _ in 0..WARM_UP {
        log_in(&function);
    }
    aws.counts.clear();
    let times: Vec<[f64; 3]> = (0..LOGINS).map(|_| log_in(&function)).collect();
    for (step, what, budget) in
        [(0, "a visitor is sent to WeChat", 2.0), (1, "a visitor comes back", 4.0), (2, "a login is redeemed", 2.0)]
    {
        let times: Vec<f64> = times.iter().map(|of| of[step]).collect();
        let note = format!("of 100 requests, 99 within {:.2} ms", percentile_99(times.clone()));
        report.at_most(what, budget, median(times), "ms", &note);
    }
    let each = |operations: &[&str]| {
        operations.iter().map(|operation| aws.counts.get(operation)).sum::<f64>() / f64::from(LOGINS)
    };
    report.at_most("a login: writes until the visitor is back", 1.0, each(&["PutItem"]), "", "");
    report.at_most("the same: writes of the redemption", 1.0, each(&["UpdateItem"]), "", "");
    report.at_most("the same: reads", 3.0, each(&["GetItem"]), "", "account, component token, login");

    let another = Function::start(&build::function("web-login"), &[], &variables);
    log_in(&another);
    let begun = Instant::now();
    thread::scope(|scope| {
        for function in [function, another] {
            scope.spawn(move || {
                for _ in 0..LOGINS {
                    log_in(&function);
                }
            });
        }
    });
    let rate = f64::from(2 * LOGINS) / begun.elapsed().as_secs_f64();
    report.at_least("logins of two processes", 300.0, rate, "/s", "three requests each, one login after the other");
}

/// A whole login: the time of each of its three requests, in milliseconds.
fn log_in(function: &Function) -> [f64; 3] {
    let login = format!("/login/{ACCOUNT}");
    let query = "scope=snsapi_base&return_url=https%3A%2F%2Fshop.example.com%2Fin&state=0123456789abcdef";
    let (to_wechat, begun) = invoke(function, &visit(&login, "/login/{appid}").query(query), 303);
    let state = parameter(&location(&begun), "state");
    let cookie = begun["cookies"][0].as_str().and_then(|cookie| cookie.split(';').next()).expect("a cookie");

    let path = format!("{login}/callback");
    let query = format!("code=071aBcDeFgHiJkLmNoPqRsTuVwXyZ012&state={state}&appid={ACCOUNT}");
    let back = visit(&path, "/login/{appid}/callback").query(&query).cookie(cookie);
    let (callback, ended) = invoke(function, &back, 303);
    let code = parameter(&location(&ended), "login_code");

    let body = json!({ "login_code": code }).to_string();
    let redeem = HttpEvent::new("POST", "/logins").route("/logins").iam(SERVICE);
    let (redemption, _) = invoke(function, &redeem.header("content-type", "application/json").body(&body), 200);
    [to_wechat, callback, redemption]
}

fn visit(path: &str, route: &str) -> HttpEvent {
    HttpEvent::new("GET", path).route(route).header("user-agent", WECHAT)
}

fn invoke(function: &Function, event: &HttpEvent, status: u16) -> (f64, Value) {
    let event = event.build().to_string();
    let begun = Instant::now();
    let (answered, answer) = function.invoke(&event);
    assert!(answer.contains(&format!("\"statusCode\":{status}")), "{answer}");
    ((answered - begun).as_secs_f64() * 1e3, serde_json::from_str(&answer).expect("JSON"))
}

fn location(answer: &Value) -> Url {
    Url::parse(answer["headers"]["location"].as_str().expect("a redirect")).expect("a URL")
}

/// A table in which every account logs in visitors of one shop, and every code was issued just now.
fn table(operation: &str, request: &Request) -> String {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let partition = body["Key"]["pk"]["S"].as_str().unwrap_or_default();
    let now: Value = SystemClock.now().unix().to_string().into();
    let item = if operation == "GetItem" && partition.contains("#details#") {
        json!({
            "state": { "S": "active" }, "state_since": { "N": "1" }, "version": { "N": "1" },
            "login_origins": { "L": [{ "S": "https://shop.example.com" }] },
        })
    } else if operation == "GetItem" && partition.contains("#web-login#") {
        let login = json!({
            "account": ACCOUNT, "open_id": "oVisitor-0123456789abcdefghi", "scope": "snsapi_base",
            "state": "0123456789abcdef",
        });
        json!({ "login": { "S": login.to_string() }, "created_at": { "N": now } })
    } else {
        return calls::table(operation, request);
    };
    json!({ "Item": item }).to_string()
}

//! Promise 5: however a merchant comes back, neither code nor cookie nor any other secret is in what the process
//! prints, at any log level.

use secrecy::ExposeSecret as _;
use simulator::{Fault, paths};
use stories::bootstrap::Bootstrap;
use stories::http_events::HttpEvent;
use stories::logs::{assert_nothing_leaked, assert_request_ids, leaks};

use super::{BINARY, Merchant, ready};

/// Everything, and more: the filter of somebody who looks for a fault.
const TRACE: &str =
    "trace,lambda_runtime=trace,aws_smithy_runtime=trace,hyper=trace,reqwest=trace,shared=trace,oauth_callback=trace";

#[tokio::test]
async fn no_return_good_or_bad_leaves_a_secret_in_the_log() {
    let world = ready().await;
    let function = Bootstrap::with(BINARY, &world, |variables| {
        variables.insert("RUST_LOG".into(), TRACE.into());
    })
    .await;
    let merchant = Merchant::at_wechat(&world).await;
    assert_eq!(function.request(&merchant.back).await.status, 303);
    assert_eq!(function.request(&merchant.back).await.status, 303, "the page is loaded again");

    // A holder of a code may send it where it is not read, or where it is refused.
    let query = merchant.url.query().unwrap();
    let misplaced = [
        merchant.back.clone().query(&format!("{query}&{query}")),
        HttpEvent::new("GET", merchant.url.path()).query(query),
        HttpEvent::new("GET", &format!("/authorize/{0}/callback/{0}", merchant.link.id)).query(query),
        HttpEvent::new("GET", "/authorize/x").header("referer", merchant.url.as_str()).query(query),
    ];
    for event in &misplaced {
        function.request(event).await;
    }
    // WeChat is busy, drops the connection, and refuses while it repeats the request.
    let token = world.component().await.token().await.unwrap();
    for number in 0..3 {
        let merchant = Merchant::at_wechat(&world).await;
        let errmsg = format!("invalid: {} {}", merchant.consent.redirect_code, token.expose_secret());
        let fault = match number {
            0 => Fault::system_error(),
            1 => Fault::DropAfter,
            _ => Fault::Errcode { errcode: 99_999, errmsg },
        };
        world.simulator.inject(fault.on(paths::QUERY_AUTH).times(1));
        assert_eq!(function.request(&merchant.back).await.status, 303);
    }

    let output = function.kill();
    assert!(output.contains("a merchant came back") && output.contains("***"), "it does print:\n{output}");
    assert_request_ids(&output);
    assert_nothing_leaked(&output, &world.simulator, &[&merchant.consent.push]).await;
    let cookies = merchant.browser.cookie_values();
    assert_eq!(leaks(&output, cookies.iter().map(|cookie| ("cookie", cookie.as_str()))), Vec::<String>::new());
}

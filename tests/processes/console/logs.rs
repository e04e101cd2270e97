//! Promise 5: neither an invitation nor a browser's cookie is in what the process prints, at any log level.

use stories::bootstrap::Bootstrap;
use stories::logs::{assert_request_ids, leaks};

use super::{BINARY, Stage};

/// The filter of somebody who looks for a fault.
const TRACE: &str = "trace,lambda_runtime=trace,aws_smithy_runtime=trace,hyper=trace,console=trace";

#[tokio::test]
async fn no_visit_good_or_bad_leaves_a_cookie_an_invitation_or_a_form_token_in_the_log() {
    let stage = Stage::ready().await;
    for part in ["finding the browser of an operator failed", "binding a browser failed"] {
        stage.world.expect_error(part);
    }
    let function = Bootstrap::with(BINARY, &stage.world, |variables| {
        variables.insert("RUST_LOG".into(), TRACE.into());
    })
    .await;
    let cookie = stage.bind(&function).await;
    let page = function.request(&Stage::page("/console/links", &cookie)).await;
    let (_, token) = page.body.split_once("name=\"form_token\" value=\"").expect("the page has a form");
    let token = token.split('"').next().unwrap();
    let body = format!("form_token={token}&reference=shop-1&kind=3&life=7");
    let made = function.request(&stage.form("/console/links", &cookie, &body)).await;
    assert_eq!(made.status, 303, "{made:?}");
    // A holder of one may send it where it is not read, or is refused.
    for event in [
        stage.form(&stage.invitation, &cookie, ""),
        stage.form("/console/links", "a=b", &body),
        Stage::page(&format!("/console/accounts/{token}"), &cookie),
        Stage::page("/console/audit", &cookie).query(&format!("by={token}")),
        Stage::page("/console", &format!("{cookie}; {cookie}")),
    ] {
        function.request(&event).await;
    }
    // If all is well nothing is logged: the same without a table.
    let without_table = Bootstrap::with(BINARY, &stage.world, |variables| {
        variables.insert("RUST_LOG".into(), TRACE.into());
        variables.insert("AWS_ENDPOINT_URL_DYNAMODB".into(), "http://127.0.0.1:9".into());
    })
    .await;
    for event in [stage.form(&stage.invitation, &cookie, ""), stage.form("/console/links", &cookie, &body)] {
        assert_eq!(without_table.request(&event).await.status, 503);
    }
    let failed = without_table.kill();
    assert_request_ids(&failed);
    let output = function.kill() + &failed;
    let secret = |text: &str| text.rsplit_once('.').unwrap().1.to_owned();
    let secrets = [("invitation", secret(&stage.invitation)), ("cookie", secret(&cookie)), ("token", token.to_owned())];
    let leaked = leaks(&output, secrets.iter().map(|(kind, secret)| (*kind, secret.as_str())));
    assert!(leaked.is_empty(), "{leaked:#?}");
}

//! The function with another implementation of DynamoDB than in all other tests.

use stories::bootstrap::Bootstrap;
use stories::moto::Moto;

use super::{BINARY, Stage};

/// Run by hand: `pip install 'moto[server]'`, then `cargo test -p processes -- --ignored moto`.
#[tokio::test]
#[ignore = "needs moto_server on the PATH, a Python program"]
async fn moto_agrees_on_a_browser_that_is_bound_and_on_what_it_sees() {
    let stage = Stage::ready().await;
    stage.world.authorized_account().await;
    let moto = Moto::start().await;
    moto.take_over(&stage.world).await;
    let start = || Bootstrap::with(BINARY, &stage.world, |variables| moto.redirect(variables));
    let (one, other) = (start().await, start().await);
    let form = stage.form(&stage.invitation, "a=b", "");
    let (first, second) = tokio::join!(one.request(&form), other.request(&form));
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 410], "an invitation binds one of two browsers");
    let bound = if first.status == 303 { first } else { second };
    let cookie = bound.cookies[0].split(';').next().unwrap();
    for path in ["/console", "/console/accounts", "/console/links", "/console/arrivals", "/console/audit"] {
        let page = other.request(&Stage::page(path, cookie)).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
    }
}

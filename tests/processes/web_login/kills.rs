//! The process is killed when WeChat has said who a visitor is and that is not stored yet: WeChat's code is spent, and
//! the visitor logs in once more.

use simulator::{Fault, paths};
use stories::bootstrap::Bootstrap;
use stories::browser::parameter;

use super::{BINARY, Back, SERVICE, Stage, redeems};

#[tokio::test]
async fn a_process_that_dies_with_wechats_answer_costs_one_more_login_and_leaves_nothing() {
    let stage = Stage::ready().await;
    let function = Bootstrap::start(BINARY, &stage.world).await;
    let back = Back::from_wechat(&stage, &function, "snsapi_base").await;
    let before = stage.world.items().await;
    stage.world.simulator.inject(Fault::Hold.on(paths::WEB_LOGIN_TOKEN).times(1));
    let held = stage.world.simulator.until_held(paths::WEB_LOGIN_TOKEN, 1);
    drop(function.kill_during(back.event.build(), held).await);
    stage.world.simulator.release(paths::WEB_LOGIN_TOKEN);
    assert_eq!(stage.world.items().await, before, "nothing is written before WeChat has answered");

    // The gateway returns 500 to the visitor and WeChat's browser loads the page again, here from a function that waits
    // less long for other loads than a deployed one.
    let again = stories::http_client().get(back.url.clone()).header("cookie", &back.cookie).send().await.unwrap();
    let shop = url::Url::parse(again.headers()["location"].to_str().unwrap()).unwrap();
    assert_eq!(parameter(&shop, "error"), "code_used");
    assert_eq!(stage.world.items().await, before);

    // The shop begins again.
    let function = Bootstrap::start(BINARY, &stage.world).await;
    let back = Back::from_wechat(&stage, &function, "snsapi_base").await;
    let code = parameter(&function.request(&back.event).await.location(), "login_code");
    assert_eq!(function.request(&redeems(&code).iam(SERVICE)).await.status, 200);
}

#[tokio::test]
async fn a_login_that_is_written_survives_the_process() {
    let stage = Stage::ready().await;
    let function = Bootstrap::start(BINARY, &stage.world).await;
    let back = Back::from_wechat(&stage, &function, "snsapi_base").await;
    let shop = function.request(&back.event).await.location();
    drop(function.kill());

    let function = Bootstrap::start(BINARY, &stage.world).await;
    let again = function.request(&back.event).await.location();
    assert_eq!(shop, again, "loaded again, by another process");
    assert_eq!(function.request(&redeems(&parameter(&shop, "login_code")).iam(SERVICE)).await.status, 200);
}

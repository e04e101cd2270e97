//! Logins that do not end as they should: pages that are loaded twice, snapshots, refusals by WeChat, and services that
//! do not respond.

use std::time::Duration;

use base::limits::Limits;
use simulator::{Fault, WebLoginBehaviour, paths};
use stories::browser::{Browser, Page, parameter};
use stories::faults::{Fault as TableFault, Matching};
use stories::world::{World, short_limits};
use url::Url;

use super::{STATE, Stage, VISITOR, assert_nothing_of_wechats, error_of, returned};

#[tokio::test]
async fn a_page_that_wechat_loads_twice_ends_well_both_times() {
    let stage = Stage::ready().await;
    let browser = Browser::in_wechat();
    let way_back = stage.way_back(&browser).await;
    let (first, second) = (browser.open(&way_back).await, browser.open(&way_back).await);
    assert_eq!(returned(&first), returned(&second));
    assert_eq!(stage.world.calls(paths::WEB_LOGIN_TOKEN), 2);
    let code = parameter(&returned(&second), "login_code");
    assert_eq!(stage.redeem(&code).await.body, stage.redeem(&code).await.body);

    // Another response of WeChat does not change the first load's result.
    stage.world.simulator.inject(Fault::system_error().on(paths::WEB_LOGIN_TOKEN).times(1));
    assert_eq!(returned(&browser.open(&way_back).await), returned(&first));

    // The back button, long after the login.
    stage.world.pass(Duration::from_mins(2));
    assert_eq!(error_of(&browser.open(&way_back).await), "code_used");
}

#[tokio::test]
async fn of_two_loads_at_once_the_one_that_wechat_refuses_waits_for_the_other() {
    // WeChat takes longer than a few looks.
    const LOOKS: usize = 8;
    let limits = Limits { api: Duration::from_secs(4), ..short_limits() };
    let stage = Stage::of(World::with(|_| (), limits).await).await;
    let browser = Browser::in_wechat();
    let way_back = stage.way_back(&browser).await;
    stage.world.simulator.inject(Fault::Hold.on(paths::WEB_LOGIN_TOKEN).times(1));
    let first = browser.open(&way_back);
    let second = async {
        stage.world.simulator.until_held(paths::WEB_LOGIN_TOKEN, 1).await;
        let released = async {
            // The second load has been refused, and looks for the first one's login.
            let looks = || stage.world.faults.requests("GetItem");
            let before = looks();
            while stage.world.calls(paths::WEB_LOGIN_TOKEN) < 2 || looks() < before + LOOKS {
                tokio::task::yield_now().await;
            }
            stage.world.simulator.release(paths::WEB_LOGIN_TOKEN);
        };
        tokio::join!(browser.open(&way_back), released).0
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(returned(&first), returned(&second));
    assert_eq!(stage.redeem(&parameter(&returned(&second), "login_code")).await.body["openid"], VISITOR);
}

#[tokio::test]
async fn a_second_load_waits_as_long_as_the_first_one_can_take() {
    // WeChat exchanges the code and then hangs: the first load's calls end at their limit.
    let limits = Limits {
        page: Duration::from_secs(8),
        table: Duration::from_secs(4),
        table_try: Duration::from_secs(2),
        api: Duration::from_secs(7),
        ..short_limits()
    };
    let stage = Stage::of(World::with(|_| (), limits).await).await;
    let browser = Browser::in_wechat();
    let way_back = stage.way_back_after_consent(&browser).await;
    stage.world.simulator.inject(Fault::HoldBefore.on(paths::VISITOR_INFO).times(1));
    let second = async {
        stage.world.simulator.until_held(paths::VISITOR_INFO, 1).await;
        // A look that fails is not the last one.
        stage.world.faults.next(1, Matching::operation("GetItem").containing("web-login"), TableFault::ServerError);
        browser.open(&way_back).await
    };
    let (first, second) = tokio::join!(browser.open(&way_back), second);
    assert_eq!(returned(&first), returned(&second));
    assert_eq!(stage.redeem(&parameter(&returned(&second), "login_code")).await.body["openid"], VISITOR);
}

#[tokio::test]
async fn a_second_code_of_the_same_attempt_is_a_login_of_its_own() {
    let stage = Stage::ready().await;
    let browser = Browser::in_wechat();
    let begun = browser.open(&stage.login_url("snsapi_base")).await;
    let mut codes = Vec::new();
    for _ in 0..2 {
        let way_back = browser.open(&begun.location()).await.location();
        codes.push(parameter(&returned(&browser.open(&way_back).await), "login_code"));
    }
    assert_ne!(codes[0], codes[1]);
    for code in codes {
        assert_eq!(stage.redeem(&code).await.body["openid"], VISITOR);
    }
}

#[tokio::test]
async fn made_up_ids_of_a_snapshot_are_given_to_nobody() {
    let stage = Stage::ready().await;
    stage.wechat_does(WebLoginBehaviour { snapshot: true, ..Default::default() });
    let browser = Browser::in_wechat();
    let way_back = stage.way_back_after_consent(&browser).await;
    for _ in 0..2 {
        let back = returned(&browser.open(&way_back).await);
        assert_eq!(parameter(&back, "error"), "snapshot");
        assert!(!back.as_str().contains("login_code"), "{back}");
    }
    assert_eq!(stage.world.calls(paths::VISITOR_INFO), 0);
}

#[tokio::test]
async fn the_flag_of_a_snapshot_is_passed_on_where_the_openid_is_real() {
    let stage = Stage::ready().await;
    let browser = Browser::in_wechat();
    let way_back = stage.way_back(&browser).await;
    let flagged = format!(
        r#"{{"access_token":"t","expires_in":7200,"refresh_token":"r","openid":"{VISITOR}","scope":"snsapi_base","is_snapshotuser":1}}"#
    );
    stage.world.simulator.inject(Fault::answer("application/json", flagged).on(paths::WEB_LOGIN_TOKEN).times(1));
    let login = stage.redeem(&parameter(&returned(&browser.open(&way_back).await), "login_code")).await;
    assert_eq!((&login.body["openid"], &login.body["snapshot"]), (&VISITOR.into(), &true.into()));
}

/// A visitor comes back while this fault affects the exchange of the code.
async fn comes_back_to(stage: &Stage, fault: Fault) -> Page {
    let browser = Browser::in_wechat();
    let way_back = stage.way_back(&browser).await;
    stage.world.simulator.inject(fault.on(paths::WEB_LOGIN_TOKEN).times(1));
    let page = browser.open(&way_back).await;
    stage.world.simulator.clear_faults();
    assert_nothing_of_wechats(stage, &[&page.text]);
    page
}

#[tokio::test]
async fn codes_that_wechat_does_not_take_send_the_visitor_back_to_log_in_again() {
    let stage = Stage::ready().await;
    for code in [40029, 42003, 40163] {
        assert_eq!(error_of(&comes_back_to(&stage, Fault::errcode(code)).await), "code_used", "{code}");
    }
    let browser = Browser::in_wechat();
    let way_back = stage.way_back(&browser).await;
    stage.world.pass(Duration::from_mins(6));
    assert_eq!(error_of(&browser.open(&way_back).await), "code_used");
}

#[tokio::test]
async fn while_wechat_is_away_the_visitor_is_told_to_try_later() {
    let stage = Stage::ready().await;
    stage.world.expect_error("logging a visitor in failed");
    for fault in [
        Fault::system_error(),
        Fault::BadGateway,
        Fault::DropUnread,
        Fault::DropAfter,
        Fault::HoldBefore,
        Fault::errcode(45009),
        Fault::errcode(61004),
        Fault::answer("text/html", "<html>"),
        Fault::answer("application/json", r#"{"errcode":0,"errmsg":"ok"}"#),
        Fault::answer("application/json", r#"{"access_token":"t","expires_in":7200}"#),
        Fault::answer("application/json", "{\"access_token\":\"t\",\"openid\":\"o\u{fffd}\"}"),
    ] {
        let said = format!("{fault:?}");
        assert_eq!(error_of(&comes_back_to(&stage, fault).await), "temporarily_unavailable", "{said}");
    }
}

#[tokio::test]
async fn an_account_that_wechat_does_not_let_log_visitors_in_gets_a_page_with_a_way_on() {
    let stage = Stage::ready().await;
    for code in [61003, 48001, 61007, 40013, 50002] {
        let page = comes_back_to(&stage, Fault::errcode(code)).await;
        assert_eq!(page.status, 409, "{code} {}", page.text);
        let onward = page.link("Back to the page");
        assert_eq!(parameter(&onward, "error"), "temporarily_unavailable");
        assert_eq!(parameter(&onward, "state"), STATE);
    }
}

#[tokio::test]
async fn a_merchant_who_leaves_in_mid_login_stops_it() {
    let stage = Stage::ready().await;
    let browser = Browser::in_wechat();
    let way_back = stage.way_back(&browser).await;
    let push = stage.world.simulator.unauthorize(&stage.account).unwrap();
    let page = browser.open(&way_back).await;
    assert_eq!(page.status, 409, "{}", page.text);
    assert!(page.text.contains("Login unavailable"), "{}", page.text);
    stage.world.push_and_work(&push).await;
    let page = browser.open(&stage.login_url("snsapi_base")).await;
    assert_eq!(page.status, 409, "{}", page.text);
    assert!(page.text.contains("no longer valid"), "{}", page.text);
}

#[tokio::test]
async fn a_component_token_that_wechat_refuses_costs_no_login() {
    let stage = Stage::ready().await;
    let browser = Browser::in_wechat();
    let way_back = stage.way_back(&browser).await;
    stage.world.another_server_issues_a_component_token().await;
    stage.world.expect_error("the platform was issued a token by somebody else");
    let code = parameter(&returned(&browser.open(&way_back).await), "login_code");
    assert_eq!(stage.redeem(&code).await.body["openid"], VISITOR);
}

#[tokio::test]
async fn a_profile_that_wechat_does_not_give_costs_no_login() {
    let stage = Stage::ready().await;
    for fault in
        [Fault::system_error(), Fault::DropAfter, Fault::errcode(48001), Fault::errcode(40001), Fault::HoldBefore]
    {
        let browser = Browser::in_wechat();
        let way_back = stage.way_back_after_consent(&browser).await;
        stage.world.simulator.inject(fault.on(paths::VISITOR_INFO).times(1));
        let login = stage.redeem(&parameter(&returned(&browser.open(&way_back).await), "login_code")).await;
        assert_eq!((&login.body["openid"], login.body.get("profile")), (&VISITOR.into(), None));
        stage.world.simulator.clear_faults();
    }
    assert_eq!(stage.world.calls(paths::COMPONENT_TOKEN), 1, "a visitor's token is not the platform's");
}

#[tokio::test]
async fn while_the_table_is_away_nobody_is_logged_in_as_anybody() {
    let stage = Stage::ready().await;
    stage.world.expect_error("logging a visitor in failed");
    let browser = Browser::in_wechat();
    let way_back = stage.way_back(&browser).await;
    stage.world.faults.always(Matching::operation("PutItem"), TableFault::Away);
    assert_eq!(error_of(&browser.open(&way_back).await), "temporarily_unavailable");
    stage.world.faults.clear();
    // A write whose response is lost has been done all the same.
    let way_back = stage.way_back(&browser).await;
    stage.world.faults.next(1, Matching::operation("PutItem"), TableFault::LostReply);
    let code = parameter(&returned(&browser.open(&way_back).await), "login_code");
    stage.world.faults.next(1, Matching::operation("UpdateItem"), TableFault::LostReply);
    assert_eq!(stage.redeem(&code).await.body["openid"], VISITOR);

    stage.world.expect_error("beginning a visitor's login failed");
    stage.world.faults.always(Matching::any(), TableFault::Away);
    let page = browser.open(&stage.login_url("snsapi_base")).await;
    assert_eq!(page.status, 503, "{}", page.text);
    assert!(page.text.contains("the shop that you came from"), "{}", page.text);
}

#[tokio::test]
async fn two_tabs_do_not_disturb_each_other() {
    let stage = Stage::ready().await;
    let browser = Browser::in_wechat();
    let ways: Vec<Url> = vec![stage.way_back(&browser).await, stage.way_back(&browser).await];
    for way in ways.iter().rev() {
        let code = parameter(&returned(&browser.open(way).await), "login_code");
        assert_eq!(stage.redeem(&code).await.body["openid"], VISITOR);
    }
    for _ in 0..20 {
        stage.way_back(&browser).await;
    }
    assert_eq!(browser.cookie_names().len(), 3, "however often a page begins, the browser is not locked out");
}

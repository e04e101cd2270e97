//! Sessions: who has one, and what ends it.

use std::time::Duration;

use http::Method;
use http::header::{REFRESH, SET_COOKIE};
use stories::browser::Browser;

use super::{Stage, form_token};
use crate::key_door::operator as admin;

const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn without_a_bound_browser_there_is_nothing_to_see_or_to_do() {
    let stage = Stage::ready().await;
    let bound = stage.bound("li", "act").await;
    let value = bound.cookie_values()[0].clone();
    let before = stage.table().await;
    let nobody = Browser::on_computer();
    for path in stage.paths(&Method::GET) {
        let page = stage.open(&nobody, &path).await;
        assert_eq!(page.status, 401, "{path}");
        assert!(
            page.text.contains("This browser is not signed in") && page.text.contains("invitation"),
            "{}",
            page.text
        );
        assert!(!page.text.contains(stage.account.as_str()) && !page.text.contains("<nav"), "{}", page.text);
        assert_eq!(page.headers["cache-control"], "no-store");
    }
    for path in stage.paths(&Method::POST) {
        let sent = nobody.send_form(&stage.url(&path), Some(&stage.origin()), &[]).await;
        assert_eq!(sent.status, 401, "{path}");
    }
    let parts: Vec<&str> = value.split('.').collect();
    let (secret, rest) = (parts[parts.len() - 1], &parts[..parts.len() - 1]);
    let altered = [
        rest.join("."),
        value.replacen("li.", "wang.", 1),
        value.replacen("li.", "LI.", 1),
        secret.to_owned(),
        "....".to_owned(),
        String::new(),
    ];
    for cookie in &altered {
        let cookie = format!("console={cookie}");
        let forged = nobody.open_with(&stage.url("/console"), &[("cookie", &cookie)]).await;
        assert_eq!(forged.status, 401, "{cookie}");
    }
    assert!(stage.is_bound(&bound).await);
    assert!(!before.contains(secret), "the table has no secret of a browser");
}

#[tokio::test]
async fn guesses_at_a_cookie_change_nothing() {
    let stage = Stage::ready().await;
    let browser = stage.bound("li", "act").await;
    assert!(stage.is_bound(&browser).await);
    let value = browser.cookie_values()[0].clone();
    let parts: Vec<&str> = value.split('.').collect();
    let before = stage.table().await;
    // A reader of the audit knows the name and the id.
    for (lineage, secret) in [("A".repeat(64), parts[3].to_owned()), (String::new(), "A".repeat(43))] {
        let cookie = format!("console={}.{}.{lineage}.{secret}", parts[0], parts[1]);
        let page = Browser::on_phone().open_with(&stage.url("/console"), &[("cookie", &cookie)]).await;
        assert_eq!(page.status, 401);
    }
    assert_eq!(stage.table().await, before);
    assert!(stage.is_bound(&browser).await);
}

#[tokio::test]
async fn a_page_that_a_chat_leads_to_opens_itself_again() {
    let stage = Stage::ready().await;
    let browser = stage.bound("li", "act").await;
    let url = stage.url(&format!("/console/accounts/{}", stage.account));
    // The browser withholds its cookie: it is SameSite=Strict.
    let from_chat = Browser::on_computer().open_with(&url, &[("sec-fetch-site", "cross-site")]).await;
    assert_eq!((from_chat.status, &from_chat.headers[REFRESH]), (200, &"0".parse().unwrap()), "{}", from_chat.text);
    assert!(!from_chat.text.contains(stage.account.as_str()), "{}", from_chat.text);
    assert_eq!(browser.open_with(&url, &[("sec-fetch-site", "same-origin")]).await.status, 200);
    for site in ["same-origin", "none", "same-site"] {
        let page = Browser::on_computer().open_with(&url, &[("sec-fetch-site", site)]).await;
        assert_eq!((page.status, page.headers.contains_key(REFRESH)), (401, false), "{site}");
    }
}

#[tokio::test]
async fn a_browser_is_bound_for_thirty_days_however_often_it_comes() {
    let stage = Stage::ready().await;
    let (daily, never) = (stage.bound("li", "act").await, stage.bound("wang", "act").await);
    let mut lives = Vec::new();
    for _ in 0..29 {
        stage.world.pass(DAY);
        let page = stage.see(&daily, "/console/browsers").await;
        let cookie = page.headers[SET_COOKIE].to_str().unwrap();
        lives.push(cookie.split("Max-Age=").nth(1).unwrap().split(';').next().unwrap().parse::<u64>().unwrap());
    }
    assert_eq!(lives[..2], [29 * DAY.as_secs(), 28 * DAY.as_secs()], "a new cookie lives no longer than the old one");
    stage.world.pass(DAY.saturating_sub(Duration::from_secs(1)));
    assert!(stage.is_bound(&daily).await && stage.is_bound(&never).await);
    stage.world.pass(Duration::from_secs(1));
    assert!(!stage.is_bound(&daily).await && !stage.is_bound(&never).await);
    // Another invitation is all that is needed.
    stage.bind(&daily, &stage.invited_again("li").await).await;
    assert!(stage.is_bound(&daily).await);
}

#[tokio::test]
async fn the_end_of_an_operator_ends_all_of_their_browsers_at_once() {
    let stage = Stage::ready().await;
    let (one, other) = (stage.bound("li", "act").await, Browser::on_phone());
    stage.bind(&other, &stage.invited_again("li").await).await;
    let until = stage.world.now().plus(Duration::from_mins(10)).rfc3339();
    let code = stage.invited_until("guest", "look", Some(&until)).await;
    let guest = Browser::on_computer();
    stage.bind(&guest, &code).await;
    assert!(stage.see(&guest, "/console/browsers").await.text.contains("view only"));
    stage.world.pass(Duration::from_secs(599));
    assert!(stage.is_bound(&guest).await);
    stage.world.pass(Duration::from_secs(1));
    assert!(!stage.is_bound(&guest).await);

    let page = stage.see(&one, "/console/links").await;
    let li = stage.operator("li").await;
    stage.world.store().operators.end(&li.name, &admin(), stage.world.now()).await.unwrap();
    assert!(!stage.is_bound(&one).await && !stage.is_bound(&other).await);
    let before = stage.table().await;
    let late = one.submit_to(&page, "/console/links", &[("kind", "3"), ("life", "7")]).await;
    assert_eq!(late.status, 401, "{}", late.text);
    assert_eq!(stage.table().await, before);
    // A new operator of that name is a different one.
    let anew = stage.bound("li", "act").await;
    assert!(!stage.is_bound(&one).await && stage.is_bound(&anew).await);
}

#[tokio::test]
async fn an_operator_ends_their_own_browsers_and_nobody_elses() {
    let stage = Stage::ready().await;
    let (computer, phone) = (stage.bound("li", "look").await, Browser::on_phone());
    stage.bind(&phone, &stage.invited_again("li").await).await;
    let wang = stage.bound("wang", "act").await;
    let id_of = |browser: &Browser| browser.cookie_values()[0].split('.').nth(1).unwrap().to_owned();
    let path_of = |browser: &Browser| format!("/console/browsers/{}/end", id_of(browser));
    let own = stage.see(&computer, "/console/browsers").await;
    for shown in ["Chrome, Linux", "Safari, iPhone", "this one"] {
        assert!(own.text.contains(shown), "{shown}: {}", own.text);
    }
    assert!(!own.text.contains(&id_of(&wang)));
    let token = form_token(&own);
    let fields = [("form_token", token.as_str())];
    let stolen = computer.send_form(&stage.url(&path_of(&wang)), Some(&stage.origin()), &fields).await;
    assert_eq!(stolen.status, 404);
    assert!(stage.is_bound(&wang).await);

    let ended = computer.submit_to(&own, &path_of(&phone), &[]).await;
    assert_eq!((ended.status, ended.location()), (303, stage.url("/console/browsers?done=browser-ended")));
    assert!(computer.open(&ended.location()).await.text.contains("The browser was signed out"));
    assert!(!stage.is_bound(&phone).await && stage.is_bound(&computer).await);
    stage.assert_audited(&format!("operator:li browser.end {}: done", id_of(&phone))).await;
    let out = computer.submit_to(&own, &path_of(&computer), &[]).await;
    assert_eq!(out.status, 200, "{}", out.text);
    assert!(out.text.contains("Signed out"), "{}", out.text);
    assert!(!stage.is_bound(&computer).await);
}

#[tokio::test]
async fn a_session_costs_two_reads_and_its_first_request_of_a_day_a_write() {
    let stage = Stage::ready().await;
    let browser = stage.bound("li", "act").await;
    stage.see(&browser, "/console/setup").await;
    let faults = &stage.world.faults;
    faults.reset_counts();
    stage.see(&browser, "/console/operators").await;
    let writes = |name: &str| ["UpdateItem", "PutItem", "TransactWriteItems"].contains(&name);
    let requests = faults.all_requests();
    assert!(!requests.keys().any(|name| writes(name)), "{requests:?}");
    assert_eq!(requests["GetItem"], 2, "{requests:?}");
}

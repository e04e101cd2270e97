//! The daily replacement of a cookie, and the fate of copies of it.

use std::time::Duration;

use http::header::SET_COOKIE;
use stories::browser::{Browser, Page};

use super::Stage;

const DAY: Duration = Duration::from_hours(24);

/// Longer than requests are in progress.
const A_MINUTE: Duration = Duration::from_secs(61);

fn is_offered_another(page: &Page) -> bool {
    page.headers.contains_key(SET_COOKIE)
}

/// Opens a page with access.
async fn comes(stage: &Stage, browser: &Browser) -> Page {
    stage.see(browser, "/console/browsers").await
}

/// A browser whose cookie is a day old, and a copy of it.
async fn with_copy(stage: &Stage) -> (Browser, Browser) {
    let owner = stage.bound("li", "act").await;
    let copy = owner.copied();
    stage.world.pass(DAY);
    (owner, copy)
}

async fn assert_both_ended(stage: &Stage, owner: &Browser, copy: &Browser) {
    assert!(!stage.is_bound(owner).await && !stage.is_bound(copy).await);
    assert!(stage.world.log.text().contains("there is a copy of its cookie"));
    let entries = stage.audit().await;
    assert!(entries.iter().any(|entry| entry.starts_with("console browser.end ")), "{entries:?}");
}

#[tokio::test]
async fn a_cookie_is_replaced_once_a_day_and_the_old_one_is_good_until_the_new_one_is_seen() {
    let stage = Stage::ready().await;
    let owner = stage.bound("li", "act").await;
    stage.world.pass(DAY.saturating_sub(Duration::from_secs(1)));
    assert!(!is_offered_another(&comes(&stage, &owner).await));
    stage.world.pass(Duration::from_secs(1));
    let before = owner.copied();
    assert!(is_offered_another(&comes(&stage, &owner).await));
    assert_ne!(before.cookie_values(), owner.cookie_values());
    // Requests that were sent before the response arrived.
    assert!(!is_offered_another(&comes(&stage, &before).await));
    assert!(!is_offered_another(&comes(&stage, &owner).await), "it is new for a day");
    stage.world.pass(Duration::from_mins(1));
    assert!(!is_offered_another(&comes(&stage, &before).await), "still under way for a minute");
    stage.world.pass(DAY.saturating_sub(A_MINUTE));
    assert!(!is_offered_another(&comes(&stage, &owner).await));
    stage.world.pass(Duration::from_secs(1));
    assert!(is_offered_another(&comes(&stage, &owner).await));
}

#[tokio::test]
async fn a_new_cookie_that_was_lost_on_the_way_is_offered_again_after_a_minute() {
    let stage = Stage::ready().await;
    let (owner, lost) = with_copy(&stage).await;
    assert!(is_offered_another(&comes(&stage, &lost).await));
    assert!(!is_offered_another(&comes(&stage, &owner).await));
    stage.world.pass(A_MINUTE);
    assert!(is_offered_another(&comes(&stage, &owner).await));
    for _ in 0..3 {
        assert!(!is_offered_another(&comes(&stage, &owner).await));
        stage.world.pass(A_MINUTE);
    }
    stage.world.pass(DAY);
    assert!(is_offered_another(&comes(&stage, &owner).await));
    assert!(stage.is_bound(&owner).await);
}

#[tokio::test]
async fn of_requests_at_the_same_moment_one_is_offered_a_new_cookie_and_all_are_let_in() {
    let stage = Stage::ready().await;
    let (owner, _) = with_copy(&stage).await;
    let tabs: Vec<Browser> = (0..6).map(|_| owner.copied()).collect();
    let url = stage.url("/console/browsers");
    let pages = futures::future::join_all(tabs.iter().map(|tab| tab.open(&url))).await;
    assert!(pages.iter().all(|page| page.status == 200));
    assert_eq!(pages.iter().filter(|page| is_offered_another(page)).count(), 1);
    let chosen = pages.iter().position(is_offered_another).unwrap();
    // Tabs share a jar: all have it from now on.
    let tabs: Vec<Browser> = (0..6).map(|_| tabs[chosen].copied()).collect();
    let pages = futures::future::join_all(tabs.iter().map(|tab| tab.open(&url))).await;
    assert!(pages.iter().all(|page| page.status == 200 && !is_offered_another(page)));
    stage.world.pass(A_MINUTE);
    assert!(stage.is_bound(&tabs[0]).await);
}

#[tokio::test]
async fn a_stolen_cookie_works_until_its_owner_comes_on_another_day_and_its_use_ends_both() {
    let stage = Stage::ready().await;
    let owner = stage.bound("li", "act").await;
    let stolen = owner.copied();
    comes(&stage, &stolen).await;
    stage.world.pass(DAY);
    comes(&stage, &owner).await;
    comes(&stage, &owner).await;
    stage.world.pass(A_MINUTE);
    let page = stage.open(&stolen, "/console").await;
    assert_eq!(page.status, 401, "{}", page.text);
    assert!(!is_offered_another(&page));
    assert_both_ended(&stage, &owner, &stolen).await;
}

#[tokio::test]
async fn a_thief_who_comes_first_is_found_when_the_owner_comes() {
    let stage = Stage::ready().await;
    let (owner, stolen) = with_copy(&stage).await;
    comes(&stage, &stolen).await;
    comes(&stage, &stolen).await;
    stage.world.pass(A_MINUTE);
    assert!(!stage.is_bound(&owner).await);
    assert_both_ended(&stage, &owner, &stolen).await;
}

#[tokio::test]
async fn a_thief_is_found_although_the_owner_stays_away_for_a_week() {
    let stage = Stage::ready().await;
    let (owner, stolen) = with_copy(&stage).await;
    for _ in 0..7 {
        for _ in 0..2 {
            comes(&stage, &stolen).await;
        }
        stage.world.pass(DAY);
    }
    comes(&stage, &stolen).await;
    assert!(!stage.is_bound(&owner).await);
    assert_both_ended(&stage, &owner, &stolen).await;
}

#[tokio::test]
async fn a_thief_who_takes_the_owners_offer_away_is_found() {
    let stage = Stage::ready().await;
    let (owner, stolen) = with_copy(&stage).await;
    assert!(is_offered_another(&comes(&stage, &owner).await));
    stage.world.pass(A_MINUTE);
    // The owner has opened only one page, so the old cookie is still valid.
    assert!(is_offered_another(&comes(&stage, &stolen).await));
    assert!(!stage.is_bound(&owner).await);
    assert_both_ended(&stage, &owner, &stolen).await;
}

#[tokio::test]
async fn a_cookie_that_is_replaced_while_the_table_fails_locks_nobody_out() {
    use stories::faults::{Fault, Matching};
    let stage = Stage::ready().await;
    let (owner, _) = with_copy(&stage).await;
    stage.world.faults.next(1, Matching::setting("next_digest"), Fault::LostReply);
    assert!(is_offered_another(&comes(&stage, &owner).await), "the second try finds its own");
    stage.world.faults.next(1, Matching::setting("previous_digest"), Fault::LostReply);
    comes(&stage, &owner).await;
    stage.world.pass(A_MINUTE);
    assert!(stage.is_bound(&owner).await);
    stage.world.pass(DAY);
    stage.world.faults.always(Matching::operation("UpdateItem"), Fault::Away);
    assert!(!is_offered_another(&comes(&stage, &owner).await), "it can look, with the cookie that it has");
    stage.world.faults.clear();
    assert!(is_offered_another(&comes(&stage, &owner).await));
    stage.world.faults.always(Matching::operation("UpdateItem"), Fault::Away);
    comes(&stage, &owner).await;
    stage.world.faults.clear();
    assert!(stage.is_bound(&owner).await);
}

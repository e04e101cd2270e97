//! The storage of operators, their invitations and browsers, and the audit: races, lost replies, and costs.

use std::time::Duration;

use base::ids::{BrowserId, OperatorName};
use base::random::Random;
use secrecy::{ExposeSecret as _, SecretString};
use store::{
    Actor, AuditEntry, BROWSER_LIFE, Browser, INVITATION_LIFE, Invitation, InvitationCode, NewBrowser, Operator,
    OperatorRequest, SecretDigest, WriteOutcome,
};
use stories::faults::{Fault, Matching};
use stories::world::{TABLE, World};

use crate::key_door::operator as admin;

fn name(text: &str) -> OperatorName {
    OperatorName::parse(text).unwrap()
}

/// An operator who is not stored yet, with an invitation.
fn asked(world: &World, name: &str, until: Option<&str>) -> (Operator, Invitation, InvitationCode) {
    let (random, now) = (Random::system(), world.now());
    let operator = OperatorRequest::new(name, "act", until, now).unwrap().make(&admin().by, &random, now);
    let (invitation, code) = operator.invitation(&admin().by, &random, now);
    (operator, invitation, code)
}

/// A stored operator, and the code of their first invitation.
async fn made(world: &World, name: &str) -> (Operator, InvitationCode) {
    let (operator, invitation, code) = asked(world, name, None);
    assert!(world.store().operators.create(&operator, &invitation, &admin()).await.unwrap());
    (operator, code)
}

fn new_browser() -> (NewBrowser, SecretString) {
    let random = Random::system();
    let secret = SecretString::from(random.secret());
    let (id, digest) = (BrowserId::generate(&random), SecretDigest::of(&secret));
    let form_token = random.secret().into();
    (NewBrowser { id, secret: digest, form_token, label: "Chrome, Windows".to_owned() }, secret)
}

fn li() -> Actor {
    Actor { by: "operator:li".to_owned(), source_ip: Some([203, 0, 113, 7].into()), request_id: None }
}

/// Binds a fresh browser with an invitation.
async fn bound(world: &World, code: &InvitationCode) -> Option<(Operator, Browser)> {
    let (browser, _) = new_browser();
    world.store().browsers.bind(&code.operator, &code.digest(), &browser, &li(), world.now()).await.unwrap()
}

async fn session(world: &World, browser: &Browser) -> Option<Browser> {
    let session = world.store().browsers.session(&browser.operator, &browser.id, world.now()).await;
    session.unwrap().map(|(_, browser)| browser)
}

/// The acts in the audit, the newest first, with their subjects.
async fn acts(world: &World) -> Vec<String> {
    let entries = world.store().audit_log.page(None, 100).await.unwrap().entries;
    entries.into_iter().map(|entry| format!("{} {}", entry.act, entry.subject.unwrap_or_default())).collect()
}

#[tokio::test]
async fn an_operator_is_kept_without_the_invitations_code_and_not_twice() {
    let world = World::start().await;
    let operators = world.store().operators;
    let (operator, invitation, code) = asked(&world, "li", Some("2099-01-01T00:00:00Z"));
    world.faults.reset_counts();
    world.faults.next(1, Matching::operation("TransactWriteItems"), Fault::LostReply);
    assert!(operators.create(&operator, &invitation, &admin()).await.unwrap());
    assert_eq!(operators.get(&operator.name).await.unwrap(), Some(operator.clone()));
    let (another, invitation, _) = asked(&world, "li", None);
    assert!(!operators.create(&another, &invitation, &admin()).await.unwrap());
    assert_eq!(operators.get(&operator.name).await.unwrap(), Some(operator));
    assert_eq!(acts(&world).await, ["operator.create li"]);
    let items = format!("{:?}", world.database.client().scan().table_name(TABLE).send().await.unwrap());
    let text = code.text();
    assert!(!items.contains(text.expose_secret().rsplit_once('.').unwrap().1), "the code is in the table");
}

#[tokio::test]
async fn of_two_operators_of_one_name_who_are_made_at_once_one_is() {
    let world = World::start().await;
    let operators = world.store().operators;
    let ((one, for_one, _), (other, for_other, _)) = (asked(&world, "li", None), asked(&world, "li", None));
    let by = admin();
    let (first, second) =
        tokio::join!(operators.create(&one, &for_one, &by), operators.create(&other, &for_other, &by));
    assert!(first.unwrap() != second.unwrap());
    assert_eq!(acts(&world).await, ["operator.create li"]);
}

#[tokio::test]
async fn an_invitation_binds_one_browser_also_after_a_lost_reply() {
    let world = World::start().await;
    let (operator, code) = made(&world, "li").await;
    world.pass(Duration::from_secs(1));
    world.faults.next(1, Matching::operation("TransactWriteItems"), Fault::LostReply);
    world.faults.reset_counts();
    let (of, browser) = bound(&world, &code).await.expect("it is bound");
    assert_eq!((of, browser.ends_at), (operator.clone(), world.now().plus(BROWSER_LIFE)));
    assert_eq!((browser.label.as_str(), browser.operator_id.clone()), ("Chrome, Windows", operator.id.clone()));
    assert_eq!(world.faults.requests("GetItem"), 3);
    assert!(bound(&world, &code).await.is_none(), "it is used");
    assert_eq!(world.store().browsers.of(&operator, world.now()).await.unwrap().len(), 1);
    assert_eq!(acts(&world).await[..1], [format!("browser.bind {}", browser.id)]);

    let (_, code) = made(&world, "wang").await;
    let (one, other) = tokio::join!(bound(&world, &code), bound(&world, &code));
    assert!(one.is_some() != other.is_some(), "two at the same moment");
    let made_up = InvitationCode::generate(&name("li"), &Random::system());
    assert!(bound(&world, &made_up).await.is_none());
}

#[tokio::test]
async fn an_invitation_is_over_after_half_an_hour() {
    let world = World::start().await;
    let (operator, code) = made(&world, "li").await;
    let (further, further_code) = operator.invitation("me", &Random::system(), world.now());
    assert!(world.store().operators.invite(&operator, &further, &admin()).await.unwrap());
    world.pass(INVITATION_LIFE.saturating_sub(Duration::from_secs(1)));
    assert!(bound(&world, &code).await.is_some());
    world.pass(Duration::from_secs(1));
    assert!(bound(&world, &further_code).await.is_none());
    let acts = acts(&world).await;
    assert!(acts.contains(&"operator.invite li".to_owned()), "{acts:?}");
}

#[tokio::test]
async fn an_ended_operator_has_no_access_by_any_earlier_browser_or_invitation() {
    let world = World::start().await;
    let (operators, browsers) = (world.store().operators, world.store().browsers);
    let (operator, code) = made(&world, "li").await;
    let (_, browser) = bound(&world, &code).await.unwrap();
    let (unused, unused_code) = operator.invitation("me", &Random::system(), world.now());
    assert!(operators.invite(&operator, &unused, &admin()).await.unwrap());
    assert!(session(&world, &browser).await.is_some());
    let then = world.now();
    world.faults.next(1, Matching::operation("TransactWriteItems"), Fault::LostReply);
    let ended = operators.end(&operator.name, &admin(), then).await.unwrap().unwrap();
    assert_eq!((ended.ended_at, ended.ended_by), (Some(then), Some(admin().by)));
    world.pass(Duration::from_secs(5));
    let again = operators.end(&operator.name, &li(), world.now()).await.unwrap().unwrap();
    assert_eq!(again.ended_at, Some(then), "a second end keeps the first time");
    assert_eq!(operators.end(&name("wang"), &admin(), then).await.unwrap(), None);
    let refused = async || {
        assert!(session(&world, &browser).await.is_none());
        assert!(bound(&world, &unused_code).await.is_none());
        let (late, _) = operator.invitation("me", &Random::system(), world.now());
        assert!(!operators.invite(&operator, &late, &admin()).await.unwrap());
    };
    refused().await;
    let (anew, code) = made(&world, "li").await;
    refused().await;
    assert!(browsers.of(&anew, world.now()).await.unwrap().is_empty());
    assert!(bound(&world, &code).await.is_some());
    assert_eq!(acts(&world).await.iter().filter(|act| *act == "operator.end li").count(), 1);
}

#[tokio::test]
async fn an_operator_works_until_their_end_and_may_be_made_anew_then() {
    let world = World::start().await;
    let until = world.now().plus(Duration::from_mins(10));
    let (operator, invitation, code) = asked(&world, "li", Some(&until.rfc3339()));
    let operators = world.store().operators;
    operators.create(&operator, &invitation, &admin()).await.unwrap();
    let (further, late) = operator.invitation("me", &Random::system(), world.now());
    assert!(operators.invite(&operator, &further, &admin()).await.unwrap());
    let (_, browser) = bound(&world, &code).await.unwrap();
    world.pass(Duration::from_secs(599));
    assert!(session(&world, &browser).await.is_some());
    world.pass(Duration::from_secs(1));
    assert!(session(&world, &browser).await.is_none());
    assert!(bound(&world, &late).await.is_none());
    let (further, _) = operator.invitation("me", &Random::system(), world.now());
    assert!(!operators.invite(&operator, &further, &admin()).await.unwrap());
    made(&world, "li").await;
    assert!(session(&world, &browser).await.is_none());
}

#[tokio::test]
async fn a_browser_that_is_bound_while_its_operator_ends_does_not_work() {
    for _ in 0..5 {
        let world = World::start().await;
        let (operator, code) = made(&world, "li").await;
        let operators = world.store().operators;
        let by = admin();
        let (bound, ended) = tokio::join!(bound(&world, &code), operators.end(&operator.name, &by, world.now()));
        assert!(ended.unwrap().is_some());
        if let Some((_, browser)) = bound {
            assert!(session(&world, &browser).await.is_none());
        }
    }
}

#[tokio::test]
async fn of_two_offers_one_is_kept_and_a_later_one_replaces_it() {
    let world = World::start().await;
    let browsers = world.store().browsers;
    let (_, code) = made(&world, "li").await;
    let (_, browser) = bound(&world, &code).await.unwrap();
    let [one, other, later] = [(); 3].map(|()| SecretDigest::of(&Random::system().secret().into()));
    world.faults.next(1, Matching::operation("UpdateItem"), Fault::LostReply);
    let now = world.now();
    assert_eq!(browsers.offer(&browser, &one, now).await.unwrap(), WriteOutcome::Stored);
    assert_eq!(browsers.offer(&browser, &other, now).await.unwrap(), WriteOutcome::Superseded);
    let offered = session(&world, &browser).await.unwrap();
    assert_eq!(offered.next, Some((one, now)));
    assert!(offered.secret.matches(&browser.secret), "the old one still is the secret");
    world.pass(Duration::from_mins(1));
    assert_eq!(browsers.offer(&offered, &later, world.now()).await.unwrap(), WriteOutcome::Stored);
    assert_eq!(session(&world, &browser).await.unwrap().next, Some((later, world.now())));
}

#[tokio::test]
async fn an_offered_secret_is_taken_once_by_however_many_come_with_it() {
    let world = World::start().await;
    let browsers = world.store().browsers;
    let (_, code) = made(&world, "li").await;
    let (_, browser) = bound(&world, &code).await.unwrap();
    assert!(browsers.take(&browser, world.now()).await.is_err(), "none is offered");
    let next = SecretDigest::of(&Random::system().secret().into());
    let made_at = world.now();
    browsers.offer(&browser, &next, made_at).await.unwrap();
    let offered = session(&world, &browser).await.unwrap();
    world.pass(Duration::from_secs(1));
    let then = world.now();
    world.faults.next(1, Matching::operation("UpdateItem"), Fault::LostReply);
    assert_eq!(browsers.take(&offered, then).await.unwrap(), WriteOutcome::Stored);
    world.pass(Duration::from_secs(1));
    assert_eq!(browsers.take(&offered, world.now()).await.unwrap(), WriteOutcome::Stored, "another request with it");
    let taken = session(&world, &browser).await.unwrap();
    assert_eq!((taken.secret.clone(), taken.next.clone()), (next, None));
    assert_eq!((taken.previous.clone(), taken.rotated_at), (Some((browser.secret.clone(), then)), made_at));
    let stale = browsers.offer(&offered, &SecretDigest::of(&"x".into()), world.now()).await.unwrap();
    assert_eq!(stale, WriteOutcome::Superseded);
}

#[tokio::test]
async fn a_browser_is_ended_by_itself_and_after_thirty_days() {
    let world = World::start().await;
    let browsers = world.store().browsers;
    let (operator, code) = made(&world, "li").await;
    let (_, one) = bound(&world, &code).await.unwrap();
    let (further, code) = operator.invitation("me", &Random::system(), world.now());
    assert!(world.store().operators.invite(&operator, &further, &admin()).await.unwrap());
    let (_, other) = bound(&world, &code).await.unwrap();
    for (day, noted) in [("2026-01-31", "2026-01-31"), ("2026-02-01", "2026-02-01"), ("2026-01-31", "2026-02-01")] {
        browsers.note_seen(&one, day).await.unwrap();
        assert_eq!(session(&world, &one).await.unwrap().last_seen_on.as_deref(), Some(noted));
    }
    let next = SecretDigest::of(&"next".into());
    browsers.offer(&one, &next, world.now()).await.unwrap();
    let offered = session(&world, &one).await.unwrap();
    world.faults.next(1, Matching::operation("TransactWriteItems"), Fault::LostReply);
    assert!(browsers.end(&operator.name, &one.id, &li(), world.now()).await.unwrap());
    assert!(browsers.end(&operator.name, &one.id, &admin(), world.now()).await.unwrap());
    let unknown = BrowserId::generate(&Random::system());
    assert!(!browsers.end(&operator.name, &unknown, &li(), world.now()).await.unwrap());
    assert!(!browsers.end(&name("wang"), &other.id, &li(), world.now()).await.unwrap());
    assert!(session(&world, &one).await.is_none());
    assert_eq!(browsers.take(&offered, world.now()).await.unwrap(), WriteOutcome::Superseded);
    let known = browsers.of(&operator, world.now()).await.unwrap();
    assert_eq!(known.iter().filter(|browser| browser.is_valid(world.now())).count(), 1);
    assert_eq!(known.iter().filter_map(|browser| browser.ended_by.as_deref()).collect::<Vec<_>>(), ["operator:li"]);
    let ends = acts(&world).await.into_iter().filter(|act| act.starts_with("browser.end"));
    assert_eq!(ends.collect::<Vec<_>>(), [format!("browser.end {}", one.id)]);

    world.pass(BROWSER_LIFE.saturating_sub(Duration::from_secs(1)));
    assert!(session(&world, &other).await.is_some());
    world.pass(Duration::from_secs(1));
    assert!(session(&world, &other).await.is_none());
    assert!(browsers.of(&operator, world.now()).await.unwrap().is_empty());
}

#[tokio::test]
async fn operators_are_listed_by_name_until_some_time_after_their_end() {
    let world = World::start().await;
    let operators = world.store().operators;
    for name in ["li", "chen", "zhao", "wang"] {
        made(&world, name).await;
    }
    let listed = async |limit| {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = operators.page(limit, after.as_ref(), world.now()).await.unwrap();
            found.extend(page.operators.into_iter().map(|operator| operator.name.to_string()));
            match page.next {
                Some(next) => after = Some(next),
                None => return found,
            }
        }
    };
    operators.end(&name("wang"), &admin(), world.now()).await.unwrap();
    for limit in [1, 2, 100] {
        assert_eq!(listed(limit).await, ["chen", "li", "wang", "zhao"], "{limit} a page");
    }
    world.pass(Duration::from_hours(24 * 30));
    assert_eq!(listed(2).await, ["chen", "li", "zhao"]);
}

#[tokio::test]
async fn the_audit_is_read_from_the_newest_and_has_outcomes() {
    let world = World::start().await;
    let audit = world.store().audit_log;
    let account = world.account(0);
    let mut places = Vec::new();
    for number in 0..5 {
        world.pass(Duration::from_secs(1));
        let entry = AuditEntry::new("account.patch", &li(), &Random::system(), world.now());
        let entry = entry.for_account(&account).about("reference").with_detail(&number.to_string());
        world.faults.next(1, Matching::operation("UpdateItem"), Fault::LostReply);
        audit.begin(&entry).await.unwrap();
        let page = audit.page(None, 1).await.unwrap();
        assert_eq!(page.entries, std::slice::from_ref(&entry));
        places.insert(0, entry.place());
    }
    audit.finish(&places[0], "200").await.unwrap();
    let first = audit.page(None, 2).await.unwrap();
    assert_eq!(first.entries[0].outcome.as_deref(), Some("200"));
    assert_eq!(first.entries[1].outcome, None, "it may have taken effect");
    assert_eq!(first.next.as_ref(), Some(&places[1]));
    let second = audit.page(first.next.as_ref(), 3).await.unwrap();
    assert_eq!(second.entries.iter().map(AuditEntry::place).collect::<Vec<_>>(), places[2..]);
    assert_eq!(second.next, None);
    let unknown = AuditEntry::new("account.patch", &li(), &Random::system(), world.now());
    audit.finish(&unknown.place(), "200").await.unwrap();
    assert_eq!(audit.page(None, 10).await.unwrap().entries.len(), 5, "an outcome makes no entry");
}

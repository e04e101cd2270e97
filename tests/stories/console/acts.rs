//! Operators' acts, each with its effect and its entry in the audit.

use std::time::Duration;

use base::ids::{AppId, LinkId};
use http::Method;
use http::header::LOCATION;
use serde_json::json;
use simulator::{Fault as WechatFault, paths};
use store::LinkStatus;
use stories::browser::Browser;
use stories::business::{Business, LINKS};
use stories::faults::{Fault, Matching};

use super::desk::Desk;

#[tokio::test]
async fn a_profile_is_read_again() {
    let desk = Desk::ready().await;
    let mut account = desk.stage.world.simulator.account(&desk.stage.account).unwrap();
    account.nick_name = "新名字".to_owned();
    desk.stage.world.simulator.put_account(account);
    let read = desk.submit("profile-reading", &[]).await;
    let page = desk.follow(&read, "The profile was read again.").await;
    assert!(page.text.contains("<bdi>新名字</bdi>"), "{}", page.text);
    desk.assert_audited(&format!("account.read-profile {}: done", desk.stage.account)).await;

    desk.stage.world.pass(Duration::from_mins(10));
    desk.stage.world.simulator.inject(WechatFault::system_error().on(paths::GET_AUTHORIZER_INFO).times(1));
    let refused = desk.submit("profile-reading", &[]).await;
    assert!(refused.status >= 400, "{}", refused.status);
    for said in ["role=\"alert\"", "WeChat refused the request (-1: ", "What to do: "] {
        assert!(refused.text.contains(said), "{said}: {}", refused.text);
    }
    let entries = desk.stage.audit().await;
    assert!(
        entries[0].starts_with("operator:li account.read-profile ") && !entries[0].ends_with("done"),
        "{entries:?}"
    );
}

#[tokio::test]
async fn a_token_is_renewed_now() {
    let desk = Desk::ready().await;
    let world = &desk.stage.world;
    let renewals = || world.simulator.counters().effects.renewals_of(&desk.stage.account);
    world.pass(Duration::from_mins(10));
    let before = renewals();
    let asked = desk.submit("renewal", &[]).await;
    desk.follow(&asked, "The token is being renewed").await;
    desk.assert_audited(&format!("account.renew {}: done", desk.stage.account)).await;
    assert_eq!(world.run_on_request().await.renewed, 1);
    assert_eq!(renewals(), before + 1);
    let page = desk.see(&desk.path).await;
    assert!(page.text.contains("<dt>Token issued</dt>"), "{}", page.text);
    // For a lost account there is nothing to renew, and the page says what to do instead.
    desk.is_lost().await;
    world.pass(Duration::from_mins(10));
    let refused = desk.browser.submit_to(&page, &format!("{}/renewal", desk.path), &[]).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    for said in ["The account is not authorized now", "Create a re-authorization link"] {
        assert!(refused.text.contains(said), "{said}: {}", refused.text);
    }
    assert!(!desk.see(&desk.path).await.text.contains("Renew now"), "the page offers nothing that is refused");
    desk.assert_audited(&format!("account.renew {}: refused: authorization-ended", desk.stage.account)).await;
}

#[tokio::test]
async fn what_waits_is_tried_again_now() {
    let desk = Desk::ready().await;
    let (world, new) = (&desk.stage.world, desk.stage.world.account(1));
    world.simulator.inject(WechatFault::system_error().on(paths::QUERY_AUTH));
    world.push_and_work(&world.merchant_authorizes(&new).push).await;
    world.simulator.clear_faults();
    for path in [format!("/console/arrivals?account={new}"), "/console/arrivals".to_owned()] {
        let page = desk.see(&path).await;
        let asked = desk.browser.submit_to(&page, "/console/arrivals/retry", &[]).await;
        desk.follow(&asked, "What is waiting is being retried").await;
        world.pass(Duration::from_mins(2));
    }
    desk.stage.assert_audited(&format!("operator:li arrivals.retry {new}: done")).await;
    desk.stage.assert_audited("operator:li arrivals.retry : done").await;
    world.run_on_request().await;
    assert!(desk.see("/console/arrivals").await.text.contains("Nothing is waiting"));
    assert!(world.wechat_accepts(&new).await);
}

#[tokio::test]
async fn an_account_that_was_lost_is_asked_again_with_a_link_for_it_alone() {
    let desk = Desk::ready().await;
    desk.is_lost().await;
    let made = desk.submit("link", &[]).await;
    let page = desk.follow(&made, "The link was created.").await;
    let id = Desk::link_of(&made);
    let url = desk.stage.url(&format!("/authorize/{id}"));
    for shown in [url.as_str(), "<svg", "Waiting for the merchant", desk.stage.account.as_str(), "operator:li"] {
        assert!(page.text.contains(shown), "{shown}: {}", page.text);
    }
    desk.assert_audited(&format!("link.create {}: done: {id}", desk.stage.account)).await;
    let link = LinkId::parse(&id).unwrap();
    let stored = desk.stage.world.store().links.get(&link, desk.stage.world.now()).await.unwrap().unwrap();
    assert_eq!(stored.request.biz_appid.as_ref(), Some(&desk.stage.account));
    // The merchant opens it, and is authorized again.
    let merchant = Browser::on_computer();
    let pressed = merchant.press(&stories::business::Link { id: id.clone(), url }).await;
    desk.stage.world.push_and_work(&desk.stage.world.confirms(&pressed, &desk.stage.account).push).await;
    assert!(desk.stage.world.wechat_accepts(&desk.stage.account).await);
    let page = desk.see(&format!("/console/links/{id}")).await;
    assert!(page.text.contains("Authorized") && !page.text.contains("Cancel this link"), "{}", page.text);
}

#[tokio::test]
async fn a_link_is_made_found_and_cancelled() {
    let desk = Desk::ready().await;
    let links = desk.see("/console/links").await;
    let entered = [("requester", "咖啡馆总部"), ("reference", "客户 7"), ("kind", "1"), ("life", "30")];
    let made = desk.browser.submit_to(&links, "/console/links", &entered).await;
    let page = desk.follow(&made, "The link was created.").await;
    let id = Desk::link_of(&made);
    desk.stage.assert_audited(&format!("operator:li link.create : done: {id}")).await;
    let found = desk.see("/console/links?reference=%E5%AE%A2%E6%88%B7%207").await;
    assert!(found.text.contains(&format!("href=\"/console/links/{id}\"")), "{}", found.text);
    let link = LinkId::parse(&id).unwrap();
    let stored = || async { desk.stage.world.store().links.get(&link, desk.stage.world.now()).await.unwrap().unwrap() };
    let life = stored().await.valid_until.since(desk.stage.world.now());
    assert_eq!(life, Duration::from_hours(24 * 30));

    let path = format!("/console/links/{id}/cancellation");
    desk.follow(&desk.browser.submit_to(&page, &path, &[]).await, "The link was cancelled.").await;
    assert_eq!(stored().await.status(desk.stage.world.now()), LinkStatus::Cancelled);
    desk.stage.assert_audited(&format!("operator:li link.cancel {id}: done")).await;
    let merchant = Browser::on_computer().open(&desk.stage.url(&format!("/authorize/{id}"))).await;
    assert!(merchant.status >= 400, "{}", merchant.status);
    let entry = desk.see("/console/audit?by=li").await.text;
    assert!(entry.contains("cancelled a link") && entry.contains("created a link"), "{entry}");
    assert!(!desk.see("/console/audit?by=wang").await.text.contains("operator:li"));
}

#[tokio::test]
async fn a_link_that_cannot_be_made_is_still_in_the_form() {
    let desk = Desk::ready().await;
    let links = desk.see("/console/links").await;
    let long = "x".repeat(61);
    let entered = [("requester", long.as_str()), ("reference", "客户 7"), ("kind", "2"), ("life", "365")];
    let refused = desk.browser.submit_to(&links, "/console/links", &entered).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    for kept in [long.as_str(), "客户 7", "<option value=\"2\" selected>", "<option value=\"365\" selected>"] {
        assert!(refused.text.contains(kept), "{kept}: {}", refused.text);
    }
    assert!(refused.text.contains("requester_name must"), "{}", refused.text);
    desk.stage.assert_audited("operator:li link.create : refused: invalid-field").await;
    assert_eq!(desk.links().await, 0);
}

#[tokio::test]
async fn a_key_is_revoked() {
    let desk = Desk::ready().await;
    let (key, text) = desk.stage.world.key(&["accounts:read"], |_| {}).await;
    let service = Business::with_key(&desk.stage.world, &text);
    assert_eq!(service.get("/accounts").await.status, 200);
    let keys = desk.see("/console/keys").await;
    assert!(keys.text.contains(key.id.as_str()) && keys.text.contains("Valid"), "{}", keys.text);
    let path = format!("/console/keys/{}/revocation", key.id);
    let page = desk.follow(&desk.browser.submit_to(&keys, &path, &[]).await, "The key was revoked.").await;
    assert!(page.text.contains("Revoked") && !page.text.contains("Valid"), "{}", page.text);
    desk.stage.assert_audited(&format!("operator:li key.revoke {}: done", key.id)).await;
    desk.stage.world.pass(Duration::from_mins(1));
    assert_eq!(service.get("/accounts").await.status, 401);
    // Another browser has the page still open.
    let again = desk.browser.submit_to(&keys, &path, &[]).await;
    assert!([303, 404].contains(&again.status), "{}", again.text);
}

#[tokio::test]
async fn a_permission_that_was_taken_back_is_asked_for_again() {
    let desk = Desk::ready().await;
    let mut account = desk.stage.world.simulator.account(&desk.stage.account).unwrap();
    account.func_ids.retain(|id| *id != 1);
    desk.stage.world.simulator.put_account(account);
    desk.follow(&desk.submit("profile-reading", &[]).await, "The profile was read again.").await;
    let link = Desk::link_of(&desk.submit("link", &[]).await);
    let link = desk
        .stage
        .world
        .store()
        .links
        .get(&LinkId::parse(&link).unwrap(), desk.stage.world.now())
        .await
        .unwrap()
        .unwrap();
    assert!(link.request.category_ids.contains(&1), "the platform wants it: {:?}", link.request.category_ids);
}

#[tokio::test]
async fn an_act_of_unknown_outcome_is_in_the_audit_as_unknown() {
    let desk = Desk::ready().await;
    let entered = [("reference", "42"), ("tags", ""), ("origins", "")];
    let account = desk.stage.account.clone();
    let called = || Matching::any().containing("PATCH /accounts/{appid}");
    desk.stage.world.expect_error("changing what is said about an account");
    for (fault, is_done) in [(Fault::Away, false), (Fault::ServerError, false), (Fault::LostReply, true)] {
        let page = desk.see(&desk.path).await;
        desk.stage.world.faults.next(1, called(), fault);
        let path = format!("{}/labels", desk.path);
        let unknown = desk.browser.submit_to(&page, &path, &entered).await;
        assert_eq!(unknown.status, 503, "{}", unknown.text);
        let way = format!("<a class=\"button quiet\" href=\"{}\">", desk.path);
        for said in ["The outcome is not known", "Reference", way.as_str()] {
            assert!(unknown.text.contains(said) && !unknown.headers.contains_key(LOCATION), "{said}: {}", unknown.text);
        }
        desk.stage.assert_audited(&format!("operator:li account.label {account}: unknown")).await;
        assert_eq!(desk.account().await["reference"] == "42", is_done, "{fault:?}");
        assert!(desk.see("/console/audit").await.text.contains("it may have been done"));
    }
}

#[tokio::test]
async fn without_an_entry_in_the_audit_nothing_is_done() {
    let desk = Desk::ready().await;
    desk.stage.world.expect_error("making a link");
    let links = desk.see("/console/links").await;
    desk.stage.world.faults.always(Matching::setting("act"), Fault::Away);
    let entered = [("requester", ""), ("reference", ""), ("kind", "3"), ("life", "7")];
    let refused = desk.browser.submit_to(&links, "/console/links", &entered).await;
    assert_eq!(refused.status, 503, "{}", refused.text);
    desk.stage.world.faults.clear();
    assert_eq!(desk.links().await, 0);

    // An outcome that cannot be recorded does not undo the act.
    desk.stage.world.faults.next(3, Matching::setting("outcome"), Fault::Away);
    let made = desk.browser.submit_to(&links, "/console/links", &entered).await;
    desk.follow(&made, "The link was created.").await;
    desk.stage.assert_audited("operator:li link.create : ").await;
}

#[tokio::test]
async fn an_act_on_something_removed_meanwhile_is_refused_with_the_reason() {
    let desk = Desk::ready().await;
    let link = desk.business.link(json!({})).await;
    let page = desk.see(&format!("/console/links/{}", link.id)).await;
    let asked = desk.business.ask(Method::DELETE, &format!("{LINKS}/{}", link.id), &json!({})).await;
    assert_eq!(asked.status, 200);
    let path = format!("/console/links/{}/cancellation", link.id);
    let again = desk.browser.submit_to(&page, &path, &[]).await;
    assert!([303, 409].contains(&again.status), "{} {}", again.status, again.text);
    // An unknown account has no page, and no form.
    let unknown = AppId::parse("wx0000000000000001").unwrap();
    let token = super::form_token(&page);
    for form in ["labels", "profile-reading", "link"] {
        let url = desk.stage.url(&format!("/console/accounts/{unknown}/{form}"));
        let fields = [("form_token", token.as_str()), ("version", "0")];
        let sent = desk.browser.send_form(&url, Some(&desk.stage.origin()), &fields).await;
        assert_eq!(sent.status, 404, "{form}: {}", sent.text);
    }
    assert!(!desk.stage.audit().await.iter().any(|entry| entry.contains(" account.label ")));
}

//! Long lists: lost accounts, pushes, the audit; and links onward from what is over.

use std::time::Duration;

use base::ids::AppId;
use http::Method;
use serde_json::json;
use simulator::{Account, Fault as WechatFault, paths};
use store::GrantEnd;
use stories::business::{Business, LINKS};
use stories::faults::{Fault, Matching};
use stories::world::{COMPONENT, World};

use super::Stage;
use super::desk::Desk;

const DAY: Duration = Duration::from_hours(24);

/// The part of a page below a heading.
fn below<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, part) = text.split_once(&format!(">{heading}</h2>")).unwrap_or_else(|| panic!("{heading}: {text}"));
    part
}

#[tokio::test]
async fn every_lost_account_is_found_page_by_page() {
    let world = World::for_crowds().await;
    for number in 0..70_u64 {
        let appid = AppId::parse(&format!("wx{:016x}", 0x1234_5678_9000 + number)).unwrap();
        world.simulator.put_account(Account::official_account(appid.clone(), "山茶花咖啡馆"));
        assert!(world.simulator.send(&world.merchant_authorizes(&appid).push).await.is_accepted());
    }
    world.renew().await;
    let stage = Stage::of(world).await;
    let world = &stage.world;
    let accounts: Vec<AppId> =
        Business::of(world).appids("").await.iter().map(|id| AppId::parse(id).unwrap()).collect();
    for account in &accounts {
        let seq = world.stored(account).await.token.seq;
        let end = GrantEnd::Refused { errcode: Some(61003), rid: None };
        world.tokens().await.end_grant(account, seq, &end).await.unwrap();
    }
    world.deliver().await;
    let operator = stage.bound("li", "look").await;
    let mut page = operator.open(&stage.see(&operator, "/console").await.link("All accounts lost in 90 days")).await;
    let mut seen = Vec::new();
    loop {
        let names = page.text.split("<a href=\"/console/accounts/").skip(1);
        seen.extend(names.map(|name| name.split('"').next().unwrap().to_owned()));
        if !page.text.contains("Earlier ones") {
            break;
        }
        page = operator.open(&page.link("Earlier ones")).await;
    }
    // The overview has shown the first twenty.
    assert_eq!(seen.len(), accounts.len() - 20, "{seen:?}");
    let all = stage.see(&operator, "/console/lost").await.text;
    assert_eq!(all.matches("<th scope=\"row\">").count(), 50);
}

#[tokio::test]
async fn pushes_are_found_by_account_type_and_day_whether_they_have_taken_effect_or_not() {
    let stage = Stage::ready().await;
    let (world, operator) = (&stage.world, stage.bound("li", "look").await);
    world.pass(DAY * 3);
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.push_and_work(&world.simulator.unauthorize(&stage.account).unwrap()).await;
    let new = world.account(1);
    world.push_and_work(&world.merchant_authorizes(&new).push).await;
    let latest = async |query: &str| {
        let page = stage.see(&operator, &format!("/console/arrivals{query}")).await.text;
        let rows = below(&page, "Latest pushes").split("<tr><td>").skip(1);
        rows.map(|row| (row.contains(stage.account.as_str()), row.contains(new.as_str()))).collect::<Vec<_>>()
    };
    let (old, other) = ((true, false), (false, true));
    assert_eq!(latest("").await, [other, old, old]);
    assert_eq!(latest("?type=unauthorized").await, [old]);
    assert_eq!(latest("?type=authorized").await, [other, old]);
    assert_eq!(latest(&format!("?account={new}")).await, [other]);
    assert_eq!(latest(&format!("?account={}&type=authorized", stage.account)).await, [old]);
    let first_day = world.now().minus(DAY * 3).plus(Duration::from_hours(8)).rfc3339();
    let day = &first_day[..10];
    assert_eq!(latest(&format!("?day={day}")).await, [old]);
    assert_eq!(latest(&format!("?day={day}&account={}", stage.account)).await, [old]);
    assert_eq!(latest(&format!("?day={day}&type=unauthorized")).await, []);
    let messages = stage.see(&operator, "/console/arrivals?type=message").await.text;
    assert!(!messages.contains("Latest pushes") && messages.contains("Nothing that matches is waiting"), "{messages}");
}

#[tokio::test]
async fn the_audit_of_an_account_is_a_list_of_its_own() {
    let desk = Desk::ready().await;
    let world = &desk.stage.world;
    for reference in ["0", "1", "2"] {
        world.pass(Duration::from_mins(1));
        let saved = desk.submit("labels", &[("reference", reference), ("tags", "plan=gold"), ("origins", "")]).await;
        desk.follow(&saved, "Saved.").await;
    }
    // Acts of others in between are not in the list.
    let links = desk.see("/console/links").await;
    for _ in 0..30 {
        world.pass(Duration::from_secs(1));
        let made = desk.browser.submit_to(&links, "/console/links", &[("kind", "3"), ("life", "7")]).await;
        assert_eq!(made.status, 303, "{}", made.text);
    }
    let path = format!("/console/audit?account={}", desk.stage.account);
    world.faults.reset_counts();
    let page = desk.see(&path).await.text;
    assert_eq!(world.faults.requests("Query"), 1, "it is not looked for among all others");
    assert_eq!(page.matches("changed reference, tags or origins").count(), 3, "{page}");
    for said in ["reference: 2", "reference: 0; tags: plan=gold"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(!page.contains("created a link"), "{page}");
    assert!(desk.see(&format!("{path}&by=li")).await.text.contains("reference: 2"));
    assert!(!desk.see(&format!("{path}&by=l")).await.text.contains("reference: 2"), "another operator");
    let admins = desk.see("/console/audit?by=role/operators").await.text;
    assert!(admins.contains("created an operator") && !admins.contains("created a link"), "{admins}");
}

#[tokio::test]
async fn a_link_that_is_over_leads_to_another_like_it() {
    let desk = Desk::ready().await;
    let link = desk.business.link(json!({ "reference": "客户 1", "requester_name": "某某软件", "auth_type": 2 })).await;
    let cancelled = desk.business.ask(Method::DELETE, &format!("{LINKS}/{}", link.id), &json!({})).await;
    assert_eq!(cancelled.status, 200);
    let page = desk.see(&format!("/console/links/{}", link.id)).await;
    assert!(page.text.contains("no longer valid"), "{}", page.text);
    let form = desk.browser.open(&page.link("Create another one")).await;
    for filled in ["value=\"客户 1\"", "value=\"某某软件\"", "<option value=\"2\" selected>"] {
        assert!(form.text.contains(filled), "{filled}: {}", form.text);
    }
    // A link for one account alone is created again directly.
    let own = desk.submit("link", &[]).await;
    let id = Desk::link_of(&own);
    assert_eq!(desk.business.ask(Method::DELETE, &format!("{LINKS}/{id}"), &json!({})).await.status, 200);
    let over = desk.see(&format!("/console/links/{id}")).await;
    let again = desk.browser.submit_to(&over, &format!("{}/link", desk.path), &[]).await;
    let again = desk.follow(&again, "The link was created.").await;
    assert!(again.text.contains(desk.stage.account.as_str()) && again.text.contains("/authorize/"), "{}", again.text);
}

#[tokio::test]
async fn while_account_api_is_unavailable_the_pages_use_the_known_platform() {
    let stage = Stage::ready().await;
    let operator = stage.bound("li", "look").await;
    stage.see(&operator, "/console/accounts").await;
    stage.world.faults.always(Matching::any().containing("GET /platform"), Fault::ServerError);
    // The response is used for ten minutes, and then requested again.
    for _ in 0..3 {
        stage.world.pass(Duration::from_mins(11));
        stage.see(&operator, "/console/accounts").await;
    }
    assert!(stage.world.log.text().contains("the platform known before is still used"));
    stage.world.faults.clear();
}

#[tokio::test]
async fn a_url_from_elsewhere_does_not_claim_that_something_was_done() {
    let stage = Stage::ready().await;
    let operator = stage.bound("li", "look").await;
    let url = stage.url("/console/keys?done=key-revoked");
    for (site, is_said) in [("same-origin", true), ("none", false), ("same-site", false)] {
        let page = operator.open_with(&url, &[("sec-fetch-site", site)]).await;
        assert_eq!(page.text.contains("The key was revoked"), is_said, "{site}: {}", page.text);
        assert!(!page.text.contains("done=key-revoked"), "the change of language does not bring it back");
    }
}

#[tokio::test]
async fn each_part_of_an_export_is_in_the_audit_wherever_it_begins() {
    let stage = Stage::ready().await;
    let looker = stage.bound("wang", "look").await;
    let csv = stage.see(&looker, "/console/export/accounts.csv?after=0").await.text;
    assert!(csv.contains(stage.account.as_str()), "{csv}");
    stage.assert_audited("operator:wang accounts.export : done").await;
    let audit = stage.see(&looker, "/console/audit").await.text;
    assert!(audit.contains("exported accounts") && audit.contains("?after=0"), "{audit}");
    // A search by id exports exactly what it found.
    let user_name = stage.world.simulator.account(&stage.account).unwrap().user_name;
    for text in [stage.account.to_string(), user_name] {
        let page = stage.see(&looker, &format!("/console/accounts?q={text}")).await;
        let export = looker.open(&page.link("Export as CSV")).await;
        let (_, part) = export.text.split_once("href=\"/console/export/accounts.csv").unwrap();
        let path = part.split('"').next().unwrap();
        let csv = stage.see(&looker, &format!("/console/export/accounts.csv{path}")).await;
        assert!(csv.text.contains(stage.account.as_str()), "{text}: {}", csv.text);
        assert_eq!((&csv.headers["x-accounts-read"], csv.headers.get("x-next-part")), (&"1".parse().unwrap(), None));
    }
}

#[tokio::test]
async fn a_form_that_comes_twice_is_saved_once_and_said_to_be_saved() {
    let desk = Desk::ready().await;
    let page = desk.see(&desk.path).await;
    let path = format!("{}/labels", desk.path);
    let entered = [("reference", "42"), ("tags", "plan=gold"), ("origins", "https://shop.example.com")];
    for _ in 0..2 {
        desk.follow(&desk.browser.submit_to(&page, &path, &entered).await, "Saved.").await;
    }
    let acts = desk.stage.audit().await;
    assert_eq!(acts.iter().filter(|act| act.contains("account.label")).count(), 1, "{acts:?}");
    let audit = desk.see("/console/audit").await.text;
    assert!(audit.contains("login origins added: https://shop.example.com"), "{audit}");
}

#[tokio::test]
async fn a_part_of_the_overview_that_cannot_be_read_hides_no_other() {
    let stage = Stage::ready().await;
    let operator = stage.bound("li", "act").await;
    stage.world.expect_error("listing accounts that were lost");
    stage.world.faults.always(Matching::any().containing(format!("{COMPONENT}#lost")), Fault::Away);
    let overview = stage.see(&operator, "/console").await.text;
    for shown in ["This cannot be read at the moment", ">Checks<", "<strong>1</strong>Authorized"] {
        assert!(overview.contains(shown), "{shown}: {overview}");
    }
    assert_eq!(overview.matches("cannot be read at the moment").count(), 1, "{overview}");
    stage.world.faults.clear();
}

#[tokio::test]
async fn a_refusal_for_one_merchant_is_not_shown_as_a_refused_address() {
    let stage = Stage::ready().await;
    let (world, operator) = (&stage.world, stage.bound("li", "look").await);
    let below = |page: &str| page.split("白名单IP地址列表").nth(1).unwrap().to_owned();
    let errmsg = "not authorized".to_owned();
    world.simulator.inject(WechatFault::Errcode { errcode: 61003, errmsg }.on(paths::AUTHORIZER_TOKEN));
    world.pass(Duration::from_mins(101));
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.renew().await;
    world.simulator.clear_faults();
    assert!(!below(&stage.see(&operator, "/console/setup").await.text).contains("class=\"badge"));
}

//! Questions of people who look after merchants, answered by the pages.

use std::time::Duration;

use base::ids::AppId;
use simulator::{Fault as WechatFault, Message, paths};
use store::GrantEnd;
use stories::browser::Browser;
use stories::business::Business;
use stories::faults::{Fault, Matching};

use super::Stage;

const DAY: Duration = Duration::from_hours(24);
const FOLLOWER: &str = "oFollower-0123456789_abcdefg";

async fn authorizes(stage: &Stage, account: &AppId) {
    let world = &stage.world;
    world.push_and_work(&world.merchant_authorizes(account).push).await;
    world.deliver().await;
}

async fn is_refused(stage: &Stage, account: &AppId) {
    let seq = stage.world.stored(account).await.token.seq;
    let end = GrantEnd::Refused { errcode: Some(61003), rid: None };
    stage.world.tokens().await.end_grant(account, seq, &end).await.unwrap();
    stage.world.deliver().await;
}

/// The row of a table that contains this.
fn row<'a>(text: &'a str, part: &str) -> &'a str {
    let row = text.split("<tr>").skip(1).find(|row| row.contains(part)).unwrap_or_else(|| panic!("{part}: {text}"));
    row.split("</tr>").next().unwrap()
}

#[tokio::test]
async fn who_was_lost_this_week_and_what_do_i_send_them() {
    let stage = Stage::ready().await;
    let (world, early, withdrawn, back) =
        (&stage.world, stage.account.clone(), stage.world.account(1), stage.world.account(2));
    for account in [&withdrawn, &back] {
        authorizes(&stage, account).await;
    }
    let refused = world.account(3);
    authorizes(&stage, &refused).await;
    is_refused(&stage, &early).await;
    world.pass(DAY * 8);
    assert!(world.simulator.push_ticket().await.is_accepted());
    let said = serde_json::json!({ "reference": "客户 4711" });
    assert_eq!(Business::of(world).patch(&refused, &said, None).await.status, 200);
    is_refused(&stage, &refused).await;
    let push = world.simulator.unauthorize(&withdrawn).unwrap();
    world.push_and_work(&push).await;
    is_refused(&stage, &back).await;
    world.pass(DAY);
    assert!(world.simulator.push_ticket().await.is_accepted());
    authorizes(&stage, &back).await;
    world.deliver().await;

    let operator = stage.bound("li", "act").await;
    let overview = stage.see(&operator, "/console").await;
    let name = |account: &AppId| world.simulator.account(account).unwrap().nick_name;
    let (lost, _) = overview.text.split_once(">Checks<").unwrap();
    assert!(!lost.contains(&name(&early)), "more than a week ago: {lost}");
    let of_refused = row(lost, &name(&refused));
    for shown in ["61003", "客户 4711", "24 hours ago", "Send the link"] {
        assert!(of_refused.contains(shown), "{shown}: {of_refused}");
    }
    let of_back = row(lost, &name(&back));
    assert!(of_back.contains("Authorized") && !of_back.contains("Send the link"), "{of_back}");
    let of_withdrawn = row(lost, &name(&withdrawn));
    assert!(of_withdrawn.contains("the merchant withdrew") && of_withdrawn.contains("Create a link"), "{of_withdrawn}");

    // One click shows the link to send.
    let path = of_refused.split("href=\"").find(|part| part.starts_with("/console/links/")).unwrap();
    let link = stage.see(&operator, path.split('"').next().unwrap()).await;
    assert!(link.text.contains(&format!("value=\"{}authorize/", world.public_url)), "{}", link.text);
    assert!(link.text.contains("<svg") && link.text.contains(refused.as_str()), "{}", link.text);
    let made = operator.submit_to(&overview, &format!("/console/accounts/{withdrawn}/link"), &[]).await;
    let link = operator.open(&made.location()).await;
    assert!(link.text.contains(withdrawn.as_str()) && link.text.contains("/authorize/"), "{}", link.text);

    // A viewer who may only look sees the same, and can send an existing link.
    let looker = stage.bound("wang", "look").await;
    let overview = stage.see(&looker, "/console").await.text;
    assert!(row(&overview, &name(&refused)).contains("Send the link"));
    assert!(!row(&overview, &name(&withdrawn)).contains("<form"));
    let found = stage.see(&looker, "/console/accounts?state=needs-authorization").await.text;
    assert!(found.contains(&name(&refused)) && found.contains(&name(&early)) && !found.contains(&name(&back)));
}

#[tokio::test]
async fn why_does_this_merchant_get_no_messages_when_it_was_lost() {
    let stage = Stage::ready().await;
    let operator = stage.bound("li", "act").await;
    is_refused(&stage, &stage.account).await;
    // Looked up by what the merchant says on the telephone.
    let name = stage.world.simulator.account(&stage.account).unwrap();
    for query in [format!("q={}", name.user_name), "q=%E5%B1%B1%E8%8C%B6%E8%8A%B1".to_owned()] {
        let found = stage.see(&operator, &format!("/console/accounts?{query}")).await;
        assert!(found.text.contains(stage.account.as_str()) && found.text.contains("Needs authorization again"));
    }
    let page = stage.see(&operator, &format!("/console/accounts/{}", stage.account)).await.text;
    for shown in
        ["Needs authorization again", "61003", "Send the re-authorization link", "the merchant has to authorize again"]
    {
        assert!(page.contains(shown), "{shown}: {page}");
    }
}

#[tokio::test]
async fn why_does_this_merchant_get_no_messages_when_the_bus_takes_none() {
    let stage = Stage::ready().await;
    let (world, operator) = (&stage.world, stage.bound("li", "act").await);
    world.faults.always(Matching::operation("PutEvents"), Fault::ServerError);
    let shop = world.simulator.account(&stage.account).unwrap();
    let message = Message::text(&shop, FOLLOWER, "hello, is my parcel there?");
    assert!(world.simulator.send_message(&message).await.is_empty());
    world.faults.clear();
    let path = format!("/console/arrivals?account={}", stage.account);
    let page = stage.see(&operator, &path).await.text;
    for shown in ["Messages of followers", "The event bus has not accepted it yet", stage.account.as_str(), "Retry now"]
    {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    assert!(!page.contains("parcel") && !page.contains(FOLLOWER), "{page}");
    let overview = stage.see(&operator, "/console").await.text;
    assert!(overview.contains("message"), "{overview}");
    // Automatically, too.
    world.pass(Duration::from_mins(5));
    world.renew().await;
    assert!(stage.see(&operator, &path).await.text.contains("Nothing is waiting for this account"));
}

#[tokio::test]
async fn why_does_this_merchant_get_no_messages_when_none_was_pushed() {
    let stage = Stage::ready().await;
    let (world, operator) = (&stage.world, stage.bound("li", "look").await);
    let path = format!("/console/accounts/{}", stage.account);
    let page = stage.see(&operator, &path).await.text;
    assert!(
        page.contains("None is known of the last 90 days") && page.contains("Send the account a message"),
        "{page}"
    );
    let setup = stage.see(&operator, "/console/setup").await.text;
    for shown in ["no message or event of an account is known", "send it a message in WeChat", "Unknown"] {
        assert!(setup.contains(shown), "{shown}: {setup}");
    }
    let shop = world.simulator.account(&stage.account).unwrap();
    assert!(world.simulator.send_message(&Message::text(&shop, FOLLOWER, "hello?")).await.is_empty());
    world.pass(Duration::from_mins(3));
    let page = stage.see(&operator, &path).await.text;
    assert!(page.contains("3 minutes ago") && page.contains("next after") && !page.contains("None is known"), "{page}");
    assert!(!page.contains("Send the account a message"), "{page}");
    for path in ["/console/setup", "/console"] {
        let page = stage.see(&operator, path).await.text;
        assert!(page.contains("a message or event of an account last arrived 3 minutes ago"), "{page}");
    }

    world.pass(Duration::from_hours(2));
    let page = stage.see(&operator, &path).await.text;
    assert!(page.contains("2 hours ago"), "{page}");
    for hint in ["next after", "Send the account a message"] {
        assert!(!page.contains(hint), "{hint}: {page}");
    }

    // A day later nothing shows that they still do.
    world.pass(Duration::from_hours(22));
    let page = stage.see(&operator, &path).await.text;
    assert!(page.contains("24 hours ago") && page.contains("Send the account a message"), "{page}");
    let setup = stage.see(&operator, "/console/setup").await.text;
    for shown in ["last arrived 24 hours ago", "send it a message in WeChat", "Unknown"] {
        assert!(setup.contains(shown), "{shown}: {setup}");
    }
}

#[tokio::test]
async fn why_does_this_merchant_get_no_messages_when_replies_are_refused() {
    let stage = Stage::ready().await;
    let operator = stage.bound("li", "act").await;
    let errmsg = "response out of time limit or subscription is canceled".to_owned();
    stage.world.simulator.inject(WechatFault::Errcode { errcode: 45015, errmsg }.on(paths::CUSTOM_SEND));
    let message = serde_json::json!({ "touser": FOLLOWER, "msgtype": "text", "text": { "content": "x" } });
    let business = Business::of(&stage.world);
    for _ in 0..3 {
        business.calls_wechat(&stage.account, "cgi-bin/message/custom/send", &[], &message).await;
    }
    stage.world.simulator.clear_faults();
    let page = stage.see(&operator, &format!("/console/accounts/{}", stage.account)).await.text;
    let failed = row(&page, "cgi-bin/message/custom/send");
    assert!(failed.contains("45015") && failed.contains("× 3"), "{failed}");
    assert!(!page.contains(FOLLOWER), "{page}");
}

#[tokio::test]
async fn a_push_that_has_not_taken_effect_says_why() {
    let stage = Stage::ready().await;
    let (world, operator) = (&stage.world, stage.bound("li", "act").await);
    let new = world.account(1);
    world.simulator.inject(WechatFault::system_error().on(paths::QUERY_AUTH));
    world.push_and_work(&world.merchant_authorizes(&new).push).await;
    world.simulator.clear_faults();
    let page = stage.see(&operator, &format!("/console/arrivals?account={new}")).await.text;
    let waiting = row(&page, new.as_str());
    assert!(waiting.contains("-1") && waiting.contains("in "), "{waiting}");
    let other = stage.see(&operator, &format!("/console/arrivals?account={}", stage.account)).await.text;
    assert!(other.contains("Nothing is waiting for this account"), "{other}");
    world.pass(Duration::from_mins(6));
    world.renew().await;
    let page = stage.see(&operator, &format!("/console/accounts/{new}")).await.text;
    let pushes = page.split("Authorization pushes (the latest 20)").nth(1).unwrap();
    assert!(pushes.contains("<tbody>") && !pushes.contains("Waiting"), "{pushes}");
    // In a merchant's browser there is no console.
    assert!(!stage.is_bound(&Browser::in_wechat()).await);
}

//! Every page, on an empty platform and on a busy one: its headers, its size, and that it has no secret.

use std::time::Duration;

use base::ids::AppId;
use http::Method;
use secrecy::ExposeSecret as _;
use serde_json::json;
use simulator::{Account, Fault as WechatFault, Message, paths};
use store::{GrantEnd, KeyText};
use stories::browser::{Browser, Page};
use stories::business::{Business, CALLS};
use stories::faults::{Fault, Matching};
use stories::world::World;

use super::Stage;

/// The greatest size of a page, in bytes, without pictures.
const HEAVIEST: usize = 60 * 1024;

/// A follower's text.
const TEXT: &str = "my card number is 6222-0000-1111-2222";
const FOLLOWER: &str = "oFollower-0123456789_abcdefg";

/// A busy platform, one of its links, and our secrets that no page may show.
struct Busy {
    stage: Stage,
    link: String,
    secrets: Vec<String>,
}

async fn busy() -> Busy {
    let world = World::for_crowds().await;
    for number in 0..240 {
        let appid = AppId::parse(&format!("wx{:016x}", 0x1234_5678_9000_u64 + number)).unwrap();
        let name = format!("山茶花咖啡馆（第 {number} 家分店）");
        let account = Account { principal_name: name.clone(), ..Account::official_account(appid.clone(), &name) };
        world.simulator.put_account(account);
        assert!(world.simulator.send(&world.merchant_authorizes(&appid).push).await.is_accepted());
    }
    world.renew().await;
    let stage = Stage::of(world).await;
    let business = Business::of(&stage.world);
    let tags: serde_json::Map<_, _> = (0..20).map(|n| (format!("tag {n:02}"), json!("v".repeat(200)))).collect();
    let origins: Vec<_> = (0..20).map(|n| format!("https://shop{n}.example.com")).collect();
    let said = json!({ "reference": "客户 4711", "tags": tags, "login_origins": origins });
    assert_eq!(business.patch(&stage.account, &said, None).await.status, 200);
    let mut link = String::new();
    for number in 0..60 {
        let asked = json!({ "reference": format!("客户 {number}"), "requester_name": "咖啡馆总部" });
        link = business.link(asked).await.id;
    }
    lose(&stage).await;
    wait(&stage).await;
    for number in 0..25 {
        let path = format!("{CALLS}{}/wxa/no_such_api/{number}", stage.account);
        business.get(&path).await;
    }
    let mut secrets = vec![TEXT.to_owned(), FOLLOWER.to_owned()];
    for _ in 0..30 {
        let (_, key) = stage.world.key(&["links", "calls", "accounts:read", "accounts:write", "logins"], |_| {}).await;
        secrets.push(KeyText::parse(key.expose_secret()).unwrap().secret.expose_secret().to_owned());
    }
    for number in 0..60 {
        let code = stage.invited(&format!("operator-{number}"), "look").await;
        secrets.push(code.text().expose_secret().rsplit_once('.').unwrap().1.to_owned());
    }
    Busy { stage, link, secrets }
}

/// Accounts are lost, and renewals fail.
async fn lose(stage: &Stage) {
    let world = &stage.world;
    let accounts = world.simulator.accounts().into_iter().map(|account| account.appid);
    let of_crowd: Vec<AppId> = accounts.filter(|appid| *appid != stage.account).take(60).collect();
    for account in &of_crowd[..30] {
        let seq = world.stored(account).await.token.seq;
        let end = GrantEnd::Refused { errcode: Some(61003), rid: None };
        world.tokens().await.end_grant(account, seq, &end).await.unwrap();
    }
    for account in &of_crowd[30..] {
        let push = world.simulator.unauthorize(account).unwrap();
        assert!(world.simulator.send(&push).await.is_accepted());
    }
    world.deliver().await;
    world.pass(Duration::from_mins(101));
    assert!(world.simulator.push_ticket().await.is_accepted());
    let token = world.stored(&stage.account).await.token.refresh_token.unwrap();
    let errmsg = format!("system error, you sent {} rid: 65f1a2b3-00000000-11111111", token.expose_secret());
    world.simulator.inject(WechatFault::Errcode { errcode: -1, errmsg }.on(paths::AUTHORIZER_TOKEN));
    world.renew().await;
    world.simulator.clear_faults();
}

/// Pushes, events and messages wait.
async fn wait(stage: &Stage) {
    let world = &stage.world;
    let shop = world.simulator.account(&stage.account).unwrap();
    world.expect_error("nothing more is delivered in this run");
    world.faults.always(Matching::operation("PutEvents"), Fault::ServerError);
    world.simulator.inject(WechatFault::system_error().on(paths::QUERY_AUTH));
    for _ in 0..60 {
        world.simulator.send_message(&Message::text(&shop, FOLLOWER, TEXT)).await;
    }
    for number in 1..4 {
        assert!(world.simulator.send(&world.merchant_authorizes(&world.account(number)).push).await.is_accepted());
    }
    world.renew().await;
    let late = world.account(0);
    let push = world.simulator.unauthorize(&late).unwrap();
    world.push_and_work(&push).await;
    world.deliver().await;
    world.simulator.clear_faults();
    world.faults.clear();
}

/// What holds for every response of the console, whatever its status.
fn assert_guarded(page: &Page) {
    let header = |name: &str| page.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default();
    let policy = header("content-security-policy");
    for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.contains(part), "{}: {policy}", page.url);
    }
    let files = format!("script-src {}console/assets/;", page.url.join("/").unwrap());
    assert!(policy.contains(&files) && !policy.contains("'self'"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains(" *;") && !policy.contains(" https:;"), "{policy}");
    let expected = [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
    ];
    for (name, value) in expected {
        assert_eq!(header(name), value, "{name} of {}", page.url);
    }
    for inline in ["<style", " style=\"", " onclick", " onload", "<script>", "javascript:"] {
        assert!(!page.text.contains(inline), "{inline} in {}", page.text);
    }
    for image in page.text.split("<img ").skip(1) {
        let image = image.split('>').next().unwrap();
        assert!(image.starts_with("src=\"https://wx.qlogo.cn/"), "{image}");
    }
    assert!(page.text.len() <= HEAVIEST || !is_html(page), "{} has {} bytes", page.url, page.text.len());
}

fn is_html(page: &Page) -> bool {
    page.headers["content-type"] == "text/html; charset=utf-8"
}

async fn assert_page(stage: &Stage, browser: &Browser, path: &str, language: &str, secrets: &[String]) {
    let page = stage.see(browser, path).await;
    assert_guarded(&page);
    stage.assert_tells_nothing(&page, secrets);
    if is_html(&page) {
        let said = format!("<!doctype html>\n<html lang=\"{language}\">");
        assert!(page.text.starts_with(&said), "{path}: {}", page.text);
        assert_eq!(
            page.text.matches(" aria-current=\"page\"").count(),
            usize::from(path != "/console/browsers"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn every_page_of_a_busy_platform_is_light_and_tells_no_secret() {
    let Busy { stage, link, mut secrets } = Box::pin(busy()).await;
    let (english, chinese) = (stage.bound("li", "act").await, stage.bound("wang", "look").await.reading("zh-CN"));
    secrets.extend([&english, &chinese].map(|browser| browser.cookie_values()[0].clone()));
    let mut paths = stage.paths(&Method::GET);
    for path in &mut paths {
        *path = path.replace("AAAAAAAAAAAAAAAAAAAAAA", &link);
    }
    let account = &stage.account;
    paths.extend(
        ["q=%E5%92%96%E5%95%A1", "state=active", "kind=official_account", "tag=plan%3Dgold", "reference=x"]
            .map(|query| format!("/console/accounts?{query}")),
    );
    paths.extend([
        format!("/console/accounts?after={account}"),
        format!("/console/export?after={account}&part=2"),
        format!("/console/arrivals?account={account}"),
        format!("/console/audit?account={account}&by=li"),
        "/console/links?reference=%E5%AE%A2%E6%88%B7%201".to_owned(),
        "/console?done=bound".to_owned(),
        "/console/accounts/wxd101a85aa106f53e?x=%FF".replace("wxd101a85aa106f53e", account.as_str()),
    ]);
    for path in &paths {
        assert_page(&stage, &english, path, "en", &secrets).await;
        assert_page(&stage, &chinese, path, "zh-CN", &secrets).await;
    }
    let all = stage.see(&english, "/console/accounts").await;
    assert_eq!(all.text.matches("<th scope=\"row\">").count(), 100);
    let second = english.open(&all.link("Next page")).await;
    assert!(!second.text.contains("compared so far"), "nothing is compared in the plain list: {}", second.text);
    let (mut seen, mut next) = (Vec::new(), Some(all));
    while let Some(page) = next {
        let links = page.text.split("<a href=\"/console/accounts/").skip(1);
        seen.extend(links.map(|link| link.split('"').next().unwrap().to_owned()));
        let has_more = page.text.contains("Next page");
        next = if has_more { Some(english.open(&page.link("Next page")).await) } else { None };
    }
    assert_eq!(seen, Business::of(&stage.world).appids("").await);
    assert_eq!(seen.len(), 240);
    let arrivals = stage.see(&english, "/console/arrivals").await.text;
    for shown in
        ["Pushes that have not taken effect", "Messages of followers", "Events of accounts", "Only the first are shown"]
    {
        assert!(arrivals.contains(shown), "{shown}: {arrivals}");
    }
}

#[tokio::test]
async fn every_page_of_an_empty_platform_says_what_to_do() {
    let world = World::start().await;
    let account = world.account(0);
    let stage = Stage { world, account };
    let (english, chinese) = (stage.bound("li", "act").await, stage.bound("wang", "look").await.reading("zh-CN"));
    let paths = stage.paths(&Method::GET).into_iter().filter(|path| !path.contains("/wx") && !path.contains("AAAA"));
    for path in paths {
        assert_page(&stage, &english, &path, "en", &[]).await;
        assert_page(&stage, &chinese, &path, "zh-CN", &[]).await;
    }
    let says = [
        ("/console", "to look at"),
        ("/console/accounts", "Create a link"),
        ("/console/links", "Create one above"),
        ("/console/arrivals", "Nothing is waiting"),
        ("/console/keys", "ops keys create"),
        ("/console/domains", "ops domains sync"),
        ("/console/setup", "/wechat/accounts/$APPID$/events"),
        ("/console/operators", "ops operators invite"),
    ];
    for (path, said) in says {
        let page = stage.see(&english, path).await;
        assert!(page.text.contains(said), "{said} on {path}: {}", page.text);
    }
    // A viewer who may only look sees no advice that they cannot follow.
    let links = stage.see(&chinese.reading("en"), "/console/links").await.text;
    assert!(links.contains("There are no links yet.") && !links.contains("Create one above"), "{links}");
}

#[tokio::test]
async fn what_cannot_be_shown_is_a_page_that_leads_on() {
    let stage = Stage::ready().await;
    let browser = stage.bound("li", "act").await;
    let id = "AAAAAAAAAAAAAAAAAAAAAA";
    let bad = [
        (404, "/console/accounts/wx0000000000000001".to_owned()),
        (404, "/console/accounts/x%20y".to_owned()),
        (404, "/console/accounts/%22%3E%3Cb%3E".to_owned()),
        (404, format!("/console/links/{id}")),
        (404, "/console/links/x".to_owned()),
        (404, "/console/nothing".to_owned()),
        (404, "/console/accounts/wx0000000000000001/nothing/at/all".to_owned()),
        (405, format!("/console/accounts/{}/labels", stage.account)),
        (405, "/console/arrivals/retry".to_owned()),
        (400, "/console/accounts?after=%3Cb%3E".to_owned()),
        (400, "/console/arrivals?account=x%20y".to_owned()),
        (400, "/console/links?after=x".to_owned()),
        (400, "/console/audit?before=x".to_owned()),
        (400, "/console/keys?after=x".to_owned()),
        (400, "/console/operators?after=%00".to_owned()),
        (400, "/console/domains?after=..".to_owned()),
        (400, "/console/export?after=%FF".to_owned()),
        (400, "/console/export?state=x".to_owned()),
        (200, "/console/accounts?state=x".to_owned()),
        (200, "/console/accounts?kind=%FF&tag=x&q=%00".to_owned()),
        (200, format!("/console/links?reference={}", "a".repeat(3_000))),
        (200, format!("/console/accounts?reference={}", "a".repeat(2_000))),
        (400, "/console/audit?account=%3Cb%3E".to_owned()),
        (200, "/console/audit?by=%22".to_owned()),
        (400, "/console/lost?after=x".to_owned()),
        (404, "/console/links?again=x".to_owned()),
        (400, "/console/arrivals?day=yesterday".to_owned()),
        (400, "/console/arrivals?after=x".to_owned()),
        (200, "/console/arrivals?type=%3Cb%3E".to_owned()),
        (200, format!("/console/links?again={id}")),
    ];
    for (status, path) in bad {
        let page = stage.open(&browser, &path).await;
        assert_eq!(page.status, status, "{path}: {}", page.text);
        assert_guarded(&page);
        assert!(page.text.contains("href=\"/console\"") && !page.text.contains("<b>"), "{path}: {}", page.text);
    }
}

#[tokio::test]
async fn while_the_table_is_away_every_page_gives_a_reference_that_the_log_has() {
    let stage = Stage::ready().await;
    let browser = stage.bound("li", "act").await;
    let secrets = browser.cookie_values();
    stage.world.expect_error("showing");
    stage.world.expect_error("listing");
    stage.world.allow_error("preparing an export");
    stage.world.allow_error("exporting accounts");
    stage.world.expect_error("finding the browser of an operator");
    let fails = async |path: &str| {
        let page = stage.open(&browser, path).await;
        assert_eq!(page.status, 503, "{path}: {}", page.text);
        assert_guarded(&page);
        stage.assert_tells_nothing(&page, &secrets);
        let (_, after) = page.text.split_once("<strong class=\"code\">").expect("there is a reference");
        let reference = after.split('<').next().unwrap();
        assert!(!reference.is_empty() && stage.world.log.text().contains(reference), "{path}: {}", page.text);
        assert!(!page.text.contains("DynamoDB") && !page.text.contains("injected"), "{path}: {}", page.text);
    };
    stage.world.faults.always(Matching::operation("Query"), Fault::Away);
    for path in ["/console/accounts", "/console/links", "/console/audit", "/console/browsers", "/console/keys"] {
        fails(path).await;
    }
    stage.world.faults.clear();
    stage.world.faults.always(Matching::any(), Fault::Away);
    for path in stage.paths(&Method::GET) {
        fails(&path).await;
    }
    stage.world.faults.clear();
}

//! Whatever names merchants, followers, businesses and operators choose, they are text on every page.

use std::time::Duration;

use http::Method;
use serde_json::json;
use simulator::{Fault as WechatFault, paths};
use stories::browser::{Browser, Page};
use stories::business::{Business, CALLS};
use stories::due::TO_DUE;
use url::form_urlencoded::byte_serialize;

use super::Stage;

/// Ends whatever it is in: a title, an attribute, a text.
const EVIL: &str = "\"'></title><x7 onload=1><script>x7</script>";

/// The same, escaped.
const SHOWN: &str = "&#60;x7 onload";

/// Texts that a spreadsheet interprets as formulas.
const FORMULAS: [&str; 8] = ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "＝1+1", "＠SUM(1)"];

fn assert_text(page: &Page) {
    for markup in ["<x7", "<script>", "\"'>", "</title><x7"] {
        assert!(!page.text.contains(markup), "{markup} on {}: {}", page.url, page.text);
    }
    assert_eq!(page.text.matches("<script").count(), page.text.matches("<script src=\"/console/assets/").count());
    assert_eq!(page.text.matches("</title>").count(), page.text.matches("<title>").count(), "{}", page.url);
}

/// Gives an account, a link, a key and a browser this name.
async fn everything_is_called(stage: &Stage, evil: &str) -> (Browser, String) {
    let world = &stage.world;
    let mut account = world.simulator.account(&stage.account).unwrap();
    account.nick_name = evil.to_owned();
    account.principal_name = evil.to_owned();
    account.alias = evil.to_owned();
    world.simulator.put_account(account);
    let business = Business::of(world);
    assert_eq!(business.post(&format!("/accounts/{}/profile-readings", stage.account)).await.status, 200);
    let tags = json!({ evil.chars().take(40).collect::<String>(): evil });
    let said = json!({ "reference": evil, "tags": tags });
    assert_eq!(business.patch(&stage.account, &said, None).await.status, 200);
    let link = business.link(json!({ "reference": evil, "requester_name": evil })).await.id;
    world.key(&["links"], |key| key.name = evil.to_owned()).await;
    let browser = Browser::named("\"'></title><x7 onload=1><script>x7</script>");
    stage.bind(&browser, &stage.invited("li", "act").await).await;
    (browser, link)
}

#[tokio::test]
async fn nothing_that_others_have_chosen_becomes_markup() {
    let stage = Stage::ready().await;
    let world = &stage.world;
    let (browser, link) = everything_is_called(&stage, EVIL).await;
    let evil_path = "wxa/%22%27%3E%3Cx7%20onload=1%3E";
    Business::of(world).get(&format!("{CALLS}{}/{evil_path}", stage.account)).await;
    world.pass(TO_DUE);
    assert!(world.simulator.push_ticket().await.is_accepted());
    let refused = WechatFault::Errcode { errcode: -1, errmsg: EVIL.to_owned() };
    world.simulator.inject(refused.on(paths::AUTHORIZER_TOKEN));
    world.renew().await;
    world.simulator.clear_faults();
    let page = stage.see(&browser, &format!("/console/accounts/{}", stage.account)).await;
    let fields = [("reference", EVIL), ("tags", "\"'></title><x7 onload=1>"), ("origins", EVIL)];
    let path = format!("/console/accounts/{}/labels", stage.account);
    let refused = browser.submit_to(&page, &path, &fields).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert!(refused.text.matches(SHOWN).count() >= 3, "{}", refused.text);
    assert_text(&refused);
    let page = stage.see(&browser, "/console/links").await;
    let long = EVIL.repeat(10);
    let fields = [("requester", long.as_str()), ("reference", EVIL), ("kind", "3"), ("life", "7")];
    let refused = browser.submit_to(&page, "/console/links", &fields).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert_text(&refused);

    let push = world.simulator.unauthorize(&stage.account).unwrap();
    world.push_and_work(&push).await;
    world.deliver().await;
    let mut shown = Vec::new();
    for path in stage.paths(&Method::GET) {
        let page = stage.open(&browser, &path.replace("AAAAAAAAAAAAAAAAAAAAAA", &link)).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        if page.headers["content-type"] == "text/html; charset=utf-8" {
            assert_text(&page);
            if page.text.contains(SHOWN) {
                shown.push(path.split('/').nth(2).unwrap_or("overview").to_owned());
            }
        }
    }
    let pages = ["overview", "lost", "accounts", "accounts", "links", "links", "keys", "audit", "browsers"];
    assert_eq!(shown, pages, "an account's and a link's page, too");
}

#[tokio::test]
async fn nothing_in_a_url_becomes_markup() {
    let stage = Stage::ready().await;
    let browser = stage.bound("li", "act").await;
    let evil: String = byte_serialize(EVIL.as_bytes()).collect();
    for path in stage.paths(&Method::GET) {
        let names = [
            "q",
            "state",
            "kind",
            "reference",
            "tag",
            "after",
            "before",
            "account",
            "by",
            "done",
            "part",
            "type",
            "day",
            "again",
            "x",
        ];
        for name in names {
            let page = stage.open(&browser, &format!("{path}?{name}={evil}")).await;
            assert!([200, 400, 404].contains(&page.status), "{path}?{name}: {}", page.status);
            assert!(page.headers["content-type"].to_str().unwrap().contains("charset=utf-8"));
            assert_text(&page);
        }
    }
    let page = stage.see(&browser, "/console?done=labelled%3Cx7").await;
    assert!(!page.text.contains("role=\"status\""), "{}", page.text);
}

#[tokio::test]
async fn no_cell_of_an_export_is_a_formula() {
    let stage = Stage::ready().await;
    for formula in FORMULAS {
        let mut account = stage.world.simulator.account(&stage.account).unwrap();
        account.nick_name = formula.to_owned();
        account.principal_name = format!("{formula}\",{formula}");
        stage.world.simulator.put_account(account);
        let business = Business::of(&stage.world);
        stage.world.pass(Duration::from_mins(2));
        let read = business.post(&format!("/accounts/{}/profile-readings", stage.account)).await;
        assert_eq!(read.status, 200, "{}", read.body);
        let said = json!({ "reference": format!("{formula},x"), "tags": { formula: "1" } });
        assert_eq!(business.patch(&stage.account, &said, None).await.status, 200);
        let browser = stage.bound(&format!("li{}", stage.world.now().unix()), "look").await;
        let csv = stage.see(&browser, "/console/export/accounts.csv").await;
        assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
        assert_eq!(csv.headers["content-disposition"], "attachment; filename=\"accounts.csv\"");
        let cells = cells(csv.text.trim_start_matches('\u{feff}'));
        assert_eq!((cells.len(), cells[1].len()), (2, 11), "{cells:?}");
        for cell in &cells[1] {
            let begins = cell.chars().next().unwrap_or('x');
            assert!(!"=+-@\t\r\n＝＋－＠".contains(begins), "{formula:?}: {cell:?}");
        }
        assert_eq!(cells[1][1], format!("'{formula}"));
    }
}

/// The rows of a CSV (RFC 4180).
fn cells(csv: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut is_quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut characters = csv.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if is_quoted && characters.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !is_quoted && characters.next_if_eq(&'\n').is_some() => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            other => cell.push(other),
        }
    }
    assert!(cell.is_empty() && row.is_empty() && !is_quoted);
    rows
}

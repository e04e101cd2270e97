//! The accounts as services see them: lists that renewals do not disturb, one account with all its details, the
//! business's labels of it, readings of profiles, and reconciliations.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use axum::body::Body;
use base::ids::AppId;
use futures::future::join_all;
use http::header::{CONTENT_TYPE, ETAG, LOCATION, RETRY_AFTER};
use http::{Method, Request};
use serde_json::{Value, json};
use simulator::{Account, Fault as WechatFault, paths};
use stories::browser::Browser;
use stories::business::{ACCOUNTS, Answer, Business, LINKS};
use stories::due::{due_accounts, new_account, refused, tick};
use stories::faults::{Fault, Matching};
use stories::schema::Schema;
use stories::world::{COMPONENT, TABLE, World};

fn tag(answer: &Answer) -> String {
    answer.headers[ETAG].to_str().unwrap().to_owned()
}

/// An account with this profile that has authorized the platform.
async fn with_profile(world: &World, number: usize, change: impl FnOnce(&mut Account)) -> AppId {
    let appid = AppId::parse(&format!("wx{number:016}")).unwrap();
    let mut account = Account::official_account(appid.clone(), "shop");
    account.user_name = format!("gh_{number:012}");
    change(&mut account);
    world.simulator.put_account(account);
    world.push_and_work(&world.merchant_authorizes(&appid).push).await;
    appid
}

/// Changes an account's profile.
fn changes(world: &World, account: &AppId, change: impl FnOnce(&mut Account)) {
    let mut known = world.simulator.account(account).unwrap();
    change(&mut known);
    world.simulator.put_account(known);
}

/// The size of an account's row in bytes.
async fn row_of(world: &World, account: &AppId) -> usize {
    let text = |text: String| AttributeValue::S(text);
    let key = [("pk", text(format!("{COMPONENT}#account#{account}"))), ("sk", text("account".to_owned()))];
    let key = key.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let row = world.database.client().get_item().table_name(TABLE).set_key(Some(key)).send().await.unwrap();
    let size = |(name, value): (&String, &AttributeValue)| {
        name.len()
            + match value {
                AttributeValue::S(text) | AttributeValue::N(text) => text.len(),
                _ => 1,
            }
    };
    row.item().unwrap().iter().map(size).sum()
}

#[tokio::test]
async fn every_member_at_its_longest_is_accepted_even_if_each_character_is_an_escape() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let account = world.authorized_account().await;
    let origin = |number: u32| format!("https://a{number:02}.example.com");
    let tags = (0..20).map(|number| (format!("{number:02}{}", "键".repeat(38)), json!("值".repeat(200))));
    let patch = json!({
        "reference": "号".repeat(256),
        "tags": tags.collect::<serde_json::Map<_, _>>(),
        "login_origins": (0..20).map(origin).collect::<Vec<_>>(),
    });
    let escaped: String = patch
        .to_string()
        .chars()
        .map(|c| if c.is_ascii() { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) })
        .collect();
    let request = Request::builder().method(Method::PATCH).uri(format!("{ACCOUNTS}/{account}"));
    let request = request.header(CONTENT_TYPE, "application/json").body(Body::from(escaped)).unwrap();
    let answer = business.send(request).await;
    assert_eq!((answer.status, &answer.body["tags"]), (200, &patch["tags"]), "{}", answer.body);
    let reference = "%E5%8F%B7".repeat(256);
    assert_eq!(business.appids(&format!("reference={reference}")).await, [account.to_string()]);
    for path in [ACCOUNTS, LINKS] {
        let answer = business.get(&format!("{path}?reference={reference}x")).await;
        assert_eq!((answer.status, answer.problem()), (400, "invalid-parameter"));
    }
}

#[tokio::test]
async fn a_reading_whose_first_write_loses_its_reply_reads() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let account = world.authorized_account().await;
    world.faults.next(1, Matching::setting("profile_asked_at"), Fault::LostReply);
    let answer = business.post(&format!("{ACCOUNTS}/{account}/profile-readings")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn what_two_runs_of_one_pass_have_done_is_counted_once_each() {
    let world = World::ready().await;
    let business = Business::of(&world);
    world.authorized_account().await;
    drop(world.merchant_authorizes(&world.account(1)));
    let path = business.post("/reconciliations").await.headers[LOCATION].to_str().unwrap().to_owned();
    world.pass(Duration::from_secs(2));
    // The reply to the page of the first is lost; meanwhile the second is at the same page.
    world.faults.next(1, Matching::operation("TransactWriteItems").containing("pass#"), Fault::LostReply);
    let (first, second) = tokio::join!(world.reconcile(), world.reconcile());
    assert_eq!(first.added + second.added, 1, "{first} and {second}");
    let ended = business.get(&path).await.body;
    assert_eq!((&ended["status"], &ended["added"], &ended["compared"]), (&json!("finished"), &json!(1), &json!(2)));
}

#[tokio::test]
async fn every_account_is_on_one_page_of_the_list_in_the_order_of_the_appids() {
    let world = World::ready().await;
    let business = Business::of(&world);
    assert_eq!(business.get(ACCOUNTS).await.body, json!({ "accounts": [] }));
    let mut expected: Vec<String> = due_accounts(&world, 23).await.iter().map(AppId::to_string).collect();
    expected.sort_unstable();
    for limit in [1, 5, 22, 23, 24, 100] {
        assert_eq!(business.appids(&format!("limit={limit}")).await, expected, "{limit}");
    }
    // The last page says so, although it is full.
    world.faults.reset_counts();
    let page = business.get(&format!("{ACCOUNTS}?limit=23")).await;
    assert_eq!((page.body["accounts"].as_array().unwrap().len(), &page.body["next_cursor"]), (23, &Value::Null));
    let requests = world.faults.all_requests();
    assert_eq!((requests["Query"], requests["BatchGetItem"], requests.get("GetItem")), (1, 2, None));
}

#[tokio::test]
async fn a_page_after_page_reading_meets_each_account_once_whatever_happens_meanwhile() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let accounts = due_accounts(&world, 30).await;
    let (mut met, mut cursor) = (Vec::new(), String::new());
    for round in 0.. {
        let page = business.get(&format!("{ACCOUNTS}?limit=4{cursor}")).await;
        let listed = page.body["accounts"].as_array().unwrap();
        met.extend(listed.iter().map(|account| account["appid"].as_str().unwrap().to_owned()));
        let Some(next) = page.body["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
        // Renewals, an end, a return and a newcomer after every page.
        tick(&world).await;
        world.push_and_work(&world.simulator.unauthorize(&accounts[round * 3]).unwrap()).await;
        world.pass(Duration::from_mins(10));
        world.push_and_work(&world.merchant_authorizes(&accounts[round * 3]).push).await;
        let newcomer = new_account(&world, 100 + round);
        world.push_and_work(&world.merchant_authorizes(&newcomer).push).await;
    }
    let mut expected: Vec<String> = accounts.iter().map(AppId::to_string).collect();
    expected.sort_unstable();
    let seen: Vec<&String> = met.iter().filter(|appid| expected.contains(appid)).collect();
    assert_eq!(seen, expected.iter().collect::<Vec<_>>(), "none is skipped, none comes twice");
    met.dedup();
    assert!(met.is_sorted());
}

#[tokio::test]
async fn filters_that_match_nothing_everything_and_the_last_account() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let first = with_profile(&world, 1, |account| account.nick_name = "北京烤鸭".into()).await;
    let second = with_profile(&world, 2, |account| account.principal_name = "Hangzhou Tea Ltd".into()).await;
    let program = AppId::parse("wx00000000000000ff").unwrap();
    let user_name = "gh_0000000000ff".to_owned();
    world.simulator.put_account(Account { user_name, ..Account::mini_program(program.clone(), "tea") });
    world.push_and_work(&world.merchant_authorizes(&program).push).await;
    for (account, plan) in [(&first, "gold"), (&second, "gold"), (&program, "free")] {
        let patch = json!({ "tags": { "plan": plan, "city": "杭州" }, "reference": format!("shop {plan}") });
        assert_eq!(business.patch(account, &patch, None).await.status, 200);
    }
    world.pass(Duration::from_mins(10));
    world.push_and_work(&world.simulator.unauthorize(&second).unwrap()).await;
    let appids = |accounts: &[&AppId]| accounts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let user_name = world.simulator.account(&second).unwrap().user_name;
    for (query, expected) in [
        ("tag.city=%E6%9D%AD%E5%B7%9E".to_owned(), appids(&[&first, &second, &program])),
        ("tag.plan=gold&tag.city=%E6%9D%AD%E5%B7%9E".to_owned(), appids(&[&first, &second])),
        ("tag.plan=silver".to_owned(), vec![]),
        ("tag.plan=free".to_owned(), appids(&[&program])),
        ("kind=mini_program".to_owned(), appids(&[&program])),
        ("kind=other".to_owned(), vec![]),
        ("state=active".to_owned(), appids(&[&first, &program])),
        ("state=unauthorized".to_owned(), appids(&[&second])),
        ("state=needs_authorization".to_owned(), vec![]),
        ("reference=shop%20gold".to_owned(), appids(&[&first, &second])),
        ("reference=shop%20gold&state=active".to_owned(), appids(&[&first])),
        ("reference=shop".to_owned(), vec![]),
        ("q=TEA".to_owned(), appids(&[&second, &program])),
        ("q=%E7%83%A4%E9%B8%AD".to_owned(), appids(&[&first])),
        (format!("q={second}"), appids(&[&second])),
        (format!("q={second}&state=active"), vec![]),
        (format!("q={user_name}"), appids(&[&second])),
        ("q=gh_unknown".to_owned(), vec![]),
        ("q=wx1111111111111111".to_owned(), vec![]),
    ] {
        for limit in [1, 100] {
            assert_eq!(business.appids(&format!("{query}&limit={limit}")).await, expected, "{query}, {limit} a page");
        }
    }
    let page = business.get(&format!("{ACCOUNTS}?tag.plan=gold&limit=1")).await;
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let other = business.get(&format!("{ACCOUNTS}?tag.plan=free&limit=1&cursor={cursor}")).await;
    assert_eq!((other.status, other.problem()), (400, "invalid-parameter"));
}

#[tokio::test]
async fn an_account_says_who_it_is_what_it_permits_and_how_its_token_is_doing() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let link = business.link(json!({ "reference": "shop 7", "tags": { "plan": "gold" } })).await;
    let page = Browser::on_computer().press(&link).await;
    let account = world.account(0);
    changes(&world, &account, |account| account.func_ids = vec![1, 4, 9_999]);
    world.push_and_work(&world.confirms(&page, &account).push).await;
    let known = world.simulator.account(&account).unwrap();
    let shown = business.account(&account).await;
    assert_eq!(shown["appid"], json!(account));
    assert_eq!(
        (&shown["kind"], &shown["state"], &shown["health"]),
        (&json!("official_account"), &json!("active"), &json!("ok"))
    );
    assert_eq!((&shown["nick_name"], &shown["user_name"]), (&json!(known.nick_name), &json!(known.user_name)));
    assert_eq!((&shown["reference"], &shown["tags"]), (&json!("shop 7"), &json!({ "plan": "gold" })));
    assert_eq!(
        shown["permissions"],
        json!([
            { "id": 1, "name": "消息管理", "exclusive": false },
            { "id": 4, "name": "网页服务", "exclusive": true },
            { "id": 9_999 },
        ])
    );
    assert_eq!(shown["missing_permissions"], json!([{ "id": 17, "name": "获取小程序码", "exclusive": false }]));
    let row = world.stored(&account).await.token;
    assert_eq!(shown["token"]["use_until"], json!(row.good_until().unwrap().rfc3339()));
    assert_eq!((&shown["token"]["renewed_at"], &shown["last_failure"]), (&json!(world.now().rfc3339()), &Value::Null));
    assert_eq!(shown["profile_read_at"], json!(world.now().rfc3339()));
    // In a list it is the same, with less.
    let listed = business.get(&format!("{ACCOUNTS}?reference=shop%207")).await.body["accounts"][0].clone();
    for (member, value) in listed.as_object().unwrap() {
        assert_eq!(shown[member], *value, "{member}");
    }
    for unknown in ["wx1111111111111111", "no%20appid", "%FF"] {
        let answer = business.get(&format!("{ACCOUNTS}/{unknown}")).await;
        assert_eq!((answer.status, answer.problem()), (404, "unknown-account"));
    }
}

#[tokio::test]
async fn a_renewal_that_fails_is_shown_with_wechats_words_until_one_succeeds() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let account = due_accounts(&world, 1).await.remove(0);
    let words = "invalid account status".to_owned() + &" of a long story".repeat(13);
    let fault = WechatFault::Errcode { errcode: 50_002, errmsg: words.clone() };
    world.simulator.inject(fault.on(paths::AUTHORIZER_TOKEN).times(1));
    world.renew().await;
    let shown = business.account(&account).await;
    assert_eq!((&shown["health"], &shown["state"]), (&json!("failing"), &json!("active")));
    let failure = &shown["last_failure"];
    assert_eq!((&failure["cause"], &failure["errcode"]), (&json!("50002"), &json!(50_002)));
    let told = failure["errmsg"].as_str().unwrap();
    assert!(words.starts_with(told) && told.len() == 160, "{failure}");
    assert_eq!(failure["rid"].as_str().map(str::len), Some(26));
    let row = row_of(&world, &account).await;
    assert!(row < 1_024, "the row has {row} bytes");
    assert_eq!((&failure["api"], &failure["at"]), (&json!("api_authorizer_token"), &json!(world.now().rfc3339())));
    let next = world.stored(&account).await.token.due_at.unwrap();
    assert_eq!(failure["next_try_at"], json!(next.rfc3339()));
    assert!(failure["what_to_do"].as_str().unwrap().contains("account_status"), "{failure}");
    world.pass(Duration::from_mins(10));
    tick(&world).await;
    let shown = business.account(&account).await;
    assert_eq!((&shown["health"], &shown["last_failure"]), (&json!("ok"), &Value::Null));
}

#[tokio::test]
async fn the_labels_of_an_account_change_by_merge_patches() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let account = world.authorized_account().await;
    let first = business.get(&format!("{ACCOUNTS}/{account}")).await;
    let patch = json!({
        "reference": "shop 8",
        "tags": { "plan": "gold", "city": "杭州" },
        "login_origins": ["HTTPS://Shop.Example.com:443"],
    });
    let answer = business.patch(&account, &patch, Some(&tag(&first))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(
        (&answer.body["reference"], &answer.body["login_origins"]),
        (&json!("shop 8"), &json!(["https://shop.example.com"]))
    );
    assert_ne!(tag(&answer), tag(&first));
    // A change of a version that is no longer current is refused.
    let late = business.patch(&account, &json!({ "reference": "mine" }), Some(&tag(&first))).await;
    assert_eq!((late.status, late.problem()), (412, "version-mismatch"));
    let unquoted =
        business.patch(&account, &json!({ "reference": "mine" }), Some(tag(&answer).trim_matches('"'))).await;
    assert_eq!((unquoted.status, unquoted.problem()), (400, "malformed-request"));
    // Missing members stay, null removes, and a patch without effect changes nothing.
    let answer = business.patch(&account, &json!({ "tags": { "city": null, "size": "xl" } }), None).await;
    assert_eq!(
        (&answer.body["reference"], &answer.body["tags"]),
        (&json!("shop 8"), &json!({ "plan": "gold", "size": "xl" }))
    );
    let same = business.patch(&account, &json!({ "tags": { "size": "xl" } }), Some(&tag(&answer))).await;
    assert_eq!((same.status, tag(&same)), (200, tag(&answer)));
    assert_eq!(business.appids("reference=shop%208").await, [account.to_string()]);
    let nothing = json!({ "reference": null, "tags": null, "login_origins": null });
    let answer = business.patch(&account, &nothing, None).await;
    assert_eq!(
        (&answer.body["reference"], &answer.body["tags"], &answer.body["login_origins"]),
        (&Value::Null, &json!({}), &json!([]))
    );
    assert_eq!(business.appids("reference=shop%208").await, Vec::<String>::new());
    // Renewals, profiles and the like do not change the version.
    world.pass(Duration::from_hours(2));
    tick(&world).await;
    changes(&world, &account, |account| account.nick_name = "another name".into());
    assert_eq!(business.post(&format!("{ACCOUNTS}/{account}/profile-readings")).await.status, 200);
    assert_eq!(tag(&business.get(&format!("{ACCOUNTS}/{account}")).await), tag(&answer));
    // A link sets the reference again.
    let link = business.link(json!({ "reference": "by link" })).await;
    let page = Browser::on_computer().press(&link).await;
    world.push_and_work(&world.confirms(&page, &account).push).await;
    let now = business.get(&format!("{ACCOUNTS}/{account}")).await;
    assert_eq!(now.body["reference"], json!("by link"));
    assert_ne!(tag(&now), tag(&answer));
}

#[tokio::test]
async fn the_labels_of_an_account_are_in_its_next_event() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let account = world.authorized_account().await;
    business.patch(&account, &json!({ "reference": "shop 9", "tags": { "a": "b" } }), None).await;
    world.pass(Duration::from_mins(10));
    world.push_and_work(&world.simulator.unauthorize(&account).unwrap()).await;
    world.deliver().await;
    let events = world.bus.delivered_of("account.unauthorized");
    assert_eq!((&events[0].detail["reference"], &events[0].detail["tags"]), (&json!("shop 9"), &json!({ "a": "b" })));
}

#[tokio::test]
async fn a_patch_out_of_bounds_changes_nothing_and_says_which_member() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let account = world.authorized_account().await;
    let many =
        |count: u32| (0..count).map(|number| (format!("k{number}"), json!("v"))).collect::<serde_json::Map<_, _>>();
    assert_eq!(business.patch(&account, &json!({ "tags": many(20) }), None).await.status, 200);
    let origins = |count: u32| (0..count).map(|number| format!("https://a{number}.example.com")).collect::<Vec<_>>();
    assert_eq!(business.patch(&account, &json!({ "login_origins": origins(20) }), None).await.status, 200);
    let before = business.get(&format!("{ACCOUNTS}/{account}")).await;
    for (patch, member) in [
        (json!({ "tags": { "one more": "x" } }), "tags"),
        (json!({ "tags": { "k0": "x".repeat(201) } }), "tags"),
        (json!({ "tags": { "": "x" } }), "tags"),
        (json!({ "reference": "x".repeat(257) }), "reference"),
        (json!({ "login_origins": origins(21) }), "login_origins"),
        (json!({ "login_origins": ["http://a.example.com"] }), "login_origins"),
    ] {
        let answer = business.patch(&account, &patch, None).await;
        assert_eq!((answer.status, answer.problem()), (400, "invalid-field"), "{patch}");
        assert!(answer.detail().contains(member), "{}", answer.detail());
    }
    let unknown = AppId::parse("wx1111111111111111").unwrap();
    assert_eq!(business.patch(&unknown, &json!({ "reference": "x" }), None).await.problem(), "unknown-account");
    let after = business.get(&format!("{ACCOUNTS}/{account}")).await;
    assert_eq!((after.body.clone(), tag(&after)), (before.body.clone(), tag(&before)));
}

#[tokio::test]
async fn of_many_patches_at_once_none_is_lost() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let account = world.authorized_account().await;
    let patches: Vec<Value> = (0..12).map(|number| json!({ "tags": { format!("k{number}"): "v" } })).collect();
    let answers = join_all(patches.iter().map(|patch| business.patch(&account, patch, None))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(business.account(&account).await["tags"].as_object().unwrap().len(), 12);
    // Of those that have seen the same version, one succeeds.
    let seen = tag(&business.get(&format!("{ACCOUNTS}/{account}")).await);
    let patches: Vec<Value> = (0..4).map(|number| json!({ "reference": format!("r{number}") })).collect();
    let answers = join_all(patches.iter().map(|patch| business.patch(&account, patch, Some(&seen)))).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 3, "{statuses:?}");
}

#[tokio::test]
async fn a_patch_whose_answer_is_lost_counts() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let account = world.authorized_account().await;
    let seen = tag(&business.get(&format!("{ACCOUNTS}/{account}")).await);
    world.faults.next(1, Matching::operation("TransactWriteItems"), Fault::LostReply);
    let answer = business.patch(&account, &json!({ "reference": "shop 9" }), Some(&seen)).await;
    assert_eq!((answer.status, &answer.body["reference"]), (200, &json!("shop 9")), "{}", answer.body);
}

#[tokio::test]
async fn a_profile_is_read_at_once_and_once_in_ten_seconds() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let account = world.authorized_account().await;
    let readings = format!("{ACCOUNTS}/{account}/profile-readings");
    changes(&world, &account, |account| {
        account.nick_name = "新名字".into();
        account.account_status = 16;
    });
    world.pass(Duration::from_mins(1));
    let answer = business.post(&readings).await;
    assert_eq!((answer.status, &answer.body["nick_name"]), (200, &json!("新名字")), "{}", answer.body);
    assert_eq!(
        (&answer.body["account_status"], &answer.body["profile_read_at"]),
        (&json!(16), &json!(world.now().rfc3339()))
    );
    world.pass(Duration::from_secs(4));
    let calls = world.calls(paths::GET_AUTHORIZER_INFO);
    let soon = business.post(&readings).await;
    assert_eq!((soon.status, soon.problem(), &soon.headers[RETRY_AFTER]), (429, "too-soon", &"6".parse().unwrap()));
    assert_eq!(world.calls(paths::GET_AUTHORIZER_INFO), calls);
    world.pass(Duration::from_secs(6));
    assert_eq!(business.post(&readings).await.status, 200);
    world.deliver().await;
    let events = world.bus.delivered_of("account.profile_changed");
    assert_eq!(events[0].detail["members"], json!(["account_status", "nick_name"]));
}

#[tokio::test]
async fn a_profile_that_wechat_does_not_give_is_refused_with_its_words_and_ends_nothing() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let account = world.authorized_account().await;
    let readings = format!("{ACCOUNTS}/{account}/profile-readings");
    world.simulator.inject(refused(61_003).on(paths::GET_AUTHORIZER_INFO).times(1));
    let answer = business.post(&readings).await;
    assert_eq!((answer.status, answer.problem(), &answer.body["errcode"]), (502, "wechat-refused", &json!(61_003)));
    assert!(answer.body["errmsg"].as_str().unwrap().starts_with("refused by the story"), "{}", answer.body);
    assert_eq!(answer.body["rid"].as_str().map(str::len), Some(26));
    // A single refusal is not believed: the refresher asks again.
    assert_eq!(world.renew().await.renewed, 1);
    assert_eq!(business.account(&account).await["state"], json!("active"));
    world.pass(Duration::from_secs(10));
    world.simulator.inject(WechatFault::Delay(Duration::from_mins(5)).on(paths::GET_AUTHORIZER_INFO).times(1));
    let answer = business.post(&readings).await;
    assert_eq!((answer.status, answer.problem()), (502, "wechat-unreachable"));
    world.pass(Duration::from_mins(10));
    world.push_and_work(&world.simulator.unauthorize(&account).unwrap()).await;
    let answer = business.post(&readings).await;
    assert_eq!((answer.status, answer.problem()), (409, "authorization-ended"));
    assert_eq!((&answer.body["state"], &answer.body["since"]), (&json!("unauthorized"), &json!(world.now().rfc3339())));
    let unknown = business.post(&format!("{ACCOUNTS}/wx1111111111111111/profile-readings")).await;
    assert_eq!((unknown.status, unknown.problem()), (404, "unknown-account"));
}

#[tokio::test]
async fn a_reconciliation_is_begun_followed_and_counted() {
    let world = World::ready().await;
    let business = Business::of(&world);
    world.authorized_account().await;
    // A grant whose push is lost.
    let unheard = world.account(1);
    drop(world.merchant_authorizes(&unheard));
    let begun = business.post("/reconciliations").await;
    assert_eq!((begun.status, &begun.body["status"]), (202, &json!("running")), "{}", begun.body);
    let id = begun.body["reconciliation_id"].as_str().unwrap();
    let path = format!("/reconciliations/{id}");
    assert_eq!(begun.headers[LOCATION], path.as_str());
    assert_eq!(business.get(&path).await.body, begun.body);
    let again = business.post("/reconciliations").await;
    assert_eq!((again.status, again.problem()), (409, "reconciliation-running"));
    assert_eq!(again.body["reconciliation_id"], json!(id));
    // The bus starts a run for it.
    let asked = world.bus.delivered_of("reconciliation.requested");
    assert_eq!((asked.len(), &asked[0].detail), (2, &asked[1].detail), "and once more since none had begun");
    assert_eq!(Schema::read().fits("reconciliation_detail", &asked[0].detail), Ok(()));
    assert_eq!(asked[0].detail["reconciliation_id"], json!(id));
    world.pass(Duration::from_secs(2));
    world.reconcile().await;
    let ended = business.get(&path).await;
    assert_eq!(
        (&ended.body["status"], &ended.body["finished_at"]),
        (&json!("finished"), &json!(world.now().rfc3339()))
    );
    assert_eq!((&ended.body["compared"], &ended.body["total"]), (&json!(2), &json!(2)));
    let counts = ["added", "repaired", "gone", "failed"].map(|count| ended.body[count].as_u64().unwrap());
    assert_eq!(counts, [1, 0, 0, 0]);
    assert_eq!(business.account(&unheard).await["state"], json!("active"));
    // It stays as it is when another one runs.
    assert_eq!(business.post("/reconciliations").await.status, 202);
    assert_eq!(business.get(&path).await.body, ended.body);
    for unknown in ["1", "x", "-1", "+1800000000", "%FF"] {
        let answer = business.get(&format!("/reconciliations/{unknown}")).await;
        assert_eq!((answer.status, answer.problem()), (404, "unknown-reconciliation"), "{unknown}");
    }
}

#[tokio::test]
async fn a_reconciliation_whose_event_is_lost_is_taken_up_by_the_next_scheduled_run() {
    let world = World::ready().await;
    let business = Business::of(&world);
    world.faults.next(3, Matching::operation("PutEvents"), Fault::Away);
    let begun = business.post("/reconciliations").await;
    assert_eq!(begun.status, 202);
    // A repeat sends the event again, as long as no run has begun.
    assert_eq!(business.post("/reconciliations").await.status, 409);
    assert_eq!(world.bus.delivered_of("reconciliation.requested").len(), 1);
    world.pass(Duration::from_mins(30));
    world.reconcile().await;
    let path = begun.headers[LOCATION].to_str().unwrap();
    assert_eq!(business.get(path).await.body["status"], json!("finished"));
}

#[tokio::test]
async fn a_host_without_rules_and_streams_begins_with_it_when_it_looks() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let begun = business.post("/reconciliations").await;
    let soon = || tokio::time::Instant::now() + Duration::from_mins(2);
    assert!(world.refresher.poll(soon()).await.unwrap().is_some());
    let path = begun.headers[LOCATION].to_str().unwrap();
    assert_eq!(business.get(path).await.body["status"], json!("finished"));
    assert!(world.refresher.poll(soon()).await.unwrap().is_none(), "and once");
}

#[tokio::test]
async fn a_reconciliation_that_wechat_stops_goes_on_and_is_given_up_after_two_days() {
    let world = World::ready().await;
    let business = Business::of(&world);
    world.expect_error("the run stops here");
    due_accounts(&world, 3).await;
    let path = business.post("/reconciliations").await.headers[LOCATION].to_str().unwrap().to_owned();
    world.simulator.inject(WechatFault::ip_not_registered().on(paths::GET_AUTHORIZER_LIST));
    world.reconcile().await;
    assert_eq!(business.get(&path).await.body["status"], json!("running"));
    world.pass(Duration::from_hours(49));
    let given_up = business.get(&path).await.body;
    assert_eq!((&given_up["status"], &given_up["compared"]), (&json!("given_up"), &json!(0)));
    assert_eq!(business.post("/reconciliations").await.status, 202);
    assert_eq!(business.get(&path).await.body, given_up);
    world.pass(Duration::from_hours(24 * 30));
    assert_eq!(business.get(&path).await.status, 404);
}

#[tokio::test]
async fn links_are_listed_by_their_reference_the_newest_first() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(business.link(json!({ "reference": "shop 7", "tags": { "number": number.to_string() } })).await);
        world.pass(Duration::from_secs(1));
    }
    business.link(json!({ "reference": "shop 8" })).await;
    business.link(json!({})).await;
    let page = Browser::on_computer().press(&made[2]).await;
    let account = world.account(0);
    world.push_and_work(&world.confirms(&page, &account).push).await;
    made.reverse();
    for limit in [1, 2, 5, 100] {
        let (mut listed, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = business.get(&format!("{LINKS}?reference=shop%207&limit={limit}{cursor}")).await;
            assert_eq!(page.status, 200, "{}", page.body);
            listed.extend(page.body["links"].as_array().unwrap().clone());
            match page.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let ids: Vec<&str> = listed.iter().map(|link| link["link_id"].as_str().unwrap()).collect();
        assert_eq!(ids, made.iter().map(|link| link.id.as_str()).collect::<Vec<_>>(), "{limit}");
        for (link, listed) in made.iter().zip(&listed) {
            assert_eq!(business.look(link).await, *listed);
        }
    }
    assert_eq!(business.get(&format!("{LINKS}?reference=none")).await.body, json!({ "links": [] }));
    for bad in ["", "?reference=", "?limit=5", "?reference=a&state=x", "?reference=a&cursor=AAAA"] {
        let answer = business.get(&format!("{LINKS}{bad}")).await;
        assert_eq!((answer.status, answer.problem()), (400, "invalid-parameter"), "{bad}");
    }
}

#[tokio::test]
async fn nobody_without_an_identity_sees_an_account() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    let stranger = Business::unsigned(&world);
    for path in [ACCOUNTS.to_owned(), format!("{ACCOUNTS}/{account}"), format!("{LINKS}?reference=x")] {
        assert_eq!(stranger.get(&path).await.problem(), "no-identity");
    }
    assert_eq!(stranger.post("/reconciliations").await.problem(), "no-identity");
    assert_eq!(stranger.patch(&account, &json!({ "reference": "x" }), None).await.problem(), "no-identity");
}

#[tokio::test]
async fn a_client_learns_which_platform_it_talks_to_and_no_secret() {
    let world = World::ready().await;
    let answer = Business::of(&world).get("/platform").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body, json!({ "component_appid": COMPONENT, "version": env!("CARGO_PKG_VERSION") }));
}

//! Rows that an earlier version has written, with everything about an account in one row. They are read as they are,
//! moved while everything runs, and an earlier version that runs next to this one, or again after it, loses nothing.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use base::ids::AppId;
use http::Method;
use serde_json::json;
use simulator::paths;
use store::{AccountState, GrantEnd};
use stories::business::{ACCOUNTS, Business};
use stories::faults::{Fault, Matching, Side};
use stories::world::{COMPONENT, TABLE, World};
use wechat::api::Profile;

type Row = HashMap<String, AttributeValue>;

fn key(pk: &str, sk: &str) -> Row {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    Row::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

fn row_key(account: &AppId) -> Row {
    key(&format!("{COMPONENT}#account#{account}"), "account")
}

/// The earlier version's change of an account's row: an update of some attributes.
async fn as_earlier(world: &World, account: &AppId, expression: &str, values: &[(&str, AttributeValue)]) {
    let update = world.database.client().update_item().table_name(TABLE).set_key(Some(row_key(account)));
    let values = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    let values = Some(values.collect::<Row>()).filter(|values| !values.is_empty());
    let names = expression.contains("#state").then(|| HashMap::from([("#state".to_owned(), "state".to_owned())]));
    let update = update.update_expression(expression).set_expression_attribute_values(values);
    update.set_expression_attribute_names(names).send().await.unwrap();
}

/// The account's profile under another name, as both versions store it.
async fn profile(world: &World, account: &AppId, nick_name: &str) -> AttributeValue {
    let known = world.details(account).await.profile.unwrap();
    let renamed = Profile { nick_name: Some(nick_name.to_owned()), ..known };
    AttributeValue::S(serde_json::to_string(&renamed).unwrap())
}

/// The earlier version ends a grant.
async fn ends_as_earlier(world: &World, account: &AppId, state: &str) {
    let seq = world.stored(account).await.token.seq;
    as_earlier(
        world,
        account,
        "SET #state = :gone, token_seq = :seq, due_shard = :ended REMOVE access_token",
        &[
            (":gone", AttributeValue::S(state.to_owned())),
            (":seq", AttributeValue::N((seq + 1).to_string())),
            (":ended", AttributeValue::S(format!("{COMPONENT}#ended#{state}"))),
        ],
    )
    .await;
}

fn sets(ids: &[u32]) -> AttributeValue {
    AttributeValue::L(ids.iter().map(|id| AttributeValue::N(id.to_string())).collect())
}

async fn has_details(world: &World, account: &AppId) -> bool {
    let key = key(&format!("{COMPONENT}#details#{account}"), "details");
    let item = world.database.client().get_item().table_name(TABLE).set_key(Some(key)).send().await.unwrap();
    item.item.is_some()
}

/// An account as the earlier version left it.
async fn earlier_account(world: &World, number: usize) -> AppId {
    let account = world.account(number);
    world.push_and_work(&world.merchant_authorizes(&account).push).await;
    world.renew().await;
    let profile = profile(world, &account, "an earlier name").await;
    for sk in ["details", "state", "reference", "event#0000000001"] {
        let key = key(&format!("{COMPONENT}#details#{account}"), sk);
        world.database.client().delete_item().table_name(TABLE).set_key(Some(key)).send().await.unwrap();
    }
    as_earlier(
        world,
        &account,
        "SET profile = :profile, func_info = :sets REMOVE details_state",
        &[(":profile", profile), (":sets", sets(&[1, 2, 3]))],
    )
    .await;
    account
}

async fn nick_name(world: &World, account: &AppId) -> Option<String> {
    world.details(account).await.profile.and_then(|profile| profile.nick_name)
}

fn events(world: &World) -> Vec<String> {
    world.bus.delivered_of("account.").into_iter().map(|event| event.detail_type).collect()
}

#[tokio::test]
async fn an_earlier_row_is_read_as_it_is_and_moved_by_reconcile_without_a_call_or_an_event() {
    let world = World::ready().await;
    let account = earlier_account(&world, 0).await;
    let (calls, reported) = (world.calls(paths::GET_AUTHORIZER_INFO), events(&world));
    assert_eq!(nick_name(&world, &account).await.as_deref(), Some("an earlier name"));
    assert!(!has_details(&world, &account).await);

    world.reconcile().await;
    assert!(has_details(&world, &account).await);
    let details = world.details(&account).await;
    assert_eq!((details.func_info.as_slice(), details.events), ([1, 2, 3].as_slice(), 0));
    assert_eq!(details.state.unwrap().0, AccountState::Active);
    assert_eq!(nick_name(&world, &account).await.as_deref(), Some("an earlier name"));
    let row = world.database.client().get_item().table_name(TABLE).set_key(Some(row_key(&account)));
    let row = row.send().await.unwrap().item.unwrap();
    assert!(!row.contains_key("profile") && !row.contains_key("func_info"), "{:?}", row.keys());
    world.renew().await;
    assert_eq!((world.calls(paths::GET_AUTHORIZER_INFO), events(&world)), (calls, reported));
}

#[tokio::test]
async fn accounts_out_of_use_are_moved_too_although_wechat_does_not_list_them() {
    let world = World::ready().await;
    let account = earlier_account(&world, 0).await;
    world.simulator.unauthorize(&account).unwrap();
    ends_as_earlier(&world, &account, "unauthorized").await;
    world.reconcile().await;
    assert!(has_details(&world, &account).await);
    assert_eq!(world.details(&account).await.state.unwrap().0, AccountState::Unauthorized);
}

#[tokio::test]
async fn an_earlier_row_that_changes_before_it_is_moved_loses_nothing_and_is_reported() {
    let world = World::ready().await;
    let account = earlier_account(&world, 0).await;
    let seq = world.stored(&account).await.token.seq;
    world.tokens().await.end_grant(&account, seq, &GrantEnd::TakenBack { at: None }).await.unwrap();
    world.pass(Duration::from_mins(5));
    world.renew().await;
    assert_eq!(events(&world).last().map(String::as_str), Some("account.unauthorized"));
    assert_eq!(nick_name(&world, &account).await.as_deref(), Some("an earlier name"));
    assert!(world.details(&account).await.events > 0);
}

#[tokio::test]
async fn what_an_earlier_version_writes_next_to_this_one_is_moved_and_reported() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    let known = world.details(&account).await;
    // It stores a profile in the row, and then finds the grant gone.
    let profile = profile(&world, &account, "a later name").await;
    as_earlier(&world, &account, "SET profile = :profile", &[(":profile", profile)]).await;
    ends_as_earlier(&world, &account, "needs-authorization").await;
    world.simulator.unauthorize(&account).unwrap();
    world.reconcile().await;
    world.renew().await;
    assert_eq!(nick_name(&world, &account).await.as_deref(), Some("a later name"));
    let details = world.details(&account).await;
    assert_eq!(details.state.unwrap().0, AccountState::NeedsAuthorization);
    assert_eq!(details.func_info, known.func_info, "of which it has said nothing");
    assert_eq!(events(&world), ["account.authorized", "account.needs_authorization"]);
}

#[tokio::test]
async fn a_move_whose_answer_is_lost_or_that_is_refused_is_made_in_the_end() {
    for fault in [Fault::LostReply, Fault::Away] {
        let world = World::ready().await;
        let account = earlier_account(&world, 0).await;
        world.faults.always(Matching::operation("TransactWriteItems").containing("#details#"), fault);
        world.reconcile().await;
        world.faults.clear();
        world.pass(Duration::from_hours(1));
        assert!(world.simulator.push_ticket().await.is_accepted());
        world.reconcile().await;
        assert!(has_details(&world, &account).await);
        assert_eq!(nick_name(&world, &account).await.as_deref(), Some("an earlier name"), "{fault:?}");
        assert!(world.stored(&account).await.has_details, "{fault:?}");
    }
}

#[tokio::test]
async fn an_earlier_version_that_runs_again_asks_wechat_once_and_what_it_wrote_is_moved_back() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    assert!(world.stored(&account).await.has_details);
    // It reads a row without a profile, asks WeChat, and stores the response in the row.
    let profile = profile(&world, &account, "as WeChat said later").await;
    as_earlier(
        &world,
        &account,
        "SET profile = :profile, func_info = :sets, name_owned = :yes",
        &[(":profile", profile), (":sets", sets(&[1, 2])), (":yes", AttributeValue::Bool(true))],
    )
    .await;
    let calls = world.calls(paths::GET_AUTHORIZER_INFO);
    world.reconcile().await;
    world.renew().await;
    assert_eq!(nick_name(&world, &account).await.as_deref(), Some("as WeChat said later"));
    assert_eq!(world.details(&account).await.func_info, [1, 2]);
    assert_eq!(world.calls(paths::GET_AUTHORIZER_INFO), calls);
    assert_eq!(events(&world), ["account.authorized", "account.permissions_changed", "account.profile_changed"]);
}

#[tokio::test]
async fn a_profile_that_is_stored_next_to_the_move_stays_and_nothing_false_is_reported() {
    let world = World::ready().await;
    let account = earlier_account(&world, 0).await;
    // The move has read the row and is about to write it.
    let mut held = world.faults.hold(0, Matching::operation("TransactWriteItems"), Side::Before);
    let moving = {
        let (accounts, account, now) = (world.store().accounts, account.clone(), world.now());
        tokio::spawn(async move { accounts.move_details(&account, now).await })
    };
    held.until_reached().await;
    let (seq, profile) = (world.stored(&account).await.token.seq, world.details(&account).await.profile.unwrap());
    let newer = Profile { nick_name: Some("the newest name".to_owned()), ..profile };
    let accounts = world.store().accounts;
    accounts.put_profile(&account, seq, &newer, &[1, 2, 3], world.now()).await.unwrap();
    held.release();
    moving.await.unwrap().unwrap();
    world.renew().await;
    assert_eq!(nick_name(&world, &account).await.as_deref(), Some("the newest name"));
    let changes = events(&world).iter().filter(|change| *change == "account.profile_changed").count();
    assert_eq!(changes, 1, "from the earlier name to the newest");
}

#[tokio::test]
async fn a_renewal_next_to_the_move_is_not_lost() {
    let world = World::ready().await;
    let account = earlier_account(&world, 0).await;
    world.pass(Duration::from_mins(100));
    assert!(world.simulator.push_ticket().await.is_accepted());
    let (moved, renewed) =
        tokio::join!(async { world.store().accounts.move_details(&account, world.now()).await }, world.renew());
    moved.unwrap();
    assert_eq!(renewed.renewed, 1);
    assert!(world.wechat_accepts(&account).await);
    world.reconcile().await;
    assert!(world.stored(&account).await.has_details);
}

#[tokio::test]
async fn services_see_an_account_of_the_earlier_version_as_it_is_and_change_it() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let (first, second, third) =
        (earlier_account(&world, 0).await, earlier_account(&world, 1).await, earlier_account(&world, 2).await);
    let shown = business.account(&first).await;
    assert_eq!((&shown["state"], &shown["nick_name"]), (&json!("active"), &json!("an earlier name")));
    assert_eq!(shown["permissions"].as_array().map(Vec::len), Some(3));
    // In no list yet, until it is moved.
    assert_eq!(business.appids("state=active").await, Vec::<String>::new());
    let patch = json!({ "reference": "shop 7" });
    let patched = business.ask(Method::PATCH, &format!("{ACCOUNTS}/{first}"), &patch).await;
    assert_eq!((patched.status, &patched.body["reference"]), (200, &json!("shop 7")), "{}", patched.body);
    // The earliest versions stored no time of a state.
    as_earlier(&world, &second, "REMOVE active_since", &[]).await;
    assert_eq!(business.account(&second).await["state"], json!("active"));
    let read = business.post(&format!("{ACCOUNTS}/{second}/profile-readings")).await;
    assert_eq!(read.status, 200, "{}", read.body);
    assert_eq!(business.appids("state=active").await.len(), 2);
    world.pass(Duration::from_mins(20));
    world.reconcile().await;
    assert_eq!(business.appids("").await.len(), 3);
    // An earlier version that runs next to this one writes only the row.
    ends_as_earlier(&world, &third, "unauthorized").await;
    assert_eq!(business.account(&third).await["state"], json!("unauthorized"));
    assert_eq!(business.appids("state=active").await.len(), 2);
}

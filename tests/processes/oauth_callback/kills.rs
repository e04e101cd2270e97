//! Promise 2: the process is killed during the exchange. When its lease has expired, ordinary runs of the refresher
//! recover what can be recovered: the link too, if WeChat's push names the pre-auth code.
//!
//! A lease lasts half a minute of the machine's time. Nobody waits for that: the clocks of the test's process and
//! WeChat's side are advanced by a lease, the dead process has none.

use base::limits::LEASE;
use simulator::{Behaviour, Codes, Fault, paths};
use store::AccountState;
use stories::bootstrap::Bootstrap;
use stories::browser::parameter;
use stories::world::World;

use super::{BINARY, Merchant, ready};

/// Has the merchant come back and kills the process while WeChat's response to a call of this path is in progress: the
/// call has taken effect.
async fn kill_after_effect(world: &World, path: &str, merchant: &Merchant) {
    world.simulator.inject(Fault::Hold.on(path).times(1));
    let function = Bootstrap::start(BINARY, world).await;
    drop(function.kill_during(merchant.back.build(), world.simulator.until_held(path, 1)).await);
    world.simulator.release(path);
}

/// A grant whose code is spent and whose tokens were lost with the process.
async fn spent_and_killed(codes: Codes) -> (World, Merchant) {
    let world = ready().await;
    world.simulator.set_behaviour(Behaviour { codes, ..Behaviour::default() });
    let merchant = Merchant::at_wechat(&world).await;
    kill_after_effect(&world, paths::QUERY_AUTH, &merchant).await;
    let account = world.account(0);
    assert_eq!(world.simulator.counters().effects.exchanges.get(&account), Some(&1), "the code is spent");
    assert!(world.store().accounts.get(&account).await.unwrap().is_none(), "and nothing is stored");
    (world, merchant)
}

#[tokio::test]
async fn the_push_recovers_account_and_link_if_the_process_died_with_the_tokens() {
    for codes in [Codes::Same, Codes::Different] {
        let (world, merchant) = spent_and_killed(codes).await;
        let account = world.account(0);
        let report = world.push_and_work(&merchant.consent.push).await;
        assert_eq!((report.inbox_done, report.inbox_postponed), (0, 2), "the dead process's lease stands: {report}");

        // Push and redirect are processed at once: if the spent redirect is first, the push's turn is one run later.
        for _ in 0..2 {
            world.pass(LEASE);
            let report = world.renew().await;
            assert!(report.failed.is_empty(), "{report}");
        }
        assert_eq!(world.store().inbox.count_waiting(world.now()).await.unwrap(), 0);
        assert_eq!(merchant.bound_account(&world).await.as_deref(), Some(account.as_str()), "{codes:?}");
        let stored = world.stored(&account).await;
        assert_eq!(stored.token.state, AccountState::Active);
        assert!(world.wechat_accepts(&account).await);

        let again = Bootstrap::start(BINARY, &world).await;
        let told = parameter(&again.request(&merchant.back).await.location(), "status");
        assert_eq!(told, "authorized", "whoever loads the page again learns it");
    }
}

#[tokio::test]
async fn without_a_push_reconciliation_brings_the_account_and_a_new_press_the_link() {
    let (world, merchant) = spent_and_killed(Codes::Same).await;
    let account = world.account(0);
    world.pass(LEASE);
    world.renew().await;
    assert_eq!(merchant.bound_account(&world).await, None, "nothing says whose the spent code was");
    assert_eq!(world.reconcile().await.added, 1);
    assert!(world.wechat_accepts(&account).await);

    let again = Merchant::through(&world, merchant.link.clone()).await;
    let function = Bootstrap::start(BINARY, &world).await;
    assert_eq!(parameter(&function.request(&again.back).await.location(), "status"), "authorized");
    assert_eq!(again.bound_account(&world).await.as_deref(), Some(account.as_str()));
}

#[tokio::test]
async fn a_code_that_a_killed_process_did_not_spend_is_exchanged_by_the_refresher() {
    let world = ready().await;
    world.expect_error("issued a token by somebody else");
    let merchant = Merchant::at_wechat(&world).await;
    // So the exchange is refused, and the process dies while it gets the new component token.
    world.another_server_issues_a_component_token().await;
    kill_after_effect(&world, paths::COMPONENT_TOKEN, &merchant).await;
    let account = world.account(0);
    assert_eq!(world.simulator.counters().effects.exchanges.get(&account), None, "the code is not spent");

    world.pass(LEASE);
    let report = world.renew().await;
    assert_eq!((report.inbox_done, report.failed.len()), (1, 0), "{report}");
    assert_eq!(merchant.bound_account(&world).await.as_deref(), Some(account.as_str()), "no push was needed");
    assert!(world.wechat_accepts(&account).await);
}

//! The table throttles, is unavailable, hangs or loses its replies while WeChat pushes: `success` is returned only for
//! what is durable.

use std::time::Duration;

use base::limits::Limits;
use simulator::PushAnswer;
use store::AccountState;
use stories::faults::{Fault, Matching};
use stories::world::{World, short_limits};

/// The write that stores a push other than a ticket.
fn inbox_write() -> Matching {
    Matching::operation("PutItem")
}

#[tokio::test]
async fn a_push_that_cannot_be_stored_is_500_and_taken_when_it_comes_again() {
    for fault in [Fault::Throttle, Fault::ServerError, Fault::Away, Fault::Hang] {
        let world = World::with(|_| {}, Limits { push: Duration::from_secs(1), ..short_limits() }).await;
        world.expect_error("a push was not stored");
        world.get_ready().await;
        let account = world.account(0);
        let consent = world.merchant_authorizes(&account);
        let before = world.items().await;
        world.faults.always(inbox_write(), fault);
        let outcome = world.simulator.send(&consent.push).await;
        let PushAnswer::Answered { status, body } = &outcome.answer else { panic!("{fault:?}: {outcome:?}") };
        assert_eq!((*status, body.contains("send it again")), (500, true), "{fault:?}: {body}");
        assert_eq!(world.items().await, before, "{fault:?}");

        world.faults.clear();
        world.push_and_work(&consent.push).await;
        assert_eq!(world.stored(&account).await.token.state, AccountState::Active, "{fault:?}");
        assert!(world.wechat_accepts(&account).await, "{fault:?}");
    }
}

#[tokio::test]
async fn one_bad_moment_of_the_table_costs_nothing() {
    for fault in [Fault::Throttle, Fault::ServerError, Fault::Away, Fault::LostReply] {
        let world = World::ready().await;
        let account = world.account(0);
        let consent = world.merchant_authorizes(&account);
        world.faults.next(1, inbox_write(), fault);
        world.faults.next(1, Matching::operation("UpdateItem"), fault);
        let report = world.push_and_work(&consent.push).await;
        assert!(world.faults.all_used(), "{fault:?}");
        assert_eq!(report.inbox_done, 1, "{fault:?}: {report}");
        assert!(world.wechat_accepts(&account).await, "{fault:?}");
    }
}

#[tokio::test]
async fn a_ticket_whose_write_was_answered_by_nobody_is_acknowledged_and_kept() {
    let world = World::start().await;
    world.faults.next(1, Matching::operation("UpdateItem"), Fault::LostReply);
    let ticket = world.simulator.ticket();
    assert!(world.simulator.send(&ticket).await.is_accepted());
    assert!(world.faults.all_used());
    assert_eq!(world.store().tickets.newest().await.unwrap().unwrap().create_time, ticket.create_time);
}

#[tokio::test]
async fn an_account_whose_result_cannot_be_written_renews_again_automatically() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    world.pass(Duration::from_mins(101));
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.component().await.token().await.unwrap();
    let result = Matching::operation("UpdateItem").containing("token_expires_at");
    world.faults.always(result, Fault::Throttle);
    let report = world.renew().await;
    assert_eq!(report.renewed, 0, "{report}");
    assert!(!world.wechat_accepts(&account).await, "WeChat has forgotten the token that is stored");

    world.faults.clear();
    world.pass(Duration::from_mins(5));
    assert!(world.simulator.push_ticket().await.is_accepted());
    assert_eq!(world.renew().await.renewed, 1);
    assert!(world.wechat_accepts(&account).await);
}

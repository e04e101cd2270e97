//! Promise 7: two processes on one table get the same redirect at the same moment, and the refresher the push of the
//! same consent. WeChat is called once.
//!
//! Both processes are warm, and WeChat responds slowly, so that all have begun while the first is working.

use std::time::Duration;

use simulator::{Behaviour, Codes, Fault, paths};
use stories::bootstrap::Bootstrap;
use stories::browser::parameter;
use stories::http_events::HttpEvent;
use stories::world::World;

use super::{BINARY, Merchant, ready};

/// WeChat's response time: many times the lag of one process behind the other.
const ANSWER: Duration = Duration::from_millis(300);

async fn warm(world: &World) -> Bootstrap {
    let function = Bootstrap::start(BINARY, world).await;
    let path = "/authorize/0123456789abcdefABCDE_/callback/0123456789abcdefABCDE-";
    assert_eq!(function.request(&HttpEvent::new("GET", path).query("auth_code=a")).await.status, 404);
    function
}

#[tokio::test]
async fn two_processes_and_the_push_of_one_consent_ask_wechat_once() {
    for codes in [Codes::Same, Codes::Different] {
        let world = ready().await;
        world.simulator.set_behaviour(Behaviour { codes, ..Behaviour::default() });
        let merchant = Merchant::at_wechat(&world).await;
        let (one, other) = (warm(&world).await, warm(&world).await);
        assert!(world.simulator.send(&merchant.consent.push).await.is_accepted());
        world.simulator.inject(Fault::Delay(ANSWER).on(paths::QUERY_AUTH));
        let (first, second, report) =
            tokio::join!(one.request(&merchant.back), other.request(&merchant.back), world.renew());
        assert!(report.failed.is_empty(), "{report}");
        for answer in [first, second] {
            assert_eq!(parameter(&answer.location(), "status"), "authorized", "{codes:?}");
        }
        assert_eq!(world.calls(paths::QUERY_AUTH), 1, "{codes:?}");
        let account = world.account(0);
        assert_eq!(merchant.bound_account(&world).await.as_deref(), Some(account.as_str()));
        assert!(world.wechat_accepts(&account).await);

        world.pass(base::limits::LEASE);
        assert!(world.renew().await.failed.is_empty());
        assert_eq!(world.calls(paths::QUERY_AUTH), 1, "those that waited have nothing left to do");
        assert_eq!(world.store().inbox.count_waiting(world.now()).await.unwrap(), 0);
    }
}

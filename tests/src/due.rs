//! Accounts whose renewal is due, and runs with the smallest window.

use std::time::Duration;

use base::ids::AppId;
use platform::services::Services;
use simulator::{Account, Fault};
use token_refresher::{Refresher, Report, Settings, Task};
use tokio::time::Instant;

use crate::world::World;

/// Two hours less the margin: every account that was authorized just now is then due.
pub const TO_DUE: Duration = Duration::from_mins(101);

/// A refusal with this code.
#[must_use]
pub fn refused(errcode: i64) -> Fault {
    Fault::Errcode { errcode, errmsg: "refused by the story".into() }
}

/// An official account with this number, not authorized.
#[must_use]
pub fn new_account(world: &World, number: usize) -> AppId {
    let appid = AppId::parse(&format!("wx{number:016}")).unwrap();
    world.simulator.put_account(Account::official_account(appid.clone(), "shop"));
    appid
}

/// `count` accounts, authorized and due, with a fresh ticket and component token.
pub async fn due_accounts(world: &World, count: usize) -> Vec<AppId> {
    let accounts: Vec<AppId> = (0..count).map(|number| new_account(world, number)).collect();
    for account in &accounts {
        assert!(world.simulator.send(&world.merchant_authorizes(account).push).await.is_accepted());
    }
    world.renew().await;
    world.pass(TO_DUE);
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.component().await.token().await.unwrap();
    accounts
}

/// A refresher that renews `window` accounts at a time.
#[must_use]
pub fn narrow(world: &World, window: usize) -> Refresher {
    Refresher::new(
        world.services.clone(),
        world.targets(),
        Settings { window, per_second: 100_000, ..Settings::default() },
    )
}

/// A refresher over other services than the world's, such as those from [`crate::proxy::behind_a_proxy`].
#[must_use]
pub fn refresher_of(world: &World, services: Services) -> Refresher {
    Refresher::new(services, world.targets(), Settings { per_second: 100_000, ..Settings::default() })
}

/// Five minutes later: a ticket comes, and the refresher runs.
pub async fn tick(world: &World) -> Report {
    tick_with(world, &world.refresher).await
}

/// The same with a refresher of the story's own.
pub async fn tick_with(world: &World, refresher: &Refresher) -> Report {
    world.pass(Duration::from_mins(5));
    assert!(world.simulator.push_ticket().await.is_accepted());
    refresher.run(&Task::renew(), Instant::now() + Duration::from_mins(2)).await.unwrap()
}

/// The number of the accounts that have a token that WeChat accepts.
pub async fn accepted(world: &World, accounts: &[AppId]) -> usize {
    let mut count = 0;
    for account in accounts {
        count += usize::from(world.wechat_accepts(account).await);
    }
    count
}

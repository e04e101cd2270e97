//! The function with another implementation of DynamoDB and Secrets Manager than in all other tests.

use std::time::Duration;

use base::ids::LinkId;
use simulator::{Fault, paths};
use store::AccountState;
use stories::bootstrap::Bootstrap;
use stories::browser::parameter;
use stories::moto::Moto;

use super::{BINARY, Merchant, ready};

/// Run by hand: `pip install 'moto[server]'`, then `cargo test -p processes -- --ignored moto`.
#[tokio::test]
#[ignore = "needs moto_server on the PATH, a Python program"]
async fn moto_agrees_on_the_way_back_of_one_merchant_to_two_processes() {
    let world = ready().await;
    let merchant = Merchant::at_wechat(&world).await;
    let moto = Moto::start().await;
    moto.take_over(&world).await;
    let start = || Bootstrap::with(BINARY, &world, |variables| moto.redirect(variables));
    let (one, other) = (start().await, start().await);
    world.simulator.inject(Fault::Delay(Duration::from_millis(300)).on(paths::QUERY_AUTH));
    let (first, second) = tokio::join!(one.request(&merchant.back), other.request(&merchant.back));
    for answer in [first, second, one.request(&merchant.back).await] {
        assert_eq!(parameter(&answer.location(), "status"), "authorized");
    }
    assert_eq!(world.calls(paths::QUERY_AUTH), 1);

    let (store, account) = (moto.store(), world.account(0));
    let link =
        store.links.get(&LinkId::parse(&merchant.link.id).unwrap(), world.now()).await.unwrap().expect("it is there");
    assert_eq!(link.authorized.map(|(bound, _)| bound), Some(account.clone()));
    assert_eq!(store.accounts.get(&account).await.unwrap().expect("it is stored").token.state, AccountState::Active);
    assert_eq!(store.inbox.count_waiting(world.now()).await.unwrap(), 0);
}

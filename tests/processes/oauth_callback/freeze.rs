//! A process is frozen between two events, and its connections are closed meanwhile.

use stories::bootstrap::Bootstrap;
use stories::browser::parameter;
use stories::cable::Cable;

use super::{BINARY, Merchant, ready};

/// A call that spends a code is never repeated, nor lost on a connection that was already closed.
#[tokio::test]
async fn a_code_is_exchanged_once_although_wechat_hung_up_while_the_process_was_frozen() {
    let world = ready().await;
    let variables: stories::bootstrap::Variables = world.variables().into_iter().collect();
    let wechat = Cable::to(&variables["WECHAT_API_BASE_URL"]).await;
    let table = Cable::to(&world.database.endpoint()).await;
    let function = Bootstrap::with(BINARY, &world, |variables| {
        variables.insert("WECHAT_API_BASE_URL".into(), wechat.url().into());
        variables.insert("AWS_ENDPOINT_URL_DYNAMODB".into(), table.url().into());
    })
    .await;
    function.invoke(serde_json::Value::Null).await.expect("it is answered, with 400");
    assert_eq!((wechat.connections(), table.connections()), (1, 1), "connected before the first merchant comes back");

    let merchant = Merchant::at_wechat(&world).await;
    function.freeze();
    wechat.cut().await;
    table.cut().await;
    function.thaw();
    assert_eq!(parameter(&function.request(&merchant.back).await.location(), "status"), "authorized");
    let account = world.account(0);
    assert_eq!(world.simulator.counters().effects.exchanges.get(&account), Some(&1));
    assert_eq!((wechat.connections(), table.connections()), (2, 2));
}

//! A process is frozen between two events, and its connections are closed meanwhile.

use std::time::Duration;

use stories::bootstrap::Bootstrap;
use stories::cable::Cable;
use stories::world::World;

use super::BINARY;

#[tokio::test]
async fn a_push_is_stored_although_the_table_hung_up_while_the_process_was_frozen() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    let cable = Cable::to(&world.database.endpoint()).await;
    let function = Bootstrap::with(BINARY, &world, |variables| {
        variables.insert("AWS_ENDPOINT_URL_DYNAMODB".into(), cable.url().into());
    })
    .await;
    function.invoke(serde_json::Value::Null).await.expect("it is answered, with 400");
    assert_eq!(cable.connections(), 1, "connected before the first push");

    for connections in [2, 3] {
        function.freeze();
        cable.cut().await;
        function.thaw();
        let ticket = world.simulator.seal(&world.simulator.ticket());
        assert!(function.push(&ticket).await.is_success());
        assert_eq!(cable.connections(), connections);
    }
    assert!(world.store().tickets.newest().await.unwrap().is_some());
}

//! What the operator sees, and the merchant does not.

use runtime::telemetry::Measure;
use serde_json::json;
use simulator::{Fault, paths};
use stories::browser::Browser;
use stories::business::Business;
use stories::world::World;

#[tokio::test]
async fn a_refused_address_is_shown_to_the_operator_and_not_to_the_merchant() {
    let world = World::ready().await;
    world.expect_error("following a link failed");
    let link = Business::of(&world).link(json!({})).await;
    let browser = Browser::on_computer();
    let launch = browser.open(&link.url).await;
    world.simulator.inject(Fault::ip_not_registered().on(paths::CREATE_PREAUTHCODE));
    let shown = browser.submit(&launch, &[]).await;

    assert_eq!(shown.status, 503);
    let (_, reference) = shown.text.split_once("Reference: ").expect("the page has a reference");
    let reference = &reference[..10];
    for internal in ["61004", "203.0.113.9", "whitelist", "clientip"] {
        assert!(!shown.text.contains(internal), "{internal}: {}", shown.text);
    }
    let log = world.log.text();
    let event = log.lines().find(|event| event.contains(reference)).unwrap_or_else(|| panic!("{reference}: {log}"));
    assert!(event.contains("ERROR") && event.contains("203.0.113.9"), "{event}");
    let told: Vec<_> =
        world.metrics.all().into_iter().filter(|metric| metric.measure == Measure::WechatRefused).collect();
    assert_eq!(told.last().unwrap().note, Some(("ip_to_whitelist", "203.0.113.9".to_owned())));
}

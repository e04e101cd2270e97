//! oauth-callback: its responses, the cost of a kill, simultaneous processes, and the log.
//!
//! Links are created and followed, pushes received and inbox entries processed in the test's process.

mod answers;
mod freeze;
mod kills;
mod logs;
mod races;
mod second_opinion;

use {
    serde_json::json,
    simulator::Consent,
    std::time::Duration,
    stories::browser::Browser,
    stories::business::{Business, Link},
    stories::http_events::HttpEvent,
    stories::world::World,
    url::Url,
};

/// The function's binary.
const BINARY: &str = env!("CARGO_BIN_EXE_process-oauth-callback");

/// The function's one route.
const ROUTE: &str = "/authorize/{link_id}/callback/{attempt}";

/// The business's page, to which merchants return.
const DONE: &str = "https://app.example.com/done?order=7";

async fn ready() -> World {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    world
}

/// A merchant whom WeChat sends back: the first account was authorized through a link.
struct Merchant {
    link: Link,
    browser: Browser,
    consent: Consent,
    /// The target of WeChat's redirect.
    url: Url,
    /// The same as an event of the gateway.
    back: HttpEvent,
}

impl Merchant {
    /// Follows a link that leads back to [`DONE`] and confirms at WeChat. Nothing is pushed yet.
    async fn at_wechat(world: &World) -> Self {
        Self::through(world, Business::of(world).link(json!({ "return_url": DONE })).await).await
    }

    async fn through(world: &World, link: Link) -> Self {
        let browser = Browser::on_computer();
        let page = browser.press(&link).await;
        let consent = world.confirms(&page, &world.account(0));
        let url = page.way_back(&consent.redirect_code);
        let back = browser.visit(&url, ROUTE);
        Self { link, browser, consent, url, back }
    }

    /// The account that the link is bound to.
    async fn bound_account(&self, world: &World) -> Option<String> {
        let state = Business::of(world).look(&self.link).await;
        state["authorizer_appid"].as_str().map(str::to_owned)
    }
}

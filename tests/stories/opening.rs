//! The beginning of most stories of merchants: a business creates a link, a merchant presses its button and is at
//! WeChat.

use serde_json::json;
use stories::browser::{AtWechat, Browser};
use stories::business::{Business, Link};
use stories::world::World;

/// The business's page, to which merchants return.
pub(crate) const DONE: &str = "https://app.example.com/done?order=7";

/// The participants, and their link and page.
pub(crate) struct Opening {
    pub(crate) business: Business,
    /// Leads back to [`DONE`].
    pub(crate) link: Link,
    /// The merchant's, on a computer.
    pub(crate) browser: Browser,
    /// WeChat's page, open in it.
    pub(crate) page: AtWechat,
}

impl Opening {
    pub(crate) async fn of(world: &World) -> Self {
        let business = Business::of(world);
        let link = business.link(json!({ "return_url": DONE })).await;
        let browser = Browser::on_computer();
        let page = browser.press(&link).await;
        Self { business, link, browser, page }
    }
}

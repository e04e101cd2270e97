//! An operator who may act, at a browser.

use serde_json::Value;
use stories::browser::{Browser, Page};
use stories::business::Business;

use super::Stage;

/// An operator who may act, and the page of the stage's account.
pub(super) struct Desk {
    pub(super) stage: Stage,
    pub(super) browser: Browser,
    pub(super) business: Business,
    /// The path of the account's page.
    pub(super) path: String,
}

impl Desk {
    pub(super) async fn ready() -> Self {
        let stage = Stage::ready().await;
        let (browser, business) = (stage.bound("li", "act").await, Business::of(&stage.world));
        let path = format!("/console/accounts/{}", stage.account);
        Self { stage, browser, business, path }
    }

    pub(super) async fn see(&self, path: &str) -> Page {
        self.stage.see(&self.browser, path).await
    }

    /// Sends a form of the account's page.
    pub(super) async fn submit(&self, form: &str, entered: &[(&str, &str)]) -> Page {
        let page = self.see(&self.path).await;
        self.browser.submit_to(&page, &format!("{}/{form}", self.path), entered).await
    }

    /// The page after a successful act, which says so.
    pub(super) async fn follow(&self, answer: &Page, said: &str) -> Page {
        assert_eq!(answer.status, 303, "{}", answer.text);
        let page = self.browser.open(&answer.location()).await;
        assert_eq!(page.status, 200, "{}", page.text);
        assert!(page.text.contains("role=\"status\"") && page.text.contains(said), "{said}: {}", page.text);
        page
    }

    /// Checks that an entry is in the audit and on its page.
    pub(super) async fn assert_audited(&self, entry: &str) {
        self.stage.assert_audited(&format!("operator:li {entry}")).await;
        let page = self.see(&format!("/console/audit?account={}", self.stage.account)).await;
        let is_about_account = entry.contains(self.stage.account.as_str());
        assert_eq!(page.text.contains("operator:li"), is_about_account, "{}", page.text);
    }

    pub(super) async fn account(&self) -> Value {
        self.business.account(&self.stage.account).await
    }

    /// The number of links.
    pub(super) async fn links(&self) -> usize {
        self.stage.world.store().links.all(10, None, self.stage.world.now()).await.unwrap().0.len()
    }

    pub(super) fn link_of(answer: &Page) -> String {
        let location = answer.location();
        location.path().rsplit('/').next().unwrap().to_owned()
    }

    pub(super) async fn is_lost(&self) {
        let push = self.stage.world.simulator.unauthorize(&self.stage.account).unwrap();
        self.stage.world.push_and_work(&push).await;
        self.stage.world.deliver().await;
    }
}

//! The operators' console: who has access, what they see, what they do, and what others try.

mod acts;
mod attacks;
mod desk;
mod hostile;
mod invitations;
mod labels;
mod lists;
mod pages;
mod questions;
mod rotation;
mod sessions;

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use base::ids::{AppId, OperatorName};
use base::random::Random;
use console::PAGES;
use http::Method;
use secrecy::ExposeSecret as _;
use store::{AuditEntry, InvitationCode, Operator, OperatorRequest};
use stories::browser::{Browser, Page};
use stories::logs::leaks;
use stories::world::{TABLE, WEBHOOK_SECRET, World};
use url::Url;

use crate::key_door::operator as admin;

/// A platform with an account, and operators.
struct Stage {
    world: World,
    account: AppId,
}

impl Stage {
    async fn ready() -> Self {
        Self::of(World::ready().await).await
    }

    async fn of(world: World) -> Self {
        let account = world.authorized_account().await;
        Self { world, account }
    }

    /// Invites an operator.
    async fn invited(&self, name: &str, rights: &str) -> InvitationCode {
        self.invited_until(name, rights, None).await
    }

    /// The same, with an end.
    async fn invited_until(&self, name: &str, rights: &str, until: Option<&str>) -> InvitationCode {
        let (random, now) = (Random::system(), self.world.now());
        let operator = OperatorRequest::new(name, rights, until, now).unwrap().make(&admin().by, &random, now);
        let (invitation, code) = operator.invitation(&admin().by, &random, now);
        assert!(self.world.store().operators.create(&operator, &invitation, &admin()).await.unwrap());
        code
    }

    /// Another invitation for an operator.
    async fn invited_again(&self, name: &str) -> InvitationCode {
        let operator = self.operator(name).await;
        let (invitation, code) = operator.invitation(&admin().by, &Random::system(), self.world.now());
        assert!(self.world.store().operators.invite(&operator, &invitation, &admin()).await.unwrap());
        code
    }

    async fn operator(&self, name: &str) -> Operator {
        self.world.store().operators.get(&OperatorName::parse(name).unwrap()).await.unwrap().unwrap()
    }

    /// A browser of a new operator.
    async fn bound(&self, name: &str, rights: &str) -> Browser {
        let code = self.invited(name, rights).await;
        let browser = Browser::on_computer();
        self.bind(&browser, &code).await;
        browser
    }

    async fn bind(&self, browser: &Browser, code: &InvitationCode) {
        let bound = self.accept(browser, code).await;
        assert_eq!((bound.status, bound.location()), (303, self.url("/console?done=bound")), "{}", bound.text);
    }

    /// Presses the button on an invitation's page.
    async fn accept(&self, browser: &Browser, code: &InvitationCode) -> Page {
        browser.send_form(&self.invitation(code), Some(&self.origin()), &[]).await
    }

    fn invitation(&self, code: &InvitationCode) -> Url {
        self.url(&format!("/console/invitations/{}", code.text().expose_secret()))
    }

    fn url(&self, path: &str) -> Url {
        self.world.public_url.join(path).unwrap()
    }

    /// The platform's own origin.
    fn origin(&self) -> String {
        self.world.public_url.origin().ascii_serialization()
    }

    async fn open(&self, browser: &Browser, path: &str) -> Page {
        browser.open(&self.url(path)).await
    }

    /// An existing page.
    async fn see(&self, browser: &Browser, path: &str) -> Page {
        let page = self.open(browser, path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        page
    }

    /// Whether the console knows the browser.
    async fn is_bound(&self, browser: &Browser) -> bool {
        match self.open(browser, "/console/browsers").await.status {
            200 => true,
            401 => false,
            other => panic!("{other}"),
        }
    }

    /// The paths of all pages that need a session, or of all forms.
    fn paths(&self, method: &Method) -> Vec<String> {
        let id = "AAAAAAAAAAAAAAAAAAAAAA";
        let filled = |path: &str| {
            let path = path.replace("{appid}", self.account.as_str()).replace("{link_id}", id);
            path.replace("{key_id}", id).replace("{browser_id}", id)
        };
        PAGES.iter().filter(|page| page.method == method).map(|page| filled(page.path)).collect()
    }

    /// Everything in the table.
    async fn table(&self) -> String {
        let scan = self.world.database.client().scan().table_name(TABLE).send().await.unwrap();
        let mut items: Vec<String> = scan.items().iter().map(sorted).collect();
        items.sort_unstable();
        items.join("\n")
    }

    /// The entries of the audit, the newest first: actor, act, object and outcome.
    async fn audit(&self) -> Vec<String> {
        let entries = self.world.store().audit_log.page(None, 100).await.unwrap().entries;
        let line = |entry: AuditEntry| {
            let subject = entry.account.map(|account| account.to_string()).or(entry.subject).unwrap_or_default();
            format!("{} {} {subject}: {}", entry.actor.by, entry.act, entry.outcome.unwrap_or_default())
        };
        entries.into_iter().map(line).collect()
    }

    async fn assert_audited(&self, entry: &str) {
        let entries = self.audit().await;
        assert!(entries.iter().any(|known| known == entry), "{entry}: {entries:#?}");
    }

    /// Checks that a page has no secret of WeChat's or ours, except the token of its own forms.
    fn assert_tells_nothing(&self, page: &Page, ours: &[String]) {
        let issued = self.world.simulator.issued_secrets();
        let kinds: Vec<String> = issued.iter().map(|secret| format!("{:?}", secret.kind)).collect();
        let issued = kinds.iter().zip(&issued).map(|(kind, secret)| (kind.as_str(), secret.value.as_str()));
        let ours = ours.iter().map(|secret| ("one of ours", secret.as_str()));
        let sought = issued.chain(ours).chain([("webhook's key", WEBHOOK_SECRET.trim_start_matches("whsec_"))]);
        let leaked = leaks(&page.text, sought);
        assert!(leaked.is_empty(), "{}: {leaked:#?}", page.url);
    }
}

/// An item as a text that is always the same.
fn sorted(item: &HashMap<String, AttributeValue>) -> String {
    let text = |value: &AttributeValue| value.as_m().map_or_else(|value| format!("{value:?}"), sorted);
    format!("{:?}", item.iter().map(|(name, value)| (name, text(value))).collect::<BTreeMap<_, _>>())
}

/// The token of a browser's forms.
fn form_token(page: &Page) -> String {
    let (_, after) = page.text.split_once("name=\"form_token\" value=\"").expect("there is a form");
    after.split_once('"').unwrap().0.to_owned()
}

//! web-login: which visitors it sends to WeChat, accepts back and reports, the cost of a kill, and the log.
//!
//! WeChat's page, and the shop's settings of its account, belong to the test's process.

mod answers;
mod kills;
mod logs;

use std::time::Duration;

use base::ids::AppId;
use serde_json::json;
use simulator::Visitor;
use stories::bootstrap::{Bootstrap, HttpAnswer};
use stories::browser::Browser;
use stories::business::Business;
use stories::http_events::HttpEvent;
use stories::world::World;
use url::Url;

/// The function's binary.
const BINARY: &str = env!("CARGO_BIN_EXE_process-web-login");

/// The shop's service, as IAM names it.
const SERVICE: &str = "arn:aws:sts::123456789012:assumed-role/shop/session";

/// The shop's page, to which visitors return.
const SHOP: &str = "https://shop.example.com/in?order=1";

/// The `state` that the shop gave the browser.
const STATE: &str = "state-of-one-browser";

const VISITOR: &str = "oVisitor-0123456789abcdefghi";
const NICKNAME: &str = "小明的昵称一二三";

const BEGIN: &str = "/login/{appid}";
const CALLBACK: &str = "/login/{appid}/callback";

/// An account whose shop logs in its visitors.
struct Stage {
    world: World,
    account: AppId,
}

impl Stage {
    async fn ready() -> Self {
        let world = World::beside_processes(Duration::ZERO, |_| {}).await;
        world.get_ready().await;
        let account = world.authorized_account().await;
        let origins = json!({ "login_origins": ["https://shop.example.com"] });
        assert_eq!(Business::of(&world).patch(&account, &origins, None).await.status, 200);
        world.simulator.put_visitor(&account, Visitor::new(VISITOR, NICKNAME));
        Self { world, account }
    }

    fn login_url(&self, scope: &str) -> Url {
        let mut url = self.world.public_url.join(&format!("/login/{}", self.account)).unwrap();
        url.query_pairs_mut().extend_pairs([("scope", scope), ("return_url", SHOP), ("state", STATE)]);
        url
    }
}

/// A visitor whom WeChat sends back.
struct Back {
    /// The target of WeChat's redirect.
    url: Url,
    /// The same as an event of the gateway, with the cookie of the attempt.
    event: HttpEvent,
    cookie: String,
}

impl Back {
    /// Begins a login in the function and agrees at WeChat, if that is asked.
    async fn from_wechat(stage: &Stage, function: &Bootstrap, scope: &str) -> Self {
        let browser = Browser::in_wechat();
        let begun = function.request(&browser.visit(&stage.login_url(scope), BEGIN)).await;
        let [cookie] = begun.cookies.as_slice() else { panic!("one cookie: {begun:?}") };
        let (cookie, _) = cookie.split_once(';').unwrap();
        let asked = browser.open(&wechat_of(&begun)).await;
        let asked = if asked.status == 302 {
            asked
        } else {
            browser.submit(&asked, &[("open_id", VISITOR), ("decision", "agree")]).await
        };
        let url = asked.location();
        let event = browser.visit(&url, CALLBACK).cookie(cookie);
        Self { url, event, cookie: cookie.to_owned() }
    }
}

/// WeChat's page, to which the function redirects or its button leads.
fn wechat_of(begun: &HttpAnswer) -> Url {
    if begun.status == 303 {
        return begun.location();
    }
    let (_, link) = begun.body.split_once("class=\"button\" href=\"").expect("a page with a button");
    Url::parse(&link.split_once('"').unwrap().0.replace("&#38;", "&")).unwrap()
}

/// The shop's service redeems a code; the caller decides whether it has an IAM identity.
fn redeems(code: &str) -> HttpEvent {
    let body = json!({ "login_code": code }).to_string();
    HttpEvent::new("POST", "/logins").header("content-type", "application/json").body(&body)
}

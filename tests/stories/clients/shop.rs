//! The shop of `docs/business-api.md`, copied and run as a reader would: which visitors it logs in.

use std::net::TcpStream;
use std::time::Duration;

use base::ids::AppId;
use base::random::Random;
use secrecy::ExposeSecret as _;
use simulator::Visitor;
use store::{AccountPatch, KeyRequest, Patch};
use stories::browser::{Browser, Page};
use stories::process::{Process, eventually, on_the_path};
use stories::world::World;
use tempfile::TempDir;
use tokio::net::TcpListener;
use url::Url;
use web::doors::KEY_DOOR;

use crate::key_door::operator;

use super::block;
use super::gateway::Gateway;

const DOCUMENT: &str = include_str!("../../../docs/business-api.md");
const VISITOR: &str = "oVisitor-0123456789abcdefghi";

/// The time until the program listens.
const START: Duration = Duration::from_secs(20);

/// The most redirects that a browser follows before it reports a loop.
const MOST_REDIRECTS: usize = 20;

/// The shop of an account, behind the platform.
struct Stage {
    world: World,
    account: AppId,
    shop: Url,
    process: Process,
    _folder: TempDir,
}

impl Stage {
    async fn open() -> Self {
        let world = World::ready().await;
        let account = world.authorized_account().await;
        world.simulator.put_visitor(&account, Visitor::new(VISITOR, "小明"));
        let gateway = Gateway::open(&world).await;
        let request = KeyRequest::new("shop", &["logins"]).unwrap().limited_to(&[account.as_str()]).unwrap();
        let (key, text) = request.make(&operator().by, &Random::system(), world.now());
        world.store().api_keys.create(&key, &operator()).await.unwrap();
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let shop = Url::parse(&format!("http://127.0.0.1:{port}")).unwrap();
        let origin = shop.origin().ascii_serialization();
        // As in `cargo run`, where an account permits pages of this machine.
        let origins = AccountPatch { login_origins: Patch::To(vec![origin.clone()]), ..AccountPatch::default() };
        world.store().accounts.patch(&account, &origins, |_| true, world.now()).await.unwrap();

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shop.py");
        std::fs::write(&file, block(DOCUMENT, "### A shop's two pages", "python")).unwrap();
        let variables = [
            ("SHOP_ORIGIN", origin),
            ("LOGIN", world.public_url.origin().ascii_serialization()),
            ("APPID", account.to_string()),
            ("API", format!("{}{KEY_DOOR}", gateway.url)),
            ("API_KEY", text.text().expose_secret().to_owned()),
            ("PORT", port.to_string()),
        ];
        let process = Process::start(on_the_path("python3"), &[file.to_str().unwrap()], variables);
        eventually("the shop listens", START, || TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
        Self { world, account, shop, process, _folder: folder }
    }

    fn page(&self, path: &str) -> Url {
        self.shop.join(path).unwrap()
    }

    /// Opens a URL and follows all redirects.
    async fn end_of(&self, browser: &Browser, url: &Url) -> Page {
        let mut page = browser.open(url).await;
        for _ in 0..MOST_REDIRECTS {
            if !(300..400).contains(&page.status) {
                return page;
            }
            page = browser.open(&page.location()).await;
        }
        panic!("{url} redirects in circles, by {}", page.url);
    }

    async fn assert_logged_in(&self, browser: &Browser, page: &Page) {
        assert!(page.text.contains(&format!("您好，{VISITOR}")), "{} {}", page.url, page.text);
        assert_eq!(page.url, self.page("/"));
        assert_eq!(browser.open(&self.page("/")).await.text, page.text, "and stays so");
    }
}

#[tokio::test]
#[ignore = "needs python3 on the PATH"]
async fn a_visitor_is_logged_in_and_the_shops_log_has_no_code() {
    let stage = Stage::open().await;
    let browser = Browser::in_wechat();
    let home = browser.open(&stage.page("/")).await;
    let page = stage.end_of(&browser, &home.link("登录")).await;
    stage.assert_logged_in(&browser, &page).await;
    let output = stage.process.output();
    assert!(output.contains("GET /login/return 302") && !output.contains("login_code="), "{output}");
}

#[tokio::test]
#[ignore = "needs python3 on the PATH"]
async fn a_visitor_who_has_scanned_the_qr_code_goes_on_on_the_phone() {
    let stage = Stage::open().await;
    let computer = Browser::on_computer();
    let shown = stage.end_of(&computer, &stage.page("/login")).await;
    assert!(shown.text.contains("<svg"), "{}", shown.text);
    let phone = Browser::in_wechat();
    let page = stage.end_of(&phone, &shown.url).await;
    stage.assert_logged_in(&phone, &page).await;
    let page = computer.open(&stage.page("/")).await;
    assert!(!page.text.contains(VISITOR), "the computer is nobody's: {}", page.text);
}

#[tokio::test]
#[ignore = "needs python3 on the PATH"]
async fn a_browser_that_loses_the_shops_cookies_is_not_redirected_endlessly() {
    let stage = Stage::open().await;
    let browser = Browser::in_wechat();
    let mut page = browser.open(&stage.page("/login")).await;
    for _ in 0..MOST_REDIRECTS {
        if page.status == 400 {
            break;
        }
        if page.url.origin() == stage.shop.origin() {
            browser.forget_cookies();
        }
        page = browser.open(&page.location()).await;
    }
    assert!(page.text.contains("Cookie"), "{} {} {}", page.status, page.url, page.text);
}

#[tokio::test]
#[ignore = "needs python3 on the PATH"]
async fn a_url_from_somebody_elses_login_logs_nobody_in_as_that_person() {
    let stage = Stage::open().await;
    let attacker = Browser::in_wechat();
    let mut page = attacker.open(&stage.page("/login")).await;
    while !page.location().as_str().contains("login_code=") {
        page = attacker.open(&page.location()).await;
    }
    // WeChat chooses the first of the account's visitors.
    let own = "oAnother-0123456789abcdefghi";
    stage.world.simulator.put_visitor(&stage.account, Visitor::new(own, "小红"));
    let victim = Browser::in_wechat();
    let page = stage.end_of(&victim, &page.location()).await;
    assert!(page.text.contains(own) && !page.text.contains(VISITOR), "{}", page.text);
}

//! The measured run: each flow once over the harness, with its requests to DynamoDB, WeChat, the gateway and Lambda.
//!
//! A run of the refresher is counted as a whole. The part of the accounts is the difference of a run with [`ACCOUNTS`]
//! of them and one without work.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base::ids::AppId;
use base::limits::Limits;
use http::Method;
use runtime::telemetry::Metric;
use serde_json::{Map, Value, json};
use simulator::{Account, Message, Visitor};
use store::EVENT_SORT_PREFIX;
use token_refresher::Task;
use tokio::time::Instant;

use crate::browser::{Browser, parameter};
use crate::business::Business;
use crate::faults::Faults;
use crate::meter::{Meter, Used, item_size};
use crate::webhook::Service;
use crate::world::{TABLE, World, short_limits};

use super::markdown::quantity;

/// Accounts of the large runs: a batch of rows, a part of a page of WeChat's list. Full pages cost less per account.
pub const ACCOUNTS: u32 = 100;

/// The prefixes of WeChat's API, unlike its pages.
const API: [&str; 2] = ["/cgi-bin/component/api_", "/sns/"];

/// The limit of a run that must not be cut short, even on a busy machine.
const LONG: Duration = Duration::from_mins(30);

/// The limit of a call of the simulator there.
const PATIENT: Duration = Duration::from_secs(20);

/// The counts of a flow.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Its name.
    pub name: &'static str,
    /// What DynamoDB charges for.
    pub used: Used,
    /// Requests through API Gateway.
    pub http: u32,
    /// Invocations of functions.
    pub invocations: u32,
    /// Events put on the bus.
    pub events: u32,
    /// Calls of WeChat's API.
    pub calls: u64,
    /// What the functions log: their lines from `info` on, and their metrics.
    pub log_bytes: usize,
}

impl Flow {
    /// Bytes of the functions' log.
    pub(super) fn log(&self) -> f64 {
        f64::from(u32::try_from(self.log_bytes).unwrap())
    }
}

/// Names of the flows, as the table shows them.
pub mod flow {
    /// See [`super::count`].
    pub const TICKET: &str = "ticket push";
    /// See [`super::count`].
    pub const MESSAGE: &str = "message of a follower";
    /// See [`super::count`].
    pub const MESSAGE_REPLIED: &str = "message with a reply webhook";
    /// See [`super::count`].
    pub const RENEW: &str = "renew run, nothing due";
    /// See [`super::count`].
    pub const RENEW_COMPONENT: &str = "renew run, component token due";
    /// See [`super::count`].
    pub const RENEW_ACCOUNTS: &str = "renew run, 100 accounts due";
    /// See [`super::count`].
    pub const RECONCILE: &str = "reconcile run, no account";
    /// See [`super::count`].
    pub const RECONCILE_ACCOUNTS: &str = "reconcile run, 100 accounts";
    /// See [`super::count`].
    pub const LINK: &str = "link created";
    /// See [`super::count`].
    pub const PAGE: &str = "link's page opened";
    /// See [`super::count`].
    pub const BUTTON: &str = "button pressed";
    /// See [`super::count`].
    pub const RETURN: &str = "merchant returns, with the stream's run";
    /// See [`super::count`].
    pub const GRANT: &str = "push of the grant, with the stream's run";
    /// See [`super::count`].
    pub const LOOK: &str = "link read by a service";
    /// See [`super::count`].
    pub const REVOKED: &str = "push of a revocation, with the stream's run";
    /// See [`super::count`].
    pub const VISITOR_BEGINS: &str = "visitor sent to WeChat";
    /// See [`super::count`].
    pub const VISITOR_RETURNS: &str = "visitor returns from WeChat";
    /// See [`super::count`].
    pub const LOGIN_REDEEMED: &str = "visitor's login redeemed";
}

/// The result of the run.
#[derive(Debug, Clone)]
pub struct Counted {
    flows: Vec<Flow>,
    /// Bytes of the largest item of each kind.
    items: BTreeMap<String, usize>,
    /// Metrics of the runs, the ticket push and a message, each combination of name and dimension once: CloudWatch's
    /// unit.
    pub metrics: u32,
}

impl Counted {
    /// A flow.
    #[must_use]
    pub fn flow(&self, name: &str) -> &Flow {
        self.flows.iter().find(|flow| flow.name == name).expect("the flow was counted")
    }

    /// Bytes of the largest item of a kind.
    #[must_use]
    pub fn item(&self, kind: &str) -> f64 {
        f64::from(u32::try_from(self.items[kind]).unwrap())
    }

    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let row = |flow: &Flow| {
            let requests: Vec<String> =
                flow.used.requests.iter().map(|(operation, count)| format!("{count} {operation}")).collect();
            let [http, invocations, events] = [flow.http, flow.invocations, flow.events].map(|count| count.to_string());
            let units = [flow.used.writes, flow.used.reads].map(|units| units.to_string());
            let [writes, reads] = units;
            let [name, requests, calls] = [flow.name.to_owned(), requests.join(", "), flow.calls.to_string()];
            let log = quantity(flow.log());
            vec![name, requests, writes, reads, http, invocations, events, calls, log]
        };
        self.flows.iter().map(row).collect()
    }

    pub(super) fn item_rows(&self) -> Vec<Vec<String>> {
        self.items.iter().map(|(kind, bytes)| vec![kind.clone(), bytes.to_string()]).collect()
    }
}

/// A world with a meter.
struct Scene {
    world: World,
    meter: Meter,
    flows: Vec<Flow>,
}

impl Scene {
    async fn with_accounts(accounts: Vec<Account>) -> Self {
        let meter = Meter::default();
        let options = |options: &mut simulator::Options| options.accounts = accounts;
        // A try that is cut short is repeated and counted twice, so a busy machine gets time.
        let limits = Limits { api_connect: PATIENT, api: PATIENT, ..short_limits() };
        let world = World::behind(Faults::over(meter.client()), options, limits).await;
        world.get_ready().await;
        Self { world, meter, flows: Vec::new() }
    }

    fn api_calls(&self) -> u64 {
        let counters = self.world.simulator.counters();
        counters
            .calls
            .iter()
            .filter(|(path, _)| API.iter().any(|api| path.starts_with(api)))
            .map(|(_, count)| count)
            .sum()
    }

    fn events(&self) -> u32 {
        u32::try_from(self.world.bus.delivered().len()).unwrap()
    }

    /// Counts the requests of `work`.
    async fn count<T>(&mut self, name: &'static str, http: u32, invocations: u32, work: impl Future<Output = T>) -> T {
        let (events, calls) = (self.events(), self.api_calls());
        let (log, metrics) = (self.world.log.text().len(), self.world.metrics.all().len());
        drop(self.meter.take());
        let result = work.await;
        let (used, events, calls) = (self.meter.take(), self.events() - events, self.api_calls() - calls);
        let log_bytes = logged(&self.world.log.text()[log..]) + measured(&self.world.metrics.all()[metrics..]);
        self.flows.push(Flow { name, used, http, invocations, events, calls, log_bytes });
        result
    }

    async fn items(&self) -> Vec<Map<String, Value>> {
        let scan = json!({ "TableName": TABLE }).to_string();
        let request = crate::http_client().post(self.world.database.endpoint()).body(scan);
        let request = request.header("x-amz-target", "DynamoDB_20120810.Scan");
        let request = request.header("content-type", "application/x-amz-json-1.0").header("authorization", SIGNED);
        let answer: Value =
            request.header("x-amz-date", "20270115T080000Z").send().await.unwrap().json().await.unwrap();
        let items = answer["Items"].as_array().unwrap_or_else(|| panic!("{answer}"));
        items.iter().map(|item| item.as_object().unwrap().clone()).collect()
    }
}

/// The addition of Lambda's request id to each line of a deployed function; nothing is invoked here.
const SPAN: &str = r#""span":{"request_id":"0e46f1d4-6f5c-4c1b-8f0f-1a9d6f0d7c3e","name":"invocation"},"#;

/// Bytes of those lines that a deployed function prints; the lines here go down to `trace`.
fn logged(lines: &str) -> usize {
    let is_printed = |line: &&str| {
        let line: Value = serde_json::from_str(line).unwrap();
        ["INFO", "WARN", "ERROR"].contains(&line["level"].as_str().unwrap())
    };
    lines.lines().filter(is_printed).map(|line| line.len() + SPAN.len()).sum()
}

/// Bytes of metrics' lines, in a stack of the default name.
fn measured(metrics: &[Metric]) -> usize {
    metrics
        .iter()
        .map(|metric| metric.embedded("WechatPlatform/wechat-platform", 1_800_000_000_000).to_string().len())
        .sum()
}

/// The signature for the embedded DynamoDB, which accepts any.
const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=local/20270115/us-east-1/dynamodb/aws4_request, \
                      SignedHeaders=host;x-amz-date, Signature=0";

/// Counts every flow.
pub async fn count() -> Counted {
    let mut scene = Box::pin(Scene::with_accounts(Account::demo())).await;
    scheduled(&mut scene).await;
    let metrics = metrics(&scene.world);
    merchant(&mut scene).await;
    let mut items = items(&scene).await;
    let Scene { mut flows, .. } = scene;
    let many = Box::pin(many()).await;
    // The account of the first scene has left, and its row has no token any more.
    for (kind, bytes) in self::items(&many).await {
        let largest = items.entry(kind).or_insert(0);
        *largest = bytes.max(*largest);
    }
    flows.extend(many.flows);
    let visitors = Box::pin(visitors()).await;
    items.extend(self::items(&visitors).await.remove_entry(WEB_LOGIN));
    flows.extend(visitors.flows);
    Counted { flows, items, metrics }
}

/// The scheduled runs, with or without accounts.
async fn scheduled(scene: &mut Scene) {
    let simulator = scene.world.simulator.clone();
    scene.world.pass(Duration::from_mins(10));
    let pushed = scene.count(flow::TICKET, 1, 1, simulator.push_ticket()).await;
    assert!(pushed.is_accepted(), "{pushed:?}");
    messages(scene).await;
    let refresher = scene.world.refresher.clone();
    run(scene, &refresher, flow::RENEW, Task::renew()).await;
    run(scene, &refresher, flow::RECONCILE, Task::Reconcile).await;
    scene.world.pass(Duration::from_mins(100));
    assert!(scene.world.simulator.push_ticket().await.is_accepted());
    run(scene, &refresher, flow::RENEW_COMPONENT, Task::renew()).await;
}

/// Messages after the account's first one, for which its name is looked up: to the bus alone, and with a reply.
async fn messages(scene: &mut Scene) {
    let simulator = scene.world.simulator.clone();
    let account = simulator.accounts().remove(0);
    scene.world.store().user_names.put(&account.appid, &account.user_name).await.unwrap();
    let text = || Message::text(&account, "oAbCdEfGhIjKlMnOpQrStUvWxYz0", "请问今天营业到几点？😊");
    let first = simulator.send_message(&text()).await;
    let second = scene.count(flow::MESSAGE, 1, 1, simulator.send_message(&text())).await;
    assert!(first.is_empty() && second.is_empty(), "{first:?} {second:?}");

    let webhook = Service::replying_with_texts().await;
    scene.world.ask_for_replies(webhook.url()).await;
    drop(simulator.send_message(&text()).await);
    let replied = scene.count(flow::MESSAGE_REPLIED, 1, 1, simulator.send_message(&text())).await;
    assert!(!replied.is_empty() && webhook.asked().len() == 2, "{replied:?}");
}

async fn run(
    scene: &mut Scene,
    refresher: &token_refresher::Refresher,
    name: &'static str,
    task: Task,
) -> token_refresher::Report {
    let work = Box::pin(refresher.run(&task, Instant::now() + LONG));
    let report = scene.count(name, 0, 1, work).await.unwrap();
    assert!(report.failed.is_empty() && report.left_over == 0, "{name}: {report}");
    report
}

/// A merchant, from the link to the grant and its end.
async fn merchant(scene: &mut Scene) {
    let business = Business::of(&scene.world);
    let browser = Browser::on_computer();
    let account = scene.world.account(0);
    let request = json!({
        "requester_name": "演示科技有限公司", "return_url": "https://app.example.com/done?order=7", "reference": "order-7",
    });
    let link = scene.count(flow::LINK, 1, 1, business.link(request)).await;
    let launch = scene.count(flow::PAGE, 1, 1, browser.open(&link.url)).await;
    let pressed = scene.count(flow::BUTTON, 1, 1, browser.submit(&launch, &[])).await;
    let at_wechat = crate::browser::AtWechat(pressed.location());
    let consent = scene.world.confirms(&at_wechat, &account);
    let refresher = scene.world.refresher.clone();
    let simulator = scene.world.simulator.clone();

    let before = inbox(scene).await;
    let way_back = at_wechat.way_back(&consent.redirect_code);
    let back = scene.count(flow::RETURN, 1, 1, browser.open(&way_back)).await;
    assert_eq!(back.told_status(), "authorized");
    after_insert(scene, &refresher, &before).await;

    let before = inbox(scene).await;
    let push = scene.count(flow::GRANT, 1, 1, simulator.send(&consent.push)).await;
    assert!(push.is_accepted(), "{push:?}");
    after_insert(scene, &refresher, &before).await;

    let state = scene.count(flow::LOOK, 1, 1, business.look(&link)).await;
    assert_eq!(state["authorizer_appid"], account.as_str());

    scene.world.pass(Duration::from_mins(30));
    let before = inbox(scene).await;
    let revocation = scene.world.simulator.unauthorize(&account).expect("the grant stands");
    let push = scene.count(flow::REVOKED, 1, 1, simulator.send(&revocation)).await;
    assert!(push.is_accepted(), "{push:?}");
    after_insert(scene, &refresher, &before).await;
}

async fn inbox(scene: &Scene) -> BTreeSet<(String, String)> {
    scene.world.inbox_keys().await.into_iter().collect()
}

/// The runs of the refresher that the table's stream starts, for what has entered the inbox and then for what has
/// changed in accounts: they belong to the last flow.
async fn after_insert(scene: &mut Scene, refresher: &token_refresher::Refresher, before: &BTreeSet<(String, String)>) {
    let new: BTreeSet<String> = inbox(scene).await.difference(before).map(|(pk, _)| pk.clone()).collect();
    assert_eq!(new.len(), 1, "one entry has come");
    stream(scene, refresher, new).await;
    let text = |item: &Map<String, Value>, name: &str| item[name]["S"].as_str().unwrap().to_owned();
    let items = scene.items().await;
    let waiting =
        items.iter().filter(|item| text(item, "sk").starts_with(EVENT_SORT_PREFIX) && item.contains_key("due_at"));
    let reported: BTreeSet<String> = waiting.map(|item| text(item, "pk")).collect();
    if !reported.is_empty() {
        stream(scene, refresher, reported).await;
    }
}

async fn stream(scene: &mut Scene, refresher: &token_refresher::Refresher, keys: BTreeSet<String>) {
    run(scene, refresher, "stream", Task::Stream(keys)).await;
    let run = scene.flows.pop().unwrap();
    let flow = scene.flows.last_mut().unwrap();
    flow.used += run.used;
    flow.log_bytes += run.log_bytes;
    flow.invocations += run.invocations;
    flow.events += run.events;
    flow.calls += run.calls;
}

/// The runs with [`ACCOUNTS`] accounts.
async fn many() -> Scene {
    let accounts = (0..ACCOUNTS).map(|number| {
        let appid = AppId::parse(&format!("wx{:016x}", 0x0c00_0000_0000_0000_u64 + u64::from(number))).unwrap();
        Account::mini_program(appid, "社区团购 🥬 每日鲜")
    });
    let mut scene = Scene::with_accounts(accounts.collect()).await;
    for account in scene.world.simulator.accounts() {
        drop(scene.world.merchant_authorizes(&account.appid));
    }
    let refresher = scene.world.refresher.clone();
    let report = Box::pin(refresher.run(&Task::Reconcile, Instant::now() + LONG)).await.unwrap();
    assert_eq!(report.added, u64::from(ACCOUNTS), "{report}");
    assert_eq!(scene.world.deliver().await.events_delivered, u64::from(ACCOUNTS));
    scene.world.pass(Duration::from_hours(1));
    assert!(scene.world.simulator.push_ticket().await.is_accepted());
    let report = run(&mut scene, &refresher, flow::RECONCILE_ACCOUNTS, Task::Reconcile).await;
    assert_eq!((report.added, report.repaired, report.gone), (0, 0, 0), "{report}");
    // All accounts are due, the component token is not.
    scene.world.pass(Duration::from_mins(41));
    assert!(scene.world.simulator.push_ticket().await.is_accepted());
    let report = run(&mut scene, &refresher, flow::RENEW_ACCOUNTS, Task::renew()).await;
    assert_eq!(report.renewed, u64::from(ACCOUNTS), "{report}");
    scene
}

/// The kind of a visitor's login item.
const WEB_LOGIN: &str = "web-login";

/// A visitor of an account's page who is asked for nickname and picture, which takes one call of WeChat's more than the
/// openid alone.
async fn visitors() -> Scene {
    let mut scene = Scene::with_accounts(Account::demo()).await;
    let account = scene.world.authorized_account().await;
    let visitor = Visitor::new("oAbCdEfGhIjKlMnOpQrStUvWxYz0", "小明 😊");
    scene.world.simulator.put_visitor(&account, visitor);
    let business = Business::of(&scene.world);
    let origins = json!({ "login_origins": ["https://shop.example.com"] });
    assert_eq!(business.patch(&account, &origins, None).await.status, 200);
    let mut login = scene.world.public_url.join(&format!("/login/{account}")).unwrap();
    login.query_pairs_mut().extend_pairs([
        ("scope", "snsapi_userinfo"),
        ("return_url", "https://shop.example.com/login/return?to=%2Forders%2F7"),
        ("state", "0123456789abcdef0123456789abcdef"),
    ]);
    let browser = Browser::in_wechat();
    let button = scene.count(flow::VISITOR_BEGINS, 1, 1, browser.open(&login)).await;
    let asked = browser.open(&button.link("Continue with WeChat")).await;
    let consent = [("open_id", "oAbCdEfGhIjKlMnOpQrStUvWxYz0"), ("decision", "agree")];
    let way_back = browser.submit(&asked, &consent).await.location();
    let back = scene.count(flow::VISITOR_RETURNS, 1, 1, browser.open(&way_back)).await;
    let code = json!({ "login_code": parameter(&back.location(), "login_code") });
    let redeemed = scene.count(flow::LOGIN_REDEEMED, 1, 1, business.ask(Method::POST, "/logins", &code)).await;
    assert_eq!((redeemed.status, redeemed.body["profile"]["nickname"].as_str()), (200, Some("小明 😊")));
    scene
}

/// Each published combination: the parts of what is split, and the total if that is published too.
fn metrics(world: &World) -> u32 {
    let mut combinations = BTreeSet::new();
    for metric in world.metrics.all() {
        let line = metric.embedded("", 0);
        for dimensions in line["_aws"]["CloudWatchMetrics"][0]["Dimensions"].as_array().unwrap() {
            let values: Vec<Value> =
                dimensions.as_array().unwrap().iter().map(|name| line[name.as_str().unwrap()].clone()).collect();
            combinations.insert((metric.name(), format!("{values:?}")));
        }
    }
    u32::try_from(combinations.len()).unwrap()
}

/// The largest item of each kind: the part of the key after the platform, and for a link the sort key.
async fn items(scene: &Scene) -> BTreeMap<String, usize> {
    let mut largest = BTreeMap::new();
    for mut item in scene.items().await {
        // The duration of a run on this machine must not change the page.
        item.entry("milliseconds").and_modify(|took| *took = json!({ "N": "270000" }));
        let key = |name: &str| item[name]["S"].as_str().unwrap().to_owned();
        let (pk, sk) = (key("pk"), key("sk"));
        let kind = pk.split('#').nth(1).unwrap().to_owned();
        let sort = sk.split('#').next().unwrap().to_owned();
        let name = if ["details", "health", "link", "reconcile"].contains(&kind.as_str()) && kind != sort {
            format!("{kind}, {sort}")
        } else if item.contains_key("reply") {
            format!("{kind}, with its reply")
        } else {
            kind
        };
        let bytes = largest.entry(name).or_insert(0);
        *bytes = item_size(&item).max(*bytes);
    }
    largest
}

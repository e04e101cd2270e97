//! A whole platform in one process: the simulator plays WeChat, DynamoDB is in memory, time is moved by hand.
//!
//! If a part of it runs as a process of its own, which knows only the machine's time, the world uses that time too:
//! [`World::beside_processes`]. It can still be moved, for this process and WeChat's side.
//!
//! A story begins with [`World::start`], lets WeChat, merchants and schedules act, and checks the outcome. The HTTP
//! between the two sides is real, on loopback; nothing runs on its own.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use account_api::AccountService;
use account_push::{MessageService, REPLY_WEBHOOK};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use axum::Router;
use base::clock::{Clock, ManualClock, SharedClock, SystemClock, Timestamp};
use base::ids::{AppId, BrowserId};
use base::limits::Limits;
use base::random::Random;
use console::{Console, Parts as ConsoleParts};
use local::eventbridge::EventBus;
use local::file_bucket::FileBucket;
use local::lambda::Lambda;
use oauth_callback::CallbackService;
use platform::bus::Bus;
use platform::component::Component;
use platform::secret::PlatformSource;
use platform::services::Services;
use platform::tokens::Tokens;
use platform::webhook::{AddressPolicy, Webhook};
use preauth_link::LinkService;
use runtime::aws::{AwsClients, Presigner};
use runtime::config::{
    AccountConfig, ConsoleConfig, FilesConfig, KeyConfig, LoginConfig, Origin, PageConfig, TokenConfig, WebDomains,
    WechatConfig,
};
use secrecy::SecretString;
use simulator::{Consent, Options, Push, Simulator};
use store::{
    AccountDetails, AccountState, Actor, ApiKey, INBOX_SORT_PREFIX, InvitationCode, KeyRequest, NewBrowser,
    SecretDigest, Store, StoredAccount, Subject, Table, TokenOwner,
};
use ticket_push::Receiver;
use token_api::TokenService;
use token_refresher::{EVENT_WEBHOOK, Refresher, Report, Settings, Targets, Task};
use tokio::net::TcpListener;
use tokio::time::Instant;
use url::Url;
use web::doors::{KEY_DOOR, Route};
use web::gateway::Gateway;
use web_login::LoginService;
use wechat::api::WechatClient;
use wechat::push::TestAccounts;
use wechat_calls::{Bucket, CallService};

use crate::browser::AtWechat;
use crate::faults::Faults;
use crate::log::StoryLog;
use crate::metrics::CollectedMetrics;

/// Services may use keys.
pub const KEYS: KeyConfig = KeyConfig { enabled: true };

/// The table of a story.
pub const TABLE: &str = "wechat-platform";

/// The secret of a story.
pub const SECRET: &str = "wechat-platform/secret";

/// The event bus of a story.
pub const BUS: &str = "wechat-platform";

/// The platform of a story.
pub const COMPONENT: &str = "wx1234567890abcdef";

/// The functions that the console calls.
const CALLED_BY_CONSOLE: [&str; 2] = ["account-api", "preauth-link"];

/// The key of a story's reply webhook.
pub const WEBHOOK_SECRET: &str = "whsec_c3Rvcnktd2ViaG9vay1rZXktMDEyMzQ1Njc4OWFiY2RlZg==";

/// The routes for businesses, of all functions.
pub static BUSINESS_ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
    let links = preauth_link::BUSINESS_ROUTES.iter();
    links
        .chain(&account_api::ROUTES)
        .chain(&token_api::ROUTES)
        .chain(&wechat_calls::ROUTES)
        .chain(&web_login::BUSINESS_ROUTES)
        .cloned()
        .collect()
});

/// The routes that the gateway has for callers with keys.
pub static KEY_ROUTES: LazyLock<BTreeSet<String>> = LazyLock::new(|| key_routes(&BUSINESS_ROUTES));

/// The routes that the gateway needs for a function with these routes to be called with keys: everything below the
/// first part of each path.
#[must_use]
pub fn key_routes(routes: &[Route]) -> BTreeSet<String> {
    let first = |path: &'static str| path[1..].split('/').next().unwrap_or_default();
    let is_alone = |path: &str| path.matches('/').count() == 1;
    // All below a list belongs to its function, except what another function serves there.
    let is_list_of =
        |routes: &[Route], name: &str| routes.iter().any(|route| is_alone(route.path) && &route.path[1..] == name);
    let is_guest = |name: &str| is_list_of(&BUSINESS_ROUTES, name) && !is_list_of(routes, name);
    let at_door = |path: &'static str| match first(path) {
        name if is_alone(path) || is_guest(name) => format!("{KEY_DOOR}{path}"),
        name => format!("{KEY_DOOR}/{name}/{{proxy+}}"),
    };
    routes.iter().map(|route| at_door(route.path)).collect()
}

/// The time at which a story begins.
pub const START: Timestamp = Timestamp::from_unix(1_800_000_000);

/// The platform's entries in WeChat's console.
#[must_use]
pub fn platform() -> simulator::Platform {
    simulator::Platform {
        component_appid: AppId::parse(COMPONENT).unwrap(),
        component_appsecret: "story-app-secret-0123456789abcdef".into(),
        token: "StoryVerificationToken01".into(),
        encoding_aes_key: "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG".into(),
    }
}

/// The same as the JSON in Secrets Manager.
#[must_use]
pub fn secret_json() -> SecretString {
    use secrecy::ExposeSecret as _;
    let platform = platform();
    serde_json::json!({
        "component_appid": platform.component_appid,
        "component_appsecret": platform.component_appsecret.expose_secret(),
        "token": platform.token.expose_secret(),
        "encoding_aes_key": platform.encoding_aes_key.expose_secret(),
        "webhook_secret": WEBHOOK_SECRET,
    })
    .to_string()
    .into()
}

/// Production's limits, changed for stories: WeChat's are shortened, so that a story in which it hangs ends soon; the
/// others are long, so that a busy machine does not fail a story.
#[must_use]
pub const fn short_limits() -> Limits {
    Limits {
        table_try: Duration::from_secs(10),
        table: Duration::from_secs(30),
        bus_try: Duration::from_secs(10),
        bus: Duration::from_secs(30),
        message: Duration::from_secs(40),
        push: Duration::from_secs(40),
        page: Duration::from_secs(80),
        least_for_call: Duration::from_millis(100),
        api_connect: Duration::from_secs(1),
        api: Duration::from_secs(2),
        poll: Duration::from_millis(50),
        token_wait: Duration::from_secs(40),
        ..Limits::interactive()
    }
}

/// Limits for hundreds of simultaneous actions, on a machine that plays both sides: nobody is late, and waiting sides
/// poll less often.
#[must_use]
pub const fn limits_for_crowds() -> Limits {
    Limits { api: Duration::from_secs(40), poll: Duration::from_millis(500), ..short_limits() }
}

/// The parts of a world, for a story that needs its own.
pub struct Parts {
    /// The client through which all requests to AWS pass.
    pub faults: Faults,
    /// Random bytes of both sides.
    pub random: Random,
    /// How the SDK sleeps between two tries, and until the end of one.
    pub sleep: SharedAsyncSleep,
}

impl Default for Parts {
    fn default() -> Self {
        Self { faults: Faults::default(), random: Random::system(), sleep: SharedAsyncSleep::new(TokioSleep::new()) }
    }
}

/// A platform and WeChat's side of it.
pub struct World {
    /// Moves the time of both sides.
    pub clock: Arc<ManualClock>,
    /// WeChat's side.
    pub simulator: Simulator,
    /// The table's database.
    pub database: local::dynamodb::Embedded,
    /// Faults between the SDK and DynamoDB.
    pub faults: Faults,
    /// Secrets Manager.
    pub secrets: local::secrets::Secrets,
    /// The metrics so far.
    pub metrics: CollectedMetrics,
    /// What the functions are built from.
    pub services: Services,
    /// The scheduled job.
    pub refresher: Refresher,
    /// The URL of the platform's public routes.
    pub public_url: Url,
    /// The URL of the simulator.
    pub wechat_url: Url,
    /// The URL of Secrets Manager.
    pub secrets_url: Url,
    /// EventBridge, with the delivered events.
    pub bus: EventBus,
    /// The URL of EventBridge.
    pub bus_url: Url,
    /// The URL of Lambda, which runs the functions that the console calls.
    pub lambda_url: Url,
    /// The bucket of files.
    pub files: FileBucket,
    /// Its URL.
    pub files_url: Url,
    /// The log.
    pub log: StoryLog,
    /// Whether the story ends with the proof.
    pub(crate) is_proven: AtomicBool,
    sleep: SharedAsyncSleep,
}

/// The machine's time, moved by as much as the story has moved it.
struct MovedClock {
    /// Showed the story's beginning when the machine's clock showed `began`.
    moved: Arc<ManualClock>,
    began: Timestamp,
}

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        self.moved.now().plus(SystemClock.now().since(self.began))
    }
}

impl World {
    /// A platform that has received nothing yet.
    pub async fn start() -> Self {
        Self::with(|_| {}, short_limits()).await
    }

    /// A ready platform, for hundreds of simultaneous actions.
    pub async fn for_crowds() -> Self {
        let world = Self::with(|_| {}, limits_for_crowds()).await;
        world.get_ready().await;
        world
    }

    /// A platform that has received nothing yet, at another time than a story usually begins.
    pub async fn at(start: Timestamp) -> Self {
        let clock = Arc::new(ManualClock::at(start));
        let shared_clock = Arc::clone(&clock) as SharedClock;
        Self::on(clock, shared_clock, Parts::default(), |_| {}, short_limits()).await
    }

    /// A platform on a simulator with changed options and with other bounds.
    pub async fn with(change: impl FnOnce(&mut Options), limits: Limits) -> Self {
        Self::behind(Faults::default(), change, limits).await
    }

    /// The same behind a client of the story's own, which sees all that goes to AWS.
    pub async fn behind(faults: Faults, change: impl FnOnce(&mut Options), limits: Limits) -> Self {
        Self::of(Parts { faults, ..Parts::default() }, change, limits).await
    }

    /// The same on other parts.
    pub async fn of(parts: Parts, change: impl FnOnce(&mut Options), limits: Limits) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let shared_clock = Arc::clone(&clock) as SharedClock;
        Self::on(clock, shared_clock, parts, change, limits).await
    }

    /// A platform next to which functions run as separate processes, so that time advances on its own. It begins
    /// `before` the machine's time: for a process, what happens until [`World::pass`] has made up for it is that long
    /// ago, its tokens due or expired.
    pub async fn beside_processes(before: Duration, change: impl FnOnce(&mut Options)) -> Self {
        let began = SystemClock.now();
        let clock = Arc::new(ManualClock::at(began.minus(before)));
        let shared_clock = Arc::new(MovedClock { moved: Arc::clone(&clock), began });
        Self::on(clock, shared_clock, Parts::default(), change, short_limits()).await
    }

    async fn on(
        clock: Arc<ManualClock>,
        shared_clock: SharedClock,
        Parts { faults, random, sleep }: Parts,
        change: impl FnOnce(&mut Options),
        limits: Limits,
    ) -> Self {
        let log = StoryLog::open();
        let public = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let public_url = url_of(&public);
        let wechat = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wechat_url = url_of(&wechat);

        let mut options = Options::new(platform(), "127.0.0.1", Arc::clone(&shared_clock));
        options.random = random.clone();
        options.push_url = Some(public_url.join("wechat/events").unwrap());
        options.message_url = Some(message_url(&public_url));
        change(&mut options);
        let simulator = Simulator::new(options).unwrap();
        tokio::spawn(simulator.clone().serve(wechat, std::future::pending()));

        let database = local::dynamodb::Embedded::memory().unwrap();
        local::table::create_table(&database.client(), TABLE).await.unwrap();
        let secrets = local::secrets::Secrets::new(SECRET, Some(secret_json()));
        let secrets_listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let secrets_url = url_of(&secrets_listener);
        tokio::spawn(secrets.clone().serve(secrets_listener));

        let bus = EventBus::new(BUS);
        let bus_listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bus_url = url_of(&bus_listener);
        tokio::spawn(bus.clone().serve(bus_listener));

        let files = FileBucket::new(presigner(), Arc::clone(&shared_clock));
        let files_listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let files_url = url_of(&files_listener);
        tokio::spawn(files.clone().serve(files_listener));

        let lambda = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let lambda_url = url_of(&lambda);

        let metrics = CollectedMetrics::default();
        let clients = clients(&database, &faults, &sleep, &secrets_url, &limits);
        let platform =
            PlatformSource::new(clients.secrets, SECRET, Arc::clone(&shared_clock), limits, metrics.metrics());
        let services = Services {
            platform: Arc::new(platform),
            table: Table::new(clients.dynamodb, TABLE),
            wechat: WechatClient::new(&wechat_url, &limits).unwrap(),
            clock: shared_clock,
            random,
            metrics: metrics.metrics(),
            limits,
        };
        let bus_client = bus_client(&faults, &sleep, &bus_url, &limits);
        let targets = Targets { bus: bus_client, webhook: None, public_base: origin_of(&public_url) };
        let refresher = Refresher::new(services.clone(), targets, quick());
        let world = Self {
            clock,
            simulator,
            database,
            faults,
            secrets,
            metrics,
            services,
            refresher,
            public_url,
            wechat_url,
            secrets_url,
            bus,
            bus_url,
            lambda_url,
            files,
            files_url,
            log,
            is_proven: AtomicBool::new(true),
            sleep,
        };
        let router = world.public_router();
        tokio::spawn(async move { axum::serve(public, router).await });
        let functions = Lambda::new(CALLED_BY_CONSOLE.map(|name| (name, world.gateway()))).router();
        tokio::spawn(async move { axum::serve(lambda, functions).await });
        world
    }

    /// A platform that has a ticket and a component token.
    pub async fn ready() -> Self {
        let world = Self::start().await;
        world.get_ready().await;
        world
    }

    /// Receives the first ticket and exchanges it for a component token.
    pub async fn get_ready(&self) {
        assert!(self.simulator.push_ticket().await.is_accepted());
        let report = self.renew().await;
        assert!(report.failed.is_empty(), "{report}");
    }

    /// The platform's public routes, as they are deployed.
    pub fn public_router(&self) -> Router {
        let callback = CallbackService::new(self.services.clone(), self.page_config());
        ticket_push::router(Receiver {
            platform: Arc::clone(&self.services.platform),
            table: self.services.table.clone().access(),
            clock: Arc::clone(&self.services.clock),
            metrics: self.services.metrics.clone(),
            bound: self.services.limits.push,
        })
        .merge(preauth_link::public_router(self.link_service()))
        .merge(web_login::public_router(self.login_service()))
        .merge(console::router(self.console()))
        .merge(oauth_callback::router(callback))
        .merge(account_push::router(self.reception(None)))
    }

    /// The operators' console in a fresh process.
    #[must_use]
    pub fn console(&self) -> Console {
        Console::new(self.console_parts())
    }

    /// The parts that it is built from.
    #[must_use]
    pub fn console_parts(&self) -> ConsoleParts {
        ConsoleParts {
            table: self.services.table.clone(),
            lambda: console::lambda_client(&sdk_config(&self.faults, &self.sleep, self.lambda_url.as_str())),
            clock: Arc::clone(&self.services.clock),
            random: self.services.random.clone(),
            metrics: self.services.metrics.clone(),
            limits: self.services.limits,
            config: ConsoleConfig::read(&self.environment()).unwrap(),
            neighbours: Arc::default(),
        }
    }

    /// All functions' routes behind the gateway, as in the cloud.
    #[must_use]
    pub fn gateway(&self) -> Gateway {
        let router = self.public_router().merge(self.business_router());
        let gateway = Gateway::new(router, self.services.metrics.clone()).with_problems_on(&BUSINESS_ROUTES);
        gateway.with_pages_below(console::BASE)
    }

    /// The parts of account-push, with or without a reply webhook.
    #[must_use]
    pub fn reception(&self, webhook: Option<Webhook>) -> MessageService {
        MessageService {
            platform: Arc::clone(&self.services.platform),
            table: self.services.table.clone().access(),
            bus: self.event_bus(),
            webhook,
            test_accounts: TestAccounts::default(),
            clock: Arc::clone(&self.services.clock),
            random: self.services.random.clone(),
            metrics: self.services.metrics.clone(),
            limits: self.services.limits,
        }
    }

    /// The bus as the functions reach it.
    #[must_use]
    pub fn event_bus(&self) -> Bus {
        bus_client(&self.faults, &self.sleep, &self.bus_url, &self.services.limits)
    }

    /// The targets of the refresher without an event webhook.
    #[must_use]
    pub fn targets(&self) -> Targets {
        Targets { bus: self.event_bus(), webhook: None, public_base: origin_of(&self.public_url) }
    }

    /// Replaces the refresher by another process, which sends the events of accounts to this webhook, if there is one.
    /// `policy` decides what may be called.
    pub fn send_events_to(&mut self, webhook: Option<Url>, policy: AddressPolicy) {
        let webhook = webhook.map(|url| Webhook::new(url, policy, &EVENT_WEBHOOK).unwrap());
        let targets = Targets { webhook, ..self.targets() };
        self.refresher = Refresher::new(self.services.clone(), targets, quick());
    }

    /// From now on messages reach an instance of account-push that calls this webhook on loopback for replies.
    pub async fn ask_for_replies(&self, webhook: Url) {
        let webhook = Webhook::new(webhook, AddressPolicy::this_machine_too(), &REPLY_WEBHOOK).unwrap();
        self.receive_messages_with(account_push::router(self.reception(Some(webhook)))).await;
    }

    /// From now on WeChat sends messages to this router.
    pub async fn receive_messages_with(&self, router: Router) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.simulator.set_message_url(message_url(&url_of(&listener)));
        tokio::spawn(async move { axum::serve(listener, router).await });
    }

    /// Binds a browser with the code of an invitation, as the console does; `None` if that is refused.
    pub async fn bind_browser(&self, code: &str) -> Option<store::Browser> {
        let code = InvitationCode::parse(code).expect("it is the code of an invitation");
        let random = Random::system();
        let browser = NewBrowser {
            id: BrowserId::generate(&random),
            secret: SecretDigest::of(&SecretString::from(random.secret())),
            form_token: random.secret().into(),
            label: "Chrome, Windows".to_owned(),
        };
        let by = Actor { by: format!("operator:{}", code.operator), source_ip: None, request_id: None };
        let bound = self.store().browsers.bind(&code.operator, &code.digest(), &browser, &by, self.now()).await;
        bound.unwrap().map(|(_, browser)| browser)
    }

    /// The business routes, as they are deployed: refused without an identity.
    pub fn business_router(&self) -> Router {
        let config = AccountConfig::read(&self.environment()).unwrap();
        let accounts = AccountService::new(self.services.clone(), self.event_bus(), config);
        let config = TokenConfig::read(&self.environment()).unwrap();
        let tokens = TokenService::new(self.services.clone(), self.event_bus(), config);
        preauth_link::business_router(self.link_service(), KEYS)
            .merge(account_api::router(accounts, KEYS))
            .merge(token_api::router(tokens, KEYS))
            .merge(wechat_calls::router(self.call_service(), KEYS))
            .merge(web_login::business_router(self.login_service(), KEYS))
    }

    /// Calls on behalf, with their own cache of tokens.
    #[must_use]
    pub fn call_service(&self) -> CallService {
        self.call_service_with_files_at(&self.files_url)
    }

    /// The same with another bucket.
    #[must_use]
    pub fn call_service_with_files_at(&self, url: &Url) -> CallService {
        let (config, limits) = (FilesConfig { bucket: url.clone() }, &self.services.limits);
        let bucket = Bucket::new(&config, presigner(), Arc::clone(&self.services.clock), limits).unwrap();
        CallService::new(self.services.clone(), bucket, WebDomains::read(&self.environment()).unwrap())
    }

    /// The services of another process on the same table and secret, which has read nothing yet.
    #[must_use]
    pub fn another_process(&self) -> Services {
        let Services { clock, limits, metrics, .. } = self.services.clone();
        let platform = PlatformSource::new(self.aws_clients().secrets, SECRET, clock, limits, metrics);
        Services { platform: Arc::new(platform), ..self.services.clone() }
    }

    /// The function that logs in visitors.
    #[must_use]
    pub fn login_service(&self) -> LoginService {
        self.login_service_at(self.services.clone(), self.public_url.as_str(), "")
    }

    /// The same in a process with these services, at another origin, with a host for each account below `login_host`.
    #[must_use]
    pub fn login_service_at(&self, services: Services, public_base: &str, login_host: &str) -> LoginService {
        let config = LoginConfig::read(&|name: &str| match name {
            "PUBLIC_BASE_URL" => Some(public_base.to_owned()),
            "LOGIN_HOST" => Some(login_host.to_owned()).filter(|host| !host.is_empty()),
            _ => None,
        });
        LoginService::new(services, config.unwrap(), &self.wechat_config())
    }

    /// An API key with these scopes, in the table.
    pub async fn key(&self, scopes: &[&str], change: impl FnOnce(&mut ApiKey)) -> (ApiKey, SecretString) {
        let request = KeyRequest::new("shop", scopes).unwrap();
        let (mut key, text) = request.make("operator", &Random::system(), self.now());
        change(&mut key);
        let by = Actor { by: "operator".to_owned(), source_ip: None, request_id: None };
        self.store().api_keys.create(&key, &by).await.unwrap();
        (key, text.text())
    }

    /// Clients for the world's table and secret, as a program next to it has them.
    #[must_use]
    pub fn aws_clients(&self) -> AwsClients {
        clients(&self.database, &self.faults, &self.sleep, &self.secrets_url, &self.services.limits)
    }

    fn link_service(&self) -> LinkService {
        LinkService::new(self.services.clone(), self.page_config(), self.wechat_config())
    }

    /// The configuration of the merchants' pages.
    #[must_use]
    pub fn page_config(&self) -> PageConfig {
        PageConfig::read(&self.environment()).unwrap()
    }

    /// The URLs at which the functions find WeChat.
    #[must_use]
    pub fn wechat_config(&self) -> WechatConfig {
        WechatConfig::read(&self.environment()).unwrap()
    }

    fn environment(&self) -> impl Fn(&str) -> Option<String> + use<> {
        let (public, wechat) = (self.public_url.clone(), self.wechat_url.clone());
        move |name: &str| match name {
            "PUBLIC_BASE_URL" => Some(public.to_string()),
            "RETURN_URL_ORIGINS" => Some("https://app.example.com".to_owned()),
            "WANTED_PERMISSIONS" => Some("1,17".to_owned()),
            "WEB_DOMAINS" => Some("pages.example.com,$APPID$.shops.example.com".to_owned()),
            "PLATFORM_TOKEN_ROUTE" => Some("on".to_owned()),
            "TABLE_NAME" => Some(TABLE.to_owned()),
            "ACCOUNT_API_FUNCTION" => Some(CALLED_BY_CONSOLE[0].to_owned()),
            "PREAUTH_LINK_FUNCTION" => Some(CALLED_BY_CONSOLE[1].to_owned()),
            "WECHAT_API_BASE_URL" | "WECHAT_MP_BASE_URL" | "WECHAT_OPEN_BASE_URL" => Some(wechat.to_string()),
            _ => None,
        }
    }

    /// The variables with which a function's process finds this world, besides those that Lambda sets.
    #[must_use]
    pub fn variables(&self) -> Vec<(String, String)> {
        let ours = ["PUBLIC_BASE_URL", "RETURN_URL_ORIGINS", "WANTED_PERMISSIONS"];
        let wechats = ["WECHAT_API_BASE_URL", "WECHAT_MP_BASE_URL", "WECHAT_OPEN_BASE_URL"];
        let environment = self.environment();
        let known =
            ours.into_iter().chain(wechats).map(|name| (name.to_owned(), environment(name).unwrap_or_default()));
        let own = [
            ("TABLE_NAME", TABLE.to_owned()),
            ("SECRET_ID", SECRET.to_owned()),
            ("RUST_LOG", "info".to_owned()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.database.endpoint()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", self.secrets_url.to_string()),
            ("EVENT_BUS_NAME", BUS.to_owned()),
            ("AWS_ENDPOINT_URL_EVENTBRIDGE", self.bus_url.to_string()),
            ("FILES_BUCKET_URL", self.files_url.to_string()),
            ("AWS_ENDPOINT_URL_LAMBDA", self.lambda_url.to_string()),
            ("ACCOUNT_API_FUNCTION", CALLED_BY_CONSOLE[0].to_owned()),
            ("PREAUTH_LINK_FUNCTION", CALLED_BY_CONSOLE[1].to_owned()),
        ];
        known.chain(own.map(|(name, value)| (name.to_owned(), value))).collect()
    }

    /// Another server that runs the same platform requests a component token from WeChat: ours becomes invalid.
    pub async fn another_server_issues_a_component_token(&self) {
        let ticket = self.store().tickets.newest().await.unwrap().expect("a ticket has come");
        let platform = platform();
        let (component, secret) = (platform.component_appid, platform.component_appsecret);
        self.services.wechat.component_token(&component, &secret, &ticket.ticket).await.unwrap();
    }

    /// Another server that runs the same platform renews an account's token: ours becomes invalid.
    pub async fn another_server_renews(&self, account: &AppId) {
        let (component, stored) = (self.component().await, self.stored(account).await);
        let token = component.token().await.unwrap();
        let refresh_token = stored.token.refresh_token.expect("the account is renewed");
        component.wechat().authorizer_token(component.carries(&token), account, &refresh_token).await.unwrap();
    }

    /// Lets time pass on both sides.
    pub fn pass(&self, duration: Duration) {
        self.clock.advance(duration);
    }

    /// The five-minute tick.
    pub async fn renew(&self) -> Report {
        self.run(Task::renew()).await
    }

    /// The hourly tick.
    pub async fn reconcile(&self) -> Report {
        self.run(Task::Reconcile).await
    }

    /// The run that the bus starts on request.
    pub async fn run_on_request(&self) -> Report {
        self.run(Task::Requested).await
    }

    async fn run(&self, task: Task) -> Report {
        self.refresher.run(&task, Instant::now() + Duration::from_mins(2)).await.unwrap()
    }

    /// Lets WeChat push a message and the refresher act on it.
    pub async fn push_and_work(&self, push: &Push) -> Report {
        let outcome = self.simulator.send(push).await;
        assert!(outcome.is_accepted(), "{outcome:?}");
        self.renew().await
    }

    /// Delivers the events of all accounts, as the table's stream makes the refresher do.
    pub async fn deliver(&self) -> Report {
        let store = self.store();
        let accounts = self.simulator.accounts();
        let subjects = accounts.iter().map(|account| Subject::Account(account.appid.clone()));
        self.run(Task::Stream(subjects.map(|subject| store.outbox.pk(&subject)).collect())).await
    }

    /// One of the demo accounts.
    #[must_use]
    pub fn account(&self, number: usize) -> AppId {
        self.simulator.accounts()[number].appid.clone()
    }

    /// A merchant authorizes the platform; nothing is pushed yet.
    #[must_use]
    pub fn merchant_authorizes(&self, account: &AppId) -> Consent {
        self.simulator.authorize_without_link(account).expect("the merchant may authorize")
    }

    /// The administrator of `account` confirms on WeChat's page; nothing is pushed yet.
    #[must_use]
    pub fn confirms(&self, page: &AtWechat, account: &AppId) -> Consent {
        let consent = self.simulator.confirm(&page.pre_auth_code(), account);
        consent.unwrap_or_else(|refused| panic!("WeChat refuses the merchant: {refused}"))
    }

    /// A merchant has authorized the platform, the push has taken effect, and the business has been notified.
    pub async fn authorized_account(&self) -> AppId {
        let account = self.account(0);
        let consent = self.merchant_authorizes(&account);
        self.push_and_work(&consent.push).await;
        self.deliver().await;
        assert_eq!(self.stored(&account).await.token.state, AccountState::Active);
        account
    }

    /// The number of calls of one of WeChat's paths.
    #[must_use]
    pub fn calls(&self, path: &str) -> u64 {
        self.simulator.counters().calls.get(path).copied().unwrap_or(0)
    }

    /// The number of items in the table, of any kind.
    pub async fn items(&self) -> usize {
        let scan = self.database.client().scan().table_name(TABLE).send().await.unwrap();
        scan.items().len()
    }

    /// The platform's part of the table.
    #[must_use]
    pub fn store(&self) -> Store {
        self.services.table.store(&AppId::parse(COMPONENT).unwrap())
    }

    /// The platform as the functions open it.
    pub async fn component(&self) -> Component {
        self.services.open(None).await.unwrap()
    }

    /// The tokens of its accounts.
    pub async fn tokens(&self) -> Tokens {
        Tokens::of(&self.component().await)
    }

    /// An account's row.
    pub async fn stored(&self, account: &AppId) -> StoredAccount {
        self.store().accounts.get(account).await.unwrap().expect("the account is stored")
    }

    /// The details of an account.
    pub async fn details(&self, account: &AppId) -> AccountDetails {
        self.store().details.get(account).await.unwrap().expect("the account is stored")
    }

    /// Whether WeChat accepts the stored token of an account, tried with a call on the account's behalf.
    pub async fn wechat_accepts(&self, account: &AppId) -> bool {
        use secrecy::ExposeSecret as _;
        let record = self.store().tokens.get(&TokenOwner::Authorizer(account.clone())).await.unwrap().unwrap();
        let Some(token) = record.access_token else { return false };
        let mut url = self.wechat_url.join("cgi-bin/message/custom/send").unwrap();
        url.query_pairs_mut().append_pair("access_token", token.expose_secret());
        let body = serde_json::json!({"touser": "openid", "msgtype": "text", "text": {"content": "hello"}});
        let answer: serde_json::Value =
            crate::http_client().post(url).json(&body).send().await.unwrap().json().await.unwrap();
        answer["errcode"] == 0
    }

    /// The present instant of the story.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.services.clock.now()
    }

    /// The keys (`pk`, `sk`) of everything in the inbox, including what has taken effect.
    pub async fn inbox_keys(&self) -> Vec<(String, String)> {
        let items = self.database.client().scan().table_name(TABLE).send().await.unwrap().items.unwrap_or_default();
        let keys = items.iter().map(|item| (item["pk"].as_s().unwrap().clone(), item["sk"].as_s().unwrap().clone()));
        keys.filter(|(_, sk)| sk.starts_with(INBOX_SORT_PREFIX)).collect()
    }
}

/// The refresher without its rate limit.
fn quick() -> Settings {
    Settings { per_second: 100_000, requested_pause: Duration::ZERO, ..Settings::default() }
}

fn origin_of(url: &Url) -> Origin {
    Origin::parse(url.as_str()).unwrap()
}

fn message_url(base: &Url) -> String {
    format!("{base}wechat/accounts/$APPID$/events")
}

fn url_of(listener: &TcpListener) -> Url {
    Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap()
}

fn clients(
    database: &local::dynamodb::Embedded,
    faults: &Faults,
    sleep: &SharedAsyncSleep,
    secrets: &Url,
    limits: &Limits,
) -> AwsClients {
    let dynamodb = AwsClients::new(&sdk_config(faults, sleep, &database.endpoint()), limits).dynamodb;
    let secrets = AwsClients::new(&sdk_config(faults, sleep, secrets.as_str()), limits).secrets;
    AwsClients { dynamodb, secrets }
}

fn bus_client(faults: &Faults, sleep: &SharedAsyncSleep, bus: &Url, limits: &Limits) -> Bus {
    Bus::new(runtime::aws::event_bus_client(&sdk_config(faults, sleep, bus.as_str()), limits), BUS)
}

/// Signs as the processes next to a world do.
fn presigner() -> Presigner {
    Presigner::new(&region_and_credentials()).unwrap()
}

fn sdk_config(faults: &Faults, sleep: &SharedAsyncSleep, endpoint: &str) -> aws_config::SdkConfig {
    let config = region_and_credentials().to_builder();
    config.sleep_impl(sleep.clone()).http_client(faults.client()).endpoint_url(endpoint).build()
}

fn region_and_credentials() -> aws_config::SdkConfig {
    use aws_sdk_dynamodb::config::{Credentials, Region, SharedCredentialsProvider};
    aws_config::SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
        .build()
}

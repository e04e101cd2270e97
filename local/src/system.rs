//! The whole system, put together: every server and every timer of `cargo run`.
//!
//! The functions' routers are mounted as they are deployed; what the cloud does around them is done here: the gateway's
//! identity on the business routes, the ticks of the schedules, and instead of the table's stream a look at the inbox
//! four times a second.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use account_push::Reception;
use account_push::webhook::{AddressPolicy, Webhook};
use anyhow::Context as _;
use axum::{Extension, Router};
use oauth_callback::CallbackService;
use preauth_link::LinkService;
use shared::bus::Bus;
use shared::clock::{SharedClock, SystemClock};
use shared::config::{BusConfig, Environment, MessageConfig, PageConfig, StoreConfig, WechatConfig};
use shared::identity::IamIdentity;
use shared::limits::Limits;
use shared::platform::PlatformSource;
use shared::push::TestAccounts;
use shared::random::Random;
use shared::session::Services;
use shared::telemetry::Metrics;
use shared::vault::Store;
use shared::wechat::WechatClient;
use simulator::{Lifetimes, Options, Simulator};
use ticket_push::Receiver;
use token_refresher::{Refresher, Settings};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use url::Url;

use crate::args::Args;
use crate::data_dir::DataDir;
use crate::dynamodb::Embedded;
use crate::endpoints::Endpoints;
use crate::eventbridge::EventBus;
use crate::forward::forward;
use crate::listeners::{Listeners, endpoint, local_base};
use crate::platform_secret::PlatformSecret;
use crate::sample_webhook::SampleWebhook;
use crate::schedule;
use crate::secrets::Secrets;
use crate::table::create_table;
use crate::variables::Variables;

/// The embedded table accepts any, but the SDK wants some.
const ANY_CREDENTIALS: [(&str, &str); 3] =
    [("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "local")];

/// The simulator's file in the data folder.
const SIMULATOR_FILE: &str = "simulator.json";

/// Whom the business routes take a caller of this machine for.
const LOCAL_IDENTITY: &str = "arn:aws:iam::000000000000:user/localhost";

/// The running system. It stops when the value is dropped.
pub struct System {
    /// Where the merchants' pages are, as the outside sees them.
    pub public_base: String,
    /// Where the business API is.
    pub business_base: String,
    /// Where the simulator is, if it runs.
    pub simulator_base: Option<String>,
    /// Where the page of delivered events is, unless they are delivered elsewhere.
    pub events_base: Option<String>,
    /// Who is asked for replies, if anybody is.
    pub webhook: Option<Url>,
    /// The file with the platform's secret, the webhook's key among it.
    pub secret_file: PathBuf,
    /// Variables that let another program use the same table, secret, bus and WeChat.
    pub exports: Vec<(&'static str, String)>,
    /// The business routes, to be called from inside.
    pub business: Router,
    tasks: JoinSet<()>,
    // Last: it stops when everything that uses it has.
    _database: Option<Embedded>,
}

impl System {
    /// Starts everything.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub async fn start(args: &Args, environment: &impl Environment) -> anyhow::Result<Self> {
        let public_url = environment.get("PUBLIC_BASE_URL");
        if args.no_simulator && public_url.is_none() {
            anyhow::bail!(
                "--no-simulator needs the variable PUBLIC_BASE_URL: the https origin of a tunnel that leads to port {}, for \
                 WeChat pushes to no localhost",
                args.ports.port
            );
        }
        let folder = DataDir::open(&args.data_dir)?;
        let random = Random::system();
        let secret = match &args.secret {
            Some(file) => PlatformSecret::read(file)?,
            None => PlatformSecret::generated(&folder, &random)?,
        };
        let outside_table = environment.get("AWS_ENDPOINT_URL_DYNAMODB");
        let outside_bus = environment.get("AWS_ENDPOINT_URL_EVENTBRIDGE");
        let listeners = Listeners::bind(args, outside_table.is_none(), outside_bus.is_none())?;

        // Pushed to this process, whatever the outside calls it.
        let push_base = local_base(&listeners.public)?;
        let public_base = public_url.unwrap_or_else(|| push_base.clone());
        let simulator_base = listeners.simulator.as_ref().map(local_base).transpose()?;
        let variables = Variables::new(environment, &public_base, simulator_base.as_deref());
        let config = Config::read(&variables)?;
        let webhook = webhook_url(&config, listeners.sample_webhook.as_ref())?;
        let secret_file = args.secret.clone().unwrap_or_else(|| PlatformSecret::file(&folder));
        if webhook.is_some() {
            check_webhook_key(&secret, &secret_file)?;
        }

        let database = listeners.dynamodb.map(|listener| Embedded::file(&folder, listener)).transpose()?;
        let table_url = database.as_ref().map_or_else(|| outside_table.unwrap_or_default(), Embedded::endpoint);
        let secrets_url = endpoint(&listeners.secrets)?;
        let bus_url = listeners.events.as_ref().map(endpoint).transpose()?;
        let bus_url = bus_url.unwrap_or_else(|| outside_bus.unwrap_or_default());
        let endpoints = Endpoints::new(&table_url, &secrets_url, environment);
        create_table(&endpoints.clients(&Limits::background()).dynamodb, &config.store.table_name)
            .await
            .context("the table cannot be used")?;

        let clock: SharedClock = Arc::new(SystemClock);
        let place = Place { endpoints: &endpoints, bus_url: &bus_url, config: &config, clock: &clock };
        let functions = place.functions(webhook.clone())?;
        let refresher = functions.refresher;

        let mut exports = variables.to_export();
        exports.push(("AWS_ENDPOINT_URL_DYNAMODB", table_url));
        exports.push(("AWS_ENDPOINT_URL_SECRETS_MANAGER", secrets_url));
        exports.push(("AWS_ENDPOINT_URL_EVENTBRIDGE", bus_url));
        // A table elsewhere is reached with the region and the credentials that are in the environment already.
        if database.is_some() {
            exports.extend(ANY_CREDENTIALS.map(|(name, value)| (name, value.to_owned())));
        }
        let business_base = endpoint(&listeners.business)?;
        let events_base = listeners.events.as_ref().map(local_base).transpose()?;

        let mut tasks = JoinSet::new();
        for (door, to) in listeners.doors {
            tasks.spawn(forward(door, to));
        }
        tasks.spawn(serve(listeners.public, functions.public));
        tasks.spawn(serve(listeners.business, functions.business.clone()));
        let secrets = Secrets::new(config.store.secret_id.as_str(), Some(secret.json().clone()));
        tasks.spawn(serve(listeners.secrets, secrets.router()));
        if let Some(listener) = listeners.events {
            let bus = EventBus::new(&config.bus.bus);
            let bus = simulator_base.iter().fold(bus, |bus, base| bus.with_chat(format!("{base}/chat")));
            tasks.spawn(serve(listener, bus.router()));
        }
        if let Some(listener) = listeners.simulator {
            let simulator = simulate(args, &secret, &config.pages, &push_base, &folder, Arc::clone(&clock))?;
            tasks.spawn(run_simulator(simulator, listener, args.ticket_interval));
        }
        if let Some(listener) = listeners.sample_webhook {
            tasks.spawn(serve(listener, SampleWebhook::new(secret.webhook_key?, clock).router()));
        }
        tasks.spawn(schedule::renew_regularly(refresher.clone(), schedule::renew_interval(args.token_lifetime)));
        tasks.spawn(schedule::reconcile_hourly(refresher.clone()));
        tasks.spawn(schedule::watch_inbox(refresher));

        let business = functions.business;
        Ok(Self {
            public_base,
            business_base,
            simulator_base,
            events_base,
            webhook,
            secret_file,
            exports,
            business,
            tasks,
            _database: database,
        })
    }

    /// Waits for ever, or until a part of the system has ended, which none does by itself.
    pub async fn run(&mut self) {
        self.tasks.join_next().await;
    }
}

/// What the functions read at their start, all of it.
struct Config {
    store: StoreConfig,
    bus: BusConfig,
    messages: MessageConfig,
    pages: PageConfig,
    wechat: WechatConfig,
}

impl Config {
    fn read(variables: &Variables) -> anyhow::Result<Self> {
        Ok(Self {
            store: StoreConfig::read(variables)?,
            bus: BusConfig::read(variables)?,
            messages: MessageConfig::read(variables)?,
            pages: PageConfig::read(variables)?,
            wechat: WechatConfig::read(variables)?,
        })
    }
}

/// Who is asked for replies.
fn webhook_url(config: &Config, sample: Option<&TcpListener>) -> anyhow::Result<Option<Url>> {
    match (sample, &config.messages.webhook) {
        (None, configured) => Ok(configured.clone()),
        (Some(sample), None) => Ok(Some(endpoint(sample)?.parse()?)),
        (Some(_), Some(_)) => {
            anyhow::bail!("REPLY_WEBHOOK_URL names a reply webhook: unset it, or leave --sample-webhook out")
        }
    }
}

/// In the cloud the webhook's calls would fail one by one; here somebody is looking.
fn check_webhook_key(secret: &PlatformSecret, file: &Path) -> anyhow::Result<()> {
    match secret.webhook_key {
        Ok(_) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("{} cannot serve the reply webhook", file.display())),
    }
}

/// What the functions are built from here.
struct Place<'a> {
    endpoints: &'a Endpoints,
    bus_url: &'a str,
    config: &'a Config,
    clock: &'a SharedClock,
}

/// The functions as they are deployed.
struct Functions {
    public: Router,
    business: Router,
    refresher: Refresher,
}

impl Place<'_> {
    fn functions(&self, webhook: Option<Url>) -> anyhow::Result<Functions> {
        let metrics = Metrics::from_fn(|metric| tracing::debug!(?metric, "metric"));
        let for_pages = self.services(Limits::interactive(), &metrics)?;
        let background = Limits::background();
        let refresher =
            Refresher::new(self.services(background, &metrics)?, self.bus(&background), Settings::default());
        let pages = &self.config.pages;
        let links = LinkService::new(for_pages.clone(), pages.clone(), self.config.wechat.clone());
        let public = ticket_push::router(receiver(&for_pages))
            .merge(account_push::router(self.reception(&for_pages, webhook)?))
            .merge(preauth_link::public_router(links.clone()))
            .merge(oauth_callback::router(CallbackService::new(for_pages, pages.clone())));
        let identity = IamIdentity::new(LOCAL_IDENTITY).context("the local identity is empty")?;
        let business = preauth_link::business_router(links).layer(Extension(identity));
        Ok(Functions { public, business, refresher })
    }

    fn services(&self, limits: Limits, metrics: &Metrics) -> anyhow::Result<Services> {
        let (clients, store) = (self.endpoints.clients(&limits), &self.config.store);
        let clock = Arc::clone(self.clock);
        let platform = PlatformSource::new(clients.secrets, store.secret_id.as_str(), clock, limits, metrics.clone());
        Ok(Services {
            platform: Arc::new(platform),
            store: Store::new(clients.dynamodb, &store.table_name),
            wechat: WechatClient::new(&self.config.wechat.api, &limits)?,
            clock: Arc::clone(self.clock),
            random: Random::system(),
            metrics: metrics.clone(),
            limits,
        })
    }

    fn bus(&self, limits: &Limits) -> Bus {
        self.endpoints.bus(self.bus_url, &self.config.bus.bus, limits)
    }

    fn reception(&self, services: &Services, webhook: Option<Url>) -> anyhow::Result<Reception> {
        // The developer's own machine: a webhook on it is what is being tried.
        let policy = AddressPolicy::this_machine_too();
        Ok(Reception {
            platform: Arc::clone(&services.platform),
            store: services.store.clone(),
            bus: self.bus(&services.limits),
            webhook: webhook.map(|url| Webhook::new(url, policy)).transpose()?,
            test_accounts: TestAccounts::with(self.config.messages.test_accounts.clone()),
            clock: Arc::clone(&services.clock),
            random: services.random.clone(),
            metrics: services.metrics.clone(),
            limits: services.limits,
        })
    }
}

fn receiver(services: &Services) -> Receiver {
    Receiver {
        platform: Arc::clone(&services.platform),
        store: services.store.clone(),
        clock: Arc::clone(&services.clock),
        metrics: services.metrics.clone(),
        bound: services.limits.push,
    }
}

fn simulate(
    args: &Args,
    secret: &PlatformSecret,
    pages: &PageConfig,
    push_base: &str,
    folder: &DataDir,
    clock: SharedClock,
) -> anyhow::Result<Simulator> {
    let platform = simulator::Platform {
        component_appid: secret.component_appid.clone(),
        component_appsecret: secret.component_appsecret.clone(),
        token: secret.token.clone(),
        encoding_aes_key: secret.encoding_aes_key.clone(),
    };
    let launch_host = pages.public_base.url().host_str().unwrap_or_default();
    let mut options = Options::new(platform, launch_host, clock);
    options.push_url = Some(format!("{push_base}/wechat/events").parse()?);
    options.message_url = Some(format!("{push_base}/wechat/accounts/$APPID$/events"));
    options.state_file = Some(folder.file(SIMULATOR_FILE));
    options.lifetimes = Lifetimes {
        component_token: args.token_lifetime,
        authorizer_token: args.token_lifetime,
        ..Lifetimes::default()
    };
    Simulator::new(options).context("the simulator's state cannot be used")
}

async fn run_simulator(simulator: Simulator, listener: TcpListener, ticket_interval: Duration) {
    let served = simulator.clone().serve(listener, std::future::pending());
    let (served, ()) = tokio::join!(served, simulator.run_ticket_timer(ticket_interval));
    if let Err(error) = served {
        tracing::error!("the simulator stopped: {error}");
    }
}

async fn serve(listener: TcpListener, router: Router) {
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!("a server stopped: {error}");
    }
}

//! The whole system, put together: every server and every timer of `cargo run`.
//!
//! The functions' routers are mounted as they are deployed; the work of the cloud around them is done here: the
//! gateway's identity on the business routes, the ticks of the schedules, and instead of the table's stream a poll of
//! the inbox four times a second.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use base::clock::{SharedClock, SystemClock, Timestamp};
use base::limits::Limits;
use base::random::Random;
use runtime::config::Environment;
use secrecy::SecretString;
use simulator::{Gate, Lifetimes, Options, Simulator};
use store::{ApiKeys, Table};
use token_refresher::Refresher;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use url::Url;
use web::doors::KEY_DOOR;

use crate::args::Args;
use crate::console_door;
use crate::data_dir::DataDir;
use crate::dynamodb::Embedded;
use crate::endpoints::Endpoints;
use crate::eventbridge::EventBus;
use crate::file_bucket::FileBucket;
use crate::forward::forward;
use crate::functions::{Config, Place, Webhooks};
use crate::guard::{self, Guard};
use crate::home;
use crate::lan::{self, LanListeners};
use crate::listeners::{Listeners, Part, endpoint};
use crate::neighbours::Bases;
use crate::platform_secret::PlatformSecret;
use crate::ready_key::ReadyKey;
use crate::sample_webhook::SampleWebhook;
use crate::schedule;
use crate::secrets::Secrets;
use crate::shop::{Setting, Shop};
use crate::table::create_table;
use crate::variables::{Here, Variables};

/// The embedded table accepts any, but the SDK requires some.
const ANY_CREDENTIALS: [(&str, &str); 3] =
    [("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "local")];

/// The simulator's file in the data folder.
const SIMULATOR_FILE: &str = "simulator.json";

/// The running system. It stops when the value is dropped.
pub struct System {
    /// The origin of the merchants' pages for the outside, perhaps through a tunnel.
    pub public_base: String,
    /// The origin of the public routes on this machine.
    pub local_base: String,
    /// With `--lan`, where phones of the network reach merchants' pages, and WeChat's.
    pub lan_bases: Option<[String; 2]>,
    /// Where the business API is.
    pub business_base: String,
    /// The origin of the simulator, if it runs.
    pub simulator_base: Option<String>,
    /// The origin of the demo shop, if it runs.
    pub shop_base: Option<String>,
    /// The origin of the page of delivered events, unless they are delivered elsewhere.
    pub events_base: Option<String>,
    /// The webhook that is asked for replies, if there is one.
    pub reply_webhook: Option<Url>,
    /// The webhook that gets the events of accounts, if there is one.
    pub event_webhook: Option<Url>,
    /// The file with the platform's secret, including the webhooks' key.
    pub secret_file: PathBuf,
    /// Variables with which another program uses the same table, secret, bus and WeChat.
    pub exports: Vec<(&'static str, String)>,
    /// The business routes, for calls from inside.
    pub business: Router,
    /// The ready API key, unless the API accepts no keys or the table is elsewhere.
    pub api_key: Option<ReadyKey>,
    tasks: JoinSet<()>,
    // The last field: it stops after everything that uses it.
    _database: Option<Embedded>,
}

impl System {
    /// Starts everything.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub async fn start(args: &Args, environment: &impl Environment) -> anyhow::Result<Self> {
        let public_url = environment.get("PUBLIC_BASE_URL");
        check_tunnel(args, public_url.as_deref())?;
        let folder = DataDir::open(&args.data_dir)?;
        let random = Random::system();
        let secret = platform_secret(args, &folder, &random)?;
        let lan = lan::address(args, public_url.as_deref())?;
        let listeners = Listeners::bind(args, environment, lan)?;

        // Pushes go to this process, whatever the outside calls it.
        let bases = Bases::of(&listeners)?;
        let push_base = bases.public.clone();
        let variables = variables(environment, public_url.as_ref(), &bases, &listeners)?;
        let mut config = Config::read(&variables, listeners.shop.is_some())?;
        // Where people of this machine go, and visitors of the shop on it.
        let own_base = config.console.public_base.clone();
        let lan_bases = lead_merchants(&mut config, listeners.lan.as_ref())?;
        let public_base = config.pages.public_base.as_str().to_owned();
        let webhooks = webhooks(&config, listeners.sample_webhook.as_ref())?;
        let secret_file = args.secret.clone().unwrap_or_else(|| PlatformSecret::file(&folder));
        check_webhook_key(&webhooks, &secret, &secret_file)?;

        let guard = Guard::at(args.bind, &args.allow_host);
        let table_url = listeners.dynamodb.url()?;
        let database = match listeners.dynamodb {
            Part::Here(listener) => Some(Embedded::file(&folder, listener.into_std()?, &guard)?),
            Part::Elsewhere(_) => None,
        };
        let (secrets_url, lambda_url) = (endpoint(&listeners.secrets)?, endpoint(&listeners.lambda)?);
        let bus_url = listeners.events.url()?;
        let endpoints = Endpoints::new(&table_url, &secrets_url, &lambda_url, environment);
        let dynamodb = endpoints.clients(&Limits::background()).dynamodb;
        create_table(&dynamodb, &config.table.table_name).await.context("the table cannot be used")?;

        let clock: SharedClock = Arc::new(SystemClock);
        let place = Place {
            endpoints: &endpoints,
            bus_url: &bus_url,
            config: &config,
            clock: &clock,
            neighbours: &bases.next_to_the_console(own_base.as_str()),
        };
        let functions = place.functions(&webhooks)?;

        let exports = exports(&variables, [table_url, secrets_url, bus_url, lambda_url], database.is_some());
        let business_base = endpoint(&listeners.business)?;

        let neighbours = bases.neighbours();
        let mut tasks = JoinSet::new();
        for (door, to) in listeners.doors {
            tasks.spawn(forward(door, to));
        }
        let door = console_door::router(&functions, own_base.clone());
        let public = functions.public.merge(home::public(bases.console_door()));
        tasks.spawn(serve_public(listeners.public, public.clone()));
        let home = home::business(&business_base, neighbours.clone(), &exports).merge(door);
        let behind_guard = |listener, router| serve(listener, router, guard.clone());
        tasks.spawn(behind_guard(listeners.business, functions.business.clone().merge(home)));
        let secrets = Secrets::new(config.table.secret_id.as_str(), Some(secret.json().clone()));
        tasks.spawn(behind_guard(listeners.secrets, secrets.router()));
        tasks.spawn(behind_guard(listeners.lambda, functions.lambda.router()));
        if let Part::Here(listener) = listeners.events {
            let bus = EventBus::new(&config.bus.bus).with_neighbours(neighbours.clone());
            tasks.spawn(behind_guard(listener, bus.router()));
        }
        if let Part::Here(listener) = listeners.files {
            let bucket = FileBucket::new(endpoints.presigner()?, Arc::clone(&clock));
            tasks.spawn(behind_guard(listener, bucket.router()));
        }
        if let Some(listener) = listeners.simulator {
            let simulator = simulate(args, &secret, &config, &bases, &folder, Arc::clone(&clock))?;
            if let Some(lan) = listeners.lan {
                let_network_in(&mut tasks, lan, public, simulator.clone())?;
            }
            tasks.spawn(run_simulator(simulator, guard.clone(), listener, args.ticket_interval));
        }
        if let Some(listener) = listeners.sample_webhook {
            let webhook = SampleWebhook::new(secret.webhook_key?, Arc::clone(&clock), functions.business.clone());
            tasks.spawn(behind_guard(listener, webhook.router()));
        }
        spawn_schedules(&mut tasks, functions.refresher, args.token_lifetime);

        let store = Table::new(dynamodb, &config.table.table_name).store(&secret.component_appid);
        let keys = (database.is_some() && config.keys.enabled).then_some(&store.api_keys);
        let api_key = ready_key(keys, &folder, &functions.business, clock.now()).await?;
        if let (Some(listener), Some(origin), Some(simulator_base)) = (listeners.shop, &bases.shop, &bases.simulator) {
            let (api, key) = shop_api(api_key.as_ref(), &push_base, &business_base);
            let setting = Setting { origin, api, key, public_base: own_base.as_str(), simulator_base, neighbours };
            tasks.spawn(behind_guard(listener, Shop::new(setting, random)?.router()));
        }
        Ok(Self {
            public_base,
            local_base: push_base,
            lan_bases,
            business_base,
            simulator_base: bases.simulator,
            shop_base: bases.shop,
            events_base: bases.events,
            reply_webhook: webhooks.replies,
            event_webhook: webhooks.events,
            secret_file,
            exports,
            business: functions.business,
            api_key,
            tasks,
            _database: database,
        })
    }

    /// Waits forever, or until a part of the system has ended, which none does on its own.
    pub async fn run(&mut self) {
        self.tasks.join_next().await;
    }
}

/// What the functions are told: `public_url` is the address of a tunnel, if there is one.
fn variables(
    environment: &impl Environment,
    public_url: Option<&String>,
    bases: &Bases,
    listeners: &Listeners,
) -> anyhow::Result<Variables> {
    let files_url = listeners.files.listener().map(endpoint).transpose()?;
    let here = Here {
        public_base: public_url.unwrap_or(&bases.public),
        simulator_base: bases.simulator.as_deref(),
        files_url: files_url.as_deref(),
    };
    Ok(Variables::new(environment, &here))
}

/// Leads merchants to the address of `--lan`. Where phones reach our pages, and WeChat's.
fn lead_merchants(config: &mut Config, lan: Option<&LanListeners>) -> anyhow::Result<Option<[String; 2]>> {
    let Some(lan) = lan else { return Ok(None) };
    let origins = lan.origins()?;
    config.lead_merchants_to(origins.clone());
    Ok(Some(origins.map(|origin| origin.as_str().to_owned())))
}

/// The secret of a file, or that of the folder.
fn platform_secret(args: &Args, folder: &DataDir, random: &Random) -> anyhow::Result<PlatformSecret> {
    match &args.secret {
        Some(file) => Ok(PlatformSecret::read(file)?),
        None => PlatformSecret::generated(folder, random).with_context(|| folder.begin_anew()),
    }
}

/// The ready API key, if the API accepts keys.
async fn ready_key(
    keys: Option<&ApiKeys>,
    folder: &DataDir,
    business: &Router,
    now: Timestamp,
) -> anyhow::Result<Option<ReadyKey>> {
    match keys {
        Some(keys) => ReadyKey::of(folder, keys, business, now).await.map(Some),
        None => Ok(None),
    }
}

/// The API as the demo shop calls it: with the ready key, like services outside AWS; otherwise at the port that
/// requires none.
fn shop_api(key: Option<&ReadyKey>, public: &str, business: &str) -> (String, Option<SecretString>) {
    match key {
        Some(key) => (format!("{public}{KEY_DOOR}"), Some(key.text.clone())),
        None => (business.to_owned(), None),
    }
}

/// The variables for other programs, with the URLs of table, secret, bus and functions.
fn exports(variables: &Variables, urls: [String; 4], is_embedded: bool) -> Vec<(&'static str, String)> {
    const ENDPOINTS: [&str; 4] = [
        "AWS_ENDPOINT_URL_DYNAMODB",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        "AWS_ENDPOINT_URL_EVENTBRIDGE",
        "AWS_ENDPOINT_URL_LAMBDA",
    ];
    let mut exports = variables.to_export();
    exports.extend(ENDPOINTS.into_iter().zip(urls));
    // A table elsewhere is called with the region and the credentials that are already in the environment.
    if is_embedded {
        exports.extend(ANY_CREDENTIALS.map(|(name, value)| (name, value.to_owned())));
    }
    exports
}

/// Checks that the real WeChat can reach the platform.
fn check_tunnel(args: &Args, public_url: Option<&str>) -> anyhow::Result<()> {
    if args.no_simulator && public_url.is_none() {
        anyhow::bail!(
            "--no-simulator needs the variable PUBLIC_BASE_URL: the https origin of a tunnel that leads to port {}, since \
             WeChat cannot push to localhost",
            args.port
        );
    }
    Ok(())
}

/// The webhooks for replies and for the events of accounts: the sample, unless another is configured.
fn webhooks(config: &Config, sample: Option<&TcpListener>) -> anyhow::Result<Webhooks> {
    let configured = Webhooks { replies: config.messages.webhook.clone(), events: config.events.webhook.clone() };
    let Some(sample) = sample else { return Ok(configured) };
    if configured.replies.is_some() {
        anyhow::bail!("REPLY_WEBHOOK_URL names a reply webhook: unset it, or leave --sample-webhook out")
    }
    let sample: Url = endpoint(sample)?.parse()?;
    Ok(Webhooks { replies: Some(sample.clone()), events: configured.events.or(Some(sample)) })
}

/// In the cloud the webhooks' calls would fail one by one; here the user can be told.
fn check_webhook_key(webhooks: &Webhooks, secret: &PlatformSecret, file: &Path) -> anyhow::Result<()> {
    match secret.webhook_key {
        Err(error) if webhooks.replies.is_some() || webhooks.events.is_some() => {
            Err(error).with_context(|| format!("{} cannot serve a webhook", file.display()))
        }
        _ => Ok(()),
    }
}

fn simulate(
    args: &Args,
    secret: &PlatformSecret,
    config: &Config,
    bases: &Bases,
    folder: &DataDir,
    clock: SharedClock,
) -> anyhow::Result<Simulator> {
    let platform = simulator::Platform {
        component_appid: secret.component_appid.clone(),
        component_appsecret: secret.component_appsecret.clone(),
        token: secret.token.clone(),
        encoding_aes_key: secret.encoding_aes_key.clone(),
    };
    let launch_host = config.pages.public_base.url().host_str().unwrap_or_default();
    let mut options = Options::new(platform, launch_host, clock);
    options.web_domains = config.web_domains.hosts().map(str::to_owned).collect();
    let push_base = &bases.public;
    options.push_url = Some(format!("{push_base}/wechat/events").parse()?);
    options.message_url = Some(format!("{push_base}/wechat/accounts/$APPID$/events"));
    options.neighbours = bases.neighbours();
    options.state_file = Some(folder.file(SIMULATOR_FILE));
    options.lifetimes = Lifetimes {
        component_token: args.token_lifetime,
        authorizer_token: args.token_lifetime,
        ..Lifetimes::default()
    };
    let state = folder.file(SIMULATOR_FILE);
    Simulator::new(options)
        .with_context(|| format!("the simulator cannot continue from {}: {}", state.display(), folder.begin_anew()))
}

async fn run_simulator(simulator: Simulator, guard: Guard, listener: TcpListener, ticket_interval: Duration) {
    let served = serve_simulator(simulator.clone(), guard.gate(), listener);
    tokio::join!(served, simulator.run_ticket_timer(ticket_interval));
}

/// Serves merchants' pages, and WeChat's, to the network.
fn let_network_in(tasks: &mut JoinSet<()>, lan: LanListeners, public: Router, simulator: Simulator) -> io::Result<()> {
    let gate = lan::gate(lan.simulator.local_addr()?.ip());
    tasks.spawn(serve_public(lan.public, public));
    tasks.spawn(serve_simulator(simulator, gate, lan.simulator));
    Ok(())
}

async fn serve_simulator(simulator: Simulator, gate: Gate, listener: TcpListener) {
    if let Err(error) = simulator.serve_behind(gate, listener, std::future::pending()).await {
        tracing::error!("the simulator stopped: {error}");
    }
}

/// Starts what the cloud's schedules and the table's stream start.
fn spawn_schedules(tasks: &mut JoinSet<()>, refresher: Refresher, token_lifetime: Duration) {
    tasks.spawn(schedule::renew_regularly(refresher.clone(), schedule::renew_interval(token_lifetime)));
    tasks.spawn(schedule::reconcile_hourly(refresher.clone()));
    tasks.spawn(schedule::watch_inbox(refresher));
}

/// Serves what only this machine may call.
async fn serve(listener: TcpListener, router: Router, guard: Guard) {
    if let Err(error) = guard::serve(listener, router, &guard).await {
        tracing::error!("a server stopped: {error}");
    }
}

/// Serves what the internet may call, through a tunnel of any name: the functions themselves check each request.
async fn serve_public(listener: TcpListener, router: Router) {
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!("the public routes stopped: {error}");
    }
}

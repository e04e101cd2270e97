//! The whole system, put together: every server and every timer of `cargo run`.
//!
//! The functions' routers are mounted as they are deployed; what the cloud does around them is done here: the gateway's
//! identity on the business routes, the ticks of the schedules, and instead of the table's stream a look at the inbox
//! twice a second.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use axum::{Extension, Router};
use oauth_callback::CallbackService;
use preauth_link::LinkService;
use shared::aws::AwsClients;
use shared::clock::{SharedClock, SystemClock};
use shared::config::{Environment, PageConfig, WechatConfig};
use shared::identity::IamIdentity;
use shared::limits::Limits;
use shared::platform::PlatformSource;
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

use crate::args::Args;
use crate::data_dir::DataDir;
use crate::dynamodb::Embedded;
use crate::forward::forward;
use crate::platform_secret::PlatformSecret;
use crate::ports::bind;
use crate::schedule;
use crate::secrets::Secrets;
use crate::table::create_table;

/// The embedded table accepts any, but the SDK wants some.
const ANY_CREDENTIALS: [(&str, &str); 3] =
    [("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "local")];

/// Where WeChat is.
const WECHAT_VARIABLES: [&str; 3] = ["WECHAT_API_BASE_URL", "WECHAT_MP_BASE_URL", "WECHAT_OPEN_BASE_URL"];

/// The table, unless the environment names another.
pub(crate) const TABLE: &str = "wechat-platform";

/// The secret's name, unless the environment names another.
pub(crate) const SECRET: &str = "wechat-platform/secret";

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
    /// Variables that let another program use the same table, secret and WeChat.
    pub exports: Vec<(&'static str, String)>,
    /// The business routes, to be called from inside.
    pub business: Router,
    tasks: JoinSet<()>,
    // Last: it stops when everything that uses it has.
    _database: Option<Embedded>,
}

/// Where everything listens, before anything runs: an occupied port is told before the first line of log.
///
/// Each listens on the loopback address, alone or among all addresses.
struct Listeners {
    public: TcpListener,
    business: TcpListener,
    secrets: TcpListener,
    simulator: Option<TcpListener>,
    dynamodb: Option<std::net::TcpListener>,
    /// The same ports on the address of `--bind`, each with where it leads.
    doors: Vec<(TcpListener, SocketAddr)>,
}

impl Listeners {
    fn bind(args: &Args, embedded: bool) -> anyhow::Result<Self> {
        const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let one = args.bind.is_unspecified() || args.bind == LOOPBACK;
        let mut doors = Vec::new();
        let mut listen = |port, option| {
            let listener = bind(if one { args.bind } else { LOOPBACK }, port, option)?;
            if !one {
                let to = listener.local_addr()?;
                doors.push((TcpListener::from_std(bind(args.bind, to.port(), option)?)?, to));
            }
            anyhow::Ok(listener)
        };
        Ok(Self {
            public: TcpListener::from_std(listen(args.port, "--port")?)?,
            business: TcpListener::from_std(bind(LOOPBACK, args.business_port, "--business-port")?)?,
            secrets: TcpListener::from_std(listen(args.secrets_port, "--secrets-port")?)?,
            simulator: if args.no_simulator {
                None
            } else {
                Some(TcpListener::from_std(listen(args.simulator_port, "--simulator-port")?)?)
            },
            dynamodb: if embedded { Some(listen(args.dynamodb_port, "--dynamodb-port")?) } else { None },
            doors,
        })
    }
}

impl System {
    /// Starts everything.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub async fn start(args: &Args, environment: &impl Environment) -> anyhow::Result<Self> {
        let folder = DataDir::open(&args.data_dir)?;
        let random = Random::system();
        let secret = match &args.secret {
            Some(file) => PlatformSecret::read(file)?,
            None => PlatformSecret::generated(&folder, &random)?,
        };
        let outside_table = environment.get("AWS_ENDPOINT_URL_DYNAMODB");
        let listeners = Listeners::bind(args, outside_table.is_none())?;

        // Pushed to this process, whatever the outside calls it.
        let push_base = local_base(&listeners.public)?;
        let public_base = environment.get("PUBLIC_BASE_URL").unwrap_or_else(|| push_base.clone());
        let simulator_base = listeners.simulator.as_ref().map(local_base).transpose()?;
        let variables = with_defaults(environment, &public_base, simulator_base.as_deref());
        let pages = PageConfig::read(&variables)?;
        let wechat = WechatConfig::read(&variables)?;

        let table = environment.get("TABLE_NAME").unwrap_or_else(|| TABLE.to_owned());
        let secret_id = environment.get("SECRET_ID").unwrap_or_else(|| SECRET.to_owned());
        let database = listeners.dynamodb.map(|listener| Embedded::file(&folder, listener)).transpose()?;
        let table_url = database.as_ref().map_or_else(|| outside_table.unwrap_or_default(), Embedded::endpoint);
        let secrets_url = endpoint(&listeners.secrets)?;
        let endpoints = Endpoints::new(&table_url, &secrets_url, environment);
        create_table(&endpoints.clients(&Limits::background()).dynamodb, &table)
            .await
            .context("the table cannot be used")?;

        let clock: SharedClock = Arc::new(SystemClock);
        let metrics = Metrics::from_fn(|metric| tracing::debug!(?metric, "metric"));
        let services = |limits: Limits| -> anyhow::Result<Services> {
            let clients = endpoints.clients(&limits);
            let platform =
                PlatformSource::new(clients.secrets, secret_id.as_str(), Arc::clone(&clock), limits, metrics.clone());
            Ok(Services {
                platform: Arc::new(platform),
                store: Store::new(clients.dynamodb, &table),
                wechat: WechatClient::new(&wechat.api, &limits)?,
                clock: Arc::clone(&clock),
                random: random.clone(),
                metrics: metrics.clone(),
                limits,
            })
        };
        let for_pages = services(Limits::interactive())?;
        let refresher = Refresher::new(services(Limits::background())?, Settings::default());

        let links = LinkService::new(for_pages.clone(), pages.clone(), wechat);
        let public = ticket_push::router(receiver(&for_pages))
            .merge(preauth_link::public_router(links.clone()))
            .merge(oauth_callback::router(CallbackService::new(for_pages, pages.clone())));
        let identity = IamIdentity::new(LOCAL_IDENTITY).context("the local identity is empty")?;
        let business = preauth_link::business_router(links).layer(Extension(identity));

        let mut tasks = JoinSet::new();
        let mut exports =
            exports(&table, &secret_id, &public_base, &table_url, &secrets_url, simulator_base.as_deref());
        // A table elsewhere is reached with the region and the credentials that are in the environment already.
        if database.is_some() {
            exports.extend(ANY_CREDENTIALS.map(|(name, value)| (name, value.to_owned())));
        }
        let business_base = endpoint(&listeners.business)?;
        for (door, to) in listeners.doors {
            tasks.spawn(forward(door, to));
        }
        tasks.spawn(serve(listeners.public, public));
        tasks.spawn(serve(listeners.business, business.clone()));
        let secrets = Secrets::new(secret_id.as_str(), Some(secret.json().clone()));
        tasks.spawn(async move {
            if let Err(error) = secrets.serve(listeners.secrets).await {
                tracing::error!("the local Secrets Manager stopped: {error}");
            }
        });
        if let Some(listener) = listeners.simulator {
            let simulator = simulate(args, &secret, &pages, &push_base, &folder, clock)?;
            tasks.spawn(run_simulator(simulator, listener, args.ticket_interval));
        }
        tasks.spawn(schedule::renew_regularly(refresher.clone(), schedule::renew_interval(args.token_lifetime)));
        tasks.spawn(schedule::reconcile_hourly(refresher.clone()));
        tasks.spawn(schedule::watch_inbox(refresher));

        Ok(Self { public_base, business_base, simulator_base, exports, business, tasks, _database: database })
    }

    /// Waits for ever, or until a part of the system has ended, which none does by itself.
    pub async fn run(&mut self) {
        self.tasks.join_next().await;
    }
}

/// The variables of the design's contract, with what is true on this machine where they are not set.
fn with_defaults(environment: &impl Environment, public_base: &str, simulator_base: Option<&str>) -> Variables {
    let mut variables = HashMap::new();
    variables.insert("PUBLIC_BASE_URL", Some(public_base.to_owned()));
    variables.insert("RETURN_URL_ORIGINS", environment.get("RETURN_URL_ORIGINS"));
    for name in WECHAT_VARIABLES {
        variables.insert(name, simulator_base.map(str::to_owned).or_else(|| environment.get(name)));
    }
    Variables(variables)
}

/// Variables that have been looked up.
struct Variables(HashMap<&'static str, Option<String>>);

impl Environment for Variables {
    fn get(&self, name: &'static str) -> Option<String> {
        self.0.get(name).cloned().flatten()
    }
}

/// Where the table and the secret are. Another table is reached with the credentials and the region of the environment,
/// as far as they are there; the embedded one accepts any.
pub(crate) struct Endpoints {
    table: SdkConfig,
    secrets: SdkConfig,
}

impl Endpoints {
    pub(crate) fn new(table_url: &str, secrets_url: &str, environment: &impl Environment) -> Self {
        let credentials = match (environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")) {
            (Some(id), Some(key)) => {
                Credentials::new(id, key, environment.get("AWS_SESSION_TOKEN"), None, "environment")
            }
            _ => Credentials::new("local", "local", None, None, "local"),
        };
        let common = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(environment.get("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned())))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .build();
        let at = |url: &str| common.to_builder().endpoint_url(url).build();
        Self { table: at(table_url), secrets: at(secrets_url) }
    }

    pub(crate) fn clients(&self, limits: &Limits) -> AwsClients {
        AwsClients {
            dynamodb: AwsClients::new(&self.table, limits).dynamodb,
            secrets: AwsClients::new(&self.secrets, limits).secrets,
        }
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

/// How a browser on this machine reaches a listener. By name: cookies and the simulator's check of the launch page go
/// by the host.
fn local_base(listener: &TcpListener) -> anyhow::Result<String> {
    Ok(format!("http://localhost:{}", listener.local_addr()?.port()))
}

/// How a program on this machine reaches a listener.
fn endpoint(listener: &TcpListener) -> anyhow::Result<String> {
    let port = listener.local_addr()?.port();
    Ok(format!("http://{}", SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
}

fn exports(
    table: &str,
    secret_id: &str,
    public_base: &str,
    table_url: &str,
    secrets_url: &str,
    simulator_base: Option<&str>,
) -> Vec<(&'static str, String)> {
    let mut exports = vec![
        ("TABLE_NAME", table.to_owned()),
        ("SECRET_ID", secret_id.to_owned()),
        ("PUBLIC_BASE_URL", public_base.to_owned()),
        ("AWS_ENDPOINT_URL_DYNAMODB", table_url.to_owned()),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", secrets_url.to_owned()),
    ];
    if let Some(base) = simulator_base {
        for name in WECHAT_VARIABLES {
            exports.push((name, base.to_owned()));
        }
    }
    exports
}

//! The functions as they are deployed, on this machine: what their `main.rs` read and build, from the local parts.

use std::sync::Arc;

use account_api::AccountService;
use account_push::{MessageService, REPLY_WEBHOOK};
use anyhow::Context as _;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::{Extension, Router};
use base::clock::SharedClock;
use base::limits::Limits;
use base::random::Random;
use console::{Console, Parts};
use design::Neighbour;
use oauth_callback::CallbackService;
use platform::bus::Bus;
use platform::secret::PlatformSource;
use platform::services::Services;
use platform::webhook::{AddressPolicy, Webhook};
use preauth_link::LinkService;
use runtime::config::{
    AccountConfig, BusConfig, ConsoleConfig, EventConfig, FilesConfig, KeyConfig, LoginConfig, MessageConfig, Origin,
    PageConfig, StoreConfig, TokenConfig, WebDomains, WechatConfig,
};
use runtime::telemetry::{self, Metrics};
use store::Table;
use ticket_push::Receiver;
use token_api::TokenService;
use token_refresher::{EVENT_WEBHOOK, Refresher, Settings, Targets};
use tracing::Instrument as _;
use url::Url;
use web::gateway::{Gateway, with_decoded_paths};
use web::identity::IamIdentity;
use web::source::Source;
use web_login::LoginService;
use wechat::api::WechatClient;
use wechat::push::TestAccounts;
use wechat_calls::{Bucket, CallService};

use crate::endpoints::Endpoints;
use crate::lambda::Lambda;
use crate::variables::{ACCOUNT_API, PREAUTH_LINK, Variables};
use crate::wechat_browser::playing_wechat;

/// The identity that the business routes assume for callers on this machine.
const LOCAL_IDENTITY: &str = "arn:aws:iam::000000000000:user/localhost";

/// Everything that the functions read at their start.
pub(crate) struct Config {
    pub(crate) table: StoreConfig,
    pub(crate) bus: BusConfig,
    pub(crate) messages: MessageConfig,
    pub(crate) accounts: AccountConfig,
    pub(crate) tokens: TokenConfig,
    pub(crate) events: EventConfig,
    pub(crate) files: FilesConfig,
    pub(crate) keys: KeyConfig,
    pub(crate) web_domains: WebDomains,
    pub(crate) pages: PageConfig,
    pub(crate) logins: LoginConfig,
    pub(crate) wechat: WechatConfig,
    /// WeChat, as merchants' browsers reach it.
    pub(crate) merchants_wechat: WechatConfig,
    pub(crate) console: ConsoleConfig,
}

impl Config {
    /// `develops_shops`: whether web logins may return to pages of this machine, such as the demo shop's.
    pub(crate) fn read(variables: &Variables, develops_shops: bool) -> anyhow::Result<Self> {
        let accounts = AccountConfig::read(variables)?;
        let wechat = WechatConfig::read(variables)?;
        Ok(Self {
            table: StoreConfig::read(variables)?,
            bus: BusConfig::read(variables)?,
            messages: MessageConfig::read(variables)?,
            accounts: AccountConfig { local_login_origins: develops_shops, ..accounts },
            tokens: TokenConfig::read(variables)?,
            events: EventConfig::read(variables)?,
            files: FilesConfig::read(variables)?,
            keys: KeyConfig::read(variables)?,
            web_domains: WebDomains::read(variables)?,
            pages: PageConfig::read(variables)?,
            logins: LoginConfig::read(variables)?,
            merchants_wechat: wechat.clone(),
            wechat,
            console: ConsoleConfig::read(variables)?,
        })
    }
}

impl Config {
    /// Leads merchants to these addresses of this machine: our pages, and WeChat's. Everything else stays where it is:
    /// only pages that were made for strangers are opened by the network.
    pub(crate) fn lead_merchants_to(&mut self, [pages, wechat]: [Origin; 2]) {
        self.pages.public_base = pages.clone();
        self.events.public_base = pages;
        self.merchants_wechat.mp = wechat.url().clone();
        self.merchants_wechat.open = wechat.url().clone();
    }
}

/// What the functions are built from here.
pub(crate) struct Place<'a> {
    pub(crate) endpoints: &'a Endpoints,
    pub(crate) bus_url: &'a str,
    pub(crate) config: &'a Config,
    pub(crate) clock: &'a SharedClock,
    /// The pages to which the console's navigation leads.
    pub(crate) neighbours: &'a [Neighbour],
}

/// The business's webhooks, if there are any.
#[derive(Clone)]
pub(crate) struct Webhooks {
    /// The webhook that is asked for replies.
    pub(crate) replies: Option<Url>,
    /// The webhook that gets the events of accounts.
    pub(crate) events: Option<Url>,
}

/// The functions as they are deployed.
pub(crate) struct Functions {
    pub(crate) public: Router,
    pub(crate) business: Router,
    /// The functions that the console invokes, by their names in the template.
    pub(crate) lambda: Lambda,
    pub(crate) refresher: Refresher,
}

impl Place<'_> {
    pub(crate) fn functions(&self, webhooks: &Webhooks) -> anyhow::Result<Functions> {
        let metrics = Metrics::from_fn(|metric| tracing::debug!(?metric, "metric"));
        let for_pages = self.services(Limits::interactive(), &metrics)?;
        let background = Limits::background();
        // The developer's own machine: a webhook on it is the one being tried.
        let policy = AddressPolicy::this_machine_too();
        let webhook = |url: &Option<Url>, role| url.clone().map(|url| Webhook::new(url, policy, role)).transpose();
        let targets = Targets {
            bus: self.bus(&background),
            webhook: webhook(&webhooks.events, &EVENT_WEBHOOK)?,
            public_base: self.config.events.public_base.clone(),
        };
        let refresher = Refresher::new(self.services(background, &metrics)?, targets, Settings::default());
        let pages = &self.config.pages;
        let accounts =
            AccountService::new(for_pages.clone(), self.bus(&for_pages.limits), self.config.accounts.clone());
        let for_tokens = self.services(Limits::tokens(), &metrics)?;
        let bus = self.bus(&for_tokens.limits);
        let tokens = TokenService::new(for_tokens, bus, self.config.tokens);
        let bucket =
            Bucket::new(&self.config.files, self.endpoints.presigner()?, Arc::clone(self.clock), &Limits::calls())?;
        let calls =
            CallService::new(self.services(Limits::calls(), &metrics)?, bucket, self.config.web_domains.clone());
        let links = LinkService::new(for_pages.clone(), pages.clone(), self.config.merchants_wechat.clone());
        let logins = LoginService::new(for_pages.clone(), self.config.logins.clone(), &self.config.wechat);
        let keys = self.config.keys;
        let lambda = Lambda::new([
            (
                ACCOUNT_API,
                Gateway::new(account_api::router(accounts.clone(), keys), metrics.clone())
                    .with_problems_on(&account_api::ROUTES),
            ),
            (
                PREAUTH_LINK,
                Gateway::new(
                    preauth_link::public_router(links.clone())
                        .merge(preauth_link::business_router(links.clone(), keys)),
                    metrics.clone(),
                )
                .with_problems_on(&preauth_link::BUSINESS_ROUTES),
            ),
        ]);
        // Both kinds of route are served on both listeners, but only the one for businesses provides an identity.
        let routes = preauth_link::business_router(links.clone(), keys)
            .merge(account_api::router(accounts, keys))
            .merge(token_api::router(tokens, keys))
            .merge(wechat_calls::router(calls, keys))
            .merge(web_login::business_router(logins.clone(), keys))
            .layer(middleware::from_fn(with_request_id));
        let public = ticket_push::router(receiver(&for_pages))
            .merge(account_push::router(self.reception(&for_pages, webhook(&webhooks.replies, &REPLY_WEBHOOK)?)))
            .merge(preauth_link::public_router(links))
            .merge(web_login::public_router(logins))
            .merge(console::router(self.console(&metrics)))
            .merge(routes.clone())
            .merge(oauth_callback::router(CallbackService::new(for_pages, pages.clone())));
        let identity = IamIdentity::new(LOCAL_IDENTITY).context("the local identity is empty")?;
        let business = routes.layer(Extension(identity));
        Ok(Functions {
            public: playing_wechat(with_decoded_paths(public)),
            business: with_decoded_paths(business),
            lambda,
            refresher,
        })
    }

    fn services(&self, limits: Limits, metrics: &Metrics) -> anyhow::Result<Services> {
        let (clients, table) = (self.endpoints.clients(&limits), &self.config.table);
        let clock = Arc::clone(self.clock);
        let platform = PlatformSource::new(clients.secrets, table.secret_id.as_str(), clock, limits, metrics.clone());
        Ok(Services {
            platform: Arc::new(platform),
            table: Table::new(clients.dynamodb, &table.table_name),
            wechat: WechatClient::new(&self.config.wechat.api, &limits)?,
            clock: Arc::clone(self.clock),
            random: Random::system(),
            metrics: metrics.clone(),
            limits,
        })
    }

    fn console(&self, metrics: &Metrics) -> Console {
        let limits = Limits::console();
        Console::new(Parts {
            table: Table::new(self.endpoints.clients(&limits).dynamodb, &self.config.table.table_name),
            lambda: self.endpoints.lambda(),
            clock: Arc::clone(self.clock),
            random: Random::system(),
            metrics: metrics.clone(),
            limits,
            config: self.config.console.clone(),
            neighbours: self.neighbours.into(),
        })
    }

    fn bus(&self, limits: &Limits) -> Bus {
        self.endpoints.bus(self.bus_url, &self.config.bus.bus, limits)
    }

    fn reception(&self, services: &Services, webhook: Option<Webhook>) -> MessageService {
        MessageService {
            platform: Arc::clone(&services.platform),
            table: services.table.clone().access(),
            bus: self.bus(&services.limits),
            webhook,
            test_accounts: TestAccounts::with(self.config.messages.test_accounts.clone()),
            clock: Arc::clone(&services.clock),
            random: services.random.clone(),
            metrics: services.metrics.clone(),
            limits: services.limits,
        }
    }
}

/// In the cloud Lambda gives each request an id. This does it here, for the log and for the caller.
async fn with_request_id(mut request: Request, next: Next) -> Response {
    let id = Random::system().id();
    request.extensions_mut().insert(Source { request_id: Some(id.clone()), ..Source::default() });
    let mut response = next.run(request).instrument(telemetry::invocation(&id)).await;
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}

fn receiver(services: &Services) -> Receiver {
    Receiver {
        platform: Arc::clone(&services.platform),
        table: services.table.clone().access(),
        clock: Arc::clone(&services.clock),
        metrics: services.metrics.clone(),
        bound: services.limits.push,
    }
}

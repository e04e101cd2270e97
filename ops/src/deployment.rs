//! A deployment, in AWS or on this machine, and how to reach its parts.

mod stack;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use base::clock::{SharedClock, SystemClock};
use base::http_client::client_builder;
use base::ids::AppId;
use base::limits::Limits;
use runtime::aws::{AwsClients, local_config};
use runtime::config::{Environment, WebDomains};
use store::{DuePart, Store, Table};
use url::Url;

use crate::account;
use crate::args::DeploymentArgs;
use crate::finding::{Finding, Verdict};
use crate::signer::ApiSigner;

/// The path at which a running `cargo run` lists its variables, on the port of its business API.
const RUNNING_SYSTEM: &str = "/_local/system";

/// The time-out for the variables of a `cargo run`, which is on this machine.
const VARIABLES: Duration = Duration::from_secs(5);

/// Where a deployment runs: what is wrong in the cloud may be correct on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// In AWS.
    Aws,
    /// A stack in an emulator of AWS: the SDK is configured with another endpoint.
    Emulator,
    /// `cargo run` on this machine.
    Local,
}

/// A deployment, and how to reach its parts.
pub struct Deployment {
    /// Where it runs.
    pub target: Target,
    /// The table's name.
    pub table: String,
    /// The secret's name or ARN.
    pub secret_id: String,
    /// The base of the public routes.
    pub public: Url,
    /// The base of the URLs in WeChat's console.
    pub public_base: String,
    /// The base of the business routes.
    pub business: Url,
    /// Whether a webhook is configured, which needs a key in the secret.
    pub webhook: bool,
    /// The parts of the accounts, each with its own renew run.
    pub parts: Vec<DuePart>,
    /// The hosts of web pages.
    pub web: WebHosts,
    /// The signer for the routes that IAM protects; `None` on this machine, where no signature is required.
    pub signer: Option<ApiSigner>,
    /// DynamoDB and Secrets Manager.
    pub clients: AwsClients,
    /// This machine's clock.
    pub clock: SharedClock,
}

/// The hosts of web pages, as the operator has configured them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WebHosts {
    /// The platform's 公众号开发域名.
    pub domains: WebDomains,
    /// The host below which each account has its own host for web logins.
    pub login_host: Option<String>,
}

impl Deployment {
    /// The repositories of the platform `component`.
    pub(crate) fn store(&self, component: &AppId) -> Store {
        Table::new(self.clients.dynamodb.clone(), &self.table).store(component)
    }
}

/// The deployment that the arguments name, or the finding why there is none.
pub(crate) struct Located {
    /// Its name, for people.
    pub(crate) subject: String,
    /// The findings so far.
    pub(crate) findings: Vec<Finding>,
    /// The deployment.
    pub(crate) deployment: Option<Deployment>,
}

impl Located {
    /// The deployment, for a command that needs one.
    ///
    /// # Errors
    /// The finding why there is none.
    pub(crate) fn usable(self) -> Result<Deployment, Finding> {
        let Self { subject, findings, deployment } = self;
        deployment.ok_or_else(|| {
            let unusable = findings.into_iter().find(|finding| finding.verdict == Verdict::Wrong);
            unusable.unwrap_or_else(|| {
                Finding::wrong("deployment", format!("{subject} could not be found"), "check the arguments")
            })
        })
    }
}

/// Addresses that are used instead of the stack's own.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Addresses<'a> {
    /// The base of the public routes.
    pub(crate) public: Option<&'a Url>,
    /// The base of the business routes.
    pub(crate) api: Option<&'a Url>,
}

/// Finds the deployment that the arguments name.
pub(crate) async fn locate(
    options: &DeploymentArgs,
    addresses: Addresses<'_>,
    environment: &impl Environment,
) -> Located {
    let mut findings = Vec::new();
    let (subject, found) = if let Some(name) = &options.stack {
        let config = account::load(options.region.as_deref(), options.profile.as_deref()).await;
        let region = config.region().map_or_else(|| "an unknown region".to_owned(), ToString::to_string);
        let found = in_stack(name, &config, options, addresses, &mut findings).await;
        (format!("Stack {name} in {region}"), found)
    } else {
        let port = options.business_port;
        (format!("The local system on port {port}"), on_this_machine(port, environment).await)
    };
    let deployment = found.map_err(|missing| findings.push(missing)).ok();
    Located { subject, findings, deployment }
}

/// Time-outs for a machine that may be far away from the region: each operation ends within 10 s.
const fn limits() -> Limits {
    Limits {
        table_try: Duration::from_secs(4),
        table: Duration::from_secs(10),
        secrets_try: Duration::from_secs(4),
        secrets: Duration::from_secs(10),
        ..Limits::background()
    }
}

async fn in_stack(
    name: &str,
    config: &SdkConfig,
    options: &DeploymentArgs,
    addresses: Addresses<'_>,
    findings: &mut Vec<Finding>,
) -> Result<Deployment, Finding> {
    account::check(config, options.profile.as_deref())
        .await
        .map_err(|error| Finding::wrong("AWS", error.to_string(), error.advice()))?;
    let (state, outputs) = stack::look_up(config, &limits(), name).await?;
    findings.push(state);
    let or_output = |given: Option<&Url>, name| given.cloned().map_or_else(|| outputs.url(name), Ok);
    Ok(Deployment {
        target: if config.endpoint_url().is_some() { Target::Emulator } else { Target::Aws },
        table: outputs.text("TableName")?,
        secret_id: outputs.text("SecretArn")?,
        public: or_output(addresses.public, "PublicBaseUrl")?,
        public_base: outputs.text("PublicBaseUrl")?,
        business: or_output(addresses.api, "ApiUrl")?,
        webhook: ["ReplyWebhookUrl", "EventWebhookUrl"].into_iter().any(|name| outputs.parameter(name).is_some()),
        parts: outputs.parts()?,
        web: outputs.web_hosts()?,
        signer: ApiSigner::new(config),
        clients: AwsClients::new(config, &limits()),
        clock: Arc::new(SystemClock),
    })
}

/// Finds a `cargo run`, which lists its own addresses, whatever its ports, its table and its tunnel.
async fn on_this_machine(port: u16, environment: &impl Environment) -> Result<Deployment, Finding> {
    const CHECK: &str = "local system";
    let business = format!("http://127.0.0.1:{port}");
    let named = variables(&format!("{business}{RUNNING_SYSTEM}")).await.ok_or_else(|| {
        let advice =
            "start cargo run in another terminal; set --business-port to its port, or name a deployment with --stack";
        Finding::wrong(CHECK, format!("no cargo run responds on port {port}"), advice)
    })?;
    let variables = Variables { named, environment };
    let variable = |name: &'static str| {
        variables.get(name).ok_or_else(|| {
            let sentence = format!("the cargo run on port {port} names no {name}");
            Finding::wrong(CHECK, sentence, "start cargo run and this program from the same version")
        })
    };
    let url = |text: &str| {
        Url::parse(text).map_err(|_| Finding::wrong(CHECK, format!("{text} is not a URL"), "correct PUBLIC_BASE_URL"))
    };
    let clients = |endpoint| Ok(AwsClients::new(&local_config(&variable(endpoint)?, &variables), &limits()));
    let public = variable("PUBLIC_BASE_URL")?;
    Ok(Deployment {
        target: Target::Local,
        table: variable("TABLE_NAME")?,
        secret_id: variable("SECRET_ID")?,
        public: url(&public)?,
        public_base: public.trim_end_matches('/').to_owned(),
        business: url(&business)?,
        webhook: ["REPLY_WEBHOOK_URL", "EVENT_WEBHOOK_URL"].into_iter().any(|name| variables.get(name).is_some()),
        parts: vec![DuePart::ALL],
        web: WebHosts::default(),
        signer: None,
        clients: AwsClients {
            dynamodb: clients("AWS_ENDPOINT_URL_DYNAMODB")?.dynamodb,
            secrets: clients("AWS_ENDPOINT_URL_SECRETS_MANAGER")?.secrets,
        },
        clock: Arc::new(SystemClock),
    })
}

/// The variables that a `cargo run` lists, and the environment for all others, such as the credentials for the user's
/// own table.
struct Variables<'a, E> {
    named: HashMap<String, String>,
    environment: &'a E,
}

impl<E: Environment> Environment for Variables<'_, E> {
    fn get(&self, name: &'static str) -> Option<String> {
        self.named.get(name).cloned().or_else(|| self.environment.get(name))
    }
}

async fn variables(url: &str) -> Option<HashMap<String, String>> {
    let response = client_builder().timeout(VARIABLES).build().ok()?.get(url).send().await.ok()?;
    response.error_for_status().ok()?.json().await.ok()
}

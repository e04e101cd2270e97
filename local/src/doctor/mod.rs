//! `cargo run -- doctor`: looks at a deployment from outside and says in words what is wrong with it.
//!
//! It only reads, and never calls WeChat: the calls that would tell most issue tokens or count against a quota. What
//! WeChat last said stands in the table, where the refresher left it. Each check is a function that returns findings;
//! one that fails stops no other. Every wait is bounded.

mod finding;
mod items;
mod probe;
mod refresher;
mod refusal;
pub mod render;
mod secret;
mod stack;
mod table;
mod web;
mod words;

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use base::clock::{SharedClock, SystemClock};
use base::ids::AppId;
use base::limits::Limits;
use runtime::aws::AwsClients;
use runtime::config::Environment;
use store::Table;
use tokio::time::timeout;
use url::Url;

use self::stack::Outputs;
use crate::account;
use crate::args::{DoctorArgs, Ports};
use crate::cause::Cause;
use crate::endpoints::Endpoints;
use crate::home::{RUNNING_SYSTEM, RunningSystem};
use crate::variables::{SECRET, TABLE};

pub use self::finding::{Diagnosis, Finding, Verdict};

/// One check of what stands in the table: up to some fifty reads.
const ITEMS: Duration = Duration::from_secs(30);

/// Where a deployment runs: what is wrong in the cloud may be as it should on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In AWS.
    Aws,
    /// A stack in something that plays AWS: the SDK is told another endpoint.
    Emulator,
    /// `cargo run` on this machine.
    Here,
}

/// A deployment, and how to reach its parts.
pub struct Patient {
    /// Where it runs.
    pub place: Place,
    /// The table's name.
    pub table: String,
    /// The secret's name or ARN.
    pub secret_id: String,
    /// Where the public routes are.
    pub public: Url,
    /// What stands in WeChat's console as 授权事件接收URL.
    pub events_url: String,
    /// Where the business routes are.
    pub business: Url,
    /// Whether a reply webhook is to be called, which takes a key in the secret.
    pub webhook: bool,
    /// DynamoDB and Secrets Manager.
    pub clients: AwsClients,
    /// This machine's clock.
    pub clock: SharedClock,
}

/// Bounds for a machine that may be far away from the region: each operation ends within 10 s.
const fn limits() -> Limits {
    Limits {
        dynamodb_try: Duration::from_secs(4),
        dynamodb: Duration::from_secs(10),
        secrets_try: Duration::from_secs(4),
        secrets: Duration::from_secs(10),
        ..Limits::background()
    }
}

/// The finding where AWS, or what stands for it at the port of `option` on this machine, does not do `action`.
fn refused(check: &'static str, cause: &Cause, action: &str, place: Place, option: &str) -> Finding {
    let advice = match (place, cause) {
        (Place::Here, Cause::Timeout | Cause::Unreachable) => {
            format!("is cargo run there? {option} says where it listens")
        }
        _ => cause.advice(action),
    };
    Finding::wrong(check, cause.sentence(action), advice)
}

/// Finds what the arguments name, and examines it.
pub async fn examine(options: &DoctorArgs, environment: &impl Environment) -> Diagnosis {
    match &options.stack {
        Some(name) => stack(name, options).await,
        None => here(options.ports, environment).await,
    }
}

async fn stack(name: &str, options: &DoctorArgs) -> Diagnosis {
    let config = account::load(options.region.as_deref(), options.profile.as_deref()).await;
    let region = config.region().map_or_else(|| "an unknown region".to_owned(), ToString::to_string);
    let mut diagnosis =
        Diagnosis { subject: format!("Stack {name} in {region}"), findings: Vec::new(), examined: false };
    if let Err(unusable) = account::check(&config).await {
        diagnosis.findings.push(Finding::wrong("AWS", unusable.to_string(), unusable.advice()));
        return diagnosis;
    }
    let (found, outputs) = stack::look_up(&config, &limits(), name).await;
    diagnosis.findings.push(found);
    let Some(outputs) = outputs else { return diagnosis };
    match patient(&config, &outputs, options) {
        Ok(patient) => {
            diagnosis.findings.extend(patient.examine().await);
            diagnosis.examined = true;
        }
        Err(missing) => diagnosis.findings.push(missing),
    }
    diagnosis
}

fn patient(config: &SdkConfig, outputs: &Outputs, options: &DoctorArgs) -> Result<Patient, Finding> {
    let or_output = |given: &Option<Url>, name| given.clone().map_or_else(|| outputs.url(name), Ok);
    Ok(Patient {
        place: if config.endpoint_url().is_some() { Place::Emulator } else { Place::Aws },
        table: outputs.text("TableName")?,
        secret_id: outputs.text("SecretArn")?,
        public: or_output(&options.public_url, "PublicBaseUrl")?,
        events_url: outputs.text("EventsUrl")?,
        business: or_output(&options.api_url, "ApiUrl")?,
        webhook: outputs.parameter("ReplyWebhookUrl").is_some(),
        clients: AwsClients::new(config, &limits()),
        clock: Arc::new(SystemClock),
    })
}

async fn here(ports: Ports, environment: &impl Environment) -> Diagnosis {
    let subject = format!("The local system on port {}", ports.port);
    let local = |port: u16| format!("http://127.0.0.1:{port}");
    let table_url = environment.get("AWS_ENDPOINT_URL_DYNAMODB").unwrap_or_else(|| local(ports.dynamodb_port));
    let base = match running_system(ports).await {
        Some(system) => system.public_base_url,
        None => environment.get("PUBLIC_BASE_URL").unwrap_or_else(|| format!("http://localhost:{}", ports.port)),
    };
    let failed = |sentence: String, advice: &str| Diagnosis {
        subject: subject.clone(),
        findings: vec![Finding::wrong("local system", sentence, advice)],
        examined: false,
    };
    let (Ok(public), Ok(own), Ok(business)) =
        (Url::parse(&base), Url::parse(&local(ports.port)), Url::parse(&local(ports.business_port)))
    else {
        return failed("PUBLIC_BASE_URL is no URL".to_owned(), "set it to what cargo run has, or unset it");
    };
    if !probe::listens(&own).await {
        let advice = "start cargo run in another terminal; --port says where it listens, --stack looks at a deployment";
        return failed(format!("nothing listens on port {}", ports.port), advice);
    }
    let endpoints = Endpoints::new(&table_url, &local(ports.secrets_port), environment);
    let patient = Patient {
        place: Place::Here,
        table: environment.get("TABLE_NAME").unwrap_or_else(|| TABLE.to_owned()),
        secret_id: environment.get("SECRET_ID").unwrap_or_else(|| SECRET.to_owned()),
        events_url: format!("{}/wechat/events", base.trim_end_matches('/')),
        public,
        business,
        webhook: environment.get("REPLY_WEBHOOK_URL").is_some(),
        clients: endpoints.clients(&limits()),
        clock: Arc::new(SystemClock),
    };
    Diagnosis { findings: patient.examine().await, subject, examined: true }
}

/// What a running system says of itself: it knows the tunnel that leads to it, which the doctor's environment may not.
async fn running_system(ports: Ports) -> Option<RunningSystem> {
    let url = Url::parse(&format!("http://127.0.0.1:{}{RUNNING_SYSTEM}", ports.business_port)).ok()?;
    let response = probe::client([&url, &url]).ok()?.get(url).send().await.ok()?;
    response.error_for_status().ok()?.json().await.ok()
}

impl Patient {
    /// Makes every check, those that do not depend on each other at the same time.
    pub async fn examine(&self) -> Vec<Finding> {
        // On the heap: dozens of SDK calls are one large future.
        Box::pin(self.checks()).await
    }

    async fn checks(&self) -> Vec<Finding> {
        let ((mut findings, component), (table, reachable), web) = tokio::join!(
            secret::examine(&self.clients.secrets, &self.secret_id, self.webhook, self.place),
            table::examine(&self.clients.dynamodb, &self.table, self.place),
            web::examine(&self.public, &self.business, self.place, &*self.clock),
        );
        findings.extend(table);
        findings.extend(match component {
            _ if !reachable => vec![Finding::warning(
                "items",
                "what stands in the table was not looked at",
                "put the table right, and run the doctor again",
            )],
            Some(component) => Box::pin(self.items(&component)).await,
            None => vec![Finding::warning(
                "items",
                "what stands in the table was not looked at: its keys begin with the secret's component_appid",
                "put the secret right, and run the doctor again",
            )],
        });
        findings.extend(web);
        findings
    }

    async fn items(&self, component: &AppId) -> Vec<Finding> {
        let store = Table::new(self.clients.dynamodb.clone(), &self.table).store(component);
        let now = self.clock.now();
        let all = async {
            tokio::join!(
                items::ticket(&store, &self.events_url, now),
                items::component_token(&store, now),
                refresher::examine(&store, now),
                items::accounts(&store),
                items::inbox(&store, now),
            )
        };
        let Ok((mut findings, token, refresher, accounts, inbox)) = timeout(ITEMS, Box::pin(all)).await else {
            let sentence = "what stands in the table could not be read in time";
            return vec![Finding::wrong("items", sentence, "check the network between this machine and the region")];
        };
        findings.push(token);
        findings.extend(refresher);
        findings.extend([accounts, inbox]);
        findings
    }
}

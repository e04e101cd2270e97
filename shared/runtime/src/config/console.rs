//! The configuration of the operators' console.

use super::{ConfigError, Environment, Origin, WebDomains, list, public_base};

/// What the operators' console needs: `TABLE_NAME`, `PUBLIC_BASE_URL`, `ACCOUNT_API_FUNCTION`, `PREAUTH_LINK_FUNCTION`,
/// and the platform's settings, which it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleConfig {
    /// The DynamoDB table.
    pub table_name: String,
    /// Our own origin: the console is below it.
    pub public_base: Origin,
    /// The name or ARN of the function that acts on accounts.
    pub account_api: String,
    /// The name or ARN of the function that creates links.
    pub preauth_link: String,
    /// The permission sets that the platform needs of every account.
    pub wanted_permissions: Vec<u32>,
    /// The hosts of the business's web pages.
    pub web_domains: WebDomains,
    /// The parent domain of the hosts at which visitors are logged in, if each account has its own.
    pub login_host: Option<String>,
    /// The number of refresher runs among which the accounts are divided.
    pub refresher_runs: u64,
    /// The outgoing addresses that WeChat sees, if the stack has fixed ones.
    pub egress_addresses: Vec<String>,
    /// Whether there is an event webhook. Its address may contain a key, so the console does not get it.
    pub has_event_webhook: bool,
}

impl ConsoleConfig {
    /// Reads the variables. `WANTED_PERMISSIONS`, `WEB_DOMAINS`, `LOGIN_HOST`, `REFRESHER_RUNS`, `EGRESS_ADDRESSES` and
    /// `HAS_EVENT_WEBHOOK` (`true`) are optional.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable.
    pub fn read(environment: &impl Environment) -> Result<Self, ConfigError> {
        Ok(Self {
            table_name: environment.required("TABLE_NAME", "the name of the DynamoDB table")?,
            public_base: public_base(environment)?,
            account_api: environment.required("ACCOUNT_API_FUNCTION", "the name of the function account-api")?,
            preauth_link: environment.required("PREAUTH_LINK_FUNCTION", "the name of the function preauth-link")?,
            wanted_permissions: super::wanted_permissions(environment)?,
            web_domains: WebDomains::read(environment)?,
            login_host: environment.get("LOGIN_HOST"),
            refresher_runs: refresher_runs(environment)?,
            egress_addresses: list(environment, "EGRESS_ADDRESSES", |text| Ok(text.to_owned()))?,
            has_event_webhook: environment.get("HAS_EVENT_WEBHOOK").is_some_and(|text| text == "true"),
        })
    }
}

/// The number of refresher runs among which the accounts are divided, by default one.
fn refresher_runs(environment: &impl Environment) -> Result<u64, ConfigError> {
    const NAME: &str = "REFRESHER_RUNS";
    let runs = environment.get(NAME).map(|text| text.parse().ok().filter(|runs| [1, 2, 4].contains(runs)));
    match runs {
        None => Ok(1),
        Some(runs) => runs.ok_or(ConfigError::Malformed { name: NAME, reason: "it must be 1, 2 or 4" }),
    }
}

//! The environment, read once at start. `docs/operations.md` describes every variable.
//!
//! One struct per concern; a missing or malformed variable is an error that names it. This is the only module that
//! reads the environment.

use url::Url;

mod console;
mod login;
mod origin;
mod provider;
mod web_domains;

pub use self::console::ConsoleConfig;
pub use self::login::{HostMatch, LoginConfig};
pub use self::origin::{Origin, ReturnOrigins, web_address};
pub use self::provider::{Contact, ProviderConfig};
pub use self::web_domains::WebDomains;
use base::ids::AppId;

/// Why a function does not start.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The variable is not set, or empty.
    #[error("the environment variable {name} is not set: {hint}")]
    Missing {
        /// The variable.
        name: &'static str,
        /// What its value should be.
        hint: &'static str,
    },
    /// The variable's value cannot be used.
    #[error("the environment variable {name} cannot be used: {reason}")]
    Malformed {
        /// The variable.
        name: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// A source of variables: the process environment, or a test's map.
pub trait Environment {
    /// The variable's value; `None` if it is missing, empty or not UTF-8.
    fn get(&self, name: &'static str) -> Option<String>;

    /// The variable's value.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] if there is none.
    fn required(&self, name: &'static str, hint: &'static str) -> Result<String, ConfigError> {
        self.get(name).ok_or(ConfigError::Missing { name, hint })
    }
}

/// The environment of this process.
#[derive(Debug, Clone, Copy)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    #[expect(clippy::disallowed_methods, reason = "the one home of environment reads")]
    fn get(&self, name: &'static str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }
}

impl<F: Fn(&str) -> Option<String>> Environment for F {
    fn get(&self, name: &'static str) -> Option<String> {
        self(name)
    }
}

/// Where everything is stored: `TABLE_NAME`, `SECRET_ID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// The DynamoDB table.
    pub table_name: String,
    /// The Secrets Manager secret: name or ARN.
    pub secret_id: String,
}

impl StoreConfig {
    /// Reads `TABLE_NAME` and `SECRET_ID`.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] naming the first one that is missing.
    pub fn read(environment: &impl Environment) -> Result<Self, ConfigError> {
        Ok(Self {
            table_name: environment.required("TABLE_NAME", "the name of the DynamoDB table")?,
            secret_id: environment.required("SECRET_ID", "the name or ARN of the platform's secret")?,
        })
    }
}

/// The value of an optional variable. The error of `parse` says what is wrong with it.
fn optional<T>(
    environment: &impl Environment,
    name: &'static str,
    parse: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<Option<T>, ConfigError> {
    let parsed = environment.get(name).as_deref().map(parse).transpose();
    parsed.map_err(|reason| ConfigError::Malformed { name, reason })
}

/// The comma-separated values of an optional variable. The error of `parse` says what is wrong with a value.
fn list<T>(
    environment: &impl Environment,
    name: &'static str,
    parse: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<Vec<T>, ConfigError> {
    let listed = environment.get(name).unwrap_or_default();
    let values = listed.split(',').map(str::trim).filter(|value| !value.is_empty()).map(parse);
    values.collect::<Result<_, _>>().map_err(|reason| ConfigError::Malformed { name, reason })
}

/// Where metrics go: `METRICS_NAMESPACE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsConfig {
    /// The CloudWatch namespace of all metrics. Each stack in an AWS account has its own, so that their metrics do not
    /// mix.
    pub namespace: String,
}

/// CloudWatch's limit of a namespace, in characters.
const LONGEST_NAMESPACE: usize = 255;

impl MetricsConfig {
    /// Reads `METRICS_NAMESPACE`, by default `WechatPlatform`.
    ///
    /// # Errors
    /// [`ConfigError::Malformed`] if CloudWatch would silently drop every metric.
    pub fn read(environment: &impl Environment) -> Result<Self, ConfigError> {
        let namespace = environment.get("METRICS_NAMESPACE").unwrap_or_else(|| "WechatPlatform".to_owned());
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/#: ".contains(c);
        let usable = namespace.len() <= LONGEST_NAMESPACE
            && namespace.starts_with(|c: char| c.is_ascii_alphanumeric())
            && !namespace.starts_with("AWS/")
            && namespace.chars().all(allowed);
        if usable {
            return Ok(Self { namespace });
        }
        Err(ConfigError::Malformed {
            name: "METRICS_NAMESPACE",
            reason: "it must be a CloudWatch namespace such as WechatPlatform/shop",
        })
    }
}

/// What the merchants' pages need: `PUBLIC_BASE_URL`, `RETURN_URL_ORIGINS`, and the provider's variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageConfig {
    /// Our own origin; its host is the platform's 授权发起页域名.
    pub public_base: Origin,
    /// The origins to which a merchant may be sent back.
    pub return_origins: ReturnOrigins,
    /// Who runs the platform.
    pub provider: ProviderConfig,
}

impl PageConfig {
    /// Reads `PUBLIC_BASE_URL`, the optional `RETURN_URL_ORIGINS` and what [`ProviderConfig`] reads.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable.
    pub fn read(environment: &impl Environment) -> Result<Self, ConfigError> {
        let public_base = public_base(environment)?;
        let return_origins = list(environment, "RETURN_URL_ORIGINS", Origin::parse)?;
        let provider = ProviderConfig::read(environment)?;
        Ok(Self { public_base, return_origins: ReturnOrigins::new(return_origins), provider })
    }
}

/// WeChat's three hosts: `WECHAT_API_BASE_URL`, `WECHAT_MP_BASE_URL`, `WECHAT_OPEN_BASE_URL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WechatConfig {
    /// The API.
    pub api: Url,
    /// The authorization page for computers.
    pub mp: Url,
    /// The authorization page for phones.
    pub open: Url,
}

impl WechatConfig {
    /// Reads the three variables; each has WeChat's own host as its default.
    ///
    /// # Errors
    /// [`ConfigError::Malformed`] naming the variable.
    pub fn read(environment: &impl Environment) -> Result<Self, ConfigError> {
        let read = |name, default: &str| {
            let text = environment.get(name).unwrap_or_else(|| default.to_owned());
            Origin::parse(&text)
                .map(|origin| origin.url().clone())
                .map_err(|reason| ConfigError::Malformed { name, reason })
        };
        Ok(Self {
            api: read("WECHAT_API_BASE_URL", "https://api.weixin.qq.com")?,
            mp: read("WECHAT_MP_BASE_URL", "https://mp.weixin.qq.com")?,
            open: read("WECHAT_OPEN_BASE_URL", "https://open.weixin.qq.com")?,
        })
    }
}

/// What account-api needs: `WANTED_PERMISSIONS`, with which accounts are compared, and `PUBLIC_BASE_URL`, at which
/// operators open their invitations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountConfig {
    /// Our own origin, where the console is.
    pub public_base: Origin,
    /// The permission sets that the platform needs of every account.
    pub wanted_permissions: Vec<u32>,
    /// Whether logins may return to `http` pages of this machine. No variable sets it: only `cargo run` allows it, for
    /// shops under development, and a deployed function never does.
    pub local_login_origins: bool,
}

impl AccountConfig {
    /// Reads `PUBLIC_BASE_URL` and the optional `WANTED_PERMISSIONS`.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable.
    pub fn read(environment: &impl Environment) -> Result<Self, ConfigError> {
        let (public_base, wanted_permissions) = (public_base(environment)?, wanted_permissions(environment)?);
        Ok(Self { public_base, wanted_permissions, local_login_origins: false })
    }
}

/// The permission sets that the platform needs of every account.
fn wanted_permissions(environment: &impl Environment) -> Result<Vec<u32>, ConfigError> {
    list(environment, "WANTED_PERMISSIONS", |text| {
        text.parse().map_err(|_| "it must be ids of permission sets (权限集) such as 1,15, separated by commas")
    })
}

/// Which tokens services may be given, and whether that is reported: `PLATFORM_TOKEN_ROUTE`, `TOKEN_READ_EVENTS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenConfig {
    /// Whether they may be given the platform's own token, with which they can do whatever the platform can.
    pub platform_route: bool,
    /// Whether an event is published whenever somebody is given a token. It is logged in any case.
    pub read_events: bool,
}

impl TokenConfig {
    /// Reads the optional `PLATFORM_TOKEN_ROUTE` and `TOKEN_READ_EVENTS`, each `on` or `off`, by default `off`.
    ///
    /// # Errors
    /// [`ConfigError::Malformed`] naming the variable.
    pub fn read(environment: &impl Environment) -> Result<Self, ConfigError> {
        Ok(Self {
            platform_route: switch(environment, "PLATFORM_TOKEN_ROUTE")?.unwrap_or(false),
            read_events: switch(environment, "TOKEN_READ_EVENTS")?.unwrap_or(false),
        })
    }
}

/// An optional variable that is `on` or `off`.
fn switch(environment: &impl Environment, name: &'static str) -> Result<Option<bool>, ConfigError> {
    match environment.get(name).as_deref() {
        None => Ok(None),
        Some("on") => Ok(Some(true)),
        Some("off") => Ok(Some(false)),
        Some(_) => Err(ConfigError::Malformed { name, reason: "it must be on or off" }),
    }
}

/// Whether services can use API keys: `API_KEYS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyConfig {
    /// Whether keys are accepted.
    pub enabled: bool,
}

impl KeyConfig {
    /// Reads the optional `API_KEYS`, `on` or `off`, by default `on`.
    ///
    /// # Errors
    /// [`ConfigError::Malformed`] naming the variable.
    pub fn read(environment: &impl Environment) -> Result<Self, ConfigError> {
        Ok(Self { enabled: switch(environment, "API_KEYS")?.unwrap_or(true) })
    }
}

/// Where the files of calls are stored: `FILES_BUCKET_URL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesConfig {
    /// The address of the bucket; the objects are below it.
    pub bucket: Url,
}

impl FilesConfig {
    /// Reads `FILES_BUCKET_URL`.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable.
    pub fn read(environment: &impl Environment) -> Result<Self, ConfigError> {
        const NAME: &str = "FILES_BUCKET_URL";
        let hint = "the address of the S3 bucket of files, such as https://files.s3.eu-central-1.amazonaws.com";
        let text = environment.required(NAME, hint)?;
        let bucket = web_address(&text).map_err(|reason| ConfigError::Malformed { name: NAME, reason })?;
        if bucket.query().is_some() || bucket.fragment().is_some() {
            return Err(ConfigError::Malformed { name: NAME, reason: "it must have no query and no fragment" });
        }
        Ok(Self { bucket })
    }
}

/// The bus that events are put on: `EVENT_BUS_NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusConfig {
    /// Its name or ARN.
    pub bus: String,
}

impl BusConfig {
    /// Reads `EVENT_BUS_NAME`.
    pub fn read(environment: &impl Environment) -> Result<Self, ConfigError> {
        Ok(Self { bus: environment.required("EVENT_BUS_NAME", "the name or ARN of the event bus")? })
    }
}

/// How replies to messages are made: `REPLY_WEBHOOK_URL`, `RELEASE_CHECK_ACCOUNTS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageConfig {
    /// The webhook that provides replies; `None` if it is not set.
    pub webhook: Option<Url>,
    /// Accounts of WeChat's release check in addition to the known ones.
    pub test_accounts: Vec<AppId>,
}

impl MessageConfig {
    /// Reads the two variables, both optional. No variable can change which addresses the webhook may have.
    ///
    /// # Errors
    /// [`ConfigError::Malformed`] naming the variable.
    pub fn read(environment: &impl Environment) -> Result<Self, ConfigError> {
        let webhook = webhook(environment, "REPLY_WEBHOOK_URL")?;
        let test_accounts = list(environment, "RELEASE_CHECK_ACCOUNTS", |text| {
            AppId::parse_issued(text).map_err(
                |_| "it must be appids such as wx570bc396a51b8ff8 (not original ids, gh_…), separated by commas",
            )
        })?;
        Ok(Self { webhook, test_accounts })
    }
}

/// What the events of accounts need beyond the bus: `PUBLIC_BASE_URL`, `EVENT_WEBHOOK_URL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventConfig {
    /// Our own origin, for the links with which merchants are asked to authorize again.
    pub public_base: Origin,
    /// The webhook that receives the events; `None` if it is not set.
    pub webhook: Option<Url>,
}

impl EventConfig {
    /// Reads `PUBLIC_BASE_URL` and the optional `EVENT_WEBHOOK_URL`. No variable can change which addresses the webhook
    /// may have.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable.
    pub fn read(environment: &impl Environment) -> Result<Self, ConfigError> {
        Ok(Self { public_base: public_base(environment)?, webhook: webhook(environment, "EVENT_WEBHOOK_URL")? })
    }
}

fn public_base(environment: &impl Environment) -> Result<Origin, ConfigError> {
    const NAME: &str = "PUBLIC_BASE_URL";
    let base = environment.required(NAME, "our own origin, such as https://auth.example.com")?;
    Origin::parse(&base).map_err(|reason| ConfigError::Malformed { name: NAME, reason })
}

/// The address of a webhook of the business, if the variable is set.
fn webhook(environment: &impl Environment, name: &'static str) -> Result<Option<Url>, ConfigError> {
    optional(environment, name, |text| {
        let url = web_address(text)?;
        if url.fragment().is_some() { Err("it must not have a fragment, the part from # on") } else { Ok(url) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(base: &str, origins: &str) -> Result<PageConfig, ConfigError> {
        let (base, origins) = (base.to_owned(), origins.to_owned());
        PageConfig::read(&move |name: &str| match name {
            "PUBLIC_BASE_URL" => Some(base.clone()),
            "RETURN_URL_ORIGINS" => Some(origins.clone()),
            _ => None,
        })
    }

    #[test]
    fn a_missing_variable_is_named() {
        let error = StoreConfig::read(&|_: &str| None).unwrap_err();
        assert!(error.to_string().contains("TABLE_NAME"), "{error}");
    }

    #[test]
    fn a_namespace_that_cloudwatch_would_not_accept_is_refused_by_name() {
        let read = |text: &str| {
            let text = (!text.is_empty()).then(|| text.to_owned());
            MetricsConfig::read(&move |_: &str| text.clone()).map(|config| config.namespace)
        };
        assert_eq!(read("").as_deref(), Ok("WechatPlatform"));
        assert_eq!(read("WechatPlatform/my-shop_2").as_deref(), Ok("WechatPlatform/my-shop_2"));
        for bad in ["AWS/Lambda", "/shop", ":shop", "微信", "a\"b", &"a".repeat(256)] {
            let error = read(bad).unwrap_err();
            assert!(error.to_string().contains("METRICS_NAMESPACE"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_webhook_is_an_https_address_and_test_accounts_are_appids() {
        let read = |webhook: &str, accounts: &str| {
            let (webhook, accounts) = (webhook.to_owned(), accounts.to_owned());
            MessageConfig::read(&move |name: &str| {
                let value = if name == "REPLY_WEBHOOK_URL" { &webhook } else { &accounts };
                Some(value.clone()).filter(|value| !value.is_empty())
            })
        };
        let config = read("https://app.example.com/wechat?x=1", " wx1234567890abcdef, wx570bc396a51b8ff8,").unwrap();
        assert_eq!((config.webhook.unwrap().path(), config.test_accounts.len()), ("/wechat", 2));
        assert_eq!(read("", "").unwrap(), MessageConfig { webhook: None, test_accounts: vec![] });
        assert!(read("http://localhost:9000/", "").is_ok());
        for (bad, why) in [
            ("app.example.com", "an address such as https://"),
            ("http://app.example.com", "must begin with https:// (http:// only for this machine)"),
            ("ftp://a", "must begin with https://"),
            ("https://u@a.example.com", "a user name"),
            ("https://a/#b", "a fragment"),
        ] {
            let error = read(bad, "").unwrap_err().to_string();
            assert!(error.contains("REPLY_WEBHOOK_URL") && error.contains(why), "{bad}: {error}");
        }
        for bad in ["foo", "gh_3c884a361561", "wx570bc396a51b8ff", "WX570bc396a51b8ff8", "wx570bc396a51b8ff8;wx1"] {
            let error = read("", bad).unwrap_err().to_string();
            assert!(error.contains("RELEASE_CHECK_ACCOUNTS") && error.contains("gh_"), "{bad}: {error}");
        }
    }

    #[test]
    fn the_event_webhook_is_an_address_like_the_reply_webhook() {
        let read = |webhook: &str| {
            let webhook = webhook.to_owned();
            EventConfig::read(&move |name: &str| match name {
                "PUBLIC_BASE_URL" => Some("https://auth.example.com".to_owned()),
                _ => Some(webhook.clone()).filter(|value| !value.is_empty()),
            })
        };
        assert_eq!(read("").unwrap().webhook, None);
        assert_eq!(read("https://app.example.com/events?x=1").unwrap().webhook.unwrap().path(), "/events");
        for bad in ["app.example.com", "http://app.example.com", "https://u@a.example.com", "https://a/#b"] {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.contains("EVENT_WEBHOOK_URL"), "{bad}: {error}");
        }
        assert!(EventConfig::read(&|_: &str| None).unwrap_err().to_string().contains("PUBLIC_BASE_URL"));
    }

    #[test]
    fn a_base_url_that_is_not_an_origin_is_refused_by_name() {
        for bad in [
            "auth.example.com",
            "http://auth.example.com",
            "https://a.example.com/path",
            "https://u@a.example.com",
            "https://@a.example.com",
            "https:\\\\a.example.com",
        ] {
            let error = pages(bad, "").unwrap_err();
            assert!(error.to_string().contains("PUBLIC_BASE_URL"), "{bad}: {error}");
            let error = pages("https://auth.example.com", &format!("https://app.example.com,{bad}")).unwrap_err();
            assert!(error.to_string().contains("RETURN_URL_ORIGINS"), "{bad}: {error}");
        }
        assert_eq!(pages("http://localhost:3000", "").unwrap().public_base.as_str(), "http://localhost:3000");
    }

    #[test]
    fn wechats_servers_are_reached_by_https_or_on_this_machine() {
        let read = |name: &'static str, value: &str| {
            let value = value.to_owned();
            WechatConfig::read(&move |asked: &str| (asked == name).then(|| value.clone()))
        };
        for name in ["WECHAT_API_BASE_URL", "WECHAT_MP_BASE_URL", "WECHAT_OPEN_BASE_URL"] {
            for good in ["https://wechat.example.com:8443", "http://127.0.0.1:3002", "http://localhost:3002/"] {
                assert!(read(name, good).is_ok(), "{name}: {good}");
            }
            for bad in [
                "http://api.weixin.qq.com",
                "http://10.0.0.7:3002",
                "http://169.254.169.254",
                "https://user@api.weixin.qq.com",
                "https://user:secret@api.weixin.qq.com",
                "http://user@localhost:3002",
                "https://api.weixin.qq.com/cgi-bin",
                "https://api.weixin.qq.com?x",
                "https://api.weixin.qq.com#x",
                "blob:https://api.weixin.qq.com",
                "api.weixin.qq.com",
            ] {
                let error = read(name, bad).unwrap_err().to_string();
                assert!(error.contains(name) && !error.contains("secret"), "{bad}: {error}");
            }
        }
        assert_eq!(WechatConfig::read(&|_: &str| None).unwrap().api.as_str(), "https://api.weixin.qq.com/");
    }
}

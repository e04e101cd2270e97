//! The hosts on which pages of accounts may use the JS-SDK.

use std::fmt;

use base::ids::AppId;
use url::{Host, Url};

use super::{ConfigError, Environment, list};

/// The platform's 公众号开发域名, on which pages of accounts may use the JS-SDK: `WEB_DOMAINS`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WebDomains(Vec<WebDomain>);

/// A domain of pages.
#[derive(Debug, Clone, PartialEq, Eq)]
enum WebDomain {
    /// This host.
    Host(String),
    /// A host for each account, whose first label is the account's appid: `$APPID$.` and this.
    OfAccounts(String),
}

/// The first label of the accounts' own hosts, as WeChat's console writes it.
const APPID_LABEL: &str = "$APPID$.";

/// The number of hosts that WeChat's console allows.
const MAX_WEB_DOMAINS: usize = 3;

impl WebDomains {
    /// Reads the optional `WEB_DOMAINS`: at most three hosts, separated by commas, as in WeChat's console.
    ///
    /// # Errors
    /// [`ConfigError::Malformed`] naming the variable.
    pub fn read(environment: &impl Environment) -> Result<Self, ConfigError> {
        const NAME: &str = "WEB_DOMAINS";
        let domains = list(environment, NAME, WebDomain::parse)?;
        if domains.len() > MAX_WEB_DOMAINS {
            let reason = "it must name at most three hosts: WeChat's console has no room for more";
            return Err(ConfigError::Malformed { name: NAME, reason });
        }
        Ok(Self(domains))
    }

    /// Whether there are none, so that no page can be signed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The hosts. A host of the accounts' own is without its first label, the appid.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|domain| match domain {
            WebDomain::Host(host) | WebDomain::OfAccounts(host) => host.as_str(),
        })
    }

    /// The hosts as WeChat's console writes them: one for each account begins with `$APPID$.`.
    #[must_use]
    pub fn entries(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    /// Whether an account's page may be at this address.
    #[must_use]
    pub fn allow(&self, address: &Url, account: &AppId) -> bool {
        let Some(host) = address.host_str() else { return false };
        let own = |parent: &str| host.split_once('.') == Some((&account.as_str().to_ascii_lowercase(), parent));
        self.0.iter().any(|domain| match domain {
            WebDomain::Host(name) => host == name,
            WebDomain::OfAccounts(parent) => own(parent),
        })
    }
}

impl fmt::Display for WebDomains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.entries().join(", "))
    }
}

impl fmt::Display for WebDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => f.write_str(host),
            Self::OfAccounts(host) => write!(f, "{APPID_LABEL}{host}"),
        }
    }
}

impl WebDomain {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (host, is_of_accounts) = match text.strip_prefix(APPID_LABEL) {
            Some(parent) => (parent, true),
            None => (text, false),
        };
        // Pages have hosts as the URL standard normalizes them: lower case, Chinese in Punycode.
        let read = Host::parse(host).ok().filter(|_| !host.contains(['*', '$']));
        let host =
            read.ok_or("each must be a host such as pages.example.com, or $APPID$.pages.example.com")?.to_string();
        Ok(if is_of_accounts { Self::OfAccounts(host) } else { Self::Host(host) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<WebDomains, ConfigError> {
        WebDomains::read(&|name: &str| (name == "WEB_DOMAINS").then(|| value.to_owned()))
    }

    #[test]
    fn domains_are_read_as_wechats_console_has_them_and_compared_as_browsers_write_them() {
        let domains = read("Pages.Example.com, $APPID$.shops.example.com,商城.example.com").unwrap();
        let account = AppId::parse("wxABCDEF1234567890").unwrap();
        for (url, is_allowed) in [
            ("https://pages.example.com:8443/a", true),
            ("https://wxabcdef1234567890.shops.example.com/", true),
            ("https://wx0000000000000000.shops.example.com/", false),
            ("https://商城.example.com/", true),
            ("https://example.com/", false),
        ] {
            assert_eq!(domains.allow(&Url::parse(url).unwrap(), &account), is_allowed, "{url}");
        }
        assert!(domains.to_string().starts_with("pages.example.com, $APPID$.shops.example.com, xn--"), "{domains}");
    }

    #[test]
    fn what_is_not_a_host_is_refused_and_so_is_a_fourth() {
        for refused in [
            "https://a.example.com",
            "a.example.com/b",
            "a.example.com:443",
            "a@example.com",
            "*.example.com",
            "$APPID$.",
            "$APPID$",
            "a.$APPID$.example.com",
            "a.example.com?",
            "a.example.com#",
            "a b",
        ] {
            let error = read(refused).unwrap_err().to_string();
            assert!(error.contains("WEB_DOMAINS"), "{refused}: {error}");
        }
        assert!(read("a.example.com,b.example.com,c.example.com").is_ok());
        assert!(read("a.example.com,b.example.com,c.example.com,d.example.com").is_err());
        assert!(read("").unwrap().is_empty());
    }
}

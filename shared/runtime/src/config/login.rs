//! The hosts at which visitors of accounts' web pages are logged in.

use base::ids::AppId;
use url::{Host, Url};

use super::{ConfigError, Environment, Origin, ProviderConfig, optional, public_base};

/// Where visitors are logged in: `PUBLIC_BASE_URL`, `LOGIN_HOST`; and the provider's variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginConfig {
    /// Our own origin, which is used unless there is `login_host`.
    public_base: Origin,
    /// The parent domain of the accounts' own hosts.
    login_host: Option<String>,
    /// Who runs the platform.
    provider: ProviderConfig,
}

/// Whose host a request for an account's login was sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostMatch {
    /// The host at which this account's visitors are logged in.
    Own,
    /// The host of our own origin, although the account has its own host.
    Common,
    /// The host of another account.
    OtherAccount,
}

impl LoginConfig {
    /// Reads `PUBLIC_BASE_URL`, the optional `LOGIN_HOST`, such as `login.example.com`, and what [`ProviderConfig`]
    /// reads.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable.
    pub fn read(environment: &impl Environment) -> Result<Self, ConfigError> {
        let public_base = public_base(environment)?;
        let login_host = optional(environment, "LOGIN_HOST", parse)?;
        Ok(Self { public_base, login_host, provider: ProviderConfig::read(environment)? })
    }

    /// Our own origin.
    #[must_use]
    pub const fn public_base(&self) -> &Origin {
        &self.public_base
    }

    /// Who runs the platform.
    #[must_use]
    pub const fn provider(&self) -> &ProviderConfig {
        &self.provider
    }

    /// The origin at which an account's visitors are logged in, as a base for paths.
    #[must_use]
    pub fn base_of(&self, account: &AppId) -> Url {
        let own = self.own_host(account).and_then(|host| Url::parse(&format!("https://{host}/")).ok());
        own.unwrap_or_else(|| self.public_base.url().clone())
    }

    /// Whose host `host` is. An unknown one is taken for the account's own, since a proxy may have replaced it.
    #[must_use]
    pub fn host_match(&self, host: Option<&str>, account: &AppId) -> HostMatch {
        let (Some(login_host), Some(host)) = (&self.login_host, host) else { return HostMatch::Own };
        let host = host.to_ascii_lowercase();
        if self.public_base.url().host_str() == Some(host.as_str()) {
            return HostMatch::Common;
        }
        let is_own = self.own_host(account).is_some_and(|own| own == host);
        let is_below =
            host.strip_suffix(login_host.as_str()).is_some_and(|label| label.is_empty() || label.ends_with('.'));
        if is_below && !is_own { HostMatch::OtherAccount } else { HostMatch::Own }
    }

    fn own_host(&self, account: &AppId) -> Option<String> {
        Some(format!("{}.{}", account.as_str().to_ascii_lowercase(), self.login_host.as_ref()?))
    }
}

fn parse(text: &str) -> Result<String, &'static str> {
    let domain = match Host::parse(text) {
        Ok(Host::Domain(domain)) if !domain.contains(['*', '$', ':', '/']) => Some(domain),
        _ => None,
    };
    let has_labels = |domain: &String| domain.contains('.') && domain.split('.').all(|label| !label.is_empty());
    domain
        .filter(has_labels)
        .ok_or("it must be a host such as login.example.com, below which each account gets one of its own")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(login_host: &str) -> Result<LoginConfig, ConfigError> {
        LoginConfig::read(&|name: &str| match name {
            "PUBLIC_BASE_URL" => Some("https://auth.example.com".to_owned()),
            "LOGIN_HOST" => Some(login_host.to_owned()).filter(|host| !host.is_empty()),
            _ => None,
        })
    }

    fn account() -> AppId {
        AppId::parse("wx1234567890abcdef").unwrap()
    }

    #[test]
    fn without_a_login_host_visitors_are_logged_in_at_our_own_origin() {
        let config = read("").unwrap();
        assert_eq!(config.base_of(&account()).as_str(), "https://auth.example.com/");
        for host in [None, Some("auth.example.com"), Some("abc.execute-api.us-east-1.amazonaws.com")] {
            assert_eq!(config.host_match(host, &account()), HostMatch::Own, "{host:?}");
        }
    }

    #[test]
    fn with_a_login_host_each_account_has_a_host_of_its_own() {
        let config = read("Login.Example.com").unwrap();
        assert_eq!(config.base_of(&account()).as_str(), "https://wx1234567890abcdef.login.example.com/");
        for (host, expected) in [
            ("wx1234567890abcdef.login.example.com", HostMatch::Own),
            ("WX1234567890abcdef.LOGIN.example.com", HostMatch::Own),
            ("wx0000000000000000.login.example.com", HostMatch::OtherAccount),
            ("*.login.example.com", HostMatch::OtherAccount),
            ("login.example.com", HostMatch::OtherAccount),
            ("auth.example.com", HostMatch::Common),
            // A host that a proxy may send: redirecting it would end in a loop.
            ("evil-login.example.com", HostMatch::Own),
            ("abc.execute-api.us-east-1.amazonaws.com", HostMatch::Own),
        ] {
            assert_eq!(config.host_match(Some(host), &account()), expected, "{host}");
        }
        assert_eq!(config.host_match(None, &account()), HostMatch::Own);
    }

    #[test]
    fn what_is_not_a_host_is_refused() {
        for refused in [
            "https://login.example.com",
            "*.example.com",
            "localhost",
            "127.0.0.1",
            "a.b/c",
            "a.b:443",
            "login.example.com.",
            "login..example.com",
            ".example.com",
        ] {
            assert!(read(refused).unwrap_err().to_string().contains("LOGIN_HOST"), "{refused}");
        }
    }

    #[test]
    fn our_own_origin_may_be_the_login_host_or_below_it() {
        let config = read("auth.example.com").unwrap();
        assert_eq!(config.host_match(Some("auth.example.com"), &account()), HostMatch::Common);
        assert_eq!(config.host_match(Some("wx1234567890abcdef.auth.example.com"), &account()), HostMatch::Own);
        let config = read("example.com").unwrap();
        assert_eq!(config.host_match(Some("auth.example.com"), &account()), HostMatch::Common);
        assert_eq!(config.host_match(Some("wx1234567890abcdef.example.com"), &account()), HostMatch::Own);
    }
}

//! Where the visitors of accounts' web pages are logged in.

use base::ids::AppId;
use url::{Host, Url};

use super::{ConfigError, Environment, Origin, public_base};

/// Where visitors are logged in: `PUBLIC_BASE_URL`, `LOGIN_HOST`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginConfig {
    /// Our own origin, which is used unless there is `login_host`.
    public_base: Origin,
    /// Below this host each account has one of its own.
    login_host: Option<String>,
}

/// Where a request for an account's login has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginPlace {
    /// Where this account's visitors are logged in.
    Own,
    /// Our own origin, although the account has a host of its own.
    Common,
    /// The host of another account.
    OfAnother,
}

impl LoginConfig {
    /// Reads `PUBLIC_BASE_URL` and the optional `LOGIN_HOST`, such as `login.example.com`.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable.
    pub fn read(environment: &impl Environment) -> Result<Self, ConfigError> {
        const NAME: &str = "LOGIN_HOST";
        let public_base = public_base(environment)?;
        let login_host = environment.get(NAME).map(|text| parse(&text)).transpose();
        let login_host = login_host.map_err(|reason| ConfigError::Malformed { name: NAME, reason })?;
        if login_host.as_deref().is_some_and(|host| public_base.url().host_str() == Some(host)) {
            let reason = "it must be another host than that of PUBLIC_BASE_URL: each account gets a host below it";
            return Err(ConfigError::Malformed { name: NAME, reason });
        }
        Ok(Self { public_base, login_host })
    }

    /// Our own origin.
    #[must_use]
    pub const fn public_base(&self) -> &Origin {
        &self.public_base
    }

    /// The origin at which an account's visitors are logged in, to join paths to.
    #[must_use]
    pub fn base_of(&self, account: &AppId) -> Url {
        let own = self.own_host(account).and_then(|host| Url::parse(&format!("https://{host}/")).ok());
        own.unwrap_or_else(|| self.public_base.url().clone())
    }

    /// Where a request has come to that named `host`; `None` where that is not known.
    #[must_use]
    pub fn place(&self, host: Option<&str>, account: &AppId) -> LoginPlace {
        let (Some(login_host), Some(host)) = (&self.login_host, host) else { return LoginPlace::Own };
        let host = host.to_ascii_lowercase();
        if self.own_host(account).is_some_and(|own| own == host) {
            LoginPlace::Own
        } else if host.strip_suffix(login_host.as_str()).is_some_and(|label| label.is_empty() || label.ends_with('.')) {
            LoginPlace::OfAnother
        } else {
            LoginPlace::Common
        }
    }

    fn own_host(&self, account: &AppId) -> Option<String> {
        Some(format!("{}.{}", account.as_str().to_ascii_lowercase(), self.login_host.as_ref()?))
    }
}

fn parse(text: &str) -> Result<String, &'static str> {
    let domain = match Host::parse(text) {
        Ok(Host::Domain(domain)) if domain.contains('.') && !domain.contains(['*', '$', ':', '/']) => Some(domain),
        _ => None,
    };
    domain.ok_or("it must be a host such as login.example.com, below which each account gets one of its own")
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
            assert_eq!(config.place(host, &account()), LoginPlace::Own, "{host:?}");
        }
    }

    #[test]
    fn with_a_login_host_each_account_has_a_host_of_its_own() {
        let config = read("Login.Example.com").unwrap();
        assert_eq!(config.base_of(&account()).as_str(), "https://wx1234567890abcdef.login.example.com/");
        for (host, place) in [
            ("wx1234567890abcdef.login.example.com", LoginPlace::Own),
            ("WX1234567890abcdef.LOGIN.example.com", LoginPlace::Own),
            ("wx0000000000000000.login.example.com", LoginPlace::OfAnother),
            ("*.login.example.com", LoginPlace::OfAnother),
            ("login.example.com", LoginPlace::OfAnother),
            ("auth.example.com", LoginPlace::Common),
            ("evil-login.example.com", LoginPlace::Common),
        ] {
            assert_eq!(config.place(Some(host), &account()), place, "{host}");
        }
        assert_eq!(config.place(None, &account()), LoginPlace::Own);
    }

    #[test]
    fn what_is_not_a_host_is_refused() {
        for refused in ["https://login.example.com", "*.example.com", "localhost", "127.0.0.1", "a.b/c", "a.b:443"] {
            assert!(read(refused).unwrap_err().to_string().contains("LOGIN_HOST"), "{refused}");
        }
        assert!(read("auth.example.com").is_err());
    }
}

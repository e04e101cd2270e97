//! The environment variables of the functions, with this machine's values for those that are not set.

use std::collections::BTreeMap;

use runtime::config::Environment;
use url::Url;

/// The table, unless the environment names another.
pub(crate) const TABLE: &str = "wechat-platform";

/// The secret's name, unless the environment names another.
pub(crate) const SECRET: &str = "wechat-platform/secret";

/// The bus, unless the environment names another.
const BUS: &str = "wechat-platform";

/// The functions that the console calls, by their names here.
pub(crate) const ACCOUNT_API: &str = "account-api";
pub(crate) const PREAUTH_LINK: &str = "preauth-link";

/// The base URLs of WeChat.
const WECHAT: [&str; 3] = ["WECHAT_API_BASE_URL", "WECHAT_MP_BASE_URL", "WECHAT_OPEN_BASE_URL"];

/// The variables that another program needs to work with the same platform, besides the endpoints.
const SHARED: [&str; 8] = [
    "TABLE_NAME",
    "SECRET_ID",
    "EVENT_BUS_NAME",
    "PUBLIC_BASE_URL",
    "FILES_BUCKET_URL",
    WECHAT[0],
    WECHAT[1],
    WECHAT[2],
];

/// The URLs of this machine's parts.
pub(crate) struct Here<'a> {
    pub(crate) public_base: &'a str,
    pub(crate) simulator_base: Option<&'a str>,
    pub(crate) files_url: Option<&'a str>,
}

/// The resolved variables; those without a value are missing.
pub(crate) struct Variables(BTreeMap<&'static str, String>);

impl Variables {
    /// The values of `environment` come first, except for the URLs of WeChat if it is simulated.
    pub(crate) fn new(environment: &impl Environment, here: &Here<'_>) -> Self {
        let web_domains = web_domains(environment.get("PUBLIC_BASE_URL").as_deref());
        let mut variables = BTreeMap::new();
        for (name, default) in [
            ("TABLE_NAME", Some(TABLE)),
            ("SECRET_ID", Some(SECRET)),
            ("EVENT_BUS_NAME", Some(BUS)),
            ("PUBLIC_BASE_URL", Some(here.public_base)),
            ("FILES_BUCKET_URL", here.files_url),
            ("RETURN_URL_ORIGINS", None),
            ("PROVIDER_NAME", None),
            ("PROVIDER_LOGO_URL", None),
            ("PROVIDER_CONTACT", None),
            ("PROVIDER_FILING_NUMBER", None),
            ("REPLY_WEBHOOK_URL", None),
            ("EVENT_WEBHOOK_URL", None),
            ("RELEASE_CHECK_ACCOUNTS", None),
            ("API_KEYS", None),
            ("PLATFORM_TOKEN_ROUTE", None),
            ("TOKEN_READ_EVENTS", None),
            ("WANTED_PERMISSIONS", None),
            ("WEB_DOMAINS", Some(&web_domains)),
            ("ACCOUNT_API_FUNCTION", Some(ACCOUNT_API)),
            ("PREAUTH_LINK_FUNCTION", Some(PREAUTH_LINK)),
        ] {
            if let Some(value) = environment.get(name).or_else(|| default.map(str::to_owned)) {
                variables.insert(name, value);
            }
        }
        if variables.contains_key("EVENT_WEBHOOK_URL") {
            variables.insert("HAS_EVENT_WEBHOOK", "true".to_owned());
        }
        for name in WECHAT {
            if let Some(value) = here.simulator_base.map(str::to_owned).or_else(|| environment.get(name)) {
                variables.insert(name, value);
            }
        }
        Self(variables)
    }

    /// The variables with which another program works with the same table, secret, bus and WeChat.
    pub(crate) fn to_export(&self) -> Vec<(&'static str, String)> {
        SHARED.into_iter().filter_map(|name| Some((name, self.get(name)?))).collect()
    }
}

/// The 公众号开发域名 of a platform on this machine, to which WeChat sends visitors back: with a tunnel, its host too.
fn web_domains(tunnel: Option<&str>) -> String {
    let tunnel = tunnel.and_then(|url| Url::parse(url).ok());
    match tunnel.as_ref().and_then(Url::domain) {
        Some(host) if host != "localhost" => format!("localhost,{host}"),
        _ => "localhost".to_owned(),
    }
}

impl Environment for Variables {
    fn get(&self, name: &'static str) -> Option<String> {
        self.0.get(name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "EVENT_BUS_NAME" => Some("arn:aws:events:eu-central-1:123456789012:event-bus/mine".to_owned()),
            "WECHAT_API_BASE_URL" => Some("https://api.weixin.qq.com".to_owned()),
            _ => None,
        }
    }

    const HERE: Here<'_> =
        Here { public_base: "http://localhost:3000", simulator_base: None, files_url: Some("http://localhost:8003") };

    #[test]
    fn the_environment_goes_first() {
        let variables = Variables::new(&environment, &HERE);
        assert_eq!(variables.get("EVENT_BUS_NAME"), environment("EVENT_BUS_NAME"));
        assert_eq!(variables.get("WECHAT_API_BASE_URL"), environment("WECHAT_API_BASE_URL"));
        assert_eq!(variables.get("TABLE_NAME").as_deref(), Some(TABLE));
        assert_eq!(variables.get("REPLY_WEBHOOK_URL"), None);
    }

    #[test]
    fn visitors_come_back_to_this_machine_or_through_the_tunnel() {
        assert_eq!(Variables::new(&environment, &HERE).get("WEB_DOMAINS").as_deref(), Some("localhost"));
        for (tunnel, domains) in [
            ("https://abc.tunnel.example.com", "localhost,abc.tunnel.example.com"),
            ("http://localhost:4000", "localhost"),
            ("http://127.0.0.1:4000", "localhost"),
        ] {
            let environment = |name: &str| (name == "PUBLIC_BASE_URL").then(|| tunnel.to_owned());
            assert_eq!(Variables::new(&environment, &HERE).get("WEB_DOMAINS").as_deref(), Some(domains));
        }
    }

    #[test]
    fn where_wechat_is_simulated_nobody_calls_the_real_one() {
        let variables = Variables::new(&environment, &Here { simulator_base: Some("http://localhost:3002"), ..HERE });
        for name in WECHAT {
            assert_eq!(variables.get(name).as_deref(), Some("http://localhost:3002"));
        }
        let exported = variables.to_export();
        assert_eq!(exported.iter().map(|(name, _)| *name).collect::<Vec<_>>(), SHARED);
    }
}

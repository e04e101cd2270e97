//! Addresses and origins that somebody configured or sent. All of them pass the same check.
//!
//! The URL standard accepts much that nobody intends: white space in a host, `\` for `/`, missing slashes, an empty
//! user name. It also gives `blob:https://a` the origin of `https://a`. So the text is checked before it is parsed, and
//! the result has to be `https`, or `http` on this machine.

use std::net::SocketAddr;

use url::{Host, Url};

/// The name by which Docker containers reach the machine that they run on: for them it is this machine.
const DOCKER_HOST: &str = "host.docker.internal";

/// Parses the address of a page or a server: `https`, or `http` on this machine; without a user name.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn web_address(text: &str) -> Result<Url, &'static str> {
    if text.chars().any(|c| c == '\\' || c.is_control() || c.is_whitespace()) {
        return Err("it must not have white space, control characters or backslashes");
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err("it must be an address such as https://app.example.com");
    };
    if !["https", "http"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err("it must begin with https:// (http:// only for this machine)");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("it must not contain a user name or a password");
    }
    if authority.is_empty() {
        return Err("it must name a host");
    }
    let url = Url::parse(text).map_err(|_| "it must be an address such as https://app.example.com")?;
    if url.scheme() != "https" && !is_this_machine(&url) {
        return Err("it must begin with https:// (http:// only for this machine)");
    }
    Ok(url)
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(domain)) => ["localhost", DOCKER_HOST].contains(&domain),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// An origin: scheme, host and, unless it is the scheme's default, port. Printed without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(Url);

impl Origin {
    /// Parses an origin: `https`, or `http` on this machine only; no path, query, fragment or user.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let url = web_address(text)?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err("it must be an origin only, without path, query or fragment");
        }
        // A pattern would be taken for a name that no host has: it would allow nothing, and nobody would notice.
        if url.host_str().is_some_and(|host| host.contains('*')) {
            return Err("it must name one host: patterns with * are not supported");
        }
        Ok(Self(url))
    }

    /// The origin of a port in the local network, without TLS. No variable has such an origin: `cargo run -- --lan`
    /// does, and a deployed function never.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn in_local_network(address: SocketAddr) -> Result<Self, &'static str> {
        Url::parse(&format!("http://{address}/"))
            .map(Self)
            .map_err(|_| "it must be an address such as 192.168.1.7:3000")
    }

    /// The origin as a URL, as a base for paths.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.0
    }

    /// The origin as text, without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// Whether cookies of this origin can be marked `Secure`.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether `url` is on this origin. The scheme is compared too: `blob:https://a` has the origin of `https://a`.
    #[must_use]
    pub fn contains(&self, url: &Url) -> bool {
        self.0.scheme() == url.scheme() && self.0.origin() == url.origin()
    }
}

/// The origins that a `return_url` may have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReturnOrigins(Vec<Origin>);

impl ReturnOrigins {
    /// Allows these origins.
    #[must_use]
    pub const fn new(origins: Vec<Origin>) -> Self {
        Self(origins)
    }

    /// Whether a merchant or a visitor may be sent to `url`.
    #[must_use]
    pub fn allow(&self, url: &Url) -> bool {
        self.0.iter().any(|origin| origin.contains(url)) && url.username().is_empty() && url.password().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_url_standard_would_accept_by_mistake_is_refused() {
        for bad in [
            "",
            "app.example.com",
            "//app.example.com",
            "https:app.example.com",
            "https:/app.example.com",
            "https:///app.example.com",
            "https://",
            "https://?x",
            "https:\\\\app.example.com",
            "https://app.example.com\\@evil.example",
            "https://app.exa\tmple.com",
            "https://app.example.com\n",
            " https://app.example.com",
            "https://app.example.com/a b",
            "https://app.example.com/\u{3000}",
            "https://app.example.com/\u{2028}",
            "https://user@app.example.com",
            "https://user:secret@app.example.com",
            "https://@app.example.com",
            "https://:@app.example.com",
            "blob:https://app.example.com/x",
            "view-source:https://app.example.com",
            "javascript://app.example.com/%0aalert(1)",
            "data://app.example.com",
            "ftp://app.example.com",
            "wss://app.example.com",
            "file:///etc/passwd",
            "http://app.example.com",
            "http://10.0.0.1",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "http://[::2]",
            "https://app.example.com:65536",
            "https://a..%00b/",
        ] {
            assert!(web_address(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn one_address_may_be_written_in_several_ways() {
        for good in [
            "https://app.example.com/done?x=1#part",
            "HTTPS://APP.EXAMPLE.COM:443/done?x=1#part",
            "hTTps://app%2Eexample.com/done?x=1#part",
            "https://app.example.com:/done?x=1#part",
        ] {
            let url = web_address(good).unwrap();
            assert_eq!(url.as_str(), "https://app.example.com/done?x=1#part", "{good}");
        }
        for here in
            ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:8000", "http://host.docker.internal:3002"]
        {
            assert!(web_address(here).is_ok(), "{here}");
        }
    }

    #[test]
    fn an_origin_has_nothing_behind_its_host() {
        for bad in [
            "https://app.example.com/done",
            "https://app.example.com/?",
            "https://app.example.com?x",
            "https://app.example.com#",
            "https://*.example.com",
        ] {
            assert!(Origin::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Origin::parse("HTTPS://App.Example.com:443/").unwrap().as_str(), "https://app.example.com");
    }

    fn allowed(listed: &[&str], url: &str) -> bool {
        let origins = listed.iter().map(|text| Origin::parse(text).unwrap()).collect();
        ReturnOrigins::new(origins).allow(&Url::parse(url).unwrap())
    }

    #[test]
    fn only_listed_origins_may_be_returned_to() {
        let listed = ["HTTPS://APP.EXAMPLE.COM:443", "https://b.example.com:8443", "http://localhost:3000"];
        for good in [
            "https://app.example.com/done?x=1",
            "HTTPS://App.Example.Com:443/",
            "https://b.example.com:8443/",
            "http://localhost:3000/done",
        ] {
            assert!(allowed(&listed, good), "{good}");
        }
        for foreign in [
            "https://app.example.com.evil.example/",
            "https://app.example.com./",
            "http://app.example.com/",
            "https://app.example.com:444/",
            "https://user@app.example.com/",
            "https://b.example.com/",
            "https://localhost:3000/",
            "javascript:alert(1)",
            "data:text/html,x",
            "blob:https://app.example.com/0b2d6f2c",
            "blob:http://localhost:3000/0b2d6f2c",
            "filesystem:https://app.example.com/temporary/x",
        ] {
            assert!(!allowed(&listed, foreign), "{foreign}");
        }
    }
}

//! What can be checked about domains from here: whether web logins return to a host that WeChat knows, whether the
//! accounts' own hosts lead to the deployment, and whether check files are served.
//!
//! WeChat's console cannot be read: `WebDomains` is the operator's copy of its setting.

use std::time::Duration;

use base::ids::AppId;
use http::Method;
use store::{CheckFiles, StoreError};
use url::Url;

use super::web::NO_ACCOUNT;
use crate::check_files::all;
use crate::deployment::{Deployment, Target, WebHosts};
use crate::finding::Finding;
use crate::http::{ask, at, client, unreachable};

const DOMAINS: &str = "web domains";

const LOGIN_HOST: &str = "login host";

const FILES: &str = "check files";

/// The time-out for a page.
const ANSWER: Duration = Duration::from_secs(10);

/// Checks the hosts of web pages. On this machine there is no console: the simulator requires none of them.
pub(super) async fn examine(deployment: &Deployment) -> Vec<Finding> {
    if deployment.target == Target::Local {
        return Vec::new();
    }
    let mut findings = vec![judge(&deployment.web, &deployment.public)];
    if let Some(host) = &deployment.web.login_host {
        findings.push(login_host(deployment, host).await);
    }
    findings
}

/// Checks whether the stored check files are served.
pub(super) async fn check_files(deployment: &Deployment, files: &CheckFiles) -> Vec<Finding> {
    let unread = |error: StoreError| vec![Finding::wrong(FILES, error.to_string(), "see the lines about the table")];
    match all(files).await {
        Ok(files) => deployment.served(&files).await,
        Err(error) => unread(error),
    }
}

/// An account's own host below `host`.
fn own_host(host: &str) -> Option<Url> {
    Url::parse(&format!("https://{NO_ACCOUNT}.{host}")).ok()
}

/// Checks that web logins return to one of the platform's 公众号开发域名; otherwise WeChat shows 10003.
fn judge(web: &WebHosts, public: &Url) -> Finding {
    let domains = &web.domains;
    if domains.is_empty() && web.login_host.is_none() {
        return Finding::ok(DOMAINS, "WebDomains is empty: no page is signed for the JS-SDK");
    }
    let (comes_back_to, page) = if let Some(host) = &web.login_host {
        (format!("$APPID$.{host}"), own_host(host))
    } else {
        (public.host_str().unwrap_or_default().to_owned(), Some(public.clone()))
    };
    let is_named =
        page.zip(AppId::parse(NO_ACCOUNT).ok()).is_some_and(|(page, account)| domains.allow(&page, &account));
    if is_named {
        return Finding::ok(DOMAINS, format!("WebDomains is {domains}: web logins return to {comes_back_to}"));
    }
    Finding::warning(
        DOMAINS,
        if domains.is_empty() {
            format!("web logins return to {comes_back_to}, but WebDomains is empty")
        } else {
            format!("web logins return to {comes_back_to}, which is not in WebDomains ({domains})")
        },
        format!(
            "if you log visitors in: enter {comes_back_to} in WeChat's console as 公众号开发域名, without which WeChat refuses \
             logins with 10003, and add it to WebDomains"
        ),
    )
}

/// Checks whether the names below the login host lead to the deployment, with the page of an account that does not
/// exist.
async fn login_host(deployment: &Deployment, host: &str) -> Finding {
    let advice = format!(
        "point *.{host} to the output LoginDomainTarget, by a CNAME in your DNS; LoginCertificateArn must be a certificate of \
         *.{host}"
    );
    let Some(base) = own_host(host) else {
        return Finding::wrong(
            LOGIN_HOST,
            format!("LoginHost is not a host name: {host}"),
            "deploy with a host name, without https://",
        );
    };
    let http = match client(&[&base]) {
        Ok(http) => http,
        Err(failure) => return failure,
    };
    let page = at(&base, &["login", NO_ACCOUNT]);
    match ask(&http, &*deployment.clock, Method::GET, page, None, ANSWER).await {
        Ok(answer) if answer.status.is_server_error() => {
            let status = answer.status.as_u16();
            let advice = "look at the logs of web-login";
            Finding::wrong(LOGIN_HOST, format!("*.{host} leads to the deployment, but fails (status {status})"), advice)
        }
        Ok(answer) if answer.is_our_page() => Finding::ok(LOGIN_HOST, format!("*.{host} shows our pages")),
        Ok(answer) => {
            let status = answer.status.as_u16();
            Finding::wrong(LOGIN_HOST, format!("*.{host} does not lead to web-login (status {status})"), advice)
        }
        Err(why) => {
            let failed = unreachable(LOGIN_HOST, &base, &why, deployment.target, ANSWER);
            Finding { advice: Some(advice), ..failed }
        }
    }
}

#[cfg(test)]
mod tests {
    use runtime::config::WebDomains;

    use super::*;
    use crate::finding::Verdict;

    fn judged(domains: &str, login_host: Option<&str>) -> Finding {
        let domains = WebDomains::read(&|_: &str| Some(domains.to_owned())).unwrap();
        let web = WebHosts { domains, login_host: login_host.map(str::to_owned) };
        judge(&web, &Url::parse("https://auth.example.com").unwrap())
    }

    #[test]
    fn logins_must_come_back_to_a_host_that_wechat_knows() {
        for (domains, login_host) in [
            ("", None),
            ("auth.example.com", None),
            ("pages.example.com, auth.example.com", None),
            ("$APPID$.shops.example.com", Some("shops.example.com")),
        ] {
            assert_eq!(judged(domains, login_host).verdict, Verdict::Ok, "{domains}");
        }
        for (domains, login_host, host) in [
            ("pages.example.com", None, "auth.example.com"),
            ("", Some("shops.example.com"), "$APPID$.shops.example.com"),
            ("auth.example.com", Some("shops.example.com"), "$APPID$.shops.example.com"),
            ("shops.example.com", Some("shops.example.com"), "$APPID$.shops.example.com"),
        ] {
            let finding = judged(domains, login_host);
            assert_eq!(finding.verdict, Verdict::Warning, "{finding:?}");
            assert!(finding.sentence.contains(host) && finding.advice.unwrap().contains("10003"), "{domains}");
        }
    }
}

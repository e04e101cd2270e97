//! The text that `cargo run` prints when everything runs: where to click, what to call, what to export.

use std::fmt::{self, Write as _};
use std::path::Path;

use anyhow::Context as _;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::json;
use url::Url;
use web::doors::KEY_DOOR;

use crate::inside::post;
use crate::ready_key::ReadyKey;
use crate::system::System;

/// The port of the business API at which `cargo ops` looks for a running system by default.
const DEFAULT_BUSINESS: &str = "http://127.0.0.1:3001";

/// A link as the business API returns it.
#[derive(Deserialize)]
struct DemoLink {
    link_id: String,
    url: String,
}

/// The text, with a link that was just created through the business API.
///
/// # Errors
/// If the API creates no link.
pub async fn text(system: &System) -> anyhow::Result<String> {
    let link = demo_link(system).await.context("the demo link could not be created")?;
    let business = &system.business_base;
    let authorize = if system.simulator_base.is_some() {
        "Authorize a demo account in a browser"
    } else {
        "Authorize one of your test accounts: open in a browser, through the tunnel"
    };
    let mut text = format!("\nThe platform is running.\n\n{authorize}:\n  {}\n\n", link.url);
    if let Some([pages, wechat]) = &system.lan_bases {
        write!(text, "{}", open_to_the_network(pages, wechat))?;
    }
    write!(
        text,
        "Open the operators' console, which links to the other pages on this machine:\n  {}/\n\n",
        system.local_base
    )?;
    let curl = match &system.api_key {
        Some(key) => {
            with_key(&mut text, key, system)?;
            Curl { base: "$API", header: " -H \"authorization: Bearer $API_KEY\"" }
        }
        None => Curl { base: business, header: "" },
    };
    write!(
        text,
        "Query the state of the link:\n  {}\n\n\
         List all accounts, with their states:\n  {}\n\n\
         Create another link:\n  {} -H 'content-type: application/json' -d '{{\"requester_name\":\"Demo Shop\"}}'\n\n\
         Get the description of the API in OpenAPI, for a viewer or a generator of clients:\n  {}\n\n",
        curl.of(&format!("/authorization-links/{}", link.link_id)),
        curl.of("/accounts"),
        curl.of("/authorization-links"),
        curl.of("/openapi.json"),
    )?;
    if system.api_key.is_some() {
        write!(
            text,
            "Administer API keys, which needs IAM credentials in AWS, and none on this port:\n  curl {business}/keys\n\n"
        )?;
    }
    match &system.simulator_base {
        Some(base) => writeln!(
            text,
            "WeChat is simulated at {base} (its accounts: {base}/_simulator/accounts, every call: {base}/_simulator/calls)\n\n\
             Write to an authorized account as a follower:\n  {base}/chat\n\n\
             Play the merchants: rename accounts, change permissions, withdraw authorizations, add 500 accounts:\n  \
             {base}/console"
        )?,
        None => real(&mut text, &system.public_base, &system.local_base)?,
    }
    if let Some(base) = &system.shop_base {
        writeln!(text, "\nLog in as a visitor of a demo shop, once an official account is authorized:\n  {base}/")?;
    }
    let option = business_option(business);
    writeln!(
        text,
        "\nExamine the system, or run WeChat's release check against it, in another terminal and the same folder:\n  \
         cargo ops doctor{option}\n  cargo ops release-check{option}"
    )?;
    if let Some(base) = &system.events_base {
        writeln!(text, "\nWatch the events that your services would get (those since this start):\n  {base}/")?;
    }
    match &system.reply_webhook {
        Some(url) => called(&mut text, "Followers are answered by the reply webhook", url, &system.secret_file)?,
        None => text
            .push_str("\nFollowers get no reply: use --sample-webhook, or set REPLY_WEBHOOK_URL to your own webhook\n"),
    }
    if let Some(url) = &system.event_webhook {
        called(&mut text, "Changes of accounts are sent to the event webhook", url, &system.secret_file)?;
    }
    text.push_str("\nFor other programs that use the same table, secret, bus and WeChat:\n");
    for (name, value) in &system.exports {
        writeln!(text, "  export {name}={value}")?;
    }
    text.push_str("\nCtrl-C ends everything; the stored data are kept for the next start.\n");
    Ok(text)
}

/// What `--lan` lets in.
fn open_to_the_network(pages: &str, wechat: &str) -> String {
    format!(
        "Phones in the same network can open this page, too: scan its QR code with WeChat. Everybody in the network\n\
         reaches, without TLS:\n  \
         {pages}  merchants' pages, the API for holders of a key, and the console for browsers that were invited\n  \
         {wechat}  the simulated page of WeChat on which merchants confirm, and nothing else of the simulator\n\
         All other ports accept requests only from this machine.\n\n"
    )
}

/// How the business API is called from a shell.
struct Curl<'a> {
    base: &'a str,
    header: &'a str,
}

impl Curl<'_> {
    fn of(&self, path: &str) -> String {
        format!("curl \"{}{path}\"{}", self.base, self.header)
    }
}

/// The variables that the commands below it need.
fn with_key(text: &mut String, key: &ReadyKey, system: &System) -> fmt::Result {
    if key.is_replaced {
        text.push_str("The API key of the last start is no longer valid. This is a new one.\n\n");
    }
    write!(
        text,
        "Call the API as your services will. First set its URL and a key, which permits\n\
         everything for all accounts and is kept in {}:\n  export API={}{KEY_DOOR} API_KEY={}\n\n",
        key.file.display(),
        system.local_base,
        key.text.expose_secret()
    )
}

/// The option that tells `cargo ops` where the system is, if it is not at the default port.
fn business_option(business: &str) -> String {
    let port = business.rsplit(':').next().filter(|_| business != DEFAULT_BUSINESS);
    port.map(|port| format!(" --business-port {port}")).unwrap_or_default()
}

/// The URL without its query, which may contain a key.
fn called(text: &mut String, what: &str, webhook: &Url, secret: &Path) -> fmt::Result {
    let mut shown = webhook.clone();
    shown.set_query(None);
    writeln!(text, "\n{what} at {shown}\n  signed with webhook_secret of {}", secret.display())
}

fn real(text: &mut String, base: &str, local: &str) -> fmt::Result {
    let host = base.split_once("://").map_or(base, |(_, host)| host);
    writeln!(
        text,
        "WeChat reaches this machine through the tunnel {base}, which must lead to {local}. Enter in its console\n  \
         {base}/wechat/events as 授权事件接收URL\n  \
         {base}/wechat/accounts/$APPID$/events as 消息与事件接收URL\n  \
         {host} as 授权发起页域名"
    )
}

async fn demo_link(system: &System) -> anyhow::Result<DemoLink> {
    post(&system.business, "/authorization-links", &json!({ "requester_name": "Demo Shop 演示商城" })).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_webhooks_path_is_told_and_its_query_is_not() {
        let mut text = String::new();
        let url = Url::parse("http://localhost:9000/wechat/reply?key=hush").unwrap();
        called(&mut text, "Called", &url, Path::new(".local/secret.json")).unwrap();
        assert!(
            text.contains("at http://localhost:9000/wechat/reply\n") && text.contains(".local/secret.json"),
            "{text}"
        );
        assert!(!text.contains("hush") && !text.contains('?'), "{text}");
    }

    #[test]
    fn the_port_is_named_to_the_operators_tool_only_where_it_would_not_look() {
        assert_eq!(business_option("http://127.0.0.1:3001"), "");
        assert_eq!(business_option("http://127.0.0.1:4001"), " --business-port 4001");
    }
}

//! What `cargo run` says when everything runs: where to click, what to call, what to export.

use std::fmt::{self, Write as _};
use std::path::Path;

use anyhow::Context as _;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::http::header::CONTENT_TYPE;
use serde::Deserialize;
use tower::ServiceExt as _;
use url::Url;

use crate::system::System;

/// The port of the business API at which `cargo ops` looks for a running system unless it is told another.
const DEFAULT_BUSINESS: &str = "http://127.0.0.1:3001";

/// Larger than any answer of the business API.
const ANSWER_LIMIT: usize = 16 * 1024;

/// A link as the business API answers it.
#[derive(Deserialize)]
struct DemoLink {
    link_id: String,
    url: String,
}

/// The text, with a link that was made just now through the business API.
///
/// # Errors
/// Where the API makes no link.
pub async fn text(system: &System) -> anyhow::Result<String> {
    let link = demo_link(system).await.context("the demo link could not be made")?;
    let business = &system.business_base;
    let authorize = if system.simulator_base.is_some() {
        "Authorize a demo account in a browser"
    } else {
        "Authorize one of your test accounts: open in a browser, through the tunnel"
    };
    let mut text = format!(
        "\nThe platform runs.\n\n\
         {authorize}:\n  {url}\n\n\
         Ask what became of the link:\n  curl {business}/authorization-links/{id}\n\n\
         See all accounts, and how they are doing:\n  curl {business}/accounts\n\n\
         Make another link:\n  curl -X POST {business}/authorization-links -H 'content-type: application/json' \
         -d '{{\"requester_name\":\"Demo Shop\"}}'\n\n\
         All that can be asked, in OpenAPI, also for a viewer of it:\n  curl {business}/openapi.json\n\n",
        url = link.url,
        id = link.link_id,
    );
    match &system.simulator_base {
        Some(base) => writeln!(
            text,
            "WeChat is simulated at {base} (its accounts: {base}/_simulator/accounts, every call: {base}/_simulator/calls)\n\n\
             Write to an authorized account as a follower:\n  {base}/chat\n\n\
             Rename accounts, change permissions, withdraw, add 500 of them:\n  {base}/console"
        )?,
        None => real(&mut text, &system.public_base, &system.local_base)?,
    }
    let option = business_option(business);
    writeln!(
        text,
        "\nExamine the system, or put it to WeChat's release check, in another terminal:\n  \
         cargo ops doctor{option}\n  cargo ops release-check{option}"
    )?;
    if let Some(base) = &system.events_base {
        writeln!(
            text,
            "\nWatch what is delivered to the business from now on (a restart begins with an empty page):\n  {base}/"
        )?;
    }
    match &system.reply_webhook {
        Some(url) => called(&mut text, "Followers are answered by the reply webhook", url, &system.secret_file)?,
        None => text.push_str(
            "\nFollowers get no answer: --sample-webhook gives one, or a webhook of yours in REPLY_WEBHOOK_URL\n",
        ),
    }
    if let Some(url) = &system.event_webhook {
        called(&mut text, "Changes of accounts are sent to the event webhook", url, &system.secret_file)?;
    }
    text.push_str("\nFor other programs on the same table, secret, bus and WeChat:\n");
    for (name, value) in &system.exports {
        writeln!(text, "  export {name}={value}")?;
    }
    text.push_str("\nCtrl-C ends everything; what is stored is there again at the next start.\n");
    Ok(text)
}

/// Where the operator's tool finds the system, if it is not where the tool looks by itself.
fn business_option(business: &str) -> String {
    let port = business.rsplit(':').next().filter(|_| business != DEFAULT_BUSINESS);
    port.map(|port| format!(" --business-port {port}")).unwrap_or_default()
}

/// The address without its query, which may carry a key.
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
    let request = Request::post("/authorization-links")
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(r#"{"requester_name":"Demo Shop 演示商城"}"#))?;
    let response = system.business.clone().oneshot(request).await?;
    let status = response.status();
    let body = to_bytes(response.into_body(), ANSWER_LIMIT).await?;
    anyhow::ensure!(status.is_success(), "status {status}: {}", String::from_utf8_lossy(&body));
    Ok(serde_json::from_slice(&body)?)
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

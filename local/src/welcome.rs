//! What `cargo run` says when everything runs: where to click, what to call, what to export.

use std::fmt::{self, Write as _};

use anyhow::Context as _;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::http::header::CONTENT_TYPE;
use serde::Deserialize;
use tower::ServiceExt as _;

use crate::system::System;

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
    let mut text = format!(
        "\nThe platform runs.\n\n\
         Authorize a demo account in a browser:\n  {url}\n\n\
         Ask what became of the link:\n  curl {business}/authorization-links/{id}\n\n\
         Make another link:\n  curl -X POST {business}/authorization-links -H 'content-type: application/json' \
         -d '{{\"requester_name\":\"Demo Shop\"}}'\n\n",
        url = link.url,
        id = link.link_id,
    );
    match &system.simulator_base {
        Some(base) => simulated(&mut text, base)?,
        None => real(&mut text, &system.public_base)?,
    }
    if let Some(base) = &system.events_base {
        writeln!(text, "\nWatch what is delivered to the business:\n  {base}/")?;
    }
    if let Some(url) = &system.webhook {
        writeln!(text, "\nFollowers are answered by the reply webhook at {}", url.origin().ascii_serialization())?;
    } else {
        text.push_str(
            "\nFollowers get no answer: --sample-webhook gives one, or a webhook of yours in REPLY_WEBHOOK_URL\n",
        );
    }
    text.push_str("\nFor other programs on the same table, secret, bus and WeChat:\n");
    for (name, value) in &system.exports {
        writeln!(text, "  export {name}={value}")?;
    }
    text.push_str("\nCtrl-C ends everything; what is stored is there again at the next start.\n");
    Ok(text)
}

fn simulated(text: &mut String, base: &str) -> fmt::Result {
    writeln!(
        text,
        "WeChat is simulated at {base} (its accounts: {base}/_simulator/accounts, every call: {base}/_simulator/calls)\n\n\
         Write to an authorized account as a follower:\n  {base}/chat\n\n\
         Go through WeChat's release check, in another terminal:\n  cargo run -- release-check --simulator {base}"
    )
}

fn real(text: &mut String, base: &str) -> fmt::Result {
    writeln!(
        text,
        "WeChat pushes to this machine: enter in its console\n  {base}/wechat/events as 授权事件接收URL\n  \
         {base}/wechat/accounts/$APPID$/events as 消息与事件接收URL"
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

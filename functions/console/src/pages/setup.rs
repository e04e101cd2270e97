//! `/console/setup`: what to enter in WeChat's console, field by field, and which differences are visible from here.

use askama::Template;
use axum::response::Response;
use diagnosis::{Check, Finding, examine_messages, examine_runs, examine_ticket};
use http::StatusCode;

use super::overview::{Row, known_setup};
use crate::trouble::Trouble;
use crate::view::View;
use crate::visit::{OpenVisit, Visit};
use crate::words::Section;

#[derive(Template)]
#[template(path = "setup.html")]
struct Page<'a> {
    v: &'a View,
    fields: Vec<Field>,
}

/// A field of WeChat's console.
struct Field {
    /// Its name there, in Chinese in both languages: WeChat's console has no other.
    name: &'static str,
    id: &'static str,
    /// What to enter.
    value: Option<String>,
    says: String,
    /// The finding about it, if it is visible from here.
    seen: Option<Row>,
}

/// `GET /console/setup`.
pub(crate) async fn show(visit: Visit) -> Response {
    visit.answer("showing the setup", shown).await
}

async fn shown(visit: OpenVisit) -> Result<Response, Trouble> {
    let v = visit.section(Section::Setup);
    let (reads, known, now) = (&visit.open.reads, known_setup(&visit), visit.open.now());
    let (mut findings, messages, runs) = tokio::join!(
        examine_ticket(reads, &known, now),
        examine_messages(reads, &known, now),
        examine_runs(reads, &known, now),
    );
    findings.push(messages);
    findings.extend(runs);
    let seen = |check: Check| {
        findings.iter().find(|finding| finding.check == check).map(|finding| Row::of(finding, v.language))
    };
    let refuses =
        |finding: &&Finding| matches!(&finding.seen, diagnosis::Seen::Answers(it) if it.refused_address().is_some());
    let refused_address = findings.iter().find(refuses);
    let config = visit.console.config();
    let host = config.public_base.url().host_str().unwrap_or_default();
    let joined = |values: &[String]| Some(values.join(";")).filter(|joined| !joined.is_empty());
    let web = web_hosts(&visit, host);
    let fields = vec![
        Field {
            name: "授权发起页域名",
            id: "launch",
            value: Some(host.to_owned()),
            says: v
                .t(
                    "商家发起授权的页面和授权后返回的页面都在此域名下。只填域名。",
                    "The host where merchants begin to authorize, and to which WeChat sends them back. The host alone.",
                )
                .to_owned(),
            seen: None,
        },
        Field {
            name: "授权事件接收URL",
            id: "events",
            value: Some(known.events_url()),
            says: v.t("接收验证票据和授权变更通知。", "Receives tickets and changes of authorizations.").to_owned(),
            seen: seen(Check::Ticket),
        },
        Field {
            name: "消息与事件接收URL",
            id: "messages",
            value: Some(known.messages_url()),
            says: v
                .t("接收粉丝的消息和事件。$APPID$ 原样填写。", "Receives messages and events of followers. Enter $APPID$ literally.")
                .to_owned(),
            seen: seen(Check::Messages),
        },
        Field {
            name: "消息校验Token",
            id: "token",
            value: None,
            says: v
                .t(
                    "与 Secrets Manager 中的 token 一致。控制台无法读取敏感信息，请向拥有 AWS 权限的人索取。",
                    "The value of token in Secrets Manager. This console cannot read secrets: ask somebody with rights in AWS.",
                )
                .to_owned(),
            seen: None,
        },
        Field {
            name: "消息加解密Key",
            id: "key",
            value: None,
            says: v
                .t("与 Secrets Manager 中的 encoding_aes_key 一致。", "The value of encoding_aes_key in Secrets Manager.")
                .to_owned(),
            seen: None,
        },
        Field {
            name: "公众号开发域名",
            id: "web",
            value: joined(&web),
            says: v
                .t(
                    "网页登录和 JS-SDK 网页所在的域名，最多三个。",
                    "The hosts of web logins and of pages that use the JS-SDK, three at most.",
                )
                .to_owned(),
            seen: None,
        },
        Field {
            name: "白名单IP地址列表",
            id: "addresses",
            value: joined(&config.egress_addresses),
            says: v
                .t(
                    "平台调用微信时使用的 IP 地址。使用自有 VPC 时，填其 NAT 的出口 IP。",
                    "The addresses from which the platform calls WeChat. With a network of your own, those of its NAT.",
                )
                .to_owned(),
            seen: refused_address.map(|finding| Row::of(finding, v.language)),
        },
    ];
    Ok(v.page(StatusCode::OK, &Page { v: &v, fields })?)
}

/// The hosts of web logins and of pages: those of pages, and the platform's unless each account has a host of its own.
fn web_hosts(visit: &OpenVisit, host: &str) -> Vec<String> {
    let config = visit.console.config();
    let login = config.login_host.as_ref().map_or_else(|| host.to_owned(), |host| format!("$APPID$.{host}"));
    let mut hosts = config.web_domains.entries();
    if !hosts.contains(&login) {
        hosts.push(login);
    }
    hosts
}

//! `cargo ops release-check`: WeChat's check of a platform that goes live (全网发布接入检测, protocol section 7), against a
//! deployment's public URLs.
//!
//! What is sent is sealed with the deployment's own secret, and so is as authentic as WeChat's messages. Therefore all
//! of it is harmless: texts and events go to WeChat's test accounts, for which account-push replies but stores nothing;
//! the message to another account is refused; and the push to the events URL is one that ticket-push acknowledges and
//! ignores, because it is too old and of an unknown type. It is never a ticket, and never about an account.

use std::time::{Duration, Instant};

use base::language::Language;
use base::phrase::span;
use base::random::Random;
use http::Method;
use platform::secret::Platform;
use reqwest::Client;
use runtime::config::Environment;
use secrecy::SecretString;
use store::PUSH_MEMORY;
use url::Url;
use wechat::crypto::{Generations, Keyring, OpenError, Signed};
use wechat::push::{AccountMessage, Content, TestAccounts};

use crate::args::ReleaseCheckArgs;
use crate::deployment::{self, Addresses, Deployment, Located};
use crate::doctor::secret;
use crate::doctor::web::{NO_ACCOUNT, judge_clock};
use crate::finding::{Diagnosis, Finding};
use crate::http::{Answer, Unreachable, ask, at, client, lead_here, unreachable};

/// WeChat's own time-out.
const WITHIN: Duration = Duration::from_secs(5);

/// The follower who sends the messages.
const FOLLOWER: &str = "oReleaseCheck_0123456789-abc";

/// The original id of no account.
const NO_NAME: &str = "gh_000000000000";

const EVENTS: &str = "events URL";
const ORDINARY: &str = "other account";
const FORGED: &str = "forged push";

/// Losing a message would be worse than accepting a stranger's: without the table, account-push cannot distinguish
/// them.
const REFUSE: &str = "list only WeChat's test accounts in ReleaseCheckAccounts. account-push also accepts it while it \
                      cannot read the table: ops doctor says whether there is one";

const DEPLOY: &str = "deploy this version of the functions, and check that their logs have no error";

/// A message of the check.
struct Case {
    check: &'static str,
    /// The elements after `CreateTime`.
    xml: &'static str,
    /// The text that WeChat expects.
    reply: &'static str,
}

/// Written out here and not taken from the code under test, whose mistakes would otherwise go unnoticed.
const TEXT: Case = Case {
    check: "text",
    xml: "<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[TESTCOMPONENT_MSG_TYPE_TEXT]]></Content>",
    reply: "TESTCOMPONENT_MSG_TYPE_TEXT_callback",
};

const EVENT: Case = Case {
    check: "event",
    xml: "<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[LOCATION]]></Event><Latitude>23.137466</Latitude>\
          <Longitude>113.352425</Longitude><Precision>119.385040</Precision>",
    reply: "LOCATIONfrom_callback",
};

/// Finds the deployment that the arguments name, and checks it.
pub async fn check(options: &ReleaseCheckArgs, environment: &impl Environment) -> Diagnosis {
    let addresses = Addresses { public: options.public_url.as_ref(), api: None };
    let Located { subject, mut findings, deployment } =
        deployment::locate(&options.deployment, addresses, environment).await;
    let groups = if options.all_groups { TestAccounts::groups().len() } else { 1 };
    let mut examined = false;
    if let Some(deployment) = deployment {
        match Box::pin(deployment.check_release(groups, WITHIN)).await {
            Ok(checked) => {
                findings.extend(checked);
                examined = true;
            }
            Err(missing) => findings.push(missing),
        }
    }
    Diagnosis { subject: format!("WeChat's release check. {subject}"), findings, examined }
}

impl Deployment {
    /// Sends the check's messages as the test accounts of the first `groups` groups, and waits `within` for each reply.
    ///
    /// # Errors
    /// The finding why nothing can be sent.
    pub async fn check_release(&self, groups: usize, within: Duration) -> Result<Vec<Finding>, Finding> {
        let text = secret::read(self).await?;
        let platform = Platform::parse(&text)
            .map_err(|error| Finding::wrong("secret", error.to_string(), secret::fill_in(self)))?;
        let http = client(&[&self.public])?;
        let checker = Checker { deployment: self, http, keyring: platform.keyring, random: Random::system(), within };
        Ok(checker.check(groups).await)
    }
}

/// The checker, in WeChat's role.
struct Checker<'a> {
    deployment: &'a Deployment,
    http: Client,
    keyring: Keyring,
    random: Random,
    within: Duration,
}

/// A response, and after how many milliseconds it came.
struct Received {
    answer: Answer,
    milliseconds: u128,
}

impl Checker<'_> {
    async fn check(&self, groups: usize) -> Vec<Finding> {
        let (clock, events) = (&self.deployment.clock, at(&self.deployment.public, &["wechat", "events"]));
        let received = self.send(&events, None, &self.old_push(), true).await;
        // What is signed with the real token is for our functions only: no other server must get it.
        let is_ours = match &received {
            Ok(received) => {
                received.answer.body.as_deref() == Some(b"success")
                    || matches!(received.answer.status.as_u16(), 401 | 500 | 503)
            }
            Err(unreachable) => matches!(unreachable, Unreachable::Timeout),
        };
        let behind = received.as_ref().ok().and_then(|received| received.answer.behind);
        let mut findings = vec![self.judge_events(received).unwrap_or_else(|failed| failed)];
        if !is_ours {
            return findings;
        }
        let store = self.deployment.store(self.keyring.component());
        findings.extend(self.deployment.ticket(&store, clock.now()).await);
        for (number, group) in (1..).zip(TestAccounts::groups().iter().take(groups)) {
            for ((appid, user_name), kind) in group.iter().zip(["official account", "mini program"]) {
                for case in [TEXT, EVENT] {
                    let received = self.message(appid, user_name, &case).await;
                    let judged = self.judge_message(&case, user_name, received);
                    let judged = judged.map_or_else(|failed| failed, |came| Finding::ok(case.check, came));
                    let sentence = format!("group {number}, {kind} {appid}: {}", judged.sentence);
                    findings.push(Finding { sentence, ..judged });
                }
            }
        }
        findings.push(Finding::skipped(
            "api",
            "a text with an authorization code, which only WeChat can issue",
            "during WeChat's own check, look at the metric release_check (case api) and at token-refresher's log",
        ));
        findings.push(self.judge_ordinary(self.message(NO_ACCOUNT, NO_NAME, &EVENT).await));
        // Sent last: after one, a function does not read a changed secret for a minute.
        findings.push(self.judge_forged(self.send(&events, None, &self.old_push(), false).await));
        findings.push(judge_clock(behind));
        findings
    }

    /// A push without an effect: see above.
    fn old_push(&self) -> String {
        let created = self.deployment.clock.now().minus(PUSH_MEMORY * 2).unix();
        let component = self.keyring.component();
        format!(
            "<xml><AppId><![CDATA[{component}]]></AppId><CreateTime>{created}</CreateTime>\
             <InfoType><![CDATA[ops_release_check]]></InfoType></xml>"
        )
    }

    async fn message(&self, appid: &str, user_name: &str, case: &Case) -> Result<Received, Unreachable> {
        let url = at(&self.deployment.public, &["wechat", "accounts", appid, "events"]);
        let created = self.deployment.clock.now().unix();
        let id = self.random.up_to(u64::MAX >> 1);
        let xml = format!(
            "<xml><ToUserName><![CDATA[{user_name}]]></ToUserName><FromUserName><![CDATA[{FOLLOWER}]]></FromUserName>\
             <CreateTime>{created}</CreateTime>{}<MsgId>{id}</MsgId></xml>",
            case.xml
        );
        self.send(&url, Some(user_name), &xml, true).await
    }

    /// Sends a push, or a message to the account `user_name`.
    async fn send(
        &self,
        url: &Url,
        user_name: Option<&str>,
        xml: &str,
        is_signed: bool,
    ) -> Result<Received, Unreachable> {
        let clock = &*self.deployment.clock;
        let (timestamp, nonce) = (clock.now().unix().to_string(), self.random.up_to(9_999_999_999).to_string());
        let sealed = self.keyring.seal(xml.as_bytes(), self.random.bytes(), &timestamp, &nonce, Generations::CURRENT);
        let msg_signature = if is_signed { sealed.msg_signature } else { "0".repeat(40) };
        let mut url = url.clone();
        url.query_pairs_mut()
            .append_pair("signature", &self.keyring.url_signature(&timestamp, &nonce))
            .append_pair("timestamp", &timestamp)
            .append_pair("nonce", &nonce)
            .extend_pairs(user_name.map(|_| ("openid", FOLLOWER)))
            .append_pair("encrypt_type", "aes")
            .append_pair("msg_signature", &msg_signature);
        let head = match user_name {
            Some(user_name) => format!("<ToUserName><![CDATA[{user_name}]]></ToUserName>"),
            None => format!("<AppId><![CDATA[{}]]></AppId>", self.keyring.component()),
        };
        let body = format!("<xml>{head}<Encrypt><![CDATA[{}]]></Encrypt></xml>", sealed.encrypt);
        let started = Instant::now();
        let answer = ask(&self.http, clock, Method::POST, url, Some(body), self.within).await?;
        Ok(Received { answer, milliseconds: started.elapsed().as_millis() })
    }

    fn judge_events(&self, received: Result<Received, Unreachable>) -> Result<Finding, Finding> {
        let received = self.accepted(EVENTS, "ticket-push", received)?;
        if received.answer.body.as_deref() == Some(b"success") {
            let sentence = format!("an authentic push is acknowledged after {} ms", received.milliseconds);
            return Ok(Finding::ok(EVENTS, sentence));
        }
        let sentence = "an authentic push does not get the reply success: another server responds";
        Err(Finding::wrong(EVENTS, sentence, lead_here(self.deployment.target)))
    }

    /// A description of the reply, if it is what WeChat expects.
    fn judge_message(
        &self,
        case: &Case,
        user_name: &str,
        received: Result<Received, Unreachable>,
    ) -> Result<String, Finding> {
        let received = self.accepted(case.check, "account-push", received)?;
        let wrong = |sentence: String| Finding::wrong(case.check, sentence, DEPLOY);
        let reply = self.open(received.answer.body.as_deref()).map_err(wrong)?;
        let reply = reply.ok_or_else(|| wrong(format!("an empty reply instead of {}", case.reply)))?;
        match &reply.content {
            Content::Text { content } if content != case.reply => {
                Err(wrong(format!("a text other than {}", case.reply)))
            }
            Content::Text { .. } if reply.user_name.as_deref() != Some(FOLLOWER) => {
                Err(wrong("a reply to somebody other than the sender".to_owned()))
            }
            Content::Text { .. } if reply.open_id.as_deref() != Some(user_name) => {
                Err(wrong("a reply from another account".to_owned()))
            }
            Content::Text { content } => Ok(format!("{content} after {} ms", received.milliseconds)),
            _ => Err(wrong("a reply that is not a text".to_owned())),
        }
    }

    /// Opens the reply to a message; `None` if it is empty.
    fn open(&self, body: Option<&[u8]>) -> Result<Option<AccountMessage>, String> {
        let body = match body {
            Some([] | b"success") => return Ok(None),
            Some(body) => str::from_utf8(body).ok(),
            None => None,
        };
        let sealed = body.map(|body| AccountMessage::parse(body.into()));
        let value = |name| {
            let value = sealed.as_ref().and_then(|sealed| sealed.fields.value(name));
            value.ok_or_else(|| "neither an empty reply nor a sealed one: another server may respond".to_owned())
        };
        let opened = self.keyring.open(&Signed {
            timestamp: value("TimeStamp")?,
            nonce: value("Nonce")?,
            msg_signature: value("MsgSignature")?,
            encrypt: value("Encrypt")?,
        });
        let opened = opened.map_err(|error| format!("a reply that WeChat cannot open: {error}"))?;
        let text = String::from_utf8_lossy(&opened.message).into_owned();
        Ok(Some(AccountMessage::parse(SecretString::from(text))))
    }

    fn judge_ordinary(&self, received: Result<Received, Unreachable>) -> Finding {
        match received {
            Ok(Received { answer, .. }) if answer.status == 401 && foreign_field(&answer).is_none() => {
                Finding::ok(ORDINARY, "an account that has not authorized the platform is refused")
            }
            received => match self.accepted(ORDINARY, "account-push", received) {
                Ok(_) => {
                    let sentence = "a message to an account that has not authorized the platform is accepted";
                    Finding::wrong(ORDINARY, sentence, REFUSE)
                }
                Err(failed) => failed,
            },
        }
    }

    fn judge_forged(&self, received: Result<Received, Unreachable>) -> Finding {
        match received {
            Ok(received) if received.answer.status == 401 => {
                Finding::ok(FORGED, "a push with a forged signature is refused")
            }
            received => match self.accepted(FORGED, "ticket-push", received) {
                Ok(_) => {
                    let sentence = "a push with a forged signature is accepted: it is not our function";
                    Finding::wrong(FORGED, sentence, lead_here(self.deployment.target))
                }
                Err(failed) => failed,
            },
        }
    }

    /// A response with status 200, or the finding why there is none.
    fn accepted(
        &self,
        check: &'static str,
        function: &str,
        received: Result<Received, Unreachable>,
    ) -> Result<Received, Finding> {
        let target = self.deployment.target;
        let received = received.map_err(|why| match why {
            Unreachable::Timeout => Finding::wrong(
                check,
                format!(
                    "{function} does not reply within {}: WeChat would not wait longer",
                    span(self.within, Language::English)
                ),
                format!("run it again, if it was a cold start; otherwise {function}'s log says what it waits for"),
            ),
            why => unreachable(check, &self.deployment.public, &why, target, self.within),
        })?;
        let answer = &received.answer;
        let (status, field) = (answer.status.as_u16(), foreign_field(answer));
        let (sentence, advice) = match (status, field) {
            (200, _) => return Ok(received),
            (401, Some(field)) => (
                format!("{function} refuses it: its secret has a different {field} from the one read here"),
                "if the secret was changed, try again in 5 minutes, when every function has read it again; otherwise the public \
                 URL leads to a deployment other than the one named here",
            ),
            (401 | 403, _) => {
                (format!("an authentic push is refused (status {status})"), "look at the function's log for the reason")
            }
            (503, _) if answer.body.as_deref() == Some(b"not-configured") => (
                format!("{function} has no secret (not-configured)"),
                "if the secret was just filled in, try again in 10 seconds; otherwise the function's SECRET_ID names another",
            ),
            (500.., _) => {
                (format!("{function} fails (status {status})"), "its log says why; ops doctor checks what it needs")
            }
            _ => (format!("the URL does not lead to {function} (status {status})"), lead_here(target)),
        };
        Err(Finding::wrong(check, sentence, advice))
    }
}

/// The field of the secret that, according to the function's response, differs there.
fn foreign_field(answer: &Answer) -> Option<&'static str> {
    let fields = [
        (OpenError::Signature.to_string(), "token"),
        (OpenError::Padding.to_string(), "encoding_aes_key"),
        (OpenError::MessageLength.to_string(), "encoding_aes_key"),
        (OpenError::AppId.to_string(), "component_appid"),
        ("the push is for another platform".to_owned(), "component_appid"),
    ];
    let body = answer.body.as_deref()?;
    fields.into_iter().find(|(words, _)| words.as_bytes() == body).map(|(_, field)| field)
}

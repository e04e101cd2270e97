//! Fetching a check file from WeChat, through the deployment's route for calls (protocol section 13.1).

use std::time::Duration;

use base::language::Language;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use store::{CheckFile, CheckFileOrigin};
use wechat::api::{Api, ErrCode, Reaction};
use wechat::check_file::{CheckFileContent, CheckFileName};
use wechat::permissions::PermissionSet;

use crate::deployment::{Deployment, Target};
use crate::finding::Finding;
use crate::http::{Answer, at, client, send, unreachable};

/// The time-out: as long as the gateway waits for a function.
const ANSWER: Duration = Duration::from_secs(30);

/// The call for the platform's domains.
const OF_PLATFORM: [&str; 3] = ["cgi-bin", "component", "get_domain_confirmfile"];

/// The call for the domains of one account.
const OF_ACCOUNT: [&str; 2] = ["wxa", "get_webviewdomain_confirmfile"];

/// The body of both calls, since an empty one is an error.
const NOTHING: &str = "{}";

/// 小程序开发与数据分析, without which calls about a mini program's domains are refused.
const DEVELOPMENT: u32 = 18;

/// WeChat's response: a file, or why there is none.
#[derive(Deserialize)]
struct Answered {
    #[serde(default)]
    errcode: i64,
    #[serde(default)]
    file_name: String,
    #[serde(default)]
    file_content: String,
}

/// The name of the check for a file of this origin.
pub(super) const fn check(origin: &CheckFileOrigin) -> &'static str {
    match origin {
        CheckFileOrigin::Manual => "file",
        CheckFileOrigin::Platform => "platform's file",
        CheckFileOrigin::Account(_) => "account's file",
    }
}

/// The finding about a missing file, with the account's appid if it is an account's file.
fn wrong(origin: &CheckFileOrigin, sentence: &str, advice: impl Into<String>) -> Finding {
    let of = origin.account().map(|account| format!("{account}: ")).unwrap_or_default();
    Finding::wrong(check(origin), format!("{of}{sentence}"), advice)
}

impl Deployment {
    /// Fetches a file from WeChat.
    ///
    /// # Errors
    /// The finding why there is none.
    pub(super) async fn fetch(&self, origin: CheckFileOrigin) -> Result<CheckFile, Finding> {
        let path = path(&origin);
        let url = at(&self.business, &path.iter().map(String::as_str).collect::<Vec<_>>());
        let http = client(&[&self.business])?;
        let mut request = http.request(Method::POST, url.clone()).body(NOTHING).timeout(ANSWER);
        if let Some(signer) = &self.signer {
            let headers = signer.headers(&Method::POST, &url, NOTHING, self.clock.now()).await;
            let advice = "sign in again: the credentials must be valid for a few minutes";
            request = request.headers(headers.map_err(|error| wrong(&origin, &error.to_string(), advice))?);
        } else {
            request = request.header(http::header::CONTENT_TYPE, "application/json");
        }
        match send(request, &url, &*self.clock).await {
            Ok(answer) => self.read(origin, &answer),
            Err(why) => Err(unreachable(check(&origin), &self.business, &why, self.target, ANSWER)),
        }
    }

    fn read(&self, origin: CheckFileOrigin, answer: &Answer) -> Result<CheckFile, Finding> {
        let body = answer.body.as_deref().unwrap_or_default();
        if answer.status != StatusCode::OK {
            return Err(self.refused(&origin, answer, body));
        }
        let odd =
            || wrong(&origin, "WeChat's response has no check file", "look at GET /calls, and try again in a minute");
        let answered: Answered = serde_json::from_slice(body).map_err(|_| odd())?;
        if answered.errcode != 0 {
            return Err(of_wechat(&origin, ErrCode::from_code(answered.errcode)));
        }
        let name = CheckFileName::parse(&answered.file_name).map_err(|_| odd())?;
        let content = CheckFileContent::parse(&answered.file_content).map_err(|_| odd())?;
        Ok(CheckFile { name, content, origin, stored_at: self.clock.now() })
    }

    /// The finding if the platform or the gateway has refused the call.
    fn refused(&self, origin: &CheckFileOrigin, answer: &Answer, body: &[u8]) -> Finding {
        let status = answer.status.as_u16();
        if answer.is_our_problem() {
            let problem: Value = serde_json::from_slice(body).unwrap_or_default();
            let text = |member: &str| problem[member].as_str().unwrap_or_default().to_owned();
            return wrong(
                origin,
                &format!("the platform cannot call WeChat: {} ({status})", text("title")),
                text("detail"),
            );
        }
        let path = path(origin).join("/");
        match (self.target, status) {
            (Target::Aws | Target::Emulator, 403) => wrong(
                origin,
                "the gateway refuses your signature",
                format!(
                    "your credentials need execute-api:Invoke on API_ID/$default/POST/{path}; if they have it, look at this \
                     machine's clock"
                ),
            ),
            _ => wrong(
                origin,
                &format!("the route for calls returns status {status}"),
                "run ops doctor, and look at the logs of wechat-calls and of the API",
            ),
        }
    }
}

/// The path of the call at the business API.
fn path(origin: &CheckFileOrigin) -> Vec<String> {
    let (of, api): (&str, &[&str]) = match origin {
        CheckFileOrigin::Account(account) => (account.as_str(), &OF_ACCOUNT),
        CheckFileOrigin::Platform | CheckFileOrigin::Manual => ("platform", &OF_PLATFORM),
    };
    ["wechat", of].iter().chain(api).map(|part| (*part).to_owned()).collect()
}

/// The finding for WeChat's code: its meaning, and what to do.
fn of_wechat(origin: &CheckFileOrigin, code: ErrCode) -> Finding {
    let sentence = format!("WeChat refuses with {}: {}", code.code(), code.meaning(Language::English));
    let set = PermissionSet::of(DEVELOPMENT).map(|set| set.name).unwrap_or_default();
    let advice = match (code.reaction_to(Api::OnBehalf), origin.account()) {
        (Reaction::Permission, Some(_)) => format!(
            "WeChat has such files for mini programs only, which have granted the permission set {DEVELOPMENT} ({set}): ask the \
             merchant for it through a new link"
        ),
        (Reaction::Permission, None) => {
            format!("tick the permission set {DEVELOPMENT} ({set}) in the platform's console, and release it")
        }
        (Reaction::Reauthorize, _) => "the merchant has to authorize the platform again, through a new link".to_owned(),
        (Reaction::Retry | Reaction::Refresh | Reaction::RefreshTokenInvalid, _) => "try again in a minute".to_owned(),
        (Reaction::WaitMinute | Reaction::Quota, _) => {
            "wait for a minute if there were too many calls, or until midnight in Beijing if the day's quota is used up"
                .to_owned()
        }
        (Reaction::NewTicket | Reaction::Config, _) => "run ops doctor: it says which setting is wrong".to_owned(),
        (Reaction::CodeSpent | Reaction::Caller | Reaction::Unknown, _) => {
            "look the code up in WeChat's documentation; GET /calls has the rid for WeChat's support".to_owned()
        }
    };
    wrong(origin, &sentence, advice)
}

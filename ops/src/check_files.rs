//! Whether check files are served at the public URL as WeChat requires: byte for byte, and as text.

use std::time::Duration;

use base::language::Language;
use base::phrase::Noun;
use http::Method;
use http::header::{CONTENT_TYPE, LOCATION};
use reqwest::Client;
use store::{CheckFile, CheckFiles, StoreError};
use tokio::time::{Instant, sleep, timeout_at};

use crate::deployment::Deployment;
use crate::finding::Finding;
use crate::http::{Answer, ask, at, client, lead_here, shown, unreachable};

/// The check's name.
const SERVED: &str = "check files";

const FILE: Noun = Noun::new("个文件", "file");

/// The time-out for a response. A cold start takes one or two seconds.
const ANSWER: Duration = Duration::from_secs(10);

/// The time-out for all files together.
const ALL: Duration = Duration::from_mins(1);

/// The pause after the gateway's 429: its limit is in requests per second.
const PAUSE: Duration = Duration::from_secs(1);

/// How many files that are not served are listed one by one.
const MAX_LISTED: usize = 5;

/// How many files are read at once.
const AT_ONCE: usize = 100;

/// All stored files.
pub(crate) async fn all(files: &CheckFiles) -> Result<Vec<CheckFile>, StoreError> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = files.page(AT_ONCE, after.as_ref()).await?;
        all.extend(page.files);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(all),
        }
    }
}

impl Deployment {
    /// Requests each file from the public URL, one after the other, since the route's limit is low.
    pub(crate) async fn served(&self, files: &[CheckFile]) -> Vec<Finding> {
        let http = match client(&[&self.public]) {
            Ok(http) => http,
            Err(failure) => return vec![failure],
        };
        let until = Instant::now() + ALL;
        let (mut wrong, mut looked_at) = (Vec::new(), 0);
        for file in files {
            let Ok(missing) = timeout_at(until, self.is_served(&http, file)).await else { break };
            wrong.extend(missing);
            looked_at += 1;
        }
        let mut findings = Vec::new();
        if looked_at < files.len() {
            findings.push(Finding::warning(
                SERVED,
                format!("{looked_at} of {} could be checked in time", files.len()),
                "remove the files of domains that WeChat has checked: ops domains remove",
            ));
        }
        let hidden = wrong.len().saturating_sub(MAX_LISTED);
        if wrong.is_empty() {
            findings.push(Finding::ok(SERVED, self.all_served(looked_at)));
        }
        findings.extend(wrong.into_iter().take(MAX_LISTED));
        if hidden > 0 {
            let sentence = format!(
                "the same is true of {} more",
                FILE.count(hidden.try_into().unwrap_or(u64::MAX), Language::English)
            );
            findings.push(Finding::wrong(SERVED, sentence, "see the lines above"));
        }
        findings
    }

    fn all_served(&self, number: usize) -> String {
        if number == 0 {
            return "none is stored".to_owned();
        }
        let files = FILE.count(number.try_into().unwrap_or(u64::MAX), Language::English);
        format!("{} serves {files} with the stored bytes", shown(&self.public))
    }

    /// The finding about a file, if it is not served as stored.
    async fn is_served(&self, http: &Client, file: &CheckFile) -> Option<Finding> {
        let url = at(&self.public, &[file.name.as_str()]);
        loop {
            match ask(http, &*self.clock, Method::GET, url.clone(), None, ANSWER).await {
                Ok(answer) if answer.status == 429 => sleep(PAUSE).await,
                Ok(answer) => return self.judge(file, &answer),
                Err(why) => return Some(unreachable(SERVED, &self.public, &why, self.target, ANSWER)),
            }
        }
    }

    fn judge(&self, file: &CheckFile, answer: &Answer) -> Option<Finding> {
        let name = format!("{}/{}", shown(&self.public), file.name);
        let wrong = |sentence: String, advice: &str| Some(Finding::wrong(SERVED, sentence, advice));
        let content_type = answer.header(CONTENT_TYPE);
        match answer.status.as_u16() {
            200 if answer.body.as_deref() != Some(file.content.as_str().as_bytes()) => wrong(
                format!("{name} has other bytes than the stored file"),
                "check what is in front of the API and changes it, or which other server responds there",
            ),
            200 if !content_type.starts_with("text/plain") => wrong(
                format!("{name} is served as {content_type:?}, not as text/plain"),
                "check what is in front of the API and changes it",
            ),
            200 => None,
            404 => wrong(
                format!("{name} is not found"),
                "deploy this version, whose function web-login serves check files; otherwise another server responds there",
            ),
            300..400 => wrong(format!("{name} redirects to {:.200}", answer.header(LOCATION)), lead_here(self.target)),
            status => wrong(
                format!("the response for {name} has status {status}"),
                "look at the logs of web-login and of the API; a firewall in front of it must admit WeChat's checker",
            ),
        }
    }
}

//! The cases of one of WeChat's test accounts.

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use simulator::{Account, AccountKind, SentMessage};
use tokio::time::{Instant, sleep};

use super::control::{Control, ControlError};
use super::judge::{
    EVENT, PUSH_LOG, Problem, TEXT, authorize, event, in_time, milliseconds, query, row, somebody, text,
};
use super::report::Row;

/// Between two looks at the customer-service messages.
const LOOK: Duration = Duration::from_millis(50);

const TEST_ACCOUNTS: &str = "the platform must know this appid as one of WeChat's test accounts, before anything else is asked \
                             about the account";

const REFRESHER: &str = "token-refresher sends it: its log says why it did not, and cargo run -- doctor whether it runs. More than \
                         three codes a minute and account are refused: after several runs wait a minute and run it again";

/// How many codes of an account the platform takes in a minute, so that followers cannot make it call WeChat without end.
const CODES_A_MINUTE: usize = 3;

/// What [`CODES_A_MINUTE`] are counted in.
const MINUTE: Duration = Duration::from_mins(1);

/// What the customer-service message has after the code.
const FROM_API: &str = "_from_api";

/// The account.
pub(super) struct Candidate {
    pub(super) group: u8,
    pub(super) account: Account,
}

impl Candidate {
    fn name(&self) -> String {
        let kind = match self.account.kind {
            AccountKind::OfficialAccount => "OA",
            AccountKind::MiniProgram => "MP",
        };
        format!("{} {kind} {}", self.group, self.account.appid)
    }

    /// Whether the platform would refuse a further code: it has answered as many in the minute before `now` as it takes.
    pub(super) fn is_used_up(&self, sent: &[SentMessage], now: Timestamp) -> bool {
        let counts = |message: &&SentMessage| {
            message.authorizer == self.account.appid
                && now.since(message.at) < MINUTE
                && message.body["text"]["content"].as_str().is_some_and(|text| text.ends_with(FROM_API))
        };
        sent.iter().filter(counts).count() >= CODES_A_MINUTE
    }

    /// All cases of the account, one after the other as WeChat does.
    pub(super) async fn check(&self, control: &Control, patience: Duration) -> Vec<Row> {
        let name = self.name();
        if let Err(error) = control.put(&self.account).await {
            return vec![row("authorized", &name, Err(error.problem()), None)];
        }
        let authorized = authorize(control, &self.account.appid, &name).await;
        if !authorized.passed {
            return vec![authorized];
        }
        let mut rows = vec![
            authorized,
            self.replied(control, "text", &text(TEXT), &format!("{TEXT}_callback"), PUSH_LOG).await,
            self.replied(control, "event", &event(), &format!("{EVENT}from_callback"), TEST_ACCOUNTS).await,
        ];
        rows.extend(self.api(control, patience).await);
        rows
    }

    /// Takes the authorization back, so that nothing renews its tokens. It may fail: the check is over.
    pub(super) async fn leave(&self, control: &Control) {
        drop(control.unauthorize(&self.account.appid).await);
    }

    async fn replied(
        &self,
        control: &Control,
        case: &'static str,
        fields: &Value,
        expected: &str,
        advice: &'static str,
    ) -> Row {
        match control.message(&self.account.appid, &somebody(), fields).await {
            Ok(outcome) => {
                let judged = in_time(&outcome).and_then(|()| match outcome.reply_text() {
                    Some(reply) if reply == expected => Ok(reply),
                    Some(_) => Err(("another text".to_owned(), advice)),
                    None if outcome.is_empty() => Err(("an empty answer".to_owned(), advice)),
                    None => Err(("a reply that is no text".to_owned(), advice)),
                });
                row(case, &self.name(), judged, Some(outcome.elapsed.as_millis()))
            }
            Err(error) => row(case, &self.name(), Err(error.problem()), None),
        }
    }

    /// A code in a message: an empty answer at once, then a customer-service message with that code's token.
    async fn api(&self, control: &Control, patience: Duration) -> Vec<Row> {
        const ANSWERED: &str = "api: answer";
        let (name, appid, open_id) = (self.name(), &self.account.appid, somebody());
        let failed = |error: &ControlError| vec![row(ANSWERED, &name, Err(error.problem()), None)];
        let code = match control.code(appid).await {
            Ok(code) => code,
            Err(error) => return failed(&error),
        };
        let outcome = match control.message(appid, &open_id, &query(&code)).await {
            Ok(outcome) => outcome,
            Err(error) => return failed(&error),
        };
        let answered = Instant::now();
        let empty = in_time(&outcome).and_then(|()| {
            if outcome.is_empty() {
                Ok("an empty answer".to_owned())
            } else {
                Err(("a reply instead of an empty answer".to_owned(), TEST_ACCOUNTS))
            }
        });
        let sent = wait_for_message(control, appid, &open_id, answered + patience).await.and_then(|sent| match sent {
            Some(message) => judge(&message, &code),
            None => Err((format!("no customer-service message within {} s", patience.as_secs_f32()), REFRESHER)),
        });
        vec![
            row(ANSWERED, &name, empty, Some(outcome.elapsed.as_millis())),
            row("api: message", &name, sent, Some(milliseconds(answered))),
        ]
    }
}

async fn wait_for_message(
    control: &Control,
    appid: &AppId,
    open_id: &str,
    deadline: Instant,
) -> Result<Option<SentMessage>, Problem> {
    loop {
        let sent = control.sent_to(appid, open_id).await.map_err(|error| error.problem())?;
        if let Some(message) = sent.into_iter().next() {
            return Ok(Some(message));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        sleep(LOOK).await;
    }
}

fn judge(message: &SentMessage, code: &SecretString) -> Result<String, Problem> {
    let code = code.expose_secret();
    if message.body["text"]["content"].as_str() != Some(format!("{code}{FROM_API}").as_str()) {
        return Err(("a message with another text than code_from_api".to_owned(), PUSH_LOG));
    }
    if message.code.as_deref() != Some(code) {
        let advice = "the token must be the one that api_query_auth gave for this very code, not a stored one";
        return Err(("the right text, sent with another token".to_owned(), advice));
    }
    Ok("code_from_api, sent with the code's own token".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sent(content: &str, code: Option<&str>) -> SentMessage {
        SentMessage {
            authorizer: AppId::parse("wx1").unwrap(),
            to: "o1".to_owned(),
            body: json!({ "touser": "o1", "msgtype": "text", "text": { "content": content } }),
            at: Timestamp::from_unix(0),
            code: code.map(str::to_owned),
        }
    }

    #[test]
    fn three_answered_codes_use_a_minute_up_for_their_account_alone() {
        let candidate = |index: usize| Candidate { group: 1, account: Account::release_check().remove(index) };
        let (account, other) = (candidate(0), candidate(1));
        let at = |seconds, content: &str| SentMessage {
            authorizer: account.account.appid.clone(),
            at: Timestamp::from_unix(seconds),
            ..sent(content, None)
        };
        let mut messages = vec![at(60, "a_from_api"), at(119, "b_from_api"), at(90, "hello"), at(58, "c_from_api")];
        assert!(!account.is_used_up(&messages, Timestamp::from_unix(119)), "two of the last minute");
        messages.push(at(100, "d_from_api"));
        assert!(account.is_used_up(&messages, Timestamp::from_unix(119)));
        assert!(!account.is_used_up(&messages, Timestamp::from_unix(120)), "a minute later");
        assert!(!other.is_used_up(&messages, Timestamp::from_unix(119)));
    }

    #[test]
    fn only_the_right_text_with_the_codes_own_token_passes_and_no_code_is_told() {
        let judged = |content, code| judge(&sent(content, code), &"code@@@1".into());
        assert!(judged("code@@@1_from_api", Some("code@@@1")).is_ok());
        for (content, code, expected) in [
            ("code@@@1", Some("code@@@1"), "another text"),
            ("code@@@2_from_api", Some("code@@@1"), "another text"),
            ("code@@@1_from_api", Some("code@@@2"), "another token"),
            ("code@@@1_from_api", None, "another token"),
        ] {
            let (what, advice) = judged(content, code).unwrap_err();
            assert!(what.contains(expected), "{what}");
            assert!(!what.contains("@@@") && !advice.contains("@@@"), "{what}: {advice}");
        }
    }
}

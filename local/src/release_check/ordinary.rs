//! An ordinary account: what only test accounts are answered, it must not be.

use std::time::Duration;

use base::ids::AppId;
use simulator::{Account, MessageOutcome};
use tokio::time::sleep;

use super::control::{Control, ControlError, Known};
use super::judge::{EVENT, Problem, authorize, event, in_time, query, row, somebody};
use super::report::Row;

const EVENT_CASE: &str = "ordinary: event";

const API_CASE: &str = "ordinary: api";

const OPEN: &str = "only WeChat's test accounts may be answered so: or every follower could set it off";

/// Sends an event and a code for an account that is none of WeChat's test accounts, and looks `patience` later whether
/// a customer-service message came.
pub(super) async fn check(control: &Control, known: &[Known], patience: Duration) -> Vec<Row> {
    let Some(account) = chosen(known) else {
        let problem = ("the simulator has no other account".to_owned(), "add one: POST /_simulator/accounts");
        return vec![row(EVENT_CASE, "other", Err(problem), None)];
    };
    let (appid, name) = (&account.appid, format!("other {}", account.appid));
    if account.authorized {
        return both(control, appid, &name, patience).await;
    }
    let authorized = authorize(control, appid, &name).await;
    if !authorized.passed {
        return vec![authorized];
    }
    let rows = both(control, appid, &name, patience).await;
    // As before the check. It may fail: the check is over.
    drop(control.unauthorize(appid).await);
    rows
}

/// One that has authorized the platform, else any.
fn chosen(known: &[Known]) -> Option<&Known> {
    let test_accounts = Account::release_check();
    let mut ordinary = known.iter().filter(|known| !test_accounts.iter().any(|account| account.appid == known.appid));
    ordinary.clone().find(|known| known.authorized).or_else(|| ordinary.next())
}

async fn both(control: &Control, appid: &AppId, name: &str, patience: Duration) -> Vec<Row> {
    let sent = control.message(appid, &somebody(), &event()).await;
    let elapsed = sent.as_ref().ok().map(|outcome| outcome.elapsed.as_millis());
    let judged = sent.map_err(|error| error.problem()).and_then(|outcome| not_restricted(&outcome));
    vec![row(EVENT_CASE, name, judged, elapsed), row(API_CASE, name, no_message(control, appid, patience).await, None)]
}

fn not_restricted(outcome: &MessageOutcome) -> Result<String, Problem> {
    in_time(outcome)?;
    match outcome.reply_text() {
        Some(reply) if reply == format!("{EVENT}from_callback") => Err((reply, OPEN)),
        _ => Ok("no reply of the check's".to_owned()),
    }
}

async fn no_message(control: &Control, appid: &AppId, patience: Duration) -> Result<String, Problem> {
    let problem = |error: ControlError| error.problem();
    let (code, open_id) = (control.code(appid).await.map_err(problem)?, somebody());
    in_time(&control.message(appid, &open_id, &query(&code)).await.map_err(problem)?)?;
    sleep(patience).await;
    if control.sent_to(appid, &open_id).await.map_err(problem)?.is_empty() {
        Ok("no customer-service message".to_owned())
    } else {
        Err(("a customer-service message".to_owned(), OPEN))
    }
}

#[cfg(test)]
mod tests {
    use simulator::PushAnswer;

    use super::*;

    fn replied(content: Option<&str>) -> MessageOutcome {
        let reply = content.map(|text| format!("<xml><MsgType>text</MsgType><Content>{text}</Content></xml>"));
        let answer = PushAnswer::Answered { status: 200, body: String::new() };
        MessageOutcome { answer, attempts: 1, elapsed: Duration::ZERO, reply, fault: None }
    }

    #[test]
    fn a_reply_of_the_merchants_own_is_none_of_the_checks() {
        for content in [None, Some("welcome"), Some("LOCATION")] {
            assert!(not_restricted(&replied(content)).is_ok(), "{content:?}");
        }
        assert!(not_restricted(&replied(Some("LOCATIONfrom_callback"))).is_err());
    }

    #[test]
    fn an_account_that_has_authorized_the_platform_goes_first_and_a_test_account_never() {
        let known = |appid: &str, authorized| Known { appid: AppId::parse(appid).unwrap(), authorized };
        let test_account = known("wx570bc396a51b8ff8", true);
        let chosen = |known: &[Known]| chosen(known).map(|known| known.appid.to_string());
        assert_eq!(chosen(&[test_account]), None);
        assert_eq!(chosen(&[known("wx1", false), known("wx2", true)]), Some("wx2".to_owned()));
        assert_eq!(chosen(&[known("wx570bc396a51b8ff8", true), known("wx1", false)]), Some("wx1".to_owned()));
    }
}

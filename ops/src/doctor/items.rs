//! The items of the table: the ticket, the component token, the accounts, the inbox.
//!
//! Read with the functions' own store, and only read. Ages are by this machine's clock; the check of the clocks says
//! how far to trust it.

use std::time::Duration;

use base::clock::Timestamp;
use store::{AccountState, END_OF_TIME, Store, StoreError, TokenOwner};

use crate::finding::Finding;
use crate::format::{ago, count, span};

/// A ticket comes every 10 minutes: after this long two are missing, and the alarm rings too.
const TICKET_LATE: Duration = Duration::from_mins(25);

/// WeChat accepts a ticket this long (protocol section 0).
const TICKET_LIFE: Duration = Duration::from_hours(12);

/// More between WeChat's time of a ticket and its arrival is unusual.
const TICKET_UNDER_WAY: Duration = Duration::from_mins(1);

/// The component token is renewed when less than 15 minutes are left: below this, three runs have failed to.
const TOKEN_LAPSING: Duration = Duration::from_mins(10);

/// An entry takes effect within seconds, or at the next run: below this, several runs have failed to.
const INBOX_SLOW: Duration = Duration::from_mins(30);

/// How many accounts' entries are looked at for the oldest.
const INBOX_LOOK: usize = 50;

/// The newest ticket. `events_url` is what must be entered in WeChat's console.
pub(crate) async fn ticket(store: &Store, events_url: &str, now: Timestamp) -> Vec<Finding> {
    const CHECK: &str = "ticket";
    let console = format!(
        "in WeChat's console (第三方平台, 开发资料) 授权事件接收URL must be {events_url}, with the secret's token and key; \
         WeChat then pushes every 10 minutes. ticket-push's log names what it refused, and why"
    );
    let ticket = match store.tickets.newest().await {
        Ok(Some(ticket)) => ticket,
        Ok(None) => {
            let console = format!("{console}. WeChat pushes only once it has approved the platform's creation");
            return vec![Finding::wrong(CHECK, "WeChat has not pushed any yet", console)];
        }
        Err(error) => return vec![unreadable(CHECK, &error)],
    };
    let (age, when) = (now.since(ticket.received_at), ago(ticket.received_at, now));
    let newest = if age > TICKET_LIFE {
        let sentence = format!("the newest came {when} and has lapsed: no component token can be had with it");
        Finding::wrong(CHECK, sentence, console)
    } else if age > TICKET_LATE {
        let left = span(TICKET_LIFE.saturating_sub(age));
        let sentence =
            format!("the newest came {when}, and one comes every 10 minutes; it can be used for {left} more");
        Finding::wrong(CHECK, sentence, console)
    } else {
        Finding::ok(CHECK, format!("the newest came {when}"))
    };
    vec![newest, under_way(ticket.create_time, ticket.received_at)]
}

/// WeChat's clock against ours, as far as a ticket shows.
fn under_way(created: Timestamp, received: Timestamp) -> Finding {
    const CHECK: &str = "WeChat's clock";
    let (late, early) = (received.since(created), created.since(received));
    let advice = "if it stays so, pushes are delayed on their way, or the clock of whoever receives them is wrong";
    if late > TICKET_UNDER_WAY {
        Finding::warning(CHECK, format!("the newest ticket reached us {} after WeChat made it", span(late)), advice)
    } else if early > TICKET_UNDER_WAY {
        Finding::warning(CHECK, format!("the newest ticket reached us {} before WeChat made it", span(early)), advice)
    } else {
        Finding::ok(CHECK, "it agrees with ours to the minute, by the newest ticket")
    }
}

/// The component token's time left. It is not used.
pub(super) async fn component_token(store: &Store, now: Timestamp) -> Finding {
    const CHECK: &str = "component token";
    let advice = "the lines about the ticket, the refresher and WeChat's answers say why it is not renewed";
    let expires = match store.tokens.get(&TokenOwner::Component).await {
        Ok(record) => record.and_then(|record| record.expires_at.filter(|_| record.access_token.is_some())),
        Err(error) => return unreadable(CHECK, &error),
    };
    let Some(expires) = expires else { return Finding::wrong(CHECK, "there is none yet", advice) };
    let left = expires.since(now);
    if left.is_zero() {
        Finding::wrong(CHECK, format!("it lapsed {}: nothing works with WeChat", ago(expires, now)), advice)
    } else if left < TOKEN_LAPSING {
        Finding::warning(CHECK, format!("it lapses in {} and should have been renewed", span(left)), advice)
    } else {
        Finding::ok(CHECK, format!("good for {} more ({} seconds)", span(left), left.as_secs()))
    }
}

/// How many accounts there are.
pub(super) async fn accounts(store: &Store) -> Finding {
    const CHECK: &str = "accounts";
    match counted(store).await {
        Ok([0, 0, 0]) => Finding::ok(CHECK, "none has authorized the platform yet"),
        Ok([active, unauthorized, needed]) => Finding::ok(
            CHECK,
            format!("{active} active, {unauthorized} unauthorized (taken back), {needed} need authorization again"),
        ),
        Err(error) => unreadable(CHECK, &error),
    }
}

async fn counted(store: &Store) -> Result<[u64; 3], StoreError> {
    Ok([
        store.accounts.count(AccountState::Active).await?,
        store.accounts.count(AccountState::Unauthorized).await?,
        store.accounts.count(AccountState::NeedsAuthorization).await?,
    ])
}

/// What WeChat has pushed and has not taken effect yet.
pub(super) async fn inbox(store: &Store, now: Timestamp) -> Finding {
    const CHECK: &str = "inbox";
    let (waiting, oldest) = match waiting(store).await {
        Ok(known) => known,
        Err(error) => return unreadable(CHECK, &error),
    };
    let messages = match store.messages.count_waiting(END_OF_TIME).await {
        Ok(messages) => messages,
        Err(error) => return unreadable(CHECK, &error),
    };
    if messages > 0 {
        let sentence = format!("waiting for the event bus: {} of followers", count(messages, "message"));
        let advice = "the bus takes none or too few: token-refresher's log has EventBridge's code for it; they are \
                      offered again every five minutes";
        return Finding::warning(CHECK, sentence, advice);
    }
    let Some(oldest) = oldest.filter(|_| waiting > 0) else { return Finding::ok(CHECK, "nothing waits") };
    let sentence = format!("{} waiting, the oldest since {}", count(waiting, "message"), span(now.since(oldest)));
    if now.since(oldest) > INBOX_SLOW {
        let advice = "token-refresher's log says why they fail; they are tried again by themselves";
        Finding::warning(CHECK, sentence, advice)
    } else {
        Finding::ok(CHECK, sentence)
    }
}

async fn waiting(store: &Store) -> Result<(u64, Option<Timestamp>), StoreError> {
    let waiting = store.inbox.count_waiting(END_OF_TIME).await?;
    let mut oldest: Option<Timestamp> = None;
    let (partitions, _) = store.inbox.due_partitions(END_OF_TIME, None).await?;
    for partition in partitions.iter().take(INBOX_LOOK) {
        for entry in store.inbox.waiting(partition).await? {
            oldest = Some(oldest.map_or(entry.received_at, |known| known.min(entry.received_at)));
        }
    }
    Ok((waiting, oldest))
}

/// The finding where items cannot be read.
pub(super) fn unreadable(check: &'static str, error: &StoreError) -> Finding {
    let advice = "the line about the table may say why; the credentials need dynamodb:GetItem and dynamodb:Query on it and \
                  on its indexes, and kms:Decrypt where it has its own key";
    Finding::wrong(check, format!("it cannot be read: {error}"), advice)
}

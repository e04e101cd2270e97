//! What can be wrong with the platform, what it means and what to do about it, in Chinese and in English.
//!
//! [`examine`] checks the items of the table: the ticket, the component token, the refresher's last runs, WeChat's last
//! responses, and what is waiting. It reads no secret and does not call WeChat: the refresher stores WeChat's last
//! responses in the table. [`examine_accounts`] counts the accounts. What they find is data ([`Finding`]) with a
//! verdict, from which the sentences are made.
//!
//! [`codes`] explains why a call or a renewal failed, [`refusal`] a refusal of the platform itself, and [`words`] has
//! the names of states, changes and permission sets. The texts in both languages are always next to each other.

/// Formats the text in the given language.
macro_rules! say {
    ($language:expr, $chinese:literal, $english:literal $(,)?) => {
        match $language {
            base::language::Language::Chinese => format!($chinese),
            base::language::Language::English => format!($english),
        }
    };
}

mod accounts;
mod answers;
pub mod codes;
mod component_token;
mod examine;
mod finding;
mod inbox;
mod messages;
mod outbox;
pub mod refusal;
mod runs;
#[cfg(test)]
mod tests;
mod ticket;
mod unreadable;
pub mod words;

pub use self::accounts::examine_accounts;
pub use self::answers::Answers;
pub use self::component_token::ComponentToken;
pub use self::examine::{Reads, Setup, examine, examine_messages, examine_runs, examine_ticket};
pub use self::finding::{Check, Finding, Seen, Verdict, count};
pub use self::inbox::InboxState;
pub use self::messages::{LastMessage, shows_arrivals};
pub use self::outbox::{BusState, FailingEvent, WaitingForWebhook, WebhookState};
pub use self::runs::{Reconciliations, RenewalRun, Renewals};
pub use self::ticket::{Ticket, WechatClock};
pub use self::unreadable::Unreadable;

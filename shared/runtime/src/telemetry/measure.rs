//! All metrics in one list: code, template and documents use the names from here.
//!
//! A metric has at most one dimension, with few values: CloudWatch charges for each.

use self::Published::{By, Total, TotalAndBy};

/// The unit of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Occurrences, or a number of things.
    Count,
    /// A duration or an age.
    Seconds,
}

impl Unit {
    /// CloudWatch's name of the unit.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Seconds => "Seconds",
        }
    }
}

/// What is published for a metric. CloudWatch charges for each total and for each value of a dimension.
#[derive(Clone, Copy)]
enum Published {
    /// Its total.
    Total,
    /// A value for each value of the dimension. A person can add them up.
    By(&'static str),
    /// The same, and their total for an alarm, which cannot add up values that it does not know beforehand.
    TotalAndBy(&'static str),
}

/// Defines the enum, the list of all metrics, and their names and units from one table.
macro_rules! measures {
    ($($measure:ident = $name:literal, $unit:ident, $published:expr, $doc:literal;)*) => {
        /// A metric: what is measured.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Measure {
            $(#[doc = $doc] $measure,)*
        }

        impl Measure {
            /// All metrics.
            pub const ALL: &'static [Self] = &[$(Self::$measure),*];

            /// Its name in CloudWatch.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$measure => $name,)*
                }
            }

            /// Its unit.
            #[must_use]
            pub const fn unit(self) -> Unit {
                match self {
                    $(Self::$measure => Unit::$unit,)*
                }
            }

            const fn published(self) -> Published {
                match self {
                    $(Self::$measure => $published,)*
                }
            }
        }
    };
}

impl Measure {
    /// The dimension that it is split by.
    #[must_use]
    pub const fn dimension(self) -> Option<&'static str> {
        match self.published() {
            Total => None,
            By(dimension) | TotalAndBy(dimension) => Some(dimension),
        }
    }

    /// Whether its total is published.
    #[must_use]
    pub const fn has_total(self) -> bool {
        matches!(self.published(), Total | TotalAndBy(_))
    }
}

measures! {
    PushStored = "push_stored", Count, By("kind"), "Pushes that were stored, by `InfoType`.";
    PushRefused = "push_refused", Count, TotalAndBy("reason"), "Pushes that were refused.";
    PushStale = "push_stale", Count, Total,
        "Pushes that are too old to recognize repeats: acknowledged, without effect.";
    SecretServedStale = "secret_served_stale", Count, Total,
        "The secret was used from memory because Secrets Manager did not respond.";
    RequestFailed = "request_failed", Count, By("cause"), "Requests of merchants and businesses that failed.";
    KeyRefused = "key_refused", Count, TotalAndBy("reason"), "Requests with an API key that is not valid.";
    WechatRefused = "wechat_refused", Count, By("code"), "Calls of WeChat that failed, by its code or a word.";
    CallFailed = "call_failed", Count, By("kind"), "Calls on behalf of accounts that failed, by what can be done about it.";
    UpstreamError = "upstream_error", Count, Total,
        "Responses with 5xx caused by WeChat: it issued no token, or did not respond to a call on behalf of an account.";
    SecondIssuer = "second_issuer", Count, Total, "Somebody else issues tokens for this platform.";
    TokenRefused = "token_refused", Count, Total,
        "Tokens that were renewed because WeChat had refused them before their time, or a service said so.";
    RunFinished = "run_finished", Count, By("task"), "Runs of the refresher that finished.";
    TicketAge = "ticket_age", Seconds, Total, "Age of the newest ticket, at each renew run.";
    TicketStale = "ticket_stale", Count, Total, "WeChat was asked to push tickets again.";
    ComponentTokenLeft = "component_token_left", Seconds, Total,
        "Remaining life of the component token at the end of a renew run; 0 if there is none.";
    Renewed = "renewed", Count, Total, "Account tokens renewed, in each run.";
    LeftOver = "left_over", Count, Total, "Accounts that were due but not reached, in each run.";
    GrantsGone = "grants_gone", Count, Total, "Grants found to be gone, in each run.";
    Failed = "failed", Count, TotalAndBy("code"), "Failures in a run, by WeChat's code or a word.";
    InboxWaiting = "inbox_waiting", Count, Total,
        "Inbox entries that have not taken effect at the end of a renew run.";
    MessageRepeated = "message_repeated", Count, Total, "Messages that WeChat sent again.";
    MessageNotNoted = "message_not_noted", Count, Total,
        "Messages that were delivered although the table could not record it: they may arrive more than once.";
    EventReduced = "event_reduced", Count, Total, "Events that were too large for the bus and were put there in part.";
    EventDropped = "event_dropped", Count, Total, "Events that the bus will never accept, and events about read tokens that it did not accept.";
    EventDelayed = "event_delayed", Count, Total, "Events that the bus did not accept at once; they are sent again.";
    StateEventsWaiting = "state_events_waiting", Count, Total,
        "Events of accounts' states that wait for delivery at the end of a renew run.";
    EventWebhookFailed = "event_webhook_failed", Count, TotalAndBy("reason"),
        "Calls of the event webhook that failed; the events are sent again.";
    EventGivenUp = "event_given_up", Count, Total,
        "Events that the event webhook has not accepted for a day, and that are no longer sent.";
    MessagesWaiting = "messages_waiting", Count, Total, "Messages that wait for the bus at the end of a renew run.";
    WebhookFailed = "webhook_failed", Count, TotalAndBy("reason"), "Messages to which the reply webhook did not respond.";
    ReleaseCheck = "release_check", Count, By("case"), "Messages of WeChat's release check.";
    Accounts = "accounts", Count, By("state"), "Accounts by state, at each reconcile run.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_metrics_have_one_name() {
        let names: BTreeSet<&str> = Measure::ALL.iter().map(|measure| measure.name()).collect();
        assert_eq!(names.len(), Measure::ALL.len());
    }
}

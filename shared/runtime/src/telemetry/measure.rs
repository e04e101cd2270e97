//! Everything that is measured, in one list: code, template and documents use a metric's name from here.
//!
//! A metric has at most one dimension, and few values of it: CloudWatch charges for each.

/// What a metric counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Occurrences, or how many there are.
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

/// Makes the enum, the list of all and what each is called out of one table.
macro_rules! measures {
    ($($measure:ident = $name:literal, $unit:ident, $dimension:expr, $doc:literal;)*) => {
        /// A metric: what is measured.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Measure {
            $(#[doc = $doc] $measure,)*
        }

        impl Measure {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$measure),*];

            /// Its name in CloudWatch.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$measure => $name,)*
                }
            }

            /// What it counts in.
            #[must_use]
            pub const fn unit(self) -> Unit {
                match self {
                    $(Self::$measure => Unit::$unit,)*
                }
            }

            /// The dimension that it is split by.
            #[must_use]
            pub const fn dimension(self) -> Option<&'static str> {
                match self {
                    $(Self::$measure => $dimension,)*
                }
            }
        }
    };
}

impl Measure {
    /// Whether the total of one that is split is published in addition to its parts. An alarm needs it, which cannot add
    /// up values that it does not know beforehand; a person can, and each combination is charged.
    #[must_use]
    pub const fn has_total(self) -> bool {
        matches!(self, Self::PushRefused | Self::Failed | Self::WebhookFailed)
    }
}

measures! {
    PushStored = "push_stored", Count, Some("kind"), "Pushes that were stored, by `InfoType`.";
    PushRefused = "push_refused", Count, Some("reason"), "Pushes that were not taken.";
    PushStale = "push_stale", Count, None,
        "Pushes too old to be told from a repeat: acknowledged, without effect.";
    SecretServedStale = "secret_served_stale", Count, None,
        "The secret was used from memory because Secrets Manager did not answer.";
    RequestFailed = "request_failed", Count, Some("cause"), "Requests of merchants and businesses that failed.";
    WechatRefused = "wechat_refused", Count, Some("code"), "Calls of WeChat that failed, by its code or a word.";
    SecondIssuer = "second_issuer", Count, None, "Somebody else issues tokens for this platform.";
    RunFinished = "run_finished", Count, Some("task"), "Runs of the refresher that came to their end.";
    TicketAge = "ticket_age", Seconds, None, "Age of the newest ticket, at each renew run.";
    TicketStale = "ticket_stale", Count, None, "WeChat was asked to push tickets again.";
    ComponentTokenLeft = "component_token_left", Seconds, None,
        "How long the component token still lives at the end of a renew run; 0 where there is none.";
    Renewed = "renewed", Count, None, "Account tokens renewed, in each run.";
    LeftOver = "left_over", Count, None, "Accounts that were due and not taken up, in each run.";
    GrantsGone = "grants_gone", Count, None, "Grants found to be gone, in each run.";
    Failed = "failed", Count, Some("code"), "What failed in a run, by WeChat's code or a word.";
    InboxWaiting = "inbox_waiting", Count, None,
        "Inbox entries that have not taken effect at the end of a renew run.";
    MessageRepeated = "message_repeated", Count, None, "Messages that WeChat sent again.";
    MessageNotNoted = "message_not_noted", Count, None,
        "Messages that were delivered while the table took no note of them: they may come more than once.";
    EventReduced = "event_reduced", Count, None, "Events that were too large for the bus and were put there in part.";
    EventDropped = "event_dropped", Count, None, "Events that the bus will never take.";
    EventDelayed = "event_delayed", Count, None, "Events that the bus did not take at once; they are offered again.";
    MessagesWaiting = "messages_waiting", Count, None, "Messages that wait for the bus at the end of a renew run.";
    WebhookFailed = "webhook_failed", Count, Some("reason"), "Messages that the reply webhook did not answer.";
    ReleaseCheck = "release_check", Count, Some("case"), "Messages of WeChat's release check.";
    Accounts = "accounts", Count, Some("state"), "Accounts by state, at each reconcile run.";
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

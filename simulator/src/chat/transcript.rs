//! The conversations between accounts and the followers of the chat page, in order: in memory, bounded.

use std::collections::VecDeque;

use base::clock::Timestamp;
use base::ids::AppId;

use super::Bubble;
use crate::answer::{AnswerFault, MessageOutcome};
use crate::beijing::beijing_time;
use crate::push::PushAnswer;
use crate::xml::Element;

/// How many lines are kept for all accounts together, the latest ones.
const KEPT: usize = 2_000;

/// All conversations.
#[derive(Default)]
pub(crate) struct Transcript {
    lines: VecDeque<Line>,
    /// The number of the next line.
    next: u64,
}

/// One line of a conversation.
#[derive(Clone)]
pub(crate) struct Line {
    number: u64,
    account: AppId,
    at: Timestamp,
    pub(super) speaker: Speaker,
    pub(super) bubble: Bubble,
    /// The platform's response to a follower; none until there is one.
    pub(super) outcome: Option<Outcome>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    Follower,
    /// The account, with a passive reply.
    Reply,
    /// The account, with a customer-service message.
    Service,
}

/// The platform's response.
#[derive(Clone)]
pub(super) struct Outcome {
    pub(super) has_reply: bool,
    pub(super) fault: Option<AnswerFault>,
    /// The status, or why there was no response.
    pub(super) cause: String,
    pub(super) attempts: u32,
    /// How long the response took, for display.
    pub(super) took: String,
}

impl Transcript {
    /// Adds a line and returns its number.
    pub(crate) fn add(&mut self, account: &AppId, at: Timestamp, speaker: Speaker, bubble: Bubble) -> u64 {
        let number = self.next;
        self.next += 1;
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(Line { number, account: account.clone(), at, speaker, bubble, outcome: None });
        number
    }

    /// Records the platform's response to a line, and adds its reply.
    pub(crate) fn answer(&mut self, number: u64, outcome: &MessageOutcome, at: Timestamp) {
        let Some(line) = self.lines.iter_mut().rfind(|line| line.number == number) else { return };
        line.outcome = Some(Outcome::of(outcome));
        let (account, to_event) = (line.account.clone(), line.bubble.is_event());
        if let Some(mut reply) = outcome.reply.as_deref().and_then(|reply| Element::parse(reply).ok()) {
            if !to_event {
                keep_first_article(&mut reply);
            }
            self.add(&account, at, Speaker::Reply, Bubble::of_xml(&reply));
        }
    }

    /// The conversation with one account.
    pub(super) fn of(&self, account: &AppId) -> Vec<Line> {
        self.lines.iter().filter(|line| line.account == *account).cloned().collect()
    }
}

/// Of several articles in a reply to a follower's message, WeChat shows the first; in a reply to an event, all of them.
fn keep_first_article(reply: &mut Element) {
    if let Some(articles) = reply.children.iter_mut().find(|child| child.name == "Articles") {
        articles.children.truncate(1);
    }
}

impl Line {
    pub(super) fn is_followers(&self) -> bool {
        self.speaker == Speaker::Follower
    }

    pub(super) fn is_reply(&self) -> bool {
        self.speaker == Speaker::Reply
    }

    /// The instant in machine-readable form.
    pub(super) fn instant(&self) -> String {
        self.at.rfc3339()
    }

    /// Month to second in Beijing.
    pub(super) fn time(&self) -> String {
        beijing_time(self.at)
    }
}

impl Outcome {
    fn of(outcome: &MessageOutcome) -> Self {
        let cause = match &outcome.answer {
            PushAnswer::Answered { status, .. } => format!("HTTP {status}"),
            PushAnswer::Unanswered { reason } => reason.clone(),
        };
        Self {
            has_reply: outcome.reply.is_some(),
            fault: outcome.fault,
            cause,
            attempts: outcome.attempts,
            took: format!("{:.0} ms", outcome.elapsed.as_secs_f64() * 1000.0),
        }
    }
}

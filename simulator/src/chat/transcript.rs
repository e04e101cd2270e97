//! What was said between accounts and the followers of the chat page, in the order of the events: in memory, bounded.

use std::collections::VecDeque;

use base::clock::Timestamp;
use base::ids::AppId;

use super::Bubble;
use crate::answer::{AnswerFault, MessageOutcome};
use crate::beijing::beijing_time;
use crate::push::PushAnswer;
use crate::xml::Element;

/// How many lines are kept, of all accounts together, the latest.
const KEPT: usize = 2_000;

/// All conversations.
#[derive(Default)]
pub(crate) struct Transcript {
    lines: VecDeque<Line>,
    /// The number of the next line.
    next: u64,
}

/// One thing that was said.
#[derive(Clone)]
pub(crate) struct Line {
    number: u64,
    account: AppId,
    at: Timestamp,
    pub(super) speaker: Speaker,
    pub(super) bubble: Bubble,
    /// How the platform answered to a follower; none while it has not.
    pub(super) outcome: Option<Outcome>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    Follower,
    /// The account, by a passive reply.
    Reply,
    /// The account, by a customer-service message.
    Service,
}

/// How the platform answered.
#[derive(Clone)]
pub(super) struct Outcome {
    pub(super) has_reply: bool,
    pub(super) fault: Option<AnswerFault>,
    /// The status, or why there was no answer.
    pub(super) cause: String,
    pub(super) attempts: u32,
    /// How long the answer took, for the eye.
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

    /// Notes how the platform answered to a line, and adds its reply.
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

/// Of several articles that answer what a follower wrote, WeChat shows the first; all of them answer an event.
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

    /// The instant for machines.
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

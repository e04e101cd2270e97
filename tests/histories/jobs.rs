//! The jobs of processes and followers.

use std::time::Duration;

use futures::future::BoxFuture;
use simulator::Message;
use token_refresher::{Report, Task};
use tokio::time::{Instant, timeout};

use crate::model::SentMessage;
use crate::play::{PATIENCE, Run};
use crate::stage::Stage;
use crate::step::{Process, Shop};

/// The time limit of a run: Lambda's two minutes.
const RUN: Duration = Duration::from_mins(2);

impl Stage {
    /// A run of the refresher.
    pub(crate) fn run(&self, process: Process, run: Run) -> BoxFuture<'static, ()> {
        let (refresher, model) = (self.refreshers[process.0].clone(), self.model.clone());
        Box::pin(async move {
            let deadline = Instant::now() + RUN;
            let report = match run {
                Run::Renew => refresher.run(&Task::renew(), deadline).await.map(Some),
                Run::Reconcile => refresher.run(&Task::Reconcile, deadline).await.map(Some),
                Run::Inbox => refresher.poll(deadline).await,
            };
            match report.expect("the secret is there") {
                Some(report) if has_done_something(&report) => model.tell(format!("       {report}")),
                Some(_) | None => {}
            }
        })
    }

    /// A follower writes a message with a new text, and WeChat delivers it once.
    pub(crate) fn write(&self, shop: Shop, follower: usize) -> BoxFuture<'static, ()> {
        let account = self.account(shop);
        let open_id = format!("o-follower-{follower}");
        let number = {
            let mut record = self.model.record();
            let number = record.messages.len();
            let content = format!("message {number}");
            let message = Message::text(account, &open_id, &content);
            record.messages.push(SentMessage {
                message,
                account: account.appid.clone(),
                open_id,
                content,
                outcomes: Vec::new(),
            });
            number
        };
        self.deliver(number)
    }

    /// WeChat delivers a message.
    pub(crate) fn deliver(&self, number: usize) -> BoxFuture<'static, ()> {
        let (simulator, model) = (self.world.simulator.clone(), self.model.clone());
        let message = model.record().messages[number].message.clone();
        Box::pin(async move {
            let Ok(outcome) = timeout(PATIENCE, simulator.send_message(&message)).await else {
                model.tell(format!("       message {number} is not answered in time"));
                return;
            };
            let answer =
                outcome.reply_text().map_or_else(|| format!("{:?}", outcome.fault), |reply| format!("{reply:?}"));
            model.tell(format!("       message {number} is answered: {answer}"));
            model.record().messages[number].outcomes.push(outcome);
        })
    }
}

fn has_done_something(report: &Report) -> bool {
    *report != Report { ticket_age_seconds: report.ticket_age_seconds, ..Report::default() }
}

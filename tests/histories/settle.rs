//! The end of a history: all is well again, the platform runs normally, and then every invariant must hold.

use std::collections::BTreeMap;
use std::time::Duration;

use base::clock::Timestamp;
use simulator::{CallOutcome, paths};

use crate::generate::History;
use crate::invariants::Violations;
use crate::model::Model;
use crate::play::Run;
use crate::search::Story;
use crate::stage::Stage;
use crate::step::Process;

/// The pauses before each quiet round of a renew and a reconcile run, until everything holds: the longest back-off of
/// an entry or an account is 6 hours, so after these it has been tried at least three times.
const ROUNDS: [Duration; 9] = [
    Duration::ZERO,
    Duration::from_mins(6),
    Duration::from_mins(25),
    Duration::from_hours(1),
    Duration::from_hours(3),
    Duration::from_hours(6),
    Duration::from_hours(7),
    Duration::from_hours(7),
    Duration::from_hours(25),
];

/// The least time between two issues of one account's token in quiet times: it lives 2 hours, and is due 30 minutes
/// before its end at the earliest.
const LEAST_BETWEEN_ISSUES: Duration = Duration::from_mins(89);

/// The pauses before each run of a quiet time that is longer than any token's life.
const QUIET: [Duration; 2] = [Duration::from_mins(55), Duration::from_mins(50)];

impl Story for History {
    fn length(&self) -> usize {
        self.steps.len()
    }

    async fn violations(&self, model: &Model) -> Violations {
        let mut stage = Stage::open(&self.setting, model.clone()).await;
        for step in &self.steps {
            stage.take(step).await;
        }
        let found = stage.settle().await;
        if found.is_empty() { stage.stay_quiet().await } else { found }
    }
}

impl Stage {
    /// Ends what is in progress and runs until everything holds. Returns the violations after the last round.
    async fn settle(&mut self) -> Violations {
        self.model.tell("-- all is well from here on");
        self.heal();
        while !self.under_way.is_empty() {
            self.go_on(0).await;
        }
        let mut found = Vec::new();
        for pause in ROUNDS {
            self.pass(pause).await;
            self.run(Process(0), Run::Renew).await;
            self.run(Process(0), Run::Reconcile).await;
            found = self.violations().await;
            if found.is_empty() {
                break;
            }
        }
        found
    }

    /// Runs through a time in which nothing happens: no token is renewed before it is due, and none expires.
    async fn stay_quiet(&mut self) -> Violations {
        let before = self.world.simulator.calls().len();
        for pause in QUIET {
            self.pass(pause).await;
            self.run(Process(0), Run::Renew).await;
        }
        let mut found = self.wrong_about_accounts().await;
        let mut issues: BTreeMap<String, Vec<Timestamp>> = BTreeMap::new();
        for call in self.world.simulator.calls().split_off(before) {
            if call.path == paths::AUTHORIZER_TOKEN && call.outcome == CallOutcome::Done {
                let account = call.fields["authorizer_appid"].as_str().unwrap_or_default().to_owned();
                issues.entry(account).or_default().push(call.at);
            }
        }
        for (account, times) in issues {
            let least = times.windows(2).map(|pair| pair[1].since(pair[0])).min();
            if least.is_some_and(|least| least < LEAST_BETWEEN_ISSUES) {
                found.push(format!(
                    "the token of {account} was issued again after {} min",
                    least.unwrap_or_default().as_secs() / 60
                ));
            }
        }
        found
    }
}

//! Histories of one account, code or API that fails from beginning to end: nobody else may notice.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;

use crate::generate::{self, Setting};
use crate::invariants::Violations;
use crate::model::Model;
use crate::play::Run;
use crate::search::Story;
use crate::stage::Stage;
use crate::step::{Api, Job, Process, Refusing, SHOPS, Shop, Step, Trouble};

/// A history in which something keeps failing.
#[derive(Debug, Clone)]
pub(crate) struct Sickness {
    setting: Setting,
    /// The account that fails, or whose code does.
    sick: Shop,
    trouble: Trouble,
    /// What the failing account does before each of the runs.
    steps: Vec<Step>,
}

/// The time until shortly before the first token is due.
const TO_DUE: Duration = Duration::from_mins(75);

/// The time between two runs. They continue until every token of the beginning has expired.
const TICK: Duration = Duration::from_mins(10);
const TICKS: usize = 6;

/// Longer than any of these histories.
const ALWAYS: Duration = Duration::from_hours(24);

/// Random failures of this kind.
pub(crate) fn sicknesses() -> impl Strategy<Value = Sickness> {
    let made = |(setting, sick): (Setting, Shop)| {
        (Just(setting), Just(sick), trouble(sick), prop::collection::vec(step(sick), 1..=2 * TICKS))
    };
    // The choice of the account decides whether it comes first in the index.
    (generate::setting(), generate::shop()).prop_flat_map(made).prop_map(|(setting, sick, trouble, steps)| Sickness {
        setting,
        sick,
        trouble,
        steps,
    })
}

fn step(sick: Shop) -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Does(Job::Push(0))),
        2 => Just(Step::Authorizes { shop: sick, stamp: 0 }),
        1 => Just(Step::Revokes { shop: sick, stamp: 0 }),
        1 => Just(Step::Does(Job::Message { shop: sick, follower: 0 })),
        1 => Just(Step::Does(Job::Reconcile(Process(0)))),
    ]
}

fn trouble(sick: Shop) -> impl Strategy<Value = Trouble> {
    let codes = || select(vec![-1, 40001, 40013, 45009, 45011, 50002, 61003, 61023, 99999]);
    let refused = |api, code, about| Trouble::Refusals { api, code, about, lasts: ALWAYS };
    prop_oneof![
        // An account.
        4 => (select(vec![Api::Renewal, Api::Details, Api::Any]), codes())
            .prop_map(move |(api, code)| refused(api, code, Some(sick))),
        // A code: only the sick account has one.
        2 => codes().prop_map(move |code| refused(Api::Exchange, code, None)),
        // An API.
        2 => (select(vec![Api::Details, Api::List, Api::PreAuthCode]), select(vec![-1, 45009, 45011]))
            .prop_map(move |(api, code)| refused(api, code, None)),
        1 => select(vec![Api::Exchange, Api::Details, Api::List])
            .prop_map(|api| Trouble::BadGateway { api, lasts: ALWAYS }),
        // An item.
        2 => select(vec![Refusing::ServerError, Refusing::Throttled])
            .prop_map(move |fault| Trouble::Table { fault, about: Some(sick), lasts: ALWAYS }),
    ]
}

impl Story for Sickness {
    fn length(&self) -> usize {
        self.steps.len()
    }

    async fn violations(&self, model: &Model) -> Violations {
        let mut stage = Stage::open(&self.setting, model.clone()).await;
        let [well, new] = [1, 2].map(|step| Shop((self.sick.0 + step) % SHOPS));
        // If codes are what fails, no healthy account has one.
        let codes_are_sick = matches!(
            self.trouble,
            Trouble::Refusals { api: Api::Exchange, .. } | Trouble::BadGateway { api: Api::Exchange, .. }
        );
        for shop in [well, self.sick].into_iter().chain(codes_are_sick.then_some(new)) {
            stage.take(&Step::Joins(shop)).await;
        }
        stage.pass(TO_DUE).await;
        stage.take(&Step::Fails(self.trouble)).await;
        if !codes_are_sick {
            stage.take(&Step::Joins(new)).await;
        }
        for tick in 0..TICKS {
            let from = tick * self.steps.len() / TICKS;
            let to = (tick + 1) * self.steps.len() / TICKS;
            for step in &self.steps[from..to] {
                stage.take(step).await;
            }
            stage.pass(TICK).await;
            stage.run(Process(0), Run::Renew).await;
            for shop in [well, new] {
                if !stage.accepts(&stage.account(shop).appid).await {
                    return vec![format!("account {shop} has no token that WeChat accepts, and it is not sick")];
                }
            }
        }
        Violations::new()
    }
}

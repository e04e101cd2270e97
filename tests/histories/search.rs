//! The search for histories after which an invariant fails, and the report of the shortest ones.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::generate::{interleaved, ordered, restless};
use crate::invariants::Violations;
use crate::model::Model;
use crate::sick::sicknesses;

/// A random history that can be played.
pub(crate) trait Story: fmt::Debug {
    /// How many steps it has.
    fn length(&self) -> usize;

    /// Plays it to its end. Returns the violations; the story is recorded in `model`.
    fn violations(&self, model: &Model) -> impl Future<Output = Violations>;
}

/// A failing history, simplified as far as possible.
struct Failure {
    seed: u64,
    steps: usize,
    told: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FIRST_SEED={} HISTORIES=1: {} steps\n{}", self.seed, self.steps, self.told)
    }
}

/// The most histories that are played to simplify a failing one.
const SIMPLER: u32 = 400;

#[test]
fn everything_holds_after_any_history() {
    search(&ordered, 160);
}

#[test]
fn events_keep_their_order_while_an_account_comes_and_goes() {
    search(&restless, 30);
}

#[test]
fn everything_holds_whatever_runs_at_the_same_time() {
    search(&interleaved, 30);
}

#[test]
fn nobody_notices_that_another_is_sick() {
    search(&sicknesses, 40);
}

/// Plays `count` histories, or as many as `HISTORIES` says, from the seed 1 on or from `FIRST_SEED`.
fn search<S: Strategy<Value: Story>>(histories: &(impl Fn() -> S + Sync), count: u64) {
    let first = number("FIRST_SEED").unwrap_or(1);
    let end = first + number("HISTORIES").unwrap_or(count);
    let (next, failures) = (AtomicU64::new(first), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    if let Some(failure) = try_one(&histories(), seed) {
                        // At once, for a run of thousands; at the end they are printed again, the shortest first.
                        println!("{failure}\n");
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort_by_key(|failure| failure.steps);
    let told: Vec<String> = failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{} of {} histories fail:\n\n{}", failures.len(), end - first, told.join("\n\n"));
}

/// The longest search for a simpler history of one failing seed, in milliseconds: a run with many failing seeds must
/// still print them.
const LONGEST_SEARCH: u32 = 30_000;

/// Plays the history of a seed; if it fails, ever simpler ones, as long as they fail too.
fn try_one(histories: &impl Strategy<Value: Story>, seed: u64) -> Option<Failure> {
    let simpler = number("SIMPLER").unwrap_or(SIMPLER);
    let config = Config {
        cases: 1,
        failure_persistence: None,
        max_shrink_iters: simpler,
        max_shrink_time: LONGEST_SEARCH,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let played = runner.run(histories, |history| match play(&history) {
        None => Ok(()),
        Some(told) => Err(TestCaseError::fail(told)),
    });
    match played {
        Ok(()) => None,
        Err(TestError::Fail(told, history)) => {
            Some(Failure { seed, steps: history.length(), told: told.message().to_owned() })
        }
        Err(TestError::Abort(reason)) => panic!("seed {seed}: {reason}"),
    }
}

/// Plays a history. Returns its story if an invariant fails after it, or something panics.
fn play(history: &impl Story) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let model = Model::default();
    let played = AssertUnwindSafe(|| runtime.block_on(history.violations(&model)));
    let violations = std::panic::catch_unwind(played).unwrap_or_else(|_| vec!["something panics".to_owned()]);
    let told = std::mem::take(&mut model.record().told);
    (!violations.is_empty()).then(|| format!("{}\n=> {}", told.join("\n"), violations.join("\n=> ")))
}

#[expect(clippy::disallowed_methods, reason = "how much is tried is for whoever runs the tests to say")]
fn number<N: FromStr>(variable: &str) -> Option<N> {
    std::env::var(variable).ok()?.parse().ok()
}

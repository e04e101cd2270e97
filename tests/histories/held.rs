//! Processes that are held at a point: begun by one step, ended by another.

use std::time::Duration;

use simulator::Fault;
use stories::faults::{Held, Matching};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::stage::Stage;
use crate::step::{Job, Point};

/// A process that is held.
pub(crate) struct UnderWay {
    what: String,
    task: JoinHandle<()>,
    at: At,
}

enum At {
    /// A response of WeChat's on this path.
    Wechat(&'static str),
    /// A request to AWS.
    Aws(Held),
}

/// The longest time that anything takes once it is released: anything that takes longer hangs.
const PATIENCE: Duration = Duration::from_mins(1);

impl Stage {
    /// Begins a job and leaves it where it is held. One that never gets there is finished then.
    pub(crate) async fn begin(&mut self, job: Job, point: Point) {
        let Some(work) = self.job(job) else { return };
        let what = job.to_string();
        let mut task = tokio::spawn(work);
        let at = match point {
            Point::Answer(api) => {
                let path = api.path();
                let before = self.under_way.iter().filter(|other| other.is_held_on(path)).count();
                self.world.simulator.inject(Fault::Hold.on(path).times(1));
                tokio::select! {
                    () = self.world.simulator.until_held(path, before + 1) => Some(At::Wechat(path)),
                    done = &mut task => { done.unwrap(); None }
                }
            }
            Point::Table { passing, side } => {
                self.until_reached(&mut task, self.world.faults.hold(passing, table(), side)).await
            }
            Point::Bus(side) => {
                let bus = Matching::operation("PutEvents");
                self.until_reached(&mut task, self.world.faults.hold(0, bus, side)).await
            }
        };
        match at {
            Some(at) => self.under_way.push(UnderWay { what, task, at }),
            None => self.set_troubles(),
        }
    }

    async fn until_reached(&self, task: &mut JoinHandle<()>, mut held: Held) -> Option<At> {
        let reached = tokio::select! {
            () = held.until_reached() => true,
            done = task => { done.unwrap(); false }
        };
        reached.then_some(At::Aws(held))
    }

    /// Releases a process, with those that WeChat releases at the same moment.
    pub(crate) async fn go_on(&mut self, number: usize) {
        let Some(number) = number.checked_rem(self.under_way.len()) else { return };
        let going = self.under_way.remove(number);
        self.model.tell(format!("  {} continues", going.what));
        let mut tasks = vec![going.task];
        match going.at {
            At::Aws(held) => held.release(),
            At::Wechat(path) => {
                let others = std::mem::take(&mut self.under_way);
                let (going, held) = others.into_iter().partition(|other: &UnderWay| other.is_held_on(path));
                self.under_way = held;
                tasks.extend(going.into_iter().map(|other: UnderWay| other.task));
                self.world.simulator.release(path);
            }
        }
        for task in tasks {
            timeout(PATIENCE, task).await.expect("whatever continues ends").unwrap();
        }
    }

    /// Ends a process where it is.
    pub(crate) async fn die(&mut self, number: usize) {
        let Some(number) = number.checked_rem(self.under_way.len()) else { return };
        let dying = self.under_way.remove(number);
        self.model.tell(format!("  {} ends here", dying.what));
        dying.task.abort();
        let _ = dying.task.await;
    }
}

impl UnderWay {
    fn is_held_on(&self, path: &str) -> bool {
        matches!(self.at, At::Wechat(held) if held == path)
    }
}

/// All requests to the table.
pub(crate) fn table() -> Matching {
    Matching::any().whose_body(|body| body.contains("\"TableName\""))
}

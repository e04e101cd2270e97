//! Requests that are held until a story lets them go, or for good, as those of a process that has died.

use tokio::sync::oneshot;

use super::Matching;

/// Where a request is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Before it is forwarded.
    Before,
    /// When it has been carried out, before its answer arrives.
    After,
}

/// A request that is to be held, or is.
pub struct Held {
    reached: oneshot::Receiver<()>,
    release: oneshot::Sender<()>,
}

impl Held {
    /// Waits until the request is there.
    pub async fn until_reached(&mut self) {
        // Its other end goes only when the rules are cleared: then it never comes.
        if (&mut self.reached).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Lets the request go on. One whose [`Held`] is dropped stays where it is, as that of a process that has died.
    pub fn release(self) {
        // Fails only where whoever made the request is gone.
        let _ = self.release.send(());
    }
}

/// Which request is to be held.
pub(super) struct HoldRule {
    pub(super) matching: Matching,
    pub(super) side: Side,
    /// How many requests that match pass before.
    passing: usize,
    reached: oneshot::Sender<()>,
    release: oneshot::Receiver<()>,
}

impl HoldRule {
    pub(super) fn new(passing: usize, matching: Matching, side: Side) -> (Self, Held) {
        let (reach, reached) = oneshot::channel();
        let (release, go_on) = oneshot::channel();
        (Self { matching, side, passing, reached: reach, release: go_on }, Held { reached, release })
    }

    /// Whether this request is the one.
    pub(super) fn is_for(&mut self, operation: &str, body: &str) -> bool {
        if !self.matching.fits(operation, body) {
            return false;
        }
        let has_come = self.passing == 0;
        self.passing = self.passing.saturating_sub(1);
        has_come
    }

    /// Says that the request is there, and waits until it may go on.
    pub(super) async fn wait(self) {
        let _ = self.reached.send(());
        if self.release.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

//! Requests that are held until a story releases them, or permanently, like those of a process that has died.

use tokio::sync::oneshot;

use super::Matching;

/// The side on which a request is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Before it is forwarded.
    Before,
    /// After it has been carried out, before its response arrives.
    After,
}

/// A request that will be held, or is.
pub struct Held {
    reached: oneshot::Receiver<()>,
    release: oneshot::Sender<()>,
}

impl Held {
    /// Waits until the request has arrived.
    pub async fn until_reached(&mut self) {
        // Its other end is dropped only when the rules are cleared: then the request never comes.
        if (&mut self.reached).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Releases the request. One whose [`Held`] is dropped stays held, like that of a process that has died.
    pub fn release(self) {
        // Fails only if the sender of the request is gone.
        let _ = self.release.send(());
    }
}

/// The rule for a request that will be held.
pub(super) struct HoldRule {
    pub(super) matching: Matching,
    pub(super) side: Side,
    /// The number of matching requests that pass before.
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

    /// Reports that the request has arrived, and waits until it is released.
    pub(super) async fn wait(self) {
        let _ = self.reached.send(());
        if self.release.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

//! Time-outs for responses, and work that must not be cancelled.

use std::future::Future;

use tokio::time::{Instant, timeout_at};
use tracing::Instrument as _;

use super::InternalError;

/// Runs work as a task of its own and waits for it until `bound`.
///
/// Neither a client that disconnects nor the end of the wait cancels the work: a call that issues a token or spends a
/// code continues until its result is stored. Such work must have its own time limits; `bound` is only for the
/// response. The task begins with the call, not when the result is first awaited.
///
/// # Errors
/// [`InternalError::Timeout`] at `bound`, [`InternalError::Panicked`] if the work panicked.
pub fn spawn_with_timeout<T: Send + 'static>(
    bound: Instant,
    work: impl Future<Output = T> + Send + 'static,
) -> impl Future<Output = Result<T, InternalError>> + Send {
    let done = spawn_and_wait(work);
    async move { timeout_at(bound, done).await.map_err(|_| InternalError::Timeout)? }
}

/// Runs work as a task of its own and waits until it has ended, however long that takes: in the cloud nothing continues
/// after the response is sent. The task begins with the call.
///
/// # Errors
/// [`InternalError::Panicked`] if the work panicked.
pub fn spawn_and_wait<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> impl Future<Output = Result<T, InternalError>> + Send {
    let task = tokio::spawn(work.in_current_span());
    async move { task.await.map_err(|_| InternalError::Panicked) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn work_continues_although_nobody_waits_for_it() {
        let (release, released) = oneshot::channel::<()>();
        let (done, finished) = oneshot::channel();
        let work = async move {
            released.await.unwrap();
            done.send(()).unwrap();
        };
        let answer = spawn_with_timeout(Instant::now() + Duration::from_millis(1), work).await;
        assert!(matches!(answer, Err(InternalError::Timeout)), "{answer:?}");
        release.send(()).unwrap();
        finished.await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_not_a_lost_connection() {
        let answer = spawn_with_timeout(Instant::now() + Duration::from_secs(5), async { panic!("a defect") }).await;
        assert!(matches!(answer, Err::<(), _>(InternalError::Panicked)));
    }
}

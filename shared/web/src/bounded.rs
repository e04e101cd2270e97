//! An answer in time, and work that is not torn off.

use std::future::Future;

use tokio::time::{Instant, timeout_at};

use super::Trouble;

/// Runs work as a task of its own and waits for it until `bound`.
///
/// A client that goes away, or a wait that ends, does not cancel the work: a call that issues a token or spends a code
/// goes on until what it brought is written down. Work that is done this way must bound itself; `bound` is only for the
/// answer.
///
/// # Errors
/// [`Trouble::Late`] at `bound`, [`Trouble::Panicked`] where the work panicked.
pub async fn run_to_end<T: Send + 'static>(
    bound: Instant,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Trouble> {
    timeout_at(bound, unbroken(work)).await.map_err(|_| Trouble::Late)?
}

/// Runs work as a task of its own and waits until it has ended, however long that takes: in the cloud nothing goes on
/// after the answer is out.
///
/// # Errors
/// [`Trouble::Panicked`] where the work panicked.
pub async fn unbroken<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, Trouble> {
    tokio::spawn(work).await.map_err(|_| Trouble::Panicked)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn work_goes_on_although_nobody_waits_for_it_any_more() {
        let (release, released) = oneshot::channel::<()>();
        let (done, finished) = oneshot::channel();
        let work = async move {
            released.await.unwrap();
            done.send(()).unwrap();
        };
        let answer = run_to_end(Instant::now() + Duration::from_millis(1), work).await;
        assert!(matches!(answer, Err(Trouble::Late)), "{answer:?}");
        release.send(()).unwrap();
        finished.await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_is_trouble_and_not_a_torn_connection() {
        let answer = run_to_end(Instant::now() + Duration::from_secs(5), async { panic!("a defect") }).await;
        assert!(matches!(answer, Err::<(), _>(Trouble::Panicked)));
    }
}

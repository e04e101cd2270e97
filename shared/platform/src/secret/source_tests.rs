//! Tests of [`super`]: the real SDK client with an in-memory Secrets Manager, and time moved by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::clock::ManualClock;
use runtime::telemetry::Measure;
use serde_json::json;

use super::*;
use crate::head_start::head_start;
use crate::secret::fake::{Manager, Outage};

const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";

struct Stage {
    manager: Manager,
    clock: Arc<ManualClock>,
    served_stale: Arc<AtomicU64>,
    source: Arc<PlatformSource>,
}

impl Stage {
    fn new(token: &str) -> Self {
        let manager = Manager::default();
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix(1_700_000_000)));
        let served_stale = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&served_stale);
        let metrics = Metrics::from_fn(move |metric| {
            assert_eq!(metric.measure, Measure::SecretServedStale);
            counter.fetch_add(1, Ordering::SeqCst);
        });
        let limits = Limits {
            secrets_try: Duration::from_millis(20),
            secrets: Duration::from_millis(50),
            ..Limits::interactive()
        };
        let shared_clock: SharedClock = Arc::clone(&clock) as SharedClock;
        let source = PlatformSource::new(manager.client(), "platform", shared_clock, limits, metrics);
        let stage = Self { manager, clock, served_stale, source: Arc::new(source) };
        stage.store(token);
        stage
    }

    fn store(&self, token: &str) {
        let secret = json!({
            "component_appid": format!("wx{token}"),
            "component_appsecret": "app-secret",
            "token": token,
            "encoding_aes_key": KEY,
        });
        self.manager.store(&secret);
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// The appid that was read, which identifies the version of the secret.
    async fn current(&self) -> Result<String, PlatformError> {
        self.source.current().await.map(|platform| platform.component.to_string())
    }
}

#[tokio::test]
async fn a_secret_is_read_once_in_five_minutes() {
    let stage = Stage::new("one");
    assert_eq!(stage.current().await.unwrap(), "wxone");
    stage.store("two");
    stage.pass(299);
    assert_eq!(stage.current().await.unwrap(), "wxone");
    assert_eq!(stage.manager.reads(), 1);
    stage.pass(1);
    assert_eq!(stage.current().await.unwrap(), "wxtwo");
    assert_eq!(stage.manager.reads(), 2);
}

#[tokio::test]
async fn many_concurrent_callers_cause_one_read() {
    let stage = Stage::new("one");
    let callers = (0..50).map(|_| stage.current());
    assert!(futures::future::join_all(callers).await.iter().all(Result::is_ok));
    assert_eq!(stage.manager.reads(), 1);

    let doubted = stage.source.current().await.unwrap();
    stage.store("two");
    let doubters = (0..50).map(|_| stage.source.reread(&doubted));
    for newer in futures::future::join_all(doubters).await {
        assert_eq!(newer.unwrap().component.as_str(), "wxtwo");
    }
    assert_eq!(stage.manager.reads(), 2);
}

#[tokio::test]
async fn doubts_cause_a_read_at_most_once_a_minute_also_when_it_fails() {
    for outage in [None, Some(Outage::Denied)] {
        let stage = Stage::new("one");
        let doubted = stage.source.current().await.unwrap();
        stage.manager.outage(outage);
        assert_eq!(stage.source.reread(&doubted).await.is_none(), outage.is_some());
        assert_eq!(stage.manager.reads(), 2);
        let doubted = stage.source.current().await.unwrap();
        stage.pass(59);
        assert!(stage.source.reread(&doubted).await.is_none());
        assert_eq!(stage.manager.reads(), 2);
        stage.pass(1);
        drop(stage.source.reread(&doubted).await);
        assert_eq!(stage.manager.reads(), 3);
    }
}

#[tokio::test]
async fn a_secret_stays_in_use_while_secrets_manager_is_away() {
    let stage = Stage::new("one");
    stage.current().await.unwrap();
    stage.manager.outage(Some(Outage::Denied));
    stage.pass(300);
    for _ in 0..3 {
        assert_eq!(stage.current().await.unwrap(), "wxone");
    }
    assert_eq!((stage.manager.reads(), stage.served_stale.load(Ordering::SeqCst)), (2, 3));
    stage.pass(60);
    stage.manager.outage(None);
    stage.store("two");
    assert_eq!(stage.current().await.unwrap(), "wxtwo");
    assert_eq!(stage.served_stale.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn one_request_does_not_wait_twice_for_a_secrets_manager_that_is_away() {
    let stage = Stage::new("one");
    stage.current().await.unwrap();
    stage.manager.outage(Some(Outage::Silent));
    stage.pass(300);
    let doubted = stage.source.current().await.unwrap();
    let reads = stage.manager.reads();
    assert!(stage.source.reread(&doubted).await.is_none());
    assert_eq!(stage.manager.reads(), reads);
}

#[tokio::test]
async fn a_secret_that_became_unusable_does_not_replace_the_good_one() {
    let stage = Stage::new("one");
    stage.current().await.unwrap();
    stage.pass(300);
    stage.manager.store(&"{}");
    assert_eq!(stage.current().await.unwrap(), "wxone");
}

#[tokio::test]
async fn without_a_secret_the_reason_is_reported_and_strangers_cannot_cause_reads() {
    let stage = Stage::new("one");
    stage.manager.store(&"");
    for _ in 0..3 {
        assert_eq!(stage.current().await.unwrap_err(), PlatformError::NotConfigured);
    }
    assert_eq!(stage.manager.reads(), 1);
    stage.pass(5);
    stage.manager.outage(Some(Outage::Denied));
    assert_eq!(stage.current().await.unwrap_err(), PlatformError::Unreadable("AccessDeniedException".into()));
    stage.pass(5);
    stage.manager.outage(None);
    stage.store("one");
    assert_eq!(stage.current().await.unwrap(), "wxone");
}

#[tokio::test]
async fn a_secrets_manager_that_never_responds_is_given_up() {
    let stage = Stage::new("one");
    stage.manager.outage(Some(Outage::Silent));
    assert_eq!(stage.current().await.unwrap_err(), PlatformError::Unreadable("timeout".into()));
}

#[tokio::test]
async fn a_caller_that_gives_up_does_not_block_the_others() {
    let stage = Stage::new("one");
    stage.manager.outage(Some(Outage::Silent));
    let answered = tokio::select! {
        biased;
        _ = stage.source.current() => true,
        () = tokio::task::yield_now() => false,
    };
    assert!(!answered);
    stage.manager.outage(None);
    assert_eq!(stage.current().await.unwrap(), "wxone");
}

#[tokio::test]
async fn what_is_read_ahead_is_used_and_a_failure_to_read_ahead_is_forgotten() {
    let stage = Stage::new("1");
    for outage in [Outage::Denied, Outage::Silent] {
        stage.manager.outage(Some(outage));
        head_start(stage.source.limits.head_start, [Box::pin(stage.source.read_ahead())]).await;
    }
    stage.manager.outage(None);
    stage.source.read_ahead().await;
    let reads = stage.manager.reads();
    assert_eq!(stage.current().await.unwrap(), "wx1");
    assert_eq!(stage.manager.reads(), reads);

    let stage = Stage::new("2");
    stage.manager.outage(Some(Outage::Denied));
    stage.source.read_ahead().await;
    stage.manager.outage(None);
    assert_eq!(stage.current().await.unwrap(), "wx2");
}

//! What every step of an event's work needs, passed down as plain data.

use std::time::Duration;

use base::clock::{SharedClock, Timestamp};
use base::limits::{LEASE_LEFT_TO_CALL, Limits};
use base::random::Random;
use runtime::telemetry::{Measure, Metric, Metrics};
use tokio::time::Instant;
use wechat::api::WechatError;

/// Clock, random bytes, metrics and bounds of one event.
#[derive(Clone)]
pub struct Context {
    /// Where the rules read the time.
    pub clock: SharedClock,
    /// Random bytes.
    pub random: Random,
    /// Where metrics go.
    pub metrics: Metrics,
    /// Bounds on every wait.
    pub limits: Limits,
    /// When calls of WeChat must have ended; `None` if only the limits bound them.
    pub deadline: Option<Instant>,
}

impl Context {
    /// The present instant, by the rules' clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether a call that issues or spends may begin: its result must be written down before the lease ends at `until`,
    /// and it must not be cut short by our own deadline, when WeChat has done it and the response is lost.
    pub(crate) fn may_still_call(&self, until: Timestamp) -> Result<(), WechatError> {
        let lease_suffices = until.since(self.now()) >= LEASE_LEFT_TO_CALL;
        if lease_suffices && self.has_time_for_call(Duration::ZERO) { Ok(()) } else { Err(WechatError::not_started()) }
    }

    /// Whether a call that begins after a pause can still be made before the deadline.
    #[must_use]
    pub fn has_time_for_call(&self, pause: Duration) -> bool {
        let end = Instant::now() + pause + self.limits.least_for_call;
        self.deadline.is_none_or(|deadline| end <= deadline)
    }

    /// Half to all of the polling interval, so that many that wait do not read at the same moment.
    pub(crate) fn pause(&self) -> Duration {
        let half = self.limits.poll / 2;
        half + Duration::from_micros(self.random.up_to(u64::try_from(half.as_micros()).unwrap_or(0)))
    }

    /// [`report_wechat`], to the metrics of this event.
    pub fn report(&self, what: &str, error: &WechatError) {
        report_wechat(&self.metrics, what, error);
    }
}

/// Logs a failed call where it is handled, and counts it by its code. An operator has to act on some of them: those are
/// errors, the others pass.
pub fn report_wechat(metrics: &Metrics, what: &str, error: &WechatError) {
    let code = error.code_label();
    let mut metric = Metric::count(Measure::WechatRefused, 1).by(code.clone());
    let refusal = error.refusal();
    let rid = refusal.and_then(|refusal| refusal.rid.as_deref()).unwrap_or("none");
    if let Some(address) = refusal.and_then(|refusal| refusal.refused_ip) {
        metric = metric.noting("ip_to_whitelist", address.to_string());
        tracing::error!(
            code, rid, ip_to_whitelist = %address,
            "{what}: WeChat refuses calls from {address}: add it to 白名单IP地址列表 in WeChat's console"
        );
    } else if error.needs_operator() {
        tracing::error!(code, rid, "{what}: {error}");
    } else {
        tracing::warn!(code, rid, "{what}: {error}");
    }
    metrics.put(&metric);
}

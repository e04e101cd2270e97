//! What every step of handling an event needs, passed down as plain data.

use std::time::Duration;

use base::clock::{SharedClock, Timestamp};
use base::limits::{LEASE_LEFT_TO_CALL, Limits};
use base::random::Random;
use runtime::telemetry::{Measure, Metric, Metrics};
use tokio::time::Instant;
use wechat::api::WechatError;

/// Clock, random bytes, metrics and time limits of one event.
#[derive(Clone)]
pub struct Context {
    /// The clock that all rules go by.
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

    /// Checks whether a call that issues or spends something may begin: its result must be stored before the lease ends
    /// at `until`, and our own deadline must not cut it short, because then WeChat has executed it and the response is
    /// lost.
    pub(crate) fn may_still_call(&self, until: Timestamp) -> Result<(), WechatError> {
        let lease_suffices = until.since(self.now()) >= LEASE_LEFT_TO_CALL;
        if lease_suffices && self.has_time_for_call(Duration::ZERO) { Ok(()) } else { Err(WechatError::not_started()) }
    }

    /// Whether there is time, after a pause, for a call before the deadline.
    #[must_use]
    pub fn has_time_for_call(&self, pause: Duration) -> bool {
        let end = Instant::now() + pause + self.limits.least_for_call;
        self.deadline.is_none_or(|deadline| end <= deadline)
    }

    /// A random pause of half to all of the polling interval, so that many waiting processes do not read at the same
    /// moment.
    pub(crate) fn pause(&self) -> Duration {
        let half = self.limits.poll / 2;
        half + Duration::from_micros(self.random.up_to(u64::try_from(half.as_micros()).unwrap_or(0)))
    }

    /// [`report_wechat`] with the metrics of this event.
    pub fn report(&self, what: &str, error: &WechatError) {
        report_wechat(&self.metrics, what, error);
    }
}

/// Logs a failed call where it is handled, and counts it by its code. The level is `error` if an operator has to act,
/// otherwise `warn`.
pub fn report_wechat(metrics: &Metrics, what: &str, error: &WechatError) {
    let code = error.code_label();
    let mut metric = Metric::count(Measure::WechatRefused, 1).with_dimension(code.clone());
    let refusal = error.refusal();
    let rid = refusal.and_then(|refusal| refusal.rid.as_deref()).unwrap_or("none");
    if let Some(address) = refusal.and_then(|refusal| refusal.refused_ip) {
        metric = metric.with_property("ip_to_whitelist", address.to_string());
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

//! Logs and metrics.
//!
//! Logs go to standard error, one JSON object a line in the cloud. Metrics are lines in CloudWatch's embedded format on
//! standard output: CloudWatch Logs turns them into metrics, no call is made and no permission is needed. Neither ever
//! carries a secret, a ticket, a token, a code or a message body.

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tracing_subscriber::EnvFilter;

use crate::clock::SharedClock;

/// CloudWatch's namespace of all our metrics.
pub const NAMESPACE: &str = "WechatPlatform";

/// What a metric counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Occurrences.
    Count,
    /// A duration or an age.
    Seconds,
}

impl Unit {
    const fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Seconds => "Seconds",
        }
    }
}

/// One measured value.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Its name, such as `second_issuer`.
    pub name: &'static str,
    /// What it counts in.
    pub unit: Unit,
    /// The value.
    pub value: f64,
    /// The one dimension it is split by, such as `("reason", "signature")`.
    pub dimension: Option<(&'static str, String)>,
    /// What an operator needs to know beside it, such as the address to whitelist. Not a dimension.
    pub note: Option<(&'static str, String)>,
}

impl Metric {
    /// `count` occurrences.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub const fn count(name: &'static str, count: u64) -> Self {
        Self { name, unit: Unit::Count, value: count as f64, dimension: None, note: None }
    }

    /// A duration.
    #[must_use]
    pub const fn seconds(name: &'static str, duration: std::time::Duration) -> Self {
        Self { name, unit: Unit::Seconds, value: duration.as_secs_f64(), dimension: None, note: None }
    }

    /// Splits the metric by a dimension with few values.
    #[must_use]
    pub fn by(self, name: &'static str, value: impl Into<String>) -> Self {
        Self { dimension: Some((name, value.into())), ..self }
    }

    /// Adds a property that is searchable in the log and no dimension.
    #[must_use]
    pub fn noting(self, name: &'static str, value: impl Into<String>) -> Self {
        Self { note: Some((name, value.into())), ..self }
    }
}

type Sink = dyn Fn(&Metric) + Send + Sync;

/// Where metrics go; clones share it.
#[derive(Clone)]
pub struct Metrics(Arc<Sink>);

impl Metrics {
    /// CloudWatch's embedded metric format on standard output.
    #[must_use]
    pub fn embedded(clock: SharedClock) -> Self {
        Self::from_fn(move |metric| {
            let line = embedded_line(metric, clock.now().unix().saturating_mul(1000));
            // A metric that cannot be written must not cost the work it tells of.
            drop(writeln!(std::io::stdout().lock(), "{line}"));
        })
    }

    /// A sink under the caller's control: tests collect, `cargo run` logs.
    #[must_use]
    pub fn from_fn(sink: impl Fn(&Metric) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// Hands a value over.
    pub fn put(&self, metric: &Metric) {
        (self.0)(metric);
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// One line of the embedded metric format, version 0 of its specification.
fn embedded_line(metric: &Metric, milliseconds: i64) -> Value {
    let dimensions: Vec<&str> = metric.dimension.iter().map(|(name, _)| *name).collect();
    let mut line = Map::new();
    line.insert(
        "_aws".into(),
        json!({
            "Timestamp": milliseconds,
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [dimensions],
                "Metrics": [{ "Name": metric.name, "Unit": metric.unit.name() }],
            }],
        }),
    );
    line.insert(metric.name.into(), json!(metric.value));
    for (name, value) in metric.dimension.iter().chain(&metric.note) {
        line.insert((*name).into(), json!(value));
    }
    Value::Object(line)
}

/// Starts the log of a function: JSON lines, filtered by `RUST_LOG`, by default `info`.
///
/// A filter that cannot be parsed falls back to `info`: a typing error in a log setting must not stop the tokens.
pub fn init_logs(filter: Option<&str>) {
    let filter = EnvFilter::try_new(filter.unwrap_or("info")).unwrap_or_else(|_| EnvFilter::new("info"));
    let started = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(true)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
    // Only a second call fails, and then logging already runs.
    drop(started);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_one_line_of_the_embedded_format() {
        let metric = Metric::count("push_refused", 2).by("reason", "signature").noting("route", "/wechat/events");
        assert_eq!(
            embedded_line(&metric, 1_700_000_000_000),
            json!({
                "_aws": {
                    "Timestamp": 1_700_000_000_000_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "WechatPlatform",
                        "Dimensions": [["reason"]],
                        "Metrics": [{ "Name": "push_refused", "Unit": "Count" }],
                    }],
                },
                "push_refused": 2.0,
                "reason": "signature",
                "route": "/wechat/events",
            })
        );
    }
}

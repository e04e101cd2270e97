//! Logs and metrics.
//!
//! Logs go to standard error, one JSON object a line in the cloud. Metrics are lines in CloudWatch's embedded metric
//! format on standard output: CloudWatch Logs turns them into metrics, without a call or a permission. Neither ever
//! contains a secret, a ticket, a token, a code or a message body.

mod measure;
mod throttle;

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use base::clock::SharedClock;
use serde_json::{Map, Value, json};
use tracing::{Level, Span, Subscriber};
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry};

use crate::config::{Environment as _, ProcessEnvironment};

pub use self::measure::{Measure, Unit};
pub use self::throttle::LogThrottle;

/// One measured value.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// The metric.
    pub measure: Measure,
    /// The value.
    pub value: f64,
    /// The one dimension it is split by, such as `("reason", "signature")`.
    pub dimension: Option<(&'static str, String)>,
    /// A property that an operator needs in addition, such as the address to allow in WeChat's console. Not a
    /// dimension.
    pub note: Option<(&'static str, String)>,
}

impl Metric {
    /// A count.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub const fn count(measure: Measure, count: u64) -> Self {
        Self::new(measure, count as f64)
    }

    /// A duration.
    #[must_use]
    pub const fn seconds(measure: Measure, duration: std::time::Duration) -> Self {
        Self::new(measure, duration.as_secs_f64())
    }

    const fn new(measure: Measure, value: f64) -> Self {
        Self { measure, value, dimension: None, note: None }
    }

    /// Sets the value of the metric's dimension; without effect on a metric that has none.
    #[must_use]
    pub fn with_dimension(self, value: impl Into<String>) -> Self {
        Self { dimension: self.measure.dimension().map(|name| (name, value.into())), ..self }
    }

    /// Its name in CloudWatch.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.measure.name()
    }

    /// Adds a property that can be searched for in the log but is not a dimension.
    #[must_use]
    pub fn with_property(self, name: &'static str, value: impl Into<String>) -> Self {
        Self { note: Some((name, value.into())), ..self }
    }

    /// One line of the embedded metric format, version 0 of its specification.
    #[must_use]
    pub fn embedded(&self, namespace: &str, milliseconds: i64) -> Value {
        let split = self.dimension.iter().map(|(name, _)| vec![*name]);
        let total = self.measure.has_total().then(Vec::new);
        let dimensions: Vec<Vec<&str>> = total.into_iter().chain(split).collect();
        let mut line = Map::new();
        line.insert(
            "_aws".into(),
            json!({
                "Timestamp": milliseconds,
                "CloudWatchMetrics": [{
                    "Namespace": namespace,
                    "Dimensions": dimensions,
                    "Metrics": [{ "Name": self.name(), "Unit": self.measure.unit().name() }],
                }],
            }),
        );
        line.insert(self.name().into(), json!(self.value));
        for (name, value) in self.dimension.iter().chain(&self.note) {
            line.insert((*name).into(), json!(value));
        }
        Value::Object(line)
    }
}

type Sink = dyn Fn(&Metric) + Send + Sync;

/// A sink of metrics; clones share it.
#[derive(Clone)]
pub struct Metrics(Arc<Sink>);

impl Metrics {
    /// Writes CloudWatch's embedded metric format to standard output, in the given CloudWatch namespace.
    #[must_use]
    pub fn embedded(namespace: String, clock: SharedClock) -> Self {
        Self::from_fn(move |metric| {
            let line = metric.embedded(&namespace, clock.now().unix().saturating_mul(1000));
            // A metric that cannot be written must not cost the work it measures.
            drop(writeln!(std::io::stdout().lock(), "{line}"));
        })
    }

    /// A sink under the caller's control: tests collect, `cargo run` logs.
    #[must_use]
    pub fn from_fn(sink: impl Fn(&Metric) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// Publishes a value.
    pub fn put(&self, metric: &Metric) {
        (self.0)(metric);
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// The crates whose lines may be more detailed than `info`: ours.
///
/// At `debug` and `trace` the libraries print what passes through them: the AWS SDK whole requests and responses with
/// the tokens in them, `lambda_runtime` whole events. `RUST_LOG` cannot lift this limit. The list names our crates, not
/// theirs, so that it also covers libraries that are added later.
const OUR_CRATES: [&str; 21] = [
    "base",
    "design",
    "wechat",
    "runtime",
    "store",
    "diagnosis",
    "platform",
    "web",
    "ticket_push",
    "account_api",
    "token_api",
    "wechat_calls",
    "web_login",
    "preauth_link",
    "oauth_callback",
    "token_refresher",
    "account_push",
    "console",
    "simulator",
    "local",
    "ops",
];

/// The span of one invocation: every log line in it has the request id, as `span.request_id`. API Gateway's access log
/// has the same id.
#[must_use]
pub fn invocation(request_id: &str) -> Span {
    tracing::info_span!(INVOCATION, request_id)
}

/// The only span that is recorded, whatever the filter says: in the lines, spans of libraries would replace it.
const INVOCATION: &str = "invocation";

/// Whether a line's target is one of our crates.
#[must_use]
pub fn is_ours(target: &str) -> bool {
    OUR_CRATES.contains(&target.split("::").next().unwrap_or(target))
}

/// Whether a line of this level may be printed for a target, whatever `RUST_LOG` says.
fn may_be_printed(target: &str, level: Level) -> bool {
    level <= Level::INFO || is_ours(target)
}

/// Runs a function's process: starts its log and reports how it ends. If it cannot start, or its runtime API is gone,
/// the log says so in a sentence; `main` would print the error's `Debug`.
///
/// The log is JSON lines, filtered by `RUST_LOG`, by default `info`; libraries print at most `info`. The filter is a
/// list of levels and `target=level`, such as `warn,store=info`. A released binary contains no lines below `info` at
/// all: the libraries' lines are never printed but were a tenth of its size, and the functions write none. A filter
/// that cannot be parsed falls back to `info`: a typing error in a log setting must not stop token renewal.
pub async fn run(function: impl Future<Output = Result<(), impl fmt::Display>>) -> ExitCode {
    // Only a second call fails, and then logging is already set up.
    drop(subscriber(ProcessEnvironment.get("RUST_LOG").as_deref(), std::io::stderr).try_init());
    match function.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("the function ends: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Starts the same log in a readable form, for `cargo run` in a terminal.
pub fn init_readable_logs(filter: Option<&str>) {
    let lines = tracing_subscriber::fmt::layer().with_target(false).compact().with_writer(std::io::stderr);
    // Only a second call fails, and then logging is already set up.
    drop(filtered(filter, lines).try_init());
}

/// The log that [`run`] starts, with another writer, so that tests can read it.
pub fn subscriber<W>(filter: Option<&str>, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(true)
        .with_writer(writer);
    filtered(filter, lines)
}

fn filtered<L>(filter: Option<&str>, lines: L) -> impl Subscriber + Send + Sync
where
    L: Layer<Registry> + Send + Sync,
{
    let info = || Targets::new().with_default(Level::INFO);
    let wanted = filter.and_then(|filter| filter.parse::<Targets>().ok()).unwrap_or_else(info);
    let allowed = filter_fn(move |it| {
        if it.is_span() {
            return it.name() == INVOCATION;
        }
        wanted.would_enable(it.target(), it.level()) && may_be_printed(it.target(), *it.level())
    });
    tracing_subscriber::registry().with(lines).with(allowed)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tracing::level_filters::LevelFilter;

    use super::*;

    #[test]
    fn a_metric_is_one_line_of_the_embedded_format() {
        let metric =
            Metric::count(Measure::PushRefused, 2).with_dimension("signature").with_property("route", "/wechat/events");
        assert_eq!(
            metric.embedded("WechatPlatform/shop", 1_700_000_000_000),
            json!({
                "_aws": {
                    "Timestamp": 1_700_000_000_000_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "WechatPlatform/shop",
                        "Dimensions": [[], ["reason"]],
                        "Metrics": [{ "Name": "push_refused", "Unit": "Count" }],
                    }],
                },
                "push_refused": 2.0,
                "reason": "signature",
                "route": "/wechat/events",
            })
        );
    }

    #[test]
    fn a_total_that_no_alarm_looks_at_is_not_published() {
        let metric = Metric::count(Measure::PushStored, 1).with_dimension("authorized");
        let line = metric.embedded("WechatPlatform", 0);
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["kind"]]));
    }

    #[test]
    fn a_metric_without_a_dimension_is_its_total() {
        let metric = Metric::seconds(Measure::TicketAge, std::time::Duration::from_secs(30)).with_dimension("nothing");
        let line = metric.embedded("WechatPlatform", 0);
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Dimensions"], json!([[]]));
        assert_eq!(directive["Metrics"], json!([{ "Name": "ticket_age", "Unit": "Seconds" }]));
        assert_eq!(line["ticket_age"], 30.0);
    }

    /// The lines, from libraries and from us, that a filter lets through.
    fn printed(filter: &str) -> Vec<String> {
        let log = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&log);
        let writer = move || Collector(Arc::clone(&writer));
        tracing::subscriber::with_default(subscriber(Some(filter), writer), || {
            tracing::trace!(target: "aws_smithy_runtime::client::orchestrator", "sdk trace");
            tracing::debug!(target: "hyper_util::client::legacy", "http debug");
            tracing::trace!(target: "lambda_runtime", "event trace");
            tracing::trace!(target: "store_of_others", "stranger trace");
            tracing::info!(target: "aws_config", "sdk info");
            tracing::trace!(target: "store::token", "our trace");
            tracing::debug!(target: "token_refresher", "our debug");
        });
        let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
        let message = |line: &str| serde_json::from_str::<Value>(line).unwrap()["message"].as_str().unwrap().to_owned();
        log.lines().map(message).collect()
    }

    struct Collector(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Collector {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_filter_makes_a_library_print_more_than_info() {
        let expected: &[&str] = match tracing::level_filters::STATIC_MAX_LEVEL {
            LevelFilter::TRACE => &["sdk info", "our trace", "our debug"],
            _ => &["sdk info"],
        };
        assert_eq!(printed("trace"), expected);
        assert_eq!(printed("trace,aws_smithy_runtime=trace,hyper_util=debug,lambda_runtime=trace"), expected);
        assert_eq!(printed("info"), ["sdk info"]);
        assert_eq!(printed("warn,store=debug"), Vec::<String>::new());
        assert_eq!(printed("not=a=filter"), ["sdk info"]);
    }

    #[test]
    fn every_line_of_an_invocation_has_its_request_id_whatever_is_filtered() {
        let log = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&log);
        let writer = move || Collector(Arc::clone(&writer));
        tracing::subscriber::with_default(subscriber(Some("error"), writer), || {
            tracing::error!("before");
            invocation("8476a536").in_scope(|| {
                let library = tracing::info_span!("a span of a library", token = "s3cret");
                library.in_scope(|| tracing::error!(authorizer = "wx1", "inside"));
            });
        });
        let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
        let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["span"], Value::Null);
        assert_eq!(lines[1]["span"], json!({ "name": "invocation", "request_id": "8476a536" }));
        assert_eq!(lines[1]["authorizer"], "wx1");
    }

    #[test]
    fn the_crates_that_may_print_more_are_those_of_the_workspace() {
        let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml")).unwrap();
        let ours = manifest.lines().filter(|line| line.contains("path = ")).filter_map(|line| line.split(' ').next());
        // These crates are in test binaries only, which do not start the log.
        let ours = ours.filter(|name| !["stories", "test-support"].contains(name));
        let mut ours: Vec<String> = ours.map(|name| name.replace('-', "_")).collect();
        let mut listed = OUR_CRATES.map(str::to_owned);
        ours.sort_unstable();
        listed.sort_unstable();
        assert_eq!(ours, listed);
    }
}

//! The Lambda function for the schedules and the table's stream.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use base::clock::{Clock as _, SystemClock};
use base::limits::Limits;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use platform::bus::Bus;
use platform::secret::PlatformError;
use platform::services::Services;
use platform::webhook::{AddressPolicy, Webhook};
use runtime::aws;
use runtime::config::{BusConfig, EventConfig, ProcessEnvironment};
use runtime::telemetry;
use serde_json::Value;
use token_refresher::{EVENT_WEBHOOK, Refresher, Report, RunError, Settings, Targets, Task};
use tokio::time::Instant;
use tracing::Instrument as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::run(Box::pin(serve())).await
}

async fn serve() -> Result<(), lambda_runtime::Error> {
    let settings = Settings::read(&ProcessEnvironment)?;
    let bus = BusConfig::read(&ProcessEnvironment)?;
    let events = EventConfig::read(&ProcessEnvironment)?;
    let limits = Limits::background();
    let aws = aws::config().await;
    let services = Services::on(&aws, &ProcessEnvironment, limits)?;
    services.get_ready().await;
    // A constant: no variable may let a webhook reach the network that the function is in.
    let policy = AddressPolicy::public_only();
    let targets = Targets {
        bus: Bus::new(aws::event_bus_client(&aws, &limits), &bus.bus),
        webhook: events.webhook.map(|url| Webhook::new(url, policy, &EVENT_WEBHOOK)).transpose()?,
        public_base: events.public_base,
    };
    let refresher = Arc::new(Refresher::new(services, targets, settings));
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        let refresher = Arc::clone(&refresher);
        let span = telemetry::invocation(&event.context.request_id);
        async move {
            handle(&refresher, event).await.map_err(|error| {
                // The runtime reports it to Lambda only, and the scheduler does not pass it on.
                tracing::error!("the run did nothing: {error}");
                Diagnostic { error_type: "RunError".into(), error_message: error.to_string() }
            })
        }
        .instrument(span)
    }))
    .await
}

/// Returns the report, or `None` while the secret is still empty, as after the first deployment. An empty secret is not a
/// failure: it would put a message into the dead-letter queue every five minutes, and the missing heartbeat already
/// raises the alarm.
async fn handle(refresher: &Refresher, event: LambdaEvent<Value>) -> Result<Option<Report>, RunError> {
    let deadline = event.context.deadline();
    let left = deadline.duration_since(UNIX_EPOCH).unwrap_or_default();
    // The clock counts whole seconds: rounded up, the deadline is never later than it should be.
    let now = Duration::from_secs(u64::try_from(SystemClock.now().unix()).unwrap_or(0).saturating_add(1));
    let task = Task::parse(event.payload)?;
    match refresher.run(&task, Instant::now() + left.saturating_sub(now)).await {
        Err(RunError::Platform(error @ PlatformError::NotConfigured)) => {
            tracing::error!("the run did nothing: {error}");
            Ok(None)
        }
        ended => ended.map(Some),
    }
}

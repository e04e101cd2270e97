//! What account-push adds to a message: one at a time to a warm process, with a table, a bus and a reply webhook that
//! respond at once.
//!
//! The function's own binary calls no webhook on loopback. So the one with a webhook is built here, from the function's
//! library, and this program starts itself with [`ROLE`] to act as it.

use std::sync::Arc;
use std::time::Instant;

use account_push::{MessageService, REPLY_WEBHOOK};
use base::clock::{SharedClock, SystemClock};
use base::limits::Limits;
use base::random::Random;
use platform::bus::Bus;
use platform::secret::PlatformSource;
use platform::webhook::{AddressPolicy, Webhook};
use runtime::aws::{self, AwsClients};
use runtime::config::{BusConfig, MessageConfig, ProcessEnvironment, StoreConfig};
use runtime::telemetry::Metrics;
use serde_json::{Value, json};
use store::Table;
use web::gateway::{self, Gateway};
use wechat::push::TestAccounts;

use crate::build;
use crate::http::{Request, answer, serve};
use crate::lambda::Function;
use crate::platform::{Aws, USER_NAME, message_event};
use crate::report::{Report, median, percentile_99};

/// The argument that makes this program act as account-push.
pub(crate) const ROLE: &str = "account-push";

/// Messages before the measurement: what is read once is read then.
const WARM_UP: u32 = 20;

/// Messages to each process, alternately.
const MESSAGES: u32 = 500;

/// Messages of which the requests are counted.
const COUNTED: u32 = 50;

/// account-push with a webhook on this machine, polling for events as in the cloud.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn serve_as_account_push() -> Result<(), gateway::Error> {
    let environment = ProcessEnvironment;
    let names = StoreConfig::read(&environment)?;
    let limits = Limits::interactive();
    let aws = aws::config().await;
    let clients = AwsClients::new(&aws, &limits);
    let clock: SharedClock = Arc::new(SystemClock);
    let metrics = Metrics::embedded("Budget".to_owned(), Arc::clone(&clock));
    let platform = PlatformSource::new(clients.secrets, names.secret_id, Arc::clone(&clock), limits, metrics.clone());
    let webhook = MessageConfig::read(&environment)?.webhook;
    let webhook =
        webhook.map(|url| Webhook::new(url, AddressPolicy::this_machine_too(), &REPLY_WEBHOOK)).transpose()?;
    let router = account_push::router(MessageService {
        platform: Arc::new(platform),
        table: Table::new(clients.dynamodb, &names.table_name).access(),
        bus: Bus::new(aws::event_bus_client(&aws, &limits), &BusConfig::read(&environment)?.bus),
        webhook,
        test_accounts: TestAccounts::default(),
        clock,
        random: Random::system(),
        metrics: metrics.clone(),
        limits,
    });
    gateway::run(Gateway::new(router, metrics)).await
}

pub(crate) fn measure(report: &mut Report) {
    let webhook = serve(|_| {
        let reply = json!({ "type": "text", "content": "Thank you, we answer within the hour." });
        answer("200 OK", &[("content-type", "application/json")], &reply.to_string())
    });
    let aws = Aws::start(table);
    let mut variables = aws.variables();
    let silent = Function::start(&build::function("account-push"), &[], &variables);
    variables.push(("REPLY_WEBHOOK_URL", format!("http://{webhook}/replies")));
    let this = std::env::current_exe().expect("it runs");
    let replying = Function::start(&this, &[ROLE], &variables);
    let event = message_event();

    for _ in 0..WARM_UP {
        let (_, answer) = silent.invoke(&event);
        assert!(answer.contains("\"statusCode\":200") && !answer.contains("Encrypt"), "an empty answer: {answer}");
        let (_, answer) = replying.invoke(&event);
        assert!(answer.contains("\"statusCode\":200") && answer.contains("Encrypt"), "a sealed reply: {answer}");
    }
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..MESSAGES {
        for (function, times) in [(&silent, &mut without), (&replying, &mut with)] {
            let begun = Instant::now();
            let (answered, _) = function.invoke(&event);
            times.push((answered - begun).as_secs_f64() * 1e3);
        }
    }
    for (what, times) in [("one message", without), ("one message, with a webhook", with)] {
        let note = format!("of 100 messages, 99 within {:.2} ms", percentile_99(times.clone()));
        report.at_most(what, 3.0, median(times), "ms", &note);
    }
    for (what, function, writes, reads) in
        [("one message", &silent, 1.0, 1.0), ("one message, with a webhook", &replying, 2.0, 0.0)]
    {
        aws.counts.clear();
        for _ in 0..COUNTED {
            function.invoke(&event);
        }
        let per_message = |operations: &[&str]| {
            operations.iter().map(|operation| aws.counts.get(operation)).sum::<f64>() / f64::from(COUNTED)
        };
        report.at_most(&format!("{what}: writes"), writes, per_message(&["UpdateItem", "PutItem"]), "", "");
        report.at_most(&format!("{what}: reads"), reads, per_message(&["GetItem", "Query", "GetSecretValue"]), "", "");
        report.at_most(&format!("{what}: events"), 1.0, per_message(&["PutEvents"]), "", "");
    }
}

/// The table: every claim is granted, and the account's original id is known.
pub(crate) fn table(operation: &str, request: &Request) -> String {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let answer = match operation {
        // No arrival is stored yet.
        "GetItem" if body["Key"].to_string().contains("message-arrival") => json!({}),
        "GetItem" => json!({ "Item": { "user_name": { "S": USER_NAME } } }),
        _ => match lease_owner(&body) {
            Some(owner) => json!({ "Attributes": { "first_owner": owner } }),
            None => json!({}),
        },
    };
    answer.to_string()
}

/// The value that an update sets the attribute `lease_owner` to.
fn lease_owner(update: &Value) -> Option<&Value> {
    let (name, _) = update["ExpressionAttributeNames"].as_object()?.iter().find(|(_, name)| *name == "lease_owner")?;
    let (_, rest) = update["UpdateExpression"].as_str()?.split_once(&format!("{name} = "))?;
    update["ExpressionAttributeValues"].get(rest.split([',', ' ']).next()?)
}

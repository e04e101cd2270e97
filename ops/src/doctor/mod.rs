//! `cargo ops doctor`: examines a deployment from outside and says what is wrong with it.
//!
//! It only reads, and never calls WeChat: the most useful calls issue tokens or count against a quota. Each check is a
//! function that returns findings; one that fails does not stop the others. Every wait is bounded. The checks of the
//! table's items are those of [`diagnosis`]; ages are by this machine's clock, and the check of the clocks says how far
//! it can be trusted.

mod domains;
pub(crate) mod secret;
mod table;
pub(crate) mod web;

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;
use diagnosis::{Reads, Setup};
use runtime::aws::{AwsFailure, FailureKind};
use runtime::config::Environment;
use store::Store;
use tokio::time::timeout;

use crate::args::DoctorArgs;
use crate::deployment::{self, Addresses, Deployment, Located, Target};
use crate::explain::Explain as _;
use crate::finding::{Diagnosis, Finding};

/// The time-out for checking the table's items: up to several hundred reads.
const ITEMS: Duration = Duration::from_secs(30);

/// The finding for a failed `action`, against AWS or against its stand-in on this machine.
fn refused(check: &'static str, failure: &AwsFailure, action: &str, target: Target) -> Finding {
    let advice = match (target, failure.kind) {
        (Target::Local, FailureKind::Timeout | FailureKind::Connection) => "restart cargo run".to_owned(),
        _ => failure.advice(action),
    };
    Finding::wrong(check, failure.sentence(action), advice)
}

/// Finds the deployment that the arguments name, and examines it.
pub async fn examine(options: &DoctorArgs, environment: &impl Environment) -> Diagnosis {
    let addresses = Addresses { public: options.public_url.as_ref(), api: options.api_url.as_ref() };
    let located = deployment::locate(&options.deployment, addresses, environment).await;
    let Located { subject, mut findings, deployment } = located;
    let examined = deployment.is_some();
    if let Some(deployment) = deployment {
        findings.extend(deployment.examine().await);
    }
    Diagnosis { subject, findings, examined }
}

impl Deployment {
    /// Runs every check, independent ones concurrently.
    pub async fn examine(&self) -> Vec<Finding> {
        // On the heap: dozens of SDK calls make a large future.
        Box::pin(self.checks()).await
    }

    async fn checks(&self) -> Vec<Finding> {
        let ((mut findings, component), (table, reachable), web, domains) = tokio::join!(
            secret::examine(self),
            table::examine(&self.clients.dynamodb, &self.table, self.target),
            web::examine(&self.public, &self.business, self.target, &*self.clock),
            domains::examine(self),
        );
        findings.extend(table);
        findings.extend(match component {
            _ if !reachable => vec![Finding::warning(
                "items",
                "the items of the table were not checked",
                "repair the table, and run the doctor again",
            )],
            Some(ref component) => Box::pin(self.items(component)).await,
            None => vec![Finding::warning(
                "items",
                "the items of the table were not checked: its keys begin with the secret's component_appid",
                "correct the secret, and run the doctor again",
            )],
        });
        findings.extend(web);
        findings.extend(domains);
        if let Some(component) = component.filter(|_| reachable) {
            findings.extend(domains::check_files(self, &self.store(&component).check_files).await);
        }
        findings
    }

    async fn items(&self, component: &AppId) -> Vec<Finding> {
        let store = self.store(component);
        let (reads, setup) = (Reads::from(&store), self.setup());
        let examined = async {
            tokio::join!(
                diagnosis::examine(&reads, &setup, self.clock.now()),
                diagnosis::examine_accounts(&store.accounts)
            )
        };
        let Ok((mut findings, accounts)) = timeout(ITEMS, Box::pin(examined)).await else {
            let sentence = "the items of the table could not be read in time";
            return vec![Finding::wrong("items", sentence, "check the network between this machine and the region")];
        };
        findings.push(accounts);
        findings.iter().map(Finding::of).collect()
    }

    /// The newest ticket.
    pub(crate) async fn ticket(&self, store: &Store, now: Timestamp) -> Vec<Finding> {
        let findings = diagnosis::examine_ticket(&Reads::from(store), &self.setup(), now).await;
        findings.iter().map(Finding::of).collect()
    }

    fn setup(&self) -> Setup {
        Setup { public_base: self.public_base.clone(), parts: self.parts.clone() }
    }
}

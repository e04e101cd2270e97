//! Which platform the console is for, and its items.
//!
//! Keys of the table begin with the platform's appid, which is in the platform's secret, and no role of the console's may read
//! that. account-api says it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::clock::{SharedClock, Timestamp};
use base::ids::AppId;
use http::{Method, StatusCode};
use platform::secret::PlatformError;
use store::{Access, access_to};
use tokio::time::timeout;
use web::InternalError;

use crate::Parts;
use crate::functions::{Answer, Call, CallError, Caller, Function, Functions};

/// The answer of account-api is believed for this long: an appid that was mistyped may be corrected.
const BELIEVED: Duration = Duration::from_mins(10);

access_to! {
    /// What the console may use of the table.
    pub(crate) struct Items {
        account_lists: AccountLists,
        api_keys: ApiKeys,
        arrivals: Arrivals,
        audit_log: AuditLog,
        browsers: Browsers,
        check_files: CheckFiles,
        failed_calls: FailedCalls,
        links: Links,
        operators: Operators,
        outbox: Outbox,
        runs: Runs,
        turns: Turns,
        user_names: UserNames,
    }
}

/// The platform's items, for the length of one request.
#[derive(Clone)]
pub(crate) struct Open {
    /// The platform.
    pub(crate) component: AppId,
    /// Its items.
    pub(crate) items: Items,
    /// What the doctor looks at.
    pub(crate) reads: diagnosis::Reads,
    /// The functions that act.
    pub(crate) functions: Functions,
    clock: SharedClock,
}

impl Open {
    /// The time by which the rules go.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// The platform, found when it is first needed.
pub(crate) struct Platform {
    functions: Functions,
    table: Access<Items>,
    reads: Access<diagnosis::Reads>,
    clock: SharedClock,
    known: Mutex<Option<(AppId, Timestamp)>>,
}

impl Platform {
    pub(crate) fn new(parts: &Parts) -> Self {
        Self {
            functions: Functions::new(parts.lambda.clone(), &parts.config),
            table: parts.table.clone().access(),
            reads: parts.table.clone().access(),
            clock: Arc::clone(&parts.clock),
            known: Mutex::new(None),
        }
    }

    /// The platform and its items.
    pub(crate) async fn open(&self) -> Result<Open, InternalError> {
        let component = match self.believed() {
            Some(component) => component,
            None => self.find().await?,
        };
        let (items, reads) = (self.table.of(&component), self.reads.of(&component));
        Ok(Open { component, items, reads, functions: self.functions.clone(), clock: Arc::clone(&self.clock) })
    }

    /// Finds out before the first request, for at most `bound`.
    pub(crate) async fn find_ahead(&self, bound: Duration) {
        drop(timeout(bound, self.find()).await);
    }

    fn believed(&self) -> Option<AppId> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(_, at)| self.clock.now().since(*at) < BELIEVED).map(|(component, _)| component.clone())
    }

    async fn find(&self) -> Result<AppId, InternalError> {
        let call = Call::to(Function::AccountApi, Method::GET, "/platform", None);
        let Answer { status, body } = self.functions.call(call, Caller { operator: CONSOLE, source_ip: None }).await?;
        let component = body["component_appid"].as_str().and_then(|appid| AppId::parse(appid).ok());
        if body["type"].as_str().is_some_and(|kind| kind.ends_with(":not-configured")) {
            return Err(InternalError::Platform(PlatformError::NotConfigured));
        }
        let Some(component) = component.filter(|_| status == StatusCode::OK) else {
            return Err(CallError::Malformed { function: Function::AccountApi }.into());
        };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((component.clone(), self.clock.now()));
        Ok(component)
    }
}

/// The console itself, where no operator asks.
const CONSOLE: &str = "console";

impl From<CallError> for InternalError {
    fn from(error: CallError) -> Self {
        Self::Function(Box::new(error))
    }
}

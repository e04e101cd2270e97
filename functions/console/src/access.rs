//! The platform that the console is for, and its items.
//!
//! Keys of the table begin with the platform's appid, which is in the platform's secret, and no role of the console may
//! read that. The console asks account-api for it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::clock::{SharedClock, Timestamp};
use base::ids::AppId;
use http::{Method, StatusCode};
use platform::secret::PlatformError;
use store::{Access, CONSOLE_ITSELF, access_to};
use tokio::time::timeout;
use web::InternalError;

use crate::Parts;
use crate::functions::{Answer, Call, CallError, Caller, Function, Functions};

/// How long the response of account-api is used: an appid that was mistyped may be corrected.
const BELIEVED: Duration = Duration::from_mins(10);

/// How long a page waits for account-api, if it knows the platform.
const WAITED_FOR: Duration = Duration::from_secs(1);

/// The time before account-api is asked again if it does not respond.
const ASKED_AGAIN: Duration = Duration::from_mins(1);

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
        message_arrivals: MessageArrivals,
        operators: Operators,
        outbox: Outbox,
        runs: Runs,
        churn: ChurnLog,
        user_names: UserNames,
    }
}

/// The platform's items, for the duration of one request.
#[derive(Clone)]
pub(crate) struct Open {
    /// The platform.
    pub(crate) component: AppId,
    /// Its items.
    pub(crate) items: Items,
    /// What the doctor reads.
    pub(crate) reads: diagnosis::Reads,
    /// The functions that act.
    pub(crate) functions: Functions,
    clock: SharedClock,
}

impl Open {
    /// The current time, by the clock that the rules use.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// The platform, looked up when it is first needed.
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
        let component = match self.known() {
            Some((component, until)) if self.clock.now() < until => component,
            Some((component, _)) => self.find_again(component).await?,
            None => self.find().await?,
        };
        let (items, reads) = (self.table.of(&component), self.reads.of(&component));
        Ok(Open { component, items, reads, functions: self.functions.clone(), clock: Arc::clone(&self.clock) })
    }

    /// Looks the platform up before the first request, for at most `bound`.
    pub(crate) async fn find_ahead(&self, bound: Duration) {
        drop(timeout(bound, self.find()).await);
    }

    /// The platform that account-api has named, and until when that is used.
    fn known(&self) -> Option<(AppId, Timestamp)> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn believe(&self, component: &AppId, time: Duration) {
        let until = self.clock.now().plus(time);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((component.clone(), until));
    }

    /// Asks once more. If account-api does not respond, the known platform is still used, so that pages remain
    /// available.
    async fn find_again(&self, known: AppId) -> Result<AppId, InternalError> {
        let found = timeout(WAITED_FOR, self.find()).await;
        match found.unwrap_or_else(|_| Err(CallError::Malformed { function: Function::AccountApi }.into())) {
            Err(error) if !error.is_not_configured() => {
                tracing::warn!("the platform known before is still used: {error}");
                self.believe(&known, ASKED_AGAIN);
                Ok(known)
            }
            found => found,
        }
    }

    async fn find(&self) -> Result<AppId, InternalError> {
        let call = Call::to(Function::AccountApi, Method::GET, "/platform", None);
        let Answer { status, body } =
            self.functions.call(call, Caller { operator: CONSOLE_ITSELF, source_ip: None }).await?;
        let component = body["component_appid"].as_str().and_then(|appid| AppId::parse(appid).ok());
        if body["type"].as_str().is_some_and(|kind| kind.ends_with(":not-configured")) {
            return Err(InternalError::Platform(PlatformError::NotConfigured));
        }
        let Some(component) = component.filter(|_| status == StatusCode::OK) else {
            return Err(CallError::Malformed { function: Function::AccountApi }.into());
        };
        self.believe(&component, BELIEVED);
        Ok(component)
    }
}

impl From<CallError> for InternalError {
    fn from(error: CallError) -> Self {
        Self::Function(Box::new(error))
    }
}

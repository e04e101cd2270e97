//! Faults between the AWS SDK and the service: throttles, errors, delays, lost replies.
//!
//! The embedded DynamoDB never fails in the ways the real one does; this client under the SDK fails instead. It also
//! counts every request by operation, including the SDK's own retries, so that a story can hold a budget: one push =
//! one write.

mod hold;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::{Response, StatusCode};
use aws_smithy_types::body::SdkBody;
use runtime::aws::Connections;
use serde_json::Value;

use self::hold::HoldRule;

pub use self::hold::{Held, Side};

/// A fault of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The service's response to too many requests; not forwarded.
    Throttle,
    /// A response with status 500; not forwarded.
    ServerError,
    /// No connection: the service is unavailable; not forwarded.
    Away,
    /// Forwarded after this time.
    Delay(Duration),
    /// Neither forwarded nor answered, ever.
    Hang,
    /// Forwarded and carried out, but the connection breaks before the response arrives.
    LostReply,
}

type BodyTest = dyn Fn(&str) -> bool + Send + Sync;

/// The requests that a fault is for. An operation is the part of `x-amz-target` after the dot, such as `UpdateItem`.
#[derive(Clone, Default)]
pub struct Matching {
    operation: Option<&'static str>,
    body: Option<Arc<BodyTest>>,
    /// The condition on the body, in words.
    described: String,
}

impl Matching {
    /// Every request.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// The requests of one operation.
    #[must_use]
    pub fn operation(name: &'static str) -> Self {
        Self { operation: Some(name), ..Self::default() }
    }

    /// Those of them with this text in the body, such as a key.
    #[must_use]
    pub fn containing(self, text: impl Into<String>) -> Self {
        let text = text.into();
        let described = format!(" containing {text:?}");
        Self { described, ..self.whose_body(move |body| body.contains(&text)) }
    }

    /// Those of them whose body passes a test.
    #[must_use]
    pub fn whose_body(self, test: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { body: Some(Arc::new(test)), described: " whose body passes a test".to_owned(), ..self }
    }

    /// The updates that set this attribute.
    #[must_use]
    pub fn setting(attribute: &'static str) -> Self {
        let updates = Self::operation("UpdateItem").whose_body(move |body| sets(body, attribute) == Some(true));
        Self { described: format!(" setting {attribute}"), ..updates }
    }

    fn fits(&self, operation: &str, body: &str) -> bool {
        self.operation.is_none_or(|name| name == operation) && self.body.as_ref().is_none_or(|test| test(body))
    }
}

/// Whether an update, given as the body of its request, sets an attribute.
fn sets(body: &str, attribute: &str) -> Option<bool> {
    let body: Value = serde_json::from_str(body).ok()?;
    let names = body["ExpressionAttributeNames"].as_object()?;
    let (placeholder, _) = names.iter().find(|(_, name)| *name == attribute)?;
    let expression = body["UpdateExpression"].as_str()?;
    let set = expression.split(" REMOVE ").next()?.split(" ADD ").next()?;
    Some(set.contains(&format!("{placeholder} = ")))
}

impl fmt::Display for Matching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.operation.unwrap_or("any request"), self.described)
    }
}

struct Rule {
    matching: Matching,
    fault: Fault,
    /// The number of further requests that it is for; `None` until cleared.
    left: Option<usize>,
    /// Only every n-th matching request: n, and how many have passed since.
    every: Option<(usize, usize)>,
    has_befallen: bool,
}

impl Rule {
    /// The unused part of it, in words; `None` if it has affected as many requests as ordered, or one if there is no
    /// count.
    fn unused(&self) -> Option<String> {
        match self.left {
            Some(0) => None,
            Some(left) => Some(format!("{:?} for {}, {left} more times", self.fault, self.matching)),
            None if self.has_befallen => None,
            None => Some(format!("{:?} for {}", self.fault, self.matching)),
        }
    }

    /// Whether this request's turn has come.
    fn has_come(&mut self) -> bool {
        let Some((every, passed)) = &mut self.every else { return true };
        *passed = (*passed + 1) % *every;
        *passed == 0
    }
}

/// What happens to one request.
enum Fate {
    Fault(Fault),
    Held(HoldRule),
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    holds: Vec<HoldRule>,
    forbidden: Vec<Matching>,
    /// The forbidden requests that were made, and the faults that were unused when the rules were cleared.
    findings: Vec<String>,
    requests: BTreeMap<String, usize>,
}

impl State {
    fn unused(&self) -> impl Iterator<Item = String> {
        let holds = self.holds.iter().map(|hold| format!("a hold of {}", hold.matching));
        let unused = self.rules.iter().filter_map(Rule::unused).chain(holds);
        unused.map(|fault| format!("a fault of AWS was not used: {fault}"))
    }
}

/// An HTTP client for the SDK that fails on demand; clones share rules and counts.
#[derive(Clone)]
pub struct Faults {
    inner: SharedHttpClient,
    state: Arc<Mutex<State>>,
}

impl Default for Faults {
    fn default() -> Self {
        Self::over(SharedHttpClient::new(Connections::new()))
    }
}

impl Faults {
    /// Faults over another client of the SDK; [`Faults::default`] is over the SDK's own, plain HTTP only.
    #[must_use]
    pub fn over(inner: SharedHttpClient) -> Self {
        Self { inner, state: Arc::default() }
    }

    /// The client, for `http_client` of an SDK config.
    #[must_use]
    pub fn client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    /// The fault affects the next `count` matching requests. Rules are tried in the order in which they were made.
    pub fn next(&self, count: usize, matching: Matching, fault: Fault) {
        self.add(Rule { matching, fault, left: Some(count), every: None, has_befallen: false });
    }

    /// The fault affects every matching request, until [`Faults::clear`].
    pub fn always(&self, matching: Matching, fault: Fault) {
        self.add(Rule { matching, fault, left: None, every: None, has_befallen: false });
    }

    /// A matching request must not be made: it fails, and so does the story.
    pub fn forbid(&self, matching: Matching) {
        self.state.lock().unwrap().forbidden.push(matching);
    }

    /// The fault affects one matching request, after `passing` others.
    pub fn once_after(&self, passing: usize, matching: Matching, fault: Fault) {
        self.add(Rule { matching, fault, left: Some(1), every: Some((passing + 1, 0)), has_befallen: false });
    }

    /// The fault affects each `every`th matching request, until [`Faults::clear`].
    pub fn every(&self, every: usize, matching: Matching, fault: Fault) {
        self.add(Rule { matching, fault, left: None, every: Some((every, 0)), has_befallen: false });
    }

    /// Holds one matching request: the first, or the one after `passing` others. No fault affects it.
    #[must_use]
    pub fn hold(&self, passing: usize, matching: Matching, side: Side) -> Held {
        let (rule, held) = HoldRule::new(passing, matching, side);
        self.state.lock().unwrap().holds.push(rule);
        held
    }

    /// Removes all rules and holds to come; the counts stay, and so do held requests.
    pub fn clear(&self) {
        let mut state = self.state.lock().unwrap();
        let unused: Vec<String> = state.unused().collect();
        state.findings.extend(unused);
        state.rules.clear();
        state.holds.clear();
    }

    /// The number of requests of an operation that were sent, including retries and failed ones.
    #[must_use]
    pub fn requests(&self, operation: &str) -> usize {
        self.state.lock().unwrap().requests.get(operation).copied().unwrap_or(0)
    }

    /// All requests so far, by operation.
    #[must_use]
    pub fn all_requests(&self) -> BTreeMap<String, usize> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Counts from zero again; the rules stay.
    pub fn reset_counts(&self) {
        self.state.lock().unwrap().requests.clear();
    }

    /// Whether every fault that was ordered for a number of requests has affected them: a story whose fault never
    /// happened proves nothing.
    #[must_use]
    pub fn all_used(&self) -> bool {
        self.state.lock().unwrap().rules.iter().all(|rule| rule.left.is_none_or(|left| left == 0))
    }

    /// In words: the faults and holds that have affected fewer requests than ordered, or none, including cleared ones,
    /// and the forbidden requests that were made.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.findings.iter().cloned().chain(state.unused()).collect()
    }

    fn add(&self, rule: Rule) {
        self.state.lock().unwrap().rules.push(rule);
    }

    fn count_and_choose(&self, request: &HttpRequest) -> Option<Fate> {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit_once('.').map_or(target, |(_, operation)| operation);
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default());
        let mut state = self.state.lock().unwrap();
        *state.requests.entry(operation.to_owned()).or_default() += 1;
        if let Some(forbidden) = state.forbidden.iter().find(|matching| matching.fits(operation, &body)) {
            let finding = format!("a request that is forbidden was made: {operation}, by {forbidden}");
            state.findings.push(finding);
            return Some(Fate::Fault(Fault::ServerError));
        }
        let held = state.holds.iter_mut().position(|hold| hold.is_for(operation, &body));
        if let Some(held) = held {
            return Some(Fate::Held(state.holds.remove(held)));
        }
        let rule = state.rules.iter_mut().find_map(|rule| {
            let fits = rule.left != Some(0) && rule.matching.fits(operation, &body) && rule.has_come();
            fits.then_some(rule)
        })?;
        rule.left = rule.left.map(|left| left - 1);
        rule.has_befallen = true;
        Some(Fate::Fault(rule.fault))
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faults")
    }
}

impl HttpClient for Faults {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(FaultyConnector { faults: self.clone(), inner })
    }
}

#[derive(Debug)]
struct FaultyConnector {
    faults: Faults,
    inner: SharedHttpConnector,
}

impl HttpConnector for FaultyConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let fate = self.faults.count_and_choose(&request);
        let inner = self.inner.clone();
        let for_table = request.headers().get("x-amz-target").is_some_and(|target| target.starts_with("DynamoDB"));
        let throttle = if for_table { "ProvisionedThroughputExceededException" } else { "ThrottlingException" };
        HttpConnectorFuture::new(async move {
            let fault = match fate {
                None => return inner.call(request).await,
                Some(Fate::Held(hold)) if hold.side == Side::Before => {
                    hold.wait().await;
                    return inner.call(request).await;
                }
                Some(Fate::Held(hold)) => {
                    let answer = inner.call(request).await;
                    hold.wait().await;
                    return answer;
                }
                Some(Fate::Fault(fault)) => fault,
            };
            match fault {
                Fault::Throttle => Ok(error(400, throttle)),
                Fault::ServerError => Ok(error(500, "InternalServerError")),
                Fault::Away => Err(broken(io::ErrorKind::ConnectionRefused).never_connected()),
                Fault::Delay(delay) => {
                    tokio::time::sleep(delay).await;
                    inner.call(request).await
                }
                Fault::Hang => std::future::pending().await,
                Fault::LostReply => {
                    drop(inner.call(request).await?);
                    Err(broken(io::ErrorKind::ConnectionReset))
                }
            }
        })
    }
}

/// An error as AWS's JSON protocols write it.
fn error(status: u16, kind: &str) -> HttpResponse {
    let body = format!(r#"{{"__type":"{kind}","message":"injected by the test"}}"#);
    let mut response = Response::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response
}

fn broken(kind: io::ErrorKind) -> ConnectorError {
    ConnectorError::io(io::Error::from(kind).into())
}

#[cfg(test)]
mod tests;

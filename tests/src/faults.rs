//! Faults between the AWS SDK and the service: throttles, errors, delays, lost replies.
//!
//! The embedded DynamoDB never fails in the ways the real one does; this client under the SDK does it for it. It also
//! counts every request by operation, the SDK's own retries included, so that a story can hold a budget: one push = one
//! write.

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

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The service's answer to too many requests; not forwarded.
    Throttle,
    /// An answer with status 500; not forwarded.
    ServerError,
    /// No connection: the service is away; not forwarded.
    Away,
    /// Forwarded after this time.
    Delay(Duration),
    /// Neither forwarded nor answered, ever.
    Hang,
    /// Forwarded and carried out, and the connection breaks before the answer arrives.
    LostReply,
}

type BodyTest = dyn Fn(&str) -> bool + Send + Sync;

/// Which requests a fault is for. An operation is the part of `x-amz-target` behind the dot, such as `UpdateItem`.
#[derive(Clone, Default)]
pub struct Matching {
    operation: Option<&'static str>,
    body: Option<Arc<BodyTest>>,
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
        Self { operation: Some(name), body: None }
    }

    /// Of those, the ones with this text in the body, such as a key.
    #[must_use]
    pub fn containing(self, text: impl Into<String>) -> Self {
        let text = text.into();
        self.whose_body(move |body| body.contains(&text))
    }

    /// Of those, the ones whose body passes a test.
    #[must_use]
    pub fn whose_body(self, test: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { body: Some(Arc::new(test)), ..self }
    }

    fn fits(&self, operation: &str, body: &str) -> bool {
        self.operation.is_none_or(|name| name == operation) && self.body.as_ref().is_none_or(|test| test(body))
    }
}

struct Rule {
    matching: Matching,
    fault: Fault,
    /// How many more requests it is for; `None`: until cleared.
    left: Option<usize>,
    /// Only each so manieth of the requests that match: how often, and how many have passed since.
    every: Option<(usize, usize)>,
}

impl Rule {
    /// Whether this request's turn has come.
    fn has_come(&mut self) -> bool {
        let Some((every, passed)) = &mut self.every else { return true };
        *passed = (*passed + 1) % *every;
        *passed == 0
    }
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    requests: BTreeMap<String, usize>,
}

/// An HTTP client for the SDK that fails on demand; clones share rules and counts.
#[derive(Clone)]
pub struct Faults {
    inner: SharedHttpClient,
    state: Arc<Mutex<State>>,
}

impl Default for Faults {
    fn default() -> Self {
        Self::over(aws_smithy_http_client::Builder::new().build_http())
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

    /// The fault befalls the next `count` requests that match. Rules are tried in the order they were made.
    pub fn next(&self, count: usize, matching: Matching, fault: Fault) {
        self.add(Rule { matching, fault, left: Some(count), every: None });
    }

    /// The fault befalls every request that matches, until [`Faults::clear`].
    pub fn always(&self, matching: Matching, fault: Fault) {
        self.add(Rule { matching, fault, left: None, every: None });
    }

    /// The fault befalls each `every`th request that matches, until [`Faults::clear`].
    pub fn every(&self, every: usize, matching: Matching, fault: Fault) {
        self.add(Rule { matching, fault, left: None, every: Some((every, 0)) });
    }

    /// All is well again; the counts stay.
    pub fn clear(&self) {
        self.state.lock().unwrap().rules.clear();
    }

    /// How many requests of an operation were sent, retries and failed ones included.
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

    /// Whether every fault that was ordered for a number of requests has befallen them: a story whose fault never came
    /// proves nothing.
    #[must_use]
    pub fn all_used(&self) -> bool {
        self.state.lock().unwrap().rules.iter().all(|rule| rule.left.is_none_or(|left| left == 0))
    }

    fn add(&self, rule: Rule) {
        self.state.lock().unwrap().rules.push(rule);
    }

    fn count_and_choose(&self, request: &HttpRequest) -> Option<Fault> {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit_once('.').map_or(target, |(_, operation)| operation);
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default());
        let mut state = self.state.lock().unwrap();
        *state.requests.entry(operation.to_owned()).or_default() += 1;
        let rule = state.rules.iter_mut().find_map(|rule| {
            let fits = rule.left != Some(0) && rule.matching.fits(operation, &body) && rule.has_come();
            fits.then_some(rule)
        })?;
        rule.left = rule.left.map(|left| left - 1);
        Some(rule.fault)
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
        let fault = self.faults.count_and_choose(&request);
        let inner = self.inner.clone();
        let for_table = request.headers().get("x-amz-target").is_some_and(|target| target.starts_with("DynamoDB"));
        let throttle = if for_table { "ProvisionedThroughputExceededException" } else { "ThrottlingException" };
        HttpConnectorFuture::new(async move {
            match fault {
                None => inner.call(request).await,
                Some(Fault::Throttle) => Ok(error(400, throttle)),
                Some(Fault::ServerError) => Ok(error(500, "InternalServerError")),
                Some(Fault::Away) => Err(broken(io::ErrorKind::ConnectionRefused).never_connected()),
                Some(Fault::Delay(delay)) => {
                    tokio::time::sleep(delay).await;
                    inner.call(request).await
                }
                Some(Fault::Hang) => std::future::pending().await,
                Some(Fault::LostReply) => {
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
mod tests {
    use aws_sdk_dynamodb::Client;
    use aws_sdk_dynamodb::config::retry::RetryConfig;
    use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
    use aws_sdk_dynamodb::error::{ProvideErrorMetadata as _, SdkError};
    use aws_sdk_dynamodb::operation::put_item::{PutItemError, PutItemOutput};
    use aws_sdk_dynamodb::types::AttributeValue;
    use local::dynamodb::Embedded;
    use local::table::create_table;

    use super::*;

    struct World {
        embedded: Embedded,
        faults: Faults,
        client: Client,
    }

    impl World {
        /// One table, one client with faults and this many tries.
        async fn with_tries(tries: u32) -> Self {
            let embedded = Embedded::memory().unwrap();
            create_table(&embedded.client(), "table").await.unwrap();
            let faults = Faults::default();
            let retries =
                RetryConfig::standard().with_max_attempts(tries).with_initial_backoff(Duration::from_millis(1));
            let config = embedded.config().http_client(faults.client()).retry_config(retries).build();
            Self { embedded, faults, client: Client::from_conf(config) }
        }

        async fn put(&self, pk: &str) -> Result<PutItemOutput, SdkError<PutItemError>> {
            let put = self.client.put_item().table_name("table").item("pk", AttributeValue::S(pk.into()));
            put.item("sk", AttributeValue::S("-".into())).condition_expression("attribute_not_exists(pk)").send().await
        }

        async fn items(&self) -> usize {
            let scan = self.embedded.client().scan().table_name("table").send().await.unwrap();
            scan.items().len()
        }
    }

    #[tokio::test]
    async fn without_a_rule_requests_pass_and_are_counted_by_operation() {
        let world = World::with_tries(1).await;
        world.put("a").await.unwrap();
        assert_eq!(world.faults.all_requests(), BTreeMap::from([("PutItem".to_owned(), 1)]));
        world.faults.reset_counts();
        assert_eq!(world.faults.requests("PutItem"), 0);
    }

    #[tokio::test]
    async fn the_sdk_tries_throttled_failed_and_refused_requests_again() {
        for fault in [Fault::Throttle, Fault::ServerError, Fault::Away] {
            let world = World::with_tries(2).await;
            world.faults.next(1, Matching::operation("PutItem"), fault);
            world.put("a").await.unwrap();
            assert_eq!(world.faults.requests("PutItem"), 2, "{fault:?}");
            assert!(world.faults.all_used());
        }
    }

    #[tokio::test]
    async fn a_fault_can_befall_every_third_request() {
        let world = World::with_tries(1).await;
        world.faults.every(3, Matching::any(), Fault::Away);
        let mut failed = Vec::new();
        for number in 1..=7 {
            if world.put(&number.to_string()).await.is_err() {
                failed.push(number);
            }
        }
        assert_eq!(failed, [3, 6]);
    }

    #[tokio::test]
    async fn a_throttle_is_the_one_of_dynamodb() {
        let world = World::with_tries(1).await;
        world.faults.always(Matching::any(), Fault::Throttle);
        let error = world.put("a").await.unwrap_err();
        assert_eq!(error.code(), Some("ProvisionedThroughputExceededException"));
        world.faults.clear();
        world.put("a").await.unwrap();
    }

    #[tokio::test]
    async fn only_matching_requests_are_hit_and_an_unused_rule_is_told() {
        let world = World::with_tries(1).await;
        world.faults.next(1, Matching::operation("PutItem").containing("\"wx1\""), Fault::ServerError);
        world.faults.next(1, Matching::operation("GetItem"), Fault::ServerError);
        world.put("wx2").await.unwrap();
        world.put("wx1").await.unwrap_err();
        assert!(!world.faults.all_used());
        assert_eq!(world.items().await, 1);
    }

    #[tokio::test]
    async fn after_a_lost_reply_the_retry_loses_to_our_own_write() {
        let world = World::with_tries(2).await;
        world.faults.next(1, Matching::any(), Fault::LostReply);
        let error = world.put("a").await.unwrap_err().into_service_error();
        assert!(error.is_conditional_check_failed_exception(), "{error:?}");
        assert_eq!(world.items().await, 1);
    }

    #[tokio::test]
    async fn a_hang_ends_with_the_callers_time_out_and_nothing_is_written() {
        let world = World::with_tries(1).await;
        world.faults.next(1, Matching::any(), Fault::Hang);
        let bound = TimeoutConfig::builder().operation_timeout(Duration::from_millis(50)).build();
        let config = world.client.config().to_builder().timeout_config(bound).build();
        let hurried = World { client: Client::from_conf(config), ..world };
        assert!(matches!(hurried.put("a").await, Err(SdkError::TimeoutError(_))));
        assert_eq!(hurried.items().await, 0);
    }

    #[tokio::test]
    async fn a_delayed_request_arrives_in_the_end() {
        let world = World::with_tries(1).await;
        world.faults.next(1, Matching::any(), Fault::Delay(Duration::from_millis(20)));
        let start = std::time::Instant::now();
        world.put("a").await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(20));
    }
}

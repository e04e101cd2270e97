//! The embedded DynamoDB without a network: the SDK's requests are handled where they are made.
//!
//! Over loopback, two simultaneous requests are handled in whatever order the two threads reach. Here each is carried
//! out at once, so a program does the same in each run, and takes half the time. Requests to other services go to the
//! SDK's own client.

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::{Response, StatusCode};
use aws_smithy_types::body::SdkBody;
use dynoxide::{Database, DynoxideError};
use local::dynamodb::Embedded;
use local::table::create_table;
use runtime::aws::Connections;

/// The prefix of `x-amz-target` in a request to the table.
const TARGET: &str = "DynamoDB_20120810.";

/// A client for the SDK that is the database itself; clones share it.
#[derive(Clone)]
pub struct InProcess {
    database: Database,
    elsewhere: SharedHttpClient,
}

impl InProcess {
    /// An empty database with one table.
    pub async fn with_table(name: &str) -> Self {
        let elsewhere = SharedHttpClient::new(Connections::new());
        let database = Self { database: Database::memory().unwrap(), elsewhere };
        create_table(&database.sdk(), name).await.unwrap();
        database
    }

    /// The SDK over it, with nothing between.
    #[must_use]
    pub fn sdk(&self) -> Client {
        // Only for the other settings that a client needs: no request reaches it.
        let settings = Embedded::memory().unwrap().config();
        Client::from_conf(settings.http_client(self.client()).build())
    }

    /// The client, for `http_client` of an SDK config.
    #[must_use]
    pub fn client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    fn answer(&self, operation: &str, body: &[u8]) -> HttpResponse {
        let (status, body) = match self.carry_out(operation, body) {
            Ok(answer) => (200, answer),
            Err(error) => (error.status_code(), error.to_json()),
        };
        let mut response = Response::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body));
        response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
        response
    }

    fn carry_out(&self, operation: &str, body: &[u8]) -> Result<String, DynoxideError> {
        let database = &self.database;
        match operation {
            "BatchGetItem" => done(body, |request| database.batch_get_item(request)),
            "CreateTable" => done(body, |request| database.create_table(request)),
            "DeleteItem" => done(body, |request| database.delete_item(request)),
            "DescribeTimeToLive" => done(body, |request| database.describe_time_to_live(request)),
            "DescribeTable" => done(body, |request| database.describe_table(request)),
            "GetItem" => done(body, |request| database.get_item(request)),
            "PutItem" => done(body, |request| database.put_item(request)),
            "Query" => done(body, |request| database.query(request)),
            "Scan" => done(body, |request| database.scan(request)),
            "TransactWriteItems" => done(body, |request| database.transact_write_items(request)),
            "UpdateItem" => done(body, |request| database.update_item(request)),
            "UpdateTimeToLive" => done(body, |request| database.update_time_to_live(request)),
            other => panic!("{other} is not among the operations that we use"),
        }
    }
}

/// Reads the request, carries it out, and writes the answer.
fn done<Request: serde::de::DeserializeOwned, Answer: serde::Serialize>(
    body: &[u8],
    operation: impl FnOnce(Request) -> Result<Answer, DynoxideError>,
) -> Result<String, DynoxideError> {
    let request = serde_json::from_slice(body).expect("the SDK writes what DynamoDB reads");
    operation(request).map(|answer| serde_json::to_string(&answer).expect("an answer is JSON"))
}

impl std::fmt::Debug for InProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InProcess")
    }
}

impl HttpClient for InProcess {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let elsewhere = self.elsewhere.http_connector(settings, components);
        SharedHttpConnector::new(Connector { database: self.clone(), elsewhere })
    }
}

#[derive(Debug)]
struct Connector {
    database: InProcess,
    elsewhere: SharedHttpConnector,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let Some(operation) = target.strip_prefix(TARGET) else { return self.elsewhere.call(request) };
        let answer = self.database.answer(operation, request.body().bytes().unwrap_or_default());
        HttpConnectorFuture::ready(Ok(answer))
    }
}

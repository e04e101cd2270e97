//! Connections that are opened before they are needed.
//!
//! Resolving the name, connecting and the TLS handshake take most of the time of a process's first call. While a
//! function starts, it has the most CPU to do them. What is sent is `GET /`, unsigned: it needs no permission, reads
//! nothing and costs nothing. DynamoDB responds that it is healthy and the other services that they know no such
//! operation; either way the connection stays open.
//!
//! It is an operation of the SDK whose request is replaced as the last step. So it goes where the real requests will
//! go, and prepares what they need too: the endpoint, the credentials, the code of the SDK itself.

use aws_config::retry::RetryConfig;
use aws_sdk_dynamodb::config::ConfigBag;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_dynamodb::config::{Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

/// Connects to the DynamoDB endpoint of a table. A failure is ignored: the first operation connects if it has to.
pub async fn connect_to_dynamodb(client: &aws_sdk_dynamodb::Client, table: &str) {
    let once = aws_sdk_dynamodb::Config::builder().retry_config(RetryConfig::disabled());
    drop(client.update_item().table_name(table).customize().config_override(once).interceptor(Exchange).send().await);
}

/// Connects to EventBridge. A failure is ignored: the first operation connects if it has to.
pub async fn connect_to_eventbridge(client: &aws_sdk_eventbridge::Client) {
    let once = aws_sdk_eventbridge::Config::builder().retry_config(RetryConfig::disabled());
    drop(client.put_events().customize().config_override(once).interceptor(Exchange).send().await);
}

/// Replaces an operation's request by `GET /` to the same address.
#[derive(Debug)]
struct Exchange;

impl Intercept for Exchange {
    fn name(&self) -> &'static str {
        "Exchange"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        // Both services receive all operations at `/`.
        *request = HttpRequest::get(request.uri())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use base::limits::Limits;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::aws::{AwsClients, event_bus_client, local_config};

    /// The two requests that a service gets on one connection: first from `connect`, then from an operation.
    async fn asked(listener: TcpListener, times: usize) -> Vec<String> {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut heads = Vec::new();
        while heads.len() < times {
            let mut request = vec![0; 8192];
            let length = connection.read(&mut request).await.unwrap();
            heads.push(String::from_utf8_lossy(&request[..length]).into_owned());
            connection.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
        }
        heads
    }

    #[tokio::test]
    async fn an_unsigned_request_of_nothing_opens_the_connection_that_operations_take() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = local_config(&format!("http://{}", listener.local_addr().unwrap()), &|_: &str| None);
        let limits = Limits::interactive();
        let (table, bus) = (AwsClients::new(&config, &limits).dynamodb, event_bus_client(&config, &limits));
        let work = async {
            connect_to_dynamodb(&table, "table").await;
            connect_to_eventbridge(&bus).await;
            table.list_tables().send().await.unwrap_err();
        };
        let (asked, ()) = tokio::join!(asked(listener, 3), work);
        for nothing in &asked[..2] {
            assert!(nothing.starts_with("GET / HTTP/1.1\r\n"), "{nothing}");
            assert!(!nothing.contains("authorization") && !nothing.contains("x-amz"), "{nothing}");
        }
        assert!(asked[2].contains("DynamoDB_20120810.ListTables"));
    }
}

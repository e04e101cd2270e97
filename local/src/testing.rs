//! What the tests of several local replacements for AWS share.

use aws_config::SdkConfig;
use axum::Router;
use runtime::aws::local_config;
use tokio::net::TcpListener;

/// Serves a replacement, and configures the SDK to call it.
pub(crate) async fn sdk_for(stand_in: Router) -> SdkConfig {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, stand_in).await });
    local_config(&endpoint, &|_: &str| None)
}

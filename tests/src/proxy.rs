//! A WeChat whose responses are changed on their way.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use http::Uri;
use platform::services::Services;
use tokio::net::TcpListener;
use url::Url;
use wechat::api::WechatClient;

use crate::world::World;

type Rewrite = dyn Fn(&str, Vec<u8>) -> Vec<u8> + Send + Sync;

/// The world's services behind a proxy that passes each response of WeChat's, with the called path, through `rewrite`.
pub async fn behind_a_proxy(
    world: &World,
    rewrite: impl Fn(&str, Vec<u8>) -> Vec<u8> + Send + Sync + 'static,
) -> Services {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let (upstream, rewrite): (_, Arc<Rewrite>) = (world.wechat_url.clone(), Arc::new(rewrite));
    let router = Router::new().fallback(move |uri: Uri, body: Bytes| {
        let (upstream, rewrite) = (upstream.clone(), Arc::clone(&rewrite));
        async move {
            let target = upstream.join(uri.path_and_query().unwrap().as_str()).unwrap();
            let answer = crate::http_client().post(target).body(body).send().await.unwrap();
            rewrite(uri.path(), answer.bytes().await.unwrap().to_vec())
        }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    Services { wechat: WechatClient::new(&url, &world.services.limits).unwrap(), ..world.services.clone() }
}

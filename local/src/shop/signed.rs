//! A page that uses the JS-SDK: the shop's server has its URL signed, and the page passes the signature to `wx.config`.

use axum::Json;
use axum::extract::{OriginalUri, Query, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base::ids::AppId;
use serde::Deserialize;
use serde_json::{Value, json};
use web::AcceptLanguage;

use super::Shop;
use super::pages::SignedPage;

/// The account of the page.
#[derive(Deserialize)]
pub(super) struct OfAccount {
    account: AppId,
}

/// `GET /signed?account=…`.
pub(super) async fn page(
    State(shop): State<Shop>,
    AcceptLanguage(language): AcceptLanguage,
    OriginalUri(uri): OriginalUri,
    Query(of): Query<OfAccount>,
) -> Response {
    // The URL exactly as the browser has it.
    let url = format!("{}{}", shop.origin(), uri.path_and_query().map_or("", |path| path.as_str()));
    let mut steps = Vec::new();
    let path = format!("/accounts/{}/js-sdk-configs", of.account);
    match shop.platform().ask(&mut steps, Method::POST, &path, Some(&json!({ "url": url }))).await {
        Ok(answer) => {
            let config = answer.body.to_string();
            let page = SignedPage {
                navigation: shop.pages().navigation(),
                language,
                config: &config,
                url: &url,
                steps: &steps,
            };
            shop.pages().show(StatusCode::OK, &page)
        }
        Err(error) => shop.pages().refused(language, &error, None),
    }
}

/// `POST /js-sdk-check`: the check of a configuration that WeChat's browser makes itself. The page's script sends it
/// here, since the simulator accepts no requests from another port's page. The ticket stays in the simulator.
pub(super) async fn check(State(shop): State<Shop>, Json(config): Json<Value>) -> Response {
    match shop.0.wechat.check_page(&config).await {
        Ok(answer) => Json(answer.body).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, Json(json!({ "errMsg": error.to_string() }))).into_response(),
    }
}

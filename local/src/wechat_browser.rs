//! A desktop browser that plays WeChat's.
//!
//! Outside WeChat, the page on which visitors log in shows a QR code instead of going on. The demo shop has a switch
//! that sets a cookie; cookies of `localhost` are sent to all of its ports, and the public port treats a request that
//! carries it as one of WeChat's browser on a phone. This is in `cargo run` only: no function knows about it.

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::USER_AGENT;
use axum::middleware::{self, Next};
use axum::response::Response;
use web::cookies;

/// The cookie's name.
pub(crate) const COOKIE: &str = "wechat-browser";

/// Its value in a browser that plays WeChat's.
pub(crate) const ON: &str = "on";

/// The `User-Agent` of WeChat's browser on an Android phone.
const WECHAT: HeaderValue = HeaderValue::from_static(
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/130.0.0.0 Mobile \
     Safari/537.36 MMWEBID/1 MicroMessenger/8.0.50 WeChat/arm64 NetType/WIFI Language/zh_CN",
);

/// Whether a browser plays WeChat's.
pub(crate) fn is_played<B>(request: &axum::http::Request<B>) -> bool {
    cookies(request.headers()).any(|(name, value)| (name, value) == (COOKIE, ON))
}

/// The router, which treats such a browser as WeChat's.
pub(crate) fn playing_wechat(router: Router) -> Router {
    router.layer(middleware::from_fn(async |mut request: Request, next: Next| -> Response {
        if is_played(&request) {
            request.headers_mut().insert(USER_AGENT, WECHAT);
        }
        next.run(request).await
    }))
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::HeaderMap;
    use axum::routing::get;
    use tower::ServiceExt as _;
    use web::Browser;

    use super::*;

    async fn browser(cookie: &'static str) -> String {
        let shown = get(async |headers: HeaderMap| format!("{:?}", Browser::of(&headers)));
        let router = playing_wechat(Router::new().route("/", shown));
        let request =
            Request::get("/").header("user-agent", "Mozilla/5.0 (X11; Linux x86_64)").header("cookie", cookie);
        let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        String::from_utf8(to_bytes(response.into_body(), 100).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_browser_plays_wechats_exactly_with_the_cookie() {
        assert_eq!(browser("a=b; wechat-browser=on").await, "WechatOnPhone");
        for other in ["", "wechat-browser=off", "wechat-browser=", "a-wechat-browser=on"] {
            assert_eq!(browser(other).await, "Computer", "{other}");
        }
    }
}

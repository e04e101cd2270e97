//! Requests as browsers send them, and as programs do.

use axum::body::to_bytes;
use axum::routing::get;
use tower::ServiceExt as _;

use super::*;

const ACCESS_CONTROL: &str = "access-control-";

fn request(method: &str, headers: &[(&str, &str)]) -> Request<()> {
    let request = headers
        .iter()
        .fold(Request::builder().method(method).uri("/"), |request, (name, value)| request.header(*name, *value));
    request.body(()).unwrap()
}

fn checked(guard: &Guard, method: &str, headers: &[(&str, &str)]) -> Result<(), Refusal> {
    guard.check(&request(method, headers))
}

fn at_host(guard: &Guard, host: &str) -> Result<(), Refusal> {
    checked(guard, "GET", &[("host", host)])
}

#[test]
fn every_name_of_this_machine_is_accepted_with_or_without_a_port() {
    let guard = Guard::loopback();
    for host in [
        "localhost",
        "localhost:3002",
        "LocalHost:3002",
        "127.0.0.1",
        "127.0.0.1:8000",
        "127.0.0.2:8000",
        "[::1]",
        "[::1]:8000",
        "[::ffff:127.0.0.1]:8000",
    ] {
        assert_eq!(at_host(&guard, host), Ok(()), "{host}");
    }
}

#[test]
fn a_name_that_anybody_could_point_here_is_refused() {
    let guard = Guard::loopback();
    for host in [
        "rebound.example.com",
        "rebound.example.com:8000",
        "localhost.example.com:8000",
        "127.0.0.1.example.com:8000",
        "localhost@rebound.example.com",
        "rebound.example.com@localhost",
        "localhost, rebound.example.com",
        "10.0.0.7:8000",
        "192.0.2.1",
        "[2001:db8::1]:8000",
        "0.0.0.0:8000",
        "[::]:8000",
        "",
        ":8000",
        "local host",
    ] {
        assert_eq!(at_host(&guard, host), Err(Refusal::Host), "{host}");
    }
    assert_eq!(checked(&guard, "GET", &[]), Err(Refusal::Host), "no name at all");
    let twice = [("host", "localhost"), ("host", "rebound.example.com")];
    assert_eq!(checked(&guard, "GET", &twice), Err(Refusal::Host));
}

#[test]
fn a_foreign_host_in_the_request_line_is_refused() {
    let request = |uri: &str| Request::get(uri).header("host", "localhost").body(()).unwrap();
    let guard = Guard::loopback();
    assert_eq!(guard.check(&request("http://localhost:8000/")), Ok(()));
    assert_eq!(guard.check(&request("http://rebound.example.com/")), Err(Refusal::Host));
}

#[test]
fn the_address_of_bind_and_further_names_are_accepted_if_they_are_given() {
    let bridge = Guard::at("172.17.0.1".parse().unwrap(), &["host.docker.internal".to_owned()]);
    for host in ["172.17.0.1:8000", "host.docker.internal:8000", "Host.Docker.Internal", "localhost:8000"] {
        assert_eq!(at_host(&bridge, host), Ok(()), "{host}");
    }
    for host in ["172.17.0.2:8000", "docker.internal", "rebound.example.com"] {
        assert_eq!(at_host(&bridge, host), Err(Refusal::Host), "{host}");
    }
    let everywhere = Guard::at("0.0.0.0".parse().unwrap(), &[]);
    assert_eq!(at_host(&everywhere, "192.168.1.7:8000"), Ok(()));
    assert_eq!(at_host(&everywhere, "rebound.example.com"), Err(Refusal::Host));
}

#[test]
fn a_form_on_the_listeners_own_page_is_accepted() {
    let guard = Guard::at("127.0.0.1".parse().unwrap(), &["sim.example.com".to_owned()]);
    for (host, origin) in [
        ("localhost:3002", "http://localhost:3002"),
        ("localhost", "http://localhost"),
        ("localhost:80", "http://localhost"),
        ("127.0.0.1:3002", "http://127.0.0.1:3002"),
        ("[::1]:3002", "http://[::1]:3002"),
        // Through a tunnel that ends TLS.
        ("sim.example.com", "https://sim.example.com"),
    ] {
        let headers = [("host", host), ("origin", origin), ("sec-fetch-site", "same-origin")];
        assert_eq!(checked(&guard, "POST", &headers), Ok(()), "{origin} at {host}");
    }
}

#[test]
fn a_request_of_any_other_page_is_refused_whatever_its_method() {
    let guard = Guard::loopback();
    for origin in [
        "https://evil.example.com",
        "http://localhost",
        "http://localhost:9999",
        "http://127.0.0.1:3002",
        "https://localhost.example.com:3002",
        "http://localhost:3002.example.com",
        "chrome-extension://abcdefghijklmnop",
        "null",
        "file://",
        "",
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
            let headers = [("host", "localhost:3002"), ("origin", origin)];
            assert_eq!(checked(&guard, method, &headers), Err(Refusal::Origin), "{method} from {origin}");
        }
    }
    let two = [("host", "localhost:3002"), ("origin", "http://localhost:3002"), ("origin", "https://evil.example.com")];
    assert_eq!(checked(&guard, "POST", &two), Err(Refusal::Origin));
}

#[test]
fn embedded_or_fetched_requests_are_refused_and_a_link_in_a_tab_is_not() {
    let guard = Guard::loopback();
    let sent = |method, site, mode, dest| {
        let headers = [("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)];
        checked(&guard, method, &[&[("host", "localhost:3002")], &headers[..]].concat())
    };
    for site in ["cross-site", "same-site", "anything-new"] {
        for (mode, dest) in [("no-cors", "image"), ("no-cors", "script"), ("cors", "empty"), ("navigate", "iframe")] {
            assert_eq!(sent("GET", site, mode, dest), Err(Refusal::Origin), "{site} {mode} {dest}");
        }
        assert_eq!(sent("GET", site, "navigate", "document"), Ok(()), "{site}");
        assert_eq!(sent("POST", site, "navigate", "document"), Err(Refusal::Origin), "{site}");
    }
    for site in ["none", "same-origin"] {
        assert_eq!(sent("GET", site, "cors", "empty"), Ok(()), "{site}");
    }
    let bare = [("host", "localhost:3002"), ("sec-fetch-site", "cross-site")];
    assert_eq!(checked(&guard, "GET", &bare), Err(Refusal::Origin));
}

#[tokio::test]
async fn a_refusal_is_one_line_that_no_website_may_read_on_every_path() {
    let router = Guard::loopback().protect(Router::new().route("/known", get(async || "secret")));
    for (method, path) in [("GET", "/known"), ("POST", "/known"), ("OPTIONS", "/known"), ("GET", "/unknown")] {
        for (host, origin) in
            [("localhost", "https://evil.example.com"), ("rebound.example.com", "http://rebound.example.com")]
        {
            let request = Request::builder().method(method).uri(path).header("host", host).header("origin", origin);
            let request = request.header("access-control-request-method", "POST").body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{method} {path}");
            assert!(response.headers().keys().all(|name| !name.as_str().starts_with(ACCESS_CONTROL)));
            let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
            let line = String::from_utf8(body.to_vec()).unwrap();
            assert!(line.starts_with("Refused: ") && line.lines().count() == 1 && !line.contains("evil"), "{line}");
        }
    }
}

//! S3 on localhost, as far as files need it: one bucket, whose objects are put and got with presigned URLs.
//!
//! A URL that was presigned with this machine's own credentials is checked as S3 checks it: method, path, signed
//! headers, and time. One that was presigned with other credentials, such as those of a function in `sam local`, is
//! accepted if it has not expired: this bucket cannot know their secret.
//!
//! Objects are kept in memory for a day, within a limit of size.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base::clock::{SharedClock, Timestamp};
use runtime::aws::{Presigner, SignedRequest};
use tokio::net::TcpListener;
use url::Url;

use crate::guard::{self, Guard};
use crate::home;

/// How long an object is kept, as with the bucket's lifecycle rule.
const KEEP: Duration = Duration::from_hours(24);

/// The most bytes of all objects together; the oldest are deleted to make room.
const ROOM: usize = 256 * 1024 * 1024;

/// The largest object that can be put.
const LARGEST_OBJECT: usize = 64 * 1024 * 1024;

/// Headers that are kept with an object.
const KEPT_HEADERS: [HeaderName; 2] = [CONTENT_TYPE, CONTENT_DISPOSITION];

/// One bucket behind an endpoint; clones share it.
#[derive(Clone)]
pub struct FileBucket(Arc<Shared>);

struct Shared {
    presigner: Presigner,
    clock: SharedClock,
    objects: Mutex<Objects>,
}

#[derive(Default)]
struct Objects {
    by_name: BTreeMap<String, Object>,
    /// Names in the order in which they were put.
    order: VecDeque<String>,
}

#[derive(Clone)]
struct Object {
    headers: Vec<(HeaderName, HeaderValue)>,
    bytes: Bytes,
    put_at: Timestamp,
}

/// An error in S3's form.
struct S3Error {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
}

impl S3Error {
    const fn denied(message: &'static str) -> Self {
        Self { status: StatusCode::FORBIDDEN, code: "AccessDenied", message }
    }
}

impl IntoResponse for S3Error {
    fn into_response(self) -> Response {
        let Self { status, code, message } = self;
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        );
        (status, [(CONTENT_TYPE, "application/xml")], body).into_response()
    }
}

impl FileBucket {
    /// An empty bucket. `presigner` has this machine's own credentials.
    #[must_use]
    pub fn new(presigner: Presigner, clock: SharedClock) -> Self {
        Self(Arc::new(Shared { presigner, clock, objects: Mutex::default() }))
    }

    /// The endpoint, and a page for people.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/", get(page))
            .route("/{*name}", get(read).put(write))
            .layer(DefaultBodyLimit::max(LARGEST_OBJECT))
            .with_state(self.clone())
    }

    /// Serves the endpoint to this machine until the future is dropped.
    ///
    /// # Errors
    /// The error of the operating system for the listener.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        guard::serve(listener, self.router(), &Guard::loopback()).await
    }

    /// The number of objects.
    #[must_use]
    pub fn count(&self) -> usize {
        self.with_objects(|objects| objects.by_name.len())
    }

    /// Accesses the objects, without expired ones.
    fn with_objects<T>(&self, look: impl FnOnce(&mut Objects) -> T) -> T {
        let mut objects = self.0.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.keep_since(self.0.clock.now().minus(KEEP));
        look(&mut objects)
    }

    /// Checks the signature of a request. Like S3, refuses one that is also signed in another way, or has a header of
    /// AWS's that its URL does not cover.
    async fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), S3Error> {
        const INCOMPLETE: S3Error = S3Error::denied("The URL has no signature, or an incomplete one.");
        let given = uri.query().and_then(PresignedQuery::read).ok_or(INCOMPLETE)?;
        let now = self.0.clock.now();
        if now > given.signed_at.plus(given.expires_in) {
            return Err(S3Error::denied("Request has expired"));
        }
        if headers.contains_key(AUTHORIZATION) {
            let message = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string \
                           parameter or the Authorization header should be specified";
            return Err(S3Error { status: StatusCode::BAD_REQUEST, code: "InvalidArgument", message });
        }
        let is_signed = |name: &HeaderName| given.signed_headers.contains(name);
        let must_be_signed =
            |name: &&HeaderName| name.as_str().starts_with("x-amz-") && name.as_str() != "x-amz-content-sha256";
        if !headers.keys().filter(must_be_signed).all(is_signed) {
            return Err(S3Error::denied("There were headers present in the request which were not signed"));
        }
        let value = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let signed: Vec<(HeaderName, String)> = given
            .signed_headers
            .iter()
            .filter(|name| **name != HOST)
            .map(|name| (name.clone(), value(name).to_owned()))
            .collect();
        let url = Url::parse(&format!("http://{}{}", value(&HOST), uri.path())).map_err(|_| INCOMPLETE)?;
        let (from, valid_for) = (given.signed_at, given.expires_in);
        let request = SignedRequest { method, url: &url, headers: &signed, from, valid_for };
        let right = self.0.presigner.sign(request).await.map_err(|_| INCOMPLETE)?;
        let right = right.query().and_then(PresignedQuery::read).ok_or(INCOMPLETE)?;
        if given.credential == right.credential && given.signature != right.signature {
            let message = "The request signature we calculated does not match the signature you provided: method, path and \
                           signed headers must be as they were signed.";
            return Err(S3Error { status: StatusCode::FORBIDDEN, code: "SignatureDoesNotMatch", message });
        }
        Ok(())
    }
}

impl Objects {
    fn keep_since(&mut self, oldest: Timestamp) {
        while let Some(object) = self.order.front().and_then(|name| self.by_name.get(name))
            && object.put_at < oldest
        {
            self.drop_oldest();
        }
    }

    fn put(&mut self, name: String, object: Object) {
        self.order.retain(|other| *other != name);
        self.order.push_back(name.clone());
        self.by_name.insert(name, object);
        while self.by_name.values().map(|object| object.bytes.len()).sum::<usize>() > ROOM {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(name) = self.order.pop_front() {
            self.by_name.remove(&name);
        }
    }
}

/// The `X-Amz-…` parameters of a presigned URL.
struct PresignedQuery {
    signed_at: Timestamp,
    expires_in: Duration,
    signed_headers: Vec<HeaderName>,
    credential: String,
    signature: String,
}

impl PresignedQuery {
    fn read(query: &str) -> Option<Self> {
        let query: BTreeMap<String, String> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let text = |name: &str| query.get(name).cloned();
        Some(Self {
            signed_at: signing_time(&text("X-Amz-Date")?)?,
            expires_in: Duration::from_secs(text("X-Amz-Expires")?.parse().ok()?),
            signed_headers: text("X-Amz-SignedHeaders")?
                .split(';')
                .map(|name| name.parse().ok())
                .collect::<Option<_>>()?,
            credential: text("X-Amz-Credential")?,
            signature: text("X-Amz-Signature")?,
        })
    }
}

/// `20130524T000000Z`.
fn signing_time(text: &str) -> Option<Timestamp> {
    let part = |range: std::ops::Range<usize>| text.get(range);
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    let (hour, minute, rest) = (part(9..11)?, part(11..13)?, part(13..16)?);
    Timestamp::parse_rfc3339(&format!("{year}-{month}-{day}T{hour}:{minute}:{rest}"))
}

async fn page(headers: HeaderMap) -> Response {
    home::aws("The local bucket of files", "FILES_BUCKET_URL", &headers)
}

async fn read(State(bucket): State<FileBucket>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if let Err(error) = bucket.check(&method, &uri, &headers).await {
        return error.into_response();
    }
    let Some(object) = bucket.with_objects(|objects| objects.by_name.get(uri.path()).cloned()) else {
        let message = "The specified key does not exist.";
        return S3Error { status: StatusCode::NOT_FOUND, code: "NoSuchKey", message }.into_response();
    };
    let mut response = object.bytes.into_response();
    response.headers_mut().remove(CONTENT_TYPE);
    response.headers_mut().extend(object.headers);
    response
}

async fn write(
    State(bucket): State<FileBucket>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    if let Err(error) = bucket.check(&method, &uri, &headers).await {
        return error.into_response();
    }
    let kept = KEPT_HEADERS.into_iter().filter_map(|name| Some((name.clone(), headers.get(&name)?.clone())));
    let object = Object { headers: kept.collect(), bytes, put_at: bucket.0.clock.now() };
    bucket.with_objects(|objects| objects.put(uri.path().to_owned(), object));
    StatusCode::OK.into_response()
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::config::{Credentials, Region, SharedCredentialsProvider};
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use base::clock::{Clock as _, ManualClock};
    use tower::ServiceExt as _;

    use super::*;

    struct Stage {
        clock: Arc<ManualClock>,
        presigner: Presigner,
        bucket: FileBucket,
    }

    fn presigner(key: &str) -> Presigner {
        let credentials = Credentials::new(key, "secret", None, None, "test");
        let config = aws_config::SdkConfig::builder()
            .region(Region::from_static("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials));
        Presigner::new(&config.build()).unwrap()
    }

    impl Stage {
        fn ready() -> Self {
            let clock = Arc::new(ManualClock::at(Timestamp::from_unix(1_800_000_000)));
            let presigner = presigner("local");
            let bucket = FileBucket::new(presigner.clone(), Arc::clone(&clock) as SharedClock);
            Self { clock, presigner, bucket }
        }

        async fn url(
            &self,
            presigner: &Presigner,
            method: &Method,
            path: &str,
            headers: &[(HeaderName, String)],
        ) -> Url {
            let url = Url::parse(&format!("http://localhost:8003/{path}")).unwrap();
            let (from, valid_for) = (self.clock.now(), Duration::from_mins(15));
            presigner.sign(SignedRequest { method, url: &url, headers, from, valid_for }).await.unwrap()
        }

        async fn ask(&self, method: &Method, url: &Url, content_type: &str, body: &'static str) -> (u16, String) {
            let path = format!("{}?{}", url.path(), url.query().unwrap_or_default());
            let request = Request::builder().method(method).uri(path).header(HOST, "localhost:8003");
            let request = request.header(CONTENT_TYPE, content_type).body(Body::from(body)).unwrap();
            let response = self.bucket.router().oneshot(request).await.unwrap();
            let status = response.status().as_u16();
            let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
            (status, String::from_utf8(body.to_vec()).unwrap())
        }
    }

    #[tokio::test]
    async fn an_object_is_put_as_it_was_signed_and_got_for_a_day() {
        let stage = Stage::ready();
        let type_of = [(CONTENT_TYPE, "image/jpeg".to_owned())];
        let put = stage.url(&stage.presigner, &Method::PUT, "a/b", &type_of).await;
        let other = stage.url(&stage.presigner, &Method::PUT, "a/c", &type_of).await;
        for (method, url, content_type) in [
            (Method::PUT, put.clone(), "image/png"),
            (Method::GET, put.clone(), "image/jpeg"),
            (Method::PUT, Url::parse(&other.as_str().replace("/a/c", "/a/b")).unwrap(), "image/jpeg"),
            (Method::PUT, Url::parse(&put.as_str().replace("Expires=900", "Expires=9000")).unwrap(), "image/jpeg"),
        ] {
            let (status, body) = stage.ask(&method, &url, content_type, "bytes").await;
            assert!(status == 403 && body.contains("SignatureDoesNotMatch"), "{method} {url} {content_type}: {body}");
        }
        let unsigned = Url::parse("http://localhost:8003/a/b").unwrap();
        assert_eq!(stage.ask(&Method::PUT, &unsigned, "image/jpeg", "bytes").await.0, 403);
        assert_eq!(stage.bucket.count(), 0);
        assert_eq!(stage.ask(&Method::PUT, &put, "image/jpeg", "bytes").await.0, 200);
        let get = stage.url(&stage.presigner, &Method::GET, "a/b", &[]).await;
        assert_eq!(stage.ask(&Method::GET, &get, "", "").await, (200, "bytes".to_owned()));
        stage.clock.advance(Duration::from_secs(901));
        let (status, body) = stage.ask(&Method::GET, &get, "", "").await;
        assert!(status == 403 && body.contains("expired"), "{body}");
        stage.clock.advance(KEEP);
        let get = stage.url(&stage.presigner, &Method::GET, "a/b", &[]).await;
        let (status, body) = stage.ask(&Method::GET, &get, "", "").await;
        assert!(status == 404 && body.contains("NoSuchKey"), "{body}");
    }

    #[tokio::test]
    async fn a_request_that_is_signed_twice_is_refused_as_by_s3() {
        let stage = Stage::ready();
        let put = stage.url(&stage.presigner, &Method::PUT, "a", &[]).await;
        let answered = async |header: (&str, &str)| {
            let path = format!("{}?{}", put.path(), put.query().unwrap_or_default());
            let request = Request::put(path).header(HOST, "localhost:8003").header(header.0, header.1);
            let response = stage.bucket.router().oneshot(request.body(Body::from("bytes")).unwrap()).await.unwrap();
            let status = response.status().as_u16();
            let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
            (status, String::from_utf8(body.to_vec()).unwrap())
        };
        let (status, body) = answered(("authorization", "AWS4-HMAC-SHA256 Credential=a")).await;
        assert!(
            status == 400 && body.contains("InvalidArgument") && body.contains("Only one auth mechanism"),
            "{body}"
        );
        for name in ["x-amz-date", "x-amz-security-token"] {
            let (status, body) = answered((name, "a")).await;
            assert!(status == 403 && body.contains("AccessDenied") && body.contains("were not signed"), "{body}");
        }
        assert_eq!(answered(("x-amz-content-sha256", "UNSIGNED-PAYLOAD")).await.0, 200);
        let with_date = [(HeaderName::from_static("x-amz-date"), "a".to_owned())];
        let put = stage.url(&stage.presigner, &Method::PUT, "a", &with_date).await;
        let path = format!("{}?{}", put.path(), put.query().unwrap_or_default());
        let request = Request::put(path).header(HOST, "localhost:8003").header("x-amz-date", "a");
        let response = stage.bucket.router().oneshot(request.body(Body::from("bytes")).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200, "it is signed");
    }

    #[tokio::test]
    async fn a_function_with_credentials_of_its_own_is_let_in() {
        let stage = Stage::ready();
        let put = stage.url(&presigner("sam"), &Method::PUT, "bucket/a", &[]).await;
        assert_eq!(stage.ask(&Method::PUT, &put, "text/plain", "bytes").await.0, 200);
        stage.clock.advance(Duration::from_secs(901));
        assert_eq!(stage.ask(&Method::PUT, &put, "text/plain", "bytes").await.0, 403);
    }

    #[test]
    fn the_oldest_make_room() {
        let mut objects = Objects::default();
        let bytes = Bytes::from(vec![0; ROOM / 2]);
        for name in ["a", "b", "a", "c"] {
            let put_at = Timestamp::from_unix(0);
            objects.put(name.to_owned(), Object { headers: Vec::new(), bytes: bytes.clone(), put_at });
        }
        assert_eq!(objects.by_name.into_keys().collect::<Vec<_>>(), ["a", "c"]);
    }
}

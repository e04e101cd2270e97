//! Files for calls: what is too large for a request or a response goes through the bucket, byte for byte, accessible
//! only to its caller, and each call is still made once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::middleware::Next;
use axum::response::IntoResponse as _;
use axum::{Router, middleware};
use base::http_client::client_builder;
use base::ids::AppId;
use base::limits::Limits;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Method, Request, StatusCode};
use runtime::telemetry::Measure;
use serde_json::json;
use simulator::{Fault, Received, SecretKind, sample_picture, sample_video};
use stories::business::{Answer, Business, CALLS};
use stories::world::{KEYS, World, short_limits};
use url::Url;

const UPLOAD: &str = "/cgi-bin/media/upload";
const DOWNLOAD: &str = "/cgi-bin/media/get";
const MIB: usize = 1024 * 1024;

/// The header that sends a picture in the form of WeChat's uploads.
const AS_MEDIA: (&str, &str) = ("x-body-part", "media; filename=photo.jpg");

struct Stage {
    world: World,
    business: Business,
    account: AppId,
}

impl Stage {
    async fn ready() -> Self {
        Self::with(short_limits()).await
    }

    async fn with(limits: Limits) -> Self {
        let world = World::with(|_| {}, limits).await;
        world.get_ready().await;
        let account = world.authorized_account().await;
        Self { business: Business::of(&world), world, account }
    }

    /// The service with this as the stack's bucket.
    fn with_bucket(&self, url: &Url) -> Business {
        Business::through(&self.world, wechat_calls::router(self.world.call_service_with_files_at(url), KEYS))
    }

    async fn downloads_by(&self, business: &Business) -> Answer {
        let request = Request::builder().uri(format!("{CALLS}{}/cgi-bin/media/get?media_id=any", self.account));
        business.send(request.header("x-large-answer", "redirect").body(Body::empty()).unwrap()).await
    }

    /// A new file, and the URL to upload it to.
    async fn create(&self, content_type: &str, length: usize) -> (String, Url) {
        let file = json!({ "content_type": content_type, "length": length });
        let created = self.business.ask(Method::POST, "/files", &file).await;
        assert_eq!(created.status, 201, "{}", created.body);
        let text = |name: &str| created.body[name].as_str().unwrap();
        (text("file_id").to_owned(), text("upload_url").parse().unwrap())
    }

    async fn upload(&self, content_type: &'static str, bytes: &[u8]) -> String {
        let (id, url) = self.create(content_type, bytes.len()).await;
        assert_eq!(put(url, content_type, bytes.to_vec()).await, 200);
        id
    }

    /// A call without a body of its own.
    async fn sends_file(&self, business: &Business, api: &str, headers: &[(&str, &str)]) -> Answer {
        let request = Request::builder().method(Method::POST).uri(format!("{CALLS}{}/{api}", self.account));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        business.send(request.body(Body::empty()).unwrap()).await
    }

    async fn uploads(&self, id: &str) -> Answer {
        self.sends_file(&self.business, "cgi-bin/media/upload?type=image", &[("x-body-file", id), AS_MEDIA]).await
    }

    async fn downloads(&self, media: &str, headers: &[(&str, &str)]) -> Answer {
        let request = Request::builder().uri(format!("{CALLS}{}/cgi-bin/media/get?media_id={media}", self.account));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.business.send(request.body(Body::empty()).unwrap()).await
    }

    fn arrived(&self, path: &str) -> Vec<Received> {
        self.world.simulator.requests(path)
    }
}

async fn put(url: Url, content_type: &str, bytes: Vec<u8>) -> u16 {
    let request = client_builder().build().unwrap().put(url).header(CONTENT_TYPE, content_type).body(bytes);
    request.send().await.unwrap().status().as_u16()
}

/// The file to which a response redirects.
async fn got(answer: &Answer) -> (reqwest::header::HeaderMap, Vec<u8>) {
    assert_eq!(answer.status, 303, "{}", answer.body);
    let url = answer.headers[LOCATION].to_str().unwrap();
    let response = client_builder().build().unwrap().get(url).send().await.unwrap();
    assert_eq!(response.status(), 200);
    (response.headers().clone(), response.bytes().await.unwrap().to_vec())
}

/// Whether a form has these bytes in its file part.
fn has_file(received: &Received, bytes: &[u8]) -> bool {
    let head = b"filename=\"photo.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n";
    let whole = [head.as_slice(), bytes, b"\r\n--"].concat();
    memchr::memmem::find(&received.body, &whole).is_some()
}

#[tokio::test]
async fn ten_megabytes_go_up_as_a_form_and_come_down_through_the_bucket() {
    let stage = Stage::ready().await;
    let picture = sample_picture(10 * MIB);
    let id = stage.upload("image/jpeg", &picture).await;
    let uploaded = stage.uploads(&id).await;
    let media = uploaded.body["media_id"].as_str().unwrap_or_else(|| panic!("{}", uploaded.body)).to_owned();
    let [received] = &stage.arrived(UPLOAD)[..] else { panic!("one request") };
    assert!(has_file(received, &picture));
    assert!(received.header("x-body-file").is_none() && received.header("x-body-part").is_none());

    let refused = stage.downloads(&media, &[]).await;
    assert_eq!((refused.status, refused.problem()), (413, "answer-too-large"));
    assert!(refused.detail().contains("X-Large-Answer: redirect"), "{}", refused.detail());
    let redirected = stage.downloads(&media, &[("x-large-answer", "redirect")]).await;
    assert!(redirected.bytes.is_empty() && redirected.headers.get(CONTENT_TYPE).is_none());
    let (headers, bytes) = got(&redirected).await;
    assert!(bytes == picture, "{} bytes", bytes.len());
    assert_eq!(headers[CONTENT_TYPE], "image/jpeg");
    assert!(headers[CONTENT_DISPOSITION].to_str().unwrap().starts_with("attachment"));
    let lines = stage.world.log.text();
    assert!(!lines.contains("X-Amz-") && !lines.contains(&id), "{lines}");
}

#[tokio::test]
async fn what_is_small_enough_comes_back_as_ever() {
    let stage = Stage::ready().await;
    let picture = sample_picture(4 * MIB);
    let uploaded = stage.uploads(&stage.upload("image/jpeg", &picture).await).await;
    let media = uploaded.body["media_id"].as_str().unwrap();
    let down = stage.downloads(media, &[("x-large-answer", "redirect"), ("x-video-url", "follow")]).await;
    assert!(down.status == 200 && down.bytes == picture);
    assert_eq!(stage.world.files.count(), 1, "what was uploaded, and nothing else");
}

#[tokio::test]
async fn a_video_goes_up_with_its_title_and_is_fetched_where_wechat_says_it_is() {
    let stage = Stage::ready().await;
    let video = sample_video(5 * MIB);
    let id = stage.upload("video/mp4", &video).await;
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{CALLS}{}/cgi-bin/material/add_material?type=video", stage.account))
        .header("x-body-file", &id)
        .header("x-body-part", "media; filename=%E8%8A%B1.mp4")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body("description=%7B%22title%22%3A%22%E8%8A%B1%22%2C%22introduction%22%3A%22i%22%7D".into());
    let added = stage.business.send(request.unwrap()).await;
    assert!(added.body["media_id"].is_string(), "{}", added.body);
    let [received] = &stage.arrived("/cgi-bin/material/add_material")[..] else { panic!("one request") };
    let (fields, _) = received.body.split_at(400);
    let fields = String::from_utf8_lossy(fields);
    assert!(
        fields.contains("{\"title\":\"花\",\"introduction\":\"i\"}") && fields.contains("filename=\"花.mp4\""),
        "{fields}"
    );

    let headers = [("x-body-file", id.as_str()), ("x-body-part", "media; filename=a.mp4")];
    let temporary = stage.sends_file(&stage.business, "cgi-bin/media/upload?type=video", &headers).await;
    let media = temporary.body["media_id"].as_str().unwrap_or_else(|| panic!("{}", temporary.body)).to_owned();
    let plain = stage.downloads(&media, &[]).await;
    assert!(plain.body["video_url"].is_string(), "WeChat answers with an address: {}", plain.body);
    let follow = ("x-video-url", "follow");
    let large = stage.downloads(&media, &[follow]).await;
    assert!(large.body["video_url"].is_string(), "it is too large to be returned: {}", large.body);
    let (headers, bytes) = got(&stage.downloads(&media, &[follow, ("x-large-answer", "redirect")]).await).await;
    assert!(headers[CONTENT_TYPE] == "video/mp4" && bytes == video);
}

#[tokio::test]
async fn an_address_that_is_not_wechats_is_passed_back_and_never_called() {
    let stage = Stage::ready().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = format!("http://{}/video.mp4", listener.local_addr().unwrap());
    let answer = json!({ "video_url": elsewhere }).to_string();
    stage.world.simulator.inject(Fault::answer("text/plain", answer.into_bytes()).on(DOWNLOAD));
    let passed_back = stage.downloads("any", &[("x-video-url", "follow")]).await;
    assert_eq!((passed_back.status, &passed_back.body["video_url"]), (200, &json!(elsewhere)));
    assert!(tokio::time::timeout(Duration::ZERO, listener.accept()).await.is_err(), "nobody has called");
}

#[tokio::test]
async fn a_file_is_its_callers_alone_and_gone_a_day_later() {
    let stage = Stage::ready().await;
    let (id, url) = stage.create("image/jpeg", 3).await;
    let unknown = async |business: &Business| {
        let answer =
            stage.sends_file(business, "cgi-bin/media/upload?type=image", &[("x-body-file", &id), AS_MEDIA]).await;
        assert_eq!((answer.status, answer.problem()), (404, "unknown-file"));
    };
    unknown(&stage.business).await;
    for (content_type, bytes) in [("image/png", b"abc".to_vec()), ("image/jpeg", b"abcd".to_vec())] {
        assert_eq!(put(url.clone(), content_type, bytes).await, 403, "not as it was announced");
    }
    unknown(&stage.business).await;
    assert_eq!(put(url.clone(), "image/jpeg", b"\xff\xd8\xff".to_vec()).await, 200);
    unknown(&Business::as_another_service(&stage.world)).await;
    let elsewhere = Business::in_another_session(&stage.world);
    let headers = [("x-body-file", id.as_str()), AS_MEDIA];
    let sent = stage.sends_file(&elsewhere, "cgi-bin/media/upload?type=image", &headers).await;
    assert!(sent.body["media_id"].is_string(), "the same service in another process");
    stage.world.pass(Duration::from_mins(16));
    assert_eq!(put(url, "image/jpeg", b"\xff\xd8\xff".to_vec()).await, 403, "expired");
    stage.world.pass(Duration::from_hours(24));
    stage.world.simulator.push_ticket().await;
    unknown(&stage.business).await;
    assert_eq!(stage.arrived(UPLOAD).len(), 1);
}

#[tokio::test]
async fn a_refused_token_or_a_repeat_under_a_key_sends_the_same_file() {
    let stage = Stage::ready().await;
    stage.world.pass(Duration::from_mins(2));
    let (picture, other) = (sample_picture(5 * MIB), sample_picture(1_000));
    let headers = |id: &'static str| [("x-body-file", id), AS_MEDIA, ("idempotency-key", "picture-1")];
    let (id, another) = (stage.upload("image/jpeg", &picture).await, stage.upload("image/jpeg", &other).await);
    let (id, another): (&'static str, &'static str) = (id.leak(), another.leak());
    stage.world.simulator.inject(Fault::errcode(40_001).on(UPLOAD).times(1));
    let call = async |id| stage.sends_file(&stage.business, "cgi-bin/media/upload?type=image", &headers(id)).await;
    let first = call(id).await;
    assert!(first.headers.contains_key("x-token-renewed") && first.body["media_id"].is_string(), "{}", first.body);
    let received = stage.arrived(UPLOAD);
    assert!(received.len() == 2 && received.iter().all(|received| has_file(received, &picture)));
    let again = call(id).await;
    assert_eq!((&again.body, &again.headers["idempotent-replayed"]), (&first.body, &HeaderValue::from_static("true")));
    let reused = call(another).await;
    assert_eq!((reused.status, reused.problem()), (422, "key-reused"));
    assert_eq!(stage.arrived(UPLOAD).len(), 2);
}

#[tokio::test]
async fn a_key_is_free_again_if_the_file_was_not_there_yet() {
    let stage = Stage::ready().await;
    let picture = sample_picture(1_000);
    let (id, url) = stage.create("image/jpeg", picture.len()).await;
    let headers = [("x-body-file", id.as_str()), AS_MEDIA, ("idempotency-key", "picture-1")];
    let call = async || stage.sends_file(&stage.business, "cgi-bin/media/upload?type=image", &headers).await;
    assert_eq!(call().await.problem(), "unknown-file");
    assert_eq!(put(url, "image/jpeg", picture).await, 200);
    assert!(call().await.body["media_id"].is_string());
    assert_eq!(stage.arrived(UPLOAD).len(), 1);
}

#[tokio::test]
async fn our_token_is_hidden_in_a_large_answer_too() {
    let stage = Stage::ready().await;
    let issued = stage.world.simulator.issued_secrets().into_iter();
    let token = issued.rev().find(|secret| secret.kind == SecretKind::AuthorizerToken).unwrap().value;
    let large = [vec![b'x'; 5 * MIB], token.clone().into_bytes(), vec![b'y'; 10]].concat();
    stage.world.simulator.inject(Fault::answer("image/jpeg", large).on(DOWNLOAD));
    let (_, bytes) = got(&stage.downloads("any", &[("x-large-answer", "redirect")]).await).await;
    assert!(bytes.ends_with(b"***yyyyyyyyyy") && bytes.len() > 5 * MIB);
    stage.world.simulator.inject(Fault::answer("image/jpeg", vec![b'x'; 20 * MIB + 1]).on(UPLOAD));
    let id = stage.upload("image/jpeg", b"\xff\xd8\xff").await;
    let headers = [("x-body-file", id.as_str()), AS_MEDIA, ("x-large-answer", "redirect")];
    let refused = stage.sends_file(&stage.business, "cgi-bin/media/upload?type=image", &headers).await;
    assert_eq!((refused.problem(), &refused.body["effect"]), ("answer-too-large", &json!("done")));
}

/// Serves a bucket.
async fn serve(bucket: Router) -> Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, bucket).await });
    url
}

/// A bucket that returns an error of S3's for everything.
async fn refusing_bucket(status: StatusCode, code: &str) -> Url {
    let error = format!("<Error><Code>{code}</Code><Message>User: arn:aws:sts::1 is not authorized</Message></Error>");
    serve(Router::new().fallback(async move || (status, error))).await
}

#[tokio::test]
async fn a_bucket_that_is_away_stops_what_needs_it_and_nothing_else() {
    let stage = Stage::ready().await;
    let small = vec![b'x'; 10];
    for (bucket, said) in [
        (refusing_bucket(StatusCode::FORBIDDEN, "AccessDenied").await, "S3 returned 403 Forbidden (AccessDenied)"),
        (refusing_bucket(StatusCode::NOT_FOUND, "NoSuchBucket").await, "S3 returned 404 Not Found (NoSuchBucket)"),
        (Url::parse("http://127.0.0.1:9").unwrap(), "the request to S3 failed"),
    ] {
        stage.world.expect_error(said);
        let business = stage.with_bucket(&bucket);
        let headers = [("x-body-file", "AAAAAAAAAAAAAAAAAAAAAA"), AS_MEDIA];
        let answer = stage.sends_file(&business, "cgi-bin/media/upload?type=image", &headers).await;
        assert_eq!((answer.status, answer.problem(), &answer.body["effect"]), (503, "unavailable", &json!("none")));
        assert!(stage.arrived(UPLOAD).is_empty(), "nothing was sent");
        stage.world.simulator.inject(Fault::answer("image/jpeg", vec![b'x'; 5 * MIB]).on(DOWNLOAD).times(1));
        let lost = stage.downloads_by(&business).await;
        assert_eq!((lost.status, lost.problem(), &lost.body["effect"]), (503, "unavailable", &json!("done")));
        assert!(lost.detail().contains("do not repeat it") && lost.body["reference"].is_string(), "{}", lost.body);
        stage.world.simulator.inject(Fault::answer("image/jpeg", small.clone()).on(DOWNLOAD).times(1));
        let upstream = stage.world.metrics.sum(Measure::UpstreamError);
        assert_eq!((stage.downloads_by(&business).await.bytes, upstream), (small.clone().into(), 0.0));
    }
}

#[tokio::test]
async fn a_hiccup_of_the_bucket_is_not_noticed() {
    let stage = Stage::ready().await;
    let picture = sample_picture(5 * MIB);
    let id = stage.upload("image/jpeg", &picture).await;
    let fails = Arc::new(AtomicBool::new(false));
    let hiccup = {
        let fails = Arc::clone(&fails);
        middleware::from_fn(move |request: Request<Body>, next: Next| {
            let fails = fails.swap(false, Ordering::SeqCst);
            async move { if fails { StatusCode::SERVICE_UNAVAILABLE.into_response() } else { next.run(request).await } }
        })
    };
    let business = stage.with_bucket(&serve(stage.world.files.router().layer(hiccup)).await);
    fails.store(true, Ordering::SeqCst);
    let headers = [("x-body-file", id.as_str()), AS_MEDIA];
    let sent = stage.sends_file(&business, "cgi-bin/media/upload?type=image", &headers).await;
    assert!(sent.body["media_id"].is_string() && !fails.load(Ordering::SeqCst), "{}", sent.body);
    fails.store(true, Ordering::SeqCst);
    stage.world.simulator.inject(Fault::answer("image/jpeg", picture.clone()).on(DOWNLOAD).times(1));
    let redirected = stage.downloads_by(&business).await;
    assert!(!fails.load(Ordering::SeqCst));
    assert!(got(&redirected).await.1 == picture);
}

/// Two seconds for a call, and two for what follows it.
const BRIEF: Limits = Limits {
    page: Duration::from_secs(4),
    table: Duration::from_secs(2),
    table_try: Duration::from_secs(1),
    ..short_limits()
};

/// A bucket that accepts requests and never responds.
async fn hanging_bucket() -> Url {
    serve(Router::new().fallback(async || std::future::pending::<StatusCode>().await)).await
}

#[tokio::test]
async fn a_bucket_that_hangs_is_not_taken_for_wechat() {
    let stage = Stage::with(BRIEF).await;
    stage.world.expect_error("the request to S3 failed");
    let business = stage.with_bucket(&hanging_bucket().await);
    let headers = [("x-body-file", "AAAAAAAAAAAAAAAAAAAAAA"), AS_MEDIA];
    let answer = stage.sends_file(&business, "cgi-bin/media/upload?type=image", &headers).await;
    assert_eq!((answer.status, answer.problem(), &answer.body["effect"]), (503, "unavailable", &json!("none")));
    assert!(stage.arrived(UPLOAD).is_empty(), "nothing was sent");
}

#[tokio::test]
async fn a_bucket_that_hangs_after_the_call_leaves_time_to_record_it() {
    let stage = Stage::with(BRIEF).await;
    stage.world.expect_error("the request to S3 failed");
    let business = stage.with_bucket(&hanging_bucket().await);
    let code = "/wxa/getwxacodeunlimit";
    stage.world.simulator.inject(Fault::answer("image/jpeg", vec![b'x'; 5 * MIB]).on(code).times(1));
    let headers = [("idempotency-key", "code-1"), ("x-large-answer", "redirect")];
    let scene = json!({ "scene": "a" });
    let call = async || business.calls_wechat(&stage.account, &code[1..], &headers, &scene).await;
    let lost = call().await;
    assert_eq!((lost.status, lost.problem(), &lost.body["effect"]), (503, "unavailable", &json!("done")));
    let again = call().await;
    assert_eq!((again.status, again.problem(), &again.body["effect"]), (409, "call-not-repeated", &json!("done")));
    assert_eq!(stage.arrived(code).len(), 1);
}

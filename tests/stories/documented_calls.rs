//! docs/calls.md: every call in it is made as written, and WeChat's response is the documented one.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use base::http_client::client_builder;
use base::ids::AppId;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{Method, Request};
use serde_json::Value;
use simulator::{AuditResult, sample_picture, sample_video};
use stories::business::{Answer, Business};
use stories::world::World;
use url::form_urlencoded;

const PAGE: &str = include_str!("../../docs/calls.md");

/// The length of the large files, according to the page.
const LARGE: usize = 10_485_760;

/// A large file of the page.
fn large(name: &str) -> Vec<u8> {
    match name {
        "large.jpg" => sample_picture(LARGE),
        "lesson.mp4" => sample_video(LARGE),
        other => panic!("no file is called {other}"),
    }
}

/// Permission sets of an official account and a mini program that permit every call on the page.
const OF_SHOP: [u32; 10] = [1, 2, 3, 4, 7, 11, 15, 24, 27, 100];
const OF_PROGRAM: [u32; 9] = [17, 18, 19, 25, 30, 37, 48, 57, 76];

/// A call on the page, and its documented response; `None` for a file.
struct Example {
    command: String,
    answer: Option<Value>,
}

/// The calls of the section of examples.
fn examples() -> Vec<Example> {
    let (_, section) = PAGE.split_once("\n## Examples\n").expect("the section is there");
    let mut examples: Vec<Example> = Vec::new();
    let mut blocks = section.split("```");
    blocks.next();
    while let (Some(block), Some(_)) = (blocks.next(), blocks.next()) {
        let (language, text) = block.split_once('\n').expect("a block has a language");
        match language {
            "sh" => examples.push(Example { command: text.replace("\\\n", ""), answer: None }),
            "json" => {
                let example = examples.last_mut().expect("an answer follows its call");
                assert!(example.answer.is_none(), "two answers: {text}");
                example.answer = Some(serde_json::from_str(text).expect("an answer is JSON"));
            }
            other => panic!("a block of {other}"),
        }
    }
    examples
}

/// The words of a command, as a shell reads the few kinds of quotation on the page.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in command.trim().chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, c) if c.is_whitespace() => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            (_, c) => word.push(c),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// A `curl` command.
struct Curl {
    request: Request<Body>,
    /// The file in which the response is stored.
    file: Option<String>,
    /// Whether the URL of a redirect is printed.
    shows_redirect: bool,
}

/// The request that `curl` would send for a command.
fn curl(command: &str) -> Curl {
    let words = words(command);
    let mut words = words.iter().map(String::as_str);
    assert_eq!(words.next(), Some("curl"));
    let url = words.next().expect("the URL comes first");
    let mut request = Request::builder().uri(url.strip_prefix("$API").unwrap_or(url));
    let (mut body, mut method, mut file, mut shows_redirect) = (Vec::new(), None, None, false);
    while let Some(option) = words.next() {
        let value = words.next().expect("an option has a value");
        match option {
            "-X" => method = Some(Method::try_from(value).unwrap()),
            "-T" => (body, method) = (large(value), Some(Method::PUT)),
            "-H" => {
                let (name, value) = value.split_once(": ").expect("a header has a value");
                request = request.header(name, value);
            }
            "-d" => body = value.as_bytes().to_vec(),
            "--data-urlencode" => {
                let (name, value) = value.split_once('=').expect("a field has a value");
                body = form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish().into_bytes();
                request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            }
            "-F" => {
                assert_eq!(value, "media=@picture.jpg;type=image/jpeg");
                let head = "--b\r\nContent-Disposition: form-data; name=\"media\"; filename=\"picture.jpg\"\r\n\
                            Content-Type: image/jpeg\r\n\r\n";
                body = [head.as_bytes(), &sample_picture(1_000), b"\r\n--b--\r\n"].concat();
                request = request.header(CONTENT_TYPE, "multipart/form-data; boundary=b");
            }
            "-o" => file = Some(value.to_owned()),
            "-w" => {
                assert_eq!(value, "%{redirect_url}");
                shows_redirect = true;
            }
            other => panic!("{other} is not known here"),
        }
    }
    let method = method.unwrap_or(if body.is_empty() { Method::GET } else { Method::POST });
    Curl { request: request.method(method).body(body.into()).unwrap(), file, shows_redirect }
}

/// Sends a request outside the API, to the bucket of files.
async fn of_the_bucket(request: Request<Body>) -> reqwest::Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 2 * LARGE).await.unwrap();
    let client = client_builder().build().unwrap();
    let request = client.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    response
}

/// The preparation of a call by a person, by WeChat or by time.
fn before(world: &World, program: &AppId, command: &str, known: &mut BTreeMap<String, String>) {
    let simulator = &world.simulator;
    if command.contains("/wxa/security/get_code_privacy_info") {
        world.pass(Duration::from_mins(2));
    } else if command.contains("/wxa/get_latest_auditstatus") {
        simulator.decide_audit(program, &AuditResult::Passed).expect("a version is in audit");
    } else if command.contains("/subscribe/send") {
        simulator.subscribe(program, "oUser1", &known["PRITMPLID"]);
    } else if command.contains("jscode2session") {
        known.insert("JS_CODE".to_owned(), simulator.login_code(program, "oUser1"));
    } else if command.contains("getuserphonenumber") {
        known.insert("PHONE_CODE".to_owned(), simulator.phone_code(program, "13800000000"));
    }
}

/// Whether a response matches the page: the same members of the same kind; texts are equal unless they are left out
/// (`…`), and so is the error code.
fn fits(said: &Value, answered: &Value) -> bool {
    match (said, answered) {
        (Value::Object(said), Value::Object(answered)) => said.iter().all(|(name, said)| {
            let found = answered.get(name);
            found.is_some_and(|found| if name == "errcode" { said == found } else { fits(said, found) })
        }),
        (Value::Array(said), Value::Array(answered)) => {
            said.len() <= answered.len() && said.iter().zip(answered).all(|(said, answered)| fits(said, answered))
        }
        (Value::String(said), Value::String(answered)) => said == "…" || said == answered,
        (Value::Number(_), Value::Number(_)) => true,
        (said, answered) => said == answered,
    }
}

#[tokio::test]
async fn every_call_on_the_page_is_answered_as_it_says() {
    let world = World::ready().await;
    let (shop, program) = (world.account(0), world.account(2));
    for (account, sets) in [(&shop, OF_SHOP.as_slice()), (&program, &OF_PROGRAM)] {
        world.push_and_work(&world.merchant_authorizes(account).push).await;
        assert!(world.simulator.set_permissions(account, sets));
    }
    world.simulator.follow(&shop, "oFollower1");
    let business = Business::of(&world);
    let mut known =
        BTreeMap::from([("SHOP".to_owned(), shop.to_string()), ("PROGRAM".to_owned(), program.to_string())]);
    let examples = examples();
    assert_eq!(examples.len(), 38);
    for Example { command, answer: said } in examples {
        before(&world, &program, &command, &mut known);
        let mut written = command.clone();
        for (name, value) in known.iter().rev() {
            written = written.replace(&format!("${name}"), value);
        }
        let Curl { request, file, shows_redirect } = curl(&written);
        if request.uri().host().is_some() {
            let response = of_the_bucket(request).await;
            let bytes = response.bytes().await.unwrap();
            assert!(file.is_none_or(|name| bytes == large(&name)), "{command}");
            continue;
        }
        let answer: Answer = business.send(request).await;
        if shows_redirect {
            assert_eq!(answer.status, 303, "{command}");
            known.insert("REDIRECT_URL".to_owned(), answer.headers[LOCATION].to_str().unwrap().to_owned());
            continue;
        }
        let (status, errcode) = (answer.status, answer.headers.get("x-wechat-errcode"));
        assert!(matches!((status, errcode), (200 | 201, None)), "{command}: {}", answer.body);
        match said {
            Some(said) => assert!(fits(&said, &answer.body), "{command}: {}", answer.body),
            None => {
                assert!(
                    file.is_some() && answer.headers[CONTENT_TYPE].to_str().unwrap().starts_with("image/"),
                    "{command}"
                );
            }
        }
        for (name, value) in answer.body.as_object().into_iter().flatten() {
            if let Some(text) = value.as_str() {
                known.insert(name.to_ascii_uppercase(), text.to_owned());
            }
        }
    }
    assert!(world.simulator.unexpected_calls().is_empty());
}

#[test]
fn a_comparison_notices_what_is_missing_or_different() {
    let said = serde_json::json!({ "errcode": 0, "list": [{ "id": "…", "name": "a" }], "count": 1 });
    let good = serde_json::json!({ "errcode": 0, "list": [{ "id": "x", "name": "a" }], "count": 9, "more": true });
    assert!(fits(&said, &good));
    for (place, value) in [("/errcode", serde_json::json!(1)), ("/list/0/name", "b".into()), ("/count", "1".into())] {
        let mut other = good.clone();
        *other.pointer_mut(place).unwrap() = value;
        assert!(!fits(&said, &other), "{place}");
    }
    assert!(!fits(&said, &serde_json::json!({ "errcode": 0, "list": [], "count": 1 })));
}

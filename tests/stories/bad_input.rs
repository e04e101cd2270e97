//! Invalid pushes: each is refused with the documented status and a helpful sentence, and nothing is stored.

use base::ids::AppId;
use http::Method;
use http::header::CONTENT_TYPE;
use serde_json::json;
use simulator::SealedPush;
use stories::browser::Browser;
use stories::business::{Business, LINKS};
use stories::world::{World, platform};
use wechat::crypto::{EncodingAesKey, Generations, Keyring};

/// Posts a query and a body to the push URL, as WeChat would.
async fn post(world: &World, query: &str, body: impl Into<reqwest::Body>) -> (u16, String) {
    let mut url = world.public_url.join("wechat/events").unwrap();
    url.set_query(Some(query));
    let answer = stories::http_client().post(url).header(CONTENT_TYPE, "text/xml").body(body).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Posts, and compares status, text and an unchanged table with the expectation.
async fn refused(world: &World, what: &str, query: &str, body: impl Into<reqwest::Body>, status: u16, words: &str) {
    let before = world.items().await;
    let (answered, text) = post(world, query, body).await;
    assert_eq!(answered, status, "{what}: {text}");
    assert!(text.contains(words), "{what}: {text}");
    assert_eq!(world.items().await, before, "{what}: nothing is stored");
}

fn sealed(world: &World) -> SealedPush {
    world.simulator.seal(&world.merchant_authorizes(&world.account(0)).push)
}

/// `Encrypt` of a sealed push.
fn encrypt(push: &SealedPush) -> &str {
    let (_, rest) = push.body.split_once("<Encrypt><![CDATA[").unwrap();
    rest.split_once("]]>").unwrap().0
}

#[tokio::test]
async fn a_push_that_is_not_signed_with_our_token_is_refused_with_401() {
    let world = World::ready().await;
    let push = sealed(&world);
    let (head, signature) = push.query.split_once("msg_signature=").unwrap();
    let wrong = format!("{head}msg_signature={}", "0".repeat(signature.len()));
    refused(&world, "another signature", &wrong, push.body.clone(), 401, "signature").await;
    let url_signature = push.query.split_once("signature=").unwrap().1.split_once('&').unwrap().0;
    let swapped = format!("{head}msg_signature={url_signature}");
    refused(&world, "the URL's signature", &swapped, push.body.clone(), 401, "signature").await;
    let later = push.query.replace("timestamp=1", "timestamp=2");
    refused(&world, "another time", &later, push.body.clone(), 401, "signature").await;
    let changed = push.body.replace(encrypt(&push), encrypt(&sealed(&world)));
    refused(&world, "another text", &push.query, changed, 401, "signature").await;

    assert_eq!(
        post(&world, &push.query, push.body.clone()).await,
        (200, "success".to_owned()),
        "as it was, it is taken"
    );
}

#[tokio::test]
async fn a_push_for_another_platform_is_refused_with_401() {
    let world = World::ready().await;
    let push = sealed(&world);
    let outside = push.body.replacen("wx1234567890abcdef", "wxother00000000000", 1);
    refused(&world, "AppId outside", &push.query, outside, 401, "another platform").await;

    let ours = platform();
    let key = EncodingAesKey::parse(&ours.encoding_aes_key).unwrap();
    let other = Keyring::new(AppId::parse("wxother00000000000").unwrap(), ours.token.clone(), key);
    let inside = other.seal(b"<xml></xml>", [7; 16], "1800000000", "1", Generations::CURRENT);
    let query = format!("timestamp=1800000000&nonce=1&msg_signature={}", inside.msg_signature);
    let body = format!("<xml><Encrypt><![CDATA[{}]]></Encrypt></xml>", inside.encrypt);
    refused(&world, "appid inside", &query, body, 401, "sealed for another appid").await;
}

#[tokio::test]
async fn an_outer_xml_that_wechat_never_sends_is_refused_with_400() {
    let world = World::ready().await;
    let push = sealed(&world);
    let text = encrypt(&push).to_owned();
    let element = format!("<Encrypt><![CDATA[{text}]]></Encrypt>");
    let tenfold: Vec<String> =
        (1..10).map(|n| format!("<!ENTITY l{n} '{}'>", format!("&l{};", n - 1).repeat(10))).collect();
    let bomb = tenfold.concat();
    let cases = [
        ("nothing", String::new(), "malformed"),
        ("half of it", push.body[..push.body.len() / 2].to_owned(), "malformed"),
        ("no Encrypt", "<xml><AppId>wx1234567890abcdef</AppId></xml>".to_owned(), "Encrypt is missing"),
        ("two Encrypts", format!("<xml>{element}{element}</xml>"), "more than once"),
        ("an Encrypt deeper down", format!("<xml><x>{element}</x></xml>"), "not where it belongs"),
        ("in a comment", format!("<xml><!-- {element} --></xml>"), "comments"),
        ("beside a comment", format!("<xml><!-- {element} -->{element}</xml>"), "comments"),
        (
            "inside of CDATA",
            format!("<xml><x><![CDATA[{}]]></x></xml>", element.replace("]]>", "")),
            "Encrypt is missing",
        ),
        ("a document type", format!("<!DOCTYPE xml><xml>{element}</xml>"), "document type"),
        (
            "a file of ours",
            "<!DOCTYPE x [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><xml><Encrypt>&f;</Encrypt></xml>".to_owned(),
            "document type",
        ),
        (
            "a bomb",
            format!("<!DOCTYPE x [<!ENTITY l0 'lol'>{bomb}]><xml><Encrypt>&l9;</Encrypt></xml>"),
            "document type",
        ),
        ("an entity", "<xml><Encrypt>&lol;</Encrypt></xml>".to_owned(), "entities"),
        ("a tower", format!("{}{}", "<xml>".repeat(5_000), "</xml>".repeat(5_000)), "deep"),
    ];
    for (what, body, words) in cases {
        refused(&world, what, &push.query, body, 400, words).await;
    }
    let mut bytes = push.body.clone().into_bytes();
    bytes[20] = 0xff;
    refused(&world, "bytes", &push.query, bytes, 400, "UTF-8").await;
    refused(&world, "a novel", &push.query, "x".repeat(65 * 1024), 413, "too large").await;
    let padded = format!("{}{}", push.body, " ".repeat(64 * 1024));
    refused(&world, "white space", &push.query, padded, 413, "too large").await;
}

#[tokio::test]
async fn a_push_needs_each_signed_parameter_exactly_once() {
    let world = World::ready().await;
    let push = sealed(&world);
    for name in ["timestamp", "nonce", "msg_signature"] {
        let pairs: Vec<&str> = push.query.split('&').collect();
        let own = *pairs.iter().find(|pair| pair.starts_with(&format!("{name}="))).unwrap();
        let without: Vec<&str> = pairs.iter().copied().filter(|pair| *pair != own).collect();
        let words = format!("{name} is missing");
        refused(&world, name, &without.join("&"), push.body.clone(), 400, &words).await;
        refused(&world, name, &format!("{}&{name}=", without.join("&")), push.body.clone(), 400, &words).await;
        let twice = format!("{}&{own}", push.query);
        refused(&world, name, &twice, push.body.clone(), 400, "more than once").await;
        let long = format!("{}&{name}={}", without.join("&"), "1".repeat(200));
        refused(&world, name, &long, push.body.clone(), 400, "too long").await;
    }
    refused(&world, "no query", "", push.body.clone(), 400, "missing").await;
}

#[tokio::test]
async fn a_return_without_exactly_one_usable_code_stores_nothing() {
    let world = World::ready().await;
    let link = Business::of(&world).link(json!({})).await;
    let browser = Browser::on_computer();
    let page = browser.press(&link).await;
    let mut back = page.way_back("x");
    let before = world.items().await;
    let long = format!("auth_code={}", "x".repeat(513));
    for query in
        ["", "expires_in=600", "auth_code=", "auth_code=a&auth_code=b", "auth_code=a%20b", "auth_code=%FF", &long]
    {
        back.set_query(Some(query));
        let refused = browser.open(&back).await;
        assert_eq!(refused.status, 400, "{query}");
        assert!(refused.text.contains("The authorization code is missing"), "{}", refused.text);
    }
    assert_eq!(world.items().await, before);
}

#[tokio::test]
async fn links_that_are_not_there_and_attempts_that_are_not_theirs_are_unknown() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let (link, other) = (business.link(json!({})).await, business.link(json!({})).await);
    let browser = Browser::on_computer();
    let page = browser.press(&link).await;
    let back = page.way_back("queryauthcode@@@made-up");
    let before = world.items().await;
    let elsewhere = back.as_str().replace(&link.id, &other.id);
    for address in [elsewhere.as_str(), "/authorize/0123456789abcdefABCDE_/callback/0123456789abcdefABCDE_?auth_code=a"]
    {
        assert_eq!(browser.open(&world.public_url.join(address).unwrap()).await.status, 404, "{address}");
    }
    for id in ["0123456789abcdefABCDE_", "short", "%2e%2e", "0123456789abcdefABCDE!"] {
        let address = world.public_url.join(&format!("authorize/{id}")).unwrap();
        let shown = browser.open(&address).await;
        assert_eq!(shown.status, 404, "{id}");
        let answer = business.ask(Method::GET, &format!("{LINKS}/{id}"), &json!({})).await;
        assert_eq!((answer.status, answer.problem()), (404, "unknown-link"), "{id}");
    }
    assert_eq!(world.items().await, before);
}

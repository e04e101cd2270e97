//! Forged forms, and operators who may not send a form.

use http::Method;
use stories::browser::Browser;
use stories::faults::Matching;

use super::{Stage, form_token};

/// Fields that all forms would accept.
const FIELDS: [(&str, &str); 9] = [
    ("version", "0"),
    ("reference", "42"),
    ("tags", "plan=gold"),
    ("origins", "https://shop.example.com"),
    ("requester", "shop"),
    ("kind", "3"),
    ("life", "7"),
    ("language", "zh-CN"),
    ("back", "/console"),
];

/// Checks that nothing is changed, and no function called.
async fn assert_nothing_happens(stage: &Stage, refused: impl AsyncFnOnce()) {
    stage.world.faults.forbid(Matching::any().containing("\"routeKey\""));
    let before = stage.table().await;
    refused().await;
    assert_eq!(stage.table().await, before);
}

#[tokio::test]
async fn an_operator_who_may_only_look_does_nothing_else() {
    let stage = Stage::ready().await;
    let looker = stage.bound("li", "look").await;
    let browsers = stage.see(&looker, "/console/browsers").await;
    let token = form_token(&browsers);
    let fields: Vec<_> = FIELDS.into_iter().chain([("form_token", token.as_str())]).collect();
    assert_nothing_happens(&stage, async || {
        for path in stage.paths(&Method::POST) {
            let page = looker.send_form(&stage.url(&path), Some(&stage.origin()), &fields).await;
            let own = ["/console/language", "/console/browsers/AAAAAAAAAAAAAAAAAAAAAA/end"].contains(&path.as_str());
            assert_eq!(page.status == 403, !own, "{path}: {}", page.text);
            assert!(own || page.text.contains("You can only view"), "{}", page.text);
        }
        // The methods that no page has.
        for path in stage.paths(&Method::POST) {
            let page = stage.open(&looker, &path).await;
            assert!([200, 405].contains(&page.status), "{path}: {}", page.status);
        }
    })
    .await;
    for path in stage.paths(&Method::GET) {
        let page = stage.open(&looker, &path).await;
        for form in page.text.split("<form").skip(1).filter(|form| form.contains("method=\"post\"")) {
            let is_own = ["/console/language", "/console/browsers/"].iter().any(|path| form.contains(path));
            let is_disabled = form.contains("<fieldset disabled>");
            assert!(is_own || is_disabled, "{path} has a form that the operator may not send: {form}");
        }
    }
}

#[tokio::test]
async fn a_form_that_no_page_of_this_browser_has_sent_is_refused() {
    let stage = Stage::ready().await;
    let (victim, other) = (stage.bound("li", "act").await, stage.bound("wang", "act").await);
    let phone = Browser::on_phone();
    stage.bind(&phone, &stage.invited_again("li").await).await;
    let own = form_token(&stage.see(&victim, "/console/links").await);
    let of_wang = form_token(&stage.see(&other, "/console/links").await);
    let of_phone = form_token(&stage.see(&phone, "/console/links").await);
    let (origin, port) = (stage.origin(), stage.world.public_url.port().unwrap());
    let other_port = format!("http://127.0.0.1:{}", port - 1);
    let sibling = format!("{origin}.evil.example");
    let shorter = &own[..own.len() - 1];
    let sent: [(Option<&str>, Option<&str>); 10] = [
        (Some(&origin), None),
        (Some(&origin), Some("")),
        (Some(&origin), Some(&of_wang)),
        (Some(&origin), Some(&of_phone)),
        (Some(&origin), Some(shorter)),
        (None, Some(&own)),
        (Some("null"), Some(&own)),
        (Some("https://evil.example"), Some(&own)),
        (Some(&other_port), Some(&own)),
        (Some(&sibling), Some(&own)),
    ];
    assert_nothing_happens(&stage, async || {
        for path in stage.paths(&Method::POST) {
            for (origin, token) in sent {
                let token = token.map(|token| ("form_token", token));
                let fields: Vec<_> = FIELDS.into_iter().chain(token).collect();
                let page = victim.send_form(&stage.url(&path), origin, &fields).await;
                assert_eq!(page.status, 403, "{path} from {origin:?} with {token:?}: {}", page.text);
                assert!(page.text.contains("Nothing was done"), "{}", page.text);
            }
        }
    })
    .await;
    assert_eq!(victim.cookie_names(), ["console"], "not even a language is chosen");
    assert!(stage.is_bound(&victim).await);
}

#[tokio::test]
async fn a_form_that_is_too_long_or_none_at_all_is_a_page() {
    let stage = Stage::ready().await;
    let browser = stage.bound("li", "act").await;
    let token = form_token(&stage.see(&browser, "/console/links").await);
    let long = "a".repeat(65 * 1024);
    let fields = [("form_token", token.as_str()), ("reference", &long)];
    assert_nothing_happens(&stage, async || {
        let page = browser.send_form(&stage.url("/console/links"), Some(&stage.origin()), &fields).await;
        assert_eq!(page.status, 413, "{}", page.text);
        assert!(page.text.contains("shorten"), "{}", page.text);
        // A choice that the form does not offer.
        for choice in [("kind", "9"), ("life", "10000")] {
            let fields = [("form_token", token.as_str()), ("kind", "3"), ("life", "7")];
            let fields: Vec<_> = fields.into_iter().filter(|(name, _)| *name != choice.0).chain([choice]).collect();
            let page = browser.send_form(&stage.url("/console/links"), Some(&stage.origin()), &fields).await;
            assert_eq!(page.status, 400, "{}", page.text);
        }
    })
    .await;
}

#[tokio::test]
async fn a_language_is_chosen_and_leads_nowhere_else() {
    let stage = Stage::ready().await;
    let browser = stage.bound("li", "look").await;
    let page = stage.see(&browser, "/console/accounts?q=a%26b").await;
    assert!(page.text.contains("<html lang=\"en\">"), "{}", page.text);
    let chosen = browser.submit_to(&page, "/console/language", &[("language", "zh-CN")]).await;
    assert_eq!((chosen.status, chosen.location()), (303, stage.url("/console/accounts?q=a%26b")));
    let cookie = chosen.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("console-language=zh-CN; Path=/console; "), "{cookie}");
    let page = browser.open(&chosen.location()).await;
    assert!(page.text.contains("<html lang=\"zh-CN\">") && page.text.contains("账号"), "{}", page.text);
    let token = form_token(&page);
    for back in [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "/consolex",
        "/authorize/x",
        "/console/\r\nx: y",
        "javascript:alert(1)",
        "",
    ] {
        let fields = [("form_token", token.as_str()), ("language", "en"), ("back", back)];
        let page = browser.send_form(&stage.url("/console/language"), Some(&stage.origin()), &fields).await;
        assert_eq!((page.status, page.location()), (303, stage.url("/console")), "{back}");
    }
    let fields = [("form_token", token.as_str()), ("language", "en; Path=/"), ("back", "/console/keys")];
    let page = browser.send_form(&stage.url("/console/language"), Some(&stage.origin()), &fields).await;
    assert!(page.status == 303 && !page.headers.contains_key("set-cookie"), "{:?}", page.headers);
}

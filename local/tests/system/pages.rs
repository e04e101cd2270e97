//! The pages of `cargo run`: what each port is, how they link to each other, and how the console is opened.

use base::http_client::client_builder;
use local::system::System;
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use super::{DEMO_ACCOUNT, control, start};

#[tokio::test]
async fn each_port_has_a_page_that_says_what_it_is_and_where_to_go() {
    let (system, _folder) = start(&[], &|_: &str| None).await;
    let exported = |name| system.exports.iter().find(|(exported, _)| *exported == name).unwrap().1.clone();
    let ports = [
        (system.business_base.clone(), vec!["business API", "/authorization-links"]),
        (system.simulator_base.clone().unwrap(), vec!["微信模拟器", "/chat", "/_simulator/accounts"]),
        (system.events_base.clone().unwrap(), vec!["Events"]),
        (system.shop_base.clone().unwrap(), vec!["Demo shop"]),
        (exported("AWS_ENDPOINT_URL_DYNAMODB"), vec!["local DynamoDB", "AWS_ENDPOINT_URL_DYNAMODB"]),
        (exported("AWS_ENDPOINT_URL_SECRETS_MANAGER"), vec!["local Secrets Manager"]),
    ];
    for (url, told) in ports {
        let page = client_builder().build().unwrap().get(&url).send().await.unwrap().error_for_status().unwrap();
        assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"), "{url}");
        assert!(page.headers().contains_key("content-security-policy"), "{url}");
        let page = page.text().await.unwrap();
        for text in told {
            assert!(page.contains(text), "{text} at {url}: {page}");
        }
    }
    let through_tunnel =
        client_builder().build().unwrap().get(&system.local_base).header("host", "abc.tunnel.example.com");
    let through_tunnel = through_tunnel.send().await.unwrap().text().await.unwrap();
    assert!(through_tunnel.contains("public port") && !through_tunnel.contains("localhost"), "{through_tunnel}");
}

/// The target of a request's redirect, and the cookie that comes with it.
async fn redirected(request: reqwest::RequestBuilder) -> (String, String) {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 303, "{}", response.url());
    let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let cookie = header("set-cookie").unwrap_or_default();
    (header("location").unwrap(), cookie.split(';').next().unwrap().to_owned())
}

/// The links in a page's navigation, and the one that is the page itself.
fn navigation(page: &str) -> (Vec<String>, Option<String>) {
    let (_, links) = page.split_once("<nav ").unwrap_or_else(|| panic!("{page}"));
    let links = links.split_once("</nav>").unwrap().0.split("<a href=\"").skip(1);
    let links: Vec<_> = links.map(|link| link.split_once('"').unwrap()).collect();
    let here = links.iter().find(|(_, rest)| rest.starts_with(" aria-current=\"page\"")).map(|(url, _)| *url);
    (links.iter().map(|(url, _)| (*url).to_owned()).collect(), here.map(str::to_owned))
}

/// The URL at which a browser opens the console.
fn door(system: &System) -> String {
    format!("{}/_local/console", system.business_base.replace("127.0.0.1", "localhost"))
}

/// The existing operators.
async fn operators(system: &System) -> Value {
    let url = format!("{}/operators", system.business_base);
    let listed: Value = client_builder().build().unwrap().get(url).send().await.unwrap().json().await.unwrap();
    listed["operators"].clone()
}

#[tokio::test]
async fn every_page_leads_to_the_others_and_the_root_to_the_console() {
    let (system, _folder) = start(&[], &|_: &str| None).await;
    control(&system, "authorize", &json!({ "authorizer_appid": DEMO_ACCOUNT })).await;
    let client = client_builder().build().unwrap();
    let (base, simulator) = (&system.local_base, system.simulator_base.as_ref().unwrap());
    let (door, _) = redirected(client.get(base)).await;
    let (location, cookie) = redirected(client.get(&door)).await;
    assert!(location.starts_with(&format!("{base}/console?")) && cookie.starts_with("console="), "{location} {cookie}");
    let again = redirected(client.get(&door).header("cookie", &cookie)).await;
    assert_eq!(again, (format!("{base}/console"), String::new()), "the browser is bound");
    // The console accepts forms of one origin only, and this machine has two names.
    let (elsewhere, _) = redirected(client.get(door.replace("localhost", "127.0.0.1"))).await;
    assert!(elsewhere.starts_with(&format!("{base}/console/invitations/")), "{elsewhere}");
    let console = client.get(location).header("cookie", &cookie).send().await.unwrap();
    let (console, _) = navigation(&console.error_for_status().unwrap().text().await.unwrap());

    let [events, chat, merchants, shop] = [
        format!("{}/", system.events_base.as_ref().unwrap()),
        format!("{simulator}/chat"),
        format!("{simulator}/console"),
        format!("{}/", system.shop_base.as_ref().unwrap()),
    ];
    let all = [door, events.clone(), chat.clone(), merchants.clone(), shop.clone()];
    assert!(console.ends_with(&all[1..]) && !console.contains(&all[0]), "{console:?}");
    for (url, here) in [
        (events.clone(), Some(events)),
        (chat.clone(), Some(chat.clone())),
        (format!("{chat}/{DEMO_ACCOUNT}"), Some(chat)),
        (merchants.clone(), Some(merchants)),
        (shop.clone(), Some(shop)),
        (format!("{simulator}/"), None),
        (format!("{}/", system.business_base), None),
    ] {
        let page = client.get(&url).send().await.unwrap().error_for_status().unwrap().text().await.unwrap();
        assert_eq!(navigation(&page), (all.to_vec(), here), "{url}");
    }
}

#[tokio::test]
async fn a_forged_host_at_the_public_port_gets_no_cookie_and_no_invitation() {
    for public in [None, Some("https://tunnel.localhost:1")] {
        let environment = |name: &str| public.filter(|_| name == "PUBLIC_BASE_URL").map(str::to_owned);
        let (system, _folder) = start(&[], &environment).await;
        let client = client_builder().build().unwrap();
        let [own, business] = [system.local_base.clone(), door(&system)].map(|url| url.replace("http://", ""));
        let business = business.split('/').next().unwrap();
        for host in ["localhost", "localhost:3000", "127.0.0.1", &own, business] {
            let forged = |method: &str, path: &str| {
                let request = client.request(method.parse().unwrap(), format!("{}{path}", system.local_base));
                let request = request.header("host", host).header("origin", format!("http://{host}"));
                request.header("sec-fetch-site", "same-origin")
            };
            for method in ["GET", "HEAD", "POST"] {
                let response = forged(method, "/_local/console").send().await.unwrap();
                assert_eq!(response.status(), 404, "{method} as {host}");
                assert!(!response.headers().contains_key("set-cookie"), "{method} as {host}");
            }
            assert_eq!(redirected(forged("GET", "/")).await, (door(&system), String::new()), "as {host}");
        }
        assert_eq!(operators(&system).await, json!([]), "nobody is invited");
    }
}

#[tokio::test]
async fn other_websites_do_not_open_the_console() {
    let (system, _folder) = start(&[], &|_: &str| None).await;
    let client = client_builder().build().unwrap();
    let image = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")];
    let frame = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
    for headers in [
        &[("origin", "https://evil.example.com")][..],
        &[("origin", "null")],
        &[("origin", &system.local_base)],
        &[("host", "rebound.example.com")],
        &[("host", "abc.tunnel.example.com"), ("origin", "https://abc.tunnel.example.com")],
        &image,
        &frame,
    ] {
        let request =
            headers.iter().fold(client.get(door(&system)), |request, (name, value)| request.header(*name, *value));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 403, "{headers:?}");
        assert!(!response.headers().contains_key("set-cookie"), "{headers:?}");
    }
    assert_eq!(operators(&system).await, json!([]), "nobody is invited");
}

#[tokio::test]
async fn with_a_tunnel_the_browser_gets_an_invitation_there_and_forms_are_accepted() {
    let public = "https://tunnel.localhost:1";
    let (system, _folder) = start(&[], &|name: &str| (name == "PUBLIC_BASE_URL").then(|| public.to_owned())).await;
    let client = client_builder().build().unwrap();
    let (opened, _) = redirected(client.get(&system.local_base)).await;
    assert_eq!(opened, door(&system));
    let (invitation, cookie) = redirected(client.get(opened)).await;
    assert!(invitation.starts_with(&format!("{public}/console/invitations/")) && cookie.is_empty(), "{invitation}");

    // Requests that the tunnel forwards.
    let path = invitation.strip_prefix(public).unwrap();
    let post = |path: &str| client.post(format!("{}{path}", system.local_base)).header("host", "tunnel.localhost:1");
    let (location, cookie) = redirected(post(path).header("origin", public)).await;
    assert!(location.starts_with("/console") && cookie.starts_with("__Host-console="), "{location} {cookie}");
    let page = client.get(format!("{}/console", system.local_base)).header("cookie", &cookie).send().await.unwrap();
    let page = page.error_for_status().unwrap().text().await.unwrap();
    assert!(!page.contains("http://localhost:"), "whoever reads it may be elsewhere: {page}");
    let (_, token) = page.split_once("name=\"form_token\" value=\"").unwrap();
    let form = [("form_token", token.split_once('"').unwrap().0), ("back", "/console"), ("language", "en")];
    let form = Serializer::new(String::new()).extend_pairs(form).finish();
    let form = post("/console/language").header("origin", public).header("cookie", &cookie).body(form);
    redirected(form.header("content-type", "application/x-www-form-urlencoded")).await;
}

//! The pages of `cargo run`: what each port is, how one leads to the others, and how the console is opened.

use base::http_client::client_builder;
use serde_json::json;
use url::form_urlencoded::Serializer;

use super::{DEMO_ACCOUNT, control, start};

#[tokio::test]
async fn a_person_who_opens_a_port_is_told_what_it_is_and_where_to_go() {
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

/// Where a request is redirected to, and the cookie that comes with it.
async fn redirected(request: reqwest::RequestBuilder) -> (String, String) {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 303, "{}", response.url());
    let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let cookie = header("set-cookie").unwrap_or_default();
    (header("location").unwrap(), cookie.split(';').next().unwrap().to_owned())
}

/// The links of a page's navigation, and the one among them that is the page itself.
fn navigation(page: &str) -> (Vec<String>, Option<String>) {
    let (_, links) = page.split_once("<nav ").unwrap_or_else(|| panic!("{page}"));
    let links = links.split_once("</nav>").unwrap().0.split("<a href=\"").skip(1);
    let links: Vec<_> = links.map(|link| link.split_once('"').unwrap()).collect();
    let here = links.iter().find(|(_, rest)| rest.starts_with(" aria-current=\"page\"")).map(|(url, _)| *url);
    (links.iter().map(|(url, _)| (*url).to_owned()).collect(), here.map(str::to_owned))
}

#[tokio::test]
async fn every_page_leads_to_the_others_and_the_root_to_the_console() {
    let (system, _folder) = start(&[], &|_: &str| None).await;
    control(&system, "authorize", &json!({ "authorizer_appid": DEMO_ACCOUNT })).await;
    let client = client_builder().build().unwrap();
    let (base, simulator) = (&system.local_base, system.simulator_base.as_ref().unwrap());
    let door = format!("{base}{}", redirected(client.get(base)).await.0);
    let (location, cookie) = redirected(client.get(&door)).await;
    // The console takes forms of one origin only, and this machine has two names.
    let (elsewhere, _) = redirected(client.get(door.replace("localhost", "127.0.0.1"))).await;
    assert!(elsewhere.starts_with(&format!("{base}/console/invitations/")), "{elsewhere}");
    let console = client.get(format!("{base}{location}")).header("cookie", &cookie).send().await.unwrap();
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
async fn with_a_tunnel_the_browser_is_led_to_an_invitation_there_and_forms_are_taken() {
    let public = "https://tunnel.localhost:1";
    let (system, _folder) = start(&[], &|name: &str| (name == "PUBLIC_BASE_URL").then(|| public.to_owned())).await;
    let client = client_builder().build().unwrap();
    let (invitation, cookie) = redirected(client.get(format!("{}/_local/console", system.local_base))).await;
    assert!(invitation.starts_with(&format!("{public}/console/invitations/")) && cookie.is_empty(), "{invitation}");

    // What the tunnel passes on.
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

//! Check files at the root of every host: exactly the stored bytes.

use serde_json::{Value, json};
use stories::business::Business;
use stories::faults::{Fault, Matching};
use stories::http_events::HttpEvent;
use stories::world::{KEYS, World};
use web::gateway::Gateway;

use super::{BY_API, CONTENT, OF_CONSOLE, put, remove};

/// The hosts of one function: the main API's, an account's own, and AWS's.
const HOSTS: [&str; 3] =
    ["auth.example.com", "wx1234567890abcdef.login.example.com", "api0000001.execute-api.us-east-1.amazonaws.com"];

/// The function as it is deployed, alone behind the gateway.
fn gateway(world: &World) -> Gateway {
    let service = world.login_service_at(world.services.clone(), "https://auth.example.com", "login.example.com");
    let router = web_login::public_router(service.clone()).merge(web_login::business_router(service, KEYS));
    Gateway::new(router, world.services.metrics.clone()).with_problems_on(&web_login::BUSINESS_ROUTES)
}

/// A response of the gateway, which has decoded the path.
async fn asked(gateway: &Gateway, method: &str, host: &str, path: &str) -> Value {
    let event = HttpEvent::new(method, path).route("/{file}").host(host);
    serde_json::to_value(gateway.answer(&event.build().to_string()).await).unwrap()
}

fn is_plain_text(answer: &Value) -> bool {
    let headers = &answer["headers"];
    headers["content-type"] == "text/plain" && headers["x-content-type-options"] == "nosniff"
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_a_plain_text_too() {
    let world = World::start().await;
    world.expect_error("serving a check file failed");
    world.faults.always(Matching::any(), Fault::Away);
    let answer = asked(&gateway(&world), "GET", HOSTS[0], &format!("/{BY_API}")).await;
    assert_eq!(answer["statusCode"], 503, "{answer}");
    assert!(is_plain_text(&answer), "{answer}");
}

#[tokio::test]
async fn a_check_file_is_served_byte_for_byte_from_every_host_until_it_is_removed() {
    let world = World::start().await;
    let (gateway, business) = (gateway(&world), Business::of(&world));
    for file in [BY_API, OF_CONSOLE] {
        let path = format!("/{file}");
        assert_eq!(asked(&gateway, "GET", HOSTS[0], &path).await["statusCode"], 404, "{file}");
        for content in [CONTENT, "abcdefghij0123456789"] {
            assert_eq!(put(&business, file, content).await.status, 200);
            for host in HOSTS {
                let answer = asked(&gateway, "GET", host, &path).await;
                assert_eq!((&answer["statusCode"], &answer["body"]), (&json!(200), &json!(content)), "{host}");
                assert!(is_plain_text(&answer) && answer["isBase64Encoded"] == false, "{answer}");
                assert_eq!(answer["headers"]["cache-control"], "no-store");
                let head = asked(&gateway, "HEAD", host, &path).await;
                assert_eq!((&head["statusCode"], &head["body"]), (&json!(200), &json!("")), "{host}");
                assert!(is_plain_text(&head), "{head}");
            }
        }
        assert_eq!(remove(&business, file).await.status, 204);
        for host in HOSTS {
            let gone = asked(&gateway, "GET", host, &path).await;
            assert_eq!((&gone["statusCode"], &gone["body"]), (&json!(404), &json!("Not found")));
            assert!(is_plain_text(&gone), "{gone}");
        }
    }
}

#[tokio::test]
async fn a_check_file_costs_one_read_and_what_cannot_be_one_costs_none() {
    let world = World::start().await;
    let gateway = gateway(&world);
    assert_eq!(put(&Business::of(&world), BY_API, CONTENT).await.status, 200);
    world.faults.reset_counts();
    for hostile in [
        "/robots.txt",
        "/87PweoaRBw.TXT",
        "/87PWEOARBW.txt.",
        "/87PweoaRBw1.txt",
        "/87PweoaRBw",
        "/87PweoaRBw.txt\n",
        "/..87Pweoa.txt",
        "/../87PweoaRBw.txt",
        "/check-files/87PweoaRBw.txt",
        "/..%2f87Pweoa.txt",
        "/..\\87Pweoa.txt",
        "/微信87Pweoa.txt",
        "/８7PweoaRBw.txt",
        "/MP_verify_a1B2c3D4e5F6g7H8.TXT",
        "/MP_verify_<script>12345678.txt",
        "/.txt",
        "/",
    ] {
        let answer = asked(&gateway, "GET", HOSTS[0], hostile).await;
        assert_eq!(answer["statusCode"], 404, "{hostile}: {answer}");
        let content_type = answer["headers"]["content-type"].as_str();
        assert!(content_type.is_none_or(|it| it.starts_with("text/plain")), "{hostile}: {answer}");
        assert!(!answer["body"].as_str().unwrap().contains("87"), "{hostile}: {answer}");
    }
    assert!(world.faults.all_requests().is_empty(), "{:?}", world.faults.all_requests());
    // Upper and lower case are different files.
    for (path, status) in [("/87PweoaRBw.txt", 200), ("/87PWEOARBW.txt", 404)] {
        assert_eq!(asked(&gateway, "GET", HOSTS[0], path).await["statusCode"], status, "{path}");
        assert_eq!(world.faults.all_requests(), [("GetItem".to_owned(), 1)].into(), "{path}");
        world.faults.reset_counts();
    }
}

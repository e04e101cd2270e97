//! The binary calls no webhook outside the public internet, whatever its variables say: not on this machine's loopback,
//! not at the runtime's own API, not through a proxy.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use simulator::{Account, Message};
use stories::bootstrap::Bootstrap;
use stories::world::World;

use super::{BINARY, FOLLOWER, metrics, texts, world_with_shop};

/// A listener at a port of loopback, which would notice a connection.
struct Witness(TcpListener);

impl Witness {
    fn at(address: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    fn saw_nobody(&self) -> bool {
        self.0.accept().is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

/// Has a process with these variables answer a text; `RUNTIME_API` in a value is replaced by the address of the
/// runtime's API. Returns its output.
async fn asked(world: &World, shop: &Account, variables: &[(&str, &str)]) -> String {
    let function = Bootstrap::with(BINARY, world, |all| {
        let runtime_api = all["AWS_LAMBDA_RUNTIME_API"].clone();
        for (name, value) in variables {
            all.insert((*name).into(), value.replace("RUNTIME_API", &runtime_api));
        }
    })
    .await;
    let before = texts(world).len();
    let answer = function.push(&world.simulator.seal_message(&Message::text(shop, FOLLOWER, "hello"))).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""), "an empty answer: {answer:?}");
    assert_eq!(texts(world).len(), before + 1, "and the business has got the message all the same");
    function.kill()
}

/// The reasons of the metric `webhook_failed`.
fn reasons(output: &str) -> Vec<String> {
    metrics(output, "webhook_failed").iter().map(|metric| metric["reason"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn no_spelling_of_this_machines_address_is_connected_to_as_a_webhook() {
    let (world, shop) = world_with_shop().await;
    let witness = Witness::at("127.0.0.1:0");
    let port = witness.address().port();
    for host in ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "0.0.0.0", "[::ffff:127.0.0.1]"] {
        let url = format!("https://{host}:{port}/hook");
        let output = asked(&world, &shop, &[("REPLY_WEBHOOK_URL", &url)]).await;
        assert_eq!(reasons(&output), ["address"], "{url}: {output}");
        assert!(witness.saw_nobody(), "{url}");
    }
}

#[tokio::test]
async fn the_runtimes_own_api_is_not_called_as_a_webhook() {
    let (world, shop) = world_with_shop().await;
    let url = "https://RUNTIME_API/2018-06-01/runtime/init/error";
    assert_eq!(reasons(&asked(&world, &shop, &[("REPLY_WEBHOOK_URL", url)]).await), ["address"]);
    let url = "http://RUNTIME_API/2018-06-01/runtime/init/error";
    let output = Bootstrap::with(BINARY, &world, |all| {
        let url = url.replace("RUNTIME_API", &all["AWS_LAMBDA_RUNTIME_API"]);
        all.insert("REPLY_WEBHOOK_URL".into(), url);
    });
    assert!(output.await.fail().await.contains("REPLY_WEBHOOK_URL"));
}

#[tokio::test]
async fn no_variable_leads_around_the_policy() {
    let (world, shop) = world_with_shop().await;
    let (witness, proxy) = (Witness::at("127.0.0.1:0"), Witness::at("127.0.0.1:0"));
    let http = format!("http://{}", proxy.address());
    let socks = format!("socks5h://{}", proxy.address());
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("https://{host}:{}/hook", witness.address().port());
        for proxy_url in [&http, &socks] {
            let variables = [
                ("REPLY_WEBHOOK_URL", url.as_str()),
                ("HTTPS_PROXY", proxy_url),
                ("https_proxy", proxy_url),
                ("ALL_PROXY", proxy_url),
                ("all_proxy", proxy_url),
                // Variables that somebody might try.
                ("WEBHOOK_ALLOW_LOCAL", "1"),
                ("REPLY_WEBHOOK_ALLOW_PRIVATE", "true"),
                ("AWS_SAM_LOCAL", "true"),
            ];
            let output = asked(&world, &shop, &variables).await;
            assert_eq!(reasons(&output), ["address"], "{url}: {output}");
        }
    }
    assert!(witness.saw_nobody() && proxy.saw_nobody());
}

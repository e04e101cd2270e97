//! The receiver of `docs/events.md`, copied and run as a reader would: both webhooks reach it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use platform::webhook::AddressPolicy;
use secrecy::ExposeSecret as _;
use simulator::Message;
use stories::process::{Process, eventually};
use stories::world::{World, secret_json};
use tokio::net::TcpListener;
use url::Url;

use super::{FOLLOWER, INSTALLED, block};

const DOCUMENT: &str = include_str!("../../../docs/events.md");
const HEADING: &str = "## Try it locally";

/// The time until the program listens.
const START: Duration = Duration::from_secs(20);

/// The program's file and the secret's, as in the command that starts it.
fn files() -> [&'static str; 2] {
    let words: Vec<_> = block(DOCUMENT, HEADING, "sh").lines().next().unwrap().split(' ').collect();
    let ["python3", program, secret, "&"] = words[..] else { panic!("another command: {words:?}") };
    [program, secret]
}

#[tokio::test]
#[ignore = "needs tests/stories/clients/install.sh"]
async fn the_receiver_echoes_texts_and_learns_of_changes_but_believes_nobody_else() {
    // The library compares the time of a signature with this machine's.
    let mut world = World::beside_processes(Duration::ZERO, |_| ()).await;
    world.get_ready().await;
    let python = Path::new(INSTALLED).join("python/bin/python");
    assert!(python.exists(), "tests/stories/clients/install.sh installs what the program needs");
    let folder = tempfile::tempdir().unwrap();
    let [file, secret] = files().map(|name| folder.path().join(name));
    std::fs::create_dir(secret.parent().unwrap()).unwrap();
    std::fs::write(&file, block(DOCUMENT, HEADING, "python")).unwrap();
    std::fs::write(&secret, secret_json().expose_secret()).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let arguments = [file.to_str().unwrap(), secret.to_str().unwrap()];
    let mut process = Process::start(python, &arguments, [("PORT", port.to_string())]);
    eventually("the receiver listens", START, || TcpStream::connect(("127.0.0.1", port)).is_ok()).await;

    let url = Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
    world.ask_for_replies(url.clone()).await;
    world.send_events_to(Some(url), AddressPolicy::this_machine_too());
    let appid = world.authorized_account().await;
    world.deliver().await;
    let account = world.simulator.account(&appid).unwrap();
    let outcome = world.simulator.send_message(&Message::text(&account, FOLLOWER, "几点关门？")).await;
    assert_eq!(outcome.reply_text().as_deref(), Some("You said: 几点关门？"), "{outcome:?} {}", process.output());
    for printed in ["account.authorized", "message.text", "几点关门？"] {
        process.wait_for_output(printed, START).await;
    }

    let mut forged = TcpStream::connect(("127.0.0.1", port)).unwrap();
    forged.write_all(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}").unwrap();
    let mut answer = String::new();
    forged.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 401 "), "{answer}");
}

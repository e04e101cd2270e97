//! The embedded DynamoDB through the SDK, in memory and in files good and broken.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Instant;

use aws_sdk_dynamodb::types::AttributeValue;

use super::*;
use crate::table::create_table;

async fn put(client: &Client, pk: &str, expires_at: u64) {
    let put = client.put_item().table_name("table").item("pk", AttributeValue::S(pk.into()));
    let put = put.item("sk", AttributeValue::S("-".into()));
    put.item("expires_at", AttributeValue::N(expires_at.to_string())).send().await.unwrap();
}

async fn keys(client: &Client) -> Vec<String> {
    let items = client.scan().table_name("table").send().await.unwrap().items.unwrap_or_default();
    items.iter().map(|item| item["pk"].as_s().unwrap().clone()).collect()
}

fn any_port() -> TcpListener {
    bind(Ipv4Addr::LOCALHOST.into(), 0, "--dynamodb-port").unwrap()
}

const FAR: u64 = 4_000_000_000;

#[tokio::test]
async fn each_one_in_memory_is_separate() {
    let (one, other) = (Embedded::memory().unwrap(), Embedded::memory().unwrap());
    create_table(&one.client(), "table").await.unwrap();
    create_table(&other.client(), "table").await.unwrap();
    put(&one.client(), "a", FAR).await;
    assert_eq!(keys(&one.client()).await, ["a"]);
    assert!(keys(&other.client()).await.is_empty());
}

#[tokio::test]
async fn a_file_keeps_its_items_across_a_restart() {
    let parent = tempfile::tempdir().unwrap();
    for round in 0..2 {
        let folder = DataDir::open(parent.path()).expect("the one before released the folder");
        let embedded = Embedded::file(&folder, any_port(), &Guard::loopback()).unwrap();
        create_table(&embedded.client(), "table").await.unwrap();
        if round == 0 {
            put(&embedded.client(), "a", FAR).await;
        }
        assert_eq!(keys(&embedded.client()).await, ["a"], "round {round}");
    }
}

fn refused(folder: &DataDir) -> String {
    Embedded::file(folder, any_port(), &Guard::loopback()).unwrap_err().to_string()
}

async fn folder_with_items() -> (tempfile::TempDir, DataDir) {
    let parent = tempfile::tempdir().unwrap();
    let folder = DataDir::open(&parent.path().join("data")).unwrap();
    let embedded = Embedded::file(&folder, any_port(), &Guard::loopback()).unwrap();
    create_table(&embedded.client(), "table").await.unwrap();
    for number in 0..64 {
        put(&embedded.client(), &format!("{number}-{}", "x".repeat(512)), FAR).await;
    }
    (parent, folder)
}

#[tokio::test]
async fn an_invalid_or_damaged_file_is_named_with_what_to_do_and_not_changed() {
    let (_parent, folder) = folder_with_items().await;
    let file = folder.file(FILE);
    let good = fs::read(&file).unwrap();
    assert!(good.len() > 16 * 1024, "{}", good.len());
    let mut damaged = good.clone();
    damaged[8 * 1024..16 * 1024].fill(0xa5);
    let broken: [(&str, &[u8]); 4] = [
        ("no database", b"hello, this is a text that somebody has written into the wrong file"),
        ("cut off", &good[..6 * 1024]),
        ("damaged in the middle", &damaged),
        ("damaged at its head", &[&[0_u8; 100], &good[100..]].concat()),
    ];
    for (what, content) in broken {
        fs::write(&file, content).unwrap();
        let sentence = refused(&folder);
        for told in [&*file.to_string_lossy(), "begin anew", "--data-dir"] {
            assert!(sentence.contains(told), "{what}: {sentence}");
        }
        assert_eq!(fs::read(&file).unwrap(), content, "{what}");
    }
}

#[tokio::test]
async fn a_table_of_a_later_version_is_named_with_what_to_do() {
    let (_parent, folder) = folder_with_items().await;
    let database = Connection::open(folder.file(FILE)).unwrap();
    assert_eq!(database.execute("UPDATE _config SET value = '999' WHERE key = 'schema_version'", []).unwrap(), 1);
    drop(database);
    let sentence = refused(&folder);
    assert!(sentence.contains("999") && sentence.contains(FILE) && sentence.contains("--data-dir"), "{sentence}");
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_user_may_read_the_file_and_its_journals_while_it_is_written() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = tempfile::tempdir().unwrap();
    let folder = DataDir::open(parent.path()).unwrap();
    let embedded = Embedded::file(&folder, any_port(), &Guard::loopback()).unwrap();
    create_table(&embedded.client(), "table").await.unwrap();
    let files = fs::read_dir(parent.path()).unwrap().map(|entry| entry.unwrap());
    let modes: Vec<_> = files.map(|file| (file.file_name(), file.metadata().unwrap().permissions().mode())).collect();
    assert!(modes.len() >= 4, "lock, table, log and its index: {modes:?}");
    assert!(modes.iter().all(|(_, mode)| mode & 0o777 == 0o600), "{modes:?}");
}

#[tokio::test]
async fn expired_items_are_deleted_from_the_file_and_live_ones_stay() {
    let database = Database::memory().unwrap();
    let embedded = Embedded::start(database.clone(), any_port(), &Guard::loopback(), None).unwrap();
    create_table(&embedded.client(), "table").await.unwrap();
    put(&embedded.client(), "old", 1).await;
    put(&embedded.client(), "new", FAR).await;
    sweep(&database);
    assert_eq!(keys(&embedded.client()).await, ["new"]);
}

#[tokio::test]
async fn a_client_that_sent_half_a_request_does_not_delay_the_stop() {
    let embedded = Embedded::memory().unwrap();
    let mut half = TcpStream::connect(embedded.address).unwrap();
    half.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{").unwrap();
    // Answered only after the server has accepted the earlier connection.
    create_table(&embedded.client(), "table").await.unwrap();
    let start = Instant::now();
    drop(embedded);
    assert!(start.elapsed() < STOP * 3, "{:?}", start.elapsed());
}

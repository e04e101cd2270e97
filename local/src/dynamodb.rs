//! The embedded DynamoDB: in memory for tests, in a file for `cargo run`.
//!
//! It speaks DynamoDB's own protocol over HTTP (`api`), so the AWS SDK and our code are the same as in the cloud. Its
//! handler blocks while the database works: it has a thread and a runtime of its own. It never throttles and never loses a reply;
//! tests that need that put it between the SDK and this. Expired items stay until they are swept, as they linger on
//! AWS: reads filter them.

mod api;

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use axum::Router;
use dynoxide::{Database, DynoxideError};
use rusqlite::Connection;
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::data_dir::DataDir;
use crate::guard::Guard;
use crate::ports::{BindError, bind};

/// The longest wait for requests under way when the server stops: a client that sent half of one would hold it for ever.
const STOP: Duration = Duration::from_millis(500);

/// Between two sweeps of expired items. AWS takes hours to days; a minute keeps the file small.
const SWEEP: Duration = Duration::from_mins(1);

/// The table's file in the data folder.
const FILE: &str = "dynamodb.sqlite";

/// Why the embedded DynamoDB does not run.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No port for it.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The database's file is no database, damaged, or of a later version; or it cannot be read or written.
    #[error("the local table {} cannot be used ({reason}): {way_out}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What the person at the keyboard can do.
        way_out: String,
    },
    /// No database in memory.
    #[error("the local table cannot be made: {0}")]
    Memory(#[from] DynoxideError),
    /// The listener or the thread cannot be used.
    #[error("the local DynamoDB cannot be started: {0}")]
    Start(#[from] io::Error),
}

/// A running DynamoDB. It stops when the value is dropped.
#[derive(Debug)]
pub struct Embedded {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Embedded {
    /// An empty one in memory, on any free port of this machine. Starting it takes less than a millisecond, so every
    /// test has its own.
    ///
    /// # Errors
    /// [`EmbeddedError`] by cause.
    pub fn memory() -> Result<Self, EmbeddedError> {
        let listener = bind(Ipv4Addr::LOCALHOST.into(), 0, "--dynamodb-port")?;
        Self::start(Database::memory()?, listener, &Guard::loopback(), None)
    }

    /// The one in the data folder, served on `listener` behind `guard`; expired items are swept once a minute. What was
    /// acknowledged is on the disk.
    ///
    /// # Errors
    /// [`EmbeddedError`] by cause.
    pub fn file(folder: &DataDir, listener: TcpListener, guard: &Guard) -> Result<Self, EmbeddedError> {
        let database = open(folder).map_err(|reason| EmbeddedError::Broken {
            path: folder.file(FILE),
            reason: reason.to_string(),
            way_out: folder.begin_anew(),
        })?;
        Self::start(database, listener, guard, Some(folder.clone()))
    }

    /// `folder` goes to the thread: its lock must outlive the last write.
    fn start(
        database: Database,
        listener: TcpListener,
        guard: &Guard,
        folder: Option<DataDir>,
    ) -> Result<Self, EmbeddedError> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _context = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let router = guard.protect(api::router(database.clone()));
        let thread = std::thread::Builder::new().name("dynamodb".into()).spawn(move || {
            runtime.block_on(serve(listener, router, stopped, folder.is_some().then_some(database)));
            // Connections that are still open hold the database: they go before the lock does.
            drop(runtime);
            drop(folder);
        })?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it answers on this machine, as `AWS_ENDPOINT_URL_DYNAMODB` takes it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", SocketAddr::from((Ipv4Addr::LOCALHOST, self.address.port())))
    }

    /// A client of it with the SDK's own settings.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::from_conf(self.config().build())
    }

    /// The settings of [`Embedded::client`], for a test that changes some. Region and credentials are made up: any are
    /// accepted.
    #[must_use]
    pub fn config(&self) -> aws_sdk_dynamodb::config::Builder {
        aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(self.endpoint())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("local", "local", None, None, "local"))
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // Dropping the sender is the signal.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It fails only where the thread panicked, and then it is over too.
            drop(thread.join());
        }
    }
}

/// The database in the data folder. A damaged page is found only when it is read, which may be in the middle of a request:
/// so all are looked at first.
fn open(folder: &DataDir) -> Result<Database, Box<dyn Error>> {
    let path = folder.private_file(FILE)?;
    let found: String = Connection::open(&path)?.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" { Ok(Database::new(&path.to_string_lossy())?) } else { Err(found.into()) }
}

/// Serves until `stopped` resolves, and at most [`STOP`] longer; meanwhile expired items leave `swept`.
async fn serve(
    listener: tokio::net::TcpListener,
    router: Router,
    stopped: oneshot::Receiver<()>,
    swept: Option<Database>,
) {
    let (drain, draining) = oneshot::channel::<()>();
    let server = axum::serve(listener, router).with_graceful_shutdown(async {
        drop(draining.await);
    });
    let deadline = async {
        drop(stopped.await);
        drop(drain);
        sleep(STOP).await;
    };
    let sweeps = async {
        match swept {
            Some(database) => sweep_regularly(&database).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        result = server.into_future() => if let Err(reason) = result {
            tracing::error!("the local DynamoDB stopped: {reason}");
        },
        () = deadline => {}
        () = sweeps => {}
    }
}

/// Deletes expired items every [`SWEEP`], for ever.
async fn sweep_regularly(database: &Database) {
    let mut ticks = interval(SWEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        sweep(database);
    }
}

fn sweep(database: &Database) {
    match database.sweep_ttl() {
        Ok(0) => {}
        Ok(count) => tracing::debug!("swept {count} expired items"),
        Err(error) => tracing::warn!("expired items could not be swept: {error}"),
    }
}

#[cfg(test)]
mod tests {
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
    async fn each_one_in_memory_is_a_world_of_its_own() {
        let (one, other) = (Embedded::memory().unwrap(), Embedded::memory().unwrap());
        create_table(&one.client(), "table").await.unwrap();
        create_table(&other.client(), "table").await.unwrap();
        put(&one.client(), "a", FAR).await;
        assert_eq!(keys(&one.client()).await, ["a"]);
        assert!(keys(&other.client()).await.is_empty());
    }

    #[tokio::test]
    async fn a_file_keeps_its_items_over_a_restart() {
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
    async fn a_file_that_is_no_table_is_named_with_the_way_out_and_left_as_it_is() {
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
    async fn a_table_of_a_later_version_is_named_with_the_way_out() {
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
        let modes: Vec<_> =
            files.map(|file| (file.file_name(), file.metadata().unwrap().permissions().mode())).collect();
        assert!(modes.len() >= 4, "lock, table, log and its index: {modes:?}");
        assert!(modes.iter().all(|(_, mode)| mode & 0o777 == 0o600), "{modes:?}");
    }

    #[tokio::test]
    async fn expired_items_leave_the_file_and_living_ones_stay() {
        let database = Database::memory().unwrap();
        let embedded = Embedded::start(database.clone(), any_port(), &Guard::loopback(), None).unwrap();
        create_table(&embedded.client(), "table").await.unwrap();
        put(&embedded.client(), "old", 1).await;
        put(&embedded.client(), "new", FAR).await;
        sweep(&database);
        assert_eq!(keys(&embedded.client()).await, ["new"]);
    }

    #[tokio::test]
    async fn a_client_that_sent_half_a_request_does_not_hold_the_stop() {
        let embedded = Embedded::memory().unwrap();
        let mut half = TcpStream::connect(embedded.address).unwrap();
        half.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{").unwrap();
        // Answered only after the server has accepted the connection before it.
        create_table(&embedded.client(), "table").await.unwrap();
        let start = Instant::now();
        drop(embedded);
        assert!(start.elapsed() < STOP * 3, "{:?}", start.elapsed());
    }
}

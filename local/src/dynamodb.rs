//! The embedded DynamoDB: in memory for tests, in a file for `cargo run`.
//!
//! It speaks DynamoDB's own protocol over HTTP (`api`), so the AWS SDK and our code are the same as in the cloud. Its
//! handler blocks while the database works, so it has a thread and a runtime of its own. It never throttles and never
//! loses a reply; tests that need that inject it between the SDK and this. Expired items stay until they are swept, as
//! they linger on AWS: reads filter them.

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
use runtime::aws::Connections;
use rusqlite::Connection;
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::data_dir::DataDir;
use crate::guard::Guard;
use crate::ports::{BindError, bind};

/// The longest wait for requests in progress when the server stops: a client that sent half of one would block it
/// forever.
const STOP: Duration = Duration::from_millis(500);

/// The time between two sweeps of expired items. AWS takes hours to days; a minute keeps the file small.
const SWEEP: Duration = Duration::from_mins(1);

/// The table's file in the data folder.
const FILE: &str = "dynamodb.sqlite";

/// Why the embedded DynamoDB does not run.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// Its port cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The file is not a database, is damaged or of a later version, or cannot be read or written.
    #[error("the local table {} cannot be used ({reason}): {way_out}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The problem with it.
        reason: String,
        /// What the user can do.
        way_out: String,
    },
    /// The database in memory cannot be created.
    #[error("the local table cannot be created: {0}")]
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
    /// An empty one in memory, on any free port of this machine. It starts in less than a millisecond, so every test
    /// has its own.
    ///
    /// # Errors
    /// [`EmbeddedError`] by cause.
    pub fn memory() -> Result<Self, EmbeddedError> {
        let listener = bind(Ipv4Addr::LOCALHOST.into(), 0, "--dynamodb-port")?;
        Self::start(Database::memory()?, listener, &Guard::loopback(), None)
    }

    /// The one in the data folder, served on `listener` behind `guard`; expired items are swept once a minute.
    /// Acknowledged writes are on disk.
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

    /// `folder` moves into the thread: its lock must outlive the last write.
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
            // Connections that are still open hold the database: they are closed before the lock is released.
            drop(runtime);
            drop(folder);
        })?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Its URL on this machine, for `AWS_ENDPOINT_URL_DYNAMODB`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", SocketAddr::from((Ipv4Addr::LOCALHOST, self.address.port())))
    }

    /// A client for it with the SDK's own settings.
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
            .http_client(Connections::new())
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // Dropping the sender signals the stop.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It fails only if the thread panicked, and then the thread has ended too.
            drop(thread.join());
        }
    }
}

/// The database in the data folder. A damaged page is found only when it is read, possibly in the middle of a request,
/// so all pages are checked first.
fn open(folder: &DataDir) -> Result<Database, Box<dyn Error>> {
    let path = folder.private_file(FILE)?;
    let found: String = Connection::open(&path)?.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" { Ok(Database::new(&path.to_string_lossy())?) } else { Err(found.into()) }
}

/// Serves until `stopped` resolves, and at most [`STOP`] longer; meanwhile expired items are deleted from `swept`.
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

/// Deletes expired items every [`SWEEP`], forever.
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
mod tests;

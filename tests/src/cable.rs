//! A TCP connection to a service that can be cut: what a process finds if it was frozen for longer than the other side
//! kept its connections.

use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The cable. Dropping the value cuts it, and all connections with it.
#[derive(Debug)]
pub struct Cable {
    url: String,
    connections: Arc<Mutex<Vec<JoinHandle<()>>>>,
    listening: JoinHandle<()>,
}

impl Cable {
    /// A cable to the HTTP service at `upstream`.
    pub async fn to(upstream: &str) -> Self {
        let upstream = upstream.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let connections: Arc<Mutex<Vec<JoinHandle<()>>>> = Arc::default();
        let made = Arc::clone(&connections);
        let listening = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let upstream = upstream.clone();
                made.lock().unwrap().push(tokio::spawn(carry(near, upstream)));
            }
        });
        Self { url, connections, listening }
    }

    /// The URL of its near end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Connections ever made over it.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.lock().unwrap().len()
    }

    /// Closes all connections, and waits until they are closed. New ones can be opened.
    pub async fn cut(&self) {
        let open: Vec<_> = self.connections.lock().unwrap().iter().map(JoinHandle::abort_handle).collect();
        for connection in &open {
            connection.abort();
        }
        while open.iter().any(|connection| !connection.is_finished()) {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.listening.abort();
        for connection in self.connections.lock().unwrap().iter() {
            connection.abort();
        }
    }
}

async fn carry(mut near: TcpStream, upstream: String) {
    // Whichever side fails, the other one sees the end.
    if let Ok(mut far) = TcpStream::connect(upstream).await {
        drop(copy_bidirectional(&mut near, &mut far).await);
    }
}

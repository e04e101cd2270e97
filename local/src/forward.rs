//! A second listener for a server of this process, for `--bind`.
//!
//! The links, the exports and the parts among themselves use the loopback address. The servers always listen there, and
//! in addition on the address that containers need.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The pause after a connection that could not be accepted, for example if the process has too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// Forwards connections from `listener` to the server at `to`, and its responses back, forever. The connections end
/// with the future.
pub async fn forward(listener: TcpListener, to: SocketAddr) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((from, _)) => {
                    connections.spawn(carry(from, to));
                }
                Err(error) => {
                    tracing::warn!("a connection was not accepted: {error}");
                    sleep(PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(mut from: TcpStream, to: SocketAddr) {
    if let Ok(mut server) = TcpStream::connect(to).await {
        // Either side may hang up at any time; the other one notices by its own connection.
        drop(copy_bidirectional(&mut from, &mut server).await);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn both_directions_are_carried_until_one_side_ends() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (to, at) = (server.local_addr().unwrap(), door.local_addr().unwrap());
        tokio::spawn(forward(door, to));
        tokio::spawn(async move {
            loop {
                let (mut connection, _) = server.accept().await.unwrap();
                let mut asked = String::new();
                connection.read_to_string(&mut asked).await.unwrap();
                connection.write_all(format!("{asked}, yes").as_bytes()).await.unwrap();
            }
        });
        for question in ["one", "two"] {
            let mut client = TcpStream::connect(at).await.unwrap();
            client.write_all(question.as_bytes()).await.unwrap();
            client.shutdown().await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, format!("{question}, yes"));
        }
    }
}

//! The smallest HTTP server for a measurement: a thread per connection, a response for each request.
//!
//! It responds in some 30 µs, so that the program under test dominates. It knows only HTTP/1.1 with `Content-Length`,
//! which is what the AWS SDK, reqwest and Lambda's runtime client send.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A complete request.
pub(crate) struct Request {
    /// Request line and headers, as sent.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The value of a header, named in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The path in the request line.
    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }
}

/// A response, as bytes on the wire.
pub(crate) fn answer(status: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let headers: String = headers.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Serves on a free port of this machine until the process ends. `reply` is called on the connection's thread.
pub(crate) fn serve(reply: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> SocketAddr {
    serve_over(None, reply)
}

/// The same over TLS, if there is a configuration for it.
pub(crate) fn serve_over(
    tls: Option<Arc<ServerConfig>>,
    reply: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let reply = Arc::new(reply);
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let (reply, tls) = (Arc::clone(&reply), tls.clone());
            // A client that disconnects ends only its thread.
            std::thread::spawn(move || drop(accept(connection, tls, &*reply)));
        }
    });
    address
}

fn accept(
    connection: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    reply: &dyn Fn(&Request) -> Vec<u8>,
) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    match tls {
        Some(tls) => {
            let session = ServerConnection::new(tls).map_err(std::io::Error::other)?;
            converse(StreamOwned::new(session, connection), reply)
        }
        None => converse(connection, reply),
    }
}

fn converse(connection: impl Read + Write, reply: &dyn Fn(&Request) -> Vec<u8>) -> std::io::Result<()> {
    let mut connection = BufReader::new(connection);
    while let Some(request) = read(&mut connection)? {
        connection.get_mut().write_all(&reply(&request))?;
        connection.get_mut().flush()?;
    }
    Ok(())
}

fn read(input: &mut BufReader<impl Read>) -> std::io::Result<Option<Request>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if input.read_line(&mut head)? == 0 {
            return Ok(None);
        }
    }
    let mut request = Request { head, body: Vec::new() };
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    request.body.resize(length, 0);
    input.read_exact(&mut request.body)?;
    Ok(Some(request))
}

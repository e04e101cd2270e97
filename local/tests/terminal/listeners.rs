//! Every port of a running system, as pages in other tabs of the browser can try it. The ports are read from the
//! operating system, so that a port which is added later is tried too.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};

use super::{end, read_welcome, start};

/// The addresses on which a process listens, over IPv4, which is all that it is asked to do.
fn listening(pid: u32) -> Vec<SocketAddr> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let sockets: BTreeSet<String> =
        descriptors.filter_map(|entry| Some(fs::read_link(entry.ok()?.path()).ok()?.to_str()?.to_owned())).collect();
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap();
    table.lines().skip(1).filter_map(|line| listener(line, &sockets)).collect()
}

/// The address in a line of the kernel's table, if it is a listener among the sockets.
fn listener(line: &str, sockets: &BTreeSet<String>) -> Option<SocketAddr> {
    const LISTEN: &str = "0A";
    let columns: Vec<&str> = line.split_whitespace().collect();
    let (address, state, inode) = (columns.get(1)?, columns.get(3)?, columns.get(9)?);
    let (ip, port) = address.split_once(':')?;
    // The address is a number in the machine's byte order.
    let ip = Ipv4Addr::from(u32::from_str_radix(ip, 16).ok()?.to_ne_bytes());
    let ours = *state == LISTEN && sockets.contains(&format!("socket:[{inode}]"));
    ours.then_some(SocketAddr::new(IpAddr::V4(ip), u16::from_str_radix(port, 16).ok()?))
}

/// The response to a request without body, as text.
pub(super) fn sent(to: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let mut connection = TcpStream::connect(to).unwrap();
    write!(connection, "{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: 0\r\n").unwrap();
    for (name, value) in headers {
        write!(connection, "{name}: {value}\r\n").unwrap();
    }
    connection.write_all(b"\r\n").unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).unwrap();
    response
}

/// The headers that browsers send for a page that is not ours, with `own` for the listener's name.
fn hostile(own: &str) -> Vec<Vec<(&str, &str)>> {
    let fetched = [("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")];
    vec![
        vec![],
        vec![("host", "rebound.example.com")],
        vec![("host", "rebound.example.com"), ("origin", "http://rebound.example.com")],
        vec![("host", own), ("origin", "https://evil.example.com")],
        vec![("host", own), ("origin", "http://localhost:1")],
        vec![("host", own), ("origin", "null")],
        [&[("host", own), ("sec-fetch-site", "cross-site")], &fetched[..]].concat(),
        [&[("host", own), ("sec-fetch-site", "same-site")], &fetched[..]].concat(),
        vec![("host", own), ("sec-fetch-site", "cross-site")],
    ]
}

/// The methods that a program could use, and a browser's preflights for them.
const METHODS: [(&str, &[(&str, &str)]); 5] = [
    ("GET", &[]),
    ("POST", &[("x-amz-target", "DynamoDB_20120810.ListTables"), ("content-type", "application/x-amz-json-1.0")]),
    ("PUT", &[]),
    ("DELETE", &[]),
    ("OPTIONS", &[("access-control-request-method", "POST"), ("access-control-request-headers", "x-amz-target")]),
];

#[test]
fn only_the_public_port_serves_other_websites_or_other_names() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = start(&["--sample-webhook", "--bind", "127.0.0.2"], folder.path());
    let told = read_welcome(&mut running);
    let public = told.lines().find_map(|line| line.trim().strip_prefix("http://localhost:")?.split_once("/authorize/"));
    let public: u16 = public.unwrap().0.parse().unwrap();
    let (open, guarded): (Vec<_>, Vec<_>) =
        listening(running.id()).into_iter().partition(|address| address.port() == public);
    assert_eq!(open.len(), 2, "on both addresses: {open:?}");
    assert!(guarded.len() >= 10, "{guarded:?}");
    let business =
        told.lines().find_map(|line| line.trim().strip_prefix("curl http://127.0.0.1:")?.strip_suffix("/keys"));
    let business: u16 = business.unwrap().parse().unwrap();
    let at_business: Vec<_> = guarded.iter().filter(|address| address.port() == business).collect();
    assert_eq!(at_business, [&SocketAddr::from((Ipv4Addr::LOCALHOST, business))], "only this machine reaches it");
    for address in guarded {
        let own = format!("localhost:{}", address.port());
        for (method, headers) in METHODS {
            for hostile in hostile(&own) {
                let response = sent(address, method, "/", &[&hostile[..], headers].concat()).to_ascii_lowercase();
                let tried = format!("{method} {hostile:?} at {address}:\n{response}");
                assert!(response.starts_with("http/1.1 403 "), "{tried}");
                assert!(!response.contains("\r\naccess-control-"), "{tried}");
                let body = response.split_once("\r\n\r\n").unwrap().1;
                assert!(method == "HEAD" || (body.starts_with("refused: ") && body.lines().count() == 1), "{tried}");
            }
            for mut own_page in
                [vec![], vec![("origin", format!("http://{own}")), ("sec-fetch-site", "same-origin".into())]]
            {
                own_page.push(("host", own.clone()));
                let own_page: Vec<_> = own_page.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let response = sent(address, method, "/", &[&own_page[..], headers].concat()).to_ascii_lowercase();
                let tried = format!("{method} {own_page:?} at {address}:\n{response}");
                assert!(!response.contains("refused: ") && !response.contains("\r\naccess-control-"), "{tried}");
            }
        }
    }
    for address in open {
        let tunnel = [("host", "abc.tunnel.example.com"), ("origin", "https://abc.tunnel.example.com")];
        let response = sent(address, "GET", "/", &tunnel);
        assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    }
    end(running, "TERM");
}

#[test]
fn the_network_reaches_the_pages_of_merchants_and_no_other_port() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = start(&["--lan=127.0.0.2"], folder.path());
    let told = read_welcome(&mut running);
    let port = |after: &str| -> u16 {
        let (_, rest) = told.split_once(after).unwrap_or_else(|| panic!("{after}: {told}"));
        rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
    };
    let (public, wechat) = (port("http://127.0.0.2:"), port("WeChat is simulated at http://localhost:"));
    let mut open: Vec<_> =
        listening(running.id()).into_iter().filter(|address| address.ip() != Ipv4Addr::LOCALHOST).collect();
    open.sort();
    let mut expected = [public, wechat].map(|port| SocketAddr::from(([127, 0, 0, 2], port)));
    expected.sort();
    assert_eq!(open, expected);
    let [at_pages, at_wechat] = [public, wechat].map(|port| SocketAddr::from(([127, 0, 0, 2], port)));
    let host = |address: SocketAddr| address.to_string();
    let page = sent(at_pages, "GET", "/authorize/0123456789abcdefABCDE_", &[("host", &host(at_pages))]);
    assert!(page.starts_with("HTTP/1.1 404 ") && page.contains("There is no such link"), "{page}");
    for path in ["/_simulator/calls", "/console", "/"] {
        assert!(sent(at_wechat, "GET", path, &[("host", &host(at_wechat))]).starts_with("HTTP/1.1 404 "), "{path}");
    }
    end(running, "TERM");
}

//! `--lan`: merchants' pages for the phones of this network.
//!
//! A phone that scans a link's QR code needs two things of this machine: the public port, which is made for strangers,
//! and of the simulated WeChat the page on which a merchant confirms. Both listen at this machine's address in the
//! network as well. The rest of the simulator, and every other port, stays where it is; above all the business port,
//! which asks for no identity, and with it the door to the console.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use anyhow::Context as _;
use axum::body::HttpBody as _;
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse as _;
use runtime::config::Origin;
use simulator::{Gate, paths};
use tokio::net::TcpListener;

use crate::args::Args;
use crate::guard::{Guard, Refusal};

/// An address of no network (RFC 5737): looking up the way to it sends nothing.
const ELSEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);

/// This machine's address in its network, if `--lan` is given.
///
/// # Errors
/// A sentence that says what to do.
pub(crate) fn address(args: &Args, public_url: Option<&str>) -> anyhow::Result<Option<IpAddr>> {
    let Some(chosen) = args.lan else { return Ok(None) };
    if public_url.is_some() {
        anyhow::bail!("PUBLIC_BASE_URL says where merchants' pages are: unset it, or leave --lan out")
    }
    let found = || outward().context("this machine's address in the network is not known: name it with --lan=ADDRESS");
    let address = chosen.map_or_else(found, Ok)?;
    if !is_of_a_network(address) {
        anyhow::bail!(
            "{address} is not an address in a private network: name this machine's address there, such as \
             --lan=192.168.1.7"
        )
    }
    Ok(Some(address))
}

/// Whether only machines in the same network reach an address: pages without TLS are nothing for the internet.
const fn is_of_a_network(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let is_shared = first == 100 && second & 0b1100_0000 == 64;
            let is_own_loopback = address.is_loopback() && !matches!(address, Ipv4Addr::LOCALHOST);
            address.is_private() || address.is_link_local() || is_shared || is_own_loopback
        }
        // A link-local address means nothing without its interface, which browsers do not accept.
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

/// The address from which this machine reaches others.
fn outward() -> io::Result<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(ELSEWHERE)?;
    Ok(socket.local_addr()?.ip())
}

/// The listeners at this machine's address in the network.
pub(crate) struct LanListeners {
    pub(crate) public: TcpListener,
    pub(crate) simulator: TcpListener,
}

impl LanListeners {
    /// Where a phone reaches the public routes, and WeChat's page.
    pub(crate) fn origins(&self) -> anyhow::Result<[Origin; 2]> {
        let origin = |listener: &TcpListener| {
            Origin::in_local_network(listener.local_addr()?).map_err(|reason| anyhow::anyhow!("--lan: {reason}"))
        };
        Ok([origin(&self.public)?, origin(&self.simulator)?])
    }
}

/// The largest form that is accepted from the network, in bytes: a merchant's choice is far smaller.
const MAX_FORM: u64 = 64 * 1024;

/// Lets the requests pass that a merchant's browser sends to WeChat, under the name of this address.
pub(crate) fn gate(address: IpAddr) -> Gate {
    let guard = Guard::at(address, &[]);
    Arc::new(move |request| {
        let path = request.uri().path();
        let is_merchants = match *request.method() {
            Method::GET => [paths::PC_PAGE, paths::MOBILE_PAGE].contains(&path),
            // Without a Content-Length nothing limits the body, so one is required.
            Method::POST => {
                path == paths::CONSENT && request.body().size_hint().exact().is_some_and(|it| it <= MAX_FORM)
            }
            _ => false,
        };
        if !is_merchants {
            return Some((StatusCode::NOT_FOUND, "Only this machine reaches this page.\n").into_response());
        }
        guard.check(request).err().map(Refusal::response)
    })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;

    use super::*;

    fn status(method: &str, host: &str, path: &str) -> Option<u16> {
        status_of(method, host, path, Body::empty())
    }

    fn status_of(method: &str, host: &str, path: &str, body: Body) -> Option<u16> {
        let gate = gate("192.168.1.7".parse().unwrap());
        let request = Request::builder().method(method).uri(path).header("host", host).body(body).unwrap();
        gate(&request).map(|refused| refused.status().as_u16())
    }

    #[test]
    fn a_form_that_no_page_of_ours_sends_is_refused_unread() {
        let endless = futures::stream::repeat_with(|| Ok::<_, std::io::Error>("x"));
        for body in [Body::from(vec![b'x'; 64 * 1024 + 1]), Body::from_stream(endless)] {
            assert_eq!(status_of("POST", "192.168.1.7:3002", paths::CONSENT, body), Some(404));
        }
    }

    #[test]
    fn of_the_simulator_the_network_reaches_the_merchants_page_alone() {
        let host = "192.168.1.7:3002";
        for (method, path) in [("GET", paths::PC_PAGE), ("GET", paths::MOBILE_PAGE), ("POST", paths::CONSENT)] {
            assert_eq!(status(method, host, path), None, "{method} {path}");
            assert_eq!(status(method, "rebound.example.com", path), Some(403), "{method} {path}");
        }
        for path in ["/", "/console", "/chat", "/_simulator/calls", paths::COMPONENT_TOKEN, paths::WEB_LOGIN_PAGE] {
            for method in ["GET", "POST", "OPTIONS"] {
                assert_eq!(status(method, host, path), Some(404), "{method} {path}");
            }
        }
    }
}

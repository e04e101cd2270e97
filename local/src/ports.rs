//! Binding of ports, with a sentence for the user if it fails.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpListener};

/// Why there is no listener. The sentence names the option that helps.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program listens there, or another part of this one.
    #[error("port {port} is in use, by another program or by another option here: choose another with {option}")]
    InUse {
        /// The port.
        port: u16,
        /// The option that sets it, such as `--port`.
        option: &'static str,
    },
    /// The port is reserved for the administrator.
    #[error("port {port} needs the administrator's rights: choose one above 1023 with {option}")]
    Reserved {
        /// The port.
        port: u16,
        /// The option that sets it.
        option: &'static str,
    },
    /// The address does not belong to this machine.
    #[error("{0} is not an address of this machine: choose one that it has, with --bind or --lan=ADDRESS")]
    ForeignAddress(IpAddr),
    /// Anything else.
    #[error("cannot listen on {address}: {source}")]
    Other {
        /// The address.
        address: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// Why there are no listeners: a line for each port that cannot be bound.
#[derive(Debug)]
pub struct BindErrors(pub Vec<BindError>);

impl fmt::Display for BindErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        // An address that is not this machine's has nothing to do with the port.
        lines.dedup();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for BindErrors {}

/// A listener on `port` of `ip`, ready for tokio (it does not block). Port 0 takes any free one.
///
/// `option` is the command-line option that sets the port, for the sentence.
///
/// # Errors
/// [`BindError`] by cause.
pub fn bind(ip: IpAddr, port: u16, option: &'static str) -> Result<TcpListener, BindError> {
    let address = SocketAddr::new(ip, port);
    let listener = TcpListener::bind(address).map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => BindError::InUse { port, option },
        ErrorKind::PermissionDenied => BindError::Reserved { port, option },
        ErrorKind::AddrNotAvailable => BindError::ForeignAddress(ip),
        _ => BindError::Other { address, source },
    })?;
    listener.set_nonblocking(true).map_err(|source| BindError::Other { address, source })?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn a_port_in_use_is_told_with_the_option_that_helps() {
        let first = bind(LOCALHOST, 0, "--port").unwrap();
        let port = first.local_addr().unwrap().port();
        let sentence = bind(LOCALHOST, port, "--port").unwrap_err().to_string();
        assert_eq!(
            sentence,
            format!("port {port} is in use, by another program or by another option here: choose another with --port")
        );
    }

    #[test]
    fn an_address_of_another_machine_is_refused() {
        // 192.0.2.0/24 is reserved for documentation: no machine has it.
        let foreign = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let sentence = bind(foreign, 0, "--port").unwrap_err().to_string();
        assert!(sentence.contains("--bind"), "{sentence}");
    }
}

//! Where the parts of `cargo run` listen, and how they are reached.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

use crate::args::Args;
use crate::ports::bind;

/// Where everything listens, before anything runs: an occupied port is told before the first line of log.
///
/// Each listens on the loopback address, alone or among all addresses.
pub(crate) struct Listeners {
    pub(crate) public: TcpListener,
    pub(crate) business: TcpListener,
    pub(crate) secrets: TcpListener,
    pub(crate) simulator: Option<TcpListener>,
    pub(crate) events: Option<TcpListener>,
    /// On the loopback address only, at any free port: nobody but this process calls it.
    pub(crate) sample_webhook: Option<TcpListener>,
    pub(crate) dynamodb: Option<std::net::TcpListener>,
    /// The same ports on the address of `--bind`, each with where it leads.
    pub(crate) doors: Vec<(TcpListener, SocketAddr)>,
}

impl Listeners {
    /// Binds what this machine serves: `table` and `bus` where they are not elsewhere.
    pub(crate) fn bind(args: &Args, table: bool, bus: bool) -> anyhow::Result<Self> {
        const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let one = args.bind.is_unspecified() || args.bind == LOOPBACK;
        let mut doors = Vec::new();
        let mut listen = |port, option| {
            let listener = bind(if one { args.bind } else { LOOPBACK }, port, option)?;
            if !one {
                let to = listener.local_addr()?;
                doors.push((TcpListener::from_std(bind(args.bind, to.port(), option)?)?, to));
            }
            anyhow::Ok(listener)
        };
        Ok(Self {
            public: TcpListener::from_std(listen(args.port, "--port")?)?,
            business: TcpListener::from_std(bind(LOOPBACK, args.business_port, "--business-port")?)?,
            secrets: TcpListener::from_std(listen(args.secrets_port, "--secrets-port")?)?,
            simulator: if args.no_simulator {
                None
            } else {
                Some(TcpListener::from_std(listen(args.simulator_port, "--simulator-port")?)?)
            },
            events: if bus { Some(TcpListener::from_std(listen(args.events_port, "--events-port")?)?) } else { None },
            sample_webhook: if args.sample_webhook {
                Some(TcpListener::from_std(bind(LOOPBACK, 0, "--sample-webhook")?)?)
            } else {
                None
            },
            dynamodb: if table { Some(listen(args.dynamodb_port, "--dynamodb-port")?) } else { None },
            doors,
        })
    }
}

/// How a browser on this machine reaches a listener. By name: cookies and the simulator's check of the launch page go
/// by the host.
pub(crate) fn local_base(listener: &TcpListener) -> anyhow::Result<String> {
    Ok(format!("http://localhost:{}", listener.local_addr()?.port()))
}

/// How a program on this machine reaches a listener.
pub(crate) fn endpoint(listener: &TcpListener) -> anyhow::Result<String> {
    let port = listener.local_addr()?.port();
    Ok(format!("http://{}", SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
}

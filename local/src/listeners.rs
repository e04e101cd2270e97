//! Where the parts of `cargo run` listen, and how they are reached.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use runtime::config::Environment;
use tokio::net::TcpListener;

use crate::args::Args;
use crate::ports::{BindError, BindErrors, bind};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Parts of AWS that the environment says are elsewhere: their addresses.
pub(crate) struct Elsewhere {
    pub(crate) table: Option<String>,
    pub(crate) bus: Option<String>,
    pub(crate) files: Option<String>,
}

impl Elsewhere {
    pub(crate) fn read(environment: &impl Environment) -> Self {
        Self {
            table: environment.get("AWS_ENDPOINT_URL_DYNAMODB"),
            bus: environment.get("AWS_ENDPOINT_URL_EVENTBRIDGE"),
            files: environment.get("FILES_BUCKET_URL"),
        }
    }
}

/// Where everything listens, before anything runs: an occupied port is told before the first line of log.
///
/// Each listens on the loopback address, alone or among all addresses.
pub(crate) struct Listeners {
    pub(crate) public: TcpListener,
    pub(crate) business: TcpListener,
    pub(crate) secrets: TcpListener,
    pub(crate) simulator: Option<TcpListener>,
    pub(crate) events: Option<TcpListener>,
    pub(crate) files: Option<TcpListener>,
    /// On the loopback address only, at any free port: nobody but this process calls it.
    pub(crate) sample_webhook: Option<TcpListener>,
    pub(crate) dynamodb: Option<std::net::TcpListener>,
    /// The same ports on the address of `--bind`, each with where it leads.
    pub(crate) doors: Vec<(TcpListener, SocketAddr)>,
}

impl Listeners {
    /// Binds what this machine serves: what is not in `elsewhere`.
    ///
    /// # Errors
    /// [`BindErrors`]: all ports that cannot be had, so that one start names them all.
    pub(crate) fn bind(args: &Args, elsewhere: &Elsewhere) -> anyhow::Result<Self> {
        let mut ports = Ports { bind: args.bind, doors: Vec::new(), failed: Vec::new() };
        let public = ports.open(args.port, "--port");
        let business = ports.keep(bind(LOOPBACK, args.business_port, "--business-port"));
        let secrets = ports.open(args.secrets_port, "--secrets-port");
        let simulator = if args.no_simulator { None } else { ports.open(args.simulator_port, "--simulator-port") };
        let Elsewhere { table, bus, files } = elsewhere;
        let mut here = |elsewhere: &Option<String>, port, option| {
            if elsewhere.is_none() { ports.open(port, option) } else { None }
        };
        let events = here(bus, args.events_port, "--events-port");
        let files = here(files, args.files_port, "--files-port");
        let dynamodb = here(table, args.dynamodb_port, "--dynamodb-port");
        let sample_webhook = if args.sample_webhook { ports.keep(bind(LOOPBACK, 0, "--sample-webhook")) } else { None };
        let (Some(public), Some(business), Some(secrets), []) = (public, business, secrets, &*ports.failed) else {
            return Err(BindErrors(ports.failed).into());
        };
        Ok(Self {
            public: TcpListener::from_std(public)?,
            business: TcpListener::from_std(business)?,
            secrets: TcpListener::from_std(secrets)?,
            simulator: simulator.map(TcpListener::from_std).transpose()?,
            events: events.map(TcpListener::from_std).transpose()?,
            files: files.map(TcpListener::from_std).transpose()?,
            sample_webhook: sample_webhook.map(TcpListener::from_std).transpose()?,
            dynamodb,
            doors: ports
                .doors
                .into_iter()
                .map(|(door, to)| Ok((TcpListener::from_std(door)?, to)))
                .collect::<io::Result<_>>()?,
        })
    }
}

/// The ports that have been bound so far.
struct Ports {
    bind: IpAddr,
    doors: Vec<(std::net::TcpListener, SocketAddr)>,
    failed: Vec<BindError>,
}

impl Ports {
    /// A port on the loopback address and on that of `--bind`.
    fn open(&mut self, port: u16, option: &'static str) -> Option<std::net::TcpListener> {
        let one = self.bind.is_unspecified() || self.bind == LOOPBACK;
        let listener = self.keep(bind(if one { self.bind } else { LOOPBACK }, port, option))?;
        if !one {
            let address = SocketAddr::new(LOOPBACK, port);
            let to = listener.local_addr().map_err(|source| BindError::Other { address, source });
            let to = self.keep(to)?;
            let door = self.keep(bind(self.bind, to.port(), option))?;
            self.doors.push((door, to));
        }
        Some(listener)
    }

    fn keep<T>(&mut self, bound: Result<T, BindError>) -> Option<T> {
        bound.map_err(|error| self.failed.push(error)).ok()
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

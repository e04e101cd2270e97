//! The listeners of the parts of `cargo run`, and their URLs.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use runtime::config::Environment;
use tokio::net::TcpListener;

use crate::args::Args;
use crate::lan::LanListeners;
use crate::ports::{BindError, BindErrors, bind};

/// The URL of the table, if it is not ours.
const TABLE_URL: &str = "AWS_ENDPOINT_URL_DYNAMODB";

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A part of AWS: served by this machine, or at the URL that the environment sets.
pub(crate) enum Part {
    Here(TcpListener),
    Elsewhere(String),
}

impl Part {
    /// Its URL for a program on this machine.
    pub(crate) fn url(&self) -> anyhow::Result<String> {
        match self {
            Self::Here(listener) => endpoint(listener),
            Self::Elsewhere(url) => Ok(url.clone()),
        }
    }

    /// Its listener, if this machine serves it.
    pub(crate) const fn listener(&self) -> Option<&TcpListener> {
        match self {
            Self::Here(listener) => Some(listener),
            Self::Elsewhere(_) => None,
        }
    }
}

/// All listeners, bound before anything runs: an occupied port is reported before the first line of log.
///
/// Each listens on the loopback address, alone or among all addresses.
pub(crate) struct Listeners {
    pub(crate) public: TcpListener,
    pub(crate) business: TcpListener,
    pub(crate) secrets: TcpListener,
    pub(crate) lambda: TcpListener,
    pub(crate) simulator: Option<TcpListener>,
    /// With the simulator and our own table only: the shop's writes do not belong in a real platform's table.
    pub(crate) shop: Option<TcpListener>,
    pub(crate) dynamodb: Part,
    pub(crate) events: Part,
    pub(crate) files: Part,
    /// On the loopback address only, at any free port: only this process calls it.
    pub(crate) sample_webhook: Option<TcpListener>,
    /// The same ports on the address of `--bind`, each with its target.
    pub(crate) doors: Vec<(TcpListener, SocketAddr)>,
    /// With `--lan`.
    pub(crate) lan: Option<LanListeners>,
}

impl Listeners {
    /// Binds what this machine serves: the parts of AWS that `environment` does not name are among it. `lan` is this
    /// machine's address in the network, if phones there are let in.
    ///
    /// # Errors
    /// [`BindErrors`]: all ports that cannot be had, so that one start names them all.
    pub(crate) fn bind(args: &Args, environment: &impl Environment, lan: Option<IpAddr>) -> anyhow::Result<Self> {
        let mut ports = Ports { bind: args.bind, doors: Vec::new(), failed: Vec::new() };
        let public = ports.open(args.port, "--port");
        let business = ports.listen(LOOPBACK, args.business_port, "--business-port");
        let secrets = ports.open(args.secrets_port, "--secrets-port");
        let lambda = ports.open(args.lambda_port, "--lambda-port");
        let simulator = if args.no_simulator { None } else { ports.open(args.simulator_port, "--simulator-port") };
        let shop = if args.no_simulator || environment.get(TABLE_URL).is_some() {
            None
        } else {
            ports.open(args.shop_port, "--shop-port")
        };
        let mut part = |variable, port, option| match environment.get(variable) {
            Some(url) => Some(Part::Elsewhere(url)),
            None => ports.open(port, option).map(Part::Here),
        };
        let events = part("AWS_ENDPOINT_URL_EVENTBRIDGE", args.events_port, "--events-port");
        let files = part("FILES_BUCKET_URL", args.files_port, "--files-port");
        let dynamodb = part(TABLE_URL, args.dynamodb_port, "--dynamodb-port");
        let lan = lan.zip(public.as_ref()).zip(simulator.as_ref());
        let lan = lan.and_then(|((ip, public), simulator)| ports.let_in(ip, public, simulator));
        let sample_webhook = if args.sample_webhook { ports.listen(LOOPBACK, 0, "--sample-webhook") } else { None };
        let Ports { doors, failed, .. } = ports;
        match (public, business, secrets, lambda, dynamodb, events, files, &*failed) {
            (
                Some(public),
                Some(business),
                Some(secrets),
                Some(lambda),
                Some(dynamodb),
                Some(events),
                Some(files),
                [],
            ) => Ok(Self {
                public,
                business,
                secrets,
                lambda,
                simulator,
                shop,
                dynamodb,
                events,
                files,
                sample_webhook,
                doors,
                lan,
            }),
            _ => Err(BindErrors(failed).into()),
        }
    }
}

/// The ports that have been bound so far.
struct Ports {
    bind: IpAddr,
    doors: Vec<(TcpListener, SocketAddr)>,
    failed: Vec<BindError>,
}

impl Ports {
    /// A port on the loopback address and on that of `--bind`.
    fn open(&mut self, port: u16, option: &'static str) -> Option<TcpListener> {
        let one = self.bind.is_unspecified() || self.bind == LOOPBACK;
        let listener = self.listen(if one { self.bind } else { LOOPBACK }, port, option)?;
        if !one {
            let address = SocketAddr::new(LOOPBACK, port);
            let to = self.keep(listener.local_addr(), address)?;
            let door = self.listen(self.bind, to.port(), option)?;
            self.doors.push((door, to));
        }
        Some(listener)
    }

    /// The ports of two listeners at another address.
    fn let_in(&mut self, ip: IpAddr, public: &TcpListener, simulator: &TcpListener) -> Option<LanListeners> {
        let mut same_port = |listener: &TcpListener, option| {
            let here = self.keep(listener.local_addr(), SocketAddr::new(ip, 0))?;
            self.listen(ip, here.port(), option)
        };
        let (public, simulator) = (same_port(public, "--port"), same_port(simulator, "--simulator-port"));
        Some(LanListeners { public: public?, simulator: simulator? })
    }

    fn listen(&mut self, ip: IpAddr, port: u16, option: &'static str) -> Option<TcpListener> {
        match bind(ip, port, option) {
            Ok(listener) => self.keep(TcpListener::from_std(listener), SocketAddr::new(ip, port)),
            Err(error) => {
                self.failed.push(error);
                None
            }
        }
    }

    fn keep<T>(&mut self, result: io::Result<T>, address: SocketAddr) -> Option<T> {
        result.map_err(|source| self.failed.push(BindError::Other { address, source })).ok()
    }
}

/// The URL of a listener for a browser on this machine, by name: cookies and the simulator's check of the launch page
/// are per host.
pub(crate) fn local_base(listener: &TcpListener) -> anyhow::Result<String> {
    Ok(format!("http://localhost:{}", listener.local_addr()?.port()))
}

/// The URL of a listener for a program on this machine.
pub(crate) fn endpoint(listener: &TcpListener) -> anyhow::Result<String> {
    let port = listener.local_addr()?.port();
    Ok(format!("http://{}", SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
}

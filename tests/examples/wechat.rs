//! `cargo run -p stories --example wechat -- LISTEN LAUNCH_HOST EVENTS_URL [NAME …]`: WeChat alone, simulated for a
//! deployed stack whose secret is `events/secret.json`, such as one in an emulator.
//!
//! The stack's three parameters `Wechat…BaseUrl` name `LISTEN`, such as `127.0.0.1:3002`; `LAUNCH_HOST` is the host of
//! its `PublicBaseUrl`; a ticket is pushed to `EVENTS_URL`, such as `https://host/wechat/events`, at once and every ten
//! minutes, and messages to the URL next to it, `https://host/wechat/accounts/$APPID$/events`. It accepts the address
//! of `LISTEN` and localhost as its name; any other name in requests has to be given as a `NAME`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use base::clock::SystemClock;
use local::guard::Guard;
use simulator::{Options, Simulator};
use stories::world::platform;
use tokio::net::TcpListener;

/// The time between two tickets.
const TICKETS: Duration = Duration::from_mins(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let usage = "usage: cargo run -p stories --example wechat -- LISTEN LAUNCH_HOST EVENTS_URL [NAME …]";
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, launch_host, events_url, names @ ..] = arguments.as_slice() else { anyhow::bail!(usage) };
    let mut options = Options::new(platform(), launch_host, Arc::new(SystemClock));
    options.push_url = Some(events_url.parse().context("EVENTS_URL is not a URL")?);
    let base = events_url.strip_suffix("/wechat/events").context("EVENTS_URL does not end with /wechat/events")?;
    options.message_url = Some(format!("{base}/wechat/accounts/$APPID$/events"));
    let simulator = Simulator::new(options)?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let guard = Guard::at(listener.local_addr()?.ip(), names);
    let served = simulator.clone().serve_behind(guard.gate(), listener, std::future::pending());
    let (served, ()) = tokio::join!(served, simulator.run_ticket_timer(TICKETS));
    Ok(served?)
}

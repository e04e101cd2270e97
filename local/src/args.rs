//! The options of `cargo run`.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// The options of the command line. All have defaults that work.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(
    name = "cargo run --",
    bin_name = "cargo run --",
    version,
    about = "Runs the whole WeChat third-party platform on this machine",
    long_about = "Runs the whole WeChat third-party platform on this machine: the functions, the table, the secret and the bus \
                  they use, and a simulator of WeChat's side that pushes tickets and messages, shows the authorization page \
                  and serves the API. What the platform delivers to the business is shown on a page of its own. Nothing else has to be installed, and no AWS or WeChat account is needed.",
    after_help = "Services call the business API below /v1 of the public port, with the API key that is printed. Its own port \
                  listens on 127.0.0.1 only, whatever --bind says: it requires no authentication. `cargo ops doctor` examines a \
                  running system, and `cargo ops release-check` runs WeChat's release check against it."
)]
pub struct Args {
    /// Port of the public routes: pushes from WeChat, the merchants' pages, and the business API with an API key
    #[arg(long, value_name = "PORT", default_value_t = 3000)]
    pub port: u16,

    /// Port of the business API without an API key, which creates keys
    #[arg(long, value_name = "PORT", default_value_t = 3001)]
    pub business_port: u16,

    /// Port of the simulated WeChat
    #[arg(long, value_name = "PORT", default_value_t = 3002)]
    pub simulator_port: u16,

    /// Port of the demo shop, which logs in visitors as a merchant's shop does. It needs the simulator and this machine's
    /// table
    #[arg(long, value_name = "PORT", default_value_t = 3003)]
    pub shop_port: u16,

    /// Port of the local DynamoDB, for the AWS CLI or a table browser
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    pub dynamodb_port: u16,

    /// Port of the local Secrets Manager
    #[arg(long, value_name = "PORT", default_value_t = 8001)]
    pub secrets_port: u16,

    /// Port of the local EventBridge, and of the page of events that arrive there
    #[arg(long, value_name = "PORT", default_value_t = 8002)]
    pub events_port: u16,

    /// Port of the local bucket of files for calls
    #[arg(long, value_name = "PORT", default_value_t = 8003)]
    pub files_port: u16,

    /// Port of the local Lambda, through which functions invoke others
    #[arg(long, value_name = "PORT", default_value_t = 8004)]
    pub lambda_port: u16,

    /// Address of this machine on which everything but the business API also listens; containers need one that they
    /// can reach, such as 172.17.0.1. This exposes secrets: choose no address that strangers can reach
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub bind: IpAddr,

    /// Let phones in the same network open merchants' pages: links and QR codes lead to this machine's address there.
    /// Everybody in the network reaches the public port then, without TLS, and the simulated page on which merchants
    /// confirm; all other ports stay on this machine. ADDRESS chooses among several networks
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, require_equals = true)]
    #[arg(conflicts_with_all = ["bind", "no_simulator"])]
    pub lan: Option<Option<IpAddr>>,

    /// Further name under which this machine is called, such as host.docker.internal or that of a tunnel to the simulator;
    /// may be given several times. Requests to any other name than localhost and the address of --bind are refused: it
    /// could be a website's
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    pub allow_host: Vec<String>,

    /// Folder that keeps the table and the generated secret from one start to the next; delete it to begin anew
    #[arg(long, value_name = "FOLDER", default_value = ".local")]
    pub data_dir: PathBuf,

    /// JSON file with your platform's `component_appid`, `component_appsecret`, `token` and `encoding_aes_key`, and for a
    /// webhook `webhook_secret`; without it a secret is generated and kept in the data folder
    #[arg(long, value_name = "FILE")]
    pub secret: Option<PathBuf>,

    /// Talk to the real WeChat instead of the simulator; needs --secret, and in the variable `PUBLIC_BASE_URL` the https
    /// origin of a tunnel to --port
    #[arg(long, requires = "secret")]
    pub no_simulator: bool,

    /// Run a sample webhook, which echoes followers' messages and logs the account events that it receives. Your own
    /// on this machine are set by the variables `REPLY_WEBHOOK_URL` and `EVENT_WEBHOOK_URL`, such as
    /// `http://localhost:9000/`: only `cargo run` permits URLs of this machine
    #[arg(long)]
    pub sample_webhook: bool,

    /// Seconds between two tickets that the simulator pushes
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = seconds)]
    pub ticket_interval: Duration,

    /// Lifetime of the simulator's tokens in seconds; make it short to watch tokens being renewed
    #[arg(long, value_name = "SECONDS", default_value = "7200", value_parser = seconds)]
    pub token_lifetime: Duration,
}

/// The name of a host, without scheme, port and path.
fn host_name(text: &str) -> Result<String, &'static str> {
    match url::Host::parse(text) {
        Ok(url::Host::Domain(name)) if !name.contains('*') => Ok(name),
        _ => Err("it must be only a name, such as host.docker.internal; --bind takes addresses"),
    }
}

/// At least one second: an interval of zero would never pause.
fn seconds(text: &str) -> Result<Duration, &'static str> {
    match text.parse() {
        Ok(seconds @ 1..) => Ok(Duration::from_secs(seconds)),
        _ => Err("it must be a whole number of seconds, 1 or more"),
    }
}

#[cfg(test)]
mod tests;

//! The options of `cargo run`.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use url::Url;

/// The ports that the doctor looks at where it looks at no stack.
const PORTS: [&str; 4] = ["port", "business_port", "dynamodb_port", "secrets_port"];

/// Where the simulator of a `cargo run` is unless a port is chosen.
pub(crate) const DEFAULT_SIMULATOR: &str = "http://localhost:3002";

/// What may be chosen on the command line. Everything has a default that works.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(
    name = "cargo run --",
    bin_name = "cargo run --",
    version,
    about = "Runs the whole WeChat third-party platform on this machine",
    long_about = "Runs the whole WeChat third-party platform on this machine: the functions, the table, the secret and the bus \
                  they use, and a simulator of WeChat's side that pushes tickets and messages, shows the authorization page \
                  and answers the API. What the platform delivers to the business is shown on a page of its own. Nothing else has to be installed, and no AWS or WeChat account is needed.",
    after_help = "The business API answers on 127.0.0.1 only, whatever --bind says: it asks for no identity.",
    args_conflicts_with_subcommands = true
)]
pub struct Args {
    /// What to do instead of running
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The ports that the doctor asks too
    #[command(flatten)]
    pub ports: Ports,

    /// Port of the simulated WeChat
    #[arg(long, value_name = "PORT", default_value_t = 3002)]
    pub simulator_port: u16,

    /// Port of the local EventBridge, and of the page that shows what arrives there
    #[arg(long, value_name = "PORT", default_value_t = 8002)]
    pub events_port: u16,

    /// Address of this machine on which everything but the business API answers too; containers need one that they
    /// reach, such as 172.17.0.1. Secrets are among it: no address that strangers reach
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub bind: IpAddr,

    /// Further name under which this machine is called, such as host.docker.internal or that of a tunnel to the simulator;
    /// may be given several times. Requests to any other name than localhost and the address of --bind are refused: it
    /// could be a website's
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    pub allow_host: Vec<String>,

    /// Folder that keeps the table and the generated secret from one start to the next; delete it to begin anew
    #[arg(long, value_name = "FOLDER", default_value = ".local")]
    pub data_dir: PathBuf,

    /// JSON file with your platform's `component_appid`, `component_appsecret`, `token` and `encoding_aes_key`, and for a
    /// reply webhook `webhook_secret`; without it a secret is generated and kept in the data folder
    #[arg(long, value_name = "FILE")]
    pub secret: Option<PathBuf>,

    /// Talk to the real WeChat instead of the simulator; needs --secret, and in the variable `PUBLIC_BASE_URL` the https
    /// origin of a tunnel that leads to --port
    #[arg(long, requires = "secret")]
    pub no_simulator: bool,

    /// Run a sample reply webhook, which repeats what followers say. One of your own on this machine is named by the variable
    /// `REPLY_WEBHOOK_URL`, such as `http://localhost:9000/`: only here may it be this machine
    #[arg(long)]
    pub sample_webhook: bool,

    /// Seconds between two tickets that the simulator pushes
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = seconds)]
    pub ticket_interval: Duration,

    /// Seconds that a token of the simulator lives; make it short to watch tokens being renewed
    #[arg(long, value_name = "SECONDS", default_value = "7200", value_parser = seconds)]
    pub token_lifetime: Duration,
}

/// Ports on which a `cargo run` listens, and the doctor asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
pub struct Ports {
    /// Port of the public routes: pushes from WeChat and the merchants' pages
    #[arg(long, value_name = "PORT", default_value_t = 3000)]
    pub port: u16,

    /// Port of the business API, where authorization links are made
    #[arg(long, value_name = "PORT", default_value_t = 3001)]
    pub business_port: u16,

    /// Port of the local DynamoDB, for the AWS CLI or a table browser
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    pub dynamodb_port: u16,

    /// Port of the local Secrets Manager
    #[arg(long, value_name = "PORT", default_value_t = 8001)]
    pub secrets_port: u16,
}

/// What else the program does.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Says in words what is wrong with a deployment, or with a `cargo run` on this machine
    #[command(
        long_about = "Looks at a deployment from outside and says in words what is wrong with it and what to do: the stack, \
                      the secret, the table, what stands in it, the public URL, the clocks. Without --stack it looks at a \
                      `cargo run` on this machine. It changes nothing, asks WeChat nothing, and prints no secret. The one \
                      trace it leaves is a refused push in the logs and metrics of ticket-push and account-push.",
        after_help = "Ends with 0 where all is well (warnings included), 1 where something is wrong, and 2 where nothing could \
                      be examined: wrong arguments, no credentials, no such stack, nothing running."
    )]
    Doctor(DoctorArgs),
    /// Copies the items that a table lacks from another one, such as a restored backup
    #[command(
        long_about = "Copies the items that a DynamoDB table lacks from another one, such as a restored backup. What \
                      stands in the target is newer and stays. It may be run again after a failure."
    )]
    CopyTable(CopyTableArgs),
    /// Plays WeChat's side of the release check (全网发布接入检测) against a running `cargo run`
    #[command(
        long_about = "Plays WeChat's side of the release check (全网发布接入检测) through the simulator of a running `cargo run`: \
                      WeChat's test accounts authorize the platform, send the texts, the event and the code of the check, and \
                      what comes back is judged; an ordinary account sends the same and must get none of it. The accounts \
                      take their authorization back at the end. Prints a table, and no code or token.",
        after_help = "Ends with 0 where every case passed, 1 where one failed, and 2 where nothing could be checked, such as \
                      where nothing runs."
    )]
    ReleaseCheck(ReleaseCheckArgs),
}

/// What `release-check` checks.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct ReleaseCheckArgs {
    /// Where the simulator is that pushes to the platform
    #[arg(long, value_name = "URL", default_value = DEFAULT_SIMULATOR, value_parser = address)]
    pub simulator: Url,

    /// WeChat's group of test accounts, 1 to 5; may be given several times
    #[arg(long, value_name = "N", default_values_t = [1], value_parser = clap::value_parser!(u8).range(1..=5))]
    pub group: Vec<u8>,

    /// All five groups
    #[arg(long, conflicts_with = "group")]
    pub all_groups: bool,
}

impl ReleaseCheckArgs {
    /// The groups to check, each once.
    #[must_use]
    pub fn groups(&self) -> Vec<u8> {
        (1..=5).filter(|group| self.all_groups || self.group.contains(group)).collect()
    }
}

/// What `copy-table` copies.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct CopyTableArgs {
    /// The table to copy from
    #[arg(value_name = "FROM")]
    pub from: String,

    /// The table to copy to
    #[arg(value_name = "TO")]
    pub to: String,

    /// The region of both; else that of the environment or the profile
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,

    /// The profile of ~/.aws/config to use
    #[arg(long, value_name = "PROFILE")]
    pub profile: Option<String>,
}

/// What `doctor` looks at.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct DoctorArgs {
    /// Where the `cargo run` listens that it looks at
    #[command(flatten)]
    pub ports: Ports,

    /// The CloudFormation stack to look at
    #[arg(long, value_name = "NAME", conflicts_with_all = PORTS)]
    pub stack: Option<String>,

    /// The stack's region, such as eu-central-1; else that of the environment or the profile
    #[arg(long, value_name = "REGION", requires = "stack")]
    pub region: Option<String>,

    /// The profile of ~/.aws/config to use
    #[arg(long, value_name = "PROFILE", requires = "stack")]
    pub profile: Option<String>,

    /// Look for the public routes here instead of at the stack's `PublicBaseUrl`, whose name may not lead there yet
    #[arg(long, value_name = "URL", requires = "stack", value_parser = address)]
    pub public_url: Option<Url>,

    /// Look for the business routes here instead of at the stack's `ApiUrl`
    #[arg(long, value_name = "URL", requires = "stack", value_parser = address)]
    pub api_url: Option<Url>,
}

/// The address of a server.
fn address(text: &str) -> Result<Url, &'static str> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
        _ => Err("begin it with http:// or https://, such as http://localhost:3002"),
    }
}

/// The name of a host, without scheme, port and path.
fn host_name(text: &str) -> Result<String, &'static str> {
    match url::Host::parse(text) {
        Ok(url::Host::Domain(name)) if !name.contains('*') => Ok(name),
        _ => Err("it must be a name alone, such as host.docker.internal; --bind takes addresses"),
    }
}

/// At least one second: an interval of none never ends.
fn seconds(text: &str) -> Result<Duration, &'static str> {
    match text.parse() {
        Ok(seconds @ 1..) => Ok(Duration::from_secs(seconds)),
        _ => Err("it must be a whole number of seconds, 1 or more"),
    }
}

#[cfg(test)]
mod tests;

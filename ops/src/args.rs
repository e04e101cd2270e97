//! The options of the program, which is `cargo ops` if it is run from its source code, and otherwise `ops`.

mod operators;

use std::path::PathBuf;

use base::ids::{AppId, KeyId};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use runtime::config::Environment;
use url::Url;
use wechat::check_file::CheckFileName;

pub use self::operators::{
    EndBrowserArgs, EndOperatorArgs, InviteArgs, ListOperatorsArgs, OperatorsArgs, OperatorsCommand,
};

/// The default business port of `cargo run`.
const DEFAULT_PORT: u16 = 3001;

/// The command line.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(name = "ops", version, about = "Examines, checks and repairs deployments of the WeChat third-party platform")]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

impl Args {
    /// Parses the command line of this process, and exits if it is wrong or asks for help.
    #[must_use]
    pub fn of_process(environment: &impl Environment) -> Self {
        let mut command = Self::called(environment);
        let matches = command.get_matches_mut();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
    }

    /// The program with the name by which it was called: cargo sets a variable with the package of a program that it
    /// runs.
    fn called(environment: &impl Environment) -> clap::Command {
        let by_cargo = environment.get("CARGO_PKG_NAME").is_some_and(|name| name == env!("CARGO_PKG_NAME"));
        Self::command().bin_name(if by_cargo { "cargo ops" } else { "ops" })
    }
}

/// A command of the program.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Says what is wrong with a deployment, or with a `cargo run` on this machine
    #[command(
        long_about = "Examines a deployment from outside and says what is wrong with it and what to do: the stack, \
                      the secret, the table and its items, the public URL, the clocks. Without --stack it examines a \
                      `cargo run` on this machine. It changes nothing, does not call WeChat, and prints no secret. The only \
                      trace it leaves is a refused push in the logs and metrics of ticket-push and account-push.",
        after_help = "Exits with 0 if all is well (warnings included), 1 if something is wrong, and 2 if nothing could be \
                      examined: wrong arguments, no credentials, no such stack, nothing running."
    )]
    Doctor(DoctorArgs),
    /// Copies the items that a table lacks from another one, such as a restored backup
    #[command(
        long_about = "Copies the items that a DynamoDB table lacks from another one, such as a restored backup. Items that \
                      the target already has are newer and are kept. It may be run again after a failure."
    )]
    CopyTable(CopyTableArgs),
    /// Sends a deployment the messages of WeChat's release check (全网发布接入检测), and says which case would fail and why
    #[command(
        long_about = "Sends a deployment the messages of WeChat's release check (全网发布接入检测): sealed with the platform's own \
                      secret, to its public URLs, within WeChat's time-outs, as if from WeChat's test accounts. Opens the \
                      replies and says case by case what would pass, and what to change if it would not. Without --stack \
                      it checks a `cargo run` on this machine. It stores nothing, does not call WeChat, and prints no \
                      secret; it counts in the metrics release_check, push_refused and push_stale. The case that needs an \
                      authorization code is skipped: only WeChat can issue one.",
        after_help = "Exits with 0 if every case passed, 1 if one failed, and 2 if nothing could be checked: wrong arguments, \
                      no credentials, no such stack, no usable secret, nothing running."
    )]
    ReleaseCheck(ReleaseCheckArgs),
    /// Creates, lists and revokes the API keys of services that cannot sign with IAM
    #[command(
        long_about = "Creates, lists and revokes the API keys of services that cannot sign with IAM, directly in the table of a \
                      deployment, with the credentials of whoever runs it. Without --stack: in that of a `cargo run` on \
                      this machine. A key is printed only once, when it is created."
    )]
    Keys(KeysArgs),
    /// Invites, lists and ends the operators of the console
    #[command(
        long_about = "Invites, lists and ends the operators of the console, directly in the table of a deployment, with the \
                      credentials of whoever runs it. Without --stack: in that of a `cargo run` on this machine. The URL of \
                      an invitation is printed only once, when it is created."
    )]
    Operators(OperatorsArgs),
    /// Fetches, adds, lists and removes the files with which WeChat checks domains
    #[command(
        long_about = "Fetches, adds, lists and removes WeChat's check files, which every host of the platform serves at its \
                      root. Files are stored directly in the table of a deployment, with the user's credentials; those \
                      from WeChat are fetched through the deployment's own route, since WeChat accepts no other address. \
                      Without --stack: of a `cargo run` on this machine.",
        after_help = "sync and put exit with 0 if every file is stored and served, and 1 if not."
    )]
    Domains(DomainsArgs),
}

/// The deployment of a command.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct DeploymentArgs {
    /// The CloudFormation stack; without it, a `cargo run` on this machine
    #[arg(long, value_name = "NAME", conflicts_with = "business_port")]
    pub stack: Option<String>,

    /// The stack's region, such as eu-central-1; by default that of the environment or the profile
    #[arg(long, value_name = "REGION", requires = "stack")]
    pub region: Option<String>,

    /// The profile of ~/.aws/config to use
    #[arg(long, value_name = "PROFILE", requires = "stack")]
    pub profile: Option<String>,

    /// Port of the business API of the `cargo run`, through which the other ports are found
    #[arg(long, value_name = "PORT", default_value_t = DEFAULT_PORT)]
    pub business_port: u16,
}

/// The options of `doctor`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct DoctorArgs {
    /// The deployment
    #[command(flatten)]
    pub deployment: DeploymentArgs,

    /// Look for the public routes here instead of at the stack's `PublicBaseUrl`, whose name may not resolve to it yet
    #[arg(long, value_name = "URL", requires = "stack", value_parser = address)]
    pub public_url: Option<Url>,

    /// Look for the business routes here instead of at the stack's `ApiUrl`
    #[arg(long, value_name = "URL", requires = "stack", value_parser = address)]
    pub api_url: Option<Url>,
}

/// The options of `release-check`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct ReleaseCheckArgs {
    /// The deployment
    #[command(flatten)]
    pub deployment: DeploymentArgs,

    /// Look for the public routes here instead of at the stack's `PublicBaseUrl`, whose name may not resolve to it yet
    #[arg(long, value_name = "URL", requires = "stack", value_parser = address)]
    pub public_url: Option<Url>,

    /// Check with all five groups of WeChat's test accounts, not only the first
    #[arg(long)]
    pub all_groups: bool,
}

/// The options of `keys`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct KeysArgs {
    /// What to do
    #[command(subcommand)]
    pub command: KeysCommand,
}

/// A command of `keys`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum KeysCommand {
    /// Creates a key and prints it: it is not shown again
    Create(NewKeyArgs),
    /// Lists the keys, newest first; those that were revoked or have expired are listed for another 30 days
    List(ListKeysArgs),
    /// Revokes a key, which is refused within 60 seconds
    Revoke(RevokeKeyArgs),
}

impl KeysCommand {
    /// The deployment with the keys.
    #[must_use]
    pub const fn deployment(&self) -> &DeploymentArgs {
        match self {
            Self::Create(options) => &options.deployment,
            Self::List(options) => &options.deployment,
            Self::Revoke(options) => &options.deployment,
        }
    }
}

/// The options of `keys create`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct NewKeyArgs {
    /// The deployment
    #[command(flatten)]
    pub deployment: DeploymentArgs,

    /// The name of the key, such as the service that gets it
    #[arg(long, value_name = "NAME")]
    pub name: String,

    /// A scope of the key, such as accounts:read or calls; may be repeated
    #[arg(long = "scope", value_name = "SCOPE", required = true)]
    pub scopes: Vec<String>,

    /// An account to which the key is limited; may be repeated. Without it, the key is for all accounts
    #[arg(long = "appid", value_name = "APPID")]
    pub appids: Vec<String>,

    /// When the key expires, such as 2099-01-31T08:00:00Z
    #[arg(long, value_name = "TIME")]
    pub expires_at: Option<String>,

    /// Accept the key itself as the `access_token` in a call's URL, which others may log. Libraries that request a
    /// token do not need it
    #[arg(long)]
    pub in_url: bool,
}

/// The options of `keys list`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct ListKeysArgs {
    /// The deployment
    #[command(flatten)]
    pub deployment: DeploymentArgs,
}

/// The options of `keys revoke`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct RevokeKeyArgs {
    /// The deployment
    #[command(flatten)]
    pub deployment: DeploymentArgs,

    /// The id of the key, as `keys list` shows it
    #[arg(value_name = "ID", value_parser = KeyId::parse, allow_hyphen_values = true)]
    pub id: KeyId,
}

/// The options of `domains`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct DomainsArgs {
    /// What to do
    #[command(subcommand)]
    pub command: DomainsCommand,
}

/// A command of `domains`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum DomainsCommand {
    /// Fetches the platform's check file from WeChat, stores it, and checks whether it is served
    Sync(SyncDomainsArgs),
    /// Lists the check files
    List(ListDomainsArgs),
    /// Stores a check file that was downloaded from WeChat, and checks whether it is served
    Put(PutDomainArgs),
    /// Removes a check file, so that it is no longer served
    Remove(RemoveDomainArgs),
}

impl DomainsCommand {
    /// The deployment with the files.
    #[must_use]
    pub const fn deployment(&self) -> &DeploymentArgs {
        match self {
            Self::Sync(options) => &options.deployment,
            Self::List(options) => &options.deployment,
            Self::Put(options) => &options.deployment,
            Self::Remove(options) => &options.deployment,
        }
    }

    /// The public and the business URL to be used instead of the stack's, for the commands that have such options.
    #[must_use]
    pub const fn addresses(&self) -> (Option<&Url>, Option<&Url>) {
        match self {
            Self::Sync(options) => (options.public_url.as_ref(), options.api_url.as_ref()),
            Self::Put(options) => (options.public_url.as_ref(), None),
            Self::List(_) | Self::Remove(_) => (None, None),
        }
    }
}

/// The options of `domains sync`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct SyncDomainsArgs {
    /// The deployment
    #[command(flatten)]
    pub deployment: DeploymentArgs,

    /// A mini program whose own check file is also fetched; may be repeated
    #[arg(long = "account", value_name = "APPID", value_parser = AppId::parse_issued)]
    pub accounts: Vec<AppId>,

    /// Look for the files here instead of at the stack's `PublicBaseUrl`, whose name may not resolve to it yet
    #[arg(long, value_name = "URL", requires = "stack", value_parser = address)]
    pub public_url: Option<Url>,

    /// Call WeChat through the business routes here instead of at the stack's `ApiUrl`
    #[arg(long, value_name = "URL", requires = "stack", value_parser = address)]
    pub api_url: Option<Url>,
}

/// The options of `domains list`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct ListDomainsArgs {
    /// The deployment
    #[command(flatten)]
    pub deployment: DeploymentArgs,
}

/// The options of `domains put`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct PutDomainArgs {
    /// The deployment
    #[command(flatten)]
    pub deployment: DeploymentArgs,

    /// Look for the file here instead of at the stack's `PublicBaseUrl`, whose name may not resolve to it yet
    #[arg(long, value_name = "URL", requires = "stack", value_parser = address)]
    pub public_url: Option<Url>,

    /// The file, under the name that WeChat gave it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// The options of `domains remove`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct RemoveDomainArgs {
    /// The deployment
    #[command(flatten)]
    pub deployment: DeploymentArgs,

    /// The file's name, as `domains list` shows it
    #[arg(value_name = "NAME", value_parser = CheckFileName::parse)]
    pub name: CheckFileName,
}

/// The options of `copy-table`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct CopyTableArgs {
    /// The table to copy from
    #[arg(value_name = "FROM")]
    pub from: String,

    /// The table to copy to
    #[arg(value_name = "TO")]
    pub to: String,

    /// The region of both; by default that of the environment or the profile
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,

    /// The profile of ~/.aws/config to use
    #[arg(long, value_name = "PROFILE")]
    pub profile: Option<String>,
}

/// Parses the address of a server.
fn address(text: &str) -> Result<Url, &'static str> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
        _ => Err("begin it with http:// or https://, such as https://auth.example.com"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn parse(options: &[&str]) -> Result<Command, String> {
        let parsed = Args::try_parse_from([&["ops"], options].concat());
        parsed.map(|args| args.command).map_err(|error| error.to_string())
    }

    #[test]
    fn every_option_has_a_help_text_and_usage_begins_with_what_was_typed() {
        Args::command().debug_assert();
        for command in Args::command().get_subcommands().flat_map(|one| one.get_subcommands().chain([one])) {
            assert!(command.get_arguments().all(|argument| argument.get_help().is_some()), "{command}");
        }
        for (package, typed) in [(Some("ops"), "cargo ops"), (Some("other"), "ops"), (None, "ops")] {
            let environment = |name: &str| package.filter(|_| name == "CARGO_PKG_NAME").map(str::to_owned);
            let refused = Args::called(&environment).try_get_matches_from(["ops", "doctor", "--nope"]).unwrap_err();
            assert!(refused.to_string().contains(&format!("Usage: {typed} doctor")), "{refused}");
        }
    }

    #[test]
    fn a_stack_or_a_port_is_examined_and_no_option_is_taken_that_would_do_nothing() {
        for command in ["doctor", "release-check"] {
            for options in [&["--business-port", "4001"][..], &["--stack", "wechat", "--region", "eu-central-1"], &[]] {
                assert!(parse(&[&[command], options].concat()).is_ok(), "{options:?}");
            }
            for useless in [
                &["--region", "eu-central-1"][..],
                &["--public-url", "https://auth.example.com"],
                &["--stack", "wechat", "--business-port", "4001"],
            ] {
                assert!(parse(&[&[command], useless].concat()).is_err(), "{useless:?}");
            }
        }
        let Ok(Command::Doctor(options)) = parse(&["doctor"]) else { panic!("no doctor") };
        assert_eq!((options.deployment.business_port, options.deployment.stack), (3001, None));
        let Ok(Command::ReleaseCheck(options)) = parse(&["release-check", "--all-groups"]) else { panic!("no check") };
        assert!(options.all_groups);
    }

    #[test]
    fn a_key_has_a_name_and_a_scope_and_is_revoked_by_its_id() {
        let create = ["keys", "create", "--name", "orders", "--scope", "links", "--scope", "calls", "--appid", "wx1"];
        let Ok(Command::Keys(KeysArgs { command: KeysCommand::Create(made) })) = parse(&create) else {
            panic!("no key")
        };
        assert_eq!((made.scopes.join(" ").as_str(), made.appids.len(), made.in_url), ("links calls", 1, false));
        assert!(parse(&["keys", "create", "--name", "orders"]).unwrap_err().contains("--scope"));
        assert!(parse(&["keys", "list", "--stack", "wechat", "--region", "eu-central-1"]).is_ok());
        assert!(parse(&["keys", "list", "--region", "eu-central-1"]).is_err());
        let hyphen = "-k3vQ0c8SgWqT1n2yXb4aA";
        let Ok(Command::Keys(KeysArgs { command: KeysCommand::Revoke(revoked) })) =
            parse(&["keys", "revoke", hyphen, "--stack", "wechat"])
        else {
            panic!("an id may begin with a hyphen")
        };
        assert_eq!((revoked.id.as_str(), revoked.deployment.stack.as_deref()), (hyphen, Some("wechat")));
        assert!(parse(&["keys", "revoke", "orders"]).unwrap_err().contains("22 letters"));
    }

    #[test]
    fn check_files_are_of_accounts_and_have_the_names_that_wechat_gave_them() {
        let sync = ["domains", "sync", "--account", "wx1234567890abcdef", "--account", "wx1234567890abcdee"];
        let Ok(Command::Domains(DomainsArgs { command: DomainsCommand::Sync(options) })) = parse(&sync) else {
            panic!("no sync")
        };
        assert_eq!(options.accounts.len(), 2);
        assert!(parse(&["domains", "sync", "--account", "gh_1"]).unwrap_err().contains("wx and 16 digits"));
        assert!(parse(&["domains", "sync", "--public-url", "https://auth.example.com"]).is_err(), "without a stack");
        assert!(parse(&["domains", "put", "87PweoaRBw.txt", "--stack", "wechat"]).is_ok());
        assert!(parse(&["domains", "remove", "87PweoaRBw.txt"]).is_ok());
        assert!(parse(&["domains", "remove", "robots.txt"]).unwrap_err().contains("MP_verify_"));
    }

    #[test]
    fn a_copy_needs_two_tables() {
        assert!(parse(&["copy-table", "a", "b", "--region", "eu-central-1"]).is_ok());
        assert!(parse(&["copy-table", "a"]).unwrap_err().contains("<TO>"));
    }

    #[test]
    fn an_address_must_begin_with_its_scheme() {
        for bad in ["localhost:3000", "127.0.0.1:3000", "localhost", "file:///tmp"] {
            let error = parse(&["release-check", "--stack", "wechat", "--public-url", bad]).unwrap_err();
            assert!(error.contains("begin it with http://"), "{bad}: {error}");
        }
        assert!(parse(&["doctor", "--stack", "wechat", "--api-url", "https://api.example.com"]).is_ok());
    }
}

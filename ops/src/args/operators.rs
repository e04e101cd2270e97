//! The options of `cargo ops operators`.

use base::ids::{BrowserId, OperatorName};
use clap::Subcommand;

use super::DeploymentArgs;

/// The options of `operators`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct OperatorsArgs {
    /// What to do
    #[command(subcommand)]
    pub command: OperatorsCommand,
}

/// A command of `operators`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum OperatorsCommand {
    /// Invites a browser of an operator, and creates the operator if there is none with this name: prints a URL that
    /// can be used once within 30 minutes
    Invite(InviteArgs),
    /// Lists the operators and their browsers by name; those who have ended are listed for another 30 days
    List(ListOperatorsArgs),
    /// Ends an operator: their browsers and invitations no longer work
    End(EndOperatorArgs),
    /// Ends one browser of an operator
    EndBrowser(EndBrowserArgs),
}

impl OperatorsCommand {
    /// The deployment with the operators.
    #[must_use]
    pub const fn deployment(&self) -> &DeploymentArgs {
        match self {
            Self::Invite(options) => &options.deployment,
            Self::List(options) => &options.deployment,
            Self::End(options) => &options.deployment,
            Self::EndBrowser(options) => &options.deployment,
        }
    }
}

/// The options of `operators invite`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct InviteArgs {
    /// The deployment
    #[command(flatten)]
    pub deployment: DeploymentArgs,

    /// The operator's name, such as li
    #[arg(value_name = "NAME", value_parser = OperatorName::parse)]
    pub name: OperatorName,

    /// The rights of a new operator: look or act. Without it, look
    #[arg(long, value_name = "RIGHTS")]
    pub rights: Option<String>,

    /// When a new operator's access ends, such as 2099-01-31T08:00:00Z
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

/// The options of `operators list`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct ListOperatorsArgs {
    /// The deployment
    #[command(flatten)]
    pub deployment: DeploymentArgs,
}

/// The options of `operators end`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct EndOperatorArgs {
    /// The deployment
    #[command(flatten)]
    pub deployment: DeploymentArgs,

    /// The operator
    #[arg(value_name = "NAME", value_parser = OperatorName::parse)]
    pub name: OperatorName,
}

/// The options of `operators end-browser`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct EndBrowserArgs {
    /// The deployment
    #[command(flatten)]
    pub deployment: DeploymentArgs,

    /// The operator
    #[arg(value_name = "NAME", value_parser = OperatorName::parse)]
    pub name: OperatorName,

    /// The id of the browser, as `operators list` shows it
    #[arg(value_name = "ID", value_parser = BrowserId::parse, allow_hyphen_values = true)]
    pub id: BrowserId,
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::super::tests::parse;
    use super::*;

    #[test]
    fn an_operator_has_a_name_and_a_browser_an_id() {
        let Ok(Command::Operators(OperatorsArgs { command: OperatorsCommand::Invite(invited) })) =
            parse(&["operators", "invite", "li", "--rights", "act", "--stack", "wechat"])
        else {
            panic!("no invitation")
        };
        assert_eq!((invited.name.as_str(), invited.rights.as_deref(), invited.until), ("li", Some("act"), None));
        assert!(parse(&["operators", "invite", "Li"]).unwrap_err().contains("a to z"));
        assert!(parse(&["operators", "invite"]).is_err());
        assert!(parse(&["operators", "list"]).is_ok() && parse(&["operators", "end", "li"]).is_ok());
        assert!(parse(&["operators", "end-browser", "li", "-k3vQ0c8SgWqT1n2yXb4aA"]).is_ok());
        assert!(parse(&["operators", "end-browser", "li", "short"]).unwrap_err().contains("22 letters"));
    }
}

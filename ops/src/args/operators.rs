//! The options of `cargo ops operators`.

use base::ids::{BrowserId, OperatorName};
use clap::Subcommand;

use super::DeploymentArgs;

/// Whose operators, and what becomes of them.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct OperatorsArgs {
    /// What to do
    #[command(subcommand)]
    pub command: OperatorsCommand,
}

/// What `operators` does.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum OperatorsCommand {
    /// Invites a browser of an operator, and makes the operator if there is none of this name: prints a URL that can be
    /// used once within 30 minutes
    Invite(InviteArgs),
    /// Lists the operators and their browsers by name; those who have ended for 30 more days
    List(ListOperatorsArgs),
    /// Ends an operator: none of their browsers and invitations works any more
    End(EndOperatorArgs),
    /// Ends one browser of an operator
    EndBrowser(EndBrowserArgs),
}

impl OperatorsCommand {
    /// Whose operators are meant.
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

/// Whom `operators invite` invites.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct InviteArgs {
    /// Which deployment
    #[command(flatten)]
    pub deployment: DeploymentArgs,

    /// What the operator is called, such as li
    #[arg(value_name = "NAME", value_parser = OperatorName::parse)]
    pub name: OperatorName,

    /// What a new operator may do: look or act. Without it, look
    #[arg(long, value_name = "RIGHTS")]
    pub rights: Option<String>,

    /// From when on a new operator is refused, such as 2099-01-31T08:00:00Z
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

/// What `operators list` lists.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct ListOperatorsArgs {
    /// Which deployment
    #[command(flatten)]
    pub deployment: DeploymentArgs,
}

/// Whom `operators end` ends.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct EndOperatorArgs {
    /// Which deployment
    #[command(flatten)]
    pub deployment: DeploymentArgs,

    /// The operator
    #[arg(value_name = "NAME", value_parser = OperatorName::parse)]
    pub name: OperatorName,
}

/// What `operators end-browser` ends.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct EndBrowserArgs {
    /// Which deployment
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

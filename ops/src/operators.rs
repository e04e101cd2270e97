//! `cargo ops operators`: invites, lists and ends the operators of the console, directly in the table.
//!
//! It does the same as the routes below `/operators`, for a user whose credentials give access to the table. An
//! invitation's URL is printed only once, when it is created.

use base::clock::Timestamp;
use base::random::Random;
use futures::future::try_join_all;
use platform::secret::{Platform, PlatformError};
use runtime::config::Environment;
use secrecy::ExposeSecret as _;
use store::{Actor, KnownBrowser, Operator, OperatorError, OperatorRequest, Rights, Store, StoreError};

use crate::args::{InviteArgs, OperatorsCommand};
use crate::columns::columns;
use crate::deployment::{self, Addresses, Deployment};
use crate::doctor::secret;
use crate::finding::Finding;
use crate::keys::{BY, Printed, actor, day};

/// How many operators are read at once.
const AT_ONCE: usize = 100;

/// Why nothing was done, or not everything.
#[derive(Debug, thiserror::Error)]
pub enum OperatorsError {
    /// The deployment, or its secret, is not usable.
    #[error("{0}")]
    Unusable(Finding),
    /// The secret is unusable, so the platform and its operators are unknown.
    #[error("secret: {0}: ops doctor says more")]
    Secret(#[from] PlatformError),
    /// The requested operator is not possible.
    #[error("{0}")]
    Operator(#[from] OperatorError),
    /// The operator already exists, and an invitation does not change them.
    #[error(
        "{name} is an operator with the rights {rights} and {until}: leave out --rights and --until to invite another \
         browser; to change them, ops operators end {name} first"
    )]
    Other {
        /// The operator.
        name: String,
        /// Their rights.
        rights: Rights,
        /// When their access ends.
        until: String,
    },
    /// Somebody else has changed the operator at the same time.
    #[error("somebody else has changed the operator at the same time: try again")]
    Changed,
    /// There is no such operator.
    #[error("there is no such operator: ops operators list shows those that are known")]
    Unknown,
    /// There is no such browser.
    #[error("there is no such browser: ops operators list shows those of each operator")]
    UnknownBrowser,
    /// The table could not be read or written.
    #[error("{0}; ops operators list shows what is stored")]
    Store(#[from] StoreError),
}

/// Finds the deployment that the arguments name, and runs the command.
///
/// # Errors
/// [`OperatorsError`]: an invitation may nevertheless have been created, but nobody has its URL.
pub async fn run(command: &OperatorsCommand, environment: &impl Environment) -> Result<Printed, OperatorsError> {
    let located = deployment::locate(command.deployment(), Addresses::default(), environment).await;
    let deployment = located.usable().map_err(OperatorsError::Unusable)?;
    deployment.operators(command, &Random::system()).await
}

impl Deployment {
    /// Runs `command` on its operators.
    ///
    /// # Errors
    /// As [`run`].
    pub async fn operators(&self, command: &OperatorsCommand, random: &Random) -> Result<Printed, OperatorsError> {
        let text = secret::read(self).await.map_err(OperatorsError::Unusable)?;
        let store = self.store(Platform::parse(&text)?.keyring.component());
        let (by, now) = (actor(), self.clock.now());
        match command {
            OperatorsCommand::Invite(options) => invite(&store, options, self.public.as_str(), random, now).await,
            OperatorsCommand::List(_) => list(&store, now).await.map(Printed::from),
            OperatorsCommand::End(options) => {
                let operator = store.operators.end(&options.name, &by, now).await?.ok_or(OperatorsError::Unknown)?;
                Ok(format!("{} is ended: their browsers and invitations no longer work.\n", operator.name).into())
            }
            OperatorsCommand::EndBrowser(options) => {
                if !store.browsers.end(&options.name, &options.id, &by, now).await? {
                    return Err(OperatorsError::UnknownBrowser);
                }
                Ok(format!("{} of {} is ended.\n", options.id, options.name).into())
            }
        }
    }
}

async fn invite(
    store: &Store,
    options: &InviteArgs,
    public_base: &str,
    random: &Random,
    now: Timestamp,
) -> Result<Printed, OperatorsError> {
    let by: Actor = actor();
    let rights = options.rights.as_deref();
    let asked = OperatorRequest::new(options.name.as_str(), rights.unwrap_or("look"), options.until.as_deref(), now)?;
    let known = store.operators.get(&options.name).await?.filter(|operator| operator.is_valid(now));
    let (operator, is_new) = match known {
        Some(known) => (unchanged(known, options)?, false),
        None => (asked.make(BY, random, now), true),
    };
    let (invitation, code) = operator.invitation(BY, random, now);
    let is_done = if is_new {
        store.operators.create(&operator, &invitation, &by).await?
    } else {
        store.operators.invite(&operator, &invitation, &by).await?
    };
    if !is_done {
        return Err(OperatorsError::Changed);
    }
    let output = format!("{}\n", code.url(public_base).expose_secret());
    let what = if is_new { "a new operator" } else { "an existing operator" };
    let note = format!(
        "This invites a browser of {}, {what} with the rights {}. Send it now, so that nobody else reads it: it can be used \
         once until {}, and is not shown again.\n",
        operator.name, operator.rights, invitation.ends_at
    );
    Ok(Printed { output, note })
}

/// An existing operator, unless the options differ from the operator's rights or end.
fn unchanged(known: Operator, options: &InviteArgs) -> Result<Operator, OperatorsError> {
    let has_rights = options.rights.as_deref().is_none_or(|rights| rights == known.rights.as_str());
    let has_end = options.until.as_deref().is_none_or(|until| Timestamp::parse_rfc3339(until) == known.until);
    if has_rights && has_end {
        return Ok(known);
    }
    let until = known.until.map_or_else(|| "no end".to_owned(), |until| format!("the end {until}"));
    Err(OperatorsError::Other { name: known.name.to_string(), rights: known.rights, until })
}

async fn list(store: &Store, now: Timestamp) -> Result<String, OperatorsError> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.operators.page(AT_ONCE, after.as_ref(), now).await?;
        all.extend(try_join_all(page.operators.into_iter().map(|operator| with_browsers(store, operator, now))).await?);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(table(&all, now)),
        }
    }
}

/// An operator with the browsers that are accepted.
async fn with_browsers(
    store: &Store,
    operator: Operator,
    now: Timestamp,
) -> Result<(Operator, Vec<KnownBrowser>), StoreError> {
    let mut browsers = if operator.is_valid(now) { store.browsers.of(&operator, now).await? } else { Vec::new() };
    browsers.retain(|browser| browser.is_valid(now));
    browsers.sort_by_key(|browser| browser.bound_at);
    Ok((operator, browsers))
}

const HEADS: ([&str; 6], &str) = (["NAME", "RIGHTS", "CREATED", "STATE", "BROWSER", "LAST SEEN"], "WHICH");

/// A line for each browser, and one for an operator without any.
fn table(operators: &[(Operator, Vec<KnownBrowser>)], now: Timestamp) -> String {
    if operators.is_empty() {
        return "There are no operators.\n".to_owned();
    }
    let mut rows = Vec::new();
    for (operator, browsers) in operators {
        let row = |browser: Option<&KnownBrowser>| {
            let cells = [
                operator.name.to_string(),
                operator.rights.to_string(),
                day(operator.created_at),
                state(operator, now),
                browser.map_or_else(|| "none".to_owned(), |browser| browser.id.to_string()),
                browser.and_then(|browser| browser.last_seen_on.clone()).unwrap_or_else(|| "never".to_owned()),
            ];
            (cells, browser.map_or_else(String::new, |browser| browser.label.clone()))
        };
        if browsers.is_empty() {
            rows.push(row(None));
        }
        rows.extend(browsers.iter().map(|browser| row(Some(browser))));
    }
    columns(HEADS, &rows)
}

fn state(operator: &Operator, now: Timestamp) -> String {
    match (operator.ended_at, operator.until) {
        (Some(ended_at), _) => format!("ended {}", day(ended_at)),
        (None, Some(until)) if until <= now => format!("expired {}", day(until)),
        (None, Some(until)) => format!("until {}", day(until)),
        (None, None) => "valid".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use base::ids::BrowserId;

    use super::*;

    #[test]
    fn operators_are_listed_with_a_line_for_each_browser() {
        let now = Timestamp::parse_rfc3339("2026-01-31T08:00:00Z").unwrap();
        let random = Random::from_fn(|bytes| bytes.fill(0));
        let operator = |name: &str| OperatorRequest::new(name, "look", None, now).unwrap().make(BY, &random, now);
        let li = operator("li");
        let browser = KnownBrowser {
            id: BrowserId::generate(&random),
            operator_id: li.id.clone(),
            label: "微信, iPhone".to_owned(),
            bound_at: now,
            ends_at: now,
            last_seen_on: None,
            ended_at: None,
            ended_by: None,
        };
        let used = KnownBrowser { last_seen_on: Some("2026-01-30".to_owned()), ..browser.clone() };
        let ended = Operator { ended_at: Some(now), until: Some(now), ..operator("wang") };
        let expired = Operator { until: Some(now), ..operator("zhao") };
        assert_eq!(
            table(&[(li, vec![used, browser]), (ended, Vec::new()), (expired, Vec::new())], now),
            "NAME  RIGHTS  CREATED     STATE               BROWSER                 LAST SEEN   WHICH\n\
             li    look    2026-01-31  valid               AAAAAAAAAAAAAAAAAAAAAA  2026-01-30  微信, iPhone\n\
             li    look    2026-01-31  valid               AAAAAAAAAAAAAAAAAAAAAA  never       微信, iPhone\n\
             wang  look    2026-01-31  ended 2026-01-31    none                    never       \n\
             zhao  look    2026-01-31  expired 2026-01-31  none                    never       \n"
        );
        assert_eq!(table(&[], now), "There are no operators.\n");
    }
}

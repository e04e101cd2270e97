//! The platform's administrators invite, list and end operators of the console with `cargo ops operators`.

use std::time::Duration;

use base::ids::{BrowserId, OperatorName};
use base::random::Random;
use http::Method;
use ops::args::{EndBrowserArgs, EndOperatorArgs, InviteArgs, ListOperatorsArgs, OperatorsCommand};
use ops::keys::Printed;
use ops::operators::OperatorsError;
use serde_json::json;
use store::{OperatorError, Rights};
use stories::business::{Business, OPERATORS};
use stories::faults::{Fault, Matching};
use stories::world::World;

use crate::operators_keys::HERE;
use crate::operators_release_check::deployment;

const LIST: OperatorsCommand = OperatorsCommand::List(ListOperatorsArgs { deployment: HERE });

fn name(text: &str) -> OperatorName {
    OperatorName::parse(text).unwrap()
}

fn invitation(of: &str, rights: Option<&str>, until: Option<&str>) -> OperatorsCommand {
    let [rights, until] = [rights, until].map(|text| text.map(str::to_owned));
    OperatorsCommand::Invite(InviteArgs { deployment: HERE, name: name(of), rights, until })
}

fn end(of: &str) -> OperatorsCommand {
    OperatorsCommand::End(EndOperatorArgs { deployment: HERE, name: name(of) })
}

fn end_browser(of: &str, id: &BrowserId) -> OperatorsCommand {
    OperatorsCommand::EndBrowser(EndBrowserArgs { deployment: HERE, name: name(of), id: id.clone() })
}

async fn done(world: &World, command: &OperatorsCommand) -> Result<Printed, OperatorsError> {
    deployment(world).operators(command, &Random::system()).await
}

async fn said(world: &World, command: &OperatorsCommand) -> String {
    done(world, command).await.unwrap().output
}

/// Binds a browser with a URL that was printed alone.
async fn bind(world: &World, output: &str) -> BrowserId {
    let url = output.strip_suffix('\n').unwrap();
    let (base, code) = url.split_once("/console/invitations/").unwrap();
    assert_eq!(base, world.public_url.as_str().trim_end_matches('/'));
    world.bind_browser(code).await.expect("the invitation can be used").id
}

#[tokio::test]
async fn an_operator_is_invited_listed_and_ended_from_the_command_line() {
    let world = World::ready().await;
    assert_eq!(said(&world, &LIST).await, "There are no operators.\n");
    let made = done(&world, &invitation("li", Some("act"), None)).await.unwrap();
    let code = made.output.trim_end().rsplit_once('/').unwrap().1;
    assert!(made.note.contains("a new operator") && made.note.contains("not shown again"), "{}", made.note);
    assert!(!made.note.contains(code) && !format!("{made:?}").contains(code));
    let first = bind(&world, &made.output).await;
    let further = done(&world, &invitation("li", None, None)).await.unwrap();
    assert!(further.note.contains("an existing operator"), "{}", further.note);
    let second = bind(&world, &further.output).await;
    let stored = world.store().operators.get(&name("li")).await.unwrap().unwrap();
    assert_eq!((stored.rights, stored.created_by.as_str()), (Rights::Act, "cargo ops"));
    let shown = Business::of(&world).get(OPERATORS).await;
    assert_eq!(shown.body["operators"][0]["name"], "li", "it is one of those that the routes show");

    let listed = said(&world, &LIST).await;
    for shown in [first.as_str(), second.as_str(), "li", "act", "valid", "never", "Chrome, Windows"] {
        assert!(listed.contains(shown), "{shown} in {listed}");
    }
    for _ in 0..2 {
        assert!(said(&world, &end_browser("li", &first)).await.contains("is ended"));
    }
    let listed = said(&world, &LIST).await;
    assert!(!listed.contains(first.as_str()) && listed.contains(second.as_str()), "{listed}");
    for _ in 0..2 {
        assert!(said(&world, &end("li")).await.contains("li is ended"));
    }
    let listed = said(&world, &LIST).await;
    assert!(listed.contains("ended 20") && !listed.contains(second.as_str()), "{listed}");
    let entries = world.store().audit_log.page(None, 10).await.unwrap().entries;
    let by_ops = entries.iter().filter(|entry| entry.actor.by == "cargo ops").count();
    assert_eq!((entries.len(), by_ops), (6, 4), "{entries:?}");
}

#[tokio::test]
async fn an_ended_operator_is_invited_as_a_new_one_with_the_rights_of_a_new_one() {
    let world = World::ready().await;
    let until = world.now().plus(Duration::from_mins(5)).rfc3339();
    said(&world, &invitation("li", Some("act"), Some(&until))).await;
    world.pass(Duration::from_mins(5));
    let anew = done(&world, &invitation("li", None, None)).await.unwrap();
    assert!(anew.note.contains("a new operator") && anew.note.contains("rights look"), "{}", anew.note);
    bind(&world, &anew.output).await;
    said(&world, &end("li")).await;
    let anew = done(&world, &invitation("li", Some("act"), None)).await.unwrap();
    assert!(anew.note.contains("rights act"), "{}", anew.note);
}

#[tokio::test]
async fn an_invitation_changes_nobody_and_says_what_is_wrong() {
    let world = World::ready().await;
    let ended = world.now().rfc3339();
    for (command, error) in [
        (invitation("li", Some("admin"), None), OperatorError::Rights),
        (invitation("li", None, Some(&ended)), OperatorError::Until),
        (invitation("li", None, Some("tomorrow")), OperatorError::Until),
    ] {
        assert_eq!(done(&world, &command).await.unwrap_err().to_string(), error.to_string());
    }
    assert_eq!(said(&world, &LIST).await, "There are no operators.\n");
    said(&world, &invitation("li", None, None)).await;
    said(&world, &invitation("li", Some("look"), None)).await;
    for other in [invitation("li", Some("act"), None), invitation("li", None, Some("2099-01-01T00:00:00Z"))] {
        let refused = done(&world, &other).await.unwrap_err().to_string();
        assert!(refused.contains("rights look") && refused.contains("operators end li"), "{refused}");
    }
    let unknown = done(&world, &end("wang")).await.unwrap_err().to_string();
    assert!(unknown.contains("there is no such operator"), "{unknown}");
    let id = BrowserId::generate(&Random::system());
    let unknown = done(&world, &end_browser("li", &id)).await.unwrap_err().to_string();
    assert!(unknown.contains("there is no such browser"), "{unknown}");

    world.faults.always(Matching::operation("TransactWriteItems"), Fault::Away);
    let away = done(&world, &invitation("wang", None, None)).await.unwrap_err().to_string();
    assert!(away.contains("DynamoDB TransactWriteItems failed") && away.contains("operators list"), "{away}");
}

#[tokio::test]
async fn the_command_and_the_routes_are_about_the_same_operators() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let made = business.ask(Method::POST, OPERATORS, &json!({ "name": "li", "rights": "act" })).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let further = done(&world, &invitation("li", None, None)).await.unwrap();
    bind(&world, &further.output).await;
    assert_eq!(business.ask(Method::DELETE, &format!("{OPERATORS}/li"), &json!({})).await.status, 204);
    let listed = said(&world, &LIST).await;
    assert!(listed.contains("ended 20"), "{listed}");
    let (_, secret) = further.output.trim_end().rsplit_once('.').unwrap();
    assert!(!world.log.text().contains(secret), "the code is in the log");
}

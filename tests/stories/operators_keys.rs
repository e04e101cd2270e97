//! The operator creates, lists and revokes API keys with `cargo ops keys`.

use std::time::Duration;

use base::random::Random;
use ops::args::{DeploymentArgs, KeysCommand, ListKeysArgs, NewKeyArgs, RevokeKeyArgs};
use ops::keys::{self, KeysError};
use secrecy::ExposeSecret as _;
use store::{KeyDigest, KeyError, KeyText, Scope};
use stories::business::{Business, KEYS};
use stories::faults::{Fault, Matching};
use stories::world::{TABLE, World};

use crate::operators_release_check::deployment;

pub(crate) const HERE: DeploymentArgs = DeploymentArgs { stack: None, region: None, profile: None, business_port: 1 };

const LIST: KeysCommand = KeysCommand::List(ListKeysArgs { deployment: HERE });

/// A key for calls of an account, with this name.
fn new(name: &str) -> NewKeyArgs {
    NewKeyArgs {
        deployment: HERE,
        name: name.to_owned(),
        scopes: vec!["calls".to_owned()],
        appids: vec!["wx1234567890abcdef".to_owned()],
        expires_at: None,
        in_url: true,
    }
}

/// The standard output.
async fn said(world: &World, command: KeysCommand) -> Result<String, KeysError> {
    deployment(world).keys(&command, &Random::system()).await.map(|printed| printed.output)
}

#[tokio::test]
async fn an_operator_makes_lists_and_revokes_a_key_that_is_printed_once() {
    let world = World::ready().await;
    assert_eq!(said(&world, LIST).await.unwrap(), "There are no API keys.\n");
    let create = KeysCommand::Create(new("订单 orders"));
    let made = deployment(&world).keys(&create, &Random::system()).await.unwrap();
    let key = KeyText::parse(made.output.strip_suffix('\n').unwrap()).expect("nothing but the key");
    assert!(made.note.contains("it is not shown again") && made.note.contains(key.id.as_str()), "{}", made.note);
    assert!(!made.note.contains(key.secret.expose_secret()));
    let stored = world.store().api_keys.get(&key.id).await.unwrap().unwrap();
    assert!(stored.secret.matches(&KeyDigest::of(&key.secret)) && stored.in_url);
    assert_eq!((stored.scopes, stored.created_by.as_str()), ([Scope::Calls].into(), "cargo ops"));
    let routes = Business::of(&world).get(KEYS).await;
    assert_eq!(routes.body["keys"][0]["id"], key.id.as_str(), "it is one of those that the routes show");

    world.pass(Duration::from_hours(24));
    let listed = said(&world, LIST).await.unwrap();
    for shown in [key.id.as_str(), "valid", "never", "1 account ", "calls", "订单 orders"] {
        assert!(listed.contains(shown), "{shown} in {listed}");
    }
    let revoke = KeysCommand::Revoke(RevokeKeyArgs { deployment: HERE, id: key.id.clone() });
    for _ in 0..2 {
        let revoked = said(&world, revoke.clone()).await.unwrap();
        assert!(revoked.contains(key.id.as_str()) && revoked.contains("is revoked"), "{revoked}");
    }
    let listed = said(&world, LIST).await.unwrap();
    assert!(listed.contains("revoked 20"), "{listed}");
    let items = world.database.client().scan().table_name(TABLE).send().await.unwrap();
    for shown in [listed, format!("{items:?}"), world.log.text()] {
        assert!(!shown.contains(key.secret.expose_secret()));
    }
}

#[tokio::test]
async fn a_long_list_of_keys_is_read_to_its_end() {
    let world = World::ready().await;
    for number in 0..103 {
        said(&world, KeysCommand::Create(new(&format!("service {number}")))).await.unwrap();
    }
    let listed = said(&world, LIST).await.unwrap();
    assert_eq!(listed.lines().count(), 1 + 103);
    assert!((0..103).all(|number| listed.contains(&format!("  service {number}\n"))), "{listed}");
}

#[tokio::test]
async fn an_operator_is_told_what_is_wrong_with_a_key() {
    let world = World::ready().await;
    let before = world.items().await;
    let ended = Some(world.now().rfc3339());
    for (options, error) in [
        (new(" "), KeyError::Name),
        (NewKeyArgs { scopes: vec!["call".to_owned()], ..new("a") }, KeyError::Scopes),
        (NewKeyArgs { appids: vec!["wx1".to_owned()], ..new("a") }, KeyError::Appids),
        (
            NewKeyArgs { scopes: vec!["platform:calls".to_owned()], ..new("a") },
            KeyError::NotOfAccounts(Scope::PlatformCalls),
        ),
        (NewKeyArgs { expires_at: ended, ..new("a") }, KeyError::EndsAt),
    ] {
        let refused = said(&world, KeysCommand::Create(options)).await.unwrap_err();
        assert_eq!(refused.to_string(), error.to_string());
    }
    let id = KeyText::generate(&Random::system()).id;
    let unknown = said(&world, KeysCommand::Revoke(RevokeKeyArgs { deployment: HERE, id })).await.unwrap_err();
    assert!(unknown.to_string().contains("there is no such key"), "{unknown}");
    assert_eq!(world.items().await, before);

    world.faults.always(Matching::operation("TransactWriteItems"), Fault::Away);
    let away = said(&world, KeysCommand::Create(new("a"))).await.unwrap_err().to_string();
    assert!(away.contains("DynamoDB TransactWriteItems failed") && away.contains("ops keys list"), "{away}");
    let nowhere = keys::run(&LIST, &|_: &str| None).await.unwrap_err().to_string();
    assert!(nowhere.contains("no cargo run responds on port 1") && nowhere.contains("--stack"), "{nowhere}");
}

//! The events of the folder `events/`, mutated, through the gateway and every function's routes.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;
use stories::demo_events::{files, put_what_they_are_about};
use stories::world::{START, World};
use web::gateway::GatewayResponse;

use super::{inserted, odd_text, odd_value, runner, runtime};

/// A change of an event. Each place is one in the event.
#[derive(Debug, Clone)]
enum Mutation {
    Replace(Index, Value),
    Insert(Index, Index, String),
    Remove(Index),
    /// Adds a member to a place that has members.
    Add(Index, String, Value),
    /// Copies a place of another event.
    Splice(Index, Index),
    /// A byte of the JSON itself.
    Byte(Index, u8),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let place = any::<Index>;
    prop_oneof![
        3 => (place(), odd_value()).prop_map(|(at, value)| Mutation::Replace(at, value)),
        4 => (place(), place(), odd_text()).prop_map(|(at, within, text)| Mutation::Insert(at, within, text)),
        1 => place().prop_map(Mutation::Remove),
        1 => (place(), odd_text(), odd_value()).prop_map(|(at, name, value)| Mutation::Add(at, name, value)),
        2 => (place(), place()).prop_map(|(at, other)| Mutation::Splice(at, other)),
        1 => (place(), any::<u8>()).prop_map(|(at, byte)| Mutation::Byte(at, byte)),
    ]
}

/// The events of the HTTP functions.
fn events() -> Vec<Value> {
    let events = files(START.unix()).into_iter().map(|(_, content)| serde_json::from_str::<Value>(&content).unwrap());
    let events: Vec<Value> = events.filter(|event| event["requestContext"].is_object()).collect();
    assert!(events.len() >= 20, "{}", events.len());
    events
}

/// The pointers to everything in a value, to itself first.
fn places(value: &Value) -> Vec<String> {
    let within = |name: String, value: &Value| {
        let name = name.replace('~', "~0").replace('/', "~1");
        places(value).into_iter().map(move |place| format!("/{name}{place}")).collect::<Vec<_>>()
    };
    let inner: Vec<String> = match value {
        Value::Object(members) => members.iter().flat_map(|(name, value)| within(name.clone(), value)).collect(),
        Value::Array(list) => list.iter().enumerate().flat_map(|(at, value)| within(at.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    std::iter::once(String::new()).chain(inner).collect()
}

/// One of the places.
fn chosen(at: Index, places: &[String]) -> &str {
    at.get::<String>(places)
}

fn mutated(event: &Value, mutations: &[Mutation], others: &[Value]) -> String {
    let mut event = event.clone();
    for mutation in mutations {
        let all = places(&event);
        match mutation {
            Mutation::Replace(at, value) => {
                // Otherwise a byte would replace the whole event often enough.
                let place = chosen(*at, &all);
                if let Some(replaced) = event.pointer_mut(place).filter(|_| !place.is_empty()) {
                    *replaced = value.clone();
                }
            }
            Mutation::Insert(at, within, text) => {
                let is_text = |place: &String| event.pointer(place).is_some_and(Value::is_string);
                let texts: Vec<String> = all.into_iter().filter(is_text).collect();
                if !texts.is_empty()
                    && let Some(place) = event.pointer_mut(chosen(*at, &texts))
                {
                    *place = inserted(place.as_str().unwrap(), *within, text).into();
                }
            }
            Mutation::Remove(at) => {
                if let Some((parent, name)) = chosen(*at, &all).rsplit_once('/')
                    && let Some(members) = event.pointer_mut(parent).and_then(Value::as_object_mut)
                {
                    members.remove(name);
                }
            }
            Mutation::Add(at, name, value) => {
                if let Some(members) = event.pointer_mut(chosen(*at, &all)).and_then(Value::as_object_mut) {
                    members.insert(name.clone(), value.clone());
                }
            }
            Mutation::Splice(at, other) => {
                let place = chosen(*at, &all);
                if let (Some(mine), Some(theirs)) = (event.pointer_mut(place), other.get(others).pointer(place)) {
                    *mine = theirs.clone();
                }
            }
            Mutation::Byte(..) => {}
        }
    }
    let mut bytes = event.to_string().into_bytes();
    for mutation in mutations {
        if let Mutation::Byte(at, byte) = mutation {
            let place = at.index(bytes.len());
            bytes[place] = *byte;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether an event carries an identity on a route that creates something.
fn may_make_something(event: &str) -> bool {
    const MAKING: [&str; 5] = [
        "POST /authorization-links",
        "POST /files",
        "POST /keys",
        "POST /operators",
        "POST /operators/{name}/invitations",
    ];
    let event: Value = serde_json::from_str(event).unwrap_or_default();
    let context = &event["requestContext"];
    context["authorizer"]["iam"]["userArn"].as_str().is_some_and(|arn| !arn.is_empty())
        && [&event["routeKey"], &context["routeKey"]]
            .iter()
            .all(|key| key.is_null() || key.as_str().is_some_and(|key| MAKING.contains(&key)))
}

#[test]
fn whatever_the_gateway_hands_over_is_answered_under_its_own_identity() {
    let (runtime, corpus) = (runtime(), events());
    let (world, gateway) = runtime.block_on(async {
        let world = World::ready().await;
        put_what_they_are_about(&world.store(), world.now()).await.unwrap();
        let gateway = world.gateway();
        (world, gateway)
    });
    let ask = |event: &str| -> GatewayResponse { runtime.block_on(gateway.answer(event)) };
    let input = (any::<Index>(), vec(mutation(), 1..4));
    let outcome = runner().run(&input, |(event, mutations)| {
        let event = mutated(event.get(&corpus), &mutations, &corpus);
        let answer = ask(&event);
        prop_assert!((200..500).contains(&answer.status_code), "{event:.2000} is answered {answer:?}");
        prop_assert!(answer.status_code != 201 || may_make_something(&event), "{event:.2000} is answered {answer:?}");
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    let untouched = ask(&files(START.unix()).into_iter().find(|(path, _)| path == "preauth-link/page.json").unwrap().1);
    assert!([200, 409, 410].contains(&untouched.status_code), "{untouched:?}");
    drop(world);
}

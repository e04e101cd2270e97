//! The function's binary as a process of its own, polling for events as in Lambda: what it answers, what of it survives
//! a kill, whom it never asks for a reply, and what it logs.
//!
//! Only tests in this folder can start this binary. No webhook on this machine can reply to it: what becomes of replies
//! is told by the stories of messages.

#[cfg(test)]
mod addresses;
#[cfg(test)]
mod answers;
#[cfg(test)]
mod durability;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod races;
#[cfg(test)]
mod second_opinion;
#[cfg(test)]
mod start;

#[cfg(test)]
use serde_json::Value;
#[cfg(test)]
use simulator::Account;
#[cfg(test)]
use stories::world::World;

/// The function's binary.
#[cfg(test)]
const BINARY: &str = env!("CARGO_BIN_EXE_account-push");

/// A follower.
#[cfg(test)]
const FOLLOWER: &str = "oFollower-0123456789_abcdefg";

/// A world beside processes, on a platform that is ready, with an account that is authorized.
#[cfg(test)]
async fn world_with_shop() -> (World, Account) {
    let world = World::beside_processes(std::time::Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    let authorizer = world.authorized_account().await;
    let shop = world.simulator.account(&authorizer).unwrap();
    (world, shop)
}

/// The texts that the business has got, in the order of their arrival.
#[cfg(test)]
fn texts(world: &World) -> Vec<String> {
    let events = world.bus.delivered().into_iter();
    events.filter_map(|event| Some(event.detail["message"]["content"].as_str()?.to_owned())).collect()
}

/// The metrics of one name among what a process said.
#[cfg(test)]
fn metrics(output: &str, name: &str) -> Vec<Value> {
    let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line.get(name).is_some() && line.get("_aws").is_some()).collect()
}

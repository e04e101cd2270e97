//! account-push: its responses, what survives a kill, which webhooks it never calls, and the log.
//!
//! No webhook on this machine can reply to it: the stories of messages cover replies.

mod addresses;
mod answers;
mod durability;
mod logs;
mod races;
mod second_opinion;
mod start;

use serde_json::Value;
use simulator::Account;
use stories::world::World;

/// The function's binary.
const BINARY: &str = env!("CARGO_BIN_EXE_process-account-push");

/// A follower.
const FOLLOWER: &str = "oFollower-0123456789_abcdefg";

/// A world with processes, on a ready platform, with an authorized account.
async fn world_with_shop() -> (World, Account) {
    let world = World::beside_processes(std::time::Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    let authorizer = world.authorized_account().await;
    let shop = world.simulator.account(&authorizer).unwrap();
    (world, shop)
}

/// The texts that the business has received, in order of arrival.
fn texts(world: &World) -> Vec<String> {
    let events = world.bus.delivered().into_iter();
    events.filter_map(|event| Some(event.detail["message"]["content"].as_str()?.to_owned())).collect()
}

/// The metrics of one name in the output of a process.
fn metrics(output: &str, name: &str) -> Vec<Value> {
    let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line.get(name).is_some() && line.get("_aws").is_some()).collect()
}

//! `cargo run -p stories --example demo_link`: puts the link, the attempt and the account's name that the events in
//! `events/` are about into the table, for `sam local` and `cargo lambda`. The table is the one in the variables that
//! `cargo run` prints. Both are valid for a day; a second time needs a new table.

use anyhow::Context as _;
use base::clock::{Clock as _, SystemClock};
use base::ids::AppId;
use base::limits::Limits;
use runtime::aws::{self, AwsClients};
use runtime::config::{ProcessEnvironment, StoreConfig};
use store::Table;
use stories::demo_events::put_what_they_are_about;
use stories::world::COMPONENT;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let table = StoreConfig::read(&ProcessEnvironment)?.table_name;
    let clients = AwsClients::new(&aws::config().await, &Limits::background());
    let store = Table::new(clients.dynamodb, &table).store(&AppId::parse(COMPONENT)?);
    put_what_they_are_about(&store, SystemClock.now()).await.context("the link and its attempt cannot be stored")
}

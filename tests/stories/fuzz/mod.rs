//! Unexpected input: whole events of the gateway and the bytes of pushes, mutated. Whatever comes, nothing panics, the
//! response is a success or a client error, and no identity is made up.
//!
//! proptest generates the inputs: it runs on stable Rust, is already a dependency, and shrinks a failure to the fewest
//! and smallest mutations, which no byte-wise fuzzer does for JSON and sealed messages. Each run uses other inputs and
//! prints its seed. By hand, for longer, or again:
//!
//! ```text
//! PROPTEST_CASES=10000 cargo test -p stories --test stories fuzz:: -- --nocapture
//! PROPTEST_RNG_SEED=42 cargo test -p stories --test stories fuzz:: -- --nocapture
//! ```

mod events;
mod pushes;

use base::random::Random;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

/// Inputs per case of `PROPTEST_CASES`, of which there are 256 by default: seconds in all.
const INPUTS_PER_CASE: u32 = 8;

/// Texts with a meaning somewhere on the way: in URLs, headers, JSON, XML, Base64, shells of other languages.
const ODD_TEXTS: [&str; 38] = [
    "<",
    ">",
    "\"",
    "'",
    " ",
    "\\",
    "..\\",
    "../",
    "//",
    "#",
    "?",
    "%",
    "%00",
    "%2F",
    "%2e%2e",
    "%FF",
    "&",
    "=",
    ";",
    "{",
    "}",
    "\0",
    "\r\n",
    "\n",
    "\t",
    "\u{7f}",
    "\u{202e}",
    "店",
    "\u{fffd}",
    "😀",
    "]]>",
    "<![CDATA[",
    "<!DOCTYPE x>",
    "&#x0;",
    "&lol;",
    "$default",
    "*",
    "-1",
];

fn runner() -> TestRunner {
    let config = Config { failure_persistence: None, ..Config::default() };
    let seed = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => Random::system().up_to(u64::MAX),
    };
    println!("again with PROPTEST_RNG_SEED={seed}");
    let cases = config.cases.saturating_mul(INPUTS_PER_CASE);
    TestRunner::new(Config { cases, rng_seed: RngSeed::Fixed(seed), ..config })
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn odd_text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(&ODD_TEXTS[..]).prop_map(str::to_owned),
        2 => any::<String>(),
        1 => (select(&ODD_TEXTS[..]), 1..5_000_usize).prop_map(|(text, times)| text.repeat(times)),
        1 => Just("x".repeat(70_000)),
    ]
}

fn odd_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => odd_text().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => odd_text().prop_map(|text| json!([text])),
        1 => odd_text().prop_map(|text| json!({ text.as_str(): text })),
    ]
}

/// The text with another one inserted at a place.
fn inserted(text: &str, place: Index, other: &str) -> String {
    let places: Vec<usize> = text.char_indices().map(|(place, _)| place).chain([text.len()]).collect();
    let (before, after) = text.split_at(*place.get(&places));
    format!("{before}{other}{after}")
}

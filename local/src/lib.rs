//! The parts of `cargo run`: the whole system on localhost.
//!
//! The services that the cloud provides for a function are small servers of this process: the table ([`dynamodb`]), the
//! secret ([`secrets`]), the bus ([`eventbridge`]), the bucket of files ([`file_bucket`]), and the functions that
//! others invoke ([`lambda`]). The functions' own code is the same as in the cloud, and so are the AWS clients that it
//! uses. The tests use the same parts. `shop` is on the other side: an application that a business builds on the
//! platform.

pub mod args;
mod console_door;
pub mod data_dir;
pub mod dynamodb;
mod endpoints;
pub mod error_text;
pub mod eventbridge;
pub mod file_bucket;
pub mod forward;
mod functions;
pub mod guard;
mod home;
mod html;
mod inside;
pub mod lambda;
mod lan;
mod listeners;
mod neighbours;
pub mod platform_secret;
pub mod ports;
pub mod ready_key;
pub mod sample_webhook;
pub mod schedule;
pub mod secrets;
mod shop;
pub mod system;
pub mod table;
#[cfg(test)]
mod testing;
mod variables;
mod wechat_browser;
pub mod welcome;

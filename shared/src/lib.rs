//! The one library crate of the platform: WeChat's message crypto and pushes, its API, the vault that keeps tokens in
//! DynamoDB, the rules by which tokens are renewed, configuration and telemetry.
//!
//! Dependencies point one way: functions use this crate, it knows no function. [`crypto`] is
//! pure: no AWS, no Lambda, no clock of its own.

pub mod clock;
pub mod config;
pub mod crypto;
pub mod ids;
pub mod limits;
pub mod platform;
pub mod push;
pub mod random;
pub mod telemetry;
pub mod wechat;

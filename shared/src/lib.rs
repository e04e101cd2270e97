//! The one library crate of the platform: WeChat's message crypto and pushes, its API, the vault that keeps tokens in
//! DynamoDB, the rules by which tokens are renewed, configuration and telemetry.
//!
//! Dependencies point one way: functions use this crate, it knows no function. [`crypto`], the types of [`push`] and
//! [`renewal`] are pure: no AWS, no Lambda, no clock of their own.

pub mod aws;
pub mod bus;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod exchange;
pub mod gateway;
pub mod identity;
pub mod ids;
pub mod limits;
pub mod outbound;
pub mod platform;
pub mod push;
pub mod random;
pub mod renewal;
pub mod session;
pub mod telemetry;
pub mod tokens;
pub mod vault;
pub mod web;
pub mod webhook_key;
pub mod wechat;

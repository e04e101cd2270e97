//! What the platform does with WeChat and the table together: its secret, its tokens, the exchange of codes for grants,
//! and the events that it publishes on the bus and sends to webhooks.
//!
//! A function that calls WeChat is built from [`services::Services`] and opens the platform for each event: the result
//! is a [`component::Component`], which calls the component API. The functions that need [`tokens::Tokens`] and
//! [`exchange::Exchange`] build them from it. [`schedule`] decides when a token is due. Nothing here knows HTTP routes
//! or pages.
//!
//! Start with `leased.rs`: how a token is kept alive without ever being issued twice.

pub mod account_search;
pub mod bus;
pub mod component;
pub mod context;
pub mod derived_key;
mod error;
pub mod exchange;
pub mod head_start;
mod leased;
mod memory;
mod page_tickets;
pub mod profiles;
pub mod schedule;
pub mod secret;
pub mod services;
mod token_cache;
pub mod tokens;
pub mod webhook;
pub mod webhook_key;

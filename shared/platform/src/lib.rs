//! What the platform does with WeChat and the table together: its secret, its tokens, codes that become grants, and the
//! events it publishes.
//!
//! Start with [`session`]: functions open a session for each event and ask it for a token ([`tokens`]) or to exchange a
//! code ([`exchange`]). When a token is due is decided in [`schedule`]. Nothing here knows HTTP routes or pages.

pub mod bus;
pub mod exchange;
pub mod schedule;
pub mod secret;
pub mod session;
pub mod tokens;
pub mod webhook_key;

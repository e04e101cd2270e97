//! What every crate of the platform builds on: time, random bytes, checked ids, bounds on waits, the languages of texts
//! for people, and the one way to build an HTTP client.
//!
//! Nothing here knows a remote service, a table or a function; the crate depends on no other crate of the platform.
//! What it provides is injected everywhere, so that tests can move the clock, fix the random bytes and shorten the
//! waits.
//!
//! Start with [`clock`]: every rule about time takes it from there.

pub mod clock;
pub mod http_client;
pub mod ids;
pub mod language;
pub mod limits;
pub mod phrase;
pub mod random;

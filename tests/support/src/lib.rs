//! Helpers for a function's own tests.
//!
//! It builds without the other functions, the simulator and the embedded database: `cargo test -p preauth-link` takes
//! seconds. Tests that need one of these concern more than one function and are stories.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a helper fails where it is called, as a test does"
)]

pub mod without_aws;

//! The process that a function runs in: its environment, its logs and metrics, and its AWS clients.
//!
//! Everything here is read or built once, at the start, and is independent of what the platform does. Start with
//! [`telemetry::run`], which every function's `main` calls, and [`config`], which names every variable.

pub mod aws;
pub mod config;
pub mod telemetry;

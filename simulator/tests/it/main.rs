//! The simulator seen from outside, over HTTP: the calls of a platform, the pages of a merchant, the pushes.
//!
//! `cfg(test)` tells clippy that helpers here may unwrap.

#[cfg(test)]
mod account_side;
#[cfg(test)]
mod api;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod chat;
#[cfg(test)]
mod code;
#[cfg(test)]
mod control;
#[cfg(test)]
mod domains;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod js_sdk;
mod login;
#[cfg(test)]
mod media;
#[cfg(test)]
mod menu;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod open_accounts;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod privacy;
#[cfg(test)]
mod pushes;
#[cfg(test)]
mod quota;
#[cfg(test)]
mod registration;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod service;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod state;
#[cfg(test)]
mod templates;
#[cfg(test)]
mod users;
#[cfg(test)]
mod web_login;

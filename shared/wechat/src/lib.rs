//! WeChat's side of a third-party platform (微信第三方平台), as types: the encryption of its messages, its pushes, and the
//! component API.
//!
//! `PROTOCOL.md`, next to this crate's manifest, says what WeChat does and how certain that is; "protocol section" in a
//! comment refers to its sections. The crate knows no AWS service, no web framework and no storage, and keeps no state:
//! the crates above it decide what to do with a push or a token.
//!
//! - [`crypto`] opens and seals messages: start here to see what makes a push authentic.
//! - [`push`] parses their content, and writes passive replies.
//! - [`api`] makes the calls, and has the reaction to each error code ([`api::ErrCode`]).
//! - [`check_file`] has the names and contents of the files with which WeChat checks a domain.
//! - [`pages`] signs web pages.
//! - [`permissions`] has the names of the permission sets.
//! - [`times`] compares the times that WeChat puts on its pushes.

pub mod api;
pub mod check_file;
pub mod crypto;
pub mod pages;
pub mod permissions;
pub mod push;
pub mod times;

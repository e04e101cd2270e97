//! The functions' binaries as processes of their own, polling for events as in Lambda: their responses, the cost of a
//! kill, simultaneous processes, and the log.
//!
//! The rest of the system runs in the test's process, as in the stories.

#[cfg(test)]
mod account_api;
#[cfg(test)]
mod account_push;
#[cfg(test)]
mod console;
#[cfg(test)]
mod oauth_callback;
#[cfg(test)]
mod preauth_link;
#[cfg(test)]
mod ticket_push;
#[cfg(test)]
mod token_api;
#[cfg(test)]
mod token_refresher;
#[cfg(test)]
mod web_login;
#[cfg(test)]
mod wechat_calls;

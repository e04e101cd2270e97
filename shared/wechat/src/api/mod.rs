//! WeChat's component API: the calls by which a third-party platform gets, keeps and checks its tokens.
//!
//! One client, built once, makes every call (protocol sections 1.1 to 1.7). It bounds time and size, follows no
//! redirect and sends nothing twice. WeChat's response becomes a type or an error here: outside this module nothing
//! reads WeChat's JSON. The reaction to each error code is in one table, [`ErrCode`] (protocol section 6).
//!
//! [`relay`] passes on calls that the business's services make themselves.
//!
//! No error of this module contains a secret, a token, a ticket, a code or a URL.

mod answer;
mod client;
mod endpoint;
mod errcode;
mod error;
mod json;
mod last_responses;
mod model;
pub mod relay;
#[cfg(test)]
mod tests;
mod visitor;

pub use client::{ComponentCall, LIST_PAGE, WechatClient};
pub use endpoint::Api;
pub use errcode::{ErrCode, Reaction};
pub use error::{BuildError, Refusal, TransportKind, WechatError};
pub use last_responses::{LastAnswer, LastRefusal, LastResponses, SUCCESS};
pub use model::{
    AccountKind, AuthorizerDetails, AuthorizerPage, Grant, IssuedToken, ListedAuthorizer, PageTicket, PreAuthCode,
    Profile, PushState, RenewedToken,
};
pub use visitor::{LONGEST_VISITOR_CODE, LoginScope, MiniProgramSession, VisitorProfile, WebLogin, visitor_code};

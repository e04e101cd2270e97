//! WeChat's component API: the calls by which a third-party platform gets, keeps and checks its tokens.
//!
//! One client, built once, makes every call (protocol sections 1.1 to 1.7). It bounds time and size, follows no
//! redirect and sends nothing twice. What WeChat answers becomes a type here or an error: past this module nobody reads
//! WeChat's JSON. Which reaction an error code asks for is in one table, [`ErrCode`] (protocol section 6).
//!
//! [`relay`] passes on what the business's services want to call themselves.
//!
//! No error of this module carries a secret, a token, a ticket, a code or a URL.

mod answer;
mod client;
mod endpoint;
mod errcode;
mod error;
mod heard;
mod json;
mod model;
pub mod relay;
#[cfg(test)]
mod tests;
mod visitor;

pub use client::{ComponentCall, LIST_PAGE, WechatClient};
pub use endpoint::Api;
pub use errcode::{ErrCode, Reaction};
pub use error::{BuildError, Refusal, TransportKind, WechatError};
pub use heard::{Heard, LastAnswer, LastRefusal, SUCCESS};
pub use model::{
    AccountKind, AuthorizerDetails, AuthorizerPage, Grant, IssuedToken, ListedAuthorizer, PageTicket, PreAuthCode,
    Profile, PushState, RenewedToken,
};
pub use visitor::{LONGEST_VISITOR_CODE, LoginScope, MiniProgramSession, VisitorProfile, WebLogin, visitor_code};

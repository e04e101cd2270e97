//! A state model of WeChat's side of the third-party platform: the APIs that a platform calls, the pages that its
//! merchants see, and the pushes to it. `local` embeds it so that the whole system runs on localhost; the tests'
//! stories use it.
//!
//! Strict where WeChat is strict (protocol sections 1 to 3, 5, 11 to 14): only the newest component and authorizer
//! token is accepted, pre-auth codes and authorization codes work once and expire, and wrong fields are refused with
//! the documented code. Time is injected ([`Options::clock`]) and nothing here starts a timer:
//! [`Simulator::run_ticket_timer`] is a future that the caller may run.
//!
//! - `world` is the state: plain data with the rules as methods, saved before a response is sent
//!   ([`Options::state_file`]).
//! - `api`, `pages`, `chat`, `control` are thin HTTP layers over it; [`Simulator::serve`] serves all from one listener.
//! - [`Message`] is what a follower sends to an account; [`MessageOutcome`] judges the platform's response to it.
//! - An API is one entry in the table of `api`: path, method, whose token, permission sets, operation. [`known_apis`]
//!   lists them. Calls of services for accounts are in `business`, a file or folder for each topic.
//! - The actions of people at WeChat's side are methods of [`Simulator`]: [`Simulator::follow`],
//!   [`Simulator::login_code`], [`Simulator::web_login_code`], [`Simulator::decide_audit`],
//!   [`Simulator::confirm_registration`] and others.
//! - [`Simulator::requests`] has the requests for a path, to the byte: method, query, headers and body.
//! - [`Fault`] makes a path fail, for every caller or for one account: an errcode, a 502, a delay, a connection that is
//!   dropped before the request is read, after it or in the middle of the response, a response that is held back, has
//!   other headers, or is replaced.
//! - The control API under `/_simulator/` offers the same to other processes; module [`control`] lists its routes.
//!
//! Everything secret here is made up, yet treated as secret: no type that owns a token or a code prints it.

mod answer;
mod api;
mod behaviour;
mod beijing;
mod business;
mod calls;
mod chat;
mod console;
pub mod control;
mod delivery;
mod faults;
mod html;
mod message;
mod options;
mod pages;
pub mod paths;
mod push;
mod received;
mod refusal;
mod sent;
mod server;
mod simulator;
mod world;
mod xml;

pub use answer::{AnswerFault, FOLLOWER_SEES, MessageOutcome};
pub use api::{KnownApi, TokenKind, known_apis};
pub use behaviour::{Behaviour, Codes, Delivery, Lifetimes, WebLoginBehaviour};
pub use beijing::beijing_time;
pub use business::code::audit::AuditResult;
pub use business::js_sdk::{PageCheck, PageConfig};
pub use business::media::{sample_picture, sample_video};
pub use business::web_login::{Scope, Visitor};
pub use calls::{Call, CallOutcome, Counters};
pub use faults::{Fault, Injection};
pub use message::Message;
pub use options::{Options, Platform};
pub use push::{Push, PushAnswer, PushOutcome, SealedPush};
pub use received::Received;
pub use refusal::{AuthorizationRefusal, Refusal};
pub use sent::SentMessage;
pub use server::Gate;
pub use simulator::{Simulator, StartError};
pub use world::{Account, AccountKind, Consent, Effects, IssuedSecret, Registration, SecretKind};

//! What the functions that handle HTTP requests have in common: the gateway adapter, WeChat's pushes as requests,
//! pages, and problems.
//!
//! Start with [`gateway`], which every request passes first. [`push`] is for WeChat's requests: a handler that takes a
//! [`push::Verified`] cannot see an unauthentic one. Merchants get pages ([`Pages`]): rendered here, in their language,
//! without scripts and with a strict policy. Businesses get JSON, and [`Problem`]s if something is wrong ([`api`]);
//! [`identity`] says who calls, [`source`] from where. An internal failure is an [`InternalError`]: logged once with a
//! [`Reference`], and only the reference is sent to the caller. The routes themselves belong to the functions.

pub mod api;
mod bounded;
mod browser;
pub mod caller;
mod cookie;
pub mod doors;
pub mod gateway;
pub mod headers;
pub mod identity;
mod internal_error;
pub mod keys;
mod language;
mod members;
#[cfg(feature = "openapi")]
pub mod openapi;
mod page;
mod paging;
mod problem;
pub mod push;
mod qr;
mod reference;
pub mod service_token;
pub mod source;

pub use base::language::Language;
pub use bounded::{spawn_and_wait, spawn_with_timeout};
pub use browser::Browser;
pub use cookie::{AttemptCookie, SameSite, cookies, set_cookie};
pub use internal_error::InternalError;
pub use language::AcceptLanguage;
pub use members::{BODY_LIMIT, BodyError, Members, Parameters, QueryError};
pub use page::{
    AccountCard, Button, FormTargets, Message, ONE_YEAR_OVER_TLS, Pages, Reader, Tone, initial, picture,
    picture_sources, see_other,
};
pub use paging::{Cursor, PageSize};
pub use problem::{Problem, ProblemKind};
pub use qr::qr;
pub use reference::Reference;

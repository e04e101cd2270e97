//! WeChat's pushes as requests (protocol section 3.1): checking that they are authentic, and the responses.
//!
//! [`Verified`] is the only way from a request to a message: a handler that takes it cannot see anything that is not
//! signed with our token and sealed for our platform.

mod answer;
mod extract;
mod query;
mod reject;

pub use answer::{AnswerBy, ReplySeal, answer_in_time, plain_answer};
pub use extract::{AccountPush, Authentic, BODY_LIMIT, PlatformPush, Pushed, Verified};
pub use query::QueryError;
pub use reject::PushRejection;

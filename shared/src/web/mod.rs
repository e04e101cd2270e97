//! What the functions that answer merchants and businesses have in common (design section 4).
//!
//! Merchants get pages ([`Pages`]): rendered here, no script, a strict policy, in their language. Businesses get JSON,
//! and [`Problem`]s where something is wrong. Whatever fails inside is a [`Trouble`]: logged once with a [`Reference`],
//! and the reference is all that leaves.

mod bounded;
mod cookie;
mod language;
mod page;
mod problem;
mod trouble;

pub use bounded::{run_to_end, unbroken};
pub use cookie::AttemptCookie;
pub use language::Language;
pub use page::{FormTargets, Message, Pages, see_other};
pub use problem::{Problem, ProblemKind};
pub use trouble::{Reference, Trouble};

//! What WeChat pushes (protocol section 3): the outer envelope, and the typed event or message inside.
//!
//! [`envelope`] parses what is not verified yet, and refuses anything ambiguous. [`AuthorizationEvent::parse`] and
//! [`AccountMessage::parse`] parse what is known to come from WeChat, with strangers' text in it, and refuse nothing.
//! [`Reply`] is sent in the response to a message.

mod age;
pub mod envelope;
mod fields;
mod inner;
mod message;
mod parse;
mod release_check;
mod reply;
mod types;
mod xml;

pub use age::is_beyond_memory;
pub use fields::Fields;
pub use message::{AccountEvent, AccountMessage, Content, Media, MessageId};
pub use release_check::{ApiCase, ReleaseCheck, TestAccounts};
pub use reply::{Reply, ReplyError};
pub use types::{AuthorizationEvent, Event, FastRegister, Grant, Notice, PushId};

/// Why an envelope cannot be read. Each reason has its variant; none contains any content.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum PushError {
    /// The bytes are not UTF-8.
    #[error("the text is not UTF-8")]
    Utf8,
    /// Tags do not match, something comes before or after the root element, or the root is not `xml`.
    #[error("not a well-formed document with the root element xml")]
    IllFormed,
    /// There is a document type declaration, which is never needed and often an attack.
    #[error("a document type is not accepted")]
    DocumentType,
    /// A named entity other than the five that XML predefines, or a reference to no character.
    #[error("only XML's five predefined entities are accepted")]
    Entity,
    /// Elements are nested deeper than in any of WeChat's pushes.
    #[error("the elements are nested too deeply")]
    Depth,
    /// The envelope contains a comment or a processing instruction.
    #[error("comments and processing instructions are not accepted here")]
    Comment,
    /// A required element is missing or empty.
    #[error("the element {0} is missing")]
    Missing(&'static str),
    /// An element that must be unique occurs more than once.
    #[error("the element {0} occurs more than once")]
    Repeated(&'static str),
    /// An element is not directly in the root.
    #[error("the element {0} is not where it belongs")]
    Misplaced(&'static str),
    /// An element's text does not have the required form.
    #[error("the element {0} is malformed")]
    Malformed(&'static str),
}

impl PushError {
    /// A stable word for metrics and logs.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::IllFormed => "ill-formed",
            Self::DocumentType => "document-type",
            Self::Entity => "entity",
            Self::Depth => "depth",
            Self::Comment => "comment",
            Self::Missing(_) => "element-missing",
            Self::Repeated(_) => "element-repeated",
            Self::Misplaced(_) => "element-misplaced",
            Self::Malformed(_) => "element-malformed",
        }
    }
}

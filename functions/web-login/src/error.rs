//! Why a visitor gets a page of ours instead of being logged in.

use axum::response::Response;
use http::StatusCode;
use platform::tokens::TokenError;
use store::StoreError;
use url::Url;
use web::{InternalError, Language, Message};

use crate::LoginService;
use crate::request::RequestError;
use crate::texts;

/// Why a visitor gets a page of ours.
#[derive(Debug)]
pub(crate) enum LoginError {
    /// The page sent its visitor with an invalid query.
    Request(RequestError),
    /// The account does not permit pages of this origin.
    Origin,
    /// There is no such account.
    UnknownAccount,
    /// The account is a mini program.
    MiniProgram,
    /// The platform may no longer act for the account.
    AuthorizationEnded,
    /// The visitor comes back without having begun here: in another browser, without the cookie, or much later.
    NoAttempt,
    /// WeChat does not let the account log visitors in; the URL is where the visitor can go on.
    Refused(Box<Url>),
    /// Not the visitor's fault.
    Internal(InternalError),
}

impl From<InternalError> for LoginError {
    fn from(error: InternalError) -> Self {
        Self::Internal(error)
    }
}

impl From<StoreError> for LoginError {
    fn from(error: StoreError) -> Self {
        Self::Internal(error.into())
    }
}

impl From<TokenError> for LoginError {
    fn from(error: TokenError) -> Self {
        Self::Internal(error.into())
    }
}

impl LoginError {
    /// The page that says what to do. `what` is the request's name in the log.
    pub(crate) fn page(self, service: &LoginService, language: Language, what: &str) -> Response {
        let pages = service.pages();
        let say = |status, message: Message<'_>| pages.message(status, language, message);
        match self {
            Self::Request(error) => {
                let advice = texts::advice(language, error);
                say(StatusCode::BAD_REQUEST, texts::bad_address(language, &[texts::for_visitors(language), advice]))
            }
            Self::Origin => {
                let paragraphs = [texts::for_visitors(language), texts::origin(language)];
                say(StatusCode::BAD_REQUEST, texts::bad_address(language, &paragraphs))
            }
            Self::UnknownAccount => say(StatusCode::NOT_FOUND, texts::unknown_account(language)),
            Self::MiniProgram => {
                let paragraphs = [texts::for_visitors(language), texts::mini_program(language)];
                say(StatusCode::CONFLICT, texts::bad_address(language, &paragraphs))
            }
            Self::AuthorizationEnded => say(StatusCode::CONFLICT, texts::authorization_ended(language)),
            Self::NoAttempt => say(StatusCode::BAD_REQUEST, texts::no_attempt(language)),
            Self::Refused(back) => texts::refused(pages, language, &back),
            Self::Internal(trouble) => {
                let services = service.services();
                let reference = trouble.report(what, &services.random, &services.metrics);
                pages.not_available(language, &reference)
            }
        }
    }
}

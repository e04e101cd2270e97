//! From the decrypted XML to the typed event (protocol section 3.2).
//!
//! Tolerant where WeChat varies (order, white space, elements it added since, values that only help), strict where a
//! guess would do harm: what an event must have is there exactly once and of the right form. A value that only helps
//! counts as missing when it cannot be read, so that it never costs a grant.

use std::borrow::Cow;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::PushError;
use super::types::{
    AUTHORIZED, AuthorizationEvent, Event, FAST_REGISTER, FastRegister, Grant, Notice, TICKET, UNAUTHORIZED,
    UPDATE_AUTHORIZED,
};
use super::xml::{Node, trimmed, walk};
use crate::clock::Timestamp;
use crate::ids::AppId;

/// WeChat does not say whether a code's expiry is an instant or a duration in seconds; above this it is an instant.
const LEAST_INSTANT: i64 = 1_000_000_000;

/// Seconds until far beyond any event (the year 5138). A time in milliseconds lies above it and is refused: taken for
/// seconds, it would be newer than every ticket to come.
const MOST_SECONDS: i64 = 100_000_000_000;

impl AuthorizationEvent {
    /// Reads a decrypted message, which is kept in the result.
    ///
    /// # Errors
    /// [`PushError`] unless it is a well-formed document with `AppId`, `CreateTime`, `InfoType` and what that
    /// `InfoType` must have.
    pub fn parse(xml: SecretString) -> Result<Self, PushError> {
        let mut elements = Elements::default();
        walk(xml.expose_secret(), |node| {
            if let Node::Field { name, text } = node {
                elements.put(name, text);
            }
            Ok(())
        })?;
        let component = elements.app_id("AppId")?;
        let create_time = create_time(elements.required("CreateTime")?)?;
        let event = match elements.required("InfoType")? {
            TICKET => Event::ComponentVerifyTicket { ticket: elements.secret("ComponentVerifyTicket")? },
            AUTHORIZED => Event::Authorized(elements.grant(create_time)?),
            UPDATE_AUTHORIZED => Event::UpdateAuthorized(elements.grant(create_time)?),
            UNAUTHORIZED => Event::Unauthorized { authorizer: elements.app_id("AuthorizerAppid")? },
            FAST_REGISTER => Event::FastRegister(elements.fast_register()?),
            other => Notice::named(other).map_or_else(|| Event::Unknown { info_type: other.to_owned() }, Event::Notice),
        };
        Ok(Self { component, create_time, event, xml })
    }
}

/// `CreateTime`: seconds since 1970.
pub(super) fn create_time(text: &str) -> Result<Timestamp, PushError> {
    text.parse()
        .ok()
        .filter(|seconds| (0..MOST_SECONDS).contains(seconds))
        .map(Timestamp::from_unix)
        .ok_or(PushError::Malformed("CreateTime"))
}

/// The elements that are read; their case matters: `AppId` is the platform, `appid` a new mini program.
const NAMES: [&str; 11] = [
    "AppId",
    "CreateTime",
    "InfoType",
    "ComponentVerifyTicket",
    "AuthorizerAppid",
    "AuthorizationCode",
    "AuthorizationCodeExpiredTime",
    "PreAuthCode",
    "appid",
    "status",
    "auth_code",
];

/// How an element was met.
#[derive(Default, Clone)]
enum Field<'text> {
    #[default]
    Absent,
    Text(Cow<'text, str>),
    /// It has child elements.
    Nested,
    Repeated,
}

#[derive(Default)]
struct Elements<'text>([Field<'text>; NAMES.len()]);

impl<'text> Elements<'text> {
    fn put(&mut self, name: &str, text: Option<Cow<'text, str>>) {
        let known = NAMES.iter().position(|known| *known == name).and_then(|index| self.0.get_mut(index));
        if let Some(field) = known {
            *field = match (&field, text) {
                (Field::Absent, Some(text)) => Field::Text(trimmed(text)),
                (Field::Absent, None) => Field::Nested,
                _ => Field::Repeated,
            };
        }
    }

    fn get(&self, name: &str) -> &Field<'text> {
        let field = NAMES.iter().position(|known| *known == name).and_then(|index| self.0.get(index));
        field.unwrap_or(&Field::Absent)
    }

    fn required(&self, name: &'static str) -> Result<&str, PushError> {
        match self.get(name) {
            Field::Text(text) if !text.is_empty() => Ok(text),
            Field::Text(_) | Field::Absent => Err(PushError::Missing(name)),
            Field::Nested => Err(PushError::Malformed(name)),
            Field::Repeated => Err(PushError::Repeated(name)),
        }
    }

    fn optional(&self, name: &'static str) -> Option<&str> {
        self.required(name).ok()
    }

    fn app_id(&self, name: &'static str) -> Result<AppId, PushError> {
        AppId::parse(self.required(name)?).map_err(|_| PushError::Malformed(name))
    }

    fn secret(&self, name: &'static str) -> Result<SecretString, PushError> {
        self.required(name).map(SecretString::from)
    }

    fn grant(&self, create_time: Timestamp) -> Result<Grant, PushError> {
        Ok(Grant {
            authorizer: self.app_id("AuthorizerAppid")?,
            code: self.secret("AuthorizationCode")?,
            code_expires: self
                .optional("AuthorizationCodeExpiredTime")
                .and_then(|text| text.parse().ok())
                .and_then(|seconds| expiry(seconds, create_time)),
            pre_auth_code: self.optional("PreAuthCode").map(SecretString::from),
        })
    }

    fn fast_register(&self) -> Result<FastRegister, PushError> {
        Ok(FastRegister {
            status: self.required("status")?.parse().map_err(|_| PushError::Malformed("status"))?,
            appid: self.optional("appid").and_then(|text| AppId::parse(text).ok()),
            auth_code: self.optional("auth_code").map(SecretString::from),
        })
    }
}

fn expiry(seconds: i64, create_time: Timestamp) -> Option<Timestamp> {
    if seconds > LEAST_INSTANT {
        return Some(Timestamp::from_unix(seconds));
    }
    Some(create_time.plus(Duration::from_secs(u64::try_from(seconds).ok()?)))
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;

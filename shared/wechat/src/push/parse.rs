//! Parsing the decrypted XML into the typed event (protocol section 3.2).
//!
//! What WeChat has signed is never refused: a missing or malformed member is absent, and the rest determines what can
//! be done about the event. The first element of a name counts.

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;
use secrecy::{ExposeSecret as _, SecretString};

use super::Fields;
use super::types::{
    AUTHORIZED, AuthorizationEvent, Event, FAST_REGISTER, FastRegister, Grant, Notice, TICKET, UNAUTHORIZED,
    UPDATE_AUTHORIZED,
};

/// WeChat does not document whether a code's expiry is an instant or a duration in seconds; from this value on it is an
/// instant.
const LEAST_INSTANT: i64 = 1_000_000_000;

/// The latest accepted time, in seconds (the year 5138). A time in milliseconds is above it and is ignored: taken as
/// seconds, it would be newer than every future ticket.
const MAX_SECONDS: i64 = 100_000_000_000;

/// The name of an event without one.
const NO_TYPE: &str = "unknown";

impl AuthorizationEvent {
    /// Parses a decrypted message, which is kept in the result, as far as possible.
    #[must_use]
    pub fn parse(xml: SecretString) -> Self {
        let fields = Fields::parse(xml.expose_secret());
        let create_time = fields.value("CreateTime").and_then(create_time);
        let name = fields.value("InfoType").unwrap_or(NO_TYPE);
        let event = match name {
            AUTHORIZED => Event::Authorized(grant(&fields, create_time)),
            UPDATE_AUTHORIZED => Event::UpdateAuthorized(grant(&fields, create_time)),
            UNAUTHORIZED => Event::Unauthorized { authorizer: app_id(&fields, "AuthorizerAppid") },
            FAST_REGISTER => Event::FastRegister(fast_register(&fields)),
            TICKET => Event::ComponentVerifyTicket { ticket: secret(&fields, "ComponentVerifyTicket") },
            other => Notice::named(other).map_or_else(|| Event::Unknown { info_type: other.to_owned() }, Event::Notice),
        };
        Self { component: app_id(&fields, "AppId"), create_time, event, xml }
    }
}

/// `CreateTime`: seconds since 1970.
pub(super) fn create_time(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|seconds| (0..MAX_SECONDS).contains(seconds)).map(Timestamp::from_unix)
}

fn app_id(fields: &Fields, name: &str) -> Option<AppId> {
    AppId::parse(fields.value(name)?).ok()
}

fn secret(fields: &Fields, name: &str) -> Option<SecretString> {
    fields.value(name).map(SecretString::from)
}

fn grant(fields: &Fields, create_time: Option<Timestamp>) -> Grant {
    Grant {
        authorizer: app_id(fields, "AuthorizerAppid"),
        code: secret(fields, "AuthorizationCode"),
        code_expires: fields
            .value("AuthorizationCodeExpiredTime")
            .and_then(|text| text.parse().ok())
            .and_then(|seconds| expiry(seconds, create_time?)),
        pre_auth_code: secret(fields, "PreAuthCode"),
    }
}

fn fast_register(fields: &Fields) -> FastRegister {
    FastRegister {
        status: fields.value("status").and_then(|text| text.parse().ok()),
        // Not to be confused with `AppId`: their case differs.
        appid: app_id(fields, "appid"),
        auth_code: secret(fields, "auth_code"),
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

//! Invitations: each can be used once, within a short time, to bind a browser to an operator.
//!
//! The table contains a digest of an invitation's code and never the code: whoever reads the table cannot use an
//! invitation. [`Operators`](crate::Operators) creates invitations and [`Browsers::bind`](crate::Browsers::bind) uses
//! them.

use std::fmt;
use std::time::Duration;

use base::clock::Timestamp;
use base::digest_id;
use base::ids::{Digest, OperatorId, OperatorName};
use base::random::Random;
use secrecy::{ExposeSecret as _, SecretString};

use crate::StoreError;
use crate::attributes::{CREATED_AT, CREATED_BY, ENDS_AT, EXPIRES_AT, OPERATOR_ID, USED_AT};
use crate::item::{Attributes, Item};
use crate::part::{Key, Part};
use crate::write::{NewItem, id_value};

/// How long an invitation can be used: long enough to send it to somebody who is at work.
pub const INVITATION_LIFE: Duration = Duration::from_mins(30);

/// How long an invitation is kept after its end.
const KEEP_ENDED: Duration = Duration::from_hours(24);

/// The number of characters of a code's random part: 256 bits in URL-safe Base64.
const SECRET_LENGTH: usize = 43;

digest_id! {
    /// The digest of an invitation's code.
    InvitationDigest
}

id_value!(InvitationDigest);

/// The code in an invitation's URL: `NAME.RANDOM`. Whoever has it can become the operator.
#[derive(Clone)]
pub struct InvitationCode {
    /// The invited operator.
    pub operator: OperatorName,
    secret: SecretString,
}

impl fmt::Debug for InvitationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvitationCode").field("operator", &self.operator).finish_non_exhaustive()
    }
}

impl InvitationCode {
    /// Generates a code.
    #[must_use]
    pub fn generate(operator: &OperatorName, random: &Random) -> Self {
        Self { operator: operator.clone(), secret: random.secret().into() }
    }

    /// Parses a code; `None` if the text is not one. A name may contain dots, the random part does not.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, secret) = text.rsplit_once('.')?;
        let is_url_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_secret = secret.len() == SECRET_LENGTH && secret.bytes().all(is_url_safe);
        let operator = OperatorName::parse(name).ok().filter(|_| is_secret)?;
        Some(Self { operator, secret: secret.into() })
    }

    /// The code as it is in the URL.
    #[must_use]
    pub fn text(&self) -> SecretString {
        format!("{}.{}", self.operator, self.secret.expose_secret()).into()
    }

    /// The URL that the invited browser opens, at `public_base`: our own origin.
    #[must_use]
    pub fn url(&self, public_base: &str) -> SecretString {
        format!("{}/console/invitations/{}", public_base.trim_end_matches('/'), self.text().expose_secret()).into()
    }

    /// The digest under which the table stores it.
    #[must_use]
    pub fn digest(&self) -> InvitationDigest {
        InvitationDigest(Digest::of(&["invitation", self.operator.as_str(), self.secret.expose_secret()]))
    }
}

/// An invitation as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The digest of its code.
    pub digest: InvitationDigest,
    /// The invited operator.
    pub operator_id: OperatorId,
    /// When it was created.
    pub created_at: Timestamp,
    /// Until when it can be used.
    pub ends_at: Timestamp,
    /// Who created it.
    pub created_by: String,
    /// When a browser was bound by it.
    pub used_at: Option<Timestamp>,
}

impl Invitation {
    /// An invitation with this code.
    pub(crate) fn new(code: &InvitationCode, operator_id: &OperatorId, created_by: &str, now: Timestamp) -> Self {
        Self {
            digest: code.digest(),
            operator_id: operator_id.clone(),
            created_at: now,
            ends_at: now.plus(INVITATION_LIFE),
            created_by: created_by.to_owned(),
            used_at: None,
        }
    }

    /// Whether it can be used.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.used_at.is_none() && now < self.ends_at
    }

    pub(crate) fn key(part: &Part, operator: &OperatorName, digest: &InvitationDigest) -> Key {
        part.key("operator", operator.as_str(), &format!("invitation#{digest}"))
    }

    pub(crate) fn item(&self, part: &Part, operator: &OperatorName) -> NewItem {
        part.new_item(Self::key(part, operator, &self.digest))
            .set(OPERATOR_ID, &self.operator_id)
            .set(CREATED_AT, self.created_at)
            .set(CREATED_BY, &self.created_by)
            .set(ENDS_AT, self.ends_at)
            .set(EXPIRES_AT, self.ends_at.plus(KEEP_ENDED))
    }

    pub(crate) fn read(digest: InvitationDigest, attributes: Attributes) -> Result<Self, StoreError> {
        let item = Item::new("invitation", attributes);
        Ok(Self {
            digest,
            operator_id: item.parsed(OPERATOR_ID, OperatorId::parse).ok_or(item.lacks(OPERATOR_ID))?,
            created_at: item.instant(CREATED_AT).ok_or(item.lacks(CREATED_AT))?,
            ends_at: item.instant(ENDS_AT).ok_or(item.lacks(ENDS_AT))?,
            created_by: item.text(CREATED_BY).unwrap_or_default().to_owned(),
            used_at: item.instant(USED_AT),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_name_and_a_secret() {
        let made = InvitationCode::generate(&OperatorName::parse("zhang.san").unwrap(), &Random::system());
        let text = made.text();
        assert_eq!(text.expose_secret().len(), "zhang.san.".len() + 43);
        let read = InvitationCode::parse(text.expose_secret()).unwrap();
        assert_eq!((read.operator.as_str(), read.digest()), ("zhang.san", made.digest()));
        assert!(!format!("{made:?}").contains(made.secret.expose_secret()));
        for base in ["https://auth.example.com", "https://auth.example.com/"] {
            let url = made.url(base);
            let code = url.expose_secret().strip_prefix("https://auth.example.com/console/invitations/");
            assert_eq!(code, Some(text.expose_secret()), "{base}");
        }
        let secret = "a".repeat(43);
        for bad in [
            String::new(),
            "li".to_owned(),
            "li.".to_owned(),
            format!(".{secret}"),
            format!("Li.{secret}"),
            format!("li.{secret}a"),
            format!("li.{}", &secret[1..]),
            format!("li.{}#", &secret[1..]),
            format!("li#{secret}"),
        ] {
            assert!(InvitationCode::parse(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_code_of_one_operator_is_not_that_of_another() {
        let code = |name: &str| InvitationCode::parse(&format!("{name}.{}", "a".repeat(43))).unwrap().digest();
        assert_ne!(code("li"), code("wang"));
    }
}

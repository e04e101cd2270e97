//! The API keys of services outside AWS: what each may do, and until when.
//!
//! The table contains a digest of a key's secret and never the secret: whoever reads the table cannot use a key. A key
//! that was revoked or has expired is kept for some time, so that its use can be distinguished from that of a key that
//! never existed.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;
use base::clock::Timestamp;
use base::digest_id;
use base::ids::{AppId, Digest, KeyId};
use base::random::Random;
use secrecy::{ExposeSecret as _, SecretString};

use crate::StoreError;
use crate::attributes::{
    APPIDS, CREATED_AT, CREATED_BY, ENDS_AT, EXPIRES_AT, IN_URL, LAST_USED_ON, LIST_PK, LIST_SK, NAME, PK, REVOKED_AT,
    SCOPES, SECRET_DIGEST,
};
use crate::item::{Attributes, Item};
use crate::key_event::{Actor, KeyChange, KeyEvent};
use crate::outbox::OutboxEvent;
use crate::part::{Key, Part};
use crate::request::Order;
use crate::write::{Value, absent, equals, exists, id_value, is_before};

/// How long a key is kept after it was revoked or has expired.
const KEEP_ENDED: Duration = Duration::from_hours(24 * 30);

/// The prefix of a key's text, by which secret scanners recognize it in source code.
const TEXT_PREFIX: &str = "wxp_";

/// The number of characters of a key's secret: 256 bits in URL-safe Base64.
const SECRET_LENGTH: usize = 43;

macro_rules! scopes {
    ($($(#[$doc:meta])* $scope:ident = $word:literal),+ $(,)?) => {
        /// A part of the API to which a key gives access.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Scope {
            $($(#[$doc])* $scope,)+
        }

        impl Scope {
            /// All scopes.
            pub const ALL: &[Self] = &[$(Self::$scope),+];

            /// The word in the table and in the business API.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$scope => $word),+ }
            }
        }
    };
}

scopes! {
    /// Reads accounts, failed calls and reconciliations.
    AccountsRead = "accounts:read",
    /// Changes what is said about accounts, requests profile readings and reconciliations.
    AccountsWrite = "accounts:write",
    /// Sets the origins to which web logins of an account may return.
    AccountsOrigins = "accounts:origins",
    /// Creates, reads and cancels authorization links.
    Links = "links",
    /// Reads accounts' tokens and requests renewals.
    Tokens = "tokens",
    /// Makes calls on behalf of accounts.
    Calls = "calls",
    /// Makes calls with the platform's own token.
    PlatformCalls = "platform:calls",
    /// Reads the platform's own token.
    PlatformTokens = "platform:tokens",
    /// Redeems the codes of web logins.
    Logins = "logins",
}

impl Scope {
    /// The scope with this name.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|scope| scope.as_str() == word)
    }

    /// Whether it concerns single accounts, so that a key can be limited to some of them.
    #[must_use]
    pub const fn is_of_accounts(self) -> bool {
        !matches!(self, Self::PlatformCalls | Self::PlatformTokens)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

digest_id! {
    /// The digest of a key's secret.
    KeyDigest
}

id_value!(KeyDigest);

impl KeyDigest {
    /// The digest of a secret.
    #[must_use]
    pub fn of(secret: &SecretString) -> Self {
        Self(Digest::of(&["api-key", secret.expose_secret()]))
    }

    /// Compares two digests in constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.matches(&other.0)
    }
}

/// A key as a service has it: `wxp_ID_SECRET`.
#[derive(Debug, Clone)]
pub struct KeyText {
    /// The key's id.
    pub id: KeyId,
    /// The secret, which proves possession of the key.
    pub secret: SecretString,
}

impl KeyText {
    /// Generates a key.
    #[must_use]
    pub fn generate(random: &Random) -> Self {
        Self { id: KeyId::generate(random), secret: random.secret().into() }
    }

    /// Parses a key's text; `None` if it is not one. Id and secret may contain `_`: they are separated by their
    /// lengths.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(TEXT_PREFIX)?.split_at_checked(KeyId::LENGTH)?;
        let secret = secret.strip_prefix('_').filter(|secret| secret.len() == SECRET_LENGTH)?;
        let is_url_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let id = KeyId::parse(id).ok().filter(|_| secret.bytes().all(is_url_safe))?;
        Some(Self { id, secret: secret.into() })
    }

    /// The key's text.
    #[must_use]
    pub fn text(&self) -> SecretString {
        format!("{TEXT_PREFIX}{}_{}", self.id, self.secret.expose_secret()).into()
    }
}

/// The greatest number of characters of a key's name.
pub const LONGEST_KEY_NAME: usize = 64;

/// The greatest number of accounts to which a key can be limited: its item stays below 4 KB, so checking it costs half
/// a read unit.
pub const MAX_KEY_APPIDS: usize = 100;

/// What is wrong with a requested key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The name is empty, too long, or contains invisible characters.
    #[error("name must have 1 to 64 visible characters, on one line")]
    Name,
    /// There is no scope, or an unknown one.
    #[error(
        "scopes must be one or more of accounts:read, accounts:write, accounts:origins, links, tokens, calls, \
         platform:calls, platform:tokens and logins"
    )]
    Scopes,
    /// There is no account, there are too many, or one is not an appid.
    #[error("appids must be 1 to 100 appids such as wx1234567890abcdef; leave it out for all accounts")]
    Appids,
    /// A scope of the platform itself is combined with accounts.
    #[error("{0} concerns the platform and cannot be limited by appids: leave one of them out, or create two keys")]
    NotOfAccounts(Scope),
    /// The end is not a time, or it is in the past.
    #[error(
        "expires_at must be a time in the future, such as 2099-01-31T08:00:00Z; leave it out for a key without an end"
    )]
    EndsAt,
}

/// A requested key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRequest {
    name: String,
    scopes: BTreeSet<Scope>,
    appids: Option<BTreeSet<AppId>>,
    ends_at: Option<Timestamp>,
    in_url: bool,
}

impl KeyRequest {
    /// A key with this name and these scopes, for all accounts, without an end, and not for URLs. The name is trimmed.
    pub fn new(name: &str, scopes: &[impl AsRef<str>]) -> Result<Self, KeyError> {
        let name = Some(name.trim()).filter(|name| is_name(name)).ok_or(KeyError::Name)?.to_owned();
        let scopes: Option<BTreeSet<Scope>> = scopes.iter().map(|word| Scope::parse(word.as_ref())).collect();
        let scopes = scopes.filter(|scopes| !scopes.is_empty()).ok_or(KeyError::Scopes)?;
        Ok(Self { name, scopes, appids: None, ends_at: None, in_url: false })
    }

    /// The same for these accounts only.
    pub fn limited_to(self, appids: &[impl AsRef<str>]) -> Result<Self, KeyError> {
        let appids: Result<BTreeSet<AppId>, _> = appids.iter().map(|id| AppId::parse_issued(id.as_ref())).collect();
        let appids = appids.ok().filter(|appids| (1..=MAX_KEY_APPIDS).contains(&appids.len()));
        let appids = appids.ok_or(KeyError::Appids)?;
        match self.scopes.iter().find(|scope| !scope.is_of_accounts()) {
            Some(scope) => Err(KeyError::NotOfAccounts(*scope)),
            None => Ok(Self { appids: Some(appids), ..self }),
        }
    }

    /// The same, valid until a time in RFC 3339.
    pub fn until(self, ends_at: &str, now: Timestamp) -> Result<Self, KeyError> {
        let ends_at = Timestamp::parse_rfc3339(ends_at).filter(|ends_at| now < *ends_at).ok_or(KeyError::EndsAt)?;
        Ok(Self { ends_at: Some(ends_at), ..self })
    }

    /// The same; `in_url` says whether it may be sent in a query.
    #[must_use]
    pub fn in_url(self, in_url: bool) -> Self {
        Self { in_url, ..self }
    }

    /// Creates the key to be stored, and the text for its owner.
    #[must_use]
    pub fn make(self, created_by: &str, random: &Random, now: Timestamp) -> (ApiKey, KeyText) {
        let text = KeyText::generate(random);
        let key = ApiKey {
            id: text.id.clone(),
            name: self.name,
            scopes: self.scopes,
            appids: self.appids,
            secret: KeyDigest::of(&text.secret),
            in_url: self.in_url,
            created_at: now,
            created_by: created_by.to_owned(),
            ends_at: self.ends_at,
            revoked_at: None,
            last_used_on: None,
        };
        (key, text)
    }
}

/// Whether terminals and log lines show a name unchanged: the standard library escapes what is not printable.
fn is_name(name: &str) -> bool {
    let others = name.replace(['\\', '"', '\''], "");
    (1..=LONGEST_KEY_NAME).contains(&name.chars().count()) && others.escape_debug().to_string() == others
}

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id, which is not secret.
    pub id: KeyId,
    /// Its name.
    pub name: String,
    /// Its scopes. Scopes of a later version are left out.
    pub scopes: BTreeSet<Scope>,
    /// The accounts to which it is limited; `None` for all.
    pub appids: Option<BTreeSet<AppId>>,
    /// The digest of its secret.
    pub secret: KeyDigest,
    /// Whether it may be sent in a query, which servers in between may log.
    pub in_url: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// Who created it.
    pub created_by: String,
    /// When it stops being accepted.
    pub ends_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// The last day (in UTC, such as `2026-01-31`) on which it was used.
    pub last_used_on: Option<String>,
}

impl ApiKey {
    /// Whether it is accepted.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.ends_at.is_none_or(|ends_at| now < ends_at)
    }

    /// Whether it gives access to a part of the API. A key that is limited to some accounts gives access to nothing
    /// that concerns all of them.
    #[must_use]
    pub fn permits(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) && (self.appids.is_none() || scope.is_of_accounts())
    }

    /// Until when it is kept.
    fn known_until(&self) -> Option<Timestamp> {
        self.revoked_at.or(self.ends_at).map(|end| end.plus(KEEP_ENDED))
    }

    fn is_known(&self, now: Timestamp) -> bool {
        self.known_until().is_none_or(|until| now < until)
    }

    fn read(id: KeyId, attributes: Attributes) -> Result<Self, StoreError> {
        let item = Item::new(ITEM, attributes);
        // An unreadable end or limit must not be taken for none.
        let end = |name: &'static str| match item.instant(name) {
            None if item.has(name) => Err(item.lacks(name)),
            end => Ok(end),
        };
        let texts = |name| item.list(name).filter_map(|text| text.as_s().ok());
        let appids = || texts(APPIDS).filter_map(|appid| AppId::parse(appid).ok()).collect();
        Ok(Self {
            id,
            name: item.text(NAME).unwrap_or_default().to_owned(),
            scopes: texts(SCOPES).filter_map(|word| Scope::parse(word)).collect(),
            appids: item.has(APPIDS).then(appids),
            secret: item.text(SECRET_DIGEST).map(KeyDigest::from_stored).ok_or(item.lacks(SECRET_DIGEST))?,
            in_url: item.flag(IN_URL).unwrap_or(false),
            created_at: item.instant(CREATED_AT).ok_or(item.lacks(CREATED_AT))?,
            created_by: item.text(CREATED_BY).unwrap_or_default().to_owned(),
            ends_at: end(ENDS_AT)?,
            revoked_at: end(REVOKED_AT)?,
            last_used_on: item.text(LAST_USED_ON).map(str::to_owned),
        })
    }
}

/// The position of a key in the list: when it was created, and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPlace(String);

impl KeyPlace {
    fn of(key: &ApiKey) -> Self {
        Self(format!("{:010}#{}", key.created_at.unix(), key.id))
    }

    /// Parses a position; `None` if the text is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (created_at, id) = text.split_once('#')?;
        let is_time = created_at.len() == 10 && created_at.bytes().all(|byte| byte.is_ascii_digit());
        (is_time && KeyId::parse(id).is_ok()).then(|| Self(text.to_owned()))
    }

    /// The position as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn id(&self) -> Option<KeyId> {
        KeyId::parse(self.0.split_once('#')?.1).ok()
    }
}

/// A page of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPage {
    /// The keys.
    pub keys: Vec<ApiKey>,
    /// The end of the page, if there are more.
    pub next: Option<KeyPlace>,
}

/// The keys.
#[derive(Debug, Clone)]
pub struct ApiKeys(pub(crate) Part);

impl ApiKeys {
    fn key(&self, id: &KeyId) -> Key {
        self.0.key("key", id.as_str(), "key")
    }

    /// Stores a new key, and reports who created it. A transaction of two writes, and one of each index.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: the key may exist, but nobody has its secret. [`StoreError::Contended`] if there is
    /// another key with this id.
    pub async fn create(&self, key: &ApiKey, actor: &Actor) -> Result<(), StoreError> {
        let new = self
            .0
            .new_item(self.key(&key.id))
            .set(NAME, &key.name)
            .set(SCOPES, Value::list(key.scopes.iter().map(|scope| scope.as_str())))
            .set_some(APPIDS, key.appids.as_ref().map(Value::list))
            .set(SECRET_DIGEST, &key.secret)
            .set(IN_URL, key.in_url)
            .set(CREATED_AT, key.created_at)
            .set(CREATED_BY, &key.created_by)
            .set_some(ENDS_AT, key.ends_at)
            .set_some(EXPIRES_AT, key.known_until())
            .set(LIST_PK, self.0.kind(LIST))
            .set(LIST_SK, KeyPlace::of(key).0);
        // A second try after a lost reply writes the same item again.
        let new = new.or_when(equals(SECRET_DIGEST, &key.secret));
        let is_written = self.write(new.in_transaction()?, key, KeyChange::Created, actor, key.created_at).await?;
        if is_written { Ok(()) } else { Err(StoreError::Contended { item: ITEM }) }
    }

    /// Writes a key together with the event that reports it, and returns whether the condition held.
    async fn write(
        &self,
        item: TransactWriteItem,
        key: &ApiKey,
        change: KeyChange,
        actor: &Actor,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let event = OutboxEvent::OfKey(key.id.clone(), KeyEvent::of(key, change, actor, at));
        let event = self.0.new_event(change.sequence(), &event)?.in_transaction()?;
        self.0.transact_or_refuse(vec![item, event], ITEM).await
    }

    /// Reads a key, even one that is no longer valid; `None` if there is none. One read.
    pub async fn get(&self, id: &KeyId) -> Result<Option<ApiKey>, StoreError> {
        let found = self.0.get(self.key(id)).await?;
        found.map(|attributes| ApiKey::read(id.clone(), attributes)).transpose()
    }

    /// A page of the keys after `after`, newest first, including those that were recently revoked or have recently
    /// expired. One query of the index, and half a read unit per key, eventually consistent.
    pub async fn page(&self, limit: usize, after: Option<&KeyPlace>, now: Timestamp) -> Result<KeyPage, StoreError> {
        let after = after.and_then(|place| Some((self.key(&place.id()?), place.0.clone())));
        let (entries, has_more) = self.0.page_of_list(&self.0.kind(LIST), Order::Descending, limit, after).await?;
        let places = entries.into_iter().filter_map(|entry| KeyPlace::parse(entry.get(LIST_SK)?.as_s().ok()?));
        let places: Vec<KeyPlace> = places.collect();
        let ids: Vec<KeyId> = places.iter().filter_map(KeyPlace::id).collect();
        let items = self.0.batch_in_order(ids.iter().map(|id| self.key(id)).collect(), &[]).await?;
        let id_of = |item: &Attributes| KeyId::parse(self.0.id_in("key", item.get(PK)?.as_s().ok()?)?).ok();
        // An unreadable key is not accepted anywhere, and must not hide the others.
        let read = |item: Attributes| ApiKey::read(id_of(&item)?, item).ok();
        let keys = items.into_iter().filter_map(read).filter(|key| key.is_known(now)).collect();
        Ok(KeyPage { keys, next: places.into_iter().next_back().filter(|_| has_more) })
    }

    /// Revokes a key, reports who did it, and returns the revoked key; `None` if there is none. A second revocation
    /// changes and reports nothing. A read, and a transaction of two writes.
    ///
    /// # Errors
    /// [`StoreError`]: a caller that tries again gets the same result.
    pub async fn revoke(&self, id: &KeyId, actor: &Actor, now: Timestamp) -> Result<Option<ApiKey>, StoreError> {
        let key = match self.get(id).await? {
            Some(key) if key.revoked_at.is_none() => key,
            known => return Ok(known),
        };
        let revoked = self.0.change(self.key(id)).set(REVOKED_AT, now).set(EXPIRES_AT, now.plus(KEEP_ENDED));
        let revoked = revoked.when(exists(PK).and(absent(REVOKED_AT))).in_transaction()?;
        if self.write(revoked, &key, KeyChange::Revoked, actor, now).await? {
            return Ok(Some(ApiKey { revoked_at: Some(now), ..key }));
        }
        // Somebody else was first, or our own first try, whose reply was lost.
        self.get(id).await
    }

    /// Records that a key is used on a day (in UTC, such as `2026-01-31`), unless that is already recorded. One write.
    ///
    /// # Errors
    /// [`StoreError`]: the next use records it.
    pub async fn note_use(&self, id: &KeyId, day: &str) -> Result<(), StoreError> {
        let is_new = exists(PK).and(absent(LAST_USED_ON).or(is_before(LAST_USED_ON, day)));
        self.0.change(self.key(id)).set(LAST_USED_ON, day).when(is_new).apply().await.map(drop)
    }
}

const LIST: &str = "keys";

/// The name of the item in errors.
const ITEM: &str = "API key";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keys_text_is_taken_apart_by_lengths() {
        let made = KeyText::generate(&Random::system());
        let text = made.text();
        assert_eq!(text.expose_secret().len(), 4 + 22 + 1 + 43);
        let read = KeyText::parse(text.expose_secret()).unwrap();
        assert_eq!(read.id, made.id);
        assert!(KeyDigest::of(&read.secret).matches(&KeyDigest::of(&made.secret)));
        let (id, secret) = ("_".repeat(22), "_".repeat(43));
        let read = KeyText::parse(&format!("wxp_{id}_{secret}")).unwrap();
        assert_eq!((read.id.as_str(), read.secret.expose_secret()), (&*id, &*secret));
        for bad in [
            String::new(),
            "wxp_".to_owned(),
            format!("wxs_{id}_{secret}"),
            format!("wxp_{id}-{secret}"),
            format!("wxp_{id}_{secret}_"),
            format!("wxp_{id}_{}", &secret[1..]),
            format!("wxp_{id}_{} ", &secret[1..]),
            format!("wxp_{}#_{secret}", &id[1..]),
            format!("wxp_{}信_{secret}", &id[2..]),
            format!(" wxp_{id}_{secret}"),
        ] {
            assert!(KeyText::parse(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn no_secret_is_printed_and_none_matches_another() {
        let random = Random::system();
        let (made, other) = (KeyText::generate(&random), KeyText::generate(&random));
        assert!(!format!("{made:?}").contains(made.secret.expose_secret()));
        assert!(!KeyDigest::of(&made.secret).matches(&KeyDigest::of(&other.secret)));
    }

    #[test]
    fn scopes_are_known_by_their_words() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Some(*scope));
        }
        assert_eq!((Scope::parse("accounts"), Scope::parse("")), (None, None));
    }

    #[test]
    fn a_requested_key_must_be_within_bounds() {
        let now = Timestamp::from_unix(1_769_846_400);
        let name = |name: &str| KeyRequest::new(name, &["links"]).map(|request| request.name);
        for good in ["a", "订单 \"orders\" \\ 'x'", "Söhne", "हिन्दी", &"店".repeat(64)] {
            assert_eq!(name(good).as_deref(), Ok(good));
        }
        assert_eq!(name("  orders\n").as_deref(), Ok("orders"));
        for bad in ["", " ", "a\nb", "a\tb", "a\u{1b}[31m", "a\u{202e}b", "a\u{200b}b", "\u{301}", &"店".repeat(65)] {
            assert_eq!(name(bad), Err(KeyError::Name), "{bad:?}");
        }
        for bad in [&[][..], &["link"], &["links", ""], &["Links"], &["links "]] {
            assert_eq!(KeyRequest::new("a", bad), Err(KeyError::Scopes), "{bad:?}");
        }
        let of = |scopes: &[&str]| KeyRequest::new("a", scopes).unwrap();
        let accounts: Vec<String> = (0..=100).map(|number| format!("wx{number:016x}")).collect();
        assert!(of(&["links", "links"]).limited_to(&accounts[..100]).is_ok());
        for bad in [&accounts[..], &[], &["wx1".to_owned()]] {
            assert_eq!(of(&["links"]).limited_to(bad), Err(KeyError::Appids));
        }
        for scope in [Scope::PlatformCalls, Scope::PlatformTokens] {
            let refused = of(&["calls", scope.as_str()]).limited_to(&accounts[..1]);
            assert_eq!(refused, Err(KeyError::NotOfAccounts(scope)));
        }
        assert_eq!(
            of(&["links"]).until("2026-01-31T09:00:01+01:00", now).unwrap().ends_at,
            Some(now.plus(Duration::from_secs(1)))
        );
        for bad in ["2026-01-31T08:00:00Z", "2026-02-01", "tomorrow", ""] {
            assert_eq!(of(&["links"]).until(bad, now), Err(KeyError::EndsAt), "{bad}");
        }
    }

    #[test]
    fn the_error_about_scopes_names_every_one() {
        let told = KeyError::Scopes.to_string();
        assert!(Scope::ALL.iter().all(|scope| told.contains(scope.as_str())), "{told}");
    }

    #[test]
    fn a_place_is_a_time_and_an_id() {
        let text = format!("1769846400#{}", "a".repeat(22));
        assert_eq!(KeyPlace::parse(&text).unwrap().as_str(), text);
        for bad in ["", "1769846400", "1769846400#a", &text[1..], &format!("{text}#")] {
            assert_eq!(KeyPlace::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_end_or_a_limit_that_cannot_be_read_is_not_taken_for_none() {
        let id = KeyId::parse(&"a".repeat(22)).unwrap();
        let read = |more: &[(&str, Value)]| {
            let known = [(SECRET_DIGEST, Value::from("00")), (CREATED_AT, Value::from(1_u64))];
            let known = known.iter().chain(more).map(|(name, value)| ((*name).to_owned(), value.0.clone()));
            ApiKey::read(id.clone(), known.collect())
        };
        let later = Value::list(["later:scope", "links"]);
        let key = read(&[(SCOPES, later), (APPIDS, Value::from("wx1"))]).unwrap();
        assert_eq!((key.scopes, key.appids), (BTreeSet::from([Scope::Links]), Some(BTreeSet::new())));
        assert_eq!(read(&[]).unwrap().appids, None);
        assert!(read(&[(ENDS_AT, Value::from("soon"))]).is_err());
        assert!(read(&[(REVOKED_AT, Value::from("yes"))]).is_err());
    }
}

//! What services say about accounts: at random, two at once, and through the links of merchants; and the invariants of
//! it.
//!
//! Nobody sees when a write takes effect, only when it began and when it was over. So each member is treated as a
//! register: it can have a value unless another one was surely written after it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;
use futures::future::BoxFuture;
use http::header::ETAG;
use serde_json::{Value, json};
use store::{AccountState, Labels};
use stories::business::{ACCOUNTS, Answer, Business};
use stories::world::World;

use crate::invariants::Violations;
use crate::model::Model;
use crate::stage::Stage;
use crate::step::{LINKS, Say, Saying, Shop};

/// The members that are checked.
const MEMBERS: [Member; 3] = [Member::Reference, Member::Tag("k0"), Member::Tag("k1")];

/// The greatest difference between two of our clocks.
const SKEW: Duration = Duration::from_secs(5);

/// A member of an account's labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Member {
    Reference,
    Tag(&'static str),
}

/// The values of members.
type Said = BTreeMap<Member, Option<String>>;

/// A moment of a history: the number of moments before it, and the time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    order: u64,
    at: Timestamp,
}

/// A write of an account's labels.
#[derive(Debug)]
pub(crate) struct Writing {
    account: AppId,
    by: Writer,
    /// The values of the members that it changes.
    says: Said,
    begun: Moment,
    /// When it was over: it takes no effect any more. `None` while it is not, as far as is known.
    ended: Option<Moment>,
    outcome: Outcome,
}

#[derive(Debug)]
enum Writer {
    /// A service, with the version that it had read and wanted to change.
    Service(Option<Version>),
    /// The link that the account came through.
    Link(usize),
}

/// A version of an account that a service knows, and when it learned it.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    tag: String,
    at: Moment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It took effect.
    Done,
    /// It was refused with this status.
    Refused(u16),
    /// It is not known.
    Unknown,
}

/// The links of a history: one sets everything, one sets only the tags.
pub(crate) fn of_link(number: usize) -> Value {
    match number {
        0 => json!({ "reference": "link 0", "tags": { "k0": "link 0" } }),
        _ => json!({ "tags": { "k1": format!("link {number}") } }),
    }
}

impl Member {
    fn of(self, labels: &Labels) -> Option<&str> {
        match self {
            Self::Reference => labels.reference.as_deref(),
            Self::Tag(key) => labels.tags.get(key).map(String::as_str),
        }
    }

    fn in_event(self, detail: &Value) -> Option<&str> {
        match self {
            Self::Reference => detail["reference"].as_str(),
            Self::Tag(key) => detail["tags"][key].as_str(),
        }
    }
}

impl Writing {
    fn is_done(&self) -> bool {
        self.outcome == Outcome::Done
    }

    /// Whether it was over before another one began.
    fn is_before(&self, other: &Self) -> bool {
        self.ended.is_some_and(|ended| ended.order < other.begun.order)
    }

    /// Whether it is a change whatever was there: no two write the same value.
    fn changes(&self) -> bool {
        self.says.values().any(Option::is_some)
    }
}

/// Ends a write together with the process that makes it, which may die.
struct UnderWay {
    world: Arc<World>,
    model: Model,
    number: usize,
    outcome: Outcome,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut record = self.model.record();
        let ended = record.moment(self.world.now());
        let writing = &mut record.writings[self.number];
        (writing.ended, writing.outcome) = (Some(ended), self.outcome);
    }
}

impl crate::model::Record {
    fn moment(&mut self, at: Timestamp) -> Moment {
        self.moments += 1;
        Moment { order: self.moments, at }
    }

    /// The version that a response names, which was known when the response arrived.
    fn version(&mut self, answer: &Answer, at: Timestamp) -> Version {
        Version { tag: answer.headers[ETAG].to_str().unwrap().to_owned(), at: self.moment(at) }
    }
}

/// A service that changes labels of accounts.
struct LabelService {
    business: Arc<Business>,
    model: Model,
    world: Arc<World>,
    account: AppId,
}

impl LabelService {
    async fn say(&self, Say { said, of_version }: Say) {
        let version = if of_version {
            let Some(version) = self.known_version().await else { return };
            Some(version)
        } else {
            None
        };
        let tag = version.as_ref().map(|version| version.tag.clone());
        let (number, body) = self.begin(said, version);
        let (world, model) = (Arc::clone(&self.world), self.model.clone());
        let mut under_way = UnderWay { world, model, number, outcome: Outcome::Unknown };
        let answer = self.business.patch(&self.account, &body, tag.as_deref()).await;
        under_way.outcome = outcome(&answer);
        drop(under_way);
        if of_version {
            let mut record = self.model.record();
            match answer.status {
                200 => {
                    let version = record.version(&answer, self.world.now());
                    record.seen.insert(self.account.clone(), version);
                }
                // It reads again before its next change.
                412 => drop(record.seen.remove(&self.account)),
                _ => {}
            }
        }
        self.model.tell(format!("       {body} is answered with {}", answer.status));
    }

    /// The known version, or one that is read now; `None` if there is no account yet, or no response.
    async fn known_version(&self) -> Option<Version> {
        if let Some(known) = self.model.record().seen.get(&self.account) {
            return Some(known.clone());
        }
        let read = self.business.get(&format!("{ACCOUNTS}/{}", self.account)).await;
        if read.status != 200 {
            self.model.tell(format!("       the account is answered with {}", read.status));
            return None;
        }
        Some(self.model.record().version(&read, self.world.now()))
    }

    /// Records that a write begins; returns its number, and the patch.
    fn begin(&self, said: Saying, version: Option<Version>) -> (usize, Value) {
        let mut record = self.model.record();
        let number = record.writings.len();
        let value = |sets: bool| sets.then(|| format!("said {number}"));
        let says = match said {
            Saying::Reference { sets } => Said::from([(Member::Reference, value(sets))]),
            Saying::Tag { key, sets } => Said::from([(Member::Tag(key), value(sets))]),
            Saying::Both => [Member::Reference, Member::Tag("k0")].map(|member| (member, value(true))).into(),
        };
        let begun = record.moment(self.world.now());
        let writing = Writing {
            account: self.account.clone(),
            by: Writer::Service(version),
            says,
            begun,
            ended: None,
            outcome: Outcome::Unknown,
        };
        let body = writing.body();
        record.writings.push(writing);
        (number, body)
    }
}

impl Stage {
    /// Services say something new about an account, three times. One of them changes only the version that it knows:
    /// that after its own last change, or one that it reads now.
    pub(crate) fn say(&self, shop: Shop, said: [Say; 3]) -> BoxFuture<'static, ()> {
        let service = LabelService {
            business: Arc::clone(&self.business),
            model: self.model.clone(),
            world: Arc::clone(&self.world),
            account: self.account(shop).appid.clone(),
        };
        Box::pin(async move {
            for say in said {
                service.say(say).await;
            }
        })
    }

    /// An account comes through a link, which writes the link's labels some time from now on.
    pub(crate) fn comes_through(&self, link: usize, account: &AppId) {
        let of_link = of_link(link);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        // A link with tags replaces all of them, and one without a reference leaves the reference alone.
        let says = MEMBERS.into_iter().filter_map(|member| match member {
            Member::Reference => of_link.get("reference").map(|reference| (member, text(reference))),
            Member::Tag(key) => Some((member, text(&of_link["tags"][key]))),
        });
        let mut record = self.model.record();
        let begun = record.moment(self.world.now());
        record.writings.push(Writing {
            account: account.clone(),
            by: Writer::Link(link),
            says: says.collect(),
            begun,
            ended: None,
            outcome: Outcome::Unknown,
        });
    }

    /// Records which links have written their labels: each does once.
    pub(crate) async fn note_links(&self) {
        let open = self.model.record().writings.iter().any(|writing| writing.ended.is_none());
        if !open {
            return;
        }
        for account in &self.accounts {
            let Some(details) = self.unharmed.details.get(&account.appid).await.unwrap() else { continue };
            let Some(number) = (0..LINKS)
                .find(|number| details.link.as_ref().is_some_and(|link| link.as_str() == self.links[*number].id))
            else {
                continue;
            };
            let mut record = self.model.record();
            let ended = record.moment(self.world.now());
            for writing in &mut record.writings {
                let is_this =
                    writing.account == account.appid && matches!(writing.by, Writer::Link(link) if link == number);
                if is_this && writing.ended.is_none() {
                    (writing.ended, writing.outcome) = (Some(ended), Outcome::Done);
                }
            }
        }
    }

    /// Checks that each account has the last labels written, that the events have the labels of their time, and that
    /// the lists have the right accounts.
    pub(crate) async fn wrong_about_labels(&self) -> Violations {
        let (store, mut found) = (self.world.store(), Vec::new());
        let reported = self.world.bus.delivered_of("account.");
        let mut known = BTreeMap::new();
        for (shop, account) in self.accounts.iter().enumerate() {
            let details = store.details.get(&account.appid).await.unwrap().unwrap_or_default();
            let mut events: Vec<_> = reported.iter().map(|event| &event.detail).collect();
            events.retain(|detail| detail["authorizer_appid"] == account.appid.as_str());
            events.sort_by_key(|detail| detail["sequence"].as_u64());
            let record = self.model.record();
            let writings: Vec<_> = record.writings.iter().filter(|writing| writing.account == account.appid).collect();
            for member in MEMBERS {
                let of_shop = |wrong: String| format!("{member:?} of account {shop} {wrong}");
                let history = Register { member, writings: &writings };
                let last = member.of(&details.labels);
                if let Some(later) = history.cannot_be(last, None) {
                    found.push(of_shop(format!("is {last:?} although {later} was said after that")));
                }
                let mut before: Option<Option<&str>> = None;
                for detail in &events {
                    let (said, at) = (member.in_event(detail), detail["occurred_at"].as_str());
                    if let Some(later) = history.cannot_be(said, at) {
                        let event = &detail["sequence"];
                        found.push(of_shop(format!(
                            "is {said:?} in event {event} although {later} had been said after that"
                        )));
                    }
                    if before.is_some_and(|before| history.goes_back(before, said)) {
                        found.push(of_shop(format!("is {said:?} in an event behind one with {before:?}")));
                    }
                    before = Some(said);
                }
                if before.is_some_and(|before| history.goes_back(before, last)) {
                    found.push(of_shop(format!("is {last:?} and was reported to be {before:?}")));
                }
            }
            found.extend(wrong_versions(&writings).into_iter().map(|wrong| format!("account {shop}: {wrong}")));
            known.insert(account.appid.to_string(), details);
        }
        let mut lists: BTreeMap<String, BTreeSet<&str>> =
            AccountState::ALL.into_iter().map(|state| (format!("state={}", word(state)), BTreeSet::new())).collect();
        let of_reference = |writing: &Writing| writing.says.get(&Member::Reference).cloned().flatten();
        for reference in self.model.record().writings.iter().filter_map(of_reference) {
            lists.entry(format!("reference={}", reference.replace(' ', "%20"))).or_default();
        }
        for (appid, details) in &known {
            if let Some((state, _)) = details.state {
                lists.entry(format!("state={}", word(state))).or_default().insert(appid);
            }
            if let Some(reference) = &details.labels.reference {
                lists.entry(format!("reference={}", reference.replace(' ', "%20"))).or_default().insert(appid);
            }
        }
        for (query, should) in &lists {
            let is = self.business.appids(query).await;
            if !is.iter().eq(should.iter()) {
                found.push(format!("{query} lists {is:?} and not {should:?}"));
            }
        }
        found
    }
}

/// A member of an account, and the writes of it.
struct Register<'a> {
    member: Member,
    writings: &'a [&'a Writing],
}

impl Register<'_> {
    /// The writes of this value; `None` is the value before any write.
    fn writers(&self, value: Option<&str>) -> impl Iterator<Item = Option<&Writing>> {
        let writes = self.writings.iter().copied().filter(move |writing| {
            !matches!(writing.outcome, Outcome::Refused(_))
                && writing.says.get(&self.member).is_some_and(|says| says.as_deref() == value)
        });
        writes.map(Some).chain(value.is_none().then_some(None))
    }

    /// The value that was surely written after every write of this one, and before a time, if the value belongs to one.
    fn cannot_be(&self, value: Option<&str>, at: Option<&str>) -> Option<String> {
        let mut later = "nothing of the kind".to_owned();
        for writer in self.writers(value) {
            let surely_later = self.writings.iter().find(|other| {
                let in_time = at.is_none_or(|at| other.ended.is_some_and(|ended| *ended.at.plus(SKEW).rfc3339() < *at));
                other.is_done()
                    && in_time
                    && other.says.contains_key(&self.member)
                    && writer.is_none_or(|writer| writer.is_before(other))
            });
            later = format!("{:?}", surely_later?.says.get(&self.member));
        }
        Some(later)
    }

    /// Whether every write of `now` was over before any write of `before` began.
    fn goes_back(&self, before: Option<&str>, now: Option<&str>) -> bool {
        before != now
            && self.writers(now).all(|now| {
                self.writers(before).all(|before| match (now, before) {
                    (Some(now), Some(before)) => now.is_before(before),
                    (None, before) => before.is_some(),
                    (Some(_), None) => false,
                })
            })
    }
}

/// Checks that a change of a version is refused if another one has come since the version was read, and that an account
/// that is known once stays known.
fn wrong_versions(writings: &[&Writing]) -> Violations {
    let mut found = Vec::new();
    for (number, writing) in writings.iter().enumerate() {
        let Writer::Service(of_version) = &writing.by else { continue };
        if let (Some(Version { tag, at: read_at }), Outcome::Done) = (of_version, writing.outcome) {
            let between = |other: &&&Writing| {
                other.is_done()
                    && other.changes()
                    && matches!(other.by, Writer::Service(_))
                    && read_at.order < other.begun.order
                    && other.is_before(writing)
            };
            let same = |other: &&Writing| {
                other.is_done()
                    && other.changes()
                    && matches!(&other.by, Writer::Service(Some(version)) if version.tag == *tag)
            };
            if writings.iter().find(between).is_some() || writings[..number].iter().any(same) {
                found.push(format!("version {tag} was changed although it had been changed before"));
            }
        }
        if let Outcome::Refused(404) = writing.outcome
            && writings.iter().any(|other| other.is_done() && other.is_before(writing))
        {
            found.push("it was known, and later unknown".to_owned());
        }
    }
    found
}

impl Writing {
    /// The merge patch of a service's change.
    fn body(&self) -> Value {
        let mut body = json!({});
        for (member, says) in &self.says {
            match member {
                Member::Reference => body["reference"] = json!(says),
                Member::Tag(key) => body["tags"][key] = json!(says),
            }
        }
        body
    }
}

fn outcome(answer: &Answer) -> Outcome {
    match answer.status {
        200 => Outcome::Done,
        404 | 412 => Outcome::Refused(answer.status),
        500.. => Outcome::Unknown,
        other => panic!("a change is answered with {other}: {}", answer.body),
    }
}

/// The word for a state in the business API.
const fn word(state: AccountState) -> &'static str {
    match state {
        AccountState::Active => "active",
        AccountState::NeedsAuthorization => "needs_authorization",
        AccountState::Unauthorized => "unauthorized",
    }
}

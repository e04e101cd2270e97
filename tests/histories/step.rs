//! The steps of a history, each with the line that describes it.
//!
//! A step names things by their number among those that exist when its turn comes ("the third push in progress"), so
//! that a history without some of its steps is a history too. If there is none, the step is left out.

use std::fmt;
use std::time::Duration;

use simulator::paths;
use stories::faults::Side;

/// An account of a merchant's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shop(pub(crate) usize);

/// The number of accounts in a history.
pub(crate) const SHOPS: usize = 3;

/// The number of links in a history.
pub(crate) const LINKS: usize = 2;

impl fmt::Display for Shop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(["A", "B", "C"].get(self.0).unwrap_or(&"?"))
    }
}

/// A step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Time passes; WeChat pushes a ticket when one is due.
    Passes(Duration),
    /// A merchant authorizes the platform and it takes effect at once: pushed, received, exchanged.
    Joins(Shop),
    /// A merchant authorizes the platform at WeChat; the push is in progress, its time `stamp` seconds off.
    Authorizes { shop: Shop, stamp: i64 },
    /// A merchant withdraws the grant at WeChat; the push is in progress.
    Revokes { shop: Shop, stamp: i64 },
    /// A merchant opens a link, presses its button and authorizes the platform; push and redirect are in progress.
    Visits { link: usize, shop: Shop, stamp: i64 },
    /// A process does something, from its beginning to its end.
    Does(Job),
    /// A process does something while a trouble lasts, which ends with it.
    Suffers(Job, Trouble),
    /// A process begins something and is held at a point of it.
    Begins(Job, Point),
    /// Two processes do something at the same time.
    Together(Job, Job),
    /// A held process continues to its end.
    GoesOn(usize),
    /// A held process dies.
    Dies(usize),
    /// A trouble begins.
    Fails(Trouble),
    /// All troubles end.
    Heals,
}

/// A job of a process of the platform.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Job {
    /// The five-minute run.
    Renew(Process),
    /// The hourly run.
    Reconcile(Process),
    /// The run that the table's stream starts.
    Inbox(Process),
    /// A push in progress arrives.
    Push(usize),
    /// A push that has already been sent arrives again.
    PushAgain(usize),
    /// A merchant's browser comes back from WeChat, or somebody else's does.
    Return { number: usize, own_browser: bool },
    /// A follower writes to an account.
    Message { shop: Shop, follower: usize },
    /// WeChat delivers a message again.
    MessageAgain(usize),
    /// Services change an account's labels three times, one after another.
    Say { shop: Shop, said: [Say; 3] },
}

/// One change of labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Say {
    pub(crate) said: Saying,
    /// Whether it is by the service that changes only the version that it knows.
    pub(crate) of_version: bool,
}

/// A service's change of labels: a new value, or the removal of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Saying {
    /// The reference.
    Reference { sets: bool },
    /// One of the tags.
    Tag { key: &'static str, sets: bool },
    /// A reference and a tag.
    Both,
}

/// How the event webhook fails to accept events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unwilling {
    /// It responds with an error status.
    Refuses,
    /// It refuses every other event of an account five times, and then accepts it.
    Wavers,
    /// It does not respond.
    Hangs,
}

/// A process of the refresher: the second one's clock is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process(pub(crate) usize);

/// The point at which a process is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// WeChat has done what was requested, its response is in progress.
    Answer(Api),
    /// At a request to the table, after this many others.
    Table { passing: usize, side: Side },
    /// At the bus.
    Bus(Side),
}

/// An API of WeChat's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    Renewal,
    Exchange,
    Details,
    List,
    ComponentToken,
    PreAuthCode,
    Any,
}

impl Api {
    /// Its path.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Renewal => paths::AUTHORIZER_TOKEN,
            Self::Exchange => paths::QUERY_AUTH,
            Self::Details => paths::GET_AUTHORIZER_INFO,
            Self::List => paths::GET_AUTHORIZER_LIST,
            Self::ComponentToken => paths::COMPONENT_TOKEN,
            Self::PreAuthCode => paths::CREATE_PREAUTHCODE,
            Self::Any => paths::ANY,
        }
    }

    /// Whether its calls name an account.
    pub(crate) const fn names_an_account(self) -> bool {
        matches!(self, Self::Renewal | Self::Details | Self::Any)
    }
}

/// A trouble.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Trouble {
    /// WeChat refuses calls with a code: all, or those about one account.
    Refusals { api: Api, code: i64, about: Option<Shop>, lasts: Duration },
    /// WeChat's gateway responds instead.
    BadGateway { api: Api, lasts: Duration },
    /// The response to the next call is lost, before the call takes effect or after.
    LostAnswer { api: Api, side: Side },
    /// WeChat stops pushing tickets.
    NoTickets,
    /// The table refuses requests: all, or those about one account.
    Table { fault: Refusing, about: Option<Shop>, lasts: Duration },
    /// The table carries out the next request, and its response is lost.
    LostReply { passing: usize },
    /// The bus refuses events.
    Bus { fault: Refusing, lasts: Duration },
    /// The business's service takes no events.
    EventWebhook { how: Unwilling, lasts: Duration },
}

/// How a service of AWS fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusing {
    ServerError,
    Throttled,
    Away,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passes(time) => write!(f, "{} pass", Length(*time)),
            Self::Joins(shop) => write!(f, "account {shop} authorizes the platform, and it takes effect"),
            Self::Authorizes { shop, stamp } => write!(f, "account {shop} authorizes the platform{}", Stamp(*stamp)),
            Self::Revokes { shop, stamp } => write!(f, "account {shop} takes its grant back{}", Stamp(*stamp)),
            Self::Visits { link, shop, stamp } => {
                write!(f, "account {shop} authorizes the platform through link {link}{}", Stamp(*stamp))
            }
            Self::Does(job) => write!(f, "{job}"),
            Self::Suffers(job, trouble) => write!(f, "{job}, while {trouble}"),
            Self::Begins(job, point) => write!(f, "{job}, and is held {point}"),
            Self::Together(one, other) => write!(f, "{one}; at the same time {other}"),
            Self::GoesOn(number) => write!(f, "what is held continues ({number})"),
            Self::Dies(number) => write!(f, "a process that is held dies ({number})"),
            Self::Fails(trouble) => write!(f, "{trouble}"),
            Self::Heals => f.write_str("all is well again"),
        }
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Renew(process) => write!(f, "a renew run{process}"),
            Self::Reconcile(process) => write!(f, "a reconcile run{process}"),
            Self::Inbox(process) => write!(f, "a run for the inbox{process}"),
            Self::Push(number) => write!(f, "a push arrives ({number})"),
            Self::PushAgain(number) => write!(f, "a push arrives once more ({number})"),
            Self::Return { number, own_browser: true } => write!(f, "a merchant comes back ({number})"),
            Self::Return { number, own_browser: false } => {
                write!(f, "somebody opens a merchant's way back ({number})")
            }
            Self::Message { shop, follower } => write!(f, "follower {follower} writes to account {shop}"),
            Self::MessageAgain(number) => write!(f, "a message is delivered once more ({number})"),
            Self::Say { shop, said } => {
                write!(f, "services change of account {shop}:")?;
                said.iter().try_for_each(|Say { said, of_version }| {
                    write!(f, " {said:?}{}", if *of_version { " in the known version" } else { "" })
                })
            }
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 == 0 { "" } else { " of the process whose clock is off" })
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(api) => write!(f, "when WeChat has done {api:?}"),
            Self::Table { passing, side } => write!(f, "{side:?} request {passing} to the table"),
            Self::Bus(side) => write!(f, "{side:?} an event is put on the bus"),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refusals { api, code, about, lasts } => {
                write!(f, "WeChat returns {code} for {api:?}{} for {}", About(*about), Length(*lasts))
            }
            Self::BadGateway { api, lasts } => write!(f, "WeChat returns 502 for {api:?} for {}", Length(*lasts)),
            Self::LostAnswer { api, side } => write!(f, "the next {api:?} is lost {side:?} it takes effect"),
            Self::NoTickets => f.write_str("WeChat stops pushing tickets"),
            Self::Table { fault, about, lasts } => {
                write!(f, "the table is {fault:?}{} for {}", About(*about), Length(*lasts))
            }
            Self::LostReply { passing } => write!(f, "the table's reply to write {passing} from now is lost"),
            Self::Bus { fault, lasts } => write!(f, "the bus is {fault:?} for {}", Length(*lasts)),
            Self::EventWebhook { how, lasts } => write!(f, "the event webhook {how:?} for {}", Length(*lasts)),
        }
    }
}

/// A duration, in words.
struct Length(Duration);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        if seconds < 60 { write!(f, "{seconds} s") } else { write!(f, "{} min", seconds / 60) }
    }
}

struct Stamp(i64);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { Ok(()) } else { write!(f, " (its push is stamped {:+} s)", self.0) }
    }
}

struct About(Option<Shop>);

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |shop| write!(f, " about account {shop}"))
    }
}

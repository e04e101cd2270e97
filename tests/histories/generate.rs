//! Random histories. A failing history is simplified towards the first option of each choice.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use stories::faults::Side;

use crate::step::{Api, Job, LINKS, Point, Process, Refusing, SHOPS, Say, Saying, Shop, Step, Trouble, Unwilling};

/// A history: the settings of both sides, and what happens.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct History {
    /// What WeChat leaves open, and the error of the second process's clock.
    pub(crate) setting: Setting,
    /// What happens.
    pub(crate) steps: Vec<Step>,
}

/// The settings, which do not change during a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Each renewal replaces the refresh token.
    pub(crate) rotating: bool,
    /// Push and redirect each bring a code.
    pub(crate) two_codes: bool,
    /// The responses in which WeChat names refresh tokens.
    pub(crate) named_by: NamedBy,
    /// How many seconds the second process's clock is ahead.
    pub(crate) skew: i64,
    /// Whether there is a reply webhook.
    pub(crate) webhook: bool,
    /// How the event webhook behaves, unless it is worse, until all is well.
    pub(crate) events: Option<Unwilling>,
    /// The seed of the random bytes of both sides.
    pub(crate) seed: u64,
}

/// The responses of WeChat that name an account's refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NamedBy {
    Both,
    Details,
    List,
}

/// Histories without two simultaneous things, which replay step by step.
pub(crate) fn ordered() -> impl Strategy<Value = History> {
    (setting(), prop::collection::vec(step(), 8..=24)).prop_map(|(setting, steps)| History { setting, steps })
}

/// Histories in which processes run simultaneously; their outcome differs from one time to the next.
pub(crate) fn interleaved() -> impl Strategy<Value = History> {
    let together = (job(), job()).prop_map(|(one, other)| Step::Together(one, other));
    let step = prop_oneof![3 => step(), 1 => together];
    (setting(), prop::collection::vec(step, 8..=24)).prop_map(|(setting, steps)| History { setting, steps })
}

/// Histories of an account that leaves and comes back so often that several of its events wait for a wavering webhook.
pub(crate) fn restless() -> impl Strategy<Value = History> {
    let setting = setting().prop_map(|setting| Setting { events: Some(Unwilling::Wavers), ..setting });
    let seconds = |seconds: &[u64]| select(seconds.to_vec()).prop_map(Duration::from_secs);
    let (gone, back) = (Step::Revokes { shop: Shop(0), stamp: 0 }, Step::Joins(Shop(0)));
    let step = prop_oneof![
        3 => Just(vec![gone, Step::Does(Job::Push(0)), Step::Does(Job::Inbox(Process(0)))]),
        3 => Just(vec![back, Step::Does(Job::Inbox(Process(0)))]),
        2 => process().prop_map(|process| vec![Step::Does(Job::Renew(process))]),
        3 => seconds(&[40, 60, 180, 360]).prop_map(|time| vec![Step::Passes(time)]),
        1 => unwilling().prop_map(|how| vec![Step::Fails(Trouble::EventWebhook { how, lasts: Duration::from_mins(8) })]),
    ];
    let steps = prop::collection::vec(step, 12..=24).prop_map(|steps| steps.concat());
    (setting, steps).prop_map(|(setting, steps)| History { setting, steps })
}

pub(crate) fn setting() -> impl Strategy<Value = Setting> {
    let named_by = select(vec![NamedBy::Both, NamedBy::Both, NamedBy::Details]);
    let events = prop::option::weighted(0.5, Just(Unwilling::Wavers));
    (any::<bool>(), any::<bool>(), named_by, -4..=4_i64, any::<bool>(), events, any::<u64>().no_shrink()).prop_map(
        |(rotating, two_codes, named_by, skew, webhook, events, seed)| Setting {
            rotating,
            two_codes,
            named_by,
            skew,
            webhook,
            events,
            seed,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => wait().prop_map(Step::Passes),
        3 => shop().prop_map(Step::Joins),
        3 => (shop(), stamp()).prop_map(|(shop, stamp)| Step::Authorizes { shop, stamp }),
        3 => (shop(), stamp()).prop_map(|(shop, stamp)| Step::Revokes { shop, stamp }),
        3 => (0..LINKS, shop(), stamp()).prop_map(|(link, shop, stamp)| Step::Visits { link, shop, stamp }),
        12 => job().prop_map(Step::Does),
        8 => (job(), trouble()).prop_map(|(job, trouble)| Step::Suffers(job, trouble)),
        5 => (job(), point()).prop_map(|(job, point)| Step::Begins(job, point)),
        3 => (0..2_usize).prop_map(Step::GoesOn),
        1 => (0..2_usize).prop_map(Step::Dies),
        3 => trouble().prop_map(Step::Fails),
        1 => Just(Step::Heals),
    ]
}

fn wait() -> impl Strategy<Value = Duration> {
    let minutes = Duration::from_mins;
    select(vec![
        Duration::from_secs(1),
        Duration::from_secs(20),
        Duration::from_secs(40),
        minutes(3),
        minutes(6),
        minutes(12),
        minutes(40),
        minutes(101),
        minutes(101),
        minutes(101),
        minutes(300),
    ])
}

fn job() -> impl Strategy<Value = Job> {
    prop_oneof![
        6 => process().prop_map(Job::Renew),
        5 => process().prop_map(Job::Inbox),
        2 => process().prop_map(Job::Reconcile),
        9 => (0..4_usize).prop_map(Job::Push),
        1 => (0..8_usize).prop_map(Job::PushAgain),
        4 => (0..3_usize, prop::bool::weighted(0.8))
            .prop_map(|(number, own_browser)| Job::Return { number, own_browser }),
        2 => (shop(), 0..2_usize).prop_map(|(shop, follower)| Job::Message { shop, follower }),
        1 => (0..4_usize).prop_map(Job::MessageAgain),
        3 => (shop(), prop::array::uniform3(say())).prop_map(|(shop, said)| Job::Say { shop, said }),
    ]
}

fn say() -> impl Strategy<Value = Say> {
    let sets = || prop::bool::weighted(0.8);
    let said = prop_oneof![
        2 => sets().prop_map(|sets| Saying::Reference { sets }),
        2 => (select(vec!["k0", "k1"]), sets()).prop_map(|(key, sets)| Saying::Tag { key, sets }),
        1 => Just(Saying::Both),
    ];
    (said, prop::bool::ANY).prop_map(|(said, of_version)| Say { said, of_version })
}

fn point() -> impl Strategy<Value = Point> {
    let held_apis = vec![Api::Renewal, Api::Exchange, Api::Details, Api::List, Api::ComponentToken];
    prop_oneof![
        4 => select(held_apis).prop_map(Point::Answer),
        4 => (0..30_usize, side()).prop_map(|(passing, side)| Point::Table { passing, side }),
        1 => side().prop_map(Point::Bus),
    ]
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let apis =
        vec![Api::Renewal, Api::Exchange, Api::Details, Api::List, Api::ComponentToken, Api::PreAuthCode, Api::Any];
    let api = move || select(apis.clone());
    let codes = vec![-1, 40001, 40013, 45009, 45011, 50002, 61003, 61004, 61023];
    let refusing = || select(vec![Refusing::ServerError, Refusing::Throttled, Refusing::Away]);
    prop_oneof![
        6 => (api(), select(codes), prop::option::of(shop()), lasting()).prop_map(|(api, code, about, lasts)| {
            Trouble::Refusals { api, code, about: about.filter(|_| api.names_an_account()), lasts }
        }),
        1 => (api(), lasting()).prop_map(|(api, lasts)| Trouble::BadGateway { api, lasts }),
        5 => (api(), side()).prop_map(|(api, side)| Trouble::LostAnswer { api, side }),
        1 => Just(Trouble::NoTickets),
        2 => (refusing(), prop::option::of(shop()), lasting())
            .prop_map(|(fault, about, lasts)| Trouble::Table { fault, about, lasts }),
        3 => (0..12_usize).prop_map(|passing| Trouble::LostReply { passing }),
        2 => (refusing(), lasting()).prop_map(|(fault, lasts)| Trouble::Bus { fault, lasts }),
        2 => (unwilling(), lasting()).prop_map(|(how, lasts)| Trouble::EventWebhook { how, lasts }),
    ]
}

fn unwilling() -> impl Strategy<Value = Unwilling> {
    prop_oneof![3 => Just(Unwilling::Refuses), 1 => Just(Unwilling::Hangs)]
}

fn lasting() -> impl Strategy<Value = Duration> {
    select(vec![Duration::from_secs(30), Duration::from_mins(8), Duration::from_mins(30), Duration::from_hours(6)])
}

pub(crate) fn shop() -> impl Strategy<Value = Shop> {
    (0..SHOPS).prop_map(Shop)
}

fn process() -> impl Strategy<Value = Process> {
    select(vec![Process(0), Process(0), Process(1)])
}

fn side() -> impl Strategy<Value = Side> {
    select(vec![Side::Before, Side::After])
}

/// The difference between the clocks of WeChat's servers.
fn stamp() -> impl Strategy<Value = i64> {
    prop_oneof![3 => Just(0), 1 => -120..=120_i64]
}

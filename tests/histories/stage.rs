//! The environment of a history: a world whose random bytes are the history's own, with two processes of the refresher.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_smithy_async::rt::sleep::{AsyncSleep, SharedAsyncSleep, Sleep, TokioSleep};
use base::clock::{Clock, ManualClock, Timestamp};
use base::limits::Limits;
use base::random::Random;
use platform::services::Services;
use platform::webhook::{AddressPolicy, Webhook};
use simulator::{Account, Behaviour, Codes};
use store::{Store, Table};
use stories::browser::Browser;
use stories::business::{Business, Link};
use stories::faults::Faults;
use stories::in_process::InProcess;
use stories::webhook::Service;
use stories::world::{Parts, TABLE, World, short_limits};
use token_refresher::{EVENT_WEBHOOK, Refresher, Settings, Targets};
use url::Url;

use crate::event_service::EventService;
use crate::generate::{NamedBy, Setting};
use crate::held::UnderWay;
use crate::labels;
use crate::model::Model;
use crate::step::{LINKS, SHOPS, Shop, Trouble};

/// The environment.
pub(crate) struct Stage {
    pub(crate) world: Arc<World>,
    /// The platform's part of the table, reached past all faults.
    pub(crate) unharmed: Store,
    /// The processes of the refresher.
    pub(crate) refreshers: [Refresher; 2],
    /// The merchants' accounts.
    pub(crate) accounts: Vec<Account>,
    pub(crate) business: Arc<Business>,
    pub(crate) links: Vec<Link>,
    /// The merchants' browser, and somebody else's.
    pub(crate) browsers: [Arc<Browser>; 2],
    /// The business's service that replies to followers.
    pub(crate) webhook: Service,
    /// The service that gets the events of accounts.
    pub(crate) event_webhook: EventService,
    /// The client for calls that no browser makes.
    pub(crate) http: reqwest::Client,
    pub(crate) model: Model,
    /// The current troubles, and when each ends.
    pub(crate) troubles: Vec<(Timestamp, Trouble)>,
    pub(crate) under_way: Vec<UnderWay>,
    pub(crate) tickets_stopped: bool,
}

/// The limits of waits. Held requests may be held for long on a busy machine; waiting for a token that somebody else is
/// renewing, which no history does while it waits, ends soon.
const LIMITS: Limits = Limits {
    table_try: Duration::from_secs(20),
    table: Duration::from_secs(20),
    api: Duration::from_secs(20),
    page: Duration::from_mins(1),
    message: Duration::from_mins(1),
    token_wait: Duration::from_millis(150),
    poll: Duration::from_millis(20),
    webhook: Duration::from_millis(300),
    ..short_limits()
};

/// Longer than any history.
const LONGER_THAN_ANY: Duration = Duration::from_hours(24 * 365);

impl Stage {
    /// A platform that has a ticket and a component token, and nothing else.
    pub(crate) async fn open(setting: &Setting, model: Model) -> Self {
        model.tell(format!("{setting:?}"));
        let database = InProcess::with_table(TABLE).await;
        let parts = Parts {
            faults: Faults::over(database.client()),
            random: seeded(setting.seed),
            sleep: SharedAsyncSleep::new(NoPauses),
        };
        let behaviour = Behaviour {
            rotate_refresh_tokens: setting.rotating,
            codes: if setting.two_codes { Codes::Different } else { Codes::Same },
            list_without_refresh_tokens: setting.named_by == NamedBy::Details,
            info_without_refresh_token: setting.named_by == NamedBy::List,
            ..Behaviour::default()
        };
        let world = World::of(parts, |options| options.behaviour = behaviour, LIMITS).await;
        // The faults of a history are random: some remain unused, others are logged as errors.
        world.without_proof();
        assert!(world.simulator.push_ticket().await.is_accepted());
        world.component().await.token().await.unwrap();
        let webhook = Service::replying_with_texts().await;
        if setting.webhook {
            world.ask_for_replies(webhook.url()).await;
        }
        let business = Business::of(&world);
        let mut links = Vec::new();
        for number in 0..LINKS {
            links.push(business.link(labels::of_link(number)).await);
        }
        let event_webhook = EventService::open().await;
        let refreshers = [0, setting.skew].map(|skew| refresher(&world, event_webhook.url(), skew));
        let mut stage = Self {
            refreshers,
            accounts: world.simulator.accounts().into_iter().take(SHOPS).collect(),
            business: Arc::new(business),
            links,
            browsers: [Browser::on_computer(), Browser::on_phone()].map(Arc::new),
            webhook,
            event_webhook,
            http: stories::http_client(),
            model,
            troubles: Vec::new(),
            under_way: Vec::new(),
            tickets_stopped: false,
            unharmed: Table::new(database.sdk(), TABLE).store(world.store().component()),
            world: Arc::new(world),
        };
        if let Some(how) = setting.events {
            stage.fail(Trouble::EventWebhook { how, lasts: LONGER_THAN_ANY });
        }
        stage
    }

    pub(crate) fn account(&self, shop: Shop) -> &Account {
        &self.accounts[shop.0]
    }
}

/// A process of the refresher, which does one thing after another, so that a history replays.
fn refresher(world: &World, webhook: Url, skew: i64) -> Refresher {
    let clock = Arc::new(Skewed { clock: Arc::clone(&world.clock), skew });
    let services = Services { clock, ..world.services.clone() };
    let webhook = Webhook::new(webhook, AddressPolicy::this_machine_too(), &EVENT_WEBHOOK).unwrap();
    let targets = Targets { webhook: Some(webhook), ..world.targets() };
    Refresher::new(services, targets, Settings { window: 1, per_second: 100_000, ..Settings::default() })
}

/// A machine's clock that is some seconds ahead, or behind.
struct Skewed {
    clock: Arc<ManualClock>,
    skew: i64,
}

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.clock.now().unix() + self.skew)
    }
}

/// Random bytes that are the same each time: `SplitMix64`.
fn seeded(seed: u64) -> Random {
    let state = AtomicU64::new(seed);
    Random::from_fn(move |bytes| {
        for chunk in bytes.chunks_mut(8) {
            let mut word = state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^= word >> 31;
            chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        }
    })
}

/// The SDK without its pauses between two tries; a longer sleep is the end of a try, which is waited for.
#[derive(Debug)]
struct NoPauses;

/// Longer than the SDK pauses in three tries, shorter than any try may take.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

impl AsyncSleep for NoPauses {
    fn sleep(&self, duration: Duration) -> Sleep {
        if duration < LONGEST_PAUSE { Sleep::new(std::future::ready(())) } else { TokioSleep::new().sleep(duration) }
    }
}

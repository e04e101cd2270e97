//! Troubles, as faults of the simulator and between the SDK and AWS. Most of them last for a time; when one ends, all
//! faults are removed and the remaining ones are injected again.

use simulator::Fault as Refused;
use stories::faults::{Fault, Matching, Side};

use crate::held::table;
use crate::stage::Stage;
use crate::step::{Api, Refusing, Shop, Trouble};

impl Stage {
    /// Begins a trouble.
    pub(crate) fn fail(&mut self, trouble: Trouble) {
        if let Some(lasts) = trouble.lasts() {
            self.troubles.push((self.world.now().plus(lasts), trouble));
        }
        self.set(trouble);
    }

    /// Ends all troubles.
    pub(crate) fn heal(&mut self) {
        self.troubles.clear();
        self.set_troubles();
    }

    /// Ends the troubles whose time is over.
    pub(crate) fn end_troubles(&mut self) {
        let (before, now) = (self.troubles.len(), self.world.now());
        self.troubles.retain(|(until, _)| now < *until);
        if self.troubles.len() < before {
            self.set_troubles();
        }
    }

    /// Injects the lasting troubles, and nothing else.
    pub(crate) fn set_troubles(&mut self) {
        self.world.simulator.clear_faults();
        self.world.faults.clear();
        self.event_webhook.set(None);
        for (_, trouble) in self.troubles.clone() {
            self.set(trouble);
        }
    }

    /// Injects one trouble, for as long as nothing removes it.
    pub(crate) fn set(&mut self, trouble: Trouble) {
        let (simulator, faults) = (&self.world.simulator, &self.world.faults);
        match trouble {
            Trouble::Refusals { api, code, about, .. } => {
                let refused = Refused::Errcode { errcode: code, errmsg: words(api, code).to_owned() }.on(api.path());
                simulator.inject(match about {
                    Some(shop) => refused.for_authorizer(&self.account(shop).appid),
                    None => refused,
                });
            }
            Trouble::BadGateway { api, .. } => simulator.inject(Refused::BadGateway.on(api.path())),
            Trouble::LostAnswer { api, side: Side::Before } => {
                simulator.inject(Refused::DropBefore.on(api.path()).times(1));
            }
            Trouble::LostAnswer { api, side: Side::After } => {
                simulator.inject(Refused::DropAfter.on(api.path()).times(1));
            }
            Trouble::NoTickets => {
                simulator.stop_ticket_pushes();
                self.tickets_stopped = true;
            }
            Trouble::Table { fault, about, .. } => faults.always(self.requests_about(about), aws(fault)),
            Trouble::LostReply { passing } => faults.once_after(passing, writes(), Fault::LostReply),
            Trouble::Bus { fault, .. } => faults.always(Matching::operation("PutEvents"), aws(fault)),
            Trouble::EventWebhook { how, .. } => self.event_webhook.set(Some(how)),
        }
    }

    fn requests_about(&self, about: Option<Shop>) -> Matching {
        let Some(shop) = about else { return table() };
        let appid = self.account(shop).appid.clone();
        Matching::any().whose_body(move |body| body.contains("\"TableName\"") && body.contains(appid.as_str()))
    }
}

impl Trouble {
    /// How long it lasts; `None` if it affects one request only.
    const fn lasts(&self) -> Option<std::time::Duration> {
        match self {
            Self::Refusals { lasts, .. }
            | Self::BadGateway { lasts, .. }
            | Self::Table { lasts, .. }
            | Self::Bus { lasts, .. }
            | Self::EventWebhook { lasts, .. } => Some(*lasts),
            Self::LostAnswer { .. } | Self::NoTickets | Self::LostReply { .. } => None,
        }
    }
}

fn writes() -> Matching {
    Matching::any().whose_body(|body| body.contains("UpdateExpression") || body.contains("\"Put\""))
}

const fn aws(refusing: Refusing) -> Fault {
    match refusing {
        Refusing::ServerError => Fault::ServerError,
        Refusing::Throttled => Fault::Throttle,
        Refusing::Away => Fault::Away,
    }
}

/// WeChat's text for a code.
const fn words(api: Api, code: i64) -> &'static str {
    match (api, code) {
        (_, -1) => "system error",
        (_, 40001) => "invalid credential, access_token is invalid or not latest",
        (Api::Renewal | Api::Details, 40013) => "invalid appid: authorizer_appid",
        (_, 40013) => "invalid appid",
        (_, 45009) => "reach max api daily quota limit",
        (_, 45011) => "api minute-quota reach limit, must slower, retry next minute",
        (_, 50002) => "user limited",
        (_, 61003) => "component is not authorized by this account",
        (_, 61004) => "access clientip is not registered requestIP: 203.0.113.9",
        (_, 61023) => "refresh_token is invalid",
        _ => "something else",
    }
}

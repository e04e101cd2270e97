//! What must hold in the end, whatever happened.

use std::collections::BTreeMap;

use base::ids::AppId;
use runtime::telemetry::Measure;
use serde_json::{Value, json};
use simulator::AnswerFault;
use store::{AccountState, END_OF_TIME, TokenOwner};

use crate::model::Record;
use crate::stage::Stage;
use crate::step::Shop;

/// Everything that does not hold, in words.
pub(crate) type Violations = Vec<String>;

impl Stage {
    /// What does not hold at rest.
    pub(crate) async fn violations(&self) -> Violations {
        let mut found = self.wrong_about_accounts().await;
        found.extend(self.wrong_about_links().await);
        let waiting = self.world.store().inbox.count_waiting(END_OF_TIME).await.unwrap();
        if waiting > 0 {
            found.push(format!("{waiting} entries wait in the inbox"));
        }
        let messages = self.world.store().messages.count_waiting(END_OF_TIME).await.unwrap();
        if messages > 0 {
            found.push(format!("{messages} messages wait for the bus"));
        }
        let events = self.world.store().outbox.count_waiting(END_OF_TIME).await.unwrap();
        if events > 0 {
            found.push(format!("{events} events of accounts' states wait to be delivered"));
        }
        found.extend(self.wrong_about_states().await);
        found.extend(self.wrong_about_labels().await);
        found.extend(self.wrong_about_events());
        found.extend(self.wrong_about_messages());
        found.extend(self.world.never_right());
        found
    }

    /// What does not hold for the accounts.
    pub(crate) async fn wrong_about_accounts(&self) -> Violations {
        let mut found = Vec::new();
        for shop in 0..self.accounts.len() {
            found.extend(self.wrong_about(Shop(shop)).await);
        }
        found
    }

    /// Checks that the account has the same state here as at WeChat, and that its token is valid if it is authorized.
    async fn wrong_about(&self, shop: Shop) -> Option<String> {
        let appid = &self.account(shop).appid;
        let state = self.world.store().accounts.get(appid).await.unwrap().map(|stored| stored.token.state);
        match (self.world.simulator.is_authorized(appid), state) {
            (true, Some(AccountState::Active)) => {
                (!self.accepts(appid).await).then(|| format!("WeChat refuses the stored token of account {shop}"))
            }
            (true, Some(state)) => Some(format!("account {shop} has authorized the platform and is {state}")),
            (true, None) => Some(format!("account {shop} has authorized the platform and is not stored")),
            (false, Some(AccountState::Active)) => Some(format!("account {shop} took its grant back and is active")),
            (false, _) => None,
        }
    }

    /// Checks that the details of each account agree with its row, and with what was reported: each change once by
    /// number, the last one with the account's state.
    async fn wrong_about_states(&self) -> Violations {
        let (store, mut found, mut never_sent) = (self.world.store(), Vec::new(), 0);
        let reported = self.world.bus.delivered_of("account.");
        for (shop, account) in self.accounts.iter().enumerate() {
            let row = store.accounts.get(&account.appid).await.unwrap();
            let details = store.details.get(&account.appid).await.unwrap().unwrap_or_default();
            let (is, known) = (row.map(|row| row.token.state), details.state.map(|(state, _)| state));
            // Details that are only read from the row know of no event.
            if is.is_some() && details.events == 0 {
                found.push(format!("the details of account {shop} have no item of their own"));
            }
            if is != known {
                found.push(format!("account {shop} is {is:?} and its details say {known:?}"));
            }
            let (mut events, mut order) = (BTreeMap::<u64, (&str, &Value)>::new(), Vec::new());
            for event in reported.iter().filter(|event| event.detail["authorizer_appid"] == account.appid.as_str()) {
                let sequence = event.detail["sequence"].as_u64().unwrap();
                let this = (event.detail_type.as_str(), &event.detail);
                if !events.contains_key(&sequence) {
                    order.push(sequence);
                }
                if events.insert(sequence, this).is_some_and(|other| other != this) {
                    found.push(format!("event {sequence} of account {shop} was reported in two ways"));
                }
            }
            if !order.is_sorted() {
                found.push(format!("the events of account {shop} came in the order {order:?}"));
            }
            let first = (details.events + 1).saturating_sub(events.len() as u64);
            if !events.keys().copied().eq(first..=details.events) {
                let numbers: Vec<_> = events.keys().collect();
                found.push(format!(
                    "of the {} events of account {shop} these were reported: {numbers:?}",
                    details.events
                ));
            }
            let said = events.iter().map(|(number, (_, detail))| (*number, *detail)).collect();
            let (wrong, missing) = self.event_webhook.wrong_about(&account.appid, &said);
            found.extend(wrong.into_iter().map(|wrong| format!("of account {shop} {wrong}")));
            never_sent += missing;
            let last = events.values().rev().find_map(|(detail_type, _)| entered(detail_type));
            if last != is {
                found.push(format!("account {shop} is {is:?} and was last reported to be {last:?}"));
            }
        }
        if never_sent > self.world.metrics.count(Measure::EventGivenUp) {
            found.push(format!("{never_sent} events were never sent to the event webhook and not all given up"));
        }
        found
    }

    /// Whether WeChat accepts the stored token of an account.
    pub(crate) async fn accepts(&self, appid: &AppId) -> bool {
        use secrecy::ExposeSecret as _;
        let record = self.world.store().tokens.get(&TokenOwner::Authorizer(appid.clone())).await.unwrap();
        let Some(token) = record.and_then(|record| record.access_token) else { return false };
        let mut url = self.world.wechat_url.join("cgi-bin/message/custom/send").unwrap();
        url.query_pairs_mut().append_pair("access_token", token.expose_secret());
        let body = json!({"touser": "openid", "msgtype": "text", "text": {"content": "hello"}});
        let answer: Value = self.http.post(url).json(&body).send().await.unwrap().json().await.unwrap();
        answer["errcode"] == 0
    }

    /// Checks that a link is bound to an account that was authorized through it.
    async fn wrong_about_links(&self) -> Violations {
        let mut found = Vec::new();
        for (number, link) in self.links.iter().enumerate() {
            let state = self.business.look(link).await;
            let Some(bound) = state["authorizer_appid"].as_str() else { continue };
            if !self.model.record().through.iter().any(|(link, account)| *link == number && account.as_str() == bound) {
                found.push(format!("link {number} is bound to {bound}, which was not authorized through it"));
            }
        }
        found
    }

    /// Checks that each push that was answered with `success` is on the bus, and nothing that WeChat has not pushed.
    fn wrong_about_events(&self) -> Violations {
        let record = self.model.record();
        let pushed = |push: &crate::model::SentPush| {
            (format!("grant.{}", push.push.info_type), push.account.to_string(), push.push.create_time.unix())
        };
        let delivered: Vec<_> = self
            .world
            .bus
            .delivered()
            .into_iter()
            .map(|event| {
                let text = |name: &str| event.detail[name].as_str().unwrap_or_default().to_owned();
                (
                    event.detail_type.clone(),
                    text("authorizer_appid"),
                    event.detail["create_time"].as_i64().unwrap_or_default(),
                )
            })
            .collect();
        let lost = record.pushes.iter().filter(|push| push.accepted && !delivered.contains(&pushed(push)));
        let lost = lost.map(|push| {
            format!(
                "{} of account {} was accepted and is not on the bus",
                push.push.info_type,
                self.letter(&push.account)
            )
        });
        let authorizations = ["grant.authorized", "grant.updateauthorized", "grant.unauthorized"];
        let all: Vec<_> = record.pushes.iter().filter(|push| push.sent).map(pushed).collect();
        let made_up =
            delivered.iter().filter(|event| authorizations.contains(&event.0.as_str()) && !all.contains(event));
        lost.chain(made_up.map(|event| format!("{event:?} is on the bus and was never pushed"))).collect()
    }

    /// Checks that each accepted message is on the bus as it was written, that the business was asked once at most, and
    /// that each reply belongs to its message.
    fn wrong_about_messages(&self) -> Violations {
        let record = self.model.record();
        let mut found = wrong_replies(&record);
        let events = self.world.bus.delivered();
        let asked = self.webhook.asked();
        for message in &record.messages {
            let is_it = |detail: &Value| detail["message"]["content"] == message.content.as_str();
            let fits = |detail: &Value| {
                detail["authorizer_appid"] == message.account.as_str() && detail["open_id"] == message.open_id.as_str()
            };
            let on_the_bus: Vec<_> = events.iter().map(|event| &event.detail).filter(|detail| is_it(detail)).collect();
            let taken = message.outcomes.iter().any(|outcome| outcome.fault.is_none());
            if taken && on_the_bus.is_empty() {
                found.push(format!("{:?} was taken and is not on the bus", message.content));
            }
            if !on_the_bus.into_iter().all(fits) {
                found.push(format!("{:?} is on the bus for another account or follower", message.content));
            }
            let times = asked.iter().filter(|call| is_it(&call.body["data"])).count();
            if times > 1 {
                found.push(format!("the webhook was asked {times} times about {:?}", message.content));
            }
        }
        found
    }
}

fn wrong_replies(record: &Record) -> Violations {
    let mut found = Vec::new();
    for message in &record.messages {
        for outcome in &message.outcomes {
            match outcome.fault {
                None | Some(AnswerFault::Status | AnswerFault::Unanswered) => {}
                Some(fault) => found.push(format!("{:?} is answered with garbage: {fault}", message.content)),
            }
            if let Some(reply) = outcome.reply_text().filter(|reply| *reply != format!("{}!", message.content)) {
                found.push(format!("{:?} is answered with {reply:?}", message.content));
            }
        }
    }
    found
}

/// The state that an event reports an account to be in.
fn entered(detail_type: &str) -> Option<AccountState> {
    match detail_type {
        "account.authorized" | "account.recovered" => Some(AccountState::Active),
        "account.needs_authorization" => Some(AccountState::NeedsAuthorization),
        "account.unauthorized" => Some(AccountState::Unauthorized),
        _ => None,
    }
}

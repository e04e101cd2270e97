//! The domains of one mini program (protocol section 13.1).

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::platform::{Pool, Pools};
use super::{Action, check_file, is_host, texts};
use crate::api::{Answer, Outcome, Request, ok};
use crate::business::OfAccount;
use crate::refusal::Refusal;
use crate::simulator::Simulator;
use crate::world::Holder;

/// The lists of server domains, and the scheme of each list's domains.
const SERVER: [(&str, &str); 6] = [
    ("requestdomain", "https://"),
    ("wsrequestdomain", "wss://"),
    ("uploaddomain", "https://"),
    ("downloaddomain", "https://"),
    ("udpdomain", "udp://"),
    ("tcpdomain", "tcp://"),
];
/// The list of web-view domains.
const WEB_VIEW: [(&str, &str); 1] = [("webviewdomain", "https://")];

/// An account's domains.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Domains {
    server: Lists,
    web_view: Lists,
    server_directly: Lists,
    web_view_directly: Lists,
}

/// Domains with their scheme, in named lists.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Lists(BTreeMap<String, Vec<String>>);

impl Lists {
    fn written(&self, names: &[(&str, &str)]) -> Map<String, Value> {
        let list = |name: &str| json!(self.0.get(name).map(Vec::as_slice).unwrap_or_default());
        names.iter().map(|(name, _)| ((*name).to_owned(), list(name))).collect()
    }

    /// Whether there are more domains than `before`.
    fn has_grown_from(&self, before: &Self) -> bool {
        let count = |lists: &Self| lists.0.values().map(Vec::len).sum::<usize>();
        count(self) > count(before)
    }
}

/// One of the four calls: what it changes, and the platform's domains from which it may choose.
struct Change {
    names: &'static [(&'static str, &'static str)],
    lists: fn(&mut Domains) -> &mut Lists,
    pool: Option<fn(&Pools) -> &Pool>,
}

pub(crate) fn modify_server(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let change = Change { names: &SERVER, lists: |of| &mut of.server, pool: Some(|of| &of.server) };
    change.make(simulator, request, holder, Action::required(request)?)
}

pub(crate) fn modify_server_directly(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let change = Change { names: &SERVER, lists: |of| &mut of.server_directly, pool: None };
    change.make(simulator, request, holder, Action::required(request)?)
}

/// Without an action, all domains that the platform has registered are added.
pub(crate) fn set_web_view(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let Some(action) = Action::of(request)? else {
        return simulator.change_both(&holder.account, |of, platform, _| {
            let all = platform.domains.web_view.all().map(|domain| format!("https://{domain}")).collect();
            Action::Add.apply(of.domains.web_view.0.entry(WEB_VIEW[0].0.to_owned()).or_default(), all);
            Ok(ok(Value::Object(of.domains.web_view.written(&WEB_VIEW))))
        });
    };
    let change = Change { names: &WEB_VIEW, lists: |of| &mut of.web_view, pool: Some(|of| &of.web_view) };
    change.make(simulator, request, holder, action)
}

pub(crate) fn set_web_view_directly(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let change = Change { names: &WEB_VIEW, lists: |of| &mut of.web_view_directly, pool: None };
    change.make(simulator, request, holder, Action::required(request)?)
}

impl Change {
    fn make(&self, simulator: &Simulator, request: &Request, holder: &Holder, action: Action) -> Outcome {
        simulator.change_both(&holder.account, |of, platform, _| {
            let pool = self.pool.map(|pool| pool(&platform.domains));
            let mut changed = (self.lists)(&mut of.domains).clone();
            let mut answer = Map::new();
            for (name, scheme) in self.names {
                let named = texts(request.body.get(*name));
                let (named, invalid): (Vec<_>, Vec<_>) = named
                    .into_iter()
                    .partition(|domain| domain.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
                if matches!(action, Action::Add | Action::Set) {
                    named.iter().try_for_each(|domain| check(domain, scheme, pool))?;
                }
                // An empty list is set too; a missing one is not.
                if action != Action::Set || request.body.contains_key(*name) {
                    action.apply(changed.0.entry((*name).to_owned()).or_default(), named);
                }
                answer.insert(format!("invalid_{name}"), json!(invalid));
            }
            let lists = (self.lists)(&mut of.domains);
            if action == Action::Add && !changed.has_grown_from(lists) {
                return Err(Refusal::new(85017, "no domain to add"));
            }
            answer.extend(changed.written(self.names));
            *lists = changed;
            Ok(ok(Value::Object(answer)))
        })
    }
}

/// Checks that a domain is the name of a host, and one that the platform has registered.
fn check(domain: &str, scheme: &str, pool: Option<&Pool>) -> Result<(), Refusal> {
    let rest = domain.strip_prefix(scheme).unwrap_or_default();
    let host = rest.split_once(':').map_or(rest, |(host, _)| host);
    if host.parse::<IpAddr>().is_ok() || !is_host(host) {
        return Err(Refusal::new(85301, "domain is an ip address or no domain"));
    }
    match pool {
        Some(pool) if !pool.has(host) => Err(Refusal::new(85018, "domain is not registered with the platform")),
        _ => Ok(()),
    }
}

pub(crate) fn effective_server(simulator: &Simulator, _: &Request, holder: &Holder) -> Outcome {
    Ok(effective(
        simulator,
        holder,
        &SERVER,
        |of| (&of.domains.server, &of.domains.server_directly),
        |lists, whose| (format!("{whose}_domain"), Value::Object(lists.written(&SERVER))),
    ))
}

pub(crate) fn effective_web_view(simulator: &Simulator, _: &Request, holder: &Holder) -> Outcome {
    Ok(effective(
        simulator,
        holder,
        &WEB_VIEW,
        |of| (&of.domains.web_view, &of.domains.web_view_directly),
        |lists, whose| {
            let mut written = lists.written(&WEB_VIEW);
            (format!("{whose}_webviewdomain"), written.remove(WEB_VIEW[0].0).unwrap_or_default())
        },
    ))
}

/// The effective domains, by origin: the account's own in WeChat's console (none here), the platform's, or those set
/// directly.
fn effective(
    simulator: &Simulator,
    holder: &Holder,
    names: &[(&str, &str)],
    lists: fn(&OfAccount) -> (&Lists, &Lists),
    written: fn(&Lists, &str) -> (String, Value),
) -> Answer {
    simulator.of_account(&holder.account, |of| {
        let (third, direct) = lists(of);
        let mut all = third.clone();
        for (name, _) in names {
            let more = direct.0.get(*name).cloned().unwrap_or_default();
            Action::Add.apply(all.0.entry((*name).to_owned()).or_default(), more);
        }
        let parts = [(&Lists::default(), "mp"), (third, "third"), (direct, "direct"), (&all, "effective")];
        ok(parts.into_iter().map(|(lists, whose)| written(lists, whose)).collect())
    })
}

pub(crate) fn confirm_file(_: &Simulator, _: &Request, holder: &Holder) -> Outcome {
    Ok(check_file(&holder.account))
}

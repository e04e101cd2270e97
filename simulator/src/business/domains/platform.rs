//! The domains that a platform has registered (protocol section 13.1, way one).

use base::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Action, check_file, is_host};
use crate::api::{Outcome, Request, ok};
use crate::beijing::beijing_month;
use crate::business::OfPlatform;
use crate::refusal::Refusal;
use crate::simulator::Simulator;

/// The most changes of each list in a month.
const MAX_CHANGES: usize = 50;

/// The platform's domains.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Pools {
    pub(super) server: Pool,
    pub(super) web_view: Pool,
}

/// Domains of one purpose, without their scheme.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Pool {
    testing: Vec<String>,
    published: Vec<String>,
    changes: Vec<Timestamp>,
}

impl Pool {
    pub(super) fn has(&self, domain: &str) -> bool {
        self.all().any(|known| known == domain)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &String> {
        self.testing.iter().chain(&self.published)
    }

    fn count_change(&mut self, now: Timestamp) -> Result<(), Refusal> {
        self.changes.retain(|at| beijing_month(*at) == beijing_month(now));
        if self.changes.len() >= MAX_CHANGES {
            return Err(Refusal::new(45104, "domain changes of this month are used up"));
        }
        self.changes.push(now);
        Ok(())
    }
}

pub(crate) fn modify_server(simulator: &Simulator, request: &Request) -> Outcome {
    modify(simulator, request, "wxa_server_domain", |of| &mut of.domains.server)
}

pub(crate) fn modify_web_view(simulator: &Simulator, request: &Request) -> Outcome {
    modify(simulator, request, "wxa_jump_h5_domain", |of| &mut of.domains.web_view)
}

fn modify(simulator: &Simulator, request: &Request, name: &str, pool: fn(&mut OfPlatform) -> &mut Pool) -> Outcome {
    let action = Action::required(request)?;
    let named = request.text(name)?.unwrap_or_default().split(';').map(str::to_owned);
    let (named, invalid): (Vec<_>, Vec<_>) = named.filter(|text| !text.is_empty()).partition(|text| is_host(text));
    if action != Action::Get && named.is_empty() && invalid.is_empty() {
        return Err(Refusal::missing(name));
    }
    let is_published = request.body.get("is_modify_published_together").and_then(Value::as_bool) == Some(true);
    simulator.change_platform(|of, at| {
        let pool = pool(of);
        if action != Action::Get {
            pool.count_change(at.now)?;
        }
        action.apply(&mut pool.testing, named.clone());
        if is_published {
            action.apply(&mut pool.published, named);
        }
        Ok(ok(json!({
            format!("published_{name}"): pool.published.join(";"),
            format!("testing_{name}"): pool.testing.join(";"),
            format!("invalid_{name}"): invalid.join(";"),
        })))
    })
}

pub(crate) fn confirm_file(simulator: &Simulator, _: &Request) -> Outcome {
    Ok(check_file(&simulator.platform().component_appid))
}

//! Messages made from templates: to followers (模板消息), and to users of a mini program or a service account who subscribed
//! (订阅消息, protocol section 5.13).

use std::collections::BTreeMap;

use base::ids::AppId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::messages::receiver;
use crate::api::{Outcome, Request, ok};
use crate::refusal::Refusal;
use crate::simulator::Simulator;
use crate::world::Holder;

/// The kinds of a template's keywords, in turn.
const KINDS: [&str; 4] = ["thing", "time", "number", "phrase"];
/// The most characters of a `thing`.
const MAX_THING: usize = 20;
/// The keywords of a template that names none.
const KEYWORDS: u64 = 2;

/// An account's templates by id, and who subscribed to them.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Templates(BTreeMap<String, Template>);

#[derive(Serialize, Deserialize)]
struct Template {
    keywords: Vec<String>,
    /// How many messages each user still wants: one consent is one message.
    consents: BTreeMap<String, u32>,
}

impl Simulator {
    /// Has a user of a mini program, or of a service account, consent to one message of this template.
    pub fn subscribe(&self, account: &AppId, open_id: &str, template_id: &str) {
        self.change_account(account, |of, _| {
            if let Some(template) = of.templates.0.get_mut(template_id) {
                *template.consents.entry(open_id.to_owned()).or_default() += 1;
            }
        });
    }

    fn add_template(&self, account: &AppId, keywords: Vec<String>) -> String {
        let id = format!("{}{}", self.random().id(), self.random().id());
        let template = Template { keywords, consents: BTreeMap::new() };
        self.change_account(account, |of, _| of.templates.0.insert(id.clone(), template));
        id
    }
}

impl Templates {
    fn template(&mut self, request: &Request) -> Result<&mut Template, Refusal> {
        let id = request.text("template_id")?.unwrap_or_default();
        self.0.get_mut(id).ok_or_else(Refusal::invalid_template)
    }

    fn list(&self, id: &str) -> Value {
        let entry = |(of, template): (&String, &Template)| {
            let content = template.keywords.iter().map(|keyword| format!("{{{{{keyword}.DATA}}}}\n"));
            json!({ id: of, "title": "预约提醒", "content": content.collect::<String>() })
        };
        self.0.iter().map(entry).collect()
    }
}

impl Template {
    /// A template of the library, with the keywords chosen by their numbers.
    fn keywords(chosen: impl Iterator<Item = u64>) -> Vec<String> {
        let kind = |number: u64| KINDS.into_iter().cycle().nth(usize::try_from((number - 1) % 4).unwrap_or_default());
        chosen.filter(|number| *number > 0).filter_map(|number| Some(format!("{}{number}", kind(number)?))).collect()
    }

    fn check(&self, data: Option<&Value>) -> Result<(), Refusal> {
        for keyword in &self.keywords {
            let value = data.and_then(|data| data.get(keyword)?.get("value")?.as_str()).unwrap_or_default();
            let is_right = match keyword.trim_end_matches(|last: char| last.is_ascii_digit()) {
                "thing" => value.chars().count() <= MAX_THING,
                "number" => value.parse::<f64>().is_ok(),
                _ => true,
            };
            if value.is_empty() || !is_right {
                return Err(Refusal::new(47003, format!("argument invalid! data.{keyword}.value invalid")));
            }
        }
        Ok(())
    }
}

/// Adds a template of official accounts.
pub(crate) fn add(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    request.required("template_id_short")?;
    let names = request.body.get("keyword_name_list").and_then(Value::as_array);
    let count = names.map_or(KEYWORDS, |names| names.len() as u64);
    let id = simulator.add_template(&holder.account, Template::keywords(1..=count));
    Ok(ok(json!({ "template_id": id })))
}

pub(crate) fn list(simulator: &Simulator, _: &Request, holder: &Holder) -> Outcome {
    let list = simulator.of_account(&holder.account, |of| of.templates.list("template_id"));
    Ok(json!({ "template_list": list }).into())
}

pub(crate) fn delete(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    remove(simulator, holder, request.text("template_id")?)
}

/// Adds a template for subscribers.
pub(crate) fn add_subscription(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    request.required("tid")?;
    let kids = request.body.get("kidList").and_then(Value::as_array).ok_or_else(|| Refusal::missing("kidList"))?;
    let id = simulator.add_template(&holder.account, Template::keywords(kids.iter().filter_map(Value::as_u64)));
    Ok(ok(json!({ "priTmplId": id })))
}

pub(crate) fn list_subscriptions(simulator: &Simulator, _: &Request, holder: &Holder) -> Outcome {
    let list = simulator.of_account(&holder.account, |of| of.templates.list("priTmplId"));
    Ok(ok(json!({ "data": list })))
}

pub(crate) fn delete_subscription(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    remove(simulator, holder, request.text("priTmplId")?)
}

fn remove(simulator: &Simulator, holder: &Holder, id: Option<&str>) -> Outcome {
    let removed = simulator.change_account(&holder.account, |of, _| of.templates.0.remove(id.unwrap_or_default()));
    removed.map(|_| ok(json!({}))).ok_or_else(Refusal::invalid_template)
}

pub(crate) fn send(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    simulator.check_follower(&holder.account, receiver(&request.body)?)?;
    simulator
        .change_account(&holder.account, |of, _| of.templates.template(request)?.check(request.body.get("data")))?;
    Ok(ok(json!({ "msgid": simulator.random().up_to(1 << 40) })))
}

pub(crate) fn send_subscribed(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let to = receiver(&request.body)?;
    simulator.change_account(&holder.account, |of, _| {
        let template = of.templates.template(request)?;
        template.check(request.body.get("data"))?;
        match template.consents.get_mut(to) {
            Some(wanted) if *wanted > 0 => *wanted -= 1,
            _ => return Err(Refusal::new(43101, "user refuse to accept the msg")),
        }
        Ok(())
    })?;
    Ok(ok(json!({})))
}

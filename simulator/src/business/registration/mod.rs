//! Registration of mini programs, as of 2026-04-30 (protocol section 5.12): a task, which the person confirms at the
//! URL in the response.
//!
//! The URL leads to a page of the simulator; [`Simulator::confirm_registration`] does the same without it.

pub(crate) mod page;

use std::collections::BTreeMap;
use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::api::{Outcome, Request, ok};
use crate::push::{Applicant, Push};
use crate::refusal::Refusal;
use crate::simulator::Simulator;
use crate::world::{Holder, Registration, SecretKind};

/// How long a task can be confirmed.
const LIFETIME: Duration = Duration::from_hours(24);
/// Characters of a company's code (统一社会信用代码).
const CODE_LENGTH: usize = 18;
/// `status` of a task that nobody has confirmed yet. The documentation gives only a range.
const WAITING: i64 = 1;
/// `status` of a task that nobody confirmed in time.
const EXPIRED: i64 = 100_003;

/// The tasks by their numbers.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Registrations(BTreeMap<String, Task>);

#[derive(Clone, Serialize, Deserialize)]
struct Task {
    is_trial: bool,
    /// The name of the mini program; a person's has no name yet.
    name: String,
    code: String,
    phone: String,
    created_at: Timestamp,
    /// `status` of the result.
    ended_with: Option<i64>,
}

/// The tickets with which mini programs take over the verification of official accounts.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct ReuseTickets(Vec<String>);

impl ReuseTickets {
    pub(super) fn values(&self) -> impl Iterator<Item = &String> {
        self.0.iter()
    }
}

impl Task {
    fn new(name: &str, code: &str, phone: &str, now: Timestamp) -> Self {
        let [name, code, phone] = [name, code, phone].map(str::to_owned);
        Self { is_trial: false, name, code, phone, created_at: now, ended_with: None }
    }

    fn status(&self, now: Timestamp) -> i64 {
        match self.ended_with {
            Some(status) => status,
            None if now.since(self.created_at) < LIFETIME => WAITING,
            None => EXPIRED,
        }
    }

    fn applicant(&self, task_id: &str) -> Applicant {
        Applicant {
            name: self.name.clone(),
            code: self.code.clone(),
            phone: self.phone.clone(),
            task_id: Some(task_id.to_owned()),
        }
    }
}

impl Simulator {
    /// Has the person confirm a registration: there is a new mini program, authorized to the platform. The push is
    /// returned unsent; `None` if nothing waits under this `taskid` or `unique_id`.
    #[must_use]
    pub fn confirm_registration(&self, task_id: &str) -> Option<Registration> {
        let task = self.end_registration(task_id, 0)?;
        let component = &self.platform().component_appid;
        let registration =
            self.change(|world, at| world.register_mini_program(&task.name, &task.applicant(task_id), component, at));
        if !task.is_trial {
            return Some(registration);
        }
        let push = Push::trial_registered(component, &registration.appid, task_id, &task.name, self.now());
        Some(Registration { push, ..registration })
    }

    /// Fails a registration with a status of section 5.12. The push is returned unsent; `None` if nothing waits under
    /// this `taskid`.
    #[must_use]
    pub fn refuse_registration(&self, task_id: &str, status: i64, msg: &str) -> Option<Push> {
        let task = self.end_registration(task_id, status)?;
        let component = &self.platform().component_appid;
        Some(Push::registration_failed(component, status, msg, &task.applicant(task_id), self.now()))
    }

    /// Has the administrator of an official account let a new mini program take over its verification; returns the
    /// ticket that the browser brings back.
    #[must_use]
    pub fn reuse_ticket(&self, official_account: &AppId) -> String {
        let ticket = self.change(|world, at| world.issue(SecretKind::RegistrationTicket, "", at));
        self.change_account(official_account, |of, _| of.reuse_tickets.0.push(ticket.clone()));
        ticket
    }

    fn add_task(&self, task: Task, host: &str) -> (String, String) {
        let id = self.random().id();
        self.change_platform(|of, _| of.registrations.0.insert(id.clone(), task));
        let url = format!("http://{host}{}{id}", page::PATH);
        (id, url)
    }

    fn end_registration(&self, task_id: &str, status: i64) -> Option<Task> {
        self.change_platform(|of, at| {
            let task = of.registrations.0.get_mut(task_id)?;
            if task.status(at.now) != WAITING {
                return None;
            }
            task.ended_with = Some(status);
            Some(task.clone())
        })
    }
}

/// Refuses calls of the earlier version, and the interface that was removed, with −1.
fn check_new_version(request: &Request) -> Result<(), Refusal> {
    if request.body.get("new_version") == Some(&json!(true)) { Ok(()) } else { Err(Refusal::system_error()) }
}

fn required<'a>(request: &'a Request, name: &str) -> Result<&'a str, Refusal> {
    request.text(name)?.ok_or_else(|| Refusal::new(89253, format!("lack of parameter: {name}")))
}

/// Adds a task, or returns the state of one.
fn task(simulator: &Simulator, request: &Request, new: impl FnOnce(Timestamp) -> Result<Task, Refusal>) -> Outcome {
    check_new_version(request)?;
    match request.parameter("action") {
        Some("create") => {
            let (id, url) = simulator.add_task(new(simulator.now())?, &request.host);
            Ok(ok(json!({ "taskid": id, "authorize_url": url, "status": WAITING })))
        }
        Some("query") => {
            let id = required(request, "taskid")?;
            let now = simulator.now();
            let status = simulator.of_platform(|of| of.registrations.0.get(id).map(|task| task.status(now)));
            let status = status.ok_or_else(|| Refusal::new(89250, "no such task"))?;
            let url = format!("http://{}{}{id}", request.host, page::PATH);
            Ok(ok(json!({ "taskid": id, "authorize_url": url, "status": status })))
        }
        _ => Err(Refusal::new(40097, "invalid args: action")),
    }
}

pub(crate) fn enterprise(simulator: &Simulator, request: &Request) -> Outcome {
    task(simulator, request, |now| {
        let (name, code) = (required(request, "name")?, required(request, "code")?);
        if code.len() != CODE_LENGTH {
            return Err(Refusal::new(89255, "code error"));
        }
        Ok(Task::new(name, code, request.text("component_phone")?.unwrap_or_default(), now))
    })
}

pub(crate) fn person(simulator: &Simulator, request: &Request) -> Outcome {
    task(simulator, request, |now| {
        required(request, "wxuser")?;
        required(request, "idname")?;
        Ok(Task::new("", "", request.text("component_phone")?.unwrap_or_default(), now))
    })
}

pub(crate) fn trader(simulator: &Simulator, request: &Request) -> Outcome {
    task(simulator, request, |now| {
        required(request, "openid")?;
        Ok(Task::new("", "", request.text("component_phone")?.unwrap_or_default(), now))
    })
}

/// A trial mini program (试用小程序).
pub(crate) fn trial(simulator: &Simulator, request: &Request) -> Outcome {
    required(request, "openid")?;
    let task = Task::new(required(request, "name")?, "", "", simulator.now());
    let (id, url) = simulator.add_task(Task { is_trial: true, ..task }, &request.host);
    Ok(ok(json!({ "unique_id": id, "authorize_url": url })))
}

/// The interface of the earlier version.
pub(crate) fn gone(_: &Simulator, _: &Request) -> Outcome {
    Err(Refusal::system_error())
}

/// A mini program that takes over the verification of an official account.
pub(crate) fn reuse(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let ticket = request.text("ticket")?.unwrap_or_default();
    let is_good = simulator.change_account(&holder.account, |of, _| {
        let tickets = of.reuse_tickets.0.len();
        of.reuse_tickets.0.retain(|known| known != ticket);
        of.reuse_tickets.0.len() < tickets
    });
    if !is_good {
        return Err(Refusal::new(61058, "invalid ticket"));
    }
    let registration = simulator.register_mini_program("");
    Ok(ok(json!({
        "appid": registration.appid,
        "authorization_code": registration.push_code,
        "is_wx_verify_succ": true,
        "is_link_succ": true,
    })))
}

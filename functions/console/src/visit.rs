//! A request of an operator with a bound browser: what every page and every act works with.

use std::future::Future;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse as _, Response};
use base::ids::AppId;
use http::StatusCode;
use http::request::Parts;
use store::{Actor, AuditEntry, StoreError};
use url::form_urlencoded;
use web::{InternalError, spawn_with_timeout};

use crate::Console;
use crate::access::Open;
use crate::functions::{Answer, Call, Caller};
use crate::guard::{Asked, Form};
use crate::trouble::{Refusal, Trouble, Unclear};
use crate::view::View;
use crate::words::Section;

/// A request that the guard has admitted.
pub(crate) struct Visit {
    console: Console,
    view: View,
    asked: Asked,
    form: Form,
    query: String,
}

/// The same with the platform's items.
pub(crate) struct OpenVisit {
    pub(crate) console: Console,
    pub(crate) open: Open,
    pub(crate) asked: Asked,
    /// The fields of a form.
    pub(crate) form: Form,
    query: String,
    view: View,
}

/// An operator's act, as the audit has it.
#[derive(Debug, Clone)]
pub(crate) struct Act {
    /// The act, such as `account.label`.
    pub(crate) what: &'static str,
    /// The account that it is done to.
    pub(crate) account: Option<AppId>,
    /// Its other object, such as a link's id.
    pub(crate) subject: Option<String>,
    /// Further details.
    pub(crate) detail: Option<String>,
}

impl Act {
    /// An act on an account.
    pub(crate) fn on(account: &AppId, what: &'static str) -> Self {
        Self { what, account: Some(account.clone()), subject: None, detail: None }
    }

    /// An act on something else, or on nothing in particular.
    pub(crate) fn named(what: &'static str, subject: Option<String>) -> Self {
        Self { what, account: None, subject, detail: None }
    }
}

impl FromRequestParts<Console> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Response> {
        let extensions = &mut parts.extensions;
        // Without the guard before it nobody gets anywhere.
        let (Some(view), Some(asked)) = (extensions.get::<View>(), extensions.get::<Asked>()) else {
            return Err(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        };
        let form = extensions.get::<Form>().cloned().unwrap_or_default();
        let query = parts.uri.query().unwrap_or_default().to_owned();
        Ok(Self { console: console.clone(), view: view.clone(), asked: asked.clone(), form, query })
    }
}

impl Visit {
    /// Responds with the result of `work`, or with a page that explains the failure. `what` names the request in the
    /// log.
    pub(crate) async fn answer<F>(self, what: &'static str, work: impl FnOnce(OpenVisit) -> F) -> Response
    where
        F: Future<Output = Result<Response, Trouble>> + Send + 'static,
    {
        let Self { console, view, asked, form, query } = self;
        let bound = asked.until;
        let open = asked.open.clone();
        let visit = OpenVisit { console: console.clone(), open, asked, form, query, view: view.clone() };
        let answered = spawn_with_timeout(bound, Box::pin(work(visit))).await;
        answered
            // The act that a form requested continues, and may still be done.
            .unwrap_or_else(|error| {
                Err(if view.is_form() { Trouble::unclear(Unclear::Unanswered(error)) } else { error.into() })
            })
            .unwrap_or_else(|trouble| view.trouble(&console, what, trouble))
    }
}

impl OpenVisit {
    /// The frame of a page with this title.
    pub(crate) fn view(&self, title: impl Into<String>) -> View {
        self.view.titled(title, self.open.component.as_str())
    }

    /// The frame of a page with a title in both languages.
    pub(crate) fn titled(&self, chinese: &str, english: &str) -> View {
        self.view(self.view.t(chinese, english))
    }

    /// The frame of a page that the navigation leads to.
    pub(crate) fn section(&self, section: Section) -> View {
        self.view(section.title(self.view.language))
    }

    /// The frame of a response that has no page of its own.
    pub(crate) const fn frame(&self) -> &View {
        &self.view
    }

    /// A parameter of the query without white space around it; empty if it is missing.
    pub(crate) fn parameter(&self, name: &str) -> String {
        let found = form_urlencoded::parse(self.query.as_bytes()).find(|(found, _)| found == name);
        found.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    }

    /// The parsed value of a parameter, if it is given: a URL with an invalid one is not ours.
    pub(crate) fn read<T>(&self, name: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Trouble> {
        match self.parameter(name).as_str() {
            "" => Ok(None),
            text => parse(text).map(Some).ok_or(Trouble::Address),
        }
    }

    /// The account that a parameter names, if there is one.
    pub(crate) fn account_in(&self, name: &str) -> Result<Option<AppId>, Trouble> {
        self.read(name, |text| AppId::parse(text).ok())
    }

    /// Does what an operator requests. The act is in the audit before it is done; its outcome is added.
    pub(crate) async fn act(&self, act: &Act, call: Call) -> Result<Answer, Trouble> {
        let audit = &self.open.items.audit_log;
        let entry = self.entry(act);
        audit.begin(&entry).await?;
        let answered = self.open.functions.call(call, self.caller()).await;
        let outcome = match &answered {
            Ok(answer) if answer.status.is_success() => done(answer),
            Ok(answer) if Refusal::of(answer).is_certain() => format!("refused: {}", Refusal::of(answer).kind),
            Ok(_) | Err(_) => "unknown".to_owned(),
        };
        if let Err(error) = audit.finish(&entry.place(), &outcome).await {
            tracing::warn!("the outcome of an act is missing from the audit: {error}");
        }
        match answered {
            Ok(answer) if answer.status.is_success() => Ok(answer),
            Ok(answer) => Err(Trouble::of_act(Refusal::of(&answer))),
            Err(error) => Err(Trouble::unclear(Unclear::Unanswered(error.into()))),
        }
    }

    /// Records an act that is done here and not by another function.
    pub(crate) async fn note(&self, act: &Act) -> Result<(), Trouble> {
        let entry = AuditEntry { outcome: Some("done".to_owned()), ..self.entry(act) };
        Ok(self.open.items.audit_log.begin(&entry).await?)
    }

    /// A part of a page; `None` if it cannot be read, which is logged: the other parts are shown all the same.
    pub(crate) fn part<T>(&self, what: &str, read: Result<T, StoreError>) -> Option<T> {
        let parts = &self.console.0.parts;
        let failed = |error: StoreError| drop(InternalError::from(error).report(what, &parts.random, &parts.metrics));
        read.map_err(failed).ok()
    }

    /// The operator, as records of acts name them.
    pub(crate) fn actor(&self) -> Actor {
        let Asked { session, source, .. } = &self.asked;
        source.actor(format!("operator:{}", session.operator.name))
    }

    fn entry(&self, act: &Act) -> AuditEntry {
        let entry = AuditEntry::new(act.what, &self.actor(), &self.console.0.parts.random, self.open.now());
        let entry = act.account.iter().fold(entry, AuditEntry::for_account);
        let entry = act.subject.iter().fold(entry, |entry, subject| entry.about(subject));
        act.detail.iter().fold(entry, |entry, detail| entry.with_detail(detail))
    }

    fn caller(&self) -> Caller<'_> {
        Caller { operator: self.asked.session.operator.name.as_str(), source_ip: self.asked.source.ip }
    }
}

/// The outcome of an act, with the link that it created, if it did.
fn done(answer: &Answer) -> String {
    let made = answer.body["link_id"].as_str().filter(|_| answer.status == StatusCode::CREATED);
    made.map_or_else(|| "done".to_owned(), |link| format!("done: {link}"))
}

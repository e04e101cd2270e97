//! `/console/accounts/{appid}`: one account, what has happened to it, and what can be done for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use base::clock::Timestamp;
use base::ids::{AppId, LinkId};
use base::language::Language;
use diagnosis::codes::{self, Explanation};
use diagnosis::shows_arrivals;
use diagnosis::words::{account_status, change, permission, state_meaning};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use store::{ACCOUNT_ARRIVALS_EVERY, AccountState, CountedFailure, KnownAccount, LinkStatus, Links, PastEvent};

use super::arrivals::Push;
use super::links;
use super::overview::asking_again;
use crate::functions::{Call, Function};
use crate::trouble::{Thing, Trouble};
use crate::view::View;
use crate::visit::{Act, OpenVisit, Visit};
use crate::words::{self, Badge, Done};

/// The most events, pushes and failed calls that are shown.
const SHOWN: usize = 20;

/// How far back failed calls are shown.
const FAILED_SINCE: Duration = Duration::from_hours(24 * 7);

#[derive(Template)]
#[template(path = "account.html")]
struct Page<'a> {
    v: &'a View,
    appid: &'a AppId,
    name: &'a str,
    picture: Option<String>,
    facts: Vec<(&'static str, String)>,
    standing: Badge,
    since: Option<Timestamp>,
    /// The meaning of the state.
    meaning: Option<&'static str>,
    issued_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    due_at: Option<Timestamp>,
    profile_read_at: Option<Timestamp>,
    /// `None` if it cannot be read.
    last_message: Option<LastMessage>,
    failure: Option<Failure>,
    permissions: Vec<String>,
    missing: Vec<String>,
    is_active: bool,
    wants_link: bool,
    /// The link that asks the merchant to authorize again, if it has not been used yet.
    asking: Option<LinkId>,
    draft: Draft,
    /// What was entered, if the form shows newer values.
    entered: Option<Draft>,
    /// Tags that cannot be written in the form, which leaves them unchanged.
    fixed_tags: Vec<(&'a str, &'a str)>,
    problem: Option<String>,
    history: Vec<Happened>,
    pushes: Vec<Push>,
    calls: Vec<FailedCall>,
}

/// When the last message or event arrived.
struct LastMessage {
    /// To an hour; `None` if none has arrived for 90 days.
    at: Option<Timestamp>,
    /// The time before which no newer one is stored, if it has not come yet.
    next: Option<Timestamp>,
    /// Whether it shows that messages arrive.
    is_recent: bool,
}

impl LastMessage {
    fn new(at: Option<Timestamp>, now: Timestamp) -> Self {
        let next = at.map(|at| at.plus(ACCOUNT_ARRIVALS_EVERY)).filter(|next| *next > now);
        Self { at, next, is_recent: shows_arrivals(at.map(|at| now.since(at))) }
    }
}

/// Why the last renewal has failed.
struct Failure {
    at: Option<Timestamp>,
    label: String,
    errmsg: Option<String>,
    rid: Option<String>,
    advice: Explanation,
}

/// An event of the account.
struct Happened {
    at: Timestamp,
    what: String,
}

/// A call on behalf of the account that has failed.
struct FailedCall {
    at: Timestamp,
    count: u64,
    path: String,
    code: String,
    rid: Option<String>,
    advice: Explanation,
}

/// The business's labels of an account, as the form has them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    version: String,
    reference: String,
    /// One tag per line, `key=value`.
    tags: String,
    /// One origin per line.
    origins: String,
}

/// Why something was not done.
struct Refused {
    problem: String,
    /// The form, if it was one with fields.
    draft: Option<Draft>,
    /// Somebody else has saved something in the meantime.
    is_outdated: bool,
}

impl Draft {
    fn of(account: &KnownAccount) -> Self {
        let details = &account.details;
        let tags = details.labels.tags.iter().filter(|(key, value)| is_line(key, value));
        let tags: Vec<String> = tags.map(|(key, value)| format!("{key}={value}")).collect();
        Self {
            version: details.labels_version.to_string(),
            reference: on_a_line(details.labels.reference.as_deref().unwrap_or_default()),
            tags: tags.join("\n"),
            origins: details.login_origins.join("\n"),
        }
    }

    fn read(visit: &OpenVisit) -> Self {
        let [version, reference, tags, origins] =
            ["version", "reference", "tags", "origins"].map(|name| visit.form.text(name).to_owned());
        Self { version, reference, tags, origins }
    }

    /// The tags; `None` if a line is not a tag, or repeats a name.
    fn tags(&self) -> Option<BTreeMap<String, String>> {
        let mut tags = BTreeMap::new();
        for line in lines(&self.tags) {
            let (key, value) = tag(line)?;
            if tags.insert(key.to_owned(), value.to_owned()).is_some() {
                return None;
            }
        }
        Some(tags)
    }

    /// The differences between the account and a form that [`Draft::of`] filled in. What the form cannot show stays
    /// unchanged.
    fn changes(&self, known: &KnownAccount) -> Option<Changes> {
        let tags = self.tags()?;
        let before: BTreeMap<&String, &String> =
            known.details.labels.tags.iter().filter(|(key, value)| is_line(key, value)).collect();
        let gone = before.keys().filter(|key| !tags.contains_key(**key)).map(|key| ((*key).clone(), Value::Null));
        let new = tags.iter().filter(|(key, value)| before.get(key) != Some(value));
        let tags = gone.chain(new.map(|(key, value)| (key.clone(), value.as_str().into()))).collect();
        let origins: Vec<String> = lines(&self.origins).map(str::to_owned).collect();
        let reference = Some(self.reference.as_str()).filter(|reference| !reference.is_empty());
        Some(Changes {
            reference: (self.reference != Self::of(known).reference).then(|| reference.into()),
            tags,
            origins: (origins != known.details.login_origins).then_some(origins),
            origins_before: known.details.login_origins.clone(),
        })
    }
}

/// An operator's changes to the business's labels of an account.
#[derive(Debug, PartialEq, Eq)]
struct Changes {
    /// The new reference; `Null` for none.
    reference: Option<Value>,
    /// New values; `Null` for those that are removed.
    tags: serde_json::Map<String, Value>,
    /// All origins, if any was added or removed.
    origins: Option<Vec<String>>,
    origins_before: Vec<String>,
}

impl Changes {
    fn is_empty(&self) -> bool {
        self.reference.is_none() && self.tags.is_empty() && self.origins.is_none()
    }

    /// The body of the request.
    fn patch(&self) -> Value {
        let mut patch = json!({});
        if let Some(reference) = &self.reference {
            patch["reference"] = reference.clone();
        }
        if !self.tags.is_empty() {
            patch["tags"] = self.tags.clone().into();
        }
        if let Some(origins) = &self.origins {
            patch["login_origins"] = origins.as_slice().into();
        }
        patch
    }

    /// The record for the audit, which lists the added and the removed origins.
    fn detail(&self) -> Value {
        let mut detail = self.patch();
        if let (Some(origins), Some(members)) = (&self.origins, detail.as_object_mut()) {
            members.remove("login_origins");
            let without = |these: &[String], those: &[String]| -> Vec<String> {
                these.iter().filter(|origin| !those.contains(origin)).cloned().collect()
            };
            let (new, gone) = (without(origins, &self.origins_before), without(&self.origins_before, origins));
            for (name, origins) in [("login_origins_added", new), ("login_origins_removed", gone)] {
                if !origins.is_empty() {
                    members.insert(name.to_owned(), origins.into());
                }
            }
        }
        detail
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

fn tag(line: &str) -> Option<(&str, &str)> {
    line.split_once('=').map(|(key, value)| (key.trim(), value.trim()))
}

/// Whether a tag survives being a line of the form: services may choose others.
fn is_line(key: &str, value: &str) -> bool {
    let line = format!("{key}={value}");
    tag(&line) == Some((key, value)) && !line.contains(char::is_control)
}

/// A text as a field of one line has it.
fn on_a_line(text: &str) -> String {
    text.replace(['\r', '\n'], "").trim().to_owned()
}

/// `GET /console/accounts/{appid}`.
pub(crate) async fn show(visit: Visit, Path(appid): Path<String>) -> Response {
    visit
        .answer("showing an account", |visit| async move {
            Box::pin(shown(&visit, &parse(&appid)?, None, StatusCode::OK)).await
        })
        .await
}

fn parse(appid: &str) -> Result<AppId, Trouble> {
    AppId::parse(appid).map_err(|_| Trouble::Unknown(Thing::Account))
}

/// The page; with what was entered and why it was not saved, if that is so.
async fn shown(
    visit: &OpenVisit,
    appid: &AppId,
    refused: Option<Refused>,
    status: StatusCode,
) -> Result<Response, Trouble> {
    let (items, now) = (&visit.open.items, visit.open.now());
    let (account, history, pushes, calls, last_message) = tokio::try_join!(
        items.account_lists.get(appid),
        items.outbox.history(appid, SHOWN, None),
        items.arrivals.of_account(appid, SHOWN, None),
        items.failed_calls.page(Some(appid.as_str()), now.minus(FAILED_SINCE), SHOWN, None),
        async { Ok(items.message_arrivals.last(Some(appid), now).await) },
    )?;
    let account = account.ok_or(Trouble::Unknown(Thing::Account))?;
    let details = &account.details;
    let profile = details.profile.as_ref();
    let name = profile.and_then(|profile| profile.nick_name.as_deref()).unwrap_or_default();
    let v = visit.view(if name.is_empty() { appid.as_str() } else { name }).at(format!("/console/accounts/{appid}"));
    let language = v.language;
    let wanted = &visit.console.config().wanted_permissions;
    let missing: Vec<u32> = wanted.iter().copied().filter(|id| !details.func_info.contains(id)).collect();
    let (draft, entered, problem) = match refused {
        Some(Refused { problem, draft: Some(draft), is_outdated: false }) => (draft, None, Some(problem)),
        Some(Refused { problem, draft, .. }) => (Draft::of(&account), draft, Some(problem)),
        None => (Draft::of(&account), None, None),
    };
    let tags = details.labels.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let token = &account.token;
    let named = |ids: &[u32]| ids.iter().map(|id| permission(*id, language)).collect();
    let page = Page {
        appid,
        name,
        picture: profile.and_then(|profile| words::picture(profile.head_img.as_deref())),
        facts: facts(&account, language),
        standing: words::standing(&account, language),
        since: details.state.map(|(_, since)| since),
        meaning: details.state.map(|(state, _)| state_meaning(state, language)),
        issued_at: token.stored_at.filter(|_| token.expires_at.is_some()),
        expires_at: token.expires_at,
        due_at: token.due_at.filter(|_| words::is_active(&account)),
        profile_read_at: details.profile_read_at,
        last_message: visit
            .part("reading when a message last arrived", last_message)
            .map(|at| LastMessage::new(at, now)),
        failure: failure(&account, language),
        permissions: named(&details.func_info),
        is_active: words::is_active(&account),
        asking: asking(&items.links, &account, &history.0, now).await?,
        wants_link: !missing.is_empty() || !words::is_active(&account),
        missing: named(&missing),
        draft,
        entered,
        fixed_tags: tags.filter(|(key, value)| !is_line(key, value)).collect(),
        problem,
        history: history.0.into_iter().filter_map(|event| happened(event, language)).collect(),
        pushes: pushes.0.iter().map(|push| Push::of(push, language)).collect(),
        calls: calls.failures.into_iter().map(|call| failed_call(call, language)).collect(),
        v: &v,
    };
    Ok(v.page(status, &page)?)
}

/// The link that the platform created when the account was lost, if the account still is lost and the link can be used.
async fn asking(
    links: &Links,
    account: &KnownAccount,
    history: &[PastEvent],
    now: Timestamp,
) -> Result<Option<LinkId>, Trouble> {
    if account.details.state.is_none_or(|(state, _)| state != AccountState::NeedsAuthorization) {
        return Ok(None);
    }
    let made = history.iter().find_map(|event| asking_again(&event.event.as_ref()?.change));
    let Some(made) = made else { return Ok(None) };
    let link = links.get(made, now).await?.filter(|link| link.status(now) == LinkStatus::Pending);
    Ok(link.map(|link| link.id))
}

fn facts(account: &KnownAccount, language: Language) -> Vec<(&'static str, String)> {
    let mut facts = vec![(language.pick("AppID", "Appid"), account.appid.to_string())];
    let Some(profile) = &account.details.profile else { return facts };
    facts.push((language.pick("类型", "Kind"), words::kind(profile.kind, language).to_owned()));
    let texts = [
        (language.pick("原始 ID", "Original id"), &profile.user_name),
        (language.pick("主体", "Owner"), &profile.principal_name),
        (language.pick("微信号", "WeChat id"), &profile.alias),
    ];
    facts.extend(
        texts.into_iter().filter_map(|(name, text)| Some((name, text.clone().filter(|text| !text.is_empty())?))),
    );
    if let Some(verified) = profile.verify_type {
        let text = if verified < 0 {
            language.pick("未认证", "Not verified")
        } else {
            language.pick("已认证", "Verified")
        };
        facts.push((language.pick("认证", "Verification"), text.to_owned()));
    }
    if let Some(status) = profile.account_status.filter(|status| *status != 1) {
        facts.push((language.pick("账号状态", "Status at WeChat"), account_status(status, language)));
    }
    facts
}

fn failure(account: &KnownAccount, language: Language) -> Option<Failure> {
    let label = account.token.last_error.clone()?;
    let last = account.token.last_failure.as_ref();
    Some(Failure {
        at: last.map(|failure| Timestamp::from_unix(failure.at)),
        errmsg: last.and_then(|failure| failure.errmsg.clone()),
        rid: last.and_then(|failure| failure.rid.clone()),
        advice: codes::of_renewal(&label, words::is_active(account), language),
        label,
    })
}

fn happened(event: PastEvent, language: Language) -> Option<Happened> {
    let event = event.event?;
    Some(Happened { at: Timestamp::from_unix(event.at), what: change(&event.change, language) })
}

fn failed_call(call: CountedFailure, language: Language) -> FailedCall {
    let CountedFailure { count, last } = call;
    FailedCall {
        at: Timestamp::from_unix(last.at),
        count,
        advice: codes::of_call(&last.code, language),
        path: last.path,
        code: last.code,
        rid: last.rid,
    }
}

/// `POST /console/accounts/{appid}/labels`.
pub(crate) async fn change_labels(visit: Visit, Path(appid): Path<String>) -> Response {
    visit
        .answer("changing what is said about an account", |visit| async move {
            Box::pin(changed(visit, parse(&appid)?)).await
        })
        .await
}

async fn changed(visit: OpenVisit, appid: AppId) -> Result<Response, Trouble> {
    let draft = Draft::read(&visit);
    let known = visit.open.items.account_lists.get(&appid).await?.ok_or(Trouble::Unknown(Thing::Account))?;
    let Some(changes) = draft.changes(&known) else {
        let problem = visit.frame().t(
            "标签每行一个，格式为 名称=内容，例如 plan=gold，名称不能重复。",
            "Write each tag on a line of its own as key=value, such as plan=gold, and each key once.",
        );
        let refused = Some(Refused { problem: problem.to_owned(), draft: Some(draft), is_outdated: false });
        return Box::pin(shown(&visit, &appid, refused, StatusCode::BAD_REQUEST)).await;
    };
    let saved = || Ok(visit.frame().see(&format!("/console/accounts/{appid}"), Some(Done::Labelled)));
    if changes.is_empty() {
        // Also when a form arrives a second time, after its first try has saved it.
        return saved();
    }
    let call = Call::to(Function::AccountApi, Method::PATCH, "/accounts/{appid}", Some(appid.as_str()));
    let call = Call { if_match: Some(format!("\"{}\"", draft.version)), ..call.with(changes.patch()) };
    let act = Act { detail: Some(changes.detail().to_string()), ..Act::on(&appid, "account.label") };
    match visit.act(&act, call).await {
        Ok(_) => saved(),
        Err(Trouble::Refused(refusal)) => {
            let problem = refusal.said(visit.frame().language);
            let refused = Refused { problem, draft: Some(draft), is_outdated: refusal.kind == "version-mismatch" };
            Box::pin(shown(&visit, &appid, Some(refused), refusal.status)).await
        }
        Err(trouble) => Err(trouble),
    }
}

/// `POST /console/accounts/{appid}/profile-reading`.
pub(crate) async fn read_profile(visit: Visit, Path(appid): Path<String>) -> Response {
    visit
        .answer("reading a profile", |visit| async move {
            Box::pin(post(
                visit,
                &appid,
                "account.read-profile",
                "/accounts/{appid}/profile-readings",
                Done::ProfileRead,
            ))
            .await
        })
        .await
}

/// `POST /console/accounts/{appid}/renewal`.
pub(crate) async fn renew(visit: Visit, Path(appid): Path<String>) -> Response {
    visit
        .answer("asking for a renewal", |visit| async move {
            Box::pin(post(visit, &appid, "account.renew", "/accounts/{appid}/renewals", Done::RenewalAsked)).await
        })
        .await
}

async fn post(
    visit: OpenVisit,
    appid: &str,
    what: &'static str,
    route: &'static str,
    done: Done,
) -> Result<Response, Trouble> {
    let appid = parse(appid)?;
    let call = Call::to(Function::AccountApi, Method::POST, route, Some(appid.as_str()));
    match visit.act(&Act::on(&appid, what), call).await {
        Ok(_) => Ok(visit.frame().see(&format!("/console/accounts/{appid}"), Some(done))),
        Err(Trouble::Refused(refusal)) => {
            let problem = refusal.said(visit.frame().language);
            let refused = Refused { problem, draft: None, is_outdated: false };
            Box::pin(shown(&visit, &appid, Some(refused), refusal.status)).await
        }
        Err(trouble) => Err(trouble),
    }
}

/// `POST /console/accounts/{appid}/link`: a link for this account alone. If the platform's wanted permission sets are
/// configured, it asks for those that the account had granted and for these; otherwise for all that the platform has.
pub(crate) async fn make_link(visit: Visit, Path(appid): Path<String>) -> Response {
    visit.answer("making a link for an account", |visit| async move { asked_again(visit, parse(&appid)?).await }).await
}

async fn asked_again(visit: OpenVisit, appid: AppId) -> Result<Response, Trouble> {
    let known = visit.open.items.account_lists.get(&appid).await?.ok_or(Trouble::Unknown(Thing::Account))?;
    let wanted = &visit.console.config().wanted_permissions;
    let mut body = json!({ "biz_appid": appid });
    if !wanted.is_empty() {
        let sets: BTreeSet<u32> = known.details.func_info.iter().chain(wanted).copied().collect();
        body["category_ids"] = sets.into_iter().collect();
    }
    links::created(&visit, Act::on(&appid, "link.create"), body).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(tags: &[(&str, &str)]) -> KnownAccount {
        let mut details = store::AccountDetails::default();
        details.labels.tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        KnownAccount { appid: AppId::parse("wx1").unwrap(), details, token: store::TokenStatus::default() }
    }

    #[test]
    fn a_form_becomes_a_patch_that_leaves_nothing_of_before() {
        let draft = Draft {
            version: "3".to_owned(),
            reference: "42".to_owned(),
            tags: "plan = gold\r\n\n note=a=b \n".to_owned(),
            origins: "https://a.example\nhttps://b.example".to_owned(),
        };
        let mut known = account(&[("plan", "silver"), ("old", "x")]);
        known.details.login_origins = vec!["https://a.example".to_owned(), "https://c.example".to_owned()];
        let changes = draft.changes(&known).unwrap();
        let tags = json!({ "plan": "gold", "note": "a=b", "old": null });
        let expected = json!({
            "reference": "42",
            "tags": tags,
            "login_origins": ["https://a.example", "https://b.example"],
        });
        assert_eq!(changes.patch(), expected);
        let detail = json!({
            "reference": "42",
            "tags": tags,
            "login_origins_added": ["https://b.example"],
            "login_origins_removed": ["https://c.example"],
        });
        assert_eq!(changes.detail(), detail);
        assert!(Draft::default().changes(&account(&[])).unwrap().is_empty());
        assert!(Draft::of(&known).changes(&known).unwrap().is_empty());
    }

    #[test]
    fn a_line_that_is_no_tag_is_not_lost_silently() {
        for tags in ["plan=gold\nimportant", "plan=gold\nplan=silver"] {
            assert!(Draft { tags: tags.to_owned(), ..Draft::default() }.changes(&account(&[])).is_none());
        }
    }

    #[test]
    fn what_a_form_shows_is_what_it_reads() {
        let known = account(&[("a", "1"), ("b", "")]);
        assert_eq!(Draft::of(&known).tags(), Some(known.details.labels.tags));
    }

    #[test]
    fn what_a_form_cannot_show_stays_as_it_is() {
        let mut known = account(&[("a=b", "1"), ("lines", "1\n2"), (" space", "x"), ("c", "1 "), ("d", "1")]);
        known.details.labels.reference = Some(" 4\n2 ".to_owned());
        let draft = Draft::of(&known);
        assert_eq!((draft.tags.as_str(), draft.reference.as_str()), ("d=1", "42"));
        assert!(draft.changes(&known).unwrap().is_empty());
        let emptied = Draft { reference: String::new(), tags: String::new(), ..draft };
        let expected = json!({ "tags": { "d": null }, "reference": null });
        assert_eq!(emptied.changes(&known).unwrap().patch(), expected);
    }
}

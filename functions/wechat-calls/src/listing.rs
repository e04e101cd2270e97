//! `GET /calls`: the calls on behalf that failed, the newest first, with what each code means and what to do.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use base::clock::Timestamp;
use base::ids::AppId;
use base::language::Language;
use diagnosis::codes;
use http::StatusCode;
use serde::Serialize;
use store::{CountedFailure, FAILED_CALLS_KEPT, FailurePage, FailurePlace};
use tokio::time::Instant;
use web::api::{ApiError, json, respond};
use web::caller::{Caller, not_allowed};
use web::{Cursor, PageSize, Parameters, Problem};

use crate::CallService;
use crate::request::PLATFORM;

/// A page of failed calls.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct FailedCallPage {
    calls: Vec<FailedCallView>,
    /// Present if there may be more: the parameter `cursor` of the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    next_cursor: Option<Cursor>,
}

/// Calls of one account and API that failed with one code within a minute. Details of a single call are those of the
/// last one.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = FailedCall))]
pub(crate) struct FailedCallView {
    /// When the call ended.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    at: String,
    /// How many failed.
    count: u64,
    /// The account, or `platform` for a call with the platform's own token.
    account: String,
    /// The caller, as IAM names it.
    caller: String,
    /// `GET` or `POST`.
    method: String,
    /// The API, such as `cgi-bin/user/info`.
    path: String,
    /// WeChat's error code; missing if WeChat's response has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    errcode: Option<i64>,
    /// WeChat's code as text, `http-` and its status, or a word for a response that did not arrive.
    code: String,
    /// WeChat's HTTP status; missing if there was no response.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// WeChat's id of the request, which its support asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    rid: Option<String>,
    /// How long WeChat took, repeats included, in milliseconds.
    duration_ms: u64,
    /// The size of the request's body.
    bytes_sent: u64,
    /// The size of the response's body.
    bytes_received: u64,
    /// What the code means.
    meaning: &'static str,
    /// What to do.
    advice: &'static str,
}

impl From<CountedFailure> for FailedCallView {
    fn from(failure: CountedFailure) -> Self {
        let last = failure.last;
        let explanation = codes::of_call(&last.code, Language::English);
        Self {
            at: Timestamp::from_unix(last.at).rfc3339(),
            count: failure.count,
            account: last.account,
            caller: last.caller,
            method: last.method,
            path: last.path,
            errcode: last.code.parse().ok(),
            code: last.code,
            status: last.status,
            rid: last.rid,
            duration_ms: last.milliseconds,
            bytes_sent: last.bytes_sent,
            bytes_received: last.bytes_received,
            meaning: explanation.meaning,
            advice: explanation.remedy,
        }
    }
}

/// `GET /calls`.
pub(crate) async fn list(State(service): State<CallService>, caller: Caller, RawQuery(query): RawQuery) -> Response {
    respond(service.services(), "listing failed calls", |bound| list_page(service.clone(), caller, query, bound)).await
}

/// Refuses a list of more accounts than the caller is limited to.
fn permitted(caller: &Caller, account: Option<&str>) -> Result<(), Problem> {
    match (caller.appids(), account.and_then(|account| AppId::parse(account).ok())) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(not_allowed("the key is limited to some accounts: name one of them in appid")),
        (Some(_), Some(account)) => caller.needs_account(&account),
    }
}

async fn list_page(
    service: CallService,
    caller: Caller,
    query: Option<String>,
    bound: Instant,
) -> Result<Response, ApiError> {
    let mut parameters = Parameters::parse(query.as_deref().unwrap_or_default())?;
    let PageSize(limit) = PageSize::read(&mut parameters)?;
    let account = parameters.parsed("appid", "an appid, or platform", |text| {
        (text == PLATFORM || AppId::parse(text).is_ok()).then(|| text.to_owned())
    })?;
    let since = parameters.parsed("since", "a time such as 2026-01-31T09:50:00Z", Timestamp::parse_rfc3339)?;
    let since_text = since.map(Timestamp::rfc3339);
    let filters = [account.as_deref().unwrap_or_default(), since_text.as_deref().unwrap_or_default()];
    let after = Cursor::read(&mut parameters, &filters, |place| FailurePlace::parse(place, account.as_deref()))?;
    parameters.finish()?;
    permitted(&caller, account.as_deref())?;
    let open = service.open(bound).await?;
    let oldest = open.component.context().now().minus(FAILED_CALLS_KEPT);
    let since = since.map_or(oldest, |since| since.max(oldest));
    let FailurePage { failures, next } =
        open.items.failed_calls.page(account.as_deref(), since, limit, after.as_ref()).await?;
    let next_cursor = next.map(|place| Cursor::at(place.as_str(), &filters));
    let calls = failures.into_iter().map(FailedCallView::from).collect();
    Ok(json(StatusCode::OK, &FailedCallPage { calls, next_cursor }))
}

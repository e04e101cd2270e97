//! `PATCH /accounts/{appid}`: changes a business's labels of an account with a merge patch (RFC 7396).

use axum::extract::State;
use axum::response::Response;
use base::ids::AppId;
use http::HeaderMap;
use http::header::IF_MATCH;
use runtime::config::Origin;
use store::{AccountPatch, LabelError, Patch, Patched, Scope};
use tokio::time::Instant;
use web::api::{ApiError, PathAccount, respond, unknown_account};
use web::caller::Caller;
use web::{Members, Problem, ProblemKind};

use crate::{AccountService, entity_tag, known_account};

/// `PATCH /accounts/{appid}`.
pub(crate) async fn change(
    State(service): State<AccountService>,
    caller: Caller,
    PathAccount(appid): PathAccount,
    headers: HeaderMap,
    body: Members,
) -> Response {
    let work = |bound| changed(service.clone(), caller, appid, headers, body, bound);
    respond(service.services(), "changing an account", work).await
}

async fn changed(
    service: AccountService,
    caller: Caller,
    appid: AppId,
    headers: HeaderMap,
    body: Members,
    bound: Instant,
) -> Result<Response, ApiError> {
    let changes = read(body, service.config().local_login_origins)?;
    permitted(&caller, &changes)?;
    check_conditions(&headers)?;
    let open = service.open(bound).await?;
    match open.items.accounts.patch(&appid, &changes, |version| is_wanted(&headers, version), open.now()).await? {
        Patched::Done => {}
        Patched::Superseded(version) => return Err(superseded(version).into()),
        Patched::Invalid(error) => return Err(invalid(error).into()),
        Patched::Unknown => return Err(unknown_account().into()),
    }
    log(&appid, &caller);
    service.shown(known_account(&open, &appid).await?)
}

fn log(appid: &AppId, caller: &Caller) {
    tracing::info!(authorizer = %appid, caller = %caller, "the labels of account {appid} were changed");
}

/// The changes of an account: a member that is missing stays as it is, `null` removes it.
#[cfg(feature = "openapi")]
#[derive(utoipa::ToSchema)]
#[schema(as = AccountPatch)]
#[expect(dead_code, reason = "describes what is read member by member")]
pub(crate) struct PatchBody {
    /// The business's own name for the account.
    reference: Option<String>,
    /// The business's tags of the account. A tag that is missing stays, `null` removes it; at most 20 may remain.
    tags: Option<std::collections::BTreeMap<String, Option<String>>>,
    /// Origins such as `https://shop.example.com` that web logins of the account may return to. They replace the
    /// earlier ones.
    login_origins: Option<Vec<String>>,
}

/// The origins that logins return to are more than a label: changing them needs a scope of its own.
fn permitted(caller: &Caller, changes: &AccountPatch) -> Result<(), Problem> {
    let AccountPatch { reference, tags, login_origins } = changes;
    if !matches!(login_origins, Patch::Unchanged) {
        caller.needs(&[Scope::AccountsOrigins])?;
    }
    if !matches!((reference, tags), (Patch::Unchanged, Patch::Unchanged)) {
        caller.needs(&[Scope::AccountsWrite])?;
    }
    Ok(())
}

/// The patch in a body.
fn read(mut members: Members, local_origins: bool) -> Result<AccountPatch, ApiError> {
    let reference = members.text_patch("reference")?;
    let tags = members.texts_patch("tags")?;
    let login_origins = match members.list_patch("login_origins")? {
        Patch::To(origins) => Patch::To(checked(&origins, local_origins)?),
        Patch::Removed => Patch::Removed,
        Patch::Unchanged => Patch::Unchanged,
    };
    members.finish()?;
    Ok(AccountPatch { reference, tags, login_origins })
}

/// The origins in the one form in which they are compared, without duplicates. Origins of this machine without TLS are
/// accepted only if `local` is set.
fn checked(origins: &[String], local: bool) -> Result<Vec<String>, Problem> {
    let mut checked = Vec::with_capacity(origins.len());
    for text in origins {
        let origin = Origin::parse(text).ok().filter(|origin| local || origin.is_https()).ok_or_else(|| {
            let detail = "login_origins must be origins such as https://shop.example.com, without a path";
            Problem::new(ProblemKind::InvalidField, detail)
        })?;
        let origin = origin.as_str().to_owned();
        if !checked.contains(&origin) {
            checked.push(origin);
        }
    }
    Ok(checked)
}

/// The versions in `If-Match`, and `*`.
fn conditions(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(IF_MATCH).iter().map(|value| value.to_str().unwrap_or_default());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// Refuses an `If-Match` that cannot name a version: one without quotes would never match.
fn check_conditions(headers: &HeaderMap) -> Result<(), Problem> {
    let is_quoted = |text: &str| text.strip_prefix('"').is_some_and(|text| text.ends_with('"'));
    let is_tag = |text: &str| text == "*" || is_quoted(text.strip_prefix("W/").unwrap_or(text));
    if conditions(headers).all(is_tag) {
        return Ok(());
    }
    let detail = "If-Match must be the ETag that GET gave, with its quotes, such as \"3\"";
    Err(Problem::new(ProblemKind::MalformedRequest, detail))
}

/// Whether `If-Match` permits changing this version (RFC 9110, section 13.1.1). Without the header any may be changed.
fn is_wanted(headers: &HeaderMap, version: u64) -> bool {
    let tag = entity_tag(version);
    !headers.contains_key(IF_MATCH) || conditions(headers).any(|wanted| wanted == "*" || wanted == tag)
}

fn superseded(version: u64) -> Problem {
    let detail = format!("read the account again and decide again: its version is {} now", entity_tag(version));
    Problem::new(ProblemKind::VersionMismatch, detail)
}

fn invalid(error: LabelError) -> Problem {
    Problem::new(ProblemKind::InvalidField, error.to_string())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn wants(values: &[&'static str], version: u64) -> bool {
        let values = values.iter().map(|value| (IF_MATCH, HeaderValue::from_static(value)));
        is_wanted(&values.collect(), version)
    }

    #[test]
    fn a_condition_names_versions_in_the_strong_form() {
        assert!(wants(&[], 7) && wants(&["*"], 7) && wants(&["\"7\""], 7) && wants(&["\"6\", \"7\""], 7));
        assert!(wants(&["\"6\"", "\"7\""], 7));
        assert!(!wants(&["\"6\""], 7) && !wants(&["7"], 7) && !wants(&["W/\"7\""], 7) && !wants(&[""], 7));
    }

    #[test]
    fn a_condition_that_names_no_version_is_refused() {
        let refused = |value: &'static str| {
            check_conditions(&[(IF_MATCH, HeaderValue::from_static(value))].into_iter().collect()).is_err()
        };
        for good in ["*", "\"7\"", "\"6\", \"7\"", "W/\"7\""] {
            assert!(!refused(good), "{good}");
        }
        for bad in ["7", "", "\"", "\"7", "7\"", "\"6\", 7"] {
            assert!(refused(bad), "{bad}");
        }
    }

    #[test]
    fn origins_are_https_and_each_counts_once() {
        let origins = |texts: &[&str]| checked(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>(), false);
        let written = ["HTTPS://Shop.Example.com:443/", "https://shop.example.com", "https://b.example.com:8443"];
        assert_eq!(origins(&written).unwrap(), ["https://shop.example.com", "https://b.example.com:8443"]);
        for bad in ["http://localhost:3000", "https://a.example.com/path", "shop.example.com", "https://*.example.com"]
        {
            assert!(origins(&[bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn pages_of_this_machine_need_no_tls_where_a_shop_is_developed() {
        let checked = |text: &str| checked(&[text.to_owned()], true);
        for good in ["http://localhost:3003", "http://127.0.0.1:3003", "https://shop.example.com"] {
            assert_eq!(checked(good).unwrap(), [good]);
        }
        for bad in ["http://shop.example.com", "http://192.168.1.7:3003", "http://localhost:3003/in"] {
            assert!(checked(bad).is_err(), "{bad}");
        }
    }
}

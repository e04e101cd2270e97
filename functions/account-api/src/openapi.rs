//! The requests and responses of the function's routes, as OpenAPI describes them.

mod operators;

use http::StatusCode;
use serde_json::{Value, json};
use store::{
    AccountState, CheckFileOrigin, LONGEST_KEY, LONGEST_KEY_NAME, LONGEST_REFERENCE, LONGEST_VALUE, MAX_KEY_APPIDS,
    MAX_LOGIN_ORIGINS, Scope,
};
use web::ProblemKind;
use web::api::state_word;
use web::openapi::{Description, Operation};

use wechat::check_file::{CheckFileContent, CheckFileName};

use crate::ROUTES;
use crate::about::Platform;
use crate::check_files::{CheckFileBody, CheckFileListPage, CheckFileView};
use crate::keys::{CreatedKey, KeyBody, KeyListPage};
use crate::labels::PatchBody;
use crate::listing::{AccountPage, KINDS};
use crate::reconciliations::Reconciliation;
use crate::runs::{RequestedRun, RetryBody};
use crate::view::AccountView;

const ACCOUNTS: &str = "Accounts";
const RECONCILIATIONS: &str = "Reconciliations";
const KEYS: &str = "API keys";
const CHECK_FILES: &str = "Check files";
const PLATFORM: &str = "The platform";

/// `*`, or versions in the form of an `ETag`.
const IF_MATCH: &str = r#"^([*]|(W/)?"[^",]*"( *, *(W/)?"[^",]*")*)$"#;

/// The header of a response that contains the account.
const TAG: (&str, &str) = (
    "ETag",
    "The version of `reference`, `tags` and `login_origins`, for `If-Match`. Renewals and readings do not change it.",
);

/// The routes of [`ROUTES`].
#[must_use]
pub fn description() -> Description {
    let [list, one, change, reading, begin, progress, iam_only @ .., renewal, retry, about, document] = &ROUTES;
    let [create_key, keys, key, operators @ .., put_file, files, file] = iam_only;
    let description = operators::describe(Description::default(), operators);
    description
        .answer::<AccountPage>()
        .answer::<AccountView>()
        .answer::<Reconciliation>()
        .answer::<CreatedKey>()
        .answer::<KeyListPage>()
        .answer::<CheckFileView>()
        .answer::<CheckFileListPage>()
        .answer::<Platform>()
        .answer::<RequestedRun>()
        .body::<RetryBody>()
        .body::<PatchBody>()
        .body::<KeyBody>()
        .body::<CheckFileBody>()
        .narrow("KeyRequest", "name", json!({ "minLength": 1, "maxLength": LONGEST_KEY_NAME }))
        .narrow("KeyRequest", "scopes", json!({ "minItems": 1, "items": scope() }))
        .narrow("KeyRequest", "appids", appids())
        .narrow("KeyTerms", "scopes", json!({ "items": scope() }))
        .narrow("CheckFileRequest", "content", json!({ "pattern": CheckFileContent::PATTERN }))
        .narrow("CheckFile", "file", json!({ "pattern": CheckFileName::PATTERN }))
        .narrow("CheckFile", "origin", json!({ "enum": CheckFileOrigin::WORDS }))
        .narrow("RetryRequest", "appid", appid())
        .narrow("Platform", "component_appid", json!({ "example": "wxabcdef1234567890" }))
        .narrow("AccountItem", "appid", appid())
        .narrow("AccountItem", "state", json!({ "enum": AccountState::ALL.map(state_word) }))
        .narrow("AccountItem", "kind", json!({ "enum": KINDS.map(|(word, _)| word) }))
        .narrow("AccountPatch", "reference", json!({ "minLength": 1, "maxLength": LONGEST_REFERENCE }))
        .narrow("AccountPatch", "tags", tags())
        .narrow(
            "AccountPatch",
            "login_origins",
            json!({
                "maxItems": MAX_LOGIN_ORIGINS,
                "items": { "type": "string", "format": "uri", "pattern": "^https://[^/?#]+$" },
            }),
        )
        .route(list, listing())
        .route(one, reads())
        .route(change, changes())
        .route(reading, reads_profile())
        .route(begin, begins())
        .route(progress, follows())
        .route(create_key, makes_key())
        .route(keys, lists_keys())
        .route(key, revokes_key())
        .route(put_file, puts_file())
        .route(files, lists_files())
        .route(file, removes_file())
        .route(renewal, renews())
        .route(retry, retries())
        .route(about, says_which())
        .route(document, describes())
}

fn scope() -> Value {
    let words: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    json!({ "type": "string", "enum": words })
}

fn appids() -> Value {
    json!({
        "minItems": 1,
        "maxItems": MAX_KEY_APPIDS,
        "items": { "type": "string", "pattern": "^wx[0-9a-f]{16}$" },
    })
}

fn appid() -> Value {
    json!({ "pattern": "^[A-Za-z0-9_-]{1,64}$", "example": "wx1234567890abcdef" })
}

fn tags() -> Value {
    json!({
        "propertyNames": { "minLength": 1, "maxLength": LONGEST_KEY },
        "additionalProperties": { "type": ["string", "null"], "maxLength": LONGEST_VALUE },
    })
}

fn of_account(operation: Operation) -> Operation {
    let mut schema = appid();
    schema["type"] = json!("string");
    operation.in_path("appid", &schema, "The account.").refuses(&[ProblemKind::UnknownAccount])
}

fn listing() -> Operation {
    let reference = json!({ "type": "string", "minLength": 1, "maxLength": LONGEST_REFERENCE });
    Operation::new(
        "listAccounts",
        ACCOUNTS,
        "List accounts",
        "The accounts in the order of their appids, which never changes: as you read page after page, every account \
         that exists throughout appears exactly once. Lists may be a moment behind. `state` and `reference` are lists \
         of their own; an appid or original id in `q` is a look-up. For everything else, accounts are read and \
         compared, for two seconds at most: a page may then have fewer items than `limit`, or none, and still have a \
         `next_cursor`. A parameter that is not documented, one that appears twice or is empty (a tag's value may \
         be), and a cursor from other filters are refused.",
    )
    .in_query("state", &json!({ "type": "string", "enum": AccountState::ALL.map(state_word) }), "Accounts in this state.")
    .in_query("reference", &reference, "Accounts with exactly this reference.")
    .in_query(
        "q",
        &json!({ "type": "string", "pattern": "[^\\s]" }),
        "The account with this appid or original id (`gh_…`). Any other text: the accounts with that text in their name, their \
         owner's or their WeChat id, in upper or lower case.",
    )
    .in_query("kind", &json!({ "type": "string", "enum": KINDS.map(|(word, _)| word) }), "Accounts of this kind.")
    .parameter(json!({
        "in": "query",
        "name": "tags",
        "description": "Accounts that have these tags with exactly these values, each as a parameter `tag.KEY`, such as \
                        `tag.plan=gold`.",
        "style": "form",
        "explode": true,
        "schema": {
            "type": "object",
            "propertyNames": { "pattern": "^tag[.]." },
            "additionalProperties": { "type": "string" },
        },
        "example": { "tag.plan": "gold" },
    }))
    .in_pages()
    .refuses(&[ProblemKind::InvalidParameter])
    .answers::<AccountPage>(
        StatusCode::OK,
        "A page of accounts.",
        &[],
        &json!({ "accounts": [item()], "next_cursor": "3q2-7wAAd3gxMjM0NTY3ODkwYWJjZGVm" }),
    )
}

fn reads() -> Operation {
    of_account(Operation::new(
        "readAccount",
        ACCOUNTS,
        "Read an account",
        "Who the account is, what it permits, and whether its token is kept alive. This route returns no token.",
    ))
    .answers::<AccountView>(StatusCode::OK, "The account.", &[TAG], &account())
}

fn changes() -> Operation {
    of_account(Operation::new(
        "changeAccount",
        ACCOUNTS,
        "Change the labels of an account",
        "A merge patch (RFC 7396): a member that is missing stays, `null` removes it. Every event of the account has the new \
         `reference` and `tags` from then on, messages within five minutes. A link with a reference or tags replaces \
         them when its merchant authorizes.",
    ))
    .parameter(json!({
        "in": "header",
        "name": "If-Match",
        "description": "The `ETag` that you have read: nothing is changed if somebody else has changed it since. Without it any version \
                        is changed.",
        "schema": { "type": "string", "pattern": IF_MATCH },
        "example": "\"3\"",
    }))
    .takes::<PatchBody>(
        &["application/merge-patch+json", "application/json"],
        &json!({ "reference": "customer-42", "tags": { "plan": "gold", "trial": null } }),
    )
    .refuses(&[ProblemKind::InvalidField, ProblemKind::VersionMismatch])
    .answers::<AccountView>(StatusCode::OK, "The account after the change.", &[TAG], &account())
}

fn reads_profile() -> Operation {
    of_account(Operation::new(
        "readProfile",
        ACCOUNTS,
        "Read an account's profile from WeChat",
        "Reads the account's profile and permissions from WeChat now: at most once in ten seconds. Each reading counts against \
         the platform's daily quota. The request has no body.",
    ))
    .refuses(&[
        ProblemKind::AuthorizationEnded,
        ProblemKind::TooSoon,
        ProblemKind::WechatRefused,
        ProblemKind::WechatUnreachable,
    ])
    .answers::<AccountView>(StatusCode::OK, "The account after the reading.", &[TAG], &account())
}

fn begins() -> Operation {
    Operation::new(
        "beginReconciliation",
        RECONCILIATIONS,
        "Compare the accounts with WeChat's list",
        "Every hour the platform compares its accounts with WeChat's list, and repairs the effects of lost pushes. This \
         begins a comparison now, usually within a second, and otherwise with the next hourly one. One is in progress at a \
         time, the hourly ones included. The request has no body.",
    )
    .refuses(&[ProblemKind::ReconciliationRunning])
    .answers::<Reconciliation>(
        StatusCode::ACCEPTED,
        "The comparison begins.",
        &[("Location", "The URL of its progress: `/reconciliations/{reconciliation_id}`.")],
        &json!({
            "reconciliation_id": "1769846400", "status": "running", "started_at": "2026-01-31T08:00:00Z", "compared": 0,
            "added": 0, "repaired": 0, "gone": 0, "failed": 0,
        }),
    )
}

fn follows() -> Operation {
    Operation::new(
        "readReconciliation",
        RECONCILIATIONS,
        "Read a reconciliation",
        "Its progress, or its results. A long list takes several runs. It is deleted 30 days after it began.",
    )
    .in_path("reconciliation_id", &json!({ "type": "string", "minLength": 1 }), "The reconciliation.")
    .refuses(&[ProblemKind::UnknownReconciliation])
    .answers::<Reconciliation>(
        StatusCode::OK,
        "The reconciliation.",
        &[],
        &json!({
            "reconciliation_id": "1769846400", "status": "finished", "started_at": "2026-01-31T08:00:00Z",
            "finished_at": "2026-01-31T08:01:30Z", "compared": 12_000, "total": 12_000, "added": 1, "repaired": 2, "gone": 0,
            "failed": 0,
        }),
    )
}

fn makes_key() -> Operation {
    Operation::new(
        "createKey",
        KEYS,
        "Create an API key",
        "A key for a service that cannot sign with IAM: its scopes and accounts say what it permits. This response is the only one \
         that contains the key.",
    )
    .takes::<KeyBody>(
        &["application/json"],
        &json!({
            "name": "orders, Shanghai", "scopes": ["accounts:read", "calls"], "appids": ["wx1234567890abcdef"],
            "expires_at": "2099-01-31T08:00:00Z",
        }),
    )
    .refuses(&[ProblemKind::InvalidField])
    .answers::<CreatedKey>(StatusCode::CREATED, "The key.", &[], &created_key())
}

fn lists_keys() -> Operation {
    Operation::new(
        "listKeys",
        KEYS,
        "List API keys",
        "The newest first. A key that was revoked or has expired is listed for 30 more days. Lists may be a moment behind, and \
         a page may have fewer items than `limit` and still have a `next_cursor`.",
    )
    .in_pages()
    .refuses(&[ProblemKind::InvalidParameter])
    .answers::<KeyListPage>(
        StatusCode::OK,
        "A page of keys.",
        &[],
        &json!({ "keys": [key()], "next_cursor": "3q2-7wAAMTc2OTg0NjQwMCNaazN2UTBjOFNnV3FUMW4yeVhiNGFB" }),
    )
}

fn revokes_key() -> Operation {
    Operation::new(
        "revokeKey",
        KEYS,
        "Revoke an API key",
        "The key is refused within 60 seconds. A repeat gets the same response. The request has no body.",
    )
    .in_path("key_id", &json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{22}$" }), "The key.")
    .refuses(&[ProblemKind::UnknownKey])
    .answers_nothing(StatusCode::NO_CONTENT, "It is revoked.")
}

fn created_key() -> Value {
    json!({
        "id": "Zk3vQ0c8SgWqT1n2yXb4aA", "key": "wxp_Zk3vQ0c8SgWqT1n2yXb4aA_EXAMPLE",
        "name": "orders, Shanghai", "scopes": ["accounts:read", "calls"], "appids": ["wx1234567890abcdef"],
        "expires_at": "2099-01-31T08:00:00Z", "in_url": false, "created_at": "2026-01-31T08:00:00Z",
    })
}

fn key() -> Value {
    let mut key = created_key();
    if let Value::Object(members) = &mut key {
        members.remove("key");
    }
    key["created_by"] = json!("arn:aws:sts::123456789012:assumed-role/platform-admin");
    key["last_used_on"] = json!("2026-02-01");
    key
}

fn of_file(operation: Operation) -> Operation {
    let name = json!({ "type": "string", "pattern": CheckFileName::PATTERN, "example": check_file()["file"] });
    operation.in_path("file", &name, "The file's name, as WeChat gave it.")
}

fn puts_file() -> Operation {
    of_file(Operation::new(
        "putCheckFile",
        CHECK_FILES,
        "Put a check file",
        "Stores a file that WeChat gave you, or replaces it: every host of the platform then serves it below `/`, byte for \
         byte. At most 1,000 are stored.",
    ))
    .takes::<CheckFileBody>(&["application/json"], &json!({ "content": check_file()["content"] }))
    .refuses(&[ProblemKind::InvalidCheckFile, ProblemKind::TooManyCheckFiles])
    .answers::<CheckFileView>(StatusCode::OK, "The file as it is served.", &[], &check_file())
}

fn lists_files() -> Operation {
    Operation::new(
        "listCheckFiles",
        CHECK_FILES,
        "List check files",
        "In the order of their names. Lists may be a moment behind.",
    )
    .in_pages()
    .refuses(&[ProblemKind::InvalidParameter])
    .answers::<CheckFileListPage>(
        StatusCode::OK,
        "A page of check files.",
        &[],
        &json!({ "files": [check_file()], "next_cursor": "3q2-7wAAODdQd2VvYVJCdy50eHQ" }),
    )
}

fn removes_file() -> Operation {
    of_file(Operation::new(
        "removeCheckFile",
        CHECK_FILES,
        "Remove a check file",
        "The file is no longer served. The request has no body.",
    ))
    .refuses(&[ProblemKind::UnknownCheckFile])
    .answers_nothing(StatusCode::NO_CONTENT, "It is removed.")
}

fn check_file() -> Value {
    json!({
        "file": "87PweoaRBw.txt", "content": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "origin": "manual",
        "stored_at": "2026-01-31T08:00:00Z",
    })
}

fn renews() -> Operation {
    of_account(Operation::new(
        "renewAccount",
        ACCOUNTS,
        "Renew an account's token now",
        "Makes the token due and starts a run, usually within a second, that renews it: for an account whose renewal has \
         failed and would be retried later. At most once in ten seconds. `GET /accounts/{appid}` shows the result. The request has \
         no body.",
    ))
    .refuses(&[ProblemKind::AuthorizationEnded, ProblemKind::NoApiPermission, ProblemKind::TooSoon])
    .answers::<RequestedRun>(StatusCode::ACCEPTED, "A run will renew it.", &[], &requested_run())
}

fn retries() -> Operation {
    Operation::new(
        "retry",
        ACCOUNTS,
        "Retry waiting work now",
        "Pushes about grants that have not taken effect, messages that the event bus has not accepted, and events that the bus or the \
         event webhook has not accepted are retried automatically, at growing intervals. This starts a run, usually within a few \
         seconds, that retries them now: those of an account, or up to 500 of each kind of all accounts. However often it is \
         requested, a run begins at most once in five seconds.",
    )
    .refuses(&[ProblemKind::UnknownAccount])
    .may_take::<RetryBody>(&["application/json"], &json!({ "appid": "wx1234567890abcdef" }))
    .answers::<RequestedRun>(StatusCode::ACCEPTED, "A run will retry them.", &[], &requested_run())
}

fn requested_run() -> Value {
    json!({ "requested_at": "2026-01-31T08:00:00Z" })
}

fn says_which() -> Operation {
    Operation::new(
        "readPlatform",
        PLATFORM,
        "Read which platform this is",
        "For a client that talks to several platforms, or needs the platform's appid.",
    )
    .answers::<Platform>(
        StatusCode::OK,
        "The platform.",
        &[],
        &json!({ "component_appid": "wxabcdef1234567890", "version": "0.1.0" }),
    )
}

fn describes() -> Operation {
    Operation::new(
        "readDescription",
        "This document",
        "Read this document",
        "It changes only with a new version of the platform.",
    )
    .answers_with(
        StatusCode::OK,
        "This document.",
        &[("Cache-Control", "How long it may be cached: `private, max-age=300`.")],
        &json!({ "type": "object", "required": ["openapi"] }),
        &json!({ "openapi": "3.1.0" }),
    )
}

fn item() -> Value {
    json!({
        "appid": "wx1234567890abcdef", "kind": "official_account", "nick_name": "示例商城",
        "head_img": "http://wx.qlogo.cn/mmopen/example/0", "user_name": "gh_0123456789ab", "principal_name": "示例公司",
        "verified": true, "account_status": 1, "state": "active", "state_since": "2026-01-31T08:00:00Z", "health": "ok",
        "reference": "customer-42", "tags": { "plan": "gold" }, "granted_at": "2026-01-31T08:00:00Z",
    })
}

fn account() -> Value {
    let mut account = item();
    account["login_origins"] = json!(["https://shop.example.com"]);
    account["permissions"] = json!([{ "id": 1, "name": "消息管理权限", "exclusive": true }]);
    account["missing_permissions"] = json!([]);
    account["token"] = json!({ "use_until": "2026-01-31T10:00:00Z", "renewed_at": "2026-01-31T08:00:00Z" });
    account["profile_read_at"] = json!("2026-01-31T08:00:00Z");
    account
}

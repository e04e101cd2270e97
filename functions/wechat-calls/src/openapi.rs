//! The requests and responses of the function's routes, as OpenAPI describes them.

use http::StatusCode;
use serde_json::{Value, json};
use web::ProblemKind;
use web::openapi::{Description, Operation};
use wechat::api::LONGEST_VISITOR_CODE;

use crate::files::{FileUpload, LONGEST_TYPE, TOKEN_SYMBOLS};
use crate::listing::{FailedCallPage, FailedCallView};
use crate::pages::{JsSdkConfig, LONGEST_URL};
use crate::request::{FIELDS, LONGEST_KEY, MOST_RETRIES};
use crate::sessions::MiniProgramSession;
use crate::{LARGEST_ANSWER, LARGEST_BODY, LARGEST_FILE, ROUTES};

const TAG: &str = "Calls";

const MIB: usize = 1024 * 1024;

/// The headers that a passed-back response may have, and their meaning.
const HEADERS: [(&str, &str); 7] = [
    ("X-Wechat-Errcode", "WeChat's error code, if the body has one other than 0."),
    ("X-Wechat-Rid", "WeChat's id of the request, if its error has one."),
    (
        "X-Token-Renewed",
        "`true` if WeChat refused the first token, and this is the response to the call with another one.",
    ),
    ("Idempotent-Replayed", "`true` if the call was not sent: the response is the first one under this key."),
    ("Content-Disposition", "As WeChat sent it."),
    ("Location", "With status 303: the URL of the response, valid for 15 minutes."),
    ("Wechatmp-Signature", "As WeChat sent it, like every other header of signed calls (`Wechatmp-…`)."),
];

/// The routes of [`ROUTES`].
#[must_use]
pub fn description() -> Description {
    let [platform_get, platform_post, account_get, account_post, failed, files, pages, sessions] = &ROUTES;
    let token = format!("[0-9A-Za-z{TOKEN_SYMBOLS}]+");
    Description::default()
        .answer::<FailedCallPage>()
        .answer::<FileUpload>()
        .answer::<JsSdkConfig>()
        .answer::<MiniProgramSession>()
        .body::<FileBody>()
        .body::<PageBody>()
        .body::<LoginBody>()
        .route(account_get, calls("callForAccountByGet", "an account").with_token_of_account())
        .route(account_post, with_body(calls("callForAccount", "an account")).with_token_of_account())
        .route(platform_get, calls("callForPlatformByGet", "the platform"))
        .route(platform_post, with_body(calls("callForPlatform", "the platform")))
        .route(failed, lists())
        .route(files, creates_file())
        .route(pages, signs_page())
        .route(sessions, begins_session())
        .narrow(
            "FileBody",
            "content_type",
            json!({ "maxLength": LONGEST_TYPE, "pattern": format!("^{token}/{token}$") }),
        )
        .narrow("PageBody", "url", json!({ "maxLength": LONGEST_URL, "format": "uri" }))
        .narrow("LoginBody", "js_code", json!({ "minLength": 1, "maxLength": LONGEST_VISITOR_CODE }))
        .narrow("FileBody", "length", json!({ "minimum": 1, "maximum": LARGEST_FILE }))
}

/// A file to be uploaded for a call.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the body is read member by member; this is its description")]
struct FileBody {
    /// Its type, without parameters.
    content_type: String,
    /// Its length in bytes.
    length: u64,
}

/// A page to be signed.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the body is read member by member; this is its description")]
struct PageBody {
    /// The page's `location.href`. Its fragment is not signed.
    url: String,
}

/// The login of a mini program's user.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the body is read member by member; this is its description")]
struct LoginBody {
    /// The code that the mini program got from `wx.login`.
    js_code: String,
}

fn signs_page() -> Operation {
    let config = JsSdkConfig {
        app_id: "wx1234567890abcdef".to_owned(),
        timestamp: 1_769_846_400,
        nonce_str: "3q2-7wTRb0mZxY1kP9sVaA".to_owned(),
        signature: "0f9de62fce790f9a083d5c99e95740ceb90c27ed".to_owned(),
        use_until: "2026-01-31T09:55:00Z".to_owned(),
    };
    let description = "What `wx.config` takes on a page of a service account, besides `jsApiList`. The page must be on one of the \
                       platform's 公众号开发域名 (the parameter `WebDomains`). The ticket behind the signature is the platform's own, \
                       one for all.";
    Operation::new("createJsSdkConfig", TAG, "Sign a page for the JS-SDK", description)
        .with_token_of_account()
        .takes::<PageBody>(&["application/json"], &json!({ "url": "https://pages.example.com/cart?id=1" }))
        .answers::<JsSdkConfig>(StatusCode::OK, "The configuration for the page.", &[], &json!(config))
        .refuses(&[ProblemKind::InvalidField, ProblemKind::UrlNotOnWebDomain, ProblemKind::PagesNotPermitted])
        .refuses(OF_WECHAT)
}

fn begins_session() -> Operation {
    let session = MiniProgramSession {
        openid: "oUser1".to_owned(),
        unionid: Some("uUser1".to_owned()),
        session_key: "HyVFkGl5F5OQWJZZaNzBBg==".to_owned(),
    };
    let description = "Exchanges the code of `wx.login`, which works once, for the user's ids and the key of the session. The key stays \
                       on your server.";
    Operation::new("createMiniProgramSession", TAG, "Log a user of a mini program in", description)
        .with_token_of_account()
        .takes::<LoginBody>(&["application/json"], &json!({ "js_code": "0a1Bcd2ef3Gh4i" }))
        .answers::<MiniProgramSession>(StatusCode::OK, "The user.", &[], &json!(session))
        .refuses(&[
            ProblemKind::InvalidField,
            ProblemKind::LoginCodeRefused,
            ProblemKind::UserBlocked,
            ProblemKind::TooManyLogins,
            ProblemKind::WechatBusy,
        ])
        .refuses(OF_WECHAT)
}

/// The problems of a call that the platform makes itself.
const OF_WECHAT: &[ProblemKind] = &[
    ProblemKind::WechatRefused,
    ProblemKind::WechatUnreachable,
    ProblemKind::AddressRefused,
    ProblemKind::TokenBeingRenewed,
    ProblemKind::TokenUnavailable,
];

fn creates_file() -> Operation {
    let body = json!({ "content_type": "image/jpeg", "length": 8_388_608 });
    let upload = FileUpload {
        file_id: "3q2-7wTRb0mZxY1kP9sVaA".to_owned(),
        upload_url: "https://files.s3.eu-central-1.amazonaws.com/9f86d081/3q2-7wTRb0mZxY1kP9sVaA?X-Amz-Expires=900"
            .to_owned(),
        expires_at: "2026-01-31T10:05:00Z".to_owned(),
    };
    let description = format!(
        "For bodies larger than {} MiB. `PUT` the file to `upload_url` with the `Content-Type` and `Content-Length` given here, \
         then name it in `X-Body-File`. Only you can use it, in any number of calls; it is deleted one to two days later. Keep the URL \
         secret: anyone who has it can upload.",
        LARGEST_BODY / MIB
    );
    Operation::new("createFile", TAG, "Upload a file for a call", &description)
        .takes::<FileBody>(&["application/json"], &body)
        .answers::<FileUpload>(StatusCode::CREATED, "Where to upload the file.", &[], &json!(upload))
        .refuses(&[ProblemKind::InvalidField])
}

fn calls(id: &str, of: &str) -> Operation {
    let description = format!(
        "Any of WeChat's APIs with the token of {of}: the path as in WeChat's documentation, the query without a token. The \
         call leaves from the platform's address. It is sent once, and once more if WeChat refuses the token. Responses of up \
         to {} MiB are returned. Calls that issue a token, spend a code or take a secret are refused.",
        LARGEST_ANSWER / MIB
    );
    let path =
        json!({ "type": "string", "pattern": "^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$", "example": "cgi-bin/user/info" });
    let retries = json!({
        "in": "header", "name": "Retries",
        "schema": { "type": "integer", "minimum": 0, "maximum": MOST_RETRIES, "default": 0 },
        "description": "How often the call is retried if WeChat was busy (−1) or could not be reached. A `POST` needs an \
                        `Idempotency-Key` for that.",
    });
    let switch = |name: &str, word: &str, description: &str| {
        json!({
            "in": "header", "name": name, "schema": { "type": "string", "enum": [word] }, "description": description,
        })
    };
    let large = format!(
        "Return a response of {} to {} MiB through a redirect (303) instead of refusing it with 413.",
        LARGEST_ANSWER / MIB,
        LARGEST_FILE / MIB
    );
    let video = "If WeChat returns the URL of a video on one of its servers (`video_url`, `down_url`), return the video \
                 instead.";
    Operation::new(id, TAG, &format!("Call WeChat for {of}"), &description)
        .in_path("path", &path, "The path of WeChat's API. Its slashes are sent as they are.")
        .parameter(retries)
        .parameter(switch("X-Large-Answer", "redirect", &large))
        .parameter(switch("X-Video-Url", "follow", video))
        .passes_on("WeChat's response: its status, type and body.", &HEADERS)
        .refuses(&[
            ProblemKind::InvalidPath,
            ProblemKind::InvalidHeader,
            ProblemKind::PathRefused,
            ProblemKind::AnswerTooLarge,
            ProblemKind::AnswerUnusable,
            ProblemKind::WechatRefused,
            ProblemKind::WechatUnreachable,
            ProblemKind::WechatSlow,
            ProblemKind::AddressRefused,
            ProblemKind::TokenBeingRenewed,
            ProblemKind::TokenUnavailable,
        ])
}

/// A call with `POST`.
fn with_body(operation: Operation) -> Operation {
    let key = json!({
        "in": "header", "name": "Idempotency-Key",
        "schema": { "type": "string", "pattern": format!("^[!-~]{{1,{LONGEST_KEY}}}$") },
        "description": "Within 24 hours, the call is sent only once under this key, for this caller, account and path.",
    });
    let file = json!({
        "in": "header", "name": "X-Body-File", "schema": { "type": "string", "pattern": "^[A-Za-z0-9_-]{22}$" },
        "description": "The id of an uploaded file. It is the body or, with `X-Body-Part`, one part of it.",
    });
    let part = json!({
        "in": "header", "name": "X-Body-Part", "schema": { "type": "string", "example": "media; filename=photo.jpg" },
        "description": format!(
            "The file is sent as this part of a form (`multipart/form-data`). The fields of an `{FIELDS}` body are further parts. \
             Percent-encode `%` and non-ASCII characters in the file name."
        ),
    });
    let body = format!("What WeChat's API takes, up to {} MiB, passed on as it is.", LARGEST_BODY / MIB);
    operation.parameter(key).parameter(file).parameter(part).takes_anything(&body).refuses(&[
        ProblemKind::UnknownFile,
        ProblemKind::CallUnderWay,
        ProblemKind::CallNotRepeated,
        ProblemKind::KeyReused,
    ])
}

fn lists() -> Operation {
    let appid = json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$" });
    let since = json!({ "type": "string", "format": "date-time" });
    Operation::new(
        "listFailedCalls",
        TAG,
        "List the calls that failed",
        "The failed calls of the last seven days, the newest first, with what WeChat's code means and what to do. \
         Calls of one account and path that failed with one code within a minute are one entry. Bodies and queries \
         are not kept.",
    )
    .in_query("appid", &appid, "Only calls for one account, or for `platform`.")
    .in_query("since", &since, "Only calls since then.")
    .in_pages()
    .answers::<FailedCallPage>(StatusCode::OK, "A page of failed calls.", &[], &page())
    .refuses(&[ProblemKind::InvalidParameter])
}

fn page() -> Value {
    let example = FailedCallView::from(store::CountedFailure {
        count: 3,
        last: store::FailedCall {
            at: 1_769_846_400,
            account: "wx1234567890abcdef".to_owned(),
            caller: "arn:aws:iam::123456789012:role/orders".to_owned(),
            method: "POST".to_owned(),
            path: "cgi-bin/message/custom/send".to_owned(),
            code: "45015".to_owned(),
            status: Some(200),
            rid: Some("65f1c0e2-3b9aca00-5f5e1000".to_owned()),
            milliseconds: 83,
            bytes_sent: 96,
            bytes_received: 112,
        },
    });
    json!({ "calls": [example] })
}

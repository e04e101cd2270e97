//! What the function's routes take and answer, in the words of OpenAPI.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use web::ProblemKind;
use web::openapi::{Description, OF_THE_PLATFORM, Operation};

use crate::files::FilePlace;
use crate::listing::{FailedCallPage, FailedCallView};
use crate::{ACCOUNT, CALLS, FILES, LARGEST_FILE, PLATFORM};

const TAG: &str = "Calls";

/// Headers of a passed-back answer that may be there, and what each says.
const HEADERS: [(&str, &str); 7] = [
    ("X-Wechat-Errcode", "WeChat's error code, where the body has one other than 0."),
    ("X-Wechat-Rid", "WeChat's id of the request, where its error has one."),
    ("X-Token-Renewed", "`true` if WeChat had refused the token, and the answer is to the call with another one."),
    ("Idempotent-Replayed", "`true` if the call was not sent: the answer is the first one under this key."),
    ("Content-Disposition", "As WeChat sent it."),
    ("Location", "With status 303: where the answer is, for a quarter of an hour. It is too large to be passed back."),
    ("Wechatmp-Signature", "As WeChat sent it, like every other header of signed calls (`Wechatmp-…`)."),
];

/// The routes of [`crate::ROUTES`].
#[must_use]
pub fn description() -> Description {
    Description::default()
        .answer::<FailedCallPage>()
        .answer::<FilePlace>()
        .body::<FileBody>()
        .route(
            &(Method::GET, ACCOUNT),
            calls("callForAccountByGet", &Method::GET, "an account").with_token_of_account(),
        )
        .route(&(Method::POST, ACCOUNT), calls("callForAccount", &Method::POST, "an account").with_token_of_account())
        .route(&(Method::GET, PLATFORM), calls("callForPlatformByGet", &Method::GET, "the platform"))
        .route(&(Method::POST, PLATFORM), calls("callForPlatform", &Method::POST, "the platform"))
        .route(&(Method::GET, CALLS), lists())
        .route(&(Method::POST, FILES), places())
        .narrow(
            "FileBody",
            "content_type",
            json!({ "maxLength": 127, "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+$" }),
        )
        .narrow("FileBody", "length", json!({ "minimum": 1, "maximum": LARGEST_FILE }))
}

/// A file that a service wants to hand over for a call.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the body is read member by member; this is its description")]
struct FileBody {
    /// Its type, without parameters.
    content_type: String,
    /// Its length in bytes.
    length: u64,
}

fn places() -> Operation {
    let body = json!({ "content_type": "image/jpeg", "length": 8_388_608 });
    let place = FilePlace {
        file_id: "3q2-7wTRb0mZxY1kP9sVaA".to_owned(),
        upload_url: "https://files.s3.eu-central-1.amazonaws.com/9f86d081/3q2-7wTRb0mZxY1kP9sVaA?X-Amz-Expires=900"
            .to_owned(),
        upload_until: "2026-01-31T10:05:00Z".to_owned(),
    };
    Operation::new(
        "createFile",
        TAG,
        "Hand over a file for a call",
        "For what is larger than 4 MiB. Put the file at `upload_url`, with `Content-Type` and `Content-Length` as named here, and \
         name it in `X-Body-File` of a call. It is yours alone, for as many calls as you like, and deleted a day later. The \
         URL is a secret: whoever has it can put the file.",
    )
    .takes::<FileBody>(&["application/json"], &body)
    .answers::<FilePlace>(StatusCode::CREATED, "Where to put the file.", &[], &json!(place))
    .refuses(&OF_THE_PLATFORM)
    .refuses(&[ProblemKind::InvalidField])
}

fn calls(id: &str, method: &Method, of: &str) -> Operation {
    let description = format!(
        "Any of WeChat's APIs with the token of {of}: the path as in WeChat's documents, the query without a token. The call \
         leaves from the platform's address. It is sent once, and once more if WeChat refuses the token. Answers of up to 4 \
         MiB are passed back. Calls that issue a token, spend a code or take a secret are refused."
    );
    let path =
        json!({ "type": "string", "pattern": "^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$", "example": "cgi-bin/user/info" });
    let key = json!({
        "in": "header", "name": "Idempotency-Key", "schema": { "type": "string", "pattern": "^[!-~]{1,128}$" },
        "description": "The call is sent once under it within 24 hours, for this caller, account and path.",
    });
    let retries = json!({
        "in": "header", "name": "Retries", "schema": { "type": "integer", "minimum": 0, "maximum": 3, "default": 0 },
        "description": "How often the call is made again where WeChat was busy (−1) or could not be reached. A `POST` needs \
                        an `Idempotency-Key` for that.",
    });
    let asked_for = |name: &str, word: &str, description: &str| {
        json!({
            "in": "header", "name": name, "schema": { "type": "string", "enum": [word] }, "description": description,
        })
    };
    let large = asked_for(
        "X-Large-Answer",
        "redirect",
        "An answer of more than 4 MiB, of up to 20 MiB, is put where a response with status 303 leads to.",
    );
    let video = asked_for(
        "X-Video-Url",
        "follow",
        "Where WeChat answers with the address of a video (`video_url`, `down_url`) on a server of its own, the video is the \
         answer.",
    );
    let operation = Operation::new(id, TAG, &format!("Call WeChat for {of}"), &description)
        .in_path("path", &path, "The path of WeChat's API. Its slashes are sent as they are.")
        .parameter(retries)
        .parameter(large)
        .parameter(video)
        .passes_on("What WeChat answered: its status, type and body.", &HEADERS)
        .refuses(&OF_THE_PLATFORM)
        .refuses(&[
            ProblemKind::InvalidPath,
            ProblemKind::InvalidHeader,
            ProblemKind::PathRefused,
            ProblemKind::AnswerTooLarge,
            ProblemKind::AnswerUnusable,
            ProblemKind::WechatUnreachable,
            ProblemKind::WechatSlow,
            ProblemKind::AddressRefused,
            ProblemKind::TokenBeingRenewed,
            ProblemKind::TokenUnavailable,
        ]);
    if *method == Method::GET {
        return operation;
    }
    let file = json!({
        "in": "header", "name": "X-Body-File", "schema": { "type": "string", "pattern": "^[A-Za-z0-9_-]{22}$" },
        "description": "A file that was handed over: it is the body, or with `X-Body-Part` a part of it.",
    });
    let part = json!({
        "in": "header", "name": "X-Body-Part", "schema": { "type": "string", "example": "media; filename=photo.jpg" },
        "description": "The file is sent as this part of a form (`multipart/form-data`). The fields of a body of \
                        `application/x-www-form-urlencoded` are further parts. In the file's name, what is not ASCII and `%` are \
                        percent-encoded.",
    });
    operation
        .parameter(key)
        .parameter(file)
        .parameter(part)
        .takes_anything("What WeChat's API takes, of up to 4 MiB, passed on as it is.")
        .refuses(&[
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
        "Those of the last seven days, the newest first, with what WeChat's code means and what to do. Calls of one account \
         and path that failed with one code within a minute are one entry. Bodies and queries are not kept.",
    )
    .in_query("appid", &appid, "Those of one account, or of `platform`.")
    .in_query("since", &since, "Those since then.")
    .in_pages()
    .answers::<FailedCallPage>(StatusCode::OK, "A page of failed calls.", &[], &page())
    .refuses(&OF_THE_PLATFORM)
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

//! The requests and responses of `/operators…`.

use http::StatusCode;
use serde_json::{Value, json};
use store::Rights;
use web::ProblemKind;
use web::doors::Route;
use web::openapi::{Description, Operation};

use crate::operators::{CreatedOperator, InvitationView, OperatorBody, OperatorListPage};

const OPERATORS: &str = "Operators";

/// The form of an operator's name.
const NAME: &str = "^[a-z0-9][a-z0-9._-]{0,39}$";

/// Adds the routes to a description.
pub(super) fn describe(description: Description, routes: &[Route; 5]) -> Description {
    let [create, list, end, invite, end_browser] = routes;
    let rights = json!({ "enum": [Rights::Look.as_str(), Rights::Act.as_str()] });
    description
        .answer::<CreatedOperator>()
        .answer::<OperatorListPage>()
        .answer::<InvitationView>()
        .body::<OperatorBody>()
        .narrow("OperatorRequest", "name", json!({ "pattern": NAME }))
        .narrow("OperatorRequest", "rights", rights.clone())
        .narrow("OperatorTerms", "rights", rights)
        .narrow("Invitation", "url", json!({ "format": "uri" }))
        .route(create, makes())
        .route(list, lists())
        .route(end, ends())
        .route(invite, invites())
        .route(end_browser, ends_browser())
}

fn of_operator(operation: Operation) -> Operation {
    operation.in_path("name", &json!({ "type": "string", "pattern": NAME, "example": "li" }), "The operator.")
}

fn makes() -> Operation {
    Operation::new(
        "createOperator",
        OPERATORS,
        "Create an operator of the console",
        "Creates a user of the console, and an invitation for their first browser. This response is the only one with its \
         URL.",
    )
    .takes::<OperatorBody>(
        &["application/json"],
        &json!({ "name": "li", "rights": "act", "until": "2099-01-31T08:00:00Z" }),
    )
    .refuses(&[ProblemKind::InvalidField, ProblemKind::OperatorExists])
    .answers::<CreatedOperator>(StatusCode::CREATED, "The operator.", &[], &created())
}

fn lists() -> Operation {
    Operation::new(
        "listOperators",
        OPERATORS,
        "List the operators of the console",
        "In the order of their names, with the browsers that have access. An operator whose access has ended is \
         listed for 30 more days. Lists may be a moment behind, and a page may have fewer items than `limit` and \
         still have a `next_cursor`.",
    )
    .in_pages()
    .refuses(&[ProblemKind::InvalidParameter])
    .answers::<OperatorListPage>(
        StatusCode::OK,
        "A page of operators.",
        &[],
        &json!({ "operators": [listed()], "next_cursor": "3q2-7wAAbGk" }),
    )
}

fn ends() -> Operation {
    of_operator(Operation::new(
        "endOperator",
        OPERATORS,
        "End an operator of the console",
        "None of the operator's browsers and invitations is accepted from then on. A repeat gets the same response. The request has no \
         body.",
    ))
    .refuses(&[ProblemKind::UnknownOperator])
    .answers_nothing(StatusCode::NO_CONTENT, "The operator is ended.")
}

fn invites() -> Operation {
    of_operator(Operation::new(
        "inviteOperator",
        OPERATORS,
        "Invite another browser of an operator",
        "The invitation can be used once within 30 minutes. This response is the only one with its URL. The request has no \
         body.",
    ))
    .refuses(&[ProblemKind::UnknownOperator])
    .answers::<InvitationView>(StatusCode::CREATED, "The invitation.", &[], &invitation())
}

fn ends_browser() -> Operation {
    of_operator(Operation::new(
        "endOperatorBrowser",
        OPERATORS,
        "End a browser of an operator",
        "It is not accepted from then on. A repeat gets the same response. The request has no body.",
    ))
    .in_path("browser_id", &json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{22}$" }), "The browser.")
    .refuses(&[ProblemKind::UnknownBrowser])
    .answers_nothing(StatusCode::NO_CONTENT, "The browser is ended.")
}

fn invitation() -> Value {
    json!({ "url": "https://auth.example.com/console/invitations/li.EXAMPLE", "ends_at": "2026-01-31T08:30:00Z" })
}

fn operator() -> Value {
    json!({
        "name": "li", "rights": "act", "until": "2099-01-31T08:00:00Z", "created_at": "2026-01-31T08:00:00Z",
        "created_by": "arn:aws:sts::123456789012:assumed-role/platform-admin",
    })
}

fn created() -> Value {
    let mut operator = operator();
    operator["invitation"] = invitation();
    operator
}

fn listed() -> Value {
    let mut operator = operator();
    operator["browsers"] = json!([{
        "id": "Zk3vQ0c8SgWqT1n2yXb4aA", "label": "Chrome, Windows", "bound_at": "2026-01-31T08:05:00Z",
        "ends_at": "2026-03-02T08:05:00Z", "last_seen_on": "2026-02-01",
    }]);
    operator
}

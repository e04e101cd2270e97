//! The policies in docs/operations.md for services inside AWS, evaluated as IAM does, for every route that IAM guards.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::roles::like;
use super::routes::{Route, deployed};
use super::{functions, many, template, text};

const MANUAL: &str = include_str!("../../../docs/operations.md");

/// The heading of the policies.
const SECTION: &str = "\n## Policies for the usual roles\n";

/// Everything that each role may do.
const ROLES: [(&str, &[&str]); 8] = [
    (
        "Reads accounts",
        &[
            "GET /accounts",
            "GET /accounts/{appid}",
            "GET /calls",
            "GET /reconciliations/{reconciliation_id}",
            "GET /platform",
            "GET /openapi.json",
        ],
    ),
    (
        "Makes links",
        &[
            "POST /authorization-links",
            "GET /authorization-links",
            "GET /authorization-links/{link_id}",
            "DELETE /authorization-links/{link_id}",
            "POST /authorization-links/{link_id}/codes",
        ],
    ),
    (
        "Makes calls",
        &[
            "GET /wechat/{appid}/{proxy+}",
            "POST /wechat/{appid}/{proxy+}",
            "POST /files",
            "POST /accounts/{appid}/js-sdk-configs",
            "POST /accounts/{appid}/mini-program-sessions",
        ],
    ),
    ("Logs visitors in", &["POST /logins"]),
    ("Reads tokens", &["GET /tokens/{appid}", "POST /tokens/{appid}/renewals"]),
    ("Keeps check files", &["PUT /check-files/{file}", "GET /check-files", "DELETE /check-files/{file}"]),
    ("Administers keys", &["POST /keys", "GET /keys", "DELETE /keys/{key_id}"]),
    (
        "Administers operators",
        &[
            "POST /operators",
            "GET /operators",
            "DELETE /operators/{name}",
            "POST /operators/{name}/invitations",
            "DELETE /operators/{name}/browsers/{browser_id}",
        ],
    ),
];

/// What no role may do. A new route has to be here, or with a role.
const OF_NO_ROLE: [&str; 9] = [
    "PATCH /accounts/{appid}",
    "POST /accounts/{appid}/profile-readings",
    "POST /accounts/{appid}/renewals",
    "POST /retries",
    "POST /reconciliations",
    "GET /tokens/platform",
    "POST /tokens/platform/renewals",
    "GET /wechat/platform/{proxy+}",
    "POST /wechat/platform/{proxy+}",
];

/// A policy with the placeholders filled in.
struct Policy(Value);

impl Policy {
    /// Whether IAM permits a caller with only this policy to do it: something allows it, and nothing denies it.
    fn allows(&self, resource: &str) -> bool {
        let fits = |statement: &Value| {
            let known = ["Sid", "Effect", "Action", "Resource"];
            assert!(statement.as_object().unwrap().keys().all(|name| known.contains(&name.as_str())), "{statement}");
            let any = |name: &str, value: &str| many(&statement[name]).into_iter().any(|it| like(text(it), value));
            any("Action", "execute-api:Invoke") && any("Resource", resource)
        };
        let statements = many(&self.0["Statement"]);
        let effects: BTreeSet<&str> =
            statements.into_iter().filter(|it| fits(it)).map(|it| text(&it["Effect"])).collect();
        effects == ["Allow"].into()
    }
}

/// The policies of the manual by their headings.
fn policies() -> BTreeMap<&'static str, Policy> {
    let (_, section) = MANUAL.split_once(SECTION).expect("docs/operations.md has the policies");
    let section = section.split("\n## ").next().unwrap();
    let policy = |part: &'static str| {
        let (name, rest) = part.split_once('\n').unwrap();
        let json = rest.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
        let json = json.unwrap_or_else(|| panic!("{name} has no policy"));
        let json = json.replace("PARTITION", "aws").replace("REGION", "eu-central-1");
        let json = json.replace("ACCOUNT", "123456789012").replace("API_ID", "a1b2c3d4e5");
        let policy: Value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(policy["Version"], "2012-10-17", "{name}");
        (name, Policy(policy))
    };
    section.split("\n### ").skip(1).map(policy).collect()
}

/// The routes that IAM guards, as `METHOD /path`.
fn guarded() -> BTreeSet<String> {
    let template = template();
    let routes = functions(&template).flat_map(|(name, _)| deployed(&template, name));
    let routes: Vec<Route> = routes.filter(|(.., guarded)| *guarded).collect();
    routes.into_iter().map(|(method, path, _)| format!("{method} {path}")).collect()
}

/// Requests of a route, as IAM names them after the API's id. The caller chooses the value of a parameter, and below
/// `{proxy+}` it may look like any other route.
fn requests(route: &str, all: &BTreeSet<String>) -> Vec<String> {
    let (method, path) = route.split_once(' ').unwrap();
    let plain = |path: &str| {
        let path = path.replace("{appid}", "wx1234567890abcdef").replace("{proxy+}", "cgi-bin/message/custom/send");
        let path = path.replace("{name}", "li");
        ["{link_id}", "{key_id}", "{browser_id}"]
            .iter()
            .fold(path, |path, id| path.replace(id, "0123456789abcdefABCDE_"))
    };
    let plain =
        |path: &str| plain(path).replace("{reconciliation_id}", "1795852800").replace("{file}", "87PweoaRBw.txt");
    let mut paths = vec![plain(path)];
    for other in all {
        let (other_method, other_path) = other.split_once(' ').unwrap();
        for alike in
            [format!("{other_method}{}", plain(other_path)), format!("$default/{other_method}{}", plain(other_path))]
        {
            paths.push(plain(&path.replace("{proxy+}", &alike)));
        }
        // In one segment of a path: it contains no slash.
        for id in ["{link_id}", "{key_id}", "{reconciliation_id}", "{file}", "{name}", "{browser_id}"] {
            paths.push(plain(&path.replace(id, other_method)));
            paths.push(plain(&path.replace(id, other_path.split('/').nth(1).unwrap())));
        }
    }
    let named =
        |path: String| format!("arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/$default/{method}{path}");
    paths.into_iter().map(named).collect()
}

#[test]
fn each_role_may_do_what_it_is_for_and_nothing_else_whatever_a_path_looks_like() {
    let (policies, all) = (policies(), guarded());
    assert_eq!(policies.keys().copied().collect::<BTreeSet<_>>(), ROLES.map(|(name, _)| name).into());
    for (name, may) in ROLES {
        for route in &all {
            for request in requests(route, &all) {
                assert_eq!(policies[name].allows(&request), may.contains(&route.as_str()), "{name}: {request}");
            }
        }
    }
}

#[test]
fn every_route_that_iam_guards_is_of_one_role_or_of_none_on_purpose() {
    let mut of_roles: Vec<&str> = ROLES.iter().flat_map(|(_, routes)| *routes).copied().chain(OF_NO_ROLE).collect();
    of_roles.sort_unstable();
    assert_eq!(of_roles, guarded().iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn a_reader_of_accounts_reads_no_token_and_keys_are_for_their_administrator() {
    let (policies, all) = (policies(), guarded());
    let below = |prefix: &str| -> Vec<String> {
        let routes = all.iter().filter(|route| route.split_once(' ').unwrap().1.starts_with(prefix));
        let found: Vec<String> = routes.flat_map(|route| requests(route, &all)).collect();
        assert!(!found.is_empty(), "{prefix}");
        found
    };
    let reach = |role: &str, prefix: &str| below(prefix).iter().any(|request| policies[role].allows(request));
    for prefix in ["/tokens", "/wechat", "/keys", "/operators"] {
        assert!(!reach("Reads accounts", prefix), "{prefix}");
    }
    let with_keys: Vec<&str> = policies.keys().copied().filter(|role| reach(role, "/keys")).collect();
    assert_eq!(with_keys, ["Administers keys"]);
    let with_tokens: Vec<&str> = policies.keys().copied().filter(|role| reach(role, "/tokens")).collect();
    assert_eq!(with_tokens, ["Reads tokens"]);
}

#[test]
fn a_stage_by_wildcard_would_let_another_route_in() {
    let all = guarded();
    let [named, open] = ["$default", "*"].map(|stage| {
        let resource = format!("arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/{stage}/GET/accounts/*");
        let statement = serde_json::json!({ "Effect": "Allow", "Action": "execute-api:*", "Resource": resource });
        Policy(serde_json::json!({ "Statement": statement }))
    });
    let calls = requests("POST /wechat/{appid}/{proxy+}", &all);
    assert!(calls.iter().any(|request| open.allows(request)) && !calls.iter().any(|request| named.allows(request)));
    let mut denied = named.0.clone();
    denied["Statement"]["Effect"] = "Deny".into();
    let both = Policy(serde_json::json!({ "Statement": [named.0["Statement"], denied["Statement"]] }));
    let reads = requests("GET /accounts/{appid}", &all);
    assert!(named.allows(&reads[0]) && !both.allows(&reads[0]), "what is denied is not allowed");
}

//! The permissions of each function: action by action, kind of item by kind of item.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use store::{
    DUE_INDEX, INTRODUCED, KNOWN_BROWSER_ATTRIBUTES, LABEL_ATTRIBUTES, LIST_INDEX, OPERATOR_ATTRIBUTES,
    PROFILE_ATTRIBUTES, STANDING_ATTRIBUTES, STATUS_ATTRIBUTES,
};

use super::{FUNCTIONS, deployed, functions, many, of_type, properties, template, text};

/// The statements of every policy, with the role or policy that they are in.
pub(super) fn statements(template: &Value) -> Vec<(&str, &Value)> {
    let inline = of_type(template, "AWS::IAM::Role").flat_map(|(role, resource)| {
        many(&resource["Properties"]["Policies"]).into_iter().map(move |policy| (role, &policy["PolicyDocument"]))
    });
    let own = ["AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"].into_iter().flat_map(|kind| of_type(template, kind));
    let own = own.map(|(name, policy)| (name, &policy["Properties"]["PolicyDocument"]));
    let documents: Vec<_> = inline.chain(own).collect();
    documents
        .into_iter()
        .flat_map(|(name, document)| many(&document["Statement"]).into_iter().map(move |statement| (name, statement)))
        .collect()
}

pub(super) fn actions(statement: &Value) -> BTreeSet<&str> {
    many(&statement["Action"]).into_iter().map(text).collect()
}

pub(super) fn leading_keys(statement: &Value) -> BTreeSet<&str> {
    many(&statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]).into_iter().map(text).collect()
}

/// The resources that one statement must name by a pattern, each with its reason in the template.
const PATTERNS: [(&str, &str); 10] = [
    ("ReadStream", "${Table.Arn}/stream/*"),
    ("CreateInterface", "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:network-interface/*"),
    ("CreateInSubnets", "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:subnet/*"),
    ("CreateWithSecurityGroups", "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:security-group/*"),
    ("ReleaseInterface", "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:*/*"),
    ("AddressInterface", "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:network-interface/*"),
    ("ReadAndWriteFiles", "${FilesBucket.Arn}/*"),
    ("FindLogGroup", "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:*"),
    ("LookUp", "*"),
    ("NotForTheCode", "*"),
];

#[test]
fn no_role_may_do_anything_by_a_wildcard() {
    let template = template();
    let mut patterns = Vec::new();
    for (name, statement) in statements(&template) {
        let sid = text(&statement["Sid"]);
        assert!(statement["NotAction"].is_null() && statement["NotResource"].is_null(), "{name}: {sid}");
        let actions = actions(statement);
        assert!(!actions.is_empty() && actions.iter().all(|action| !action.contains('*')), "{name}: {actions:?}");
        for resource in many(&statement["Resource"]) {
            let pattern = resource["Fn::Sub"].as_str().or(resource.as_str());
            patterns.extend(pattern.filter(|pattern| pattern.contains('*')).map(|pattern| (sid, pattern)));
        }
        assert_eq!(statement["Effect"], if sid == "NotForTheCode" { "Deny" } else { "Allow" }, "{name}: {sid}");
    }
    patterns.sort_unstable();
    let mut expected = PATTERNS.to_vec();
    expected.sort_unstable();
    assert_eq!(patterns, expected);
}

#[test]
fn each_function_has_a_role_of_its_own_that_only_lambda_takes() {
    let template = template();
    let mut roles = BTreeSet::new();
    for (name, function) in functions(&template) {
        let role = text(&function["Properties"]["Role"]["Fn::GetAtt"][0]);
        assert!(roles.insert(role), "{name} shares {role}");
        let trust = json!([{
            "Effect": "Allow",
            "Principal": { "Service": "lambda.amazonaws.com" },
            "Action": "sts:AssumeRole",
        }]);
        assert_eq!(properties(&template, role)["AssumeRolePolicyDocument"]["Statement"], trust);
        let key = json!({ "Fn::If": ["OwnKey", [{ "Ref": "UseOwnKey" }], { "Ref": "AWS::NoValue" }] });
        assert_eq!(properties(&template, role)["ManagedPolicyArns"], key, "{role}");
    }
    // The other two are for the network that the stack makes.
    roles.extend(["DefaultGroupCloserRole", "NetworkLogRole"]);
    assert_eq!(of_type(&template, "AWS::IAM::Role").map(|(name, _)| name).collect::<BTreeSet<_>>(), roles);
}

#[test]
fn each_role_writes_its_own_log_and_reads_the_one_secret() {
    let template = template();
    let secret = json!({ "Fn::If": ["MakeSecret", { "Ref": "Secret" }, { "Ref": "SecretArn" }] });
    for function in FUNCTIONS {
        let role = format!("{function}Role");
        let own: Vec<&Value> =
            statements(&template).into_iter().filter(|(name, _)| *name == role).map(|(_, it)| it).collect();
        let of = |service: &str| -> Vec<&Value> {
            let mut own = own.clone();
            own.retain(|statement| actions(statement).iter().any(|action| action.starts_with(service)));
            own
        };
        let [log] = of("logs:")[..] else { panic!("{role}: logs") };
        assert_eq!(actions(log), ["logs:CreateLogStream", "logs:PutLogEvents"].into());
        assert_eq!(log["Resource"], json!({ "Fn::GetAtt": [format!("{function}Logs"), "Arn"] }));
        if function == "OperatorConsole" {
            assert!(of("secretsmanager:").is_empty(), "the console needs no secret");
            continue;
        }
        let [read] = of("secretsmanager:")[..] else { panic!("{role}: secret") };
        assert_eq!(actions(read), ["secretsmanager:GetSecretValue"].into());
        assert_eq!(read["Resource"], secret);
    }
}

/// A role's permission for items: role, actions, first parts of the keys.
type Grant = (&'static str, &'static [&'static str], &'static [&'static str]);

/// The whole of it: to widen a role, widen this list. It is compared with the template, not with what the code does; for the
/// console's role `console_role` does that.
const ON_ITEMS: [Grant; 71] = [
    ("AccountApiRole", &["BatchGetItem"], &["*#details#*"]),
    ("AccountApiRole", &["BatchGetItem", "GetItem"], &["*#account#*"]),
    ("AccountApiRole", &["DeleteItem", "Query", "UpdateItem"], &["*#check-file"]),
    ("AccountApiRole", &["GetItem"], &["*#ticket"]),
    ("AccountApiRole", &["GetItem", "UpdateItem"], &["*#component"]),
    ("AccountApiRole", &["GetItem", "UpdateItem"], &["*#details#*", "*#reconcile", "*#user-name#*"]),
    ("AccountApiRole", &["BatchGetItem", "GetItem", "PutItem", "UpdateItem"], &["*#key#*"]),
    ("AccountApiRole", &["Query"], &["*#accounts", "*#accounts#*"]),
    ("AccountApiRole", &["Query"], &["*#keys"]),
    (
        "AccountApiRole",
        &["BatchGetItem", "ConditionCheckItem", "GetItem", "PutItem", "Query", "UpdateItem"],
        &["*#operator#*"],
    ),
    ("AccountApiRole", &["Query"], &["*#operators"]),
    ("AccountApiRole", &["UpdateItem"], &["*#audit"]),
    ("AccountApiRole", &["UpdateItem"], &["*#account#*"]),
    ("AccountApiRole", &["UpdateItem"], &["*#key-event#*"]),
    ("AccountApiRole", &["UpdateItem"], &["*#runs#request"]),
    ("AccountPushRole", &["GetItem"], &["*#details#*"]),
    ("AccountPushRole", &["GetItem"], &["*#message#*", "*#message-arrival#*", "*#release-check#*", "*#user-name#*"]),
    ("AccountPushRole", &["PutItem"], &["*#inbox#*"]),
    ("AccountPushRole", &["UpdateItem"], &["*#message#*", "*#message-arrival#*", "*#release-check#*"]),
    ("OauthCallbackRole", &["GetItem"], &["*#ticket"]),
    (
        "OauthCallbackRole",
        &["GetItem", "PutItem", "UpdateItem"],
        &["*#account#*", "*#claim#*", "*#component", "*#details#*", "*#inbox#*", "*#link#*"],
    ),
    ("OauthCallbackRole", &["UpdateItem"], &["*#user-name#*"]),
    (
        "OperatorConsoleRole",
        &["Query"],
        &[
            "*#accounts",
            "*#accounts#*",
            "*#arrived",
            "*#audit#*",
            "*#gained",
            "*#keys",
            "*#links",
            "*#links#*",
            "*#lost",
            "*#operators",
        ],
    ),
    ("OperatorConsoleRole", &["Query"], &["*#inbox", "*#outbox#*", "*#waiting#*"]),
    (
        "OperatorConsoleRole",
        &["GetItem"],
        &["*#details#*", "*#health", "*#link#*", "*#message-arrival#*", "*#operator#*", "*#user-name#*"],
    ),
    (
        "OperatorConsoleRole",
        &["BatchGetItem"],
        &["*#audit", "*#details#*", "*#key#*", "*#key-event#*", "*#link#*", "*#operator#*"],
    ),
    (
        "OperatorConsoleRole",
        &["Query"],
        &["*#audit", "*#calls#*", "*#check-file", "*#details#*", "*#operator#*", "*#runs#*"],
    ),
    ("OperatorConsoleRole", &["BatchGetItem", "GetItem"], &["*#account#*"]),
    ("OperatorConsoleRole", &["GetItem"], &["*#component", "*#ticket"]),
    ("OperatorConsoleRole", &["BatchGetItem", "Query"], &["*#inbox#*"]),
    ("OperatorConsoleRole", &["BatchGetItem"], &["*#message#*"]),
    ("OperatorConsoleRole", &["ConditionCheckItem"], &["*#operator#*"]),
    ("OperatorConsoleRole", &["PutItem"], &["*#operator#*"]),
    ("OperatorConsoleRole", &["UpdateItem"], &["*#operator#*"]),
    ("OperatorConsoleRole", &["UpdateItem"], &["*#audit"]),
    ("PreauthLinkRole", &["BatchGetItem", "GetItem"], &["*#account#*"]),
    ("PreauthLinkRole", &["GetItem"], &["*#details#*"]),
    ("PreauthLinkRole", &["GetItem"], &["*#ticket"]),
    ("PreauthLinkRole", &["BatchGetItem"], &["*#link#*"]),
    ("PreauthLinkRole", &["GetItem", "PutItem", "UpdateItem"], &["*#claim#*", "*#link#*"]),
    ("PreauthLinkRole", &["GetItem", "UpdateItem"], &["*#component"]),
    ("PreauthLinkRole", &["GetItem"], &["*#key#*"]),
    ("PreauthLinkRole", &["UpdateItem"], &["*#key#*"]),
    ("PreauthLinkRole", &["Query"], &["*#links#*"]),
    ("TicketPushRole", &["PutItem"], &["*#inbox#*"]),
    ("TicketPushRole", &["UpdateItem"], &["*#ticket"]),
    ("TicketPushRole", &["UpdateItem"], &["*#user-name#*"]),
    (
        "TokenRefresherRole",
        &["BatchGetItem", "GetItem", "PutItem", "Query", "UpdateItem"],
        &[
            "*#account#*",
            "*#claim#*",
            "*#component",
            "*#details#*",
            "*#health",
            "*#inbox#*",
            "*#link#*",
            "*#message#*",
            "*#reconcile",
            "*#ticket",
            "*#user-name#*",
        ],
    ),
    ("TokenRefresherRole", &["PutItem"], &["*#runs#*"]),
    ("TokenRefresherRole", &["Query", "UpdateItem"], &["*#runs#request"]),
    ("TokenRefresherRole", &["Query", "UpdateItem"], &["*#key-event#*"]),
    ("TokenApiRole", &["GetItem"], &["*#ticket"]),
    ("TokenApiRole", &["GetItem", "UpdateItem"], &["*#account#*", "*#component", "*#details#*", "*#user-name#*"]),
    ("TokenApiRole", &["GetItem"], &["*#key#*"]),
    ("TokenApiRole", &["UpdateItem"], &["*#key#*"]),
    ("TokenRefresherRole", &["Query"], &["*#due#*", "*#ended#*", "*#inbox", "*#outbox#*", "*#waiting#*"]),
    ("WebLoginRole", &["GetItem"], &["*#check-file"]),
    ("WebLoginRole", &["GetItem"], &["*#details#*"]),
    ("WebLoginRole", &["GetItem"], &["*#key#*"]),
    ("WebLoginRole", &["GetItem"], &["*#ticket"]),
    ("WebLoginRole", &["GetItem", "PutItem", "UpdateItem"], &["*#web-login#*"]),
    ("WebLoginRole", &["GetItem", "UpdateItem"], &["*#component"]),
    ("WebLoginRole", &["UpdateItem"], &["*#key#*"]),
    ("WechatCallsRole", &["BatchGetItem", "Query"], &["*#calls#*"]),
    ("WechatCallsRole", &["GetItem"], &["*#ticket"]),
    (
        "WechatCallsRole",
        &["GetItem", "UpdateItem"],
        &["*#account#*", "*#component", "*#details#*", "*#page-ticket#*", "*#user-name#*"],
    ),
    ("WechatCallsRole", &["GetItem"], &["*#key#*"]),
    ("WechatCallsRole", &["UpdateItem"], &["*#key#*"]),
    ("WechatCallsRole", &["PutItem"], &["*#inbox#*"]),
    ("WechatCallsRole", &["Query"], &["*#calls"]),
    ("WechatCallsRole", &["UpdateItem"], &["*#calls#*", "*#keyed-call#*"]),
];

#[test]
fn each_role_touches_only_the_kinds_of_item_that_its_function_works_on() {
    let template = template();
    let table = json!({ "Fn::GetAtt": ["Table", "Arn"] });
    let index = |name: &str| json!({ "Fn::Sub": format!("${{Table.Arn}}/index/{name}") });
    let mut granted = BTreeSet::new();
    for (role, statement) in statements(&template) {
        let actions: BTreeSet<&str> =
            actions(statement).into_iter().filter_map(|action| action.strip_prefix("dynamodb:")).collect();
        if actions.is_empty() || statement["Sid"] == "ReadStream" {
            continue;
        }
        let keys = leading_keys(statement);
        let resource = if keys.contains("*#inbox") {
            index(DUE_INDEX)
        } else if actions == ["Query"].into() && !keys.contains("*#runs#*") {
            index(LIST_INDEX)
        } else {
            table.clone()
        };
        assert_eq!(statement["Resource"], resource, "{role}: {keys:?}");
        granted.insert((role, actions, keys));
    }
    let listed = |list: &[&'static str]| list.iter().copied().collect::<BTreeSet<&str>>();
    let expected: BTreeSet<_> =
        ON_ITEMS.iter().map(|(role, actions, keys)| (*role, listed(actions), listed(keys))).collect();
    assert_eq!(granted, expected);
}

/// The writes whose response must not return an item: role, action, first part of the key.
const BLIND_WRITES: [(&str, &str, &str); 12] = [
    ("AccountApiRole", "dynamodb:UpdateItem", "*#account#*"),
    ("AccountApiRole", "dynamodb:UpdateItem", "*#audit"),
    ("AccountApiRole", "dynamodb:UpdateItem", "*#key-event#*"),
    ("AccountPushRole", "dynamodb:PutItem", "*#inbox#*"),
    ("OperatorConsoleRole", "dynamodb:UpdateItem", "*#audit"),
    ("PreauthLinkRole", "dynamodb:UpdateItem", "*#key#*"),
    ("TicketPushRole", "dynamodb:PutItem", "*#inbox#*"),
    ("TicketPushRole", "dynamodb:UpdateItem", "*#ticket"),
    ("TicketPushRole", "dynamodb:UpdateItem", "*#user-name#*"),
    ("TokenApiRole", "dynamodb:UpdateItem", "*#key#*"),
    ("WebLoginRole", "dynamodb:UpdateItem", "*#key#*"),
    ("WechatCallsRole", "dynamodb:UpdateItem", "*#key#*"),
];

#[test]
fn roles_that_only_write_a_kind_of_item_get_none_back() {
    let template = template();
    let nothing = json!({ "dynamodb:ReturnValues": "NONE" });
    let mut blind = BTreeSet::new();
    for (role, statement) in statements(&template) {
        if statement["Condition"]["StringEqualsIfExists"] == nothing {
            for action in actions(statement) {
                blind.extend(leading_keys(statement).into_iter().map(|key| (role, action, key)));
            }
        }
        let writes =
            actions(statement).iter().any(|action| ["dynamodb:PutItem", "dynamodb:UpdateItem"].contains(action));
        assert!(role != "TicketPushRole" || !writes || statement["Condition"]["StringEqualsIfExists"] == nothing);
    }
    assert_eq!(blind, BLIND_WRITES.into());
}

/// The condition of a role's only statement about a kind of item, which must name exactly these attributes besides the
/// key.
fn condition_on_attributes<'a>(
    template: &'a Value,
    role: &str,
    action: &str,
    key: &str,
    attributes: impl IntoIterator<Item = &'static str>,
) -> &'a Value {
    let of_kind: Vec<&Value> = statements(template)
        .into_iter()
        .filter(|(of, statement)| *of == role && actions(statement).contains(action))
        .map(|(_, statement)| statement)
        .filter(|statement| leading_keys(statement).contains(key))
        .collect();
    let [statement] = of_kind[..] else { panic!("one statement: {of_kind:?}") };
    let condition = &statement["Condition"];
    let allowed: BTreeSet<&str> =
        many(&condition["ForAllValues:StringEquals"]["dynamodb:Attributes"]).into_iter().map(text).collect();
    assert_eq!(allowed, ["pk", "sk"].into_iter().chain(attributes).collect());
    // ForAllValues also holds for a request that names no attribute, which means all of them.
    assert_eq!(condition["Null"], json!({ "dynamodb:Attributes": "false" }));
    condition
}

#[test]
fn the_role_of_messages_reads_what_businesses_said_of_accounts_and_nothing_else_that_is_known_of_them() {
    let template = template();
    let condition =
        condition_on_attributes(&template, "AccountPushRole", "dynamodb:GetItem", "*#details#*", LABEL_ATTRIBUTES);
    assert_eq!(condition["StringEqualsIfExists"], json!({ "dynamodb:Select": "SPECIFIC_ATTRIBUTES" }));
}

#[test]
fn the_role_of_links_reads_an_accounts_profile_and_no_other_detail() {
    let template = template();
    let (role, key) = ("PreauthLinkRole", "*#details#*");
    let condition = condition_on_attributes(&template, role, "dynamodb:GetItem", key, PROFILE_ATTRIBUTES);
    assert_eq!(condition["StringEqualsIfExists"], json!({ "dynamodb:Select": "SPECIFIC_ATTRIBUTES" }));
}

#[test]
fn the_role_of_links_reads_an_accounts_state_and_no_other_attribute() {
    let template = template();
    let (role, key) = ("PreauthLinkRole", "*#account#*");
    let condition = condition_on_attributes(&template, role, "dynamodb:GetItem", key, STANDING_ATTRIBUTES);
    assert_eq!(condition["StringEqualsIfExists"], json!({ "dynamodb:Select": "SPECIFIC_ATTRIBUTES" }));
}

#[test]
fn the_role_of_accounts_reads_and_writes_no_token() {
    let template = template();
    let (role, key) = ("AccountApiRole", "*#account#*");
    let condition = condition_on_attributes(&template, role, "dynamodb:GetItem", key, STATUS_ATTRIBUTES);
    assert_eq!(condition["StringEqualsIfExists"], json!({ "dynamodb:Select": "SPECIFIC_ATTRIBUTES" }));
    let written = [
        "state",
        "token_seq",
        "due_at",
        "lease_until",
        "doubts",
        "func_info",
        "profile",
        "details_state",
        "name_owned",
    ];
    let condition = condition_on_attributes(&template, role, "dynamodb:UpdateItem", key, written);
    assert_eq!(condition["StringEqualsIfExists"], json!({ "dynamodb:ReturnValues": "NONE" }));
}

#[test]
fn the_role_of_accounts_makes_and_ends_operators_and_neither_reads_nor_writes_a_browsers_secret() {
    let template = template();
    let written = ["expires_at", "list_pk", "list_sk"];
    let mut known: BTreeSet<&str> = OPERATOR_ATTRIBUTES.into_iter().chain(KNOWN_BROWSER_ATTRIBUTES).collect();
    known.extend(written);
    known.retain(|attribute| !["pk", "sk"].contains(attribute));
    let condition = condition_on_attributes(&template, "AccountApiRole", "dynamodb:UpdateItem", "*#operator#*", known);
    let expected = json!({ "dynamodb:Select": "SPECIFIC_ATTRIBUTES", "dynamodb:ReturnValues": "NONE" });
    assert_eq!(condition["StringEqualsIfExists"], expected);
}

#[test]
fn the_roles_that_check_keys_note_their_use_and_change_nothing_else() {
    let template = template();
    for role in ["PreauthLinkRole", "TokenApiRole", "WebLoginRole", "WechatCallsRole"] {
        let condition = condition_on_attributes(&template, role, "dynamodb:UpdateItem", "*#key#*", ["last_used_on"]);
        assert_eq!(condition["StringEqualsIfExists"], json!({ "dynamodb:ReturnValues": "NONE" }));
    }
}

#[test]
fn the_role_of_pushes_introduces_an_account_and_cannot_change_whose_a_name_is() {
    let template = template();
    let (role, key) = ("TicketPushRole", "*#user-name#*");
    let condition = condition_on_attributes(&template, role, "dynamodb:UpdateItem", key, [INTRODUCED]);
    assert_eq!(condition["StringEqualsIfExists"], json!({ "dynamodb:ReturnValues": "NONE" }));
}

/// The prefixes of the table's keys, one for each kind of item (`shared/store/DATA-MODEL.md`). Nothing checks that the
/// list is complete: a new kind must be added by hand.
const KEYS: [&str; 22] = [
    "wx0000000000000001#account#wx0000000000000002",
    "wx0000000000000001#audit",
    "wx0000000000000001#calls#wx0000000000000002",
    "wx0000000000000001#check-file",
    "wx0000000000000001#claim#00ff",
    "wx0000000000000001#component",
    "wx0000000000000001#details#wx0000000000000002",
    "wx0000000000000001#health",
    "wx0000000000000001#inbox#wx0000000000000002",
    "wx0000000000000001#key#AAAA",
    "wx0000000000000001#key-event#AAAA",
    "wx0000000000000001#keyed-call#00ff",
    "wx0000000000000001#link#AAAA",
    "wx0000000000000001#message#00ff",
    "wx0000000000000001#operator#li",
    "wx0000000000000001#page-ticket#wx0000000000000002",
    "wx0000000000000001#reconcile",
    "wx0000000000000001#release-check#wx0000000000000002",
    "wx0000000000000001#runs#renew",
    "wx0000000000000001#ticket",
    "wx0000000000000001#user-name#wx0000000000000002",
    "wx0000000000000001#web-login#00ff",
];

/// Whether a text matches a pattern of IAM, as in `StringLike` and the resources of a policy: `*` is any text,
/// including one with `/`, and `?` any character. Both are ASCII.
pub(super) fn like(pattern: &str, text: &str) -> bool {
    let (Some(first), rest) = (pattern.chars().next(), pattern.get(1..).unwrap_or_default()) else {
        return text.is_empty();
    };
    match (first, text.chars().next()) {
        ('*', None) => like(rest, text),
        ('*', Some(_)) => like(rest, text) || like(pattern, &text[1..]),
        (first, Some(next)) => (first == '?' || first == next) && like(rest, &text[1..]),
        (_, None) => false,
    }
}

#[test]
fn patterns_are_those_of_iam() {
    for (pattern, text) in
        [("", ""), ("*", ""), ("*", "a/b"), ("a*c", "a/b/c"), ("a?c", "a/c"), ("*#key#*", "wx#key#A")]
    {
        assert!(like(pattern, text), "{pattern}: {text}");
    }
    for (pattern, text) in
        [("", "a"), ("?", ""), ("a?c", "ac"), ("a", "A"), ("a*b", "a*c"), ("*#key#*", "wx#key-event#A")]
    {
        assert!(!like(pattern, text), "{pattern}: {text}");
    }
}

/// The kinds of item that a statement of a role is about.
fn kinds(statement: &Value) -> impl Iterator<Item = &'static str> {
    let patterns = leading_keys(statement);
    let keys = KEYS.into_iter().filter(move |key| patterns.iter().any(|pattern| like(pattern, key)));
    keys.map(|key| key.split('#').nth(1).unwrap())
}

#[test]
fn the_role_of_visitors_logins_reaches_no_account_and_no_token_of_one() {
    let template = template();
    let of_role = statements(&template).into_iter().filter(|(role, _)| *role == "WebLoginRole");
    let on_items = of_role.filter(|(_, statement)| actions(statement).iter().any(|it| it.starts_with("dynamodb:")));
    let reached: BTreeSet<&str> = on_items.flat_map(|(_, statement)| kinds(statement)).collect();
    assert_eq!(reached, ["check-file", "component", "details", "key", "ticket", "web-login"].into());
}

#[test]
fn what_strangers_write_is_handled_by_a_role_without_tokens_codes_or_tickets() {
    let template = template();
    let (mut reached, mut written_only) = (BTreeSet::new(), BTreeSet::new());
    for (_, statement) in statements(&template).into_iter().filter(|(role, _)| *role == "AccountPushRole") {
        let actions: BTreeSet<&str> =
            actions(statement).into_iter().filter_map(|action| action.strip_prefix("dynamodb:")).collect();
        assert!(actions.is_subset(&["GetItem", "PutItem", "UpdateItem"].into()), "{actions:?}");
        if actions.is_empty() {
            continue;
        }
        let kinds = kinds(statement);
        if actions == ["PutItem"].into() {
            written_only.extend(kinds);
        } else {
            reached.extend(kinds);
        }
    }
    // Of the details, only the businesses' labels.
    assert_eq!(reached, ["details", "message", "release-check", "user-name"].into());
    // Codes are in the inbox: it puts some there, and reads none.
    assert_eq!(written_only, ["inbox"].into());
}

#[test]
fn the_console_invokes_what_acts_for_it_and_nobody_else_invokes_anything() {
    let template = template();
    let invoking = statements(&template);
    let invoking = invoking.iter().filter(|(_, it)| actions(it).iter().any(|action| action.starts_with("lambda:")));
    let [("OperatorConsoleRole", act)] = invoking.copied().collect::<Vec<_>>()[..] else { panic!("one statement") };
    assert_eq!(actions(act), ["lambda:InvokeFunction"].into());
    let functions = ["AccountApi", "PreauthLink"].map(|function| json!({ "Fn::GetAtt": [function, "Arn"] }));
    assert_eq!(act["Resource"], json!(functions));
    let variables = &properties(&template, "OperatorConsole")["Environment"]["Variables"];
    assert_eq!(variables["ACCOUNT_API_FUNCTION"], json!({ "Ref": "AccountApi" }));
    assert_eq!(variables["PREAUTH_LINK_FUNCTION"], json!({ "Ref": "PreauthLink" }));
}

#[test]
fn exactly_those_that_know_the_bus_may_put_events_there_and_nothing_else() {
    let putting = |template: &Value| -> BTreeSet<String> {
        let mut may = BTreeSet::new();
        for (name, statement) in statements(template) {
            if actions(statement).iter().any(|action| action.starts_with("events:")) {
                assert_eq!(actions(statement), ["events:PutEvents"].into(), "{name}");
                assert_eq!(statement["Resource"], json!({ "Fn::GetAtt": ["EventBus", "Arn"] }), "{name}");
                let attached = template["Resources"][name]["Properties"]["Roles"].as_array();
                let roles = attached.map(|roles| roles.iter().map(|role| text(&role["Ref"])).collect());
                may.extend(roles.unwrap_or_else(|| vec![name]).into_iter().map(str::to_owned));
            }
        }
        may
    };
    let template = template();
    let bus = json!({ "Ref": "EventBus" });
    let knows = |function: &Value| function["Properties"]["Environment"]["Variables"]["EVENT_BUS_NAME"] == bus;
    let know = functions(&template).filter(|(_, function)| knows(function)).map(|(name, _)| format!("{name}Role"));
    let mut know: BTreeSet<String> = know.collect();
    assert_eq!(know.len(), 4);
    assert_eq!(putting(&deployed(&[("TokenReadEvents", "on")])), know);
    // Readings of tokens are reported on request only.
    assert!(know.remove("TokenApiRole"));
    assert_eq!(putting(&deployed(&[])), know);
}

#[test]
fn files_are_for_the_role_of_calls_and_it_can_neither_delete_nor_share_them() {
    let template = template();
    let mut may = BTreeSet::new();
    for (role, statement) in statements(&template) {
        may.extend(actions(statement).into_iter().filter(|it| it.starts_with("s3:")).map(|action| (role, action)));
    }
    assert_eq!(may, ["s3:GetObject", "s3:ListBucket", "s3:PutObject"].map(|it| ("WechatCallsRole", it)).into());
}

#[test]
fn the_own_key_is_used_through_the_table_the_secret_and_the_bucket_only() {
    let template = template();
    for (name, may, through) in [
        ("UseOwnKey", &["kms:Decrypt"][..], &["dynamodb", "secretsmanager"][..]),
        ("UseOwnKeyForFiles", &["kms:Decrypt", "kms:GenerateDataKey"], &["s3"]),
    ] {
        let policy = &template["Resources"][name];
        assert_eq!(policy["Condition"], "OwnKey");
        let [statement] = &many(&policy["Properties"]["PolicyDocument"]["Statement"])[..] else {
            panic!("{name}: one statement")
        };
        assert_eq!(actions(statement), may.iter().copied().collect());
        assert_eq!(statement["Resource"], json!({ "Ref": "KmsKeyArn" }));
        let via = many(&statement["Condition"]["StringEquals"]["kms:ViaService"]);
        let services: BTreeSet<&str> = via.iter().map(|it| text(&it["Fn::Sub"]).split('.').next().unwrap()).collect();
        assert_eq!(services, through.iter().copied().collect());
        assert!(via.iter().all(|it| text(&it["Fn::Sub"]).contains(".${AWS::Region}.")), "{via:?}");
    }
}

//! The console's requests to the table, one by one, against its role: the role allows all of them, and nothing else.
//!
//! Only the console's own requests count. The functions that it invokes use their own roles.

use std::collections::BTreeSet;
use std::time::Duration;

use base::ids::OperatorName;
use base::random::Random;
use http::header::COOKIE;
use runtime::config::Origin;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use simulator::Message;
use store::{Operator, OperatorRequest, Store, Table, TokenOwner};
use stories::browser::{Browser, Page};
use stories::business::Business;
use stories::faults::{Fault, Matching};
use stories::recorder::{Recorder, TableRequest};
use stories::world::{COMPONENT, TABLE, World};
use tokio::net::TcpListener;
use url::Url;

use super::roles::{actions, leading_keys, like, statements};
use super::{many, template, text};
use crate::key_door::operator as admin;

const ROLE: &str = "OperatorConsoleRole";

/// The role's statements about the table.
fn on_table(template: &Value) -> Vec<&Value> {
    let own = statements(template).into_iter().filter(|(role, _)| *role == ROLE).map(|(_, statement)| statement);
    own.filter(|statement| actions(statement).iter().any(|action| action.starts_with("dynamodb:"))).collect()
}

fn attributes(statement: &Value) -> BTreeSet<&str> {
    match &statement["Condition"]["ForAllValues:StringEquals"]["dynamodb:Attributes"] {
        Value::Null => BTreeSet::new(),
        listed => many(listed).into_iter().map(text).collect(),
    }
}

/// Whether a statement allows a request, as IAM does.
fn allows(statement: &Value, request: &TableRequest) -> bool {
    let resource = match &request.index {
        Some(index) => json!({ "Fn::Sub": format!("${{Table.Arn}}/index/{index}") }),
        None => json!({ "Fn::GetAtt": ["Table", "Arn"] }),
    };
    let named = request.attributes.clone().unwrap_or_default();
    let holds = |operator: &str, key: &str, wanted: &Value| match (operator, key) {
        ("ForAllValues:StringLike", "dynamodb:LeadingKeys") => {
            request.leading_keys.iter().all(|key| many(wanted).into_iter().any(|pattern| like(text(pattern), key)))
        }
        ("ForAllValues:StringEquals", "dynamodb:Attributes") => {
            let listed: BTreeSet<&str> = many(wanted).into_iter().map(text).collect();
            named.iter().all(|name| listed.contains(name.as_str()))
        }
        ("Null", "dynamodb:Attributes") => *wanted == "false" && !named.is_empty(),
        ("StringEqualsIfExists", "dynamodb:Select") => request.select.as_ref().is_none_or(|it| wanted == it),
        ("StringEqualsIfExists", "dynamodb:ReturnValues") => {
            request.return_values.as_ref().is_none_or(|it| wanted == it)
        }
        _ => panic!("what does {operator} say about {key}?"),
    };
    let conditions = statement["Condition"].as_object().unwrap().iter();
    let mut conditions = conditions.flat_map(|(operator, keys)| {
        keys.as_object().unwrap().iter().map(move |(key, wanted)| (operator.as_str(), key.as_str(), wanted))
    });
    statement["Resource"] == resource
        && actions(statement).contains(format!("dynamodb:{}", request.action).as_str())
        && conditions.all(|(operator, key, wanted)| holds(operator, key, wanted))
}

/// A platform with something on every page, and a console of its own whose requests are recorded.
struct Stage {
    world: World,
    recorder: Recorder,
    url: Url,
    browser: Browser,
}

impl Stage {
    async fn new() -> Self {
        let world = World::ready().await;
        let recorder = Recorder::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let mut parts = world.console_parts();
        parts.table = recorded(&world, &recorder);
        parts.config.public_base = Origin::parse(url.as_str()).unwrap();
        let console = console::router(console::Console::new(parts));
        tokio::spawn(async move { axum::serve(listener, console).await });
        Self { world, recorder, url, browser: Browser::on_computer() }
    }

    async fn open(&self, path: &str) -> Page {
        let page = self.browser.open(&self.url.join(path).unwrap()).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        page
    }

    /// Binds an operator's browser.
    async fn enter(&self, name: &str) {
        let (world, random) = (&self.world, Random::system());
        let operator = operator(world, name);
        let (invitation, code) = operator.invitation(&admin().by, &random, world.now());
        assert!(world.store().operators.create(&operator, &invitation, &admin()).await.unwrap());
        let path = format!("/console/invitations/{}", code.text().expose_secret());
        let page = self.open(&path).await;
        let bound = self.browser.submit(&page, &[]).await;
        assert_eq!(bound.status, 303, "{}", bound.text);
    }

    /// Creates everything that a page can show.
    async fn fill(&self) -> (String, String) {
        let world = &self.world;
        world.expect_error("nothing more is delivered in this run");
        let account = world.authorized_account().await;
        let business = Business::of(world);
        business.reads_of_wechat(&account, "wxa/no_such_api").await;
        let link = business.link(json!({ "reference": "shop-1" })).await;
        world.key(&["links"], |_| {}).await;
        world.faults.always(Matching::operation("PutEvents"), Fault::Away);
        let shop = world.simulator.account(&account).unwrap();
        assert!(world.simulator.send_message(&Message::text(&shop, "follower", "hello")).await.is_empty());
        world.push_and_work(&world.simulator.unauthorize(&account).unwrap()).await;
        (account.to_string(), link.id)
    }
}

fn recorded(world: &World, recorder: &Recorder) -> Table {
    let config = world.database.config().http_client(recorder.client()).build();
    Table::new(aws_sdk_dynamodb::Client::from_conf(config), TABLE)
}

fn operator(world: &World, name: &str) -> Operator {
    let request = OperatorRequest::new(name, "act", None, world.now()).unwrap();
    request.make(&admin().by, &Random::system(), world.now())
}

/// An operator views everything, does something, and comes back on other days; somebody else comes with a copy of the
/// cookie. Returns the requests to the table.
async fn everything() -> BTreeSet<TableRequest> {
    let stage = Stage::new().await;
    let (account, link) = stage.fill().await;
    stage.enter("li").await;
    for path in [
        "/console",
        "/console/lost",
        "/console/accounts",
        "/console/accounts?q=gh_0123456789ab",
        "/console/accounts?state=unauthorized",
        "/console/accounts?reference=shop-1",
        "/console/export",
        "/console/export/accounts.csv",
        &format!("/console/accounts/{account}"),
        "/console/links",
        "/console/links?reference=shop-1",
        &format!("/console/links/{link}"),
        "/console/arrivals",
        "/console/keys",
        "/console/domains",
        "/console/setup",
        "/console/operators",
    ] {
        stage.open(path).await;
    }
    let links = stage.open("/console/links").await;
    let made = stage
        .browser
        .submit_to(&links, "/console/links", &[("reference", "shop-2"), ("kind", "3"), ("life", "7")])
        .await;
    assert_eq!(made.status, 303, "{}", made.text);
    let page = stage.open(&format!("/console/accounts/{account}")).await;
    let asking = stage.browser.submit_to(&page, &format!("/console/accounts/{account}/link"), &[]).await;
    assert_eq!(asking.status, 303, "{}", asking.text);
    stage.open("/console/audit").await;
    stage.open(&format!("/console/audit?account={account}")).await;
    let browsers = stage.open("/console/browsers").await;
    let (_, end) = browsers.text.split_once("action=\"/console/browsers/").unwrap();
    let path = format!("/console/browsers/{}", end.split('"').next().unwrap());
    let ended = stage.browser.submit_to(&browsers, &path, &[]).await;
    assert_eq!(ended.status, 200, "{}", ended.text);

    stage.enter("wang").await;
    let copy = stage.browser.cookie_values().remove(0);
    for _ in 0..2 {
        stage.world.pass(Duration::from_hours(25));
        // The first response brings a new secret, the second request sends it.
        stage.open("/console/setup").await;
        stage.open("/console/setup").await;
    }
    let another = stories::http_client().get(stage.url.join("/console").unwrap());
    let refused = another.header(COOKIE, format!("console={copy}")).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    stage.recorder.requests()
}

#[tokio::test]
async fn the_role_of_the_console_allows_what_the_console_asks_for_and_nothing_else() {
    let template = template();
    let statements = on_table(&template);
    let (mut used, mut refused) = (BTreeSet::new(), Vec::new());
    for request in Box::pin(everything()).await {
        let Some(statement) = statements.iter().find(|statement| allows(statement, &request)) else {
            refused.push(request);
            continue;
        };
        let sid = text(&statement["Sid"]);
        for pattern in leading_keys(statement) {
            if request.leading_keys.iter().any(|key| like(pattern, key)) {
                used.insert(format!("{sid}: dynamodb:{} of {pattern}", request.action));
            }
        }
        let listed = attributes(statement);
        let named = request.attributes.iter().flatten().filter(|name| listed.contains(name.as_str()));
        used.extend(named.map(|name| format!("{sid}: attribute {name}")));
    }
    assert!(refused.is_empty(), "the role refuses {refused:#?}");
    let granted = statements.iter().flat_map(|statement| {
        let sid = text(&statement["Sid"]);
        let keys = leading_keys(statement);
        let pairs = actions(statement).into_iter().flat_map(move |action| {
            keys.clone().into_iter().map(move |pattern| format!("{sid}: {action} of {pattern}"))
        });
        pairs.chain(attributes(statement).into_iter().map(move |name| format!("{sid}: attribute {name}")))
    });
    let unused: Vec<String> = granted.filter(|grant| !used.contains(grant)).collect();
    assert!(unused.is_empty(), "the console never uses {unused:#?}");
}

/// The number of requests of `work` that the console's role refuses.
async fn refused<T>(world: &World, work: impl AsyncFnOnce(Store) -> T) -> usize {
    let (template, recorder) = (template(), Recorder::default());
    let store = recorded(world, &recorder).store(&base::ids::AppId::parse(COMPONENT).unwrap());
    drop(work(store).await);
    let statements = on_table(&template);
    let asked = recorder.requests();
    assert!(!asked.is_empty());
    asked.iter().filter(|request| !statements.iter().any(|statement| allows(statement, request))).count()
}

#[tokio::test]
async fn with_the_role_of_the_console_nobody_reads_a_ticket_or_token_or_makes_an_operator_or_an_invitation() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    let (li, random) = (operator(&world, "li"), Random::system());
    let (invitation, _) = li.invitation(&admin().by, &random, world.now());
    assert_eq!(refused(&world, async |store: Store| store.tickets.newest().await).await, 1);
    assert_eq!(refused(&world, async |store: Store| store.tokens.get(&TokenOwner::Component).await).await, 1);
    let owner = TokenOwner::Authorizer(account.clone());
    assert_eq!(refused(&world, async |store: Store| store.tokens.get(&owner).await).await, 1);
    assert_eq!(refused(&world, async |store: Store| store.accounts.get(&account).await).await, 1);
    // For the operator and for the invitation; it may write to the audit.
    let made = refused(&world, async |store: Store| store.operators.create(&li, &invitation, &admin()).await);
    assert_eq!(made.await, 2);
    let invited = refused(&world, async |store: Store| store.operators.invite(&li, &invitation, &admin()).await);
    assert_eq!(invited.await, 1);
    let name = OperatorName::parse("li").unwrap();
    let ended = refused(&world, async |store: Store| store.operators.end(&name, &admin(), world.now()).await);
    assert_eq!(ended.await, 1);
}

#[test]
fn what_is_read_of_items_with_secrets_names_none_of_them() {
    const SECRETS: [&str; 15] = [
        "ticket",
        "access_token",
        "refresh_token",
        "push",
        "code",
        "claim",
        "release_check",
        "reply",
        "account_message",
        "rights",
        "created_by",
        "created_at",
        "operator_until",
        "operator_ended_at",
        "operator_ended_by",
    ];
    let template = template();
    for statement in on_table(&template) {
        assert!(!actions(statement).contains("dynamodb:Scan"));
        let listed = attributes(statement);
        assert!(SECRETS.iter().all(|secret| !listed.contains(secret)), "{listed:?}");
    }
    let whole: BTreeSet<&str> = on_table(&template)
        .into_iter()
        .filter(|statement| attributes(statement).is_empty() && statement["Resource"]["Fn::GetAtt"].is_array())
        .flat_map(leading_keys)
        .collect();
    let secret =
        ["account", "claim", "component", "inbox", "keyed-call", "message", "page-ticket", "ticket", "web-login"];
    for kind in secret {
        for key in [format!("{COMPONENT}#{kind}"), format!("{COMPONENT}#{kind}#x")] {
            assert!(whole.iter().all(|pattern| !like(pattern, &key)), "{key}");
        }
    }
}

//! Each function's variables and log.

use std::collections::BTreeSet;
use std::sync::Mutex;

use runtime::config::{
    AccountConfig, BusConfig, ConsoleConfig, EventConfig, FilesConfig, KeyConfig, LoginConfig, MessageConfig,
    MetricsConfig, PageConfig, StoreConfig, TokenConfig, WebDomains, WechatConfig,
};
use serde_json::{Value, json};
use token_refresher::Settings;

use super::{functions, of_type, properties, template, text};

/// The names of the variables that a configuration reads.
fn asked(read: impl FnOnce(&dyn Fn(&str) -> Option<String>)) -> BTreeSet<String> {
    let names = Mutex::new(BTreeSet::new());
    read(&|name: &str| {
        names.lock().unwrap().insert(name.to_owned());
        let value = match name {
            "RETURN_URL_ORIGINS" | "RELEASE_CHECK_ACCOUNTS" | "WANTED_PERMISSIONS" => "",
            "REFRESHER_WINDOW" => "64",
            "REFRESHER_RUNS" => "1",
            "API_KEYS" | "PLATFORM_TOKEN_ROUTE" | "TOKEN_READ_EVENTS" => "on",
            "WEB_DOMAINS" => "pages.example.com",
            "LOGIN_HOST" => "login.example.com",
            "PROVIDER_FILING_NUMBER" => "粤ICP备12345678号",
            _ => "https://a.example.com",
        };
        Some(value.to_owned())
    });
    names.into_inner().unwrap()
}

#[test]
fn every_variable_that_a_function_reads_is_set_for_it() {
    let table = asked(|environment| drop(StoreConfig::read(&environment).unwrap()));
    let pages = asked(|environment| drop(PageConfig::read(&environment).unwrap()));
    let wechat = asked(|environment| drop(WechatConfig::read(&environment).unwrap()));
    let metrics = asked(|environment| drop(MetricsConfig::read(&environment).unwrap()));
    let window = asked(|environment| assert!(Settings::read(&environment).is_ok()));
    let mut bus = asked(|environment| drop(BusConfig::read(&environment).unwrap()));
    let messages = asked(|environment| drop(MessageConfig::read(&environment).unwrap()));
    let accounts = asked(|environment| drop(AccountConfig::read(&environment).unwrap()));
    let tokens = asked(|environment| assert!(TokenConfig::read(&environment).is_ok()));
    let events = asked(|environment| drop(EventConfig::read(&environment).unwrap()));
    let keys = asked(|environment| assert!(KeyConfig::read(&environment).is_ok()));
    let files = asked(|environment| drop(FilesConfig::read(&environment).unwrap()));
    let domains = asked(|environment| drop(WebDomains::read(&environment).unwrap()));
    let logins = asked(|environment| drop(LoginConfig::read(&environment).unwrap()));
    let mut console = asked(|environment| drop(ConsoleConfig::read(&environment).unwrap()));
    let counts = [
        &table, &pages, &wechat, &metrics, &window, &bus, &messages, &accounts, &tokens, &events, &files, &keys,
        &domains, &logins, &console,
    ]
    .map(BTreeSet::len);
    assert_eq!(counts, [2, 6, 3, 1, 1, 1, 2, 2, 2, 2, 1, 1, 1, 6, 10], "the configurations really ask");
    // Read by the log's filter and by the SDK: EventBridge's by those that have a bus, Lambda's by the console.
    let libraries = ["RUST_LOG", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SECRETS_MANAGER"];
    let libraries: BTreeSet<String> = libraries.map(str::to_owned).into();
    bus.insert("AWS_ENDPOINT_URL_EVENTBRIDGE".to_owned());
    console.insert("AWS_ENDPOINT_URL_LAMBDA".to_owned());
    // Only preauth-link and web-login name WeChat's pages for browsers.
    let api: BTreeSet<String> = wechat.iter().filter(|name| name.contains("_API_")).cloned().collect();
    let all = [&table, &metrics, &libraries];

    let template = template();
    let names = |variables: &Value| -> BTreeSet<String> {
        variables.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
    };
    let common = names(&template["Globals"]["Function"]["Environment"]["Variables"]);
    for (function, own) in [
        ("TicketPush", vec![]),
        ("AccountApi", vec![&api, &accounts, &bus, &keys]),
        ("TokenApi", vec![&api, &bus, &keys, &tokens]),
        ("WebLogin", vec![&keys, &logins, &wechat]),
        ("WechatCalls", vec![&api, &domains, &files, &keys]),
        ("AccountPush", vec![&bus, &messages]),
        ("PreauthLink", vec![&keys, &pages, &wechat]),
        ("OauthCallback", vec![&pages, &api]),
        ("OperatorConsole", vec![&console]),
        ("TokenRefresher", vec![&api, &window, &bus, &events]),
    ] {
        let mut set = names(&properties(&template, function)["Environment"]["Variables"]);
        set.extend(common.iter().cloned());
        let reads: BTreeSet<String> = all.into_iter().chain(own).flatten().cloned().collect();
        assert_eq!(set, reads, "{function}: what is set and what is read");
    }
}

#[test]
fn the_template_takes_exactly_the_windows_that_the_refresher_takes() {
    let template = template();
    let parameter = &template["Parameters"]["RefresherWindow"];
    assert_eq!(
        properties(&template, "TokenRefresher")["Environment"]["Variables"]["REFRESHER_WINDOW"],
        json!({ "Ref": "RefresherWindow" })
    );
    let taken = |window: u64| Settings::read(&move |_: &str| Some(window.to_string())).map(|it| it.window);
    let (least, most) = (parameter["MinValue"].as_u64().unwrap(), parameter["MaxValue"].as_u64().unwrap());
    assert!(taken(least).is_ok() && taken(least - 1).is_err());
    assert!(taken(most).is_ok() && taken(most + 1).is_err());
    assert_eq!(
        parameter["Default"].as_u64().and_then(|window| window.try_into().ok()),
        Some(Settings::default().window)
    );
}

#[test]
fn on_aws_itself_the_sdk_is_not_sent_anywhere_else() {
    let template = template();
    let expected = json!({ "Fn::If": ["StandIns", { "Ref": "AwsEndpointUrl" }, { "Ref": "AWS::NoValue" }] });
    let variables = |function: &Value| function["Environment"]["Variables"].as_object().cloned().unwrap_or_default();
    let mut found = variables(&template["Globals"]["Function"]);
    for (_, function) in functions(&template) {
        found.extend(variables(&function["Properties"]));
    }
    found.retain(|name, _| name.starts_with("AWS_"));
    assert_eq!(found.len(), 4);
    assert!(found.values().all(|value| *value == expected), "{found:?}");
    assert_eq!(template["Parameters"]["AwsEndpointUrl"]["Default"], "");
}

#[test]
fn no_variable_carries_a_secret() {
    let template = template();
    for (name, function) in functions(&template) {
        for secret in ["resolve:", "SecretString", "component_appsecret"] {
            assert!(!function.to_string().contains(secret), "{name}: {secret}");
        }
    }
    assert!(!template["Globals"].to_string().contains("resolve:"));
}

#[test]
fn every_function_has_a_log_of_its_own_that_ends_some_day_and_is_without_lambdas_lines() {
    let template = template();
    let mut logs = BTreeSet::new();
    for (name, function) in functions(&template) {
        let logging = &function["Properties"]["LoggingConfig"];
        // Metrics have no level and count as `info`: an ApplicationLogLevel above it would drop them.
        let group = text(&logging["LogGroup"]["Ref"]);
        assert_eq!(*logging, json!({ "LogFormat": "JSON", "SystemLogLevel": "WARN", "LogGroup": { "Ref": group } }));
        assert_eq!(template["Resources"][group]["Type"], "AWS::Logs::LogGroup", "{name}");
        assert!(logs.insert(group), "{name} shares {group}");
    }
    for (name, group) in of_type(&template, "AWS::Logs::LogGroup") {
        assert_eq!(group["Properties"]["RetentionInDays"], json!({ "Ref": "LogRetentionDays" }), "{name}");
    }
}

#[test]
fn nothing_is_used_that_china_does_not_have() {
    let template = template();
    let text = template.to_string();
    for missing in ["Tracing", "XRay", "xray", "FunctionUrlConfig", "AWS::Lambda::Url", "\"AsyncEvent"] {
        assert!(!text.contains(missing), "{missing}");
    }
    assert!(!text.contains("arn:aws:"), "an ARN of one partition only");
    assert!(
        !text.contains("https://${HttpApi}.execute-api.${AWS::Region}.amazonaws.com"),
        "a host of one partition only"
    );
}

#[test]
fn the_console_is_not_told_the_addresses_of_webhooks_which_may_have_keys_in_them() {
    let template = template();
    let variables = &properties(&template, "OperatorConsole")["Environment"]["Variables"];
    assert_eq!(variables["HAS_EVENT_WEBHOOK"], json!({ "Fn::If": ["CallEventWebhook", "true", ""] }));
    assert!(!variables.to_string().contains("WebhookUrl"), "{variables}");
}

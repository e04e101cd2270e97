//! Each function's variables and log.

use std::collections::BTreeSet;
use std::sync::Mutex;

use serde_json::{Value, json};
use shared::config::{PageConfig, StoreConfig, WechatConfig};

use super::{functions, of_type, properties, template, text};

/// The names of the variables that a configuration asks for.
fn asked(read: impl FnOnce(&dyn Fn(&str) -> Option<String>)) -> BTreeSet<String> {
    let names = Mutex::new(BTreeSet::new());
    read(&|name: &str| {
        names.lock().unwrap().insert(name.to_owned());
        Some(if name == "RETURN_URL_ORIGINS" { "" } else { "https://a.example.com" }.to_owned())
    });
    names.into_inner().unwrap()
}

fn named(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn every_variable_that_a_function_reads_is_set_for_it() {
    let store = asked(|environment| drop(StoreConfig::read(&environment).unwrap()));
    let pages = asked(|environment| drop(PageConfig::read(&environment).unwrap()));
    let wechat = asked(|environment| drop(WechatConfig::read(&environment).unwrap()));
    assert_eq!((store.len(), pages.len(), wechat.len()), (2, 2, 3), "the configurations really ask");
    let metrics = named(&["METRICS_NAMESPACE"]);
    let window = named(&["REFRESHER_WINDOW"]);
    // Read by the log's filter and by the SDK.
    let libraries = named(&["RUST_LOG", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SECRETS_MANAGER"]);
    // The authorization pages are preauth-link's alone.
    let api: BTreeSet<String> = wechat.iter().filter(|name| name.contains("_API_")).cloned().collect();
    let all = [&store, &metrics, &libraries];

    let template = template();
    let names = |variables: &Value| -> BTreeSet<String> {
        variables.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
    };
    let common = names(&template["Globals"]["Function"]["Environment"]["Variables"]);
    for (function, own) in [
        ("TicketPush", vec![]),
        ("PreauthLink", vec![&pages, &wechat]),
        ("OauthCallback", vec![&pages, &api]),
        ("TokenRefresher", vec![&api, &window]),
    ] {
        let mut set = names(&properties(&template, function)["Environment"]["Variables"]);
        set.extend(common.iter().cloned());
        let reads: BTreeSet<String> = all.into_iter().chain(own).flatten().cloned().collect();
        assert_eq!(set, reads, "{function}: what is set and what is read");
    }
}

#[test]
fn on_aws_itself_the_sdk_is_not_sent_anywhere_else() {
    let template = template();
    let common = &template["Globals"]["Function"]["Environment"]["Variables"];
    for name in ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SECRETS_MANAGER"] {
        let expected = json!({ "Fn::If": ["StandIns", { "Ref": "AwsEndpointUrl" }, { "Ref": "AWS::NoValue" }] });
        assert_eq!(common[name], expected);
    }
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
fn every_function_writes_into_its_own_log_which_ends_some_day() {
    let template = template();
    let mut logs = BTreeSet::new();
    for (name, function) in functions(&template) {
        let logging = &function["Properties"]["LoggingConfig"];
        let group = text(&logging["LogGroup"]["Ref"]);
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

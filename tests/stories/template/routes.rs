//! The HTTP API: each function's routes, who may call them, and how often.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};
use stories::template::{ACCEPTED, accepted_line};
use stories::world::key_routes;

use super::{deployed as stack, events, functions, many, of_type, properties, template, text};

/// A route as both sides have it: method, path, and whether IAM guards it.
pub(super) type Route = (String, String, bool);

fn routes(exported: &[(Method, &str)]) -> BTreeSet<Route> {
    exported.iter().map(|(method, path)| (method.to_string(), (*path).to_owned(), false)).collect()
}

/// Routes for services: each guarded by IAM, and all of them again for keys, which the function checks itself.
fn behind_doors(exported: &[web::doors::Route]) -> BTreeSet<Route> {
    let by_iam = exported.iter().map(|route| (route.method.to_string(), route.path.to_owned(), true));
    by_iam.chain(key_routes(exported).into_iter().map(|path| ("ANY".to_owned(), path, false))).collect()
}

pub(super) fn deployed(template: &Value, name: &str) -> BTreeSet<Route> {
    events(&template["Resources"][name], "HttpApi")
        .map(|event| {
            assert_eq!(event["ApiId"], json!({ "Ref": "HttpApi" }), "{name}");
            let guard = &event["Auth"]["Authorizer"];
            assert!(guard.is_null() || guard == "AWS_IAM", "{name}: {guard}");
            (text(&event["Method"]).to_owned(), text(&event["Path"]).to_owned(), !guard.is_null())
        })
        .collect()
}

#[test]
fn each_function_is_sent_exactly_the_routes_that_its_router_has() {
    let template = template();
    assert_eq!(deployed(&template, "TicketPush"), routes(&ticket_push::ROUTES));
    assert_eq!(deployed(&template, "AccountApi"), behind_doors(&account_api::ROUTES));
    assert_eq!(deployed(&template, "TokenApi"), behind_doors(&token_api::ROUTES));
    assert_eq!(deployed(&template, "WechatCalls"), behind_doors(&wechat_calls::ROUTES));
    assert_eq!(deployed(&template, "AccountPush"), routes(&account_push::ROUTES));
    assert_eq!(deployed(&template, "OauthCallback"), routes(&oauth_callback::ROUTES));
    let mut links = routes(&preauth_link::PUBLIC_ROUTES);
    links.extend(behind_doors(&preauth_link::BUSINESS_ROUTES));
    assert_eq!(deployed(&template, "PreauthLink"), links);
    let mut logins = routes(&web_login::PUBLIC_ROUTES);
    logins.extend(behind_doors(&web_login::BUSINESS_ROUTES));
    assert_eq!(deployed(&template, "WebLogin"), logins);
    let pages = [("GET", "/console"), ("GET", "/console/{proxy+}"), ("POST", "/console/{proxy+}")];
    let pages = pages.map(|(method, path)| (method.to_owned(), path.to_owned(), false));
    assert_eq!(deployed(&template, "OperatorConsole"), pages.into());
    assert_eq!(deployed(&template, "TokenRefresher"), BTreeSet::new());
    let auth = &properties(&template, "HttpApi")["Auth"];
    assert_eq!(auth["EnableIamAuthorizer"], true);
    assert!(auth["DefaultAuthorizer"].is_null(), "WeChat and merchants have no credentials");
}

#[test]
fn every_page_of_the_console_is_below_its_routes() {
    for page in console::PAGES.iter() {
        let below = page.path.strip_prefix(console::BASE).unwrap();
        assert!(below.starts_with('/') || (below.is_empty() && page.method == Method::GET), "{}", page.path);
        assert!([Method::GET, Method::POST].contains(page.method), "{}", page.path);
    }
}

#[test]
fn without_the_console_there_is_nothing_of_it() {
    let template = stack(&[]);
    let resources = template["Resources"].as_object().unwrap();
    let named: Vec<_> =
        resources.iter().filter(|(name, it)| format!("{name}{it}").contains("OperatorConsole")).collect();
    assert!(named.is_empty(), "{named:?}");
    assert!(template["Outputs"]["ConsoleUrl"].is_null());
    assert!(stack(&[("Console", "on")])["Outputs"]["ConsoleUrl"].is_object());
}

/// A stack with a host for each account.
fn with_login_host() -> Value {
    let certificate = "arn:aws:acm:eu-central-1:123456789012:certificate/0e46f1d4-6f5c-4c1b-8f0f-1a9d6f0d7c3e";
    stack(&[("LoginHost", "login.example.com"), ("LoginCertificateArn", certificate)])
}

#[test]
fn the_hosts_of_accounts_lead_to_the_logins_of_visitors_and_nowhere_else() {
    let template = with_login_host();
    let api = json!({ "Ref": "LoginApi" });
    assert_eq!(properties(&template, "LoginApi")["DisableExecuteApiEndpoint"], true);
    let mut found = BTreeSet::new();
    for (name, route) in of_type(&template, "AWS::ApiGatewayV2::Route") {
        let route = &route["Properties"];
        assert_eq!(route["ApiId"], api, "{name}");
        assert_eq!(route["Target"], json!({ "Fn::Sub": "integrations/${LoginApiFunction}" }), "{name}");
        assert!(route["AuthorizationType"].is_null(), "{name}");
        found.insert(text(&route["RouteKey"]).to_owned());
        let after = many(&template["Resources"]["LoginApiStage"]["DependsOn"]);
        assert!(after.contains(&&json!(name)), "the stage has a limit for {name} before it is there");
    }
    let public = web_login::PUBLIC_ROUTES.iter().map(|(method, path)| format!("{method} {path}"));
    assert_eq!(found, public.collect());

    let integration = properties(&template, "LoginApiFunction");
    assert_eq!((&integration["ApiId"], &integration["PayloadFormatVersion"]), (&api, &json!("2.0")));
    assert_eq!(integration["IntegrationUri"], json!({ "Fn::GetAtt": ["WebLogin", "Arn"] }));
    let permission = properties(&template, "LoginApiCallsFunction");
    assert_eq!(permission["FunctionName"], json!({ "Ref": "WebLogin" }));
    let source = text(&permission["SourceArn"]["Fn::Sub"]);
    assert!(source.ends_with(":${LoginApi}/*/*/*"), "{source}");

    let (domain, mapping) = (properties(&template, "LoginDomain"), properties(&template, "LoginDomainMapping"));
    assert_eq!(domain["DomainName"], json!({ "Fn::Sub": "*.${LoginHost}" }));
    let certificate = json!({ "Ref": "LoginCertificateArn" });
    assert_eq!(domain["DomainNameConfigurations"][0]["CertificateArn"], certificate);
    let parts = (&mapping["ApiId"], &mapping["DomainName"], &mapping["Stage"]);
    assert_eq!(parts, (&api, &json!({ "Ref": "LoginDomain" }), &json!({ "Ref": "LoginApiStage" })));
    let target = &template["Outputs"]["LoginDomainTarget"]["Value"];
    assert_eq!(*target, json!({ "Fn::GetAtt": ["LoginDomain", "RegionalDomainName"] }));
}

#[test]
fn without_a_login_host_there_is_nothing_of_it() {
    let template = stack(&[]);
    let names = ["Resources", "Outputs"].into_iter().flat_map(|section| template[section].as_object().unwrap().keys());
    let of_login: Vec<&String> = names.filter(|name| name.starts_with("Login")).collect();
    assert!(of_login.is_empty(), "{of_login:?}");
    let used: Vec<_> = template["Resources"].as_object().unwrap().values().map(Value::to_string).collect();
    assert!(!used.iter().any(|resource| resource.contains("LoginApi") || resource.contains("LoginDomain")));
}

#[test]
fn a_login_has_the_same_limits_and_the_same_lines_in_the_log_at_every_host() {
    let template = with_login_host();
    let (api, stage) = (properties(&template, "HttpApi"), properties(&template, "LoginApiStage"));
    assert_eq!((&stage["StageName"], &stage["AutoDeploy"]), (&json!("$default"), &json!(true)));
    assert_eq!(stage["AccessLogSettings"], api["AccessLogSettings"]);
    let limits = stage["RouteSettings"].as_object().unwrap();
    let limited: BTreeSet<&str> = limits.keys().map(String::as_str).collect();
    let routes = of_type(&template, "AWS::ApiGatewayV2::Route");
    assert_eq!(limited, routes.map(|(_, route)| text(&route["Properties"]["RouteKey"])).collect());
    for (route, limit) in limits {
        assert_eq!(*limit, api["RouteSettings"][route], "{route}");
    }
}

#[test]
fn every_route_has_a_limit_and_those_of_pushes_are_far_above_the_others() {
    let template = template();
    let limits = properties(&template, "HttpApi")["RouteSettings"].as_object().unwrap();
    let limited: BTreeSet<String> = limits.keys().cloned().collect();
    // A limit for a missing route fails the deployment: the console's routes have the default limit.
    let by_default = &properties(&template, "HttpApi")["DefaultRouteSettings"];
    assert_eq!(*by_default, json!({ "ThrottlingRateLimit": 50, "ThrottlingBurstLimit": 100 }));
    let all: BTreeSet<String> = functions(&template)
        .filter(|(name, _)| *name != "OperatorConsole")
        .flat_map(|(name, _)| deployed(&template, name))
        .map(|(method, path, _)| format!("{method} {path}"))
        .collect();
    assert_eq!(limited, all);

    for limit in ["ThrottlingRateLimit", "ThrottlingBurstLimit"] {
        let of_pushes = |route: &str| route.starts_with("POST /wechat/") && route.ends_with("/events");
        let rate = |settings: &Value| settings[limit].as_u64().unwrap();
        let pushes: Vec<u64> = limits.iter().filter(|(route, _)| of_pushes(route)).map(|(_, it)| rate(it)).collect();
        assert_eq!(pushes.len(), 2);
        for (route, settings) in limits.iter().filter(|(route, _)| !of_pushes(route)) {
            let others = rate(settings);
            let far_above = pushes.iter().all(|rate| *rate >= 10 * others);
            assert!(others > 0 && far_above, "{route}: {others} beside {pushes:?} pushes");
        }
    }
}

#[test]
fn the_access_log_names_the_route_and_nothing_that_carries_a_code() {
    let template = template();
    let format = text(&properties(&template, "HttpApi")["AccessLogSettings"]["Format"]);
    let named: BTreeSet<&str> =
        format.split("$context.").skip(1).map(|rest| rest.split(['"', ',', ' ']).next().unwrap()).collect();
    assert_eq!(named, ACCEPTED.map(|(name, _)| name).into());
}

#[test]
fn the_access_log_has_at_most_200_bytes_of_an_accepted_message() {
    let line = accepted_line(&template());
    let read: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(read["route"], "POST /wechat/accounts/{appid}/events");
    assert_eq!((&read["status"], &read["run"]), (&json!(200), &json!("0e46f1d4-6f5c-4c1b-8f0f-1a9d6f0d7c3e")));
    assert!(line.len() <= 200, "{} bytes: {line}", line.len());
}

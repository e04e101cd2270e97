//! The HTTP API: each function's routes, who may call them, and how often.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};
use stories::template::{ACCEPTED, accepted_line};
use stories::world::key_routes;

use super::{events, functions, properties, template, text};

/// A route as both sides have it: method, path, and whether IAM guards it.
pub(super) type Route = (String, String, bool);

fn routes(exported: &[(Method, &str)]) -> BTreeSet<Route> {
    exported.iter().map(|(method, path)| (method.to_string(), (*path).to_owned(), false)).collect()
}

/// Routes for services: each guarded by IAM, and all of them once more for keys, which the function checks itself.
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
    assert_eq!(deployed(&template, "TokenRefresher"), BTreeSet::new());
    let auth = &properties(&template, "HttpApi")["Auth"];
    assert_eq!(auth["EnableIamAuthorizer"], true);
    assert!(auth["DefaultAuthorizer"].is_null(), "WeChat and merchants have no credentials");
}

#[test]
fn every_route_has_a_limit_and_those_of_pushes_are_far_above_the_others() {
    let template = template();
    let limits = properties(&template, "HttpApi")["RouteSettings"].as_object().unwrap();
    let limited: BTreeSet<String> = limits.keys().cloned().collect();
    let all: BTreeSet<String> = functions(&template)
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

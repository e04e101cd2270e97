//! Stopping and starting again loses nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;
use simulator::{Account, SecretKind, Simulator, StartError, paths};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::harness::{Harness, clock, errcode, options, text};

#[tokio::test]
async fn a_new_process_continues_from_the_state_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("wechat.json");
    let clock = clock();
    let started = async || {
        let mut options = options(Arc::clone(&clock));
        options.state_file = Some(file.clone());
        Harness::with(options, Arc::clone(&clock)).await
    };
    let before = started().await;
    let token = before.component_token().await;
    let code = before.pre_auth_code(&token).await;
    let consent = before.simulator.confirm(&code, &Harness::account()).unwrap();
    let open = before.simulator.register_mini_program("茶馆");
    let tokens = before.exchange(&token, &consent.push_code).await;

    let after = started().await;
    assert_eq!(errcode(&after.exchange(&token, &consent.push_code).await), 61009);
    assert_eq!(errcode(&after.exchange(&token, &open.push_code).await), 0);
    assert_eq!(after.simulator.confirm(&code, &Harness::account()).err().map(|error| error.number()), Some(-110));
    let refresh = text(&tokens, "/authorization_info/authorizer_refresh_token");
    assert_eq!(errcode(&after.renew(&token, &Harness::account(), &refresh).await), 0);
    assert!(after.simulator.accounts().iter().any(|account| account.nick_name == "茶馆"));
    assert_eq!(after.simulator.counters().effects.component_tokens, 1);
    assert!(after.simulator.issued_secrets().iter().any(|secret| secret.value == refresh));
}

#[tokio::test]
async fn every_answered_change_is_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("wechat.json");
    let clock = clock();
    let mut options = options(Arc::clone(&clock));
    options.state_file = Some(file.clone());
    let wechat = Harness::with(options, clock).await;
    let token = wechat.component_token().await;
    assert!(std::fs::read_to_string(&file).unwrap().contains(&token));
    let code = wechat.pre_auth_code(&token).await;
    assert!(std::fs::read_to_string(&file).unwrap().contains(&code));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_snapshot_restores_the_world() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    let snapshot = wechat.simulator.snapshot().unwrap();
    let newer = wechat.component_token().await;
    wechat.simulator.restore(snapshot).unwrap();
    assert_eq!(errcode(&wechat.component_call(paths::CREATE_PREAUTHCODE, &token, json!({})).await), 0);
    assert_eq!(errcode(&wechat.component_call(paths::CREATE_PREAUTHCODE, &newer, json!({})).await), 40001);
    assert!(wechat.simulator.issued_secrets().iter().any(|secret| secret.value == newer));
    assert!(wechat.simulator.restore(json!({ "accounts": 1 })).is_err());
}

#[tokio::test]
async fn the_effects_of_services_calls_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let clock = clock();
    let started = async || {
        let mut options = options(Arc::clone(&clock));
        options.state_file = Some(directory.path().join("wechat.json"));
        Harness::with(options, Arc::clone(&clock)).await
    };
    let before = started().await;
    let shop = Account { func_ids: vec![15, 24], ..Account::demo().remove(0) };
    before.simulator.put_account(shop.clone());
    let (one, two) = (before.token_of(&shop.appid).await, before.token_of(&Harness::mini_program()).await);
    let menu = json!({ "button": [{ "type": "click", "name": "a", "key": "k" }] });
    assert_eq!(errcode(&before.call("/cgi-bin/menu/create", Some(&one), menu.clone()).await), 0);
    let open = before.call("/cgi-bin/open/create", Some(&one), json!({})).await;
    let version = json!({ "template_id": 0, "ext_json": "{}", "user_version": "1", "user_desc": "" });
    assert_eq!(errcode(&before.call("/wxa/commit", Some(&two), version).await), 0);
    let handed_over = [before.simulator.reuse_ticket(&shop.appid), before.simulator.login_code(&shop.appid, "o1")];

    let after = started().await;
    assert_eq!(after.get("/cgi-bin/menu/get", &one, "").await["menu"], menu);
    let got = after.call("/cgi-bin/open/get", Some(&one), json!({})).await;
    assert_eq!(got["open_appid"], open["open_appid"]);
    assert_eq!(errcode(&after.get("/wxa/get_page", &two, "").await), 0);
    let secrets = after.simulator.issued_secrets();
    assert!(handed_over.iter().all(|value| secrets.iter().any(|secret| secret.value == *value)));
}

#[tokio::test]
async fn a_damaged_state_file_stops_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("wechat.json");
    std::fs::write(&file, "{").unwrap();
    let mut options = options(clock());
    options.state_file = Some(file);
    assert!(matches!(Simulator::new(options), Err(StartError::ParseState(_))));
}

#[tokio::test]
async fn every_kind_of_secret_is_listed() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    let code = wechat.pre_auth_code(&token).await;
    let consent = wechat.simulator.confirm(&code, &Harness::account()).unwrap();
    wechat.exchange(&token, &consent.push_code).await;
    let secrets = wechat.simulator.issued_secrets();
    let kinds: BTreeSet<_> = secrets.iter().map(|secret| secret.kind).collect();
    assert_eq!(kinds.len(), 9);
    let of = |kind| secrets.iter().find(|secret| secret.kind == kind).unwrap();
    assert_eq!(of(SecretKind::ComponentToken).value, token);
    let encoded = code.replace("@@@", "%40%40%40");
    assert!(of(SecretKind::PreAuthCode).is_in(&format!("GET /page?pre_auth_code={encoded}&x=1")));
    assert!(!of(SecretKind::PreAuthCode).is_in("preauthcode@@@another"));
}

#[tokio::test]
async fn serving_ends_on_shutdown_and_frees_the_port() {
    let simulator = Simulator::new(options(clock())).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(simulator.serve(listener, async { stopped.await.unwrap_or_default() }));
    // An idle connection must not keep the server up.
    let _idle = TcpStream::connect(address).await.unwrap();
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    TcpListener::bind(address).await.unwrap();
}

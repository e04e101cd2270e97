//! Calls on behalf: a service's request reaches WeChat unchanged, with our token; WeChat's response comes back; and
//! each call is made once, whatever goes wrong.

use std::time::Duration;

use base::ids::AppId;
use base::limits::Limits;
use futures::future::join_all;
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use runtime::telemetry::Measure;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use simulator::{Fault, Received, SecretKind};
use store::{AccountState, TokenOwner};
use stories::business::{Answer, Business, CALLS};
use stories::faults::{Fault as TableFault, Matching};
use stories::world::{World, short_limits};

const USER_INFO: &str = "/cgi-bin/user/info";
const SEND: &str = "/cgi-bin/message/custom/send";
const MEDIA: &str = "/cgi-bin/media/upload";
const DOWNLOAD: &str = "/cgi-bin/media/get";
const INFO: &str = "/cgi-bin/component/api_get_authorizer_info";
const RENEWAL: &str = "/cgi-bin/component/api_authorizer_token";
const LIST: &str = "/cgi-bin/component/api_get_authorizer_list";

/// A follower of every official account of a story.
const FOLLOWER: &str = "oFollower1";

struct Stage {
    world: World,
    business: Business,
    account: AppId,
}

impl Stage {
    async fn of(world: World) -> Self {
        let account = world.authorized_account().await;
        world.simulator.follow(&account, FOLLOWER);
        Self { business: Business::of(&world), world, account }
    }

    async fn ready() -> Self {
        Self::of(World::ready().await).await
    }

    async fn user_info(&self) -> Answer {
        self.business.reads_of_wechat(&self.account, &format!("cgi-bin/user/info?openid={FOLLOWER}")).await
    }

    async fn send(&self, headers: &[(&'static str, &str)], text: &str) -> Answer {
        let message = json!({ "touser": FOLLOWER, "msgtype": "text", "text": { "content": text } });
        self.business.calls_wechat(&self.account, "cgi-bin/message/custom/send", headers, &message).await
    }

    /// The number of requests that WeChat has read.
    fn arrived(&self, path: &str) -> usize {
        self.world.simulator.requests(path).len()
    }

    /// The only request that has arrived.
    fn only_request(&self, path: &str) -> Received {
        let mut requests = self.world.simulator.requests(path);
        assert_eq!(requests.len(), 1, "requests of {path}");
        requests.remove(0)
    }

    fn renewals(&self) -> u64 {
        self.world.simulator.counters().effects.renewals_of(&self.account)
    }

    async fn failed_calls(&self) -> Vec<Value> {
        let page = self.business.get("/calls").await;
        assert_eq!(page.status, 200, "{}", page.body);
        page.body["calls"].as_array().unwrap().clone()
    }
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_call_reaches_wechat_as_it_was_sent_and_so_does_the_answer() {
    let stage = Stage::ready().await;
    let body = "{\"touser\":\"oFollower1\",  \"msgtype\":\"text\",\"text\":{\"content\":\"小店 <a href=\\\"#\\\">\"}}";
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!(
            "{CALLS}{}/cgi-bin/message/custom/send?access_token=theirs&x=%2b1&access%5Ftoken=b",
            stage.account
        ))
        .header(CONTENT_TYPE, "application/json; charset=utf-8")
        .header("wechatmp-appid", "wx1")
        .header("cookie", "a=b")
        .header("x-any", "y")
        .body(body.into())
        .unwrap();
    stage.world.simulator.inject(Fault::header("set-cookie", "session=1").on(SEND));
    let answer = stage.business.send(request).await;
    assert_eq!((answer.status, &answer.body["errcode"]), (200, &json!(0)));
    assert_eq!((header(&answer, "set-cookie"), header(&answer, "x-wechat-errcode")), (None, None));
    let received = stage.only_request(SEND);
    assert_eq!(received.body, body.as_bytes());
    let (token, rest) = received.query.split_once('&').unwrap();
    assert!(token.starts_with("access_token="), "our token comes first");
    assert_eq!(rest, "x=%2b1");
    assert_eq!(received.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(received.header("wechatmp-appid"), Some("wx1"));
    assert_eq!((received.header("cookie"), received.header("x-any")), (None, None));
}

#[tokio::test]
async fn many_calls_for_one_account_read_the_token_once_in_five_seconds_and_write_nothing() {
    let stage = Stage::ready().await;
    stage.world.faults.reset_counts();
    for _ in 0..5 {
        assert_eq!(stage.user_info().await.body["openid"], FOLLOWER);
    }
    assert_eq!(stage.world.faults.all_requests(), [("GetItem".to_owned(), 1)].into());
}

#[tokio::test]
async fn an_image_of_megabytes_goes_up_and_comes_down_byte_for_byte() {
    let stage = Stage::ready().await;
    let picture = simulator::sample_picture(3 * 1024 * 1024);
    let form = [
        b"--b\r\nContent-Disposition: form-data; name=\"media\"; filename=\"a.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n".as_slice(),
        &picture,
        b"\r\n--b--\r\n",
    ]
    .concat();
    let upload = Request::builder()
        .method(Method::POST)
        .uri(format!("{CALLS}{}/cgi-bin/media/upload?type=image", stage.account))
        .header(CONTENT_TYPE, "multipart/form-data; boundary=b")
        .body(form.clone().into())
        .unwrap();
    let uploaded = stage.business.send(upload).await;
    let media = uploaded.body["media_id"].as_str().unwrap_or_else(|| panic!("{}", uploaded.body)).to_owned();
    let received = stage.only_request(MEDIA);
    assert_eq!(received.body, form);
    let down = stage.business.reads_of_wechat(&stage.account, &format!("cgi-bin/media/get?media_id={media}")).await;
    assert_eq!((down.status, header(&down, "content-type")), (200, Some("image/jpeg")));
    assert!(header(&down, "content-disposition").unwrap().starts_with("attachment"));
    assert_eq!(down.bytes, picture);
    let gone = stage.business.reads_of_wechat(&stage.account, "cgi-bin/media/get?media_id=none").await;
    assert_eq!((gone.status, header(&gone, "x-wechat-errcode")), (200, Some("40007")));
}

#[tokio::test]
async fn the_platforms_own_calls_take_its_token_and_tell_no_refresh_token() {
    let stage = Stage::ready().await;
    let path = format!("{CALLS}platform/cgi-bin/component/api_get_authorizer_list");
    let component = json!({ "component_appid": stories::world::COMPONENT, "offset": 0, "count": 100 });
    let answer = stage.business.ask(Method::POST, &path, &component).await;
    assert_eq!((answer.status, &answer.body["total_count"]), (200, &json!(1)), "{}", answer.body);
    let [listed] = answer.body["list"].as_array().unwrap().as_slice() else { panic!("{}", answer.body) };
    assert_eq!(listed["authorizer_appid"], stage.account.as_str());
    assert!(listed.get("refresh_token").is_none());
    let received = stage.only_request(LIST);
    assert!(received.query.starts_with("component_access_token="), "{}", received.query.len());
    stage.world.simulator.inject(Fault::answer("text/html", b"<html>refresh_token=r".to_vec()).on(LIST));
    let unusable = stage.business.ask(Method::POST, &path, &component).await;
    assert_eq!((unusable.status, unusable.problem()), (502, "answer-unusable"));
}

#[tokio::test]
async fn a_refused_token_is_replaced_and_the_call_repeated_once() {
    let stage = Stage::ready().await;
    stage.world.pass(Duration::from_mins(2));
    stage.world.simulator.inject(token_refused().on(USER_INFO).times(1));
    let answer = stage.user_info().await;
    assert_eq!((answer.status, &answer.body["openid"]), (200, &json!(FOLLOWER)));
    assert_eq!(header(&answer, "x-token-renewed"), Some("true"));
    assert_eq!((stage.arrived(USER_INFO), stage.renewals()), (2, 1));
    assert!(stage.failed_calls().await.is_empty());
    assert_eq!(header(&stage.user_info().await, "x-token-renewed"), None);
}

#[tokio::test]
async fn a_token_that_is_always_refused_costs_one_renewal_a_minute_and_one_repeat() {
    let stage = Stage::ready().await;
    stage.world.pass(Duration::from_mins(2));
    stage.world.simulator.inject(token_refused().on(USER_INFO).for_authorizer(&stage.account));
    let answer = stage.user_info().await;
    assert_eq!((answer.status, header(&answer, "x-wechat-errcode")), (200, Some("40001")));
    assert_eq!((stage.arrived(USER_INFO), stage.renewals()), (2, 1));
    for _ in 0..3 {
        assert_eq!(header(&stage.user_info().await, "x-wechat-errcode"), Some("40001"));
    }
    assert_eq!((stage.arrived(USER_INFO), stage.renewals()), (5, 1), "renewed a moment ago: not again");
    let failed = stage.failed_calls().await;
    let [entry] = failed.as_slice() else { panic!("{failed:?}") };
    assert_eq!(
        (&entry["errcode"], &entry["count"], &entry["path"]),
        (&json!(40_001), &json!(4), &json!("cgi-bin/user/info"))
    );
}

#[tokio::test]
async fn two_hundred_calls_with_a_refused_token_cause_one_renewal() {
    let stage = Stage::of(World::for_crowds().await).await;
    stage.world.pass(Duration::from_mins(2));
    assert_eq!(stage.user_info().await.status, 200);
    stage.world.another_server_renews(&stage.account).await;
    let before = stage.renewals();
    let answers = join_all((0..200).map(|_| stage.user_info())).await;
    let odd = answers.iter().find(|answer| answer.body["openid"] != FOLLOWER);
    assert!(odd.is_none(), "{:?}", odd.map(|answer| (answer.status, &answer.body)));
    assert_eq!(stage.renewals(), before + 1);
    assert!(stage.arrived(USER_INFO) <= 401);
}

#[tokio::test]
async fn an_account_that_wechat_says_is_gone_is_looked_at_and_not_ended_by_a_call() {
    let stage = Stage::ready().await;
    stage.world.pass(Duration::from_mins(2));
    let gone = Fault::Errcode { errcode: 61_003, errmsg: "component is not authorized by this account".to_owned() };
    stage.world.simulator.inject(gone.on(USER_INFO));
    let refused = async || {
        let answer = stage.user_info().await;
        assert_eq!(
            (answer.status, answer.problem(), &answer.body["errcode"]),
            (409, "authorization-ended", &json!(61_003))
        );
    };
    refused().await;
    assert!(stage.world.stored(&stage.account).await.token.is_due(stage.world.now()), "it is looked at next");
    for _ in 0..3 {
        refused().await;
    }
    let after = stage.world.stored(&stage.account).await.token;
    assert_eq!((stage.renewals(), after.state), (1, AccountState::Active), "WeChat renews it: the grant stands");
    assert!(!after.is_due(stage.world.now()), "it was looked at a moment ago");
}

#[tokio::test]
async fn an_address_that_wechat_refuses_is_named() {
    let stage = Stage::ready().await;
    stage.world.expect_error("a call on behalf: WeChat refuses calls from");
    stage.world.simulator.inject(Fault::ip_not_registered().on(USER_INFO));
    let answer = stage.user_info().await;
    assert_eq!((answer.status, answer.problem()), (503, "address-refused"));
    assert!(answer.body["address"].as_str().is_some_and(|address| !address.is_empty()), "{}", answer.body);
    assert!(stage.world.metrics.sum(Measure::WechatRefused) >= 1.0, "an operator hears of it");
}

#[tokio::test]
async fn a_call_whose_response_is_lost_is_not_repeated_and_its_service_is_told_so() {
    let stage = Stage::ready().await;
    for lost in [Fault::DropBefore, Fault::DropAfter] {
        let before = stage.arrived(SEND);
        stage.world.simulator.inject(lost.on(SEND).times(1));
        let answer = stage.send(&[], "once").await;
        assert_eq!((answer.status, answer.problem(), &answer.body["effect"]), (504, "wechat-slow", &json!("unknown")));
        assert_eq!(stage.arrived(SEND), before + 1);
    }
    let codes: Vec<Value> = stage.failed_calls().await.iter().map(|call| call["code"].clone()).collect();
    assert_eq!(codes, ["connection-lost"]);
}

#[tokio::test]
async fn a_call_that_hangs_ends_within_the_bound() {
    let limits = Limits { page: Duration::from_secs(4), table: Duration::from_secs(2), ..short_limits() };
    let world = World::with(|_| {}, limits).await;
    world.get_ready().await;
    let stage = Stage::of(world).await;
    stage.world.simulator.inject(Fault::Hold.on(SEND));
    let answer = stage.send(&[], "slow").await;
    assert_eq!((answer.status, answer.problem()), (504, "wechat-slow"));
    assert_eq!(stage.arrived(SEND), 1);
    stage.world.simulator.release(SEND);
}

#[tokio::test]
async fn a_response_of_something_else_than_wechat_is_passed_back_and_counted() {
    let stage = Stage::ready().await;
    stage.world.simulator.inject(Fault::BadGateway.on(USER_INFO).times(1));
    let answer = stage.user_info().await;
    assert_eq!(answer.status, 502);
    assert!(header(&answer, "content-type").unwrap().starts_with("text/html"));
    let failed = stage.failed_calls().await;
    assert_eq!((&failed[0]["code"], &failed[0]["status"]), (&json!("http-502"), &json!(502)));
    let large = vec![b'x'; 10 * 1024 * 1024];
    stage.world.simulator.inject(Fault::answer("image/jpeg", large).on(DOWNLOAD).times(1));
    let answer = stage.business.reads_of_wechat(&stage.account, "cgi-bin/media/get?media_id=any").await;
    assert_eq!((answer.status, answer.problem()), (413, "answer-too-large"));
    stage.world.simulator.inject(Fault::content_type("text/plain").on(USER_INFO).times(1));
    let answer = stage.user_info().await;
    assert_eq!((header(&answer, "content-type"), &answer.body["openid"]), (Some("text/plain"), &json!(FOLLOWER)));
}

#[tokio::test]
async fn a_call_of_a_busy_wechat_is_retried_only_if_the_service_wants_it() {
    let stage = Stage::ready().await;
    stage.world.simulator.inject(Fault::system_error().on(USER_INFO).times(3));
    let answer = stage.user_info().await;
    assert_eq!((header(&answer, "x-wechat-errcode"), stage.arrived(USER_INFO)), (Some("-1"), 1));
    let request = Request::builder()
        .uri(format!("{CALLS}{}/cgi-bin/user/info?openid={FOLLOWER}", stage.account))
        .header("retries", "2");
    let answer = stage.business.send(request.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!((&answer.body["openid"], stage.arrived(USER_INFO)), (&json!(FOLLOWER), 4));
}

#[tokio::test]
async fn a_call_with_a_key_is_sent_once_and_its_repeats_get_the_first_answer() {
    let stage = Stage::ready().await;
    let key = [("idempotency-key", "order-4711")];
    let first = stage.send(&key, "your order").await;
    assert_eq!((&first.body["errcode"], header(&first, "idempotent-replayed")), (&json!(0), None));
    for _ in 0..3 {
        let again = stage.send(&key, "your order").await;
        assert_eq!((again.status, &again.body), (first.status, &first.body));
        assert_eq!(header(&again, "idempotent-replayed"), Some("true"));
        assert_eq!(header(&again, "content-type"), header(&first, "content-type"));
    }
    let message = json!({ "touser": FOLLOWER, "msgtype": "text", "text": { "content": "your order" } });
    let elsewhere = Business::in_another_session(&stage.world);
    let again = elsewhere.calls_wechat(&stage.account, "cgi-bin/message/custom/send", &key, &message).await;
    assert_eq!(header(&again, "idempotent-replayed"), Some("true"), "the same service in another process");
    let other = stage.send(&key, "another order").await;
    assert_eq!((other.status, other.problem()), (422, "key-reused"));
    assert_eq!(stage.arrived(SEND), 1);
    stage.world.pass(Duration::from_hours(24));
    stage.world.simulator.push_ticket().await;
    assert_eq!(header(&stage.send(&key, "your order").await, "idempotent-replayed"), None, "a day later it is unknown");
    assert_eq!(stage.arrived(SEND), 2);
}

#[tokio::test]
async fn of_many_calls_with_one_key_at_the_same_moment_one_is_sent() {
    let stage = Stage::ready().await;
    stage.world.simulator.inject(Fault::Hold.on(SEND));
    let key = [("idempotency-key", "order-4711")];
    let calls = join_all((0..20).map(|_| stage.send(&key, "once")));
    let release = async {
        stage.world.simulator.until_held(SEND, 1).await;
        let meanwhile = stage.send(&key, "once").await;
        assert_eq!((meanwhile.status, meanwhile.problem()), (409, "call-under-way"));
        stage.world.simulator.release(SEND);
    };
    let (answers, ()) = futures::join!(calls, release);
    assert_eq!(stage.arrived(SEND), 1);
    assert!(answers.iter().any(|answer| answer.status == 200 && answer.body["errcode"] == 0));
    assert!(answers.iter().all(|answer| answer.status == 200 || answer.problem() == "call-under-way"));
}

#[tokio::test]
async fn a_key_whose_call_ended_unknown_never_sends_again() {
    let stage = Stage::ready().await;
    let key = [("idempotency-key", "order-4711")];
    stage.world.simulator.inject(Fault::DropAfter.on(SEND).times(1));
    assert_eq!(stage.send(&key, "once").await.problem(), "wechat-slow");
    for minutes in [0, 1, 60] {
        stage.world.pass(Duration::from_mins(minutes));
        let again = stage.send(&key, "once").await;
        assert_eq!(
            (again.status, again.problem(), &again.body["effect"]),
            (409, "call-not-repeated", &json!("unknown"))
        );
    }
    assert_eq!(stage.arrived(SEND), 1);
}

#[tokio::test]
async fn a_key_whose_outcome_could_not_be_recorded_never_sends_again() {
    let stage = Stage::ready().await;
    let key = [("idempotency-key", "order-4711")];
    assert_eq!(stage.user_info().await.status, 200, "the token is remembered");
    stage.world.simulator.inject(Fault::Hold.on(SEND));
    let call = stage.send(&key, "once");
    let trouble = async {
        stage.world.simulator.until_held(SEND, 1).await;
        stage.world.faults.always(Matching::operation("UpdateItem"), TableFault::ServerError);
        stage.world.simulator.release(SEND);
    };
    let (answer, ()) = futures::join!(call, trouble);
    assert_eq!(answer.body["errcode"], 0, "WeChat has answered");
    stage.world.faults.clear();
    assert_eq!(stage.send(&key, "once").await.problem(), "call-under-way");
    stage.world.pass(Duration::from_secs(30));
    assert_eq!(stage.send(&key, "once").await.problem(), "call-not-repeated");
    assert_eq!(stage.arrived(SEND), 1);
}

#[tokio::test]
async fn a_key_is_free_again_if_wechat_did_nothing_and_may_do_it_later() {
    let stage = Stage::ready().await;
    let key = [("idempotency-key", "order-4711")];
    let quota = Fault::Errcode { errcode: 45_009, errmsg: "reach max api daily quota limit".to_owned() };
    stage.world.simulator.inject(quota.on(SEND).times(1));
    assert_eq!(header(&stage.send(&key, "later").await, "x-wechat-errcode"), Some("45009"));
    let sent = stage.send(&key, "later").await;
    assert_eq!((&sent.body["errcode"], header(&sent, "idempotent-replayed")), (&json!(0), None));
    assert_eq!(stage.arrived(SEND), 2);
}

#[tokio::test]
async fn failed_calls_are_listed_with_what_they_mean_and_without_what_was_sent() {
    let stage = Stage::ready().await;
    let unknown = |open_id: &str| format!("cgi-bin/user/info?openid={open_id}&note=private");
    for open_id in ["oNobody1", "oNobody2"] {
        stage.business.reads_of_wechat(&stage.account, &unknown(open_id)).await;
    }
    stage.world.pass(Duration::from_mins(1));
    stage.business.reads_of_wechat(&stage.account, "wxa/no_such_api").await;
    let all = stage.failed_calls().await;
    let [newest, oldest] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((&oldest["errcode"], &oldest["count"]), (&json!(40_003), &json!(2)));
    assert_eq!(oldest["meaning"], "invalid openid");
    assert_eq!(oldest["advice"], "change the request");
    assert_eq!(oldest["caller"], "arn:aws:sts::123456789012:assumed-role/orders");
    assert!(oldest["rid"].is_string());
    assert_eq!((&newest["path"], &newest["method"]), (&json!("wxa/no_such_api"), &json!("GET")));
    let text = json!(all).to_string();
    assert!(!text.contains("oNobody") && !text.contains("private"));

    let list = async |query: &str| stage.business.get(&format!("/calls?{query}")).await.body;
    let of_account = list(&format!("appid={}", stage.account)).await;
    assert_eq!(of_account["calls"], json!(all));
    assert_eq!(list("appid=platform").await["calls"], json!([]));
    let since = newest["at"].as_str().unwrap();
    assert_eq!(list(&format!("since={since}")).await["calls"], json!([newest]));
    assert_eq!(stage.business.get("/calls?limit=1&cursor=AAAA").await.problem(), "invalid-parameter");
    for filter in [String::new(), format!("&appid={}", stage.account)] {
        let first = list(&format!("limit=1{filter}")).await;
        assert_eq!(first["calls"], json!([newest]));
        let second = list(&format!("limit=1{filter}&cursor={}", first["next_cursor"].as_str().unwrap())).await;
        assert_eq!((&second["calls"], &second["next_cursor"]), (&json!([oldest]), &Value::Null));
    }
    stage.world.pass(Duration::from_hours(24 * 7) + Duration::from_mins(1));
    assert!(stage.failed_calls().await.is_empty(), "older ones are not shown, deleted or not");
}

#[tokio::test]
async fn no_failed_call_of_the_first_minute_is_missing() {
    let stage = Stage::ready().await;
    let second = stage.world.account(1);
    stage.world.push_and_work(&stage.world.merchant_authorizes(&second).push).await;
    let (early, late) = if stage.account < second { (&second, &stage.account) } else { (&stage.account, &second) };
    // Within a minute lists are ordered by account: the earlier failure is met first.
    stage.business.reads_of_wechat(early, "wxa/no_such_api").await;
    stage.world.pass(Duration::from_secs(10));
    let since = stage.world.now().rfc3339();
    stage.business.reads_of_wechat(late, "wxa/no_such_api").await;
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = stage.business.get(&format!("/calls?limit=1&since={since}{cursor}")).await.body;
        found.extend(page["calls"].as_array().unwrap().iter().map(|call| call["account"].clone()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, [json!(late)]);
}

#[tokio::test]
async fn an_account_that_has_withdrawn_causes_no_call() {
    let stage = Stage::ready().await;
    let withdrawal = stage.world.simulator.unauthorize(&stage.account).unwrap();
    stage.world.push_and_work(&withdrawal).await;
    let answer = stage.user_info().await;
    assert_eq!(
        (answer.status, answer.problem(), &answer.body["state"]),
        (409, "authorization-ended", &json!("unauthorized"))
    );
    assert_eq!(stage.arrived(USER_INFO), 0);
}

#[tokio::test]
async fn a_busy_answer_before_another_refusal_leaves_the_end_unknown() {
    let stage = Stage::ready().await;
    let quota = Fault::Errcode { errcode: 45_009, errmsg: "reach max api daily quota limit".to_owned() };
    stage.world.simulator.inject(Fault::system_error().on(SEND).times(1));
    stage.world.simulator.inject(quota.on(SEND).times(1));
    let headers = [("idempotency-key", "order-4711"), ("retries", "1")];
    assert_eq!(header(&stage.send(&headers, "once").await, "x-wechat-errcode"), Some("45009"));
    let again = stage.send(&headers, "once").await;
    assert_eq!((again.status, again.problem()), (409, "call-not-repeated"), "the first of the two may have sent it");
    assert_eq!(stage.arrived(SEND), 2);
}

#[tokio::test]
async fn a_platform_token_that_is_refused_for_one_account_only_is_not_replaced() {
    let stage = Stage::ready().await;
    stage.world.pass(Duration::from_mins(2));
    let stored = async || {
        let record = stage.world.store().tokens.get(&TokenOwner::Component).await.unwrap().unwrap();
        record.access_token.unwrap().expose_secret().to_owned()
    };
    let (before, readings) = (stored().await, stage.arrived(INFO));
    stage.world.simulator.inject(token_refused().on(INFO));
    let path = format!("{CALLS}platform/cgi-bin/component/api_get_authorizer_info");
    let body = json!({ "component_appid": stories::world::COMPONENT, "authorizer_appid": stage.account });
    for _ in 0..3 {
        let answer = stage.business.ask(Method::POST, &path, &body).await;
        assert_eq!((answer.status, header(&answer, "x-wechat-errcode")), (200, Some("40001")));
    }
    assert_eq!((stage.arrived(INFO), stored().await), (readings + 3, before));
}

#[tokio::test]
async fn what_is_known_of_a_refused_request_holds_nothing_that_was_sent() {
    let stage = Stage::ready().await;
    let refused = stage.business.reads_of_wechat(&stage.account, "cgi-bin/user/info?openid=oNobody").await;
    let rid = header(&refused, "x-wechat-rid").unwrap().to_owned();
    let asked =
        stage.business.calls_wechat(&stage.account, "cgi-bin/openapi/rid/get", &[], &json!({ "rid": rid })).await;
    let request = &asked.body["request"];
    assert_eq!(request["request_url"], "https://api.weixin.qq.com/cgi-bin/user/info", "{}", asked.body);
    assert!(request.get("request_body").is_none());

    // A renewal that WeChat refused: its request contains a refresh token.
    stage
        .world
        .simulator
        .inject(Fault::Errcode { errcode: 48_001, errmsg: "api unauthorized".to_owned() }.on(RENEWAL).times(1));
    stage.world.pass(Duration::from_mins(119));
    stage.world.renew().await;
    let rid = stage.business.account(&stage.account).await["last_failure"]["rid"].as_str().unwrap().to_owned();
    let path = format!("{CALLS}platform/cgi-bin/openapi/rid/get");
    let asked = stage.business.ask(Method::POST, &path, &json!({ "rid": rid })).await;
    assert_eq!(asked.body["errcode"], 0, "{}", asked.body);
    for secret in stage.world.simulator.issued_secrets() {
        assert!(!secret.is_in(&asked.body.to_string()), "{:?}", secret.kind);
    }
}

#[tokio::test]
async fn a_failure_of_ours_does_not_count_as_wechats() {
    let stage = Stage::ready().await;
    let upstream = || stage.world.metrics.sum(Measure::UpstreamError);
    stage.world.simulator.inject(Fault::BadGateway.on(USER_INFO).times(1));
    assert_eq!((stage.user_info().await.status, upstream()), (502, 1.0));
    stage.world.pass(Duration::from_secs(6));
    stage.world.expect_error("a call on behalf failed");
    stage.world.faults.always(Matching::any(), TableFault::ServerError);
    assert_eq!((stage.user_info().await.status, upstream()), (503, 1.0));
}

#[tokio::test]
async fn a_session_key_reaches_the_service_that_asked_for_it() {
    let stage = Stage::ready().await;
    let program = stage.world.account(2);
    stage.world.push_and_work(&stage.world.merchant_authorizes(&program).push).await;
    let code = stage.world.simulator.login_code(&program, "oVisitor");
    let path = format!(
        "{CALLS}platform/sns/component/jscode2session?appid={program}&js_code={code}&grant_type=authorization_code"
    );
    let answer = stage.business.get(&path).await;
    assert!(answer.body["session_key"].is_string(), "{}", answer.body);
    let issued = stage.world.simulator.issued_secrets();
    let keys = issued.iter().filter(|secret| secret.kind == SecretKind::SessionKey);
    assert_eq!(keys.map(|key| key.value.as_str()).collect::<Vec<_>>(), [answer.body["session_key"].as_str().unwrap()]);
}

fn token_refused() -> Fault {
    Fault::Errcode { errcode: 40_001, errmsg: "invalid credential, access_token is invalid or not latest".to_owned() }
}

//! The conversations of followers and accounts, whatever happens to them.

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use serde_json::json;
use simulator::{Account, Fault, Message, PushAnswer, paths};
use stories::faults::{Fault as AwsFault, Matching};
use stories::webhook::Service;
use stories::world::{WEBHOOK_SECRET, World};
use url::Url;

const FOLLOWER: &str = "oFollower-0123456789_abcdefg";

const TEXT: &str = "My card number is 6222-0000-1111-2222, 你好 <b>";

const REPLY: &str = "Your parcel waits at \"Chang'an Avenue 1\" & is paid";

/// Part of the webhook's URL.
const URL_SECRET: &str = "hook-key-0123456789abcdef";

/// Followers write, services reply, WeChat checks; everything that can fail does. Returns the texts that must not be
/// printed, each with the word for its kind.
pub(crate) async fn happen(world: &World) -> Vec<(&'static str, String)> {
    let shop = world.simulator.accounts()[1].clone();
    let consent = world.merchant_authorizes(&shop.appid);
    world.push_and_work(&consent.push).await;
    received(world, &shop).await;
    replied(world, &shop).await;
    let code = checked(world).await;
    vec![
        ("follower", FOLLOWER.to_owned()),
        ("message", TEXT.to_owned()),
        ("reply", REPLY.to_owned()),
        ("part of the webhook's address", URL_SECRET.to_owned()),
        ("webhook's key", WEBHOOK_SECRET.strip_prefix("whsec_").unwrap().to_owned()),
        ("code of the release check", code.clone()),
        ("customer-service text", format!("{code}_from_api")),
    ]
}

/// Messages that arrive, that the bus does not accept, that nothing accepts, that are invalid.
async fn received(world: &World, shop: &Account) {
    let status = async |message: Message| match world.simulator.send_message(&message).await.answer {
        PushAnswer::Answered { status, .. } => status,
        PushAnswer::Unanswered { reason } => panic!("{reason}"),
    };
    assert_eq!(status(Message::text(shop, FOLLOWER, TEXT)).await, 200);
    assert_eq!(status(Message::event(shop, FOLLOWER, "SCAN").with("EventKey", TEXT)).await, 200);
    world.bus.refuse_next(1);
    assert_eq!(status(Message::text(shop, FOLLOWER, TEXT)).await, 200);
    world.faults.always(Matching::operation("PutEvents"), AwsFault::ServerError);
    assert_eq!(status(Message::text(shop, FOLLOWER, TEXT)).await, 200);
    world.renew().await;
    world.faults.always(Matching::setting("due_shard"), AwsFault::Away);
    assert_eq!(status(Message::text(shop, FOLLOWER, TEXT)).await, 500);
    world.faults.clear();
    world.faults.next(3, Matching::setting("answered_at"), AwsFault::Away);
    assert_eq!(status(Message::text(shop, FOLLOWER, TEXT)).await, 200);
    let unread = format!("<xml><FromUserName>{FOLLOWER}</FromUserName><Content>{TEXT}</Content>");
    assert_eq!(status(Message::of(&shop.appid, unread)).await, 200);
    world.faults.always(Matching::operation("GetItem"), AwsFault::Away);
    assert_eq!(status(Message::text(shop, FOLLOWER, TEXT)).await, 200, "on the bus without the table");
    world.faults.clear();
    let elsewhere = Account { user_name: shop.user_name.clone(), ..world.simulator.accounts()[0].clone() };
    assert_eq!(status(Message::text(&elsewhere, FOLLOWER, TEXT)).await, 401);
}

/// Services that reply, that fail while they quote the request, that are not there.
async fn replied(world: &World, shop: &Account) {
    let good = Service::replying(json!({ "type": "text", "content": REPLY })).await;
    let poet = Service::replying(json!({ "type": REPLY, "content": TEXT })).await;
    let broken = Service::answering(|call| (StatusCode::BAD_GATEWAY, call.body.to_string()).into_response()).await;
    let talkative = Service::answering(|call| call.body.to_string().repeat(1_000).into_response()).await;
    let absent = Url::parse("http://127.0.0.1:9/").unwrap();
    for (mut url, reply) in
        [(good.url(), Some(REPLY)), (poet.url(), None), (broken.url(), None), (talkative.url(), None), (absent, None)]
    {
        url.set_query(Some(&format!("key={URL_SECRET}")));
        world.ask_for_replies(url).await;
        let message = Message::text(shop, FOLLOWER, TEXT);
        for _ in 0..2 {
            assert_eq!(world.simulator.send_message(&message).await.reply_text().as_deref(), reply);
        }
    }
}

/// WeChat's release check, with its customer-service message refused the first time, quoting it. Returns the code.
async fn checked(world: &World) -> String {
    let account = Account::release_check().remove(0);
    world.simulator.put_account(account.clone());
    let consent = world.merchant_authorizes(&account.appid);
    world.push_and_work(&consent.push).await;
    let code = world.simulator.issue_code(&account.appid).unwrap();
    let errmsg = format!("invalid openid {FOLLOWER} or text {code}_from_api rid: 65f1a2b3-00000000-11111111");
    world.simulator.inject(Fault::Errcode { errcode: 40003, errmsg }.on(paths::CUSTOM_SEND).times(1));
    let message = Message::text(&account, FOLLOWER, &format!("QUERY_AUTH_CODE:{code}"));
    assert!(world.simulator.send_message(&message).await.is_empty());
    world.renew().await;
    let sent = world.simulator.sent();
    assert_eq!(sent.last().unwrap().body["text"]["content"], format!("{code}_from_api"));
    code
}

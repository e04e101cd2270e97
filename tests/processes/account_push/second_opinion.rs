//! The same with moto as the table and Secrets Manager: what our embedded table accepts, another one should accept too.

use base::clock::{Clock as _, SystemClock};
use base::ids::AppId;
use simulator::{Account, Message};
use stories::bootstrap::Bootstrap;
use stories::moto::Moto;

use super::{BINARY, FOLLOWER, texts, world_with_shop};

/// Run by hand: `pip install 'moto[server]'`, then `cargo test -p processes -- --ignored moto`.
#[tokio::test]
#[ignore = "needs moto_server on the PATH, a Python program"]
async fn moto_agrees_on_messages_repeats_and_the_release_check_to_two_processes() {
    let (world, shop) = world_with_shop().await;
    let moto = Moto::start().await;
    moto.take_over(&world).await;
    let start = || Bootstrap::with(BINARY, &world, |variables| moto.redirect(variables));
    let (one, other) = (start().await, start().await);

    let message = Message::text(&shop, FOLLOWER, "hello");
    for function in [&one, &other, &one] {
        let answer = function.push(&world.simulator.seal_message(&message)).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    }
    assert_eq!(texts(&world), ["hello"]);

    // Nothing is known about this one, and then only that it is one of the platform's.
    let stranger = AppId::parse("wxstranger").unwrap();
    let elsewhere = Message::of(&stranger, one_of(&shop));
    assert_eq!(one.push(&world.simulator.seal_message(&elsewhere)).await.status, 401);
    moto.store().introductions.put(&stranger, world.now()).await.unwrap();
    assert_eq!(other.push(&world.simulator.seal_message(&elsewhere)).await.status, 401, "it is the shop's");

    let store = moto.store();
    let checked = Account::release_check().remove(0);
    for number in 0..4 {
        let code = Message::text(&checked, FOLLOWER, &format!("QUERY_AUTH_CODE:queryauthcode@@@{number}"));
        assert_eq!(one.push(&world.simulator.seal_message(&code)).await.status, 200);
    }
    let key = store.inbox.partition(&format!("{}#inbox#{}", store.component(), checked.appid)).unwrap();
    assert_eq!(store.inbox.waiting(&key).await.unwrap().len(), 3, "a minute has room for three");
}

/// A message to the shop.
fn one_of(shop: &Account) -> String {
    let now = SystemClock.now().unix();
    format!(
        "<xml><ToUserName>{}</ToUserName><FromUserName>{FOLLOWER}</FromUserName><CreateTime>{now}</CreateTime>\
         <MsgType>text</MsgType><Content>hello</Content></xml>",
        shop.user_name
    )
}

//! Real messages and events: each is delivered with everything in it.

use base::ids::AppId;
use serde_json::Value;
use simulator::Message;
use stories::schema::Schema;
use stories::world::World;

use super::delivered;

const SAMPLES: &str = include_str!("../../../shared/wechat/src/push/inner/samples.json");

#[tokio::test]
async fn every_real_message_reaches_the_business_whole_and_in_the_promised_form() {
    let samples: Vec<Value> = serde_json::from_str(SAMPLES).unwrap();
    let (world, schema) = (World::ready().await, Schema::read());
    for (number, sample) in samples.iter().enumerate() {
        let mut expected = sample["fields"].clone();
        let user_name = expected["ToUserName"].as_str().unwrap().to_owned();
        let user_name = format!("{user_name}_{number}");
        let now = world.now().unix().to_string();
        let (was, is) = (format!("<CreateTime>{}<", text(&expected, "CreateTime")), format!("<CreateTime>{now}<"));
        let named = |name: &str| format!("<ToUserName><![CDATA[{name}]]>");
        let xml = sample["xml"].as_str().unwrap().replace(&was, &is);
        let xml = xml
            .replace("<ToUserName> <", "<ToUserName><")
            .replace(&named(text(&expected, "ToUserName")), &named(&user_name));
        (expected["CreateTime"], expected["ToUserName"]) = (now.into(), user_name.clone().into());

        let appid = AppId::parse(&format!("wx{number:016x}")).unwrap();
        world.store().user_names.put(&appid, &user_name).await.unwrap();
        let outcome = world.simulator.send_message(&Message::of(&appid, xml.as_str())).await;
        assert!(outcome.fault.is_none(), "{xml}: {outcome:?}");
        let check = xml.contains("TESTCOMPONENT_MSG_TYPE_TEXT]");
        assert_eq!(outcome.reply.is_some(), check, "{xml}: only the release check is answered with a reply");
        let detail = delivered(&world).pop().unwrap();
        assert_eq!(
            (detail["authorizer_appid"].as_str(), &detail["fields"]),
            (Some(appid.as_str()), &expected),
            "{xml}"
        );
        schema.fits("message_detail", &detail).unwrap_or_else(|misfit| panic!("{xml}: {misfit}"));
    }
}

fn text<'a>(fields: &'a Value, name: &str) -> &'a str {
    fields[name].as_str().unwrap()
}

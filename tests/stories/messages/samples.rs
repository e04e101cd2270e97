//! Real messages and events, where they lie beside the workspace: each is delivered with all that is in it.

use std::fs;
use std::path::Path;

use serde_json::Value;
use shared::ids::AppId;
use simulator::{Account, Message};
use stories::schema::Schema;
use stories::world::World;

use super::delivered;

#[tokio::test]
async fn every_real_message_reaches_the_business_with_all_its_fields_in_the_promised_form() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/events");
    if !folder.exists() {
        println!("there is no folder with real messages beside the workspace: nothing was sent");
        return;
    }
    let index: Vec<Value> = serde_json::from_slice(&fs::read(folder.join("INDEX.json")).unwrap()).unwrap();
    let samples: Vec<&str> = index
        .iter()
        .filter(|entry| entry["channel"].as_str().unwrap().starts_with("message-and-event"))
        .map(|entry| entry["file"].as_str().unwrap())
        .collect();
    assert!(samples.len() >= 100, "{}", samples.len());

    let (world, schema) = (World::ready().await, Schema::read());
    for (number, file) in samples.iter().enumerate() {
        let xml = fs::read_to_string(folder.join(file)).unwrap();
        let user_name = between(&xml, "<ToUserName>", "</ToUserName>");
        let appid = AppId::parse(&format!("wx{number:016x}")).unwrap();
        let account = Account { user_name, ..Account::official_account(appid.clone(), file) };
        world.simulator.put_account(account.clone());
        let consent = world.merchant_authorizes(&appid);
        world.push_and_work(&consent.push).await;
        assert_eq!(world.vault().user_name(&appid).await.unwrap().as_ref(), Some(&account.user_name), "{file}");

        let outcome = world.simulator.send_message(&Message::of(&appid, xml.as_str())).await;
        assert!(outcome.fault.is_none(), "{file}: {outcome:?}");
        let check = xml.contains("TESTCOMPONENT_MSG_TYPE_TEXT");
        assert_eq!(outcome.reply.is_some(), check, "{file}: only the release check is answered with a reply");
        let detail = delivered(&world).pop().unwrap();
        assert_eq!(detail["authorizer_appid"], appid.as_str(), "{file}");
        schema.fits("message_detail", &detail).unwrap_or_else(|misfit| panic!("{file}: {misfit}"));
        let told = leaves(&detail["fields"]);
        for text in texts_of(&xml) {
            assert!(told.contains(&text), "{file}: {text:?} is not among {told:?}");
        }
        assert_eq!(told.len(), elements_without_children(&xml), "{file}");
    }
    println!("{} real messages were delivered", samples.len());
}

fn between(xml: &str, start: &str, end: &str) -> String {
    let text = xml.split_once(start).unwrap().1.split_once(end).unwrap().0.trim();
    text.trim_start_matches("<![CDATA[").trim_end_matches("]]>").to_owned()
}

/// Every text in a JSON value.
fn leaves(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().flat_map(leaves).collect(),
        Value::Object(members) => members.values().flat_map(leaves).collect(),
        _ => vec![],
    }
}

/// What stands in CDATA sections: found without the parser that is under test.
fn texts_of(xml: &str) -> Vec<String> {
    xml.split("<![CDATA[").skip(1).map(|rest| rest.split("]]>").next().unwrap().to_owned()).collect()
}

/// How many elements have no element in them, by their tags alone.
fn elements_without_children(xml: &str) -> usize {
    let mut count = 0;
    let mut opened = false;
    let mut rest = xml;
    while let Some((_, tail)) = rest.split_once('<') {
        if let Some(data) = tail.strip_prefix("![CDATA[") {
            rest = data.split_once("]]>").unwrap().1;
            continue;
        }
        let (tag, after) = tail.split_once('>').unwrap();
        rest = after;
        if tag.starts_with(['?', '!']) {
        } else if tag.ends_with('/') {
            count += 1;
            opened = false;
        } else if tag.starts_with('/') {
            count += usize::from(opened);
            opened = false;
        } else {
            opened = true;
        }
    }
    count
}

//! The bytes of pushes, mutated at each of their layers: query and body, the encrypted frame, and the XML in it. The
//! two inner ones are signed and sealed with the platform's own token and key, as only WeChat can.

use aes::Aes256;
use aes::cipher::{Array, BlockModeEncrypt as _, KeyIvInit as _};
use base::ids::hex;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use secrecy::ExposeSecret as _;
use sha1::{Digest as _, Sha1};
use stories::bootstrap::messages_of;
use stories::http_events::HttpEvent;
use stories::world::{World, platform};

use super::{ODD_TEXTS, runner, runtime};

const TIMESTAMP: &str = "1700000000";
const NONCE: &str = "987";

/// A replacement of some bytes by others.
#[derive(Debug, Clone)]
struct Cut {
    at: Index,
    removed: usize,
    bytes: Vec<u8>,
}

impl Cut {
    fn apply(&self, whole: &[u8]) -> Vec<u8> {
        let start = self.at.index(whole.len() + 1);
        let end = whole.len().min(start + self.removed);
        [&whole[..start], &self.bytes, &whole[end..]].concat()
    }
}

fn cuts() -> impl Strategy<Value = Vec<Cut>> {
    let bytes = prop_oneof![
        3 => select(&ODD_TEXTS[..]).prop_map(|text| text.as_bytes().to_vec()),
        2 => vec(any::<u8>(), 0..20),
        1 => (select(&["<a>", "<Content>", "&amp;", "]]>", "\u{1}"][..]), 1..3_000_usize)
            .prop_map(|(text, times)| text.repeat(times).into_bytes()),
    ];
    let removed = prop_oneof![Just(0), 0..4_usize, 0..2_000_usize];
    vec((any::<Index>(), removed, bytes).prop_map(|(at, removed, bytes)| Cut { at, removed, bytes }), 0..4)
}

/// An input for one of the two URLs.
#[derive(Debug, Clone)]
enum Input {
    /// A genuine push with changes of its query and its body.
    Outside { push: Index, query: Vec<Cut>, body: Vec<Cut> },
    /// A genuine message with changes of its XML, sealed afterwards.
    Inside { push: Index, xml: Vec<Cut> },
    /// Any plaintext, encrypted and signed.
    Frame { push: Index, plain: Vec<u8> },
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        2 => (any::<Index>(), cuts(), cuts()).prop_map(|(push, query, body)| Input::Outside { push, query, body }),
        2 => (any::<Index>(), cuts()).prop_map(|(push, xml)| Input::Inside { push, xml }),
        1 => (any::<Index>(), vec(any::<u8>(), 0..200)).prop_map(|(push, plain)| Input::Frame { push, plain }),
        // A frame whose length and padding are almost right.
        1 => (any::<Index>(), any::<u8>(), 0..40_u8).prop_map(|(push, length, padding)| Input::Frame {
            push,
            plain: [&[0; 19][..], &[length], &[b'x'; 44], &vec![padding; padding.into()]].concat(),
        }),
    ]
}

/// A message as WeChat writes it, and the request that posts it.
struct Genuine {
    url: HttpEvent,
    xml: String,
}

/// One message of each kind that is processed.
fn genuine(world: &World) -> Vec<Genuine> {
    let account = world.account(0);
    let shop = world.simulator.account(&account).unwrap();
    let consent = world.merchant_authorizes(&account);
    let pushes = [world.simulator.ticket(), consent.push, world.simulator.unauthorize(&account).unwrap()];
    let pushes = pushes.map(|push| Genuine { url: HttpEvent::new("POST", "/wechat/events"), xml: push.message });
    let messages = [
        "<MsgType>text</MsgType><Content>几点？</Content><MsgId>7</MsgId>",
        "<MsgType>event</MsgType><Event>CLICK</Event>",
    ];
    let messages = messages.map(|inner| {
        let (user_name, time) = (&shop.user_name, world.now().unix());
        let head = format!("<ToUserName>{user_name}</ToUserName><FromUserName>oFollower</FromUserName>");
        let xml = format!("<xml>{head}<CreateTime>{time}</CreateTime>{inner}</xml>");
        Genuine { url: messages_of(account.as_str()), xml }
    });
    pushes.into_iter().chain(messages).collect()
}

/// A plaintext, encrypted with the platform's key and signed with its token, whatever is in it.
struct Sealed {
    encrypted: String,
    query: String,
    body: String,
}

fn sealed(plain: &[u8]) -> Sealed {
    let platform = platform();
    // The last character of a key carries two bits too many; without them it is strict Base64.
    let key = format!("{}E=", platform.encoding_aes_key.expose_secret().strip_suffix('G').unwrap());
    let key: [u8; 32] = STANDARD.decode(key).unwrap().try_into().unwrap();
    let iv: &[u8; 16] = key.first_chunk().unwrap();
    let mut text = plain.to_vec();
    text.resize(plain.len().next_multiple_of(16), 1);
    let (blocks, _) = Array::slice_as_chunks_mut(&mut text);
    cbc::Encryptor::<Aes256>::new((&key).into(), iv.into()).encrypt_blocks(blocks);
    let encrypted = STANDARD.encode(text);
    let mut parts = [platform.token.expose_secret(), TIMESTAMP, NONCE, encrypted.as_str()];
    parts.sort_unstable();
    let signature = hex(&Sha1::digest(parts.concat()));
    let query = format!("timestamp={TIMESTAMP}&nonce={NONCE}&msg_signature={signature}");
    let body = format!("<xml><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>");
    Sealed { encrypted, query, body }
}

/// The frame of the protocol around a message: random bytes, length, message, appid, padding.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let appid = platform().component_appid;
    let mut frame = [b"0123456789abcdef", &length[..], message, appid.as_str().as_bytes()].concat();
    let padding = u8::try_from(32 - frame.len() % 32).unwrap();
    frame.resize(frame.len() + usize::from(padding), padding);
    frame
}

#[test]
fn any_push_is_answered_and_what_is_outside_the_signature_is_not_believed() {
    let runtime = runtime();
    let world = runtime.block_on(World::ready());
    // The account is known, otherwise its messages would wait for its name.
    let shop = world.simulator.account(&world.account(0)).unwrap();
    runtime.block_on(world.store().user_names.put(&shop.appid, &shop.user_name)).unwrap();
    let (gateway, genuine) = (world.gateway(), genuine(&world));
    let changed = |whole: &[u8], cuts: &[Cut]| cuts.iter().fold(whole.to_vec(), |whole, cut| cut.apply(&whole));
    let post = |push: &Genuine, query: &str, body: &[u8]| {
        let event = push.url.clone().query(query).base64_body(body).build();
        runtime.block_on(gateway.answer(&event.to_string()))
    };
    let post_sealed = |push: &Genuine, plain: &[u8]| {
        let Sealed { query, body, .. } = sealed(plain);
        post(push, &query, body.as_bytes())
    };
    for push in &genuine {
        let answer = post_sealed(push, &framed(push.xml.as_bytes()));
        assert_eq!(answer.status_code, 200, "unchanged, it is taken: {answer:?}");
    }
    let outcome = runner().run(&input(), |input| {
        let (answer, signed) = match &input {
            Input::Outside { push, query, body } => {
                let push = push.get(&genuine);
                let whole = sealed(&framed(push.xml.as_bytes()));
                let query = String::from_utf8_lossy(&changed(whole.query.as_bytes(), query)).into_owned();
                let body = changed(whole.body.as_bytes(), body);
                let signed = body.windows(whole.encrypted.len()).any(|window| window == whole.encrypted.as_bytes());
                (post(push, &query, &body), signed)
            }
            Input::Inside { push, xml } => {
                let push = push.get(&genuine);
                (post_sealed(push, &framed(&changed(push.xml.as_bytes(), xml))), true)
            }
            Input::Frame { push, plain } => (post_sealed(push.get(&genuine), plain), true),
        };
        prop_assert!((200..500).contains(&answer.status_code), "{answer:?}");
        prop_assert!(signed || answer.status_code >= 400, "{answer:?}");
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

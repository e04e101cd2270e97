//! The outer XML of a push (protocol section 3.1), before its authenticity is verified.
//!
//! Anybody can send it, so only what is needed is extracted: `Encrypt`, and on the authorization-event URL the platform
//! that it is for. (`ToUserName`, on the message URL, is also inside the encrypted message, where it is signed.) An
//! ambiguous `Encrypt` (repeated, nested, next to a comment) is refused.

use std::borrow::Cow;

use base::ids::AppId;

use super::PushError;
use super::xml::{Node, trimmed, walk};

const ENCRYPT: &str = "Encrypt";
const APP_ID: &str = "AppId";

/// The contents of the outer XML. None of it is verified yet.
#[derive(Debug)]
pub struct Envelope<'text> {
    /// `Encrypt`: Base64 of the sealed message.
    pub encrypt: Cow<'text, str>,
    /// `AppId`, on the authorization-event URL: the platform it is for.
    pub component: Option<AppId>,
}

impl<'text> Envelope<'text> {
    /// Parses an envelope. Other elements are ignored: in WeChat's 兼容模式 the plaintext message is next to `Encrypt`.
    ///
    /// # Errors
    /// [`PushError`] unless `body` is a well-formed document of small depth, without comments, with one `Encrypt`, and
    /// at most one `AppId`, both directly below the root.
    pub fn parse(body: &'text [u8]) -> Result<Self, PushError> {
        let xml = str::from_utf8(body).map_err(|_| PushError::Utf8)?;
        let (mut encrypt, mut app_id) = (None, None);
        walk(xml, |node| match node {
            Node::Field { name: ENCRYPT, text } => take(&mut encrypt, ENCRYPT, text),
            Node::Field { name: APP_ID, text } => take(&mut app_id, APP_ID, text),
            Node::Nested { name: ENCRYPT, .. } => Err(PushError::Misplaced(ENCRYPT)),
            Node::Comment => Err(PushError::Comment),
            Node::Field { .. } | Node::Nested { .. } => Ok(()),
        })?;
        let component = app_id.map(|text| AppId::parse(&text).map_err(|_| PushError::Malformed(APP_ID))).transpose()?;
        let encrypt = encrypt.filter(|text| !text.is_empty()).ok_or(PushError::Missing(ENCRYPT))?;
        Ok(Self { encrypt, component })
    }
}

fn take<'text>(
    slot: &mut Option<Cow<'text, str>>,
    name: &'static str,
    text: Option<Cow<'text, str>>,
) -> Result<(), PushError> {
    let text = trimmed(text.ok_or(PushError::Malformed(name))?);
    if slot.replace(text).is_some() { Err(PushError::Repeated(name)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(xml: &str) -> Result<Envelope<'_>, PushError> {
        Envelope::parse(xml.as_bytes())
    }

    #[test]
    fn both_forms_are_read_with_any_order_and_white_space() {
        let event =
            parse("<xml><AppId><![CDATA[wx1]]></AppId>\n<Encrypt>\n<![CDATA[AbC=]]>\n</Encrypt></xml>").unwrap();
        assert_eq!((&*event.encrypt, event.component.unwrap().as_str()), ("AbC=", "wx1"));

        let message = parse("<xml><Encrypt>AbC=</Encrypt><x/><ToUserName>gh_1</ToUserName></xml>").unwrap();
        assert_eq!((&*message.encrypt, message.component), ("AbC=", None));
    }

    #[test]
    fn an_encrypt_that_could_be_read_in_two_ways_is_refused_by_reason() {
        const COMMENTED: &str = "<xml><!-- <Encrypt>a</Encrypt> --><Encrypt>b</Encrypt></xml>";
        for (xml, reason) in [
            ("<xml></xml>", PushError::Missing(ENCRYPT)),
            ("<xml><Encrypt/></xml>", PushError::Missing(ENCRYPT)),
            ("<xml><encrypt>a</encrypt></xml>", PushError::Missing(ENCRYPT)),
            ("<xml><x><![CDATA[<Encrypt>a</Encrypt>]]></x></xml>", PushError::Missing(ENCRYPT)),
            ("<xml><Encrypt>a</Encrypt><Encrypt>a</Encrypt></xml>", PushError::Repeated(ENCRYPT)),
            ("<xml><Encrypt>a</Encrypt><Encrypt/></xml>", PushError::Repeated(ENCRYPT)),
            ("<xml><Encrypt>a</Encrypt><x><Encrypt>b</Encrypt></x></xml>", PushError::Misplaced(ENCRYPT)),
            ("<xml><x><Encrypt/></x></xml>", PushError::Misplaced(ENCRYPT)),
            ("<xml><Encrypt>a<b/>c</Encrypt></xml>", PushError::Malformed(ENCRYPT)),
            (COMMENTED, PushError::Comment),
            ("<xml><?x <Encrypt>a</Encrypt>?><Encrypt>b</Encrypt></xml>", PushError::Comment),
            ("<xml><AppId>a b</AppId><Encrypt>a</Encrypt></xml>", PushError::Malformed(APP_ID)),
            ("<xml><AppId>a</AppId><AppId>a</AppId><Encrypt>a</Encrypt></xml>", PushError::Repeated(APP_ID)),
            ("<Encrypt>a</Encrypt>", PushError::IllFormed),
        ] {
            assert_eq!(parse(xml).unwrap_err(), reason, "{xml}");
        }
        assert_eq!(Envelope::parse(b"<xml><Encrypt>\xff</Encrypt></xml>").unwrap_err(), PushError::Utf8);
    }

    #[test]
    fn an_entity_bomb_is_refused_before_it_is_expanded() {
        let bomb = "<!DOCTYPE xml [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;'>]><xml><Encrypt>&b;</Encrypt></xml>";
        assert_eq!(parse(bomb).unwrap_err(), PushError::DocumentType);
        let references = format!("<xml><Encrypt>{}&b;</Encrypt></xml>", "&amp;".repeat(12_000));
        assert_eq!(parse(&references).unwrap_err(), PushError::Entity);
    }

    #[test]
    fn every_truncation_of_an_envelope_is_refused() {
        let whole = "<xml><AppId><![CDATA[wx1]]></AppId><Encrypt><![CDATA[AbC=]]></Encrypt></xml>";
        for end in 0..whole.len() {
            assert!(parse(&whole[..end]).is_err(), "{}", &whole[..end]);
        }
    }

    /// Markup in random order, which is far more likely to reach odd states than random bytes.
    fn scraps() -> impl Strategy<Value = String> {
        const SCRAPS: [&str; 22] = [
            "<xml>",
            "</xml>",
            "<Encrypt>",
            "</Encrypt>",
            "<Encrypt/>",
            "<AppId>",
            "</AppId>",
            "<![CDATA[",
            "]]>",
            "<!--",
            "-->",
            "<?",
            "?>",
            "<!DOCTYPE x",
            "&amp;",
            "&#0;",
            "&#x1F600;",
            "&",
            "<",
            ">",
            "AbC=",
            "微",
        ];
        prop::collection::vec(prop::sample::select(SCRAPS.as_slice()), 0..40).prop_map(|scraps| scraps.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..400)) {
            drop(Envelope::parse(&body));
        }

        #[test]
        fn what_is_accepted_is_no_longer_than_what_was_sent(xml in scraps()) {
            if let Ok(envelope) = parse(&xml) {
                prop_assert!(!envelope.encrypt.is_empty() && envelope.encrypt.len() < xml.len());
            }
        }

        #[test]
        fn any_base64_is_taken_out_unchanged(encrypt in "[A-Za-z0-9+/]{1,200}={0,2}", space in "[ \n\t]{0,3}") {
            for text in [format!("{space}<![CDATA[{encrypt}]]>{space}"), format!("{space}{encrypt}{space}")] {
                let xml = format!("<xml><Encrypt>{text}</Encrypt></xml>");
                prop_assert_eq!(&*parse(&xml).unwrap().encrypt, &encrypt);
            }
        }
    }
}

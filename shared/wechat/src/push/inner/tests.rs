use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::push::Fields;

/// The kinds of message as WeChat writes them: `{}` is what a stranger types, once or more.
const KINDS: [&str; 14] = [
    "<MsgType><![CDATA[text]]></MsgType>\n<Content><![CDATA[{}]]></Content>\n<MsgId>7001</MsgId>\n",
    "<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{}]]></Content><MsgId>7001</MsgId><BusinessId>1</BusinessId>",
    "<MsgType><![CDATA[voice]]></MsgType><MediaId><![CDATA[m]]></MediaId><Format><![CDATA[amr]]></Format>\
     <MsgId>7001</MsgId><Recognition><![CDATA[{}]]></Recognition>",
    "<MsgType><![CDATA[voice]]></MsgType><MediaId><![CDATA[m]]></MediaId><Format><![CDATA[amr]]></Format>\
     <Recognition><![CDATA[{}]]></Recognition><MsgId>7001</MsgId>",
    "<MsgType><![CDATA[location]]></MsgType><Location_X>1.5</Location_X><Location_Y>2</Location_Y><Scale>20</Scale>\
     <Label><![CDATA[{}]]></Label><MsgId>7001</MsgId>",
    "<MsgType><![CDATA[link]]></MsgType><Title><![CDATA[{}]]></Title><Description><![CDATA[d]]></Description>\
     <Url><![CDATA[u]]></Url><MsgId>7001</MsgId>",
    "<MsgType><![CDATA[link]]></MsgType><Title><![CDATA[t]]></Title><Description><![CDATA[{}]]></Description>\
     <Url><![CDATA[u]]></Url><MsgId>7001</MsgId>",
    "<MsgType><![CDATA[link]]></MsgType><Title><![CDATA[t]]></Title><Description><![CDATA[d]]></Description>\
     <Url><![CDATA[{}]]></Url><MsgId>7001</MsgId>",
    "<MsgType><![CDATA[file]]></MsgType><Title><![CDATA[{}]]></Title><Description><![CDATA[]]></Description>\
     <FileKey><![CDATA[k]]></FileKey><FileTotalLen>222</FileTotalLen><MsgId>7001</MsgId>",
    "<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[CLICK]]></Event><EventKey><![CDATA[{}]]></EventKey>",
    "<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[SCAN]]></Event><EventKey><![CDATA[{}]]></EventKey>\
     <Ticket><![CDATA[t]]></Ticket>",
    "<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[scancode_push]]></Event><EventKey><![CDATA[6]]></EventKey>\
     <ScanCodeInfo><ScanType><![CDATA[qrcode]]></ScanType>\n<ScanResult><![CDATA[{}]]></ScanResult>\n</ScanCodeInfo>",
    "<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[wxa_nickname_audit]]></Event><ret>2</ret>\
     <nickname><![CDATA[{}]]></nickname><reason><![CDATA[r]]></reason>",
    "<MsgType><![CDATA[hologram]]></MsgType><Before><![CDATA[b]]></Before><Unheard_of><![CDATA[{}]]></Unheard_of>\
     <MsgId>7001</MsgId><After>5</After>",
];

const OWN: [&str; 6] = ["ToUserName", "FromUserName", "CreateTime", "MsgType", "Event", "MsgId"];

fn document(kind: &str, typed: &str) -> String {
    let head = "<xml><ToUserName><![CDATA[gh_1]]></ToUserName>\n<FromUserName><![CDATA[o1]]></FromUserName>\n\
                <CreateTime>1700000000</CreateTime>\n";
    format!("{head}{}</xml>", kind.replace("{}", typed))
}

fn fields(xml: &str) -> Json {
    serde_json::to_value(Fields::parse(xml)).unwrap()
}

/// Every text in a value, with its place.
fn texts(value: &Json, place: &str) -> Vec<(String, String)> {
    match value {
        Json::String(text) => vec![(place.to_owned(), text.clone())],
        Json::Array(values) => values.iter().flat_map(|value| texts(value, place)).collect(),
        Json::Object(members) => {
            members.iter().flat_map(|(name, value)| texts(value, &format!("{place}/{name}"))).collect()
        }
        _ => vec![],
    }
}

/// The expected result for a kind in which a stranger typed `typed`: the same as with a plain word in its place.
fn expected(kind: &str, typed: &str) -> Vec<(String, String)> {
    let with_word = texts(&fields(&document(kind, "harmless")), "");
    with_word
        .into_iter()
        .map(|(place, text)| (place, if text == "harmless" { typed.to_owned() } else { text }))
        .collect()
}

/// Whether a text in a structure looks exactly like a list of texts as WeChat would write it.
fn is_like_a_list(kind: &str, typed: &str) -> bool {
    let name = own_name(kind);
    let squeezed: String = typed.split_ascii_whitespace().collect();
    kind.contains("<ScanCodeInfo>")
        && (squeezed.contains(&format!("]]></{name}><{name}>")) || squeezed.contains(&format!("]]></{name}><{name}/>")))
}

fn assert_as_typed(kind: &str, typed: &str) {
    if is_like_a_list(kind, typed) {
        return;
    }
    let xml = document(kind, typed);
    assert!(read(&xml).is_whole, "{xml}");
    assert_eq!(texts(&fields(&xml), ""), expected(kind, typed), "{xml}");
}

/// The name of the element with the stranger's text.
fn own_name(kind: &str) -> &str {
    let (before, _) = kind.split_once("><![CDATA[{}").unwrap();
    before.rsplit_once('<').unwrap().1
}

/// The kinds with an element after the stranger's text that could contain another text, and that element's name.
fn neighbours() -> impl Iterator<Item = (&'static str, &'static str)> {
    KINDS.into_iter().filter(|kind| !kind.contains("<ScanCodeInfo>")).flat_map(|kind| {
        let (_, behind) = kind.split_once("{}").unwrap();
        let (tags, _) = behind.rsplit_once("<![CDATA[").unwrap_or_default();
        let names = tags.split("><![CDATA[").filter_map(|before| before.rsplit_once('<')).map(|(_, tag)| tag);
        names.map(move |tag| (kind, tag.trim_end_matches('>')))
    })
}

#[test]
fn real_messages_and_events_are_read_as_an_xml_reader_reads_them() {
    let samples: Vec<Json> = serde_json::from_str(include_str!("samples.json")).unwrap();
    assert!(samples.len() > 60);
    for sample in samples {
        let xml = sample["xml"].as_str().unwrap();
        assert!(read(xml).is_whole, "{xml}");
        assert_eq!(fields(xml), sample["fields"], "{xml}");
        let inside = root(xml).unwrap().inside;
        let resolved = resolve::read(inside, 0, &Cell::new(MAX_EXAMINED)).unwrap();
        assert_eq!(resolved, first::read(inside, 0).elements, "both ways of reading it agree: {xml}");
    }
}

#[test]
fn markup_that_a_stranger_types_is_text() {
    for kind in KINDS {
        let name = own_name(kind);
        for typed in [
            "",
            " ",
            "]]>",
            "a]]>b",
            "]]>]]>",
            "]]",
            "]",
            "<",
            "&",
            "&amp;&#x1;&#0;&nope;",
            "\u{0}\u{1}\u{b}\u{7f}\u{fffe}\u{ffff}",
            "<xml><status><![CDATA[1]]></status></xml>",
            "<![CDATA[",
            "]]><![CDATA[",
            "]]]]><![CDATA[>",
            "]]></xml>",
            "</xml>",
            "<!--",
            "-->",
            "]]><!-- ",
            "<?xml version=\"1.0\"?>",
            "<!DOCTYPE x [<!ENTITY a 'b'>]>&a;",
            &format!("]]></{name}>"),
            &format!("]]></{name}></xml>"),
            &format!("]]></{name}><"),
            &format!("]]></{name}><b>"),
            &format!("]]></{name}><b>1</b>"),
            &format!("]]></{name}><{name}><![CDATA["),
            &format!("]]></{name}><{name}/>"),
            &format!("]]></{name}><{name}>"),
            &format!("]]>\n</{name}>\n<{name}>\n<![CDATA["),
            &format!("]]></{name}><MsgId>"),
            &format!("]]></{name}><MsgId><![CDATA["),
            &format!("]]></{name}><MsgId><a>"),
            &format!("]]></{name}><MsgId>1</MsgId>"),
            &format!("</{name}>"),
            &format!("]]></{name}"),
            &format!("{}x", "]]></a>".repeat(50)),
        ] {
            assert_as_typed(kind, typed);
        }
    }
}

#[test]
fn no_text_forges_an_element_of_wechats_own() {
    for kind in KINDS {
        let name = own_name(kind);
        for forged in OWN {
            for value in ["1", "<![CDATA[1]]>"] {
                let element = format!("<{forged}>{value}</{forged}>");
                for typed in [
                    format!("]]></{name}>{element}<{name}><![CDATA["),
                    format!("x]]></{name}>\n{element}\n<{name}><![CDATA[y"),
                    format!("]]></{name}>{element}{element}<Other><![CDATA[z]]></Other><{name}><![CDATA["),
                    format!("]]></{name}>{element}"),
                    format!("]]></{name}>{element}</xml>"),
                    format!("]]></{forged}>{element}<{name}><![CDATA["),
                    format!("]]></{forged}>"),
                    format!("]]></{name}></xml><xml>{element}<{name}><![CDATA["),
                ] {
                    assert_as_typed(kind, &typed);
                }
            }
        }
    }
}

#[test]
fn a_structure_cannot_be_left_through_a_text_in_it() {
    let scan = KINDS[11];
    for typed in [
        "]]></ScanResult></ScanCodeInfo><MsgId>1</MsgId><ScanCodeInfo><ScanType><![CDATA[]]></ScanType><ScanResult><![CDATA[",
        "]]></ScanResult></ScanCodeInfo><MsgId>1</MsgId><ScanCodeInfo><ScanResult><![CDATA[",
        "</ScanCodeInfo><MsgId>1</MsgId><ScanCodeInfo><x>",
        "]]></ScanResult></ScanCodeInfo>",
        "]]></ScanResult><ScanType><![CDATA[x]]></ScanType><ScanResult><![CDATA[",
    ] {
        assert_as_typed(scan, typed);
    }
}

#[test]
fn a_text_that_imitates_its_neighbours_is_one_text() {
    let title = KINDS[5];
    for typed in [
        "]]></Title><Description><![CDATA[false]]></Description><Url><![CDATA[x]]></Url><MsgId>1</MsgId><Title><![CDATA[",
        "]]></Title><Description><![CDATA[false]]></Description><Title><![CDATA[",
        "]]></Title><Description><![CDATA[",
        "]]></Title><Description>",
        "]]></Title><Description><a>",
    ] {
        assert_as_typed(title, typed);
    }
    // Not with one of WeChat's own elements in between: that would be forged.
    let recognition = KINDS[2];
    assert_as_typed(recognition, "]]></Format><MsgId>1</MsgId><Recognition><![CDATA[");
    let unheard_of = KINDS[13];
    assert_as_typed(unheard_of, "]]></Unheard_of><MsgId>1</MsgId><After>2</After><Unheard_of><![CDATA[");
}

#[test]
fn no_text_forges_an_element_of_wechats_own_in_front_of_a_neighbour() {
    for (kind, neighbour) in neighbours() {
        let name = own_name(kind);
        for forged in OWN {
            for value in ["666", "<![CDATA[666]]>"] {
                let own = format!("<{forged}>{value}</{forged}>");
                for typed in [
                    format!("x]]></{name}>{own}<{neighbour}><![CDATA["),
                    format!("x]]></{name}>{own}<{neighbour}><![CDATA[]]></{neighbour}>"),
                    format!("x]]></{name}>\n{own}\n<{neighbour}>\n<![CDATA[y"),
                    format!("x]]></{name}>{own}<Other><![CDATA[z]]></Other>{own}<{neighbour}><![CDATA["),
                    format!("x]]></{name}>{own}<{neighbour}><![CDATA[y]]></{name}>{own}<{neighbour}><![CDATA["),
                    format!("x]]></{name}><{neighbour}><![CDATA[y]]></{neighbour}>{own}<{name}><![CDATA["),
                ] {
                    assert_as_typed(kind, &typed);
                }
            }
        }
    }
}

#[test]
fn two_texts_do_not_forge_an_element_between_them() {
    for forged in OWN {
        let title = format!("x]]></Title><{forged}>666</{forged}><Foo><![CDATA[");
        let kind = KINDS[5].replace("<![CDATA[d]]>", "<![CDATA[]]></Foo><Description><![CDATA[d]]>");
        let fields = fields(&document(&kind, &title));
        assert_eq!((&fields["Title"], &fields["MsgId"]), (&Json::from(title), &Json::from("7001")));
    }
}

#[test]
fn lists_stay_lists() {
    let list = "<xml><E><L><item><A><![CDATA[1]]></A></item><item><A><![CDATA[]]>2]]></A></item></L>\
                <n><![CDATA[a]]></n><n><![CDATA[b]]></n></E><m><r><![CDATA[1]]></r></m><m><r><![CDATA[2]]></r></m></xml>";
    let expected = serde_json::json!({
        "E": { "L": { "item": [{ "A": "1" }, { "A": "]]>2" }] }, "n": ["a", "b"] },
        "m": [{ "r": "1" }, { "r": "2" }],
    });
    assert_eq!(fields(list), expected);
}

#[test]
fn what_is_not_whole_is_read_as_far_as_it_goes() {
    let whole = document(KINDS[0], "]]></Content><ToUserName>gh_2</ToUserName>");
    for end in (0..whole.len()).filter(|end| whole.is_char_boundary(*end)) {
        let document = read(&whole[..end]);
        assert!(!document.is_whole || end == whole.len(), "{end}");
        let fields = Fields::of(document);
        assert!(fields.value("ToUserName").is_none_or(|name| name == "gh_1"), "{end}");
    }
    let typing_error = "<xml>\n<AppId>wx1</AppId>\n<InfoType>authorized</InfoType>\n<xml>";
    let document = read(typing_error);
    assert_eq!((document.elements.len(), document.is_whole), (2, false));
    for nothing in ["", "plain", "{\"ToUserName\":\"gh_1\"}", "<html/>", "<xml", "<XML><a>1</a></XML>"] {
        let document = read(nothing);
        assert!(document.elements.is_empty() && !document.is_whole, "{nothing}");
    }
    let deep = format!("<xml><a>1</a>{}{}</xml>", "<b>".repeat(40), "</b>".repeat(40));
    assert_eq!(fields(&deep)["a"], "1");
}

#[test]
fn a_document_may_begin_with_a_declaration_and_end_with_white_space() {
    let xml = "\u{feff}\n<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<xml>\n <a> 1 &amp; 2 </a><b/><c></c>\n</xml>\n ";
    assert!(read(xml).is_whole);
    assert_eq!(fields(xml), serde_json::json!({ "a": "1 & 2", "b": "", "c": "" }));
}

/// Fragments that a stranger may type.
fn scraps(name: &str) -> Vec<String> {
    let fixed = [
        "]]>",
        "<![CDATA[",
        "</xml>",
        "<xml>",
        "<",
        ">",
        "&",
        "&amp;",
        "a",
        "字",
        "\u{0}",
        " ",
        "\n",
        "<MsgId>",
        "</MsgId>",
        "1",
        "<ToUserName>",
        "]]></ToUserName>",
        "<b>",
        "</b>",
        "<!--",
        "]]></MsgId>",
        "<MsgId>666</MsgId>",
    ];
    let own = [format!("<{name}>"), format!("</{name}>"), format!("<{name}><![CDATA["), format!("]]></{name}>")];
    let begun = neighbours().filter(|(kind, _)| own_name(kind) == name).map(|(_, next)| format!("<{next}><![CDATA["));
    fixed.into_iter().map(str::to_owned).chain(own).chain(begun).collect()
}

fn typed() -> impl Strategy<Value = (usize, String)> {
    (0..KINDS.len()).prop_flat_map(|kind| {
        let scraps = prop::sample::select(scraps(own_name(KINDS[kind])));
        (Just(kind), prop::collection::vec(scraps, 0..12).prop_map(|scraps| scraps.concat()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn any_markup_comes_out_as_it_was_typed((kind, typed) in typed()) {
        assert_as_typed(KINDS[kind], &typed);
    }

    #[test]
    fn any_text_comes_out_as_it_was_typed(kind in 0..KINDS.len(), typed in any::<String>()) {
        assert_as_typed(KINDS[kind], &typed);
    }

    #[test]
    fn whatever_two_strangers_type_wechats_own_elements_are_what_was_sent(
        (_, one) in typed(),
        two in prop::collection::vec(prop::sample::select(scraps("Title")), 0..12).prop_map(|scraps| scraps.concat()),
    ) {
        let kind = KINDS[5].replace("<![CDATA[d]]>", &format!("<![CDATA[{}]]>", one.replace("{}", "")));
        let fields = fields(&document(&kind, &two));
        for (name, value) in [("ToUserName", "gh_1"), ("FromUserName", "o1"), ("CreateTime", "1700000000"), ("MsgType", "link"), ("MsgId", "7001")] {
            prop_assert_eq!(fields[name].as_str(), Some(value));
        }
        prop_assert!(fields.get("Event").is_none());
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        drop(Fields::parse(&format!("<xml>{text}</xml>")));
        drop(Fields::parse(&String::from_utf8_lossy(&bytes)));
    }
}

#[test]
fn the_longest_text_of_nothing_but_markup_is_read_too() {
    for scrap in [
        "]]></Content>",
        "]]></Content><Content><![CDATA[",
        "]]></Content><a><b></a>",
        "<a>",
        "]]></Content><a><a></a>",
        "]]></Content><Content><![CDATA[]]></a></Content>",
        "]]></Content><a><b>1</b></a>",
        "]]></Content><MsgId>1</MsgId><Content><![CDATA[",
    ] {
        let typed = scrap.repeat(48 * 1024 / scrap.len());
        let xml = document(KINDS[0], &typed);
        assert_eq!(fields(&xml)["Content"].as_str().map(str::len), Some(typed.len()), "{scrap}");
        assert_eq!(fields(&xml)["MsgId"], "7001", "{scrap}");
    }
}

#[test]
fn the_longest_text_of_nothing_but_imitated_neighbours_is_read_too() {
    for scrap in [
        "]]></Title><MsgId>1</MsgId><Description><![CDATA[",
        "]]></Title><MsgId>1</MsgId><Description><![CDATA[]]></Description>",
        "]]></Title><a><![CDATA[]]></a><MsgId>1</MsgId><Description><![CDATA[",
    ] {
        let typed = scrap.repeat(48 * 1024 / scrap.len());
        let fields = fields(&document(KINDS[5], &typed));
        assert_eq!(fields["Title"].as_str().map(str::len), Some(typed.len()), "{scrap}");
        assert_eq!(fields["MsgId"], "7001", "{scrap}");
    }
}

//! What can follow a text in the root. It shows whether an apparent end of the text's element is an imitation inside
//! the text.

use std::collections::{HashMap, HashSet};

use super::{Element, Value, is_list, is_wechats_own};

/// The elements at the beginning of every message, which never follow a text.
const HEAD: [&str; 5] = ["ToUserName", "FromUserName", "CreateTime", "MsgType", "Event"];

/// Messages whose elements and order are known: none of WeChat's own elements comes between two texts.
const KNOWN: [&str; 9] = ["text", "image", "voice", "video", "shortvideo", "location", "link", "file", "event"];

/// An element of the root in one possible interpretation.
#[derive(Clone, Copy)]
pub(super) struct Sibling<'text> {
    pub(super) name: &'text str,
    /// Whether it consists of CDATA.
    pub(super) is_text: bool,
    /// Whether it consists of plain text, or is empty: then it cannot be longer than it seems.
    pub(super) is_plain: bool,
}

/// Whether WeChat can write `read` after `before`. `read` is a text and what follows it. An element that occurs again
/// is an imitation of itself: it reaches to the last one, and contains everything in between.
pub(super) fn can_follow(before: &[Element<'_>], read: &[Sibling<'_>]) -> bool {
    let is_known = before.iter().any(|element| element.name == "MsgType" && is_one_of(&element.value, &KNOWN));
    let mut own: HashSet<_> = before.iter().map(|element| element.name).filter(|name| is_wechats_own(name)).collect();
    let last: HashMap<_, _> = read.iter().enumerate().map(|(place, sibling)| (sibling.name, place)).collect();
    let (mut place, mut is_behind_own) = (0, false);
    while let Some(Sibling { name, is_text, is_plain }) = read.get(place).copied() {
        if is_wechats_own(name) {
            if HEAD.contains(&name) || !own.insert(name) {
                return false;
            }
            is_behind_own = true;
        } else if is_known && is_text && is_behind_own {
            return false;
        } else if !is_plain && !is_list(name) {
            place = last.get(name).copied().unwrap_or(place);
        }
        place += 1;
    }
    true
}

fn is_one_of(value: &Value<'_>, words: &[&str]) -> bool {
    match value {
        Value::Typed(text) => words.contains(&text.trim_ascii()),
        Value::Plain(text) => words.contains(&text.as_ref()),
        Value::Elements(_) => false,
    }
}

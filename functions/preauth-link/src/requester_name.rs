//! The name of the requester, as a merchant reads it: nothing in it can hide, or change how the page reads.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// The most characters of a name that a merchant can recognise: longer ones do not fit a phone's screen.
const LONGEST: usize = 60;

/// The most combining marks on one letter. Real writing has three at most; more reach over other lines of the page.
const MOST_MARKS: usize = 4;

/// Zero-width joiner and non-joiner: part of emoji and of Indic and Persian words, but as invisible as any format
/// character.
const JOINERS: [char; 2] = ['\u{200c}', '\u{200d}'];

/// Letters and symbols that are blank although their category does not say so: the empty Braille pattern, the null
/// notehead, and the object replacement character.
const BLANK: [char; 3] = ['\u{2800}', '\u{1d159}', '\u{fffc}'];

/// The name without white space around it; `None` unless a merchant can read it.
pub(crate) fn requester_name(text: &str) -> Option<String> {
    let name = text.trim();
    let fits = name.chars().count() <= LONGEST;
    let readable = name.chars().all(is_harmless) && name.chars().any(is_visible) && !has_piled_marks(name);
    (fits && readable).then(|| name.to_owned())
}

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

/// Whether a character is neither a control, nor a line break, nor an invisible format (which includes all changes of
/// direction), nor unassigned.
fn is_harmless(c: char) -> bool {
    use GeneralCategory as C;
    match category(c) {
        C::Format => JOINERS.contains(&c),
        C::Control | C::LineSeparator | C::ParagraphSeparator | C::PrivateUse | C::Surrogate | C::Unassigned => false,
        _ => true,
    }
}

/// Whether a character leaves a mark on the page on its own.
fn is_visible(c: char) -> bool {
    let alone = !is_mark(c) && category(c) != GeneralCategory::SpaceSeparator;
    alone && !CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c) && !BLANK.contains(&c)
}

fn is_mark(c: char) -> bool {
    use GeneralCategory as C;
    matches!(category(c), C::NonspacingMark | C::SpacingMark | C::EnclosingMark)
}

fn has_piled_marks(name: &str) -> bool {
    let mut marks = 0;
    name.chars().any(|c| {
        marks = if is_mark(c) { marks + 1 } else { 0 };
        marks > MOST_MARKS
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_script_are_kept_as_they_are() {
        for name in [
            "示例商城",
            "城南旧书店📚",
            "Söhne & <Co>",
            "Cafe\u{301}",
            "متجر الكتب",
            "חנות הספרים",
            "می\u{200c}خواهم",
            "किताबों की दुकान",
            "ร้านหนังสือที่นี่",
            "བརྒྱུད་",
            "👩\u{200d}👩\u{200d}👧 家",
            "❤\u{fe0f}",
            "🇨🇳",
            "1",
            "?",
        ] {
            assert_eq!(requester_name(name).as_deref(), Some(name), "{name}");
        }
        assert_eq!(requester_name(" \u{3000}店 ").as_deref(), Some("店"));
        assert!(requester_name(&"店".repeat(60)).is_some());
        assert!(requester_name(&"店".repeat(61)).is_none());
    }

    #[test]
    fn nothing_in_a_name_changes_its_direction_or_its_line() {
        let directions = ['\u{61c}', '\u{200e}', '\u{200f}'].into_iter();
        let directions = directions.chain('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}');
        let lines = ['\0', '\t', '\n', '\r', '\u{7}', '\u{1b}', '\u{7f}', '\u{85}', '\u{9b}', '\u{2028}', '\u{2029}'];
        for hostile in directions.chain(lines) {
            for name in [format!("a{hostile}b"), format!("店{hostile}店"), format!("{hostile}{hostile}x")] {
                // White space around a name is cut off, line breaks included.
                let inside = !name.starts_with(hostile) || !hostile.is_whitespace();
                assert_eq!(requester_name(&name).is_none(), inside, "{hostile:?}");
            }
        }
    }

    #[test]
    fn nothing_in_a_name_is_hidden_or_of_unknown_look() {
        for hidden in [
            '\u{ad}',
            '\u{180e}',
            '\u{200b}',
            '\u{2060}',
            '\u{2064}',
            '\u{206a}',
            '\u{feff}',
            '\u{fff9}',
            '\u{1bca0}',
            '\u{1d173}',
            '\u{e0001}',
            '\u{e0041}',
            '\u{e000}',
            '\u{f8ff}',
            '\u{f0000}',
            '\u{fffe}',
            '\u{378}',
        ] {
            assert_eq!(requester_name(&format!("a{hidden}b")), None, "{hidden:?}");
        }
    }

    #[test]
    fn a_name_shows_at_least_one_character() {
        for blank in [
            "",
            " ",
            "\u{3000}\u{a0}\u{2003}",
            "\u{200d}",
            "\u{200c}\u{200d}",
            "\u{3164}",
            "\u{ffa0}",
            "\u{115f}\u{1160}",
            "\u{2800}\u{2800}",
            "\u{1d159}",
            "\u{fffc}",
            "\u{301}",
            "\u{34f}",
            "\u{17b4}",
            "\u{fe0f}",
            "\u{e0100}",
            "\u{20dd}",
            "\u{3164} \u{200d}\u{2800}\u{301}",
        ] {
            assert_eq!(requester_name(blank), None, "{}", blank.escape_unicode());
        }
    }

    #[test]
    fn marks_do_not_pile_up_over_the_rest_of_the_page() {
        assert!(requester_name(&format!("a{}", "\u{301}".repeat(MOST_MARKS))).is_some());
        assert!(requester_name(&format!("a{}", "\u{301}".repeat(MOST_MARKS + 1))).is_none());
        assert!(requester_name(&format!("ab{}", "\u{489}".repeat(20))).is_none());
    }
}

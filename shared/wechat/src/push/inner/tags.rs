//! The pieces that a document is made of: tags without attributes, and sections of CDATA.

/// What a section of CDATA begins with.
pub(super) const DATA_BEGIN: &str = "<![CDATA[";

/// What it ends with.
pub(super) const DATA_END: &str = "]]>";

/// What a tag does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Start,
    /// `<name/>`.
    Empty,
    End,
}

/// A tag.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tag<'text> {
    /// Where it begins.
    pub(super) at: usize,
    /// Where what comes after it begins.
    pub(super) after: usize,
    pub(super) name: &'text str,
    pub(super) kind: Kind,
}

/// The tag that begins at `at`.
pub(super) fn tag_at(text: &str, at: usize) -> Option<Tag<'_>> {
    let inside = text.get(at..)?.strip_prefix('<')?;
    let (inside, is_end) = inside.strip_prefix('/').map_or((inside, false), |inside| (inside, true));
    let length = inside.find(|c: char| !is_of_name(c)).filter(|length| *length > 0)?;
    let (name, rest) = inside.split_at_checked(length)?;
    let closing = rest.trim_ascii_start();
    let (kind, rest) = match (closing.strip_prefix('>'), closing.strip_prefix("/>")) {
        (Some(rest), _) => (if is_end { Kind::End } else { Kind::Start }, rest),
        (None, Some(rest)) if !is_end => (Kind::Empty, rest),
        _ => return None,
    };
    Some(Tag { at, after: text.len() - rest.len(), name, kind })
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':')
}

/// Every tag, in order, also those in CDATA.
pub(super) fn tags(text: &str) -> impl DoubleEndedIterator<Item = Tag<'_>> {
    text.match_indices('<').filter_map(|(at, _)| tag_at(text, at))
}

/// The first place from `at` on that is not white space.
pub(super) fn skip_space(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    text.len() - rest.trim_ascii_start().len()
}

/// Where the section of CDATA begins that an element consists of, which has its start tag before `at`.
pub(super) fn data_after(text: &str, at: usize) -> Option<usize> {
    let at = skip_space(text, at);
    text.get(at..)?.starts_with(DATA_BEGIN).then_some(at + DATA_BEGIN.len())
}

/// Where the section of CDATA ends that an element consists of, which has its end tag at `at`.
pub(super) fn data_before(text: &str, at: usize) -> Option<usize> {
    text.get(..at)?.trim_ascii_end().strip_suffix(DATA_END).map(str::len)
}

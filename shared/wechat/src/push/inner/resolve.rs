//! Finding the ends of elements in a document with markup in its texts.
//!
//! First, from right to left, every tag is checked: can the rest of the document be read from there? Only such
//! positions are possible ends. Then the elements are read from left to right, each up to its first possible end. A
//! text can be crafted so that this is too early: it imitates WeChat's elements and then begins its own element again,
//! as it must, since the true end is still to come. So an element that would begin twice extends to its last end. Or
//! the text begins the next element, which then contains the true end; [`order`](super::order) knows what cannot follow
//! a text, which shows that it ends later.

use std::cell::Cell;
use std::collections::HashMap;

use super::tags::{Kind, Tag, data_after, data_before, skip_space, tag_at, tags};
use super::{Element, MAX_DEPTH, Value, first, is_list, is_wechats_own, level, order};

/// The elements of one level; `None` if there is no way to read it completely.
pub(super) fn read<'text>(inside: &'text str, depth: usize, looks: &Cell<u32>) -> Option<Vec<Element<'text>>> {
    let level = Level::of(inside, depth, looks);
    let mut elements = Vec::new();
    let mut at = skip_space(inside, 0);
    while at < inside.len() {
        let (element, after) = level.element(at, &elements)?;
        elements.push(element);
        at = skip_space(inside, after);
    }
    Some(elements)
}

/// An end tag.
struct End {
    at: usize,
    after: usize,
    /// Where the CDATA section before it ends.
    data: Option<usize>,
    /// Whether the rest of the level can be read after it.
    is_good: bool,
}

/// A way to read an element.
#[derive(Clone, Copy)]
enum Shape {
    /// CDATA, with its begin and end.
    Data(usize, usize),
    /// Plain text, or nothing.
    Plain,
    /// Child elements, with their begin and end.
    Structure(usize, usize),
}

/// An element after which the rest of the level can be read.
#[derive(Clone, Copy)]
struct Step<'text> {
    tag: Tag<'text>,
    shape: Shape,
    after: usize,
}

struct Level<'text, 'looks> {
    text: &'text str,
    depth: usize,
    looks: &'looks Cell<u32>,
    /// The possible elements by where they begin.
    steps: HashMap<usize, Step<'text>>,
    /// The end tags of each name, last one first.
    ends: HashMap<&'text str, Vec<End>>,
}

impl<'text, 'looks> Level<'text, 'looks> {
    fn of(text: &'text str, depth: usize, looks: &'looks Cell<u32>) -> Self {
        let mut level = Self { text, depth, looks, steps: HashMap::new(), ends: HashMap::new() };
        for tag in tags(text).rev() {
            match tag.kind {
                Kind::End => {
                    let (data, is_good) = (data_before(text, tag.at), level.is_good(tag.after));
                    let end = End { at: tag.at, after: tag.after, data, is_good };
                    level.ends.entry(tag.name).or_default().push(end);
                }
                Kind::Start | Kind::Empty => {
                    if let Some((shape, after)) = level.shape(&tag) {
                        level.steps.insert(tag.at, Step { tag, shape, after });
                    }
                }
            }
        }
        level
    }

    /// Whether the rest of the level can be read from there.
    fn is_good(&self, at: usize) -> bool {
        let at = skip_space(self.text, at);
        at == self.text.len() || self.steps.contains_key(&at)
    }

    /// The nearest possible end of an element, and the element's shape with it.
    fn shape(&self, tag: &Tag<'text>) -> Option<(Shape, usize)> {
        if tag.kind == Kind::Empty {
            return self.is_good(tag.after).then_some((Shape::Plain, tag.after));
        }
        let mut ends = self.ends.get(tag.name)?.iter().rev();
        if let Some(from) = data_after(self.text, tag.after) {
            let mut ends = ends.filter_map(|end| Some((end.data.filter(|data| *data >= from)?, end)));
            let (data, end) = if is_wechats_own(tag.name) {
                ends.next().filter(|(_, end)| end.is_good)
            } else {
                ends.find(|(_, end)| end.is_good)
            }?;
            return Some((Shape::Data(from, data), end.after));
        }
        if let Some((_, after)) = first::plain(self.text, tag) {
            return self.is_good(after).then_some((Shape::Plain, after));
        }
        let from = skip_space(self.text, tag.after);
        let begins_with_a_child = tag_at(self.text, from).is_some_and(|child| child.kind != Kind::End);
        if is_wechats_own(tag.name) || !begins_with_a_child {
            return None;
        }
        let end = ends.find(|end| end.is_good && self.can_be_read(from, end.at))?;
        Some((Shape::Structure(from, end.at), end.after))
    }

    /// Whether there are only elements between two positions. If too many structures have been examined already,
    /// appearance is enough.
    fn can_be_read(&self, from: usize, to: usize) -> bool {
        let left = self.looks.get();
        self.looks.set(left.saturating_sub(1));
        left == 0 || self.children(from, to).is_some()
    }

    fn children(&self, from: usize, to: usize) -> Option<Vec<Element<'text>>> {
        let inside = self.text.get(from..to).filter(|_| self.depth + 1 < MAX_DEPTH)?;
        level(inside, self.depth + 1, self.looks)
    }

    /// The element that begins at `at`, after those in `before`, and the position after it.
    fn element(&self, at: usize, before: &[Element<'text>]) -> Option<(Element<'text>, usize)> {
        let step = self.steps.get(&at)?;
        let Step { shape, after, .. } = self.widened(self.in_order(*step, before).unwrap_or(*step), before);
        let value = match shape {
            Shape::Data(from, to) => Value::Typed(self.text.get(from..to)?),
            Shape::Plain if step.tag.kind == Kind::Empty => Value::Plain("".into()),
            Shape::Plain => first::plain(self.text, &step.tag)?.0,
            Shape::Structure(from, to) => match self.children(from, to) {
                Some(children) => Value::Elements(children),
                None => Value::Typed(self.text.get(from..to)?),
            },
        };
        Some((Element { name: step.tag.name, value }, after))
    }

    /// The element extended to its last end, if the result is in order.
    fn widened(&self, step: Step<'text>, before: &[Element<'text>]) -> Step<'text> {
        if is_wechats_own(step.tag.name) || is_list(step.tag.name) {
            return step;
        }
        let last = self.begun_again(&step).into_iter().chain(self.ended_in_a_text(&step)).max_by_key(|end| end.at);
        let shape = match (step.shape, last) {
            (Shape::Data(from, _), Some(End { data: Some(data), .. })) => Shape::Data(from, *data),
            (Shape::Structure(from, _), Some(end)) => Shape::Structure(from, end.at),
            _ => return step,
        };
        let after = last.map_or(step.after, |end| end.after);
        self.in_order(Step { shape, after, ..step }, before).unwrap_or(step)
    }

    /// A text of the root extended to its next end after which everything is in WeChat's order; `None` if there is no
    /// such end. Any other element is left as it is.
    fn in_order(&self, step: Step<'text>, before: &[Element<'text>]) -> Option<Step<'text>> {
        let Shape::Data(from, _) = step.shape else { return Some(step) };
        if self.depth > 0 || is_wechats_own(step.tag.name) || is_list(step.tag.name) {
            return Some(step);
        }
        let later = self.ends.get(step.tag.name).into_iter().flatten().rev();
        let later = later.filter(|end| end.is_good && end.after > step.after).filter_map(|end| {
            let data = end.data.filter(|data| *data >= from)?;
            Some(Step { shape: Shape::Data(from, data), after: end.after, ..step })
        });
        std::iter::once(step).chain(later).find(|step| self.is_in_order(step, before))
    }

    fn is_in_order(&self, step: &Step<'text>, before: &[Element<'text>]) -> bool {
        let following = std::iter::once(*step).chain(self.following(step)).map(|next| {
            let is_text = matches!(next.shape, Shape::Data(..));
            order::Sibling { name: next.tag.name, is_text, is_plain: matches!(next.shape, Shape::Plain) }
        });
        order::can_follow(before, &following.collect::<Vec<_>>())
    }

    /// The end of the last element with the same name, if that is an imitation: it is in the root, or something else is
    /// in between.
    fn begun_again(&self, step: &Step<'text>) -> Option<&End> {
        let is_structure = matches!(step.shape, Shape::Structure(..));
        let mut is_list_so_far = self.depth > 0 || is_structure;
        let mut last = None;
        for next in self.following(step) {
            if next.tag.name != step.tag.name {
                is_list_so_far = false;
            } else if !is_list_so_far {
                let end = self.ends_of(&next).find(|end| end.after == next.after);
                last = end.filter(|end| is_structure || end.data.is_some()).or(last);
            }
        }
        last
    }

    /// The last end of the element in the texts that follow it, as long as none of WeChat's own elements is in between:
    /// a text that begins the next element leaves its own end in that one. A text that also contains an end of itself
    /// does not count: there it is that text's own imitation.
    fn ended_in_a_text(&self, step: &Step<'text>) -> Option<&End> {
        let Shape::Data(..) = step.shape else { return None };
        let siblings = self.following(step).take_while(|next| !is_wechats_own(next.tag.name));
        let within = siblings.filter(|next| next.tag.name != step.tag.name).filter_map(|next| {
            let Shape::Data(from, to) = next.shape else { return None };
            let is_within = |end: &&End| end.data.is_some_and(|data| (from..to).contains(&data));
            if self.ends_of(&next).any(|end| is_within(&end)) {
                return None;
            }
            self.ends_of(step).find(|end| end.is_good && is_within(end))
        });
        within.last()
    }

    /// The end tags of an element's name, last one first.
    fn ends_of(&self, step: &Step<'text>) -> impl Iterator<Item = &End> {
        self.ends.get(step.tag.name).into_iter().flatten()
    }

    /// The elements that follow, each up to its nearest possible end.
    fn following(&self, step: &Step<'text>) -> impl Iterator<Item = Step<'text>> {
        let next = |step: &Step<'text>| self.steps.get(&skip_space(self.text, step.after)).copied();
        std::iter::successors(next(step), move |step| next(step))
    }
}

//! The style sheet that the pages of this project share, and the navigation between the pages of `cargo run`.
//!
//! [`STYLE`] has the tokens (colours, light and dark), the elements, buttons, forms, notices, badges, cards and tables,
//! and the frame: skip link, header, navigation, content. Each group of pages appends its own few rules.
//!
//! `cargo run` serves pages at several ports, and each links to the others: [`Neighbour`] is one of them with its
//! address. In the cloud there are none.

/// The style sheet. A page is `body.framed` with `.skip`, `.top`, `.nav` and `main`, or `body.alone` with `main` only.
pub const STYLE: &str = include_str!("style.css");

/// A page of `cargo run` that a person works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// The operators' console.
    Console,
    /// The events that were delivered on the event bus.
    Events,
    /// The conversations of followers with accounts.
    Chat,
    /// What merchants do in WeChat's own console, with their accounts.
    Merchants,
    /// The demo shop.
    Shop,
}

impl Page {
    /// Its name in Chinese.
    #[must_use]
    pub const fn chinese(self) -> &'static str {
        match self {
            Self::Console => "控制台",
            Self::Events => "事件",
            Self::Chat => "聊天",
            Self::Merchants => "商家后台",
            Self::Shop => "演示商城",
        }
    }

    /// Its name in English.
    #[must_use]
    pub const fn english(self) -> &'static str {
        match self {
            Self::Console => "Console",
            Self::Events => "Events",
            Self::Chat => "Chat",
            Self::Merchants => "Merchants",
            Self::Shop => "Shop",
        }
    }
}

/// A page and its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Which page.
    pub page: Page,
    /// Its address: absolute, or a path at the port of the page that links to it.
    pub url: String,
}

impl Neighbour {
    /// The page at an address.
    #[must_use]
    pub fn new(page: Page, url: impl Into<String>) -> Self {
        Self { page, url: url.into() }
    }
}

/// The navigation of a page.
#[derive(Debug, Clone, Copy, Default)]
pub struct Navigation<'a> {
    /// The pages, in order. A page without any has no frame.
    pub neighbours: &'a [Neighbour],
    /// The current page, or the one that it belongs to.
    pub here: Option<Page>,
}

impl Navigation<'_> {
    /// Whether a page is the current one.
    #[must_use]
    pub fn is_here(&self, neighbour: &Neighbour) -> bool {
        self.here == Some(neighbour.page)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The names of the colours in a part of the style sheet.
    fn colours(part: &str) -> BTreeSet<&str> {
        let lines = part.lines().map(str::trim).take_while(|line| *line != "}");
        lines.filter(|line| line.starts_with("--")).map(|line| line.split_once(':').unwrap().0).collect()
    }

    #[test]
    fn every_colour_is_there_in_the_dark_and_no_other_is_used() {
        let mut schemes = STYLE.split(":root {").skip(1);
        let (light, dark) = (colours(schemes.next().unwrap()), colours(schemes.next().unwrap()));
        assert_eq!(light, dark);
        let used: BTreeSet<_> = STYLE.split("var(").skip(1).map(|rest| rest.split_once(')').unwrap().0).collect();
        assert_eq!(light, used);
    }
}

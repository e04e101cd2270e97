//! The pages of this machine that a person works with, and the selection to which the console leads.

use design::{Neighbour, Page};

use crate::console_door::OPENED;
use crate::listeners::{Listeners, local_base};

/// The URLs of the listeners with pages, for a browser on this machine.
pub(crate) struct Bases {
    pub(crate) public: String,
    pub(crate) business: String,
    pub(crate) events: Option<String>,
    pub(crate) simulator: Option<String>,
    pub(crate) shop: Option<String>,
}

impl Bases {
    /// The URLs of what this machine serves.
    pub(crate) fn of(listeners: &Listeners) -> anyhow::Result<Self> {
        Ok(Self {
            public: local_base(&listeners.public)?,
            business: local_base(&listeners.business)?,
            events: listeners.events.listener().map(local_base).transpose()?,
            simulator: listeners.simulator.as_ref().map(local_base).transpose()?,
            shop: listeners.shop.as_ref().map(local_base).transpose()?,
        })
    }

    /// The URL that opens the console for a browser of this machine.
    pub(crate) fn console_door(&self) -> String {
        format!("{}{OPENED}", self.business)
    }

    /// The existing pages, in the order of the navigation.
    pub(crate) fn neighbours(&self) -> Vec<Neighbour> {
        let at = |page, base: Option<&String>, path| base.map(|base| Neighbour::new(page, format!("{base}{path}")));
        let pages = [
            Some(Neighbour::new(Page::Console, self.console_door())),
            at(Page::Events, self.events.as_ref(), "/"),
            at(Page::Chat, self.simulator.as_ref(), "/chat"),
            at(Page::Merchants, self.simulator.as_ref(), "/console"),
            at(Page::Shop, self.shop.as_ref(), "/"),
        ];
        pages.into_iter().flatten().collect()
    }

    /// The pages to which the console leads besides its own. None with a tunnel: an operator who opens the console
    /// there may be at another machine.
    pub(crate) fn next_to_the_console(&self, public_base: &str) -> Vec<Neighbour> {
        if public_base != self.public {
            return Vec::new();
        }
        self.neighbours().into_iter().filter(|neighbour| neighbour.page != Page::Console).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(neighbours: Vec<Neighbour>) -> Vec<String> {
        neighbours.into_iter().map(|neighbour| neighbour.url).collect()
    }

    #[test]
    fn pages_that_are_not_there_are_not_led_to() {
        let base = |port: u16| format!("http://localhost:{port}");
        let all = Bases {
            public: base(3000),
            business: base(3001),
            events: Some(base(8002)),
            simulator: Some(base(3002)),
            shop: Some(base(3003)),
        };
        let others = [
            "http://localhost:8002/",
            "http://localhost:3002/chat",
            "http://localhost:3002/console",
            "http://localhost:3003/",
        ];
        assert_eq!(urls(all.next_to_the_console(&base(3000))), others);
        assert_eq!(urls(all.neighbours())[1..], others);
        assert!(all.next_to_the_console("https://tunnel.example.com").is_empty());
        let real = Bases { simulator: None, shop: None, ..all };
        assert_eq!(urls(real.neighbours()), ["http://localhost:3001/_local/console", "http://localhost:8002/"]);
    }
}

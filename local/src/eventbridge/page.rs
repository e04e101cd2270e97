//! The page of the events that arrived, the newest first, each with its JSON, which can be unfolded.
//!
//! Rendered here and complete without its script, by reloading. The script adds newer events as they arrive
//! (server-sent events), rendered with the same template. The policy names this one style and this one script by their
//! hashes, so nothing that an event contains can become either.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::LazyLock;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse as _, Response};
use design::Navigation;
use futures::{Stream, stream};
use serde::Deserialize;
use serde_json::Value;
use simulator::beijing_time;
use tokio::sync::watch;

use super::{EventBus, Numbered};
use crate::html::{LIST_STYLE, policy};

const SCRIPT: &str = include_str!("../../templates/events.js");

/// How many events a page shows.
const SHOWN: usize = 100;

/// The most characters of a message that are shown before it is unfolded.
const GIST: usize = 200;

static POLICY: LazyLock<String> = LazyLock::new(|| policy(&[LIST_STYLE], Some(SCRIPT), "'none'"));

#[derive(Template)]
#[template(path = "events.html")]
struct Page<'a> {
    navigation: Navigation<'a>,
    bus: &'a str,
    /// The page on which to cause an event, as long as nothing has arrived.
    chat: Option<&'a str>,
    position: String,
    shown: usize,
    script: &'static str,
    items: Vec<Item>,
}

/// One event, as the page and the script show it.
#[derive(Template)]
#[template(path = "event.html")]
struct Item {
    /// Its kind: the detail-type up to the dot.
    family: &'static str,
    detail_type: String,
    account: String,
    gist: String,
    /// The time in machine-readable form.
    instant: String,
    /// The time in Beijing, as on the chat page.
    time: String,
    detail: String,
}

impl Item {
    fn of(numbered: &Numbered) -> Self {
        let event = &numbered.event;
        let text = |pointer: &str| event.detail.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            family: match event.detail_type.split('.').next() {
                Some("message") => "message",
                Some("grant") => "grant",
                Some("account") => "account",
                _ => "event",
            },
            detail_type: event.detail_type.clone(),
            account: text("/authorizer_appid"),
            gist: shortened(&text("/message/content")),
            instant: event.time.rfc3339(),
            time: beijing_time(event.time),
            detail: format!("{:#}", event.detail),
        }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(GIST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// `GET /`.
pub(super) async fn show(State(bus): State<EventBus>) -> Response {
    let mut events = bus.after(0);
    let newest = events.last().map_or(0, |numbered| numbered.number);
    let items = events.split_off(events.len().saturating_sub(SHOWN)).iter().rev().map(Item::of).collect();
    let chat = bus.neighbours.iter().find(|neighbour| neighbour.page == design::Page::Chat);
    let page = Page {
        navigation: Navigation { neighbours: &bus.neighbours, here: Some(design::Page::Events) },
        bus: &bus.shared.name,
        chat: chat.map(|chat| chat.url.as_str()),
        position: bus.position(newest),
        shown: SHOWN,
        script: SCRIPT,
        items,
    };
    let headers = [
        (CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ];
    match page.render() {
        Ok(html) => (headers, Html(html)).into_response(),
        Err(error) => {
            tracing::error!("the page of events cannot be rendered: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The position up to which a page has seen events.
#[derive(Deserialize)]
pub(super) struct Seen {
    after: Option<String>,
}

/// `GET /live`: the events after the last one that the page has seen, and all that arrive.
pub(super) async fn follow(
    State(bus): State<EventBus>,
    Query(seen): Query<Seen>,
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    // A browser that reconnects says where it was.
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let seen = last.or(seen.after.as_deref()).and_then(|position| bus.number_at(position)).unwrap_or(0);
    let newest = bus.shared.newest.subscribe();
    let feed = Feed { bus, newest, seen, waiting: VecDeque::new() };
    Sse::new(stream::unfold(feed, Feed::next)).keep_alive(KeepAlive::default())
}

/// The events still to be sent to one open page.
struct Feed {
    bus: EventBus,
    newest: watch::Receiver<u64>,
    seen: u64,
    waiting: VecDeque<Numbered>,
}

impl Feed {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if let Some(numbered) = self.waiting.pop_front() {
                self.seen = numbered.number;
                // A template that writes to a string cannot fail; without data the browser ignores the event.
                let html = Item::of(&numbered).render().unwrap_or_default();
                return Some((Ok(Event::default().id(self.bus.position(self.seen)).data(html)), self));
            }
            let seen = self.seen;
            self.newest.wait_for(|newest| *newest > seen).await.ok()?;
            self.waiting = self.bus.after(seen).into();
        }
    }
}

impl EventBus {
    /// The position of an event in this start's order.
    fn position(&self, number: u64) -> String {
        format!("{}.{number}", self.shared.run)
    }

    /// The number at a position; `None` for a position of an earlier start.
    fn number_at(&self, position: &str) -> Option<u64> {
        let (run, number) = position.split_once('.')?;
        if run == self.shared.run { number.parse().ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use design::Neighbour;
    use futures::StreamExt as _;
    use serde_json::json;
    use tower::ServiceExt as _;

    use super::super::request::PutEvents;
    use super::*;

    fn deliver(bus: &EventBus, detail_type: &str, detail: &Value) {
        let entry = json!({ "EventBusName": "bus", "Source": "test", "DetailType": detail_type, "Time": 1_700_000_000,
            "Detail": detail.to_string() });
        let request = PutEvents::parse(json!({ "Entries": [entry] }).to_string().as_bytes()).unwrap();
        assert_eq!(bus.put(request).ok().unwrap()["FailedEntryCount"], 0);
    }

    fn text(content: &str) -> Value {
        json!({ "authorizer_appid": "wx0a1", "message": { "type": "text", "content": content } })
    }

    async fn get(bus: &EventBus, path: &str, last: Option<&str>) -> Response {
        let mut request = Request::get(path);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        bus.router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    async fn page(bus: &EventBus) -> String {
        let body = to_bytes(get(bus, "/", None).await.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    /// Everything that a live page is sent up to the event with `until`.
    async fn sent(response: Response, until: &str) -> String {
        let (mut body, mut sent) = (response.into_body().into_data_stream(), String::new());
        while !sent.contains(until) {
            sent.push_str(std::str::from_utf8(&body.next().await.unwrap().unwrap()).unwrap());
        }
        sent
    }

    #[tokio::test]
    async fn the_newest_event_stands_first_with_its_account_time_and_detail() {
        let bus = EventBus::new("bus");
        deliver(&bus, "message.text", &text("the first"));
        deliver(&bus, "grant.authorized", &json!({ "authorizer_appid": "wx0a2", "info_type": "authorized" }));
        let page = page(&bus).await;
        assert!(page.find("grant.authorized").unwrap() < page.find("message.text").unwrap(), "{page}");
        for shown in [
            "wx0a1",
            "wx0a2",
            "2023-11-14T22:13:20Z",
            ">11-15 06:13:20<",
            "北京时间",
            "since this start",
            "&#34;info_type&#34;: &#34;authorized&#34;",
            "the first",
        ] {
            assert!(page.contains(shown), "{shown} in {page}");
        }
    }

    #[tokio::test]
    async fn an_empty_page_says_what_to_do() {
        let bus = EventBus::new("bus");
        assert!(!page(&bus).await.contains("href"), "there is no chat page without a simulator");
        let bus = bus.with_neighbours(vec![Neighbour::new(design::Page::Chat, "http://localhost:3002/chat")]);
        let link = r#"<a href="http://localhost:3002/chat">chat page"#;
        assert!(page(&bus).await.contains(link));
        deliver(&bus, "message.text", &text("x"));
        assert!(!page(&bus).await.contains(link));
    }

    #[tokio::test]
    async fn nothing_that_an_event_contains_becomes_markup_or_script() {
        let bus = EventBus::new("bus");
        let nasty = "</pre><script>alert(1)</script><img src=x onerror=alert(1)>\r\nid: 9\r\n\r\n";
        deliver(&bus, nasty, &json!({ "authorizer_appid": nasty, nasty: nasty, "message": { "content": nasty } }));
        let live = sent(get(&bus, "/live", None).await, "</li>").await;
        for html in [page(&bus).await, live.clone()] {
            assert!(!html.contains("<script>alert") && !html.contains("<img"), "{html}");
        }
        assert_eq!(live.lines().filter(|line| line.starts_with("id: ")).count(), 1, "{live}");
        let headers = get(&bus, "/", None).await.headers().clone();
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }

    #[tokio::test]
    async fn an_open_page_is_told_what_it_has_not_seen_and_what_comes() {
        let bus = EventBus::new("bus");
        deliver(&bus, "message.text", &text("seen"));
        let live = get(&bus, &format!("/live?after={}", bus.position(1)), None).await;
        deliver(&bus, "message.text", &text("missed"));
        deliver(&bus, "message.text", &text("newest"));
        let told = sent(live, "newest").await;
        assert!(told.contains("missed") && !told.contains("seen"), "{told}");
        // After reconnecting, the browser's own position counts, not where the page began.
        let told = sent(get(&bus, "/live?after=x", Some(&bus.position(2))).await, "newest").await;
        assert!(!told.contains("missed"), "{told}");
    }

    #[tokio::test]
    async fn a_page_that_outlived_a_restart_is_told_everything() {
        let bus = EventBus::new("bus");
        deliver(&bus, "message.text", &text("first after the restart"));
        let earlier = EventBus::new("bus").position(500);
        sent(get(&bus, "/live", Some(&earlier)).await, "first after the restart").await;
    }

    #[test]
    fn a_long_message_is_shortened_between_characters() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"长".repeat(201)), "长".repeat(200) + "…");
    }
}

//! The chat page: what a follower of an authorized account sees, for trying a platform by hand.
//!
//! `GET /chat` lists the accounts, `GET /chat/{appid}` shows the conversation with one follower, `POST /chat/{appid}`
//! sends the follower's message or event. Works without script; with one, `GET /chat/{appid}/messages` loads new lines.
//! Nothing here is WeChat's: no fault affects it and no call is recorded.

pub(crate) mod bubble;
pub(crate) mod transcript;

use askama::Template;
use axum::Router;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use base::ids::AppId;
use design::{Navigation, Page};
use http::HeaderMap;
use http::header::HOST;
use serde::Deserialize;

use self::bubble::Bubble;
use self::transcript::Line;
use crate::answer::FOLLOWER_SEES;
use crate::html::page;
use crate::message::Message;
use crate::simulator::{Simulator, lock};
use crate::world::{Account, AccountKind};

/// The path of the pages.
const PATH: &str = "/chat";

/// Whether a request is for these pages.
pub(crate) fn is_under_path(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub(crate) fn router() -> Router<Simulator> {
    Router::new()
        .route("/chat", get(list))
        .route("/chat/{appid}", get(chat).post(say))
        .route("/chat/{appid}/messages", get(messages))
}

/// An action of a follower besides writing.
struct Deed {
    /// The value of the button.
    name: &'static str,
    /// The text on it.
    label: &'static str,
    kinds: &'static [AccountKind],
}

const OFFICIAL: &[AccountKind] = &[AccountKind::OfficialAccount];
const PROGRAM: &[AccountKind] = &[AccountKind::MiniProgram];
const BOTH: &[AccountKind] = &[AccountKind::OfficialAccount, AccountKind::MiniProgram];

const DEEDS: [Deed; 9] = [
    Deed { name: "image", label: "发图片", kinds: BOTH },
    Deed { name: "subscribe", label: "关注", kinds: OFFICIAL },
    Deed { name: "unsubscribe", label: "取消关注", kinds: OFFICIAL },
    Deed { name: "LOCATION", label: "上报位置", kinds: OFFICIAL },
    Deed { name: "user_enter_tempsession", label: "进入会话", kinds: PROGRAM },
    Deed { name: "weapp_audit_success", label: "审核通过", kinds: PROGRAM },
    Deed { name: "CLICK", label: "点击菜单", kinds: OFFICIAL },
    Deed { name: "SCAN", label: "扫码", kinds: OFFICIAL },
    Deed { name: "VIEW", label: "点击菜单链接", kinds: OFFICIAL },
];

/// The content of a form: the text field and the button.
#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    text: String,
    /// `EventKey` of the events that have one.
    #[serde(default)]
    key: String,
    #[serde(default)]
    deed: String,
}

impl Said {
    /// The message in the form; `None` if it has only white space or the button is unknown.
    fn message(&self, account: &Account, simulator: &Simulator) -> Option<Message> {
        let follower = account.follower();
        let event = |event| Message::event(account, &follower, event);
        let key = |default| if self.key.is_empty() { default } else { self.key.as_str() };
        Some(match self.deed.as_str() {
            "" if self.text.trim().is_empty() => return None,
            "" => Message::text(account, &follower, &self.text),
            "image" => Message::image(account, &follower, "https://mmbiz.example.com/demo/0", "DEMO_MEDIA_ID"),
            deed @ ("subscribe" | "unsubscribe") => event(deed).with("EventKey", ""),
            "SCAN" => event("SCAN").with("EventKey", key("demo_scene")).with("Ticket", "gQDemoTicket"),
            "CLICK" => event("CLICK").with("EventKey", key("DEMO_MENU_KEY")),
            "VIEW" => event("VIEW").with("EventKey", key("https://www.example.com/")),
            "LOCATION" => event("LOCATION")
                .with("Latitude", "23.137466")
                .with("Longitude", "113.352425")
                .with("Precision", "119.385040"),
            "user_enter_tempsession" => event("user_enter_tempsession").with("SessionFrom", "demo"),
            "weapp_audit_success" => event("weapp_audit_success").with("SuccTime", &simulator.now().unix().to_string()),
            _ => return None,
        })
    }
}

async fn list(State(simulator): State<Simulator>, headers: HeaderMap) -> Response {
    let mut accounts = simulator.accounts();
    let example = accounts.first().map(|account| account.appid.clone());
    accounts.retain(|account| simulator.is_authorized(&account.appid));
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    page(&ListPage { navigation: navigation(&simulator), accounts, example, host })
}

async fn chat(State(simulator): State<Simulator>, Path(appid): Path<String>) -> Result<Response, Redirect> {
    let account = authorized(&simulator, &appid)?;
    let lines = lines(&simulator, &account);
    let deeds = DEEDS.iter().filter(|deed| deed.kinds.contains(&account.kind)).collect();
    Ok(page(&ChatPage {
        navigation: navigation(&simulator),
        follower: account.follower(),
        account,
        lines,
        deeds,
        sees: FOLLOWER_SEES,
    }))
}

async fn messages(State(simulator): State<Simulator>, Path(appid): Path<String>) -> Result<Response, Redirect> {
    let account = authorized(&simulator, &appid)?;
    Ok(page(&Messages { lines: lines(&simulator, &account), sees: FOLLOWER_SEES }))
}

async fn say(
    State(simulator): State<Simulator>,
    Path(appid): Path<String>,
    Form(said): Form<Said>,
) -> Result<Response, Redirect> {
    let account = authorized(&simulator, &appid)?;
    if let Some(message) = said.message(&account, &simulator) {
        simulator.send_message(&message).await;
    }
    Ok(Redirect::to(&format!("{PATH}/{appid}")).into_response())
}

fn navigation(simulator: &Simulator) -> Navigation<'_> {
    simulator.navigation(Some(Page::Chat))
}

/// The account, if it has authorized the platform; otherwise a redirect to the list.
fn authorized(simulator: &Simulator, appid: &str) -> Result<Account, Redirect> {
    AppId::parse(appid)
        .ok()
        .filter(|appid| simulator.is_authorized(appid))
        .and_then(|appid| simulator.account(&appid))
        .ok_or_else(|| Redirect::to(PATH))
}

fn lines(simulator: &Simulator, account: &Account) -> Vec<Line> {
    lock(&simulator.0.transcript).of(&account.appid)
}

#[derive(Template)]
#[template(path = "chat_list.html")]
struct ListPage<'a> {
    navigation: Navigation<'a>,
    accounts: Vec<Account>,
    /// An account that could be authorized.
    example: Option<AppId>,
    /// The host of the control API.
    host: &'a str,
}

#[derive(Template)]
#[template(path = "chat.html")]
struct ChatPage<'a> {
    navigation: Navigation<'a>,
    account: Account,
    follower: String,
    lines: Vec<Line>,
    deeds: Vec<&'static Deed>,
    sees: &'static str,
}

#[derive(Template)]
#[template(path = "chat_messages.html")]
struct Messages {
    lines: Vec<Line>,
    sees: &'static str,
}

//! The operators' console: its responses to browsers, also without a table or the functions that act, and the log.
//!
//! account-api and preauth-link run in the test's process.

mod answers;
mod logs;
mod second_opinion;

use std::time::Duration;

use base::random::Random;
use secrecy::ExposeSecret as _;
use store::{Actor, OperatorRequest};
use stories::bootstrap::Bootstrap;
use stories::http_events::HttpEvent;
use stories::world::World;

/// The function's binary.
const BINARY: &str = env!("CARGO_BIN_EXE_process-console");

/// A platform with an operator, and the path of their first invitation.
struct Stage {
    world: World,
    invitation: String,
}

impl Stage {
    async fn ready() -> Self {
        let world = World::beside_processes(Duration::ZERO, |_| {}).await;
        world.get_ready().await;
        let (random, now) = (Random::system(), world.now());
        let operator = OperatorRequest::new("li", "act", None, now).unwrap().make("admin", &random, now);
        let (invitation, code) = operator.invitation("admin", &random, now);
        let admin = Actor { by: "admin".to_owned(), source_ip: None, request_id: None };
        assert!(world.store().operators.create(&operator, &invitation, &admin).await.unwrap());
        Self { world, invitation: format!("/console/invitations/{}", code.text().expose_secret()) }
    }

    /// The page of a browser with this cookie.
    fn page(path: &str, cookie: &str) -> HttpEvent {
        HttpEvent::new("GET", path).header("accept-language", "en").cookie(cookie)
    }

    /// A form as a browser sends it from a page of the console.
    fn form(&self, path: &str, cookie: &str, body: &str) -> HttpEvent {
        let own = self.world.public_url.origin().ascii_serialization();
        let event = HttpEvent::new("POST", path).header("accept-language", "en").header("origin", &own).cookie(cookie);
        event.header("content-type", "application/x-www-form-urlencoded").body(body)
    }

    /// Binds a browser with the invitation, and returns its cookie.
    async fn bind(&self, function: &Bootstrap) -> String {
        let bound = function.request(&self.form(&self.invitation, "a=b", "")).await;
        assert_eq!(bound.status, 303, "{bound:?}");
        let [cookie] = bound.cookies.as_slice() else { panic!("one cookie: {bound:?}") };
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        cookie.split(';').next().unwrap().to_owned()
    }
}

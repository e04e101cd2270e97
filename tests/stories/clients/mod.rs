//! The programs of `docs/clients.md`, copied and run as a reader would, against an API that checks their keys and
//! signatures.
//!
//! They need what `tests/stories/clients/install.sh` installs.

pub(crate) mod gateway;
mod receiver;
mod shop;

use std::path::Path;
use std::time::Duration;

use base::ids::AppId;
use base::random::Random;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use simulator::Fault;
use store::{KeyRequest, KeyText};
use stories::process::{Process, on_the_path};
use stories::world::World;
use web::doors::KEY_DOOR;

use crate::key_door::operator;

use self::gateway::{ACCESS_KEY, Gateway, REGION, SECRET_KEY, SESSION_TOKEN};

const DOCUMENT: &str = include_str!("../../../docs/clients.md");

/// The folder of the libraries.
const INSTALLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/clients");

const SEND: &str = "/cgi-bin/message/custom/send";
const USER_INFO: &str = "/cgi-bin/user/info";
const FOLLOWER: &str = "oFollower1";

/// The time limit of a program, including its start, three attempts and WeChat's silence.
const END: Duration = Duration::from_mins(1);

/// The languages in the document.
const LANGUAGES: [&str; 4] = ["Python", "Node.js", "Java", "Go"];

/// The authentication of a program, as in the titles of the document's sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    WithKey,
    Signed,
}

use Way::{Signed, WithKey};

/// A program of the document.
#[derive(Debug, Clone, Copy)]
struct Program(&'static str, Way);

/// The programs that are run here.
const RUN: [Program; 4] =
    [Program("Python", WithKey), Program("Node.js", WithKey), Program("Python", Signed), Program("Node.js", Signed)];

impl Program {
    fn is_signed(self) -> bool {
        self.1 == Signed
    }

    /// The last block of code of its section.
    fn text(self) -> &'static str {
        let Self(language, way) = self;
        let title = format!("\n### {language}, {}\n", if way == Signed { "signed" } else { "with a key" });
        let (_, section) = DOCUMENT.split_once(&title).expect("each program has a section");
        let section = section.split("\n## ").next().unwrap().split("\n### ").next().unwrap();
        let (_, block) = section.rsplit_once("\n```\n").unwrap().0.rsplit_once("\n```").unwrap();
        block.split_once('\n').unwrap().1
    }

    /// The prefix of its calls of WeChat through the platform.
    fn call(self) -> &'static str {
        if self.is_signed() { "POST /wechat/" } else { "POST /v1/wechat/" }
    }
}

/// The first block of code in a language below a heading of a document.
fn block<'a>(document: &'a str, heading: &str, language: &str) -> &'a str {
    let (_, section) = document.split_once(&format!("\n{heading}\n")).expect("the section is there");
    let (_, block) = section.split_once(&format!("\n```{language}\n")).expect("it has such a block");
    block.split_once("\n```\n").unwrap().0
}

struct Stage {
    world: World,
    gateway: Gateway,
    account: AppId,
    key: SecretString,
}

/// The end of a program.
struct Ended {
    succeeded: bool,
    output: String,
}

impl Ended {
    fn says(&self, what: impl Fn(&str) -> bool) -> bool {
        self.output.lines().any(what)
    }
}

impl Stage {
    async fn ready() -> Self {
        let world = World::ready().await;
        let account = world.authorized_account().await;
        world.simulator.follow(&account, FOLLOWER);
        let gateway = Gateway::open(&world).await;
        let request = KeyRequest::new("orders", &["calls"]).unwrap().limited_to(&[account.as_str()]).unwrap();
        let (key, text) = request.make(&operator().by, &Random::system(), world.now());
        world.store().api_keys.create(&key, &operator()).await.unwrap();
        Self { world, gateway, account, key: text.text() }
    }

    /// Runs a program that sends the message with this id.
    async fn run(&self, program: Program, message_id: &str) -> Ended {
        self.run_with(program, message_id, SECRET_KEY, self.key.expose_secret()).await
    }

    async fn run_with(&self, program: Program, message_id: &str, secret: &str, key: &str) -> Ended {
        let installed = Path::new(INSTALLED);
        let (name, interpreter) = match program.0 {
            "Python" => ("client.py", installed.join("python/bin/python")),
            _ => ("client.mjs", on_the_path("node")),
        };
        assert!(
            installed.join("node_modules").exists() && interpreter.exists(),
            "tests/stories/clients/install.sh installs what the programs need"
        );
        // Below the folder of the libraries: Node searches the folders around a program.
        let folder = tempfile::tempdir_in(installed).unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, program.text()).unwrap();
        let shared = [("APPID", self.account.as_str()), ("OPENID", FOLLOWER), ("MESSAGE_ID", message_id)];
        let with_key = format!("{}{KEY_DOOR}", self.gateway.url);
        let own = match program.1 {
            WithKey => vec![("API", with_key.as_str()), ("API_KEY", key)],
            Signed => vec![
                ("API_URL", self.gateway.url.as_str()),
                ("WECHAT_URL", self.world.wechat_url.as_str()),
                ("AWS_REGION", REGION),
                ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
                ("AWS_SECRET_ACCESS_KEY", secret),
                ("AWS_SESSION_TOKEN", SESSION_TOKEN),
            ],
        };
        let mut process = Process::start(interpreter, &[file.to_str().unwrap()], shared.into_iter().chain(own));
        let status = process.wait_for_end(END).await;
        let output = process.output();
        let told = self.world.simulator.issued_secrets().into_iter().find(|secret| secret.is_in(&output));
        assert!(told.is_none(), "{program:?} prints a {:?}", told.map(|secret| secret.kind));
        assert!(!output.contains(self.key.expose_secret()), "{program:?} prints its key");
        Ended { succeeded: status.success(), output }
    }

    /// The output of a program that has sent its message.
    fn expected(&self, program: Program) -> String {
        let answer = |request: String| self.gateway.answer_to(&request).body;
        if program.is_signed() {
            let token = answer(format!("GET /tokens/{}", self.account));
            let text = |name: &str| token[name].as_str().unwrap().to_owned();
            return format!("token {} until {}\nfollower: subscribe=1\nsent\n", text("token_id"), text("use_until"));
        }
        let user = answer(format!("GET /v1/wechat/{}{USER_INFO}", self.account));
        assert_eq!(user["subscribe"], 1);
        format!("{user}\n{}\n", answer(format!("POST /v1/wechat/{}{SEND}", self.account)))
    }

    fn arrived(&self, path: &str) -> usize {
        self.world.simulator.requests(path).len()
    }

    fn renewals(&self) -> u64 {
        self.world.simulator.counters().effects.renewals_of(&self.account)
    }
}

#[test]
fn every_language_takes_the_same_steps_in_the_same_order() {
    const WITH_A_KEY: [&str; 5] = ["/wechat/", "Retry-After", "429", "cgi-bin/user/info", "message/custom/send"];
    const IN_WITH_A_KEY: [&str; 3] = ["bearer ", "502", "503"];
    const SIGNED: [&str; 7] =
        ["1. Sign", "2. Get", "/tokens/", "3. Call", "/cgi-bin/message/custom/send", "4. React", "Retry-After"];
    const IN_ALL: [&str; 3] = ["idempotency-key", "x-wechat-errcode", "message_id"];
    const IN_SIGNED: [&str; 3] = ["application/problem+json", "/renewals", "42001"];
    for language in LANGUAGES {
        for (way, steps, parts) in [(WithKey, &WITH_A_KEY[..], &IN_WITH_A_KEY), (Signed, &SIGNED, &IN_SIGNED)] {
            let program = Program(language, way).text().to_lowercase();
            let mut from = 0;
            for step in steps {
                let found = program[from..].find(&step.to_lowercase());
                from += found.unwrap_or_else(|| panic!("{language}, {way:?} has no {step:?} where the others have it"));
            }
            for part in IN_ALL.iter().chain(parts) {
                assert!(program.contains(part), "{language}, {way:?} has no {part}");
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs tests/stories/clients/install.sh"]
async fn a_program_sends_its_message_once_however_often_it_runs() {
    for program in RUN {
        let stage = Stage::ready().await;
        let first = stage.run(program, "order-4711").await;
        let expected = stage.expected(program);
        assert_eq!((same_json(&first.output), first.succeeded), (same_json(&expected), true), "{program:?}");
        let again = stage.run(program, "order-4711").await;
        assert_eq!((same_json(&again.output), again.succeeded), (same_json(&expected), true), "{program:?}");
        let sent = stage.world.simulator.requests(SEND);
        assert_eq!(sent.len(), 1, "{program:?}");
        assert!(String::from_utf8_lossy(&sent[0].body).contains("您的订单已发货"), "{program:?} escapes");
        assert!(stage.run(program, "order-4712").await.succeeded, "{program:?}");
        assert_eq!(stage.arrived(SEND), 2, "{program:?}");
    }
}

/// The lines of a text, parsed if they are JSON.
fn same_json(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| line.into())).collect()
}

#[tokio::test]
#[ignore = "needs tests/stories/clients/install.sh"]
async fn a_program_with_a_wrong_secret_reaches_nothing() {
    for program in RUN {
        let stage = Stage::ready().await;
        let unknown = KeyText::generate(&Random::system()).text();
        let ended = stage.run_with(program, "order-4711", "wrong-secret-key", unknown.expose_secret()).await;
        let refusal = if program.is_signed() { "403: {\"message\":\"Forbidden\"}" } else { "401: {" };
        assert!(ended.output.starts_with(refusal) && !ended.succeeded, "{program:?}: {}", ended.output);
        assert_eq!(ended.output.contains(":invalid-key\""), !program.is_signed(), "{program:?}: {}", ended.output);
        assert_eq!((stage.arrived(SEND), stage.arrived(USER_INFO)), (0, 0), "{program:?}");
    }
}

#[tokio::test]
#[ignore = "needs tests/stories/clients/install.sh"]
async fn a_program_whose_token_wechat_refuses_has_it_renewed_and_calls_again() {
    for program in RUN {
        let stage = Stage::ready().await;
        stage.world.pass(Duration::from_mins(2));
        stage.world.simulator.inject(Fault::errcode(40_001).on(USER_INFO).times(1));
        let ended = stage.run(program, "order-4711").await;
        assert!(ended.succeeded && ended.output.contains("subscribe"), "{program:?}: {}", ended.output);
        assert_eq!((stage.arrived(USER_INFO), stage.renewals()), (2, 1), "{program:?}");
        if program.is_signed() {
            let renewed = stage.gateway.answer_to(&format!("POST /tokens/{}/renewals", stage.account)).body;
            assert!(ended.output.contains(renewed["token_id"].as_str().unwrap()), "{program:?}: {}", ended.output);
        }
    }
}

#[tokio::test]
#[ignore = "needs tests/stories/clients/install.sh"]
async fn a_program_says_why_wechat_refuses_a_call_and_does_not_repeat_it() {
    for program in RUN {
        let stage = Stage::ready().await;
        for (api, message_id, sent) in [(SEND, "order-4711", 1), (USER_INFO, "order-4712", 1)] {
            stage.world.simulator.inject(Fault::errcode(48_001).on(api).times(1));
            let ended = stage.run(program, message_id).await;
            let told = if program.is_signed() { "WeChat refuses: 48001, " } else { "200: {\"errcode\":48001," };
            assert!(!ended.succeeded && ended.says(|line| line.starts_with(told)), "{program:?}: {}", ended.output);
            assert_eq!(stage.arrived(SEND), sent, "{program:?}");
        }
    }
}

#[tokio::test]
#[ignore = "needs tests/stories/clients/install.sh"]
async fn a_program_whose_message_may_have_been_sent_says_so_and_never_sends_it_again() {
    for program in RUN {
        let stage = Stage::ready().await;
        stage.world.simulator.inject(Fault::DropAfter.on(SEND).times(1));
        for (status, problem) in [("504", "wechat-slow"), ("409", "call-not-repeated")] {
            let ended = stage.run(program, "order-4711").await;
            let is_told =
                ended.says(|line| line.starts_with(status) && line.contains(problem) && line.contains("unknown"));
            assert!(!ended.succeeded && is_told, "{program:?}: {}", ended.output);
        }
        assert_eq!(stage.arrived(SEND), 1, "{program:?}");
    }
}

#[tokio::test]
#[ignore = "needs tests/stories/clients/install.sh"]
async fn a_program_repeats_a_call_that_had_no_effect() {
    for program in RUN {
        let stage = Stage::ready().await;
        stage.gateway.throttle_next(program.call());
        let ended = stage.run(program, "order-4711").await;
        assert!(ended.succeeded, "{program:?}: {}", ended.output);
        assert_eq!((stage.gateway.asked(program.call()), stage.arrived(SEND)), (2, 1), "{program:?}");
    }
}

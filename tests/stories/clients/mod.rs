//! The programs of `docs/clients.md`, run as a reader copies them, against an API that checks their signatures.
//!
//! They need what `tests/stories/clients/install.sh` installs.

mod gateway;

use std::path::Path;
use std::time::Duration;

use base::ids::AppId;
use simulator::Fault;
use stories::process::{Process, on_the_path};
use stories::world::World;

use self::gateway::{ACCESS_KEY, Gateway, REGION, SECRET_KEY, SESSION_TOKEN};

const DOCUMENT: &str = include_str!("../../../docs/clients.md");

/// Where the libraries are.
const INSTALLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/clients");

const SEND: &str = "/cgi-bin/message/custom/send";
const USER_INFO: &str = "/cgi-bin/user/info";
const FOLLOWER: &str = "oFollower1";

/// Until a program has ended: starting, three attempts and WeChat's silence included.
const END: Duration = Duration::from_mins(1);

/// The languages that are run here.
const RUN: [&str; 2] = ["Python", "Node.js"];

/// The languages that the document has.
const LANGUAGES: [&str; 4] = ["Python", "Node.js", "Java", "Go"];

/// A language's program: the last block of code of its section.
fn program(language: &str) -> &'static str {
    let (_, section) = DOCUMENT.split_once(&format!("\n### {language}\n")).expect("each language has a section");
    let section = section.split("\n### ").next().unwrap();
    let (_, block) = section.rsplit_once("\n```\n").unwrap().0.rsplit_once("\n```").unwrap();
    block.split_once('\n').unwrap().1
}

struct Stage {
    world: World,
    gateway: Gateway,
    account: AppId,
}

/// How a program has ended.
struct Ended {
    succeeded: bool,
    output: String,
}

impl Stage {
    async fn ready() -> Self {
        let world = World::ready().await;
        let account = world.authorized_account().await;
        world.simulator.follow(&account, FOLLOWER);
        let gateway = Gateway::open(&world).await;
        Self { world, gateway, account }
    }

    /// Runs a language's program, which sends a message under this key.
    async fn run(&self, language: &str, key: &str) -> Ended {
        self.run_with_secret(language, key, SECRET_KEY).await
    }

    async fn run_with_secret(&self, language: &str, key: &str, secret: &str) -> Ended {
        let installed = Path::new(INSTALLED);
        let (name, interpreter) = match language {
            "Python" => ("client.py", installed.join("python/bin/python")),
            _ => ("client.mjs", on_the_path("node")),
        };
        assert!(
            installed.join("node_modules").exists() && interpreter.exists(),
            "tests/stories/clients/install.sh installs what the programs need"
        );
        // Below the folder of the libraries: Node looks for them in the folders around a program.
        let folder = tempfile::tempdir_in(installed).unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, program(language)).unwrap();
        let variables = [
            ("API_URL", self.gateway.url.as_str()),
            ("WECHAT_URL", self.world.wechat_url.as_str()),
            ("APPID", self.account.as_str()),
            ("OPENID", FOLLOWER),
            ("KEY", key),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_SESSION_TOKEN", SESSION_TOKEN),
        ];
        let mut process = Process::start(interpreter, &[file.to_str().unwrap()], variables);
        let status = process.wait_for_end(END).await;
        let output = process.output();
        let told = self.world.simulator.issued_secrets().into_iter().find(|secret| secret.is_in(&output));
        assert!(told.is_none(), "the program in {language} prints a {:?}", told.map(|secret| secret.kind));
        Ended { succeeded: status.success(), output }
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
    let parts = ["1. Sign", "2. Get", "/tokens/", "3. Call", "/cgi-bin/message/custom/send", "4. React", "Retry-After"]
        .map(str::to_lowercase);
    for language in LANGUAGES {
        let program = program(language).to_lowercase();
        let mut from = 0;
        for part in &parts {
            let found = program[from..].find(part);
            from +=
                found.unwrap_or_else(|| panic!("the program in {language} has no {part:?} where the others have it"));
        }
        for part in ["idempotency-key", "x-wechat-errcode", "application/problem+json", "/renewals", "42001"] {
            assert!(program.contains(part), "the program in {language} has no {part}");
        }
    }
}

#[tokio::test]
#[ignore = "needs tests/stories/clients/install.sh"]
async fn a_program_gets_a_token_and_sends_its_message_once_however_often_it_runs() {
    for language in RUN {
        let stage = Stage::ready().await;
        let first = stage.run(language, "order-4711").await;
        let token = stage.gateway.answer_to(&format!("GET /tokens/{}", stage.account)).body;
        let expected = format!(
            "token {} until {}\nfollower: subscribe=1\nsent\n",
            token["token_id"].as_str().unwrap(),
            token["use_until"].as_str().unwrap()
        );
        assert_eq!((first.output.as_str(), first.succeeded), (expected.as_str(), true), "{language}");
        let again = stage.run(language, "order-4711").await;
        assert_eq!((again.output, again.succeeded), (expected, true), "{language}");
        let sent = stage.world.simulator.requests(SEND);
        assert_eq!(sent.len(), 1, "{language}");
        assert!(String::from_utf8_lossy(&sent[0].body).contains("您的订单已发货"), "{language} escapes");
        assert!(stage.run(language, "order-4712").await.succeeded, "{language}");
        assert_eq!(stage.arrived(SEND), 2, "{language}");
    }
}

#[tokio::test]
#[ignore = "needs tests/stories/clients/install.sh"]
async fn a_program_with_a_wrong_secret_reaches_nothing() {
    for language in RUN {
        let stage = Stage::ready().await;
        let ended = stage.run_with_secret(language, "order-4711", "wrong-secret-key").await;
        assert_eq!((ended.output.trim(), ended.succeeded), ("403: {\"message\":\"Forbidden\"}", false), "{language}");
        assert_eq!((stage.arrived(SEND), stage.arrived(USER_INFO)), (0, 0), "{language}");
    }
}

#[tokio::test]
#[ignore = "needs tests/stories/clients/install.sh"]
async fn a_program_whose_token_wechat_refuses_has_it_renewed_and_calls_again() {
    for language in RUN {
        let stage = Stage::ready().await;
        stage.world.pass(Duration::from_mins(2));
        stage.world.simulator.inject(Fault::errcode(40_001).on(USER_INFO).times(1));
        let ended = stage.run(language, "order-4711").await;
        assert!(ended.succeeded && ended.output.contains("subscribe=1\nsent"), "{language}: {}", ended.output);
        assert_eq!((stage.arrived(USER_INFO), stage.renewals()), (2, 1), "{language}");
        let renewed = stage.gateway.answer_to(&format!("POST /tokens/{}/renewals", stage.account)).body;
        assert!(ended.output.contains(renewed["token_id"].as_str().unwrap()), "{language}: {}", ended.output);
    }
}

#[tokio::test]
#[ignore = "needs tests/stories/clients/install.sh"]
async fn a_program_says_why_wechat_refuses_a_call_and_does_not_repeat_it() {
    for language in RUN {
        let stage = Stage::ready().await;
        stage.world.simulator.inject(Fault::errcode(48_001).on(SEND).times(1));
        let ended = stage.run(language, "order-4711").await;
        assert!(
            !ended.succeeded && ended.output.contains("WeChat refuses: 48001, rid "),
            "{language}: {}",
            ended.output
        );
        assert_eq!(stage.arrived(SEND), 1, "{language}");
        stage.world.simulator.inject(Fault::errcode(48_001).on(USER_INFO).times(1));
        let ended = stage.run(language, "order-4712").await;
        assert!(!ended.succeeded && ended.output.contains("WeChat refuses: 48001, "), "{language}: {}", ended.output);
        assert_eq!(stage.arrived(SEND), 1, "{language}");
    }
}

#[tokio::test]
#[ignore = "needs tests/stories/clients/install.sh"]
async fn a_program_whose_message_may_have_been_sent_says_so_and_never_sends_it_again() {
    for language in RUN {
        let stage = Stage::ready().await;
        stage.world.simulator.inject(Fault::DropAfter.on(SEND).times(1));
        for problem in ["504 wechat-slow, effect unknown: ", "409 call-not-repeated, effect unknown: "] {
            let ended = stage.run(language, "order-4711").await;
            assert!(!ended.succeeded && ended.output.contains(problem), "{language}: {}", ended.output);
        }
        assert_eq!(stage.arrived(SEND), 1, "{language}");
    }
}

#[tokio::test]
#[ignore = "needs tests/stories/clients/install.sh"]
async fn a_program_asks_again_where_nothing_has_happened() {
    for language in RUN {
        let stage = Stage::ready().await;
        stage.gateway.throttle_next("POST /wechat/");
        let ended = stage.run(language, "order-4711").await;
        assert!(ended.succeeded && ended.output.ends_with("sent\n"), "{language}: {}", ended.output);
        assert_eq!((stage.gateway.asked("POST /wechat/"), stage.arrived(SEND)), (2, 1), "{language}");
    }
}

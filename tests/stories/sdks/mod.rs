//! The programs of `docs/sdks.md`, copied and run as a reader would, with the libraries as they are published.
//!
//! They need what `tests/stories/sdks/install.sh` installs. A process that tries to connect to another machine ends,
//! and its story fails.

mod host;

use std::path::{Path, PathBuf};
use std::time::Duration;

use base::ids::AppId;
use base::random::Random;
use secrecy::{ExposeSecret as _, SecretString};
use simulator::{Fault, sample_picture};
use store::{KeyRequest, KeyText};
use stories::process::{Process, on_the_path};
use stories::world::World;
use tempfile::TempDir;

use self::host::{Host, TOKEN_REQUESTS};
use crate::key_door::operator;

const DOCUMENT: &str = include_str!("../../../docs/sdks.md");

/// This folder.
const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/stories/sdks");

/// The folder of the libraries.
const INSTALLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/sdks");

const USER_INFO: &str = "/cgi-bin/user/info";
const SEND: &str = "/cgi-bin/message/custom/send";
const FOLLOWER: &str = "oFollower1";

/// The picture that is sent and comes back.
const PICTURE: usize = 20_000;

/// The time limit for a program's cue.
const SOON: Duration = Duration::from_secs(30);

/// The most requests of a library for one call that is always refused: for a token and the call itself, four times
/// each.
const MOST_REQUESTS: usize = 8;

/// The libraries that are run here.
const LIBRARIES: [Library; 3] = [Library::Wechatpy, Library::CoWechatApi, Library::NodeEasywechat];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Library {
    Wechatpy,
    CoWechatApi,
    NodeEasywechat,
}

impl Library {
    fn name(self) -> &'static str {
        match self {
            Self::Wechatpy => "wechatpy",
            Self::CoWechatApi => "co-wechat-api",
            Self::NodeEasywechat => "node-easywechat",
        }
    }

    /// The code of its section: its configuration, and calls with it.
    fn program(self) -> [&'static str; 2] {
        let (_, section) = DOCUMENT.split_once(&format!("\n### {}\n", self.name())).expect("it has a section");
        let section = section.split("\n##").next().unwrap();
        let blocks = section.split("\n```").skip(1).step_by(2).map(|block| block.split_once('\n').unwrap().1);
        blocks.collect::<Vec<_>>().try_into().expect("its section has two blocks of code")
    }

    /// The file of a program, and what runs it.
    fn place(self) -> (&'static str, PathBuf) {
        match self {
            Self::Wechatpy => ("client.py", Path::new(INSTALLED).join("python/bin/python")),
            Self::CoWechatApi | Self::NodeEasywechat => ("client.mjs", on_the_path("node")),
        }
    }

    /// The stories' code for it, after its configuration.
    fn driver(self) -> &'static str {
        match self {
            Self::Wechatpy => include_str!("driver.py"),
            Self::CoWechatApi | Self::NodeEasywechat => include_str!("driver.mjs"),
        }
    }

    /// A program without the lines that name the platform.
    fn unconfigured(self) -> &'static str {
        match self {
            Self::Wechatpy => "import wechatpy\nwechatpy.WeChatClient('wx1234567890abcdef', 'secret').user.get('o')\n",
            Self::CoWechatApi => {
                "import API from 'co-wechat-api';\nawait new API('wx1234567890abcdef', 'secret').getUser('o');\n"
            }
            Self::NodeEasywechat => {
                "import { OfficialAccount } from 'node-easywechat';\n\
                 const app = new OfficialAccount({ app_id: 'wx1234567890abcdef', secret: 'secret' });\n\
                 await app.getAccessToken().refresh();\n"
            }
        }
    }
}

/// An official account, a mini program and a key for both.
struct Stage {
    world: World,
    host: Host,
    shop: AppId,
    program: AppId,
    key: SecretString,
    folder: TempDir,
}

impl Stage {
    async fn ready() -> Self {
        let world = World::ready().await;
        let (shop, program) = (world.authorized_account().await, world.account(2));
        world.push_and_work(&world.merchant_authorizes(&program).push).await;
        world.simulator.follow(&shop, FOLLOWER);
        let host = Host::open(&world).await;
        let installed = Path::new(INSTALLED);
        assert!(
            installed.join("node_modules").exists(),
            "tests/stories/sdks/install.sh installs what the programs need"
        );
        // Below the folder of the libraries: Node searches the folders around a program.
        let folder = tempfile::tempdir_in(installed).unwrap();
        std::fs::write(folder.path().join("picture.jpg"), sample_picture(PICTURE)).unwrap();
        let key = make_key(&world, false).await;
        Self { world, host, shop, program, key, folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn start(&self, library: Library, code: &str, token: Option<&SecretString>) -> Process {
        let mut variables = vec![
            ("API", format!("{}/v1", self.host.url)),
            ("API_KEY", self.key.expose_secret().to_owned()),
            ("SHOP", self.shop.to_string()),
            ("PROGRAM", self.program.to_string()),
            ("OPENID", FOLLOWER.to_owned()),
            ("PICTURE", self.path("picture.jpg")),
            ("CACHE", self.path("cache")),
        ];
        variables.extend(token.map(|token| ("TOKEN", token.expose_secret().to_owned())));
        start(library, code, self.folder.path(), variables)
    }

    /// A library that is configured as documented, and waits for cues.
    fn service(&self, library: Library) -> Service<'_> {
        self.service_with_token(library, None)
    }

    /// The same, with a token.
    fn service_with_token(&self, library: Library, token: Option<&SecretString>) -> Service<'_> {
        let [configuration, _] = library.program();
        let process = self.start(library, &format!("{configuration}\n{}", library.driver()), token);
        Service { stage: self, process, cues: 0 }
    }

    /// Checks that a library's output has no secret of WeChat's.
    fn check(&self, output: &str) {
        let told = self.world.simulator.issued_secrets().into_iter().find(|secret| secret.is_in(output));
        assert!(told.is_none(), "a library prints a {:?}", told.map(|secret| secret.kind));
        assert!(!output.contains("left the machine"), "{output}");
    }

    fn arrived(&self, path: &str) -> usize {
        self.world.simulator.requests(path).len()
    }

    fn renewals(&self) -> u64 {
        self.world.simulator.counters().effects.renewals_of(&self.shop)
    }

    async fn revoke(&self, key: &SecretString) {
        let id = KeyText::parse(key.expose_secret()).unwrap().id;
        assert!(self.world.store().api_keys.revoke(&id, &operator(), self.world.now()).await.unwrap().is_some());
        self.world.pass(Duration::from_mins(1));
    }
}

/// Starts a program in a folder below that of the libraries; it cannot leave the machine.
fn start(library: Library, code: &str, folder: &Path, mut variables: Vec<(&'static str, String)>) -> Process {
    let (file, interpreter) = library.place();
    let file = folder.join(file);
    std::fs::write(&file, code).unwrap();
    variables.push(("PYTHONPATH", format!("{HERE}/loopback")));
    variables.push(("NODE_OPTIONS", format!("--require {HERE}/loopback/loopback.cjs")));
    Process::start_and_talk(interpreter, &[file.to_str().unwrap()], variables)
}

async fn make_key(world: &World, in_url: bool) -> SecretString {
    let request = KeyRequest::new("orders", &["calls"]).unwrap().in_url(in_url);
    let (key, text) = request.make(&operator().by, &Random::system(), world.now());
    world.store().api_keys.create(&key, &operator()).await.unwrap();
    text.text()
}

/// A running program.
struct Service<'a> {
    stage: &'a Stage,
    process: Process,
    cues: usize,
}

impl Service<'_> {
    /// Has it query WeChat about the follower. Returns its output.
    async fn asks(&mut self) -> String {
        self.does("ask").await
    }

    /// Has it send a message.
    async fn sends(&mut self) -> String {
        self.does("send").await
    }

    async fn does(&mut self, what: &str) -> String {
        self.cues += 1;
        let cue = format!("{what}-{}", self.cues);
        self.process.say(&cue);
        self.process.wait_for_output(&format!("{cue}: "), SOON).await;
        self.process.wait_for_output(".\n", SOON).await;
        let output = self.process.output();
        self.stage.check(&output);
        let (_, said) = output.rsplit_once(&format!("{cue}: ")).unwrap();
        said.trim_end().trim_end_matches('.').to_owned()
    }
}

#[tokio::test]
#[ignore = "needs tests/stories/sdks/install.sh"]
async fn a_program_makes_all_its_calls_through_the_platform() {
    for library in LIBRARIES {
        let stage = Stage::ready().await;
        let mut process = stage.start(library, &library.program().join("\n"), None);
        let status = process.wait_for_end(SOON).await;
        let output = process.output();
        stage.check(&output);
        assert!(status.success(), "{library:?}: {output}");
        let lines: Vec<&str> = output.lines().collect();
        let [subscribe, picture, signature, code] = lines[..] else { panic!("{library:?}: {output}") };
        assert_eq!((subscribe, picture), ("subscribe: 1", format!("picture: {PICTURE} bytes").as_str()), "{library:?}");
        let signature = signature.strip_prefix("signature: ").unwrap();
        assert!(signature.len() == 40 && signature.chars().all(|c| c.is_ascii_hexdigit()), "{library:?}: {signature}");
        let code: usize = code.strip_prefix("code: ").unwrap().strip_suffix(" bytes").unwrap().parse().unwrap();
        assert!(code > 0, "{library:?}");
        for path in [SEND, "/cgi-bin/media/upload", "/cgi-bin/media/get", "/cgi-bin/menu/create"] {
            assert_eq!(stage.arrived(path), 1, "{library:?}: {path}");
        }
        let sent = String::from_utf8_lossy(&stage.world.simulator.requests(SEND)[0].body).into_owned();
        assert!(sent.contains("您的订单已发货"), "{library:?} escapes: {sent}");
        assert_eq!(stage.host.asked_for_token(), 2, "{library:?}: once for each account");
        let at_wechat: usize = TOKEN_REQUESTS.iter().map(|path| stage.arrived(path)).sum();
        assert_eq!(at_wechat, 0, "{library:?}: WeChat is not asked");
    }
}

#[tokio::test]
#[ignore = "needs tests/stories/sdks/install.sh"]
async fn a_library_without_the_configuration_is_stopped_here() {
    for library in LIBRARIES {
        let folder = tempfile::tempdir_in(INSTALLED).unwrap();
        let mut process = start(library, library.unconfigured(), folder.path(), Vec::new());
        let status = process.wait_for_end(SOON).await;
        let said = process.output();
        assert_eq!((status.code(), said.as_str()), (Some(99), "left the machine: api.weixin.qq.com\n"), "{library:?}");
    }
}

#[tokio::test]
#[ignore = "needs tests/stories/sdks/install.sh"]
async fn a_token_that_wechat_refuses_is_renewed_and_the_library_sees_nothing() {
    for library in LIBRARIES {
        let stage = Stage::ready().await;
        let mut service = stage.service(library);
        assert_eq!(service.asks().await, "subscribe: 1", "{library:?}");
        stage.world.pass(Duration::from_mins(2));
        stage.world.simulator.inject(Fault::errcode(40_001).on(USER_INFO).times(1));
        assert_eq!(service.asks().await, "subscribe: 1", "{library:?}");
        assert_eq!((stage.arrived(USER_INFO), stage.renewals()), (3, 1), "{library:?}");
        assert_eq!((stage.host.asked_for_token(), stage.host.asked(USER_INFO)), (1, 2), "{library:?}");
    }
}

#[tokio::test]
#[ignore = "needs tests/stories/sdks/install.sh"]
async fn a_token_that_wechat_always_refuses_causes_a_bounded_number_of_requests() {
    for library in LIBRARIES {
        let stage = Stage::ready().await;
        let mut service = stage.service(library);
        assert_eq!(service.asks().await, "subscribe: 1", "{library:?}");
        stage.world.pass(Duration::from_mins(2));
        stage.world.simulator.inject(Fault::errcode(40_001).on(USER_INFO));
        let before = stage.host.all();
        let said = service.asks().await;
        assert!(!said.contains("subscribe"), "{library:?}: {said}");
        assert!(stage.host.all() - before <= MOST_REQUESTS, "{library:?}: {} requests", stage.host.all() - before);
        assert_eq!(stage.renewals(), 1, "{library:?}");
    }
}

#[tokio::test]
#[ignore = "needs tests/stories/sdks/install.sh"]
async fn a_library_whose_token_has_expired_gets_another_one() {
    for library in LIBRARIES {
        let stage = Stage::ready().await;
        let mut service = stage.service(library);
        assert_eq!(service.asks().await, "subscribe: 1", "{library:?}");
        // The library's own clock stands still, so it trusts its token.
        stage.world.pass(Duration::from_hours(3));
        assert_eq!(service.asks().await, "subscribe: 1", "{library:?}");
        assert_eq!(stage.host.asked_for_token(), 2, "{library:?}");
        assert_eq!(stage.host.answers_with(42_001), 1, "{library:?}");
        assert_eq!(service.sends().await, "sent", "{library:?}");
        assert_eq!(stage.host.asked_for_token(), 2, "{library:?}: the new one is kept");
    }
}

#[tokio::test]
#[ignore = "needs tests/stories/sdks/install.sh"]
async fn a_library_whose_key_was_revoked_says_so_and_asks_no_further() {
    for library in LIBRARIES {
        let stage = Stage::ready().await;
        let mut service = stage.service(library);
        assert_eq!(service.asks().await, "subscribe: 1", "{library:?}");
        stage.revoke(&stage.key).await;
        for _ in 0..2 {
            let before = stage.host.all();
            let said = service.asks().await;
            assert!(said.contains("40125") && !said.contains("subscribe"), "{library:?}: {said}");
            assert!(stage.host.all() - before <= 2, "{library:?}");
        }
        assert_eq!(stage.arrived(USER_INFO), 1, "{library:?}");
    }
}

#[tokio::test]
#[ignore = "needs tests/stories/sdks/install.sh"]
async fn a_library_shows_that_the_merchant_has_left() {
    for library in LIBRARIES {
        let stage = Stage::ready().await;
        let mut service = stage.service(library);
        assert_eq!(service.asks().await, "subscribe: 1", "{library:?}");
        // WeChat says so before the platform has been notified, and the platform afterwards.
        let withdrawn = stage.world.simulator.unauthorize(&stage.shop).unwrap();
        let said = service.asks().await;
        assert!(said.contains("61003"), "{library:?}: {said}");
        stage.world.push_and_work(&withdrawn).await;
        stage.world.pass(Duration::from_mins(1));
        let said = service.asks().await;
        assert!(said.contains("61003"), "{library:?}: {said}");
        assert_eq!(
            (stage.host.asked_for_token(), stage.host.asked(USER_INFO)),
            (1, 3),
            "{library:?}: it does not repeat"
        );
        assert_eq!(stage.arrived(USER_INFO), 2, "{library:?}");
    }
}

#[tokio::test]
#[ignore = "needs tests/stories/sdks/install.sh"]
async fn a_message_that_may_have_been_sent_is_not_sent_again() {
    for library in LIBRARIES {
        let stage = Stage::ready().await;
        let mut service = stage.service(library);
        stage.world.simulator.inject(Fault::DropAfter.on(SEND).times(1));
        let said = service.sends().await;
        assert!(said.contains("504"), "{library:?}: {said}");
        assert_eq!(stage.arrived(SEND), 1, "{library:?}");
    }
}

#[tokio::test]
#[ignore = "needs tests/stories/sdks/install.sh"]
async fn what_wechat_refuses_is_shown_as_wechat_says_it() {
    for library in LIBRARIES {
        let stage = Stage::ready().await;
        let mut service = stage.service(library);
        stage.world.simulator.inject(Fault::errcode(45_009).on(SEND).times(1));
        let said = service.sends().await;
        assert!(said.contains("45009"), "{library:?}: {said}");
        assert_eq!(stage.arrived(SEND), 1, "{library:?}");
        assert_eq!(service.sends().await, "sent", "{library:?}");
    }
}

#[tokio::test]
#[ignore = "needs tests/stories/sdks/install.sh"]
async fn a_key_in_the_place_of_a_token_works_until_it_is_revoked_and_then_another_key_does() {
    for library in LIBRARIES {
        let stage = Stage::ready().await;
        let handed_out = make_key(&stage.world, true).await;
        let mut service = stage.service_with_token(library, Some(&handed_out));
        assert_eq!(service.asks().await, "subscribe: 1", "{library:?}");
        assert_eq!(stage.host.asked_for_token(), 0, "{library:?}: it has one");
        stage.revoke(&handed_out).await;
        assert_eq!(service.asks().await, "subscribe: 1", "{library:?}: its secret is another key");
        assert_eq!(stage.host.asked_for_token(), 1, "{library:?}");
    }
}

#[tokio::test]
#[ignore = "needs tests/stories/sdks/install.sh"]
async fn a_key_that_was_not_made_for_urls_is_no_token() {
    for library in LIBRARIES {
        let stage = Stage::ready().await;
        let mut service = stage.service_with_token(library, Some(&stage.key));
        assert_eq!(service.asks().await, "subscribe: 1", "{library:?}: it asks for a token");
        assert_eq!(stage.host.asked_for_token(), 1, "{library:?}");
        assert_eq!(stage.arrived(USER_INFO), 1, "{library:?}");
    }
}

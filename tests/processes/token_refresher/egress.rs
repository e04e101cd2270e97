//! The way to WeChat through a proxy, as in docs/egress.md: nginx with exactly that configuration, TLS on both sides.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use stories::bootstrap::{Bootstrap, Variables};
use stories::logs::leaks;
use stories::process::{Process, on_the_path};
use stories::refresher_events::renew;
use stories::world::World;
use tempfile::TempDir;

use super::{BINARY, TO_EXPIRY};

/// The proxy's name on the page; here it is this machine's.
const NAME: &str = "4f7c1e9ab2d65c08.example.com";

/// A running nginx: the proxy, and before the simulator the server that acts as WeChat.
struct Proxy {
    folder: TempDir,
    process: Process,
    port: u16,
}

impl Proxy {
    /// Starts one that leads to the world's simulator, which shows a certificate for `wechat`.
    async fn start(world: &World, wechat: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        authority(folder.path());
        certificate(folder.path(), "proxy", "localhost");
        certificate(folder.path(), "wechat", wechat);
        let (port, upstream) = (free_port(), free_port());
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/egress.md")).unwrap();
        let mut files = page.split("```nginx\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
        let (mut site, mut pass) = (files.next().unwrap(), files.next().unwrap());
        let listen = format!("listen 127.0.0.1:{port} ssl");
        replace(&mut site, "listen 443 ssl", &listen);
        replace(&mut site, NAME, "localhost");
        replace(&mut site, "/etc/nginx/wechat/fullchain.pem", &path("proxy.pem"));
        replace(&mut site, "/etc/nginx/wechat/privkey.pem", &path("proxy.key"));
        replace(&mut site, "/etc/nginx/wechat/pass.conf", &path("pass.conf"));
        replace(&mut pass, "set $wechat api.weixin.qq.com;", &format!("set $wechat 127.0.0.1:{upstream};"));
        replace(&mut pass, "/etc/ssl/certs/ca-certificates.crt", &path("authority.pem"));
        std::fs::write(path("pass.conf"), pass).unwrap();
        let variables: Variables = world.variables().into_iter().collect();
        let simulator = variables["WECHAT_API_BASE_URL"].trim_end_matches('/');
        let mut configuration = format!(
            "daemon off;\nmaster_process off;\npid {};\nerror_log stderr notice;\nevents {{}}\nhttp {{\n",
            path("pid")
        );
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            writeln!(configuration, "{kind}_temp_path {};", path(kind)).unwrap();
        }
        write!(
            configuration,
            "access_log {};\n{site}\nserver {{\nlisten 127.0.0.1:{upstream} ssl;\nserver_name api.weixin.qq.com;\n\
             ssl_certificate {};\nssl_certificate_key {};\naccess_log off;\nlocation / {{ proxy_pass {simulator}; }}\n}}\n}}\n",
            path("access.log"),
            path("wechat.pem"),
            path("wechat.key"),
        )
        .unwrap();
        std::fs::write(path("nginx.conf"), configuration).unwrap();
        let arguments = ["-e", "stderr", "-p", folder.path().to_str().unwrap(), "-c", &path("nginx.conf")];
        let mut process = Process::start(on_the_path("nginx"), &arguments, BTreeMap::<String, String>::new());
        // Its ports are open by then. It is one process, which ends with the test.
        process.wait_for_output("using the", Duration::from_secs(20)).await;
        Self { folder, process, port }
    }

    /// The variables that a function needs.
    fn redirect(&self, variables: &mut Variables) {
        variables.insert("WECHAT_API_BASE_URL".to_owned(), format!("https://localhost:{}", self.port));
        let authority = self.folder.path().join("authority.pem");
        variables.insert("SSL_CERT_FILE".to_owned(), authority.to_str().unwrap().to_owned());
    }

    /// What nginx has printed and written, except its configuration and keys.
    fn written(&self) -> String {
        let mut text = self.process.output();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if !["key", "pem", "conf"].iter().any(|kind| path.extension().is_some_and(|it| it == *kind)) {
                    text.push_str(&String::from_utf8_lossy(&std::fs::read(path).unwrap()));
                }
            }
        }
        text
    }

    /// The status of a stranger's request to the host `name`; `None` if there is no TLS.
    async fn status(&self, method: Method, name: &str, path: &str) -> Option<u16> {
        let authority = std::fs::read(self.folder.path().join("authority.pem")).unwrap();
        let authority = reqwest::Certificate::from_pem(&authority).unwrap();
        #[expect(clippy::disallowed_methods, reason = "plays a stranger")]
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([authority]).build().unwrap();
        let request = client.request(method, format!("https://{name}:{}{path}", self.port));
        request.send().await.ok().map(|response| response.status().as_u16())
    }
}

fn replace(text: &mut String, documented: &str, here: &str) {
    assert!(text.contains(documented), "docs/egress.md has no {documented}");
    *text = text.replace(documented, here);
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn openssl(folder: &Path, arguments: &str) {
    let mut command = Command::new(on_the_path("openssl"));
    let output = command.current_dir(folder).args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The arguments for every certificate here, except its subject and extensions.
const NEW: &str = "req -x509 -newkey rsa:2048 -nodes -days 2 -config openssl.conf";

fn authority(folder: &Path) {
    std::fs::write(folder.join("openssl.conf"), "[req]\ndistinguished_name = dn\n[dn]\n").unwrap();
    let ca = "-addext basicConstraints=critical,CA:TRUE";
    openssl(folder, &format!("{NEW} -subj /CN=authority {ca} -keyout authority.key -out authority.pem"));
}

fn certificate(folder: &Path, file: &str, name: &str) {
    let signed = "-CA authority.pem -CAkey authority.key";
    let leaf = format!("-addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:{name}");
    openssl(folder, &format!("{NEW} {signed} -subj /CN={file} {leaf} -keyout {file}.key -out {file}.pem"));
}

async fn world_with_a_token_that_is_due() -> World {
    let world = World::beside_processes(TO_EXPIRY, |_| {}).await;
    world.get_ready().await;
    let _ = world.authorized_account().await;
    world.pass(TO_EXPIRY);
    assert!(world.simulator.push_ticket().await.is_accepted());
    world
}

/// Run by hand, with nginx and OpenSSL installed: `cargo test -p processes -- --ignored nginx`.
#[tokio::test]
#[ignore = "needs nginx and openssl on the PATH"]
async fn nginx_as_documented_passes_calls_on_keeps_no_secret_and_no_stranger() {
    let world = world_with_a_token_that_is_due().await;
    let account = world.account(0);
    let proxy = Proxy::start(&world, "api.weixin.qq.com").await;
    let function = Bootstrap::with(BINARY, &world, |variables| proxy.redirect(variables)).await;
    let report = function.invoke(renew()).await.unwrap();
    assert_eq!((&report["renewed"], &report["failed"]), (&json!(1), &json!({})), "{report}");
    assert!(world.wechat_accepts(&account).await);

    let allowed = "/cgi-bin/component/api_component_token";
    assert_eq!(proxy.status(Method::GET, "localhost", allowed).await, Some(403));
    assert_eq!(proxy.status(Method::POST, "localhost", "/cgi-bin/user/get").await, Some(404));
    assert_eq!(proxy.status(Method::POST, "127.0.0.1", allowed).await, None);
    let written = proxy.written();
    assert!(written.contains("using the"), "it does print");
    assert!(!written.contains("/cgi-bin/") && !written.contains("access_token"), "{written}");
    let issued = world.simulator.issued_secrets();
    assert_eq!(leaks(&written, issued.iter().map(|secret| ("secret", secret.value.as_str()))), Vec::<String>::new());
}

#[tokio::test]
#[ignore = "needs nginx and openssl on the PATH"]
async fn nginx_as_documented_hands_nothing_to_a_server_that_is_not_wechat() {
    let world = world_with_a_token_that_is_due().await;
    let proxy = Proxy::start(&world, "somebody.example.com").await;
    let before = world.simulator.counters().calls;
    let function = Bootstrap::with(BINARY, &world, |variables| proxy.redirect(variables)).await;
    let report = function.invoke(renew()).await.unwrap();
    assert_eq!((&report["renewed"], &report["failed"]), (&json!(0), &json!({ "http-502": 1 })), "{report}");
    assert_eq!(world.simulator.counters().calls, before);
    let written = proxy.written();
    assert!(!written.contains("/cgi-bin/") && !written.contains("access_token"), "{written}");
}

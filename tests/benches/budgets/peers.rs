//! The same three jobs as users would otherwise write them for Lambda, in one run with ours: Node with the AWS SDK, and
//! Python with boto3 and wechatpy, both in `tests/benches/peers`. Not a budget: a table for `docs/performance.md`.
//!
//! All of them poll the same Runtime API and call the same services on loopback, and they are started alternately. Ours
//! are the functions as they are deployed. `tests/benches/peers/install.sh` installs what the peers need.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::http::{Request, answer, serve};
use crate::lambda::Function;
use crate::platform::{Aws, message_event, ticket_event};
use crate::report::{Report, median, percentile_99};
use crate::{build, messages, renewals, sizes};

/// Starts of each function, alternately.
const STARTS: u32 = 20;

/// Events before the measurement: what is read or compiled once is read or compiled then.
const WARM_UP: u32 = 50;

/// Events to each warm function, alternately.
const EVENTS: u32 = 500;

/// The folder of the peers' sources.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers");

/// The options that Node's Lambda runtime passes to Node for a function of 256 MB: nine tenths of it for old objects, a
/// twentieth for new ones.
const NODE_HEAP: [&str; 2] = ["--max-old-space-size=230", "--max-semi-space-size=12"];

/// One of the three jobs.
struct Job {
    name: &'static str,
    /// Our function.
    ours: &'static str,
    /// The peers' module.
    module: &'static str,
    event: String,
    /// A part of the right response.
    answered: &'static str,
    table: fn(&str, &Request) -> String,
}

/// A function under test, and the AWS services that it calls.
struct Candidate<'a> {
    job: &'a Job,
    language: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(&'static str, String)>,
    aws: Aws,
    zip: f64,
    lines: String,
}

/// Its measurements, in milliseconds and MiB.
#[derive(Default)]
struct Measured {
    cold: Vec<f64>,
    cold_cpu: Vec<f64>,
    warm: Vec<f64>,
    warm_cpu: f64,
    memory: f64,
    requests: f64,
}

pub(crate) fn measure(_: &mut Report) {
    let installed = build::target_folder().join("peers");
    let (node, python) = (installed.join("node/node_modules/.bin"), installed.join("python/runtime/bin/python"));
    let packages = installed.join("python/function");
    // These are installed last.
    if !node.join("node").exists() || !packages.join("wechatpy").exists() {
        println!("SKIP  peers: tests/benches/peers/install.sh installs them; it needs npm, and Python 3 with venv");
        return;
    }
    let jobs = [
        Job {
            name: "ticket push",
            ours: "ticket-push",
            module: "ticket_push",
            event: ticket_event(),
            answered: "\"success\"",
            table: |_, _| "{}".to_owned(),
        },
        Job {
            name: "message",
            ours: "account-push",
            module: "message",
            event: message_event(),
            answered: "\"statusCode\":200",
            table: messages::table,
        },
        Job {
            name: "renewal",
            ours: "token-refresher",
            module: "renewal",
            event: r#"{"task":"renew"}"#.to_owned(),
            answered: "\"renewed\":1",
            table: |operation, request| renewals::table(1, operation, request),
        },
    ];
    let wechat = serve(|_| answer("200 OK", &[("content-type", "application/json")], &renewals::authorizer_token()));
    let wechat = format!("http://{wechat}");
    let bundles = bundles(&node, &installed);
    copy_sources("python", "py", &packages);
    let python_zip = sizes::zipped(&entries(&packages));

    let mut candidates = Vec::new();
    for job in &jobs {
        let mut add = |language, program: PathBuf, arguments: Vec<String>, zip, lines| {
            let aws = Aws::start(job.table);
            let mut variables = aws.variables();
            variables.push(("WECHAT_API_BASE_URL", wechat.clone()));
            // Lambda sets it as well, and boto3 reads no other.
            variables.push(("AWS_DEFAULT_REGION", "us-east-1".to_owned()));
            variables.push(("PYTHONPATH", packages.display().to_string()));
            candidates.push(Candidate { job, language, program, arguments, variables, aws, zip, lines });
        };
        let ours = build::function(job.ours);
        let zip = sizes::of_function(&ours);
        add("Rust", ours, Vec::new(), zip, lines_of_ours(job.ours));

        let bundle = bundles.join(format!("{}.mjs", job.module));
        let runtime = format!("{SOURCES}/node/runtime.mjs");
        let arguments = NODE_HEAP.map(str::to_owned).into_iter().chain([runtime, bundle.display().to_string()]);
        let lines = lines_of_peer("node", &[&format!("{}.mjs", job.module), "platform.mjs"]);
        add("Node", node.join("node"), arguments.collect(), sizes::zipped(&[bundle]), lines);

        let arguments = ["-m".to_owned(), "awslambdaric".to_owned(), format!("{}.handler", job.module)];
        let lines = lines_of_peer("python", &[&format!("{}.py", job.module), "wechat_platform.py"]);
        add("Python", python.clone(), arguments.into(), python_zip, lines);
    }

    let mut measured: Vec<Measured> = candidates.iter().map(|_| Measured::default()).collect();
    for _ in 0..STARTS {
        for (candidate, measured) in candidates.iter().zip(&mut measured) {
            candidate.start_cold(measured);
        }
    }
    measure_warm(&candidates, &mut measured);
    print_table(&candidates, &measured);
}

impl Candidate<'_> {
    fn start(&self) -> Function {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        Function::start(&self.program, &arguments, &self.variables)
    }

    fn invoke(&self, function: &Function) -> Instant {
        let (answered, answer) = function.invoke(&self.job.event);
        let right = answer.replace("\": ", "\":").contains(self.job.answered);
        assert!(right, "{} of {}: {answer}", self.job.name, self.language);
        answered
    }

    fn start_cold(&self, measured: &mut Measured) {
        let function = self.start();
        let answered = self.invoke(&function);
        measured.cold.push((answered - function.started()).as_secs_f64() * 1e3);
        measured.cold_cpu.push(function.cpu().as_secs_f64() * 1e3);
    }
}

fn measure_warm(candidates: &[Candidate<'_>], measured: &mut [Measured]) {
    let functions: Vec<Function> = candidates.iter().map(Candidate::start).collect();
    let mut cpu_before = Vec::new();
    for (candidate, function) in candidates.iter().zip(&functions) {
        for _ in 0..WARM_UP {
            candidate.invoke(function);
        }
        candidate.aws.counts.clear();
        cpu_before.push(function.cpu());
    }
    for _ in 0..EVENTS {
        for ((candidate, function), measured) in candidates.iter().zip(&functions).zip(&mut *measured) {
            let begun = Instant::now();
            let answered = candidate.invoke(function);
            measured.warm.push((answered - begun).as_secs_f64() * 1e3);
        }
    }
    for (((candidate, function), cpu_before), measured) in
        candidates.iter().zip(&functions).zip(cpu_before).zip(&mut *measured)
    {
        measured.warm_cpu = function.cpu().saturating_sub(cpu_before).as_secs_f64() * 1e3 / f64::from(EVENTS);
        measured.memory = function.peak_memory();
        measured.requests = candidate.aws.counts.total() / f64::from(EVENTS);
    }
}

fn print_table(candidates: &[Candidate<'_>], measured: &[Measured]) {
    println!(
        "| job | in | cold start, ms | its CPU, ms | warm: median, ms | 99 of 100 within, ms | CPU, ms | requests \
         to AWS | peak memory, MiB | zip, MB | lines |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    );
    for (candidate, measured) in candidates.iter().zip(measured) {
        let Candidate { job, language, zip, lines, .. } = candidate;
        let Measured { cold, cold_cpu, warm, warm_cpu, memory, requests } = measured;
        println!(
            "| {} | {language} | {:.1} | {:.1} | {:.2} | {:.2} | {warm_cpu:.2} | {requests:.0} | {memory:.1} | {:.2} \
             | {lines} |",
            job.name,
            median(cold.clone()),
            median(cold_cpu.clone()),
            median(warm.clone()),
            percentile_99(warm.clone()),
            zip / 1e6,
        );
    }
}

/// Bundles the functions for Node as they are deployed, and returns the folder.
fn bundles(node: &Path, installed: &Path) -> PathBuf {
    let bundles = installed.join("node/bundles");
    let status = Command::new(node.join("esbuild"))
        .args(["ticket_push.mjs", "message.mjs", "renewal.mjs"])
        .args(["--bundle", "--minify", "--platform=node", "--target=node24", "--format=esm", "--log-level=warning"])
        // The SDK's ES modules: smaller, and quicker to load.
        .args(["--main-fields=module,main", "--out-extension:.js=.mjs", &format!("--outdir={}", bundles.display())])
        .current_dir(format!("{SOURCES}/node"))
        .env("NODE_PATH", installed.join("node/node_modules"))
        .status();
    assert!(status.expect("esbuild starts").success(), "the functions for Node cannot be bundled");
    bundles
}

fn copy_sources(of: &str, extension: &str, to: &Path) {
    for source in entries(&Path::new(SOURCES).join(of)) {
        if source.extension() == Some(OsStr::new(extension)) {
            std::fs::copy(&source, to.join(source.file_name().expect("a file"))).expect("it can be copied");
        }
    }
}

/// The entries of a folder, in order.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut entries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    entries
}

fn lines_of_peer(of: &str, files: &[&str]) -> String {
    files.iter().map(|file| lines_of_file(&Path::new(SOURCES).join(of).join(file))).sum::<usize>().to_string()
}

/// The lines of code of the function, and of the shared crates that it is built on.
fn lines_of_ours(function: &str) -> String {
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let of_function = lines_below(&Path::new(workspace).join("functions").join(function).join("src"));
    let of_shared = lines_below(&Path::new(workspace).join("shared"));
    format!("{of_function} + {of_shared}")
}

fn lines_below(folder: &Path) -> usize {
    let is_source = |path: &Path| {
        let name = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
        path.extension() == Some(OsStr::new("rs")) && !name.ends_with("tests")
    };
    let lines = |path: PathBuf| match path.is_dir() {
        true if path.ends_with("tests") => 0,
        true => lines_below(&path),
        false if is_source(&path) => lines_of_file(&path),
        false => 0,
    };
    entries(folder).into_iter().map(lines).sum()
}

/// Lines that are neither empty nor comments, up to the tests.
fn lines_of_file(file: &Path) -> usize {
    let text = std::fs::read_to_string(file).expect("a source");
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let is_code = |line: &&str| {
        let line = line.trim_start();
        !(line.is_empty() || ["//", "# ", "\"\"\"", "/**"].iter().any(|comment| line.starts_with(comment)))
    };
    code.lines().filter(is_code).count()
}

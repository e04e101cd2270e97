//! What token-api adds to reading the table, and wechat-calls to a call made directly: one request at a time to warm
//! processes, with a table and a WeChat that respond at once. The direct calls are made in the same run, alternately.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use base::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};
use stories::http_events::HttpEvent;

use crate::build;
use crate::http::{Request, answer, serve};
use crate::lambda::Function;
use crate::platform::Aws;
use crate::report::{Report, median, percentile_99};

/// Requests before the measurement, and in it.
const WARM_UP: u32 = 20;
const REQUESTS: u32 = 1_000;

/// An account that has a token.
pub(crate) const ACCOUNT: &str = "wx0000000000000007";

/// A service, as IAM names it.
pub(crate) const SERVICE: &str = "arn:aws:sts::123456789012:assumed-role/crm/session";

/// The largest body that can be passed on, each way.
const LARGEST: usize = 4 * 1024 * 1024;

pub(crate) fn measure(report: &mut Report) {
    let info =
        json!({ "subscribe": 1, "openid": "oFollower1", "language": "zh_CN", "remark": "x".repeat(300) }).to_string();
    let large = "x".repeat(LARGEST);
    let wechat = serve(move |request| {
        let body = if request.path().contains("/media/get") { &large } else { &info };
        answer("200 OK", &[("content-type", "application/json; encoding=utf-8")], body)
    });
    let aws = Aws::start(table);
    let mut variables = aws.variables();
    variables.retain(|(name, _)| *name != "WECHAT_API_BASE_URL");
    variables.push(("WECHAT_API_BASE_URL", format!("http://{wechat}")));

    let tokens = Function::start(&build::function("token-api"), &[], &variables);
    let event =
        HttpEvent::new("GET", &format!("/tokens/{ACCOUNT}")).route("/tokens/{appid}").iam(SERVICE).build().to_string();
    let times = timed(&tokens, &event);
    let note = format!("of 100 requests, 99 within {:.2} ms", percentile_99(times.clone()));
    report.at_most("a token", 1.0, median(times), "ms", &note);

    let calls = Function::start(&build::function("wechat-calls"), &[], &variables);
    let event = call("GET", "cgi-bin/user/info").query("openid=oFollower1&lang=zh_CN").build().to_string();
    drop(timed(&calls, &event));
    aws.counts.clear();
    let mut connection = Direct::to(wechat);
    let (mut direct, mut passed_on) = (Vec::new(), Vec::new());
    for _ in 0..REQUESTS {
        let begun = Instant::now();
        connection.get("/cgi-bin/user/info?access_token=x&openid=oFollower1&lang=zh_CN");
        direct.push(begun.elapsed().as_secs_f64() * 1e3);
        let begun = Instant::now();
        let (answered, _) = calls.invoke(&event);
        passed_on.push((answered - begun).as_secs_f64() * 1e3);
    }
    let note = format!("directly {:.2} ms", median(direct.clone()));
    report.at_most("a call on behalf adds", 1.5, median(passed_on.clone()) - median(direct.clone()), "ms", &note);
    let note = format!("directly {:.2} ms", percentile_99(direct.clone()));
    report.at_most("the same, of 100 calls 99", 5.0, percentile_99(passed_on) - percentile_99(direct), "ms", &note);
    let each = |operation: &str| aws.counts.get(operation) / f64::from(REQUESTS);
    report.at_most("a call on behalf: reads", 1.0, each("GetItem"), "", "");
    report.at_most("a call on behalf: writes", 0.0, each("UpdateItem") + each("PutItem"), "", "");

    let upload = call("POST", "cgi-bin/media/get").base64_body(&vec![0; LARGEST]).build().to_string();
    let (_, answered) = calls.invoke(&upload);
    assert!(answered.contains("\"statusCode\":200") && answered.len() > LARGEST, "4 MiB come back");
    report.at_most("its peak memory with 4 MiB each way", 64.0, calls.peak_memory(), "MiB", "");
}

fn call(method: &str, api: &str) -> HttpEvent {
    HttpEvent::new(method, &format!("/wechat/{ACCOUNT}/{api}")).route("/wechat/{appid}/{proxy+}").iam(SERVICE)
}

/// How long each request takes once the process is warm, in milliseconds.
fn timed(function: &Function, event: &str) -> Vec<f64> {
    for _ in 0..WARM_UP {
        let (_, answer) = function.invoke(event);
        assert!(answer.contains("\"statusCode\":200"), "{answer}");
    }
    let times = (0..REQUESTS).map(|_| {
        let begun = Instant::now();
        let (answered, _) = function.invoke(event);
        (answered - begun).as_secs_f64() * 1e3
    });
    times.collect()
}

/// A connection to WeChat that is kept open, like a service's.
struct Direct(BufReader<TcpStream>);

impl Direct {
    fn to(address: SocketAddr) -> Self {
        let connection = TcpStream::connect(address).expect("it listens");
        connection.set_nodelay(true).expect("a socket");
        Self(BufReader::new(connection))
    }

    fn get(&mut self, path: &str) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: api.weixin.qq.com\r\naccept: */*\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes()).expect("it is connected");
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            self.0.read_line(&mut line).expect("an answer");
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("a body");
    }
}

/// A table in which every account has a token that is not due.
pub(crate) fn table(operation: &str, _: &Request) -> String {
    if operation != "GetItem" {
        return json!({}).to_string();
    }
    let in_an_hour: Value = (SystemClock.now().unix() + 3_600).to_string().into();
    let token = format!("61_{}", "t".repeat(157));
    json!({ "Item": {
        "state": { "S": "active" }, "token_seq": { "N": "7" }, "stored_at": { "N": "1" },
        "access_token": { "S": token }, "refresh_token": { "S": format!("refreshtoken@@@{}", "r".repeat(43)) },
        "token_expires_at": { "N": in_an_hour }, "due_at": { "N": in_an_hour },
    } })
    .to_string()
}

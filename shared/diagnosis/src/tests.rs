//! Every possible finding, in both languages.

use std::collections::BTreeMap;
use std::time::Duration;

use base::ids::AppId;
use base::language::Language;
use store::{AccountCounts, AccountState, Counted, StoreError, Subject};
use wechat::api::{Api, ErrCode, Refusal};

use crate::{
    Answers, BusState, Check, ComponentToken, FailingEvent, Finding, InboxState, LastMessage, Reconciliations,
    RenewalRun, Renewals, Ticket, Unreadable, Verdict, WaitingForWebhook, WebhookState, WechatClock, codes, words,
};

const MINUTE: Duration = Duration::from_mins(1);

fn refusal(code: i64) -> Refusal {
    let errmsg = "no".to_owned();
    Refusal { api: Api::ComponentToken, code: ErrCode::from_code(code), errmsg, rid: None, refused_ip: None }
}

/// A finding with its verdict, and a part of its sentence in English and in Chinese.
type Told = (Finding, Verdict, &'static str, &'static str);

/// Every finding.
fn every_finding() -> Vec<Told> {
    let mut findings = of_the_platform();
    findings.extend(of_accounts_and_what_waits());
    findings
}

fn of_the_platform() -> Vec<Told> {
    let ticket = |minutes: Option<u64>| Ticket {
        age: minutes.map(Duration::from_mins),
        events_url: "https://auth.example.com/wechat/events".to_owned(),
    };
    let run = |failed: &[(&str, u64)], left_over| {
        let failed: BTreeMap<_, _> = failed.iter().map(|(code, number)| ((*code).to_owned(), *number)).collect();
        Renewals::Ran(RenewalRun { age: MINUTE, renewed: 1, inbox_done: 2, failed, left_over })
    };
    let of_one_account = Refusal { api: Api::AuthorizerToken, ..refusal(61_003) };
    let (ok, warning, wrong) = (Verdict::Ok, Verdict::Warning, Verdict::Wrong);
    vec![
        (ticket(None).into(), wrong, "has not pushed any", "尚未收到"),
        (ticket(Some(25)).into(), ok, "the newest came 25 minutes ago", "最新的票据于 25 分钟前收到"),
        (ticket(Some(26)).into(), wrong, "for 11 hours more", "还可使用 11 小时"),
        (ticket(Some(13 * 60)).into(), wrong, "has expired", "已经过期"),
        (WechatClock::Agrees.into(), ok, "agrees", "不超过 1 分钟"),
        (WechatClock::Behind(2 * MINUTE).into(), warning, "2 minutes after", "2 分钟后才到达"),
        (WechatClock::Ahead(2 * MINUTE).into(), warning, "2 minutes before", "早 2 分钟"),
        (ComponentToken::Missing.into(), wrong, "none yet", "尚未获取"),
        (ComponentToken::Expired(MINUTE).into(), wrong, "it expired 1 minute ago", "已于 1 分钟前过期"),
        (ComponentToken::Valid(9 * MINUTE).into(), warning, "it expires in 9 minutes", "将在 9 分钟后过期"),
        (ComponentToken::Valid(10 * MINUTE).into(), ok, "10 minutes more (600 seconds)", "还有 10 分钟（600 秒）有效"),
        (Renewals::Never(None).into(), wrong, "it has never finished", "任务从未完成"),
        (Renewals::Never(Some(2)).into(), wrong, "the run of part 2 has never", "分片 2 的任务从未完成"),
        (Renewals::Stopped(Some(0), 16 * MINUTE).into(), wrong, "part 0 last ran 16 minutes ago", "是在 16 分钟前"),
        (
            run(&[], 0).into(),
            ok,
            "1 minute ago: 1 token renewed, 2 push events processed, no failures",
            "2 条，没有失败",
        ),
        (run(&[], 8).into(), warning, "8 accounts left over for lack of time", "时间不足，还剩 8 个账号"),
        (
            run(&[("61004", 2), ("table", 1)], 0).into(),
            warning,
            "failed: 2 by 61004, 1 by table",
            "61004 2 次、table 1 次",
        ),
        (run(&[("61004", 2)], 1).into(), warning, "2 by 61004; 1 account left over", "61004 2 次；剩下 1 个账号"),
        (Reconciliations::NotYet.into(), ok, "not run yet", "尚未运行"),
        (Reconciliations::Never.into(), warning, "never run", "从未运行"),
        (Reconciliations::Stopped(240 * MINUTE).into(), wrong, "last ran 4 hours ago", "是在 4 小时前"),
        (Reconciliations::Ran(MINUTE).into(), ok, "last run 1 minute ago", "1 分钟前运行"),
        (Answers::NotCalled.into(), warning, "has not been called", "尚未调用"),
        (Answers::Success(Api::AuthorizerToken, MINUTE).into(), ok, "succeeded: api_authorizer_token", "上次调用成功"),
        (
            Answers::NoResponse(Api::AuthorizerToken, "timeout".to_owned(), MINUTE).into(),
            wrong,
            "no response (timeout)",
            "没有收到响应（timeout）",
        ),
        (Answers::Refused(refusal(40_125), MINUTE).into(), wrong, "refused 1 minute ago: code 40125", "1 分钟前被拒绝"),
        (
            Answers::Refused(of_one_account, MINUTE).into(),
            ok,
            "refused a single account: code 61003",
            "仅拒绝了一个账号",
        ),
        (Answers::Refused(refusal(-1), MINUTE).into(), warning, "code -1 to", "错误码 -1"),
        (Answers::Recovered(refusal(40_125), MINUTE).into(), ok, "calls have succeeded since", "曾被拒绝"),
    ]
}

fn of_accounts_and_what_waits() -> Vec<Told> {
    let bus = |events, minutes: Option<u64>| BusState {
        events: Counted::all(events),
        oldest: minutes.map(Duration::from_mins),
    };
    let failing = FailingEvent {
        subject: Subject::Account(AppId::parse("wx1234567890abcdef").unwrap()),
        sequence: 7,
        age: 3 * MINUTE,
        attempts: 1,
    };
    let webhook = |waiting| WebhookState { events: Counted { number: 100, is_cut: true }, waiting };
    let inbox = |entries, minutes: Option<u64>, messages| InboxState {
        entries: Counted::all(entries),
        oldest: minutes.map(Duration::from_mins),
        messages: Counted::all(messages),
    };
    let last_message = |minutes: Option<u64>| LastMessage {
        age: minutes.map(Duration::from_mins),
        messages_url: "https://auth.example.com/wechat/accounts/$APPID$/events".to_owned(),
    };
    let unavailable = StoreError::Unavailable { operation: "GetItem", cause: "timeout".to_owned() };
    let (ok, warning, wrong) = (Verdict::Ok, Verdict::Warning, Verdict::Wrong);
    vec![
        (AccountCounts::default().into(), ok, "none has authorized", "还没有账号授权"),
        (
            AccountCounts { active: 1, unauthorized: 2, needs_authorization: 3 }.into(),
            ok,
            "1 active, 2 unauthorized (taken back), 3 need",
            "授权有效 1 个，已取消授权 2 个，需要重新授权 3 个",
        ),
        (inbox(0, None, 0).into(), ok, "no push is waiting", "没有等待处理"),
        (
            inbox(1, Some(30), 0).into(),
            ok,
            "1 push event waiting, the oldest for 30 minutes",
            "1 条推送等待处理，最早的已等待 30",
        ),
        (last_message(None).into(), Verdict::Unknown, "is known of the last 90 days", "最近 90 天没有任何账号"),
        (last_message(Some(3)).into(), ok, "last arrived 3 minutes ago", "消息或事件：3 分钟前"),
        (last_message(Some(1439)).into(), ok, "last arrived 23 hours ago", "消息或事件：23 小时前"),
        (last_message(Some(1440)).into(), Verdict::Unknown, "last arrived 24 hours ago", "消息或事件：24 小时前"),
        (inbox(2, Some(31), 0).into(), warning, "2 push events waiting", "2 条推送等待处理"),
        (inbox(2, None, 0).into(), ok, "2 push events waiting", "2 条推送等待处理"),
        (inbox(0, None, 5).into(), warning, "event bus: 5 messages of followers", "5 条用户消息"),
        (bus(0, None).into(), ok, "no events are waiting", "没有等待投递"),
        (bus(1, Some(15)).into(), ok, "1 event, the oldest for 15 minutes", "1 个事件，最早的已等待 15 分钟"),
        (bus(2, Some(16)).into(), warning, "2 events", "2 个事件"),
        (
            webhook(WaitingForWebhook::Failing(failing)).into(),
            warning,
            "at least 100 events; it has not accepted event 7 of account wx1234567890abcdef in 1 attempt (it happened 3 \
             minutes ago)",
            "至少 100 个事件；账号 wx1234567890abcdef 的第 7 号事件仍未被接收（发生于 3 分钟前，已投递 1 次）",
        ),
        (
            webhook(WaitingForWebhook::NotAsked(16 * MINUTE)).into(),
            warning,
            "the oldest for 16",
            "最早的已等待 16 分钟",
        ),
        (
            Unreadable { check: Check::Ticket, error: unavailable }.into(),
            wrong,
            "it cannot be read: DynamoDB GetItem failed",
            "无法读取：DynamoDB GetItem 失败（timeout）",
        ),
    ]
}

fn is_chinese(text: &str) -> bool {
    text.chars().any(|character| ('\u{4e00}'..='\u{9fff}').contains(&character))
}

#[test]
fn every_finding_is_in_both_languages_with_a_remedy_if_something_is_wrong() {
    for (finding, verdict, english, chinese) in every_finding() {
        assert_eq!(finding.verdict, verdict, "{finding:?}");
        for (language, expected) in [(Language::English, english), (Language::Chinese, chinese)] {
            let sentence = finding.sentence(language);
            assert!(sentence.contains(expected), "{sentence}");
            let texts = [Some(sentence), finding.remedy(language)];
            assert_eq!(texts[1].is_some(), verdict != Verdict::Ok, "{texts:?}");
            for text in texts.iter().flatten() {
                assert!(!text.ends_with(['.', '。', ' ']) && !text.contains("  "), "{text}");
                assert!(language == Language::English || is_chinese(text), "{text}");
            }
        }
    }
}

#[test]
fn no_check_shares_its_name_or_title_with_another() {
    let mut names: Vec<&str> = Vec::new();
    let mut checks: Vec<Check> = every_finding().iter().map(|(finding, ..)| finding.check).collect();
    checks.sort_unstable();
    checks.dedup();
    for check in checks {
        names.extend([check.as_str(), check.title(Language::Chinese)]);
        assert!(is_chinese(check.title(Language::Chinese)) && !is_chinese(check.title(Language::English)), "{check:?}");
    }
    assert_eq!(names.len(), 22);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 22);
}

#[test]
fn every_code_is_explained_in_both_languages() {
    for code in (-2_000..100_000).chain(9_400_000..9_410_000) {
        let label = code.to_string();
        let english = ErrCode::from_code(code).meaning(Language::English);
        let chinese = ErrCode::from_code(code).meaning(Language::Chinese);
        assert!(is_chinese(chinese) && !is_chinese(english), "{code}");
        for active in [true, false] {
            for explanation in [codes::of_call, |label: &str, language| codes::of_renewal(label, true, language)] {
                let told = explanation(&label, Language::Chinese);
                assert!(told.meaning == chinese && is_chinese(told.remedy), "{code}");
                assert_eq!(explanation(&label, Language::English).meaning, english);
            }
            assert!(is_chinese(codes::of_renewal(&label, active, Language::Chinese).remedy));
        }
    }
}

#[test]
fn words_of_ours_are_explained_and_others_do_no_harm() {
    for label in ["timeout", "connect", "connection-lost", "malformed", "table", "no-ticket", "busy", "http-502"] {
        assert_ne!(codes::of_run(label, Language::English), codes::of_run("new", Language::English), "{label}");
        assert!(is_chinese(codes::of_run(label, Language::Chinese)), "{label}");
    }
    let repeated = "check whether it has before you repeat it";
    for (label, remedy) in [
        ("connect", "try again"),
        ("timeout", repeated),
        (codes::UNUSABLE, repeated),
        ("http-502", repeated),
        ("http-404", "check the path and the method"),
        ("45009", "wait until the quota is reset"),
    ] {
        let told = codes::of_call(label, Language::English);
        assert!(told.remedy.starts_with(remedy), "{label}: {told:?}");
    }
    let lost = codes::of_renewal("61003", false, Language::English);
    assert_eq!(lost.remedy, "The merchant has to authorize the platform again: create a link.");
}

#[test]
fn every_state_has_a_name_in_both_languages() {
    for state in AccountState::ALL {
        for text in [words::state, words::state_meaning] {
            assert!(is_chinese(text(state, Language::Chinese)) && !is_chinese(text(state, Language::English)));
        }
    }
}

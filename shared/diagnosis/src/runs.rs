//! The refresher's newest runs, from the items that they store in the table.

use std::collections::BTreeMap;
use std::time::Duration;

use base::clock::Timestamp;
use base::language::Language;
use base::phrase::{Noun, before};
use store::{Health, RunCounts};

use crate::finding::{Check, State, Verdict};

/// It runs every 5 minutes: after this long it has stopped, and the alarm has gone off too.
const RENEW_SILENT: Duration = Duration::from_mins(15);

/// It runs every hour: after this long it has stopped.
const RECONCILE_SILENT: Duration = Duration::from_hours(3);

const TOKEN: Noun = Noun::new("个令牌", "token");

const PUSH: Noun = Noun::new("条推送", "push event");

const ACCOUNT: Noun = Noun::new("个账号", "account");

/// The newest runs that renew, one for each part of the accounts. The parts are numbered from 0; an undivided run has no
/// number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewals {
    /// The run of a part has never finished.
    Never(Option<usize>),
    /// The last run of a part ended this long ago.
    Stopped(Option<usize>, Duration),
    /// All parts run.
    Ran(RenewalRun),
}

/// The results of the newest runs of all parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RenewalRun {
    /// How long ago the oldest of them ended.
    pub age: Duration,
    /// Accounts that were renewed.
    pub renewed: u64,
    /// Entries of the inbox that were processed.
    pub inbox_done: u64,
    /// Failures, by WeChat's code or a word.
    pub failed: BTreeMap<String, u64>,
    /// Accounts that were due and were not reached.
    pub left_over: u64,
}

/// The newest run that reconciles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reconciliations {
    /// There has been none yet, but the refresher runs: it reconciles every hour.
    NotYet,
    /// There has been none, and the refresher has never run.
    Never,
    /// The last one ended this long ago, which is too long.
    Stopped(Duration),
    /// It ended this long ago.
    Ran(Duration),
}

impl RenewalRun {
    /// Adds the results of a run.
    fn add(mut self, health: &Health) -> Self {
        let report = RunCounts::of(&health.report);
        self.renewed += report.renewed;
        self.left_over += report.left_over;
        self.inbox_done += report.inbox_done;
        for (code, number) in report.failed {
            *self.failed.entry(code).or_default() += number;
        }
        self
    }

    fn sentence(&self, language: Language) -> String {
        let (when, renewed, done) = (before(self.age, language), self.renewed, self.inbox_done);
        let failed = self.failed.iter().map(|(code, number)| match language {
            Language::Chinese => format!("{code} {number} 次"),
            Language::English => format!("{number} by {code}"),
        });
        let failed = failed.collect::<Vec<_>>().join(language.pick("、", ", "));
        let left = ACCOUNT.count(self.left_over, language);
        let (tokens, pushes) = (TOKEN.count(renewed, language), PUSH.count(done, language));
        let outcome = match (self.failed.is_empty(), self.left_over) {
            (true, 0) => language.pick("，没有失败", ", no failures").to_owned(),
            (true, _) => say!(language, "，时间不足，还剩 {left}", ", {left} left over for lack of time"),
            (false, 0) => say!(language, "；失败：{failed}", "; failed: {failed}"),
            (false, _) => say!(language, "；失败：{failed}；剩下 {left}", "; failed: {failed}; {left} left over"),
        };
        say!(
            language,
            "{when}运行，续期 {renewed} 个账号，处理推送 {done} 条{outcome}",
            "last run {when}: {tokens} renewed, {pushes} processed{outcome}",
        )
    }
}

impl Renewals {
    /// The newest run of each part; `None` where it has never ended.
    pub(crate) fn of(parts: &[Option<Health>], now: Timestamp) -> Self {
        // A part whose run has never ended comes before all others.
        let oldest =
            parts.iter().enumerate().min_by_key(|(_, health)| health.as_ref().map(|health| health.finished_at));
        let (place, oldest) = oldest.map_or((0, None), |(place, health)| (place, health.as_ref()));
        let part = (parts.len() > 1).then_some(place);
        let Some(oldest) = oldest else { return Self::Never(part) };
        let age = now.since(oldest.finished_at);
        if age > RENEW_SILENT {
            return Self::Stopped(part, age);
        }
        Self::Ran(parts.iter().flatten().fold(RenewalRun { age, ..RenewalRun::default() }, RenewalRun::add))
    }
}

impl State for Renewals {
    fn check(&self) -> Check {
        Check::Renewals
    }

    fn verdict(&self) -> Verdict {
        match self {
            Self::Never(_) | Self::Stopped(..) => Verdict::Wrong,
            Self::Ran(run) if run.failed.is_empty() && run.left_over == 0 => Verdict::Ok,
            Self::Ran(_) => Verdict::Warning,
        }
    }

    fn sentence(&self, language: Language) -> String {
        let which = |part: &Option<usize>| match part {
            None => language.pick("任务", "it").to_owned(),
            Some(part) => say!(language, "分片 {part} 的任务", "the run of part {part}"),
        };
        match self {
            Self::Never(part) => {
                let which = which(part);
                say!(
                    language,
                    "{which}从未完成过，正常情况下每 5 分钟运行一次",
                    "{which} has never finished, and should run every 5 minutes",
                )
            }
            Self::Stopped(part, age) => {
                let (which, when) = (which(part), before(*age, language));
                say!(
                    language,
                    "{which}上次运行是在 {when}，正常情况下每 5 分钟运行一次",
                    "{which} last ran {when}, and should run every 5 minutes",
                )
            }
            Self::Ran(run) => run.sentence(language),
        }
    }

    fn remedy(&self, language: Language) -> Option<String> {
        let remedy = match self {
            Self::Never(_) | Self::Stopped(..) => language.pick(
                "请检查 EventBridge Scheduler 中的定时任务是否启用，并查看 token-refresher 的日志。读不到密钥的运行不计算在内；\
                 未能启动的运行记录在死信队列中",
                "check that its schedule is enabled (EventBridge Scheduler), and see token-refresher's log. A run that \
                 cannot read the secret does not count; runs that could not start are in the dead-letter queue",
            ),
            Self::Ran(run) if !run.failed.is_empty() => language.pick(
                "请看“微信响应”一项和 token-refresher 的日志；系统会自动重试",
                "see WeChat's responses below and token-refresher's log; failures are retried automatically",
            ),
            Self::Ran(run) if run.left_over > 0 => language.pick(
                "下次运行会继续处理；如果持续如此，请调大 RefresherWindow 或 RefresherRuns",
                "the next run continues; if this persists, raise RefresherWindow or RefresherRuns",
            ),
            Self::Ran(_) => return None,
        };
        Some(remedy.to_owned())
    }
}

impl Reconciliations {
    /// The newest run; `renews` says whether the refresher has ever finished a renew run.
    pub(crate) fn of(health: Option<&Health>, renews: bool, now: Timestamp) -> Self {
        match health.map(|health| now.since(health.finished_at)) {
            None if renews => Self::NotYet,
            None => Self::Never,
            Some(age) if age > RECONCILE_SILENT => Self::Stopped(age),
            Some(age) => Self::Ran(age),
        }
    }
}

impl State for Reconciliations {
    fn check(&self) -> Check {
        Check::Reconciliations
    }

    fn verdict(&self) -> Verdict {
        match self {
            Self::NotYet | Self::Ran(_) => Verdict::Ok,
            Self::Never => Verdict::Warning,
            Self::Stopped(_) => Verdict::Wrong,
        }
    }

    fn sentence(&self, language: Language) -> String {
        match self {
            Self::NotYet => {
                language.pick("尚未运行；每小时运行一次", "it has not run yet; it runs every hour").to_owned()
            }
            Self::Never => language.pick("从未运行过", "it has never run").to_owned(),
            Self::Stopped(age) => {
                let when = before(*age, language);
                say!(
                    language,
                    "上次运行是在 {when}，正常情况下每小时运行一次",
                    "it last ran {when}, and should run every hour",
                )
            }
            Self::Ran(age) => {
                let when = before(*age, language);
                say!(language, "{when}运行", "last run {when}")
            }
        }
    }

    fn remedy(&self, language: Language) -> Option<String> {
        let remedy = language.pick(
            "请检查 EventBridge Scheduler 中的定时任务是否启用，并查看 token-refresher 的日志",
            "check that its schedule is enabled (EventBridge Scheduler), and see token-refresher's log",
        );
        (self.verdict() != Verdict::Ok).then(|| remedy.to_owned())
    }
}

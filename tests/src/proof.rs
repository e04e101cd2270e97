//! The proof at the end of every story, whatever it is about: without it, its [`World`] fails the story when dropped.
//!
//! - Every fault was used. A story whose fault never happened proves nothing.
//! - WeChat's side saw no call that is wrong whatever happened before.
//! - No line of the level `error` was logged that the story did not expect, and each that it expected was: at that
//!   level an operator is called. [`World::expect_error`] declares a story's expectations.
//! - No secret that WeChat's side had or issued, and no webhook's key, is in the log or in a metric (promise 5).

use std::sync::atomic::Ordering;

use crate::logs::leaks;
use crate::world::{WEBHOOK_SECRET, World};

impl World {
    /// Expects that an `error` is logged, in a line that contains `part`.
    pub fn expect_error(&self, part: &str) {
        self.log.expect_error(part, true);
    }

    /// The same if the line may be missing: one that is written once a minute in a process, in which other stories run
    /// too. What one thread logs belongs to every world that is open on it.
    pub fn allow_error(&self, part: &str) {
        self.log.expect_error(part, false);
    }

    /// No proof at the end: for a program that is not a story, for random histories, and for tests of the proof itself.
    pub fn without_proof(&self) {
        self.is_proven.store(false, Ordering::Relaxed);
    }

    /// The findings against the story so far, in words. Nothing has to call it: see the module.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        let mut findings = self.unused_faults();
        findings.extend(self.log.surprises());
        findings.extend(self.never_right());
        findings
    }

    /// What is wrong in any story, even in one that cannot know its faults and errors in advance, such as a random one.
    #[must_use]
    pub fn never_right(&self) -> Vec<String> {
        let mut findings = self.unexpected_calls();
        findings.extend(self.leaked_secrets());
        findings
    }

    fn unused_faults(&self) -> Vec<String> {
        let wechats = self.simulator.unused_faults();
        let wechats = wechats.iter().map(|fault| format!("a fault of WeChat's side was not used: {fault:?}"));
        wechats.chain(self.faults.findings()).collect()
    }

    fn unexpected_calls(&self) -> Vec<String> {
        let calls = self.simulator.unexpected_calls();
        calls.iter().map(|call| format!("a call of WeChat that is never right: {call:?}")).collect()
    }

    /// The places of secrets in the log and the metrics, without the secrets.
    fn leaked_secrets(&self) -> Vec<String> {
        let text = format!("{}{:?}", self.log.text(), self.metrics.all());
        let issued = self.simulator.issued_secrets();
        let issued: Vec<_> =
            issued.iter().map(|secret| (format!("{:?}", secret.kind), secret.value.as_str())).collect();
        let key = WEBHOOK_SECRET.trim_start_matches("whsec_");
        let sought = issued.iter().map(|(kind, value)| (kind.as_str(), *value)).chain([("webhook's key", key)]);
        leaks(&text, sought).into_iter().map(|leak| format!("a secret was logged: {leak}")).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() || !self.is_proven.load(Ordering::Relaxed) {
            return;
        }
        let findings = self.findings();
        assert!(findings.is_empty(), "the story does not end well:\n{}", findings.join("\n"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use simulator::{Fault as WechatFault, SecretKind, paths};

    use super::*;
    use crate::faults::{Fault, Matching, Side};

    /// The findings in a world after `happen`.
    async fn found(happen: impl AsyncFnOnce(&World)) -> Vec<String> {
        let world = World::ready().await;
        world.without_proof();
        assert_eq!(world.findings(), Vec::<String>::new());
        happen(&world).await;
        world.findings()
    }

    /// The only finding.
    fn only(findings: &[String]) -> &str {
        let [only] = findings else { panic!("{findings:#?}") };
        only
    }

    async fn post(world: &World, path: &str) {
        let url = world.wechat_url.join(path).unwrap();
        crate::http_client().post(url).json(&json!({})).send().await.unwrap();
    }

    #[tokio::test]
    #[should_panic(expected = "a fault of AWS was not used: Away for PutItem")]
    async fn a_story_fails_when_its_world_is_dropped() {
        let world = World::start().await;
        world.faults.always(Matching::operation("PutItem"), Fault::Away);
    }

    #[tokio::test]
    #[should_panic(expected = "the story's own words")]
    async fn a_story_that_fails_by_itself_says_why_it_does() {
        let world = World::start().await;
        world.faults.always(Matching::operation("PutItem"), Fault::Away);
        panic!("the story's own words");
    }

    #[tokio::test]
    async fn faults_of_aws_have_to_be_used_up_even_if_they_are_cleared() {
        let partly = found(async |world| {
            world.faults.next(3, Matching::operation("Scan"), Fault::LostReply);
            world.faults.always(Matching::operation("GetItem").containing("ticket"), Fault::Throttle);
            world.faults.always(Matching::operation("Query"), Fault::Delay(std::time::Duration::ZERO));
            world.renew().await;
            world.faults.clear();
        });
        let partly = partly.await;
        assert!(partly.iter().all(|finding| !finding.contains("Query")), "{partly:#?}");
        assert!(partly[0].ends_with("LostReply for Scan, 3 more times"), "{partly:#?}");
        let held = found(async |world| drop(world.faults.hold(0, Matching::any(), Side::After))).await;
        assert!(only(&held).ends_with("a hold of any request"));
    }

    #[tokio::test]
    async fn a_request_that_a_story_forbids_is_found() {
        let forbidden = found(async |world| {
            world.faults.forbid(Matching::operation("Scan"));
            world.faults.forbid(Matching::operation("UpdateItem"));
            world.allow_error("a push was not stored");
            assert!(!world.simulator.push_ticket().await.is_accepted());
        });
        let forbidden = forbidden.await;
        assert!(
            forbidden.iter().all(|finding| finding.contains("forbidden was made: UpdateItem")) && !forbidden.is_empty(),
            "{forbidden:#?}"
        );
    }

    #[tokio::test]
    async fn faults_of_wechat_have_to_be_used_up_even_if_they_are_cleared() {
        let found = found(async |world| {
            world.simulator.inject(WechatFault::system_error().on(paths::GET_AUTHORIZER_LIST).times(2));
            world.simulator.inject(WechatFault::DropAfter.on(paths::QUERY_AUTH));
            world.simulator.inject(WechatFault::DropAfter.on(paths::CUSTOM_SEND).if_called());
            post(world, paths::GET_AUTHORIZER_LIST).await;
            world.simulator.clear_faults();
        });
        let found = found.await;
        assert!(found.len() == 2 && found[0].contains("times: Some(1)"), "{found:#?}");
        assert!(found[1].contains("DropAfter"), "{found:#?}");
    }

    #[tokio::test]
    async fn a_call_that_is_never_right_is_found_and_a_fault_of_the_same_code_is_not() {
        let unknown = found(async |world| post(world, "/cgi-bin/no/such/call").await).await;
        assert!(only(&unknown).contains("/cgi-bin/no/such/call"), "{unknown:#?}");
        let malformed = found(async |world| post(world, paths::COMPONENT_TOKEN).await).await;
        assert!(only(&malformed).contains("41018"), "{malformed:#?}");
        let link = found(async |world| {
            let mut url = world.wechat_url.join(paths::MOBILE_PAGE).unwrap();
            url.set_query(Some("action=bindcomponent"));
            crate::http_client().get(url).send().await.unwrap();
        });
        assert!(only(&link.await).contains(paths::MOBILE_PAGE));
        let injected = found(async |world| {
            let refused = WechatFault::Errcode { errcode: 41018, errmsg: "missing".to_owned() };
            world.simulator.inject(refused.on(paths::COMPONENT_TOKEN).times(1));
            post(world, paths::COMPONENT_TOKEN).await;
        });
        assert_eq!(injected.await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn an_error_line_has_to_be_expected_and_an_expected_one_has_to_come() {
        // As the functions log it: from a task of the story's runtime.
        let log = async || tokio::spawn(async { tracing::error!(code = 7, "it broke") }).await.unwrap();
        let unexpected = found(async |_| log().await).await;
        assert!(only(&unexpected).contains("it broke"), "{unexpected:#?}");
        let missing = found(async |world| world.expect_error("it broke")).await;
        assert_eq!(only(&missing), "no error was logged with \"it broke\"");
        let expected = found(async |world| {
            world.expect_error("it broke");
            log().await;
            tracing::warn!("this recovered");
        });
        assert_eq!(expected.await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn what_the_functions_log_is_seen() {
        let seen = found(async |world| {
            world.faults.always(Matching::operation("UpdateItem"), Fault::Away);
            assert!(!world.simulator.push_ticket().await.is_accepted());
        });
        let seen = seen.await;
        assert!(only(&seen).contains("a push was not stored"), "{seen:#?}");
    }

    #[tokio::test]
    async fn a_secret_is_found_in_the_log_at_any_level_and_in_the_metrics() {
        let token = |world: &World| {
            let secrets = world.simulator.issued_secrets();
            secrets.into_iter().find(|secret| secret.kind == SecretKind::ComponentToken).unwrap().value
        };
        let logged = found(async |world| tracing::trace!(target: "store", "got {}", token(world))).await;
        assert!(only(&logged).contains("ComponentToken (plain)") && logged[0].contains("got <the secret>"));
        let measured = found(async |world| {
            let metric = runtime::telemetry::Metric::count(runtime::telemetry::Measure::Failed, 1);
            world.services.metrics.put(&metric.with_dimension(token(world)));
        });
        assert!(only(&measured.await).contains("ComponentToken"));
        let key = found(async |_| tracing::info!("{WEBHOOK_SECRET}")).await;
        assert!(only(&key).contains("webhook's key"));
    }

    #[tokio::test]
    async fn two_stories_in_one_process_have_each_a_log_of_its_own() {
        let world = World::start().await;
        let other = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(found(async |_| tracing::error!("of the other story")))
        });
        assert_eq!(other.join().unwrap().len(), 1);
        assert!(!world.log.text().contains("of the other story"));
    }
}

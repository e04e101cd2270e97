//! The stack in CloudFormation: whether it exists, its state, and its outputs.
//!
//! Everything else is found through its outputs, so that the doctor needs only a name.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::config::Builder;
use aws_sdk_cloudformation::config::timeout::TimeoutConfig;
use base::limits::Limits;
use runtime::aws::{AwsFailure, FailureKind};
use runtime::config::WebDomains;
use store::DuePart;
use url::Url;

use crate::deployment::WebHosts;
use crate::explain::Explain as _;
use crate::finding::Finding;

const CHECK: &str = "stack";

const ACTION: &str = "cloudformation:DescribeStacks";

/// The outputs and parameters of a stack.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    outputs: HashMap<String, String>,
    parameters: HashMap<String, String>,
}

impl Outputs {
    /// An output's value, or the finding that it is missing.
    pub(super) fn text(&self, name: &'static str) -> Result<String, Finding> {
        self.outputs.get(name).filter(|value| !value.is_empty()).cloned().ok_or_else(|| {
            let advice = "deploy this version of template.yaml, or check that --stack names the right stack";
            Finding::wrong(CHECK, format!("it has no output {name}"), advice)
        })
    }

    /// A parameter of the stack; `None` if it is empty.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The parts of the accounts, one for each of its renew runs.
    pub(super) fn parts(&self) -> Result<Vec<DuePart>, Finding> {
        const RUNS: &str = "RefresherRuns";
        let parts = self.parameter(RUNS).and_then(|runs| DuePart::all_of(runs.parse().ok()?));
        parts.ok_or_else(|| {
            let sentence = format!("its parameter {RUNS} is not a valid number of runs");
            Finding::wrong(CHECK, sentence, "deploy this version of template.yaml, with 1, 2 or 4")
        })
    }

    /// Its hosts of web pages.
    pub(super) fn web_hosts(&self) -> Result<WebHosts, Finding> {
        let domains = |_: &str| self.parameter("WebDomains").map(str::to_owned);
        let domains = WebDomains::read(&domains).map_err(|error| {
            Finding::wrong(CHECK, error.to_string(), "correct the parameter WebDomains, and deploy")
        })?;
        Ok(WebHosts { domains, login_host: self.parameter("LoginHost").map(str::to_owned) })
    }

    /// An output that is a URL.
    pub(super) fn url(&self, name: &'static str) -> Result<Url, Finding> {
        let text = self.text(name)?;
        Url::parse(&text).map_err(|_| {
            Finding::wrong(CHECK, format!("its output {name} is not a URL: {text}"), "deploy template.yaml again")
        })
    }
}

/// Looks up a stack: its state and its outputs.
pub(super) async fn look_up(config: &SdkConfig, limits: &Limits, name: &str) -> Result<(Finding, Outputs), Finding> {
    let bounds = TimeoutConfig::builder()
        .connect_timeout(limits.table_try)
        .operation_attempt_timeout(limits.table_try)
        .operation_timeout(limits.table)
        .build();
    let client = Client::from_conf(Builder::from(config).timeout_config(bounds).build());
    let region = config.region().map(ToString::to_string).unwrap_or_default();
    let absent = || {
        let sentence = format!("there is no stack {name} in {region}");
        let advice = "check the name; choose another region with --region, another AWS account with --profile";
        Finding::wrong(CHECK, sentence, advice)
    };
    let stacks = match client.describe_stacks().stack_name(name).send().await {
        Ok(output) => output.stacks.unwrap_or_default(),
        Err(error) => {
            let failure = AwsFailure::of(&error);
            return Err(match failure.kind {
                FailureKind::NotFound => absent(),
                _ => Finding::wrong(CHECK, failure.sentence(ACTION), failure.advice(ACTION)),
            });
        }
    };
    let stack = stacks.into_iter().next().ok_or_else(absent)?;
    let state = stack.stack_status().map_or("UNKNOWN", |status| status.as_str()).to_owned();
    let outputs = stack.outputs.unwrap_or_default().into_iter();
    let outputs = outputs.filter_map(|output| Some((output.output_key?, output.output_value?))).collect();
    let parameters = stack.parameters.unwrap_or_default().into_iter();
    let parameters = parameters.filter_map(|known| Some((known.parameter_key?, known.parameter_value?))).collect();
    Ok((judge(&state), Outputs { outputs, parameters }))
}

/// The finding for a stack's state in CloudFormation.
fn judge(state: &str) -> Finding {
    let events = "aws cloudformation describe-stack-events says why";
    match state {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" | "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS" => {
            Finding::ok(CHECK, format!("it is deployed ({state})"))
        }
        "UPDATE_ROLLBACK_COMPLETE" | "IMPORT_ROLLBACK_COMPLETE" => Finding::warning(
            CHECK,
            format!("its last update failed, and the previous version keeps running ({state})"),
            format!("{events}; deploy again"),
        ),
        "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" => Finding::wrong(
            CHECK,
            format!("its first deployment failed ({state})"),
            format!("{events}; delete the stack, and deploy again"),
        ),
        "REVIEW_IN_PROGRESS" => Finding::wrong(
            CHECK,
            format!("it was never deployed: its change set is waiting ({state})"),
            "run sam deploy, and confirm with y",
        ),
        _ if state.starts_with("DELETE") => {
            Finding::wrong(CHECK, format!("it is deleted or about to be ({state})"), "deploy it again")
        }
        _ if state.ends_with("IN_PROGRESS") => Finding::warning(
            CHECK,
            format!("it is being changed at the moment ({state})"),
            "run the doctor again when that is done",
        ),
        _ => Finding::wrong(CHECK, format!("its last change got stuck ({state})"), format!("{events}; deploy again")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::Router;
    use axum::http::StatusCode;
    use axum::http::header::CONTENT_TYPE;
    use axum::routing::post;
    use tokio::net::TcpListener;

    use super::*;
    use crate::finding::Verdict;

    /// A CloudFormation client that always gets this response.
    async fn answered(status: u16, xml: &'static str) -> Result<(Finding, Outputs), Finding> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let status = StatusCode::from_u16(status).unwrap();
        let router = Router::new().route("/", post(move || async move { (status, [(CONTENT_TYPE, "text/xml")], xml) }));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let region = |name: &str| (name == "AWS_REGION").then(|| "eu-central-1".to_owned());
        let config = runtime::aws::local_config(&endpoint, &region);
        let patient =
            Limits { table_try: Duration::from_secs(30), table: Duration::from_mins(1), ..Limits::background() };
        look_up(&config, &patient, "wechat").await
    }

    #[tokio::test]
    async fn outputs_and_parameters_are_read_from_cloudformations_response() {
        let (finding, outputs) = answered(
            200,
            r#"<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult>
            <Stacks><member><StackName>wechat</StackName><StackStatus>UPDATE_COMPLETE</StackStatus>
            <CreationTime>2026-01-01T00:00:00Z</CreationTime><Outputs>
            <member><OutputKey>TableName</OutputKey><OutputValue>wechat-Table-1</OutputValue></member>
            <member><OutputKey>ApiUrl</OutputKey><OutputValue>https://api.example.com</OutputValue></member>
            </Outputs><Parameters><member><ParameterKey>ReplyWebhookUrl</ParameterKey>
            <ParameterValue>https://reply.example.com/</ParameterValue></member>
            <member><ParameterKey>ReleaseCheckAccounts</ParameterKey><ParameterValue></ParameterValue></member>
            </Parameters></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"#,
        )
        .await
        .unwrap();
        assert_eq!(finding.verdict, Verdict::Ok, "{finding:?}");
        assert_eq!(outputs.text("TableName").unwrap(), "wechat-Table-1");
        assert_eq!(outputs.url("ApiUrl").unwrap().as_str(), "https://api.example.com/");
        assert!(outputs.text("SecretArn").unwrap_err().sentence.contains("SecretArn"));
        assert_eq!(outputs.url("TableName").unwrap_err().verdict, Verdict::Wrong);
        assert_eq!(outputs.parameter("ReplyWebhookUrl"), Some("https://reply.example.com/"));
        assert_eq!(outputs.parameter("ReleaseCheckAccounts"), None);
    }

    #[tokio::test]
    async fn a_missing_stack_is_reported_with_the_region() {
        let finding = answered(
            400,
            r#"<ErrorResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><Error><Type>Sender</Type>
            <Code>ValidationError</Code><Message>Stack with id wechat does not exist</Message></Error></ErrorResponse>"#,
        )
        .await
        .unwrap_err();
        assert_eq!(finding.sentence, "there is no stack wechat in eu-central-1");
        assert!(finding.advice.unwrap().contains("--region"));
    }

    #[tokio::test]
    async fn expired_credentials_and_missing_permissions_are_distinguished() {
        let expired = r"<ErrorResponse><Error><Code>ExpiredToken</Code><Message>x</Message></Error></ErrorResponse>";
        let denied = r"<ErrorResponse><Error><Code>AccessDenied</Code><Message>x</Message></Error></ErrorResponse>";
        assert!(answered(403, expired).await.unwrap_err().sentence.contains("expired"));
        assert!(answered(403, denied).await.unwrap_err().advice.unwrap().contains("cloudformation:DescribeStacks"));
    }

    #[test]
    fn the_parts_of_the_accounts_follow_from_the_number_of_runs() {
        let parts = |runs: &str| {
            let parameters = [("RefresherRuns".to_owned(), runs.to_owned())].into();
            Outputs { parameters, ..Outputs::default() }.parts()
        };
        assert_eq!(parts("1"), Ok(vec![DuePart::ALL]));
        assert_eq!(parts("4").unwrap().len(), 4);
        for odd in ["", "0", "3", "two"] {
            assert!(parts(odd).unwrap_err().sentence.contains("RefresherRuns"), "{odd}");
        }
    }

    #[test]
    fn the_hosts_of_web_pages_are_those_that_the_stack_was_deployed_with() {
        let hosts = |domains: &str, login: &str| {
            let parameters = [("WebDomains", domains), ("LoginHost", login)];
            let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            Outputs { parameters, ..Outputs::default() }.web_hosts()
        };
        assert_eq!(hosts("", ""), Ok(WebHosts::default()));
        let web = hosts("pages.example.com", "login.example.com").unwrap();
        let expected = ("pages.example.com".to_owned(), Some("login.example.com"));
        assert_eq!((web.domains.to_string(), web.login_host.as_deref()), expected);
        assert!(hosts("https://pages.example.com", "").unwrap_err().advice.unwrap().contains("WebDomains"));
    }

    #[test]
    fn states_are_put_in_words() {
        for (state, verdict) in [
            ("CREATE_COMPLETE", Verdict::Ok),
            ("UPDATE_ROLLBACK_COMPLETE", Verdict::Warning),
            ("UPDATE_IN_PROGRESS", Verdict::Warning),
            ("ROLLBACK_COMPLETE", Verdict::Wrong),
            ("REVIEW_IN_PROGRESS", Verdict::Wrong),
            ("DELETE_IN_PROGRESS", Verdict::Wrong),
            ("UPDATE_ROLLBACK_FAILED", Verdict::Wrong),
        ] {
            let finding = judge(state);
            assert_eq!(finding.verdict, verdict, "{state}");
            assert!(finding.sentence.contains(state));
        }
    }
}

//! The AWS account of a command: the user's region and credentials, checked before AWS is called with them.

use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::ProvideCredentials as _;
use runtime::aws::Connections;
use tokio::time::timeout;

/// The time-out for getting credentials, which may start another program or call a server.
const CREDENTIALS: Duration = Duration::from_secs(15);

const SIGN_IN: &str = "sign in, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with --profile. For \
                       a profile that signs in through the browser: eval \"$(aws configure export-credentials --profile \
                       NAME --format env)\"";

/// Why AWS cannot be called.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// There is no region.
    #[error("no region is set")]
    NoRegion,
    /// There are no credentials.
    #[error("there are no usable credentials: {0}")]
    NoCredentials(String),
}

impl Unusable {
    /// What to do about it.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::NoRegion => "give the region with --region, or set AWS_REGION",
            Self::NoCredentials(_) => SIGN_IN,
        }
    }
}

/// Loads the configuration from the environment, the profile and the arguments.
pub async fn load(region: Option<&str>, profile: Option<&str>) -> SdkConfig {
    let connections = Connections::new();
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(connections.clone());
    if let Some(region) = region {
        loader = loader.region(Region::new(region.to_owned()));
    }
    if let Some(profile) = profile {
        // A profile on the command line takes precedence over keys in the environment, as with the AWS CLI.
        let asks = ProviderConfig::default().with_http_client(connections);
        let asks = asks.with_region(region.map(|region| Region::new(region.to_owned())));
        let credentials = ProfileFileCredentialsProvider::builder().configure(&asks).profile_name(profile).build();
        loader = loader.profile_name(profile).credentials_provider(credentials);
    }
    loader.load().await
}

/// Checks whether AWS can be called with what was loaded for `profile`.
///
/// # Errors
/// [`Unusable`] says what is missing.
pub async fn check(config: &SdkConfig, profile: Option<&str>) -> Result<(), Unusable> {
    if config.region().is_none() {
        return Err(Unusable::NoRegion);
    }
    let none = |why: &str| Err(Unusable::NoCredentials(why.to_owned()));
    let Some(provider) = config.credentials_provider() else { return none("none are configured") };
    match timeout(CREDENTIALS, provider.provide_credentials()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => match (std::error::Error::source(&error), profile) {
            (Some(cause), _) => none(&in_one_line(cause)),
            (None, Some(profile)) => none(&format!("there is no profile {profile}")),
            (None, None) => none("none in the environment or in the profile"),
        },
        Err(_) => none("their source does not respond"),
    }
}

/// An error with its causes. The SDK's list of everything that it tried, over several lines, becomes one line.
fn in_one_line(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string);
    let text = causes.collect::<Vec<_>>().join(": ").replace("the credential provider was not enabled: ", "");
    text.lines().map(str::trim).collect::<Vec<_>>().join("; ").replace(":; ", ": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_profile_that_is_not_there_is_named() {
        let profile = Some("no-such-profile");
        let unusable = check(&load(Some("eu-central-1"), profile).await, profile).await.unwrap_err();
        assert!(unusable.to_string().contains("no-such-profile"), "{unusable}");
    }

    #[test]
    fn everything_that_the_sdk_tried_is_in_one_line() {
        let tried = "none found. Attempted: \n    Environment: the credential provider was not enabled: not set\n    Profile: off";
        let error = std::io::Error::other(tried);
        assert_eq!(in_one_line(&error), "none found. Attempted: Environment: not set; Profile: off");
    }
}

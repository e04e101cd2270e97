//! The simulator's control API, as far as the release check needs it.

use std::time::Duration;

use base::http_client::{client_builder, read_bounded};
use base::ids::AppId;
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use simulator::{Account, MessageOutcome, PushOutcome, SentMessage};
use url::Url;

/// For one call. The platform has five seconds of it to answer a message.
const CALL: Duration = Duration::from_secs(10);

/// A thousand customer-service messages of 2 KB each, and more than enough for them.
const LONGEST: usize = 16 * 1024 * 1024;

/// Why a call of the simulator brought nothing. None carries what was sent or received.
#[derive(Debug, thiserror::Error)]
pub(super) enum ControlError {
    /// No connection.
    #[error("the simulator cannot be reached")]
    Unreachable,
    /// No answer in time, or half of one.
    #[error("the simulator gives no answer")]
    Unanswered,
    /// Another status than success.
    #[error("it answers with status {0}")]
    Refused(u16),
    /// Not what the simulator answers.
    #[error("its answer cannot be read")]
    Unreadable,
}

/// An account as the simulator lists it.
#[derive(Deserialize)]
pub(super) struct Known {
    pub(super) appid: AppId,
    pub(super) authorized: bool,
}

/// Answers the simulator's routes under `/_simulator`.
pub(super) struct Control {
    http: reqwest::Client,
    base: Url,
}

impl Control {
    pub(super) fn new(simulator: &Url) -> reqwest::Result<Self> {
        Ok(Self { http: client_builder().timeout(CALL).build()?, base: simulator.clone() })
    }

    pub(super) async fn accounts(&self) -> Result<Vec<Known>, ControlError> {
        self.json(self.http.get(self.at("accounts"))).await
    }

    pub(super) async fn ticket(&self) -> Result<PushOutcome, ControlError> {
        self.json(self.http.post(self.at("ticket"))).await
    }

    pub(super) async fn put(&self, account: &Account) -> Result<(), ControlError> {
        let body = json!({
            "appid": account.appid,
            "kind": account.kind,
            "nick_name": account.nick_name,
            "user_name": account.user_name,
            "func_ids": account.func_ids,
        });
        self.send(self.http.post(self.at("accounts")).json(&body)).await.map(drop)
    }

    /// The account authorizes the platform. `None`: the simulator is told not to push that.
    pub(super) async fn authorize(&self, appid: &AppId) -> Result<Option<PushOutcome>, ControlError> {
        #[derive(Deserialize)]
        struct Consent {
            push: Option<PushOutcome>,
        }
        Ok(self.post::<Consent>("authorize", &json!({ "authorizer_appid": appid })).await?.push)
    }

    pub(super) async fn unauthorize(&self, appid: &AppId) -> Result<PushOutcome, ControlError> {
        self.post("unauthorize", &json!({ "authorizer_appid": appid })).await
    }

    /// A fresh authorization code.
    pub(super) async fn code(&self, appid: &AppId) -> Result<SecretString, ControlError> {
        #[derive(Deserialize)]
        struct Issued {
            code: String,
        }
        Ok(self.post::<Issued>("code", &json!({ "authorizer_appid": appid })).await?.code.into())
    }

    /// A message or an event of the account, from a follower.
    pub(super) async fn message(
        &self,
        appid: &AppId,
        open_id: &str,
        fields: &Value,
    ) -> Result<MessageOutcome, ControlError> {
        self.post("messages", &json!({ "authorizer_appid": appid, "open_id": open_id, "fields": fields })).await
    }

    /// The customer-service messages of all accounts.
    pub(super) async fn sent(&self) -> Result<Vec<SentMessage>, ControlError> {
        self.json(self.http.get(self.at("sent"))).await
    }

    /// Those that the account sent to this follower.
    pub(super) async fn sent_to(&self, appid: &AppId, open_id: &str) -> Result<Vec<SentMessage>, ControlError> {
        let mut sent = self.sent().await?;
        sent.retain(|message| message.authorizer == *appid && message.to == open_id);
        Ok(sent)
    }

    async fn post<T: DeserializeOwned>(&self, route: &str, body: &Value) -> Result<T, ControlError> {
        self.json(self.http.post(self.at(route)).json(body)).await
    }

    async fn json<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, ControlError> {
        serde_json::from_slice(&self.send(request).await?).map_err(|_| ControlError::Unreadable)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Vec<u8>, ControlError> {
        let mut response = request
            .send()
            .await
            .map_err(|error| if error.is_connect() { ControlError::Unreachable } else { ControlError::Unanswered })?;
        if !response.status().is_success() {
            return Err(ControlError::Refused(response.status().as_u16()));
        }
        read_bounded(&mut response, LONGEST).await.map_err(|_| ControlError::Unanswered)
    }

    fn at(&self, route: &str) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["_simulator", route]);
        }
        url
    }
}

//! The client for WeChat's API.
//!
//! Calls are bounded in time (connecting, and the whole call) and size, and nothing is sent twice
//! ([`base::http_client`]): several of these calls spend a code or replace a token.
//!
//! Calls with an account's token send it as `access_token`. The component's token is sent as `component_access_token`.
//! Newer pages of WeChat's documentation call it `access_token`, and both names work for these calls; but `/sns/` calls
//! know only the long name, and Tencent's own server and most SDKs send it (protocol section 0). Such a URL is never
//! printed: errors drop it, and the log's filter keeps out the HTTP stack's own lines.

mod logins;

use std::sync::Arc;
use std::time::Duration;

use base::clock::SharedClock;
use base::http_client::{self, BodyError};
use base::ids::AppId;
use base::limits::Limits;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use super::answer::Answer;
use super::endpoint::Api;
use super::error::{BuildError, Refusal, WechatError};
use super::json;
use super::last_responses::{LastResponses, ResponseRecorder};
use super::model::{
    AuthorizerDetails, AuthorizerPage, Grant, IssuedToken, PageTicket, PreAuthCode, PushState, RenewedToken,
};
use super::relay::{RelayAnswer, RelayCall, RelayError, VideoAddress, is_passed_on, query};

/// The greatest number of accounts that `api_get_authorizer_list` returns at once; above it WeChat returns 40170.
pub const LIST_PAGE: u32 = 500;

/// The credentials of a call that takes the component's token.
#[derive(Clone, Copy)]
pub struct ComponentCall<'a> {
    /// The platform.
    pub component: &'a AppId,
    /// Its token.
    pub token: &'a SecretString,
}

/// The content of a call, apart from its token.
#[derive(Clone, Copy)]
enum Content<'a> {
    /// The body of a `POST`.
    Json(&'a Value),
    /// Parameters of a `GET`.
    Query(&'a [(&'a str, &'a str)]),
}

/// A client of WeChat's API; clones share their connections.
#[derive(Clone)]
pub struct WechatClient {
    http: reqwest::Client,
    api_base: Url,
    longest_call: Duration,
    deadline: Option<Instant>,
    recorder: Option<Arc<ResponseRecorder>>,
}

impl WechatClient {
    /// A client of `api_base`, such as `https://api.weixin.qq.com`, with the time limits `limits.api_connect` and
    /// `limits.api`. Build it once per process.
    ///
    /// # Errors
    /// [`BuildError`] if TLS cannot be set up.
    pub fn new(api_base: &Url, limits: &Limits) -> Result<Self, BuildError> {
        let http = http_client::client_builder().connect_timeout(limits.api_connect).build().map_err(BuildError)?;
        Ok(Self { http, api_base: api_base.clone(), longest_call: limits.api, deadline: None, recorder: None })
    }

    /// Connects before there is a call to make. A failure is ignored: the first call connects if it has to.
    ///
    /// The request is a `HEAD`, without a token, of a path that the API does not have. It counts against no quota.
    pub async fn connect(&self) {
        drop(self.http.head(self.api_base.clone()).send().await);
    }

    /// The same client for work that must end by `deadline`: its calls take at most the time that is left, and are not
    /// sent if there is none.
    #[must_use]
    pub fn with_deadline(&self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// The same client, recording WeChat's last responses; its clones share the record. An API that refuses several
    /// calls in a row for its quota is not called again: [`WechatError::QuotaUsedUp`].
    #[must_use]
    pub fn recording(&self, clock: SharedClock) -> Self {
        Self { recorder: Some(Arc::new(ResponseRecorder::new(clock))), ..self.clone() }
    }

    /// WeChat's last responses, in all calls since [`Self::recording`].
    #[must_use]
    pub fn last_responses(&self) -> LastResponses {
        self.recorder.as_ref().map(|recorder| recorder.last_responses()).unwrap_or_default()
    }

    /// The last refusal of each API whose quota turned out to be used up since [`Self::recording`].
    #[must_use]
    pub fn used_up(&self) -> Vec<Refusal> {
        self.recorder.as_ref().map(|recorder| recorder.used_up()).unwrap_or_default()
    }

    /// Asks WeChat to push tickets to us (section 1.1).
    ///
    /// # Errors
    /// [`WechatError`]; 40013 means that the platform's appid is wrong.
    pub async fn start_push_ticket(&self, component: &AppId, secret: &SecretString) -> Result<PushState, WechatError> {
        let body = json!({ "component_appid": component, "component_secret": secret.expose_secret() });
        let answer = self.call(Api::StartPushTicket, None, Content::Json(&body), &[secret]).await?;
        Ok(PushState::read(Answer::of(&answer)?))
    }

    /// Issues a component token from the latest ticket (section 1.2). The previous token becomes void.
    ///
    /// # Errors
    /// [`WechatError`]; 61005 and 61006 mean that a new ticket is needed, 61004 that our address is not in the
    /// platform's list.
    pub async fn component_token(
        &self,
        component: &AppId,
        secret: &SecretString,
        ticket: &SecretString,
    ) -> Result<IssuedToken, WechatError> {
        let body = json!({
            "component_appid": component,
            "component_appsecret": secret.expose_secret(),
            "component_verify_ticket": ticket.expose_secret(),
        });
        let answer = self.call(Api::ComponentToken, None, Content::Json(&body), &[secret, ticket]).await?;
        IssuedToken::read(Answer::of(&answer)?)
    }

    /// Creates a pre-auth code, for one authorization (section 1.3).
    pub async fn create_preauthcode(&self, call: ComponentCall<'_>) -> Result<PreAuthCode, WechatError> {
        let body = json!({ "component_appid": call.component });
        let answer = self.call(Api::CreatePreAuthCode, Some(call.token), Content::Json(&body), &[]).await?;
        PreAuthCode::read(Answer::of(&answer)?)
    }

    /// Exchanges an authorization code, which spends it (section 1.4). Do not drop this future once it was polled: the
    /// code and its grant would be lost.
    ///
    /// # Errors
    /// [`WechatError`]; 61009 and 61010 mean that the code has already been spent or has expired.
    pub async fn query_auth(&self, call: ComponentCall<'_>, code: &SecretString) -> Result<Grant, WechatError> {
        let body = json!({ "component_appid": call.component, "authorization_code": code.expose_secret() });
        let answer = self.call(Api::QueryAuth, Some(call.token), Content::Json(&body), &[code]).await?;
        Grant::read(Answer::of(&answer)?)
    }

    /// Renews an account's token (section 1.5). The previous token may become void.
    ///
    /// # Errors
    /// [`WechatError`]; 61003 means that the grant is gone, 61023 that the refresh token is unusable.
    pub async fn authorizer_token(
        &self,
        call: ComponentCall<'_>,
        authorizer: &AppId,
        refresh_token: &SecretString,
    ) -> Result<RenewedToken, WechatError> {
        let body = json!({
            "component_appid": call.component,
            "authorizer_appid": authorizer,
            "authorizer_refresh_token": refresh_token.expose_secret(),
        });
        let answer = self.call(Api::AuthorizerToken, Some(call.token), Content::Json(&body), &[refresh_token]).await?;
        RenewedToken::read(Answer::of(&answer)?)
    }

    /// Gets an account's details (section 1.6).
    ///
    /// # Errors
    /// [`WechatError`]; 61003 means that the grant is gone.
    pub async fn authorizer_info(
        &self,
        call: ComponentCall<'_>,
        authorizer: &AppId,
    ) -> Result<AuthorizerDetails, WechatError> {
        let body = json!({ "component_appid": call.component, "authorizer_appid": authorizer });
        let answer = self.call(Api::AuthorizerInfo, Some(call.token), Content::Json(&body), &[]).await?;
        AuthorizerDetails::read(Answer::of(&answer)?, authorizer)
    }

    /// Gets a page of the list of accounts: `count` of them (at most [`LIST_PAGE`]) from `offset` on (section 1.7).
    pub async fn authorizer_list(
        &self,
        call: ComponentCall<'_>,
        offset: u64,
        count: u32,
    ) -> Result<AuthorizerPage, WechatError> {
        let body = json!({ "component_appid": call.component, "offset": offset, "count": count });
        let answer = self.call(Api::AuthorizerList, Some(call.token), Content::Json(&body), &[]).await?;
        AuthorizerPage::read(Answer::of(&answer)?)
    }

    /// Sends a follower a text as a customer-service message, with the account's own token (section 5.6). Repeat it
    /// with care: the follower gets each one.
    ///
    /// # Errors
    /// [`WechatError`]; WeChat sometimes returns −1000.
    pub async fn custom_send_text(
        &self,
        token: &SecretString,
        open_id: &str,
        text: &SecretString,
    ) -> Result<(), WechatError> {
        let body = json!({ "touser": open_id, "msgtype": "text", "text": { "content": text.expose_secret() } });
        // Not a secret, but it must not be logged either, and a refusal may repeat it.
        let follower = SecretString::from(open_id);
        self.call(Api::CustomSend, Some(token), Content::Json(&body), &[text, &follower]).await.map(drop)
    }

    /// Gets a ticket for an account's web pages, with the account's own token (section 5.9). Whether the previous one
    /// stays valid is not documented.
    ///
    /// # Errors
    /// [`WechatError`]; 48001 means that the account lacks the permission.
    pub async fn page_ticket(&self, token: &SecretString, kind: &str) -> Result<PageTicket, WechatError> {
        let answer = self.call(Api::GetTicket, Some(token), Content::Query(&[("type", kind)]), &[]).await?;
        PageTicket::read(Answer::of(&answer)?)
    }

    /// Relays a call for a service. It may take until the deadline, if there is one: an upload takes longer than one of
    /// our own calls.
    ///
    /// # Errors
    /// [`RelayError`]; WeChat's own errors are part of the response.
    pub async fn relay(&self, call: RelayCall<'_>) -> Result<RelayAnswer, RelayError> {
        let mut url = self.api_base.clone();
        url.set_path(call.path.as_str());
        url.set_query(Some(&query::with_token(&call)));
        let mut request = self.http.request(call.method.clone(), url).timeout(self.time_to_deadline()?);
        for (name, value) in call.headers.iter().filter(|(name, _)| is_passed_on(name)) {
            request = request.header(name, value);
        }
        let mut response = request.body(call.body.clone()).send().await.map_err(WechatError::transport)?;
        let body = read_answer(&mut response, call.largest_answer).await?;
        RelayAnswer::read(response.status(), response.headers(), body, call.path.treatment(), call.token)
    }

    /// The address of a video, if a response contains one instead of the video (section 5.7).
    #[must_use]
    pub fn video_in(&self, answer: &RelayAnswer) -> Option<VideoAddress> {
        VideoAddress::in_answer(answer, &self.api_base)
    }

    /// Fetches a video, without a token, within the deadline.
    ///
    /// # Errors
    /// [`RelayError`], also if the server returns anything but the video.
    pub async fn fetch_video(&self, address: &VideoAddress, largest: usize) -> Result<RelayAnswer, RelayError> {
        let request = self.http.get(address.url().clone()).timeout(self.time_to_deadline()?);
        let mut response = request.send().await.map_err(WechatError::transport)?;
        if !response.status().is_success() {
            return Err(WechatError::HttpStatus(response.status().as_u16()).into());
        }
        let body = read_answer(&mut response, largest).await?;
        Ok(RelayAnswer::of_file(response.status(), response.headers(), body))
    }

    /// Makes a call, records how it ends, and returns the body of a success. `secrets` as in [`Self::send`].
    async fn call(
        &self,
        api: Api,
        token: Option<&SecretString>,
        content: Content<'_>,
        secrets: &[&SecretString],
    ) -> Result<Value, WechatError> {
        let Some(recorder) = &self.recorder else { return self.send(api, token, content, secrets).await };
        if let Some(code) = recorder.quota_used_up(api) {
            return Err(WechatError::QuotaUsedUp { api, code });
        }
        let answer = self.send(api, token, content, secrets).await;
        let subject = match content {
            Content::Json(body) => {
                ["authorizer_appid", "authorization_code"].iter().find_map(|name| body[*name].as_str())
            }
            Content::Query(_) => None,
        };
        recorder.note(api, subject, answer.as_ref().err());
        match recorder.quota_used_up(api) {
            Some(code) if answer.as_ref().is_err_and(WechatError::is_for_quota) => {
                Err(WechatError::QuotaUsedUp { api, code })
            }
            _ => answer,
        }
    }

    /// Makes a call and returns the body of a success. `secrets` are those in the body: a refusal must not repeat them.
    async fn send(
        &self,
        api: Api,
        token: Option<&SecretString>,
        content: Content<'_>,
        secrets: &[&SecretString],
    ) -> Result<Value, WechatError> {
        let url = self.url(api, token);
        let request = match content {
            Content::Json(body) => self.http.post(url).json(body),
            Content::Query(parameters) => {
                let mut url = url;
                url.query_pairs_mut().extend_pairs(parameters);
                self.http.get(url)
            }
        };
        let mut response = request.timeout(self.time_left()?).send().await.map_err(WechatError::transport)?;
        let status = response.status();
        let bytes = http_client::read_bounded(&mut response, api.longest_answer()).await.map_err(WechatError::body);
        let envelope = bytes.and_then(|bytes| json::parse(&bytes)).and_then(|answer| {
            let members = Answer::of(&answer)?;
            let code = members.errcode()?;
            if code == 0 {
                return Ok(answer);
            }
            let sent: Vec<&SecretString> = token.into_iter().chain(secrets.iter().copied()).collect();
            Err(Refusal::new(api, code, &members.text("errmsg").unwrap_or_default(), &sent).into())
        });
        match envelope {
            // An error code says more than the HTTP status; anything else in the body says less.
            Err(WechatError::Refused(_)) => envelope,
            _ if !status.is_success() => Err(WechatError::HttpStatus(status.as_u16())),
            _ => envelope,
        }
    }

    /// How long one of the platform's own calls may take if it starts now.
    fn time_left(&self) -> Result<Duration, WechatError> {
        Ok(self.time_to_deadline()?.min(self.longest_call))
    }

    /// How long work that starts now may take; without a deadline, as long as one of the platform's own calls.
    fn time_to_deadline(&self) -> Result<Duration, WechatError> {
        let left =
            self.deadline.map_or(self.longest_call, |deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_zero() { Err(WechatError::not_started()) } else { Ok(left) }
    }

    fn url(&self, api: Api, token: Option<&SecretString>) -> Url {
        let mut url = self.api_base.clone();
        url.set_path(&format!("{}{}", api.folder(), api.name()));
        if let Some(token) = token {
            url.query_pairs_mut().append_pair(api.token_parameter(), token.expose_secret());
        }
        url
    }
}

/// Reads the body of a relayed response.
async fn read_answer(response: &mut reqwest::Response, largest: usize) -> Result<Vec<u8>, RelayError> {
    http_client::read_bounded(response, largest).await.map_err(|error| match error {
        BodyError::TooLarge => RelayError::TooLarge,
        BodyError::Broken(_) => WechatError::body(error).into(),
    })
}

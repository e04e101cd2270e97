//! The login of a visitor, as the platform's documentation asks businesses to do it.
//!
//! 1. [`begin`]: the shop generates a random `state`, stores it in the visitor's session and sends the browser to the
//!    platform's `GET /login/{appid}`.
//! 2. [`returned`]: the browser comes back with `login_code` and `state`. Only a `state` of this browser's session is
//!    accepted. The server sends the code to `POST /logins`, and the response must have the same `state`.
//!
//! A `state` that is not this browser's is usually not an attack: the visitor has scanned the QR code with another
//! device. The login then begins again, once. If it comes back unknown a second time, the browser keeps no cookies.

use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse as _, Redirect, Response};
use base::ids::AppId;
use serde::Deserialize;
use serde_json::json;
use url::Url;
use web::{AcceptLanguage, Language};

use super::platform::ApiError;
use super::sessions::Attempt;
use super::steps::Step;
use super::visitor::Visitor;
use super::{Shop, texts, with_cookie};

/// The path to which visitors return.
pub(super) const RETURN_PATH: &str = "/in";

/// A requested login. The URL to which the visitor returns repeats it, so that it can begin again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Wanted {
    pub(super) account: AppId,
    pub(super) scope: Scope,
}

/// The scope of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Scope {
    /// The openid only, without asking.
    #[serde(rename = "snsapi_base")]
    Base,
    /// Name and picture.
    #[serde(rename = "snsapi_userinfo")]
    UserInfo,
}

impl Scope {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Base => "snsapi_base",
            Self::UserInfo => "snsapi_userinfo",
        }
    }
}

/// The parameters with which a browser returns.
#[derive(Deserialize)]
pub(super) struct Returned {
    #[serde(flatten)]
    wanted: Wanted,
    login_code: Option<String>,
    state: Option<String>,
    error: Option<String>,
    /// Whether the login has already begun again.
    again: Option<String>,
}

/// `POST /login`: the visitor presses a button.
pub(super) async fn begin(
    State(shop): State<Shop>,
    AcceptLanguage(language): AcceptLanguage,
    headers: HeaderMap,
    Form(wanted): Form<Wanted>,
) -> Response {
    shop.begin(language, &headers, &wanted, false).await
}

/// `GET /in`: the visitor returns.
pub(super) async fn returned(
    State(shop): State<Shop>,
    AcceptLanguage(language): AcceptLanguage,
    headers: HeaderMap,
    Query(returned): Query<Returned>,
) -> Response {
    let Returned { wanted, login_code, state, error, again } = returned;
    // An error reveals nothing about the visitor, so it does not matter whose state it has.
    if let Some(error) = error {
        return shop.pages().notice(language, &texts::of_login_error(language, &error), Some(&wanted));
    }
    let (Some(code), Some(state)) = (login_code, state) else { return Redirect::to("/").into_response() };
    match shop.sessions().read(&headers).attempt(&state) {
        Some(Attempt::Done) => Redirect::to("/").into_response(),
        Some(Attempt::UnderWay) => shop.redeem(language, &headers, &wanted, &code, &state).await,
        None if again.is_some() => shop.pages().notice(language, &texts::no_cookies(language), None),
        None => shop.begin(language, &headers, &wanted, true).await,
    }
}

impl Shop {
    async fn begin(&self, language: Language, headers: &HeaderMap, wanted: &Wanted, again: bool) -> Response {
        let mut steps = Vec::new();
        if let Err(error) = self.permit_our_origin(&mut steps, &wanted.account).await {
            return self.pages().refused(language, &error, None);
        }
        let state = self.sessions().new_state();
        let login = self.login_url(wanted, &state, again);
        steps.push(Step::redirect(&login));
        let id = self.sessions().begin(headers, state, steps);
        with_cookie(Redirect::to(login.as_str()).into_response(), id.cookie())
    }

    /// Logins return only to origins in the account's `login_origins`. The merchant's shop adds its own.
    async fn permit_our_origin(&self, steps: &mut Vec<Step>, account: &AppId) -> Result<(), ApiError> {
        let path = format!("/accounts/{account}");
        let known = self.platform().ask(steps, Method::GET, &path, None).await?;
        let mut origins: Vec<String> = serde_json::from_value(known.body["login_origins"].clone()).unwrap_or_default();
        if origins.contains(&self.origin()) {
            return Ok(());
        }
        origins.push(self.origin());
        // The list is replaced as a whole, but not one that somebody else has changed meanwhile.
        let change = json!({ "login_origins": origins });
        self.platform().patch(steps, &path, &change, known.etag.as_deref()).await?;
        Ok(())
    }

    /// The platform's URL for a login.
    fn login_url(&self, wanted: &Wanted, state: &str, again: bool) -> Url {
        let (account, scope) = (wanted.account.as_str(), wanted.scope.as_str());
        let mut back = self.0.origin.clone();
        back.set_path(RETURN_PATH);
        back.query_pairs_mut().append_pair("account", account).append_pair("scope", scope);
        if again {
            back.query_pairs_mut().append_pair("again", "1");
        }
        let mut login = self.0.public_base.clone();
        login.set_path(&format!("/login/{account}"));
        login
            .query_pairs_mut()
            .append_pair("scope", scope)
            .append_pair("return_url", back.as_str())
            .append_pair("state", state);
        login
    }

    /// Asks the platform who has returned.
    async fn redeem(
        &self,
        language: Language,
        headers: &HeaderMap,
        wanted: &Wanted,
        code: &str,
        state: &str,
    ) -> Response {
        let mut steps = Vec::new();
        let asked = json!({ "login_code": code });
        let answer = self.platform().ask(&mut steps, Method::POST, "/logins", Some(&asked)).await;
        self.sessions().change(headers, |session| session.steps.extend(steps));
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.problem() == "unknown-login" => {
                return self.pages().notice(language, &texts::unknown_login(language), Some(wanted));
            }
            Err(error) => return self.pages().refused(language, &error, Some(wanted)),
        };
        let visitor: Option<Visitor> = serde_json::from_value(answer.body).ok();
        // Somebody may have combined this browser's state with a code of another login.
        match visitor.filter(|visitor| visitor.state.as_deref() == Some(state)) {
            Some(visitor) => {
                let id = self.sessions().end(headers, state, visitor);
                with_cookie(Redirect::to("/").into_response(), id.cookie())
            }
            None => self.begin(language, headers, wanted, true).await,
        }
    }
}

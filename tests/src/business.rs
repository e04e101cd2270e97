//! Users of the API: a business with the identity that the gateway has authenticated or with a key, or an operator.

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use base::ids::{AppId, OperatorName};
use http::header::{AUTHORIZATION, CONTENT_TYPE, IF_MATCH};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use simulator::{SecretKind, Simulator};
use tower::ServiceExt as _;
use url::Url;
use web::doors::KEY_DOOR;
use web::identity::{IamIdentity, OperatorIdentity};

use crate::openapi::{Answered, Contract};
use crate::world::World;

/// The path of the links.
pub const LINKS: &str = "/authorization-links";

/// The path of the accounts.
pub const ACCOUNTS: &str = "/accounts";

/// The path of the tokens.
pub const TOKENS: &str = "/tokens/";

/// The path of the API keys.
pub const KEYS: &str = "/keys";

/// The path of the operators.
pub const OPERATORS: &str = "/operators";

/// The path of the check files.
pub const CHECK_FILES: &str = "/check-files";

/// The path of calls on behalf.
pub const CALLS: &str = "/wechat/";

/// The path of the platform's own token.
pub const PLATFORM_TOKEN: &str = "/tokens/platform";

/// A business.
pub struct Business {
    router: Router,
    identity: Option<IamIdentity>,
    operator: Option<OperatorIdentity>,
    key: Option<SecretString>,
    simulator: Simulator,
}

/// A link.
#[derive(Debug, Clone)]
pub struct Link {
    /// Its id.
    pub id: String,
    /// Its page.
    pub url: Url,
}

/// A response of the API.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The JSON; null if there is no body, or if a passed-on response of WeChat's is not JSON.
    pub body: Value,
    /// The body as it came.
    pub bytes: Bytes,
}

impl Answer {
    /// The name of a problem, after the common prefix.
    #[must_use]
    pub fn problem(&self) -> &str {
        assert_eq!(self.headers[CONTENT_TYPE], "application/problem+json", "{self:?}");
        let name = self.body["type"].as_str().unwrap().strip_prefix("urn:wechat-platform:problem:");
        name.expect("problems have one prefix")
    }

    /// A problem's advice.
    #[must_use]
    pub fn detail(&self) -> &str {
        self.body["detail"].as_str().unwrap()
    }
}

impl Business {
    /// A business whose calls are signed.
    #[must_use]
    pub fn of(world: &World) -> Self {
        let identity = IamIdentity::new("arn:aws:sts::123456789012:assumed-role/orders/session");
        Self { identity, ..Self::unsigned(world) }
    }

    /// The same service in another process, whose role has a session of another name.
    #[must_use]
    pub fn in_another_session(world: &World) -> Self {
        let identity = IamIdentity::new("arn:aws:sts::123456789012:assumed-role/orders/another");
        Self { identity, ..Self::unsigned(world) }
    }

    /// A service with a role of its own.
    #[must_use]
    pub fn as_another_service(world: &World) -> Self {
        let identity = IamIdentity::new("arn:aws:sts::123456789012:assumed-role/crm/session");
        Self { identity, ..Self::unsigned(world) }
    }

    /// A business whose calls are signed and handled by this router.
    #[must_use]
    pub fn through(world: &World, router: Router) -> Self {
        Self { router, ..Self::of(world) }
    }

    /// A caller without a signature.
    #[must_use]
    pub fn unsigned(world: &World) -> Self {
        let (router, simulator) = (world.business_router(), world.simulator.clone());
        Self { router, identity: None, operator: None, key: None, simulator }
    }

    /// A service outside of AWS, with an API key.
    #[must_use]
    pub fn with_key(world: &World, key: &SecretString) -> Self {
        Self { key: Some(key.clone()), ..Self::unsigned(world) }
    }

    /// An operator, on whose behalf the console calls.
    #[must_use]
    pub fn as_operator(world: &World, name: &OperatorName) -> Self {
        Self { operator: Some(OperatorIdentity::new(name)), ..Self::unsigned(world) }
    }

    /// The same service, whose requests reach the same process.
    #[must_use]
    pub fn with_another_key(&self, key: &SecretString) -> Self {
        let (router, simulator) = (self.router.clone(), self.simulator.clone());
        Self { router, identity: None, operator: None, key: Some(key.clone()), simulator }
    }

    /// A call with a JSON body.
    pub async fn ask(&self, method: Method, path: &str, body: &Value) -> Answer {
        let request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// A change of an account, of one version of it if that is given.
    pub async fn patch(&self, account: &AppId, body: &Value, if_match: Option<&str>) -> Answer {
        let request = Request::builder().method(Method::PATCH).uri(format!("{ACCOUNTS}/{account}"));
        let request = if_match.into_iter().fold(request, |request, version| request.header(IF_MATCH, version));
        let request = request.header(CONTENT_TYPE, "application/merge-patch+json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// A call without a body.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::builder().uri(path).body(Body::empty()).unwrap()).await
    }

    /// A call of WeChat on behalf of an account: a `GET` of `api`, which may have a query.
    pub async fn reads_of_wechat(&self, account: &AppId, api: &str) -> Answer {
        self.get(&format!("{CALLS}{account}/{api}")).await
    }

    /// The same with a JSON body, and headers.
    pub async fn calls_wechat(
        &self,
        account: &AppId,
        api: &str,
        headers: &[(&'static str, &str)],
        body: &Value,
    ) -> Answer {
        let mut request = Request::builder().method(Method::POST).uri(format!("{CALLS}{account}/{api}"));
        for (name, value) in [(CONTENT_TYPE.as_str(), "application/json")].iter().chain(headers) {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// A `POST` without a body.
    pub async fn post(&self, path: &str) -> Answer {
        self.send(Request::builder().method(Method::POST).uri(path).body(Body::empty()).unwrap()).await
    }

    /// An account.
    pub async fn account(&self, account: &AppId) -> Value {
        let answer = self.get(&format!("{ACCOUNTS}/{account}")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    /// The appids of the accounts in a list, page by page.
    pub async fn appids(&self, query: &str) -> Vec<String> {
        let (mut appids, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{ACCOUNTS}?{query}{cursor}")).await;
            assert_eq!(page.status, 200, "{}", page.body);
            let accounts = page.body["accounts"].as_array().unwrap();
            appids.extend(accounts.iter().map(|account| account["appid"].as_str().unwrap().to_owned()));
            match page.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return appids,
            }
        }
    }

    /// Any call. Every response must be one that `docs/openapi.json` has for its route, and contain no secret of
    /// WeChat's side except a requested code or token.
    pub async fn send(&self, mut request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path());
        let path = path.strip_prefix(KEY_DOOR).unwrap_or(path).to_owned();
        if let Some(identity) = &self.identity {
            request.extensions_mut().insert(identity.clone());
        }
        if let Some(operator) = &self.operator {
            request.extensions_mut().insert(operator.clone());
        }
        if let Some(key) = &self.key {
            let value = HeaderValue::try_from(format!("Bearer {}", key.expose_secret())).unwrap();
            request.headers_mut().insert(AUTHORIZATION, value);
            *request.uri_mut() = format!("{KEY_DOOR}{}", request.uri()).parse().unwrap();
        }
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 8 << 20).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let is_passed_on = path.starts_with(CALLS);
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| {
            let is_empty = parts.status == StatusCode::NO_CONTENT && bytes.is_empty();
            assert!(is_passed_on || is_empty, "{} is answered without JSON", parts.status);
            Value::Null
        });
        for told in self.simulator.issued_secrets().into_iter().filter(|secret| secret.is_in(&text)) {
            let asked_for = match told.kind {
                SecretKind::PreAuthCode => path.ends_with("/codes"),
                SecretKind::AuthorizerToken => path.starts_with(TOKENS) && !path.starts_with(PLATFORM_TOKEN),
                SecretKind::ComponentToken => path.starts_with(PLATFORM_TOKEN),
                SecretKind::SessionKey => is_passed_on || path.ends_with("/mini-program-sessions"),
                SecretKind::JsTicket => is_passed_on,
                _ => false,
            };
            assert!(asked_for && text.matches(&told.value).count() == 1, "{path} tells a {:?}", told.kind);
        }
        let (status, headers) = (parts.status.as_u16(), parts.headers);
        let answered = Answered { method: method.as_str(), path: &path, status, headers: &headers, body: &body };
        assert_eq!(Contract::get().fits(&answered), Ok(()), "{method} {path}: {status} {headers:?} {body}");
        Answer { status, headers, body, bytes }
    }

    /// Creates a link.
    pub async fn link(&self, request: Value) -> Link {
        let made = self.ask(Method::POST, LINKS, &request).await;
        assert_eq!(made.status, 201, "{}", made.body);
        let text = |name: &str| made.body[name].as_str().unwrap().to_owned();
        Link { id: text("link_id"), url: Url::parse(&text("url")).unwrap() }
    }

    /// The state of a link.
    pub async fn look(&self, link: &Link) -> Value {
        let answer = self.ask(Method::GET, &format!("{LINKS}/{}", link.id), &json!({})).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    /// The word for a link's outcome.
    pub async fn status(&self, link: &Link) -> Value {
        self.look(link).await["status"].clone()
    }

    /// Cancels a link.
    pub async fn cancel(&self, link: &Link) -> Answer {
        self.ask(Method::DELETE, &format!("{LINKS}/{}", link.id), &json!({})).await
    }

    /// Creates a code for a page of its own.
    pub async fn code(&self, link: &Link) -> Answer {
        self.ask(Method::POST, &format!("{LINKS}/{}/codes", link.id), &json!({})).await
    }
}

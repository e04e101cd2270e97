//! The caller's identity, from what API Gateway says it has authenticated.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use lambda_http::request::RequestContext;
use shared::identity::IamIdentity;

/// The IAM identity in a request context: there only on routes whose authorizer is `AWS_IAM`.
#[must_use]
pub fn gateway_identity(context: &RequestContext) -> Option<IamIdentity> {
    let RequestContext::ApiGatewayV2(context) = context else { return None };
    IamIdentity::new(context.authorizer.as_ref()?.iam.as_ref()?.user_arn.as_deref()?)
}

/// A router whose requests carry the identity that API Gateway has authenticated, and no other.
pub fn with_gateway_identity(router: Router) -> Router {
    router.layer(middleware::from_fn(identify))
}

async fn identify(mut request: Request, next: Next) -> Response {
    request.extensions_mut().remove::<IamIdentity>();
    if let Some(identity) = request.extensions().get::<RequestContext>().and_then(gateway_identity) {
        request.extensions_mut().insert(identity);
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn identity(authorizer: &Value) -> Option<IamIdentity> {
        let context = json!({
            "accountId": "123456789012",
            "apiId": "api",
            "http": {
                "method": "POST", "path": "/authorization-links", "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7", "userAgent": "x",
            },
            "requestId": "id",
            "routeKey": "POST /authorization-links",
            "stage": "$default",
            "timeEpoch": 1_700_000_000_000_u64,
            "authorizer": authorizer,
        });
        gateway_identity(&RequestContext::ApiGatewayV2(serde_json::from_value(context).unwrap()))
    }

    #[test]
    fn the_authenticated_arn_is_the_identity() {
        let arn = "arn:aws:sts::123456789012:assumed-role/orders/session";
        let iam = json!({ "iam": { "accessKey": "AKIA", "accountId": "123456789012", "userArn": arn } });
        assert_eq!(identity(&iam), IamIdentity::new(arn));
    }

    #[test]
    fn no_other_authorizer_and_no_empty_arn_is_an_identity() {
        for authorizer in [
            Value::Null,
            json!({}),
            json!({ "iam": null }),
            json!({ "iam": { "accountId": "123456789012" } }),
            json!({ "iam": { "userArn": "" } }),
            json!({ "jwt": { "claims": { "userArn": "arn:aws:iam::1:user/x" }, "scopes": null } }),
            json!({ "lambda": { "iam": { "userArn": "arn:aws:iam::1:user/x" } } }),
        ] {
            assert_eq!(identity(&authorizer), None, "{authorizer}");
        }
    }
}

//! What the merchant gets to see: on the business's page by `status`, or on a page of ours.

use axum::response::Response;
use base::ids::LinkId;
use http::StatusCode;
use runtime::config::ReturnOrigins;
use url::Url;
use web::{InternalError, Language, see_other};

use crate::receive::ReturnTarget;
use crate::{CallbackService, texts};

/// The outcome of a return, as far as the merchant's browser is concerned. A business believes the link's status only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The grant is stored, and the link bound to its account.
    Authorized,
    /// It is not known yet; the refresher goes on.
    Pending,
    /// The grant is stored, and the link is bound to another account.
    LinkUsed,
    /// The grant is stored, and the link was cancelled before.
    LinkCancelled,
    /// The code brought nothing.
    Failed,
}

impl Outcome {
    /// The value of `status`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Authorized => "authorized",
            Self::Pending => "pending",
            Self::LinkUsed | Self::LinkCancelled | Self::Failed => "failed",
        }
    }
}

/// On to the business's page where there is one, else a page of ours. Somebody else's browser gets a page only.
pub(crate) fn answer(
    service: &CallbackService,
    target: &ReturnTarget,
    outcome: Outcome,
    language: Language,
) -> Result<Response, InternalError> {
    if let Some(stored) = &target.return_url {
        if let Some(url) = return_url(stored, &service.0.config.return_origins, &target.link, outcome) {
            return see_other(&url);
        }
        tracing::warn!(
            link = %target.link,
            "the return_url of link {} is no longer allowed by RETURN_URL_ORIGINS", target.link
        );
    }
    let message = match outcome {
        Outcome::Authorized if target.ours => texts::authorized(language),
        Outcome::Authorized => texts::received(language),
        Outcome::Pending => texts::pending(language),
        Outcome::LinkUsed => texts::link_used(language),
        Outcome::LinkCancelled => texts::link_cancelled(language),
        Outcome::Failed => texts::failed(language),
    };
    Ok(service.pages().message(StatusCode::OK, language, message))
}

/// The business's page with `link_id` and `status` added to its query; `None` where its origin is not listed.
fn return_url(stored: &str, origins: &ReturnOrigins, link: &LinkId, outcome: Outcome) -> Option<Url> {
    let mut url = Url::parse(stored).ok().filter(|url| origins.allow(url))?;
    url.query_pairs_mut().append_pair("link_id", link.as_str()).append_pair("status", outcome.as_str());
    Some(url)
}

#[cfg(test)]
mod tests {
    use runtime::config::PageConfig;

    use super::*;

    fn returned(stored: &str, outcome: Outcome) -> Option<String> {
        let config = PageConfig::read(&|name: &str| match name {
            "PUBLIC_BASE_URL" => Some("https://auth.example.com".to_owned()),
            _ => Some("https://app.example.com".to_owned()),
        });
        let link = LinkId::parse("0123456789abcdefABCDE_").unwrap();
        return_url(stored, &config.unwrap().return_origins, &link, outcome).map(Url::into)
    }

    #[test]
    fn two_parameters_are_added_and_nothing_else_changes() {
        assert_eq!(
            returned("https://app.example.com/done?order=%E5%8F%B7+1#part", Outcome::Authorized).unwrap(),
            "https://app.example.com/done?order=%E5%8F%B7+1&link_id=0123456789abcdefABCDE_&status=authorized#part"
        );
        assert_eq!(
            returned("https://app.example.com", Outcome::Failed).unwrap(),
            "https://app.example.com/?link_id=0123456789abcdefABCDE_&status=failed"
        );
    }

    #[test]
    fn an_origin_that_is_no_longer_listed_is_not_gone_to() {
        assert_eq!(returned("https://gone.example.com/done", Outcome::Pending), None);
        assert_eq!(returned("javascript:alert(1)", Outcome::Pending), None);
    }
}

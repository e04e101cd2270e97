//! What the merchant sees: the business's page with a `status`, or a page of ours.

use axum::response::Response;
use base::ids::{AppId, LinkId};
use http::StatusCode;
use runtime::config::ReturnOrigins;
use store::Details;
use tokio::time::{Instant, timeout_at};
use url::Url;
use web::{AccountCard, Button, InternalError, Language, see_other};

use crate::receive::ReturnTarget;
use crate::{CallbackService, texts};

/// The outcome of a return, as far as the merchant's browser is concerned. A business believes the link's status only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The account's grant is stored, and the link bound to it.
    Authorized(AppId),
    /// It is not known yet; the refresher goes on.
    Pending,
    /// The account's grant is stored, and the link is bound to another account.
    LinkUsed(AppId),
    /// The account's grant is stored, and the link was cancelled before.
    LinkCancelled(AppId),
    /// The account is not authorized any more.
    Withdrawn,
    /// The code brought nothing.
    Failed,
}

impl Outcome {
    /// The value of `status`.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Authorized(_) => "authorized",
            Self::Pending => "pending",
            Self::LinkUsed(_) | Self::LinkCancelled(_) | Self::Withdrawn | Self::Failed => "failed",
        }
    }

    /// The account that the merchant has authorized, if that is known.
    const fn account(&self) -> Option<&AppId> {
        match self {
            Self::Authorized(account) | Self::LinkUsed(account) | Self::LinkCancelled(account) => Some(account),
            Self::Pending | Self::Withdrawn | Self::Failed => None,
        }
    }
}

/// On to the business's page where there is one, else a page of ours. Somebody else's browser gets a page only, and
/// does not learn which account it was.
pub(crate) async fn answer(
    service: &CallbackService,
    details: &Details,
    target: &ReturnTarget,
    outcome: &Outcome,
    language: Language,
    bound: Instant,
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
    // The exchange has just stored how the account looks, unless WeChat did not say it.
    let card = match outcome.account().filter(|_| target.ours) {
        Some(account) => {
            let asker = target.requester_name.as_deref().or(service.0.config.provider.name.as_deref());
            let line = AccountCard::authorized(language, asker);
            let card = timeout_at(bound, AccountCard::read(details, language, account, &line)).await;
            Some(card.unwrap_or_else(|_| AccountCard::of(language, account, None, &line)))
        }
        None => None,
    };
    let again = format!("/authorize/{}", target.link);
    let again = Button { label: texts::open_again(language), url: &again };
    let message = match outcome {
        Outcome::Authorized(_) if target.ours => texts::authorized(language),
        Outcome::Authorized(_) => texts::received(language).with(again).asking(),
        Outcome::Pending => texts::pending(language).with(Button::check_result(language)),
        Outcome::LinkUsed(_) => texts::link_used(language).asking(),
        Outcome::LinkCancelled(_) => texts::link_cancelled(language).asking(),
        Outcome::Withdrawn => texts::withdrawn(language).with(again).asking(),
        Outcome::Failed => texts::failed(language).with(again).asking(),
    };
    Ok(service.pages().message(StatusCode::OK, language, message.about(card.as_ref())))
}

/// The business's page with `link_id` and `status` added to its query; `None` where its origin is not listed.
fn return_url(stored: &str, origins: &ReturnOrigins, link: &LinkId, outcome: &Outcome) -> Option<Url> {
    let mut url = Url::parse(stored).ok().filter(|url| origins.allow(url))?;
    url.query_pairs_mut().append_pair("link_id", link.as_str()).append_pair("status", outcome.as_str());
    Some(url)
}

#[cfg(test)]
mod tests {
    use runtime::config::PageConfig;

    use super::*;

    fn returned(stored: &str, outcome: &Outcome) -> Option<String> {
        let config = PageConfig::read(&|name: &str| match name {
            "PUBLIC_BASE_URL" => Some("https://auth.example.com".to_owned()),
            "RETURN_URL_ORIGINS" => Some("https://app.example.com".to_owned()),
            _ => None,
        });
        let link = LinkId::parse("0123456789abcdefABCDE_").unwrap();
        return_url(stored, &config.unwrap().return_origins, &link, outcome).map(Url::into)
    }

    #[test]
    fn two_parameters_are_added_and_nothing_else_changes() {
        let authorized = Outcome::Authorized(AppId::parse("wx1234567890abcdef").unwrap());
        assert_eq!(
            returned("https://app.example.com/done?order=%E5%8F%B7+1#part", &authorized).unwrap(),
            "https://app.example.com/done?order=%E5%8F%B7+1&link_id=0123456789abcdefABCDE_&status=authorized#part"
        );
        assert_eq!(
            returned("https://app.example.com", &Outcome::Failed).unwrap(),
            "https://app.example.com/?link_id=0123456789abcdefABCDE_&status=failed"
        );
    }

    #[test]
    fn an_origin_that_is_no_longer_listed_is_not_gone_to() {
        assert_eq!(returned("https://gone.example.com/done", &Outcome::Pending), None);
        assert_eq!(returned("javascript:alert(1)", &Outcome::Pending), None);
    }
}

//! Tickets for signing an account's web pages (protocol section 5.9), stored and renewed like tokens (`leased.rs`).
//!
//! WeChat issues few of them, so all callers share one. It is issued for the first caller and renewed for one that
//! comes shortly before its end: for an account without such pages, none is ever requested.

use std::time::Duration;

use base::ids::AppId;
use futures::future::BoxFuture;
use secrecy::SecretString;
use store::{Issued, Lease, RenewalReason, TicketKind, TokenOwner, TokenRecord};
use wechat::api::{ErrCode, PageTicket, WechatError};

use crate::context::Context;
use crate::error::TokenError;
use crate::leased::{self, IssueError, Renewable, Renewal, UsableToken};
use crate::schedule;
use crate::tokens::{Tokens, ValidToken};

/// How long before its end a ticket is renewed: a page that was signed just before stays open for some minutes.
const MARGIN: Duration = Duration::from_mins(5);

/// One ticket of one account, and the account's token, with which a new one is requested.
struct AccountTicket<'a> {
    tokens: &'a Tokens,
    account: &'a AppId,
    kind: TicketKind,
    token: ValidToken,
}

/// A valid ticket. The account's token is read first, so that nobody gets the ticket of an account for which the
/// platform may no longer act.
pub(crate) async fn usable(
    tokens: &Tokens,
    account: &AppId,
    kind: TicketKind,
    rejected: Option<&SecretString>,
) -> Result<UsableToken, TokenError> {
    let token = tokens.valid(&TokenOwner::Authorizer(account.clone())).await?;
    leased::usable(&AccountTicket { tokens, account, kind, token }, rejected).await
}

impl AccountTicket<'_> {
    async fn issue(&self, lease: &Lease<TokenRecord>) -> Result<Issued, IssueError> {
        self.tokens.context().may_still_call(lease.until())?;
        let issued = match self.ask(&self.token).await {
            Err(refused) if refused.token_rejected() => {
                let owner = TokenOwner::Authorizer(self.account.clone());
                match self.tokens.replace(&owner, &self.token.token, &refused).await {
                    Ok(replacement) => self.ask(&replacement.token).await,
                    // The token is too new to be replaced: WeChat's own error says more than "renewed just now".
                    Err(TokenError::RenewedJustNow { .. }) => Err(refused),
                    Err(error) => return Err(error.into()),
                }
            }
            answer => answer,
        };
        if let Err(refused) = &issued
            && refused.code() == Some(ErrCode::NotAuthorized)
        {
            self.tokens.check_soon(self.account).await.map_err(TokenError::from)?;
        }
        let (issued, now) = (issued?, self.tokens.context().now());
        Ok(Issued {
            access_token: issued.ticket,
            issued_at: now,
            expires_at: now.plus(issued.expires_in),
            due_at: schedule::due_at(now, issued.expires_in, MARGIN),
            new_refresh_token: None,
            after_refusal: false,
        })
    }

    async fn ask(&self, token: &ValidToken) -> Result<PageTicket, WechatError> {
        self.tokens.component().wechat().page_ticket(&token.token, self.kind.as_str()).await
    }
}

impl Renewable for AccountTicket<'_> {
    fn owner(&self) -> TokenOwner {
        TokenOwner::Pages(self.account.clone(), self.kind)
    }

    fn tokens(&self) -> (&store::StoredTokens, &Context) {
        self.tokens.kept()
    }

    fn renew<'a>(&'a self, reason: RenewalReason<'a>) -> BoxFuture<'a, Result<Renewal, TokenError>> {
        Box::pin(async move {
            let Some(lease) = leased::take(self, reason).await? else { return Ok(Renewal::NotOurs) };
            let issued = self.issue(&lease).await;
            leased::settle(self, &lease, issued).await
        })
    }
}

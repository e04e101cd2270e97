//! Open accounts (开放平台账号, protocol section 5.3), which give the users of their accounts a unionid.

use std::collections::{BTreeMap, BTreeSet};

use base::ids::{AppId, hex};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha1::{Digest as _, Sha1};

use crate::api::{Outcome, Request, ok};
use crate::refusal::Refusal;
use crate::simulator::Simulator;
use crate::world::{Holder, Moment, follower_of};

/// The most accounts of an open account that was created by API and is not verified.
const MAX_ACCOUNTS: usize = 5;

/// The open accounts by their appid. Each was created by API.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct OpenAccounts(BTreeMap<String, OpenAccount>);

#[derive(Serialize, Deserialize)]
struct OpenAccount {
    owner: String,
    accounts: BTreeSet<AppId>,
}

impl OpenAccounts {
    /// The open account that an account is bound to.
    fn of(&self, account: &AppId) -> Option<&String> {
        self.0.iter().find(|(_, open)| open.accounts.contains(account)).map(|(appid, _)| appid)
    }

    fn check_unbound(&self, account: &AppId) -> Result<(), Refusal> {
        match self.of(account) {
            Some(_) => Err(Refusal::new(89000, "account has bound open")),
            None => Ok(()),
        }
    }

    /// The open account of a request, if the owner is the same.
    fn asked(&mut self, request: &Request, owner: &str) -> Result<&mut OpenAccount, Refusal> {
        let open = self.0.get_mut(request.required("open_appid")?);
        let open = open.ok_or_else(|| Refusal::new(40013, "invalid appid: open_appid"))?;
        if open.owner == owner { Ok(open) } else { Err(Refusal::new(89001, "not same contractor")) }
    }
}

impl Simulator {
    /// The unionid of a user, if the account is bound to an open account. The follower of the chat page is one person;
    /// any other openid is a person who has the same openid in every account.
    pub(super) fn union_id(&self, account: &AppId, open_id: &str) -> Option<String> {
        let open = self.of_platform(|of| of.open_accounts.of(account).cloned())?;
        let person = if open_id == follower_of(account) { "follower of the chat page" } else { open_id };
        let digest = hex(&Sha1::digest(format!("{person} of {open}")));
        Some(format!("o{}", digest.get(..27).unwrap_or_default()))
    }

    /// Binds an account as its owner does on the open platform's own pages: to an open account of the owner's that has
    /// room, or to a new one. A bound account stays as it is.
    pub fn bind_to_open_account(&self, account: &AppId) {
        let owner = self.owner_of(account);
        self.change_platform(|of, at| {
            if of.open_accounts.of(account).is_some() {
                return;
            }
            let accounts = &mut of.open_accounts.0;
            let with_room =
                accounts.values_mut().find(|open| open.owner == owner && open.accounts.len() < MAX_ACCOUNTS);
            match with_room {
                Some(open) => {
                    open.accounts.insert(account.clone());
                }
                None => {
                    accounts.insert(new_appid(at), OpenAccount { owner, accounts: [account.clone()].into() });
                }
            }
        });
    }

    /// Removes an account from its open account, as its owner does there.
    pub fn unbind_from_open_account(&self, account: &AppId) {
        self.change_platform(|of, _| {
            for open in of.open_accounts.0.values_mut() {
                open.accounts.remove(account);
            }
        });
    }

    /// Whether an account is bound to an open account, so that its users have a unionid.
    pub(crate) fn is_bound_to_open_account(&self, account: &AppId) -> bool {
        self.of_platform(|of| of.open_accounts.of(account).is_some())
    }

    /// Whether this is the appid of an open account.
    pub(super) fn is_open_account(&self, appid: &str) -> bool {
        self.of_platform(|of| of.open_accounts.0.contains_key(appid))
    }

    fn owner_of(&self, account: &AppId) -> String {
        self.account(account).map(|account| account.principal_name).unwrap_or_default()
    }
}

fn new_appid(at: &Moment<'_>) -> String {
    format!("wx{}", hex(&at.random.bytes::<8>()))
}

/// Checks that the `appid` of a body, if there is one, is the token's account.
fn check_account(request: &Request, holder: &Holder) -> Result<(), Refusal> {
    match request.text("appid")? {
        Some(appid) if appid != holder.account.as_str() => Err(Refusal::new(40013, "invalid appid")),
        _ => Ok(()),
    }
}

pub(crate) fn create(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    check_account(request, holder)?;
    let owner = simulator.owner_of(&holder.account);
    let appid = simulator.change_platform(|of, at| {
        of.open_accounts.check_unbound(&holder.account)?;
        let appid = new_appid(at);
        let accounts = [holder.account.clone()].into();
        of.open_accounts.0.insert(appid.clone(), OpenAccount { owner, accounts });
        Ok(appid)
    })?;
    Ok(ok(json!({ "open_appid": appid })))
}

pub(crate) fn bind(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    check_account(request, holder)?;
    let owner = simulator.owner_of(&holder.account);
    simulator.change_platform(|of, _| {
        of.open_accounts.check_unbound(&holder.account)?;
        let open = of.open_accounts.asked(request, &owner)?;
        if open.accounts.len() >= MAX_ACCOUNTS {
            return Err(Refusal::new(89004, "open account bind limit"));
        }
        open.accounts.insert(holder.account.clone());
        Ok(())
    })?;
    Ok(ok(json!({})))
}

pub(crate) fn unbind(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    check_account(request, holder)?;
    let owner = simulator.owner_of(&holder.account);
    simulator.change_platform(|of, _| {
        let was_bound = of.open_accounts.asked(request, &owner)?.accounts.remove(&holder.account);
        if was_bound { Ok(()) } else { Err(Refusal::not_bound()) }
    })?;
    Ok(ok(json!({})))
}

pub(crate) fn get(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    check_account(request, holder)?;
    let appid = simulator.of_platform(|of| of.open_accounts.of(&holder.account).cloned());
    Ok(ok(json!({ "open_appid": appid.ok_or_else(Refusal::not_bound)? })))
}

pub(crate) fn have(simulator: &Simulator, _: &Request, holder: &Holder) -> Outcome {
    Ok(ok(json!({ "have_open": simulator.is_bound_to_open_account(&holder.account) })))
}

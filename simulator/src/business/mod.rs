//! Calls of services on behalf of accounts, and of the platform (protocol sections 5, 11 to 14): a file for each topic,
//! with WeChat's state of it, the operations that read and change it, and the actions of people at WeChat's side as
//! methods of [`Simulator`].

#![expect(clippy::unnecessary_wraps, reason = "operations have one signature, also those that refuse nothing")]

pub(crate) mod code;
pub(crate) mod control;
pub(crate) mod diagnosis;
pub(crate) mod domains;
pub(crate) mod js_sdk;
pub(crate) mod login;
pub(crate) mod material;
pub(crate) mod media;
pub(crate) mod menu;
pub(crate) mod messages;
pub(crate) mod open_accounts;
pub(crate) mod privacy;
pub(crate) mod qr_codes;
pub(crate) mod quota;
pub(crate) mod registration;
pub(crate) mod settings;
pub(crate) mod templates;
pub(crate) mod users;
pub(crate) mod web_login;

use std::collections::BTreeMap;

use base::ids::AppId;
use serde::{Deserialize, Serialize};

use crate::simulator::Simulator;
use crate::world::{Moment, SecretKind};

/// WeChat's state of the business of all accounts.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Business {
    accounts: BTreeMap<AppId, OfAccount>,
    platform: OfPlatform,
}

/// WeChat's state of the platform's own business.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct OfPlatform {
    clears: quota::Clears,
    open_accounts: open_accounts::OpenAccounts,
    domains: domains::platform::Pools,
    registrations: registration::Registrations,
    library: code::library::Library,
    audit_quota: code::audit::AuditQuota,
    web_logins: web_login::WebLogins,
}

/// WeChat's state of the business of one account.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct OfAccount {
    users: users::Users,
    logins: login::Codes,
    phones: login::Codes,
    clears: quota::Clears,
    menu: menu::Menu,
    reuse_tickets: registration::ReuseTickets,
    templates: templates::Templates,
    code: code::Code,
    domains: domains::account::Domains,
    privacy: privacy::Privacy,
    testers: settings::Testers,
    visitors: web_login::Visitors,
    page_tickets: js_sdk::Tickets,
}

impl Business {
    /// Every code that a user of a mini program handed over.
    pub(crate) fn login_codes(&self) -> impl Iterator<Item = &String> {
        self.accounts.values().flat_map(|of| of.logins.values().chain(of.phones.values()))
    }

    /// Every ticket of an official account with which a mini program may still be registered.
    pub(crate) fn registration_tickets(&self) -> impl Iterator<Item = &String> {
        self.accounts.values().flat_map(|of| of.reuse_tickets.values())
    }

    /// Every ticket with which pages are signed.
    pub(crate) fn page_tickets(&self) -> impl Iterator<Item = &String> {
        self.accounts.values().flat_map(|of| of.page_tickets.values())
    }

    /// Every code and token of a web login.
    pub(crate) fn web_login_secrets(&self) -> impl Iterator<Item = (SecretKind, &str)> {
        self.platform.web_logins.secrets()
    }

    /// The account whose visitor has this access token.
    pub(crate) fn account_of_visitor(&self, access_token: &str) -> Option<&AppId> {
        self.platform.web_logins.account_of(access_token)
    }
}

impl Simulator {
    /// Reads the state of an account.
    fn of_account<R>(&self, appid: &AppId, read: impl FnOnce(&OfAccount) -> R) -> R {
        self.read(|world| match world.business.accounts.get(appid) {
            Some(account) => read(account),
            None => read(&OfAccount::default()),
        })
    }

    /// Reads the state of the platform.
    fn of_platform<R>(&self, read: impl FnOnce(&OfPlatform) -> R) -> R {
        self.read(|world| read(&world.business.platform))
    }

    /// Changes the state of the platform.
    fn change_platform<R>(&self, change: impl FnOnce(&mut OfPlatform, &Moment<'_>) -> R) -> R {
        self.change(|world, at| change(&mut world.business.platform, at))
    }

    /// Changes the state of an account together with that of the platform.
    fn change_both<R>(
        &self,
        appid: &AppId,
        change: impl FnOnce(&mut OfAccount, &mut OfPlatform, &Moment<'_>) -> R,
    ) -> R {
        self.change(|world, at| {
            let Business { accounts, platform } = &mut world.business;
            change(accounts.entry(appid.clone()).or_default(), platform, at)
        })
    }

    /// Changes the state of an account.
    fn change_account<R>(&self, appid: &AppId, change: impl FnOnce(&mut OfAccount, &Moment<'_>) -> R) -> R {
        self.change(|world, at| change(world.business.accounts.entry(appid.clone()).or_default(), at))
    }
}

//! The events of the 授权事件接收URL (protocol section 3.2), typed.
//!
//! Events with an effect contain what that needs, as far as it was sent; other known events and unknown ones contain
//! only their name. The message itself is always kept with them: the inbox stores what was received, not what was
//! understood. Codes and tickets are secrets, so `Debug` shows only names and times.

use std::fmt;

use base::clock::Timestamp;
use base::digest_id;
use base::ids::{AppId, Digest};
use secrecy::{ExposeSecret as _, SecretString};

/// An authentic event.
pub struct AuthorizationEvent {
    /// `AppId`: the platform that it is for.
    pub component: Option<AppId>,
    /// `CreateTime`: WeChat's own time of the event. Only WeChat's times are compared with each other.
    pub create_time: Option<Timestamp>,
    /// What happened.
    pub event: Event,
    /// The decrypted XML.
    pub xml: SecretString,
}

digest_id! {
    /// The id of an authorization event: the same at each of its deliveries.
    PushId
}

impl AuthorizationEvent {
    /// The same for every delivery of one event, different for any two events.
    ///
    /// It covers `InfoType`, account, `CreateTime` and code. If there is no code, it covers the whole XML instead: two
    /// different messages about one account may come in the same second.
    #[must_use]
    pub fn id(&self) -> PushId {
        let time = self.create_time.map_or_else(String::new, |at| at.unix().to_string());
        let account = self.event.account().map_or("", AppId::as_str);
        let name = self.event.info_type();
        PushId(match self.event.code() {
            Some(code) => Digest::of(&[name, account, &time, code.expose_secret()]),
            None => Digest::of(&[name, account, &time, "", self.xml.expose_secret()]),
        })
    }
}

impl fmt::Debug for AuthorizationEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationEvent")
            .field("event", &self.event)
            .field("create_time", &self.create_time)
            .finish_non_exhaustive()
    }
}

/// The longest name that is logged, in bytes; WeChat's longest has 32.
const LONGEST_LABEL: usize = 64;

/// What happened, by `InfoType`.
pub enum Event {
    /// `component_verify_ticket`, every ten minutes.
    ComponentVerifyTicket {
        /// The ticket, with which a component token is issued; valid for 12 hours.
        ticket: Option<SecretString>,
    },
    /// `authorized`: a merchant authorized the platform for an account.
    Authorized(Grant),
    /// `updateauthorized`: the permission sets of a grant changed.
    UpdateAuthorized(Grant),
    /// `unauthorized`: the grant is gone.
    Unauthorized {
        /// The account.
        authorizer: Option<AppId>,
    },
    /// `notify_third_fasteregister`: the result of a fast registration (protocol section 5.12).
    FastRegister(FastRegister),
    /// A known `InfoType` without an effect here.
    Notice(Notice),
    /// An `InfoType` that WeChat has introduced since.
    Unknown {
        /// Its name.
        info_type: String,
    },
}

impl Event {
    /// WeChat's name of the event.
    #[must_use]
    pub fn info_type(&self) -> &str {
        match self {
            Self::ComponentVerifyTicket { .. } => TICKET,
            Self::Authorized(_) => AUTHORIZED,
            Self::UpdateAuthorized(_) => UPDATE_AUTHORIZED,
            Self::Unauthorized { .. } => UNAUTHORIZED,
            Self::FastRegister(_) => FAST_REGISTER,
            Self::Notice(notice) => notice.info_type(),
            Self::Unknown { info_type } => info_type,
        }
    }

    /// [`Self::info_type`] for logs: `other` if it is longer than any of WeChat's names or could break a line.
    #[must_use]
    pub fn label(&self) -> &str {
        let name = self.info_type();
        let is_plain = name.len() <= LONGEST_LABEL && name.bytes().all(|byte| byte.is_ascii_graphic());
        if is_plain && !name.is_empty() { name } else { "other" }
    }

    /// The account whose grant the event is about.
    #[must_use]
    pub const fn account(&self) -> Option<&AppId> {
        match self {
            Self::Authorized(grant) | Self::UpdateAuthorized(grant) => grant.authorizer.as_ref(),
            Self::Unauthorized { authorizer } => authorizer.as_ref(),
            Self::FastRegister(result) => result.appid.as_ref(),
            Self::ComponentVerifyTicket { .. } | Self::Notice(_) | Self::Unknown { .. } => None,
        }
    }

    /// The event's code, to be exchanged once.
    #[must_use]
    pub const fn code(&self) -> Option<&SecretString> {
        match self {
            Self::Authorized(grant) | Self::UpdateAuthorized(grant) => grant.code.as_ref(),
            Self::FastRegister(result) => result.auth_code.as_ref(),
            _ => None,
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// A grant, new or changed.
pub struct Grant {
    /// `AuthorizerAppid`: the account. If it is missing, exchanging the code reveals it.
    pub authorizer: Option<AppId>,
    /// `AuthorizationCode`: to be exchanged once. If it is missing, as for trial mini programs, the account's details
    /// are read instead.
    pub code: Option<SecretString>,
    /// `AuthorizationCodeExpiredTime`, if it can be parsed.
    pub code_expires: Option<Timestamp>,
    /// `PreAuthCode`: ties the grant to the attempt that led to it.
    pub pre_auth_code: Option<SecretString>,
}

/// The result of a fast registration.
pub struct FastRegister {
    /// `status`: 0 if a mini program was registered and authorized, otherwise WeChat's reason for the failure.
    pub status: Option<i64>,
    /// `appid`, not to be confused with `AppId`: the new mini program. Failures have none.
    pub appid: Option<AppId>,
    /// `auth_code`: to be exchanged once. Failures have none.
    pub auth_code: Option<SecretString>,
}

pub(super) const TICKET: &str = "component_verify_ticket";
pub(super) const AUTHORIZED: &str = "authorized";
pub(super) const UPDATE_AUTHORIZED: &str = "updateauthorized";
pub(super) const UNAUTHORIZED: &str = "unauthorized";
pub(super) const FAST_REGISTER: &str = "notify_third_fasteregister";

/// A known event without an effect here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// `notify_third_fastregisterbetaapp`: a trial mini program was registered, or not.
    TrialRegistered,
    /// `notify_third_fastverifybetaapp`: a trial mini program became a real one, or not.
    TrialVerified,
    /// `notify_3rd_wxa_auth`: progress of a mini program's verification.
    Certification,
    /// `notify_3rd_wxa_wxverify`: a mini program's verification is about to expire.
    CertificationExpiry,
    /// `notify_3rd_wxa_auth_and_icp`: progress of verification and filing in one procedure.
    CertificationAndFiling,
    /// `notify_icpfiling_verify_result`: the face check of an ICP filing.
    FilingFaceCheck,
    /// `notify_apply_icpfiling_result`: progress of an ICP filing.
    Filing,
    /// `order_path_apply_result_notify`: an order page was submitted.
    OrderPathApplied,
    /// `order_path_audit_result_notify`: an order page was reviewed.
    OrderPathAudited,
}

impl Notice {
    /// All notices. One that is missing here is parsed as [`Event::Unknown`].
    pub const ALL: [Self; 9] = [
        Self::TrialRegistered,
        Self::TrialVerified,
        Self::Certification,
        Self::CertificationExpiry,
        Self::CertificationAndFiling,
        Self::FilingFaceCheck,
        Self::Filing,
        Self::OrderPathApplied,
        Self::OrderPathAudited,
    ];

    /// WeChat's name of it.
    #[must_use]
    pub const fn info_type(self) -> &'static str {
        match self {
            Self::TrialRegistered => "notify_third_fastregisterbetaapp",
            Self::TrialVerified => "notify_third_fastverifybetaapp",
            Self::Certification => "notify_3rd_wxa_auth",
            Self::CertificationExpiry => "notify_3rd_wxa_wxverify",
            Self::CertificationAndFiling => "notify_3rd_wxa_auth_and_icp",
            Self::FilingFaceCheck => "notify_icpfiling_verify_result",
            Self::Filing => "notify_apply_icpfiling_result",
            Self::OrderPathApplied => "order_path_apply_result_notify",
            Self::OrderPathAudited => "order_path_audit_result_notify",
        }
    }

    /// The notice with this name.
    #[must_use]
    pub fn named(info_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|notice| notice.info_type() == info_type)
    }
}

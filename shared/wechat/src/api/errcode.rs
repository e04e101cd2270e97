//! WeChat's error codes and what each asks of us: protocol section 6 as one table.
//!
//! A code that is not in the table is permanent for the call that got it. It never costs an account its grant: a grant
//! counts as gone only by a code that says so.

use std::fmt;

use super::endpoint::Api;

/// What an error asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reaction {
    /// Try again later, with back-off, where trying twice does no harm.
    Retry,
    /// The token was refused: renew it if it is still the stored one, then repeat the call once.
    Refresh,
    /// The account's grant is gone: stop calling for it until the merchant authorizes again. Before an account that
    /// was merely missing somewhere is marked, `api_get_authorizer_info` must agree.
    Reauthorize,
    /// The grant stands, but lacks this permission: tell the tenant, do not try again.
    Permission,
    /// The quota is used up until it is reset, at midnight in Beijing.
    Quota,
    /// Too many calls in this minute: wait at least 60 s.
    WaitMinute,
    /// The platform's own settings are wrong: an operator must act.
    Config,
    /// The ticket is unusable: ask WeChat to push a new one and wait for it.
    NewTicket,
    /// The authorization code was used or has expired: recover the grant in another way.
    CodeSpent,
    /// The refresh token is unusable: read it from the account's details or the list, try once more, then it is
    /// [`Self::Reauthorize`].
    RefreshTokenInvalid,
    /// The input is wrong or the call was: hand the error back, do not try again.
    Caller,
    /// Not a code we know: permanent for this call, and to be logged with its `rid`.
    Unknown,
}

/// Makes the enum, both directions of its numbers and its reactions out of one table.
macro_rules! table {
    (
        codes { $($name:ident = $code:literal, $reaction:ident, $doc:literal;)* }
        ranges { $($range:ident = $codes:pat, $range_reaction:ident, $range_doc:literal;)* }
    ) => {
        /// Why WeChat refused a call. Success, code 0, is none of these.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrCode {
            $(#[doc = $doc] $name,)*
            $(#[doc = $range_doc] $range(i64),)*
            /// A code that the protocol reference does not name.
            Unknown(i64),
        }

        impl ErrCode {
            /// The code that WeChat's number stands for.
            #[must_use]
            pub const fn from_code(code: i64) -> Self {
                match code {
                    $($code => Self::$name,)*
                    $($codes => Self::$range(code),)*
                    _ => Self::Unknown(code),
                }
            }

            /// WeChat's number.
            #[must_use]
            pub const fn code(self) -> i64 {
                match self {
                    $(Self::$name => $code,)*
                    $(Self::$range(code) |)* Self::Unknown(code) => code,
                }
            }

            /// What the code means, in a few words: its description here, without the number.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                let written = match self {
                    $(Self::$name => $doc,)*
                    $(Self::$range(_) => $range_doc,)*
                    Self::Unknown(_) => return "a code that this platform does not know",
                };
                written.split_once(": ").map_or(written, |(_, meaning)| meaning).trim_end_matches('.')
            }

            /// What the code asks for. [`super::WechatError::reaction`] also knows which call it refused.
            #[must_use]
            pub const fn reaction(self) -> Reaction {
                match self {
                    $(Self::$name => Reaction::$reaction,)*
                    $(Self::$range(_) => Reaction::$range_reaction,)*
                    Self::Unknown(_) => Reaction::Unknown,
                }
            }
        }
    };
}

table! {
    codes {
        SystemBusy = -1, Retry, "−1: system busy. The call may have taken effect.";
        SystemError = -1000, Retry, "−1000: system error while sending a message.";
        InvalidCredential = 40001, Refresh, "40001: token invalid or replaced by a newer one; where a call takes the secret, the secret is wrong.";
        InvalidGrantType = 40002, Caller, "40002: invalid grant type.";
        InvalidOpenId = 40003, Caller, "40003: invalid openid.";
        InvalidMediaId = 40007, Caller, "40007: invalid or expired media id.";
        InvalidAppId = 40013, Config, "40013: invalid appid: the platform's where the call names no account, else the account's.";
        InvalidAccessToken = 40014, Refresh, "40014: invalid access token.";
        OauthCodeInvalid = 40029, Caller, "40029: web login code invalid.";
        OauthRefreshTokenInvalid = 40030, Caller, "40030: web login refresh token invalid.";
        EscapedUnicode = 40033, Caller, "40033: the body has `\\uXXXX` escapes.";
        InvalidUrl = 40066, Caller, "40066: bad URL.";
        InvalidComponentTicket = 40091, NewTicket, "40091: invalid component ticket.";
        InvalidComponentCredential = 40094, NewTicket, "40094: invalid component credential.";
        InvalidArgs = 40097, Caller, "40097: invalid arguments, such as an empty code.";
        InvalidAppSecret = 40125, Config, "40125: invalid app secret; it may have been reset in the console.";
        InvalidUserName = 40132, Caller, "40132: invalid user name.";
        OauthCodeUsed = 40163, Caller, "40163: web login code used.";
        IpNotInWhitelist = 40164, Config, "40164: the platform's address is not in the account's list.";
        CountTooLarge = 40170, Caller, "40170: more than 500 entries asked for.";
        AccessTokenMissing = 41001, Caller, "41001: access token missing.";
        AppIdMissing = 41002, Caller, "41002: appid missing.";
        AppSecretMissing = 41004, Caller, "41004: app secret missing.";
        ComponentAppIdMissing = 41018, Caller, "41018: component appid missing.";
        ComponentTokenMissing = 41021, Caller, "41021: component token missing.";
        AccessTokenExpired = 42001, Refresh, "42001: access token expired.";
        OauthRefreshTokenExpired = 42002, Caller, "42002: web login refresh token expired.";
        OauthCodeExpired = 42003, Caller, "42003: web login code expired.";
        ComponentTokenExpired = 42006, Refresh, "42006: component token expired.";
        PasswordChanged = 42007, Reauthorize, "42007: the merchant changed the password; both tokens are void.";
        NeedsGet = 43001, Caller, "43001: GET required.";
        NeedsPost = 43002, Caller, "43002: POST required.";
        NeedsHttps = 43003, Caller, "43003: HTTPS required.";
        NotAFollower = 43004, Caller, "43004: the user does not follow the account.";
        MerchantMustAuthorize = 43007, Reauthorize, "43007: the merchant's authorization is required.";
        UserBlacklisted = 43019, Caller, "43019: the user is on the account's blacklist.";
        EmptyBody = 44002, Caller, "44002: empty body.";
        DailyQuota = 45009, Quota, "45009: the day's quota is used up.";
        MinuteQuota = 45011, WaitMinute, "45011: the minute's quota is used up.";
        MessageWindowClosed = 45015, Caller, "45015: the customer-service window is closed.";
        IpNotRegistered = 45035, Config, "45035: address not registered.";
        MessageCount = 45047, Caller, "45047: too many customer-service messages.";
        NoSuchUser = 46004, Caller, "46004: no such user.";
        MalformedBody = 47001, Caller, "47001: the body could not be parsed.";
        EscapedUnicodeInJson = 47002, Caller, "47002: the JSON has `\\uXXXX` escapes.";
        ApiUnauthorized = 48001, Permission, "48001: the account lacks this API.";
        MessagesRefused = 48002, Caller, "48002: the user refuses messages.";
        AgreementMissing = 48003, Permission, "48003: the agreement on mass sending is not accepted.";
        ApiBanned = 48004, Permission, "48004: the API was banned for irregularities.";
        QuotaClearsUsedUp = 48006, Quota, "48006: the month's quota clears are used up.";
        UserUnauthorized = 50001, Caller, "50001: the user has not authorized the API.";
        AccountLimited = 50002, Caller, "50002: user or account frozen or closed: read the account's status again.";
        InvalidComponentType = 61000, Config, "61000: invalid component type.";
        ComponentTypeMismatch = 61001, Config, "61001: component type and appid do not fit.";
        NoCustomerService = 61002, Permission, "61002: the account has no customer service.";
        NotAuthorized = 61003, Reauthorize, "61003: the account has not authorized this component, or no longer does.";
        ClientIpNotRegistered = 61004, Config, "61004: the platform's address is not in the platform's list; the message names it.";
        TicketExpired = 61005, NewTicket, "61005: component ticket expired.";
        TicketInvalid = 61006, NewTicket, "61006: component ticket invalid, empty or another component's.";
        PermissionNotGranted = 61007, Permission, "61007: the merchant did not grant this permission set, or took it back.";
        RequestKeyDuplicated = 61008, Caller, "61008: request key used twice.";
        CodeInvalid = 61009, CodeSpent, "61009: authorization code invalid.";
        CodeExpired = 61010, CodeSpent, "61010: authorization code expired.";
        InvalidComponent = 61011, Config, "61011: component closed, or another one.";
        OptionName = 61012, Caller, "61012: invalid option name.";
        OptionValue = 61013, Caller, "61013: invalid option value.";
        MustUseComponentToken = 61014, Caller, "61014: the call takes the platform's own token, not an account's.";
        MustUseAccountToken = 61015, Caller, "61015: the call takes an account's token, not the platform's own.";
        NeedsConfirmation = 61016, Permission, "61016: the permission set waits for confirmation.";
        PermissionNotAuthorized = 61017, Permission, "61017: the permission set is not authorized.";
        AlreadyConfirmed = 61018, Caller, "61018: already confirmed.";
        NoConfirmationNeeded = 61019, Caller, "61019: no confirmation needed.";
        ParameterError = 61020, Caller, "61020: wrong parameter.";
        CannotConfirm = 61021, Caller, "61021: cannot be confirmed.";
        CannotResubmit = 61022, Caller, "61022: cannot be submitted again.";
        RefreshTokenInvalid = 61023, RefreshTokenInvalid, "61023: refresh token invalid.";
        MustUseComponentTokenApi = 61024, Caller, "61024: a component must use `api_component_token`.";
        OptionReadOnly = 61025, Caller, "61025: the option is read-only.";
        RegistrationDenied = 61026, Permission, "61026: registration denied.";
        RegistrationLimit = 61027, Permission, "61027: registration limit reached.";
        ComponentUnpublished = 61028, Config, "61028: the platform is not released.";
        ComponentNeedsRelease = 61029, Config, "61029: the platform must be released again.";
        CannotCancelAuthorization = 61030, Caller, "61030: a component may not cancel an authorization.";
        QuotaPathMalformed = 76003, Caller, "76003: the path asked about is malformed.";
        QuotaPathRefused = 76022, Caller, "76022: the path may not be asked about.";
        MustBeCalledByThirdParty = 86000, Caller, "86000: the call takes the token of an authorized account.";
        InvalidTrade = 89300, Caller, "89300: invalid trade.";
        MessageServiceError = 20001, Retry, "20001: system error of the message service. A message may have been sent.";
        InvalidMessageType = 40008, Caller, "40008: invalid message type.";
        InvalidTemplate = 40037, Caller, "40037: invalid template id.";
        InvalidScene = 40169, Caller, "40169: invalid scene of a QR code, or a body that is not JSON.";
        LoginBlocked = 40226, Caller, "40226: mini-program login is blocked for this user.";
        InvalidApiSignature = 40234, Caller, "40234: invalid signature of a signed call.";
        NoSuchPage = 41030, Caller, "41030: the mini program has no such page.";
        NotSubscribed = 43101, Caller, "43101: the user did not subscribe to the message.";
        EmptyContent = 44004, Caller, "44004: empty content.";
        ContentTooLong = 45002, Caller, "45002: the content is too long.";
        TooManyArticles = 45008, Caller, "45008: too many articles.";
        AlreadySent = 45065, Caller, "45065: a mass message with this `clientmsgid` was sent before.";
        DomainChangesUsedUp = 45104, Quota, "45104: the platform's domain changes of this month are used up.";
        TemplateData = 47003, Caller, "47003: a value of the template is empty or of the wrong kind.";
        PrivacyScanRunning = 61039, Retry, "61039: the privacy scan of a commit is still running.";
        PrivacyApi = 61040, Caller, "61040: a privacy API without permission, or not declared.";
        InAudit = 85009, Caller, "85009: a version is in audit already.";
        AuditsUsedUp = 85085, Quota, "85085: the audits of this month are used up.";
        CheckFileMissing = 86103, Config, "86103: WeChat does not find the domain's check file.";
        WithdrawalsUsedUp = 87013, Quota, "87013: the withdrawals of audits are used up.";
        BaseLibrary = 89014, Caller, "89014: invalid minimum version of the base library.";
        LiveStreamPermission = 9_400_001, Caller, "9400001: live-stream permission.";
        CommitBusy = 9_402_202, Retry, "9402202: a commit is still under way.";
        StandardTemplate = 9_402_203, Caller, "9402203: standard template.";
    }
    ranges {
        MediaFile = 40004..=40006, Caller, "40004 to 40006: invalid media type, file type or size.";
        OpenIdList = 40031 | 40032, Caller, "40031, 40032: invalid list of openids, or its length.";
        MediaMissing = 41005 | 41006, Caller, "41005, 41006: media data or media id missing.";
        AccountPunished = 45087 | 45094, Permission, "45087, 45094: the account is punished.";
        Plugins = 80066..=80082, Caller, "80066 to 80082: plugins of a commit.";
        CodeAndAudit = 85006..=85008 | 85010..=85084 | 85086..=85094 | 85301..=85312 | 86001..=86020 | 87006..=87012, Caller, "85006 to 85094, 85301 to 85312, 86001 to 86020, 87006 to 87012: a mini program's code, audit, domains and release.";
        AccountDomainChanges = 86101 | 86102, Quota, "86101, 86102: the account's domain changes of this month are used up.";
        RegistrationData = 61051..=61070, Caller, "61051 to 61070: wrong data in a registration.";
        OpenAccount = 89000..=89004 | 89036, Caller, "89000 to 89004, 89036: binding to an open account.";
        FastRegistration = 89247..=89255, Caller, "89247 to 89255: state or fault of a fast registration.";
        ExpediteAudit = 89401..=89405, Caller, "89401 to 89405: expedited audit.";
        IpConfirmation = 89501..=89507, Config, "89501 to 89507: a new address waits for the administrator, or was refused.";
    }
}

impl ErrCode {
    /// What the code asks for as the answer to a call: a number means different things about different subjects.
    #[must_use]
    pub const fn reaction_to(self, api: Api) -> Reaction {
        match self {
            // No token was sent: the secret itself is wrong.
            Self::InvalidCredential if api.takes_secret() => Reaction::Config,
            // The account's appid, not the platform's.
            Self::InvalidAppId if api.names_subject() => Reaction::Caller,
            _ => self.reaction(),
        }
    }

    /// Whether the token that was sent is void or expired.
    #[must_use]
    pub const fn token_rejected(self) -> bool {
        matches!(self.reaction(), Reaction::Refresh)
    }
}

impl fmt::Display for ErrCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn with(pick: fn(ErrCode) -> bool) -> Vec<i64> {
        (-2_000..100_000).filter(|code| pick(ErrCode::from_code(*code))).collect()
    }

    #[test]
    fn numbers_survive_the_way_into_the_table_and_out() {
        for code in -2_000..100_000 {
            assert_eq!(ErrCode::from_code(code).code(), code);
        }
    }

    #[test]
    fn only_a_code_that_says_so_costs_an_account_its_grant() {
        assert_eq!(with(|code| code.reaction() == Reaction::Reauthorize), [42_007, 43_007, 61_003]);
        assert_eq!(ErrCode::from_code(61_999).reaction(), Reaction::Unknown);
    }

    #[test]
    fn a_rejected_token_shows_in_four_codes() {
        assert_eq!(with(ErrCode::token_rejected), [40_001, 40_014, 42_001, 42_006]);
    }

    /// The table of section 6 of the protocol document: every code with its reaction's name.
    fn documented() -> BTreeMap<i64, &'static str> {
        let document = include_str!("../../PROTOCOL.md");
        let section = document.split("\n## ").find(|section| section.starts_with("6. ")).unwrap();
        let mut documented = BTreeMap::new();
        for row in section.lines() {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let [codes, _, reaction, _] = cells[..] else { continue };
            // Neither the heading of the table nor the line below it.
            if !codes.ends_with(|last: char| last.is_ascii_digit()) {
                continue;
            }
            for part in codes.split(", ") {
                let (first, last) = part.split_once('–').unwrap_or((part, part));
                for code in first.parse::<i64>().unwrap()..=last.parse().unwrap() {
                    assert_eq!(documented.insert(code, reaction), None, "{code} is in two rows");
                }
            }
        }
        documented
    }

    #[test]
    fn the_table_and_the_protocol_document_have_the_same_codes_and_reactions() {
        let documented = documented();
        assert!(documented.len() > 300, "only {} codes found: does the table have another form now?", documented.len());
        for (code, reaction) in &documented {
            let known = ErrCode::from_code(*code);
            assert_ne!(known, ErrCode::Unknown(*code), "{code} is in the document only");
            assert_eq!(format!("{:?}", known.reaction()), *reaction, "{code}");
        }
        for code in (-2_000..100_000).chain(9_400_000..9_500_000) {
            let is_known = ErrCode::from_code(code) != ErrCode::Unknown(code);
            assert!(!is_known || documented.contains_key(&code), "{code} is in the code only");
        }
    }
}

//! WeChat's error codes and what each asks of us: protocol section 6 as one table.
//!
//! A code that is not in the table is permanent for the call that got it. It never costs an account its grant: a grant
//! counts as gone only by a code that says so.

use std::fmt;

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
    /// The ticket is of no use: ask WeChat to push a new one and wait for it.
    NewTicket,
    /// The authorization code was used or has expired: recover the grant in another way.
    CodeSpent,
    /// The refresh token is of no use: read it from the account's details or the list, try once more, then it is
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
        IpNotInWhitelist = 40164, Config, "40164: our address is not in the account's list.";
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
        ClientIpNotRegistered = 61004, Config, "61004: our address is not in the platform's list; the message names it.";
        TicketExpired = 61005, NewTicket, "61005: component ticket expired.";
        TicketInvalid = 61006, NewTicket, "61006: component ticket invalid, empty or another component's.";
        PermissionNotGranted = 61007, Permission, "61007: the merchant did not grant this permission set, or took it back.";
        RequestKeyDuplicated = 61008, Caller, "61008: request key used twice.";
        CodeInvalid = 61009, CodeSpent, "61009: authorization code invalid.";
        CodeExpired = 61010, CodeSpent, "61010: authorization code expired.";
        InvalidComponent = 61011, Config, "61011: component closed, or another one.";
        OptionName = 61012, Caller, "61012: invalid option name.";
        OptionValue = 61013, Caller, "61013: invalid option value.";
        MustUseComponentToken = 61014, Caller, "61014: a component token is required: a fault of ours.";
        MustUseAccountToken = 61015, Caller, "61015: an account's token is required: a fault of ours.";
        NeedsConfirmation = 61016, Permission, "61016: the permission set waits for confirmation.";
        PermissionNotAuthorized = 61017, Permission, "61017: the permission set is not authorized.";
        AlreadyConfirmed = 61018, Caller, "61018: already confirmed.";
        NoConfirmationNeeded = 61019, Caller, "61019: no confirmation needed.";
        ParameterError = 61020, Caller, "61020: wrong parameter.";
        CannotConfirm = 61021, Caller, "61021: cannot be confirmed.";
        CannotResubmit = 61022, Caller, "61022: cannot be submitted again.";
        RefreshTokenInvalid = 61023, RefreshTokenInvalid, "61023: refresh token invalid.";
        MustUseComponentTokenApi = 61024, Caller, "61024: a component must use `api_component_token`: a fault of ours.";
        OptionReadOnly = 61025, Caller, "61025: the option is read-only.";
        RegistrationDenied = 61026, Permission, "61026: registration denied.";
        RegistrationLimit = 61027, Permission, "61027: registration limit reached.";
        ComponentUnpublished = 61028, Config, "61028: the platform is not released.";
        ComponentNeedsRelease = 61029, Config, "61029: the platform must be released again.";
        CannotCancelAuthorization = 61030, Caller, "61030: a component may not cancel an authorization.";
        QuotaPathMalformed = 76003, Caller, "76003: the path asked about is malformed.";
        QuotaPathRefused = 76022, Caller, "76022: the path may not be asked about.";
        MustBeCalledByThirdParty = 86000, Caller, "86000: an authorizer's token is required: a fault of ours.";
        InvalidTrade = 89300, Caller, "89300: invalid trade.";
    }
    ranges {
        RegistrationData = 61051..=61070, Caller, "61051 to 61070: wrong data in a registration.";
        OpenAccount = 89000..=89004 | 89036, Caller, "89000 to 89004, 89036: binding to an open account.";
        FastRegistration = 89247..=89255, Caller, "89247 to 89255: state or fault of a fast registration.";
        ExpediteAudit = 89401..=89405, Caller, "89401 to 89405: expedited audit.";
        IpConfirmation = 89501..=89507, Config, "89501 to 89507: a new address waits for the administrator, or was refused.";
    }
}

impl ErrCode {
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

    /// The numbers in one cell of the reference: `40029 / 40163`, `89000–89004, 89036`, `61051…61070`.
    fn numbers(cell: &str) -> Vec<i64> {
        let cell = cell.replace('−', "-").replace(['–', '…'], "..");
        let parts = cell.split(['/', ',', ' ']).filter(|part| !part.is_empty());
        parts
            .flat_map(|part| {
                let (first, last) = part.split_once("..").unwrap_or((part, part));
                first.parse::<i64>().unwrap()..=last.parse().unwrap()
            })
            .collect()
    }

    /// What a cell of the reference begins with, where it begins with one of its reactions.
    fn reaction(cell: &str) -> Option<Reaction> {
        let word = cell.split(|c: char| !c.is_ascii_uppercase()).next()?;
        Some(match word {
            "RETRY" => Reaction::Retry,
            "REFRESH" => Reaction::Refresh,
            "REAUTH" => Reaction::Reauthorize,
            "PERM" => Reaction::Permission,
            "QUOTA" => Reaction::Quota,
            "CONFIG" => Reaction::Config,
            "CALLER" => Reaction::Caller,
            _ => return None,
        })
    }

    #[test]
    fn the_table_names_every_code_of_the_protocol_reference() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/wechat-api.md");
        let Ok(reference) = std::fs::read_to_string(path) else {
            eprintln!("not checked: the protocol reference is not next to the workspace");
            return;
        };
        let section = reference.split("\n## ").find(|section| section.starts_with("6. Error codes")).unwrap();
        let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
        let mut checked = 0;
        for row in rows {
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
            for number in numbers(cells[0]).into_iter().filter(|number| *number != 0) {
                let code = ErrCode::from_code(number);
                assert_ne!(code, ErrCode::Unknown(number), "{row}");
                if let Some(expected) = reaction(cells[cells.len() - 1]) {
                    assert_eq!(code.reaction(), expected, "{row}");
                }
                checked += 1;
            }
        }
        assert!(checked > 100, "only {checked} codes found: has the reference another form now?");
    }
}

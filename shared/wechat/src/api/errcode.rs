//! WeChat's error codes and the reaction to each: protocol section 6 as one table.
//!
//! A code that is not in the table is permanent for its call. It never ends an account's grant: only a code that
//! explicitly says so does.

use std::fmt;

use base::language::Language;

use super::endpoint::Api;

/// The reaction that an error requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reaction {
    /// Try again later, with back-off, if repeating the call does no harm.
    Retry,
    /// The token was refused: renew it if it is still the stored one, then repeat the call once.
    Refresh,
    /// The account's grant is gone: stop calls for it until the merchant authorizes again. Before an account that is
    /// merely missing from a list is marked, `api_get_authorizer_info` must confirm it.
    Reauthorize,
    /// The grant is in force, but lacks this permission: report it, do not try again.
    Permission,
    /// The quota is used up until it is reset, at midnight in Beijing.
    Quota,
    /// Too many calls in this minute: wait at least 60 s.
    WaitMinute,
    /// The platform's own settings are wrong: an operator must act.
    Config,
    /// The ticket is unusable: ask WeChat to push a new one and wait for it.
    NewTicket,
    /// The authorization code was used or has expired: recover the grant by other means.
    CodeSpent,
    /// The refresh token is unusable: read it from the account's details or the list and try once more; if that fails
    /// too, react as to [`Self::Reauthorize`].
    RefreshTokenInvalid,
    /// The input or the call is wrong: return the error, do not try again.
    Caller,
    /// An unknown code: permanent for this call, and to be logged with its `rid`.
    Unknown,
}

/// Defines the enum, its conversions from and to numbers, its reactions and its meanings from one table.
macro_rules! table {
    (
        codes { $($name:ident = $code:literal, $reaction:ident, $doc:literal, $chinese:literal;)* }
        ranges { $($range:ident = $codes:pat, $range_reaction:ident, $range_doc:literal, $range_chinese:literal;)* }
    ) => {
        /// Why WeChat refused a call. Success, code 0, is not among them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrCode {
            $(#[doc = $doc] $name,)*
            $(#[doc = $range_doc] $range(i64),)*
            /// A code that is not in the protocol document.
            Unknown(i64),
        }

        impl ErrCode {
            /// The code with WeChat's number.
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

            /// The meaning of the code, in a few words. In English it is the description in the table, without the
            /// number.
            #[must_use]
            pub fn meaning(self, language: Language) -> &'static str {
                let (chinese, written) = match self {
                    $(Self::$name => ($chinese, $doc),)*
                    $(Self::$range(_) => ($range_chinese, $range_doc),)*
                    Self::Unknown(_) => ("未收录的错误码", "a code that this platform does not know"),
                };
                let english = written.split_once(": ").map_or(written, |(_, meaning)| meaning).trim_end_matches('.');
                language.pick(chinese, english)
            }

            /// The reaction to the code in general. [`super::WechatError::reaction`] also considers the refused call.
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
        SystemBusy = -1, Retry, "−1: system busy. The call may have taken effect.", "系统繁忙，调用可能已经生效";
        SystemError = -1000, Retry, "−1000: system error while sending a message.", "发送消息时系统错误";
        InvalidCredential = 40001, Refresh, "40001: token invalid or replaced by a newer one; if the call takes the secret, the secret is wrong.",
            "access_token 无效，或已被更新的 access_token 取代；需要 AppSecret 的接口则表示 AppSecret 错误";
        InvalidGrantType = 40002, Caller, "40002: invalid grant type.", "grant_type 无效";
        InvalidOpenId = 40003, Caller, "40003: invalid openid.", "openid 无效";
        InvalidMediaId = 40007, Caller, "40007: invalid or expired media id.", "media_id 无效或已过期";
        InvalidAppId = 40013, Config, "40013: invalid appid: the platform's if the call names no account, otherwise the account's.",
            "appid 无效：不涉及账号的接口指平台的，其他接口指该账号的";
        InvalidAccessToken = 40014, Refresh, "40014: invalid access token.", "access_token 无效";
        OauthCodeInvalid = 40029, Caller, "40029: web login code invalid.", "网页授权 code 无效";
        OauthRefreshTokenInvalid = 40030, Caller, "40030: web login refresh token invalid.", "网页授权 refresh_token 无效";
        EscapedUnicode = 40033, Caller, "40033: the body has `\\uXXXX` escapes.", "请求体含有 `\\uXXXX` 转义";
        InvalidUrl = 40066, Caller, "40066: bad URL.", "URL 无效";
        InvalidComponentTicket = 40091, NewTicket, "40091: invalid component ticket.", "component_verify_ticket 无效";
        InvalidComponentCredential = 40094, NewTicket, "40094: invalid component credential.",
            "component_access_token 凭证无效";
        InvalidArgs = 40097, Caller, "40097: invalid arguments, such as an empty code.", "参数无效，例如 code 为空";
        InvalidAppSecret = 40125, Config, "40125: invalid app secret; it may have been reset in the console.",
            "AppSecret 无效，可能已在微信开放平台重置";
        InvalidUserName = 40132, Caller, "40132: invalid user name.", "用户名无效";
        OauthCodeUsed = 40163, Caller, "40163: web login code used.", "网页授权 code 已被使用";
        IpNotInWhitelist = 40164, Config, "40164: the platform's IP address is not in the account's list.",
            "平台的 IP 不在该账号的白名单中";
        CountTooLarge = 40170, Caller, "40170: more than 500 entries requested.", "一次请求超过 500 条";
        AccessTokenMissing = 41001, Caller, "41001: access token missing.", "缺少 access_token 参数";
        AppIdMissing = 41002, Caller, "41002: appid missing.", "缺少 appid 参数";
        AppSecretMissing = 41004, Caller, "41004: app secret missing.", "缺少 AppSecret 参数";
        ComponentAppIdMissing = 41018, Caller, "41018: component appid missing.", "缺少 component_appid 参数";
        ComponentTokenMissing = 41021, Caller, "41021: component token missing.", "缺少 component_access_token 参数";
        AccessTokenExpired = 42001, Refresh, "42001: access token expired.", "access_token 已过期";
        OauthRefreshTokenExpired = 42002, Caller, "42002: web login refresh token expired.", "网页授权 refresh_token 已过期";
        OauthCodeExpired = 42003, Caller, "42003: web login code expired.", "网页授权 code 已过期";
        ComponentTokenExpired = 42006, Refresh, "42006: component token expired.", "component_access_token 已过期";
        PasswordChanged = 42007, Reauthorize, "42007: the merchant changed the password; both tokens are void.",
            "商家修改了密码，access_token 和 refresh_token 均已失效";
        NeedsGet = 43001, Caller, "43001: GET required.", "需要使用 GET 请求";
        NeedsPost = 43002, Caller, "43002: POST required.", "需要使用 POST 请求";
        NeedsHttps = 43003, Caller, "43003: HTTPS required.", "需要使用 HTTPS 请求";
        NotAFollower = 43004, Caller, "43004: the user does not follow the account.", "用户没有关注该账号";
        MerchantMustAuthorize = 43007, Reauthorize, "43007: the merchant's authorization is required.", "需要商家授权";
        UserBlacklisted = 43019, Caller, "43019: the user is on the account's block list.", "用户在该账号的黑名单中";
        EmptyBody = 44002, Caller, "44002: empty body.", "请求体为空";
        DailyQuota = 45009, Quota, "45009: the day's quota is used up.", "当天的调用额度已用完";
        MinuteQuota = 45011, WaitMinute, "45011: the minute's quota is used up.", "每分钟的调用额度已用完";
        MessageWindowClosed = 45015, Caller, "45015: the customer-service window is closed.", "客服消息回复时限已过";
        IpNotRegistered = 45035, Config, "45035: IP address not registered.", "IP 未登记";
        MessageCount = 45047, Caller, "45047: too many customer-service messages.", "客服消息下发条数超过上限";
        NoSuchUser = 46004, Caller, "46004: no such user.", "用户不存在";
        MalformedBody = 47001, Caller, "47001: the body could not be parsed.", "请求体无法解析";
        EscapedUnicodeInJson = 47002, Caller, "47002: the JSON has `\\uXXXX` escapes.", "JSON 含有 `\\uXXXX` 转义";
        ApiUnauthorized = 48001, Permission, "48001: the account lacks this API.", "该账号没有此接口的权限";
        MessagesRefused = 48002, Caller, "48002: the user refuses messages.", "用户拒收消息";
        AgreementMissing = 48003, Permission, "48003: the agreement on mass sending is not accepted.", "尚未同意群发协议";
        ApiBanned = 48004, Permission, "48004: the API was blocked because of violations.", "接口因违规被封禁";
        QuotaClearsUsedUp = 48006, Quota, "48006: the month's quota clears are used up.", "本月的额度清零次数已用完";
        UserUnauthorized = 50001, Caller, "50001: the user has not authorized the API.", "用户未授权此接口";
        AccountLimited = 50002, Caller, "50002: user or account frozen or closed: read the account's status again.",
            "用户或账号已被冻结或注销：请重新读取账号状态";
        InvalidComponentType = 61000, Config, "61000: invalid component type.", "第三方平台类型无效";
        ComponentTypeMismatch = 61001, Config, "61001: component type and appid do not match.", "第三方平台类型与 appid 不匹配";
        NoCustomerService = 61002, Permission, "61002: the account has no customer service.", "该账号未开通客服功能";
        NotAuthorized = 61003, Reauthorize, "61003: the account has not authorized this component, or no longer does.",
            "该账号未授权给本平台，或已取消授权";
        ClientIpNotRegistered = 61004, Config, "61004: the caller's IP address is not in the platform's list; the message contains it.",
            "平台的 IP 不在第三方平台的白名单中，错误信息中有该 IP";
        TicketExpired = 61005, NewTicket, "61005: component ticket expired.", "component_verify_ticket 已过期";
        TicketInvalid = 61006, NewTicket, "61006: component ticket invalid, empty or another component's.",
            "component_verify_ticket 无效、为空，或属于其他第三方平台";
        PermissionNotGranted = 61007, Permission, "61007: the merchant did not grant this permission set, or has withdrawn it.",
            "商家未授予此权限集，或已收回";
        RequestKeyDuplicated = 61008, Caller, "61008: request key used twice.", "请求 key 重复";
        CodeInvalid = 61009, CodeSpent, "61009: authorization code invalid.", "授权码无效";
        CodeExpired = 61010, CodeSpent, "61010: authorization code expired.", "授权码已过期";
        InvalidComponent = 61011, Config, "61011: the component is closed, or is not this platform.", "第三方平台已关闭，或不是本平台";
        OptionName = 61012, Caller, "61012: invalid option name.", "选项名无效";
        OptionValue = 61013, Caller, "61013: invalid option value.", "选项值无效";
        MustUseComponentToken = 61014, Caller, "61014: the call takes the platform's own token, not an account's.",
            "此接口须使用平台的 component_access_token，不能使用账号的";
        MustUseAccountToken = 61015, Caller, "61015: the call takes an account's token, not the platform's own.",
            "此接口须使用账号的 authorizer_access_token，不能使用平台的";
        NeedsConfirmation = 61016, Permission, "61016: the permission set is waiting for confirmation.", "权限集等待确认";
        PermissionNotAuthorized = 61017, Permission, "61017: the permission set is not authorized.", "权限集未授权";
        AlreadyConfirmed = 61018, Caller, "61018: already confirmed.", "已经确认过";
        NoConfirmationNeeded = 61019, Caller, "61019: no confirmation needed.", "无需确认";
        ParameterError = 61020, Caller, "61020: wrong parameter.", "参数错误";
        CannotConfirm = 61021, Caller, "61021: cannot be confirmed.", "无法确认";
        CannotResubmit = 61022, Caller, "61022: cannot be submitted again.", "不能再次提交";
        RefreshTokenInvalid = 61023, RefreshTokenInvalid, "61023: refresh token invalid.", "refresh_token 无效";
        MustUseComponentTokenApi = 61024, Caller, "61024: a component must use `api_component_token`.",
            "第三方平台须使用 `api_component_token`";
        OptionReadOnly = 61025, Caller, "61025: the option is read-only.", "选项只读";
        RegistrationDenied = 61026, Permission, "61026: registration denied.", "没有注册权限";
        RegistrationLimit = 61027, Permission, "61027: registration limit reached.", "已达到注册数量上限";
        ComponentUnpublished = 61028, Config, "61028: the platform is not released.", "第三方平台尚未全网发布";
        ComponentNeedsRelease = 61029, Config, "61029: the platform must be released again.", "第三方平台需要重新全网发布";
        CannotCancelAuthorization = 61030, Caller, "61030: a component may not cancel an authorization.", "第三方平台不能取消授权";
        QuotaPathMalformed = 76003, Caller, "76003: the queried path is malformed.", "查询的接口路径格式错误";
        QuotaPathRefused = 76022, Caller, "76022: the path cannot be queried.", "该接口路径不支持查询";
        MustBeCalledByThirdParty = 86000, Caller, "86000: the call takes the token of an authorized account.",
            "此接口须使用授权账号的 access_token";
        InvalidTrade = 89300, Caller, "89300: invalid trade.", "订单无效";
        MessageServiceError = 20001, Retry, "20001: system error of the message service. A message may have been sent.",
            "消息服务系统错误，消息可能已经发出";
        InvalidMessageType = 40008, Caller, "40008: invalid message type.", "消息类型无效";
        InvalidTemplate = 40037, Caller, "40037: invalid template id.", "模板 ID 无效";
        InvalidScene = 40169, Caller, "40169: invalid scene of a QR code, or the body is not JSON.",
            "二维码的 scene 无效，或包体不是 JSON";
        LoginBlocked = 40226, Caller, "40226: mini-program login is blocked for this user.", "该用户被禁止登录小程序";
        InvalidApiSignature = 40234, Caller, "40234: invalid signature of a signed call.", "接口签名无效";
        NoSuchPage = 41030, Caller, "41030: the mini program has no such page.", "小程序没有该页面";
        NotSubscribed = 43101, Caller, "43101: the user did not subscribe to the message.", "用户未订阅该消息";
        EmptyContent = 44004, Caller, "44004: empty content.", "内容为空";
        ContentTooLong = 45002, Caller, "45002: the content is too long.", "内容过长";
        TooManyArticles = 45008, Caller, "45008: too many articles.", "图文数量超过上限";
        AlreadySent = 45065, Caller, "45065: a mass message with this `clientmsgid` has already been sent.",
            "此 `clientmsgid` 的群发消息已经发送过";
        DomainChangesUsedUp = 45104, Quota, "45104: the platform's domain changes of this month are used up.",
            "平台本月修改域名的次数已用完";
        TemplateData = 47003, Caller, "47003: a value of the template is empty or of the wrong type.", "模板参数为空或类型错误";
        PrivacyScanRunning = 61039, Retry, "61039: the privacy check of the code is still running.", "代码的隐私检测尚未完成";
        PrivacyApi = 61040, Caller, "61040: a privacy API is used without permission, or not declared.", "隐私接口没有权限或未声明";
        InAudit = 85009, Caller, "85009: a version is already under review.", "已有版本正在审核";
        AuditsUsedUp = 85085, Quota, "85085: this month's reviews are used up.", "本月的提审次数已用完";
        CheckFileMissing = 86103, Config, "86103: WeChat does not find the domain's check file.", "微信找不到域名校验文件";
        WithdrawalsUsedUp = 87013, Quota, "87013: the withdrawals of reviews are used up.", "撤回审核的次数已用完";
        BaseLibrary = 89014, Caller, "89014: invalid minimum version of the base library.", "最低基础库版本无效";
        LiveStreamPermission = 9_400_001, Caller, "9400001: no live-stream permission.", "缺少直播权限";
        CommitBusy = 9_402_202, Retry, "9402202: the code is still being uploaded.", "代码仍在上传中";
        StandardTemplate = 9_402_203, Caller, "9402203: limits of a standard template.", "标准模板的限制";
    }
    ranges {
        MediaFile = 40004..=40006, Caller, "40004 to 40006: invalid media type, file type or size.", "媒体类型、文件类型或大小无效";
        OpenIdList = 40031 | 40032, Caller, "40031, 40032: invalid list of openids, or its length.",
            "openid 列表无效，或长度不符";
        MediaMissing = 41005 | 41006, Caller, "41005, 41006: media data or media id missing.", "缺少媒体数据或 media_id";
        AccountPunished = 45087 | 45094, Permission, "45087, 45094: the account is under a penalty.", "该账号正在被处罚";
        Plugins = 80066..=80082, Caller, "80066 to 80082: errors in the plugins of the code.", "代码中的插件有误";
        CodeAndAudit = 85006..=85008 | 85010..=85084 | 85086..=85094 | 85301..=85312 | 86001..=86020 | 87006..=87012, Caller, "85006 to 85094, 85301 to 85312, 86001 to 86020, 87006 to 87012: errors in a mini program's code, review, domains or release.",
            "小程序的代码、审核、域名或发布有误";
        AccountDomainChanges = 86101 | 86102, Quota, "86101, 86102: the account's domain changes of this month are used up.",
            "该账号本月修改域名的次数已用完";
        RegistrationData = 61051..=61070, Caller, "61051 to 61070: wrong data in a registration.", "注册资料有误";
        OpenAccount = 89000..=89004 | 89036, Caller, "89000 to 89004, 89036: binding to an open-platform account failed.", "绑定开放平台账号失败";
        FastRegistration = 89247..=89255, Caller, "89247 to 89255: state or error of a fast registration.",
            "快速注册的状态或错误";
        ExpediteAudit = 89401..=89405, Caller, "89401 to 89405: expediting a review failed.", "加急审核失败";
        IpConfirmation = 89501..=89507, Config, "89501 to 89507: a new IP address is waiting for the administrator's confirmation, or was refused.",
            "新 IP 正在等待管理员确认，或已被拒绝";
    }
}

impl ErrCode {
    /// The reaction to the code as the result of a call: a number means different things for different subjects.
    #[must_use]
    pub const fn reaction_to(self, api: Api) -> Reaction {
        match self {
            // No token was sent: the secret itself is wrong.
            Self::InvalidCredential if api.takes_secret() => Reaction::Config,
            // The account's appid is wrong, not the platform's.
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
    fn only_a_code_that_says_so_ends_an_accounts_grant() {
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
            // Skip the heading of the table and the line below it.
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

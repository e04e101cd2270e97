//! The meaning of WeChat's refusals of the platform's own calls for an operator: the reactions of [`wechat::api`], in
//! words.

use base::language::Language;
use wechat::api::{ErrCode, Reaction, Refusal, WechatError};

use crate::finding::Verdict;

/// The refusal in one line: code, call, request id, refused address, and WeChat's own words, sanitized.
#[must_use]
pub fn sentence(refusal: &Refusal, language: Language) -> String {
    let Refusal { api, code, .. } = refusal;
    let ip = refusal.refused_ip.map(|ip| say!(language, "，来源 IP {ip}", " from {ip}")).unwrap_or_default();
    let rid = refusal.rid.as_ref().map(|rid| say!(language, "，rid {rid}", ", rid {rid}")).unwrap_or_default();
    let words = refusal.errmsg.split("rid:").next().unwrap_or_default().trim();
    say!(language, "错误码 {code}，接口 {api}{ip}{rid}（{words:?}）", "code {code} to {api}{ip}{rid} ({words:?})")
}

/// The severity: whether the refusal stops the platform or is temporary. A refusal of a single account says nothing
/// about the platform.
#[must_use]
pub fn verdict(refusal: &Refusal) -> Verdict {
    match reaction(refusal) {
        Reaction::Config | Reaction::Quota | Reaction::NewTicket => Verdict::Wrong,
        Reaction::Reauthorize | Reaction::Permission | Reaction::CodeSpent | Reaction::RefreshTokenInvalid => {
            Verdict::Ok
        }
        _ => Verdict::Warning,
    }
}

/// What to do about it.
#[must_use]
pub fn remedy(refusal: &Refusal, language: Language) -> String {
    if refusal.code == ErrCode::ClientIpNotRegistered {
        return match refusal.refused_ip {
            Some(ip) => say!(
                language,
                "请在微信开放平台（第三方平台，开发资料）的“白名单IP地址列表”中添加 {ip}",
                "add {ip} to 白名单IP地址列表 in WeChat's console (第三方平台, 开发资料)",
            ),
            None => language
                .pick(
                    "请在微信开放平台（第三方平台，开发资料）的“白名单IP地址列表”中添加函数的出口 IP",
                    "add the functions' outgoing address to 白名单IP地址列表 in WeChat's console (第三方平台, 开发资料)",
                )
                .to_owned(),
        };
    }
    let (chinese, english) = texts(refusal.code, reaction(refusal));
    language.pick(chinese, english).to_owned()
}

/// What to do, in Chinese and in English.
const fn texts(code: ErrCode, reaction: Reaction) -> (&'static str, &'static str) {
    match (code, reaction) {
        (ErrCode::InvalidAppSecret | ErrCode::InvalidCredential, Reaction::Config) => (
            "密钥中的 component_appsecret 不是本平台的：请从微信开放平台复制，遗失时请在那里重置",
            "component_appsecret in the secret is not the platform's: copy it from WeChat's console, reset it there if lost",
        ),
        (ErrCode::InvalidAppId | ErrCode::InvalidComponent, _) => (
            "密钥中的 component_appid 不是本平台的，或者平台已被关闭：请在微信开放平台查看",
            "component_appid in the secret is not the platform's, or the platform was closed: look at WeChat's console",
        ),
        (ErrCode::ComponentUnpublished | ErrCode::ComponentNeedsRelease, _) => {
            ("请在微信开放平台全网发布本平台", "release the platform (全网发布) in WeChat's console")
        }
        (ErrCode::IpConfirmation(_), _) => (
            "请平台管理员在微信中确认新的 IP 地址",
            "the platform's administrator must confirm the new address in WeChat",
        ),
        (_, Reaction::Config) => (
            "请对照密钥检查微信开放平台中的配置；错误码见 docs/operations.md",
            "compare the settings in WeChat's console with the secret; docs/operations.md lists codes",
        ),
        (_, Reaction::NewTicket) => (
            "现有票据不可用：请等待下一次推送，并查看“验证票据”一项",
            "the stored ticket is unusable: wait for the next push, and see the line about the ticket",
        ),
        (_, Reaction::Quota) => (
            "请等待额度在北京时间零点重置，并排查是否有其他服务器在消耗调用次数（指标 second_issuer）",
            "wait until the quota is reset at midnight in Beijing, and look for another server that uses up the calls \
             (metric second_issuer)",
        ),
        (_, Reaction::WaitMinute | Reaction::Retry) => (
            "无需处理，系统会自动重试；请 10 分钟后再看一次",
            "nothing, the call is retried automatically; check again in 10 minutes",
        ),
        (_, Reaction::Refresh) => (
            "无需处理，令牌会自动续期；如果持续出现，说明另有服务器在为本平台获取令牌（指标 second_issuer）",
            "nothing, the token is renewed automatically; if this persists, another server issues tokens for this platform (metric \
             second_issuer)",
        ),
        (_, Reaction::Reauthorize) => ("请该商家重新授权", "that merchant must authorize the platform again"),
        (_, Reaction::Permission) => ("请该商家授予这个权限集", "that merchant must grant the permission set"),
        (_, Reaction::CodeSpent) => (
            "无需处理：授权会自动恢复，否则请商家重新打开授权链接",
            "nothing: the grant is recovered automatically, or else the merchant has to open the link again",
        ),
        (_, Reaction::RefreshTokenInvalid) => (
            "无需处理，除非持续出现：系统会从微信重新读取 refresh_token",
            "nothing, unless this persists: the refresh token is read from WeChat again",
        ),
        (_, Reaction::Caller | Reaction::Unknown) => (
            "请在微信文档中查找该错误码，联系微信客服时请提供 rid；具体情况见 token-refresher 的日志",
            "look the code up in WeChat's documentation and give its rid to WeChat's support; token-refresher's log has the details",
        ),
    }
}

/// The reaction to the code, given the refused call.
fn reaction(refusal: &Refusal) -> Reaction {
    WechatError::from(refusal.clone()).reaction()
}

#[cfg(test)]
mod tests {
    use wechat::api::Api;

    use super::*;

    fn refused(api: Api, code: i64) -> Refusal {
        let errmsg = "hello rid: 62bc0b4a-1".to_owned();
        let refused_ip = (code == 61_004).then(|| "203.0.113.9".parse().unwrap());
        Refusal { api, code: ErrCode::from_code(code), errmsg, rid: Some("62bc0b4a-1".to_owned()), refused_ip }
    }

    #[test]
    fn a_refusal_is_described_with_call_address_and_request_id() {
        let refusal = refused(Api::ComponentToken, 61_004);
        let told = sentence(&refusal, Language::English);
        assert_eq!(told, "code 61004 to api_component_token from 203.0.113.9, rid 62bc0b4a-1 (\"hello\")");
        let told = sentence(&refusal, Language::Chinese);
        let expected = "错误码 61004，接口 api_component_token，来源 IP 203.0.113.9，rid 62bc0b4a-1（\"hello\"）";
        assert_eq!(told, expected);
    }

    #[test]
    fn what_stops_the_platform_is_wrong_and_what_concerns_a_merchant_is_not() {
        for (api, code, expected, english, chinese) in [
            (Api::ComponentToken, 61_004, Verdict::Wrong, "203.0.113.9 to 白名单IP地址列表", "添加 203.0.113.9"),
            (Api::ComponentToken, 40_125, Verdict::Wrong, "component_appsecret", "component_appsecret"),
            (Api::ComponentToken, 40_001, Verdict::Wrong, "component_appsecret", "component_appsecret"),
            (Api::AuthorizerToken, 40_001, Verdict::Warning, "second_issuer", "second_issuer"),
            (Api::ComponentToken, 61_011, Verdict::Wrong, "component_appid", "component_appid"),
            (Api::ComponentToken, 61_006, Verdict::Wrong, "ticket", "票据"),
            (Api::AuthorizerToken, 45_009, Verdict::Wrong, "midnight in Beijing", "北京时间零点"),
            (Api::AuthorizerToken, 61_003, Verdict::Ok, "merchant must authorize", "重新授权"),
            (Api::AuthorizerToken, -1, Verdict::Warning, "retried", "重试"),
            (Api::AuthorizerToken, 99_999, Verdict::Warning, "rid", "rid"),
        ] {
            let refusal = refused(api, code);
            assert_eq!(verdict(&refusal), expected, "{code}");
            for (language, advised) in [(Language::English, english), (Language::Chinese, chinese)] {
                let remedy = remedy(&refusal, language);
                assert!(remedy.contains(advised), "{code}: {remedy}");
            }
        }
    }
}

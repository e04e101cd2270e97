//! What WeChat's refusals mean for an operator: the reactions of [`wechat::api`], in words.

use wechat::api::{ErrCode, Reaction, Refusal, WechatError};

use crate::finding::Verdict;

/// The refusal in one line: code, call, request id, refused address, and WeChat's own words, which are cleaned.
pub(super) fn told(refusal: &Refusal) -> String {
    let ip = refusal.refused_ip.map(|ip| format!(" from {ip}")).unwrap_or_default();
    let rid = refusal.rid.as_ref().map(|rid| format!(", rid {rid}")).unwrap_or_default();
    let words = refusal.errmsg.split("rid:").next().unwrap_or_default().trim();
    format!("code {} to {}{ip}{rid} ({words:?})", refusal.code, refusal.api.name())
}

/// Whether it stops the platform, or concerns an account or a moment.
pub(super) fn verdict(refusal: &Refusal) -> Verdict {
    match reaction(refusal) {
        Reaction::Config | Reaction::Quota | Reaction::NewTicket => Verdict::Wrong,
        _ => Verdict::Warning,
    }
}

/// What to do about it.
pub(super) fn advice(refusal: &Refusal) -> String {
    match (refusal.code, reaction(refusal)) {
        (ErrCode::ClientIpNotRegistered, _) => match refusal.refused_ip {
            Some(ip) => format!("add {ip} to 白名单IP地址列表 in WeChat's console (第三方平台, 开发资料)"),
            None => "add the functions' outgoing address to 白名单IP地址列表 in WeChat's console (第三方平台, 开发资料)".to_owned(),
        },
        (ErrCode::InvalidAppSecret | ErrCode::InvalidCredential, Reaction::Config) => {
            "component_appsecret in the secret is not the platform's: copy it from WeChat's console, reset it there if lost"
                .to_owned()
        }
        (ErrCode::InvalidAppId | ErrCode::InvalidComponent, _) => {
            "component_appid in the secret is not the platform's, or the platform was closed: look at WeChat's console"
                .to_owned()
        }
        (ErrCode::ComponentUnpublished | ErrCode::ComponentNeedsRelease, _) => {
            "release the platform (全网发布) in WeChat's console".to_owned()
        }
        (ErrCode::IpConfirmation(_), _) => {
            "the platform's administrator must confirm the new address in WeChat".to_owned()
        }
        (_, Reaction::Config) => "compare the settings in WeChat's console with the secret; docs/operations.md lists codes".to_owned(),
        (_, Reaction::NewTicket) => {
            "the stored ticket is unusable: wait for the next push, and see the line about the ticket".to_owned()
        }
        (_, Reaction::Quota) => {
            "wait until the quota is reset at midnight in Beijing, and look for another server that uses up the calls \
             (metric second_issuer)"
                .to_owned()
        }
        (_, Reaction::WaitMinute | Reaction::Retry) => "nothing, it is tried again; look once more in 10 minutes".to_owned(),
        (_, Reaction::Refresh) => {
            "nothing, the token is renewed; if it stays, another server issues tokens for this platform (metric \
             second_issuer)"
                .to_owned()
        }
        (_, Reaction::Reauthorize) => "that merchant must authorize the platform again".to_owned(),
        (_, Reaction::Permission) => "that merchant must grant the permission set".to_owned(),
        (_, Reaction::CodeSpent) => "nothing: the grant is recovered by itself, or the merchant follows the link again".to_owned(),
        (_, Reaction::RefreshTokenInvalid) => "nothing, unless it stays: the refresh token is read anew from WeChat".to_owned(),
        (_, Reaction::Caller | Reaction::Unknown) => {
            "look the code up with its rid in WeChat's documentation; token-refresher's log has the circumstances".to_owned()
        }
    }
}

/// What the code asks for, given the call it answered.
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
    fn a_refusal_is_told_with_call_address_and_request_id() {
        let told = told(&refused(Api::ComponentToken, 61_004));
        assert_eq!(told, "code 61004 to api_component_token from 203.0.113.9, rid 62bc0b4a-1 (\"hello\")");
    }

    #[test]
    fn what_stops_the_platform_is_wrong_and_what_concerns_a_merchant_is_not() {
        for (api, code, expected, advised) in [
            (Api::ComponentToken, 61_004, Verdict::Wrong, "203.0.113.9 to 白名单IP地址列表"),
            (Api::ComponentToken, 40_125, Verdict::Wrong, "component_appsecret"),
            (Api::ComponentToken, 40_001, Verdict::Wrong, "component_appsecret"),
            (Api::AuthorizerToken, 40_001, Verdict::Warning, "second_issuer"),
            (Api::ComponentToken, 61_011, Verdict::Wrong, "component_appid"),
            (Api::ComponentToken, 61_006, Verdict::Wrong, "ticket"),
            (Api::AuthorizerToken, 45_009, Verdict::Wrong, "midnight in Beijing"),
            (Api::AuthorizerToken, 61_003, Verdict::Warning, "merchant must authorize"),
            (Api::AuthorizerToken, -1, Verdict::Warning, "tried again"),
            (Api::AuthorizerToken, 99_999, Verdict::Warning, "rid"),
        ] {
            let refusal = refused(api, code);
            assert_eq!(verdict(&refusal), expected, "{code}");
            assert!(advice(&refusal).contains(advised), "{code}: {}", advice(&refusal));
        }
    }
}

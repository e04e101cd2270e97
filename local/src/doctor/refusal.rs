//! What WeChat's refusals mean for an operator: the reactions of [`shared::wechat`], in words.

use shared::wechat::{ErrCode, Reaction, Refusal, WechatError};

use super::finding::Verdict;

/// The refusal in one line: code, call, request id, refused address, and WeChat's own words, which are cleaned.
pub(super) fn told(refusal: &Refusal) -> String {
    let mut told = format!("code {} to {}", refusal.code, refusal.api.name());
    if let Some(ip) = refusal.refused_ip {
        told += &format!(" from {ip}");
    }
    if let Some(rid) = &refusal.rid {
        told += &format!(", rid {rid}");
    }
    let words = refusal.errmsg.split("rid:").next().unwrap_or_default().trim();
    format!("{told} ({words:?})")
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
            "the stored ticket is of no use: wait for the next push, and see the line about the ticket".to_owned()
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

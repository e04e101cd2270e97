//! The names of what the console and its lists show: states, changes, pushes and their outcomes, permission sets.

use base::language::Language;
use store::{AccountState, StateChange};
use wechat::api::ErrCode;
use wechat::permissions::PermissionSet;

/// The state of an account, in a word or two.
#[must_use]
pub const fn state(state: AccountState, language: Language) -> &'static str {
    match state {
        AccountState::Active => language.pick("已授权", "Authorized"),
        AccountState::Unauthorized => language.pick("已取消授权", "Authorization withdrawn"),
        AccountState::NeedsAuthorization => language.pick("需要重新授权", "Needs authorization again"),
    }
}

/// The meaning of a state, and what to do about it.
#[must_use]
pub const fn state_meaning(state: AccountState, language: Language) -> &'static str {
    match state {
        AccountState::Active => language.pick(
            "授权有效，令牌由平台自动续期",
            "the authorization is in force, and the platform renews its token",
        ),
        AccountState::Unauthorized => language.pick(
            "商家在微信后台取消了授权；如需恢复，请把新的授权链接发给商家",
            "the merchant withdrew the authorization in WeChat's console; to have it back, send the merchant a new link",
        ),
        AccountState::NeedsAuthorization => language.pick(
            "微信拒绝了原有授权，只有商家重新授权才能恢复：请把新的授权链接发给商家",
            "WeChat refuses the authorization, and only the merchant can restore it: send the merchant a new link",
        ),
    }
}

/// A change of an account, in a sentence without a full stop.
#[must_use]
pub fn change(change: &StateChange, language: Language) -> String {
    match change {
        StateChange::Authorized { .. } => {
            language.pick("商家完成授权", "the merchant authorized the platform").to_owned()
        }
        StateChange::NeedsAuthorization { errcode, .. } => {
            let refused = language.pick(
                "微信拒绝了原有授权，需要商家重新授权",
                "WeChat refuses the authorization: the merchant has to authorize again",
            );
            match errcode.map(ErrCode::from_code) {
                None => refused.to_owned(),
                Some(code) => {
                    let meaning = code.meaning(language);
                    say!(language, "{refused}（{code}：{meaning}）", "{refused} ({code}: {meaning})")
                }
            }
        }
        StateChange::Unauthorized => {
            language.pick("商家取消了授权", "the merchant withdrew the authorization").to_owned()
        }
        StateChange::Recovered { .. } => {
            language.pick("一度失效的授权已恢复", "the authorization, which had seemed lost, works again").to_owned()
        }
        StateChange::PermissionsChanged { added, removed } => permissions_changed(added, removed, language),
        StateChange::ProfileChanged { members } => {
            let members = members.iter().map(|member| profile_member(member, language));
            let members = join(members, language);
            say!(language, "资料有变化：{members}", "the profile changed: {members}")
        }
    }
}

fn permissions_changed(added: &[u32], removed: &[u32], language: Language) -> String {
    let named = |ids: &[u32]| join(ids.iter().map(|id| permission(*id, language)), language);
    let (gained, lost) = (named(added), named(removed));
    match (added.is_empty(), removed.is_empty()) {
        (false, true) => say!(language, "权限集有变化：新增 {gained}", "permission sets changed: added {gained}"),
        (true, _) => say!(language, "权限集有变化：减少 {lost}", "permission sets changed: removed {lost}"),
        (false, false) => say!(
            language,
            "权限集有变化：新增 {gained}；减少 {lost}",
            "permission sets changed: added {gained}; removed {lost}",
        ),
    }
}

fn join(words: impl Iterator<Item = String>, language: Language) -> String {
    words.collect::<Vec<_>>().join(language.pick("、", ", "))
}

/// A permission set by the id in `func_info`: its name, or the id if the protocol has no name for it.
#[must_use]
pub fn permission(id: u32, language: Language) -> String {
    match PermissionSet::of(id) {
        Some(set) => set.title(language).to_owned(),
        None => say!(language, "权限集 {id}", "permission set {id}"),
    }
}

/// The name of a profile's member, as events list it.
fn profile_member(member: &str, language: Language) -> String {
    let word = match member {
        "kind" => language.pick("账号类型", "kind"),
        "nick_name" => language.pick("名称", "name"),
        "head_img" => language.pick("头像", "picture"),
        "user_name" => language.pick("原始 ID", "original id"),
        "principal_name" => language.pick("主体", "owner"),
        "alias" => language.pick("微信号", "WeChat id"),
        "qrcode_url" => language.pick("二维码", "QR code"),
        "signature" => language.pick("简介", "description"),
        "service_type" => language.pick("服务类型", "service type"),
        "verify_type" => language.pick("认证状态", "verification"),
        "account_status" => language.pick("账号状态", "account status"),
        other => other,
    };
    word.to_owned()
}

/// WeChat's `account_status` of an account (protocol section 1.6).
#[must_use]
pub fn account_status(status: i64, language: Language) -> String {
    match status {
        1 => language.pick("正常", "normal").to_owned(),
        14 => language.pick("已注销", "closed").to_owned(),
        16 => language.pick("已封禁", "banned").to_owned(),
        18 => language.pick("已告警", "warned").to_owned(),
        19 => language.pick("已冻结", "frozen").to_owned(),
        other => other.to_string(),
    }
}

/// The kind of an arrival in the inbox: WeChat's `InfoType`, or our own word for a code or a message of the release
/// check. `None` for a type that the platform does not know, which is shown as it is.
#[must_use]
pub fn arrival(info_type: &str, language: Language) -> Option<&'static str> {
    Some(match info_type {
        "authorized" => language.pick("授权成功", "authorized"),
        "updateauthorized" => language.pick("授权更新", "authorization updated"),
        "unauthorized" => language.pick("取消授权", "authorization withdrawn"),
        "redirect" => language.pick("授权回调", "return from WeChat's page"),
        "release-check" => language.pick("全网发布检测", "release check"),
        "notify_third_fasteregister" => language.pick("快速注册小程序", "mini program registered"),
        "notify_third_fastregisterbetaapp" => language.pick("注册试用小程序", "trial mini program registered"),
        "notify_third_fastverifybetaapp" => language.pick("试用小程序转正", "trial mini program verified"),
        "notify_3rd_wxa_auth" => language.pick("小程序认证进度", "mini program verification"),
        "notify_3rd_wxa_wxverify" => language.pick("小程序认证即将到期", "mini program verification expiring"),
        "notify_3rd_wxa_auth_and_icp" => language.pick("小程序认证和备案进度", "mini program verification and filing"),
        "notify_icpfiling_verify_result" => language.pick("备案人脸核身结果", "face check of a filing"),
        "notify_apply_icpfiling_result" => language.pick("备案进度", "filing"),
        "order_path_apply_result_notify" => language.pick("订单页路径提交结果", "order page submitted"),
        "order_path_audit_result_notify" => language.pick("订单页路径审核结果", "order page reviewed"),
        _ => return None,
    })
}

/// All types that [`arrival`] names, the most frequent first.
pub const ARRIVALS: [&str; 15] = [
    "authorized",
    "updateauthorized",
    "unauthorized",
    "redirect",
    "release-check",
    "notify_third_fasteregister",
    "notify_third_fastregisterbetaapp",
    "notify_third_fastverifybetaapp",
    "notify_3rd_wxa_auth",
    "notify_3rd_wxa_wxverify",
    "notify_3rd_wxa_auth_and_icp",
    "notify_icpfiling_verify_result",
    "notify_apply_icpfiling_result",
    "order_path_apply_result_notify",
    "order_path_audit_result_notify",
];

/// The outcome of an arrival, from the word that is stored with it once it is done. `None` for the word of a failure,
/// which [`crate::codes::of_run`] explains.
#[must_use]
pub fn outcome(word: &str, language: Language) -> Option<&'static str> {
    Some(match word {
        "granted" => language.pick("授权已保存", "the authorization is stored"),
        "granted since" => language.pick("此后商家已重新授权，无需处理", "authorized again since, nothing to do"),
        "marked" => language.pick("账号已标记为取消授权", "the account is marked as withdrawn"),
        "known" => language.pick("此前已处理", "it was already known"),
        "revoked since" => language.pick("授权此后已被取消", "the authorization was withdrawn since"),
        "gone" => language.pick("微信一侧已没有该授权", "WeChat no longer has the authorization"),
        "spent" => language.pick("授权码已被使用", "the code had already been used"),
        "noted" => language.pick("已记录并转发", "recorded and passed on"),
        "unreadable" => language.pick("内容无法解析", "its content cannot be parsed"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_described_with_its_reason() {
        let lost = StateChange::NeedsAuthorization { errcode: Some(61_003), rid: None, asks_again: None };
        let told = change(&lost, Language::Chinese);
        assert_eq!(told, "微信拒绝了原有授权，需要商家重新授权（61003：该账号未授权给本平台，或已取消授权）");
        let told = change(&lost, Language::English);
        assert!(told.ends_with("(61003: the account has not authorized this component, or no longer does)"), "{told}");
        let changed = StateChange::PermissionsChanged { added: vec![1, 9_999], removed: vec![15] };
        let told = change(&changed, Language::English);
        assert_eq!(told, "permission sets changed: added Messages, permission set 9999; removed Menus");
        let told = change(&changed, Language::Chinese);
        assert_eq!(told, "权限集有变化：新增 消息管理、权限集 9999；减少 菜单管理");
        let looks = StateChange::ProfileChanged { members: vec!["nick_name".to_owned(), "new_one".to_owned()] };
        assert_eq!(change(&looks, Language::Chinese), "资料有变化：名称、new_one");
    }

    #[test]
    fn every_known_push_has_a_name() {
        use wechat::push::Notice;
        let types = Notice::ALL.iter().map(|notice| notice.info_type());
        for info_type in types.chain(["authorized", "updateauthorized", "unauthorized", "notify_third_fasteregister"]) {
            assert!(arrival(info_type, Language::Chinese).is_some(), "{info_type}");
        }
        assert_eq!(arrival("new_one", Language::Chinese), None);
    }
}

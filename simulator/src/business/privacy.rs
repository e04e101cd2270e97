//! The privacy guide of a mini program (用户隐私保护指引, protocol section 14).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::media::{Format, Purpose};
use crate::api::{Outcome, Request, ok};
use crate::refusal::Refusal;
use crate::simulator::Simulator;
use crate::world::Holder;

/// `privacy_ver` of the guide that users see.
const LIVE: u64 = 1;
/// `privacy_ver` of the guide that comes with the next release.
const DEVELOPMENT: u64 = 2;
/// The subjects of a guide, which WeChat names in each response.
const KEYS: [(&str, &str); 4] =
    [("UserInfo", "用户信息"), ("Location", "位置信息"), ("PhoneNumber", "手机号"), ("Album", "选中的照片或视频信息")];
/// The most bytes of an uploaded guide.
const MAX_FILE: usize = 100 * 1024;

/// The guides of an account by `privacy_ver`.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Privacy(BTreeMap<u64, Value>);

impl Privacy {
    /// Publishes the guide with the release of a version.
    pub(super) fn release(&mut self) {
        if let Some(guide) = self.0.get(&DEVELOPMENT).cloned() {
            self.0.insert(LIVE, guide);
        }
    }
}

fn version_of(request: &Request) -> Result<u64, Refusal> {
    match request.body.get("privacy_ver") {
        None => Ok(DEVELOPMENT),
        Some(version) => version
            .as_u64()
            .filter(|version| [LIVE, DEVELOPMENT].contains(version))
            .ok_or_else(|| Refusal::new(40097, "invalid args: privacy_ver")),
    }
}

pub(crate) fn set(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let version = version_of(request)?;
    let owner = request.body.get("owner_setting").ok_or_else(|| Refusal::missing("owner_setting"))?;
    let text = |name: &str| owner.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    text("notice_method").ok_or_else(|| Refusal::missing("owner_setting.notice_method"))?;
    let contacts = ["contact_phone", "contact_email", "contact_qq", "contact_weixin"];
    contacts.iter().find_map(|name| text(name)).ok_or_else(|| Refusal::missing("owner_setting.contact_phone"))?;
    if let Some(id) = text("ext_file_media_id")
        && !simulator.has_medium(&holder.account, id)
    {
        return Err(Refusal::invalid_medium());
    }
    let settings = request.body.get("setting_list").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_known = |setting: &Value| KEYS.iter().any(|(key, _)| setting.get("privacy_key") == Some(&json!(key)));
    if !settings.iter().all(is_known) {
        return Err(Refusal::new(40097, "invalid args: setting_list.privacy_key"));
    }
    let guide = json!({
        "owner_setting": owner,
        "setting_list": settings,
        "update_time": simulator.now().unix(),
    });
    simulator.change_account(&holder.account, |of, _| of.privacy.0.insert(version, guide));
    Ok(ok(json!({})))
}

pub(crate) fn get(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let version = version_of(request)?;
    let guide = simulator.of_account(&holder.account, |of| of.privacy.0.get(&version).cloned());
    let described = KEYS.map(|(key, name)| json!({ "privacy_key": key, "privacy_desc": name }));
    let mut answer = json!({
        "code_exist": u8::from(simulator.of_account(&holder.account, |of| of.code.is_committed())),
        "privacy_list": KEYS.map(|(key, _)| key),
        "privacy_desc": { "privacy_desc_list": described },
        "setting_list": [],
    });
    if let (Some(Value::Object(guide)), Some(answer)) = (guide, answer.as_object_mut()) {
        answer.extend(guide);
    }
    Ok(ok(answer))
}

/// Uploads a guide: a text file.
pub(crate) fn upload(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let part = request.parts.iter().find(|part| part.name == "file" && part.file_name.is_some());
    let part = part.filter(|part| !part.bytes.is_empty()).ok_or_else(|| Refusal::new(41005, "media data missing"))?;
    if part.bytes.len() > MAX_FILE {
        return Err(Refusal::new(40006, "invalid media size"));
    }
    let medium = simulator.keep_medium(&holder.account, Purpose::Audit, Format::Text, &part.bytes);
    Ok(ok(json!({ "ext_file_media_id": medium.id })))
}

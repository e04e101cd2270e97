//! Settings of a mini program that are read before its code is submitted (protocol section 14): profile, categories and
//! testers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::{Outcome, Request, ok};
use crate::refusal::Refusal;
use crate::simulator::Simulator;
use crate::world::Holder;

/// The most testers of a mini program.
const MAX_TESTERS: usize = 100;

/// The testers of a mini program: the name of each in responses, by WeChat id.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Testers(BTreeMap<String, String>);

pub(crate) fn profile(simulator: &Simulator, _: &Request, holder: &Holder) -> Outcome {
    let account = simulator.account(&holder.account).ok_or_else(|| Refusal::new(40013, "invalid appid"))?;
    Ok(ok(json!({
        "appid": account.appid,
        "account_type": 2,
        "principal_type": 1,
        "principal_name": account.principal_name,
        "realname_status": 1,
        "nickname": account.nick_name,
        "wx_verify_info": { "qualification_verify": account.verify_type == 0, "naming_verify": account.verify_type == 0 },
        "signature_info": { "signature": "", "modify_used_count": 0, "modify_quota": 5 },
        "head_image_info": { "head_image_url": "", "modify_used_count": 0, "modify_quota": 5 },
    })))
}

/// The categories that a submission may name.
pub(crate) fn categories(_: &Simulator, _: &Request, _: &Holder) -> Outcome {
    let category = json!({ "first_class": "工具", "second_class": "效率", "first_id": 287, "second_id": 616 });
    Ok(ok(json!({ "category_list": [category] })))
}

pub(crate) fn bind_tester(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let tester = request.required("wechatid")?.to_owned();
    let name = simulator.change_account(&holder.account, |of, at| {
        if of.testers.0.contains_key(&tester) {
            return Err(Refusal::new(85004, "wechatid is a tester already"));
        }
        if of.testers.0.len() >= MAX_TESTERS {
            return Err(Refusal::new(85003, "too many testers"));
        }
        Ok(of.testers.0.entry(tester).or_insert_with(|| at.random.id()).clone())
    })?;
    Ok(ok(json!({ "userstr": name })))
}

/// By WeChat id, or by the name in responses.
pub(crate) fn unbind_tester(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let (tester, name) = (request.text("wechatid")?, request.text("userstr")?);
    simulator.change_account(&holder.account, |of, _| {
        let count = of.testers.0.len();
        of.testers.0.retain(|known, known_name| Some(known.as_str()) != tester && Some(known_name.as_str()) != name);
        if of.testers.0.len() < count { Ok(ok(json!({}))) } else { Err(Refusal::new(85001, "no such tester")) }
    })
}

pub(crate) fn testers(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    if request.required("action")? != "get_experiencer" {
        return Err(Refusal::new(40097, "invalid args: action"));
    }
    let written = |name: &String| json!({ "userstr": name });
    let members: Vec<Value> = simulator.of_account(&holder.account, |of| of.testers.0.values().map(written).collect());
    Ok(ok(json!({ "members": members })))
}

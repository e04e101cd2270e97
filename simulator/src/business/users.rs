//! Followers (protocol section 5.8).

use std::collections::BTreeMap;

use base::clock::Timestamp;
use base::ids::AppId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::{Outcome, Request};
use crate::refusal::Refusal;
use crate::simulator::Simulator;
use crate::world::{Holder, follower_of};

/// The most users in one batch query.
const MAX_BATCH: usize = 100;
/// Followers in a page of the list.
const MAX_LIST: usize = 10_000;

/// Everybody who ever followed an account. The follower of the chat page always follows.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Users(BTreeMap<String, Follower>);

#[derive(Clone, Serialize, Deserialize)]
struct Follower {
    is_subscribed: bool,
    since: Timestamp,
}

impl Simulator {
    /// Somebody follows an account, for the first time or again.
    pub fn follow(&self, account: &AppId, open_id: &str) {
        self.set_follower(account, open_id, true);
    }

    /// Somebody unfollows an account.
    pub fn unfollow(&self, account: &AppId, open_id: &str) {
        self.set_follower(account, open_id, false);
    }

    fn set_follower(&self, account: &AppId, open_id: &str, is_subscribed: bool) {
        self.change_account(account, |of, at| {
            of.users.0.insert(open_id.to_owned(), Follower { is_subscribed, since: at.now });
        });
    }

    /// Everybody who follows the account or did before.
    fn users(&self, account: &AppId) -> BTreeMap<String, Follower> {
        let mut users = self.of_account(account, |of| of.users.0.clone());
        let of_the_chat = Follower { is_subscribed: true, since: Timestamp::from_unix(0) };
        users.entry(follower_of(account)).or_insert(of_the_chat);
        users
    }

    /// Returns 40003 or 43004 if nobody ever followed, or no longer follows, the account under this openid.
    pub(super) fn check_follower(&self, account: &AppId, open_id: &str) -> Result<(), Refusal> {
        match self.users(account).get(open_id) {
            None => Err(Refusal::invalid_openid()),
            Some(user) if user.is_subscribed => Ok(()),
            Some(_) => Err(Refusal::new(43004, "require subscribe")),
        }
    }
}

/// Whether a text has the form of an openid.
pub(super) fn is_openid(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

pub(crate) fn info(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let open_id = request.parameter("openid").unwrap_or_default();
    let lang = request.parameter("lang").unwrap_or("zh_CN");
    Ok(info_of(simulator, &holder.account, &simulator.users(&holder.account), open_id, lang)?.into())
}

pub(crate) fn batch_get(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let list = request.body.get("user_list").and_then(Value::as_array);
    let list = list.filter(|list| !list.is_empty()).ok_or_else(|| Refusal::new(40031, "invalid openid list"))?;
    if list.len() > MAX_BATCH {
        return Err(Refusal::new(40032, "invalid openid list size"));
    }
    let users = simulator.users(&holder.account);
    let info = list.iter().map(|entry| {
        let text = |name| entry.get(name).and_then(Value::as_str);
        let (open_id, lang) = (text("openid").unwrap_or_default(), text("lang").unwrap_or("zh_CN"));
        info_of(simulator, &holder.account, &users, open_id, lang)
    });
    Ok(json!({ "user_info_list": info.collect::<Result<Vec<_>, _>>()? }).into())
}

pub(crate) fn list(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let after = request.parameter("next_openid").unwrap_or_default();
    let users = simulator.users(&holder.account);
    if !after.is_empty() && !users.contains_key(after) {
        return Err(Refusal::invalid_openid());
    }
    let followers: Vec<_> = users.iter().filter(|(_, user)| user.is_subscribed).map(|(open_id, _)| open_id).collect();
    let page: Vec<_> = followers.iter().filter(|open_id| open_id.as_str() > after).take(MAX_LIST).collect();
    let next = page.last().map_or("", |open_id| open_id.as_str());
    let mut answer = json!({ "total": followers.len(), "count": page.len(), "next_openid": next });
    if !page.is_empty() {
        answer["data"] = json!({ "openid": page });
    }
    Ok(answer.into())
}

fn info_of(
    simulator: &Simulator,
    account: &AppId,
    users: &BTreeMap<String, Follower>,
    open_id: &str,
    lang: &str,
) -> Result<Value, Refusal> {
    let user = users.get(open_id).ok_or_else(Refusal::invalid_openid)?;
    let mut info =
        if user.is_subscribed { details_of(user, open_id, lang) } else { json!({ "subscribe": 0, "openid": open_id }) };
    if let Some(union_id) = simulator.union_id(account, open_id) {
        info["unionid"] = json!(union_id);
    }
    Ok(info)
}

fn details_of(user: &Follower, open_id: &str, lang: &str) -> Value {
    json!({
        "subscribe": 1,
        "openid": open_id,
        "nickname": "",
        "sex": 0,
        "language": lang,
        "city": "",
        "province": "",
        "country": "",
        "headimgurl": "",
        "subscribe_time": user.since.unix(),
        "remark": "",
        "groupid": 0,
        "tagid_list": [],
        "subscribe_scene": "ADD_SCENE_SEARCH",
        "qr_scene": 0,
        "qr_scene_str": "",
    })
}

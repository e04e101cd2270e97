//! Logins and phone numbers of a mini program's users (protocol section 5.5).

use std::collections::BTreeMap;
use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::OfAccount;
use crate::api::{Outcome, Request, ok};
use crate::refusal::Refusal;
use crate::simulator::Simulator;
use crate::world::{Holder, SecretKind};

/// How long a code is valid.
const LIFETIME: Duration = Duration::from_mins(5);
/// The most logins of one user in a minute.
const MAX_LOGINS: usize = 100;

/// Codes of one kind, with what each stands for: an openid, or a phone number.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Codes(BTreeMap<String, Code>);

#[derive(Serialize, Deserialize)]
struct Code {
    says: String,
    issued_at: Timestamp,
    used_at: Option<Timestamp>,
}

impl Simulator {
    /// A user opens a mini program, which calls `wx.login`: returns the code.
    #[must_use]
    pub fn login_code(&self, mini_program: &AppId, open_id: &str) -> String {
        self.hand_over(mini_program, open_id, |of| &mut of.logins)
    }

    /// A user presses the button `getPhoneNumber` of a mini program: returns the code for this Chinese number.
    #[must_use]
    pub fn phone_code(&self, mini_program: &AppId, number: &str) -> String {
        self.hand_over(mini_program, number, |of| &mut of.phones)
    }

    fn hand_over(&self, mini_program: &AppId, says: &str, codes: fn(&mut OfAccount) -> &mut Codes) -> String {
        let value = self.change(|world, at| world.issue(SecretKind::LoginCode, "0", at));
        self.change_account(mini_program, |of, at| {
            let code = Code { says: says.to_owned(), issued_at: at.now, used_at: None };
            codes(of).0.insert(value.clone(), code);
        });
        value
    }
}

impl Codes {
    pub(super) fn values(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// Spends a code.
    fn spend(&mut self, value: &str, now: Timestamp) -> Result<String, Refusal> {
        let invalid = || Refusal::new(40029, "invalid code");
        let code = self.0.get(value).ok_or_else(invalid)?;
        if code.used_at.is_some() {
            return Err(Refusal::new(40163, "code been used"));
        }
        if now.since(code.issued_at) >= LIFETIME {
            return Err(invalid());
        }
        let says = code.says.clone();
        let is_recent = |at: Timestamp| now.since(at) < Duration::from_mins(1);
        let recent = self.0.values().filter(|code| code.says == says && code.used_at.is_some_and(is_recent)).count();
        if recent >= MAX_LOGINS {
            return Err(Refusal::new(45011, "api minute-quota reach limit, must slower, retry next minute"));
        }
        if let Some(code) = self.0.get_mut(value) {
            code.used_at = Some(now);
        }
        Ok(says)
    }
}

pub(crate) fn session(simulator: &Simulator, request: &Request, account: &AppId) -> Outcome {
    request.check_grant_type("authorization_code")?;
    let code = request.parameter("js_code").unwrap_or_default();
    let open_id = simulator.change_account(account, |of, at| of.logins.spend(code, at.now))?;
    let key = STANDARD.encode(simulator.random().bytes::<16>());
    simulator.change(|world, _| world.note_issued(SecretKind::SessionKey, &key));
    let mut answer = json!({ "openid": open_id, "session_key": key });
    if let Some(union_id) = simulator.union_id(account, &open_id) {
        answer["unionid"] = json!(union_id);
    }
    Ok(answer.into())
}

pub(crate) fn phone_number(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let code = request.required("code")?;
    let number = simulator.change_account(&holder.account, |of, at| of.phones.spend(code, at.now))?;
    Ok(ok(json!({ "phone_info": {
        "phoneNumber": number,
        "purePhoneNumber": number,
        "countryCode": "86",
        "watermark": { "timestamp": simulator.now().unix(), "appid": holder.account },
    }})))
}

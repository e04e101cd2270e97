//! The official accounts and mini programs that can authorize the platform, and their details on the wire (protocol
//! sections 1.6 and 9).

use base::ids::{AppId, hex};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use super::World;

/// Appid and `user_name` of the test accounts of section 7.
const RELEASE_CHECK_OFFICIAL_ACCOUNTS: [(&str, &str); 5] = [
    ("wx570bc396a51b8ff8", "gh_3c884a361561"),
    ("wx9252c5e0bb1836fc", "gh_c0f28a78b318"),
    ("wx8e1097c5bc82cde9", "gh_3f222ed8d140"),
    ("wx14550af28c71a144", "gh_26128078e9ab"),
    ("wxa35b9c23cfe664eb", "gh_2b3713f184a6"),
];
const RELEASE_CHECK_MINI_PROGRAMS: [(&str, &str); 5] = [
    ("wxd101a85aa106f53e", "gh_8dad206e9538"),
    ("wxc39235c15087f6f3", "gh_905ae9d01059"),
    ("wx7720d01d4b2a4500", "gh_393666f1fdf4"),
    ("wx05d483572dcd5d8b", "gh_39abb5d4e1b7"),
    ("wx5910277cae6fd970", "gh_7818dcb60240"),
];

/// An account that a merchant can choose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its appid.
    pub appid: AppId,
    /// Official account or mini program.
    pub kind: AccountKind,
    /// `nick_name`.
    pub nick_name: String,
    /// `user_name`: the original id, `gh_…`.
    pub user_name: String,
    /// `principal_name`: the owner.
    pub principal_name: String,
    /// `alias`, may be empty.
    pub alias: String,
    /// `service_type_info.id`.
    pub service_type: i64,
    /// `verify_type_info.id`.
    pub verify_type: i64,
    /// `account_status`: 1 is normal.
    pub account_status: i64,
    /// The permission sets that it grants if all are left ticked.
    pub func_ids: Vec<u32>,
}

/// The kind of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountKind {
    /// 公众号.
    OfficialAccount,
    /// 小程序.
    MiniProgram,
}

impl AccountKind {
    /// The name for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OfficialAccount => "公众号",
            Self::MiniProgram => "小程序",
        }
    }
}

impl Account {
    /// A verified service account (服务号) in good order.
    #[must_use]
    pub fn official_account(appid: AppId, nick_name: &str) -> Self {
        Self {
            kind: AccountKind::OfficialAccount,
            service_type: 2,
            func_ids: vec![1, 2, 3, 4, 7, 11, 15],
            ..Self::mini_program(appid, nick_name)
        }
    }

    /// A verified mini program in good order.
    #[must_use]
    pub fn mini_program(appid: AppId, nick_name: &str) -> Self {
        let digits = appid.as_str().trim_start_matches("wx");
        Self {
            user_name: format!("gh_{}", digits.get(..12).unwrap_or(digits)),
            appid,
            kind: AccountKind::MiniProgram,
            nick_name: nick_name.to_owned(),
            principal_name: "演示科技有限公司".to_owned(),
            alias: String::new(),
            service_type: 0,
            verify_type: 0,
            account_status: 1,
            func_ids: vec![17, 18, 19, 25, 30],
        }
    }

    /// The accounts of the demo: two official accounts and two mini programs.
    #[must_use]
    pub fn demo() -> Vec<Self> {
        let official = [("wx0a10000000000001", "山茶花咖啡馆 ☕️"), ("wx0a20000000000002", "城南旧书店📚")];
        let programs = [("wx0b10000000000003", "花店预约🌸小助手"), ("wx0b20000000000004", "社区团购 🥬 每日鲜")];
        let official = official.map(|(appid, name)| Self::official_account(made_up_appid(appid), name));
        let programs = programs.map(|(appid, name)| Self::mini_program(made_up_appid(appid), name));
        official.into_iter().chain(programs).collect()
    }

    /// The openid of the follower whose conversation the chat page shows: always the same for this account.
    #[must_use]
    pub fn follower(&self) -> String {
        follower_of(&self.appid)
    }

    /// The openid of its administrator, who is the sender of WeChat's events about the account itself.
    pub(crate) fn administrator(&self) -> String {
        open_id("administrator", &self.appid)
    }

    /// The character shown in place of a picture.
    pub(crate) fn initial(&self) -> char {
        self.nick_name.chars().next().unwrap_or('?')
    }

    /// The ten accounts with which WeChat checks a platform before its release (全网发布接入检测, section 7): five
    /// official accounts, then five mini programs.
    #[must_use]
    pub fn release_check() -> Vec<Self> {
        let named = |make: fn(AppId, &str) -> Self, what: &'static str, accounts: [(&str, &str); 5]| {
            let numbered = (1..).zip(accounts);
            let made = numbered.map(|(number, (appid, user_name))| Self {
                user_name: user_name.to_owned(),
                ..make(made_up_appid(appid), &format!("全网发布测试{what} {number}"))
            });
            made.collect::<Vec<_>>()
        };
        let mut accounts = named(Self::official_account, "公众号", RELEASE_CHECK_OFFICIAL_ACCOUNTS);
        accounts.extend(named(Self::mini_program, "小程序", RELEASE_CHECK_MINI_PROGRAMS));
        accounts
    }

    /// Whether it is one of [`Account::release_check`].
    pub(crate) fn is_release_check(&self) -> bool {
        let mut known = RELEASE_CHECK_OFFICIAL_ACCOUNTS.iter().chain(&RELEASE_CHECK_MINI_PROGRAMS);
        known.any(|(appid, _)| *appid == self.appid.as_str())
    }

    /// `authorizer_info` as documented: the presence of `MiniProgramInfo` marks a mini program.
    fn details(&self) -> Value {
        let mut info = json!({
            "nick_name": self.nick_name,
            "head_img": format!("http://wx.qlogo.cn/mmopen/{}/0", self.appid),
            "service_type_info": { "id": self.service_type },
            "verify_type_info": { "id": self.verify_type },
            "user_name": self.user_name,
            "principal_name": self.principal_name,
            "alias": self.alias,
            "business_info": { "open_store": 0, "open_scan": 0, "open_pay": 1, "open_card": 0, "open_shake": 0 },
            "qrcode_url": format!("http://mmbiz.qpic.cn/{}", self.appid),
            "account_status": self.account_status,
        });
        if self.kind == AccountKind::MiniProgram {
            info["signature"] = json!("");
            info["register_type"] = json!(0);
            info["basic_config"] = json!({ "is_phone_configured": true, "is_email_configured": true });
            info["MiniProgramInfo"] = json!({
                "network": {
                    "RequestDomain": ["https://api.example.com"],
                    "WsRequestDomain": [],
                    "UploadDomain": [],
                    "DownloadDomain": [],
                    "BizDomain": [],
                    "UDPDomain": [],
                },
                "categories": [{ "first": "工具", "second": "效率" }],
                "visit_status": 0,
            });
        }
        info
    }
}

impl World {
    /// The accounts in the order of their appids.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    pub(crate) fn account(&self, appid: &AppId) -> Option<&Account> {
        self.accounts.get(appid)
    }

    /// Adds an account, or replaces the one with its appid; an existing grant stays.
    pub(crate) fn put_account(&mut self, account: Account) {
        self.accounts.insert(account.appid.clone(), account);
    }

    /// `authorizer_info` of an account, null if there is none.
    pub(super) fn account_details(&self, appid: &AppId) -> Value {
        self.accounts.get(appid).map_or(Value::Null, Account::details)
    }
}

/// The follower whose conversation with an account the chat page shows.
pub(crate) fn follower_of(account: &AppId) -> String {
    open_id("follower", account)
}

fn open_id(who: &str, account: &AppId) -> String {
    let digest = hex(&Sha1::digest(format!("{who} of {account}")));
    format!("o{}", digest.get(..27).unwrap_or_default())
}

#[expect(clippy::expect_used, reason = "our own literals, and digits put together by us")]
pub(super) fn made_up_appid(text: &str) -> AppId {
    AppId::parse(text).expect("letters and digits are an appid")
}

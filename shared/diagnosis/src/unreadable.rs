//! The finding of a check whose items cannot be read.

use base::language::Language;
use store::StoreError;

use crate::finding::{Check, State, Verdict};

/// The items of a check could not be read.
#[derive(Debug, Clone)]
pub struct Unreadable {
    /// The check.
    pub check: Check,
    /// Why.
    pub error: StoreError,
}

impl State for Unreadable {
    fn check(&self) -> Check {
        self.check
    }

    fn verdict(&self) -> Verdict {
        Verdict::Wrong
    }

    fn sentence(&self, language: Language) -> String {
        let error = explained(&self.error, language);
        say!(language, "无法读取：{error}", "it cannot be read: {error}")
    }

    fn remedy(&self, language: Language) -> Option<String> {
        let remedy = language.pick(
            "请检查所用的凭证或函数的执行角色：对该表及其索引需要 dynamodb:GetItem、dynamodb:BatchGetItem 和 dynamodb:Query，\
             表使用自己的 KMS 密钥时还需要 kms:Decrypt；ops doctor 的 table 一行可能说明原因",
            "the credentials or the role need dynamodb:GetItem, dynamodb:BatchGetItem and dynamodb:Query on the table and \
             its indexes, and kms:Decrypt if it has its own key; the doctor's line about the table may say why",
        );
        Some(remedy.to_owned())
    }
}

/// The failure in words. In English it is the error's own text.
fn explained(error: &StoreError, language: Language) -> String {
    match (language, error) {
        (Language::English, _) => error.to_string(),
        (Language::Chinese, StoreError::Unavailable { operation, cause }) => {
            format!("DynamoDB {operation} 失败（{cause}），请检查 TABLE_NAME、区域、函数的权限和网络")
        }
        (Language::Chinese, StoreError::Refused { operation, code }) => {
            format!("DynamoDB 拒绝了 {operation}（{code}）")
        }
        (Language::Chinese, StoreError::Corrupt { item, attribute }) => {
            format!("表中 {item} 的属性 {attribute} 缺失或无效")
        }
        (Language::Chinese, StoreError::Unbuildable) => "无法组装发往 DynamoDB 的请求".to_owned(),
        (Language::Chinese, StoreError::Contended { item }) => format!("{item} 一直被其他进程修改，多次重试后放弃"),
    }
}

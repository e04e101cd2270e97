//! The identities of an account's users: users of its mini program, and visitors of its web pages.

use base::ids::AppId;
use secrecy::{ExposeSecret as _, SecretString};

use super::super::answer::Answer;
use super::super::endpoint::Api;
use super::super::error::WechatError;
use super::super::visitor::{MiniProgramSession, VisitorProfile, WebLogin};
use super::{ComponentCall, Content, WechatClient};

impl WechatClient {
    /// Identifies the user of an account's mini program by the code from `wx.login`, which this spends (section 5.5).
    ///
    /// # Errors
    /// [`WechatError`]; 40029 and 40163 mean that the code is not valid or was used, 40226 that the user is blocked,
    /// 45011 that the user logs in too often.
    pub async fn mini_program_session(
        &self,
        call: ComponentCall<'_>,
        mini_program: &AppId,
        code: &SecretString,
    ) -> Result<MiniProgramSession, WechatError> {
        let parameters = [
            ("component_appid", call.component.as_str()),
            ("appid", mini_program.as_str()),
            ("js_code", code.expose_secret()),
            ("grant_type", "authorization_code"),
        ];
        let content = Content::Query(&parameters);
        let answer = self.call(Api::MiniProgramSession, Some(call.token), content, &[code]).await?;
        MiniProgramSession::read(Answer::of(&answer)?)
    }

    /// Identifies the visitor of an account's web page by the code that WeChat gave the browser, which this spends
    /// (section 5.4).
    ///
    /// # Errors
    /// [`WechatError`]; 40029, 40163 and 42003 mean that the code is not valid, was used or has expired.
    pub async fn web_login(
        &self,
        call: ComponentCall<'_>,
        account: &AppId,
        code: &SecretString,
    ) -> Result<WebLogin, WechatError> {
        // In the order in WeChat's documentation.
        let parameters = [
            ("appid", account.as_str()),
            ("code", code.expose_secret()),
            ("grant_type", "authorization_code"),
            ("component_appid", call.component.as_str()),
        ];
        let answer = self.call(Api::WebLogin, Some(call.token), Content::Query(&parameters), &[code]).await?;
        WebLogin::read(Answer::of(&answer)?)
    }

    /// Gets the profile of a visitor who has agreed to share it (section 5.4).
    ///
    /// # Errors
    /// [`WechatError`]; 48001 means that only the openid was requested of the visitor.
    pub async fn visitor_profile(&self, visitor: &WebLogin) -> Result<VisitorProfile, WechatError> {
        // Not a secret, but it must not be logged either, and a refusal may repeat it.
        let open_id = SecretString::from(visitor.open_id.as_str());
        let content = Content::Query(&[("openid", &visitor.open_id), ("lang", "zh_CN")]);
        let answer = self.call(Api::VisitorProfile, Some(&visitor.token), content, &[&open_id]).await?;
        Ok(VisitorProfile::read(Answer::of(&answer)?))
    }
}

//! WeChat's page for a visitor who is about to log in (protocol section 5.4).

use base::ids::AppId;
use url::Url;
use wechat::api::LoginScope;

use crate::attempt::AttemptState;

/// The parameters of WeChat's page.
pub(crate) struct Consent<'a> {
    pub(crate) component: &'a AppId,
    pub(crate) account: &'a AppId,
    pub(crate) scope: LoginScope,
    pub(crate) redirect_uri: &'a Url,
    pub(crate) state: &'a AttemptState,
}

impl Consent<'_> {
    /// The URL below `base`, such as `https://open.weixin.qq.com`. WeChat wants the parameters in this order.
    pub(crate) fn url(&self, base: &Url) -> Url {
        let mut url = base.clone();
        url.set_path("/connect/oauth2/authorize");
        url.query_pairs_mut()
            .append_pair("appid", self.account.as_str())
            .append_pair("redirect_uri", self.redirect_uri.as_str())
            .append_pair("response_type", "code")
            .append_pair("scope", self.scope.as_str())
            .append_pair("state", self.state.as_str())
            .append_pair("component_appid", self.component.as_str());
        url.set_fragment(Some("wechat_redirect"));
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_are_in_wechats_order() {
        let appid = |text| AppId::parse(text).unwrap();
        let consent = Consent {
            component: &appid("wxcomponent"),
            account: &appid("wxaccount"),
            scope: LoginScope::Base,
            redirect_uri: &Url::parse("https://auth.example.com/login/wxaccount/callback").unwrap(),
            state: &AttemptState::parse("0123456789abcdef0123456789abcdef").unwrap(),
        };
        assert_eq!(
            consent.url(&Url::parse("https://open.weixin.qq.com").unwrap()).as_str(),
            "https://open.weixin.qq.com/connect/oauth2/authorize?appid=wxaccount\
             &redirect_uri=https%3A%2F%2Fauth.example.com%2Flogin%2Fwxaccount%2Fcallback&response_type=code\
             &scope=snsapi_base&state=0123456789abcdef0123456789abcdef&component_appid=wxcomponent#wechat_redirect"
        );
    }
}

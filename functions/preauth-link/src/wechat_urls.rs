//! WeChat's authorization page, for computers and for phones (protocol section 2).
//!
//! These URLs carry a pre-auth code: they go into a `Location` header or to the business, never into a log.

use base::ids::AppId;
use runtime::config::WechatConfig;
use secrecy::{ExposeSecret as _, SecretString};
use store::LinkRequest;
use url::Url;

/// What both pages are given.
pub(crate) struct Launch<'a> {
    pub(crate) component: &'a AppId,
    pub(crate) code: &'a SecretString,
    pub(crate) redirect_uri: &'a Url,
    pub(crate) request: &'a LinkRequest,
}

impl Launch<'_> {
    /// The page for computers, which shows a QR code.
    pub(crate) fn on_computer(&self, wechat: &WechatConfig) -> Url {
        let mut url = wechat.mp.clone();
        url.set_path("/cgi-bin/componentloginpage");
        self.append_to(&mut url);
        url
    }

    /// The page inside WeChat on a phone.
    pub(crate) fn on_phone(&self, wechat: &WechatConfig) -> Url {
        let mut url = wechat.open.clone();
        url.set_path("/wxaopen/safe/bindcomponent");
        url.query_pairs_mut().append_pair("action", "bindcomponent").append_pair("no_scan", "1");
        self.append_to(&mut url);
        url.set_fragment(Some("wechat_redirect"));
        url
    }

    fn append_to(&self, url: &mut Url) {
        let mut query = url.query_pairs_mut();
        query
            .append_pair("component_appid", self.component.as_str())
            .append_pair("pre_auth_code", self.code.expose_secret())
            .append_pair("redirect_uri", self.redirect_uri.as_str())
            .append_pair("auth_type", &self.request.auth_type.to_string());
        if let Some(account) = &self.request.biz_appid {
            query.append_pair("biz_appid", account.as_str());
        }
        if !self.request.category_ids.is_empty() {
            let ids: Vec<String> = self.request.category_ids.iter().map(u32::to_string).collect();
            query.append_pair("category_id_list", &ids.join("|"));
        }
    }
}

#[cfg(test)]
mod tests {
    use store::Labels;

    use super::*;

    fn urls(biz_appid: Option<&str>, category_ids: &[u32]) -> (String, String) {
        let wechat = WechatConfig::read(&|_: &str| None).unwrap();
        let request = LinkRequest {
            auth_type: 3,
            biz_appid: biz_appid.map(|id| AppId::parse(id).unwrap()),
            category_ids: category_ids.to_vec(),
            return_url: None,
            requester_name: None,
            labels: Labels::default(),
            made_by: None,
        };
        let launch = Launch {
            component: &AppId::parse("wx1234567890abcdef").unwrap(),
            code: &"preauthcode@@@a+b/c=".into(),
            redirect_uri: &Url::parse("https://auth.example.com/authorize/L/callback/A").unwrap(),
            request: &request,
        };
        (launch.on_computer(&wechat).into(), launch.on_phone(&wechat).into())
    }

    const COMMON: &str = "component_appid=wx1234567890abcdef&pre_auth_code=preauthcode%40%40%40a%2Bb%2Fc%3D\
        &redirect_uri=https%3A%2F%2Fauth.example.com%2Fauthorize%2FL%2Fcallback%2FA&auth_type=3";

    #[test]
    fn the_code_and_our_address_are_percent_encoded_in_both_forms() {
        let (computer, phone) = urls(None, &[]);
        assert_eq!(computer, format!("https://mp.weixin.qq.com/cgi-bin/componentloginpage?{COMMON}"));
        assert_eq!(
            phone,
            format!(
                "https://open.weixin.qq.com/wxaopen/safe/bindcomponent?action=bindcomponent&no_scan=1&{COMMON}\
                 #wechat_redirect"
            )
        );
    }

    #[test]
    fn one_account_and_a_choice_of_permission_sets_are_sent_beside_the_type() {
        let (computer, _) = urls(Some("wxaaaabbbbccccdddd"), &[99, 31]);
        assert!(computer.ends_with("&auth_type=3&biz_appid=wxaaaabbbbccccdddd&category_id_list=99%7C31"), "{computer}");
    }
}

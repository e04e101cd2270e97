//! The APIs: one entry each.

use http::Method;

use super::{Api, Body, Operation, Outcome, Request, component};
use crate::business::code::{audit, library, release};
use crate::business::domains::{account as domains, platform as platform_domains};
use crate::business::web_login::calls as web_login;
use crate::business::{
    code, diagnosis, js_sdk, login, material, media, menu, messages, open_accounts, privacy, qr_codes, quota,
    registration, settings, templates, users,
};
use crate::paths;
use crate::simulator::Simulator;
use crate::world::{Holder, Sets};

pub(super) const APIS: &[Api] = &[
    // The component's own (section 1).
    own(paths::START_PUSH_TICKET, Operation::Open(component::start_push_ticket)),
    own(paths::COMPONENT_TOKEN, Operation::Open(component::component_token)),
    own(paths::CREATE_PREAUTHCODE, Operation::Component(component::create_preauthcode)),
    own(paths::QUERY_AUTH, Operation::Component(component::query_auth)),
    own(paths::AUTHORIZER_TOKEN, Operation::Component(component::authorizer_token)),
    own(paths::GET_AUTHORIZER_INFO, Operation::Component(component::get_authorizer_info)),
    own(paths::GET_AUTHORIZER_LIST, Operation::Component(component::get_authorizer_list)),
    // Quota and diagnosis (sections 4.4, 5.2).
    post("/cgi-bin/clear_quota", Operation::Either(quota::clear)),
    post("/cgi-bin/openapi/quota/get", Operation::Either(quota::get)),
    post("/cgi-bin/openapi/rid/get", Operation::Either(diagnosis::get)),
    // Logins and phone numbers of mini program users, and the JS-SDK (sections 5.5, 5.9).
    get("/sns/component/jscode2session", Operation::Login(login::session)),
    post("/wxa/business/getuserphonenumber", mini_program(&[18], login::phone_number)),
    get("/cgi-bin/ticket/getticket", official_account(&[4], js_sdk::ticket)),
    // Web login (section 5.4). Only the platform itself makes these calls: services get neither codes nor visitors'
    // tokens.
    own_get(paths::WEB_LOGIN_TOKEN, Operation::WebLogin(web_login::exchange)),
    own_get(paths::WEB_LOGIN_REFRESH, Operation::WebLogin(web_login::renew)),
    own_get(paths::VISITOR_INFO, Operation::Visitor(web_login::profile)),
    own_get(paths::VISITOR_CHECK, Operation::Visitor(web_login::check)),
    // Messages (sections 5.6, 5.13).
    post(paths::CUSTOM_SEND, both(&[1, 6, 100, 101], &[19, 100, 101], messages::send)),
    post("/cgi-bin/message/custom/typing", both(&[1, 6, 100, 101], &[19, 100, 101], messages::typing)),
    post("/cgi-bin/template/api_add_template", official_account(&[7], templates::add)),
    get("/cgi-bin/template/get_all_private_template", official_account(&[7], templates::list)),
    post("/cgi-bin/template/del_private_template", official_account(&[7], templates::delete)),
    post("/cgi-bin/message/template/send", official_account(&[7, 100, 101], templates::send)),
    post("/wxaapi/newtmpl/addtemplate", both(&[89], &[18], templates::add_subscription)),
    get("/wxaapi/newtmpl/gettemplate", both(&[89], &[18], templates::list_subscriptions)),
    post("/wxaapi/newtmpl/deltemplate", both(&[89], &[18], templates::delete_subscription)),
    post("/cgi-bin/message/subscribe/send", mini_program(&[18], templates::send_subscribed)),
    post("/cgi-bin/message/subscribe/bizsend", official_account(&[89], templates::send_subscribed)),
    // Media (section 5.7).
    upload("/cgi-bin/media/upload", both(&[1, 3, 8, 9, 11, 100], &[19, 30, 31, 100], media::upload)),
    get("/cgi-bin/media/get", both(&[11], &[19], media::get)),
    upload("/cgi-bin/media/uploadimg", official_account(&[11], media::upload_picture)),
    upload("/cgi-bin/material/add_material", official_account(&[11], material::add)),
    post("/cgi-bin/material/get_material", both(&[11], &[18], material::get)),
    post("/cgi-bin/material/del_material", official_account(&[11], material::delete)),
    get("/cgi-bin/material/get_materialcount", official_account(&[11], material::count)),
    // Users (section 5.8).
    get("/cgi-bin/user/info", official_account(&[2], users::info)),
    post("/cgi-bin/user/info/batchget", official_account(&[2], users::batch_get)),
    get("/cgi-bin/user/get", official_account(&[2], users::list)),
    // The code of mini programs (section 12).
    get("/wxa/gettemplatedraftlist", Operation::Component(library::drafts)),
    post("/wxa/addtotemplate", Operation::Component(library::add)),
    get("/wxa/gettemplatelist", Operation::Component(library::templates)),
    post("/wxa/deletetemplate", Operation::Component(library::delete)),
    post("/wxa/commit", mini_program(&[18], code::commit)),
    get("/wxa/get_page", mini_program(&[18], code::pages)),
    get("/wxa/get_qrcode", mini_program(&[18, 86], code::trial_qr_code)),
    get("/wxa/security/get_code_privacy_info", mini_program(&[18], code::privacy_scan)),
    upload("/wxa/uploadmedia", mini_program(&[18], media::upload_for_audit)),
    post("/wxa/submit_audit", mini_program(&[18], audit::submit)),
    post("/wxa/get_auditstatus", mini_program(&[18], audit::status)),
    get("/wxa/get_latest_auditstatus", mini_program(&[18], audit::latest)),
    get("/wxa/undocodeaudit", mini_program(&[18], audit::withdraw)),
    post("/wxa/speedupaudit", mini_program(&[18], audit::expedite)),
    get("/wxa/queryquota", mini_program(&[18], audit::quota)),
    post("/wxa/release", mini_program(&[18], release::release)),
    post("/wxa/grayrelease", mini_program(&[18], release::gray)),
    get("/wxa/getgrayreleaseplan", mini_program(&[18], release::gray_plan)),
    get("/wxa/revertgrayrelease", mini_program(&[18], release::cancel_gray)),
    get("/wxa/revertcoderelease", mini_program(&[18], release::go_back)),
    post("/wxa/getversioninfo", mini_program(&[18], release::versions)),
    post("/wxa/change_visitstatus", mini_program(&[18], release::change_visits)),
    post("/wxa/getvisitstatus", mini_program(&[18], release::visits)),
    post("/cgi-bin/wxopen/getweappsupportversion", mini_program(&[18], release::base_library)),
    post("/cgi-bin/wxopen/setweappsupportversion", mini_program(&[18], release::set_base_library)),
    post("/wxa/getwxacodeunlimit", mini_program(&[17, 58], qr_codes::unlimited)),
    post("/wxa/getwxacode", mini_program(&[17], qr_codes::limited)),
    // Domains of mini programs (section 13).
    post("/cgi-bin/component/modify_wxa_server_domain", Operation::Component(platform_domains::modify_server)),
    post("/cgi-bin/component/modify_wxa_jump_domain", Operation::Component(platform_domains::modify_web_view)),
    post("/cgi-bin/component/get_domain_confirmfile", Operation::Component(platform_domains::confirm_file)),
    post("/wxa/modify_domain", mini_program(&[18], domains::modify_server)),
    post("/wxa/modify_domain_directly", mini_program(&[18], domains::modify_server_directly)),
    post("/wxa/setwebviewdomain", mini_program(&[18], domains::set_web_view)),
    post("/wxa/setwebviewdomain_directly", mini_program(&[18], domains::set_web_view_directly)),
    post("/wxa/get_webviewdomain_confirmfile", mini_program(&[18], domains::confirm_file)),
    post("/wxa/get_effective_domain", mini_program(&[18], domains::effective_server)),
    post("/wxa/get_effective_webviewdomain", mini_program(&[18], domains::effective_web_view)),
    // Settings of mini programs (section 14).
    get("/cgi-bin/account/getaccountbasicinfo", mini_program(&[30], settings::profile)),
    get("/wxa/get_category", mini_program(&[18], settings::categories)),
    post("/wxa/bind_tester", mini_program(&[18], settings::bind_tester)),
    post("/wxa/unbind_tester", mini_program(&[18], settings::unbind_tester)),
    post("/wxa/memberauth", mini_program(&[18], settings::testers)),
    post("/cgi-bin/component/getprivacysetting", mini_program(&[18], privacy::get)),
    post("/cgi-bin/component/setprivacysetting", mini_program(&[18], privacy::set)),
    upload("/cgi-bin/component/uploadprivacyextfile", mini_program(&[18], privacy::upload)),
    // Registration of mini programs (section 5.12).
    post("/wxa/component/fastregisterenterpriseweapp", Operation::Component(registration::enterprise)),
    post("/wxa/component/fastregisterpersonalweapp", Operation::Component(registration::person)),
    post("/wxa/component/fastregistertransactionweapp", Operation::Component(registration::trader)),
    post("/wxa/component/fastregisterbetaweapp", Operation::Component(registration::trial)),
    post("/cgi-bin/component/fastregisterweapp", Operation::Component(registration::gone)),
    post("/cgi-bin/account/fastregister", official_account(&[27], registration::reuse)),
    // The menu of an official account.
    post("/cgi-bin/menu/create", official_account(&[15], menu::create)),
    get("/cgi-bin/menu/get", official_account(&[15], menu::get)),
    get("/cgi-bin/menu/delete", official_account(&[15], menu::delete)),
    // Open accounts (section 5.3).
    post("/cgi-bin/open/create", both(&[24], &[25], open_accounts::create)),
    post("/cgi-bin/open/bind", both(&[24], &[25], open_accounts::bind)),
    post("/cgi-bin/open/unbind", both(&[24], &[25], open_accounts::unbind)),
    post("/cgi-bin/open/get", both(&[24], &[25], open_accounts::get)),
    get("/cgi-bin/open/have", both(&[3], &[30], open_accounts::have)),
];

const fn own(path: &'static str, operation: Operation) -> Api {
    Api { path, method: Method::POST, body: Body::Json, operation, is_own: true }
}

const fn own_get(path: &'static str, operation: Operation) -> Api {
    Api { path, method: Method::GET, body: Body::Json, operation, is_own: true }
}

const fn post(path: &'static str, operation: Operation) -> Api {
    Api { path, method: Method::POST, body: Body::Json, operation, is_own: false }
}

const fn get(path: &'static str, operation: Operation) -> Api {
    Api { path, method: Method::GET, body: Body::Json, operation, is_own: false }
}

const fn upload(path: &'static str, operation: Operation) -> Api {
    Api { path, method: Method::POST, body: Body::Form, operation, is_own: false }
}

type OfAccount = fn(&Simulator, &Request, &Holder) -> Outcome;

/// Of official accounts, for one of these permission sets.
const fn official_account(sets: &'static [u32], operation: OfAccount) -> Operation {
    Operation::Account(Sets { official_account: sets, mini_program: &[] }, operation)
}

/// Of mini programs, for one of these permission sets.
const fn mini_program(sets: &'static [u32], operation: OfAccount) -> Operation {
    Operation::Account(Sets { official_account: &[], mini_program: sets }, operation)
}

/// Of both, for one of the permission sets of their kind.
const fn both(official_account: &'static [u32], mini_program: &'static [u32], operation: OfAccount) -> Operation {
    Operation::Account(Sets { official_account, mini_program }, operation)
}

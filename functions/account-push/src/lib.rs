//! `POST /wechat/accounts/{appid}/events`, WeChat's 消息与事件接收URL (protocol section 3.3): messages and events of
//! authorized accounts, answered and delivered.

pub mod webhook;

//! The Lambda function of `POST /wechat/accounts/{appid}/events`.

fn main() {}

//! Media: which uploads are accepted, and what comes back.

use std::time::Duration;

use serde_json::json;
use simulator::{paths, sample_picture, sample_video};

use crate::harness::{Harness, errcode, text};

const UPLOAD: &str = "/cgi-bin/media/upload";
const GET: &str = "/cgi-bin/media/get";
const ADD: &str = "/cgi-bin/material/add_material";
const GET_MATERIAL: &str = "/cgi-bin/material/get_material";
const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn a_picture_of_10_mb_comes_back_to_the_byte() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::account()).await;
    let picture = sample_picture(10 * MIB);
    let query = format!("access_token={token}&type=image");
    let answer = wechat.upload(UPLOAD, &query, "media", &picture).await;
    assert_eq!((&answer["type"], &answer["created_at"]), (&json!("image"), &json!(1_700_000_000)));
    let id = text(&answer, "/media_id");

    let response = wechat.get_raw(GET, &format!("access_token={token}&media_id={id}")).await;
    assert_eq!(response.headers()["content-type"], "image/jpeg");
    assert_eq!(response.headers()["content-disposition"], format!("attachment; filename=\"{id}.jpg\""));
    assert!(response.bytes().await.unwrap() == picture);

    let message = json!({ "touser": "o1", "msgtype": "image", "image": { "media_id": id } });
    assert_eq!(errcode(&wechat.call(paths::CUSTOM_SEND, Some(&token), message).await), 0);
}

#[tokio::test]
async fn a_video_is_answered_with_its_url() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::mini_program()).await;
    let video = sample_video(5 * MIB);
    let answer = wechat.upload(UPLOAD, &format!("access_token={token}&type=video"), "media", &video).await;
    let answer = wechat.get(GET, &token, &format!("&media_id={}", text(&answer, "/media_id"))).await;
    let url = text(&answer, "/video_url");
    assert!(url.starts_with(&wechat.base));
    let response = wechat.http.get(url).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "video/mp4");
    assert!(response.bytes().await.unwrap() == video);
}

#[tokio::test]
async fn wrong_uploads_are_refused_with_the_documented_code() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::account()).await;
    let picture = sample_picture(1_000);
    for (kind, part, bytes, expected) in [
        ("image", "media", &picture[..], 0),
        ("image", "file", &picture[..], 41005),
        ("image", "media", &[][..], 41005),
        ("", "media", &picture[..], 40004),
        ("picture", "media", &picture[..], 40004),
        ("video", "media", &picture[..], 40005),
        ("image", "media", b"<html>", 40005),
        ("image", "media", &sample_picture(10 * MIB + 1), 40006),
        ("thumb", "media", &sample_picture(64 * 1024 + 1), 40006),
    ] {
        let answer = wechat.upload(UPLOAD, &format!("access_token={token}&type={kind}"), part, bytes).await;
        assert_eq!(errcode(&answer), expected, "{kind} {part}");
    }
    let plain = wechat.call(UPLOAD, Some(&token), json!({ "media": "x" })).await;
    assert_eq!(errcode(&plain), 47001);
    let url = wechat.upload("/cgi-bin/media/uploadimg", &format!("access_token={token}"), "media", &picture).await;
    assert!(text(&url, "/url").starts_with("http://mmbiz.qpic.cn/"));
}

#[tokio::test]
async fn media_belong_to_one_account_and_live_three_days() {
    let wechat = Harness::start().await;
    let owner = wechat.token_of(&Harness::account()).await;
    let query = format!("access_token={owner}&type=image");
    let id = text(&wechat.upload(UPLOAD, &query, "media", &sample_picture(300)).await, "/media_id");
    let other = wechat.token_of(&wechat.simulator.accounts()[1].appid).await;
    assert_eq!(errcode(&wechat.get(GET, &other, &format!("&media_id={id}")).await), 40007);
    assert_eq!(errcode(&wechat.get(GET, &owner, "").await), 41006);
    wechat.clock.advance(Duration::from_hours(72));
    let owner = wechat.token_of(&Harness::account()).await;
    assert_eq!(errcode(&wechat.get(GET, &owner, &format!("&media_id={id}")).await), 40007);
}

#[tokio::test]
async fn the_format_of_material_for_an_audit_is_known_by_its_bytes() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::mini_program()).await;
    let query = format!("access_token={token}");
    for (bytes, expected) in [(sample_picture(300), "image"), (sample_video(300), "video"), (b"text".to_vec(), "")] {
        let answer = wechat.upload("/wxa/uploadmedia", &query, "media", &bytes).await;
        assert_eq!(answer["type"].as_str().unwrap_or_default(), expected);
        let Some(id) = answer["mediaid"].as_str() else {
            assert_eq!(errcode(&answer), 40005);
            continue;
        };
        let asked = json!({ "media_id": id }).to_string();
        let file = wechat.post_raw(GET_MATERIAL, &query, asked).await.unwrap();
        assert!(file.bytes().await.unwrap() == bytes);
    }
}

#[tokio::test]
async fn permanent_material_stays_until_it_is_deleted() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::account()).await;
    let picture = sample_picture(1_000);
    let query = |token: &str, kind: &str| format!("access_token={token}&type={kind}");
    let answer = wechat.upload(ADD, &query(&token, "image"), "media", &picture).await;
    assert!(text(&answer, "/url").starts_with("http://mmbiz.qpic.cn/"));
    let id = text(&answer, "/media_id");
    assert_eq!(errcode(&wechat.get(GET, &token, &format!("&media_id={id}")).await), 40007, "it is not temporary");
    wechat.clock.advance(Duration::from_hours(73));
    let token = wechat.token_of(&Harness::account()).await;
    let file = wechat.post_raw(GET_MATERIAL, &query(&token, ""), json!({ "media_id": id }).to_string()).await.unwrap();
    assert!(file.bytes().await.unwrap() == picture);

    let video = sample_video(1_000);
    assert_eq!(errcode(&wechat.upload(ADD, &query(&token, "video"), "media", &video).await), 40097);
    let title = json!({ "title": "花店" }).to_string();
    let answer = wechat.upload_with(ADD, &query(&token, "video"), "media", &video, &title).await;
    let asked = json!({ "media_id": text(&answer, "/media_id") });
    let shown = wechat.call(GET_MATERIAL, Some(&token), asked).await;
    assert_eq!(text(&shown, "/title"), "花店");
    let response = wechat.http.get(text(&shown, "/down_url")).send().await.unwrap();
    assert!(response.bytes().await.unwrap() == video);

    let count = wechat.get("/cgi-bin/material/get_materialcount", &token, "").await;
    assert_eq!((&count["image_count"], &count["video_count"]), (&json!(1), &json!(1)));
    let delete = async || {
        let asked = json!({ "media_id": id });
        errcode(&wechat.call("/cgi-bin/material/del_material", Some(&token), asked).await)
    };
    assert_eq!((delete().await, delete().await), (0, 40007));
    let temporary = wechat.upload(UPLOAD, &query(&token, "image"), "media", &picture).await;
    let asked = json!({ "media_id": text(&temporary, "/media_id") });
    assert_eq!(errcode(&wechat.call(GET_MATERIAL, Some(&token), asked).await), 40007);
}

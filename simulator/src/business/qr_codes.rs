//! QR codes of mini programs (protocol section 12.3): a picture, or a JSON refusal, at one URL.

use serde_json::Value;

use super::media::sample_picture;
use crate::api::{Answer, Outcome, Request};
use crate::refusal::Refusal;
use crate::simulator::Simulator;
use crate::world::Holder;

/// The most characters of a scene.
const MAX_SCENE: usize = 32;
/// The characters that it may have besides letters and digits.
const SCENE_MARKS: &str = "!#$&'()*+,/:;=?@-._~";
/// The bytes of a picture.
const LENGTH: usize = 60_000;
/// The permitted widths of a picture in pixels.
const WIDTHS: std::ops::RangeInclusive<u64> = 280..=1280;

/// A picture that nobody can scan.
pub(super) fn picture() -> Answer {
    Answer::File { content_type: "image/jpeg", name: "QRCode.jpg".to_owned(), bytes: sample_picture(LENGTH).into() }
}

/// A QR code for a scene, in unlimited number.
pub(crate) fn unlimited(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let scene = request.text("scene")?.unwrap_or_default();
    let is_allowed = |mark: char| mark.is_ascii_alphanumeric() || SCENE_MARKS.contains(mark);
    if scene.is_empty() || scene.len() > MAX_SCENE || !scene.chars().all(is_allowed) {
        return Err(Refusal::new(40169, "invalid length for scene, or the data is not json string"));
    }
    if !matches!(request.text("env_version")?, None | Some("release" | "trial" | "develop")) {
        return Err(Refusal::new(40097, "invalid args: env_version"));
    }
    let is_checked = request.body.get("check_path").and_then(Value::as_bool).unwrap_or(true);
    if let Some(page) = request.text("page")?.filter(|_| is_checked)
        && !simulator.of_account(&holder.account, |of| of.code.has_page(page))
    {
        return Err(Refusal::new(41030, "invalid page"));
    }
    check_width(request)?;
    Ok(picture())
}

/// A QR code for a path, in limited number.
pub(crate) fn limited(_: &Simulator, request: &Request, _: &Holder) -> Outcome {
    request.required("path")?;
    check_width(request)?;
    Ok(picture())
}

fn check_width(request: &Request) -> Result<(), Refusal> {
    match request.body.get("width") {
        None => Ok(()),
        Some(width) if width.as_u64().is_some_and(|width| WIDTHS.contains(&width)) => Ok(()),
        Some(_) => Err(Refusal::new(40097, "invalid args: width")),
    }
}

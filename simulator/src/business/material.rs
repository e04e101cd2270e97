//! Permanent material (永久素材, protocol section 5.7). Articles are not modelled.

use serde_json::{Value, json};

use super::media::{Format, Medium, Purpose, VIDEOS, medium_in, rule};
use crate::api::{Outcome, Request, ok};
use crate::refusal::Refusal;
use crate::simulator::Simulator;
use crate::world::Holder;

pub(crate) fn add(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let kind = request.parameter("type").unwrap_or_default();
    let rule = rule(kind).ok_or_else(|| Refusal::new(40004, "invalid media type"))?;
    let (part, format) = medium_in(request, rule)?;
    let title = match kind {
        "video" => title_of(request)?,
        _ => String::new(),
    };
    let medium = simulator.keep_medium(&holder.account, Purpose::Permanent { title }, format, &part.bytes);
    let mut answer = json!({ "media_id": medium.id });
    if matches!(kind, "image" | "thumb") {
        answer["url"] = json!(format!("http://mmbiz.qpic.cn/mmbiz/{}/0", medium.id));
    }
    Ok(answer.into())
}

/// The title of a video, in a part of its own.
fn title_of(request: &Request) -> Result<String, Refusal> {
    let part = request.parts.iter().find(|part| part.name == "description");
    let description = part.and_then(|part| serde_json::from_slice::<Value>(&part.bytes).ok());
    let title = description.as_ref().and_then(|description| description.get("title")?.as_str());
    title.map(str::to_owned).ok_or_else(|| Refusal::missing("description.title"))
}

/// Returns a file, or a video's URL. Screenshots of audits are fetched here too.
pub(crate) fn get(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let medium = simulator.medium_of(&holder.account, request.required("media_id")?)?;
    match &medium {
        Medium { purpose: Purpose::Temporary, .. } => Err(Refusal::invalid_medium()),
        Medium { purpose: Purpose::Permanent { title }, format: Format::Mp4, id, .. } => {
            let url = format!("http://{}{VIDEOS}{id}", request.host);
            Ok(json!({ "title": title, "description": "", "down_url": url }).into())
        }
        _ => Ok(medium.into()),
    }
}

pub(crate) fn delete(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let id = request.required("media_id")?;
    let medium = simulator.medium_of(&holder.account, id)?;
    if !medium.is_permanent() {
        return Err(Refusal::invalid_medium());
    }
    simulator.forget_medium(id);
    Ok(ok(json!({})))
}

pub(crate) fn count(simulator: &Simulator, _: &Request, holder: &Holder) -> Outcome {
    let formats = simulator.permanent_formats(&holder.account);
    let of = |is_meant: fn(&Format) -> bool| formats.iter().filter(|format| is_meant(format)).count();
    Ok(json!({
        "voice_count": of(|format| matches!(format, Format::Amr | Format::Mp3)),
        "video_count": of(|format| *format == Format::Mp4),
        "image_count": of(|format| matches!(format, Format::Jpeg | Format::Png | Format::Gif | Format::Bmp)),
        "news_count": 0,
    })
    .into())
}

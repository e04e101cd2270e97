//! Media (素材, protocol section 5.7): images, voice messages and videos. Temporary ones live for three days; for
//! permanent ones see `material`.
//!
//! Their bytes are not in the state file and are lost at a restart.

use std::collections::VecDeque;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use base::clock::Timestamp;
use base::ids::AppId;
use serde_json::json;

use crate::api::{Answer, Outcome, Part, Request, ok, respond};
use crate::refusal::Refusal;
use crate::simulator::{Simulator, lock};
use crate::world::Holder;

/// How long a temporary medium lives, and material for an audit.
const LIFETIME: Duration = Duration::from_hours(72);
/// How many media are kept, the latest ones.
const KEPT: usize = 100;
const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The stored media.
#[derive(Default)]
pub(crate) struct Media(VecDeque<Medium>);

#[derive(Clone)]
pub(in crate::business) struct Medium {
    pub(in crate::business) id: String,
    owner: AppId,
    created_at: Timestamp,
    pub(in crate::business) purpose: Purpose,
    pub(in crate::business) format: Format,
    bytes: Bytes,
}

/// The purpose of a medium.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::business) enum Purpose {
    Temporary,
    Audit,
    Permanent { title: String },
}

impl Medium {
    pub(in crate::business) const fn is_permanent(&self) -> bool {
        matches!(self.purpose, Purpose::Permanent { .. })
    }

    fn lives(&self, now: Timestamp) -> bool {
        self.is_permanent() || now.since(self.created_at) < LIFETIME
    }
}

/// The format of bytes, by their beginning.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::business) enum Format {
    Jpeg,
    Png,
    Gif,
    Bmp,
    Amr,
    Mp3,
    Mp4,
    Text,
}

impl Format {
    fn of(bytes: &[u8]) -> Option<Self> {
        let starts: [(&[u8], Self); 7] = [
            (&[0xFF, 0xD8, 0xFF], Self::Jpeg),
            (b"\x89PNG\r\n\x1a\n", Self::Png),
            (b"GIF8", Self::Gif),
            (b"BM", Self::Bmp),
            (b"#!AMR", Self::Amr),
            (b"ID3", Self::Mp3),
            (&[0xFF, 0xFB], Self::Mp3),
        ];
        let found = starts.into_iter().find(|(start, _)| bytes.starts_with(start)).map(|(_, format)| format);
        found.or_else(|| (bytes.get(4..8)? == b"ftyp").then_some(Self::Mp4))
    }

    const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Gif => "gif",
            Self::Bmp => "bmp",
            Self::Amr => "amr",
            Self::Mp3 => "mp3",
            Self::Mp4 => "mp4",
            Self::Text => "txt",
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::Bmp => "image/bmp",
            Self::Amr => "audio/amr",
            Self::Mp3 => "audio/mp3",
            Self::Mp4 => "video/mp4",
            Self::Text => "text/plain",
        }
    }
}

/// The rule for an upload: its formats, and its most bytes.
pub(in crate::business) type Rule = (&'static [Format], usize);

const PICTURE: &[Format] = &[Format::Jpeg, Format::Png, Format::Gif, Format::Bmp];

pub(in crate::business) fn rule(kind: &str) -> Option<Rule> {
    match kind {
        "image" => Some((PICTURE, 10 * MIB)),
        "voice" => Some((&[Format::Amr, Format::Mp3], 2 * MIB)),
        "video" => Some((&[Format::Mp4], 10 * MIB)),
        "thumb" => Some((&[Format::Jpeg], 64 * KIB)),
        _ => None,
    }
}

/// The part `media`, if the rule permits its upload.
pub(in crate::business) fn medium_in(request: &Request, (formats, limit): Rule) -> Result<(&Part, Format), Refusal> {
    let part = request.parts.iter().find(|part| part.name == "media" && part.file_name.is_some());
    let part = part.filter(|part| !part.bytes.is_empty()).ok_or_else(|| Refusal::new(41005, "media data missing"))?;
    let format = Format::of(&part.bytes).filter(|format| formats.contains(format));
    let format = format.ok_or_else(|| Refusal::new(40005, "invalid file type"))?;
    if part.bytes.len() > limit { Err(Refusal::new(40006, "invalid meida size")) } else { Ok((part, format)) }
}

impl Simulator {
    pub(in crate::business) fn keep_medium(
        &self,
        owner: &AppId,
        purpose: Purpose,
        format: Format,
        bytes: &Bytes,
    ) -> Medium {
        let id = format!("{}_{}", self.random().id(), self.random().id());
        let (owner, bytes) = (owner.clone(), bytes.clone());
        let medium = Medium { id, owner, created_at: self.now(), purpose, format, bytes };
        let mut media = lock(&self.0.media);
        if media.0.len() == KEPT {
            media.0.pop_front();
        }
        media.0.push_back(medium.clone());
        medium
    }

    fn medium(&self, id: &str) -> Option<Medium> {
        let now = self.now();
        lock(&self.0.media).0.iter().find(|medium| medium.id == id && medium.lives(now)).cloned()
    }

    pub(in crate::business) fn forget_medium(&self, id: &str) {
        lock(&self.0.media).0.retain(|medium| medium.id != id);
    }

    /// The formats of an account's permanent media.
    pub(in crate::business) fn permanent_formats(&self, owner: &AppId) -> Vec<Format> {
        let media = lock(&self.0.media);
        let permanent = media.0.iter().filter(|medium| medium.owner == *owner && medium.is_permanent());
        permanent.map(|medium| medium.format).collect()
    }

    pub(in crate::business) fn medium_of(&self, owner: &AppId, id: &str) -> Result<Medium, Refusal> {
        self.medium(id).filter(|medium| medium.owner == *owner).ok_or_else(Refusal::invalid_medium)
    }

    pub(in crate::business) fn has_medium(&self, owner: &AppId, id: &str) -> bool {
        self.medium_of(owner, id).is_ok()
    }
}

pub(crate) fn upload(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let kind = request.parameter("type").unwrap_or_default();
    let rule = rule(kind).ok_or_else(|| Refusal::new(40004, "invalid media type"))?;
    let (part, format) = medium_in(request, rule)?;
    let medium = simulator.keep_medium(&holder.account, Purpose::Temporary, format, &part.bytes);
    Ok(json!({ "type": kind, "media_id": medium.id, "created_at": medium.created_at.unix() }).into())
}

/// Uploads a picture for an article, which is not a medium.
pub(crate) fn upload_picture(simulator: &Simulator, request: &Request, _: &Holder) -> Outcome {
    medium_in(request, (&[Format::Jpeg, Format::Png], MIB))?;
    Ok(json!({ "url": format!("http://mmbiz.qpic.cn/mmbiz/{}/0", simulator.random().id()) }).into())
}

/// Material for an audit (section 12.1).
pub(crate) fn upload_for_audit(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let picture = medium_in(request, (&[Format::Jpeg, Format::Png, Format::Gif], 2 * MIB));
    let (part, format) = match picture {
        Err(refusal) if refusal.errcode == 40005 => medium_in(request, (&[Format::Mp4], 10 * MIB))?,
        picture => picture?,
    };
    let kind = if format == Format::Mp4 { "video" } else { "image" };
    let medium = simulator.keep_medium(&holder.account, Purpose::Audit, format, &part.bytes);
    Ok(ok(json!({ "type": kind, "mediaid": medium.id })))
}

pub(crate) fn get(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let id = request.parameter("media_id").ok_or_else(|| Refusal::new(41006, "missing media_id"))?;
    let medium = simulator.medium_of(&holder.account, id)?;
    if medium.purpose != Purpose::Temporary {
        return Err(Refusal::invalid_medium());
    }
    if medium.format == Format::Mp4 {
        return Ok(json!({ "video_url": format!("http://{}{VIDEOS}{id}", request.host) }).into());
    }
    Ok(medium.into())
}

/// The path of videos, on a host of WeChat's that requires no token.
pub(crate) const VIDEOS: &str = "/vweixinp.tc.qq.com/";

pub(crate) async fn video(State(simulator): State<Simulator>, Path(id): Path<String>) -> Response {
    let medium = simulator.medium(&id).ok_or_else(Refusal::invalid_medium);
    respond(&simulator, medium.map(Answer::from))
}

impl From<Medium> for Answer {
    fn from(medium: Medium) -> Self {
        let name = format!("{}.{}", medium.id, medium.format.extension());
        Self::File { content_type: medium.format.content_type(), name, bytes: medium.bytes }
    }
}

/// A JPEG of this many bytes, by its beginning; from 260 on, it contains every value of a byte.
#[must_use]
pub fn sample_picture(length: usize) -> Vec<u8> {
    sample(&[0xFF, 0xD8, 0xFF, 0xE0], length)
}

/// An MP4 of this many bytes, by its beginning; from 264 on, it contains every value of a byte.
#[must_use]
pub fn sample_video(length: usize) -> Vec<u8> {
    sample(b"\x00\x00\x00\x18ftyp", length)
}

fn sample(start: &[u8], length: usize) -> Vec<u8> {
    start.iter().copied().chain((0..=u8::MAX).cycle()).take(length).collect()
}

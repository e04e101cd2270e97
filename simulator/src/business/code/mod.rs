//! The code of mini programs (代开发, protocol section 12): a template of the platform becomes a trial version, is audited
//! and released.
//!
//! A committed version is scanned for a minute. The audit ends when [`Simulator::decide_audit`] is called.

pub(crate) mod audit;
pub(crate) mod library;
pub(crate) mod release;

use std::time::Duration;

use base::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::qr_codes;
use crate::api::{Outcome, Request, ok};
use crate::refusal::Refusal;
use crate::simulator::Simulator;
use crate::world::Holder;

/// How long a committed version is scanned for privacy interfaces.
const SCAN: Duration = Duration::from_mins(1);
/// The most characters of a version's name.
const MAX_VERSION: usize = 64;
/// The pages of a template, unless `ext_json` names others.
const PAGE: &str = "pages/index/index";

/// WeChat's state of the code of one mini program.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Code {
    trial: Option<Version>,
    audits: Vec<audit::Audit>,
    withdrawals: Vec<Timestamp>,
    /// The released versions, the live one last.
    released: Vec<Version>,
    releases_made: u64,
    gray: Option<release::Gray>,
    is_paused: bool,
    base_library: Option<String>,
}

/// A version, from its commit on.
#[derive(Clone, Serialize, Deserialize)]
struct Version {
    name: String,
    description: String,
    pages: Vec<String>,
    committed_at: Timestamp,
    /// When it was released, and its number.
    released_at: Option<(Timestamp, u64)>,
}

impl Code {
    fn trial(&self) -> Result<&Version, Refusal> {
        self.trial.as_ref().ok_or_else(|| Refusal::new(86001, "no code has been committed"))
    }

    pub(super) const fn is_committed(&self) -> bool {
        self.trial.is_some()
    }

    /// Whether a page is in the live version.
    pub(super) fn has_page(&self, page: &str) -> bool {
        self.released.last().is_some_and(|live| live.pages.iter().any(|known| known == page))
    }
}

pub(crate) fn commit(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let template = request.number("template_id")?;
    let pages = pages_of(request.required("ext_json")?)?;
    let name = request.required("user_version")?.to_owned();
    if name.chars().count() > MAX_VERSION {
        return Err(Refusal::new(40097, "invalid args: user_version"));
    }
    let description = request.text("user_desc")?.unwrap_or_default().to_owned();
    simulator.change_both(&holder.account, |of, platform, at| {
        if !platform.library.has_template(template) {
            return Err(Refusal::new(85014, "invalid template_id"));
        }
        let version = Version { name, description, pages, committed_at: at.now, released_at: None };
        of.code.trial = Some(version);
        Ok(())
    })?;
    Ok(ok(json!({})))
}

/// The pages that a version has. `ext_json` is JSON in a string.
fn pages_of(ext_json: &str) -> Result<Vec<String>, Refusal> {
    let unparsable = |_| Refusal::new(85048, "fail to parse ext_json");
    let ext: Map<String, Value> = serde_json::from_str(ext_json).map_err(unparsable)?;
    let Some(pages) = ext.get("pages") else { return Ok(vec![PAGE.to_owned()]) };
    let pages: Vec<_> = pages.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    if pages.is_empty() { Err(Refusal::new(85047, "pages is empty")) } else { Ok(pages) }
}

pub(crate) fn pages(simulator: &Simulator, _: &Request, holder: &Holder) -> Outcome {
    let pages = simulator.of_account(&holder.account, |of| of.code.trial().map(|trial| trial.pages.clone()))?;
    Ok(ok(json!({ "page_list": pages })))
}

/// The QR code of the trial version.
pub(crate) fn trial_qr_code(simulator: &Simulator, _: &Request, holder: &Holder) -> Outcome {
    simulator.of_account(&holder.account, |of| of.code.trial().map(|_| ()))?;
    Ok(qr_codes::picture())
}

/// The findings of the scan: none, but not before it is over.
pub(crate) fn privacy_scan(simulator: &Simulator, _: &Request, holder: &Holder) -> Outcome {
    let now = simulator.now();
    simulator.of_account(&holder.account, |of| check_scanned(of.code.trial()?, now))?;
    Ok(ok(json!({ "without_auth_list": [], "without_conf_list": [] })))
}

fn check_scanned(version: &Version, now: Timestamp) -> Result<(), Refusal> {
    if now.since(version.committed_at) >= SCAN {
        Ok(())
    } else {
        Err(Refusal::new(61039, "the code privacy scan is not finished, retry later"))
    }
}

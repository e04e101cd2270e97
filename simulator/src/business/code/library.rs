//! The platform's library of templates, and the drafts that they are made from (protocol section 12.1).

use std::collections::BTreeMap;

use base::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::{Outcome, Request, ok};
use crate::refusal::Refusal;
use crate::simulator::Simulator;

/// The most templates of a platform.
const MAX_TEMPLATES: usize = 200;

/// Drafts and templates by their numbers.
#[derive(Serialize, Deserialize)]
pub(crate) struct Library {
    /// The last uploads of the developer of the one development mini program.
    drafts: BTreeMap<u64, Entry>,
    templates: BTreeMap<u64, Entry>,
    drafts_made: u64,
    templates_made: u64,
}

#[derive(Clone, Serialize, Deserialize)]
struct Entry {
    version: String,
    description: String,
    created_at: Timestamp,
    template_type: u64,
}

impl Default for Library {
    /// One draft, and the template that was made from it.
    fn default() -> Self {
        let entry = Entry {
            version: "1.0.0".to_owned(),
            description: "首个版本".to_owned(),
            created_at: Timestamp::from_unix(1_700_000_000),
            template_type: 0,
        };
        let entries = || BTreeMap::from([(0, entry.clone())]);
        Self { drafts: entries(), templates: entries(), drafts_made: 1, templates_made: 1 }
    }
}

impl Library {
    pub(super) fn has_template(&self, id: u64) -> bool {
        self.templates.contains_key(&id)
    }
}

impl Entry {
    fn written(&self, id_name: &str, id: u64) -> Value {
        json!({
            "create_time": self.created_at.unix(),
            "user_version": self.version,
            "user_desc": self.description,
            id_name: id,
            "source_miniprogram_appid": "wx0c00000000000005",
            "source_miniprogram": "模板开发小程序",
            "developer": "开发者",
        })
    }
}

impl Simulator {
    /// Has the developer of the platform's development mini program upload a version; returns the number of the draft,
    /// which replaces the earlier one.
    #[must_use]
    pub fn upload_draft(&self, version: &str, description: &str) -> u64 {
        let (version, description) = (version.to_owned(), description.to_owned());
        self.change_platform(|of, at| {
            let id = of.library.drafts_made;
            of.library.drafts_made += 1;
            of.library.drafts = [(id, Entry { version, description, created_at: at.now, template_type: 0 })].into();
            id
        })
    }
}

pub(crate) fn drafts(simulator: &Simulator, _: &Request) -> Outcome {
    let drafts: Vec<_> = simulator
        .of_platform(|of| of.library.drafts.iter().map(|(id, draft)| draft.written("draft_id", *id)).collect());
    Ok(ok(json!({ "draft_list": drafts })))
}

/// Makes a template from a draft, which stays.
pub(crate) fn add(simulator: &Simulator, request: &Request) -> Outcome {
    let draft = request.number("draft_id")?;
    let template_type = request.body.get("template_type").and_then(Value::as_u64).unwrap_or_default();
    simulator.change_platform(|of, at| {
        let draft = of.library.drafts.get(&draft).ok_or_else(|| Refusal::new(85064, "template not found"))?;
        if of.library.templates.len() >= MAX_TEMPLATES {
            return Err(Refusal::new(85065, "template list is full"));
        }
        let template = Entry { created_at: at.now, template_type, ..draft.clone() };
        of.library.templates.insert(of.library.templates_made, template);
        of.library.templates_made += 1;
        Ok(())
    })?;
    Ok(ok(json!({})))
}

pub(crate) fn templates(simulator: &Simulator, request: &Request) -> Outcome {
    let wanted = request.parameter("template_type");
    let templates: Vec<_> = simulator.of_platform(|of| {
        let templates = of.library.templates.iter();
        let wanted = templates.filter(|(_, of)| wanted.is_none_or(|wanted| wanted == of.template_type.to_string()));
        let written = wanted.map(|(id, template)| {
            let mut written = template.written("template_id", *id);
            written["template_type"] = json!(template.template_type);
            written
        });
        written.collect()
    });
    Ok(ok(json!({ "template_list": templates })))
}

pub(crate) fn delete(simulator: &Simulator, request: &Request) -> Outcome {
    let id = request.number("template_id")?;
    let removed = simulator.change_platform(|of, _| of.library.templates.remove(&id));
    removed.map(|_| ok(json!({}))).ok_or_else(|| Refusal::new(85064, "template not found"))
}

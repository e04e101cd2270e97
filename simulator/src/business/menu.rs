//! The menu of an official account (自定义菜单).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::{Outcome, Request, ok};
use crate::refusal::Refusal;
use crate::simulator::Simulator;
use crate::world::Holder;

/// The most buttons of a menu.
const MAX_BUTTONS: usize = 3;
/// The most buttons below a button.
const MAX_SUB_BUTTONS: usize = 5;
/// The most bytes of a button's name, and of the name of one below it.
const MAX_NAME: (usize, usize) = (16, 60);

/// The buttons of an account's menu, if it has one.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Menu(Option<Value>);

pub(crate) fn create(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let buttons = request.body.get("button").and_then(Value::as_array).filter(|buttons| !buttons.is_empty());
    let buttons = buttons.filter(|buttons| buttons.len() <= MAX_BUTTONS);
    let buttons = buttons.ok_or_else(|| Refusal::new(40016, "invalid button size"))?;
    for button in buttons {
        check(button, MAX_NAME.0)?;
        let below = below(button);
        if below.len() > MAX_SUB_BUTTONS {
            return Err(Refusal::new(40023, "invalid sub button size"));
        }
        below.iter().try_for_each(|button| check(button, MAX_NAME.1))?;
    }
    let buttons = Value::Array(buttons.clone());
    simulator.change_account(&holder.account, |of, _| of.menu.0 = Some(buttons));
    Ok(ok(json!({})))
}

pub(crate) fn get(simulator: &Simulator, _: &Request, holder: &Holder) -> Outcome {
    let buttons = simulator.of_account(&holder.account, |of| of.menu.0.clone());
    let buttons = buttons.ok_or_else(|| Refusal::new(46003, "menu no exist"))?;
    Ok(json!({ "menu": { "button": buttons } }).into())
}

pub(crate) fn delete(simulator: &Simulator, _: &Request, holder: &Holder) -> Outcome {
    simulator.change_account(&holder.account, |of, _| of.menu.0 = None);
    Ok(ok(json!({})))
}

fn below(button: &Value) -> &[Value] {
    button.get("sub_button").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Checks a button, which leads somewhere or has others below it.
fn check(button: &Value, longest: usize) -> Result<(), Refusal> {
    let has = |name: &str| button.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    let name = button.get("name").and_then(Value::as_str).unwrap_or_default();
    if name.is_empty() || name.len() > longest {
        return Err(Refusal::new(40018, "invalid button name size"));
    }
    if !below(button).is_empty() {
        return Ok(());
    }
    let (lacks, errcode) = match button.get("type").and_then(Value::as_str) {
        Some("view") => ("url", 40020),
        Some("miniprogram") => ("appid", 40013),
        Some("media_id" | "view_limited") => ("media_id", 40007),
        Some("article_id" | "article_view_limited") => ("article_id", 40007),
        Some(_) => ("key", 40019),
        None => return Err(Refusal::new(40017, "invalid button type")),
    };
    if has(lacks) { Ok(()) } else { Err(Refusal::new(errcode, format!("invalid button {lacks} size"))) }
}

//! Tests that need no table. The rest are stories.

use std::collections::BTreeSet;

use super::*;

#[test]
fn an_operator_who_may_only_look_reaches_no_form_that_acts() {
    let forms: Vec<&Page> = PAGES.iter().filter(|page| page.method == Method::POST).collect();
    let own = ["/console/browsers/{browser_id}/end", "/console/language"];
    for form in &forms {
        assert_eq!(form.needs == Needs::Look, own.contains(&form.path), "{}", form.path);
    }
    assert!(PAGES.iter().all(|page| page.method == Method::POST || page.needs == Needs::Look));
    let distinct: BTreeSet<_> = PAGES.iter().map(|page| (page.method.as_str(), page.path)).collect();
    assert_eq!(distinct.len(), PAGES.len());
}

#[test]
fn each_form_has_its_token_and_only_pictures_of_ours_are_not_escaped() {
    let templates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut pages = 0;
    for entry in templates.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let (name, text) = (path.file_name().unwrap().to_str().unwrap(), std::fs::read_to_string(&path).unwrap());
        if path.extension().is_none_or(|extension| extension != "html") {
            continue;
        }
        pages += 1;
        // The reader of an invitation has no session yet.
        let by_hand = text.matches("method=\"post\"").count();
        let expected = usize::from(["base.html", "forms.html", "invitation.html"].contains(&name));
        assert_eq!(by_hand, expected, "{name}: a form is written with forms::form");
        let unescaped: Vec<&str> = text.split("{{ ").filter(|part| part.contains("|safe }}")).collect();
        assert!(unescaped.iter().all(|part| part.starts_with("chart|safe") || part.starts_with("qr|safe")), "{name}");
    }
    assert!(pages > 15, "{pages}");
}

//! What can be seen without a table. The rest are stories.

use std::collections::BTreeSet;

use super::*;

#[test]
fn whoever_may_only_look_reaches_no_form_that_acts() {
    let forms: Vec<&Page> = PAGES.iter().filter(|page| page.method == Method::POST).collect();
    let own = ["/console/browsers/{browser_id}/end", "/console/language"];
    for form in &forms {
        assert_eq!(form.needs == Needs::Look, own.contains(&form.path), "{}", form.path);
    }
    assert!(PAGES.iter().all(|page| page.method == Method::POST || page.needs == Needs::Look));
    let distinct: BTreeSet<_> = PAGES.iter().map(|page| (page.method.as_str(), page.path)).collect();
    assert_eq!(distinct.len(), PAGES.len());
}

//! Operators' changes of accounts' labels.

use serde_json::json;

use super::desk::Desk;

#[tokio::test]
async fn the_labels_of_an_account_are_changed_and_tags_are_removed() {
    let desk = Desk::ready().await;
    let entered = [
        ("reference", " 客户 4711 "),
        ("tags", "plan = gold\r\nregion=华东\r\n"),
        ("origins", "https://shop.example.com\r\n\r\nhttps://m.example.com"),
    ];
    let saved = desk.submit("labels", &entered).await;
    let page = desk.follow(&saved, "Saved.").await;
    assert!(page.text.contains("plan=gold\nregion=华东"), "{}", page.text);
    let account = desk.account().await;
    assert_eq!(account["reference"], "客户 4711");
    assert_eq!(account["tags"], json!({ "plan": "gold", "region": "华东" }));
    assert_eq!(account["login_origins"], json!(["https://shop.example.com", "https://m.example.com"]));
    desk.assert_audited(&format!("account.label {}: done", desk.stage.account)).await;

    let saved = desk.submit("labels", &[("reference", ""), ("tags", "region=华东"), ("origins", "")]).await;
    desk.follow(&saved, "Saved.").await;
    let account = desk.account().await;
    assert_eq!((&account["tags"], account.get("reference")), (&json!({ "region": "华东" }), None));
    assert_eq!(account.get("login_origins").unwrap_or(&json!([])), &json!([]));
}

#[tokio::test]
async fn bad_input_is_still_in_the_form_with_what_is_wrong() {
    let desk = Desk::ready().await;
    let before = desk.account().await;
    let many: Vec<String> = (0..21).map(|n| format!("t{n}=1")).collect();
    let (many, long) = (many.join("\n"), "x".repeat(257));
    let bad = [
        ("reference", long.as_str(), "reference"),
        ("tags", "plan=gold\nimportant", "on a line of its own"),
        ("tags", "plan=gold\nplan=silver", "each key once"),
        ("tags", "=gold", "tags"),
        ("tags", many.as_str(), "tags"),
        ("origins", "http://shop.example.com", "login_origins"),
        ("origins", "https://shop.example.com/path", "login_origins"),
        ("version", "x\"\r\ny: z", "version"),
    ];
    for (name, value, said) in bad {
        let fields = [("reference", "kept 1"), ("tags", "kept=2"), ("origins", "https://kept3.example.com")];
        let entered: Vec<_> = fields.into_iter().filter(|(known, _)| *known != name).chain([(name, value)]).collect();
        let page = desk.submit("labels", &entered).await;
        assert!([400, 412, 428].contains(&page.status), "{value}: {} {}", page.status, page.text);
        assert!(page.text.contains("role=\"alert\"") && page.text.contains(said), "{value}: {}", page.text);
        for (_, kept) in entered.iter().filter(|(name, _)| *name != "version") {
            assert!(page.text.contains(kept), "{kept} is lost: {}", page.text);
        }
        // A choice of language then leads back to a page.
        let chosen = desk.browser.submit_to(&page, "/console/language", &[("language", "en")]).await;
        assert_eq!(desk.browser.open(&chosen.location()).await.status, 200, "{}", chosen.location());
    }
    assert_eq!(desk.account().await, before);
}

#[tokio::test]
async fn a_change_saved_meanwhile_is_shown_with_what_was_entered() {
    let desk = Desk::ready().await;
    let page = desk.see(&desk.path).await;
    let meanwhile = json!({ "reference": "theirs", "tags": { "plan": "silver" } });
    assert_eq!(desk.business.patch(&desk.stage.account, &meanwhile, None).await.status, 200);
    let path = format!("{}/labels", desk.path);
    let entered = [("reference", "mine"), ("tags", "region=华东"), ("origins", "")];
    let refused = desk.browser.submit_to(&page, &path, &entered).await;
    assert_eq!(refused.status, 412, "{}", refused.text);
    for shown in ["value=\"theirs\"", ">plan=silver</textarea>", "What you entered", "mine", "region=华东"] {
        assert!(refused.text.contains(shown), "{shown}: {}", refused.text);
    }
    desk.assert_audited(&format!("account.label {}: refused: version-mismatch", desk.stage.account)).await;
    assert_eq!(desk.account().await["reference"], "theirs");
    // The form on that page has the newest version.
    let saved = desk.browser.submit_to(&refused, &path, &entered).await;
    desk.follow(&saved, "Saved.").await;
    assert_eq!(desk.account().await["tags"], json!({ "region": "华东" }));
}

#[tokio::test]
async fn tags_that_cannot_be_a_line_stay_as_a_service_set_them() {
    let desk = Desk::ready().await;
    let said = json!({ "reference": "two\nlines", "tags": { "a=b": "1", "note": "1\n2", "plan": "gold" } });
    assert_eq!(desk.business.patch(&desk.stage.account, &said, None).await.status, 200);
    let page = desk.see(&desk.path).await;
    assert!(page.text.contains(">plan=gold</textarea>") && page.text.contains("Can only be changed through the API"));
    let entered = [("reference", "twolines"), ("tags", "plan=silver"), ("origins", "")];
    desk.follow(&desk.submit("labels", &entered).await, "Saved.").await;
    let account = desk.account().await;
    assert_eq!(account["tags"], json!({ "a=b": "1", "note": "1\n2", "plan": "silver" }));
    assert_eq!(account["reference"], "two\nlines");
}

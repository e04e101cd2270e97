//! The table and the secret: what protects them from a mistake.

use serde_json::{Value, json};
use store::DUE_INDEX;

use super::{of_type, properties, template};

#[test]
fn the_index_has_the_name_that_is_asked_for() {
    let template = template();
    let indexes = properties(&template, "Table")["GlobalSecondaryIndexes"].as_array().unwrap();
    let names: Vec<&Value> = indexes.iter().map(|index| &index["IndexName"]).collect();
    assert_eq!(names, [DUE_INDEX]);
}

#[test]
fn table_and_secret_outlive_the_stack_and_production_is_protected() {
    let template = template();
    for name in ["Table", "Secret"] {
        for policy in ["DeletionPolicy", "UpdateReplacePolicy"] {
            assert_eq!(template["Resources"][name][policy], "Retain", "{name}");
        }
    }
    let table = properties(&template, "Table");
    assert_eq!(table["DeletionProtectionEnabled"], json!({ "Fn::If": ["Production", true, false] }));
    assert_eq!(template["Conditions"]["Production"], json!({ "Fn::Equals": [{ "Ref": "Stage" }, "production"] }));
    assert_eq!(table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true);
}

#[test]
fn the_own_key_encrypts_table_and_secret_where_it_is_given() {
    let template = template();
    let key = json!({ "Fn::If": ["OwnKey", { "Ref": "KmsKeyArn" }, { "Ref": "AWS::NoValue" }] });
    let encryption = &properties(&template, "Table")["SSESpecification"];
    assert_eq!(*encryption, json!({ "SSEEnabled": true, "SSEType": "KMS", "KMSMasterKeyId": key }));
    assert_eq!(properties(&template, "Secret")["KmsKeyId"], key);
    assert_eq!(of_type(&template, "AWS::DynamoDB::Table").count(), 1);
    assert_eq!(of_type(&template, "AWS::SecretsManager::Secret").count(), 1);
}

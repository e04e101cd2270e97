//! The table, the secret and the bucket, and their protection from mistakes.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use store::{DUE_INDEX, LIST_INDEX};

use super::{deployed, of_type, properties, template, text};

#[test]
fn the_indexes_have_the_names_that_are_asked_for() {
    let template = template();
    let indexes = properties(&template, "Table")["GlobalSecondaryIndexes"].as_array().unwrap();
    let names: Vec<&Value> = indexes.iter().map(|index| &index["IndexName"]).collect();
    assert_eq!(names, [DUE_INDEX, LIST_INDEX]);
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

#[test]
fn files_are_private_encrypted_and_gone_after_a_day() {
    let template = template();
    assert_eq!(of_type(&template, "AWS::S3::Bucket").count(), 1);
    let bucket = properties(&template, "FilesBucket");
    let key = json!({ "Fn::If": ["OwnKey", { "Ref": "KmsKeyArn" }, { "Ref": "AWS::NoValue" }] });
    let rule = &bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0];
    assert_eq!(rule["ServerSideEncryptionByDefault"], json!({ "SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key }));
    let blocked = bucket["PublicAccessBlockConfiguration"].as_object().unwrap();
    assert!(blocked.len() == 4 && blocked.values().all(|it| *it == true), "{blocked:?}");
    assert_eq!(bucket["OwnershipControls"]["Rules"], json!([{ "ObjectOwnership": "BucketOwnerEnforced" }]));
    let rules = bucket["LifecycleConfiguration"]["Rules"].as_array().unwrap();
    let [rule] = &rules[..] else { panic!("{} rules", rules.len()) };
    assert_eq!((&rule["Status"], &rule["ExpirationInDays"]), (&json!("Enabled"), &json!(1)));
    assert!(rule["Prefix"].is_null() && rule["TagFilters"].is_null(), "every object: {rule}");
    // A bucket that is not empty would stop the stack's deletion.
    assert_eq!(template["Resources"]["FilesBucket"]["DeletionPolicy"], "Retain");
    let policy = &properties(&template, "FilesBucketPolicy")["PolicyDocument"]["Statement"];
    assert_eq!(policy[0]["Effect"], "Deny");
    assert_eq!(policy[0]["Condition"], json!({ "Bool": { "aws:SecureTransport": "false" } }));
    assert_eq!(policy.as_array().map(Vec::len), Some(1));
}

#[test]
fn the_capacity_is_provisioned_on_request_and_then_follows_the_load() {
    const KIND: &str = "AWS::ApplicationAutoScaling::ScalableTarget";
    let on_demand = deployed(&[]);
    let table = properties(&on_demand, "Table");
    assert_eq!(table["BillingMode"], "PAY_PER_REQUEST");
    assert!(!table.to_string().contains("ProvisionedThroughput"));
    assert_eq!(of_type(&on_demand, KIND).count(), 0);

    let stack = deployed(&[("TableCapacity", "provisioned")]);
    let table = properties(&stack, "Table");
    assert_eq!(table["BillingMode"], "PROVISIONED");
    let most = json!({ "Ref": "TableCapacityMax" });
    // A switch begins with the maximum: whatever the load is, nothing is refused until the scaling has seen it.
    let first = json!({ "ReadCapacityUnits": most, "WriteCapacityUnits": most });
    let indexes = table["GlobalSecondaryIndexes"].as_array().unwrap();
    assert_eq!(indexes.len(), 2);
    for part in indexes.iter().chain([table]) {
        assert_eq!(part["ProvisionedThroughput"], first, "{part}");
    }

    let mut followed = BTreeSet::new();
    for (name, target) in of_type(&stack, KIND) {
        let target = &target["Properties"];
        assert_eq!((&target["MinCapacity"], &target["MaxCapacity"]), (&json!(5), &most), "{name}");
        let policy = of_type(&stack, "AWS::ApplicationAutoScaling::ScalingPolicy")
            .find(|(_, policy)| policy["Properties"]["ScalingTargetId"] == json!({ "Ref": name }));
        let (_, policy) = policy.unwrap_or_else(|| panic!("{name} follows nothing"));
        let rule = &policy["Properties"]["TargetTrackingScalingPolicyConfiguration"];
        assert_eq!(rule["TargetValue"], 70, "{name}");
        let metric = text(&rule["PredefinedMetricSpecification"]["PredefinedMetricType"]);
        let dimension = text(&target["ScalableDimension"]).strip_prefix("dynamodb:").unwrap();
        let (of, capacity) = dimension.split_once(':').unwrap();
        assert_eq!(format!("DynamoDB{}Utilization", capacity.trim_end_matches("Units")), metric, "{name}");
        followed.insert((text(&target["ResourceId"]["Fn::Sub"]), of, metric));
    }
    let [due, list] = [DUE_INDEX, LIST_INDEX].map(|index| format!("table/${{Table}}/index/{index}"));
    let metrics = ["DynamoDBReadCapacityUtilization", "DynamoDBWriteCapacityUtilization"];
    let expected = [("table/${Table}", "table"), (&due, "index"), (&list, "index")];
    let expected = expected.into_iter().flat_map(|(id, of)| metrics.map(|metric| (id, of, metric)));
    assert_eq!(followed, expected.collect());
}

//! The rights of the template's deployer: the manual names each service that it uses.

use std::collections::BTreeSet;

use super::{template, text};

/// The services of the template's resources, and their names in the manual. SAM's own kinds are written out.
const SERVICES: [(&str, &str); 15] = [
    ("ApiGatewayV2", "API Gateway"),
    ("ApplicationAutoScaling", "Application Auto Scaling"),
    ("CloudWatch", "CloudWatch"),
    ("DynamoDB", "DynamoDB"),
    ("EC2", "EC2"),
    ("Events", "EventBridge"),
    ("IAM", "IAM"),
    ("Lambda", "Lambda"),
    ("Logs", "Logs"),
    ("S3", "S3"),
    ("SNS", "SNS"),
    ("SQS", "SQS"),
    ("Scheduler", "Scheduler"),
    ("SecretsManager", "Secrets Manager"),
    ("Serverless", "CloudFormation"),
];

#[test]
fn the_manual_lists_the_deployers_rights_for_every_service_of_the_template() {
    let manual = include_str!("../../../docs/operations.md");
    let rights = manual.split("## The deployer's rights").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: Vec<&str> = rights.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()).collect();
    let named = |name: &str| rows.iter().any(|row| row.contains(name));
    let template = template();
    let kinds = template["Resources"].as_object().unwrap().values().map(|resource| text(&resource["Type"]));
    let used: BTreeSet<&str> = kinds.filter_map(|kind| kind.strip_prefix("AWS::")?.split("::").next()).collect();
    for service in used {
        let (_, name) =
            SERVICES.iter().find(|(known, _)| *known == service).unwrap_or_else(|| panic!("{service} is new"));
        assert!(named(name), "{name} has no row in the deployer's rights");
    }
    assert!(named("KMS"));
}

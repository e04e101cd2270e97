//! The network of the functions that call WeChat, and of no others.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::roles::{actions, statements};
use super::{deployed, functions, many, of_type, properties, template, text};

/// The output with the addresses for WeChat's list.
const ADDRESSES: &str = "EgressAddressesForWechatWhitelist";

/// The functions that know WeChat's URL.
fn callers(template: &Value) -> BTreeSet<&str> {
    let calls =
        |function: &Value| function["Properties"]["Environment"]["Variables"]["WECHAT_API_BASE_URL"].is_object();
    functions(template).filter(|(_, function)| calls(function)).map(|(name, _)| name).collect()
}

#[test]
fn exactly_the_functions_that_call_wechat_are_in_the_network() {
    let template = template();
    let inside = functions(&template).filter(|(_, function)| function["Properties"]["VpcConfig"].is_object());
    let inside: BTreeSet<&str> = inside.map(|(name, _)| name).collect();
    assert_eq!(
        inside,
        ["AccountApi", "OauthCallback", "PreauthLink", "TokenApi", "TokenRefresher", "WebLogin", "WechatCalls"].into()
    );
    assert_eq!(inside, callers(&template), "what takes WeChat's pushes needs no address, and no network that may hang");
    assert!(template["Globals"]["Function"]["VpcConfig"].is_null());

    let split = |parameter: &str| json!({ "Fn::Split": [",", { "Ref": parameter }] });
    let second = json!({ "Fn::If": ["UseSecondZone", { "Ref": "PrivateSubnetB" }, { "Ref": "AWS::NoValue" }] });
    let made = json!([{ "Ref": "PrivateSubnetA" }, second]);
    let expected = json!({ "Fn::If": [
        "InVpc",
        {
            "SubnetIds": { "Fn::If": ["MakeVpc", made, split("SubnetIds")] },
            "SecurityGroupIds":
                { "Fn::If": ["MakeVpc", [{ "Ref": "CallersSecurityGroup" }], split("SecurityGroupIds")] },
        },
        { "Ref": "AWS::NoValue" },
    ] });
    for name in inside {
        assert_eq!(properties(&template, name)["VpcConfig"], expected, "{name}");
    }
}

#[test]
fn lambda_makes_the_network_interfaces_and_the_code_never_does() {
    let template = template();
    assert_eq!(template["Resources"]["NetworkInterfaces"]["Condition"], "InVpc");
    let roles = many(&properties(&template, "NetworkInterfaces")["Roles"]);
    let roles: BTreeSet<&str> = roles.into_iter().map(|role| text(&role["Ref"])).collect();
    let expected = callers(&template).into_iter().map(|function| format!("{function}Role")).collect::<BTreeSet<_>>();
    assert_eq!(roles, expected.iter().map(String::as_str).collect());
    for function in callers(&template) {
        let after = &template["Resources"][function]["Metadata"]["After"];
        assert_eq!(*after, json!({ "Fn::If": ["InVpc", { "Ref": "NetworkInterfaces" }, ""] }), "{function}");
    }

    let (mut allowed, mut denied) = (BTreeSet::new(), BTreeSet::new());
    for (name, statement) in statements(&template) {
        if name == "DefaultGroupCloserRole" {
            continue;
        }
        let network = actions(statement).into_iter().filter(|action| action.starts_with("ec2:"));
        if statement["Effect"] == "Deny" {
            assert_eq!(statement["Condition"], json!({ "Null": { "lambda:SourceFunctionArn": "false" } }));
            denied.extend(network);
        } else {
            let before = allowed.len();
            allowed.extend(network);
            assert!(name == "NetworkInterfaces" || allowed.len() == before, "{name}");
        }
    }
    assert_eq!(allowed.len(), 6);
    assert_eq!(allowed, denied);
}

#[test]
fn the_network_lets_https_out_and_nothing_in() {
    let template = template();
    let groups: Vec<_> = of_type(&template, "AWS::EC2::SecurityGroup").collect();
    let [(_, group)] = groups[..] else { panic!("{} security groups", groups.len()) };
    assert!(group["Properties"]["SecurityGroupIngress"].is_null());
    let [rule] = &many(&group["Properties"]["SecurityGroupEgress"])[..] else { panic!("one rule") };
    assert_eq!((&rule["IpProtocol"], &rule["FromPort"], &rule["ToPort"]), (&json!("tcp"), &json!(443), &json!(443)));
}

#[test]
fn every_connection_of_the_network_is_logged_by_a_role_that_writes_there_only() {
    let template = template();
    let log = properties(&template, "NetworkLog");
    assert_eq!((&log["ResourceId"], &log["TrafficType"]), (&json!({ "Ref": "Vpc" }), &json!("ALL")));
    assert_eq!(log["LogGroupName"], json!({ "Ref": "NetworkLogs" }));
    assert_eq!(log["DeliverLogsPermissionArn"], json!({ "Fn::GetAtt": ["NetworkLogRole", "Arn"] }));
    assert_eq!(properties(&template, "NetworkLogs")["RetentionInDays"], json!({ "Ref": "LogRetentionDays" }));
    let [trust] = &many(&properties(&template, "NetworkLogRole")["AssumeRolePolicyDocument"]["Statement"])[..] else {
        panic!("one statement")
    };
    assert_eq!(trust["Principal"], json!({ "Service": "vpc-flow-logs.amazonaws.com" }));
    assert_eq!(trust["Condition"]["StringEquals"]["aws:SourceAccount"], json!({ "Ref": "AWS::AccountId" }));
    for name in ["NetworkLog", "NetworkLogRole", "NetworkLogs"] {
        assert_eq!(template["Resources"][name]["Condition"], "MakeVpc", "{name}");
    }
}

#[test]
fn a_function_that_may_do_only_this_closes_the_default_security_group() {
    let template = template();
    let group = json!({ "Fn::GetAtt": ["Vpc", "DefaultSecurityGroup"] });
    assert_eq!(properties(&template, "ClosedDefaultGroup")["Group"], group);
    let own = statements(&template).into_iter().filter(|(name, _)| *name == "DefaultGroupCloserRole");
    let own: Vec<&Value> = own.map(|(_, statement)| statement).collect();
    let [log, close] = own[..] else { panic!("{} statements", own.len()) };
    assert_eq!(log["Resource"], json!({ "Fn::GetAtt": ["DefaultGroupCloserLogs", "Arn"] }));
    assert_eq!(actions(close), ["ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress"].into());
    assert_eq!(close["Resource"]["Fn::Sub"][1], json!({ "Group": group }));
    for (name, resource) in template["Resources"].as_object().unwrap() {
        if name.contains("DefaultGroup") {
            assert_eq!(resource["Condition"], "MakeVpc", "{name}");
        }
    }
}

#[test]
fn every_address_is_in_the_output_for_wechats_list_and_survives_a_replacement() {
    let template = template();
    assert_eq!(template["Outputs"][ADDRESSES]["Condition"], "MakeVpc");
    for (name, address) in of_type(&template, "AWS::EC2::EIP") {
        assert_eq!(address["UpdateReplacePolicy"], "Retain", "{name}");
    }
    for zones in ["1", "prepare-2", "2"] {
        let stack = deployed(&[("Egress", "vpc"), ("Zones", zones)]);
        let output = stack["Outputs"][ADDRESSES]["Value"].to_string();
        let addresses: Vec<_> = of_type(&stack, "AWS::EC2::EIP").map(|(name, _)| name).collect();
        assert_eq!(addresses.len(), if zones == "1" { 1 } else { 2 }, "{zones}");
        for name in &addresses {
            assert!(output.contains(&json!({ "Fn::GetAtt": [name, "PublicIp"] }).to_string()), "{zones}: {name}");
        }
        assert_eq!(output.matches("PublicIp").count(), addresses.len(), "{output}");
    }
}

#[test]
fn each_zone_has_a_way_out_with_an_address_of_its_own() {
    for (zones, expected) in [("1", 1), ("prepare-2", 1), ("2", 2)] {
        let stack = deployed(&[("Egress", "vpc"), ("Zones", zones)]);
        let subnets = many(&properties(&stack, "TokenRefresher")["VpcConfig"]["SubnetIds"]);
        let (mut places, mut addresses) = (BTreeSet::new(), BTreeSet::new());
        for subnet in &subnets {
            let one = |kind: &'static str, key: &str, is: &Value| {
                let found: Vec<_> = of_type(&stack, kind).filter(|(_, it)| it["Properties"][key] == *is).collect();
                let [(name, it)] = found[..] else { panic!("{zones}: {} of {kind} have {key} {is}", found.len()) };
                (json!({ "Ref": name }), it["Properties"].clone())
            };
            let (_, table) = one("AWS::EC2::SubnetRouteTableAssociation", "SubnetId", subnet);
            let (_, route) = one("AWS::EC2::Route", "RouteTableId", &table["RouteTableId"]);
            let gateway = properties(&stack, text(&route["NatGatewayId"]["Ref"]));
            for endpoint in ["TableEndpoint", "FilesEndpoint"] {
                let tables = many(&properties(&stack, endpoint)["RouteTableIds"]);
                assert!(tables.contains(&&table["RouteTableId"]), "{zones}: {endpoint}");
            }
            let zone = |subnet: &Value| properties(&stack, text(&subnet["Ref"]))["AvailabilityZone"].to_string();
            assert_eq!(zone(subnet), zone(&gateway["SubnetId"]), "a way out in another zone dies with that one");
            places.insert(zone(subnet));
            addresses.insert(gateway["AllocationId"].to_string());
        }
        assert_eq!((subnets.len(), places.len(), addresses.len()), (expected, expected, expected), "{zones}");
        assert_eq!(of_type(&stack, "AWS::EC2::NatGateway").count(), expected, "{zones}");
        let interfaces = properties(&stack, "NetworkInterfaces").to_string();
        for subnet in subnets {
            assert!(interfaces.contains(&subnet.to_string()), "{zones}: {subnet}");
        }
        assert_eq!(interfaces.matches("PrivateSubnet").count(), expected, "{zones}");
        // No function enters a subnet before its routes exist.
        let after = stack["Resources"]["NetworkInterfaces"]["Metadata"]["After"].to_string();
        for kind in ["AWS::EC2::Route", "AWS::EC2::SubnetRouteTableAssociation"] {
            for (name, _) in of_type(&stack, kind).filter(|(name, _)| name.starts_with("Private")) {
                assert!(after.contains(name), "{zones}: {name}");
            }
        }
    }
}

#[test]
fn without_a_network_of_its_own_the_stack_pays_for_none() {
    for egress in ["none", "existing"] {
        let stack = deployed(&[("Egress", egress)]);
        let kinds = stack["Resources"].as_object().unwrap().values().map(|it| text(&it["Type"]));
        assert_eq!(kinds.filter(|kind| kind.starts_with("AWS::EC2::")).count(), 0, "{egress}");
    }
}

#[test]
fn the_endpoint_of_files_lets_through_only_what_a_role_may_do_with_the_bucket() {
    let template = template();
    let [through] = &many(&properties(&template, "FilesEndpoint")["PolicyDocument"]["Statement"])[..] else {
        panic!("one statement")
    };
    let all = statements(&template).into_iter().flat_map(|(_, statement)| actions(statement));
    assert_eq!(actions(through), all.filter(|action| action.starts_with("s3:")).collect());
    let bucket = json!([{ "Fn::GetAtt": ["FilesBucket", "Arn"] }, { "Fn::Sub": "${FilesBucket.Arn}/*" }]);
    assert_eq!(through["Resource"], bucket);
}

#[test]
fn the_endpoint_lets_through_only_what_the_roles_may_do_with_the_table() {
    let template = template();
    let endpoint = properties(&template, "TableEndpoint");
    let [through] = &many(&endpoint["PolicyDocument"]["Statement"])[..] else { panic!("one statement") };
    let indexes = ["due", "list"].map(|index| json!({ "Fn::Sub": format!("${{Table.Arn}}/index/{index}") }));
    let [due, list] = indexes;
    assert_eq!(through["Resource"], json!([{ "Fn::GetAtt": ["Table", "Arn"] }, due, list]));
    let callers = callers(&template);
    let needed: BTreeSet<&str> = statements(&template)
        .into_iter()
        .filter(|(role, _)| role.strip_suffix("Role").is_some_and(|function| callers.contains(function)))
        // Lambda reads the stream, from outside.
        .filter(|(_, statement)| statement["Sid"] != "ReadStream")
        .flat_map(|(_, statement)| actions(statement))
        .filter(|action| action.starts_with("dynamodb:"))
        .collect();
    assert_eq!(actions(through), needed);
}

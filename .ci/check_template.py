#!/usr/bin/env python3
"""What only the transformed template shows: who may call what, once SAM has written out routes, roles and permissions.

Transforms template.yaml as AWS would, for a region of each partition, and prints a line for everything that is not as
it is meant. Needs aws-sam-translator, which comes with .ci/requirements.txt. No call to AWS is made.
"""

import os
import re
import sys
from pathlib import Path

# The translator asks boto3 for a region when it is imported.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

import boto3  # noqa: E402
from samtranslator.parser.parser import Parser  # noqa: E402
from samtranslator.translator.translator import Translator  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

TEMPLATE = Path(__file__).resolve().parent.parent / "template.yaml"
REGIONS = {"aws": "us-east-1", "aws-cn": "cn-north-1"}

BUSINESS = ("/authorization-links", "/accounts", "/openapi.json", "/platform", "/reconciliations", "/retries", "/tokens/", "/wechat/{appid}/", "/wechat/platform/", "/calls", "/files", "/keys", "/operators", "/check-files", "/logins")
# Routes that are there with Console=on only.
CONSOLE = "/console"
PUSHES = {"POST /wechat/events", "POST /wechat/accounts/{appid}/events"}

# Statements that name "*": EC2 has no resources for looking up, and a denial means all of it.
EVERYTHING = {"LookUp", "NotForTheCode"}

# What SAM generates for a schedule: one role each, which starts the function and reports what never started.
SCHEDULE_GRANTS = [
    ("lambda:InvokeFunction", {"Fn::GetAtt": ["TokenRefresher", "Arn"]}),
    ("sqs:SendMessage", {"Fn::GetAtt": ["Failures", "Arn"]}),
]

# Kinds of resource that let others in; none is used.
OPENING = {
    "AWS::Events::EventBusPolicy",
    "AWS::Lambda::Url",
    "AWS::SQS::QueuePolicy",
    "AWS::SNS::TopicPolicy",
    "AWS::SecretsManager::ResourcePolicy",
}

# How OpenAPI names a route that has every method.
METHODS = {"x-amazon-apigateway-any-method": "any"}

# What leads out of the network to one resource, for everybody in it; the roles say who may use that.
ENDPOINTS = {"FilesEndpoint", "TableEndpoint"}

# The API of visitors' logins, at hosts of the accounts' own: what may call which function from there.
LOGIN_API = "LoginApi"
LOGIN_SOURCE = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${LoginApi}/*/*/*"

# A route as API Gateway names itself when it calls a function: this, then method and path.
SOURCE = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${__ApiId__}/${__Stage__}/"

# The rules by which a run that somebody asked for is started.
RULES = [{"Fn::GetAtt": [f"TokenRefresher{name}", "Arn"]} for name in ("ReconcileNow", "RenewNow")]

FAILURES = {"Fn::GetAtt": ["Failures", "Arn"]}


def transformed(region):
    template = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/built-elsewhere.zip"
    defaults = {name: it["Default"] for name, it in template["Parameters"].items() if "Default" in it}
    os.environ["AWS_DEFAULT_REGION"] = region
    session = boto3.Session(region_name=region)
    return Translator({}, Parser(), boto_session=session).translate(template, defaults)


def of_type(template, kind):
    return {name: it for name, it in template["Resources"].items() if it["Type"] == kind}


def many(value):
    return value if isinstance(value, list) else [value]


def texts(value):
    """Every text within a value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    elif isinstance(value, str):
        yield value


def the_apis(template, kind="AWS::ApiGatewayV2::Api"):
    """The API of everything, and the one of logins; or what there is of a kind for each of the two."""
    found = of_type(template, kind)
    (logins,) = [name for name in found if name.startswith(LOGIN_API)]
    (common,) = found.keys() - {logins}
    return found[common], found[logins]


def if_there(value, conditions):
    """What a value is where all conditions hold, whose names are added."""
    while isinstance(value, dict) and value.keys() == {"Fn::If"}:
        condition, value, _ = value["Fn::If"]
        conditions.add(condition)
    return value


def operations(template):
    """Route key -> the operation as OpenAPI has it, and the conditions under which there is such a route."""
    api, _ = the_apis(template)
    body = api["Properties"]["Body"]
    assert not body.get("security"), "an authorizer on all routes"
    found = {}
    for path, methods in body["paths"].items():
        of_path = set()
        for method, operation in if_there(methods, of_path).items():
            if method != "parameters":
                conditions = set(of_path)
                operation = if_there(operation, conditions)
                found[f"{METHODS.get(method, method).upper()} {path}"] = (operation, conditions)
    return found


def routes(template):
    """Route key -> what API Gateway asks for before it calls the function."""
    return {route: operation.get("security", []) for route, (operation, _) in operations(template).items()}


def check_routes(template):
    found = routes(template)
    if len(found) != 73 or not found.keys() >= PUSHES:
        yield f"routes are missing: {sorted(found)}"
    for route, (_, conditions) in operations(template).items():
        if conditions != ({"HasConsole"} if route.split()[1].startswith(CONSOLE) else set()):
            yield f"{route} is there under {conditions or 'no condition'}"
    for route, security in found.items():
        expected = [{"AWS_IAM": []}] if route.split()[1].startswith(BUSINESS) else []
        if security != expected:
            yield f"{route} asks for {security}, not {expected}"
    api, _ = the_apis(template)
    if "AWS_IAM" not in api["Properties"]["Body"]["components"]["securitySchemes"]:
        yield "the IAM authorizer is not defined"

    stage, _ = the_apis(template, "AWS::ApiGatewayV2::Stage")
    # A limit for a route that is not there would fail the deployment: those of the console have the one of all others.
    always = {route for route in found if not route.split()[1].startswith(CONSOLE)}
    yield from check_stage(stage["Properties"], always)
    yield from check_limit("all other routes", stage["Properties"]["DefaultRouteSettings"])


def check_login_routes(template):
    """The second API: routes for visitors and nothing else, which are those of the first one too, at no host of AWS's."""
    api, stage = (the_apis(template, f"AWS::ApiGatewayV2::{kind}")[1]["Properties"] for kind in ("Api", "Stage"))
    if api.get("Body") or api.get("DisableExecuteApiEndpoint") is not True:
        yield f"the API of logins has a host of AWS's, or routes elsewhere: {api}"
    found = {}
    for name, route in of_type(template, "AWS::ApiGatewayV2::Route").items():
        properties = route["Properties"]
        found[properties["RouteKey"]] = properties
        if properties["ApiId"] != {"Ref": LOGIN_API} or "AuthorizationType" in properties:
            yield f"{name} is of another API, or asks for credentials"
    public = {route for route, security in routes(template).items() if not security}
    if not found or not found.keys() <= public:
        yield f"the API of logins has {sorted(found)}"
    yield from check_stage(stage, found)
    for name, resource in template["Resources"].items():
        if LOGIN_API in str(resource.get("Properties")) and resource["Type"].startswith("AWS::ApiGatewayV2::"):
            if resource.get("Condition") != "HasLoginHost":
                yield f"{name} is there without a LoginHost"


def check_stage(stage, found):
    if stage["StageName"] != "$default":
        yield f"the stage {stage['StageName']} puts its name before every path"
    if set(stage["RouteSettings"]) != set(found):
        yield f"limits are set for {sorted(stage['RouteSettings'])}"
    for route, limits in stage["RouteSettings"].items():
        yield from check_limit(route, limits)


def check_limit(of, limits):
    if not (limits.get("ThrottlingRateLimit") and limits.get("ThrottlingBurstLimit")):
        yield f"{of}: no limit in {limits}"


def check_callers(template):
    """Who may call a function: API Gateway from one route each, the API of logins, the bus's two rules, and nobody else."""
    permissions = of_type(template, "AWS::Lambda::Permission")
    sources = []
    for name, permission in permissions.items():
        given = permission["Properties"]
        if given["Principal"] == "events.amazonaws.com" and given["SourceArn"] in RULES:
            if given["FunctionName"] != {"Ref": "TokenRefresher"}:
                yield f"the bus's rule starts {given['FunctionName']}"
            continue
        if given["Principal"] != "apigateway.amazonaws.com" or given["Action"] != "lambda:InvokeFunction":
            yield f"{name} lets {given['Principal']} do {given['Action']}"
        if given["SourceArn"] == {"Fn::Sub": LOGIN_SOURCE}:
            if given["FunctionName"] != {"Ref": "WebLogin"} or permission.get("Condition") != "HasLoginHost":
                yield f"the API of logins may call {given['FunctionName']}"
            continue
        if permission.get("Condition") != ("HasConsole" if given["FunctionName"] == {"Ref": "OperatorConsole"} else None):
            yield f"{name} is there under {permission.get('Condition')}"
        source, names = given["SourceArn"]["Fn::Sub"]
        if names != {"__ApiId__": {"Ref": "HttpApi"}, "__Stage__": "*"}:
            yield f"{name} serves another API: {names}"
        sources.append(source.removeprefix(SOURCE))
    expected = [re.sub(r"\{(\w+|proxy\+)\}", "*", re.sub("^ANY", "*", route).replace(" ", "")) for route in routes(template)]
    if sorted(sources) != sorted(expected):
        yield f"the functions may be called for {sorted(sources)}, not for {sorted(expected)}"
    for name, resource in template["Resources"].items():
        if resource["Type"] in OPENING:
            yield f"{name} opens something to others: look at it, and then at this check"
        for statement in many(resource.get("Properties", {}).get("PolicyDocument", {}).get("Statement", [])):
            is_open = "*" in str(statement.get("Principal", "")) and statement["Effect"] == "Allow"
            if is_open and name not in ENDPOINTS:
                yield f"{name} is open to everybody"


def policies(template):
    """Name of the resource and statement, of every policy."""
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        if resource["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            documents.append(properties["PolicyDocument"])
        for document in documents:
            for statement in many(document["Statement"]):
                yield name, statement


def check_roles(template):
    for name, statement in policies(template):
        actions = many(statement["Action"])
        if any("*" in action for action in actions):
            yield f"{name} may do {actions}"
        if statement["Resource"] == "*" and statement.get("Sid") not in EVERYTHING:
            yield f"{name} may do {actions} with everything"
    written = set(yaml_parse(TEMPLATE.read_text(encoding="utf-8"))["Resources"])
    for name, role in of_type(template, "AWS::IAM::Role").items():
        if name in written:
            continue
        grants = [(it["Action"], it["Resource"]) for owner, it in policies(template) if owner == name]
        if grants != SCHEDULE_GRANTS or role["Properties"].get("ManagedPolicyArns"):
            yield f"SAM gives {name} more than a schedule needs: {grants}"
        for statement in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
            if statement["Principal"] != {"Service": ["scheduler.amazonaws.com"]}:
                yield f"{name} is taken by {statement['Principal']}"


def check_refresher(template):
    schedules = of_type(template, "AWS::Scheduler::Schedule")
    if len(schedules) != 5:
        yield f"{len(schedules)} schedules"
    for name, schedule in schedules.items():
        target = schedule["Properties"]["Target"]
        if target["RetryPolicy"] != {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 240}:
            yield f"{name} is repeated: {target['RetryPolicy']}"
        if target["DeadLetterConfig"] != {"Arn": FAILURES}:
            yield f"{name} reports to {target['DeadLetterConfig']}"
        if schedule["Properties"].get("State") != {"Fn::If": ["RunRefresher", "ENABLED", "DISABLED"]}:
            yield f"{name} is not switched by RefresherEnabled"
    rules = of_type(template, "AWS::Events::Rule")
    if len(rules) != len(RULES):
        yield f"{len(rules)} rules"
    for name, rule in rules.items():
        rule = rule["Properties"]
        if rule["EventBusName"] != {"Ref": "EventBus"} or rule["EventPattern"]["source"] != ["wechat.platform"]:
            yield f"{name} listens to {rule['EventBusName']}: {rule['EventPattern']}"
        if rule.get("State") != {"Fn::If": ["RunRefresher", "ENABLED", "DISABLED"]}:
            yield f"{name} is not switched by RefresherEnabled"
    (runs,) = of_type(template, "AWS::Lambda::EventInvokeConfig").values()
    runs = runs["Properties"]
    if (runs["MaximumRetryAttempts"], runs["MaximumEventAgeInSeconds"]) != (0, 240):
        yield f"Lambda repeats runs: {runs}"
    (stream,) = of_type(template, "AWS::Lambda::EventSourceMapping").values()
    stream = stream["Properties"]
    if (stream["MaximumRetryAttempts"], stream["MaximumRecordAgeInSeconds"]) != (2, 300):
        yield f"a batch of the stream is repeated too often: {stream}"
    if stream["Enabled"] != {"Fn::If": ["RunRefresher", True, False]}:
        yield "the stream is not switched by RefresherEnabled"
    for what, kept in (("runs", runs), ("the stream", stream)):
        if kept["DestinationConfig"]["OnFailure"]["Destination"] != FAILURES:
            yield f"what fails of {what} is lost"


def check_functions(template):
    for name, function in of_type(template, "AWS::Lambda::Function").items():
        properties = function["Properties"]
        if "TracingConfig" in properties:
            yield f"{name} uses X-Ray, which China does not have"
        if properties["LoggingConfig"]["LogGroup"] != {"Ref": f"{name}Logs"}:
            yield f"{name} logs to {properties['LoggingConfig']}"
        # The way in which a function waits for a policy that is not always there.
        if "VpcConfig" in properties and "NetworkInterfaces" not in str(function["Metadata"].get("After")):
            yield f"{name} does not wait for the right to make network interfaces"


def check_partition(template):
    for text in texts({"Resources": template["Resources"], "Outputs": template["Outputs"]}):
        if "arn:aws:" in text or "arn:aws-cn:" in text:
            yield f"an ARN of one partition only: {text[:120]}"
    if "Rules" not in template:
        yield "the rules are gone"
    for kind in {it["Type"] for it in template["Resources"].values()}:
        if kind.startswith("AWS::Serverless::"):
            yield f"{kind} was not transformed"


# Values of parameters that functions accept, and mistakes, most of which would keep functions from starting.
VALUES = {
    "ReturnUrlOrigins": (
        ["", "https://app.example.com", "https://app.example.com, https://b.example.com:8443"],
        ["http://app.example.com", "https://app.example.com:84430", "https://app.example.com/"],
    ),
    "ProviderName": (["", "示例科技", " Example "], [" ", "\u3000", "\u00a0", "????", "a\u2028??", "two\nlines", "店" * 61]),
    "ProviderContact": (["", "400-800-1234", "微信：example-help"], ["\u2003", "???example-help", "\x071234567"]),
    "ProviderFilingNumber": (["", "粤ICP备12345678号-1"], ["?ICP?12345678?", "\u3000ICP备12345678号", "\x07ICP备12345678号"]),
    "ProviderLogoUrl": (
        ["", "https://cdn.example.com/logo.png", "https://cdn.example.com:8443/logo.png?v=1"],
        ["http://example.com/logo.png", "https://example.com:99999/a", "https://300.1.1.1/a", "https://a..b/", "a.png"],
    ),
}


def check_values(template):
    for name, (accepted, refused) in VALUES.items():
        pattern = template["Parameters"][name]["AllowedPattern"]
        yield from (f"{name} refuses {value!r}" for value in accepted if not re.fullmatch(pattern, value))
        yield from (f"{name} accepts {value!r}" for value in refused if re.fullmatch(pattern, value))


CHECKS = [check_routes, check_login_routes, check_callers, check_roles, check_refresher, check_functions]
CHECKS += [check_partition, check_values]


def main():
    problems = []
    for partition, region in REGIONS.items():
        template = transformed(region)
        problems += [f"{partition}: {problem}" for check in CHECKS for problem in check(template)]
        print(f"{partition}: {len(template['Resources'])} resources, {len(routes(template))} routes")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

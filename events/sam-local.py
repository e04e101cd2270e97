#!/usr/bin/env python3
"""Sends every event of this folder through `sam local`, with `cargo run` as the back end, and checks the answers.

1. `sam build`, for this machine's own instruction set, into target/sam-local (never what `sam deploy` takes).
2. `cargo run` as the demo platform, with a data folder and ports of its own, and in its table what the events are about.
3. `sam local invoke` with each event of answers.json.
4. `sam local start-api`, and each HTTP event as a request to it. It knows no IAM: business routes must answer 403.

Needs Docker, Rust, and `pip install aws-sam-cli cargo-lambda`. Says one line per function and event, and ends with
status 1 and a sentence at the first wrong answer.
"""
import argparse
import base64
import contextlib
import http.client
import ipaddress
import json
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EVENTS = Path(__file__).resolve().parent
ROOT = EVENTS.parent
BUILT = ROOT / "target" / "sam-local"
# The same events, stamped with the present time: pushes of 2023 are too old to have an effect.
FRESH = BUILT / "events"
MAKE_FRESH = ["--quiet", "--package", "stories", "--example", "events", "--", str(FRESH)]
# The name by which containers reach this machine, as env.json has it. Docker Desktop knows it by itself.
HOST = "host.docker.internal"
# The ports of `cargo run`, by option, with the defaults that stand in env.json.
PORTS = {
    "--port": 3000,
    "--business-port": 3001,
    "--simulator-port": 3002,
    "--shop-port": 3003,
    "--dynamodb-port": 8000,
    "--secrets-port": 8001,
    "--events-port": 8002,
    "--files-port": 8003,
    "--lambda-port": 8004,
}
ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "arm64": "arm64", "aarch64": "arm64"}
# Puts what the events are about into the table.
DEMO_LINK = ["--quiet", "--package", "stories", "--example", "demo_link"]
# Until a program is ready. Compiled it is before, except with --skip-build.
START_SECONDS = 900
# One `sam local invoke`, the first pull of the image included.
INVOKE_SECONDS = 900
# One request to `sam local start-api`, the start of a container included.
REQUEST_SECONDS = 300


class Failure(Exception):
    """A sentence for the person at the keyboard."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skip-build", action="store_true", help="use what the last run has built")
    parser.add_argument("--skip-pull-image", action="store_true", help="use the Lambda image that Docker has already")
    parser.add_argument("--host", metavar="ADDRESS", help="address of this machine that containers reach, if not found")
    args = parser.parse_args()
    # SIGTERM cleans up like Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run(args)
    except Failure as failure:
        sys.exit(f"sam-local: {failure}")
    except subprocess.TimeoutExpired as late:
        sys.exit(f"sam-local: `{' '.join(late.cmd)}` was stopped after {late.timeout:.0f} seconds")
    except KeyboardInterrupt:
        sys.exit(130)


def run(args):
    architecture = ARCHITECTURES.get(platform.machine().lower())
    if architecture is None:
        raise Failure(f"Lambda has no functions for this machine ({platform.machine()})")
    check_tools()
    host = args.host or bridge_address()
    environment = bare_environment()
    if not args.skip_build:
        build(architecture, environment)
    elif not (BUILT / "template.yaml").exists():
        raise Failure("nothing is built yet: run it once without --skip-build")
    answers = json.loads((EVENTS / "answers.json").read_text("utf-8"))
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sam-local-")))
        ports = dict(zip(PORTS, free_ports(len(PORTS))))
        moved = {str(PORTS[option]): str(port) for option, port in ports.items()}
        variables = re.sub(
            r":(\d+)\"", lambda found: f':{moved[found[1]]}"', (EVENTS / "env.json").read_text("utf-8")
        )
        (folder / "env.json").write_text(variables, "utf-8")
        variables = json.loads(variables)["Parameters"]
        start_back_end(stack, folder, ports, host, variables, environment)
        sam = [
            "--template", str(BUILT / "template.yaml"),
            "--env-vars", str(folder / "env.json"),
            "--parameter-overrides", f"Architecture={architecture} Console=on",
            "--add-host", f"{HOST}:{host or 'host-gateway'}",
        ]
        pulled = ["--skip-pull-image"]
        for index, answer in enumerate(answers):
            options = sam + (pulled if args.skip_pull_image or index > 0 else [])
            got = invoke(answer["event"], options, environment)
            check(f"sam local invoke {function_of(answer['event'])}", answer, got, variables)
        address, log = start_api(stack, folder, sam + pulled, environment)
        for answer in without_iam(answers):
            event = read_event(answer["event"])
            check("sam local start-api", answer, request(address, event, log), variables)
    print("all answers are right")


def without_iam(answers):
    """What the HTTP events are answered with where nobody verifies identities."""
    refused = next(answer for answer in answers if answer["event"].endswith("-without-identity.json"))
    for answer in answers:
        context = read_event(answer["event"]).get("requestContext")
        # What no client of HTTP can send, a function can be handed all the same.
        if context and not answer.get("invoke_only"):
            yield {**refused, "event": answer["event"]} if "authorizer" in context else answer


# ---- What it needs ----


def check_tools():
    for tool, remedy in {
        "docker": "install Docker (https://docs.docker.com/get-docker)",
        "sam": "pip install aws-sam-cli",
        "cargo": "install Rust (https://rustup.rs)",
        "cargo-lambda": "pip install cargo-lambda",
    }.items():
        if shutil.which(tool) is None:
            raise Failure(f"{tool} is not on the PATH: {remedy}")
    if subprocess.run(["docker", "info"], capture_output=True).returncode != 0:
        raise Failure("Docker does not answer: start it, and see that `docker info` works without sudo")


def bridge_address():
    """The address of Docker's bridge if it is this machine's, as on Linux. Docker Desktop leads containers to its
    loopback address instead."""
    asked = subprocess.run(["docker", "network", "inspect", "bridge"], capture_output=True, text=True).stdout
    for network in (config for bridge in json.loads(asked or "[]") for config in bridge["IPAM"]["Config"]):
        address = network.get("Gateway") or str(ipaddress.ip_network(network["Subnet"])[1])
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind((address, 0))
            return address
    return None


def bare_environment():
    """The environment without the user's own AWS account and without what env.json sets."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_") and name != "RUST_LOG"}
    local = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    local |= {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
    for name in json.loads((EVENTS / "env.json").read_text("utf-8"))["Parameters"]:
        kept.pop(name, None)
    return {**kept, **local, "SAM_CLI_TELEMETRY": "0"}


def free_ports(count):
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("", 0))
        return [probe.getsockname()[1] for probe in probes]


# ---- What it starts ----


def build(architecture, environment):
    print(f"building for {architecture}: minutes at first, then seconds", flush=True)
    for command in (
        ["sam", "build", "--build-dir", str(BUILT), "--parameter-overrides", f"Architecture={architecture} Console=on"],
        ["cargo", "build", "--quiet"],
        ["cargo", "build", *DEMO_LINK],
    ):
        if subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL).returncode != 0:
            raise Failure(f"`{' '.join(command)}` failed; the lines above say why")


def start_back_end(stack, folder, ports, host, variables, environment):
    """`cargo run` as the demo platform, the events as of now, and what they are about."""
    command = ["cargo", "run", "--quiet", "--", "--secret", str(EVENTS / "secret.json")]
    command += ["--data-dir", str(folder / "data")]
    command += ["--bind", host] if host else []
    command += ["--allow-host", HOST]
    command += [part for option, port in ports.items() for part in (option, str(port))]
    start(stack, "cargo run", command, folder / "cargo-run.log", "The platform is running.", environment)
    here = {name: value.replace(HOST, "127.0.0.1") for name, value in variables.items()}
    if subprocess.run(["cargo", "run", *MAKE_FRESH], cwd=ROOT, env=environment).returncode != 0:
        raise Failure("the events cannot be made; the lines above say why")
    if subprocess.run(["cargo", "run", *DEMO_LINK], cwd=ROOT, env={**environment, **here}).returncode != 0:
        raise Failure("the demo link cannot be put into the table; the lines above say why")


def start_api(stack, folder, options, environment):
    """Where it listens, and its log."""
    port, log = free_ports(1)[0], folder / "start-api.log"
    command = ["sam", "local", "start-api", "--port", str(port), "--warm-containers", "LAZY", *options]
    start(stack, "sam local start-api", command, log, "Running on", environment)
    return ("127.0.0.1", port), log


def start(stack, name, command, log, sign, environment):
    """A program that runs until the stack unwinds. Ready when its log has the sign."""
    output = stack.enter_context(log.open("wb"))
    streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, **streams)
    stack.callback(stop, process)
    deadline = time.monotonic() + START_SECONDS
    while sign not in log.read_text("utf-8", "replace"):
        if process.poll() is not None or time.monotonic() > deadline:
            raise Failure(f"{name} does not run:\n{tail(log.read_text('utf-8', 'replace'))}")
        time.sleep(0.2)


def stop(process):
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()


def tail(text, lines=20):
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-lines:])


# ---- What it sends ----


def read_event(path):
    return json.loads((FRESH / path).read_text("utf-8"))


def function_of(path):
    """`ticket-push/ticket.json` goes to the function TicketPush."""
    folder = path.split("/")[0]
    # A resource may not have the name of a parameter.
    return "OperatorConsole" if folder == "console" else "".join(part.capitalize() for part in folder.split("-"))


def invoke(path, options, environment):
    """What the function answers to the event, and what it logged."""
    command = ["sam", "local", "invoke", function_of(path), "--event", str(FRESH / path), *options]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=INVOKE_SECONDS)
    log = done.stderr.decode("utf-8", "replace")
    try:
        answer = json.loads(done.stdout.decode("utf-8").strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise Failure(f"`{' '.join(command)}` gave no answer:\n{tail(log)}{remedy(log)}") from None
    if "statusCode" not in answer:
        return {"answer": answer, "log": log}
    body = answer.get("body") or ""
    body = base64.b64decode(body).decode("utf-8") if answer.get("isBase64Encoded") else body
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    return http_answer(answer["statusCode"], headers, "\n".join(answer.get("cookies") or []), body, log)


def remedy(log):
    if "public.ecr.aws" in log:
        return "\nWhere Lambda's image cannot be pulled, but Docker has it already, say --skip-pull-image."
    return ""


def request(address, event, log):
    """The event as a request of HTTP, what it is answered with, and what `start-api` has logged."""
    context, headers = event["requestContext"]["http"], dict(event["headers"])
    if "cookies" in event:
        headers["cookie"] = "; ".join(event["cookies"])
    query = f"?{event['rawQueryString']}" if event["rawQueryString"] else ""
    body = event.get("body", "").encode("utf-8")
    if event["isBase64Encoded"]:
        body = base64.b64decode(body)
    try:
        with contextlib.closing(http.client.HTTPConnection(*address, timeout=REQUEST_SECONDS)) as connection:
            connection.request(context["method"], event["rawPath"] + query, body or None, headers)
            response = connection.getresponse()
            text = response.read().decode("utf-8")
    except (OSError, http.client.HTTPException) as error:
        logged = tail(log.read_text("utf-8", "replace"))
        raise Failure(f"sam local start-api gave no answer ({error}):\n{logged}") from None
    headers = {name.lower(): value for name, value in response.getheaders()}
    cookie = headers.get("set-cookie", "")
    return http_answer(response.status, headers, cookie, text, log.read_text("utf-8", "replace"))


def http_answer(status, headers, cookie, body, log):
    told = {"status": status, "type": headers.get("content-type"), "location": headers.get("location")}
    return {"answer": {**told, "cookie": cookie, "body": body}, "log": log}


# ---- What it expects ----


def check(way, expected, got, variables):
    """Prints the line of a right answer; a wrong one ends the run."""
    answer = got["answer"]
    checked = []
    for field, value in expected.items():
        if field in ("event", "invoke_only"):
            continue
        wrong = difference(field, value, answer, variables)
        if wrong:
            log = f"\nIts log ends with:\n{tail(got['log'])}" if got["log"] else ""
            raise Failure(f"{way}, {expected['event']}: {wrong}{log}")
        checked.append(str(value) if field == "status" else field)
    if expected.get("location") is None and answer.get("location"):
        raise Failure(f"{way}, {expected['event']}: expected no location, got {answer['location']}")
    print(f"ok  {way:<33} {expected['event']:<46} {', '.join(checked)}", flush=True)


def difference(field, value, answer, variables):
    """What is wrong with a field of an answer, if anything. answers.json is described in README.md."""
    if field == "status":
        return answer.get("status") != value and f"expected status {value}, got {answer.get('status', answer)}"
    if field == "body":
        missing = [part for part in value if part not in answer["body"]]
        return missing and f"expected a body with {' and '.join(missing)}, got {answer['body'][:400]!r}"
    if field == "report":
        wrong = {name for name, content in value.items() if answer.get(name) != content}
        return wrong and f"expected a report with {json.dumps(value)}, got {json.dumps(answer)}"
    if field == "error":
        return answer.get("errorMessage") != value and f"expected the error {value!r}, got {json.dumps(answer)}"
    for name, content in variables.items():
        value = value.replace(f"{{{name}}}", content)
    got = answer.get(field) or ""
    return not got.startswith(value) and f"expected a {field} that begins with {value}, got {got or 'none'}"


if __name__ == "__main__":
    main()

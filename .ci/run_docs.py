#!/usr/bin/env python3
"""Runs the commands of the documents as a reader copies them, against a system of its own.

`run_docs.py target/debug/local` takes the blocks of commands without a mark (see check_docs.py). A block has succeeded
if the shell exits with 0 and no request failed. Needs bash, curl, openssl and python3, and makes no request to another
machine.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from documents import RUN, SHELLS, STORIES, parse

# Demo accounts of the simulator, and the address of the pages that its WEB_DOMAINS permits.
SHOP, PROGRAM, FOLLOWER = "wx0a10000000000001", "wx0b10000000000003", "oFollower1"
PAGES = "pages.example.com"
RETURN = "https://shop.example.com/return"

PORTS = ["", "business-", "simulator-", "shop-", "dynamodb-", "secrets-", "events-", "files-", "lambda-"]
ANY_PORTS = [argument for part in PORTS for argument in (f"--{part}port", "0")]
STARTED = "Ctrl-C ends everything"

# Seconds until a system has started, a block has ended or a request has its response, on a machine that may be busy.
PATIENCE = 120

# Before each block: what the shell had exported, and `cargo run`, which ends as soon as everything runs.
PRELUDE = f"""
source "$STATE"
trap 'export -p > "$STATE"' EXIT
trap 'kill $$' ERR
cargo() {{
  [[ $1 = run ]] && shift
  [[ ${{1-}} != -- ]] || shift
  coproc SYSTEM {{ exec "$LOCAL" {" ".join(ANY_PORTS)} --data-dir "$(mktemp -d -p .)" "$@" 2>/dev/null; }}
  local pid=$SYSTEM_PID
  grep --quiet --max-count 1 '{STARTED}' <&"${{SYSTEM[0]}}"
  kill "$pid"
}}
"""


class System:
    """A running `cargo run`, with an account of each kind."""

    def __init__(self, program, folder):
        self.log = open(folder / "log", "w")
        command = [program, *ANY_PORTS, "--data-dir", ".local"]
        environment = {"WEB_DOMAINS": f"localhost,{PAGES}"}
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        try:
            said = self.started()

            def find(pattern):
                found = re.search(pattern, said)
                assert found, f"it does not say {pattern}:\n{said}"
                return found[1]

            self.public = find(r"export API=(\S+)/v1 ")
            self.key = find(r"API_KEY=(\S+)")
            self.business = find(r"curl (http://127\.0\.0\.1:\d+)/keys")
            self.simulator = find(r"export WECHAT_API_BASE_URL=(\S+)")
            self.link = find(r"/authorize/(\S+)")
            self.component = json.loads((folder / ".local/secret.json").read_text())["component_appid"]
        except BaseException:
            self.end()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def started(self):
        """What it says while it starts. What it says later is thrown away: it would stop if nobody read it."""
        output, said = self.process.stdout, ""
        # Ends a wait for a line that does not come.
        watchdog = threading.Timer(PATIENCE, self.process.kill)
        watchdog.start()
        try:
            while STARTED not in said:
                line = output.readline()
                assert line, f"it did not start:\n{said}"
                said += line
        finally:
            watchdog.cancel()
        threading.Thread(target=output.read, daemon=True).start()
        return said

    def simulate(self, route, **body):
        request = urllib.request.Request(f"{self.simulator}/_simulator/{route}", json.dumps(body).encode())
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return response.read()

    def account(self, appid):
        try:
            with urllib.request.urlopen(f"{self.business}/accounts/{appid}", timeout=PATIENCE) as response:
                return json.load(response)
        except urllib.error.HTTPError:
            return {}

    def authorize(self):
        for appid in (SHOP, PROGRAM):
            self.simulate("authorize", authorizer_appid=appid)
        self.simulate("followers", authorizer_appid=SHOP, open_id=FOLLOWER, follows=True)
        self.simulate("visitors", authorizer_appid=SHOP, open_id=FOLLOWER, nickname="小明")
        deadline = time.monotonic() + PATIENCE
        while any(self.account(appid).get("nick_name") is None for appid in (SHOP, PROGRAM)):
            assert time.monotonic() < deadline, "the accounts were not authorized"
            time.sleep(0.05)

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Shell:
    """What reads the blocks of one document."""

    def __init__(self, system, program, folder, path):
        self.system, self.folder, self.path, self.last = system, folder, path, ""
        free = socket.create_server(("127.0.0.1", 0))
        self.port = free.getsockname()[1]
        free.close()
        self.variables = {
            "PATH": os.environ["PATH"],
            "CURL_HOME": str(folder),
            "STATE": str(folder / "state"),
            "LOCAL": program,
            "API": f"{system.public}/v1",
            "API_KEY": system.key,
            "APPID": SHOP,
            "SHOP": SHOP,
            "PROGRAM": PROGRAM,
            "COMPONENT": system.component,
            "PORT": str(self.port),
        }
        # The examples of this document leave out the key, as it says.
        header = f'header = "authorization: Bearer {system.key}"\n' if path == "docs/calls.md" else ""
        settings = f"silent\nshow-error\nfail-with-body\nretry = 10\nretry-connrefused\nretry-delay = 1\n{header}"
        (folder / ".curlrc").write_text(settings)
        (folder / "state").write_text("")

    def login_code(self):
        """The code with which a visitor comes back to a page, at which nobody listens."""
        begin = f"{self.system.public}/login/{SHOP}?scope=snsapi_base&return_url={RETURN}&state={FOLLOWER:x<16}"
        jar = str(self.folder / "visitor")
        visitor = ["--location", "--user-agent", "MicroMessenger", "--cookie", jar, "--cookie-jar", jar]
        nowhere = ["--connect-to", "shop.example.com:443:127.0.0.1:1", "--output", os.devnull]
        command = ["curl", "--disable", "--silent", *visitor, *nowhere, "--write-out", "%{url_effective}", begin]
        came_to = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE).stdout
        code = re.search(r"login_code=([^&]+)", came_to)
        return code[1] if code else f"none: the visitor came to {came_to}"

    def filled_in(self, text):
        """A block with what a reader knows better: addresses, ids, and what was in a response."""
        system = self.system
        addresses = {3000: system.public, 3001: system.business, 3002: system.simulator}
        for port, address in addresses.items():
            text = re.sub(rf"http://(localhost|127\.0\.0\.1):{port}\b", address, text)
        text = text.replace("localhost:3010", f"localhost:{self.port}")
        text = text.replace("wx1234567890abcdef", SHOP).replace("LINK_ID", system.link)
        if "if-match" in text:
            with urllib.request.urlopen(f"{system.business}/accounts/{SHOP}", timeout=PATIENCE) as response:
                text = text.replace('"3"', response.headers["etag"])
        if '"login_code"' in text:
            code = self.login_code()
            text = re.sub(r'(?<="login_code": ")\w+', lambda _: code, text)
        if '"js_code"' in text:
            answer = json.loads(system.simulate("login-codes", authorizer_appid=PROGRAM, open_id="oUser1"))
            text = re.sub(r'(?<="js_code": ")\w+', lambda _: answer["code"], text)
        if "$ACCESS_TOKEN" in text:
            self.variables["ACCESS_TOKEN"] = json.loads(self.last)["access_token"]
        return text

    def run(self, block):
        text = self.filled_in(block.text)
        output = self.folder / "output"
        with open(output, "w") as file:
            running = subprocess.Popen(
                ["bash", "-eEu", "-c", PRELUDE + text],
                cwd=self.folder, env=self.variables, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
            )
            try:
                status = running.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                status = "nothing in time"
            finally:
                # What a block leaves in the background.
                try:
                    os.killpg(running.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self.last = output.read_text(errors="replace")
        if status != 0:
            yield f"{self.path}:{block.line}: the shell ends with {status}\n{text}\n{self.last}"


def blocks(document):
    """Those to be run. A program in Python is saved under the name by which the commands after it call it."""
    for block in document.blocks:
        here = (document.path, block.chapter)
        if block.language == "python" or (block.language in SHELLS and not block.marks and here not in STORIES):
            yield block


def main():
    program, problems, count, began = str(Path(sys.argv[1]).resolve()), [], 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        with System(program, folder) as system:
            system.authorize()
            for path in RUN:
                shell, python = Shell(system, program, folder, path), ""
                for block in blocks(parse(path)):
                    if block.language == "python":
                        python = block.text
                        continue
                    (folder / "shop.py").write_text(python)
                    count += 1
                    problems += shell.run(block)
    print(f"{count} blocks of commands were run, in {time.monotonic() - began:.0f} s")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

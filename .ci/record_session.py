#!/usr/bin/env python3
"""Records what `cargo run` shows as docs/pictures/session.svg: `record_session.py target/debug/local`.

Runs the built program in an empty folder, authorizes a demo account as a browser would, and asks for the result with
the printed commands. The picture has the real output, shortened to what SHOWN names and without the secret part of the
key. It plays once; readers who want no motion see its end. The ports of `cargo run` must be free. No part of CI: run it
again when the output has changed.
"""

import html
import http.cookiejar
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

PICTURE = Path(__file__).resolve().parent.parent / "docs/pictures/session.svg"

# Paragraphs of the welcome, by what is to be opened or typed; the others are left out.
SHOWN = re.compile(
    r"^The |/authorize/|:3000/$|export API|authorization-links/|:3002/chat$|:3003/$|:8002/$|^Ctrl-C", re.MULTILINE
)
STARTED = "Ctrl-C ends everything"

COLUMNS, ROWS = 80, 32
ADVANCE, LINE, MARGIN, BAR = 9, 20, 16, 34

# Seconds: between two paragraphs, and after a command.
PAUSE, AFTER_COMMAND = 0.9, 0.6

STYLE = """
svg { font: 15px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
text { fill: #d6dde5; white-space: pre; opacity: 1; animation: appear 0s linear both; }
.command { fill: #fff; font-weight: 700; }
.log { fill: #9aa7b4; }
.address { fill: #7cc4ff; }
.title { fill: #9aa7b4; text-anchor: middle; animation: none; }
@keyframes appear { from { opacity: 0; } to { opacity: 1; } }
"""


def start(program, folder):
    running = subprocess.Popen(
        [program], cwd=folder, env={}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )
    said = []
    while not said or STARTED not in said[-1]:
        line = running.stdout.readline()
        assert line, f"it did not start:\n{''.join(said)}"
        said.append(line)
    return running, "".join(said)


def authorize(link):
    """What a merchant does: opens the link, presses the button, and confirms for the first account that is shown."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def post(url, fields, referer):
        body = urllib.parse.urlencode(fields).encode()
        with browser.open(urllib.request.Request(url, body, {"referer": referer})) as response:
            return response.url, response.read().decode()

    url, page = post(link, {}, link)
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
    account = re.search(r'name="authorizer_appid" value="(\w+)"', page)[1]
    action = urllib.parse.urljoin(url, re.search(r'<form method="post" action="([^"]+)"', page)[1])
    fields = {name: html.unescape(value) for name, value in hidden.items()}
    post(action, {**fields, "authorizer_appid": account, "decision": "confirm"}, url)
    return account


def session(program):
    """Paragraphs of the session: a kind and lines each."""
    with tempfile.TemporaryDirectory() as folder:
        running, said = start(program, folder)
        try:
            link = re.search(r"http://\S+/authorize/\S+", said)[0]
            export = re.search(r"export API=.*", said)[0]
            ask = re.search(r'curl "\$API/authorization-links/.*', said)[0]
            account = authorize(link)
            # The stream wakes the refresher within a second.
            time.sleep(3)
            answer = subprocess.run(["bash", "-c", f"{export}; {ask}"], capture_output=True, text=True).stdout
        finally:
            running.terminate()
        log = running.stdout.read().splitlines()
    key = re.search(r"API_KEY=(\S+)", said)[1]
    yield "command", ["$ cargo run"]
    for paragraph in said.strip().split("\n\n"):
        if SHOWN.search(paragraph):
            yield "", paragraph.replace(key, f"{key[:12]}…").splitlines()
    # Without its fields, which repeat what the sentence says.
    sentences = [re.sub(r"^\S+T([\d:]+)\S+ +INFO (invocation: )?(.*?)( \w+=.*)?$", r"\1 \3", line) for line in log]
    yield "log", [line for line in sentences if link.rsplit("/", 1)[1] in line or account in line]
    yield "command", ["# in a second terminal", f"$ {export.replace(key, f'{key[:12]}…')}", f"$ {ask}"]
    yield "", [answer]


def rows(lines):
    """Lines as a terminal breaks them."""
    for line in lines:
        yield from (line[at : at + COLUMNS] for at in range(0, len(line) or 1, COLUMNS))


def drawn(paragraphs):
    texts, scrolls, when, number = [], [], 0.4, 0
    for kind, lines in paragraphs:
        for row in rows(lines):
            row = html.escape(row, quote=False)
            row = re.sub(r"https?://[^\s\"]+", r'<tspan class="address">\g<0></tspan>', row) if not kind else row
            named = f' class="{kind}"' if kind else ""
            texts.append(f'<text{named} y="{number * LINE}" style="animation-delay:{when:.1f}s">{row}</text>')
            number += 1
        scrolls.append((when, max(0, number - ROWS) * LINE))
        number += 1
        when += AFTER_COMMAND if kind == "command" else PAUSE
    width, height = COLUMNS * ADVANCE + 2 * MARGIN, ROWS * LINE + BAR + 2 * MARGIN
    steps = [f"{100 * at / when:.2f}% {{ transform: translateY(-{by}px); }}" for at, by in scrolls if by]
    end = f"transform: translateY(-{scrolls[-1][1]}px);"
    motion = f"""
.screen {{ {end} animation: scroll {when:.1f}s step-end both; }}
@keyframes scroll {{ 0% {{ transform: none; }} {" ".join(steps)} 100% {{ {end} }} }}
@media (prefers-reduced-motion: reduce) {{ text, .screen {{ animation: none; }} }}
"""
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    yield "<title>A terminal: cargo run starts the system, an account is authorized, and curl reads the result</title>"
    yield f"<style>{STYLE}{motion}</style>"
    yield f'<rect width="{width}" height="{height}" rx="10" fill="#14191f"/>'
    yield from (f'<circle cx="{24 + 20 * i}" cy="18" r="6" fill="#3d4854"/>' for i in range(3))
    yield f'<text class="title" x="{width // 2}" y="23">cargo run</text>'
    yield f'<svg x="{MARGIN}" y="{BAR}" width="{width - MARGIN}" height="{ROWS * LINE + 6}">'
    yield f'<g transform="translate(0 {LINE - 5})"><g class="screen">'
    yield from texts
    yield "</g></g></svg></svg>"


if __name__ == "__main__":
    PICTURE.write_text("\n".join(drawn(session(str(Path(sys.argv[1]).resolve())))) + "\n", encoding="utf-8")

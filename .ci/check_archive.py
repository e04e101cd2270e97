#!/usr/bin/env python3
"""What is in a released archive, packed here out of made-up binaries, so that nothing need be compiled.

Packs it twice and unpacks it, compares its template with template.yaml, and prints a line for everything that is not as
it is meant. Needs cfn-lint and aws-sam-translator, which come with .ci/requirements.txt.
"""

import io
import os
import platform
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path
from unittest import mock

# The translator asks boto3 for a region when it is imported.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

import archive  # noqa: E402
import licenses  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

VERSION, TIME = "1.2.3-rc.1", 1_700_000_000
FUNCTIONS = sorted(folder.name for folder in (archive.ROOT / "functions").iterdir() if folder.is_dir())
PROGRAMS = {"bin/ops-arm64", "bin/ops-x86_64", "ops"}
TEXTS = {"CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "README.md", "README.zh-CN.md", "THIRD-PARTY-LICENSES.txt"}
OTHERS = PROGRAMS | TEXTS | {"samconfig.toml", "template.yaml"}
# In every function: one with a text of its own, and one whose texts are deeper in its folder as well.
LINKED = ("tokio v", "aws-lc-sys v")


def made_up(folder):
    """Binaries as .ci/package builds them, each a script that prints where it comes from."""
    for architecture in archive.ARCHITECTURES:
        for name in [*FUNCTIONS, "ops"]:
            binary = folder / architecture / name / "bootstrap"
            binary.parent.mkdir(parents=True)
            binary.write_text(f'#!/bin/sh\necho {architecture} {name} "$@"\n')
    (folder / archive.LICENSES).write_text(licenses.text(), encoding="utf-8")
    return folder


def packed(built, architecture, clock):
    """The archive's name and bytes, made while the clock shows a time of its own."""
    name = f"wechat-platform-{VERSION}-{architecture}"
    as_it_is = mock.patch.object(archive, "program", lambda path, _: path.read_bytes())
    with mock.patch("time.time", return_value=clock), as_it_is:
        return name, archive.packed(name, archive.contents(VERSION, architecture, built), TIME)


def check_bytes(content):
    """Nothing in the archive tells who packed it, or when."""
    with tarfile.open(fileobj=io.BytesIO(content)) as unpacked:
        entries = unpacked.getmembers()
    for entry in entries:
        path = entry.name.split("/", 1)[1]
        if (entry.uid, entry.gid, entry.uname, entry.gname, entry.mtime) != (0, 0, "", "", TIME):
            yield f"{path} belongs to {entry.uid} {entry.uname}, or is of {entry.mtime}"
        if entry.mode != (0o755 if path in PROGRAMS else 0o644):
            yield f"{path} has the mode {entry.mode:o}"
    if [entry.name for entry in entries] != sorted(entry.name for entry in entries):
        yield "the files are in no order"


def check_template(folder, architecture):
    """The template differs from template.yaml in where the code is, and in having one architecture."""
    expected = yaml_parse((archive.ROOT / "template.yaml").read_text(encoding="utf-8"))
    expected["Parameters"]["Architecture"] |= {"Default": architecture, "AllowedValues": [architecture]}
    for resource in expected["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] += ".zip"
            del resource["Metadata"]["BuildMethod"], resource["Metadata"]["BuildProperties"]
            if not resource["Metadata"]:
                del resource["Metadata"]
    got = yaml_parse((folder / "template.yaml").read_text(encoding="utf-8"))
    for part in expected.keys() | got.keys():
        ours, theirs = expected.get(part, {}), got.get(part, {})
        if ours != theirs:
            names = sorted(ours.keys() | theirs.keys()) if isinstance(ours, dict) else []
            yield f"{part} differs from template.yaml: {[name for name in names if ours.get(name) != theirs.get(name)]}"
    for name, resource in got["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            yield from check_code(name, folder / resource["Properties"]["CodeUri"], architecture)


def check_code(name, path, architecture):
    """A function's code is a zip of its own binary, which Lambda may run."""
    if not zipfile.is_zipfile(path):
        yield f"{name} has no code at {path.name}"
        return
    with zipfile.ZipFile(path) as code:
        (entry,) = code.infolist()
        if (entry.filename, entry.external_attr >> 16, entry.date_time) != ("bootstrap", 0o100755, archive.ZIP_TIME):
            yield f"{path.name} has {entry.filename} with the mode {entry.external_attr >> 16:o} of {entry.date_time}"
        if f"echo {architecture} {path.stem} " not in code.read(entry).decode():
            yield f"{path.name} has another binary than that of {path.stem} for {architecture}"


def check_files(folder):
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    expected = OTHERS | {f"functions/{name}.zip" for name in FUNCTIONS}
    if found != expected:
        yield f"too much or too little: {sorted(found ^ expected)}"
    ours = tomllib.loads((archive.ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    del ours["default"]["build"]
    if tomllib.loads((folder / "samconfig.toml").read_text(encoding="utf-8")) != ours:
        yield "samconfig.toml has other options"
    for readme in archive.READMES:
        text = (folder / readme).read_text(encoding="utf-8")
        if VERSION not in text or re.search(r"\{\w", text):
            yield f"{readme} does not name its version, or has a name for which nothing was put in"
    linked = (folder / archive.LICENSES).read_text(encoding="utf-8")
    yield from (f"no licence of {name}" for name in LINKED if name not in linked)


def check_ops(folder):
    """`ops` starts the binary for this machine, also from another folder and by another name."""
    machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    link = folder / "link"
    link.symlink_to(folder / "ops")
    for program in (folder / "ops", link):
        done = subprocess.run([program, "doctor", "--stack", "a b"], cwd="/", capture_output=True, text=True)
        if done.stdout != f"{machine} ops doctor --stack a b\n":
            yield f"{program.name} says {done.stdout or done.stderr}"
    link.unlink()


def check_programs(folder):
    """A program for another processor is not packed, nor what is no program."""
    path = folder / "bootstrap"
    for architecture in archive.ARCHITECTURES:
        for content, expected in [(header(architecture), {architecture}), (b"#!/bin/sh\n", set())]:
            path.write_bytes(content)
            accepted = {it for it in archive.ARCHITECTURES if is_accepted(path, it)}
            if accepted != expected:
                yield f"{content} is packed for {accepted} instead of {expected}"


def header(architecture):
    """How a program for this architecture begins."""
    return b"\x7fELF".ljust(18, b"\0") + archive.ARCHITECTURES[architecture].to_bytes(2, "little")


def is_accepted(path, architecture):
    try:
        return bool(archive.program(path, architecture))
    except SystemExit:
        return False


def check_lint(folder):
    command = ["cfn-lint", "--regions", "us-east-1", "--template", folder / "template.yaml"]
    linted = subprocess.run(command, capture_output=True, text=True)
    if linted.returncode != 0:
        yield f"cfn-lint: {linted.stdout or linted.stderr}"


def main():
    problems = []
    with tempfile.TemporaryDirectory() as scratch:
        built = made_up(Path(scratch) / "built")
        for architecture in archive.ARCHITECTURES:
            folder = Path(scratch) / architecture
            name, content = packed(built, architecture, TIME + 1)
            if packed(built, architecture, TIME + 2) != (name, content):
                problems.append(f"{architecture}: two archives of the same binaries differ")
            with tarfile.open(fileobj=io.BytesIO(content)) as unpacked:
                unpacked.extractall(folder, filter="data")
            folder /= name
            found = [*check_bytes(content), *check_files(folder), *check_ops(folder)]
            found += check_template(folder, architecture)
            problems += [f"{architecture}: {problem}" for problem in found]
            print(f"{architecture}: {len(list(folder.rglob('*')))} files and folders, {len(content) / 1e6:.1f} MB")
        problems += [*check_lint(folder), *check_programs(Path(scratch))]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Prints the licences of everything that is linked into the released binaries, which must be passed on with them.

For each text the packages that come with it, and for packages that come with none what their manifest says. Reads
what cargo has downloaded.
"""

import json
import subprocess
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGETS = ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu")
NAMES = ("LICENSE*", "LICENCE*", "COPYING*", "NOTICE*")


def cargo(*arguments):
    command = ["cargo", *arguments, "--locked"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def linked():
    """Name and version of the packages of others in our binaries' trees."""
    ours = [argument for path in sorted((ROOT / "functions").iterdir()) for argument in ("--package", path.name)]
    targets = [argument for target in TARGETS for argument in ("--target", target)]
    shape = ["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]
    lines = cargo("tree", "--package", "ops", *ours, *targets, *shape).splitlines()
    return {tuple(line.split()[:2]) for line in lines if line and "(/" not in line}


def text():
    used, packages, texts = linked(), {}, defaultdict(list)
    without = ["the standard library of Rust: MIT OR Apache-2.0"]
    for package in json.loads(cargo("metadata", "--format-version", "1"))["packages"]:
        packages[package["name"], f"v{package['version']}"] = package
    for name, version in sorted(used):
        package = packages[name, version]
        folder = Path(package["manifest_path"]).parent
        found = sorted({path for pattern in NAMES for path in folder.rglob(pattern) if path.is_file()})
        for path in found:
            texts[path.read_text(encoding="utf-8", errors="replace").strip()].append(f"{name} {version}")
        if not found:
            without.append(f"{name} {version}: {package['license']}")
    by_name = sorted(texts.items(), key=lambda it: it[1])
    parts = ["\n".join([*dict.fromkeys(names), "", words]) for words, names in by_name]
    parts.append("\n".join(["Without a text of their own:", *without]))
    return f"\n\n{'-' * 80}\n\n".join(parts) + "\n"


if __name__ == "__main__":
    print(text(), end="")

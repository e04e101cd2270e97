#!/usr/bin/env python3
"""The walls between our crates: who may depend on whom, and what may be in whose tree.

Reads what cargo itself says of the workspace, for Linux on both architectures, and prints a line for everything that is
not as docs/architecture.md has it. Development dependencies do not count: no user carries them.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

TARGETS = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"]

FUNCTIONS = {"account-api", "console", "ticket-push", "account-push", "preauth-link", "oauth-callback", "token-api", "token-refresher", "web-login", "wechat-calls"}
SHARED = {"base", "design", "wechat", "runtime", "store", "platform", "diagnosis", "web"}

# The crates of ours that each may depend on directly.
MAY_USE = {
    "base": set(),
    "design": set(),
    "wechat": {"base"},
    "runtime": {"base"},
    "store": {"base", "wechat", "runtime"},
    "platform": {"base", "wechat", "runtime", "store"},
    "diagnosis": {"base", "wechat", "store"},
    "web": {"base", "wechat", "runtime", "store", "platform"},
    "simulator": {"base", "design", "wechat"},
    "ops": SHARED,
    "local": SHARED | FUNCTIONS | {"simulator"},
} | {function: SHARED for function in FUNCTIONS} | {"token-refresher": SHARED - {"web"}}

# What may be nowhere in a tree. aws-lc is no client of AWS: it is the cryptography of rustls.
AWS = r"aws-(?!lc-).*"
NOT_FOR_FUNCTIONS = r"clap|dynoxide-rs|local|native-tls|openssl|ops|ring|rusqlite|simulator|stories|test-support|utoipa.*"
MAY_NOT_CARRY = {
    "base": rf"{AWS}|axum.*|lambda.*",
    "wechat": rf"{AWS}|axum.*|lambda.*",
    "simulator": rf"{AWS}|lambda.*",
    "local": "jsonschema|stories|utoipa.*",
    "ops": "account-api|account-push|console|dynoxide-rs|local|oauth-callback|preauth-link|rusqlite|simulator|stories|ticket-push|token-api|token-refresher|web-login|wechat-calls",
} | {function: NOT_FOR_FUNCTIONS for function in FUNCTIONS} | {"token-refresher": rf"{NOT_FOR_FUNCTIONS}|axum.*|askama.*"}

# Packages whose library has another name.
LIBRARIES = {"dynoxide-rs": "dynoxide"}


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments, "--locked"], check=True, capture_output=True, text=True).stdout


def tree(package):
    """Everything that a package carries, with the features that it has when it is built alone."""
    targets = [argument for target in TARGETS for argument in ("--target", target)]
    shown = cargo("tree", "--package", package, "--edges", "normal,build", "--prefix", "none", "--format", "{p}", *targets)
    return {line.split()[0] for line in shown.splitlines() if line} - {package}


def unused(package):
    """The dependencies that no line of a package names."""
    folder = Path(package["manifest_path"]).parent
    nested = {path.parent for path in folder.rglob("Cargo.toml")} - {folder}
    sources = [source for source in folder.rglob("*.rs") if not nested & set(source.parents)]
    text = "\n".join(source.read_text(encoding="utf-8") for source in sources)
    names = {it["name"]: LIBRARIES.get(it["name"], it["name"]).replace("-", "_") for it in package["dependencies"]}
    return sorted(name for name, library in names.items() if not re.search(rf"\b{library}\b", text))


def main():
    workspace = json.loads(cargo("metadata", "--format-version", "1", "--no-deps"))
    packages = {package["name"]: package for package in workspace["packages"]}
    wrong = []
    for name, allowed in MAY_USE.items():
        used = {it["name"] for it in packages[name]["dependencies"] if it["kind"] != "dev"} & set(packages)
        wrong += [f"{name} may not depend on {other}" for other in sorted(used - allowed)]
    for name, package in packages.items():
        # Its targets are the functions' own, which name them.
        if name != "processes":
            wrong += [f"{name} declares {dependency} and does not use it" for dependency in unused(package)]
    for source in sorted(Path("shared/base").rglob("*.[rt][so]*")):
        if re.search("wechat|aws|dynamo", source.read_text(encoding="utf-8"), re.IGNORECASE):
            wrong.append(f"{source} names a remote service, which base may not")
    for name, forbidden in MAY_NOT_CARRY.items():
        carried = tree(name)
        found = sorted(crate for crate in carried if re.fullmatch(forbidden, crate))
        wrong += [f"{name} carries {crate}, which it may not" for crate in found]
        print(f"{name}: {len(carried)} crates, {len(found) or 'none'} that it may not carry")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

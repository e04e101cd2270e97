#!/usr/bin/env bash
# Installs the libraries that the programs of docs/clients.md and docs/events.md use, below target/clients, for the
# stories that run them.
# Needs Node.js 20 with npm, and Python 3.10 with venv.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
target=../../../target/clients

mkdir -p "$target"
cp package.json package-lock.json "$target"
(cd "$target" && npm ci --no-audit --no-fund --omit=optional)
[[ -x $target/python/bin/pip ]] || python3 -m venv "$target/python"
"$target/python/bin/pip" install --quiet --disable-pip-version-check --requirement requirements.txt

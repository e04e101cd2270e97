#!/usr/bin/env bash
# Installs what `cargo bench -p stories -- peers` compares with, below target/peers: Node with its packages, and Python's.
# Needs npm, and a Python with venv; PYTHON=/usr/bin/python3.13 selects another one than the default.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
target=../../../target/peers

mkdir -p "$target/node"
cp node/package.json node/package-lock.json "$target/node"
# Not with --prefix: npm would treat the folder `node` here as a package of that name.
(cd "$target/node" && npm ci --no-audit --no-fund)

# As on Lambda: the runtime has the SDK, and the zip file everything else that the functions need.
rm -rf "$target/python"
"${PYTHON:-python3}" -m venv "$target/python/runtime"
pip=("$target/python/runtime/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" --requirement python/runtime.txt
"${pip[@]}" --requirement python/requirements.txt --target "$target/python/function"

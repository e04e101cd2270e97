#!/usr/bin/env bash
# Installs what the console's tests need to use a browser, below target/browser: Playwright's library and axe. The
# browser itself is Debian's chromium. Needs Node.js 20 with npm.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
target=../../../target/browser

mkdir -p "$target"
cp package.json package-lock.json "$target"
(cd "$target" && npm ci --no-audit --no-fund)
if ! command -v chromium >/dev/null; then
  as_root() { if [[ $(id -u) = 0 ]]; then "$@"; else sudo "$@"; fi; }
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk
fi

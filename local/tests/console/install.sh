#!/usr/bin/env bash
# Installs what the console's tests need to use a browser, below target/browser: Playwright's library and axe. The
# browser itself and the Chinese fonts are Debian's packages. Needs Node.js 20 with npm.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
target=../../../target/browser

mkdir -p "$target"
cp package.json package-lock.json "$target"
(cd "$target" && npm ci --no-audit --no-fund)
missing=()
command -v chromium >/dev/null || missing+=(chromium)
# Some machines have a browser, and no font with Chinese characters.
[[ -n $(find /usr/share/fonts -iname '*cjk*' -print -quit 2>/dev/null) ]] || missing+=(fonts-noto-cjk)
if [[ ${#missing[@]} -gt 0 ]]; then
  as_root() { if [[ $(id -u) = 0 ]]; then "$@"; else sudo "$@"; fi; }
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

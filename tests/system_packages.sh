#!/usr/bin/env sh
# What the tests need beside Python: a real nginx and a real browser, from Debian where we may install
# (root and apt-get). Elsewhere the tests that need them skip and say why; with CI=true they fail.
set -eu
missing=""
command -v nginx >/dev/null 2>&1 || [ -x /usr/sbin/nginx ] || missing="$missing nginx-light"
command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || missing="$missing chromium"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing Debian's$missing for the tests"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
  echo "not found:$missing; the tests that need them will be skipped (with CI=true they fail)"
fi

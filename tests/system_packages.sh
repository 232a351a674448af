#!/usr/bin/env sh
# What the tests need beside Python: a real nginx, a real browser, Node.js, and servers of PostgreSQL, Redis
# and MariaDB, from Debian where we may install (root and apt-get), and promtool, out of Debian's package
# wherever apt-get is. Elsewhere the tests that need them skip and say why; with CI=true they fail. The
# tests start servers of their own, so the services that Debian's packages bring are not needed.
set -eu

# promtool alone, out of Debian's `prometheus`, which is downloaded (apt checks its signature) and never
# installed: its installation would start a Prometheus on port 9090 wherever services may start, make a
# user and bring ten JavaScript libraries, all for one program that needs nothing but libc. This way
# needs no root either, and leaves nothing running.
cache="${XDG_CACHE_HOME:-$HOME/.cache}/tailgate"
unpack_promtool() (
  folder=$(mktemp -d "$cache/promtool-XXXXXX") || exit 1
  trap 'rm -rf "$folder"' EXIT
  trap 'exit 1' HUP INT TERM
  cd "$folder" || exit 1
  # the sandbox's own user may not write here; the download is checked all the same
  apt-get download -qq -o APT::Sandbox::User=root prometheus >/dev/null || exit 1
  dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool || exit 1
  ./usr/bin/promtool --version >/dev/null 2>&1 || exit 1
  mv ./usr/bin/promtool "$cache/promtool" # one step: there is never half a program
)

missing=""
command -v nginx >/dev/null 2>&1 || [ -x /usr/sbin/nginx ] || missing="$missing nginx-light"
command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || missing="$missing chromium"
command -v postgres >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
command -v redis-server >/dev/null 2>&1 || missing="$missing redis-server"
command -v mariadbd >/dev/null 2>&1 || [ -x /usr/sbin/mariadbd ] || missing="$missing mariadb-server"
command -v node >/dev/null 2>&1 || missing="$missing nodejs"
promtool=""
command -v promtool >/dev/null 2>&1 || [ -x "$cache/promtool" ] || promtool=missing
[ -n "$missing$promtool" ] || exit 0

may_install=""
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  may_install=yes
  apt-get update -qq || echo "apt-get update failed; going on with what it knew before"
fi
if [ -n "$missing" ] && [ -n "$may_install" ]; then
  echo "installing Debian's$missing for the tests"
  export DEBIAN_FRONTEND=noninteractive
  # by this file Debian's packages ask whether they may start their services
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
  fi
  apt-get install -y -qq --no-install-recommends $missing >/dev/null
elif [ -n "$missing" ]; then
  echo "not found:$missing; the tests that need them will be skipped (with CI=true they fail)"
fi
if [ -n "$promtool" ]; then
  mkdir -p "$cache"
  if command -v apt-get >/dev/null 2>&1 && unpack_promtool; then
    echo "promtool, out of Debian's prometheus, is in $cache"
  else
    echo "not found: promtool; the tests that need it will be skipped (with CI=true they fail)"
  fi
fi

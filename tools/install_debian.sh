#!/usr/bin/env bash
# Install packages of Debian where this user may, quietly, without starting their services; status 1 where not:
#   tools/install_debian.sh PACKAGE ...
set -u
if [ "$(id -u)" -eq 0 ]; then
  as_root=()
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
  as_root=(sudo -n)
else
  exit 1
fi
command -v apt-get >/dev/null || exit 1
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install -m 755 /dev/stdin "$policy"
fi
# Without a network apt tries for long.
"${as_root[@]}" timeout 120 apt-get update -qq >/dev/null 2>&1
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive timeout 600 \
  apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1

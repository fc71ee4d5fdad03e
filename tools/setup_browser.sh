#!/usr/bin/env bash
# Find the browser that the review's tests drive, or install it: tools/setup_browser.sh
# Without one those tests are skipped, so this never fails. MITOUTS_CHROMIUM=/path/to/browser names another one.
set -u

find_browser() {
  if [ -n "${MITOUTS_CHROMIUM:-}" ]; then
    command -v "$MITOUTS_CHROMIUM"
    return
  fi
  for name in chromium chromium-browser google-chrome; do
    command -v "$name" && return
  done
  return 1
}

install_browser() {
  if [ "$(id -u)" -eq 0 ]; then
    as_root=()
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo -n)
  else
    return 1
  fi
  command -v apt-get >/dev/null || return 1
  echo 'installing chromium for the tests of the review application ...'
  # Without a network apt tries for long.
  "${as_root[@]}" timeout 120 apt-get update -qq >/dev/null 2>&1
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive timeout 600 apt-get install -y -qq --no-install-recommends chromium >/dev/null 2>&1
}

if browser=$(find_browser); then
  echo "browser of the tests: $browser"
elif [ -n "${MITOUTS_CHROMIUM:-}" ]; then
  echo "no browser at MITOUTS_CHROMIUM=$MITOUTS_CHROMIUM: the browser tests are skipped"
elif install_browser && browser=$(find_browser); then
  echo "browser of the tests, just installed: $browser"
else
  echo "no chromium: the browser tests are skipped; install it with 'apt-get install chromium' (as root), or name one with MITOUTS_CHROMIUM=/path"
fi
exit 0

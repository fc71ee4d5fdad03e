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
  echo 'installing chromium for the tests of the review application ...'
  bash tools/install_debian.sh chromium
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

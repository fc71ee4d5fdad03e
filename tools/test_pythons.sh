#!/usr/bin/env bash
# Run the tests on other Pythons, each in an environment of its own, .venv-VERSION: tools/test_pythons.sh [VERSION ...]
# Without arguments on 3.10 and 3.12, of which those are left out, by name, that are not installed.
set -u

usable() { "$1" -c "import sys, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '$2')" >/dev/null 2>&1; }

find_python() {
  local candidate
  # What pyenv has installed answers to its name only where it is switched on.
  for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
    usable "$candidate" "$1" && { command -v "$candidate"; return; }
  done
  return 1
}

[ $# -gt 0 ] || set -- 3.10 3.12
failed=0
tested=0
for version in "$@"; do
  if ! python=$(find_python "$version"); then
    echo "Python $version with venv was not found: not tested"
    continue
  fi
  echo "Python $version: $python"
  tested=$((tested + 1))
  make --no-print-directory VENV=".venv-$version" PYTHON="$python" test || failed=$((failed + 1))
done
echo "tested on $tested of $# Pythons, $failed of them failed"
[ "$tested" -gt 0 ] && [ "$failed" -eq 0 ]

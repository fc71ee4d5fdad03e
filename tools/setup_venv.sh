#!/usr/bin/env bash
# Make the virtual environment of this checkout: tools/setup_venv.sh FOLDER
set -eu
venv=${1:?usage: $0 FOLDER}

usable() { "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' >/dev/null 2>&1; }

if ! usable "$venv/bin/python"; then
  python=
  for candidate in ${PYTHON:-} python3.11 python3.12 python3.10 python3 python; do
    if usable "$candidate"; then python=$candidate; break; fi
  done
  if [ -z "$python" ]; then
    echo 'error: no Python 3.10 to 3.12 with venv was found; install one, or name it: make PYTHON=/path/to/python' >&2
    exit 2
  fi
  "$python" -m venv --clear "$venv"
fi
# Making it may have been stopped before pip was there.
"$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$venv/bin/python" -m ensurepip >/dev/null
"$venv/bin/python" -m pip install --quiet --constraint constraints.txt --editable '.[dev,review]'
bash tools/keep_headless_opencv.sh "$venv/bin/python"
"$venv/bin/python" -c 'import cv2, mitouts' || { echo 'error: the environment is broken; make clean and try again' >&2; exit 1; }

#!/usr/bin/env bash
# Test that the package runs with its dependencies alone: tools/test_wheel.sh PYTHON
# Builds the wheel from a copy (setuptools would pack what an earlier build left in build/), installs it into an
# environment of its own, and checks it there: tests/wheel/check_wheel.py.
set -eu
python=${1:?usage: $0 PYTHON}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/source"
cp -r pyproject.toml setup.py README.md LICENSE mitouts "$work/source"
"$python" -m pip wheel --quiet --no-deps --wheel-dir "$work" "$work/source"
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --constraint constraints.txt "$work"/*.whl
bash tools/keep_headless_opencv.sh "$work/venv/bin/python"
"$work/venv/bin/python" -I tests/wheel/check_wheel.py "$PWD"

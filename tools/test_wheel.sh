#!/usr/bin/env bash
# Test that the package runs with its dependencies alone: tools/test_wheel.sh PYTHON
# Builds the source distribution from a copy, and the wheel from that; installs the wheel into an environment of its own,
# checks it there (tests/wheel/check_wheel.py), and trains on a small phantom from a folder that is no checkout.
set -eu
python=${1:?usage: $0 PYTHON}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset PYTHONPATH
mkdir "$work/source" "$work/elsewhere"
cp -r pyproject.toml setup.py MANIFEST.in README.md LICENSE mitouts configs "$work/source"
"$python" -m build --outdir "$work/dist" "$work/source" >"$work/build.txt" 2>&1 || { cat "$work/build.txt" >&2; exit 1; }
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --constraint constraints.txt "$work"/dist/*.whl
bash tools/keep_headless_opencv.sh "$work/venv/bin/python"
"$work/venv/bin/python" -I tests/wheel/check_wheel.py "$PWD"
cd "$work/elsewhere"
mitouts=$work/venv/bin/mitouts
"$mitouts" synthesize phantom --out data/phantom --size-px 96 --num-train 16 --num-val 8 --num-test 8 --workers 1
"$mitouts" train wss/lite0_max_strong --data phantom --work-dir run --cfg-options train_cfg.max_epochs=1 \
  train_dataloader.batch_size=4 >"$work/train.txt" 2>&1 || { tail -n 30 "$work/train.txt" >&2; exit 1; }
"$mitouts" models run/best.pth
"$mitouts" predict data/phantom/test.json run/best.pth --out predictions.json

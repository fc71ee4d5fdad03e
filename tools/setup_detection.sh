#!/usr/bin/env bash
# mmdetection, and mmcv's operations compiled for it, into the virtual environment of this checkout:
#   tools/setup_detection.sh VENV           compile the operations once, keep the wheel, install everything
#   tools/setup_detection.sh --wheel VENV   print the wheel that is kept for this environment; without one, status 1
# Wheels are kept outside the checkout, in $MITOUTS_CACHE/wheels (default: ~/.cache/mitouts/wheels), in a folder for each
# mmcv, torch, Python and platform, so that another clone does not compile.
set -eu

stop() {
  echo "error: $1" >&2
  exit "${2:-2}"
}

# mmcv compiles for a GPU where torch sees one, and such a wheel is another one.
name_platform() {
  "$python" - <<'END'
import os
import platform
import sys

import torch

gpu = torch.cuda.is_available() or os.environ.get('FORCE_CUDA') == '1'
toolkit = f'-gpu{torch.version.cuda or torch.version.hip}' if gpu else ''
version = f'cp{sys.version_info.major}{sys.version_info.minor}'
print(f'torch{torch.__version__}{toolkit}-{version}-{sys.platform}-{platform.machine()}')
END
}

find_wheel() { find "$cache" -maxdepth 1 -name 'onedl_mmcv-*.whl' 2>/dev/null | sort | head -n 1; }

compile_wheel() {
  command -v "${CXX:-c++}" >/dev/null ||
    stop 'no C++ compiler was found; install one (Debian: apt-get install g++), then: make detection'
  building=$(mktemp -d "$cache/building.XXXXXX")
  trap 'rm -rf "$building"' EXIT
  mkdir "$building/tmp"
  echo "compiling mmcv's operations, once for this machine (10 to 30 minutes on 2 cores); log: $cache/build.log"
  "$python" -m pip install --quiet --constraint constraints.txt ninja setuptools wheel
  # With debug symbols and more optimisation it would take about three times as long.
  TMPDIR=$building/tmp CFLAGS=${CFLAGS:-'-O1 -g0'} MAX_JOBS=${MAX_JOBS:-$(nproc 2>/dev/null || echo 2)} \
    "$python" -m pip wheel --verbose --no-cache-dir --no-deps --no-build-isolation --no-binary onedl-mmcv \
    --wheel-dir "$building" "onedl-mmcv==$mmcv" >"$cache/build.log" 2>&1 || {
    tail -n 20 "$cache/build.log" >&2
    stop "mmcv's operations could not be compiled; the whole log: $cache/build.log" 1
  }
  # Renamed into place when it is whole, so that nothing unfinished looks like a wheel.
  mv "$building"/onedl_mmcv-*.whl "$cache/"
  rm -rf "$building"
}

only_find=false
if [ "${1:-}" = --wheel ]; then
  only_find=true
  shift
fi
venv=${1:?usage: $0 [--wheel] VENV}
python=$venv/bin/python
[ -x "$python" ] || stop "no virtual environment at $venv; run: make setup"
mmcv=$(sed -n 's/^onedl-mmcv==//p' constraints.txt)
key=$(name_platform 2>/dev/null) || stop "torch cannot be imported from $venv; run: make clean setup"
home=~
cache=${MITOUTS_CACHE:-${XDG_CACHE_HOME:-$home/.cache}/mitouts}/wheels/mmcv$mmcv-$key
wheel=$(find_wheel)

if $only_find; then
  if [ -z "$wheel" ]; then
    echo "no compiled operations of mmcv in $cache" >&2
    exit 1
  fi
  echo "$wheel"
  exit 0
fi

if [ -z "$wheel" ]; then
  if ! mkdir -p "$cache" 2>/dev/null || [ ! -w "$cache" ]; then
    stop "$cache cannot be written; name another folder: make detection MITOUTS_CACHE=/path"
  fi
  if command -v flock >/dev/null; then
    exec 9>"$cache/lock"
    flock --nonblock 9 || { echo 'another build is under way; waiting for its wheel ...' && flock 9; }
    # Nobody else builds now: these were left by a build that was killed.
    rm -rf "$cache"/building.*
  fi
  wheel=$(find_wheel)
  if [ -z "$wheel" ]; then
    compile_wheel
    wheel=$(find_wheel)
  fi
  exec 9>&-
fi

"$python" -m pip install --quiet --no-deps --force-reinstall "$wheel" || stop "remove $cache, then: make detection" 1
"$python" -m pip install --quiet --constraint constraints.txt --editable '.[detection]'
bash tools/keep_headless_opencv.sh "$python"
"$python" -c 'import mmcv.ops, mmdet.models' || stop "mmdetection cannot be imported; remove $cache, then: make detection" 1
echo "mmdetection is ready, with the operations of $wheel"

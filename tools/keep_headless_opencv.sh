#!/usr/bin/env bash
# Leave OpenCV's headless build in place: tools/keep_headless_opencv.sh PYTHON
# mmcv and mmdetection ask for opencv-python, albumentations for the headless build; both write into one folder, and only
# the headless one can be imported on a machine without a display's libraries.
set -eu
python=${1:?usage: $0 PYTHON}
if "$python" -m pip show --quiet opencv-python 2>/dev/null; then
  "$python" -m pip uninstall --quiet --yes opencv-python
# An earlier call may have been stopped here.
elif "$python" -c 'import cv2' 2>/dev/null; then
  exit 0
fi
"$python" -m pip install --quiet --no-deps --force-reinstall --constraint constraints.txt opencv-python-headless

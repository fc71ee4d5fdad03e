"""Collects facts about the machine and versions of a run."""

from __future__ import annotations

import platform
import sys
from importlib import metadata

import torch

import mitouts
from mitouts.utils.version import git_commit

PACKAGES = (
    'onedl-mmengine',
    'onedl-mmcv',
    'onedl-mmdetection',
    'albumentations',
    'numpy',
    'scipy',
    'scikit-learn',
    'opencv-python-headless',
    'pycocotools',
    'efficientnet-lite-pytorch',
    'monai',
    'openslide-python',
    'tifffile',
    'imagecodecs',
    'staintools',
)


def collect_environment() -> dict[str, str]:
    """Collect versions, git commit, processor and accelerator; a missing one reads ``none``."""
    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else 'none'
    return {
        'mitouts': mitouts.__version__,
        'git': git_commit(),
        'python': sys.version.split()[0],
        'torch': torch.__version__,
        **{name: _version(name) for name in PACKAGES},
        'gpu': cuda,
        'threads': str(torch.get_num_threads()),
        'platform': f'{platform.system()}-{platform.machine()}',
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return 'none'

"""A finished suite with a page of baselines about it, and where a test needs them, checkpoints that can be measured."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from suite_runs import Group, write_suite

from mitouts.models import WSSLocalizer
from mitouts.registry import MODELS

GROUPS = (
    Group('noise00'),
    Group('noise30', noise=0.3),
    Group('box-noise00', staged=False, folds=(0,)),
    Group('box-noise30', staged=False, folds=(0,), noise=0.3),
)
SPEC = """
suites: [SUITE]
num_bootstrap: 100
blocks:
  - name: detection
    kind: baselines
    costs: COSTS
    folds: [0]
    groups: {noise00: noise 0, noise30: noise 0.3}
    rows:
      - {row: 'box-{group}/model', label: Boxes, supervision: box}
      - {row: teacher, label: Teacher, supervision: image label}
      - {row: student, label: Student, supervision: 'image label, point', minutes: [teacher, distill, student]}
  - {name: methods, kind: methods, rows: [noise00/student=Student]}
"""
MODEL = dict(
    type='WSSLocalizer',
    backbone=dict(type='EfficientNetLite', stride=4, num_blocks=2, weights=None),
    head=dict(type='InstanceHead', aggregator=dict(type='MaxAggregator')),
)
DATASET = dict(
    type='PointDataset', ann_file='elsewhere.json', pipeline=[dict(type='LoadImage'), dict(type='PackPointSample')]
)
MEASURED = (('box-noise00', 'model'), ('box-noise30', 'model'), *(
    (group, stage) for group in ('noise00', 'noise30') for stage in ('teacher', 'student')
))  # fmt: skip


def write_costed_suite(folder: Path, *, checkpoints: bool = False) -> Path:
    """Write data, runs and a spec file.

    Args:
        folder: Gets ``data``, ``work_dirs/tiny``, and ``tables.yaml``, which names ``costs.json`` beside it.
        checkpoints: Write ``best.pth`` of the stages of :data:`MEASURED`, fold 0 and seed 0, and the images.

    Returns:
        The spec file.
    """
    suite = write_suite(folder, GROUPS, failed=None, num_images=8, num_cases=4, pictures=checkpoints)
    if checkpoints:
        for group, stage in MEASURED:
            write_checkpoint(suite / group / 'fold0_seed0' / stage / 'best.pth')
    spec = folder / 'tables.yaml'
    spec.write_text(SPEC.replace('SUITE', str(suite)).replace('COSTS', str(folder / 'costs.json')))
    return spec


def make_model() -> WSSLocalizer:
    """A localizer of two blocks with random weights, ready to predict."""
    torch.manual_seed(0)
    model = MODELS.build(MODEL)
    model.calibration = {'image_threshold': 0.5, 'map_threshold': 0.5}
    return model.eval()


def write_checkpoint(path: Path, **without: None) -> Path:
    """Write a checkpoint of :func:`make_model` as a training leaves it, its config without the keys of ``without``."""
    model = make_model()
    config = {'model': MODEL, 'test_dataloader': {'batch_size': 4, 'dataset': DATASET}, 'default_scope': 'mitouts'}
    config = {key: value for key, value in config.items() if key not in without}
    meta = {'cfg': json.dumps(config), 'mitouts': model.calibration}
    torch.save({'meta': meta, 'state_dict': model.state_dict()}, path)
    return path

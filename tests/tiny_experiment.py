"""A data set and a config so small that a training takes a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config

from mitouts.formats.coco import make_annotation, make_document, make_image, write_json

SIZE_PX = 48

RUNTIME = """
default_scope = 'mitouts'
default_hooks = dict(
    runtime_info=dict(type='RuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    logger=dict(type='LoggerHook', interval=1),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', save_best='image/f1'),
)
hooks = ('EpochSeedHook', 'NonFiniteLossHook', 'CalibrationHook', 'TrainingClockHook')
custom_hooks = [dict(type=name) for name in hooks]
env_cfg = dict(mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0), dist_cfg=dict(backend='gloo'))
visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
log_processor = dict(window_size=1, by_epoch=True)
log_level = 'WARNING'
randomness = dict(seed=0)
load_from = None
compile = False
model = dict(
    type='WSSLocalizer',
    backbone=dict(type='EfficientNetLite', stride=4, num_blocks=2, weights=None, drop_path_rate=0.5),
    head=dict(type='InstanceHead', aggregator=dict(type='MaxAggregator'), dropout=0.1),
)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=3, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=3e-3))
param_scheduler = [dict(type='CosineAnnealingLR', T_max='max_epochs', by_epoch=True, convert_to_iter_based=True)]
distillation = dict(criterion=dict(type='CentroidDisagreement', radius_px=12, policy='any_true'))
def loader(split, pipeline, sampler, **more):
    dataset = dict(type='PointDataset', ann_file=f'DATA/{split}.json', data_root=None, pipeline=pipeline)
    return dict(batch_size=4, num_workers=0, persistent_workers=False, sampler=sampler, dataset=dataset, **more)
test_pipeline = [dict(type='LoadImage'), dict(type='PackPointSample')]
train_pipeline = [dict(type='LoadImage'), dict(type='Augment', recipe='alpha'), dict(type='PackPointSample')]
train_dataloader = loader('train', train_pipeline, dict(type='ClassBalancedSampler'), drop_last=True)
val_dataloader = loader('val', test_pipeline, dict(type='DefaultSampler', shuffle=False))
test_dataloader = loader('test', test_pipeline, dict(type='DefaultSampler', shuffle=False))
metrics = [dict(type='ImageMetric'), dict(type='CentroidMetric', radius_px=12, num_bootstrap=20)]
val_evaluator = dict(type='LocalizationEvaluator', metrics=metrics, thresholds='select')
test_evaluator = dict(type='LocalizationEvaluator', metrics=metrics, thresholds='checkpoint')
del loader
"""


def write_split(folder: Path, name: str, count: int, seed: int) -> None:
    """Half of the images hold one dark blob, at an annotated place; every fourth positive is noise."""
    generator = np.random.default_rng(seed)
    images, annotations = [], []
    for number in range(count):
        pixels = generator.integers(200, 230, (SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
        positive = number % 2 == 1
        noise = name == 'train' and number % 8 == 7
        x, y = generator.integers(10, SIZE_PX - 10, 2).tolist()
        if positive and not noise:
            cv2.circle(pixels, (x, y), 5, (90, 30, 110), -1)
        file_name = f'{name}_{number:02d}.png'
        cv2.imwrite(str(folder / file_name), pixels[..., ::-1])
        extra: dict[str, Any] = {'is_noise': True} if noise else {}
        images.append(
            make_image(number + 1, file_name, SIZE_PX, SIZE_PX, case_id=f'{name}_{number % 4}', mpp=0.25, **extra)
        )
        if positive:
            annotations.append(make_annotation(len(annotations) + 1, number + 1, 1, float(x), float(y)))
    write_json(folder / f'{name}.json', make_document(images, annotations, name=name, tool='tests'))


def write_tiny(folder: Path) -> Path:
    """Write data and config into a folder.

    Returns:
        The config file.
    """
    data = folder / 'data'
    data.mkdir(parents=True)
    for seed, (name, count) in enumerate({'train': 16, 'val': 8, 'test': 8}.items()):
        write_split(data, name, count, seed)
    config = folder / 'tiny.py'
    config.write_text(RUNTIME.replace('DATA', str(data)))
    return config


def tiny_config(folder: Path, **overrides: Any) -> Config:
    """The tiny config; keyword arguments are dotted keys with ``__`` for the dots."""
    config = Config.fromfile(write_tiny(folder))
    config.merge_from_dict({key.replace('__', '.'): value for key, value in overrides.items()})
    return config

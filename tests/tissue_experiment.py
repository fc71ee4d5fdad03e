"""A tissue training that takes a second: two classes that differ in colour, a few tiny images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from mitouts.imaging.image import write_rgb
from mitouts.imaging.label_image import write_labels

SIZE_PX = 48
COLOURS = {1: (120, 60, 150), 2: (230, 150, 190), 0: (245, 245, 245)}
"""Code -> colour; 0 is not labelled."""

CONFIG = """
default_scope = 'mitouts'
default_hooks = dict(
    runtime_info=dict(type='RuntimeInfoHook'), timer=dict(type='IterTimerHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'), logger=dict(type='LoggerHook', interval=1),
    param_scheduler=dict(type='ParamSchedulerHook'), checkpoint=dict(type='CheckpointHook', save_best='dice/mean'),
)
custom_hooks = [
    dict(type='EpochSeedHook'), dict(type='NonFiniteLossHook'), dict(type='TissueCalibrationHook'),
    dict(type='TrainingClockHook'),
]
env_cfg = dict(mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0), dist_cfg=dict(backend='gloo'))
visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
log_processor = dict(window_size=1, by_epoch=True)
log_level = 'WARNING'
randomness = dict(seed=0)
load_from = None
model = dict(type='TissueUNet', num_classes=2, channels=(4, 8), num_res_units=1, tile_px=32)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=3, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=3e-2))
param_scheduler = [dict(type='CosineAnnealingLR', T_max='max_epochs', by_epoch=True, convert_to_iter_based=True)]
train_pipeline = [
    dict(type='LoadImage'), dict(type='LoadLabels'), dict(type='RandomTissueCrop', size_px=16, mpp=0.5),
    dict(type='AugmentTissue', recipe='alpha'), dict(type='PackTissueSample'),
]
test_pipeline = [
    dict(type='LoadImage'), dict(type='LoadLabels'), dict(type='ResampleTissue', mpp=0.5),
    dict(type='PackTissueSample'),
]
def loader(split, pipeline, size, shuffle, **more):
    dataset = dict(
        type='TissueDataset', data_root='DATA', classes=['tumour', 'other'], label_map=dict(tumour=[1], other=[2]),
        case_pattern='[a-z]+_[0-9]', split=split, partition=dict(val=['val'], test=['test']), pipeline=pipeline, **more,
    )
    sampler = dict(type='DefaultSampler', shuffle=shuffle)
    return dict(batch_size=size, num_workers=0, persistent_workers=False, sampler=sampler, dataset=dataset)
train_dataloader = loader('train', train_pipeline, 4, True, crops_per_image=4)
val_dataloader = loader('val', test_pipeline, 1, False)
test_dataloader = loader('test', test_pipeline, 1, False)
val_evaluator = dict(type='TissueEvaluator', metrics=[dict(type='DiceMetric', num_bootstrap=20)])
test_evaluator = dict(type='TissueEvaluator', metrics=[dict(type='DiceMetric', num_bootstrap=20)])
del loader
"""


def write_pair(folder: Path, name: str, codes: np.ndarray, mpp: float = 0.5) -> None:
    """Write an image in the colours of its codes, and its label image."""
    pixels = np.zeros((*codes.shape, 3), np.uint8)
    for code, colour in COLOURS.items():
        pixels[codes == code] = colour
    noise = np.random.default_rng(len(name)).integers(-8, 9, pixels.shape)
    stem = f'{name}_MPP-{mpp:.4f}'
    write_rgb(folder / 'images' / f'{stem}.png', np.clip(pixels + noise, 0, 255).astype(np.uint8))
    write_labels(folder / 'masks' / f'{stem}.png', codes.astype(np.uint8))


def write_tissue(folder: Path) -> Path:
    """Write data and config into a folder; image sizes differ.

    Returns:
        The config file.
    """
    for split, count in {'train': 4, 'val': 2, 'test': 3}.items():
        for number in range(count):
            codes = np.full((SIZE_PX, SIZE_PX + 7 * number), 2)
            codes[8 + 4 * number : 30, 6:40] = 1
            codes[:, :3] = 0
            write_pair(folder / 'data', f'{split}_{number}', codes)
    config = folder / 'tissue.py'
    config.write_text(CONFIG.replace('DATA', str(folder / 'data')))
    return config


def tissue_config(folder: Path, **overrides: Any) -> Config:
    """The config; keyword arguments are dotted keys with ``__`` for the dots."""
    config = Config.fromfile(write_tissue(folder))
    config.merge_from_dict({key.replace('__', '.'): value for key, value in overrides.items()})
    return config

"""Small localizers with random weights, whose batch norms do something."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch

from mitouts.inference.dense import DenseModel
from mitouts.models import WSSLocalizer
from mitouts.registry import MODELS

BACKBONES = {
    'lite0': dict(type='EfficientNetLite', stride=16, num_blocks=8, weights=None),
    'r18': dict(type='ResNet', depth=18, num_stages=2, weights=None),
    'skip': dict(
        type='SkipDecoder',
        encoder=dict(type='EfficientNetLite', stride=16, num_blocks=8, weights=None, out_strides=(8, 16)),
        channels=16,
    ),
}


def model_config(
    backbone: str = 'lite0', aggregator: str = 'MaxAggregator', head: str = 'InstanceHead'
) -> dict[str, Any]:
    return dict(
        type='WSSLocalizer',
        backbone=BACKBONES[backbone],
        head=dict(type=head, aggregator=dict(type=aggregator)),
        data_preprocessor=dict(type='PointDataPreprocessor'),
    )


def make_model(backbone: str = 'lite0', aggregator: str = 'MaxAggregator', head: str = 'InstanceHead') -> WSSLocalizer:
    torch.manual_seed(0)
    model = MODELS.build(model_config(backbone, aggregator, head))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.3, 0.3)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.uniform_(-0.3, 0.3)
    model.head.classifier.weight.data.normal_()
    return model.eval()


def random_tile(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save_checkpoint(path: Path, model: WSSLocalizer, backbone: str = 'lite0') -> Path:
    """Write a checkpoint that :class:`mitouts.inference.Localizer` reads."""
    config = {'model': model_config(backbone), 'default_scope': 'mitouts'}
    meta = {'cfg': json.dumps(config), 'mitouts': model.calibration}
    torch.save({'meta': meta, 'state_dict': model.state_dict()}, path)
    return path


def spread_scores(model: WSSLocalizer, tile: np.ndarray) -> None:
    """Rescale the classifier so that a tenth of the scores on a tile is above 0.5 and they are spread out."""
    dense = DenseModel(model)
    inside = slice(dense.margin.before, -dense.margin.after)
    scores = dense(tile[None])[0, inside, inside].astype(float)
    logits = np.log(scores / (1 - scores))
    with torch.no_grad():
        model.head.classifier.bias.sub_(float(np.quantile(logits, 0.9))).div_(float(logits.std()))
        model.head.classifier.weight.div_(float(logits.std()))


def smooth_tissue(width: int, height: int, seed: int = 0) -> np.ndarray:
    """Two stains in random amounts, blocks of 10 px: many shades for a network with random weights."""
    rng = np.random.default_rng(seed)
    coarse = rng.gamma(2.0, 0.3, (height // 10 + 2, width // 10 + 2, 2)).astype(np.float32)
    amounts = np.repeat(np.repeat(coarse, 10, axis=0), 10, axis=1)[:height, :width]
    stains = np.array([[0.65, 0.70, 0.29], [0.15, 0.95, 0.20]])
    return np.clip(255 * np.exp(-amounts @ stains), 0, 255).astype(np.uint8)


def write_slide(path: Path, image: np.ndarray, **options: Any) -> Path:
    """Write an image as a TIFF that says its resolution, 0.25 um/px."""
    options = {'resolution': (40000, 40000), 'resolutionunit': 3, **options}
    tifffile.imwrite(path, image, photometric='rgb', **options)
    return path

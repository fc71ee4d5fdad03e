"""What a model finds on the images of a data set while it is being trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Subset

from mitouts.models.reading import read_points
from mitouts.registry import DATASETS

BATCH_SIZE = 32


class Located(NamedTuple):
    """A model's prediction of one image.

    Attributes:
        info: The data set's entry of the image.
        score: Image score.
        points: ``(P, 3)`` float64, ``(x, y, score)`` in pixels, above the map threshold.
    """

    info: dict[str, Any]
    score: float
    points: NDArray[np.float64]


def training_images(config: Config) -> Any:
    """The training set of a config without its augmentation."""
    dataset = config.train_dataloader.dataset.to_dict()
    return DATASETS.build({**dataset, 'pipeline': config.test_dataloader.dataset.pipeline})


@torch.no_grad()
def locate_figures(
    model: Any,
    dataset: Any,
    indices: Sequence[int],
    *,
    map_threshold: float,
    drift_px: Sequence[float],
    num_workers: int = 0,
    **reading: Any,
) -> list[Located]:
    """Predict images as a test does.

    Args:
        model: Localizer; it is put into evaluation mode and back.
        dataset: Gives the images, all of one size, without augmentation.
        indices: Which of them.
        map_threshold: Cut of the map.
        drift_px: Taken off the points, see :mod:`mitouts.functional.drift`.
        num_workers: Processes that read the images ahead; with 0 this one does.
        **reading: How points are read from a map: ``min_area_px`` and ``centroid``.

    Returns:
        One prediction an index, in their order.
    """
    calibration = {'map_threshold': map_threshold, 'drift_px': drift_px, **reading}
    batches = DataLoader(
        Subset(dataset, indices),
        batch_size=BATCH_SIZE,
        num_workers=min(num_workers, len(indices)),
        collate_fn=pseudo_collate,
        # Of its own: a loader draws a number, and a training that is measured goes on as one that is not.
        generator=torch.Generator(),
    )
    was_training = model.training
    model.eval()
    found: list[Located] = []
    for batch in batches:
        inputs = model.data_preprocessor({'inputs': batch['inputs']})['inputs']
        for sample in model(inputs, batch['data_samples'], mode='predict'):
            info = dataset.get_data_info(indices[len(found)])
            points = read_points(sample, model.geometry, calibration, min_score=None)
            found.append(Located(info, sample.pred_score, points))
    model.train(was_training)
    return found

"""Predicts the images of a data set with a model, outside mmengine's loops."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.dist import all_gather_object, get_dist_info
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from mitouts.models.reading import read_sample
from mitouts.registry import DATASETS
from mitouts.structures import EvaluatedImage, PointSample
from mitouts.utils.ranks import together

BATCH_SIZE = 32


def training_images(config: Config) -> Any:
    """Build the training set of a config without its augmentation."""
    dataset = config.train_dataloader.dataset.to_dict()
    return DATASETS.build({**dataset, 'pipeline': config.test_dataloader.dataset.pipeline})


def predict_batch(model: Any, inputs: Sequence[Tensor], samples: Sequence[PointSample]) -> list[PointSample]:
    """Normalize images of one size, and run a localizer on them.

    Args:
        model: Localizer in evaluation mode.
        inputs: Tensors ``(3, H, W)``, uint8, RGB.
        samples: One per image; predictions are written into them.
    """
    batch = model.data_preprocessor({'inputs': list(inputs)})['inputs']
    return model(batch, list(samples), mode='predict')


@torch.no_grad()
def predict_dataset(
    model: Any,
    dataset: Any,
    indices: Sequence[int] | None = None,
    *,
    batch_size: int = 1,
    num_workers: int = 0,
) -> Iterator[PointSample]:
    """Predict the images of a data set, one batch after the other.

    Args:
        model: Localizer; it is in evaluation mode until the last image, and then as it was.
        dataset: Any data set whose items hold ``inputs`` (a tensor ``(3, H, W)``) and ``data_samples``.
        indices: Indices of the images to predict; None takes all.
        batch_size: At most this many images are predicted at once: those that follow one another and have one size.
        num_workers: Processes that read the images ahead; with 0 this one does.

    Yields:
        The samples with their predictions, in the order of the indices.
    """
    images = dataset if indices is None else Subset(dataset, indices)
    batches = DataLoader(
        images,
        batch_size=batch_size,
        num_workers=min(num_workers, len(images)),
        collate_fn=pseudo_collate,
        # Of its own: a loader draws a number, and a training that is measured goes on as one that is not.
        generator=torch.Generator(),
    )
    was_training = model.training
    model.eval()
    try:
        for batch in batches:
            pairs = zip(batch['inputs'], batch['data_samples'])
            for _, of_one_size in itertools.groupby(pairs, key=lambda pair: pair[0].shape):
                yield from predict_batch(model, *zip(*of_one_size))
    finally:
        model.train(was_training)


def predict_figures(
    model: Any, dataset: Any, indices: Sequence[int], calibration: Mapping[str, Any], *, num_workers: int = 0
) -> list[EvaluatedImage]:
    """Find the figures on images as a test does; processes share the images, and all of them get all records.

    Args:
        model: See :func:`predict_dataset`.
        dataset: Gives the images, without augmentation.
        indices: Indices of the images to predict, the same on every process.
        calibration: ``map_threshold``, and where they are known ``drift_px``, ``min_area_px`` and ``centroid``.
        num_workers: See :func:`predict_dataset`.

    Returns:
        One record an index, in their order; the points are those above the map threshold.

    Raises:
        MitoutsError: Another process failed.
    """
    rank, world_size = get_dist_info()
    with together():
        samples = predict_dataset(
            model, dataset, indices[rank::world_size], batch_size=BATCH_SIZE, num_workers=num_workers
        )
        own = [
            EvaluatedImage(sample.truth(), read_sample(sample, model.geometry, calibration, min_score=None))
            for sample in samples
        ]
    parts = all_gather_object(own)
    return [parts[place % world_size][place // world_size] for place in range(len(indices))]

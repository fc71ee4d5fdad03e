"""Measures the costs of trained models: parameters, multiplications, and the time of a prediction."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mitouts.checkpoint import config_of, read_checkpoint
from mitouts.engine.environment import collect_environment
from mitouts.engine.runs import checkpoint_of
from mitouts.errors import CheckpointError, MitoutsError
from mitouts.evaluation.predicting import predict_batch
from mitouts.experiments.costs import Cost, Costs
from mitouts.experiments.rows import TableRow
from mitouts.experiments.suite_results import Suite
from mitouts.models.loading import load_model, move_to
from mitouts.models.reading import read_prediction
from mitouts.registry import DATASETS, components_of

MIN_SCORE = 0.01
"""Weakest point that is read, as in a test."""


@dataclass(frozen=True)
class Trained:
    """A model to measure.

    Attributes:
        row: Row that the model stands for.
        ann_file: Annotations of its test images.
    """

    row: TableRow
    checkpoint: Path
    ann_file: Path


@dataclass(frozen=True)
class Measuring:
    """Settings of the measurement.

    Attributes:
        num_images: Test images, drawn at random but the same for data sets of one size; all where there are fewer.
        batch_size: Images that are predicted at once.
        rounds: Number of times that each model predicts all images while time is measured.
        device: Device that the models run on.
    """

    num_images: int = 32
    batch_size: int = 16
    rounds: int = 7
    device: str = 'cpu'


class Predictor:
    """A model and the images to measure it on, decoded and in memory.

    Args:
        model: Localizer in evaluation mode, on its device.
        items: Items of its data set: ``inputs`` (uint8 ``(3, H, W)``) and ``data_samples``.
        batch_size: Images that are predicted at once.

    Attributes:
        num_images: Number of images.
        megapixels: Megapixels of all images together.
    """

    def __init__(self, model: nn.Module, items: Sequence[dict[str, Any]], batch_size: int = 16) -> None:
        self.model = model
        self.batches = [items[start : start + batch_size] for start in range(0, len(items), batch_size)]
        self.num_images = len(items)
        self.megapixels = sum(item['inputs'].shape[-2] * item['inputs'].shape[-1] for item in items) / 1e6

    @torch.no_grad()
    def predict(self) -> float:
        """Predict all images: normalize them, run the network, read points.

        Returns:
            Seconds that it took.
        """
        # Clones, because a prediction is written into its sample.
        batches = [
            ([each['inputs'] for each in batch], [each['data_samples'].clone() for each in batch])
            for batch in self.batches
        ]
        begin = time.perf_counter()
        for inputs, samples in batches:
            for sample in predict_batch(self.model, inputs, samples):
                read_prediction(self.model, sample, MIN_SCORE)
        _finish(next(self.model.parameters(), torch.empty(0)).device)
        return time.perf_counter() - begin

    def macs(self) -> int:
        """Count the multiply-adds of one :meth:`predict`; see :func:`count_macs`."""
        return count_macs(self.predict)


def count_macs(action: Callable[[], object]) -> int:
    """Count multiply-adds: half of the floating-point operations that torch's flop counter counts.

    It counts convolutions, matrix products and attention, wherever they are called from. It does not count other
    operations (batch norms, activations, pooling, interpolation), mmcv's compiled operations (among them RoIAlign,
    non-maximum suppression and deformable convolutions), or anything outside torch, such as the components of a map.

    Args:
        action: Is called once.
    """
    with FlopCounterMode(display=False) as counter:
        action()
    return counter.get_total_flops() // 2


def count_parameters(model: nn.Module) -> int:
    """Count the weights, including frozen ones; a weight that is used in two places counts once."""
    return sum(parameter.numel() for parameter in model.parameters())


def trained_models(suite: Suite, rows: Sequence[TableRow], root: str | Path = '.') -> list[Trained]:
    """Find the checkpoint of each row: that of its first done run, by fold and seed.

    Args:
        root: Folder that relative annotation paths are relative to.

    Raises:
        MitoutsError: A row has no done run, or its stage is none that is tested.
        CheckpointError: The run's checkpoint is gone.
    """
    found = []
    for row in rows:
        runs = suite.done_with(row.group, row.stage)
        if not runs:
            raise MitoutsError(f'{row.source}: no run is done, so there is nothing to measure')
        stage = runs[0].stage(row.stage)
        if not stage.row.get('test_ann_file'):
            raise MitoutsError(f'{stage.folder}: stage {row.stage} names no test images, so it cannot be measured')
        found.append(Trained(row, checkpoint_of(stage.folder), Path(root) / stage.row['test_ann_file']))
    return found


def open_predictor(trained: Trained, settings: Measuring) -> Predictor:
    """Build the model of a checkpoint and read its images.

    Raises:
        CheckpointError: Missing or broken, or without a config, thresholds or a test data set.
        ConfigError: The device cannot be used, or a detector's operations are missing.
        AnnotationError: The images are gone.
    """
    model = load_model(
        trained.checkpoint,
        nn.Module,
        expected='a localizer',
        needs='thresholds',
        advice='measure a checkpoint that a training with validation left',
    )
    move_to(model, settings.device)
    config = config_of(read_checkpoint(trained.checkpoint), trained.checkpoint)
    if not config.get('test_dataloader'):
        raise CheckpointError(f'the config in checkpoint {trained.checkpoint} has no test_dataloader')
    with components_of(trained.checkpoint, config):
        dataset = DATASETS.build({**config['test_dataloader']['dataset'], 'ann_file': str(trained.ann_file)})
    chosen = np.random.default_rng(0).permutation(len(dataset))[: settings.num_images]
    return Predictor(model, [dataset[int(index)] for index in sorted(chosen)], settings.batch_size)


def measure(
    models: Sequence[Trained], settings: Measuring, *, report: Callable[[str], None] = lambda text: None
) -> Costs:
    """Measure models together.

    The models take turns, round by round, and each round begins with another model, so that other load on the machine
    affects all of them alike. The first prediction of each model, which counts its multiplications, is not timed.

    Args:
        models: Models to measure; at least one.
        report: Called with what is being done.

    Raises:
        MitoutsError: See :func:`open_predictor`; or the models have test images of different number or size, on which
            they cannot be compared.
    """
    predictors = []
    for trained in models:
        report(f'{trained.row.label}: {trained.checkpoint}')
        predictors.append(open_predictor(trained, settings))
    _check_same_images(models, predictors)
    macs = [predictor.macs() for predictor in predictors]
    seconds: list[list[float]] = [[] for _ in models]
    for turn in range(settings.rounds):
        report(f'round {turn + 1} of {settings.rounds}')
        for step in range(len(models)):
            index = (turn + step) % len(models)
            seconds[index].append(predictors[index].predict())
    costs = {
        trained.row.source: Cost(
            label=trained.row.label,
            checkpoint=str(trained.checkpoint),
            parameters=count_parameters(predictor.model),
            gmac_per_megapixel=counted / 1e9 / predictor.megapixels,
            megapixels_per_second=predictor.megapixels / statistics.median(spent),
            seconds=tuple(spent),
        )
        for trained, predictor, counted, spent in zip(models, predictors, macs, seconds)
    }
    info = {
        'device': settings.device,
        'environment': collect_environment(),
        'images': predictors[0].num_images,
        'batch_size': settings.batch_size,
        'rounds': settings.rounds,
        'megapixels': predictors[0].megapixels,
    }
    return Costs(costs, info)


def _check_same_images(models: Sequence[Trained], predictors: Sequence[Predictor]) -> None:
    first = predictors[0]
    for trained, predictor in zip(models, predictors):
        if (predictor.num_images, predictor.megapixels) != (first.num_images, first.megapixels):
            raise MitoutsError(
                f'{models[0].row.source} has {first.num_images} test images of {first.megapixels:.2f} MPix together, '
                f'{trained.row.source} {predictor.num_images} of {predictor.megapixels:.2f}: measure models with '
                'images of different number or size apart'
            )


def _finish(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)

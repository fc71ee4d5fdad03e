"""What the table says of a model: its results on the test images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config

from mitouts.engine import runs
from mitouts.engine.stages.base import Experiment, Stage
from mitouts.evaluation.evaluator import LocalizationEvaluator
from mitouts.registry import EVALUATOR


def finds_points(config: Config) -> bool:
    """Whether the test of a config scores points, so that its results can stand in the table."""
    return EVALUATOR.is_kind(config.get('test_evaluator') or {}, LocalizationEvaluator)


def section_of(stage: Stage) -> str | None:
    """Where the results of a stage that tests a model stand: what finds no points stands beside no localizer."""
    if stage.uses_crops:
        return 'verifiers'
    return None if finds_points(stage.config) else 'models'


def tested_row(config: Config, checkpoint: Path, folder: Path, run: Experiment, **about: Any) -> dict[str, Any]:
    """Test a checkpoint, and say what the table shows of it.

    Args:
        config: With the test images.
        checkpoint: The model.
        folder: The stage's work dir; gets ``test/`` and, where points are found, ``predictions.json``.
        run: The experiment.
        **about: What the row says beside the results: ``kind``, ``minutes``, ``images``.
    """
    out = folder / 'predictions.json' if finds_points(config) else None
    test = runs.evaluate(config, checkpoint, folder / 'test', launcher=run.launcher, out=out)
    dataset = config.test_dataloader.dataset
    return {
        **about,
        'test_images': test.results.get('images', len(test.records)),
        'test_ann_file': dataset.get('ann_file'),
        'positive_categories': list(dataset.get('positive_categories', (1,))),
        **{key: value for key, value in test.results.items() if key != 'images'},
    }

"""Tests a stage's model and sums up the results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config

from mitouts.engine import runs
from mitouts.engine.stages.base import Experiment, Stage


class TestedStage(Stage):
    """Base class of stages whose model is tested.

    ``results.json`` lists localizers in the order of the stages, and patch classifiers and tissue models by name.
    """

    @property
    def section(self) -> str | None:
        if self.uses_crops:
            return 'verifiers'
        return None if self.finds_points else 'models'

    def score_model(
        self,
        config: Config,
        checkpoint: Path,
        folder: Path,
        run: Experiment,
        *,
        minutes: float | None = None,
        images: int | None = None,
    ) -> dict[str, Any]:
        """Test a checkpoint.

        Args:
            config: Config with the test images.
            checkpoint: The model.
            folder: The stage's work dir; gets ``test/`` and, where points are found, ``predictions.json``.
            run: The experiment.
            minutes: Minutes that its training took.
            images: Number of images that it was trained on.

        Returns:
            What ``results.json`` says of it.
        """
        out = folder / 'predictions.json' if self.finds_points else None
        test = runs.evaluate(config, checkpoint, folder / 'test', launcher=run.launcher, out=out)
        tested_on: dict[str, Any] = {'test_images': test.results.get('images', len(test.records))}
        if out is not None:
            dataset = config.test_dataloader.dataset
            tested_on['test_ann_file'] = dataset.get('ann_file')
            tested_on['positive_categories'] = list(dataset.get('positive_categories', (1,)))
        results = {key: value for key, value in test.results.items() if key != 'images'}
        return {'kind': self.kind, 'minutes': minutes, 'images': images, **tested_on, **results}

"""Lets a simulated rater review a distillation's hard samples, as a stage that writes the corrected labels."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.dist import is_main_process

from mitouts.engine.config import read_settings
from mitouts.engine.distill import HARD_SAMPLES_NAME
from mitouts.engine.stages import Experiment, Stage
from mitouts.errors import ConfigError
from mitouts.formats.coco import read_coco
from mitouts.registry import STAGES
from mitouts.review.apply import apply_review
from mitouts.review.items import Include
from mitouts.review.opening import open_or_create
from mitouts.review.simulate import simulate
from mitouts.utils.ranks import together

REVIEWED_NAME = 'reviewed.json'
DATABASE_NAME = 'review.sqlite'


class ReviewSettings(NamedTuple):
    """Settings under ``review = dict(...)`` of a config.

    Attributes:
        accuracy: The share of the items that the simulated rater gets right.
        seed: Seed of the rater and of the order.
        include: ``dropped`` or ``all``: see :func:`mitouts.review.items.build_items`.
        rule: Rule that turns decisions into labels.
        undecided: Treatment of images with an undecided item: ``keep`` or ``drop``.
    """

    accuracy: float = 0.9
    seed: int = 0
    include: Include = 'dropped'
    rule: str = 'majority'
    undecided: str = 'keep'


def simulated_review(config: Config, hard_samples: str | Path, out_dir: str | Path) -> dict[str, Any]:
    """Review the hard samples of the training images by a simulated rater, as a person would in the application.

    Args:
        config: Its ``review`` says how (:class:`ReviewSettings`); its training images are those that were distilled.
        hard_samples: File that the distillation wrote.
        out_dir: Gets ``review.sqlite`` and ``reviewed.json``, which a training takes as it is.

    Returns:
        What was reviewed, what the rater got right, and what was done with the labels.

    Raises:
        ConfigError: ``review`` has other keys.
        MitoutsError: The training file does not know which of its labels are wrong.
    """
    settings: ReviewSettings = read_settings(config, 'review', ReviewSettings)
    summary: dict[str, Any] = {}
    with together():
        if is_main_process():
            summary = _review(config.train_dataloader.dataset, hard_samples, Path(out_dir), settings)
    return summary


def _review(
    source: Mapping[str, Any], hard_samples: str | Path, out_dir: Path, settings: ReviewSettings
) -> dict[str, Any]:
    out_dir.mkdir(parents=True, exist_ok=True)
    database = out_dir / DATABASE_NAME
    for path in (database, out_dir / f'{DATABASE_NAME}-wal', out_dir / f'{DATABASE_NAME}-shm'):
        path.unlink(missing_ok=True)
    (out_dir / REVIEWED_NAME).unlink(missing_ok=True)
    ann_file = source['ann_file']
    with open_or_create(database, hard_samples, ann_file, include=settings.include, seed=settings.seed) as store:
        rated = simulate(store, read_coco(ann_file), accuracy=settings.accuracy, seed=settings.seed)
        how: dict[str, Any] = {
            'rule': settings.rule,
            'undecided': settings.undecided,
            'data_root': source.get('data_root'),
        }
        applied = apply_review(store, ann_file, out_dir / REVIEWED_NAME, **how)
    return {**rated, **applied}


@STAGES.register_module(name='review')
@dataclass(eq=False)
class ReviewStage(Stage):
    """Lets a simulated rater review a distillation's hard samples, and writes the corrected annotation file.

    Args:
        name: See :class:`Stage`.
        config: See :class:`Stage`; its ``review`` says how.
        data_from: The distillation whose samples are reviewed.
    """

    kind = 'review'
    labels_name = REVIEWED_NAME
    section = 'reviews'

    data_from: str | None = None

    def check(self, earlier: Mapping[str, Stage]) -> None:
        if self.data_from is None:
            raise ConfigError(f'stage {self.name}: data_from must name the distillation whose samples are reviewed')
        self.need('data_from', self.data_from, earlier, lambda stage: stage.kind == 'distill', 'distill stage')

    def input_files(self, config: Config, run: Experiment) -> dict[str, Any]:
        return {'hard_samples': str(run.made_by(self, self.data_from, HARD_SAMPLES_NAME))}

    def work(self, config: Config, folder: Path, run: Experiment, *, go_on: bool) -> dict[str, Any]:
        begin = time.monotonic()
        summary = simulated_review(config, run.made_by(self, self.data_from, HARD_SAMPLES_NAME), folder)
        return {'kind': self.kind, 'minutes': (time.monotonic() - begin) / 60, **summary}

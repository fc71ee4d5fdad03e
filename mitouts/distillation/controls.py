"""Judges images without predictions, as controls that a distillation is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mitouts.distillation.base import Control
from mitouts.errors import AnnotationError, ConfigError
from mitouts.formats.coco import read_json
from mitouts.functional.distillation import Verdict
from mitouts.registry import CRITERIA

NEGATIVE = Verdict(keep=True, reason='negative', distance_px=0.0)


@CRITERIA.register_module()
class OracleNoise(Control):
    """Drops exactly the mislabelled images: the best result possible for a file with known noise.

    An image is mislabelled if ``images[].is_noise`` of the annotation file is set.
    """

    def judge_all(self, images: Mapping[int, Mapping[str, Any]], labels: Mapping[int, int]) -> dict[int, Verdict]:
        """Judge all images by their ``is_noise``.

        Raises:
            AnnotationError: The file does not say which images are noise.
        """
        if not any('is_noise' in image for image in images.values()):
            raise AnnotationError(
                'OracleNoise needs images[].is_noise, and no image of the training file has it: the noise is known in '
                'synthetic sets and in AMi-Br fields made with --noise alone'
            )
        noise = Verdict(keep=False, reason='known_noise', distance_px=0.0)
        clean = Verdict(keep=True, reason='known_clean', distance_px=0.0)
        return {
            image_id: noise if image.get('is_noise') else (clean if labels[image_id] else NEGATIVE)
            for image_id, image in images.items()
        }


@CRITERIA.register_module()
class RandomDrop(Control):
    """Drops positives at random, to show that a gain does not merely come from a smaller training set.

    Args:
        number: Number of positives to drop.
        like: ``hard_samples.json`` of a distillation; as many positives are dropped as there. In a staged config
            ``data_from`` of the stage names that distillation instead.
        seed: Seed of the draw.

    Raises:
        ConfigError: Both or a negative number are given.
    """

    def __init__(self, number: int | None = None, like: str | None = None, seed: int = 0) -> None:
        if number is not None and like is not None:
            raise ConfigError('RandomDrop: give number or like, not both')
        if number is not None and number < 0:
            raise ConfigError(f'RandomDrop: number must be at least 0, found {number}')
        self.number = number
        self.like = like
        self.seed = seed

    def judge_all(self, images: Mapping[int, Mapping[str, Any]], labels: Mapping[int, int]) -> dict[int, Verdict]:
        """Judge all images; negatives are kept.

        Raises:
            ConfigError: There are fewer positives than are to be dropped, nothing says how many, or ``like`` is not
                what a distillation writes.
        """
        number = self._number()
        positives = sorted(image_id for image_id in images if labels[image_id])
        if number > len(positives):
            raise ConfigError(f'RandomDrop is to drop {number} positives, but there are {len(positives)}')
        drawn = np.random.default_rng(self.seed).choice(len(positives), number, replace=False)
        dropped = {positives[index] for index in drawn}
        drop = Verdict(keep=False, reason='random', distance_px=0.0)
        keep = Verdict(keep=True, reason='random', distance_px=0.0)
        return {
            image_id: drop if image_id in dropped else (keep if labels[image_id] else NEGATIVE) for image_id in images
        }

    def _number(self) -> int:
        if self.number is not None:
            return self.number
        if self.like is None:
            raise ConfigError(
                'RandomDrop does not know how many positives to drop: give number or like, or in a staged config '
                'data_from of its stage'
            )
        if not Path(self.like).is_file():
            raise ConfigError(f'RandomDrop: {self.like} does not exist; give the hard_samples.json of a distillation')
        try:
            samples = read_json(self.like)['images']
            return sum(sample['label'] == 1 and sample['verdict'] == 'drop' for sample in samples)
        except (KeyError, TypeError) as error:
            raise ConfigError(
                f'RandomDrop: {self.like} is no hard_samples.json: its images lack label and verdict'
            ) from error

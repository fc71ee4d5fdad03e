"""Augments images; their points follow."""

from __future__ import annotations

import random
import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import albumentations as A
import cv2
import numpy as np

from mitouts.errors import ConfigError
from mitouts.registry import TRANSFORMS
from mitouts.transforms.base import Transform

ALPHA: list[dict[str, Any]] = [
    dict(type='HorizontalFlip', p=0.5),
    dict(type='VerticalFlip', p=0.5),
    dict(type='Transpose', p=0.5),
    dict(type='Rotate', limit=(-90, 90), border_mode=cv2.BORDER_REFLECT_101, p=0.5),
]
"""Weak: flips, rotations, transposition (alpha in Sec. 3.3 of the UTS paper)."""

BETA: list[dict[str, Any]] = [
    *ALPHA,
    dict(type='OpticalDistortion', distort_limit=(-0.3, 0.3), border_mode=cv2.BORDER_REFLECT_101, p=0.5),
    dict(type='GridDistortion', distort_limit=(-0.3, 0.3), border_mode=cv2.BORDER_REFLECT_101, p=0.5),
]
"""Strong: alpha, then optical and grid distortions, which change the cells' shapes (beta in Sec. 3.3)."""

ELASTIC: list[dict[str, Any]] = [
    *ALPHA,
    dict(type='ElasticTransform', alpha=120, sigma=6, border_mode=cv2.BORDER_REFLECT_101, p=0.5),
]
"""Strong as the authors' code has it: alpha, then an elastic transform."""

RECIPES = {'alpha': ALPHA, 'beta': BETA, 'elastic': ELASTIC}


@TRANSFORMS.register_module()
class Augment(Transform):
    """Applies albumentations to the image and its points; points that leave the image are dropped.

    A label that was derived from the points is derived again from those that are left; a label that was given
    (image-level data, pseudo-labels) stays as it is. The draw is a function of ``augmentation_seed`` alone.
    Only square images are transposed: an oblong one would change its size.

    Args:
        recipe: ``alpha``, ``beta`` or ``elastic``.
        extra: Further albumentations after the recipe, each ``dict(type=NAME, ...)``.

    Raises:
        ConfigError: The recipe is unknown, or albumentations does not have or cannot build a transform.
    """

    stream_key: ClassVar[tuple[int, ...]] = ()

    def __init__(self, recipe: str = 'alpha', extra: Sequence[dict[str, Any]] = ()) -> None:
        if recipe not in RECIPES:
            raise ConfigError(f'Augment.recipe must be one of {sorted(RECIPES)}, found {recipe!r}')
        steps = [_build(step) for step in [*RECIPES[recipe], *extra]]
        self.compose = _compose(steps)
        # An oblong image that is transposed no longer fits its batch.
        self.compose_oblong = _compose([step for step in steps if not isinstance(step, A.Transpose)])

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        height, width = results['img'].shape[:2]
        # A point may lie in the outer half of a border pixel, which albumentations takes for outside.
        points = np.clip(results['gt_points'], 0, (width - 1, height - 1))
        counted = results.get('gt_counted', np.ones(len(points), dtype=bool))
        out = self._seeded(results)(image=results['img'], keypoints=points, counted=counted)
        results['img'] = out['image']
        results['gt_points'] = np.asarray(out['keypoints'], dtype=np.float32).reshape(-1, 2)
        results['gt_counted'] = np.asarray(out['counted'], dtype=bool)
        if not results['label_given']:
            results['gt_label'] = int(len(results['gt_points']) > 0)
        return results

    def _seeded(self, results: dict[str, Any]) -> A.Compose:
        """Return the albumentations for an image of this shape, seeded for this sample."""
        height, width = results['img'].shape[:2]
        compose = self.compose if height == width else self.compose_oblong
        seeds = self.seed_sequence(results)
        of_python = seeds.generate_state(4).tobytes() if seeds.spawn_key else results['augmentation_seed']
        # set_random_seed would give every step a generator of its own with one and the same seed, so that all steps
        # with equal p would happen together or not at all.
        compose.set_random_state(np.random.default_rng(seeds), random.Random(of_python))
        return compose


def _compose(steps: list[A.BasicTransform]) -> A.Compose:
    params = A.KeypointParams(format='xy', remove_invisible=True, label_fields=['counted'])
    return A.Compose(steps, keypoint_params=params, seed=0)


def _build(step: dict[str, Any]) -> A.BasicTransform:
    arguments = dict(step)
    given = arguments.pop('type', None)
    name = given.__name__ if isinstance(given, type) else str(given).removeprefix('albumentations.')
    kind = given if isinstance(given, type) else getattr(A, name, None)
    if not (isinstance(kind, type) and issubclass(kind, A.BasicTransform)):
        raise ConfigError(f'Augment: albumentations {A.__version__} has no transform {name!r}')
    try:
        with warnings.catch_warnings():
            # It warns of arguments that it does not know or changes, and goes on without them.
            warnings.simplefilter('error', UserWarning)
            return kind(**arguments)
    except (TypeError, ValueError, UserWarning) as error:
        raise ConfigError(f'Augment: {name} cannot be built from {arguments}: {error}') from error

"""What every step promises that changes the image of a training sample."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from outside import names_in
from stained_patches import draw_patch

from mitouts.imaging.image import write_rgb
from mitouts.registry import TRANSFORMS
from mitouts.transforms.base import Transform

SIZE_PX = 96
IMAGE = draw_patch(SIZE_PX, noise=2)
POINTS = np.array([[10.0, 20.0], [70.5, 33.25], [95.4, 95.4]], np.float32)
# These read files, pack a sample, or work on label maps instead of points.
OTHERS = {
    'LoadImage',
    'LoadLabels',
    'PackPointSample',
    'PackTissueSample',
    'ResampleTissue',
    'RandomTissueCrop',
    'AugmentTissue',
}
NAMES = [name for name in names_in(TRANSFORMS, Transform, 'Brightness') if name not in OTHERS]
ARGUMENTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    'FourierSwap': lambda folder: dict(reference_folder=str(folder)),
    'Augment': lambda folder: dict(recipe='beta'),
}


@pytest.fixture
def build(bring, tmp_path: Path) -> Callable[[str], Transform]:
    """Builds a step, with a folder of references where it needs one."""

    def built(name: str) -> Transform:
        bring(name)
        write_rgb(tmp_path / 'references' / 'other.png', draw_patch(64, seed=5))
        arguments = ARGUMENTS[name](tmp_path / 'references') if name in ARGUMENTS else {}
        return TRANSFORMS.build({'type': name, **arguments})

    return built


def sample(seed: int, *, given: bool = False, points: np.ndarray = POINTS) -> dict[str, Any]:
    """What a step is handed."""
    return {
        'img': IMAGE.copy(),
        'gt_points': points.copy(),
        'gt_label': 1,
        'label_given': given,
        'augmentation_seed': seed,
    }


@pytest.mark.parametrize('name', NAMES)
def test_an_image_stays_an_image_and_points_stay_in_it(build, name: str) -> None:
    step = build(name)
    for seed in range(5):
        results = step(sample(seed))
        image, points = results['img'], np.asarray(results['gt_points'])
        assert image.shape == (SIZE_PX, SIZE_PX, 3)
        assert image.dtype == np.uint8
        assert points.ndim == 2
        assert points.shape[1] == 2
        assert len(points) <= len(POINTS)
        assert ((points >= -0.5) & (points <= SIZE_PX - 0.5)).all()
        assert results['gt_label'] == int(len(points) > 0)


@pytest.mark.parametrize('name', NAMES)
def test_a_label_that_was_given_is_left_alone(build, name: str) -> None:
    assert build(name)(sample(0, given=True, points=POINTS[:0]))['gt_label'] == 1


@pytest.mark.parametrize('name', NAMES)
def test_a_draw_is_a_function_of_the_seed(build, name: str) -> None:
    step = build(name)
    first = step(sample(11))
    step(sample(12))
    for other in (step, pickle.loads(pickle.dumps(step)), copy.deepcopy(step)):
        again = other(sample(11))
        np.testing.assert_array_equal(again['img'], first['img'])
        np.testing.assert_array_equal(again['gt_points'], first['gt_points'])


def test_every_step_is_either_checked_here_or_of_another_kind() -> None:
    assert {*names_in(TRANSFORMS, Transform)} >= OTHERS

"""Augmentation: the points follow the image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import albumentations as A
import numpy as np
import pytest
from numpy.typing import NDArray

from mitouts.errors import ConfigError
from mitouts.registry import TRANSFORMS
from mitouts.transforms import Augment

SIZE_PX = 96
Field = Callable[..., NDArray[np.uint8]]


def _results(image: NDArray[np.uint8], points: Any, seed: int, *, label: int | None = None) -> dict[str, Any]:
    points = np.array(points, dtype=np.float32).reshape(-1, 2)
    return {
        'img': image,
        'gt_points': points,
        'gt_label': int(len(points) > 0) if label is None else label,
        'label_given': label is not None,
        'augmentation_seed': seed,
    }


def _blob_center(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    darkness = np.clip(200 - image.astype(float).mean(axis=2), 0, None)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(darkness * columns).sum(), (darkness * rows).sum()]) / darkness.sum()


def _distances_px(augment: Augment, field: Field, seeds: range) -> NDArray[np.float64]:
    """Distance from the blob to its point after each augmentation, infinite where the point was lost.

    The blob starts in the middle third: nearer to the border, mirrored copies of it come into the image.
    """
    generator = np.random.default_rng(0)
    distances = []
    for seed in seeds:
        point = generator.uniform(SIZE_PX / 3, 2 * SIZE_PX / 3, 2)
        out = augment(_results(field(SIZE_PX, SIZE_PX, [point]), [point], seed))
        found = out['gt_points']
        distances.append(np.linalg.norm(_blob_center(out['img']) - found[0]) if len(found) else np.inf)
    return np.array(distances)


def test_weak_augmentation_keeps_the_point_on_its_blob(field: Field) -> None:
    assert _distances_px(Augment('alpha'), field, range(60)).max() < 0.1


@pytest.mark.parametrize('recipe', ['beta', 'elastic'])
def test_distortions_keep_the_point_near_its_blob(recipe: str, field: Field) -> None:
    distances = _distances_px(Augment(recipe), field, range(80))
    kept = distances[np.isfinite(distances)]
    assert len(kept) >= 78
    assert np.median(kept) < 1.5
    assert np.quantile(kept, 0.95) < 3
    assert kept.max() < 4.5


def test_augmentation_is_not_the_identity(field: Field) -> None:
    image = field(SIZE_PX, SIZE_PX, [(20, 30)])
    moved = [not np.array_equal(Augment()(_results(image, [(20, 30)], seed))['img'], image) for seed in range(20)]
    assert sum(moved) > 12


def test_steps_of_a_recipe_happen_independently_of_each_other(field: Field) -> None:
    """A generator shared by value would flip both axes together or not at all."""
    image = field(33, 33, [])
    seen = set()
    for seed in range(60):
        out = Augment('alpha')(_results(image, [(4, 12)], seed))
        seen.add(tuple(np.rint(out['gt_points'][0]).astype(int).tolist()) if len(out['gt_points']) else None)
    flips_and_transposition = {(4, 12), (28, 12), (4, 20), (28, 20), (12, 4), (20, 4), (12, 28), (20, 28)}
    assert flips_and_transposition <= seen


@pytest.mark.parametrize('recipe', ['alpha', 'beta', 'elastic'])
def test_same_seed_gives_the_same_pixels_and_points_whatever_came_before(recipe: str, field: Field) -> None:
    image, points = field(SIZE_PX, SIZE_PX, [(40, 50)]), [(40, 50)]
    used, fresh = Augment(recipe), Augment(recipe)
    for seed in range(3):
        used(_results(image, points, seed))
    first, second = used(_results(image, points, 7)), fresh(_results(image, points, 7))
    np.testing.assert_array_equal(first['img'], second['img'])
    np.testing.assert_array_equal(first['gt_points'], second['gt_points'])
    assert not np.array_equal(first['img'], used(_results(image, points, 8))['img'])


def _corner_turned(field: Field, label: int | None) -> list[dict[str, Any]]:
    """A figure in the corner leaves the image whenever that is turned by 45 degrees."""
    augment = Augment('alpha', extra=[{'type': 'Rotate', 'limit': (45, 45), 'p': 0.5}])
    image = field(SIZE_PX, SIZE_PX, [(2, 2)])
    return [augment(_results(image, [(2, 2)], seed, label=label)) for seed in range(20)]


def test_point_that_leaves_is_dropped_and_a_derived_label_with_it(field: Field) -> None:
    outcomes = _corner_turned(field, label=None)
    assert {len(out['gt_points']) for out in outcomes} == {0, 1}
    assert all(out['gt_label'] == len(out['gt_points']) for out in outcomes)


@pytest.mark.parametrize('label', [0, 1])
def test_given_label_outlives_its_points(label: int, field: Field) -> None:
    outcomes = _corner_turned(field, label=label)
    assert {len(out['gt_points']) for out in outcomes} == {0, 1}
    assert {out['gt_label'] for out in outcomes} == {label}


def test_one_figure_left_of_two_keeps_the_image_positive(field: Field) -> None:
    augment = Augment('alpha', extra=[{'type': 'CenterCrop', 'height': 48, 'width': 48, 'p': 1.0}])
    out = augment(_results(field(SIZE_PX, SIZE_PX, []), [(48, 48), (1, 1)], 0))
    assert len(out['gt_points']) == 1
    assert out['gt_label'] == 1
    assert out['img'].shape == (48, 48, 3)


@pytest.mark.parametrize('recipe', ['alpha', 'beta', 'elastic'])
@pytest.mark.parametrize('label', [0, 1])
def test_image_without_points_keeps_its_label(recipe: str, label: int, field: Field) -> None:
    out = Augment(recipe)(_results(field(SIZE_PX, SIZE_PX, []), [], 0, label=label))
    assert out['gt_points'].shape == (0, 2)
    assert out['gt_points'].dtype == np.float32
    assert out['gt_label'] == label


@pytest.mark.parametrize('point', [(-0.5, 10), (95.5, 10), (10, -0.25), (10, 95.25), (95.5, 95.5)], ids=str)
def test_point_on_the_outer_half_of_a_border_pixel_is_inside(point: tuple[float, float], field: Field) -> None:
    flips = Augment('alpha')
    flips.compose.transforms = [step for step in flips.compose.transforms if type(step).__name__ != 'Rotate']
    for seed in range(8):
        out = flips(_results(field(SIZE_PX, SIZE_PX, []), [point], seed))
        assert len(out['gt_points']) == 1
        assert out['gt_label'] == 1


def test_oblong_images_keep_their_size_so_that_they_can_be_stacked(field: Field) -> None:
    augment = Augment('beta')
    outcomes = [augment(_results(field(96, 64, [(48, 32)]), [(48, 32)], seed)) for seed in range(20)]
    assert {out['img'].shape for out in outcomes} == {(64, 96, 3)}
    assert len({out['img'].tobytes() for out in outcomes}) > 15


def test_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(
        ConfigError, match=r"Augment\.recipe must be one of \['alpha', 'beta', 'elastic'\], found 'gamma'"
    ):
        TRANSFORMS.build({'type': 'Augment', 'recipe': 'gamma'})


@pytest.mark.parametrize('step', [{'type': 'HorizontalFlop'}, {'type': 'Compose'}, {'type': '__version__'}, {'p': 1.0}])
def test_transform_that_albumentations_does_not_have_is_refused(step: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r'albumentations 2\.[\d.]+ has no transform'):
        Augment(extra=[step])


@pytest.mark.parametrize(
    'step',
    [{'type': 'Blur', 'blur_limt': 3}, {'type': 'Blur', 'p': 3}, {'type': 'Rotate', 'limit': 'far'}],
    ids=['unknown argument', 'out of range', 'wrong type'],
)
def test_argument_that_albumentations_does_not_take_is_refused(step: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf'Augment: {step["type"]} cannot be built from'):
        Augment(extra=[step])


def test_mark_of_a_figure_that_is_counted_elsewhere_stays_with_its_point(field: Field) -> None:
    image = field(SIZE_PX, SIZE_PX, [])
    augment = Augment('alpha', extra=[{'type': 'Rotate', 'limit': (45, 45), 'p': 0.5}])
    seen = set()
    for seed in range(20):
        results = {**_results(image, [(2, 2), (48, 48)], seed), 'gt_counted': np.array([True, False])}
        out = augment(results)
        assert out['gt_counted'].dtype == bool
        assert not out['gt_counted'][-1]
        seen.add(tuple(out['gt_counted'].tolist()))
    assert seen == {(True, False), (False,)}


def test_image_without_points_has_no_marks(field: Field) -> None:
    assert Augment('alpha')(_results(field(SIZE_PX, SIZE_PX, []), [], 0))['gt_counted'].shape == (0,)


@pytest.mark.parametrize('kind', ['HorizontalFlip', 'albumentations.HorizontalFlip', A.HorizontalFlip])
def test_a_further_step_is_known_however_it_is_named(kind: Any) -> None:
    augment = Augment(extra=[{'type': kind, 'p': 1.0}])
    assert type(augment.compose.transforms[-1]) is A.HorizontalFlip


def test_a_class_that_is_no_step_is_refused() -> None:
    with pytest.raises(ConfigError, match="has no transform 'dict'"):
        Augment(extra=[{'type': dict}])

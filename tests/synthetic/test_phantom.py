"""The phantom: repeatable, annotated where its figures are, and not to be solved by looking for dark blobs."""

from __future__ import annotations

import itertools
from typing import Any

import cv2
import numpy as np
import pytest
from scipy import ndimage
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from mitouts.errors import ConfigError
from mitouts.synthetic.phantom import (
    FIGURE_KINDS,
    LOOK_ALIKE_KINDS,
    SCANNERS,
    PhantomConfig,
    PhantomField,
    draw_case,
    make_field,
    writer,
)
from mitouts.synthetic.phantom.figures import render_figure
from mitouts.synthetic.phantom.nuclei import render_look_alike
from mitouts.synthetic.phantom.patches import CellPatch
from mitouts.synthetic.phantom.scanners import acquire
from mitouts.synthetic.phantom.textures import texture_bank

RADIUS_PX = 30.0
PAIRS = ('anaphase', 'telophase')


@pytest.fixture(scope='module')
def fields() -> list[PhantomField]:
    config = PhantomConfig()
    return [make_field(config, np.random.SeedSequence([3, index]), positive=index % 2 == 0) for index in range(72)]


def _density(image: np.ndarray) -> np.ndarray:
    return -np.log((image.astype(np.float64) + 1) / 256).mean(axis=2)


def test_the_same_seed_gives_the_same_field() -> None:
    first, second = (make_field(PhantomConfig(), np.random.SeedSequence(5), positive=True) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.points, second.points)


def test_seeds_give_different_fields(fields: list[PhantomField]) -> None:
    assert len({field.image.tobytes() for field in fields}) == len(fields)


def test_only_positive_fields_hold_figures_and_all_hold_look_alikes(fields: list[PhantomField]) -> None:
    for index, field in enumerate(fields):
        assert (len(field.points) in (1, 2)) == (index % 2 == 0)
        assert len(field.kinds) == len(field.points)
        assert 1 <= len(field.look_alike_points) == len(field.look_alike_kinds) <= 3
        assert field.image.shape == (256, 256, 3)
        assert field.image.dtype == np.uint8
    assert {kind for field in fields for kind in field.kinds} == set(FIGURE_KINDS)
    assert {kind for field in fields for kind in field.look_alike_kinds} == set(LOOK_ALIKE_KINDS)


@pytest.mark.parametrize('size_px', [96, 200, 1100])
def test_points_lie_inside_fields_of_any_size(size_px: int) -> None:
    field = make_field(PhantomConfig(size_px=size_px), np.random.SeedSequence(size_px), positive=True)
    points = np.concatenate([field.points, field.look_alike_points])
    assert field.image.shape == (size_px, size_px, 3)
    assert np.all((points >= 16) & (points <= size_px - 17))


def test_figures_and_look_alikes_are_further_apart_than_the_matching_radius(fields: list[PhantomField]) -> None:
    for field in fields:
        points = np.concatenate([field.points, field.look_alike_points])
        for first, second in itertools.combinations(points, 2):
            assert np.hypot(*(first - second)) > RADIUS_PX


def test_a_coarser_resolution_shows_the_same_field_smaller() -> None:
    fine = make_field(PhantomConfig(), np.random.SeedSequence(8), positive=True)
    coarse = make_field(PhantomConfig(size_px=128, mpp=0.5), np.random.SeedSequence(8), positive=True)
    np.testing.assert_allclose(coarse.points * 2 + 0.5, fine.points)
    means = fine.image.reshape(128, 2, 128, 2, 3).mean(axis=(1, 3))
    assert np.abs(means - coarse.image).max() <= 1


def _look_at(patch: CellPatch, eosin: float = 0.4) -> np.ndarray:
    """The patch alone in the middle of plain tissue, through the sharpest scanner."""
    planes = np.full((129, 129), 0.05, dtype=np.float32), np.full((129, 129), eosin, dtype=np.float32)
    patch.lay_over(*planes, 64, 64)
    scanner = SCANNERS['scanner_a']
    stains = np.array([scanner.hematoxylin_od, scanner.eosin_od])
    return acquire(*planes, scanner, stains, np.random.default_rng(0))


@pytest.mark.parametrize('kind', FIGURE_KINDS + LOOK_ALIKE_KINDS)
def test_the_point_is_the_density_centroid_of_the_rendered_cell(kind: str) -> None:
    render = render_figure if kind in FIGURE_KINDS else render_look_alike
    for seed in range(8):
        patch = render(kind, 2.5, 0.5, texture_bank(0), np.random.default_rng(seed))
        # Red light passes through eosin: what is dark there is chromatin.
        red = -np.log((_look_at(patch)[..., 0].astype(np.float64) + 1) / 256)
        y, x = ndimage.center_of_mass(np.where(red > 0.6, red, 0))
        assert np.hypot(x - 64 - patch.centroid[0], y - 64 - patch.centroid[1]) < 2


@pytest.mark.parametrize('kind', PAIRS)
def test_a_pair_is_one_figure_annotated_in_its_middle(kind: str) -> None:
    for seed in range(8):
        patch = render_figure(kind, 2.5, 0.5, texture_bank(0), np.random.default_rng(seed))
        along = np.argwhere(patch.hematoxylin > 1.2)[:, ::-1] - len(patch.hematoxylin) // 2
        _, _, centres = cv2.kmeans(
            along.astype(np.float32), 2, None, (cv2.TERM_CRITERIA_MAX_ITER, 50, 0), 5, cv2.KMEANS_PP_CENTERS
        )
        assert np.hypot(*(centres.mean(axis=0) - patch.centroid)) < 2
        assert np.hypot(*(centres[0] - centres[1])) > 10


@pytest.mark.parametrize('kind', FIGURE_KINDS)
def test_a_figure_is_as_large_as_real_ones(kind: str) -> None:
    extents = []
    for seed in range(12):
        patch = render_figure(kind, 2.5, 0.5, texture_bank(0), np.random.default_rng(seed))
        dark = np.argwhere(patch.hematoxylin > 1.0).astype(np.float32)
        extents.append(2 * cv2.minEnclosingCircle(dark)[1])
    assert 24 <= np.mean(extents) <= 48


def test_scanners_show_the_same_tissue_in_different_colours() -> None:
    config = PhantomConfig()
    means = []
    for scanner in SCANNERS:
        case = draw_case(config, np.random.default_rng(1), scanner)
        field = make_field(config, np.random.SeedSequence(1), positive=True, case=case)
        assert field.scanner == scanner
        means.append(field.image.mean(axis=(0, 1)))
    for first, second in itertools.combinations(means, 2):
        assert np.abs(first - second).max() > 4


def test_look_alikes_are_as_dark_as_figures(fields: list[PhantomField]) -> None:
    populations: tuple[list[float], list[float]] = ([], [])
    for field in fields:
        density = _density(field.image)
        for population, points in zip(populations, (field.points, field.look_alike_points), strict=True):
            for x, y in np.rint(points).astype(int):
                around = density[max(y - 18, 0) : y + 19, max(x - 18, 0) : x + 19]
                population.append(float(np.quantile(around, 0.9)))
    figures, look_alikes = (np.quantile(population, (0.25, 0.5, 0.75)) for population in populations)
    np.testing.assert_allclose(look_alikes, figures, atol=0.2)


def _best_f1(fields: list[PhantomField], candidates: list[np.ndarray]) -> float:
    """The best one-to-one F1 that any threshold on these very fields gives; candidates are (N, 3) with a score."""
    scores = np.concatenate([found[:, 2] for found in candidates])
    best = 0.0
    for threshold in np.quantile(scores, np.linspace(0, 1, 60)):
        hits = predicted = 0
        for field, found in zip(fields, candidates, strict=True):
            kept = found[found[:, 2] >= threshold]
            predicted += len(kept)
            near = cdist(kept[:, :2], field.points) <= RADIUS_PX
            hits += int(near[linear_sum_assignment(near, maximize=True)].sum())
        truths = sum(len(field.points) for field in fields)
        best = max(best, 2 * hits / (predicted + truths))
    return best


@pytest.mark.parametrize('sigma_px', [2.0, 4.0, 7.0])
def test_a_darkest_blob_detector_fails(fields: list[PhantomField], sigma_px: float) -> None:
    candidates = []
    for field in fields:
        smooth = cv2.GaussianBlur(_density(field.image), (0, 0), sigma_px)
        peaks = smooth == cv2.dilate(smooth, np.ones((31, 31), np.uint8))
        y, x = np.nonzero(peaks & (smooth > 0.5))
        candidates.append(np.stack([x, y, smooth[y, x]], axis=1))
    assert 0.1 < _best_f1(fields, candidates) <= 0.5


@pytest.mark.parametrize('threshold', [0.9, 1.3])
@pytest.mark.parametrize('wanted_px', [250.0, 400.0, 1000.0])
def test_a_dark_area_detector_fails(fields: list[PhantomField], threshold: float, wanted_px: float) -> None:
    candidates = []
    for field in fields:
        dark = (cv2.GaussianBlur(_density(field.image), (0, 0), 1.0) > threshold).astype(np.uint8)
        _, _, stats, centres = cv2.connectedComponentsWithStats(dark)
        closeness = -np.abs(stats[1:, cv2.CC_STAT_AREA] - wanted_px)
        candidates.append(np.column_stack([centres[1:], closeness]))
    assert 0.1 < _best_f1(fields, candidates) <= 0.5


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'size_px': 60}, 'at least 24 um wide'),
        ({'positive_share': 1.5}, 'positive_share must lie between 0 and 1, found 1.5'),
        ({'scanners': ('scanner_a', 'scanner_x')}, "unknown scanner .'scanner_x'.; known are scanner_a"),
        ({'scanners': ()}, 'at least one is needed'),
        ({'figure_counts': (0.5, 0.2)}, 'figure_counts must be probabilities that sum to 1'),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PhantomConfig(**arguments)


def test_a_plan_shares_positives_exactly_and_cases_with_no_other_split() -> None:
    config = PhantomConfig(positive_share=0.3)
    plans = {split: writer.plan_split(config, split, 50, seed=1) for split in writer.SPLITS}
    assert all(sum(draw.positive for draw in plan) == 15 for plan in plans.values())
    cases = {split: {draw.case_id for draw in plan} for split, plan in plans.items()}
    assert [len(cases[split]) for split in writer.SPLITS] == [12, 8, 12]
    assert len(set.union(*cases.values())) == 32
    assert {draw.case.scanner for draw in plans['val']} == set(SCANNERS)


def test_the_noise_share_is_exact_and_larger_shares_contain_smaller_ones(fields: list[PhantomField]) -> None:
    total = sum(len(field.look_alike_kinds) for field in fields)
    chosen = [writer.mislabelled(fields, noise, seed=4) for noise in (0.0, 0.2, 0.5, 1.0)]
    assert [len(pairs) for pairs in chosen] == [0, round(0.2 * total), round(0.5 * total), total]
    assert chosen[0] < chosen[1] < chosen[2] < chosen[3]
    assert all(index < len(fields[number].look_alike_kinds) for number, index in chosen[3])

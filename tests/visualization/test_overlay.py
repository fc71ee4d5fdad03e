"""Pixels of the right colour where they belong, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mitouts.errors import ImageError
from mitouts.visualization.overlay import draw_overlay, format_score, sort_points
from mitouts.visualization.palette import FALSE_POSITIVE, MISSED, PREDICTED, TRUE_POSITIVE

TISSUE = (214, 150, 190)
SCALE = 2
MARKER_PX = 12.0
TRUTH = np.array([[40.0, 50.0], [160.25, 30.5]])
HIT, FALSE, WEAK = (44.0, 47.0, 0.9), (90.5, 140.0, 0.8), (20.0, 180.0, 0.5)
POINTS = np.array([HIT, FALSE, WEAK])


def tissue(height: int = 240, width: int = 260) -> np.ndarray:
    return np.full((height, width, 3), TISSUE, np.uint8)


def overlay(
    image: np.ndarray | None = None, truth: np.ndarray = TRUTH, points: np.ndarray = POINTS, **kwargs
) -> np.ndarray:
    defaults = {'threshold': 0.5, 'radius_px': 30, 'marker_px': MARKER_PX, 'show_legend': False}
    return draw_overlay(tissue() if image is None else image, truth, points, **{**defaults, **kwargs})


def where(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Points ``(N, 2)`` of the image at which the picture has exactly this colour."""
    rows, columns = np.nonzero((picture == colour).all(axis=2))
    return (np.stack([columns, rows], axis=1) + 0.5) / SCALE - 0.5


def test_true_positive_is_a_green_circle_around_the_prediction():
    green = where(overlay(), TRUE_POSITIVE)
    distance = np.hypot(*(green - HIT[:2]).T)
    ring = np.abs(distance - MARKER_PX) <= 1.5
    dot = np.hypot(*(green - TRUTH[0]).T) <= 4
    assert (ring | dot).all()
    assert dot.any()
    angles = np.arctan2(*(green[ring] - HIT[:2]).T[::-1])
    assert len(np.unique(np.floor(angles / (np.pi / 8)))) == 16
    assert_allclose(green[ring].mean(axis=0), HIT[:2], atol=0.1)


def test_missed_figure_is_a_blue_square_around_the_annotation():
    blue = where(overlay(), MISSED)
    side = np.abs(blue - TRUTH[1]).max(axis=1)
    assert len(blue) > 100
    assert np.all(np.abs(side - 0.9 * MARKER_PX) <= 1.5)
    assert_array_equal(np.sign(blue - TRUTH[1]).min(axis=0), [-1, -1])
    assert_array_equal(np.sign(blue - TRUTH[1]).max(axis=0), [1, 1])


def test_false_positive_is_a_yellow_triangle_around_the_prediction():
    yellow = where(overlay(), FALSE_POSITIVE) - FALSE[:2]
    corners = 1.3 * MARKER_PX * np.array([[0, -1], [np.sqrt(0.75), 0.5], [-np.sqrt(0.75), 0.5]])
    edges = np.roll(corners, -1, axis=0) - corners
    offsets = yellow[:, None] - corners
    along = np.clip((offsets * edges).sum(-1) / (edges**2).sum(-1), 0, 1)
    distance = np.linalg.norm(offsets - along[..., None] * edges, axis=-1)
    assert np.all(distance.min(axis=1) <= 1.5)
    assert set(distance.argmin(axis=1)) == {0, 1, 2}


def test_tissue_far_from_every_marker_is_untouched():
    picture = overlay()
    rows, columns = np.nonzero((picture != TISSUE).any(axis=2))
    drawn = (np.stack([columns, rows], axis=1) + 0.5) / SCALE - 0.5
    centres = np.array([HIT[:2], FALSE[:2], *TRUTH])
    text_reach = 30
    assert np.linalg.norm(drawn[:, None] - centres, axis=2).min(axis=1).max() <= MARKER_PX + text_reach


def test_a_prediction_at_the_threshold_is_not_drawn():
    assert_array_equal(overlay(points=POINTS), overlay(points=POINTS[:2]))
    assert not np.array_equal(overlay(points=POINTS), overlay(points=POINTS, threshold=0.49))


def test_radius_decides_between_hit_and_miss_inclusively():
    truth, points = np.array([[50.0, 50.0]]), np.array([[80.0, 50.0, 0.9]])
    assert len(where(overlay(truth=truth, points=points, radius_px=30), TRUE_POSITIVE))
    far = overlay(truth=truth, points=points, radius_px=29.9)
    assert not len(where(far, TRUE_POSITIVE))
    assert len(where(far, MISSED))
    assert len(where(far, FALSE_POSITIVE))


def test_second_prediction_on_a_figure_is_a_false_positive():
    outcome = sort_points([[50, 50]], [[52, 50, 0.6], [55, 50, 0.9]], threshold=0.5, radius_px=30)
    assert_array_equal(outcome.hits, [[52, 50, 0.6]])
    assert_array_equal(outcome.hit_truth, [[50, 50]])
    assert_array_equal(outcome.false, [[55, 50, 0.9]])
    assert outcome.missed.shape == (0, 2)


def test_scores_stand_beside_their_marker_and_inside_the_image():
    truth, points = np.zeros((0, 2)), np.array([[250.0, 5.0, 0.97]])
    with_score, without = (overlay(truth=truth, points=points, show_scores=show) for show in (True, False))
    rows, columns = np.nonzero((with_score != without).any(axis=2))
    assert len(rows) > 50
    assert columns.min() > SCALE * (250 - MARKER_PX - 30)
    assert rows.max() < SCALE * (5 + MARKER_PX + 20)
    assert columns.max() < with_score.shape[1] - 1


def test_scores_of_neighbours_do_not_overlap():
    def text_pixels(points: np.ndarray) -> int:
        with_score, without = (overlay(truth=TRUTH[:0], points=points, show_scores=show) for show in (True, False))
        return int((with_score != without).any(axis=2).sum())

    points = np.array([[100.0, 100.0, 0.91], [100.0, 100.0, 0.91]])
    assert text_pixels(points) == 2 * text_pixels(points[:1])


@pytest.mark.parametrize(
    'image', [np.zeros((20, 20), np.uint8), np.zeros((20, 20, 3)), np.zeros((20, 20, 4), np.uint8)]
)
def test_anything_but_rgb_uint8_is_refused(image):
    with pytest.raises(ImageError, match='RGB image'):
        overlay(image)


@pytest.mark.parametrize('wrong', [0.0, float('nan')])
def test_wrong_resolution_is_refused(wrong):
    with pytest.raises(ValueError, match='mpp'):
        overlay(mpp=wrong)


def test_legend_lies_below_the_picture_and_grows_with_the_counts_only_in_text():
    bare, full = overlay(), overlay(show_legend=True)
    assert_array_equal(full[: len(bare)], bare)
    assert len(full) > len(bare)
    strip = full[len(bare) :]
    for colour in (TRUE_POSITIVE, MISSED, FALSE_POSITIVE):
        assert len(where(strip, colour))


def test_scale_bar_has_the_length_that_it_names():
    without, bar = overlay(show_legend=True), overlay(show_legend=True, mpp=0.25)
    dark = (bar[480:].astype(int).sum(axis=2) < 150).astype(int)
    runs = [max((len(run) for run in ''.join(map(str, row)).split('0')), default=0) for row in dark]
    # 260 px at 0.25 um/px are 65 um; a sixth of that is 10.8 um, so the bar says 10 um: 40 px, enlarged twice.
    assert max(runs) == 40 * SCALE
    assert without.shape[1] == bar.shape[1]


@pytest.mark.parametrize(('size', 'factor'), [((100, 120), 5), ((481, 700), 1)])
def test_small_images_are_enlarged_and_large_ones_are_not(size, factor):
    picture = overlay(tissue(*size), TRUTH[:0], POINTS[:0])
    assert picture.shape == (size[0] * factor, size[1] * factor, 3)


def test_same_input_gives_the_same_bytes_and_leaves_it_alone():
    image = tissue()
    first, second = overlay(image, show_legend=True, mpp=0.25), overlay(image, show_legend=True, mpp=0.25)
    assert first.tobytes() == second.tobytes()
    assert_array_equal(image, tissue())


def test_image_without_points_is_only_enlarged():
    assert_array_equal(overlay(truth=TRUTH[:0], points=POINTS[:0]), tissue(480, 520))


@pytest.mark.parametrize(
    ('score', 'text'), [(0.5, '0.50'), (0.984, '0.98'), (0.9987, '0.999'), (0.99999, '>0.999'), (1.0, '1')]
)
def test_format_score_never_rounds_up_to_certainty(score, text):
    assert format_score(score) == text


def test_without_truth_predictions_are_neither_right_nor_wrong() -> None:
    image = np.full((480, 500, 3), 200, np.uint8)
    points = np.array([[40.0, 30.0, 0.9], [10.0, 10.0, 0.1]])
    outcome = sort_points(None, points, threshold=0.5, radius_px=10)
    assert [len(part) for part in outcome] == [0, 0, 0, 0, 1]
    drawn = draw_overlay(image, None, points, threshold=0.5, radius_px=10, show_scores=False, show_legend=False)
    changed = np.argwhere((drawn != image).any(axis=2))
    assert (drawn == PREDICTED).all(axis=2).any()
    assert np.abs(np.hypot(changed[:, 1] - 40, changed[:, 0] - 30) - 20).max() < 5

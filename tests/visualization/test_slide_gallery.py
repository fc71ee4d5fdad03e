"""Which crops a slide's page shows, and what is said of each."""

from __future__ import annotations

import numpy as np
import pytest

from mitouts.visualization.palette import FALSE_POSITIVE, PAPER
from mitouts.visualization.slide_gallery import Chosen, Crop, Gallery, choose_points, draw_gallery
from mitouts.visualization.slide_panels import COUNTED

THRESHOLD = 0.5


def _choose(num_figures: int, num_others: int, not_counted: tuple[int, ...] = ()) -> Chosen:
    scores = np.concatenate([np.linspace(0.99, 0.51, num_figures), np.linspace(0.5, 0.1, num_others)])
    points = np.column_stack([np.zeros((len(scores), 2)), scores])
    is_counted = ~np.isin(np.arange(len(scores)), not_counted)
    return choose_points(points, is_counted, THRESHOLD)


@pytest.mark.parametrize(
    ('num_figures', 'certain', 'above'),
    [
        (0, [], []),
        (5, range(5), []),
        (12, range(12), []),
        (13, range(12), [12]),
        (24, range(12), range(12, 24)),
        (30, range(18), range(18, 30)),
        (36, range(24), range(24, 36)),
        (500, range(24), range(488, 500)),
    ],
)
def test_the_most_certain_and_the_least_certain_figures(num_figures, certain, above) -> None:
    chosen = _choose(num_figures, 20)
    assert (chosen.certain, chosen.just_above) == (list(certain), list(above))
    assert chosen.just_below == list(range(num_figures, num_figures + 12))


def test_a_point_at_the_threshold_is_no_figure() -> None:
    assert _choose(2, 1).just_below == [2]
    assert _choose(2, 0).just_below == []


def test_points_in_counted_tiles_go_before_others() -> None:
    chosen = _choose(100, 14, not_counted=(0, 1, 99, 100))
    assert chosen.certain == list(range(2, 26))
    assert chosen.just_above == list(range(87, 99))
    assert chosen.just_below == list(range(101, 113))


def test_what_a_crop_is_shows_in_its_frame() -> None:
    grey = np.full((64, 64, 3), 120, np.uint8)

    def drawn(*, is_figure: bool, is_counted: bool) -> np.ndarray:
        return draw_gallery(Gallery('crops', [Crop(grey, '7', (1.0, 2.0, 0.9), is_figure, is_counted)]), 1784)

    def has(image: np.ndarray, colour: tuple[int, int, int]) -> bool:
        return bool((image == colour).all(axis=2).any())

    figure, doubt, outside = (
        drawn(is_figure=True, is_counted=True),
        drawn(is_figure=False, is_counted=True),
        drawn(is_figure=True, is_counted=False),
    )
    assert figure.shape == doubt.shape == outside.shape
    assert figure.shape[1] == 1784
    assert (has(figure, COUNTED), has(doubt, COUNTED), has(outside, COUNTED)) == (True, False, False)
    assert (has(figure, FALSE_POSITIVE), has(doubt, FALSE_POSITIVE)) == (False, True)


def test_nothing_but_a_title_where_there_is_no_crop() -> None:
    strip = draw_gallery(Gallery('No mitotic figure was found.', []), 1784)
    assert strip.shape == (44, 1784, 3)
    assert (strip[:, -800:] == PAPER).all()

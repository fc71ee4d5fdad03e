"""The page of a slide: what is drawn where, and that odd slides fit on it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mitouts.visualization.palette import FALSE_POSITIVE, PAPER, PREDICTED
from mitouts.visualization.slide_gallery import Crop, Gallery
from mitouts.visualization.slide_overview import WIDTH_PX, Fact, SlidePicture, draw_overview, wrap
from mitouts.visualization.slide_panels import (
    ROI,
    Panel,
    draw_doubts,
    draw_figures,
    draw_roi,
    draw_tags,
    heat_panel,
    nice_ceiling,
    smoothing_um,
)
from mitouts.visualization.text import text_size

FIGURES = np.array([[400.0, 300.0, 0.9], [420.0, 310.0, 0.8], [1200.0, 900.0, 0.6]])


def _picture(width: int = 200, height: int = 150, **changes: Any) -> SlidePicture:
    thumbnail = np.full((height, width, 3), 240, np.uint8)
    tissue = np.zeros((height, width), dtype=bool)
    tissue[height // 8 : -height // 8, width // 8 : -width // 8] = True
    thumbnail[tissue] = (200, 120, 180)
    figures = changes.pop('figures', FIGURES)
    defaults: dict[str, Any] = dict(
        title='slide.svs',
        thumbnail=thumbnail,
        cell_px=(8.0, 8.0),
        mpp=1.0,
        tissue=tissue,
        counted=np.ones((-(-height * 8 // 256), -(-width * 8 // 256)), dtype=bool),
        tile_px=256.0,
        figures=figures,
        is_counted=np.ones(len(figures), dtype=bool),
        roi=(300.0, 200.0, 500.0, 500.0),
        roi_label='2 mm²: 2',
        unreadable=((600.0, 600.0, 100.0, 100.0),),
        galleries=(Gallery('figures', [_crop(index, point) for index, point in enumerate(figures[:24], start=1)]),),
        facts=(Fact('12.3 mitoses per mm²', 'headline'), Fact('a plain line')),
        note='best.pth · mitouts',
    )
    return SlidePicture(**{**defaults, **changes})


def _crop(number: int, point: NDArray[np.float64], *, is_figure: bool = True) -> Crop:
    x, y, score = point.tolist()
    return Crop(np.full((64, 64, 3), 90 + number, np.uint8), str(number), (x, y, score), is_figure, is_counted=True)


def _has(image: NDArray[np.uint8], colour: tuple[int, int, int]) -> bool:
    return bool((image == colour).all(axis=2).any())


def test_one_page_of_a_fixed_width_that_is_the_same_each_time() -> None:
    page = draw_overview(_picture())
    assert page.dtype == np.uint8
    assert page.shape[1:] == (WIDTH_PX, 3)
    np.testing.assert_array_equal(page, draw_overview(_picture()))
    assert _has(page, ROI)


@pytest.mark.parametrize(
    ('width', 'height'), [(1, 1), (1, 300), (300, 1), (2000, 40), (40, 2000), (64, 64)], ids=lambda value: str(value)
)
def test_slides_of_any_shape(width: int, height: int) -> None:
    page = draw_overview(_picture(width, height, unreadable=(), roi=None, roi_label=None))
    assert page.shape[1] == WIDTH_PX
    assert page.shape[0] < 2000


def test_nothing_found_and_no_tissue() -> None:
    empty = np.zeros((0, 3))
    blank = np.zeros((150, 200), dtype=bool)
    page = draw_overview(_picture(figures=empty, tissue=blank, counted=np.zeros((5, 7), dtype=bool), roi=None))
    assert page.shape[1] == WIDTH_PX
    assert not _has(page, ROI)


def test_thousands_of_figures_have_a_gallery_of_two_rows() -> None:
    rng = np.random.default_rng(0)
    many = np.column_stack([rng.uniform(200, 1400, 5000), rng.uniform(200, 1000, 5000), rng.uniform(0.5, 1, 5000)])
    few, full = draw_overview(_picture(figures=many[:24])), draw_overview(_picture(figures=many))
    assert full.shape == few.shape


def test_long_names_stay_on_the_page() -> None:
    page = draw_overview(_picture(title='x' * 400, note='y' * 900, facts=(Fact('z' * 300), Fact('a b ' * 100))))
    margin = page[:, -20:]
    assert (margin == 255).all()


def test_a_figure_is_drawn_where_it_is() -> None:
    panel = Panel.of(np.full((150, 200, 3), 240, np.uint8), (10, 20, 110, 120), 2.5, (8.0, 8.0))
    assert panel.image.shape == (250, 250, 3)
    # Level-0 pixel 400 is the middle of thumbnail column 50.0625, forty to the right of the first one shown.
    np.testing.assert_allclose(panel.place(np.array([[400.0, 300.0]])), [[(50.0625 - 10) * 2.5 - 0.5, 43.40625]])
    image = panel.image.copy()
    draw_figures(image, panel, FIGURES[:1])
    drawn = np.argwhere((image == PREDICTED).all(axis=2))
    np.testing.assert_allclose(drawn.mean(axis=0), [43.4, 99.65], atol=0.6)


def test_tags_stand_beside_their_points_and_not_on_each_other() -> None:
    panel = Panel.of(np.full((200, 200, 3), 120, np.uint8), (0, 0, 200, 200), 2.0, (8.0, 8.0))
    points = np.array([[800.0, 800.0, 0.9], [820.0, 800.0, 0.9], [1598.0, 2.0, 0.8]])
    both = panel.image.copy()
    draw_tags(both, panel, points, ['1', '22', '333'])
    alone = [panel.image.copy() for _ in points]
    for image, point, tag in zip(alone, points, ['1', '22', '333']):
        draw_tags(image, panel, point[None], [tag])
    ink = [int((image == PAPER).all(axis=2).sum()) for image in (both, *alone)]
    assert ink[0] == sum(ink[1:]), 'all of every tag can be seen'
    rows, columns = np.nonzero((alone[0] == PAPER).all(axis=2))
    assert abs(rows.mean() - 200) < 12
    assert abs(columns.mean() - 200) < 16


def test_a_point_that_is_no_figure_looks_different() -> None:
    panel = Panel.of(np.full((100, 100, 3), 120, np.uint8), (0, 0, 100, 100), 1.0, (8.0, 8.0))
    image = panel.image.copy()
    draw_doubts(image, panel, np.array([[400.0, 400.0, 0.4]]))
    assert not _has(image, PREDICTED)
    drawn = np.argwhere((image == FALSE_POSITIVE).all(axis=2))
    np.testing.assert_allclose(drawn.mean(axis=0), [49.5625, 49.5625], atol=0.6)
    page = draw_overview(_picture(galleries=(Gallery('below', [_crop(1, FIGURES[2], is_figure=False)]),)))
    assert _has(page, FALSE_POSITIVE)


@pytest.mark.parametrize(
    ('tiles', 'sigma_um'), [(1, 50), (4, 60), (25, 160), (87, 300), (1000, 300)], ids=lambda value: str(value)
)
def test_the_smoothing_suits_the_counted_area(tiles: int, sigma_um: float) -> None:
    # An eighth of 256 um times the root of the number of tiles, in steps of 10 um.
    counted = np.zeros((40, 40), dtype=bool)
    counted.reshape(-1)[:tiles] = True
    assert smoothing_um(counted, 128.0, 2.0) == sigma_um


def test_the_region_frames_its_place() -> None:
    panel = Panel.of(np.full((100, 100, 3), 240, np.uint8), (0, 0, 100, 100), 4.0, (10.0, 10.0))
    image = panel.image.copy()
    draw_roi(image, panel, (199.5, 299.5, 400.0, 400.0), '')
    rows, columns = np.nonzero((image == ROI).all(axis=2))
    # 200 to 600 of 1,000 px across is 80 to 240 of 400, give or take half the pen.
    assert (columns.min(), columns.max()) == pytest.approx((79.5, 239.5), abs=3)
    assert (rows.min(), rows.max()) == pytest.approx((119.5, 279.5), abs=3)


def test_heat_is_darkest_at_the_figures_and_only_where_it_was_counted() -> None:
    panel = Panel.of(np.full((400, 400, 3), 235, np.uint8), (0, 0, 400, 400), 1.0, (8.0, 8.0))
    counted = np.ones((13, 13), dtype=bool)
    counted[:, :3] = False
    figures = np.column_stack([np.full(30, 2400.0), np.full(30, 1600.0)])
    heat, highest = heat_panel(panel, figures, counted, 256.0, 1.0)
    lightness = cv2.cvtColor(heat, cv2.COLOR_RGB2LAB)[..., 0].astype(int)
    row, column = np.unravel_index(int(lightness.argmin()), lightness.shape)
    assert (row, column) == pytest.approx((200, 300), abs=5)
    # 30 figures in one spot, far from the borders: 30 / (2 pi 0.3^2) per mm2.
    assert highest == nice_ceiling(30 / (2 * np.pi * 0.09)) == 60
    assert len(np.unique(heat[:, :96].reshape(-1, 3), axis=0)) == 1


def test_the_colours_get_darker_all_the_way() -> None:
    panel = Panel.of(np.full((4, 400, 3), 235, np.uint8), (0, 0, 400, 4), 1.0, (8.0, 8.0))
    figures = np.column_stack([np.full(30, 3190.0), np.full(30, 16.0)])
    heat, _ = heat_panel(panel, figures, np.ones((1, 13), dtype=bool), 256.0, 1.0)
    lightness = cv2.cvtColor(heat, cv2.COLOR_RGB2LAB)[0, ::12, 0].astype(int)
    assert (np.diff(lightness) <= 0).all()
    assert lightness[0] - lightness[-1] > 100


@pytest.mark.parametrize(('value', 'ceiling'), [(0, 1), (1, 1), (1.2, 1.5), (68, 80), (80, 80), (0.031, 0.04)])
def test_round_ends_of_the_colour_bar(value: float, ceiling: float) -> None:
    assert nice_ceiling(value) == pytest.approx(ceiling)


def test_lines_are_broken_between_words() -> None:
    lines = wrap('one two three ' + 'w' * 60, 15, 120)
    assert ''.join(lines).replace(' ', '') == 'onetwothree' + 'w' * 60
    assert all(text_size(line, 15)[0] <= 120 for line in lines)
    assert lines[0].startswith('one two')

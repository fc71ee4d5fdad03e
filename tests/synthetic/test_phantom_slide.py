"""Phantom slides: cells where the truth says, one tissue without seams, and a file that two libraries read alike."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openslide
import pytest
import tifffile
from numpy.typing import NDArray
from scipy import ndimage

from mitouts.errors import ConfigError, ImageError
from mitouts.imaging import open_slide
from mitouts.imaging.slide_writer import level_sizes, write_slide
from mitouts.synthetic.phantom import PhantomConfig, draw_case
from mitouts.synthetic.phantom.figures import FIGURE_KINDS, FIGURE_PATCH_PX
from mitouts.synthetic.phantom.slide import MIN_SPACING_PX, PhantomSlide, _Placed
from mitouts.synthetic.phantom.slide_blocks import BLOCK_PX, HALO_PX, BlockBank, BlockKey, TissueBlock
from mitouts.synthetic.phantom.slide_plan import TUMOUR, plan_slide, polygon_area
from mitouts.synthetic.phantom.slide_truth import choose_corrupt_tiles
from mitouts.synthetic.slide_config import SlideConfig

CONFIG = SlideConfig(
    2400,
    1800,
    num_islands=1,
    tissue_share=0.6,
    figures_per_mm2=60,
    hotspot_figures_per_mm2=150,
    scanner='scanner_a',
    edge_colours=1,
)
FULL = replace(CONFIG, width_px=1600, height_px=1300, tissue_share=1.0, tumour_share=1.0)
CORRUPT = (4, 3)


@pytest.fixture(scope='module')
def slide() -> PhantomSlide:
    return PhantomSlide(CONFIG, 5)


@pytest.fixture(scope='module')
def pixels(slide: PhantomSlide) -> NDArray[np.uint8]:
    image = slide.read(0, 0, CONFIG.width_px, CONFIG.height_px)
    assert image is not None
    return image


@pytest.fixture(scope='module')
def file(slide: PhantomSlide, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('slides') / 'a slide.tif'
    write_slide(path, slide.read, (2400, 1800), slide.glass_rgb, 0.25, tile_px=256, corrupt=[CORRUPT])
    return path


def _absorbance(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Of red light, which passes through eosin: what is dark there is chromatin."""
    return -np.log((image[..., 0].astype(np.float64) + 1) / 256)


@pytest.mark.parametrize('config', [CONFIG, FULL], ids=['with borders', 'tumour everywhere'])
def test_every_figure_is_where_the_truth_says(config: SlideConfig) -> None:
    slide = PhantomSlide(config, 5)
    without = PhantomSlide(replace(config, figures_per_mm2=0, hotspot_figures_per_mm2=0), 5)
    assert [cell for cell in slide.cells if not cell.is_figure] == list(without.cells)
    pixels, bare = (each.read(0, 0, config.width_px, config.height_px) for each in (slide, without))
    assert pixels is not None
    assert bare is not None
    gained = np.where(_absorbance(pixels) > 0.6, _absorbance(pixels) - _absorbance(bare), 0)
    figures = [cell for cell in slide.cells if cell.is_figure]
    assert len(figures) >= 5
    elsewhere = np.ones(gained.shape, dtype=bool)
    for point in (cell.point for cell in figures):
        x, y = np.rint(point).astype(int)
        near = np.maximum(gained[y - 32 : y + 33, x - 32 : x + 33], 0)
        assert near.sum() > 60
        rows, columns = ndimage.center_of_mass(near)
        assert np.hypot(columns - 32 + x - point[0], rows - 32 + y - point[1]) < 2.5
        elsewhere[y - 75 : y + 76, x - 75 : x + 76] = False
    np.testing.assert_array_equal(pixels[elsewhere], bare[elsewhere])


def test_look_alikes_are_dark_where_the_truth_says(slide: PhantomSlide, pixels: NDArray[np.uint8]) -> None:
    look_alikes = [cell for cell in slide.cells if not cell.is_figure]
    assert len(look_alikes) >= 5
    for x, y in (np.rint(cell.point).astype(int) for cell in look_alikes):
        around = _absorbance(pixels[y - 12 : y + 13, x - 12 : x + 13])
        assert np.quantile(around, 0.9) > 0.9


def test_cells_keep_apart_and_inside_the_tumour(slide: PhantomSlide) -> None:
    points = np.array([cell.point for cell in slide.cells])
    distances = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1)) + 1e9 * np.eye(len(points))
    assert distances.min() > MIN_SPACING_PX - 12
    outline = slide.plan.tumour[0].astype(np.float32)
    for cell in slide.cells:
        inside = cv2.pointPolygonTest(outline, cell.point, True)
        assert inside > 16 or not cell.is_figure


def test_densities_are_those_wanted() -> None:
    config = replace(CONFIG, width_px=3200, height_px=2400, figures_per_mm2=30, hotspot_figures_per_mm2=150)
    slide = PhantomSlide(config, 2)
    hotspot = slide.plan.hotspot
    assert hotspot is not None
    figures = np.array([cell.point for cell in slide.cells if cell.is_figure])
    inside = np.hypot(*(figures - hotspot.centre_px).T) <= hotspot.radius_px
    disc_mm2 = np.pi * (hotspot.radius_px * 0.25e-3) ** 2
    tumour_mm2 = polygon_area(slide.plan.tumour[0]) * 0.25e-3**2
    # A site counts where it is, a figure by its centre of mass a few pixels away.
    assert abs(inside.sum() - 150 * disc_mm2) <= 2
    assert abs(len(figures) - inside.sum() - 30 * (tumour_mm2 - disc_mm2)) <= 2
    outline = slide.plan.tumour[0].astype(np.float32)
    assert cv2.pointPolygonTest(outline, hotspot.centre_px, True) >= hotspot.radius_px - 1


def test_glass_and_tissue_are_where_the_outlines_say(slide: PhantomSlide, pixels: NDArray[np.uint8]) -> None:
    tissue, tumour = np.zeros((2, 1800, 2400), dtype=np.uint8)
    cv2.fillPoly(tissue, [np.rint(outline).astype(np.int32) for outline in slide.plan.tissue], 1)
    cv2.fillPoly(tumour, [np.rint(outline).astype(np.int32) for outline in slide.plan.tumour], 1)
    assert abs(tissue.mean() - 0.6) < 0.005
    assert abs(tumour.sum() / tissue.sum() - 0.6) < 0.005
    away = cv2.dilate(tissue, np.ones((31, 31), np.uint8)) == 0
    assert np.all(pixels[away] == slide.glass_rgb)
    deep = cv2.erode(tissue, np.ones((31, 31), np.uint8)) > 0
    coloured = np.ptp(pixels.astype(int), axis=2) > 25
    assert coloured[deep].mean() > 0.85
    nuclei = _absorbance(pixels) > 0.45
    other = deep & (cv2.dilate(tumour, np.ones((61, 61), np.uint8)) == 0)
    assert nuclei[cv2.erode(tumour, np.ones((61, 61), np.uint8)) > 0].mean() > 2 * nuclei[other].mean()


@pytest.mark.parametrize(
    'part', [(0, 0, 2400, 700), (517, 389, 300, 900), (1500, 1000, 64, 64), (2300, 1700, 256, 256)]
)
def test_pixels_do_not_depend_on_what_is_read(
    slide: PhantomSlide, pixels: NDArray[np.uint8], part: tuple[int, int, int, int]
) -> None:
    x, y, width, height = part
    again = slide.read(x, y, width, height)
    if again is None:
        again = np.broadcast_to(slide.glass_rgb, (height, width, 3)).copy()
    whole = pixels[y : y + height, x : x + width]
    np.testing.assert_array_equal(again[: whole.shape[0], : whole.shape[1]], whole)


def test_a_seed_gives_one_slide_and_another_gives_another(pixels: NDArray[np.uint8]) -> None:
    again, other = (PhantomSlide(CONFIG, seed).read(600, 700, 1200, 400) for seed in (5, 6))
    np.testing.assert_array_equal(again, pixels[700:1100, 600:1800])
    assert not np.array_equal(other, again)


@pytest.mark.parametrize('stroma', [False, True])
def test_blocks_with_a_common_edge_go_on_into_each_other(stroma: bool) -> None:
    case = draw_case(PhantomConfig(), np.random.default_rng(3), 'scanner_b')
    bank = BlockBank(case, np.random.SeedSequence(4))
    left = bank.block(BlockKey(stroma, 0, 1, 1, 0, 0))
    right = bank.block(BlockKey(stroma, 1, 0, 0, 1, 0))
    below = bank.block(BlockKey(stroma, 1, 0, 1, 1, 0))
    for plane in ('hematoxylin', 'eosin'):
        first = getattr(left, plane).astype(float)
        seam = slice(BLOCK_PX, BLOCK_PX + 2 * HALO_PX), slice(0, 2 * HALO_PX)
        near = 5
        for other, axis in ((right, 1), (below, 0)):
            ends = (
                np.take(first, range(*seam[0].indices(9999)), axis),
                np.take(getattr(other, plane).astype(float), range(*seam[1].indices(9999)), axis),
            )
            middle = [np.take(end, range(HALO_PX - near, HALO_PX + near), axis) for end in ends]
            inner = [np.take(part, range(HALO_PX, HALO_PX + BLOCK_PX), 1 - axis) for part in middle]
            np.testing.assert_allclose(inner[0], inner[1], atol=2e-3)
        assert np.abs(first - getattr(right, plane).astype(float)).mean() > 0.02


def test_neighbours_do_not_cut_each_other() -> None:
    crowded = PhantomSlide(replace(FULL, figures_per_mm2=250, hotspot_figures_per_mm2=250), 5)
    points = np.array([cell.point for cell in crowded.cells])
    distances = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
    assert np.sum((distances > 0) & (distances < 75)) > 0
    image = crowded.read(0, 0, FULL.width_px, FULL.height_px)
    for cells in crowded._placed.values():
        cells.reverse()
    crowded._shown.clear()
    other = crowded.read(0, 0, FULL.width_px, FULL.height_px)
    assert image is not None
    assert other is not None
    # The order in which cells are laid may change the noise, and where two bodies meet.
    assert np.abs(cv2.blur(_absorbance(image) - _absorbance(other), (9, 9))).max() < 0.12


@pytest.mark.parametrize('kind', FIGURE_KINDS)
@pytest.mark.parametrize('site', [(58, 58), (BLOCK_PX - 59, 200), (300, BLOCK_PX - 59)])
def test_a_figure_near_the_border_of_a_block_is_the_one_in_its_middle(
    slide: PhantomSlide, site: tuple[int, int], kind: str
) -> None:
    planes = np.full((2, BLOCK_PX + 2 * HALO_PX, BLOCK_PX + 2 * HALO_PX), 0.25, dtype=np.float16)
    image = np.zeros((BLOCK_PX, BLOCK_PX, 3), dtype=np.uint8)
    block = TissueBlock(planes[0], planes[1], image, np.zeros((0, 2), dtype=np.int64))
    shown = []
    for x, y in (site, (256, 256)):
        placed = _Placed((x, y), kind, True, 3)
        drawn = image.copy()
        slide._insert(drawn, block, placed, [placed])
        half = FIGURE_PATCH_PX // 2
        shown.append(drawn[y - half : y + half + 1, x - half : x + half + 1])
        assert np.all(shown[-1].any(axis=2))
    np.testing.assert_array_equal(*shown)


def test_a_block_with_cells_is_its_stains_with_the_cells_looked_at_as_a_whole() -> None:
    crowded = PhantomSlide(replace(FULL, figures_per_mm2=250, hotspot_figures_per_mm2=250), 5)
    blocks = [place for place in crowded._placed if crowded._kinds[place] == TUMOUR]
    assert len(blocks) >= 3
    for row, column in blocks:
        key = crowded._key(row, column, False)
        block = crowded._bank.block(key)
        planes = block.hematoxylin.astype(np.float32), block.eosin.astype(np.float32)
        for cell in crowded._placed[row, column]:
            crowded._draw(cell).lay_over(*planes, *(v + HALO_PX for v in cell.site))
        whole = crowded._bank.look(*planes, crowded._bank.noise(key))[HALO_PX:-HALO_PX, HALO_PX:-HALO_PX]
        # Only the noise may differ.
        difference = _absorbance(crowded._show(row, column)) - _absorbance(whole)
        assert np.abs(cv2.blur(difference, (9, 9))).max() < 0.12


def test_a_coarser_slide_has_the_same_physical_size() -> None:
    coarse = PhantomSlide(replace(CONFIG, width_px=1200, height_px=900, mpp=0.5), 5)
    image = coarse.read(0, 0, 1200, 900)
    assert image is not None
    assert abs(coarse.plan.tissue_mm2 - 0.6 * 0.6 * 0.45) < 1e-3
    for cell in coarse.cells:
        x, y = np.rint(cell.point).astype(int)
        assert np.quantile(_absorbance(image[y - 6 : y + 7, x - 6 : x + 7]), 0.9) > 0.75


def test_both_readers_open_the_file(file: Path, pixels: NDArray[np.uint8]) -> None:
    sizes = [(2400, 1800), (600, 450)]
    with openslide.OpenSlide(file) as foreign:
        assert list(foreign.level_dimensions) == sizes
        assert float(foreign.properties['openslide.mpp-x']) == pytest.approx(0.25)
        region = np.asarray(foreign.read_region((600, 300), 0, (300, 400)))[..., :3]
    with open_slide(file) as own:
        assert list(own.level_dimensions) == sizes
        assert own.mpp == pytest.approx(0.25)
        mine = own.read_region((600, 300), 0, (300, 400))
    assert np.abs(region.astype(int) - mine).max() <= 3
    assert np.abs(mine.astype(int) - pixels[300:700, 600:900]).mean() < 5


def test_the_tile_size_changes_no_more_than_the_compression(slide: PhantomSlide, file: Path, tmp_path: Path) -> None:
    other = tmp_path / 'other.tif'
    write_slide(other, slide.read, (2400, 1800), slide.glass_rgb, 0.25, tile_px=512)
    with open_slide(file) as first, open_slide(other) as second:
        for level, part in ((0, ((700, 600), 0, (200, 300))), (1, ((0, 0), 1, (600, 450)))):
            # Chroma is smoothed across blocks of a tile, but not across its border.
            difference = np.abs(first.read_region(*part).astype(int) - second.read_region(*part))
            assert np.quantile(difference, 0.98) <= 1, level


def test_reduced_levels_are_area_averages(file: Path, pixels: NDArray[np.uint8]) -> None:
    means = pixels.reshape(450, 4, 600, 4, 3).mean(axis=(1, 3))
    with open_slide(file) as own:
        level = own.read_region((0, 0), 1, (600, 450)).astype(float)
    assert np.abs(level - means).mean() < 5
    assert np.abs(cv2.blur(level - means, (16, 16))).max() < 3


def test_averages_of_several_levels_are_exact_before_compression(tmp_path: Path) -> None:
    flat = np.random.default_rng(0).integers(0, 256, (17, 17), dtype=np.uint8)
    whole = np.repeat(np.repeat(flat, 128, 0), 128, 1)[:2100, :2176, None] + np.zeros(3, np.uint8)

    def read(x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        part = whole[y : y + height, x : x + width]
        return np.pad(part, ((0, height - part.shape[0]), (0, width - part.shape[1]), (0, 0)))

    write_slide(tmp_path / 'a.tif', read, (2176, 2100), np.full(3, 240, np.uint8), 0.25, tile_px=256, quality=100)
    assert level_sizes(100_000, 100_000) == [(100_000, 100_000), (25_000, 25_000), (6250, 6250), (1562, 1562)]
    with tifffile.TiffFile(tmp_path / 'a.tif') as tiff:
        assert [page.shape[:2] for page in tiff.pages] == [(2100, 2176), (525, 544)]
        level = tiff.pages[1].asarray().astype(int)
    expected = np.repeat(np.repeat(flat, 32, 0), 32, 1)[:525, :544, None]
    assert np.abs(level - expected).max() <= 3


def test_a_corrupt_tile_raises_and_its_neighbours_do_not(file: Path) -> None:
    x, y = CORRUPT[0] * 256, CORRUPT[1] * 256
    for reader in (None, 'OpenSlideReader'):
        with open_slide(file, reader) as own:
            with pytest.raises(ImageError, match='broken'):
                own.read_region((x + 100, y + 100), 0, (50, 50))
            assert own.read_region((x - 256, y), 0, (256, 256)).std() > 5


def test_corrupt_tiles_are_drawn_from_the_tumour(slide: PhantomSlide) -> None:
    tiles = choose_corrupt_tiles(slide, 2, 256, np.random.SeedSequence(1))
    outline = slide.plan.tumour[0].astype(np.float32)
    for column, row in tiles:
        assert cv2.pointPolygonTest(outline, (column * 256 + 128, row * 256 + 128), False) > 0
    with pytest.raises(ConfigError, match='10000 corrupt tiles are wanted'):
        choose_corrupt_tiles(slide, 10_000, 256, np.random.SeedSequence(1))


def test_a_wide_slide_needs_little_memory_and_little_disk(tmp_path: Path) -> None:
    width, height = 60_000, 6_000
    config = SlideConfig(width, height, num_islands=1, tissue_share=0.004, figures_per_mm2=5, edge_colours=1)
    slide = PhantomSlide(config, 1)
    slide.read(0, 0, 16, 16)
    tracemalloc.start()
    write_slide(tmp_path / 'wide.tif', slide.read, (width, height), slide.glass_rgb, 0.25)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    row_of_tiles = width * 512 * 3
    assert peak < 1.5 * row_of_tiles < width * height * 3 / 5
    assert (tmp_path / 'wide.tif').stat().st_size < 3e6


def test_nothing_is_left_of_a_slide_that_could_not_be_written(tmp_path: Path) -> None:
    def read(x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        raise OSError('no more')

    with pytest.raises(OSError, match='no more'):
        write_slide(tmp_path / 'a.tif', read, (600, 600), np.full(3, 240, np.uint8), 0.25)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('tissue_share', [0.0, 0.05, 0.5, 0.8, 1.0])
@pytest.mark.parametrize('num_islands', [1, 5])
def test_any_share_of_tissue_can_be_had(tissue_share: float, num_islands: int) -> None:
    config = SlideConfig(9000, 5000, tissue_share=tissue_share, num_islands=num_islands, tumour_share=0.5)
    plan = plan_slide(config, np.random.SeedSequence(1))
    whole_mm2 = 9000 * 5000 * 0.25e-3**2
    assert plan.tissue_mm2 == pytest.approx(tissue_share * whole_mm2, rel=0.02)
    assert plan.tumour_mm2 == pytest.approx(0.5 * plan.tissue_mm2, rel=0.02)
    assert (plan.cells > 0).mean() == pytest.approx(tissue_share, abs=0.02)
    assert (plan.hotspot is None) == (tissue_share == 0)


def test_a_slide_without_tumour_has_no_figures() -> None:
    slide = PhantomSlide(replace(CONFIG, tumour_share=0), 1)
    assert slide.plan.hotspot is None
    assert not any(cell.is_figure for cell in slide.cells)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'width_px': 100}, 'at least 512 x 512 px, found 100 x 1800'),
        ({'mpp': 40.0}, 'mpp must lie between 0.1 and 2, found 40'),
        ({'tissue_share': 1.2}, 'tissue_share must lie between 0 and 1, found 1.2'),
        ({'figures_per_mm2': -1.0}, 'figures_per_mm2 must be a number from 0'),
        ({'num_islands': 0}, 'num_islands must be at least 1'),
        ({'scanner': 'scanner_x'}, "unknown scanner .'scanner_x'."),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **arguments)


def test_more_figures_than_there_is_room_for_are_refused() -> None:
    with pytest.raises(ConfigError, match='outside the hotspot are wanted, and there is room for'):
        PhantomSlide(replace(CONFIG, figures_per_mm2=5000), 5)

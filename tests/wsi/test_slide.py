"""A model on a whole slide: the same points however it is cut, read and interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from untrained import make_model, smooth_tissue, spread_scores, write_slide

from mitouts.errors import CheckpointError, ImageError
from mitouts.inference import Localizer
from mitouts.stain import build_normalizer
from mitouts.wsi import slide as slide_module
from mitouts.wsi.map import JOURNAL_NAME
from mitouts.wsi.slide import SlideFindings, SlideLocalizer, SlideOptions

WIDTH, HEIGHT = 900, 700


@pytest.fixture(scope='module')
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """900 x 700 px at 0.25 um/px with 128 px tiles; glass on the right and below."""
    image = np.full((HEIGHT, WIDTH, 3), 243, np.uint8)
    image[:450, :600] = smooth_tissue(600, 450)
    path = tmp_path_factory.mktemp('slide') / 'a b.tif'
    return write_slide(path, image, tile=(128, 128), compression='zlib')


@pytest.fixture(scope='module')
def localizer() -> Localizer:
    return _localizer()


def _localizer(backbone: str = 'lite0', rotations: int | None = None) -> Localizer:
    model = make_model(backbone)
    model.calibration = {'image_threshold': 0.5, 'map_threshold': 0.5, 'mpp': 0.25, 'drift_px': [2.0, -3.0]}
    spread_scores(model, smooth_tissue(480, 480))
    return Localizer(model, rotations=rotations)


def _find(localizer: Localizer, slide: Path, folder: Path, **options: Any) -> SlideFindings:
    return SlideLocalizer(localizer).find(slide, folder, options=SlideOptions(**options))


@pytest.mark.parametrize('rotations', [1, 4])
@pytest.mark.parametrize('backbone', ['lite0', 'skip'])
def test_counts_do_not_depend_on_tiles_batches_or_threads(
    backbone: str, rotations: int, slide: Path, tmp_path: Path
) -> None:
    localizer = _localizer(backbone, rotations)
    reference = _find(localizer, slide, tmp_path / 'a')
    assert len(reference.figures) >= 4
    for number, options in enumerate(
        [dict(tile_px=160, workers=1), dict(tile_px=208, workers=3, batch=4), dict(tile_px=64, batch=2)]
    ):
        other = _find(localizer, slide, tmp_path / str(number), **options)
        assert other.points.shape == reference.points.shape
        np.testing.assert_allclose(other.points[:, :2], reference.points[:, :2], atol=0.01)
        np.testing.assert_allclose(other.points[:, 2], reference.points[:, 2], atol=1e-5)


@pytest.mark.parametrize('rotations', [1, 4])
def test_figures_inside_are_those_of_the_whole_image(rotations: int, slide: Path, tmp_path: Path) -> None:
    localizer = _localizer(rotations=rotations)
    found = _find(localizer, slide, tmp_path, tile_px=160).figures
    whole = localizer.predict(tifffile.imread(slide), mpp=0.25).figures
    reach = localizer.model.geometry.receptive_radius_px + 20
    # At the border of the image the network sees padding, the slide's tiles see glass; and glass is not looked at.
    inside = [
        points[(points[:, 0] > reach) & (points[:, 0] < 460) & (points[:, 1] > reach) & (points[:, 1] < 310)]
        for points in (found, whole)
    ]
    assert len(inside[1]) >= 5
    # Random weights give nearly constant features, so folding the batch norms shows in the third digit of a score.
    by_place = [points[np.lexsort(points[:, :2].T)] for points in inside]
    np.testing.assert_allclose(by_place[0][:, :2], by_place[1][:, :2], atol=0.6)
    np.testing.assert_allclose(by_place[0][:, 2], by_place[1][:, 2], atol=0.005)


def test_glass_is_not_looked_at(localizer: Localizer, slide: Path, tmp_path: Path) -> None:
    found = _find(localizer, slide, tmp_path)
    # 450 x 600 px of tissue with a rim of a thumbnail's pixel (32 px) and its smoothing.
    assert 0.27 <= found.megapixels < 0.42
    assert found.tissue.mean() == pytest.approx(450 * 600 / (WIDTH * HEIGHT), abs=0.1)
    assert found.tumour_from == 'tissue'


def test_killed_run_goes_on_with_the_next_band(
    localizer: Localizer, slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = _find(localizer, slide, tmp_path / 'whole', tile_px=128)
    dense = slide_module.DenseModel.__call__
    tiles: list[int] = []

    def dies_at_the_seventh(self: Any, images: np.ndarray) -> np.ndarray:
        tiles.append(len(images))
        if len(tiles) == 7:
            raise KeyboardInterrupt
        return dense(self, images)

    monkeypatch.setattr(slide_module.DenseModel, '__call__', dies_at_the_seventh)
    with pytest.raises(KeyboardInterrupt):
        _find(localizer, slide, tmp_path / 'killed', tile_px=128)
    assert len((tmp_path / 'killed' / JOURNAL_NAME).read_text().splitlines()) == 2
    resumed = _find(localizer, slide, tmp_path / 'killed', tile_px=128)
    assert 0 < resumed.megapixels < reference.megapixels
    np.testing.assert_array_equal(resumed.points, reference.points)
    before = len(tiles)
    again = _find(localizer, slide, tmp_path / 'killed', tile_px=128)
    assert again.megapixels == 0
    assert len(tiles) == before
    np.testing.assert_array_equal(again.points, reference.points)


def test_another_resolution_begins_again(localizer: Localizer, slide: Path, tmp_path: Path) -> None:
    first = _find(localizer, slide, tmp_path)
    other = SlideLocalizer(localizer).find(slide, tmp_path, mpp=0.2)
    assert first.megapixels > 0
    assert other.megapixels > 0
    assert other.mpp == 0.2


def test_unreadable_tile_is_named_and_its_area_taken_off(localizer: Localizer, slide: Path, tmp_path: Path) -> None:
    whole = _find(localizer, slide, tmp_path / 'a')
    broken = tmp_path / 'broken.tif'
    content = bytearray(slide.read_bytes())
    with tifffile.TiffFile(slide) as tif:
        page = tif.pages[0]
        # The tile of columns 128 to 255 and rows 128 to 255.
        index = 1 * -(-WIDTH // 128) + 1
        begin, length = page.dataoffsets[index], page.databytecounts[index]
    content[begin : begin + length] = b'\0' * length
    broken.write_bytes(content)
    found = _find(localizer, broken, tmp_path / 'b', tile_px=304)
    assert len(found.unreadable) == 1
    area = found.unreadable[0]
    assert (area.x, area.y) == (0, 0)
    assert found.tiles.unreadable_mm2 > 0
    assert found.tiles.counted_mm2 < whole.tiles.counted_mm2
    reach = localizer.model.geometry.receptive_radius_px + 32
    beyond = [
        points[(points[:, 0] > 512 + reach) | (points[:, 1] > 512 + reach)] for points in (found.figures, whole.figures)
    ]
    np.testing.assert_allclose(beyond[0], beyond[1], atol=0.01)


def test_region_takes_the_place_ofsmooth_tissue(localizer: Localizer, slide: Path, tmp_path: Path) -> None:
    square = np.array([[100, 100], [400, 100], [400, 400], [100, 400]], dtype=float)
    found = SlideLocalizer(localizer).find(slide, tmp_path, regions=[[square]])
    assert found.tumour_from == 'region'
    assert found.tumour.sum() * found.cell_px[0] * found.cell_px[1] == pytest.approx(300 * 300, rel=0.2)
    assert len(found.figures)
    assert (found.figures[:, :2] > 100 - 100).all()
    assert (found.figures[:, :2] < 400 + 100).all()


def test_stain_is_fitted_once_a_slide_as_the_model_was_trained(
    localizer: Localizer, slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    normalizer = build_normalizer('macenko')
    assert normalizer is not None
    monkeypatch.setitem(localizer.model.calibration, 'stain_reference', normalizer.describe())
    localizer = Localizer(localizer.model)
    found = _find(localizer, slide, tmp_path / 'a', tile_px=160)
    assert found.stain_fit is not None
    assert found.stain_note is None
    other = _find(localizer, slide, tmp_path / 'b', tile_px=304)
    np.testing.assert_allclose(other.points, found.points, atol=0.01)
    grey = tmp_path / 'grey.tif'
    write_slide(grey, np.full((300, 300, 3), 128, np.uint8))
    unfitted = _find(localizer, grey, tmp_path / 'c')
    assert unfitted.stain_fit is None
    assert 'cannot be fitted' in str(unfitted.stain_note)


def test_slide_without_tissue_has_no_figures(localizer: Localizer, tmp_path: Path) -> None:
    glass = tmp_path / 'glass.tif'
    write_slide(glass, np.full((300, 200, 3), 245, np.uint8))
    found = _find(localizer, glass, tmp_path / 'work')
    assert found.points.shape == (0, 3)
    assert found.tiles.num_counted == 0
    assert found.megapixels == 0


@pytest.mark.parametrize('size', [(1, 1), (40, 7)])
def test_tiny_slides_are_looked_at(localizer: Localizer, tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / 'tiny.tif'
    write_slide(path, smooth_tissue(*size))
    assert _find(localizer, path, tmp_path / 'work').dimensions == size


def test_slide_without_resolution_says_how_to_give_it(localizer: Localizer, tmp_path: Path) -> None:
    path = tmp_path / 'plain.tif'
    tifffile.imwrite(path, smooth_tissue(200, 200), photometric='rgb')
    with pytest.raises(ImageError, match='does not say how many um'):
        _find(localizer, path, tmp_path / 'work')
    assert SlideLocalizer(localizer).find(path, tmp_path / 'work', mpp=0.25).mpp == 0.25


def test_model_that_does_not_know_its_resolution_cannot_count(
    localizer: Localizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(localizer.model.calibration, 'mpp', None)
    with pytest.raises(CheckpointError, match='does not know the resolution'):
        SlideLocalizer(localizer)

"""Joining the frames of MITOS14 into areas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from pycocotools.coco import COCO

from mitouts.converters.mitos14_areas import complete_areas, join_areas
from mitouts.errors import AnnotationError
from mitouts.formats import coco
from mitouts.imaging.image import write_rgb
from mitouts.imaging.opening import open_slide

WIDTH, HEIGHT = 96, 64
COLOURS = {'a': (200, 40, 40), 'b': (40, 200, 40), 'c': (40, 40, 200), 'd': (200, 200, 40)}
LISTED = Path(__file__).resolve().parents[3] / 'shared/data/MITOS14/complete_x20_quads.txt'


def _frames(root: Path, area: str = 'H07_01B', without: str = '', wide: str = '') -> dict:
    images, annotations = [], []
    for quarter, colour in COLOURS.items():
        if quarter == without:
            continue
        width = WIDTH + (quarter == wide)
        image_id = len(images) + 1
        name = f'{area}{quarter}.png'
        write_rgb(root / name, np.full((HEIGHT, width, 3), colour, dtype=np.uint8))
        images.append(coco.make_image(image_id, name, width, HEIGHT, case_id='07', mpp=0.2274, scanner='Hamamatsu'))
        annotations.append(coco.make_annotation(image_id, image_id, 1, 10.0, 20.0, confidence=0.65))
    return coco.make_document(images, annotations, name='MITOS14', tool='mitos14')


def test_quarters_lie_in_reading_order_with_their_points(tmp_path: Path) -> None:
    document = join_areas(_frames(tmp_path), tmp_path, tmp_path / 'areas')
    with open_slide(tmp_path / 'areas/H07_01B.tif') as slide:
        pixels = slide.read_region((0, 0), 0, (2 * WIDTH, 2 * HEIGHT))
        assert slide.mpp == pytest.approx(0.2274, rel=1e-3)
    places = {'a': (0, 0), 'b': (WIDTH, 0), 'c': (0, HEIGHT), 'd': (WIDTH, HEIGHT)}
    for quarter, (x, y) in places.items():
        middle = pixels[y + 8 : y + HEIGHT - 8, x + 8 : x + WIDTH - 8].astype(int)
        assert np.abs(middle - np.array(COLOURS[quarter])).max() <= 3
    assert [each['point'] for each in document['annotations']] == [[x + 10, y + 20] for x, y in places.values()]
    assert document['images'][0]['case_id'] == '07'


def test_what_is_written_is_an_annotation_file(tmp_path: Path) -> None:
    join_areas(_frames(tmp_path), tmp_path, tmp_path / 'areas')
    read = COCO(str(tmp_path / 'areas/ann.json'))
    assert len(read.anns) == 4
    assert {each['confidence'] for each in read.anns.values()} == {0.65}
    assert coco.read_coco(tmp_path / 'areas/ann.json')['images'][0]['width'] == 2 * WIDTH


def test_sides_that_tiles_do_not_divide_end_at_the_last_pixel(tmp_path: Path) -> None:
    join_areas(_frames(tmp_path), tmp_path, tmp_path / 'areas')
    with tifffile.TiffFile(tmp_path / 'areas/H07_01B.tif') as tiff:
        assert tiff.pages.first.shape == (2 * HEIGHT, 2 * WIDTH, 3)


def test_an_area_without_all_of_its_frames_is_left_out(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match='no area at x20 has all of its 4 frames among the 3 images'):
        join_areas(_frames(tmp_path, without='c'), tmp_path, tmp_path / 'areas')


def test_frames_of_different_sizes_do_not_fit_together(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r'H07_01B: its frames differ in size.*97 x 64 px'):
        join_areas(_frames(tmp_path, wide='b'), tmp_path, tmp_path / 'areas')


def test_an_area_at_x10_has_sixteen_frames() -> None:
    frames = [f'H05_03{upper}{lower}' for upper in 'ABCD' for lower in 'abcd']
    assert complete_areas(frames, 'x10') == ['H05_03']
    assert complete_areas(frames[:-1], 'x10') == []
    assert complete_areas(frames, 'x20') == ['H05_03A', 'H05_03B', 'H05_03C', 'H05_03D']


@pytest.mark.skipif(not LISTED.exists(), reason='needs the real data set')
def test_complete_areas_are_those_that_the_data_set_lists() -> None:
    listed = LISTED.read_text().split()
    names = {path.stem.split('_not')[0].removesuffix('_mitosis') for path in LISTED.parent.rglob('*_mitosis.csv')}
    if not names:
        pytest.skip('the labels are packed')
    assert complete_areas(names, 'x20') == sorted(listed)

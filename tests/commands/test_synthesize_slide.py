"""mitouts synthesize slide on small slides."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mitouts.commands.synthesize import slide
from mitouts.errors import AnnotationError, ImageError
from mitouts.formats.coco import HARD_NEGATIVE, MITOTIC_FIGURE, read_coco
from mitouts.imaging import open_slide
from mitouts.synthetic.phantom.slide_plan import polygon_area

SMALL = ('--width-px', '1600', '--height-px', '1300', '--islands', '1', '--edge-colours', '1')
TISSUE = ('--tissue-share', '0.7', '--tumour-share', '0.8')

Make = Callable[..., int]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    def call(out: Path, *options: str) -> int:
        monkeypatch.setattr(
            sys,
            'argv',
            ['phantom_slide.py', '--out', str(out), '--islands', '1', '--edge-colours', '1', *SMALL, *TISSUE, *options],
        )
        return slide.main()

    return call


def test_files_agree_with_each_other(make: Make, tmp_path: Path) -> None:
    out = tmp_path / 'two slides'
    assert make(out, '--num-slides', '2', '--corrupt-tiles', '1', '--tile-px', '256') == 0
    document = read_coco(out / 'ann.json')
    assert [image['case_id'] for image in document['images']] == ['phantom_01', 'phantom_02']
    for image in document['images']:
        path = out / image['file_name']
        truth = json.loads((out / f'{path.stem}_truth.json').read_text())
        regions = json.loads((out / f'{path.stem}_regions.geojson').read_text())
        own = [entry for entry in document['annotations'] if entry['image_id'] == image['id']]
        categories = [entry['category_id'] for entry in own]
        counts = [categories.count(category) for category in (MITOTIC_FIGURE, HARD_NEGATIVE)]
        assert counts == [truth['figures'], truth['look_alikes']]
        assert min(counts) > 0
        hot = sum(entry['in_hotspot'] and entry['category_id'] == MITOTIC_FIGURE for entry in own)
        assert hot == truth['hotspot']['figures']
        for name, key in (('tissue', 'tissue_mm2'), ('tumour', 'tumour_mm2')):
            outlines = [
                np.array(feature['geometry']['coordinates'][0][:-1])
                for feature in regions['features']
                if feature['properties']['classification']['name'] == name
            ]
            assert sum(map(polygon_area, outlines)) * 0.25e-3**2 == pytest.approx(truth[key], rel=1e-3)
        with open_slide(path) as slide:
            assert slide.dimensions == (image['width'], image['height'])
            assert slide.mpp == pytest.approx(image['mpp'])
            x, y, width, height = truth['corrupt_tiles'][0]['xywh_px']
            with pytest.raises(ImageError):
                slide.read_region((x, y), 0, (width, height))
    assert document['images'][0]['split'] == 'test'
    assert not list(out.glob('.*'))


def test_slides_that_are_there_need_overwrite(make: Make, tmp_path: Path) -> None:
    (tmp_path / 'slide_01.tif').touch()
    with pytest.raises(AnnotationError, match='holds slides already'):
        make(tmp_path)
    assert make(tmp_path, '--overwrite') == 0
    assert (tmp_path / 'slide_01.tif').stat().st_size > 1000


def test_annotations_of_another_tool_are_not_touched(make: Make, tmp_path: Path) -> None:
    (tmp_path / 'ann.json').write_text('{"info": {"mitouts": {"tool": "somebody else"}}}')
    with pytest.raises(AnnotationError, match='was not written by'):
        make(tmp_path, '--overwrite')

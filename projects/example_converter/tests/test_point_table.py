from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from outside import found_in
from pycocotools.coco import COCO

from mitouts.commands.convert import main
from mitouts.errors import AnnotationError
from mitouts.imaging.image import write_rgb

PROJECT = Path(__file__).resolve().parents[1]
ROWS = """image,patient,x,y,class
P1_a.png,P1,11.5,21,mitosis
P1_a.png,P1,31,41,look-alike
P2_a.png,P2,5,6,mitosis
P3_a.png,P3,,,
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Path]:
    for name in ('P1_a', 'P2_a', 'P3_a'):
        write_rgb(tmp_path / 'lab' / 'images' / f'{name}.png', np.full((50, 60, 3), 200, np.uint8))
    (tmp_path / 'lab' / 'points.csv').write_text(ROWS)
    with found_in(PROJECT, 'point_table'):
        yield tmp_path / 'lab'


def convert(lab: Path, *options: str) -> Path:
    out = lab.parent / 'lab.json'
    main(['point_table', str(lab), '--out', str(out), '--import', 'point_table', *options])
    return out


def test_the_command_knows_it_once_its_module_is_named(lab: Path) -> None:
    program = 'import sys; from mitouts.commands.convert import main; main()'
    command = [sys.executable, '-c', program, '--import', 'point_table', 'point_table', lab, '--out', lab / 'ann.json']
    paths = os.pathsep.join([str(PROJECT), os.environ.get('PYTHONPATH', ''), str(PROJECT.parents[1])])
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, 'PYTHONPATH': paths})
    assert len(COCO(str(lab / 'ann.json')).imgs) == 3


def test_pycocotools_reads_what_it_wrote(lab: Path) -> None:
    document = COCO(str(convert(lab, '--first-pixel', '1')))
    images = {image['file_name']: image for image in document.imgs.values()}
    assert {name: (image['width'], image['height']) for name, image in images.items()} == dict.fromkeys(
        ('P1_a.png', 'P2_a.png', 'P3_a.png'), (60, 50)
    )
    assert [(images[name]['case_id'], images[name]['split']) for name in sorted(images)] == [
        ('P1', 'train'),
        ('P2', 'val'),
        ('P3', 'test'),
    ]
    figures = document.loadAnns(document.getAnnIds(imgIds=[images['P1_a.png']['id']]))
    assert [(figure['point'], figure['bbox'][:2], figure['category_id']) for figure in figures] == [
        ([10.5, 20], [-14.5, -5], 1),
        ([30, 40], [5, 15], 2),
    ]
    assert document.getAnnIds(imgIds=[images['P3_a.png']['id']]) == []


def test_how_it_was_made_is_kept(lab: Path) -> None:
    info = json.loads(convert(lab, '--first-pixel', '1').read_text())['info']['mitouts']
    assert (info['tool'], info['arguments']['first_pixel'], info['image_root']) == ('point_table', 1, 'lab/images')


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('11.5', 'left', r"points.csv: line 2: expected x and y in pixels, found 'left' and '21'"),
        ('look-alike', 'lymphocyte', "line 3: expected a class such as mitosis or look-alike, found 'lymphocyte'"),
        ('patient', 'person', "has no column 'patient'"),
    ],
)
def test_what_makes_no_sense_is_named(lab: Path, old: str, new: str, message: str) -> None:
    (lab / 'points.csv').write_text(ROWS.replace(old, new))
    with pytest.raises(AnnotationError, match=message):
        convert(lab)

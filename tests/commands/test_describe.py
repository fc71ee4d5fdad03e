"""mitouts describe on a few small images."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from mitouts.commands import describe
from mitouts.formats.coco import make_annotation, make_document, make_image, write_json
from mitouts.utils.cli import run as run_command
from mitouts.visualization.palette import POSITIVE_FRAME


@pytest.fixture
def call(monkeypatch, capsys):
    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, 'argv', ['describe_dataset.py', *map(str, arguments)])
        monkeypatch.setenv('COLUMNS', '120')
        # cli.run prints warnings; the filters of the tests would make them errors.
        with warnings.catch_warnings():
            warnings.simplefilter('always')
            with pytest.raises(SystemExit) as ended:
                run_command(describe.main)
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    return run


@pytest.fixture
def ann_file(write_dataset) -> Path:
    return write_dataset(
        [
            {'points': [(20.0, 30.0)], 'hard_negatives': [(50.0, 10.0)], 'case_id': 'p1'},
            {'points': [(40.5, 10.25), (41.0, 11.0)], 'case_id': 'p2'},
            {'case_id': 'p3'},
        ]
    )


def test_tables_json_sheet_and_warnings(call, ann_file, tmp_path):
    code, out, err = call(ann_file, '--out', tmp_path / 'out')
    assert code == 0
    line = next(line for line in out.splitlines() if line.strip().startswith('train'))
    assert line.split() == ['train', '3', '3', '1', '3', '1']
    assert '2 findings' in out
    assert 'warning: 1 pair of annotations less than 3 px apart: 3 and 4 of train_2.png (0.9 px)' in err
    assert 'have neither an annotation nor a label: train_3.png' in err
    description = json.loads((tmp_path / 'out' / 'description.json').read_text())
    assert description['total']['categories'] == {'mitotic figure': 3, 'hard negative': 1}
    assert [finding['kind'] for finding in description['findings']] == ['duplicate_points', 'no_annotation']
    sheet = cv2.imread(str(tmp_path / 'out' / 'figures.png'))[..., ::-1]
    assert (sheet == POSITIVE_FRAME).all(axis=2).sum() == 3 * (150**2 - 142**2) + 15 * 15


def test_a_crop_has_its_point_in_the_centre(call, tmp_path):
    image = np.full((300, 400, 3), 230, np.uint8)
    image[200:203, 311:314] = (90, 20, 120)
    tifffile.imwrite(tmp_path / 'slide.tif', image, photometric='rgb', tile=(64, 64), compression='zlib')
    entry = make_image(1, 'slide.tif', 400, 300, case_id='p', mpp=0.25)
    document = make_document([entry], [make_annotation(1, 1, 1, 312.0, 201.0)], name='x', tool='tests')
    write_json(tmp_path / 'train.json', document)
    code, _, _ = call(tmp_path / 'train.json', '--out', tmp_path / 'out')
    assert code == 0
    tile = cv2.imread(str(tmp_path / 'out' / 'figures.png'))[40:190, 8:158, 1].astype(float)
    rows, columns = np.nonzero(tile[6:-6, 6:-6] < 100)
    expected = (32.5 / 64) * 150 - 0.5 - 6
    assert abs(rows.mean() - expected) < 3
    assert abs(columns.mean() - expected) < 1


def test_json_goes_where_it_is_asked_and_a_second_run_is_the_same(call, ann_file, tmp_path):
    for name in ('a', 'b'):
        assert call(ann_file, '--out', tmp_path / name, '--json', tmp_path / f'{name}.json')[0] == 0
    assert (tmp_path / 'a.json').read_bytes() == (tmp_path / 'b.json').read_bytes()
    assert (tmp_path / 'a' / 'figures.png').read_bytes() == (tmp_path / 'b' / 'figures.png').read_bytes()


def test_without_the_images_there_are_counts_but_no_sheet(call, ann_file, tmp_path):
    for path in (tmp_path / 'images').iterdir():
        path.unlink()
    code, out, err = call(ann_file, '--out', tmp_path / 'out')
    assert code == 0
    assert '3 of 3 images cannot be read' in err
    assert 'figures.png' not in out
    assert not (tmp_path / 'out' / 'figures.png').exists()


def test_image_that_breaks_only_when_it_is_decoded_is_a_finding(call, ann_file, tmp_path):
    path = tmp_path / 'images' / 'train_1.png'
    path.write_bytes(path.read_bytes()[:400])
    code, _, err = call(ann_file, '--out', tmp_path / 'out')
    assert code == 0
    assert 'train_1.png cannot be read' in err


@pytest.mark.parametrize(
    'content', ['', '{', '[]', '{"images": []}', '{"images": [], "annotations": [], "categories": []}']
)
def test_bad_input_is_one_line(content, call, tmp_path):
    (tmp_path / 'bad.json').write_text(content)
    code, _, err = call(tmp_path / 'bad.json', '--out', tmp_path / 'out')
    assert code == 2
    assert err.startswith('error: ')
    assert len(err.splitlines()) == 1

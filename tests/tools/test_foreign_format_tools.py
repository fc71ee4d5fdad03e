"""The converters of SlideRunner, CCMCT, QuPath and Grand Challenge, as a user calls them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from foreign_files import write_ccmct, write_sliderunner

from mitouts.formats.coco import make_annotation, make_document, make_image, read_coco, write_json
from mitouts.imaging.image import write_rgb

CONVERTERS = Path(__file__).resolve().parents[2] / 'tools' / 'dataset_converters'
TOOLS = ('sliderunner', 'ccmct', 'qupath_geojson', 'grand_challenge')
Call = Callable[..., tuple[int, str]]


@pytest.fixture
def ann_file(tmp_path: Path) -> Path:
    for name in ('a b.png', 'ä.png'):
        write_rgb(tmp_path / 'images' / name, np.full((40, 60, 3), 200, np.uint8))
    images = [
        make_image(5, 'a b.png', 60, 40, case_id='A', mpp=0.25, scanner='CS2', split='train'),
        make_image(6, 'ä.png', 60, 40, case_id='B', mpp=0.5, split='test'),
    ]
    annotations = [
        make_annotation(3, 5, 1, 10.5, 20.25, votes={'Anna': 'mitosis'}, score=0.75),
        make_annotation(9, 5, 2, 30, 1),
    ]
    path = tmp_path / 'mine.json'
    write_json(path, make_document(images, annotations, name='mine', tool='test', image_root='images'))
    return path


def test_qupath_there_and_back(convert: Call, tmp_path: Path, ann_file: Path) -> None:
    assert convert('qupath_geojson', ann_file, '--export', '--out', tmp_path / 'review')[0] == 0
    code, err = convert('qupath_geojson', tmp_path / 'review', '--out', tmp_path / 'back.json')
    assert code == 0
    assert 'written to' in err
    before, after = read_coco(ann_file), read_coco(tmp_path / 'back.json')
    assert after['images'] == before['images']
    assert after['annotations'] == before['annotations']
    assert after['info']['mitouts']['image_root'] == 'images'
    assert after['info']['mitouts']['tool'] == 'qupath_geojson'
    # The images themselves agree, and a new split is taken.
    (tmp_path / 'split.json').write_text(json.dumps({'val': ['A'], 'ignore': ['B']}))
    more = ('--image-root', tmp_path / 'images', '--split', tmp_path / 'split.json', '--mpp', 0.3)
    assert convert('qupath_geojson', tmp_path / 'review', '--out', tmp_path / 'back.json', *more)[0] == 0
    again = read_coco(tmp_path / 'back.json')
    assert [(image['split'], image['mpp']) for image in again['images']] == [('val', 0.3)]


@pytest.mark.parametrize('tool', ['qupath_geojson', 'grand_challenge'])
def test_corrections_are_not_overwritten(convert: Call, tmp_path: Path, ann_file: Path, tool: str) -> None:
    export = (tool, ann_file, '--export', '--out', tmp_path / 'review')
    assert convert(*export)[0] == 0
    code, err = convert(*export)
    assert code == 2
    assert 'exists and may hold corrections' in err
    assert convert(*export, '--overwrite')[0] == 0


def test_grand_challenge_there_and_back(convert: Call, tmp_path: Path, ann_file: Path) -> None:
    assert convert('grand_challenge', ann_file, '--export', '--out', tmp_path / 'points')[0] == 0
    content = json.loads((tmp_path / 'points' / 'a b.png.json').read_text())
    assert content['points'][0] == {
        'name': 'mitotic figure',
        'point': [10.5 * 0.25 / 1000, 20.25 * 0.25 / 1000, 0.0],
        'probability': 0.75,
    }
    images = ('--image-root', tmp_path / 'images')
    code, err = convert('grand_challenge', tmp_path / 'points', '--mpp', 0.25, *images, '--out', tmp_path / 'b.json')
    assert code == 0
    assert '1 points have a probability, kept as score' in err
    back = read_coco(tmp_path / 'b.json')
    assert [(each['point'], each['category_id']) for each in back['annotations']] == [([10.5, 20.25], 1), ([30, 1], 2)]
    assert [(image['file_name'], image['width']) for image in back['images']] == [('a b.png', 60), ('ä.png', 60)]


def test_ccmct(convert: Call, tmp_path: Path) -> None:
    code, err = convert('ccmct', write_ccmct(tmp_path), '--split', 'published', '--out', tmp_path / 'ccmct.json')
    assert code == 0
    assert 'CCMCT MEL' in err
    document = read_coco(tmp_path / 'ccmct.json')
    assert [(image['case_id'], image['split']) for image in document['images']] == [
        ('2f2591b840e83a4b4358', 'train'),
        ('be10fa37ad6e88e1f406', 'test'),
    ]
    assert [each['category_id'] for each in document['annotations']] == [1, 2]


def test_classes_are_chosen_and_recorded(convert: Call, tmp_path: Path) -> None:
    path = write_sliderunner(
        tmp_path / 'own.sqlite', [(1, 'a.svs', 50, 50)], [{'slide': 1, 'points': [(1, 2)], 'agreed': 4}], {4: 'MF'}
    )
    code, err = convert('sliderunner', path, '--out', tmp_path / 'own.json')
    assert code == 2
    assert "name it with --mitotic: 4 'MF' (1)" in err
    assert convert('sliderunner', path, '--mitotic', 'mf', '--out', tmp_path / 'own.json')[0] == 0
    document = read_coco(tmp_path / 'own.json')
    assert document['info']['mitouts']['arguments']['mitotic'] == 'mf'


@pytest.mark.parametrize('tool', TOOLS)
@pytest.mark.parametrize(
    'content',
    [b'', b'\xff\xfe\x00', b'{"a": [1, 2', b'[' * 50_000, b'[1, [2]]'],
    ids=['empty', 'binary', 'cut', 'deep', 'odd'],
)
def test_a_broken_file_is_one_line(convert: Call, tmp_path: Path, tool: str, content: bytes) -> None:
    path = tmp_path / 'broken.json'
    path.write_bytes(content)
    code, err = convert(tool, path, '--out', tmp_path / 'out.json', '--mpp', 0.25)
    assert code == 2
    assert err.startswith(f'error: {path}')
    assert err.count('\n') == 1
    assert not (tmp_path / 'out.json').exists()


@pytest.mark.parametrize('tool', ['qupath_geojson', 'grand_challenge'])
def test_a_broken_annotation_file_is_not_exported(convert: Call, tmp_path: Path, tool: str) -> None:
    path = tmp_path / 'broken.json'
    path.write_text('{"images": []}')
    code, err = convert(tool, path, '--export', '--out', tmp_path / 'out')
    assert (code, err.count('\n')) == (2, 1)
    assert err.startswith('error: ')
    assert not (tmp_path / 'out').exists()


def test_a_tool_run_as_a_program(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, CONVERTERS / 'sliderunner.py', tmp_path / 'none.sqlite', '--out', tmp_path / 'a.json'],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr == f'error: {tmp_path / "none.sqlite"}: no such file\n'


def test_cases_of_a_table_reach_the_annotation_file(convert: Call, tmp_path: Path, ann_file: Path) -> None:
    assert convert('grand_challenge', ann_file, '--export', '--out', tmp_path / 'points')[0] == 0
    (tmp_path / 'cases.csv').write_text('file_name,case_id\na b.png,P1\nä.png,P1\n', encoding='utf-8')
    source = (tmp_path / 'points', '--image-root', tmp_path / 'images', '--mpp', 0.25)
    code, err = convert('grand_challenge', *source, '--cases', tmp_path / 'cases.csv', '--out', tmp_path / 'a.json')
    assert (code, '1 cases of 2 images, as cases.csv says' in err) == (0, True)
    document = read_coco(tmp_path / 'a.json')
    assert [image['case_id'] for image in document['images']] == ['P1', 'P1']
    assert document['info']['mitouts']['arguments']['cases'] == 'cases.csv'
    (tmp_path / 'cases.csv').write_text('file_name,case_id\na b.png,P1\n')
    code, err = convert('grand_challenge', *source, '--cases', tmp_path / 'cases.csv', '--out', tmp_path / 'a.json')
    assert (code, 'names no case for 1 of 2 images, the first is ä.png' in err) == (2, True)


def test_predictions_become_qupath_files(convert: Call, tmp_path: Path) -> None:
    path = tmp_path / 'predictions.json'
    images = [{'image_id': 1, 'file_name': 'x/a.png', 'score': 0.9, 'points': [[1, 2, 0.9], [3, 4, 0.4]]}]
    write_json(path, {'info': {'map_threshold': 0.5}, 'images': images})
    code, err = convert('qupath_geojson', path, '--export', '--out', tmp_path / 'q')
    assert (code, '1 file with 1 point ' in err) == (0, True)
    code, err = convert('qupath_geojson', path, '--export', '--score-thr', 0.3, '--out', tmp_path / 'r')
    assert (code, '1 file with 2 points' in err) == (0, True)
    code, err = convert('qupath_geojson', path, '--out', tmp_path / 'x.json')
    assert (code, '--export makes GeoJSON of it' in err) == (2, True)
    write_json(path, {'images': images})
    code, err = convert('qupath_geojson', path, '--export', '--out', tmp_path / 's')
    assert (code, 'info has no map_threshold: give --score-thr' in err) == (2, True)


def test_other_classes_are_left_out_with_a_hint(convert: Call, tmp_path: Path) -> None:
    features = [
        {
            'type': 'Feature',
            'geometry': {'type': 'Point', 'coordinates': [number + 1, 2]},
            'properties': {'classification': {'name': name}},
        }
        for number, name in enumerate(('Mitosis', 'Non-mitosis', 'Doubtful'))
    ]
    (tmp_path / 'a.geojson').write_text(json.dumps({'type': 'FeatureCollection', 'features': features}))
    code, err = convert('qupath_geojson', tmp_path / 'a.geojson', '--mpp', 0.25, '--out', tmp_path / 'a.json')
    assert (code, "'Doubtful' (1) (--mitotic CLASS and --hard-negative CLASS" in err) == (0, True)
    assert [each['category_id'] for each in read_coco(tmp_path / 'a.json')['annotations']] == [1, 2]

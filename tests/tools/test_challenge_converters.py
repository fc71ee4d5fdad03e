"""tools/dataset_converters/{tupac16,mitos14,midog,amibr}.py as a user calls them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tifffile
from foreign_files import write_amibr, write_midog, write_mitos14, write_tupac16

from mitouts.formats.coco import read_coco

TOOLS = Path(__file__).resolve().parents[2] / 'tools' / 'dataset_converters'
Call = Callable[..., tuple[int, str]]


MAKERS = {'midog': write_midog, 'tupac16': write_tupac16, 'mitos14': write_mitos14, 'amibr': write_amibr}


@pytest.mark.parametrize('tool', sorted(MAKERS))
def test_file_counts_and_notes(convert: Call, tmp_path: Path, tool: str) -> None:
    out = tmp_path / 'deep' / 'ann.json'
    code, err = convert(tool, MAKERS[tool](tmp_path), '--out', out)
    assert code == 0
    document = read_coco(out, keep_outside=True)
    info = document['info']['mitouts']
    assert info['tool'] == tool
    assert all(f'- {note}\n' in err for note in info['notes'])
    assert err.endswith(f'written to {out}\n')
    assert 'mitotic figure' in err
    assert {image['split'] for image in document['images']} >= {'train'}
    convert(tool, MAKERS[tool](tmp_path), '--out', out)
    assert read_coco(out, keep_outside=True) == document


@pytest.mark.parametrize('tool', sorted(MAKERS))
def test_foreign_files_are_never_replaced(convert: Call, tmp_path: Path, tool: str) -> None:
    out = tmp_path / 'ann.json'
    out.write_text('{"images": []}')
    code, err = convert(tool, MAKERS[tool](tmp_path), '--out', out)
    assert code == 2
    assert err == f'error: {out} was not written by {tool} and is not touched; choose another --out\n'
    assert out.read_text() == '{"images": []}'


@pytest.mark.parametrize(
    ('tool', 'name', 'content', 'message'),
    [
        ('midog', 'MIDOG++.json', b'{"images": [', 'not JSON'),
        ('midog', 'MIDOG++.json', b'\xff\xfe', 'is not UTF-8'),
        ('midog', 'MIDOG++.json', b'[' * 100_000, 'not JSON'),
        ('midog', 'MIDOG++.json', b'{"images": [1]}', 'images[0]: expected an object'),
        ('tupac16', 'labels/01/01.csv', b'1;2', 'line 1: expected "row,col"'),
        ('tupac16', 'labels/01/01.csv', b'\xff', 'is not UTF-8'),
        ('mitos14', 'labels/A03_00Aa_mitosis.csv', b'1,2', 'line 1: expected "x,y,confidence"'),
        ('amibr', 'AMi-Br/AMI-BR.csv', b'\xff', 'is not UTF-8'),
        ('amibr', 'AMi-Br/AMI-BR.csv', b'a,b\n1,2', 'lacks columns: slide'),
    ],
)
def test_broken_files_end_in_one_line(
    convert: Call, tmp_path: Path, tool: str, name: str, content: bytes, message: str
) -> None:
    src = MAKERS[tool](tmp_path)
    (tmp_path / name).write_bytes(content)
    code, err = convert(tool, src, '--out', tmp_path / 'ann.json')
    assert code == 2
    assert err.startswith(f'error: {src}')
    assert message in err
    assert err.count('\n') == 1
    assert not (tmp_path / 'ann.json').exists()


@pytest.mark.parametrize('tool', sorted(MAKERS))
def test_missing_source_ends_in_one_line(convert: Call, tmp_path: Path, tool: str) -> None:
    code, err = convert(tool, tmp_path / 'nowhere', '--out', tmp_path / 'ann.json')
    assert (code, err.count('\n')) == (2, 1)
    assert err.startswith('error: ')
    assert 'nowhere' in err


def test_a_command_of_its_own_ends_without_traceback(tmp_path: Path) -> None:
    (tmp_path / 'a.tar.gz').write_bytes(b'\x1f\x8bno archive')
    command = [
        sys.executable,
        str(TOOLS / 'tupac16.py'),
        str(tmp_path / 'a.tar.gz'),
        '--out',
        str(tmp_path / 'ann.json'),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f'error: {tmp_path / "a.tar.gz"}: cannot be read as a .tar, .tar.gz or .zip archive')
    assert done.stderr.count('\n') == 1


def test_midog_keeps_what_the_file_knows(convert: Call, tmp_path: Path) -> None:
    _, err = convert('midog', write_midog(tmp_path), '--out', tmp_path / 'ann.json')
    document = json.loads((tmp_path / 'ann.json').read_text())
    assert [(i['id'], i['tumor_type'], i['split'], i['scanner']) for i in document['images']] == [
        (1, 'human breast cancer', 'train', 'Hamamatsu XR'),
        (6, 'human breast cancer', 'test', 'Hamamatsu XR'),
        (7, 'human breast cancer', 'test', 'Hamamatsu XR'),
    ]
    assert [(a['source_uid'], a['point'], a['votes']) for a in document['annotations']] == [
        ('5', [25, 25], [1, 1]),
        ('8', [305, 35], [1, 2, 2]),
    ]
    assert '1 of 2 points lie outside their image (8)' in err


def test_midog_names_the_partitions_of_both_files() -> None:
    done = subprocess.run([sys.executable, str(TOOLS / 'midog.py'), '-h'], capture_output=True, text=True, check=True)
    assert 'paper, published, none' in ' '.join(done.stdout.split())


def test_split_file(convert: Call, tmp_path: Path) -> None:
    (tmp_path / 'split.csv').write_text('Slide;Dataset\n1;val\n6;train\n7;test\n')
    convert('midog', write_midog(tmp_path), '--out', tmp_path / 'ann.json', '--split', tmp_path / 'split.csv')
    document = read_coco(tmp_path / 'ann.json', keep_outside=True)
    assert [image['split'] for image in document['images']] == ['val', 'train', 'test']


def test_tupac16_origin_can_be_overridden(convert: Call, tmp_path: Path) -> None:
    src = write_tupac16(tmp_path)
    _, found = convert('tupac16', src, '--out', tmp_path / 'ann.json')
    first = json.loads((tmp_path / 'ann.json').read_text())
    _, forced = convert('tupac16', src, '--out', tmp_path / 'ann.json', '--origin', 0)
    second = json.loads((tmp_path / 'ann.json').read_text())
    assert '- coordinates are 1-based: ' in found
    assert 'coordinates are 0-based: --origin says so (against it: ' in forced
    assert first['info']['mitouts']['arguments']['origin'] is None
    assert second['info']['mitouts']['arguments']['origin'] == 0
    points = [[a['point'] for a in document['annotations']] for document in (first, second)]
    assert points == [[[1, 0], [2, 1999], [7, 6]], [[2, 1], [3, 2000], [8, 7]]]


def test_tupac16_as_downloaded(convert: Call, tmp_path: Path) -> None:
    src = write_tupac16(tmp_path)
    for name, side in {'part_1/01/01.tif': 2000, 'part_1/01/02.tif': 2000, 'part_3/30/01.tif': 5657}.items():
        path = tmp_path / 'images' / f'mitoses_image_data_{name}'
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.memmap(path, shape=(side, side, 3), dtype='uint8', photometric='rgb')
    arguments = (src, '--out', tmp_path / 'ann.json', '--image-root', tmp_path / 'images')
    code, err = convert('tupac16', *arguments)
    assert (code, err.count('\n')) == (2, 1)
    assert '1 of 4 images are missing (31/01)' in err
    assert convert('tupac16', *arguments, '--skip-missing')[0] == 0
    document = read_coco(tmp_path / 'ann.json')
    assert [(i['file_name'], i['case_id'], i['split']) for i in document['images']] == [
        ('mitoses_image_data_part_1/01/01.tif', '01', 'train'),
        ('mitoses_image_data_part_1/01/02.tif', '01', 'train'),
        ('mitoses_image_data_part_3/30/01.tif', '30', 'val'),
    ]
    assert (tmp_path / document['info']['mitouts']['image_root'] / document['images'][0]['file_name']).is_file()


def test_amibr_finds_its_crops_and_labels_them(convert: Call, tmp_path: Path) -> None:
    src = write_amibr(tmp_path)
    convert('amibr', src, '--out', tmp_path / 'ann.json')
    document = read_coco(tmp_path / 'ann.json')
    assert [(i['label'], i['split']) for i in document['images']] == [(0, 'train'), (1, 'test')]
    root = tmp_path / document['info']['mitouts']['image_root']
    assert all((root / image['file_name']).is_file() for image in document['images'])
    convert('amibr', src, '--out', tmp_path / 'ann.json', '--label', 'mitosis')
    assert [image['label'] for image in read_coco(tmp_path / 'ann.json')['images']] == [1, 1]
    (src / 'patches/normal/MIDOG21_6.png').unlink()
    code, err = convert('amibr', src, '--out', tmp_path / 'ann.json')
    assert code == 2
    assert '1 of 2 images are missing (patches/normal/MIDOG21_6.png)' in err

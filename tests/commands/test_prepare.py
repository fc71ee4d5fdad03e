"""mitouts prepare as a user calls it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from mitouts.formats.coco import MITOTIC_FIGURE, make_annotation, make_document, make_image, read_coco, write_json

Call = Callable[..., tuple[int, str]]


@pytest.fixture
def prepare(call: Callable[..., tuple[int, str, str]]) -> Call:
    """Runs the tool in one process; its exit code and stderr."""

    def run(*arguments: object) -> tuple[int, str]:
        code, _, err = call('prepare', *arguments, '--workers', '1')
        return code, err

    return run


@pytest.fixture
def ann_file(tmp_path: Path) -> Path:
    """One white image of 130 x 100 px with two figures; the second one's centre is outside."""
    (tmp_path / 'slides').mkdir()
    tifffile.imwrite(tmp_path / 'slides' / 'a b.tif', np.full((100, 130, 3), 255, np.uint8), photometric='rgb')
    images = [make_image(1, 'a b.tif', 130, 100, case_id='A', mpp=0.25, split='val')]
    annotations = [
        make_annotation(1, 1, MITOTIC_FIGURE, 20, 30),
        make_annotation(2, 1, MITOTIC_FIGURE, 132, 30),
    ]
    path = tmp_path / 'ann.json'
    write_json(path, make_document(images, annotations, name='one', tool='test'))
    return path


def test_first_run_writes_and_second_has_nothing_to_do(prepare: Call, ann_file: Path, tmp_path: Path) -> None:
    arguments = (ann_file, '--image-root', tmp_path / 'slides', '--out', tmp_path / 'out', '--patch-px', '64')
    code, err = prepare(*arguments, '--stain', 'macenko')
    assert code == 0
    assert '6 patches with 1 annotated figure' in err
    assert '6 patches could not be normalized by macenko' in err
    assert 'in no patch: 1 annotated figure ' in err
    val = read_coco(tmp_path / 'out' / 'val.json')
    assert len(val['images']) == 6
    code, err = prepare(*arguments, '--stain', 'macenko')
    assert code == 0
    assert 'nothing to do' in err


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--stain', 'macenk'], "found 'macenk'"),
        (['--stride-px', '600'], 'leaves gaps between patches of 500 px'),
        (['--mpp', '0.1'], 'would have to be enlarged 2.50 times'),
        (['--level', '1'], 'has no level 1'),
        (['--level', '1', '--mpp', '0.5'], 'not allowed with argument'),
        (['--min-tissue', '2'], 'must be from 0 to 1'),
        (['--point-error-px', '26', '11'], 'takes a median and perhaps a larger 95th percentile, found 26 11'),
        (['--point-error-px', '1', '2', '3'], 'found 1 2 3'),
        (['--point-error-px', '11', '26'], 'no image has the split train'),
        (['--stain', 'macenko', '--stain-reference', 'none.png'], 'none.png'),
        (['--image-root', 'nowhere'], '1 of 1 images'),
    ],
)
def test_bad_arguments_end_in_one_line(
    prepare: Call, ann_file: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    code, err = prepare(ann_file, '--image-root', tmp_path / 'slides', '--out', tmp_path / 'out', *arguments)
    assert code == 2
    assert message in err
    assert 'Traceback' not in err
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('content', [b'', b'{"images": 3}', b'\xff\xfe', b'[' * 100000])
def test_broken_annotations_end_in_one_line(prepare: Call, tmp_path: Path, content: bytes) -> None:
    (tmp_path / 'ann.json').write_bytes(content)
    code, err = prepare(tmp_path / 'ann.json', '--out', tmp_path / 'out')
    assert code == 2
    assert err.startswith('error: ')
    assert 'Traceback' not in err


@pytest.mark.parametrize('content', [b'', b'not an image', b'II*\x00\x08\x00\x00\x00'])
def test_broken_image_ends_in_one_line(prepare: Call, ann_file: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / 'slides' / 'a b.tif').write_bytes(content)
    code, err = prepare(ann_file, '--image-root', tmp_path / 'slides', '--out', tmp_path / 'out')
    assert code == 2
    assert err.strip().splitlines()[-1].startswith('error: ')
    assert 'a b.tif' in err
    assert 'Traceback' not in err

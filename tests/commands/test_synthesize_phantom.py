"""mitouts synthesize phantom on a few small fields."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from mitouts.commands.synthesize import phantom
from mitouts.errors import AnnotationError
from mitouts.formats.coco import HARD_NEGATIVE, MITOTIC_FIGURE, read_coco, write_json
from mitouts.formats.leakage import check_splits
from mitouts.imaging.image import read_rgb
from mitouts.synthetic.phantom import PhantomConfig, writer

SIZES = ('--num-train', '16', '--num-val', '6', '--num-test', '6', '--size-px', '96', '--workers', '1')

Convert = Callable[..., int]


@pytest.fixture
def convert(monkeypatch: pytest.MonkeyPatch) -> Convert:
    def call(out: Path, *options: str) -> int:
        monkeypatch.setattr(sys, 'argv', ['phantom.py', '--out', str(out), *SIZES, *options])
        return phantom.main()

    return call


def _pixels(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob('*.png'))}


def _figures(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry for entry in document['annotations'] if entry['category_id'] == MITOTIC_FIGURE]


def test_the_data_set_is_valid_for_us_and_for_pycocotools(convert: Convert, tmp_path: Path) -> None:
    assert convert(tmp_path, '--hard-negatives') == 0
    documents = {split: read_coco(tmp_path / f'{split}.json') for split in writer.SPLITS}
    check_splits(documents)
    for split, document in documents.items():
        coco = COCO(tmp_path / f'{split}.json')
        assert len(coco.imgs) == len(document['images'])
        assert len(coco.getAnnIds(catIds=[HARD_NEGATIVE])) > 0
        for image in document['images']:
            assert read_rgb(tmp_path / image['file_name'], (96, 96)).shape == (96, 96, 3)
            assert image['mpp'] == 0.25
            assert image['split'] == split
            assert image['scanner'] in PhantomConfig().scanners


def test_another_noise_gives_the_same_images_and_true_figures(convert: Convert, tmp_path: Path) -> None:
    convert(tmp_path / 'clean', '--noise', '0')
    convert(tmp_path / 'noisy', '--noise', '0.5')
    assert _pixels(tmp_path / 'clean') == _pixels(tmp_path / 'noisy')
    clean, noisy = (read_coco(tmp_path / name / 'train.json') for name in ('clean', 'noisy'))
    true_points = [(entry['image_id'], *entry['point']) for entry in _figures(clean)]
    assert [(entry['image_id'], *entry['point']) for entry in _figures(noisy) if not entry['is_noise']] == true_points
    wrong = [entry for entry in _figures(noisy) if entry['is_noise']]
    assert len(wrong) == round(0.5 * noisy['info']['mitouts']['look_alikes'])
    truly_positive = {entry['image_id'] for entry in _figures(clean)}
    wrongly_positive = {entry['image_id'] for entry in wrong} - truly_positive
    assert {image['id'] for image in noisy['images'] if image['is_noise']} == wrongly_positive
    assert wrongly_positive


def test_validation_and_test_fields_have_no_noise(convert: Convert, tmp_path: Path) -> None:
    convert(tmp_path, '--noise', '1', '--positive-rate', '0.5')
    for split in ('val', 'test'):
        document = read_coco(tmp_path / f'{split}.json')
        assert not any(entry['is_noise'] for entry in document['annotations'] + document['images'])
        assert len({entry['image_id'] for entry in document['annotations']}) == 3


def test_the_same_arguments_again_change_nothing(
    convert: Convert, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    convert(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*.*')}
    capsys.readouterr()
    assert convert(tmp_path) == 0
    assert 'nothing to do' in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*.*')} == before


def test_a_split_with_a_lost_image_is_made_again(convert: Convert, tmp_path: Path) -> None:
    convert(tmp_path)
    before = _pixels(tmp_path)
    (tmp_path / 'images' / 'val' / '00002.png').unlink()
    convert(tmp_path)
    assert _pixels(tmp_path) == before


def test_other_arguments_need_overwrite(convert: Convert, tmp_path: Path) -> None:
    convert(tmp_path)
    with pytest.raises(AnnotationError, match=r'train.json was made with other arguments: seed 0 \(now 1\)'):
        convert(tmp_path, '--seed', '1')
    convert(tmp_path, '--seed', '1', '--num-train', '8', '--overwrite')
    assert len(read_coco(tmp_path / 'train.json')['images']) == 8
    assert len(list((tmp_path / 'images' / 'train').iterdir())) == 8


def test_annotations_of_another_tool_are_not_touched(convert: Convert, tmp_path: Path) -> None:
    convert(tmp_path)
    document = read_coco(tmp_path / 'test.json')
    document['info']['mitouts']['tool'] = 'somebody else'
    write_json(tmp_path / 'test.json', document)
    with pytest.raises(AnnotationError, match='was not written by'):
        convert(tmp_path, '--overwrite')


@pytest.mark.slow
def test_processes_render_what_one_does(tmp_path: Path) -> None:
    config = PhantomConfig(size_px=96)
    draws = writer.plan_split(config, 'train', 6, seed=0)
    alone = list(writer.write_images(tmp_path / 'one', config, draws, workers=1))
    together = list(writer.write_images(tmp_path / 'two', config, draws, workers=2))
    assert _pixels(tmp_path / 'one') == _pixels(tmp_path / 'two')
    for first, second in zip(alone, together, strict=True):
        np.testing.assert_array_equal(first.points, second.points)

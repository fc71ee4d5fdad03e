"""mitouts synthesize amibr-fields on a tiny AMi-Br folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mitouts.commands.synthesize import amibr_fields
from mitouts.errors import AnnotationError, AnnotationWarning, MitoutsError
from mitouts.formats.coco import read_coco
from mitouts.formats.leakage import check_splits

SPLITS = ('train', 'val', 'test', 'val_p10', 'test_p10')
SIZES = ('--grid', '2', '--num-train', '20', '--num-val', '10', '--num-test', '10')


@pytest.fixture(scope='module')
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('AMi-Br')
    rng = np.random.default_rng(0)
    rows = [',slide,dataset,uid,x,y,majority_atypical']
    for slide in (1, 2, 51, 101, 41, 91, 46, 146):
        for number in range(3):
            uid, atypical = len(rows), number == 2
            rows.append(f'{uid},{slide:03d}.tiff,MIDOG21,{uid},{1000 + 500 * number},700,{atypical}')
            path = root / 'patches' / ('atypical' if atypical else 'normal') / f'MIDOG21_{uid}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), rng.integers(1, 256, (128, 128, 3), dtype=np.uint8))
    (root / 'AMI-BR.csv').write_text('\n'.join(rows) + '\n')
    return root


@pytest.fixture
def convert(source: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def call(out: Path, *options: str, src: Path = source) -> int:
        monkeypatch.setattr(sys, 'argv', ['amibr_fields.py', str(src), '--out', str(out), *SIZES, *options])
        return amibr_fields.main()

    return call


def _state(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob('*')) if path.is_file()}


def test_layout_and_contents(convert: Any, tmp_path: Path) -> None:
    convert(tmp_path, '--noise', '0.3')
    documents = {split: read_coco(tmp_path / f'{split}.json') for split in SPLITS}
    for split, document in documents.items():
        count, rate = {'train': (20, 0.5), 'val': (10, 0.5), 'test': (10, 0.5)}.get(split, (10, 0.1))
        assert len(document['images']) == count
        assert len({annotation['image_id'] for annotation in document['annotations']}) == count * rate
        noisy = {image['id'] for image in document['images'] if image['is_noise']}
        assert len(noisy) == (3 if split == 'train' else 0)
        assert noisy == {a['image_id'] for a in document['annotations'] if a['is_noise']}
        assert all(('source_uid' in a) != a['is_noise'] for a in document['annotations'])
        for image in document['images']:
            assert image['file_name'] == f'images/{split}/{image["id"] - 1:05d}.png'
            assert cv2.imread(str(tmp_path / image['file_name'])).shape == (96, 96, 3)
            assert (image['width'], image['height'], image['mpp'], image['split']) == (96, 96, 0.25, split)
        assert document['info']['mitouts']['arguments']['noise'] == 0.3
        assert document['info']['mitouts']['seed'] == 0
    check_splits({split: documents[split] for split in ('train', 'val', 'test')})
    scanners = {image['case_id']: image['scanner'] for image in documents['train']['images']}
    assert {case: scanners[case] for case in scanners if case in ('001', '051', '101')} == {
        '001': 'Hamamatsu XR',
        '051': 'Hamamatsu S360',
        '101': 'Aperio CS2',
    }


def test_threads_and_repetition_change_no_byte(convert: Any, tmp_path: Path) -> None:
    convert(tmp_path / 'a')
    convert(tmp_path / 'b', '--workers', '3')
    assert _state(tmp_path / 'a') == _state(tmp_path / 'b')
    assert len(_state(tmp_path / 'a')) == 60 + 5


def test_complete_set_is_left_alone_and_a_broken_one_mended(
    convert: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    convert(tmp_path)
    before = _state(tmp_path)
    capsys.readouterr()
    convert(tmp_path)
    assert 'nothing to do' in capsys.readouterr().err
    (tmp_path / 'images' / 'val' / '00003.png').unlink()
    (tmp_path / 'test.json').unlink()
    convert(tmp_path)
    assert _state(tmp_path) == before


def test_other_arguments_need_overwrite(convert: Any, tmp_path: Path) -> None:
    convert(tmp_path)
    before = _state(tmp_path)
    with pytest.raises(
        MitoutsError, match=r'train.json was made with other arguments: seed 0 \(now 1\); .*--overwrite'
    ):
        convert(tmp_path, '--seed', '1')
    assert _state(tmp_path) == before
    convert(tmp_path, '--seed', '1', '--num-val', '6', '--overwrite')
    assert len(list((tmp_path / 'images' / 'val').iterdir())) == 6
    assert read_coco(tmp_path / 'train.json')['info']['mitouts']['arguments']['seed'] == 1


def test_foreign_files_are_never_replaced(convert: Any, tmp_path: Path) -> None:
    (tmp_path / 'val.json').write_text(json.dumps({'images': []}))
    before = _state(tmp_path)
    with pytest.raises(MitoutsError, match=r'val.json was not written by'):
        convert(tmp_path, '--overwrite')
    assert _state(tmp_path) == before


def test_fold_split_shares_no_slide(convert: Any, tmp_path: Path) -> None:
    convert(tmp_path, '--split', 'fold:3')
    documents = {split: read_coco(tmp_path / f'{split}.json') for split in ('train', 'val', 'test')}
    check_splits(documents)
    assert documents['test']['info']['mitouts']['slides']


def test_missing_crop_is_reported(convert: Any, source: Path, tmp_path: Path) -> None:
    src = tmp_path / 'src'
    src.mkdir()
    (src / 'AMI-BR.csv').write_bytes((source / 'AMI-BR.csv').read_bytes())
    for path in (source / 'patches').rglob('*.png'):
        if path.name != 'MIDOG21_4.png':
            copy = src / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    with pytest.warns(AnnotationWarning, match=r'1 of 24 crops are missing .*normal/MIDOG21_4.png'):
        convert(tmp_path / 'out', src=src)
    documents = [json.loads((tmp_path / 'out' / f'{split}.json').read_text()) for split in SPLITS]
    assert all(a.get('source_uid') != '4' for document in documents for a in document['annotations'])


@pytest.mark.parametrize('option', [('--split', 'fold:5'), ('--noise', '1.5'), ('--grid', '0'), ('--seed', '-1')])
def test_impossible_option_is_refused(
    convert: Any, tmp_path: Path, option: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        convert(tmp_path, *option)
    assert caught.value.code == 2
    assert f'argument {option[0]}: must be' in capsys.readouterr().err


def test_wrong_folder_is_refused(convert: Any, tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match='expected the AMi-Br folder'):
        convert(tmp_path / 'out', src=tmp_path)
    assert not (tmp_path / 'out').exists()


def test_command_line_ends_with_one_line_on_bad_input(tmp_path: Path) -> None:
    command = ['-m', 'mitouts', 'synthesize', 'amibr-fields', tmp_path, '--out', tmp_path / 'out']
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f'error: {tmp_path}: expected the AMi-Br folder')
    assert done.stderr.count('\n') == 1

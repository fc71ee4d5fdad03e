"""mitouts synthesize tissue on a few small fields."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mitouts.commands.synthesize import tissue
from mitouts.datasets import TissueDataset
from mitouts.engine.config import load_config
from mitouts.errors import AnnotationError
from mitouts.formats.splits import read_split_file

REPOSITORY = Path(__file__).resolve().parents[2]
SIZES = ('--num-train', '9', '--num-val', '4', '--num-test', '5', '--size-px', '64', '--workers', '1')

Make = Callable[..., int]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    def call(out: Path, *options: str) -> int:
        monkeypatch.setattr(sys, 'argv', ['phantom_tissue.py', '--out', str(out), *SIZES, *options])
        return tissue.main()

    return call


def content(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob('*.png'))}


def test_the_config_reads_what_it_writes(make: Make, tmp_path: Path) -> None:
    assert make(tmp_path / 'data') == 0
    config = load_config(REPOSITORY / 'configs' / 'tissue' / 'unet_phantom.py')
    cases, sizes = {}, {}
    for split in ('train', 'val', 'test'):
        arguments = {**config[f'{split}_dataloader'].dataset, 'data_root': str(tmp_path / 'data')}
        arguments.pop('type')
        data = TissueDataset(**arguments)
        sizes[split] = len(data)
        cases[split] = {data.get_data_info(index)['case_id'] for index in range(len(data))}
        sample = data[0]
        assert sample['data_samples'].mpp == 0.5
        assert sample['inputs'].shape[1:] == sample['data_samples'].gt_labels.shape
    crops = config.train_dataloader.dataset.crops_per_image
    assert sizes == {'train': 9 * crops, 'val': 4, 'test': 5}
    assert not cases['train'] & cases['val'] | cases['val'] & cases['test'] | cases['train'] & cases['test']
    assert set(read_split_file(tmp_path / 'data' / 'splits.csv')) == set().union(*cases.values())


def test_again_does_nothing_and_a_lost_file_is_made_again(make: Make, tmp_path: Path) -> None:
    make(tmp_path)
    before = content(tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*.png')}
    make(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*.png')} == times
    next((tmp_path / 'masks').iterdir()).unlink()
    make(tmp_path)
    assert content(tmp_path) == before


def test_other_arguments_need_overwrite(make: Make, tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(AnnotationError, match=r'made with other arguments: seed 0 \(now 1\)'):
        make(tmp_path, '--seed', '1')
    before = content(tmp_path)
    make(tmp_path, '--seed', '1', '--overwrite')
    assert content(tmp_path).keys() == before.keys()
    assert content(tmp_path) != before


def test_a_folder_of_somebody_else_is_not_touched(make: Make, tmp_path: Path) -> None:
    (tmp_path / 'images').mkdir()
    (tmp_path / 'images' / 'TCGA-A1.png').write_bytes(b'precious')
    with pytest.raises(AnnotationError, match='was not made by phantom_tissue'):
        make(tmp_path, '--overwrite')
    assert (tmp_path / 'images' / 'TCGA-A1.png').read_bytes() == b'precious'

"""A user's own data set, which has no annotation file, is trained on, tested, judged and drawn like ours."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from mmengine.config import Config
from rich.console import Console
from tiny_experiment import SIZE_PX, tiny_config

from mitouts.datasets.seeded import SeededDataset
from mitouts.engine import runs
from mitouts.engine.distill import distill
from mitouts.engine.proposals import propose
from mitouts.engine.stages import load_experiment
from mitouts.errors import ConfigError
from mitouts.experiments.stage_table import read_records, report
from mitouts.formats.coco import read_json
from mitouts.formats.predictions import read_predictions
from mitouts.imaging.image import write_rgb
from mitouts.registry import DATASETS

FIRST_ID = {'train': 100, 'val': 200, 'test': 300}


@DATASETS.register_module(force=True)
class DarkSquares(SeededDataset):
    """Images in a folder, a dark square in every second; what is in them is known by their number."""

    METAINFO = {'classes': ('square',)}

    def __init__(self, folder: str, first_id: int, **kwargs: Any) -> None:
        self.folder = Path(folder)
        self.first_id = first_id
        super().__init__(**kwargs)
        self._weights = np.ones(len(self), dtype=np.float32)

    def load_data_list(self) -> list[dict[str, Any]]:
        return [self._info(self.folder, self.first_id + number) for number in range(8)]

    def _info(self, folder: Path, number: int) -> dict[str, Any]:
        label, generator = number % 2, np.random.default_rng(number)
        x, y = generator.integers(10, SIZE_PX - 10, 2).tolist()
        pixels = generator.integers(200, 230, (SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
        pixels[y - 4 : y + 5, x - 4 : x + 5] -= 120 * label
        write_rgb(folder / f'{number}.png', pixels)
        return {
            'img_id': number,
            'img_path': str(folder / f'{number}.png'),
            'case_id': f'case {number // 2}',
            'height': SIZE_PX,
            'width': SIZE_PX,
            'mpp': 0.25,
            'gt_label': label,
            'label_given': True,
            'gt_points': np.array([[x, y]] * label, dtype=np.float32).reshape(-1, 2),
            'gt_counted': np.ones(label, dtype=bool),
            'gt_cut': np.zeros((0, 2), dtype=np.float32),
        }

    def labels(self) -> np.ndarray:
        return np.array([self.get_data_info(index)['gt_label'] for index in range(len(self))])

    def weights(self) -> np.ndarray:
        return self._weights.copy()

    def set_weights(self, weights: np.ndarray) -> None:
        self._weights[:] = weights


def own_config(folder: Path, **overrides: Any) -> Config:
    config = tiny_config(folder, train_cfg__max_epochs=2, **overrides)
    for split, first_id in FIRST_ID.items():
        loader = config[f'{split}_dataloader']
        loader.dataset = dict(
            type='DarkSquares', folder=str(folder), first_id=first_id, pipeline=loader.dataset.pipeline
        )
    return config


def test_hooks_that_predict_the_training_images_and_a_test(tmp_path: Path) -> None:
    config = own_config(tmp_path)
    hooks = [dict(type='TrainingDistanceHook'), dict(type='EMATeacherHook', judge_from=1, min_kept=0)]
    config.custom_hooks = [*config.custom_hooks, *hooks]
    checkpoint = runs.train(config, tmp_path / 'run').checkpoint
    judged = read_json(tmp_path / 'run' / 'hard_samples.json')['images']
    assert [sample['image_id'] for sample in judged] == [101, 103, 105, 107]
    assert all(Path(sample['file_name']).is_file() for sample in judged)
    tested = runs.evaluate(config, checkpoint, tmp_path / 'test', out=tmp_path / 'p.json', show_dir=tmp_path / 'show')
    assert [record.truth.image_id for record in tested.records] == list(range(300, 308))
    assert list(read_predictions(tmp_path / 'p.json').images) == list(range(300, 308))
    assert (tmp_path / 'show' / '301_00301.png').is_file()
    for step, key in ((distill, 'train'), (propose, 'train')):
        with pytest.raises(ConfigError, match=f'{key}_dataloader.dataset, a DarkSquares, has no ann_file'):
            step(config, checkpoint, tmp_path / 'out')


def test_a_stage_and_its_picture(tmp_path: Path) -> None:
    own_config(tmp_path).dump(tmp_path / 'own.py')
    (tmp_path / 'staged.py').write_text("stages = [dict(name='model', kind='train', config='own.py')]\n")
    experiment = load_experiment(tmp_path / 'staged.py', tmp_path / 'run')
    results = experiment.run()
    assert results['stages'][0]['test_images'] == 8
    report(experiment, results, Console(file=StringIO()))
    assert (tmp_path / 'run' / 'summary.png').is_file()
    records = read_records(experiment.stages[0], tmp_path / 'run' / 'model')
    assert [record.truth.image_id for record in records] == list(range(300, 308))
    assert all(Path(record.truth.path).is_file() for record in records)


@DATASETS.register_module(force=True)
class BareImages(torch.utils.data.Dataset):
    """What torch asks of a data set, and nothing else."""

    def __init__(self, pipeline: list[Any]) -> None:
        self.pipeline = pipeline

    def __len__(self) -> int:
        return 8


@DATASETS.register_module(force=True)
class NamedImages(BareImages):
    """It can say which images it has."""

    metainfo: ClassVar[dict[str, Any]] = {}

    def get_data_info(self, index: int) -> dict[str, Any]:
        return {'img_path': f'{index}.png', 'case_id': str(index), 'mpp': None}

    def labels(self) -> np.ndarray:
        return np.arange(8) % 2


@pytest.mark.parametrize(
    ('kind', 'message'),
    [
        ('BareImages', r'train_dataloader\.dataset, a BareImages, has no get_data_info\(index\)'),
        ('NamedImages', r'the training set, a NamedImages, has no set_epoch\(epoch\).*SeededDataset'),
    ],
)
def test_what_a_data_set_lacks_is_told_before_the_first_batch(kind: str, message: str, tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    config.train_dataloader.dataset = dict(type=kind, pipeline=[])
    with pytest.raises(ConfigError, match=message):
        runs.train(config, tmp_path / 'run')

"""mitouts browse on a data set of a few small images."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.registry import DefaultScope

from mitouts.commands import browse as browse_command
from mitouts.formats.coco import make_annotation, make_document, make_image, write_json
from mitouts.utils.cli import run
from mitouts.visualization.palette import ANNOTATED, POSITIVE_FRAME

CONFIG = """
default_scope = 'mitouts'
train_dataloader = dict(dataset=dict(type='PointDataset', ann_file={ann_file!r}, pipeline=[
    dict(type='LoadImage'), dict(type='Augment', recipe='alpha'), dict(type='PackPointSample')]))
val_dataloader = None
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    images = [make_image(i, f'{i}.png', 64, 64, case_id='a', mpp=0.25) for i in range(1, 7)]
    for image in images:
        cv2.imwrite(str(tmp_path / image['file_name']), rng.integers(0, 200, (64, 64, 3), dtype=np.uint8))
    annotations = [make_annotation(i, i, 1, 32, 32) for i in (1, 2, 3)]
    ann_file = tmp_path / 'train.json'
    write_json(ann_file, make_document(images, annotations, name='tiny', tool='test'))
    path = tmp_path / 'tiny.py'
    path.write_text(CONFIG.format(ann_file=str(ann_file)))
    return path


@pytest.fixture(autouse=True)
def own_scope():
    """The tool sets mmengine's default scope, which is global to the process."""
    before = dict(DefaultScope._instance_dict)
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


def browse(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, 'argv', ['browse_dataset.py', *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        run(browse_command.main)
    return int(end.value.code or 0)


def test_draws_half_positive_images_with_frame_and_points(config, tmp_path, monkeypatch, capsys):
    out = tmp_path / 'sheets' / 'sheet.png'
    assert browse(monkeypatch, config, '--num', 4, '--out', out, '--tile-px', 256) == 0
    assert '4 of 6 train images, 2 positive' in capsys.readouterr().out
    sheet = cv2.imread(str(out))[..., ::-1]
    framed = (sheet == POSITIVE_FRAME).all(axis=2)
    assert framed.sum() == 2 * (256**2 - 248**2)
    assert (sheet == ANNOTATED).all(axis=2).sum() > 200


def test_epochs_differ_and_a_second_run_is_the_same(config, tmp_path, monkeypatch):
    for name in ('a.png', 'b.png'):
        assert browse(monkeypatch, config, '--num', 3, '--epochs', 2, '--out', tmp_path / name, '--tile-px', 256) == 0
    assert (tmp_path / 'a.png').read_bytes() == (tmp_path / 'b.png').read_bytes()
    sheet = cv2.imread(str(tmp_path / 'a.png'))
    tiles = [sheet[8:264, 8 + 264 * column : 264 + 264 * column] for column in range(6)]
    assert any((tiles[2 * image] != tiles[2 * image + 1]).any() for image in range(3))


def test_a_missing_split_is_one_line(config, monkeypatch, capsys):
    assert browse(monkeypatch, config, '--split', 'val') == 2
    assert capsys.readouterr().err.startswith('error: config ')


def test_a_staged_config_points_to_its_stages(tmp_path, monkeypatch, capsys):
    path = tmp_path / 'staged.py'
    path.write_text("stages = [dict(name='teacher', kind='train', config='teacher.py')]\n")
    assert browse(monkeypatch, path) == 2
    assert f'take that of a stage: {tmp_path / "teacher.py"} (teacher)' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('labels', 'num', 'positive', 'total'),
    [([0] * 8 + [1] * 2, 6, 2, 6), ([0, 1], 9, 1, 2), ([1] * 5, 3, 3, 3), ([0] * 5, 2, 0, 2), ([0, 1] * 10, 1, 0, 1)],
)
def test_choose_images_balances_the_classes_as_far_as_they_go(labels, num, positive, total):
    labels = np.array(labels)
    chosen = browse_command.choose_images(labels, num)
    assert (len(chosen), int(labels[chosen].sum())) == (total, positive)
    assert len(set(chosen.tolist())) == total
    assert (np.diff(chosen) > 0).all()

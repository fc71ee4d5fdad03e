"""mitouts cascade as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_points import POINT_MODEL
from tiny_experiment import write_tiny

from mitouts.checkpoint import read_checkpoint, write_checkpoint
from mitouts.formats.coco import read_coco
from mitouts.registry import MODELS

VERIFIER: dict[str, Any] = dict(
    type='WSSLocalizer',
    backbone=dict(type='EfficientNetLite', stride=4, num_blocks=2, weights=None),
    head=dict(type='EmbeddingHead', aggregator=dict(type='MeanAggregator', domain='feature')),
)


def save(path: Path, model: dict[str, Any]) -> Path:
    torch.manual_seed(0)
    config = {'model': model, 'train_dataloader': {'dataset': {'type': 'FigureCropDataset', 'crop_px': 16}}}
    meta = {'cfg': json.dumps(config), 'mitouts': {'image_threshold': 0.5, 'map_threshold': 0.5}}
    write_checkpoint(path, {'meta': meta, 'state_dict': MODELS.build(model).state_dict()})
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    tiny = write_tiny(tmp_path)
    path = tmp_path / 'points.py'
    path.write_text(f"_base_ = './{tiny.name}'\nmodel = dict(_delete_=True, **{POINT_MODEL!r})\n")
    return path


def test_proposals_of_all_splits_are_written(call, config: Path, tmp_path: Path) -> None:
    checkpoint = save(tmp_path / 'best.pth', POINT_MODEL)
    code, out, err = call('cascade', 'propose', config, checkpoint, '--cfg-options', '+proposals.radius_px=8')
    assert (code, err) == (0, '')
    lines = out.splitlines()
    folder = tmp_path / 'proposals'
    for split, count, line in zip(('train', 'val', 'test'), (16, 8, 8), lines):
        document = read_coco(folder / f'{split}.json')
        added = sum(bool(each.get('proposed')) for each in document['annotations'])
        figures = len(document['annotations']) - added
        assert line.startswith(f'{split}: images {count}, figures {figures}, found ')
        assert line.endswith(f'hard_negatives {added}')
        assert document['info']['mitouts']['proposals']['radius_px'] == 8
    assert lines[3] == f'written to {folder}'


def test_a_cascade_is_put_together_and_tested(call, config: Path, tmp_path: Path) -> None:
    cascade = tmp_path / 'cascade.py'
    cascade.write_text(
        f"_base_ = './{config.name}'\n"
        "model = dict(_delete_=True, type='CascadeLocalizer', proposer=None, verifier=None, crop_px=16)\n"
    )
    proposer, verifier = save(tmp_path / 'proposer.pth', POINT_MODEL), save(tmp_path / 'verifier.pth', VERIFIER)
    out_dir = tmp_path / 'combined'
    code, out, err = call('cascade', 'combine', cascade, proposer, verifier, '--out-dir', out_dir)
    assert (code, err) == (0, '')
    assert out == f'{out_dir / "best.pth"}, to be tested with {out_dir / "cascade.py"}\n'
    assert set(read_checkpoint(out_dir / 'best.pth')['meta']['mitouts']) >= {'map_threshold', 'proposer', 'verifier'}
    code, _, err = call('test', out_dir / 'cascade.py', out_dir / 'best.pth', '--work-dir', tmp_path / 'test')
    assert (code, err) == (0, '')
    (row,) = json.loads((tmp_path / 'test' / 'results.json').read_text())['stages']
    assert row['one_to_one']['tp'] + row['one_to_one']['fn'] == 4


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('propose', 'points.py', 'none.pth'), 'checkpoint none.pth does not exist'),
        (('combine', 'points.py', 'proposer.pth', 'proposer.pth'), 'a cascade needs a model of the type'),
        (
            ('combine', 'pints.py', 'proposer.pth', 'proposer.pth'),
            'config pints.py does not exist; did you mean points.py',
        ),
    ],
)
def test_bad_input_is_one_line(call, config: Path, monkeypatch, arguments: tuple[str, ...], message: str) -> None:
    monkeypatch.chdir(config.parent)
    save(Path('proposer.pth'), POINT_MODEL)
    code, out, err = call('cascade', *arguments)
    assert (code, out) == (2, '')
    assert err.startswith('error: ')
    assert message in err
    assert err.count('\n') == 1

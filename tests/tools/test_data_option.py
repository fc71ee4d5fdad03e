"""``--data`` of the tools: the data set that they read, and what their runs are called."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_experiment import write_tiny

Call = Callable[..., tuple[int, str, str]]

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
TEACHER = CONFIGS / 'wss' / 'lite0_max_strong.py'
CHECKPOINTS = {
    'train.py': (),
    'test.py': ('best.pth',),
    'distill.py': ('best.pth',),
    'cascade.py': ('best.pth',),
    'analysis/browse_dataset.py': (),
}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize('tool', CHECKPOINTS)
def test_every_tool_that_takes_a_config_takes_a_data_set(tool: str, call: Call) -> None:
    words = (*(['propose'] if tool == 'cascade.py' else []), TEACHER, *CHECKPOINTS[tool])
    code, _, err = call(tool, *words, '--data', 'midog12')
    assert code == 2
    assert err.startswith("error: unknown data set 'midog12': did you mean midog21")
    assert err.count('\n') == 1


@pytest.mark.parametrize('config', [TEACHER, CONFIGS / 'uts' / 'uts_lite0.py'], ids=lambda path: path.stem)
def test_a_training_reads_the_data_set_that_is_asked_for(config: Path, call: Call) -> None:
    code, _, err = call('train.py', config, '--data', 'midog21')
    assert code == 2
    assert err.startswith(
        'error: data/midog21/train.json: no such file, though the config names it as its data: make it'
    )
    assert err.count('\n') == 1
    assert [path.name for path in Path('work_dirs').glob('*')] in ([], [f'{config.stem}_midog21'])


def test_a_run_is_called_by_its_config_and_its_data_set(tmp_path: Path, call: Call) -> None:
    tiny = write_tiny(tmp_path / 'tiny')
    (tmp_path / 'tiny' / 'datasets').mkdir()
    (tmp_path / 'tiny' / 'datasets' / 'own.py').write_text('max_epochs = 3\n')
    (tmp_path / 'mine.py').write_text('max_epochs = 1\n')
    config = tmp_path / 'tiny' / 'small.py'
    config.write_text(
        f"_base_ = ['./{tiny.name}', './datasets/own.py']\ntrain_cfg = dict(max_epochs={{{{_base_.max_epochs}}}})\n"
    )
    code, out, err = call('train.py', config, '--data', 'mine.py')
    assert (code, err) == (0, '')
    assert 'best checkpoint: work_dirs/small_mine/best.pth' in out
    assert Path('work_dirs/small_mine/epoch_1.pth').is_file()
    code, _, err = call('test.py', config, 'work_dirs/small_mine/best.pth', '--data', 'mine.py')
    assert (code, err) == (0, '')
    assert json.loads(Path('work_dirs/small_mine/test/results.json').read_text())['stages']

"""The data set of a config is replaced: its base, what other configs say of it, and the name of its runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from mmengine.config import Config

from mitouts.engine.config import load_config
from mitouts.engine.data_sets import run_name
from mitouts.engine.stages import load_experiment
from mitouts.errors import ConfigError

FILES = {
    '_base_/datasets/points.py': "data_name = 'points'\nfolder = 'none'\nbatch = 32\n",
    '_base_/datasets/first.py': "_base_ = './points.py'\ndata_name = 'first'\nfolder = 'data/first'\n",
    '_base_/datasets/second_hn.py': (
        "_base_ = './first.py'\ndata_name = 'second-hn'\nfolder = 'data/second'\nbatch = 8\n"
    ),
    '_base_/model.py': "model = dict(type='WSSLocalizer')\nepochs = 12\n",
    'strong.py': "_base_ = ['./_base_/model.py', './_base_/datasets/first.py']\nrecipe = 'strong'\n",
    'weak.py': "_base_ = './strong.py'\nrecipe = 'weak'\nteacher = f'work_dirs/strong_{_base_.data_name}/best.pth'\n",
    'other.py': "_base_ = './weak.py'\n",
    'mine/data.py': "_base_ = '../_base_/datasets/points.py'\ndata_name = 'mine'\nfolder = 'data/mine'\n",
    'staged.py': (
        "stages = [dict(name='teacher', kind='train', config='./strong.py'),\n"
        "    dict(name='student', kind='train', config='./weak.py')]\n"
    ),
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write the configs, and more of them; returns their folder."""

    def write(more: dict[str, str] | None = None) -> Path:
        for name, text in {**FILES, **(more or {})}.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return write


def load(path: Path, data: str | None = None) -> dict[str, object]:
    return load_config(path, data=data)._cfg_dict.to_dict()


def test_a_name_replaces_the_data_set_and_nothing_else(write: Callable[..., Path]) -> None:
    folder = write()
    own, other = load(folder / 'weak.py'), load(folder / 'weak.py', 'second-hn')
    assert (own['folder'], own['batch'], own['teacher']) == ('data/first', 32, 'work_dirs/strong_first/best.pth')
    assert other == {
        **own,
        'folder': 'data/second',
        'batch': 8,
        'teacher': 'work_dirs/strong_second-hn/best.pth',
    }
    assert load(folder / 'weak.py', 'second_hn') == other
    assert load(folder / 'weak.py', 'first') == own
    assert Config.fromfile(folder / 'weak.py').folder == 'data/first'


def test_a_data_set_of_ones_own_is_a_path(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write())
    config = load(Path('weak.py'), 'mine/data.py')
    assert (config['folder'], config['batch']) == ('data/mine', 32)
    assert config['teacher'] == 'work_dirs/strong_mine/best.pth'


def test_a_config_for_one_data_set_is_used_wherever_it_is_inherited(write: Callable[..., Path]) -> None:
    folder = write({'strong_second-hn.py': "_base_ = './strong.py'\ndata = 'second-hn'\nepochs = 6\n"})
    for name in ('strong.py', 'weak.py', 'other.py'):
        config = load(folder / name, 'second-hn')
        assert (config['epochs'], config['folder'], config['batch']) == (6, 'data/second', 8)
        assert load(folder / name)['epochs'] == 12
    assert load(folder / 'strong_second-hn.py') == load(folder / 'strong.py', 'second-hn')
    assert load(folder / 'strong_second-hn.py', 'first') == {**load(folder / 'strong.py'), 'epochs': 6}
    assert 'data' not in load(folder / 'strong_second-hn.py')


def test_a_config_for_its_own_data_set_is_used_where_none_is_named(write: Callable[..., Path]) -> None:
    folder = write({'strong_first.py': "_base_ = './strong.py'\ndata = 'first'\nepochs = 6\n"})
    assert load(folder / 'strong.py') == load(folder / 'strong.py', 'first') == load(folder / 'strong_first.py')
    assert load(folder / 'strong.py')['epochs'] == 6


@pytest.mark.parametrize(
    ('name', 'data', 'message'),
    [
        ('weak.py', 'second', 'unknown data set .second.: did you mean second-hn?'),
        ('weak.py', 'x', 'known are first, points, second-hn'),
        ('weak.py', 'mine/other.py', 'data set mine/other.py: there is no such file'),
        ('_base_/model.py', 'first', 'inherits no data set, which .first. could replace'),
        ('on_mine.py', 'first', "data 'first' was asked for, but data_name is 'mine'"),
        ('number.py', None, 'data must be the name of a data set, found 21'),
    ],
)
def test_what_cannot_be_replaced_is_refused(
    name: str, data: str | None, message: str, write: Callable[..., Path]
) -> None:
    more = {'number.py': "_base_ = './strong.py'\ndata = 21\n", 'on_mine.py': "_base_ = './mine/data.py'\n"}
    folder = write(more)
    with pytest.raises(ConfigError, match=message):
        load_config(folder / name, data=data)
    with pytest.raises(ConfigError, match='an override of data has no effect; give --data NAME instead'):
        load_config(folder / 'weak.py', ['data=second-hn'])


def folders(path: Path, data: str | None = None) -> list[str]:
    return [stage.config.folder for stage in load_experiment(path, 'work', data=data).stages]


def test_stages_have_the_data_set_of_the_experiment_or_their_own(write: Callable[..., Path]) -> None:
    text = FILES['staged.py']
    folder = write(
        {
            'on_second.py': f"data = 'second-hn'\n{text}",
            'on_mine.py': f"data = 'mine/data.py'\n{text}",
            'mixed.py': text.replace("'./weak.py'", "'./weak.py', data='second-hn'"),
            'inherited.py': "_base_ = './on_second.py'\n",
            'number.py': text.replace("'./weak.py'", "'./weak.py', data=21"),
        }
    )
    assert folders(folder / 'staged.py') == ['data/first', 'data/first']
    assert folders(folder / 'staged.py', 'second-hn') == ['data/second', 'data/second']
    assert folders(folder / 'on_second.py') == folders(folder / 'inherited.py') == ['data/second', 'data/second']
    assert folders(folder / 'on_second.py', 'first') == ['data/first', 'data/first']
    assert folders(folder / 'on_mine.py') == ['data/mine', 'data/mine']
    assert folders(folder / 'mixed.py') == ['data/first', 'data/second']
    assert folders(folder / 'mixed.py', str(folder / 'mine/data.py')) == ['data/mine', 'data/second']
    with pytest.raises(ConfigError, match=r'number\.py: data must be the name of a data set, found 21'):
        folders(folder / 'number.py')


def test_reading_in_one_thread_leaves_the_others_alone(write: Callable[..., Path]) -> None:
    folder, wrong = write(), []

    def read(data: str, expected: str) -> None:
        wrong.extend(1 for _ in range(10) if load(folder / 'weak.py', data)['folder'] != expected)

    threads = [
        threading.Thread(target=read, args=each) for each in (('first', 'data/first'), ('second-hn', 'data/second'))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_runs_are_called_by_config_and_data_set() -> None:
    assert run_name('configs/uts/uts_lite0.py', 'midog21_hn') == 'uts_lite0_midog21-hn'
    assert run_name('configs/uts/uts_lite0.py', 'mine/my_data.py') == 'uts_lite0_my-data'
    assert run_name('configs/uts/uts_lite0.py') == 'uts_lite0'


@pytest.mark.parametrize(
    ('config', 'data', 'message'),
    [
        (
            'wss/lite0_max_weak',
            'bcss',
            "learns points of amibr_fields, and the data set 'bcss' has tissue classes.*configs/tissue",
        ),
        (
            'tissue/unet_phantom',
            'midog21',
            "learns tissue classes of phantom_tissue, and the data set 'midog21' has points.*configs/uts",
        ),
    ],
)
def test_a_data_set_of_another_task_is_refused(config: str, data: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(config, data=data)


def test_a_stage_whose_data_set_is_of_another_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="learns points of amibr_fields, and the data set 'bcss' has tissue classes"):
        load_experiment('uts/uts_lite0', tmp_path, data='bcss')


def test_a_config_of_the_package_is_a_base_wherever_a_config_lies(tmp_path: Path) -> None:
    own = tmp_path / 'mine.py'
    own.write_text("_base_ = 'mitouts::wss/lite0_max_strong'\nmodel = dict(test_cfg=dict(sigma_px=1))\n")
    for data in (None, 'midog21'):
        config, package = load_config(own, data=data), load_config('wss/lite0_max_strong', data=data)
        assert config.model.pop('test_cfg').sigma_px == 1
        package.model.pop('test_cfg', None)
        assert config._cfg_dict.to_dict() == package._cfg_dict.to_dict()


def test_a_base_that_the_package_has_not_ends_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / 'mine.py').write_text("_base_ = 'mitouts::wss/lite0_max_strng'\n")
    with pytest.raises(ConfigError, match='did you mean wss/lite0_max_strong'):
        load_config(tmp_path / 'mine.py')

"""Configs by path and by name, from any folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from mitouts.engine.stages import load_experiment
from mitouts.errors import ConfigError
from mitouts.utils.config_files import config_name, config_names, config_root, data_names, find_base, find_config

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


@pytest.mark.parametrize(
    'name',
    ['tissue/unet_phantom', 'tissue/unet_phantom.py', 'configs/tissue/unet_phantom.py', 'configs/tissue/unet_phantom'],
)
def test_a_config_is_found_from_any_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_config(name) == CONFIGS / 'tissue' / 'unet_phantom.py'


def test_a_path_goes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'tissue').mkdir()
    (tmp_path / 'tissue' / 'unet_phantom.py').write_text('')
    for name in ('tissue/unet_phantom', 'tissue/unet_phantom.py'):
        assert find_config(name) == Path('tissue/unet_phantom.py')


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(
        ConfigError, match=r'config tissue/unet_fantom does not exist; did you mean tissue/unet_phantom'
    ):
        find_config('tissue/unet_fantom')
    with pytest.raises(ConfigError, match=r'config unet_phantom does not exist; did you mean tissue/unet_phantom\?'):
        find_config('unet_phantom')
    with pytest.raises(ConfigError, match=r'suite suites/phantm does not exist; did you mean suites/phantom'):
        find_config('suites/phantm', '.yaml')


def test_the_names_are_those_of_configs_that_run() -> None:
    names = config_names()
    assert config_root() == CONFIGS
    assert 'tissue/unet_phantom' in names
    assert not [name for name in names if name.startswith('_base_')]


def test_the_stages_of_a_named_config_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    experiment = load_experiment('uts/uts_lite0', tmp_path / 'run', data='phantom')
    assert [stage.name for stage in experiment.stages] == ['teacher', 'distill', 'student']


def test_a_config_of_the_package_is_called_by_its_name_and_others_by_their_path() -> None:
    assert config_name(CONFIGS / 'uts' / '..' / 'tissue' / 'unet_phantom.py') == 'tissue/unet_phantom'
    assert config_name('my/own.py') == 'my/own.py'
    assert config_name(None) == ''
    assert find_base('mitouts::tissue/unet_phantom', Path('my')) == find_config('tissue/unet_phantom')
    assert find_base('../own.py', Path('my')) == Path('my/../own.py')


def test_the_names_of_data_sets_are_those_that_data_takes() -> None:
    assert {'phantom', 'midog21-hn'} <= set(data_names())

from __future__ import annotations

import pytest
from mmengine.config import Config

from mitouts.engine.config import enable_amp, load_config, resolve
from mitouts.engine.overrides import apply_overrides
from mitouts.errors import ConfigError


@pytest.fixture
def config() -> Config:
    return Config(
        dict(
            model=dict(head=dict(aggregator=dict(type='MaxAggregator'))),
            train_cfg=dict(max_epochs=7),
            pipeline=[dict(type='LoadImage'), dict(type='Augment', recipe='alpha')],
            param_scheduler=[dict(type='CosineAnnealingLR', T_max='max_epochs')],
        )
    )


def test_max_epochs_stands_for_the_number_of_epochs(config: Config) -> None:
    apply_overrides(config, ['train_cfg.max_epochs=9'])
    resolved = resolve(config)
    assert resolved.param_scheduler[0].T_max == 9
    assert config.param_scheduler[0].T_max == 'max_epochs'


def test_missing_config_suggests_a_neighbour(tmp_path) -> None:
    (tmp_path / 'uts_lite0.py').write_text('a = 1')
    with pytest.raises(ConfigError, match=r'does not exist; did you mean uts_lite0.py'):
        load_config(tmp_path / 'uts_lite.py')


def test_broken_config_is_one_clear_error(tmp_path) -> None:
    path = tmp_path / 'broken.py'
    path.write_text('a = (1,')
    with pytest.raises(ConfigError, match='SyntaxError'):
        load_config(path)


def test_amp_without_a_gpu_says_so(config: Config, monkeypatch) -> None:
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    with pytest.raises(ConfigError, match='--amp needs a CUDA GPU'):
        enable_amp(config)

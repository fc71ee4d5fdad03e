from __future__ import annotations

import pytest
from mmengine.config import Config

from mitouts.engine.config import apply_overrides, enable_amp, load_config, parse_value, resolve
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


def test_overrides_set_nested_keys_and_list_elements(config: Config) -> None:
    apply_overrides(config, ['model.head.aggregator.type=MeanAggregator', 'pipeline.1.recipe=beta'])
    assert config.model.head.aggregator.type == 'MeanAggregator'
    assert config.pipeline[1].recipe == 'beta'


def test_unknown_key_names_the_nearest(config: Config) -> None:
    with pytest.raises(ConfigError, match=r"'model.head.agregator'.*nearest is 'model.head.aggregator'"):
        apply_overrides(config, ['model.head.agregator.type=MeanAggregator'])
    with pytest.raises(ConfigError, match=r"'train_cfg.max_epoch'.*'train_cfg.max_epochs'"):
        apply_overrides(config, ['train_cfg.max_epoch=3'])


def test_plus_adds_a_key_and_its_parents(config: Config) -> None:
    apply_overrides(config, ['+distillation.criterion.radius_px=15', '+model.head.dropout=0.1'])
    assert config.distillation.criterion.radius_px == 15
    assert config.model.head.dropout == 0.1


@pytest.mark.parametrize('option', ['pipeline.2.recipe=beta', 'pipeline.first.recipe=beta', 'train_cfg.max_epochs.x=1'])
def test_a_path_that_leads_nowhere_is_an_error(config: Config, option: str) -> None:
    with pytest.raises(ConfigError):
        apply_overrides(config, [option])


def test_an_override_without_a_value_is_an_error(config: Config) -> None:
    with pytest.raises(ConfigError, match='key=value'):
        apply_overrides(config, ['train_cfg.max_epochs'])


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('3', 3),
        ('1e-3', 1e-3),
        ('true', True),
        ('None', None),
        ('[1, 2]', [1, 2]),
        ('beta', 'beta'),
        ('dict(a=1)', 'dict(a=1)'),
    ],
)
def test_values_are_literals_or_strings(text: str, value: object) -> None:
    assert parse_value(text) == value


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

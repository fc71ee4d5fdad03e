"""Overrides from the command line: what they set, what they mean, and what is refused before anything is built."""

from __future__ import annotations

import pytest
from mmengine.config import Config

from mitouts.engine.overrides import apply_overrides, nearest_keys, parse_value
from mitouts.errors import ConfigError


@pytest.fixture
def config() -> Config:
    scheduler = dict(type='CosineAnnealingLR', T_max='max_epochs')
    return Config(
        dict(
            model=dict(head=dict(aggregator=dict(type='MaxAggregator'), channels=64)),
            train_dataloader=dict(batch_size=8, num_workers=0, drop_last=True, sampler=dict(type='DefaultSampler')),
            train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=7),
            optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3)),
            val_evaluator=dict(type='LocalizationEvaluator', metrics=[dict(type='ImageMetric')], thresholds='select'),
            pipeline=[dict(type='LoadImage'), dict(type='Augment', recipe='alpha')],
            param_scheduler=[scheduler],
            distillation=dict(criterion=dict(type='CentroidDisagreement', radius_px=30)),
            areas=[1.59, 2.0],
            load_from=None,
        )
    )


def test_overrides_set_nested_keys_and_list_elements(config: Config) -> None:
    apply_overrides(config, ['model.head.aggregator.type=MeanAggregator', 'pipeline.1.recipe=beta'])
    assert config.model.head.aggregator.type == 'MeanAggregator'
    assert config.pipeline[1].recipe == 'beta'


def test_unknown_key_names_the_nearest(config: Config) -> None:
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
        ('dict(a=1)', {'a': 1}),
        ("dict(type='X', b=dict(c=[1, 2]), d=None)", {'type': 'X', 'b': {'c': [1, 2]}, 'd': None}),
        ('[dict(type="X"), {"type": "Y"}]', [{'type': 'X'}, {'type': 'Y'}]),
        ('dict()', {}),
        ('{"a": true, "b": none}', {'a': True, 'b': None}),
        ('1e-4.', '1e-4.'),
        ('dict(1, 2)', 'dict(1, 2)'),
        ('dict(**{})', 'dict(**{})'),
        ('list(a=1)', 'list(a=1)'),
        ('dict(a=__import__("os").getcwd())', 'dict(a=__import__("os").getcwd())'),
        ('dict(a=open)', 'dict(a=open)'),
        ('(' * 300, '(' * 300),
    ],
)
def test_values_are_literals_or_strings(text: str, value: object) -> None:
    assert parse_value(text) == value


def test_a_hint_goes_to_the_end_of_the_key(config: Config) -> None:
    with pytest.raises(ConfigError, match=r"'optim_wrapper.optimiser.lr'; the nearest is 'optim_wrapper.optimizer.lr'"):
        apply_overrides(config, ['optim_wrapper.optimiser.lr=0.1'])
    with pytest.raises(ConfigError, match=r"nearest is 'model.head.aggregator.type'"):
        apply_overrides(config, ['model.head.agregator.type=MeanAggregator'])


def test_a_key_without_its_beginning_is_found(config: Config) -> None:
    assert nearest_keys(config, 'optimizer.lr') == ['optim_wrapper.optimizer.lr']
    assert nearest_keys(config, 'max_epochs') == ['train_cfg.max_epochs']
    assert nearest_keys(config, '1.recipe') == ['pipeline.1.recipe']


def test_an_argument_that_a_component_takes_needs_no_plus(config: Config) -> None:
    apply_overrides(config, ["val_evaluator.image_threshold=dict(type='FixedThreshold', value=0.5)"])
    assert config.val_evaluator.image_threshold == dict(type='FixedThreshold', value=0.5)
    with pytest.raises(ConfigError, match=r"nearest is 'val_evaluator.image_threshold'"):
        apply_overrides(config, ['val_evaluator.image_treshold=0.5'])


def test_delete_is_no_part_of_a_value_that_replaces_the_old_one(config: Config) -> None:
    apply_overrides(config, ["model.head.aggregator=dict(_delete_=True, type='MeanAggregator')"])
    assert config.model.head.aggregator == dict(type='MeanAggregator')


@pytest.mark.parametrize(
    ('option', 'expected'),
    [
        ('train_cfg.max_epochs=ten', "train_cfg.max_epochs='ten': expected a whole number"),
        ('train_cfg.max_epochs=2.5', 'train_cfg.max_epochs=2.5: expected a whole number'),
        ('train_cfg.max_epochs=None', 'train_cfg.max_epochs=None: expected a whole number'),
        ('train_cfg.max_epochs=True', 'train_cfg.max_epochs=True: expected a whole number'),
        ('train_cfg.max_epochs=0', 'train_cfg.max_epochs=0: expected a whole number from 1'),
        ('train_cfg.max_epochs=-3', 'train_cfg.max_epochs=-3: expected a whole number from 1'),
        ('train_dataloader.batch_size=0', 'train_dataloader.batch_size=0: expected a whole number from 1'),
        ('train_dataloader.batch_size=None', 'train_dataloader.batch_size=None: expected a whole number from 1'),
        ('train_dataloader.batch_size=eight', "train_dataloader.batch_size='eight': expected a number, as it was \\(8"),
        ('train_dataloader.batch_size=[8]', r'train_dataloader.batch_size=\[8\]: expected a number'),
        ('train_dataloader.num_workers=-1', 'train_dataloader.num_workers=-1: expected a whole number from 0'),
        ('train_dataloader.drop_last=maybe', "train_dataloader.drop_last='maybe': expected true or false"),
        ('train_dataloader.sampler=DefaultSampler', r"sampler='DefaultSampler': expected dict\(\.\.\.\)"),
        ('optim_wrapper.optimizer.lr=1e-4.', "optim_wrapper.optimizer.lr='1e-4.': expected a number"),
        ('optim_wrapper.optimizer.lr=None', 'optim_wrapper.optimizer.lr=None: expected a number'),
        ('optim_wrapper.optimizer.lr=-0.1', 'optim_wrapper.optimizer.lr=-0.1: expected a number from 0'),
        ('optim_wrapper.optimizer.lr=1e999', 'optim_wrapper.optimizer.lr=inf: expected a number from 0'),
        ('optim_wrapper.optimizer.lr=nan', "optim_wrapper.optimizer.lr='nan': expected a number"),
        ('optim_wrapper.optimizer=0.1', r'optim_wrapper.optimizer=0.1: expected dict\(\.\.\.\)'),
        ("param_scheduler=dict(type='LinearLR')", r'param_scheduler=.*: expected a list'),
        ('pipeline=LoadImage', "pipeline='LoadImage': expected a list"),
        ('areas=dict(a=1)', 'areas=.*: expected a list, as it was'),
        ('val_evaluator.metrics=ImageMetric', "val_evaluator.metrics='ImageMetric': expected a list"),
        ('val_evaluator.thresholds=chosen', "val_evaluator.thresholds='chosen': expected 'select' or 'checkpoint'"),
        ('val_evaluator.image_threshold=0.5', r'val_evaluator.image_threshold=0.5: expected dict\(\.\.\.\) or None'),
        (
            'val_evaluator.image_threshold=dict(type="FixedThreshold",value="half")',
            "val_evaluator.image_threshold.value='half': expected a number",
        ),
        ('val_evaluator.image_threshold=dict(type="FixedThreshold"', 'cannot be read; expected a Python literal'),
        ('+model.head.loss={"type": X}', r'\+?model.head.loss=.*cannot be read'),
        ('distillation.criterion.radius_px=near', "distillation.criterion.radius_px='near': expected a number"),
        ('distillation.criterion.policy=some', "distillation.criterion.policy='some': expected 'any_true' or "),
        ('load_from=5', 'load_from=5: expected text or None'),
    ],
)
def test_a_value_of_another_kind_names_the_key_and_what_was_expected(
    config: Config, option: str, expected: str
) -> None:
    with pytest.raises(ConfigError, match=expected) as raised:
        apply_overrides(config, [option])
    assert '\n' not in str(raised.value)


@pytest.mark.parametrize(
    'option',
    [
        'optim_wrapper.optimizer.lr=1',
        'train_cfg.val_interval=5',
        'param_scheduler.0.T_max=12',
        'param_scheduler.0.T_max=max_epochs',
        'param_scheduler=[]',
        'train_dataloader.drop_last=0',
        'distillation.criterion.radius_px=15.5',
        '+optim_wrapper.clip_grad.max_norm=5',
        'load_from=best.pth',
        'areas=[1]',
        'areas=2.37',
        'areas=None',
        'val_evaluator=None',
    ],
)
def test_values_of_the_right_kind_are_taken(config: Config, option: str) -> None:
    apply_overrides(config, [option])
    assert nearest_keys(config, option)


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('param_scheduler.0.T_max=0', r'param_scheduler\.0\.T_max=0: expected a whole number from 1'),
        ('param_scheduler=[dict(type="StepLR", step_size=0)]', r'param_scheduler\.0\.step_size=0: expected .* from 1'),
        ('param_scheduler=[dict(type="LinearLR", start_factor=0)]', r'param_scheduler\.0\.start_factor=0: expected'),
        ('+optim_wrapper.clip_grad=dict(maxnorm=1)', r'clip_grad\.maxnorm: expected one of type, max_norm'),
        ('+optim_wrapper.clip_grad=dict(max_norm=1, norm_type="x")', r"clip_grad\.norm_type='x': expected a number"),
        ('+optim_wrapper.clip_grad=dict(type="value", clip_value=-1)', r'clip_grad\.clip_value=-1: expected .* from 0'),
        ('train_cfg.type=TestLoop', r"train_cfg\.type='TestLoop': expected 'EpochBasedTrainLoop' or"),
        ('+test_cfg.type=ValLoop', r"test_cfg\.type='ValLoop': expected 'TestLoop'"),
        ('train_dataloader.sampler.type=InfiniteSampler', 'never comes to the end of an epoch'),
    ],
)
def test_a_schedule_that_could_not_be_run_is_refused_before_it_is(config: Config, option: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        apply_overrides(config, [option])


def test_a_schedule_may_follow_the_epochs_and_a_gradient_be_clipped(config: Config) -> None:
    apply_overrides(config, ['param_scheduler.0.T_max=max_epochs', '+optim_wrapper.clip_grad=dict(max_norm=5)'])
    assert config.optim_wrapper.clip_grad == {'max_norm': 5}


@pytest.mark.parametrize(
    ('option', 'instead'),
    [
        ('+custom_imports=dict(imports=["mine"])', '--import'),
        ('+resume=True', '--resume'),
        ('+work_dir=x', '--work-dir'),
    ],
)
def test_an_override_that_would_have_no_effect_names_the_option_that_has(
    config: Config, option: str, instead: str
) -> None:
    with pytest.raises(ConfigError, match=f'has no effect; give {instead}'):
        apply_overrides(config, [option])

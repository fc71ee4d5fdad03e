"""Names in configs: what is found, and what is said about those that are not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import OrderedDict

import mmengine.hooks
import pytest
from mmengine import registry as roots
from mmengine.hooks import EMAHook
from mmengine.registry import DefaultScope
from torch import nn

from mitouts import registry
from mitouts.engine.hooks import EMATeacherHook, NonFiniteLossHook
from mitouts.models.aggregators import MaxAggregator
from mitouts.models.backbones import ResNet
from mitouts.registry import (
    AGGREGATORS,
    CRITERIA,
    EVALUATOR,
    HOOKS,
    MODELS,
    SLIDE_READERS,
    STAGES,
    STAIN_NORMALIZERS,
    THRESHOLD_SELECTORS,
    Registry,
    UnknownComponentError,
    locating,
)


@pytest.fixture(autouse=True)
def no_default_scope(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner that was built in the same process leaves its scope behind."""
    monkeypatch.setattr(DefaultScope, '_instance_dict', OrderedDict())


def _localizer(aggregator: str) -> dict:
    head = {'type': 'InstanceHead', 'aggregator': {'type': aggregator}}
    return {'type': 'WSSLocalizer', 'backbone': {'type': 'ResNet', 'depth': 18}, 'head': head}


def test_unknown_name_names_registry_and_the_nearest_known_names() -> None:
    with pytest.raises(UnknownComponentError) as caught:
        AGGREGATORS.build({'type': 'MaxAgregator'})
    assert caught.value.nearest[0] == 'MaxAggregator'
    message = str(caught.value)
    assert "'MaxAgregator' is not in the mitouts::aggregator registry (config key 'type')" in message
    assert "Did you mean 'MaxAggregator' or" in message
    assert 'custom_imports' in message


def test_name_like_no_other_lists_what_the_registry_knows() -> None:
    with pytest.raises(
        UnknownComponentError,
        match=r'It knows: AnnealedMaxAggregator, .*, TopKMeanAgg',
    ):
        AGGREGATORS.require('xyzzy_42')


def test_unknown_name_in_a_nested_config_is_located_from_the_outermost_build() -> None:
    with pytest.raises(UnknownComponentError) as caught:
        MODELS.build(_localizer('MaxAgregator'))
    assert caught.value.config_keys == ['head.aggregator.type']
    assert "mitouts::aggregator registry (config key 'head.aggregator.type')" in str(caught.value)


def test_unknown_name_is_located_in_a_whole_config() -> None:
    config = {'train_cfg': {'max_epochs': 3}, 'model': _localizer('MaxAgregator')}
    with pytest.raises(UnknownComponentError) as caught:
        MODELS.build(config['model'])
    caught.value.locate(config)
    assert "(config key 'model.head.aggregator.type')" in str(caught.value)


def test_unknown_name_in_a_list_is_located_by_its_index() -> None:
    metrics = [{'type': 'ImageMetric'}, {'type': 'CentroidMetrik'}]
    with pytest.raises(UnknownComponentError) as caught:
        EVALUATOR.build({'type': 'LocalizationEvaluator', 'metrics': metrics, 'thresholds': 'checkpoint'})
    assert caught.value.config_keys == ['metrics.1.type']
    assert caught.value.registry_name == 'mitouts::metric'


def test_name_that_stands_twice_is_located_twice() -> None:
    error = UnknownComponentError('Nope', 'mitouts::model', ['Yes'])
    error.locate({'model': {'type': 'Nope', 'neck': [{'type': 'Nope'}], 'name': 'Nope'}})
    assert error.config_keys == ['model.type', 'model.neck.0.type']
    assert "(config key 'model.type', 'model.neck.0.type')" in str(error)


@pytest.mark.parametrize('name', ['mmnosuch.RetinaNet', 'mitouts.Nope', 'nosuch.module.Thing'])
def test_unknown_name_with_a_prefix_is_an_unknown_name(name: str) -> None:
    assert MODELS.get(name) is None
    with pytest.raises(UnknownComponentError, match=name):
        MODELS.require(name)


@pytest.mark.parametrize('name', ['Nope', 'mmnosuch.RetinaNet', 'mitouts.Nope', 'nosuch.module.Thing', 'mmengine.Nope'])
def test_an_unknown_name_is_none_as_in_mmengine(name: str) -> None:
    assert roots.MODELS.get(name) is None
    assert MODELS.get(name) is None


def test_what_is_no_name_is_refused_as_in_mmengine() -> None:
    for registry_asked in (roots.MODELS, MODELS):
        with pytest.raises(TypeError):
            registry_asked.get(nn.Module)


@pytest.mark.parametrize('name', ['os.system', 'os', 'subprocess.Popen', 'mmengine.utils.call_command'])
def test_what_is_not_registered_is_never_found(name: str) -> None:
    assert MODELS.get(name) is None
    assert CRITERIA.get(name) is None


def test_an_unknown_name_of_a_registry_of_mmengine_is_told_alike() -> None:
    hook = {'type': 'EMATeacherHok'}
    with (
        DefaultScope.overwrite_default_scope('mitouts'),
        pytest.raises(UnknownComponentError) as caught,
        locating({'custom_hooks': [hook]}),
    ):
        roots.HOOKS.build(hook)
    assert caught.value.nearest[0] == 'EMATeacherHook'
    assert "not in the mitouts::hook registry (config key 'custom_hooks.0.type')" in str(caught.value)


def test_another_missing_key_stays_what_it_is() -> None:
    with pytest.raises(KeyError) as caught, locating({}):
        raise KeyError('width')
    assert type(caught.value) is KeyError


def test_component_of_a_parent_is_found_and_ours_goes_first() -> None:
    assert MODELS.get('BN') is nn.BatchNorm2d
    assert MODELS.get('ResNet') is ResNet
    assert HOOKS.get('EMAHook').__module__ == 'mmengine.hooks.ema_hook'
    assert HOOKS.get('CheckpointHook').__module__.startswith('mitouts.')


def test_names_of_parents_are_suggested() -> None:
    with pytest.raises(UnknownComponentError) as caught:
        MODELS.require('BaseDataPreproccesor')
    assert caught.value.nearest[0] == 'BaseDataPreprocessor'


def test_aggregators_need_no_default_scope() -> None:
    assert DefaultScope.get_current_instance() is None
    assert isinstance(AGGREGATORS.build({'type': 'MaxAggregator'}), MaxAggregator)


def test_membership_answers_without_raising() -> None:
    assert 'WSSLocalizer' in MODELS
    assert 'BaseDataPreprocessor' in MODELS
    assert 'MaxAggregator' in AGGREGATORS
    assert 'MaxAgregator' not in AGGREGATORS
    assert 'mmnosuch.RetinaNet' not in MODELS


@pytest.mark.parametrize(
    'name', ['os.system', 'subprocess.Popen', 'mitouts.checkpoint.os.system', 'os', 'os.path.join']
)
def test_what_is_not_registered_is_never_built(name: str) -> None:
    with pytest.raises(UnknownComponentError, match=name):
        MODELS.build({'type': name, 'command': 'exit 1'})


@pytest.mark.parametrize('name', ['os.system', 'mmengine.rmtree', 'mmengine.utils.call_command', 'mmcv.imwrite'])
@pytest.mark.parametrize('scope', ['mmengine', 'mitouts', 'os'])
def test_no_other_registry_is_asked_for_what_is_not_registered(name: str, scope: str) -> None:
    part = {'type': name, '_scope_': scope, 'command': 'exit 1'}
    with pytest.raises(UnknownComponentError, match=name):
        MODELS.build(part)
    with pytest.raises(UnknownComponentError, match=r"config key 'backbone\.type'"):
        MODELS.build({**_localizer('MaxAggregator'), 'backbone': part})


@pytest.mark.parametrize(
    'kind',
    [
        'EMATeacherHook',
        'mitouts.EMATeacherHook',
        'mitouts.engine.hooks.EMATeacherHook',
        'mitouts.engine.hooks.ema_teacher.EMATeacherHook',
        EMATeacherHook,
    ],
)
def test_a_class_is_known_however_it_is_named(kind: str | type) -> None:
    assert HOOKS.class_of({'type': kind, 'momentum': 0.1}) is EMATeacherHook
    assert HOOKS.is_kind({'type': kind}, NonFiniteLossHook, EMAHook)
    assert not HOOKS.is_kind({'type': kind}, NonFiniteLossHook)


def test_the_class_of_a_built_component_is_its_own() -> None:
    assert HOOKS.is_kind(NonFiniteLossHook(), NonFiniteLossHook)


def test_the_scope_of_a_config_says_where_a_name_is_looked_up() -> None:
    assert HOOKS.class_of({'type': 'CheckpointHook', '_scope_': 'mmengine'}) is mmengine.hooks.CheckpointHook
    assert HOOKS.class_of({'type': 'mmengine.CheckpointHook'}) is mmengine.hooks.CheckpointHook
    assert not HOOKS.is_kind({'type': 'CheckpointHook'}, mmengine.hooks.CheckpointHook)


def test_a_config_without_a_type_is_of_no_kind() -> None:
    assert not HOOKS.is_kind({}, EMAHook)
    assert not HOOKS.is_kind({'type': None}, EMAHook)


def test_own_parts_are_found_without_importing_them_first_and_without_a_network() -> None:
    """albumentations would ask PyPI for its newest version, and wait for the answer."""
    script = (
        'import urllib.request\n'
        'def refuse(*args, **kwargs): raise SystemExit("a server was asked")\n'
        'urllib.request.OpenerDirector.open = refuse\n'
        'from mitouts.registry import AGGREGATORS, DATASETS, TRANSFORMS\n'
        'AGGREGATORS.get("MaxAggregator"), DATASETS.get("PointDataset"), TRANSFORMS.get("Augment")\n'
    )
    environment = {key: value for key, value in os.environ.items() if key != 'NO_ALBUMENTATIONS_UPDATE'}
    done = subprocess.run(
        [sys.executable, '-c', script], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    'name',
    [
        'LOOPS',
        'LOG_PROCESSORS',
        'MODEL_WRAPPERS',
        'OPTIMIZERS',
        'OPTIM_WRAPPERS',
        'PARAM_SCHEDULERS',
        'RUNNERS',
        'VISUALIZERS',
    ],
)
def test_roots_without_parts_of_ours_still_have_a_child_in_our_scope(name: str) -> None:
    child = getattr(roots, name).children[registry.SCOPE]
    assert isinstance(child, Registry)
    assert child.parent is getattr(roots, name)


@pytest.mark.parametrize('own', [STAGES, CRITERIA, STAIN_NORMALIZERS, SLIDE_READERS, THRESHOLD_SELECTORS])
def test_a_registry_without_a_root_is_known_as_well(own: Registry) -> None:
    name, component = next(iter(own.own_components().items()))
    assert own in {*registry.all_registries()}
    assert registry.find_component(name) is component
    assert own.require(registry.import_path(component)) is component


def test_importing_the_package_imports_nothing_but_itself_and_the_standard_library() -> None:
    script = (
        'import sys; before = set(sys.modules); import mitouts; '
        'new = {name.partition(".")[0] for name in set(sys.modules) - before}; '
        'print(sorted(new - set(sys.stdlib_module_names)))'
    )
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "['mitouts']"

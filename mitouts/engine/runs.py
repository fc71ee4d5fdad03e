"""Runs a training or a test, for commands and stages."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import EMAHook

from mitouts.calibration.adaptation import adapt_batch_norm, dataset_batches
from mitouts.datasets.preparation import prepare_dataset
from mitouts.engine.config import explained, resolve
from mitouts.engine.hooks.checkpoint import BEST_NAME, POINTER_NAME
from mitouts.engine.hooks.training_only import TrainingOnlyHook
from mitouts.engine.launch import set_launcher
from mitouts.engine.runner import Runner
from mitouts.errors import CheckpointError, ConfigError
from mitouts.evaluation.evaluator import LocalizationEvaluator
from mitouts.formats.leakage import WITHIN_CASES_KEY, check_splits
from mitouts.formats.predictions import write_predictions
from mitouts.registry import DATASETS, HOOKS, locating
from mitouts.structures import EvaluatedImage
from mitouts.utils.config_files import config_name, find_base
from mitouts.utils.memory import keep_freed_memory
from mitouts.utils.ranks import peers_explained, together
from mitouts.visualization.field_of_view import write_overlays

TRAINING_KEYS = ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'auto_scale_lr')
VALIDATION_KEYS = ('val_dataloader', 'val_cfg', 'val_evaluator')
TRAINING_HOOKS = (EMAHook, TrainingOnlyHook)
TEST_KEYS = ('test_dataloader', 'test_cfg', 'test_evaluator')


@dataclass(frozen=True)
class TrainRun:
    """A finished training: its best checkpoint (without validation the last one), minutes and number of images."""

    checkpoint: Path
    minutes: float
    images: int


@dataclass(frozen=True)
class EvaluationRun:
    """The results and records of a test."""

    results: dict[str, Any]
    records: list[EvaluatedImage]


def train(config: Config, work_dir: str | Path, *, resume: bool = False, launcher: str = 'none') -> TrainRun:
    """Train by a config.

    Args:
        config: Training config.
        work_dir: Gets logs, the resolved config, ``epoch_N.pth`` and ``best.pth``.
        resume: Go on from the newest checkpoint in ``work_dir``, if there is one.
        launcher: ``none``, ``pytorch`` or ``slurm``.

    Raises:
        MitoutsError: Bad data, a loss that is not finite, a full disk, and so on.
    """
    work_dir = Path(work_dir)
    _need(config, TRAINING_KEYS[:3])
    config = Config(config._cfg_dict.to_dict(), filename=config.filename)
    if not resume:
        set_aside(work_dir)
    newest = newest_checkpoint(work_dir) if resume else None
    if newest is not None:
        # mmengine resumes from load_from where it is set, which would restart a fine-tuning.
        config.load_from = str(newest)
    keep_freed_memory()
    with located(config):
        with explained(config), together():
            notes = check_data(config)
        runner = _build(config, work_dir, launcher, resume=newest is not None)
        for note in notes:
            runner.logger.info(note)
        runner.train()
    seconds = runner.message_hub.runtime_info.get('train_seconds', 0.0)
    with together():
        return TrainRun(checkpoint_of(work_dir), float(seconds) / 60, len(runner.train_dataloader.dataset))


def evaluate(
    config: Config,
    checkpoint: str | Path,
    work_dir: str | Path,
    *,
    launcher: str = 'none',
    out: str | Path | None = None,
    show_dir: str | Path | None = None,
    adapt_bn: float | None = None,
) -> EvaluationRun:
    """Test a checkpoint on the config's test images.

    Args:
        config: Config; its training part is not used.
        checkpoint: Carries the thresholds, unless ``test_evaluator.thresholds`` is ``select``.
        work_dir: Gets logs.
        launcher: ``none``, ``pytorch`` or ``slurm``.
        out: Predictions JSON to write.
        show_dir: Folder for one overlay an image.
        adapt_bn: First adapt the batch norms to the test images, without their labels, with the checkpoint's
            statistics worth this many images; None leaves them.
    """
    _need(config, TEST_KEYS)
    config = _without(config, (*TRAINING_KEYS, *VALIDATION_KEYS))
    config.load_from = str(checkpoint)
    with located(config):
        _leave_out_training_hooks(config)
        runner = _build(config, Path(work_dir), launcher)
        evaluator = runner.test_evaluator
        if (out or show_dir) and not isinstance(evaluator, LocalizationEvaluator):
            raise ConfigError(f'{type(evaluator).__name__} finds no points: leave out --out and --show-dir')
        adapted = {} if adapt_bn is None else {'adapt_bn': _adapt(runner, adapt_bn)}
        runner.test()
    evaluator.results.update(adapted)
    with together():
        if is_main_process() and out is not None:
            save_predictions(out, evaluator.records, evaluator.results, checkpoint)
        if is_main_process() and show_dir is not None:
            radius = overlay_radius_px(config, evaluator.records[0].truth.mpp)
            write_overlays(show_dir, evaluator.records, threshold=evaluator.results['map_threshold'], radius_px=radius)
    return EvaluationRun(evaluator.results, evaluator.records)


def _leave_out_training_hooks(config: Config) -> None:
    def serves_a_test(hook: Any) -> bool:
        return hook is None or not HOOKS.is_kind(hook, *TRAINING_HOOKS)

    config.custom_hooks = [hook for hook in config.get('custom_hooks') or [] if serves_a_test(hook)]
    defaults = config.get('default_hooks') or {}
    config.default_hooks = {name: hook for name, hook in defaults.items() if serves_a_test(hook)}


def _adapt(runner: Runner, prior: float) -> dict[str, Any]:
    runner.load_or_resume()
    dataset = runner.test_dataloader.dataset
    prepare_dataset(dataset, runner.bare_model.calibration, getattr(dataset, 'ann_file', 'the test set'))
    return adapt_batch_norm(runner.bare_model, dataset_batches(dataset), prior=prior).to_dict()


def check_data(config: Config) -> list[str]:
    """Read all splits, so that errors in them show before hours of training.

    Returns:
        What the log should say of them; see :func:`mitouts.formats.leakage.check_splits`.

    Raises:
        AnnotationError: A file is broken, an image does not exist, or one image is in two splits. A case in two splits
            only warns.
        ConfigError: A data set cannot say what its images are, or has too few of them for a batch.
    """
    splits: dict[str, dict[str, Any]] = {}
    for split in ('train', 'val', 'test'):
        if config.get(f'{split}_dataloader') is None:
            continue
        dataset = DATASETS.build({**config[f'{split}_dataloader'].dataset, 'pipeline': []})
        if not hasattr(dataset, 'get_data_info'):
            raise ConfigError(
                f'config {config.filename}: {split}_dataloader.dataset, a {type(dataset).__name__}, has no '
                'get_data_info(index), which says what file and what case an image is: derive it from '
                'mitouts.datasets.seeded.SeededDataset (docs/extend.md)'
            )
        if split == 'train':
            _need_a_batch(config, len(dataset))
        infos = map(dataset.get_data_info, range(len(dataset)))
        images = [
            {
                'file_name': str(Path(info['img_path']).resolve()),
                'case_id': info['case_id'],
                'case_known': info.get('case_known', True),
            }
            for info in infos
        ]
        declared = getattr(dataset, 'metainfo', {}).get(WITHIN_CASES_KEY)
        splits[split] = {'images': images, 'info': {'mitouts': {WITHIN_CASES_KEY: declared}}}
    return check_splits(splits)


def _need_a_batch(config: Config, images: int) -> None:
    loader, processes = config.train_dataloader, get_world_size()
    if loader.get('drop_last') and images // processes < loader.batch_size:
        raise ConfigError(
            f'{_source(loader.dataset)} holds {images} images, too few for one batch of {loader.batch_size} on each of '
            f'{processes} processes: lower train_dataloader.batch_size, or set drop_last=False'
        )


def _source(dataset: dict[str, Any]) -> str:
    return dataset.get('ann_file') or dataset.get('data_root') or 'the training set'


def save_predictions(
    path: str | Path, records: Sequence[EvaluatedImage], results: dict[str, Any], checkpoint: str | Path
) -> None:
    """Write records in the package's predictions format."""
    info = {
        'checkpoint': Path(checkpoint).name,
        'image_threshold': results['image_threshold'],
        'map_threshold': results['map_threshold'],
    } | {key: results[key] for key in ('adapt_bn',) if key in results}
    write_predictions(path, [record.prediction for record in records], info)


def located(config: Config) -> AbstractContextManager[None]:
    """Add the whole path of the config key to an unknown component's error."""
    return locating(config._cfg_dict)


def _build(config: Config, work_dir: Path, launcher: str, *, resume: bool = False) -> Runner:
    with explained(config, 'param_scheduler'):
        config = resolve(config)
    config.work_dir = str(work_dir)
    config.resume = resume
    config.experiment_name = f'{Path(config.filename or "config").stem}-{uuid.uuid4().hex[:8]}'
    set_launcher(config, launcher)
    with explained(config), peers_explained():
        return Runner.from_cfg(config)


def _without(config: Config, keys: Sequence[str]) -> Config:
    return Config(
        {key: value for key, value in config._cfg_dict.to_dict().items() if key not in keys}, filename=config.filename
    )


def _need(config: Config, keys: Sequence[str]) -> None:
    missing = [key for key in keys if config.get(key) is None]
    if missing:
        raise ConfigError(
            f'config {config_name(config.filename)} lacks {", ".join(missing)}, which this step needs'
            f'{staged_hint(config)}'
        )


def staged_hint(config: Config) -> str:
    """Return a hint to use the config of a stage instead of a staged config; empty for any other config."""
    folder = Path(config.filename or '').parent
    stages = [f'{config_name(find_base(stage.config, folder))} ({stage.name})' for stage in config.get('stages') or ()]
    return f': it is a staged config, take that of a stage: {", ".join(stages)}' if stages else ''


def on_split(config: Config, split: str) -> Config:
    """Return the config with a split's images, not augmented, as its test images, and without metrics."""
    changed = Config(config._cfg_dict.to_dict(), filename=config.filename)
    dataset = changed[f'{split}_dataloader'].dataset.to_dict()
    changed.test_dataloader.dataset = {**dataset, 'pipeline': changed.test_dataloader.dataset.pipeline}
    changed.test_evaluator.metrics = []
    return changed


def annotation_file_of(config: Config, split: str) -> Path:
    """Return the annotation file of a split, of which a step writes a changed copy.

    Raises:
        ConfigError: Its data set has none.
    """
    dataset = config[f'{split}_dataloader'].dataset
    if not dataset.get('ann_file'):
        raise ConfigError(
            f'config {config.filename}: {split}_dataloader.dataset, a {dataset.get("type")}, has no ann_file, and this '
            'step writes a changed copy of one: give it a data set with an annotation file, such as PointDataset'
        )
    return Path(dataset.ann_file)


def overlay_radius_px(config: Config, mpp: float | None) -> float:
    """Return the first radius of the config's centroid metric, in pixels; 30 if it names none."""
    for metric in config.test_evaluator.metrics:
        if metric.get('radius_px'):
            return float(np.atleast_1d(metric['radius_px'])[0])
        if metric.get('radius_um') and mpp:
            return float(np.atleast_1d(metric['radius_um'])[0]) / mpp
    return 30.0


def set_aside(work_dir: Path) -> None:
    """Move an earlier training's checkpoints aside, so that they are not mistaken for those of the new one."""
    with together():
        if is_main_process():
            _move_checkpoints(work_dir)


def _move_checkpoints(work_dir: Path) -> None:
    pointer = work_dir / POINTER_NAME
    # The pointer goes first: if this is interrupted, nothing that remains is resumed from.
    old = [path for path in [pointer, *work_dir.glob('*.pth')] if path.exists()]
    suffixes = [path.name.removeprefix('previous_') for path in work_dir.glob('previous_*')]
    numbers = [int(suffix) for suffix in suffixes if suffix.isdigit()]
    folder = work_dir / f'previous_{max(numbers, default=0) + 1}'
    for path in old:
        folder.mkdir(exist_ok=True)
        path.rename(folder / path.name)


def newest_checkpoint(work_dir: str | Path) -> Path | None:
    """Return the checkpoint that a training in this folder would resume from; None if there is none."""
    pointer = Path(work_dir) / POINTER_NAME
    if not pointer.is_file():
        return None
    path = Path(work_dir) / Path(pointer.read_text()).name
    return path if path.is_file() else None


def checkpoint_of(work_dir: str | Path) -> Path:
    """Return the checkpoint of a finished training: the best one, or without validation the last one.

    Raises:
        CheckpointError: There is none.
    """
    best = Path(work_dir) / BEST_NAME
    checkpoint = best if best.is_file() else newest_checkpoint(work_dir)
    if checkpoint is None:
        raise CheckpointError(f'{work_dir} holds no checkpoint: train there first')
    return checkpoint

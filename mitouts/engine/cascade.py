"""Combines a trained proposer and a trained verifier, and chooses the thresholds of the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.dist import is_main_process

import mitouts
from mitouts.checkpoint import config_of, load_weights, publish, read_checkpoint, write_checkpoint
from mitouts.datasets.figure_crops import CROP_PX, FigureCropDataset
from mitouts.engine import runs
from mitouts.engine.config import config_to_json, without_classes
from mitouts.engine.hooks.checkpoint import BEST_NAME
from mitouts.errors import CheckpointError, ConfigError
from mitouts.models.cascade import PARTS, CascadeLocalizer
from mitouts.registry import DATASETS, MODELS, UnknownComponentError
from mitouts.stain.preparation import describe_colours, same_colours
from mitouts.utils.ranks import together

CONFIG_NAME = 'cascade.py'
UNCALIBRATED_NAME = 'uncalibrated.pth'
MPP_TOLERANCE = 0.01


class Cascade(NamedTuple):
    """A combined model, and where it is stored.

    Attributes:
        checkpoint: Weights and calibrations of both parts, thresholds of the whole.
        config: The config with the model that the checkpoint fits; kept as ``cascade.py`` beside it.
    """

    checkpoint: Path
    config: Config


def combine(
    config: Config, proposer: str | Path, verifier: str | Path, out_dir: str | Path, *, launcher: str = 'none'
) -> Cascade:
    """Build a cascade from two trained models, and choose its thresholds on the validation images.

    Args:
        config: Its ``model`` is a ``CascadeLocalizer``, of which ``proposer`` and ``verifier`` are replaced by the
            models that the checkpoints were trained with. ``val_dataloader`` and ``val_evaluator`` choose the
            thresholds.
        proposer: Checkpoint of a localizer.
        verifier: Checkpoint of a patch classifier.
        out_dir: Gets ``best.pth``, which needs neither of them, and ``cascade.py``.
        launcher: Ranks share the validation images; rank 0 writes.

    Raises:
        ConfigError: The config has no cascade or no validation, or crops of another size than the verifier's.
        CheckpointError: One of them was never validated, or they take images of different resolutions or colours.
    """
    out_dir = Path(out_dir)
    checkpoints = {'proposer': read_checkpoint(proposer), 'verifier': read_checkpoint(verifier)}
    sources = dict(zip(PARTS, (proposer, verifier)))
    trained = {part: _training_config(checkpoints[part], sources[part]) for part in PARTS}
    calibrations = {part: checkpoints[part]['meta']['mitouts'] for part in PARTS}
    _check_resolution({part: calibrations[part].get('mpp') for part in PARTS})
    colours = _common_colours({part: calibrations[part].get('stain_reference') for part in PARTS})
    with runs.located(config):
        config = _with_parts(config, trained)
    try:
        with runs.located(config):
            model = MODELS.build(config.model)
    except UnknownComponentError as error:
        for part in PARTS:
            if any(key.startswith(f'model.{part}.') for key in error.config_keys):
                error.came_from(sources[part], trained[part])
        raise
    for part in PARTS:
        load_weights(getattr(model, part), checkpoints[part]['state_dict'], sources[part])
        getattr(model, part).calibration = dict(calibrations[part])
    meta = {
        'cfg': config_to_json(config),
        'seed': config.get('randomness', {}).get('seed'),
        # The validation images are brought to the colours of both parts.
        'mitouts': {**model.calibration, 'stain_reference': colours},
    }
    uncalibrated = out_dir / UNCALIBRATED_NAME
    with together():
        if is_main_process():
            out_dir.mkdir(parents=True, exist_ok=True)
            Config(without_classes(config._cfg_dict.to_dict()), format_python_code=False).dump(out_dir / CONFIG_NAME)
            write_checkpoint(uncalibrated, {'meta': meta, 'state_dict': model.state_dict()})
    chosen = _calibrate(config, uncalibrated, out_dir, launcher)
    best = out_dir / BEST_NAME
    with together():
        if is_main_process():
            meta['mitouts'] = {**chosen, 'stain_reference': colours, **{part: meta['mitouts'][part] for part in PARTS}}
            write_checkpoint(best, publish({'meta': meta, 'state_dict': model.state_dict()}, best))
            uncalibrated.unlink()
    return Cascade(best, config)


def model_of(checkpoint: str | Path) -> dict[str, Any]:
    """Return the model config that a checkpoint was trained with."""
    return dict(_training_config(read_checkpoint(checkpoint), checkpoint)['model'])


def _training_config(checkpoint: dict[str, Any], source: str | Path) -> dict[str, Any]:
    meta = checkpoint['meta']
    if 'cfg' not in meta or not meta.get('mitouts'):
        missing = 'config' if 'cfg' not in meta else 'thresholds'
        raise CheckpointError(f'checkpoint {source} carries no {missing} in its meta: use best.pth of a training')
    return config_of(checkpoint, source)


def _with_parts(config: Config, trained: dict[str, dict[str, Any]]) -> Config:
    if not MODELS.is_kind(config.get('model') or {}, CascadeLocalizer):
        raise ConfigError(f'config {config.filename}: a cascade needs a model of the type CascadeLocalizer')
    lacking = [key for key in (*runs.VALIDATION_KEYS, *runs.TEST_KEYS) if config.get(key) is None]
    if lacking:
        raise ConfigError(f'config {config.filename} lacks {", ".join(lacking)}, which a cascade needs')
    content = config._cfg_dict.to_dict()
    content['model'] |= {part: trained[part]['model'] for part in PARTS}
    crops = (trained['verifier'].get('train_dataloader') or {}).get('dataset') or {}
    if not DATASETS.is_kind(crops, FigureCropDataset):
        raise CheckpointError(
            f'the verifier was trained on a {crops.get("type")}, not on crops of a FigureCropDataset: give a patch '
            'classifier, such as those of configs/detection/verifier_*.py'
        )
    learnt = crops.get('crop_px', CROP_PX)
    crop_px = content['model'].setdefault('crop_px', learnt)
    if learnt != crop_px:
        raise ConfigError(
            f'config {config.filename}: model.crop_px is {crop_px}, but the verifier was trained on crops of '
            f'{learnt} px: give both the same'
        )
    return Config(content, filename=config.filename)


def _check_resolution(mpp: dict[str, float | None]) -> None:
    first, second = mpp['proposer'], mpp['verifier']
    if first and second and abs(first / second - 1) > MPP_TOLERANCE:
        raise CheckpointError(
            f'the proposer was validated at {first} um/px and the verifier at {second}: train both on the same images'
        )


def _common_colours(colours: dict[str, Any]) -> dict[str, Any] | None:
    if not same_colours(colours['proposer'], colours['verifier']):
        raise CheckpointError(
            f'the proposer was trained on images {describe_colours(colours["proposer"])}, the verifier on images '
            f'{describe_colours(colours["verifier"])}: train both on the same images'
        )
    return colours['proposer']


def _calibrate(config: Config, checkpoint: Path, out_dir: Path, launcher: str) -> dict[str, Any]:
    """Validate the cascade; returns its thresholds and what else a count needs, as a training's validation does."""
    on_validation = Config(config._cfg_dict.to_dict(), filename=config.filename)
    on_validation.test_dataloader = on_validation.val_dataloader
    on_validation.test_evaluator = on_validation.val_evaluator
    run = runs.evaluate(on_validation, checkpoint, out_dir / 'validation', launcher=launcher)
    meta = DATASETS.build({**config.val_dataloader.dataset, 'pipeline': []}).metainfo
    spacings = {record.truth.mpp for record in run.records}
    return {
        **{key: run.results[key] for key in ('image_threshold', 'map_threshold', 'drift_px')},
        'mpp': spacings.pop() if len(spacings) == 1 else None,
        'geometry': None,
        'classes': list(meta.get('classes', ())),
        'version': mitouts.__version__,
    }

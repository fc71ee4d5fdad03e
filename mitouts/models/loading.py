"""Loads a model from its checkpoint, ready to predict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from mmengine.model import BaseModel
from torch import nn

from mitouts.checkpoint import config_of, load_weights, read_checkpoint
from mitouts.errors import CheckpointError, ConfigError, MitoutsError
from mitouts.models.rotations import rotations_of
from mitouts.registry import MODELS, components_of, import_packages

Model = TypeVar('Model', bound=nn.Module)


def load_model(
    path: str | Path,
    kind: type[Model],
    *,
    expected: str,
    needs: str,
    advice: str,
    attributes: Sequence[str] = (),
    imports: Sequence[str] = (),
) -> Model:
    """Build the model that a checkpoint was trained with; nothing in the file is executed.

    Args:
        path: Checkpoint.
        kind: Class of the model.
        expected: Name of the kind of model, for errors.
        needs: Name of what the checkpoint's calibration must hold, for errors.
        advice: Advice to the user when the checkpoint cannot be used.
        attributes: Attributes that such a model has, whatever its class.
        imports: Packages that register components of your own; they are imported first.

    Raises:
        UnknownComponentError: A component is not registered; the error names what to import.
        ConfigError: A package of ``imports`` cannot be imported.
        CheckpointError: Missing or broken, without a config or a calibration, or of another kind of model.
    """
    import_packages(imports)
    checkpoint = read_checkpoint(path)
    meta = checkpoint['meta']
    if 'cfg' not in meta or not meta.get('mitouts'):
        missing = 'config' if 'cfg' not in meta else needs
        raise CheckpointError(f'checkpoint {path} carries no {missing} in its meta: {advice}')
    config = config_of(checkpoint, path)
    try:
        with components_of(path, config):
            model = MODELS.build(config['model'])
    except (TypeError, ValueError, AssertionError) as error:
        if isinstance(error, MitoutsError):
            raise
        raise CheckpointError(
            f'the model that checkpoint {path} was trained with cannot be built ({type(error).__name__}: {error}): it '
            'was made by another version, or its config was changed'
        ) from error
    if not isinstance(model, kind) or not all(hasattr(model, attribute) for attribute in attributes):
        raise CheckpointError(f'checkpoint {path} is of a {type(model).__name__}, expected {expected}: {advice}')
    load_weights(model, checkpoint['state_dict'], path)
    model.calibration = dict(meta['mitouts'])  # type: ignore[assignment]
    return model


def load_localizer(path: str | Path, *, imports: Sequence[str] = ()) -> Any:
    """Build the localizer that a checkpoint was trained with, whether it scores a map or finds points.

    Raises:
        CheckpointError: It has no thresholds, or :func:`load_model` refuses it.
    """
    model = load_model(
        path,
        BaseModel,
        expected='a localizer',
        needs='thresholds',
        attributes=('geometry', 'calibration'),
        advice='use best.pth of a training, or publish one with mitouts publish',
        imports=imports,
    )
    need_thresholds(model)
    return model


def need_thresholds(model: Any) -> None:
    """Check that a localizer was validated.

    Raises:
        CheckpointError: It has no thresholds, so nothing can be counted with it, or an impossible number of rotations.
    """
    rotations_of(model.calibration)
    for key in ('image_threshold', 'map_threshold'):
        if key not in model.calibration:
            raise CheckpointError(
                f'the model has no {key}: it was never validated, so nothing can be counted with it. '
                'Train it with a val_evaluator'
            )


def move_to(model: nn.Module, device: str) -> torch.device:
    """Bring a model to a device, and set it to predict.

    Raises:
        ConfigError: There is no such device, or it cannot be used.
    """
    try:
        place = torch.device(device)
        model.to(place).eval()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f'device {device!r} cannot be used ({reason}): give cpu, or a GPU that is visible') from error
    return place

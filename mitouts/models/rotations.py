"""Averages a localizer's map over the four right-angle turns of an image.

A figure looks the same from every side, and a network's doubt about it does not. The logits of the turned images' maps
are averaged cell by cell. How many turns a model averages over is the entry ``rotations`` of its calibration, beside
the thresholds: a threshold suits the maps that it was chosen on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mitouts.errors import CheckpointError, ConfigError
from mitouts.functional.rotations import plan_turns, turn_back, turn_images
from mitouts.models.heads.base import HeadOutput
from mitouts.utils.defaults import ROTATIONS
from mitouts.utils.words import plural

KEY = 'rotations'
CHOSEN_KEY = 'threshold_rotations'


def rotations_of(calibration: Mapping[str, Any]) -> int:
    """Return the number of turns that a model averages over; 1 where its calibration says nothing.

    Raises:
        CheckpointError: It is neither 1 nor 4.
    """
    rotations = calibration.get(KEY, 1)
    if rotations not in ROTATIONS:
        raise CheckpointError(f"the checkpoint's meta['mitouts']['{KEY}'] must be 1 or 4, found {rotations!r:.40}")
    return int(rotations)


def with_rotations(calibration: Mapping[str, Any], rotations: int) -> dict[str, Any]:
    """Return a calibration that averages over a given number of turns; its thresholds stay.

    Args:
        calibration: That of a model.
        rotations: 1 or 4.

    Returns:
        A copy. Where its thresholds were chosen with another number, ``threshold_rotations`` has that.

    Raises:
        ConfigError: Another number of turns.
    """
    if rotations not in ROTATIONS:
        raise ConfigError(f'rotations must be 1 or 4, found {rotations!r:.40}')
    chosen = calibration.get(CHOSEN_KEY, rotations_of(calibration))
    rest = {key: value for key, value in calibration.items() if key not in (KEY, CHOSEN_KEY)}
    return {**rest, KEY: rotations, **({} if chosen == rotations else {CHOSEN_KEY: chosen})}


def set_rotations(model: Any, rotations: int) -> None:
    """Let a model average over a given number of turns from now on.

    Args:
        model: Localizer; its calibration is replaced.
        rotations: 1 or 4.

    Raises:
        ConfigError: Another number of turns, or a model that has no map to average.
    """
    if model.geometry is None:
        if rotations != 1:
            raise ConfigError(
                f'rotations average a score map, and a {type(model).__name__} finds points without one: use it with 1'
            )
        return
    model.calibration = with_rotations(model.calibration, rotations)


def threshold_doubt(calibration: Mapping[str, Any]) -> str | None:
    """Return a warning where thresholds were chosen with another number of turns than they are used with."""
    if CHOSEN_KEY not in calibration:
        return None
    chosen, used = plural(calibration[CHOSEN_KEY], 'rotation'), rotations_of(calibration)
    return (
        f'the thresholds were chosen with {chosen} and are used with {used}: expect fewer or more figures. '
        f'mitouts calibrate --rotations {used} chooses them again on labelled images'
    )


def averaged_output(model: Any, inputs: Tensor) -> HeadOutput:
    """Run a localizer on images and their three turns, one after the other, and average the logits.

    Args:
        model: Localizer with a map, in evaluation mode. The drift of its calibration is taken into account.
        inputs: Tensor ``(N, 3, H, W)``, normalized. Turned images are padded with 0, as convolutions pad.

    Returns:
        The output for the images as they are. The image score is the maximum of the averaged map where the head takes
        the maximum of the map, otherwise it is the mean of the turned images' logits.
    """
    size_px = (inputs.shape[-2], inputs.shape[-1])
    plain = model.head(model.backbone(inputs), size_px)
    cells = (plain.score_map.shape[-2], plain.score_map.shape[-1])
    turns = plan_turns(
        size_px,
        cells,
        model.geometry,
        period_px=getattr(model.backbone, 'period_px', None),
        drift_px=model.calibration.get('drift_px', (0.0, 0.0)),
    )
    is_upsampled = plain.map_logit is not None and plain.map_logit.shape != plain.score_map.shape
    scores, image = _score_logit(plain), plain.image_logit
    upsampled = plain.map_logit if is_upsampled else None
    for turn in turns:
        turned = turn_images(inputs, turn)
        output = model.head(model.backbone(turned), (turned.shape[-2], turned.shape[-1]))
        scores = scores + turn_back(_score_logit(output), turn, cells)
        image = image + output.image_logit
        if upsampled is not None:
            # Such a map is stretched to its image, which was not padded.
            upsampled = upsampled + turn_back(output.map_logit, turn, size_px)
    count = len(turns) + 1
    scores, image = scores / count, image / count
    map_logit = upsampled / count if upsampled is not None else None if plain.map_logit is None else scores
    if map_logit is not None and model.head.score_is_maximum():
        image = map_logit.flatten(1).amax(dim=1)
    return HeadOutput(image, torch.sigmoid(scores), map_logit)


def _score_logit(output: HeadOutput) -> Tensor:
    """Return the logits of a score map, ``(N, h, w)``."""
    if output.map_logit is not None and output.map_logit.shape == output.score_map.shape:
        return output.map_logit
    limits = torch.finfo(torch.float32)
    return torch.logit(output.score_map.float().clamp(limits.tiny, 1 - limits.eps / 2))

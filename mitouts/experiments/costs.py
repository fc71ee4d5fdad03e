"""Reads and writes the costs of trained models, as measured by ``mitouts costs``.

The file is a JSON object::

    {"info":  {"device", "environment", "images", "batch_size", "rounds", "megapixels"},
     "costs": {"GROUP/STAGE": {"label", "checkpoint", "parameters", "gmac_per_megapixel", "megapixels_per_second",
                               "seconds"}}}

``environment`` is that of a run's ``started.json`` (machine, threads, versions), ``megapixels`` those of one round of
each model, ``seconds`` one number a round, of which ``megapixels_per_second`` is the median.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from mitouts.errors import MitoutsError
from mitouts.experiments.provenance import machine_of
from mitouts.formats.coco import read_json, write_json


@dataclass(frozen=True)
class Cost:
    """Costs of one model.

    Attributes:
        label: Name of the model.
        checkpoint: The file that was measured.
        parameters: Number of its weights, frozen ones included, statistics of batch norms not.
        gmac_per_megapixel: Multiplications with addition, in thousand millions, for a million pixels of input.
        megapixels_per_second: Input that it predicts, median over rounds.
        seconds: Seconds of each round.
    """

    label: str
    checkpoint: str
    parameters: int
    gmac_per_megapixel: float
    megapixels_per_second: float
    seconds: tuple[float, ...] = ()


@dataclass(frozen=True)
class Costs:
    """Costs of several models, measured together.

    Attributes:
        models: ``GROUP/STAGE`` -> its cost.
        info: Device and settings of the measurement; empty if nothing was measured.
    """

    models: Mapping[str, Cost] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)

    def describe(self) -> str:
        """Describe where and how the costs were measured, in a sentence; empty if nothing was."""
        if not self.info:
            return ''
        return (
            f'Measured on {machine_of(self.info["environment"])}, {self.info["images"]} test images in batches of '
            f'{self.info["batch_size"]}, median of {self.info["rounds"]} rounds.'
        )


def write_costs(path: str | os.PathLike[str], costs: Costs) -> None:
    """Write costs as JSON."""
    models = {source: asdict(cost) for source, cost in costs.models.items()}
    write_json(path, {'info': dict(costs.info), 'costs': models})


def read_costs(path: str | os.PathLike[str]) -> Costs:
    """Read what :func:`write_costs` has written.

    Raises:
        MitoutsError: There is no such file, or it holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise MitoutsError(f'{path}: no such file; mitouts costs writes it')
    content = read_json(path)
    if not isinstance(content, dict) or not all(isinstance(content.get(key), dict) for key in ('info', 'costs')):
        raise MitoutsError(f"{path}: expected an object with 'info' and 'costs', as measure_costs.py writes it")
    lacking = [key for key in ('environment', 'images', 'batch_size', 'rounds') if key not in content['info']]
    if lacking:
        raise MitoutsError(f'{path}: info lacks {", ".join(lacking)}: measure again')
    return Costs({source: _cost(path, source, entry) for source, entry in content['costs'].items()}, content['info'])


def _cost(path: Path, source: str, entry: Any) -> Cost:
    names = [each.name for each in fields(Cost)]
    if not isinstance(entry, dict) or sorted(entry) != sorted(names):
        found = ', '.join(entry) if isinstance(entry, dict) else repr(entry)
        raise MitoutsError(f'{path}: {source}: expected {", ".join(names)}, found {found}')
    return Cost(**{**entry, 'seconds': tuple(entry['seconds'])})

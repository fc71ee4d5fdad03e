"""Defines and checks the arguments of the steps count, compare and correlate, for commands and protocols alike."""

from __future__ import annotations

import os
from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from mitouts.errors import ConfigError
from mitouts.formats.class_names import MITOTIC_FIGURE
from mitouts.utils.arguments import at_least, not_negative, positive, share
from mitouts.utils.defaults import FIELD_DIAMETER_MM, MIN_AREA_MM2, NUM_BOOTSTRAP, ROI_AREA_MM2, ROI_AREAS_MM2

Arguments = TypeVar('Arguments')

# How the text of an argument becomes its value.
_READERS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(
        ('slides', 'checkpoint', 'out', 'tissue', 'roi', 'annotations', 'counts', 'table', 'plot'), Path
    ),
    **dict.fromkeys(('roi_class', 'device', 'x', 'y', 'by'), str),
    **dict.fromkeys(('resume', 'half'), bool),
    **dict.fromkeys(('mpp', 'roi_mm2', 'field_diameter_mm', 'area_mm2'), positive),
    **dict.fromkeys(('workers', 'batch'), at_least(1)),
    **dict.fromkeys(('num_bootstrap', 'seed'), at_least(0)),
    'threshold': share,
    'min_area_mm2': not_negative,
    'tile_px': at_least(64),
    'category': int,
    'rotations': int,
}  # fmt: skip
_SEVERAL = ('roi_class', 'roi_mm2')
_GIVEN_BY_THE_RUN = ('out', 'resume', 'counts', 'table', 'plot')


@dataclass(frozen=True, kw_only=True)
class CountArguments:
    """Arguments for counting slides; ``mitouts count --help`` describes each.

    Raises:
        ConfigError: Both a tissue model and regions are given, or classes of regions without these.
    """

    slides: Path
    checkpoint: Path
    out: Path
    resume: bool = False
    tissue: Path | None = None
    roi: Path | None = None
    roi_class: Sequence[str] | None = None
    mpp: float | None = None
    threshold: float | None = None
    rotations: int | None = None
    roi_mm2: Sequence[float] = ROI_AREAS_MM2
    field_diameter_mm: float = FIELD_DIAMETER_MM
    min_area_mm2: float = MIN_AREA_MM2
    device: str | None = None
    half: bool = False
    workers: int = field(default_factory=lambda: min(os.cpu_count() or 1, 4))
    batch: int = 1
    tile_px: int | None = None

    def __post_init__(self) -> None:
        if self.tissue is not None and self.roi is not None:
            raise ConfigError('tissue and roi both say where figures are counted: give one of them')
        if self.roi is None and self.roi_class:
            raise ConfigError('--roi-class says which polygons of --roi are meant: give --roi, too')


@dataclass(frozen=True, kw_only=True)
class ReferenceArguments:
    """Arguments for comparing figures in one region; ``mitouts reference-hotspots --help`` describes each."""

    annotations: Path
    counts: Path
    out: Path
    area_mm2: float = ROI_AREA_MM2
    category: int = MITOTIC_FIGURE


@dataclass(frozen=True, kw_only=True)
class CorrelateArguments:
    """Arguments for comparing two columns of a table; ``mitouts correlate --help`` describes each."""

    table: Path
    x: str
    y: str
    by: str | None = None
    out: Path | None = None
    plot: Path | None = None
    num_bootstrap: int = NUM_BOOTSTRAP
    seed: int = 0


def config_keys(kind: type) -> list[str]:
    """List the arguments that a config may set; the others are set when a protocol runs."""
    return [each.name for each in fields(kind) if each.name not in _GIVEN_BY_THE_RUN]


def needed_keys(kind: type) -> list[str]:
    """List those of :func:`config_keys` that have no default."""
    optional = {each.name for each in fields(kind) if (each.default, each.default_factory) != (MISSING, MISSING)}
    return [key for key in config_keys(kind) if key not in optional]


def path_keys(kind: type) -> list[str]:
    """List those of :func:`config_keys` that are files or folders."""
    return [key for key in config_keys(kind) if _READERS[key] is Path]


def make_arguments(kind: type[Arguments], step: str, values: Mapping[str, Any]) -> Arguments:
    """Check the values of a config and convert them to their types.

    Args:
        kind: Class of the step's arguments.
        step: Named in errors.
        values: None stands for the default.

    Raises:
        ConfigError: A value cannot be read, or two do not go together.
    """
    return kind(**{key: _value(step, key, value) for key, value in values.items() if value is not None})


def _value(step: str, key: str, value: Any) -> Any:
    read, takes_several = _READERS[key], key in _SEVERAL
    if read is bool:
        if not isinstance(value, bool):
            raise ConfigError(f'{step}.{key}: expected True or False, found {value!r}')
        return value
    parts = list(value) if takes_several and isinstance(value, (list, tuple)) else [value]
    if any(isinstance(part, bool) or not isinstance(part, (str, int, float, Path)) for part in parts):
        wanted = 'a number, text, or a list of them' if takes_several else 'a number or text'
        raise ConfigError(f'{step}.{key}: expected {wanted}, found {value!r}')
    try:
        found = [read(str(part)) for part in parts]
    except (ValueError, ArgumentTypeError) as error:
        raise ConfigError(f'{step}.{key}: {error}') from error
    return found if takes_several else found[0]

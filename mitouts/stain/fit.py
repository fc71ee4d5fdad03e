"""Holds the stain measurements of an image or a slide, so that they can be saved and reused."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitouts.errors import AnnotationError, ConfigError
from mitouts.stain.base import Numbers, find_normalizer, known_methods
from mitouts.utils.text_files import read_json, write_json


@dataclass(frozen=True)
class Fit:
    """The measurements of one method, or of the methods of a chain.

    Attributes:
        parts: Method, the name of a registered :class:`~mitouts.stain.base.StainNormalizer` -> its numbers.
    """

    parts: Mapping[str, Numbers]

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return plain numbers: ``{"macenko": {"stains": [[...], [...]], "maxima": [...]}}``."""
        return {
            method: {name: np.asarray(values).tolist() for name, values in dataclasses.asdict(numbers).items()}
            for method, numbers in self.parts.items()
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], where: str = 'stain fit') -> Fit:
        """Make a fit from the result of :meth:`to_dict`; keys that are not methods are ignored.

        Args:
            data: Method -> numbers.
            where: Origin of the data, named in errors.

        Raises:
            ConfigError: There is no method, or its numbers are missing, of another shape, or invalid.
        """
        parts = {method: _parse(data[method], method, where) for method in known_methods() if method in data}
        if not parts:
            raise ConfigError(
                f'{where}: holds the numbers of no method; expected one or more of {", ".join(known_methods())}, '
                f'found {", ".join(map(str, data)) or "nothing"}'
            )
        return cls(parts)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fit as JSON; the file is complete or does not appear."""
        write_json(path, self.to_dict())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Fit:
        """Read a JSON file that :meth:`save` wrote.

        Raises:
            ConfigError: The file is missing, is no JSON, or holds no fit.
        """
        return cls.from_dict(read_object(path), str(path))


def read_object(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a JSON file that must hold an object.

    Raises:
        ConfigError: It is missing, is no JSON, or holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f'{path} does not exist; expected the JSON file of a stain fit or reference')
    try:
        data = read_json(path)
    except AnnotationError as error:
        raise ConfigError(f'{path}: is not a JSON file: {error}') from error
    if not isinstance(data, dict):
        raise ConfigError(f'{path}: expected a JSON object of a stain fit, found {type(data).__name__}')
    return data


def _parse(section: Any, method: str, where: str) -> Numbers:
    normalizer = find_normalizer(method)
    shapes = normalizer.shapes
    if not isinstance(section, Mapping) or any(name not in section for name in shapes):
        raise ConfigError(f'{where}: {method} must be an object with {" and ".join(shapes)}, found {section!r:.80}')
    arrays = {name: _array(section[name], f'{where}: {method}.{name}', shape) for name, shape in shapes.items()}
    numbers = normalizer.numbers(**arrays)
    flaw = normalizer.flaw(numbers)
    if flaw is not None:
        raise ConfigError(f'{where}: {method}: {flaw}')
    return numbers


def _array(values: Any, where: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f'{where} must be numbers, found {values!r:.80}') from error
    if array.shape != shape or not np.isfinite(array).all():
        raise ConfigError(f'{where} must be finite numbers of shape {shape}, found shape {array.shape}: {values!r:.80}')
    return array

"""Describes what a reader of a foreign label file returns, and checks names, ids and numbers in such files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, TypeGuard

from mitouts.errors import AnnotationError

MAX_COORDINATE_PX = 10_000_000
_MAX_ID = 2**63 - 1
_MAX_NUMBER = 1e15


@dataclass(frozen=True)
class SourceImage:
    """An image as its label file knows it.

    Attributes:
        file_name: Relative to the images' folder, with forward slashes; without a suffix where the label file does not
            say which, it is looked for then.
        width: Width in pixels, None where the label file does not say.
        height: Height in pixels, or None.
        mpp: Published micrometres per pixel, used where neither the user nor the image says another; or None.
        image_id: The number that the label file gives it, or None.
        extra: Further keys of the image's entry, such as ``scanner``.
        exact_name: Whether the file name is certain, and is never completed by a suffix.
        size_from: Source of the stated size, with a verb, for the error message about an image of another size.
        size_tolerance_px: Largest difference allowed between the stated and the real size; the real size is used.
    """

    file_name: str
    case_id: str
    width: int | None = None
    height: int | None = None
    mpp: float | None = None
    image_id: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    exact_name: bool = False
    size_from: str = 'the label file says'
    size_tolerance_px: int = 0


@dataclass(frozen=True)
class SourceFigure:
    """An annotated figure.

    Attributes:
        file_name: That of its :class:`SourceImage`.
        x: Column in pixels, 0 at the centre of the leftmost pixel.
        y: Row in pixels.
        category_id: ``MITOTIC_FIGURE`` or ``HARD_NEGATIVE``.
        extra: Further keys of the annotation, such as ``source_uid`` or ``votes``; they come before derived ones.
        annotation_id: Id that the annotation should get, or None.
    """

    file_name: str
    x: float
    y: float
    category_id: int
    extra: Mapping[str, Any] = field(default_factory=dict)
    annotation_id: int | None = None


@dataclass
class SourceSet:
    """The content of a label file.

    Attributes:
        dataset: The word by which converters know its partitions, or any other for a set without a partition.
        images: Every image, also those without figures.
        notes: Notes on what was inferred, repaired or left out; shown to the user and kept in ``info.mitouts.notes``.
        base: The document that the file was exported from, without images and annotations: its categories, ``info``
            and further keys are taken over.
        edge_px: Points at most so far beyond the centres of an image's outermost pixels are moved onto them.
    """

    name: str
    dataset: str
    images: list[SourceImage]
    figures: list[SourceFigure]
    notes: list[str] = field(default_factory=list)
    base: Mapping[str, Any] | None = None
    edge_px: float = 0.0


def check_file_name(name: Any, where: str) -> str:
    """Return a file name from a foreign file as a relative path with forward slashes.

    Raises:
        AnnotationError: Not text, empty, absolute, or a path that leaves the images' folder.
    """
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise AnnotationError(f'{where}: expected a file name, found {name!r}')
    path = PurePosixPath(name.replace('\\', '/'))
    if not path.name or path.is_absolute() or '..' in path.parts or ':' in path.parts[0]:
        raise AnnotationError(f'{where}: the file name {name!r} leads out of the folder of the images')
    return str(path)


def check_coordinate(value: Any, where: str) -> float:
    """Return a coordinate from a foreign file.

    Raises:
        AnnotationError: Not a finite number, or larger than any slide.
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # An integer beyond the range of floats overflows in isfinite.
    if not is_number or (isinstance(value, float) and not math.isfinite(value)):
        raise AnnotationError(f'{where}: expected a coordinate in pixels, found {value!r:.60}')
    if abs(value) > MAX_COORDINATE_PX:
        raise AnnotationError(f'{where}: the coordinate {value!r:.60} px is larger than any slide')
    return value


def is_id(value: Any) -> TypeGuard[int]:
    """Tell whether a value can be the id of an image, an annotation or a category."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MAX_ID


def is_number(value: Any) -> TypeGuard[float]:
    """Tell whether a value is a finite number in the range of coordinates, scores and resolutions."""
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and abs(value) <= _MAX_NUMBER
        and math.isfinite(value)
    )


def listed(values: Sequence[Any], most: int = 5) -> str:
    """Join the first few of some values into a text."""
    return ', '.join(str(value) for value in values[:most]) + (', ...' if len(values) > most else '')

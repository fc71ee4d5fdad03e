"""Defines converters of foreign data sets, which read labels and know the splits of cases, and finds them by name."""

from __future__ import annotations

import dataclasses
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from mitouts.errors import ConfigError
from mitouts.formats.source import SourceSet
from mitouts.formats.splits import NO_SPLIT, Partition
from mitouts.registry import CONVERTERS, UnknownComponentError
from mitouts.utils.arguments import annotated_names
from mitouts.utils.text_files import write_json


@dataclass
class Converter(ABC):
    """Reads the labels of a foreign data set.

    A converter is a class in :data:`mitouts.registry.CONVERTERS`, registered under the name by which ``mitouts convert
    NAME`` finds it. ``mitouts convert NAME --help`` shows its docstring, ``mitouts convert --help`` the first line of
    it.

    One with options of its own is a dataclass. Each field is annotated with a
    :class:`mitouts.utils.arguments.Argument`: it becomes an option of the command, and is recorded in the annotation
    file.

    Attributes:
        src: What SRC is, for the help.
        partitions: Data set, as :attr:`mitouts.formats.source.SourceSet.dataset` calls it -> name of a partition ->
            partition; a data set's first one is its default.
    """

    src: ClassVar[str]
    partitions: ClassVar[Mapping[str, Mapping[str, Partition]]] = {}

    @abstractmethod
    def read(self, src: Path, *, image_root: Path | None = None, mpp: float | None = None) -> SourceSet:
        """Read images and points.

        Args:
            image_root: The images' folder, where it is known.
            mpp: Micrometres per pixel of all images, for labels that are in a unit of length; None where the images
                say it.

        Raises:
            AnnotationError: ``src`` is missing, is something else, or holds invalid content. The message names the file
                and, where possible, the entry.
        """

    def images_of(self, src: Path) -> Path | None:
        """Return the images' folder to use without ``--image-root``; None if ``src`` does not hold the images."""
        return None

    @classmethod
    def datasets(cls) -> Sequence[str]:
        """Return the data sets that ``src`` may be; the help lists their partitions."""
        return list(cls.partitions)

    def options(self) -> dict[str, Any]:
        """Return the values of the converter's options, to be recorded in the annotation file."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value.name if isinstance(value, Path) else value for name, value in values.items()}


@dataclass(frozen=True)
class Exported:
    """An annotation file or predictions in a foreign format.

    Attributes:
        files: Relative path -> content, one file for each image.
        points: Number of points in the files.
        notes: Notes for the user.
    """

    files: Mapping[str, Any]
    points: int
    notes: Sequence[str] = ()


class ExportingConverter(Converter):
    """A converter that writes its foreign format, too: ``--export``.

    Further keyword arguments of :meth:`export` that are annotated with a :class:`mitouts.utils.arguments.Argument` are
    options of the command.
    """

    @abstractmethod
    def export(self, src: Path, *, image_root: Path | None = None) -> Exported:
        """Make the foreign files.

        Args:
            image_root: The images' folder, where it is known.

        Raises:
            AnnotationError: ``src`` is not such a file, or holds something that the format cannot express.
        """

    def write(self, path: Path, content: Any) -> None:
        """Write the content of one of :attr:`Exported.files`: JSON, unless a converter writes another format."""
        write_json(path, content)


def known_converters() -> dict[str, type[Converter]]:
    """Return every registered converter by its name."""
    CONVERTERS.import_from_location()
    return dict(CONVERTERS.module_dict)


def find_converter(name: str) -> type[Converter]:
    """Return the converter with a given name.

    Raises:
        UnknownComponentError: There is none; the message names the nearest.
        ConfigError: It has options but is not a dataclass, so that they would be lost.
    """
    known = known_converters()
    if name not in known:
        raise UnknownComponentError(name, f'{CONVERTERS.scope}::{CONVERTERS.name}', list(known))
    converter = known[name]
    lost = sorted({*annotated_names(converter)} - {field.name for field in dataclasses.fields(converter)})
    if lost:
        raise ConfigError(
            f'the converter {name!r} annotates {", ".join(lost)} with an Argument, but its class '
            f'{converter.__module__}.{converter.__qualname__} is no dataclass: write @dataclass between '
            '@CONVERTERS.register_module and the class'
        )
    return converter


def partitions_of(dataset: str) -> Mapping[str, Partition]:
    """Return the partitions that a data set comes with, by name, the default first; empty if it has none."""
    known = (converter.partitions for converter in known_converters().values())
    return next((partitions[dataset] for partitions in known if dataset in partitions), {})


def is_within_cases(dataset: str, split: str | os.PathLike[str]) -> bool:
    """Tell whether a split is a partition of the data set in which images of one case both train and validate."""
    partition = partitions_of(dataset).get(str(split))
    return partition is not None and partition.within_cases


def default_partition(dataset: str) -> str:
    """Return the name of the partition that is used for a data set unless another is asked for."""
    return next(iter(partitions_of(dataset)), NO_SPLIT)

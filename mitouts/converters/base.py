"""Defines converters of foreign data sets, which read labels and know how cases are divided, and finds them by name."""

from __future__ import annotations

import dataclasses
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
            AnnotationError: ``src`` is not there, is something else, or says something that makes no sense. The message
                names the file, and the entry where there is one.
        """

    def images_of(self, src: Path) -> Path | None:
        """The images' folder where ``--image-root`` names none; None where ``src`` does not hold them."""
        return None

    @classmethod
    def datasets(cls) -> Sequence[str]:
        """The data sets that ``src`` can be of, whose partitions the help lists."""
        return list(cls.partitions)

    def options(self) -> dict[str, Any]:
        """The values of its options, for the record in the annotation file."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value.name if isinstance(value, Path) else value for name, value in values.items()}


@dataclass(frozen=True)
class Exported:
    """An annotation file or predictions in a foreign format.

    Attributes:
        files: Relative path -> content, one file an image.
        points: How many points they hold.
        notes: What the user should know of them.
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
            AnnotationError: ``src`` is no such file, or holds something that the format cannot say.
        """

    def write(self, path: Path, content: Any) -> None:
        """Write the content of one of :attr:`Exported.files`: JSON, unless a converter writes another format."""
        write_json(path, content)


def known_converters() -> dict[str, type[Converter]]:
    """Every registered converter by its name."""
    CONVERTERS.import_from_location()
    return dict(CONVERTERS.module_dict)


def find_converter(name: str) -> type[Converter]:
    """The converter of a name.

    Raises:
        UnknownComponentError: There is none; it names the nearest.
        ConfigError: It has options, but is no dataclass, so that they would be lost.
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
    """The partitions that a data set comes with by name, the default first; none of a data set that has none."""
    known = (converter.partitions for converter in known_converters().values())
    return next((partitions[dataset] for partitions in known if dataset in partitions), {})


def default_partition(dataset: str) -> str:
    """Name of the partition that a data set is divided by unless another is asked for."""
    return next(iter(partitions_of(dataset)), NO_SPLIT)

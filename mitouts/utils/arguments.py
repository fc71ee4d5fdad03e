"""Adds the options and types of arguments that several commands share."""

from __future__ import annotations

import argparse
import inspect
import math
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from mitouts.errors import CheckpointError, ConfigError
from mitouts.utils.config_files import config_names, data_names
from mitouts.utils.defaults import ADAPT_BN_PRIOR, LAUNCHERS, ROTATIONS
from mitouts.zoo import resolve_checkpoint, zoo_models

Made = TypeVar('Made')


def at_least(least: int) -> Callable[[str], int]:
    """Return an argument type for whole numbers of at least ``least``."""

    def integer(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f'must be at least {least}, found {value}')
        return value

    return integer


def share(text: str) -> float:
    """Parse a number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f'must be from 0 to 1, found {text}')
    return value


def not_negative(text: str) -> float:
    """Parse a finite number of at least 0."""
    value = float(text)
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f'must be a number from 0, found {text}')
    return value


def positive(text: str) -> float:
    """Parse a finite number above 0."""
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f'must be a positive number, found {text}')
    return value


@dataclass(frozen=True)
class Argument:
    """Makes a parameter an option of a command: ``mitotic: Annotated[str | None, Argument('the class', 'CLASS')]``.

    Attributes:
        help: Text in the command's help.
        metavar: Name of the value in the help, if it differs from the option's name.
    """

    help: str
    metavar: str | None = None


def add_parameters(parser: argparse._ActionsContainer, component: Callable[..., Any]) -> list[str]:
    """Add an option for each parameter that is annotated with an :class:`Argument`.

    ``keep_empty: bool`` becomes the flag ``--keep-empty``; a ``Literal`` becomes a choice.

    Args:
        parser: The parser.
        component: A dataclass or a function.

    Returns:
        The parameters' names.
    """
    hints = get_type_hints(component, include_extras=True)
    names = []
    for name, parameter in inspect.signature(component).parameters.items():
        annotated = _annotated(hints.get(name))
        if annotated is not None:
            parser.add_argument(f'--{name.replace("_", "-")}', **_option(*annotated, parameter.default))
            names.append(name)
    return names


def annotated_names(component: Callable[..., Any]) -> list[str]:
    """Return the names that a class or function annotates with an :class:`Argument`."""
    hints = get_type_hints(component, include_extras=True)
    return [name for name, hint in hints.items() if _annotated(hint) is not None]


def _annotated(hint: Any) -> tuple[Any, Argument] | None:
    """Return the type and the :class:`Argument` of an annotation; None if it has no :class:`Argument`."""
    argument = next((note for note in getattr(hint, '__metadata__', ()) if isinstance(note, Argument)), None)
    if argument is not None:
        return get_args(hint)[0], argument
    # Python 3.10 puts an Optional around what has the default None.
    return next((found for part in get_args(hint) if (found := _annotated(part)) is not None), None)


def _option(kind: Any, argument: Argument, default: Any) -> dict[str, Any]:
    if get_origin(kind) in (Union, types.UnionType):
        (kind,) = (part for part in get_args(kind) if part is not type(None))
    option: dict[str, Any] = {'help': argument.help}
    option |= {'required': True} if default is inspect.Parameter.empty else {'default': default}
    if kind is bool:
        return option | {'action': argparse.BooleanOptionalAction if default is True else 'store_true'}
    if argument.metavar is not None:
        option['metavar'] = argument.metavar
    if get_origin(kind) is Literal:
        option['choices'] = get_args(kind)
        kind = type(option['choices'][0])
    return option | {'type': kind}


def from_args(kind: Callable[..., Made], args: object, **others: Any) -> Made:
    """Make a dataclass from the arguments that have the names of its fields.

    Args:
        kind: The dataclass.
        args: The parsed command line, or another object with them as attributes.
        others: Values of further fields; they take precedence over arguments.
    """
    names = inspect.signature(kind).parameters
    return kind(**{**{name: value for name, value in vars(args).items() if name in names}, **others})


class Gather(argparse.Action):
    """Collects the values of an option that takes several values and may be repeated.

    Without it argparse keeps only the last ones, and its ``extend`` adds to the default instead of replacing it.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Append values to those that were given before."""
        before = getattr(namespace, self.dest)
        given = [] if before is self.default else before
        setattr(namespace, self.dest, [*given, *values])


def offer(argument: argparse.Action, names: Callable[[], Iterable[str]]) -> None:
    """Let the shell complete an argument with names, which are listed only when a line is completed."""
    argument.completer = lambda **_: names()  # type: ignore[attr-defined]


def add_config(parser: argparse.ArgumentParser, help: str = 'config file, or its name, such as uts/uts_lite0') -> None:
    """Add the config that a tool takes, ``config``, and its data set, ``--data``."""
    offer(parser.add_argument('config', help=help), config_names)
    data = parser.add_argument(
        '--data',
        metavar='NAME',
        help="data set in the place of the config's own: a name in configs/_base_/datasets, such as midog21-hn, or the "
        'path of a config like those, which ends in .py',
    )
    offer(data, data_names)


def add_cfg_options(parser: argparse.ArgumentParser, help: str = 'overrides of the config') -> None:
    """Add ``--cfg-options KEY=VALUE ...``."""
    parser.add_argument('--cfg-options', nargs='+', action=Gather, default=[], metavar='KEY=VALUE', help=help)


def add_imports(parser: argparse.ArgumentParser) -> None:
    """Add ``--import PACKAGE``, which imports packages with the user's own components as soon as it is parsed."""
    parser.add_argument(
        '--import',
        dest='imports',
        action='append',
        type=_imported,
        default=[],
        metavar='PACKAGE',
        help="import a package that registers components of one's own (found on PYTHONPATH); may be repeated",
    )


def add_image_root(
    parser: argparse._ActionsContainer, help: str = 'folder of the images (default: as the file says)'
) -> None:
    """Add ``--image-root DIR``."""
    parser.add_argument('--image-root', type=Path, metavar='DIR', help=help)


def add_root(parser: argparse.ArgumentParser) -> None:
    """Add ``--root DIR``, for commands that read the runs of suites."""
    parser.add_argument(
        '--root', type=Path, default=Path(), metavar='DIR',
        help='folder that the runs were started in, to find their annotation files (default: the current one)',
    )  # fmt: skip


def add_launcher(parser: argparse.ArgumentParser) -> None:
    """Add ``--launcher``: whether this is one process, or one of several."""
    parser.add_argument(
        '--launcher', choices=LAUNCHERS, default='none', help='what started this process beside others (default: none)'
    )
    # torchrun of torch < 2 passes it.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def add_adapt_bn(parser: argparse._ActionsContainer, images: str) -> None:
    """Add ``--adapt-bn [PRIOR]``; without it the value is None.

    Args:
        parser: Parser of the command.
        images: Description of the images that the batch norms are adapted to.
    """
    parser.add_argument(
        '--adapt-bn',
        type=not_negative,
        nargs='?',
        const=ADAPT_BN_PRIOR,
        metavar='PRIOR',
        help=f"adapt the batch norms to the {images} first, without labels; PRIOR images' worth of the checkpoint's "
        f'own statistics are kept (default: {ADAPT_BN_PRIOR:g}; 0 keeps none)',
    )


def add_rotations(parser: argparse._ActionsContainer, default: str) -> None:
    """Add ``--rotations 1|4``; without it the value is None.

    Args:
        parser: Parser of the command.
        default: Description of what is taken without it.
    """
    parser.add_argument(
        '--rotations',
        type=int,
        choices=ROTATIONS,
        help='average the score map over the image and its right-angle turns: 4 takes four times as long, and memory '
        f'for a turned copy of the image (default: {default})',
    )


def add_checkpoint(parser: argparse._ActionsContainer, *names: str, **options: Any) -> None:
    """Add a checkpoint, a path or the name of a model in the zoo; its value is the path."""
    offer(parser.add_argument(*names, type=_checkpoint, **options), zoo_models)


def _checkpoint(text: str) -> Path:
    try:
        return resolve_checkpoint(text)
    except CheckpointError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _imported(name: str) -> str:
    from mitouts.registry import import_packages

    try:
        import_packages([name])
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return name

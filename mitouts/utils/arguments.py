"""Types and options of command lines that the tools share."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any

from mitouts.errors import ConfigError
from mitouts.registry import import_packages


def at_least(least: int) -> Callable[[str], int]:
    """A whole number from ``least``."""

    def integer(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f'must be at least {least}, found {value}')
        return value

    return integer


def share(text: str) -> float:
    """A number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f'must be from 0 to 1, found {text}')
    return value


def not_negative(text: str) -> float:
    """A finite number from 0."""
    value = float(text)
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f'must be a number from 0, found {text}')
    return value


def positive(text: str) -> float:
    """A finite number above 0."""
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f'must be a positive number, found {text}')
    return value


class Gather(argparse.Action):
    """Gathers the values of an option that takes several and is given several times.

    Without it argparse keeps the last ones only, and its ``extend`` adds to the default instead of replacing it.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Add values to those that were given before."""
        before = getattr(namespace, self.dest)
        given = [] if before is self.default else before
        setattr(namespace, self.dest, [*given, *values])


def add_cfg_options(parser: argparse.ArgumentParser, help: str = 'overrides of the config') -> None:
    """Add ``--cfg-options KEY=VALUE ...``."""
    parser.add_argument('--cfg-options', nargs='+', action=Gather, default=[], metavar='KEY=VALUE', help=help)


def add_imports(parser: argparse.ArgumentParser) -> None:
    """Add ``--import PACKAGE``, which imports packages that register components of one's own, as it is read."""
    parser.add_argument(
        '--import',
        dest='imports',
        action='append',
        type=_imported,
        default=[],
        metavar='PACKAGE',
        help="import a package that registers components of one's own (found on PYTHONPATH); may be repeated",
    )


def _imported(name: str) -> str:
    try:
        import_packages([name])
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return name

"""Print the versions and the machine, for a bug report."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    return argparse.ArgumentParser(description=__doc__)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    build_parser().parse_args(argv)
    from mitouts.engine.environment import collect_environment

    for key, value in collect_environment().items():
        print(f'{key}: {value}')

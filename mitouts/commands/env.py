"""Print the versions and the machine, for a bug report."""

from __future__ import annotations

from mitouts.engine.environment import collect_environment
from mitouts.utils.cli import run


def main() -> None:
    for key, value in collect_environment().items():
        print(f'{key}: {value}')


if __name__ == '__main__':
    run(main)

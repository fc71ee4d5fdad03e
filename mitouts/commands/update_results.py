"""Write a run's tables between two markers of a Markdown file, so that no number is ever copied by hand.

    mitouts update-results configs/uts/README.md --run work_dirs/uts_lite0_amibr-fields

replaces what is between ``<!-- results: uts_lite0_amibr-fields -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mitouts.errors import MitoutsError
from mitouts.experiments.markdown import replace_block
from mitouts.experiments.provenance import machine_of, versions_of
from mitouts.utils.arguments import Gather
from mitouts.utils.text_files import read_json, read_text
from mitouts.utils.words import plural
from mitouts.visualization.tables import results_markdown


def block(work_dir: Path) -> str:
    """Return the tables of a finished run, with the machine, versions and seed that it was made with.

    Raises:
        MitoutsError: The run has no ``results.json``.
    """
    path = work_dir / 'results.json'
    if not path.is_file():
        raise MitoutsError(f'{path} does not exist: run mitouts train with a staged config first')
    results = read_json(path)
    machine = _machine(work_dir, results)
    return results_markdown(results['stages'], results.get('distillation')) + f'\n{machine}\n'


def _machine(work_dir: Path, results: dict[str, Any]) -> str:
    started = read_json(work_dir / results['stages'][0]['stage'] / 'started.json')
    environment = started['environment']
    return f'Made by `mitouts train` on {machine_of(environment)}; seed {started["seed"]}; {versions_of(environment)}.'


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('markdown', type=Path, help='file with the markers')
    parser.add_argument(
        '--run', type=Path, nargs='+', action=Gather, required=True, metavar='WORK_DIR', help='work dirs of staged runs'
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = build_parser().parse_args(argv)

    text = read_text(args.markdown, 'a Markdown page')
    for work_dir in args.run:
        text = replace_block(text, work_dir.name, block(work_dir), kind='results')
    args.markdown.write_text(text, encoding='utf-8')
    print(f'{args.markdown}: {plural(len(args.run), "table")} written')

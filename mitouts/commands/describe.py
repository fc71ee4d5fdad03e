"""Count what annotation files hold, draw some of it, and say what looks wrong, before anything is trained on it.

    mitouts describe data/mine/train.json data/mine/val.json data/mine/test.json

The split is each image's own (images[].split), else the name of its file. The figures are drawn from the image files,
slides included; without these only the counts are given.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mitouts.errors import AnnotationError, AnnotationWarning
from mitouts.formats.coco import write_json
from mitouts.utils.arguments import add_image_root, at_least
from mitouts.utils.words import plural

CASES_SHOWN = 15
TITLES = {'by_split': 'Split', 'by_scanner': 'Scanner', 'by_tumor_type': 'Tumour type', 'by_case': 'Case'}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = build_parser().parse_args(argv)

    from mitouts.formats.describe import check_files, find_problems, read_dataset, summarize
    from mitouts.visualization.canvas import write_png
    from mitouts.visualization.dataset_sheet import draw_sheet

    dataset = read_dataset(args.ann_files, args.image_root)
    if not dataset.images:
        raise AnnotationError(f'{", ".join(args.ann_files)}: there is no image to describe')
    out = Path(args.out or Path('work_dirs') / 'describe' / Path(args.ann_files[0]).stem)
    summary = summarize(dataset)
    file_findings, usable = check_files(dataset.images)
    sheet, unread = draw_sheet(dataset, usable, num=args.num, crop_px=args.crop_px, seed=args.seed)
    findings = [*find_problems(dataset), *file_findings, *unread]
    json_path = Path(args.json or out / 'description.json')
    write_json(json_path, {**summary, 'findings': [asdict(finding) for finding in findings]})
    written = [str(json_path)]
    if sheet is not None:
        write_png(out / 'figures.png', sheet)
        written.append(str(out / 'figures.png'))
    print_tables(summary)
    print(f'{", ".join(written)}: {plural(len(findings), "finding")}')
    for finding in findings:
        warnings.warn(finding.message, AnnotationWarning, stacklevel=1)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('ann_files', nargs='+', metavar='ANN_FILE', help='annotation files, such as one a split')
    add_image_root(parser, 'folder of the images (default: as each file says)')
    parser.add_argument('--out', metavar='DIR', help='folder to write to (default: work_dirs/describe/NAME)')
    parser.add_argument('--json', metavar='FILE', help='where the counts go (default: OUT/description.json)')
    parser.add_argument('--num', type=at_least(1), default=32, help='figures drawn of each category (default: 32)')
    parser.add_argument('--crop-px', type=at_least(8), default=64, help='side of a crop in pixels (default: 64)')
    parser.add_argument('--seed', type=at_least(0), default=0, help='for the choice of figures (default: 0)')
    return parser


def print_tables(summary: Mapping[str, Any]) -> None:
    """Print one table for each grouping; of the cases only those with the most annotations."""
    console = Console()
    for key, title in TITLES.items():
        if key not in summary:
            continue
        rows = list(summary[key].items())
        left_out = 0
        if key == 'by_case' and len(rows) > CASES_SHOWN:
            rows.sort(key=lambda item: -sum(item[1]['categories'].values()))
            left_out, rows = len(rows) - CASES_SHOWN, rows[:CASES_SHOWN]
        table = Table(box=SIMPLE_HEAD, padding=(0, 1), show_edge=False, show_footer=key == 'by_split')
        table.add_column(title, footer='all', no_wrap=True)
        for heading, cell in _cells(summary['total'], summary['total']).items():
            table.add_column(escape(heading), justify='right', footer=cell)
        for name, row in rows:
            table.add_row(escape(name), *_cells(row, summary['total']).values())
        if left_out:
            table.caption = f'and {plural(left_out, "case")} more (all are in the JSON file)'
        console.print(table)
        console.print()


def _cells(row: Mapping[str, Any], total: Mapping[str, Any]) -> dict[str, str]:
    """Return cells by heading; counts of bad or overlapping data have a column only if there are any."""
    counts = {'Images': row['images'], 'Cases': row['cases']}
    if 'labels' in row:
        counts |= {'Positive': row['labels']['positive'], 'Negative': row['labels']['negative']}
        if total['labels']['without_points']:
            counts['By label alone'] = row['labels']['without_points']
    counts |= {'Empty images': row['without_annotation'], **row['categories']}
    rare = {'Shown only': 'shown_only', 'Outside': 'outside'}
    counts |= {heading: row[key] for heading, key in rare.items() if total[key]}
    return {heading: f'{count:,}' for heading, count in counts.items()}

"""Count annotated and predicted figures in the same region of each slide: the paper's DBSCAN hotspot.

    mitouts reference-hotspots ann.json --counts work_dirs/wsi --out reference.csv
    mitouts correlate reference.csv --x reference_count --y predicted_count

The annotation file is of whole slides, such as mitouts convert ccmct writes it; --counts is the --out of
mitouts count for the same slides. On each slide a square of 1.59 mm2 is centred on the most populated
DBSCAN cluster of annotated figures, and both annotated figures and predicted ones (above the model's map threshold)
are counted in it. Every slide of the annotation file gets a line; one that cannot be compared says why. A JSON with the
same rows is written beside the table. For research use only.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mitouts.formats.coco import MITOTIC_FIGURE, read_coco, write_json
from mitouts.formats.slide_csv import write_table
from mitouts.utils.arguments import positive
from mitouts.utils.defaults import ROI_AREA_MM2

if TYPE_CHECKING:
    from mitouts.wsi.reference import RegionComparison
    from mitouts.wsi.steps import ReferenceArguments

NONE_COMPARED = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    from mitouts.wsi.steps import ReferenceArguments

    return count_references(ReferenceArguments(**vars(parse_args(argv))))


def count_references(args: ReferenceArguments) -> int:
    """Write a table of annotated and predicted figures in one region of each slide.

    Returns:
        The exit code: 1 where no slide could be compared.
    """
    from mitouts.wsi.counts import PROVENANCE_COLUMNS, flat_provenance
    from mitouts.wsi.reference import COLUMNS, compare_regions

    document = read_coco(args.annotations)
    comparison = compare_regions(document, args.counts, category=args.category, area_mm2=args.area_mm2)
    provenance = {'annotations': args.annotations.name, **comparison.provenance}
    origin = flat_provenance(provenance)
    own = {name: origin.get(name) for name in PROVENANCE_COLUMNS}
    cells = [[row[name] for name in COLUMNS] + list(own.values()) for row in comparison.rows]
    write_table(args.out, [*COLUMNS, *own], cells)
    write_json(args.out.with_suffix('.json'), {'provenance': provenance, 'slides': comparison.rows})
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(summary(comparison))
    for note in comparison.notes:
        console.print(f'- {note}', markup=False)
    console.print(f'{comparison.num_compared} of {len(comparison.rows)} slides compared, written to {args.out}')
    return 0 if comparison.num_compared else NONE_COMPARED


def summary(comparison: RegionComparison) -> Table:
    """Make a table of all slides."""
    from mitouts.wsi.reference import COMPARED

    table = Table(title='for research use only')
    table.add_column('slide')
    for name in ('annotated in region', 'predicted in region', 'annotated', 'predicted'):
        table.add_column(name, justify='right')
    table.add_column('remark')
    for row in comparison.rows:
        names = ('reference_count', 'predicted_count', 'annotated_figures', 'predicted_figures')
        counts = ['' if row[name] is None else str(row[name]) for name in names]
        is_compared = row['status'] == COMPARED
        remarks = [row['remark'] if is_compared else row['status']]
        if row['roi_unreadable_mm2']:
            remarks.append(f'{row["roi_unreadable_mm2"]:.2f} mm2 of the region could not be read')
        remark = '; '.join(remark for remark in remarks if remark)
        table.add_row(escape(row['slide']), *counts, escape(remark), style=None if is_compared else 'red')
    return table


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('annotations', type=Path, metavar='ANN.json', help='annotation file of whole slides')
    parser.add_argument(
        '--counts', type=Path, required=True, metavar='DIR', help='what mitouts count wrote for these slides'
    )
    parser.add_argument('--out', type=Path, required=True, metavar='TABLE.csv', help='where the table goes')
    parser.add_argument(
        '--area-mm2', type=positive, default=ROI_AREA_MM2, help=f'area of the region (default: {ROI_AREA_MM2})'
    )
    parser.add_argument(
        '--category',
        type=int,
        default=MITOTIC_FIGURE,
        help=f'category of the annotated figures (default: {MITOTIC_FIGURE})',
    )
    return parser


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line, and refuse options that do not go together."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.out.suffix.lower() != '.csv':
        parser.error(f'--out writes CSV, found {args.out.name}')
    return args

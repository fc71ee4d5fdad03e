"""Convert a foreign data set to an annotation file.

    mitouts convert midog MIDOG.json --image-root images --out data/midog21.json
    mitouts convert midog --help
    mitouts convert my_data SRC --out data/mine.json --import my_package

NAME is a converter; those of a package of your own are known once --import names it.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mitouts.utils.arguments import add_imports, add_parameters, positive

if TYPE_CHECKING:
    from rich.table import Table

    from mitouts.converters.base import Converter, ExportingConverter


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command.

    Raises:
        MitoutsError: There is no such converter, or the labels or the images make no sense.
    """
    from mitouts.registry import CONVERTERS

    imports = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_imports(imports)
    _, rest = imports.parse_known_args(argv)
    if rest and not rest[0].startswith('-'):
        # Its error names the nearest ones; argparse lists them all.
        CONVERTERS.get(rest[0])
    args = build_parser().parse_args(argv)
    _run(args.converter, args)


def run_converter(name: str, argv: Sequence[str] | None = None) -> None:
    """Run the command for one converter, whose name is not on the command line.

    Args:
        name: The converter's.
        argv: The command line, default the program's.

    Raises:
        MitoutsError: The labels or the images make no sense.
    """
    from mitouts.registry import CONVERTERS

    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter)
    _add_options(parser, CONVERTERS.get(name))
    _run(name, parser.parse_args(argv))


def build_parser() -> argparse.ArgumentParser:
    """Make the command's parser, with every converter that is registered by now."""
    import inspect

    from mitouts.converters.base import known_converters

    parser = argparse.ArgumentParser(
        prog='mitouts convert', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_imports(parser)
    commands = parser.add_subparsers(title='converters', metavar='NAME', required=True)
    for name, converter in sorted(known_converters().items()):
        summary = (inspect.getdoc(converter) or '').partition('\n')[0]
        own = commands.add_parser(name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter)
        _add_options(own, converter)
        own.set_defaults(converter=name)
        add_imports(own)
    return parser


def _add_options(parser: argparse.ArgumentParser, converter: type[Converter]) -> None:
    """Add ``SRC --out ANN.json``, what all converters take, and the converter's own options."""
    import inspect

    from mitouts.converters.base import ExportingConverter, default_partition, partitions_of
    from mitouts.formats.splits import NO_SPLIT

    parser.description = inspect.getdoc(converter)
    parser.add_argument('src', type=Path, metavar='SRC', help=converter.src)
    parser.add_argument('--out', type=Path, required=True, metavar='ANN.json', help='annotation file to write')
    parser.add_argument(
        '--image-root',
        type=Path,
        metavar='DIR',
        help='folder of the images: sizes and resolutions are read from them (without it, from the label file)',
    )
    parser.add_argument(
        '--mpp', type=positive, help='micrometres per pixel of all images, where the images do not say it or are wrong'
    )
    datasets = converter.datasets()
    names = dict.fromkeys([*(name for each in datasets for name in partitions_of(each)), NO_SPLIT])
    defaults = dict.fromkeys(default_partition(each) for each in datasets) or [NO_SPLIT]
    parser.add_argument(
        '--split',
        metavar='NAME_OR_FILE',
        help=f'{", ".join(names)}, or a CSV or JSON that names cases or files, a CSV of files perhaps with their '
        f'case_id (default: {" or ".join(defaults)})',
    )
    parser.add_argument(
        '--cases',
        type=Path,
        metavar='TABLE',
        help='CSV with file_name and case_id: which patient or slide each image is of (default: as the labels say)',
    )
    parser.add_argument('--skip-missing', action='store_true', help='leave out images that --image-root lacks')
    add_parameters(parser, converter)
    parser.set_defaults(export=False)
    if issubclass(converter, ExportingConverter):
        parser.add_argument('--export', action='store_true', help='write such files from an annotation file')
        parser.set_defaults(export_options=add_parameters(parser, converter.export))
        parser.add_argument('--overwrite', action='store_true', help='with --export, replace existing files')


def _run(name: str, args: argparse.Namespace) -> None:
    from mitouts.registry import CONVERTERS

    kind = CONVERTERS.get(name)
    converter = kind(**{field.name: getattr(args, field.name) for field in dataclasses.fields(kind)})
    if args.export:
        _export(converter, args)
    else:
        _convert(name, converter, args)


def _convert(name: str, converter: Converter, args: argparse.Namespace) -> None:
    """Write the annotation file, and print counts and notes on stderr."""
    from rich.console import Console

    from mitouts.converters.document import to_document
    from mitouts.formats.coco import write_json
    from mitouts.formats.provenance import check_out

    source = converter.read(args.src, image_root=args.image_root, mpp=args.mpp)
    check_out(args.out, name)
    document = to_document(
        source,
        tool=name,
        arguments={
            'src': args.src.name,
            'split': args.split,
            'cases': None if args.cases is None else args.cases.name,
            'mpp': args.mpp,
            **converter.options(),
        },
        image_root=args.image_root or converter.images_of(args.src),
        out=args.out,
        mpp=args.mpp,
        split=args.split,
        cases=args.cases,
        skip_missing=args.skip_missing,
    )
    write_json(args.out, document)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(_counts_table(document, source.name))
    for note in document['info']['mitouts']['notes']:
        console.print(f'- {note}', markup=False)
    console.print(f'written to {args.out}', markup=False)


def _export(converter: ExportingConverter, args: argparse.Namespace) -> None:
    """Write one foreign file an image of an annotation file."""
    import sys

    from mitouts.utils.files import write_folder
    from mitouts.utils.words import plural

    options = {option: getattr(args, option) for option in args.export_options}
    exported = converter.export(args.src, image_root=args.image_root, **options)
    write_folder(args.out, exported.files, converter.write, overwrite=args.overwrite)
    counts = f'{plural(len(exported.files), "file")} with {plural(exported.points, "point")}'
    print(f'{counts} written to {args.out}', *(f'- {note}' for note in exported.notes), sep='\n', file=sys.stderr)


def _counts_table(document: Mapping[str, Any], title: str) -> Table:
    """Table of :func:`mitouts.converters.document.count_by_split`."""
    from rich.markup import escape
    from rich.table import Table

    from mitouts.converters.document import count_by_split

    rows = count_by_split(document)
    table = Table(title=escape(title))
    table.add_column('split')
    for column in rows['all']:
        table.add_column(escape(column), justify='right')
    for name, counts in rows.items():
        table.add_row(escape(name), *(f'{count:,}' for count in counts.values()))
    return table

"""Convert a foreign data set to an annotation file.

    mitouts convert midog MIDOG.json --image-root images --out data/midog21.json
    mitouts convert midog --help
    mitouts convert my_data SRC --out data/mine.json --import my_package

NAME is a converter; those of a package of your own are known once --import names it.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mitouts.utils.arguments import add_image_root, add_imports, add_parameters, from_args, offer, positive

if TYPE_CHECKING:
    from rich.table import Table

    from mitouts.converters.base import Converter, ExportingConverter


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command.

    Args:
        argv: The command line, default the program's.

    Raises:
        MitoutsError: The labels or the images make no sense.
        UnknownComponentError: There is no such converter; it names the nearest.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    # Wherever --import is: a converter of the package must be known before its options can be.
    imports = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_imports(imports)
    imports.parse_known_args(words)
    parser = build_parser()
    parser.epilog = _list_converters()
    if not words:
        parser.print_help()
        sys.exit(2)
    args = parser.parse_args(words)
    run_converter(args.name, args.arguments, prog=f'{parser.prog} {args.name}')


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of everything but the converter's own options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_imports(parser)
    offer(parser.add_argument('name', metavar='NAME', help='the converter'), _names)
    parser.add_argument(
        'arguments', nargs=argparse.REMAINDER, metavar='SRC --out ANN.json ...', help='NAME --help describes them'
    )
    return parser


def run_converter(name: str, argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Run one converter.

    Args:
        name: The converter's.
        argv: The command line behind the name, default the program's.
        prog: Name of the program in the help, default its file.

    Raises:
        MitoutsError: The labels or the images make no sense.
        UnknownComponentError: There is no such converter; it names the nearest.
    """
    from mitouts.converters.base import ExportingConverter, find_converter

    kind = find_converter(name)
    args = converter_parser(kind, prog).parse_args(argv)
    converter = from_args(kind, args)
    if args.export and isinstance(converter, ExportingConverter):
        _export(converter, args)
    else:
        _convert(name, converter, args)


def _names() -> list[str]:
    from mitouts.converters.base import known_converters

    return sorted(known_converters())


def _list_converters() -> str:
    """List the name of each converter with the first line of its docstring."""
    import textwrap

    from mitouts.converters.base import known_converters

    known = sorted(known_converters().items())
    width = max(len(name) for name, _ in known)
    lines = [f'{name:{width}}  {(inspect.getdoc(kind) or "").partition(chr(10))[0]}' for name, kind in known]
    wrap = textwrap.TextWrapper(100, initial_indent='  ', subsequent_indent=' ' * (width + 4))
    return '\n'.join(['converters:', *map(wrap.fill, lines)])


def converter_parser(converter: type[Converter], prog: str | None = None) -> argparse.ArgumentParser:
    """Make the parser of ``SRC --out ANN.json``, of what all converters take, and of the converter's own options."""
    from mitouts.converters.base import ExportingConverter, default_partition, partitions_of
    from mitouts.formats.splits import NO_SPLIT

    parser = argparse.ArgumentParser(
        prog, description=inspect.getdoc(converter), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('src', type=Path, metavar='SRC', help=converter.src)
    parser.add_argument('--out', type=Path, required=True, metavar='ANN.json', help='annotation file to write')
    add_image_root(
        parser, 'folder of the images: sizes and resolutions are read from them (without it, from the label file)'
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
    add_imports(parser)
    own = parser.add_argument_group('options of this converter')
    add_parameters(own, converter)
    parser.set_defaults(export=False)
    if issubclass(converter, ExportingConverter):
        own.add_argument('--export', action='store_true', help='write such files from an annotation file')
        parser.set_defaults(export_options=add_parameters(own, converter.export))
        own.add_argument('--overwrite', action='store_true', help='with --export, replace existing files')
    return parser


def _convert(name: str, converter: Converter, args: argparse.Namespace) -> None:
    """Write the annotation file, and print counts and notes on stderr."""
    from rich.console import Console

    from mitouts.converters.document import to_document
    from mitouts.formats.coco import write_json
    from mitouts.formats.provenance import check_out

    image_root = args.image_root or converter.images_of(args.src)
    source = converter.read(args.src, image_root=image_root, mpp=args.mpp)
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
        image_root=image_root,
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
    """Write one foreign file for each image of an annotation file."""
    from mitouts.utils.files import write_folder
    from mitouts.utils.words import plural

    options = {option: getattr(args, option) for option in args.export_options}
    exported = converter.export(args.src, image_root=args.image_root, **options)
    write_folder(args.out, exported.files, converter.write, overwrite=args.overwrite)
    counts = f'{plural(len(exported.files), "file")} with {plural(exported.points, "point")}'
    print(f'{counts} written to {args.out}', *(f'- {note}' for note in exported.notes), sep='\n', file=sys.stderr)


def _counts_table(document: Mapping[str, Any], title: str) -> Table:
    """Make a table of :func:`mitouts.converters.document.count_by_split`."""
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

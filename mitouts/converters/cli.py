"""What the converters of ``tools/dataset_converters`` share: arguments, writing, and the summary."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mitouts.errors import AnnotationError
from mitouts.formats import coco
from mitouts.formats.source import SourceSet, count_by_split, to_document
from mitouts.formats.splits import NO_SPLIT, PARTITIONS, default_partition
from mitouts.utils.arguments import positive


def make_parser(description: str | None, dataset: str | Sequence[str], src: str) -> argparse.ArgumentParser:
    """Make a converter's parser: ``SRC --out ann.json`` and what all of them take.

    Args:
        description: The tool's docstring.
        dataset: Key of :data:`mitouts.formats.splits.PARTITIONS`, or another word; several where the file decides.
        src: What SRC is.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('src', type=Path, metavar='SRC', help=src)
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
    datasets = [dataset] if isinstance(dataset, str) else dataset
    names = dict.fromkeys([name for each in datasets for name in PARTITIONS.get(each, {})] + [NO_SPLIT])
    defaults = dict.fromkeys(default_partition(each) for each in datasets)
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
    return parser


def write_converted(
    source: SourceSet, args: argparse.Namespace, tool: str, arguments: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Write the annotation file of a foreign data set, and print counts and notes on stderr.

    Args:
        source: What its label file says.
        args: What :func:`make_parser`'s parser found.
        tool: The converter's name.
        arguments: Its own arguments, for the record in the file.

    Raises:
        AnnotationError: See :func:`mitouts.formats.source.to_document`, or ``--out`` holds something that this
            tool did not write.
    """
    check_out(args.out, tool)
    document = to_document(
        source,
        tool=tool,
        arguments={
            'src': args.src.name,
            'split': args.split,
            'cases': None if args.cases is None else args.cases.name,
            'mpp': args.mpp,
            **(arguments or {}),
        },
        image_root=args.image_root,
        out=args.out,
        mpp=args.mpp,
        split=args.split,
        cases=args.cases,
        skip_missing=args.skip_missing,
    )
    coco.write_json(args.out, document)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(counts_table(document, source.name))
    for note in document['info']['mitouts']['notes']:
        console.print(f'- {note}', markup=False)
    console.print(f'written to {args.out}', markup=False)
    return document


def check_out(out: Path, tool: str) -> None:
    """Refuse to write over a file that ``tool`` did not write.

    Raises:
        AnnotationError: It is something else.
    """
    if not out.exists():
        return
    try:
        info = coco.read_json(out).get('info', {})
        made_by = info['mitouts']['tool']
    except (AnnotationError, AttributeError, KeyError, TypeError, IsADirectoryError):
        made_by = None
    if made_by != tool:
        raise AnnotationError(f'{out} was not written by {tool} and is not touched; choose another --out')


def write_folder(
    out: Path, files: Mapping[str, Any], write: Callable[[Path, Any], None], *, overwrite: bool = False
) -> None:
    """Write one file an image into a folder.

    Args:
        out: The folder.
        files: Relative path -> content.
        write: Writes one file.
        overwrite: Replace files that are there.

    Raises:
        AnnotationError: One is there, perhaps with corrections, and ``overwrite`` is off; nothing is written then.
    """
    if out.exists() and not out.is_dir():
        raise AnnotationError(f'{out} is a file; --out is the folder for one file an image')
    there = [name for name in files if (out / name).exists()]
    if there and not overwrite:
        raise AnnotationError(
            f'{out / there[0]} exists and may hold corrections ({len(there)} of {len(files)} files do); choose another '
            '--out or add --overwrite'
        )
    for name, content in files.items():
        write(out / name, content)


def counts_table(document: Mapping[str, Any], title: str) -> Table:
    """Table of :func:`mitouts.formats.source.count_by_split`."""
    rows = count_by_split(document)
    table = Table(title=escape(title))
    table.add_column('split')
    for column in rows['all']:
        table.add_column(escape(column), justify='right')
    for name, counts in rows.items():
        table.add_row(escape(name), *(f'{count:,}' for count in counts.values()))
    return table

"""Fills tables into the marked places of Markdown pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mitouts.errors import MitoutsError
from mitouts.experiments.markdown import marked_names, replace_block
from mitouts.experiments.tables import ResultTable, render
from mitouts.utils.text_files import read_text

TABLE_MARKER = 'table'


def fill_pages(
    pages: Sequence[Path], named: Mapping[str, Sequence[ResultTable]], only: str | None, *, whole: bool
) -> Sequence[Path]:
    """Write tables between their markers.

    Args:
        pages: Markdown files.
        named: Name of a marker -> the tables that go there.
        only: The one marker that is filled, of whatever name the tables have; None fills all of ``named``.
        whole: Every marker of the pages must have tables.

    Returns:
        The pages.

    Raises:
        MitoutsError: A marker or its tables are missing.
    """
    texts = {page: read_text(page, 'a Markdown page') for page in pages}
    marked = [name for text in texts.values() for name in marked_names(text, TABLE_MARKER)]
    wanted = [only] if only else list(named)
    listed = ', '.join(map(str, pages))
    without = [name for name in wanted if name not in marked]
    if without:
        raise MitoutsError(
            f'{listed}: no marker for {", ".join(without)}: add a line <!-- {TABLE_MARKER}: {without[0]} --> and a '
            'line <!-- end --> where the table goes'
        )
    unknown = [name for name in marked if name not in named]
    if whole and unknown:
        raise MitoutsError(f'{listed}: no block for the marker {", ".join(unknown)}: add it to the spec file')
    for page, text in texts.items():
        for name in marked_names(text, TABLE_MARKER):
            if name in wanted:
                text = replace_block(text, name, render(named[name], 'markdown'), kind=TABLE_MARKER)
        page.write_text(text, encoding='utf-8')
    return pages

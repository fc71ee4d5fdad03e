"""Replaces generated parts of Markdown pages between two markers, so that no number is copied by hand.

A part is between ``<!-- KIND: NAME -->`` and ``<!-- end -->``; the kind says which tool writes it: ``results``
(``update_results.py``) or ``table`` (``make_tables.py``).
"""

from __future__ import annotations

import re

from mitouts.errors import MitoutsError

END = '<!-- end -->'


def folded(summary: str, text: str) -> str:
    """Hide text until its summary is clicked, on GitHub and on the documentation's site."""
    return f'<details markdown="1"><summary>{summary}</summary>\n\n{text}\n\n</details>'


def marker(kind: str, name: str) -> str:
    """Return the marker that begins a part."""
    return f'<!-- {kind}: {name} -->'


def marked_names(text: str, kind: str) -> list[str]:
    """List the names of the parts of a kind, in the page's order; markers quoted in code blocks do not count."""
    return re.findall(rf'^<!-- {re.escape(kind)}: (.+?) -->', _without_code(text), flags=re.MULTILINE)


def replace_block(text: str, name: str, content: str, *, kind: str) -> str:
    """Replace the text between the markers of ``name``.

    Raises:
        MitoutsError: A marker is missing, or another part begins before this one ends.
    """
    begin, prose = marker(kind, name), _without_code(text)
    start = prose.find(begin)
    stop = prose.find(END, start)
    if start < 0 or stop < 0:
        raise MitoutsError(f'expected the markers {begin!r} and, after it, {END!r}: add both where the table belongs')
    following = re.search(r'<!-- \w+: .+? -->', prose[start + len(begin) : stop])
    if following:
        raise MitoutsError(f'{begin!r} is not ended before {following.group()!r} begins: add {END!r} between them')
    return f'{text[:start]}{begin}\n{content.strip()}\n{text[stop:]}'


def _without_code(text: str) -> str:
    """Blank out the page's code blocks; every other character stays where it was."""
    return re.sub(r'^(```|~~~).*?^\1', lambda block: ' ' * len(block.group()), text, flags=re.DOTALL | re.MULTILINE)

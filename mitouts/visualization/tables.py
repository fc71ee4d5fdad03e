"""The results of a run as a table for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from mitouts.visualization.scalars import is_number

_INTERVAL = '95% CI of F1'
COLUMNS = (
    'Stage',
    'Images',
    'Image AUC',
    'Image F1',
    'Protocol',
    'P',
    'R',
    'F1',
    _INTERVAL,
    'TP',
    'FP',
    'FN',
    'Minutes',
)
TEXT_COLUMNS = frozenset({'Stage', 'Protocol'})
PROTOCOLS = {'one_to_one': 'one-to-one', 'presence': 'presence'}
_NARROW_HEADINGS = {'Image AUC': 'Image\nAUC', 'Image F1': 'Image\nF1', _INTERVAL: '95% CI\nof F1', 'Minutes': 'Min'}
MISSING = 'n/a'
MISSING_INTERVAL = 'not available'


def result_rows(stages: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The cells under :data:`COLUMNS`: one line for each stage and protocol; a stage's own cells are not repeated.

    Args:
        stages: As in ``results.json``: ``{"stage", "images", "minutes", "image": {"auc", "f1"}, "one_to_one": {"tp",
            "fp", "fn", "precision", "recall", "f1", "f1_ci95"}, "presence": {...}}``. A number that is missing or
            undefined shows as "n/a", an interval as "not available".
    """
    rows = []
    for stage in stages:
        for index, (name, result) in enumerate(_protocols(stage)):
            own, minutes = _own_cells(stage) if index == 0 else ([''] * 4, '')
            rows.append([*own, name, *_protocol_cells(result), minutes])
    return rows


def results_table(stages: Sequence[Mapping[str, Any]], title: str | None = None) -> Table:
    """The same table for the terminal: the protocols stand under their stage, so that 80 characters hold it."""
    table = Table(title=title, box=SIMPLE_HEAD, padding=0, show_edge=False)
    for column in COLUMNS:
        if column != 'Protocol':
            heading = _NARROW_HEADINGS.get(column, column)
            table.add_column(heading, justify='left' if column == 'Stage' else 'right', no_wrap=column != _INTERVAL)
    for stage in stages:
        own, minutes = _own_cells(stage)
        table.add_row(*own, *[''] * 7, minutes)
        for name, result in _protocols(stage):
            table.add_row(f' {name}', '', '', '', *_protocol_cells(result), '')
        table.add_section()
    return table


def results_markdown(stages: Sequence[Mapping[str, Any]], distillation: Mapping[str, Any] | None = None) -> str:
    """The same table for a README, followed by what the distillation did.

    Returns:
        Lines of GitHub Markdown, ended by a newline.
    """
    rule = [':--' if column in TEXT_COLUMNS else '--:' for column in COLUMNS]
    rows = [[cell.replace('|', r'\|') for cell in row] for row in result_rows(stages)]
    lines = ['| ' + ' | '.join(cells) + ' |' for cells in (list(COLUMNS), rule, *rows)]
    if distillation:
        lines += ['', distillation_sentence(distillation)]
    return '\n'.join(lines) + '\n'


def distillation_sentence(distillation: Mapping[str, Any]) -> str:
    """What was kept and dropped, in words.

    Args:
        distillation: ``{"kept", "dropped"}`` and, where the truth is known, ``"noise_dropped", "noise_total",
            "clean_kept", "clean_total"`` (counted over
            positive images), and ``"relabelled"``.
    """
    kept, dropped = distillation['kept'], distillation['dropped']
    text = f'Distillation kept {kept} of {kept + dropped} training images'
    known = [
        f'{verb} {of_total(distillation[count], distillation[total])} {noun}'
        for count, total, verb, noun in (
            ('noise_dropped', 'noise_total', 'dropped', 'mislabelled images'),
            ('clean_kept', 'clean_total', 'kept', 'clean positive ones'),
        )
        if distillation.get(count) is not None and distillation.get(total) is not None
    ]
    if distillation.get('relabelled'):
        known.append(f'relabelled {distillation["relabelled"]} images')
    return text + (f': it {" and ".join(known)}.' if known else '.')


def of_total(count: int, total: int) -> str:
    """Such as ``3 of 4 (75%)``.

    >>> of_total(0, 0)
    '0 of 0'
    """
    return f'{count} of {total}' + (f' ({100 * count / total:.0f}%)' if total else '')


def _own_cells(stage: Mapping[str, Any]) -> tuple[list[str], str]:
    image = stage.get('image') or {}
    cells = [str(stage['stage']), _count(stage.get('images')), _share(image.get('auc')), _share(image.get('f1'))]
    minutes = stage.get('minutes')
    return cells, f'{minutes:.1f}' if is_number(minutes) else MISSING


def _protocols(stage: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The protocols and radii that the stage was scored under; an untested stage shows the default without numbers.

    A second radius stands in the results as ``one_to_one@15px``.
    """
    found = [
        (f'{name} {key.partition("@")[2]}'.strip(), result)
        for suffix in (False, True)
        for protocol, name in PROTOCOLS.items()
        for key, result in stage.items()
        if key.partition('@')[0] == protocol and ('@' in key) == suffix and result
    ]
    return found or [(PROTOCOLS['one_to_one'], {})]


def _protocol_cells(result: Mapping[str, Any]) -> list[str]:
    interval: Sequence[Any] = result.get('f1_ci95') or ()
    known = len(interval) == 2 and all(is_number(end) for end in interval)
    return [
        *(_share(result.get(key)) for key in ('precision', 'recall', 'f1')),
        f'{interval[0]:.3f}–{interval[1]:.3f}' if known else MISSING_INTERVAL,
        *(_count(result.get(key)) for key in ('tp', 'fp', 'fn')),
    ]


def _share(value: Any) -> str:
    return f'{value:.3f}' if is_number(value) else MISSING


def _count(value: Any) -> str:
    return f'{value:d}' if is_number(value) else MISSING

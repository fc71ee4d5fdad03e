"""Makes tables of the results of a run or of a tissue model, for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from mitouts.utils.words import plural
from mitouts.visualization.scalars import is_finite_number

_INTERVAL = '95% CI of F1'
COLUMNS = (
    *('Stage', 'Images', 'Image AUC', 'Image F1', 'Protocol', 'P', 'R', 'F1', _INTERVAL),
    *('TP', 'FP', 'FN', 'Minutes'),
)
LOCALIZATION_COLUMNS = COLUMNS[4:-1]
TEXT_COLUMNS = frozenset({'Stage', 'Protocol'})
PROTOCOLS = {'one_to_one': 'one-to-one', 'presence': 'presence'}
_NARROW_HEADINGS = {'Image AUC': 'Image\nAUC', 'Image F1': 'Image\nF1', _INTERVAL: '95% CI\nof F1', 'Minutes': 'Min'}
MISSING = 'n/a'
MISSING_INTERVAL = 'not available'
_NOT_A_CLASS = ('mean', 'mean_ci95')


def result_columns(stages: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return those of :data:`COLUMNS` that the stages have values for.

    If all tested stages were tested on images without annotated points, the columns on localization are left out.
    """
    blocks = [block for stage in stages for block in _blocks(stage).values()]
    if blocks and not any(map(_is_scored, blocks)):
        return tuple(column for column in COLUMNS if column not in LOCALIZATION_COLUMNS)
    return COLUMNS


def result_rows(stages: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return the cells under :func:`result_columns`, a line for each stage and protocol.

    Args:
        stages: As in ``results.json``: ``{"stage", "images", "minutes", "image": {"auc", "f1"}, "one_to_one": {"tp",
            "fp", "fn", "precision", "recall", "f1", "f1_ci95"}, "presence": {...}}``. A number that is missing or
            undefined shows as "n/a", an interval as "not available".
    """
    rows = []
    is_located = result_columns(stages) == COLUMNS
    for stage in stages:
        for index, (name, result) in enumerate(_protocols(stage) if is_located else [('', {})]):
            own, minutes = _own_cells(stage) if index == 0 else ([''] * 4, '')
            rows.append([*own, *([name, *_protocol_cells(result)] if is_located else []), minutes])
    return rows


def localization_note(stages: Sequence[Mapping[str, Any]]) -> str:
    """Explain that localization cannot be scored if positive test images lack annotated points; empty if none do."""
    for stage in stages:
        count, total = stage.get('images_without_points'), stage.get('test_images')
        if not count:
            continue
        if not any(map(_is_scored, _blocks(stage).values())):
            return (
                'Nothing is said about localization: no test image has an annotated point, positive ones are known by '
                'their labels alone.'
            )
        of_all = f' of {total}' if is_finite_number(total) else ''
        return (
            f'Localization is not judged on {count}{of_all} test images, which are labelled positive without an '
            'annotated point.'
        )
    return ''


def results_table(stages: Sequence[Mapping[str, Any]], title: str | None = None) -> Table:
    """Make the results table for the terminal: protocols are below their stage, so that it fits 80 characters."""
    table = Table(title=title, box=SIMPLE_HEAD, padding=0, show_edge=False)
    columns = result_columns(stages)
    for column in columns:
        if column != 'Protocol':
            heading = _NARROW_HEADINGS.get(column, column)
            table.add_column(heading, justify='left' if column == 'Stage' else 'right', no_wrap=column != _INTERVAL)
    for stage in stages:
        own, minutes = _own_cells(stage)
        table.add_row(*own, *[''] * (len(columns) - len(own) - 1 - ('Protocol' in columns)), minutes)
        for name, result in _protocols(stage) if columns == COLUMNS else ():
            table.add_row(f' {name}', '', '', '', *_protocol_cells(result), '')
        table.add_section()
    return table


def tissue_table(name: str, results: Mapping[str, Any]) -> Table:
    """Make a table of the Dice of each class, its mean with the interval over cases, and the pixel accuracy.

    Args:
        name: Name of the model or run.
        results: As :class:`mitouts.evaluation.dice.TissueEvaluator` gives them.
    """
    dice, interval = results['dice'], results['dice']['mean_ci95']
    table = Table(title=f'{name}: {plural(results["images"], "image")}', box=SIMPLE_HEAD, show_edge=False)
    table.add_column('Class')
    table.add_column('Dice', justify='right')
    for key, value in dice.items():
        if key not in _NOT_A_CLASS:
            table.add_row(key, _share(value))
    table.add_section()
    between = MISSING_INTERVAL if interval is None else f'{interval[0]:.3f}–{interval[1]:.3f}'
    table.add_row('mean', f'{_share(dice["mean"])} (95% CI {between})')
    table.add_row('pixel accuracy', _share(results['pixel']['accuracy']))
    return table


def results_markdown(stages: Sequence[Mapping[str, Any]], distillation: Mapping[str, Any] | None = None) -> str:
    """Make the results table for a README, followed by a summary of the distillation.

    Returns:
        Lines of GitHub Markdown, ended by a newline.
    """
    columns = result_columns(stages)
    rule = [':--' if column in TEXT_COLUMNS else '--:' for column in columns]
    rows = [[cell.replace('|', r'\|') for cell in row] for row in result_rows(stages)]
    lines = ['| ' + ' | '.join(cells) + ' |' for cells in (list(columns), rule, *rows)]
    note = localization_note(stages)
    if note:
        lines += ['', note]
    if distillation:
        lines += ['', distillation_sentence(distillation)]
    return '\n'.join(lines) + '\n'


def distillation_sentence(distillation: Mapping[str, Any]) -> str:
    """Describe in words what was kept and dropped; if images have weights, what they sum up to.

    Args:
        distillation: The ``summary`` of :class:`mitouts.engine.distill.Distillation`.
    """
    kept, total = distillation['kept'], distillation['kept'] + distillation['dropped']
    text = f'Distillation kept {kept} of {total} training images'
    relabelled = [f'relabelled {plural(distillation["relabelled"], "image")}'] if distillation.get('relabelled') else []
    note = list(filter(None, [comparison_note(distillation)]))
    if distillation.get('weighted'):
        weights = [
            f'{what} count as {of_total(distillation[weight], of)}'
            for weight, of, what in (
                ('weight_sum', total, 'all together'),
                ('noise_weight_sum', distillation.get('noise_total'), 'mislabelled images'),
                ('clean_weight_sum', distillation.get('clean_total'), 'clean positive ones'),
            )
            if distillation.get(weight) is not None and of is not None
        ]
        text += f', {distillation["weighted"]} of them with a weight below 1: {", ".join(weights)}'
        return ' '.join(['; it '.join([text, *relabelled]) + '.', *note])
    known = [
        f'{verb} {of_total(distillation[count], distillation[total])} {noun}'
        for count, total, verb, noun in (
            ('noise_dropped', 'noise_total', 'dropped', 'mislabelled images'),
            ('clean_kept', 'clean_total', 'kept', 'clean positive ones'),
        )
        if distillation.get(count) is not None and distillation.get(total) is not None
    ]
    known += relabelled
    return ' '.join([text + (f': it {" and ".join(known)}.' if known else '.'), *note])


def comparison_note(distillation: Mapping[str, Any]) -> str:
    """Say how many positive images a distillation could not compare; empty if it could compare all, or compares none.

    Args:
        distillation: See :func:`distillation_sentence`.
    """
    missing, positives = distillation.get('not_compared'), distillation.get('positives')
    if not missing:
        return ''
    if missing == positives:
        return (
            f'Nothing could be compared: none of the {positives} positive images has an annotated point. A criterion '
            'that goes by labels, such as PseudoLabel, needs none.'
        )
    return f'{missing} of {positives} positive images have no annotated point and were not compared.'


def of_total(count: float, total: int) -> str:
    """Format a share, such as ``3 of 4 (75%)``; a sum of weights has one decimal.

    >>> of_total(0, 0)
    '0 of 0'
    >>> of_total(21.43, 33)
    '21.4 of 33 (65%)'
    """
    return f'{count:.1f}'.removesuffix('.0') + f' of {total}' + (f' ({100 * count / total:.0f}%)' if total else '')


def _own_cells(stage: Mapping[str, Any]) -> tuple[list[str], str]:
    image = stage.get('image') or {}
    cells = [str(stage['stage']), _count(stage.get('images')), _share(image.get('auc')), _share(image.get('f1'))]
    minutes = stage.get('minutes')
    return cells, f'{minutes:.1f}' if is_finite_number(minutes) else MISSING


def _protocols(stage: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the protocols and radii a stage was scored under; an untested stage has the default without numbers.

    In the results, a second radius is called ``one_to_one@15px``.
    """
    found = [(name, block) for name, block in _blocks(stage).items() if _is_scored(block)]
    return found or [(PROTOCOLS['one_to_one'], {})]


def _blocks(stage: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the results of a stage by protocol and radius, those of the first radius first."""
    return {
        f'{name} {key.partition("@")[2]}'.strip(): result
        for suffix in (False, True)
        for protocol, name in PROTOCOLS.items()
        for key, result in stage.items()
        if key.partition('@')[0] == protocol and ('@' in key) == suffix and result
    }


def _is_scored(block: Mapping[str, Any]) -> bool:
    """Whether points were counted, which is not so on images that have labels alone."""
    return any(value is not None for key, value in block.items() if key not in ('protocol', 'radius'))


def _protocol_cells(result: Mapping[str, Any]) -> list[str]:
    interval: Sequence[Any] = result.get('f1_ci95') or ()
    known = len(interval) == 2 and all(is_finite_number(end) for end in interval)
    return [
        *(_share(result.get(key)) for key in ('precision', 'recall', 'f1')),
        f'{interval[0]:.3f}–{interval[1]:.3f}' if known else MISSING_INTERVAL,
        *(_count(result.get(key)) for key in ('tp', 'fp', 'fn')),
    ]


def _share(value: Any) -> str:
    return f'{value:.3f}' if is_finite_number(value) else MISSING


def _count(value: Any) -> str:
    return f'{value:d}' if is_finite_number(value) else MISSING

"""Makes the table of a tissue model's results for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from mitouts.utils.words import plural
from mitouts.visualization.tables import MISSING, MISSING_INTERVAL

_NOT_A_CLASS = ('mean', 'mean_ci95')


def tissue_table(name: str, results: Mapping[str, Any]) -> Table:
    """Dice of each class, its mean with the interval over cases, and the pixel accuracy.

    Args:
        name: Whose results these are.
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


def _share(value: float | None) -> str:
    return MISSING if value is None else f'{value:.3f}'

"""Describes what a calibration has changed: tables of scores before and after it, and thresholds in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from mitouts.calibration.images import Interval

Scores = Sequence[tuple[str, Mapping[str, Any]]]


def image_table(title: str, rows: Scores) -> Table:
    """Make a table of image-level and one-to-one scores of several calibrations."""
    table = Table(title=title, box=SIMPLE_HEAD, show_edge=False)
    for name in ('', 'Image\nAUC', 'Image\nF1', 'P', 'R', 'F1', '95% CI\nof F1'):
        table.add_column(name, justify='right' if name else 'left', no_wrap=not name)
    for name, results in rows:
        image, points = results['image'], results['one_to_one']
        auc, interval = image['auc'], points['f1_ci95']
        table.add_row(
            name,
            'n/a' if auc is None else f'{auc:.3f}',
            f'{image["f1"]:.3f}',
            *('n/a' if points[key] is None else f'{points[key]:.3f}' for key in ('precision', 'recall', 'f1')),
            'not available' if interval is None else '{:.2f} to {:.2f}'.format(*interval),
        )
    return table


def slide_table(title: str, rows: Scores) -> Table:
    """Make a table of the errors of the counts, or of one-to-one scores, under several thresholds."""
    table = Table(title=title, box=SIMPLE_HEAD, show_edge=False)
    for name in ('', *rows[0][1]):
        table.add_column(name.replace('_', ' '), justify='right' if name else 'left', no_wrap=not name)
    for name, values in rows:
        table.add_row(name, *(str(value) if isinstance(value, int) else f'{value:.3f}' for value in values.values()))
    return table


def threshold_change(name: str, old: float, new: float, interval: Interval | None) -> str:
    """Describe how a threshold has changed, and its interval."""
    between = 'not available' if interval is None else '{:.3f} to {:.3f}'.format(*interval)
    return f'{name}: {old:.3f} -> {new:.3f} (95% interval over cases: {between})'


def in_px(drift: Sequence[float] | None) -> str:
    """Format a drift as text."""
    return 'none' if not drift else '({:.1f}, {:.1f}) px'.format(*drift)

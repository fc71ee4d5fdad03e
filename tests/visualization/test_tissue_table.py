from __future__ import annotations

import io

from rich.console import Console

from mitouts.visualization.tables import tissue_table


def render(results: dict) -> str:
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(tissue_table('best', results))
    return console.export_text()


def test_every_class_its_mean_and_the_accuracy() -> None:
    dice = {'mean': 0.75, 'mean_ci95': [0.6, 0.875], 'tumour': 0.5, 'stroma': 1.0}
    text = render({'images': 12, 'dice': dice, 'pixel': {'accuracy': 0.8125}})
    cells = [line.split() for line in text.splitlines()]
    assert ['tumour', '0.500'] in cells
    assert ['stroma', '1.000'] in cells
    assert 'best: 12 images' in text
    assert '0.750 (95% CI 0.600–0.875)' in text
    assert '0.812' in text


def test_what_is_missing_is_said() -> None:
    dice = {'mean': None, 'mean_ci95': None, 'tumour': None}
    text = render({'images': 1, 'dice': dice, 'pixel': {'accuracy': None}})
    assert 'n/a (95% CI not available)' in text

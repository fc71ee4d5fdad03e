from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mitouts.errors import MitoutsError
from mitouts.experiments.costs import Cost, Costs, read_costs, write_costs

INFO: dict[str, Any] = {
    'device': 'cpu', 'environment': {'gpu': 'none', 'threads': '1'}, 'images': 8, 'batch_size': 4, 'rounds': 3,
    'megapixels': 0.8,
}  # fmt: skip
COSTS = Costs({'a/model': Cost('A', 'a/best.pth', 1000, 2.5, 1.25, (0.6, 0.64, 0.7))}, INFO)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / 'new' / 'costs.json'
    write_costs(path, COSTS)
    assert read_costs(path) == COSTS
    assert set(json.loads(path.read_text())['costs']['a/model']) == {
        'label', 'checkpoint', 'parameters', 'gmac_per_megapixel', 'megapixels_per_second', 'seconds',
    }  # fmt: skip


def test_it_says_where_it_was_measured() -> None:
    assert COSTS.describe() == 'Measured on CPU, 1 threads, 8 test images in batches of 4, median of 3 rounds.'
    assert Costs().describe() == ''


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (None, r'costs\.json: no such file; mitouts costs writes it'),
        ([], "expected an object with 'info' and 'costs'"),
        ({'info': INFO}, "expected an object with 'info' and 'costs'"),
        ({'info': {'environment': {}}, 'costs': {}}, 'info lacks images, batch_size, rounds: measure again'),
        ({'info': INFO, 'costs': {'a/model': {'label': 'A'}}}, 'a/model: expected label, checkpoint, .*found label'),
        ({'info': INFO, 'costs': {'a/model': 3}}, 'a/model: expected label, .*found 3'),
    ],
)
def test_another_file_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / 'costs.json'
    if content is not None:
        path.write_text(json.dumps(content))
    with pytest.raises(MitoutsError, match=message):
        read_costs(path)

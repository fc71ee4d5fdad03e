import json
import shutil
from pathlib import Path

import pytest

from mitouts.experiments.blocks import review_table
from mitouts.experiments.reviews import score_review
from mitouts.experiments.rows import parse_row, runs_of
from mitouts.experiments.spec import read_spec
from mitouts.experiments.suite_results import read_suite
from mitouts.experiments.tables import markdown

# Of two runs; the second file does not know its noise.
SUMMARIES = [
    {'items': 40, 'right': 36, 'noise_total': 20, 'noise_corrected': 15, 'clean_total': 50, 'clean_lost': 1},
    {'items': 60, 'right': 60},
]


@pytest.fixture
def reviewed(suite_folder: Path, tmp_path: Path):
    folder = tmp_path / 'suite'
    shutil.copytree(suite_folder, folder)
    suite = read_suite(folder)
    runs = [run for run in suite.of_group('noise30') if run.is_done]
    for run, summary in zip(runs, SUMMARIES):
        path = run.folder / 'results.json'
        results = json.loads(path.read_text())
        path.write_text(json.dumps({**results, 'reviews': {'review': summary}}))
    return read_suite(folder)


def test_a_line_is_the_mean_over_the_runs_that_were_reviewed(reviewed) -> None:
    scores = score_review(runs_of(reviewed, parse_row('noise30/review'), partial=True))
    assert (scores.over_runs['Items'].mean, scores.over_runs['Answers right'].mean) == (50, pytest.approx(0.95))
    # Deviations of 10 from the mean, divided by n - 1 = 1: the square root of 200.
    assert scores.over_runs['Items'].sd == pytest.approx(200**0.5)
    assert scores.over_runs['Noise corrected'] == (0.75, None)
    assert scores.over_runs['Clean lost'] == (0.02, None)
    assert scores.over_runs['Image labels changed'] is None


def test_the_table_has_only_what_is_known(reviewed, tmp_path: Path) -> None:
    (tmp_path / 'spec.yaml').write_text(
        'blocks: [{name: reviews, kind: review, rows: [noise30/review=By a rater]}]', encoding='utf-8'
    )
    (block,) = read_spec(tmp_path / 'spec.yaml').blocks
    table = block.table(reviewed, None, partial=True)
    assert [column.name for column in table.columns] == [
        'Review',
        'Runs',
        'Items',
        'Answers right',
        'Noise corrected',
        'Clean lost',
    ]
    assert table == review_table(reviewed, [parse_row('noise30/review=By a rater')], partial=True)
    assert '| By a rater | 2 of' in markdown(table)

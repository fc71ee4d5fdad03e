"""Makes the tables of a results page: methods, paired comparisons, distillations, reviews, published numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mitouts.experiments.cases import CaseCounter
from mitouts.experiments.compare import Compared, Comparison, compare
from mitouts.experiments.methods import MethodScores, ScoreSettings, score_method
from mitouts.experiments.noise import score_distillation
from mitouts.experiments.notes import cases_note, distinct, environments_note, names_of, runs_notes, sentences
from mitouts.experiments.reviews import QUANTITIES, score_review
from mitouts.experiments.rows import Estimate, StageMeans, TableRow, runs_of
from mitouts.experiments.suite_results import Suite
from mitouts.experiments.tables import INTERVAL, Cell, Column, ResultTable, fill
from mitouts.visualization.tables import PROTOCOLS

_NOISE_COLUMNS = {
    'dropped': 'Positives dropped',
    'noise_dropped': 'Noise dropped',
    'clean_kept': 'Clean kept',
    'noise_weight': 'Weight of noise',
    'clean_weight': 'Weight of clean',
    'auc_distance': 'AUC, distance',
    'auc_disagreement': 'AUC, disagreement',
    'auc_score': 'AUC, image score',
}


def methods_table(
    suite: Suite,
    counter: CaseCounter,
    rows: Sequence[TableRow],
    settings: ScoreSettings,
    *,
    title: str = '',
    partial: bool = False,
) -> ResultTable:
    """Make a table with a line for each method.

    Args:
        partial: See :func:`mitouts.experiments.rows.runs_of`.
    """
    scores = [score_method(counter, runs_of(suite, row, partial=partial), settings) for row in rows]
    columns: list[tuple[Column, Callable[[MethodScores], Cell]]] = [
        (Column('Method'), lambda score: score.runs.row.label),
        (Column('Runs', 'number'), lambda score: score.runs.count),
        (Column('Image AUC', 'mean_sd'), lambda score: score.image_auc),
        (Column('Image F1', 'mean_sd'), lambda score: score.image_f1),
        (Column('P', 'mean_sd'), lambda score: score.precision),
        (Column('R', 'mean_sd'), lambda score: score.recall),
        (Column('F1', 'mean_sd'), lambda score: score.f1),
        (Column('F1 pooled' + INTERVAL, 'estimate'), lambda score: score.f1_pooled),
        (Column('F1 at best threshold', 'mean_sd'), lambda score: score.f1_best),
        (Column('FROC', 'mean_sd'), lambda score: score.froc),
        (Column(f'F1 at {settings.second_radius_px:g} px', 'mean_sd'), lambda score: score.f1_second),
        (Column('Minutes', 'number', digits=1), lambda score: score.minutes),
    ]
    notes = [
        f'Points within {settings.radius_px:g} px, {PROTOCOLS[settings.protocol]}. Image AUC, image F1 and FROC (mean '
        'sensitivity at 0.25 to 8 false positives an image): mean ± sd over runs; P, R and F1: mean ± sd over seeds, '
        'each pooled over its folds; F1 pooled: counts of all runs, bootstrap over cases. The best threshold is chosen '
        'on the test images themselves, for each run: an upper bound, not a result.',
        *runs_notes([each.runs for each in scores]),
        *(f'Minutes of {row.label}: {" + ".join(row.costs)}.' for row in rows if row.costs),
        cases_note(each.num_cases for each in scores),
        environments_note([each.runs for each in scores]),
    ]
    return ResultTable(*fill(columns, scores), title, sentences(notes))


def comparison_table(
    suite: Suite,
    counter: CaseCounter,
    comparisons: Sequence[Comparison],
    settings: ScoreSettings,
    *,
    title: str = '',
    partial: bool = False,
) -> ResultTable:
    """Make a table with a line for each pair of methods; the arguments are those of :func:`methods_table`."""
    compared = []
    for comparison in comparisons:
        sides = [comparison.a, comparison.b, *([comparison.oracle] if comparison.oracle else [])]
        runs = tuple(runs_of(suite, row, partial=partial) for row in sides)
        compared.append(compare(counter, comparison, runs, settings))
    columns = [
        Column('A against B'),
        Column('Paired runs', 'number'),
        Column('Cases', 'number'),
        Column('F1 of A', 'number'),
        Column('F1 of B', 'number'),
        Column('A - B' + INTERVAL, 'estimate', signed=True),
        Column('sd over seeds', 'number'),
        Column('p, one-sided', 'number'),
    ]
    with_oracle = any(each.recovered for each in compared)
    if with_oracle:
        columns.append(Column('Recovered' + INTERVAL, 'estimate', without_interval='not defined'))
    notes = [
        f'Points within {settings.radius_px:g} px, {PROTOCOLS[settings.protocol]}; counts of a case summed over seeds; '
        f'the same {settings.num_bootstrap} resamples of the cases for both. p: share of the resamples in which A is '
        'not better than B. sd over seeds: of the difference of each seed.'
    ]
    if with_oracle:
        notes.append('Recovered: (A - B) / (oracle - B), not defined unless the interval of oracle - B lies above 0.')
        notes += [_distance_note(each) for each in compared]
    lines = [line for each in compared for line in each.runs]
    notes += [_pairing_note(each) for each in compared]
    notes += [*runs_notes(lines), environments_note(lines)]
    rows = tuple(_comparison_cells(each, with_oracle, settings.num_bootstrap) for each in compared)
    return ResultTable(tuple(columns), rows, title, sentences(notes))


def distillation_table(
    suite: Suite, rows: Sequence[TableRow], *, title: str = '', partial: bool = False
) -> ResultTable:
    """Make a table with a line for each distillation stage; the arguments are those of :func:`methods_table`."""
    scores = [score_distillation(runs_of(suite, row, partial=partial)) for row in rows]
    shown = [name for name in _NOISE_COLUMNS if any(each.over_runs[name] for each in scores)]
    weighted = any(
        each.over_runs['noise_weight']
        and each.over_runs['noise_dropped']
        and abs(each.over_runs['noise_weight'].mean + each.over_runs['noise_dropped'].mean - 1) > 1e-9
        for each in scores
    )
    if not weighted:
        shown = [name for name in shown if not name.endswith('_weight')]
    notes = [
        'Positive training images, mean ± sd over runs. AUC: how well the distance between predicted and annotated '
        "points, or another score, tells mislabelled images from clean ones (image score: the Teacher's, low is "
        'suspicious).',
        *(
            f'{each.runs.row.label}: no image is known to be mislabelled.'
            for each in scores
            if each.runs.done and each.over_runs['noise_dropped'] is None
        ),
    ]
    return _means_table('Distillation', {name: _NOISE_COLUMNS[name] for name in shown}, scores, notes, title)


def review_table(suite: Suite, rows: Sequence[TableRow], *, title: str = '', partial: bool = False) -> ResultTable:
    """Make a table with a line for each review stage; the arguments are those of :func:`methods_table`."""
    scores = [score_review(runs_of(suite, row, partial=partial)) for row in rows]
    shown = [name for name in QUANTITIES if any(each.over_runs[name] for each in scores)]
    notes = [
        'Training images, mean ± sd over runs. Noise corrected: share of the mislabelled images that have the right '
        'label afterwards. Clean lost: share of the other positive images that have a wrong one.',
    ]
    return _means_table('Review', {name: name for name in shown}, scores, notes, title)


def _means_table(
    kind: str, headings: Mapping[str, str], scores: Sequence[StageMeans], notes: Sequence[str], title: str
) -> ResultTable:
    """Make a table of each stage's means over its runs; ``headings`` names the quantities to show."""
    columns = (Column(kind), Column('Runs', 'number'), *(Column(heading, 'mean_sd') for heading in headings.values()))
    rows = tuple((each.runs.row.label, each.runs.count, *map(each.over_runs.get, headings)) for each in scores)
    lines = [each.runs for each in scores]
    return ResultTable(columns, rows, title, sentences([*notes, *runs_notes(lines), environments_note(lines)]))


def literature_table(
    columns: Sequence[str], entries: Sequence[Sequence[Any]], source: str, title: str = ''
) -> ResultTable:
    """Make a table of published results, as their authors give them; nothing in it is measured here.

    Args:
        columns: Headings.
        entries: Lines; a number shows with the digits it is written with, None as missing.
        source: Where the numbers were published.
    """
    numeric = [
        all(entry[index] is None or isinstance(entry[index], (int, float)) for entry in entries)
        for index in range(len(columns))
    ]
    kinds = tuple(Column(name, 'number' if is_number else 'text') for name, is_number in zip(columns, numeric))
    cells = tuple(tuple(None if cell is None else str(cell) for cell in entry) for entry in entries)
    return ResultTable(kinds, cells, title, (f'Published, not measured here: {source}.',))


def _comparison_cells(compared: Compared, with_oracle: bool, num_bootstrap: int) -> tuple[Cell, ...]:
    found, over_seeds = compared.difference, compared.over_seeds
    p = found and found.p_one_sided
    cells: list[Cell] = [
        compared.comparison.label,
        len(compared.common),
        found and found.num_cases,
        compared.f1_a,
        compared.f1_b,
        found and Estimate(found.difference, found.ci95),
        over_seeds and over_seeds.sd,
        None if p is None else f'{p:.4f}' if p > 0 else f'< {1 / num_bootstrap:.4f}',
    ]
    if with_oracle:
        recovered = compared.recovered
        share = None if recovered is None else recovered.share
        cells.append(None if recovered is None or share is None else Estimate(share, recovered.ci95))
    return tuple(cells)


def _distance_note(compared: Compared) -> str:
    recovered, oracle = compared.recovered, compared.comparison.oracle
    if recovered is None or oracle is None:
        return ''
    distance = recovered.distance
    interval = 'not available' if distance.ci95 is None else '{:+.3f}, {:+.3f}'.format(*distance.ci95)
    return f'{oracle.label} - {compared.comparison.b.label}: {distance.difference:+.3f} [{interval}].'


def _pairing_note(compared: Compared) -> str:
    """Name the runs that have no counterpart on the other side."""
    alone = distinct(run for line in compared.runs for run in line.done if run.key not in compared.common)
    return f'{compared.comparison.label}: without a counterpart and left out: {names_of(alone)}.' if alone else ''

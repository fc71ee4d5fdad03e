"""Compares methods of different kinds: supervision, scores and costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mitouts.experiments.cases import CaseCounter
from mitouts.experiments.costs import Cost, Costs
from mitouts.experiments.methods import MethodScores, ScoreSettings, score_method
from mitouts.experiments.notes import cases_note, environments_note, runs_notes, sentences
from mitouts.experiments.rows import Estimate, MeanSd, RowRuns, TableRow, mean_sd, runs_of
from mitouts.experiments.suite_results import Suite
from mitouts.experiments.tables import INTERVAL, Cell, Column, ResultTable, fill

MISSING = '-'
NOT_COUNTED = (
    'GMAC: convolutions and matrix products of the prediction; batch norms, activations and the compiled operations of '
    'mmcv (RoIAlign, suppression) are not counted.'
)


@dataclass(frozen=True)
class BaselineRow:
    """A line of the comparison.

    Attributes:
        row: The stage, and its name in the table.
        method: Name of the method alone.
        level: Label of the group of lines that it belongs to, such as a share of noise; empty without groups.
        supervision: Kind of labels that a training uses, such as ``image label`` or ``box``.
    """

    row: TableRow
    method: str
    level: str
    supervision: str


@dataclass(frozen=True)
class Baselines:
    """The lines to compare, their costs and runs.

    Attributes:
        rows: Lines.
        costs: File of ``mitouts costs``; None where nothing was measured.
        folds: Only runs of these folds; None for all.
        seeds: Only runs of these seeds.
    """

    rows: tuple[BaselineRow, ...] = ()
    costs: str | None = None
    folds: tuple[int, ...] | None = None
    seeds: tuple[int, ...] | None = None


@dataclass(frozen=True)
class BaselineScores:
    """The scores of a line; None where there are none.

    Attributes:
        one_to_one: Its scores under the one-to-one protocol.
        f1_presence: Pooled F1 under the presence protocol.
        ap: Average precision of boxes, mean over IoU 0.5 to 0.95, over runs.
        ap50: The same at IoU 0.5.
    """

    line: BaselineRow
    one_to_one: MethodScores
    f1_presence: Estimate | None
    ap: MeanSd | None
    ap50: MeanSd | None
    cost: Cost | None

    @property
    def runs(self) -> RowRuns:
        """The runs behind the line."""
        return self.one_to_one.runs


def score_baselines(
    suite: Suite,
    counter: CaseCounter,
    baselines: Baselines,
    costs: Costs,
    settings: ScoreSettings,
    *,
    partial: bool = False,
) -> list[BaselineScores]:
    """Score all lines on the same folds and seeds.

    Args:
        settings: Settings for scoring predictions; both protocols are scored.
        partial: See :func:`mitouts.experiments.rows.runs_of`.

    Raises:
        MitoutsError: A group or stage is missing, or a run's predictions cannot be scored.
    """
    chosen = suite.restricted(baselines.folds, baselines.seeds)
    return [
        _score(counter, line, runs_of(chosen, line.row, partial=partial), costs, settings) for line in baselines.rows
    ]


def baselines_table(
    scores: Sequence[BaselineScores], costs: Costs, settings: ScoreSettings, *, title: str = ''
) -> ResultTable:
    """Make a table with a line for each method.

    Args:
        scores: The lines.
    """
    dash: dict[str, Any] = {'missing': MISSING}
    columns: list[tuple[Column, Callable[[BaselineScores], Cell]]] = [
        (Column('Method'), lambda score: score.line.row.label),
        (Column('Supervision'), lambda score: score.line.supervision),
        (Column('Runs', 'number'), lambda score: score.runs.count),
        (Column('F1' + INTERVAL, 'estimate', **dash), lambda score: score.one_to_one.f1_pooled),
        (Column('F1 presence' + INTERVAL, 'estimate', **dash), lambda score: score.f1_presence),
        (Column('P', 'mean_sd', **dash), lambda score: score.one_to_one.precision),
        (Column('R', 'mean_sd', **dash), lambda score: score.one_to_one.recall),
        (Column('FROC', 'mean_sd', **dash), lambda score: score.one_to_one.froc),
        (Column('AP50', 'mean_sd', **dash), lambda score: score.ap50),
        (Column('AP', 'mean_sd', **dash), lambda score: score.ap),
        (Column('Parameters, M', 'number', digits=2, **dash), _cost('parameters', 1e6)),
        (Column('GMAC / MPix', 'number', digits=1, **dash), _cost('gmac_per_megapixel')),
        (Column('Minutes', 'number', digits=1, **dash), lambda score: score.one_to_one.minutes),
        (Column('MPix / s', 'number', digits=2, **dash), _cost('megapixels_per_second')),
    ]
    runs = [each.runs for each in scores]
    notes = [
        f'Points within {settings.radius_px:g} px, at the threshold that each run chose on its validation images. F1: '
        'counts of all runs pooled, one-to-one and presence, bootstrap over cases. P and R: one-to-one, mean ± sd over '
        'seeds, each pooled over its folds. FROC (mean sensitivity at 0.25 to 8 false positives an image), AP50 and AP '
        "(COCO's, of 50 px boxes around the points): mean ± sd over runs. Minutes of training: mean over runs.",
        *runs_notes(runs),
        *(f'Minutes of {row.label}: {" + ".join(row.costs)}.' for row in (each.row for each in runs) if row.costs),
        cases_note(each.one_to_one.num_cases for each in scores),
        environments_note(runs),
        f'Parameters, GMAC and MPix / s: {costs.describe()} {NOT_COUNTED}' if costs.info else '',
    ]
    return ResultTable(*fill(columns, scores), title, sentences(notes))


def _cost(name: str, unit: float = 1.0) -> Callable[[BaselineScores], Cell]:
    return lambda score: None if score.cost is None else getattr(score.cost, name) / unit


def _score(
    counter: CaseCounter, line: BaselineRow, runs: RowRuns, costs: Costs, settings: ScoreSettings
) -> BaselineScores:
    one_to_one, presence = (
        score_method(counter, runs, replace(settings, protocol=protocol)) for protocol in ('one_to_one', 'presence')
    )
    precisions = [counter.average_precision(run.stage(line.row.stage)) for run in runs.done]
    return BaselineScores(
        line=line,
        one_to_one=one_to_one,
        f1_presence=presence.f1_pooled,
        ap=mean_sd([each['ap'] for each in precisions]),
        ap50=mean_sd([each['ap50'] for each in precisions]),
        cost=costs.models.get(line.row.source),
    )

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from costed_suite import write_costed_suite

from mitouts.engine.config import load_config
from mitouts.errors import ConfigError, MitoutsError
from mitouts.experiments.baselines import BaselineRow, Baselines, baselines_table, score_baselines
from mitouts.experiments.cases import CaseCounter
from mitouts.experiments.costs import Cost, Costs, write_costs
from mitouts.experiments.markdown import marked_names
from mitouts.experiments.methods import ScoreSettings
from mitouts.experiments.rows import TableRow
from mitouts.experiments.spec import read_spec
from mitouts.experiments.suite import read_suite_file
from mitouts.experiments.suite_results import Suite, read_suite
from mitouts.experiments.tables import ResultTable, cell_text, csv_text, markdown
from mitouts.functional.average_precision import box_average_precision

REPOSITORY = Path(__file__).resolve().parents[2]
SETTINGS = ScoreSettings(num_bootstrap=100)
INFO = {'environment': {'gpu': 'none', 'threads': '1'}, 'images': 8, 'batch_size': 4, 'rounds': 3}
COSTS = Costs({'box-noise00/model': Cost('Boxes', 'best.pth', 1_234_567, 12.34, 0.567)}, INFO)


@pytest.fixture(scope='module')
def spec_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_costed_suite(tmp_path_factory.mktemp('costed'))


@pytest.fixture(scope='module')
def suite(spec_path: Path) -> Suite:
    return read_suite(spec_path.parent / 'work_dirs' / 'tiny')


def line(source: str, *costs: str) -> BaselineRow:
    group, _, stage = source.partition('/')
    return BaselineRow(TableRow(group, stage, 'A line', costs), 'A line', '', 'box')


def table(suite: Suite, *lines: BaselineRow, costs: Costs = COSTS, partial: bool = False, **chosen) -> ResultTable:
    baselines = Baselines(lines, **chosen)
    scores = score_baselines(suite, CaseCounter(), baselines, costs, SETTINGS, partial=partial)
    return baselines_table(scores, costs, SETTINGS)


def cells(table: ResultTable, row: int = 0) -> dict[str, str]:
    return {column.name: cell_text(column, cell) for column, cell in zip(table.columns, table.rows[row])}


def mean_sd(values: list[float]) -> str:
    return f'{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}'


def test_a_line_holds_the_numbers_of_its_runs_and_its_cost(suite: Suite) -> None:
    found = cells(table(suite, line('box-noise00/model')))
    rows = [run.stages['model'].row for run in suite.of_group('box-noise00')]
    assert len(rows) == 2
    for name, protocol in (('F1 [95%]', 'one_to_one'), ('F1 presence [95%]', 'presence')):
        tp, fp, fn = (sum(row[protocol][key] for row in rows) for key in ('tp', 'fp', 'fn'))
        value, _, interval = found[name].partition(' ')
        assert value == f'{2 * tp / (2 * tp + fp + fn):.3f}'
        low, high = map(float, interval.strip('[]').split(', '))
        assert low <= float(value) <= high
    assert found['P'] == mean_sd([row['one_to_one']['precision'] for row in rows])
    assert found['R'] == mean_sd([row['one_to_one']['recall'] for row in rows])
    assert found['FROC'] == mean_sd([row['froc']['average_sensitivity'] for row in rows])
    assert found['Minutes'] == f'{np.mean([row["minutes"] for row in rows]):.1f}'
    assert (found['Parameters, M'], found['GMAC / MPix'], found['MPix / s']) == ('1.23', '12.3', '0.57')
    assert (found['Method'], found['Supervision'], found['Runs']) == ('A line', 'box', '2')


def test_average_precision_is_that_of_the_predictions(suite: Suite) -> None:
    found, values = cells(table(suite, line('box-noise00/model'))), []
    for run in suite.of_group('box-noise00'):
        stage = run.stages['model']
        document = json.loads(Path(stage.row['test_ann_file']).read_text())
        points = {each['image_id']: each['points'] for each in json.loads(stage.predictions_path.read_text())['images']}
        truths = {each['id']: [] for each in document['images']}
        for annotation in document['annotations']:
            truths[annotation['image_id']].append(np.float32(annotation['point']))
        values.append(box_average_precision([points[key] for key in truths], list(truths.values())))
    assert found['AP50'] == mean_sd([each['ap50'] for each in values])
    assert found['AP'] == mean_sd([each['ap'] for each in values])


def test_lines_are_compared_on_the_same_folds_and_seeds(suite: Suite) -> None:
    lines = line('box-noise00/model'), line('noise00/student', 'teacher', 'distill', 'student')
    restricted = table(suite, *lines, folds=(0,), seeds=(1,))
    assert [cells(restricted, row)['Runs'] for row in (0, 1)] == ['1', '1']
    (run,) = suite.restricted((0,), (1,)).of_group('noise00')
    assert cells(restricted, 1)['F1 [95%]'].startswith(f'{run.stages["student"].row["one_to_one"]["f1"]:.3f} [')
    minutes = sum(run.stage(name).minutes or np.nan for name in ('teacher', 'distill', 'student'))
    assert cells(restricted, 1)['Minutes'] == f'{minutes:.1f}'
    notes = ' '.join(restricted.notes)
    assert '2 runs (1 seed, 1 fold).' in notes
    assert 'Minutes of A line: teacher + distill + student.' in notes
    assert cells(table(suite, *lines), 1)['Runs'] == '4'


def test_where_it_was_measured_is_said(suite: Suite) -> None:
    found = ' '.join(table(suite, line('box-noise00/model')).notes)
    assert 'Parameters, GMAC and MPix / s: Measured on CPU, 1 threads, 8 test images in batches of 4' in found
    assert 'RoIAlign' in found
    assert 'GMAC and MPix' not in ' '.join(table(suite, line('box-noise00/model'), costs=Costs()).notes)


def test_what_is_missing_is_a_dash(suite: Suite) -> None:
    unmeasured = table(suite, line('noise00/teacher'))
    assert [cells(unmeasured)[name] for name in ('Parameters, M', 'GMAC / MPix', 'MPix / s')] == ['-', '-', '-']
    later = table(suite, line('later/model'), partial=True)
    assert set(cells(later).values()) == {'A line', 'box', '0', '-'}
    assert '| A line | box | 0 | - | - |' in markdown(later)
    assert 'A line,box,0,,,,,,' in csv_text(later)
    with pytest.raises(MitoutsError, match="no group 'later'"):
        table(suite, line('later/model'))


def test_a_spec_crosses_lines_with_groups(spec_path: Path, suite: Suite) -> None:
    block = read_spec(spec_path).blocks[0]
    rows = block.baselines.rows
    assert [(each.row.source, each.row.label, each.method, each.level) for each in rows[:3]] == [
        ('box-noise00/model', 'noise 0, Boxes', 'Boxes', 'noise 0'),
        ('noise00/teacher', 'noise 0, Teacher', 'Teacher', 'noise 0'),
        ('noise00/student', 'noise 0, Student', 'Student', 'noise 0'),
    ]
    assert [each.row.source for each in rows[3:]] == ['box-noise30/model', 'noise30/teacher', 'noise30/student']
    assert rows[2].row.costs == ('teacher', 'distill', 'student')
    assert [each.supervision for each in rows[:3]] == ['box', 'image label', 'image label, point']
    assert (block.baselines.folds, block.baselines.seeds) == ((0,), None)
    with pytest.raises(MitoutsError, match=r'costs\.json: no such file'):
        block.table(suite, CaseCounter())
    assert cells(block.table(suite, CaseCounter(), partial=True))['MPix / s'] == '-'
    write_costs(spec_path.parent / 'costs.json', COSTS)
    try:
        found = block.table(suite, CaseCounter())
    finally:
        (spec_path.parent / 'costs.json').unlink()
    assert [cells(found, row)['MPix / s'] for row in range(6)] == ['0.57', *['-'] * 5]
    assert {cells(found, row)['Runs'] for row in range(6)} == {'2'}


def test_the_example_of_the_docs_is_a_spec(tmp_path: Path) -> None:
    page = (REPOSITORY / 'docs' / 'analysis.md').read_text(encoding='utf-8')
    example = page.partition('### Baselines and their costs')[2].partition('```yaml\n')[2].partition('```')[0]
    path = tmp_path / 'tables.yaml'
    path.write_text(example)
    (block,) = read_spec(path).blocks
    assert [each.row.source for each in block.baselines.rows] == [
        'retinanet-noise00/model', 'noise00/student', 'retinanet-noise30/model', 'noise30/student',
    ]  # fmt: skip


def test_the_page_is_made_of_what_the_suite_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    runs = read_suite_file('configs/suites/detection.yaml', {'amibr': 'SOURCE'})
    spec = read_spec('configs/suites/detection_tables.yaml')
    block, pairs = spec.blocks
    stages = {
        group: [stage['name'] for stage in load_config(config).get('stages', [{'name': 'model'}])]
        for group, config in {run.group: run.config for run in runs}.items()
    }
    for compared in block.baselines.rows:
        assert compared.row.stage in stages[compared.row.group]
        assert set(compared.row.costs) <= set(stages[compared.row.group])
    compared_with = [row for pair in pairs.comparisons for row in (pair.a, pair.b)]
    assert compared_with
    assert {row.source for row in compared_with} <= {line.row.source for line in block.baselines.rows}
    assert {(run.fold, run.seed) for run in runs} == {(0, 0), (0, 1), (0, 2)}
    assert (block.baselines.folds, block.baselines.seeds) == ((0,), (0, 1, 2))
    page = Path('docs/detection.md').read_text(encoding='utf-8')
    assert marked_names(page, 'table') == [block.name, pairs.name]


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('    groups: {noise00: noise 0, noise30: noise 0.3}\n', '', 'holds {group}, but the block has no groups'),
        (', supervision: box', '', 'a line has row and supervision'),
        ('supervision: image label}', 'supervised: image label}', 'a line has row and supervision'),
        ('label: Boxes', 'name: Boxes', "unknown key 'name'"),
        ('folds: [0]', 'folds: 0', 'folds must be a list of whole numbers, found 0'),
        ('folds: [0]', 'seeds: [zero]', 'seeds must be a list of whole numbers'),
        ('folds: [0]', 'fold: [0]', "unknown key 'fold'; the nearest is 'folds'"),
        ('folds: [0]', 'protocol: presence', "block 'detection' has the unknown key 'protocol'"),
    ],
)
def test_mistakes_are_named(spec_path: Path, tmp_path: Path, old: str, new: str, message: str) -> None:
    text = spec_path.read_text()
    assert old in text
    path = tmp_path / 'tables.yaml'
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message):
        read_spec(path)

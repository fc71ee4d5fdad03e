from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_records import predicted
from scipy.optimize import linear_sum_assignment
from suite_runs import Group, write_suite
from tiny_experiment import tiny_config

from mitouts.checkpoint import read_checkpoint, write_checkpoint
from mitouts.engine import runs
from mitouts.errors import MitoutsError
from mitouts.experiments.cases import CaseCounter
from mitouts.experiments.compare import Comparison, compare
from mitouts.experiments.methods import ScoreSettings, score_method
from mitouts.experiments.operating_point import best_threshold
from mitouts.experiments.rows import MeanSd, RowRuns, TableRow
from mitouts.experiments.suite_results import DONE, RunResult, StageResult, read_suite
from mitouts.formats.coco import make_annotation, make_document, make_image, write_json
from mitouts.formats.predictions import write_predictions
from mitouts.functional.localization import count_points, precision_recall_f1


def brute_force(stage: StageResult, radius_px: float, protocol: str) -> dict[str, list[int]]:
    """Counts per case straight from the files, by scipy's assignment."""
    document = json.loads(Path(stage.row['test_ann_file']).read_text())
    predictions = json.loads(stage.predictions_path.read_text())
    counts: dict[str, list[int]] = {}
    for entry in predictions['images']:
        (image,) = [image for image in document['images'] if image['id'] == entry['image_id']]
        truth = np.array([a['point'] for a in document['annotations'] if a['image_id'] == image['id']]).reshape(-1, 2)
        found = [point[:2] for point in entry['points'] if point[2] > predictions['info']['map_threshold']]
        near = np.linalg.norm(np.array(found).reshape(-1, 1, 2) - truth[None], axis=2) <= radius_px
        if protocol == 'one_to_one':
            tp = int(near[linear_sum_assignment(near, maximize=True)].sum())
            row = [tp, len(found) - tp, len(truth) - tp]
        else:
            hits = int(near.any(axis=1).sum())
            row = [hits, len(found) - hits, len(truth) - int(near.any(axis=0).sum())]
        total = counts.setdefault(image['case_id'], [0, 0, 0])
        counts[image['case_id']] = [a + b for a, b in zip(total, row)]
    return counts


@pytest.mark.parametrize('protocol', ['one_to_one', 'presence'])
@pytest.mark.parametrize('radius_px', [30.0, 15.0, 8.0])
def test_counts_per_case_by_brute_force(suite_folder: Path, radius_px: float, protocol: str) -> None:
    stage = read_suite(suite_folder).of_group('noise30')[0].stage('teacher')
    found = CaseCounter().counts(stage, radius_px=radius_px, protocol=protocol)
    expected = brute_force(stage, radius_px, protocol)
    assert dict(zip(found.cases.tolist(), found.counts.tolist())) == expected
    assert len(expected) == 4


def test_froc_score_is_the_runs_own(suite_folder: Path) -> None:
    for run in read_suite(suite_folder).of_group('aggregators'):
        row = run.stages['model'].row
        counter = CaseCounter()
        score = counter.froc_score(run.stages['model'], radius_px=15)
        assert score == pytest.approx(row['froc@15px']['average_sensitivity'])
        assert counter.froc_score(run.stages['model']) == pytest.approx(row['froc']['average_sensitivity'])


@pytest.mark.parametrize('protocol', ['one_to_one', 'presence'])
def test_best_threshold_is_not_beaten_by_any_other(suite_folder: Path, protocol: str) -> None:
    stage = read_suite(suite_folder).of_group('noise00')[1].stage('control')
    counter = CaseCounter()
    images = counter.images(stage).located()

    def f1(threshold: float) -> float:
        counts = count_points(images.points, images.truths, radius_px=30, threshold=threshold, protocol=protocol)
        return float(precision_recall_f1(*counts.sum(axis=0))[2])

    best = counter.counts(stage, protocol=protocol, rule='best')
    scores = np.unique(np.concatenate([points[:, 2] for points in images.points]))
    assert f1(best.threshold) == pytest.approx(max(f1(score) for score in [0.0, *scores]))
    assert (
        best.counts.sum(axis=0).tolist()
        == count_points(images.points, images.truths, radius_px=30, threshold=best.threshold, protocol=protocol)
        .sum(axis=0)
        .tolist()
    )


coordinates = st.integers(0, 12).map(float)
image = st.tuples(
    st.lists(st.tuples(coordinates, coordinates, st.sampled_from([0.1, 0.2, 0.5, 0.9])), max_size=5),
    st.lists(st.tuples(coordinates, coordinates), max_size=3),
    st.lists(st.tuples(coordinates, coordinates), max_size=2),
)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.lists(image, min_size=1, max_size=3))
def test_best_presence_threshold_with_ignored_places(images: list) -> None:
    points, truths, ignored = (
        [np.array(each[part], dtype=float).reshape(-1, columns) for each in images]
        for part, columns in ((0, 3), (1, 2), (2, 2))
    )
    more = {'radius_px': 4.0, 'protocol': 'presence', 'ignored': ignored}

    def f1(threshold: float) -> float:
        return float(precision_recall_f1(*count_points(points, truths, threshold=threshold, **more).sum(axis=0))[2])

    best = best_threshold(points, truths, **more)
    assert f1(best) == pytest.approx(max(map(f1, [0.0, 0.1, 0.2, 0.5, 0.9])))


def make_stage(folder: Path, positive_categories: list[int], **row) -> StageResult:
    """Four images: a look-alike, a figure counted elsewhere, a positive by its label alone, and a subset left out."""
    images = [make_image(number, f'{number}.png', 100, 100, case_id='abba'[number - 1]) for number in range(1, 5)]
    images[2]['label'] = 1
    annotations = [
        make_annotation(1, 1, 1, 20, 20),
        make_annotation(2, 1, 2, 80, 80),
        make_annotation(3, 2, 1, 20, 20, iscrowd=1),
        make_annotation(4, 4, 1, 50, 50),
    ]
    write_json(folder / 'test.json', make_document(images, annotations, name='t', tool='t'))
    points = [[20, 20, 0.9], [80, 80, 0.8]]
    entries = [predicted(number, 0.9, points) for number in (1, 2, 3)]
    write_predictions(folder / 'run' / 'model' / 'predictions.json', entries, {'map_threshold': 0.5})
    row = {'test_ann_file': 'test.json', 'positive_categories': positive_categories, 'image_threshold': 0.4} | row
    return StageResult('model', folder / 'run' / 'model', row)


def test_figures_counted_elsewhere_images_without_points_and_untested_images(tmp_path: Path) -> None:
    stage = make_stage(tmp_path, [1])
    found = CaseCounter(tmp_path).counts(stage)
    # Image 2 shows a figure that another one counts; image 3 has no point to score; image 4 was not tested.
    assert (found.cases.tolist(), found.counts.tolist()) == (['a', 'b'], [[1, 1, 0], [0, 1, 0]])
    images = CaseCounter(tmp_path).images(stage)
    assert (images.labels.tolist(), [image.truth.is_located for image in images.images]) == (
        [1, 1, 1],
        [True, True, False],
    )


def test_curves_from_the_files_of_a_run_are_its_own_under_any_map_threshold(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, train_cfg__max_epochs=1)
    checkpoint = runs.train(config, tmp_path / 'train').checkpoint
    config.test_evaluator.metrics.append(dict(type='CocoBoxMetric'))
    calibration = read_checkpoint(checkpoint)
    rows = []
    for name, map_threshold in (('low', 0.2), ('high', 0.6)):
        calibration['meta']['mitouts']['map_threshold'] = map_threshold
        write_checkpoint(tmp_path / f'{name}.pth', calibration)
        folder = tmp_path / name
        tested = runs.evaluate(config, tmp_path / f'{name}.pth', folder, out=folder / 'predictions.json')
        row = {**tested.results, 'test_images': 8, 'test_ann_file': config.test_dataloader.dataset.ann_file}
        rows.append(row)
        counter, stage = CaseCounter(), StageResult('model', folder, row)
        assert counter.froc_score(stage, radius_px=12) == pytest.approx(row['froc']['average_sensitivity'])
        # It compares with the run's own, too.
        assert counter.average_precision(stage)['ap50'] == row['coco']['ap50']
        assert counter.counts(stage, radius_px=12).counts.sum() > 0
    assert rows[0]['froc'] == rows[1]['froc']
    assert rows[0]['coco'] == rows[1]['coco']
    assert rows[0]['one_to_one'] != rows[1]['one_to_one']


def test_without_annotated_points_a_method_has_image_scores_alone(tmp_path: Path) -> None:
    stage = make_stage(tmp_path, [1])
    document = json.loads((tmp_path / 'test.json').read_text())
    write_json(tmp_path / 'test.json', {**document, 'annotations': []})
    row = {**stage.row, 'image': {'auc': 0.75, 'f1': 0.5}}
    run = RunResult(tmp_path, 'g', None, 0, DONE, stages={'model': StageResult('model', stage.folder, row)})
    counter = CaseCounter(tmp_path)
    assert not counter.has_figures(run.stages['model'])
    line = RowRuns(TableRow('g', 'model', 'Model'), (run,), (run,))
    scores = score_method(counter, line, ScoreSettings(num_bootstrap=10))
    assert scores.image_auc == MeanSd(0.75, None)
    for name in ('precision', 'recall', 'f1', 'f1_pooled', 'f1_best', 'froc', 'f1_second'):
        assert getattr(scores, name) is None, name
    compared = compare(counter, Comparison(line.row, line.row, 'same'), (line, line), ScoreSettings(num_bootstrap=10))
    assert (compared.common, compared.f1_a, compared.difference) == ((), None, None)


def test_curves_take_the_peaks_and_counts_the_points(tmp_path: Path) -> None:
    stage = make_stage(tmp_path, [1])
    peaks = np.array([[20, 20, 0.9], [80, 80, 0.6]])
    entries = [predicted(1, 0.9, [[50, 50, 0.9]], peaks=peaks), predicted(2, 0.9, [], peaks=np.zeros((0, 3)))]
    write_predictions(stage.predictions_path, entries, {'map_threshold': 0.5})
    counter = CaseCounter(tmp_path)
    assert counter.counts(stage).counts.tolist() == [[0, 1, 1], [0, 0, 0]]
    # The figure is found before the false peak: at no false positive at all, and at every rate.
    assert counter.froc_score(stage) == 1.0
    assert counter.average_precision(stage)['ap50'] == pytest.approx(1.0)


def test_hard_negatives_as_positives(tmp_path: Path) -> None:
    found = CaseCounter(tmp_path).counts(make_stage(tmp_path, [1, 2]))
    assert found.counts.tolist() == [[2, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize(
    ('row', 'message'),
    [
        ({'test_ann_file': None}, 'stage model has no "test_ann_file"'),
        ({'test_images': 400}, 'holds 3 images, but results.json says that 400 were tested'),
        ({'one_to_one': {'radius': '30 px', 'tp': 1, 'fp': 1, 'fn': 0}}, r'counted tp, fp, fn = \[1, 2, 0\]'),
    ],
)
def test_results_that_do_not_fit_their_files_are_refused(tmp_path: Path, row: dict, message: str) -> None:
    with pytest.raises(MitoutsError, match=message):
        CaseCounter(tmp_path).counts(make_stage(tmp_path, [1], **row))


def test_predictions_of_other_images_are_refused(tmp_path: Path) -> None:
    stage = make_stage(tmp_path, [1])
    write_predictions(stage.predictions_path, [predicted(9, 0.5, [])], {'map_threshold': 0.5})
    with pytest.raises(MitoutsError, match=r'1 of 1 image ids, the first is 9, are not in'):
        CaseCounter(tmp_path).counts(stage)


def test_a_missing_threshold_is_named(tmp_path: Path) -> None:
    stage = make_stage(tmp_path, [1], image_threshold=None)
    with pytest.raises(MitoutsError, match='neither info nor'):
        CaseCounter(tmp_path).counts(stage)


def test_annotations_that_have_changed_since_are_refused(tmp_path: Path) -> None:
    suite = write_suite(tmp_path, (Group('g', staged=False, folds=(None,), seeds=(0,)),), failed=None, num_images=4)
    started = suite / 'g' / 'seed0' / 'model' / 'started.json'
    content = json.loads(started.read_text())
    content['fingerprint']['test_dataloader'] = '0' * 64
    started.write_text(json.dumps(content))
    with pytest.raises(MitoutsError, match=r'is not the file that .* was tested on'):
        CaseCounter().counts(read_suite(suite).runs[0].stage('model'))


def test_average_precision_must_be_the_runs_own_where_it_has_one(tmp_path: Path) -> None:
    suite = write_suite(tmp_path, (Group('g', staged=False, folds=(None,), seeds=(0,)),), failed=None, num_images=12)
    path = suite / 'g' / 'seed0' / 'results.json'
    results = json.loads(path.read_text())
    found = CaseCounter().average_precision(read_suite(suite).runs[0].stages['model'])
    assert 0 < (found['ap'] or 0) < (found['ap50'] or 0) <= 1
    for box_px, ap50, is_refused in ((50.0, found['ap50'], False), (40.0, 0.5, False), (50.0, 0.5, True)):
        results['stages'][0]['coco'] = {**found, 'ap50': ap50, 'box_px': box_px}
        path.write_text(json.dumps(results))
        stage = read_suite(suite).runs[0].stages['model']
        if is_refused:
            with pytest.raises(MitoutsError, match=r'results\.json says .*, 0\.5: predictions or annotations have'):
                CaseCounter().average_precision(stage)
        else:
            assert CaseCounter().average_precision(stage) == found

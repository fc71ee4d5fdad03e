from __future__ import annotations

import gc
import json
import sys

import image_records
import pytest

from mitouts.commands import evaluate
from mitouts.errors import AnnotationWarning
from mitouts.formats.coco import make_annotation, make_document, make_image, write_json
from mitouts.formats.predictions import write_predictions
from mitouts.utils.cli import run


@pytest.fixture
def files(tmp_path):
    images = [
        make_image(1, 'a.png', 400, 400, case_id='x', mpp=0.25, scanner='A'),
        make_image(2, 'b.png', 400, 400, case_id='x', mpp=0.5, scanner='B'),
        make_image(3, 'c.png', 400, 400, case_id='y', mpp=0.25, scanner='B'),
    ]
    annotations = [
        make_annotation(1, 1, 1, 100, 100),
        make_annotation(2, 1, 2, 300, 300),
        make_annotation(3, 2, 1, 100, 100),
        make_annotation(4, 3, 1, 50, 50),
    ]
    predictions = [
        image_records.predicted(1, 0.9, [[110, 100, 0.9], [100, 90, 0.8], [300, 310, 0.7], [5, 5, 0.5]]),
        image_records.predicted(2, 0.9, [[125, 100, 0.9]]),
        image_records.predicted(3, 0.1, []),
    ]
    truth, predicted = tmp_path / 'truth.json', tmp_path / 'predicted.json'
    write_json(truth, make_document(images, annotations, name='test', tool='test'))
    write_predictions(predicted, predictions, {})
    return truth, predicted


def call(monkeypatch, capsys, files, *arguments) -> dict:
    monkeypatch.setattr(sys, 'argv', ['evaluate_points.py', *map(str, files), *arguments])
    assert evaluate.main() == 0
    return json.loads(capsys.readouterr().out)


def counts(block: dict) -> tuple[int, int, int]:
    return block['tp'], block['fp'], block['fn']


def test_one_to_one(monkeypatch, capsys, files):
    result = call(monkeypatch, capsys, files, '--radius-px', '30', '--matching', 'one_to_one', '--score-thr', '0.5')
    assert counts(result) == (2, 2, 1)
    assert result['precision'] == pytest.approx(0.5)
    assert result['recall'] == pytest.approx(2 / 3)
    assert result['f1'] == pytest.approx(4 / 7)
    low, high = result['f1_ci95']
    assert 0 <= low <= result['f1'] <= high
    assert (result['matching'], result['radius_px'], result['images']) == ('one_to_one', 30.0, 3)
    assert gc.isenabled()


def test_the_threshold_of_the_file_is_taken_and_named(monkeypatch, capsys, files):
    content = json.loads(files[1].read_text())
    write_json(files[1], {**content, 'info': {'map_threshold': 0.85}})
    monkeypatch.setattr(sys, 'argv', ['evaluate_points.py', *map(str, files), '--radius-px', '30'])
    assert evaluate.main() == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert counts(result) == (2, 0, 1)
    assert (result['score_threshold'], result['score_threshold_from']) == (0.85, 'predictions')
    assert 'score > 0.85 (of the predictions file)' in ' '.join(captured.err.split())
    given = call(monkeypatch, capsys, files, '--radius-px', '30', '--score-thr', '0.5')
    assert (given['score_threshold'], given['score_threshold_from']) == (0.5, 'option')


def test_presence(monkeypatch, capsys, files):
    result = call(monkeypatch, capsys, files, '--radius-px', '30', '--matching', 'presence', '--score-thr', '0.5')
    assert counts(result) == (3, 1, 1)


def test_score_threshold_is_strict(monkeypatch, capsys, files):
    result = call(monkeypatch, capsys, files, '--radius-px', '30', '--score-thr', '0.8')
    assert counts(result) == (2, 0, 1)


def test_radius_in_micrometres(monkeypatch, capsys, files):
    # 7.5 um are 30 px on the images at 0.25 um/px, and 15 px on image 2, where the prediction is 25 px off.
    result = call(monkeypatch, capsys, files, '--radius-um', '7.5', '--score-thr', '0.5')
    assert counts(result) == (1, 3, 2)
    assert (result['radius_px'], result['radius_um']) == (None, 7.5)


def test_categories(monkeypatch, capsys, files):
    both = call(monkeypatch, capsys, files, '--radius-px', '30', '--score-thr', '0.5', '--category', '1', '2')
    assert counts(both) == (3, 1, 1)
    assert both['categories'] == [1, 2]


def test_groups_and_output_file(monkeypatch, capsys, files, tmp_path):
    out = tmp_path / 'new' / 'out.json'
    arguments = '--radius-px', '30', '--score-thr', '0.5', '--by', 'scanner', '--out', str(out)
    result = call(monkeypatch, capsys, files, *arguments)
    assert json.loads(out.read_text()) == result
    assert result['by'] == 'scanner'
    assert {name: (block['images'], *counts(block)) for name, block in result['groups'].items()} == {
        'A': (1, 1, 2, 0),
        'B': (2, 1, 0, 1),
    }
    assert result['groups']['A']['f1_ci95'] is None
    assert result['groups']['B']['f1_ci95'] is not None


def test_an_image_that_is_positive_by_its_label_alone_is_left_out(monkeypatch, capsys, files):
    document = json.loads(files[0].read_text())
    document['images'].append({**document['images'][0], 'id': 4, 'file_name': '4.png', 'label': 1})
    files[0].write_text(json.dumps(document))
    predictions = json.loads(files[1].read_text())
    predictions['images'].append({'image_id': 4, 'score': 0.9, 'points': [[9, 9, 0.9]]})
    files[1].write_text(json.dumps(predictions))
    with pytest.warns(AnnotationWarning, match='1 of 4 images are labelled positive without an annotated point'):
        result = call(monkeypatch, capsys, files, '--radius-px', '30', '--score-thr', '0.5')
    assert counts(result) == (2, 2, 1)
    assert (result['images'], result['images_without_points']) == (3, 1)


def test_images_without_predictions_are_missed(monkeypatch, capsys, files):
    document = json.loads(files[1].read_text())
    files[1].write_text(json.dumps({**document, 'images': document['images'][:1]}))
    with pytest.warns(AnnotationWarning, match='says nothing of 2 of 3 images'):
        result = call(monkeypatch, capsys, files, '--radius-px', '30', '--score-thr', '0.5')
    assert counts(result) == (1, 2, 2)
    assert result['images_without_predictions'] == 2


def test_the_table_goes_to_stderr(monkeypatch, capsys, files):
    monkeypatch.setenv('COLUMNS', '200')
    monkeypatch.setattr(
        sys, 'argv', ['x', *map(str, files), '--radius-px', '30', '--score-thr', '0.5', '--by', 'case_id']
    )
    evaluate.main()
    table = capsys.readouterr().err
    assert 'one_to_one, radius 30 px, score > 0.5' in table
    assert 'not available' in table


def test_predictions_of_unknown_images(monkeypatch, capsys, files):
    document = json.loads(files[1].read_text())
    document['images'].append({'image_id': 99, 'score': 0.5, 'points': []})
    files[1].write_text(json.dumps(document))
    assert_one_line(monkeypatch, capsys, files, ['--radius-px', '30'], '1 of 4 image ids are not in')


def test_unknown_resolution(monkeypatch, capsys, files):
    document = json.loads(files[0].read_text())
    document['images'][2]['mpp'] = None
    files[0].write_text(json.dumps(document))
    assert_one_line(
        monkeypatch, capsys, files, ['--radius-um', '7.5'], '1 of 3 images have no mpp, the first is image 3'
    )


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--radius-px', '30', '--by', 'stain'], "3 of 3 images have no key 'stain'"),
        (['--radius-px', '30', '--category', '7'], 'has no category 7; it has 1 (mitotic figure), 2 (hard negative)'),
    ],
)
def test_wrong_arguments(monkeypatch, capsys, files, arguments, message):
    assert_one_line(monkeypatch, capsys, files, arguments, message)


@pytest.mark.parametrize('radius', [[], ['--radius-px', '-1'], ['--radius-px', '30', '--radius-um', '7.5']])
def test_one_positive_radius_is_needed(monkeypatch, capsys, files, radius):
    monkeypatch.setattr(sys, 'argv', ['x', *map(str, files), '--score-thr', '0.5', *radius])
    with pytest.raises(SystemExit) as ended:
        evaluate.main()
    assert ended.value.code == 2


def assert_one_line(monkeypatch, capsys, files, arguments: list[str], message: str) -> None:
    monkeypatch.setattr(sys, 'argv', ['x', *map(str, files), '--score-thr', '0.5', *arguments])
    # run() replaces it for good; so it is put back after the test.
    monkeypatch.setattr('warnings.showwarning', None)
    with pytest.raises(SystemExit) as ended:
        run(evaluate.main)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ')
    assert error.count('\n') == 1
    assert message in error


def test_figures_counted_in_another_patch_are_neither_true_nor_false(monkeypatch, capsys, files):
    truth, _ = files
    document = json.loads(truth.read_text())
    document['annotations'][1] |= {'category_id': 1, 'iscrowd': 1}
    document['annotations'][3] |= {'iscrowd': 1, 'cut': True, 'point': [0, 50]}
    write_json(truth, document)
    result = call(monkeypatch, capsys, files, '--radius-px', '30', '--score-thr', '0.4')
    # The prediction beside the figure that is counted elsewhere is excused, the image with a part alone left out.
    assert counts(result) == (2, 2, 0)
    assert (result['images'], result['images_left_out']) == (2, 1)

from __future__ import annotations

import json
from pathlib import Path

import pytest
from known_slides import SIDE, write_counted

from mitouts.commands import correlate
from mitouts.formats.coco import make_annotation, make_document, make_image, write_json

# The left half is counted, without a hole; the last figure lies outside.
FIGURES = {'a.tif': [(50, 50), (300, 300), (700, 700)], 'b.tif': [(300, 600)], 'c.tif': []}
FOUND = {
    'a.tif': [(52, 50, 0.9), (301, 301, 0.8), (400, 900, 0.7), (300, 500, 0.4)],
    'b.tif': [(305, 600, 0.6)],
    'c.tif': [(30, 30, 0.9)],
}


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    images, annotations = [], []
    for number, (name, figures) in enumerate(FIGURES.items(), start=1):
        images.append(make_image(number, name, SIDE, SIDE, case_id=f'case_{name[0]}', mpp=0.25))
        annotations += [make_annotation(len(annotations) + n, number, 1, *xy) for n, xy in enumerate(figures, start=1)]
    path = tmp_path / 'ann.json'
    write_json(path, make_document(images, annotations, name='areas', tool='tests'))
    return path


def test_areas_of_two_models_in_one_table(tmp_path: Path, truth: Path, capsys) -> None:
    write_counted(tmp_path / 'one', 'a.tif', FOUND['a.tif'])
    for name in ('b.tif', 'c.tif'):
        write_counted(tmp_path / 'two', name, FOUND[name], checkpoint_sha256='other', map_threshold=0.55)
    out, page = tmp_path / 'deep' / 'known.json', tmp_path / 'known.md'
    arguments = [tmp_path / 'one', tmp_path / 'two', '--truth', truth, '--out', out, '--markdown', page]
    assert correlate.main([str(argument) for argument in arguments]) == 0
    result = json.loads(out.read_text())
    assert json.loads(capsys.readouterr().out) == result
    rows = {area['name']: area for area in result['areas']}
    assert [(rows[n]['num_true'], rows[n]['num_outside'], rows[n]['count'], rows[n]['tp']) for n in FIGURES] == [
        (3, 1, 3, 2),
        (1, 0, 1, 1),
        (0, 0, 1, 0),
    ]
    assert [rows[name]['relative_error'] for name in FIGURES] == [0, 0, None]
    assert (result['true'], result['count'], result['relative_error']) == (4, 5, 0.25)
    assert (result['precision'], result['recall']) == (pytest.approx(3 / 5), pytest.approx(3 / 4))
    assert result['false_per_mm2'] == pytest.approx(2 / (3 * 0.25**2))
    assert result['ceiling']['recall'] == pytest.approx(3 / 4)
    assert result['cases']['case_a'] == {'n_areas': 1, 'true': 3, 'count': 3, 'relative_error': 0}
    assert '| a.tif | case_a | 0.062 | 3 | 1 | 3 | +0% |' in page.read_text()


def test_an_area_that_was_counted_twice_is_refused(tmp_path: Path, truth: Path) -> None:
    for folder in ('one', 'two'):
        write_counted(tmp_path / folder, 'a.tif', FOUND['a.tif'])
    with pytest.raises(Exception, match=r'a\.tif was counted in .*one and in .*two: expected one count of each area'):
        correlate.main([str(tmp_path / 'one'), str(tmp_path / 'two'), '--truth', str(truth)])


def test_areas_that_were_not_counted_are_told(tmp_path: Path, truth: Path, capsys) -> None:
    write_counted(tmp_path / 'one', 'a.tif', FOUND['a.tif'])
    correlate.main([str(tmp_path / 'one'), '--truth', str(truth)])
    captured = capsys.readouterr()
    assert '2 areas of' in captured.err
    assert json.loads(captured.out)['pearson']['r'] is None


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['a.csv'], 'required: --x, --y'),
        (['a.csv', 'b.csv', '--x', 'p', '--y', 'q'], 'expected one table, found 2'),
        (['a', '--truth', 'ann.json', '--x', 'p'], 'leave out --x'),
        (['a.csv', '--x', 'p', '--y', 'q', '--markdown', 'm.md'], '--markdown goes with --truth'),
    ],
)
def test_options_that_do_not_go_together(arguments, message, capsys) -> None:
    with pytest.raises(SystemExit):
        correlate.main(arguments)
    assert message in capsys.readouterr().err

"""A threshold for slides against a search over every score, on counts that are written by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from known_slides import SHA, SIDE, write_counted

from mitouts.calibration.images import ThresholdSettings
from mitouts.calibration.slides import KnownSlide, calibrate_slides, read_slides
from mitouts.errors import AnnotationError
from mitouts.formats.coco import make_annotation, make_document, make_image, write_json


def draw_slides(count: int, seed: int, *, with_places: bool) -> list[KnownSlide]:
    rng = np.random.default_rng(seed)
    slides = []
    for number in range(count):
        figures = rng.uniform(0, SIDE, (6, 2))
        near = np.column_stack([figures + rng.normal(0, 5, (6, 2)), rng.uniform(0.3, 1, 6)])
        others = np.column_stack([rng.uniform(0, SIDE, (12, 2)), rng.uniform(0.1, 0.8, 12)])
        places = figures if with_places else None
        points = np.concatenate([near, others])
        slides.append(KnownSlide(f'{number}.tif', points, 0.3, 6.0, places, np.zeros((0, 2)), 30.0))
    return slides


def error_of(slides: list[KnownSlide], threshold: float) -> float:
    return sum(abs(int((slide.points[:, 2] > threshold).sum()) - slide.count) for slide in slides)


def all_cuts(slides: list[KnownSlide]) -> list[float]:
    return [float(score) for slide in slides for score in slide.points[:, 2]]


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_counts_have_the_least_absolute_error_of_all_cuts(seed) -> None:
    slides = draw_slides(5, seed, with_places=False)
    result = calibrate_slides(slides, ThresholdSettings(num_bootstrap=50))
    best = min(error_of(slides, cut) for cut in all_cuts(slides))
    assert error_of(slides, result.map_threshold) == best
    assert result.new['mean_absolute_error'] == pytest.approx(best / 5)
    assert result.old['mean_absolute_error'] == pytest.approx(error_of(slides, 0.3) / 5)
    low, high = result.interval
    assert 0.1 < low < high < 1


def test_each_slide_left_out_is_cut_where_the_others_say() -> None:
    """Two slides with one figure each, and no threshold that is right for both."""
    sure = KnownSlide('a', np.array([[0, 0, 0.9], [50, 50, 0.75]]), 0.5, 1.0, None, np.zeros((0, 2)), 30.0)
    weak = KnownSlide('b', np.array([[0, 0, 0.7], [50, 50, 0.3], [9, 9, 0.2]]), 0.5, 1.0, None, np.zeros((0, 2)), 30.0)
    result = calibrate_slides([sure, weak], ThresholdSettings(num_bootstrap=0))
    assert result.map_threshold == pytest.approx(0.5)
    assert result.new == result.old == {'mean_absolute_error': 0.5, 'mean_error': 0.5}
    # By the second alone the first is cut at 0.5, one figure too many; by the first the second at 0.825, one too few.
    assert result.left_out == {'mean_absolute_error': 1.0, 'mean_error': 0.0}
    assert result.interval is None
    assert 'only 2 slides:' in result.notes[0]


@pytest.mark.parametrize('seed', [0, 1])
def test_known_places_choose_the_largest_f1_of_all_cuts(seed) -> None:
    slides = draw_slides(4, seed, with_places=True)
    result = calibrate_slides(slides, ThresholdSettings(num_bootstrap=0))

    def f1(threshold: float) -> float:
        tp = fp = fn = 0
        for slide in slides:
            found = slide.points[slide.points[:, 2] > threshold]
            free = list(range(len(slide.figures)))
            for x, y, _ in found:
                near = [k for k in free if np.hypot(x - slide.figures[k][0], y - slide.figures[k][1]) <= 30]
                free = [k for k in free if k not in near[:1]]
                tp, fp = tp + bool(near), fp + (not near)
            fn += len(free)
        return 2 * tp / (2 * tp + fp + fn)

    assert result.new['f1'] == pytest.approx(max(f1(cut) for cut in all_cuts(slides)))
    assert result.new['f1'] == pytest.approx(f1(result.map_threshold))


def test_the_lowest_cut_that_can_be_seen_is_told() -> None:
    slide = KnownSlide('a', np.array([[0, 0, 0.9], [1, 1, 0.2]]), 0.5, 9.0, None, np.zeros((0, 2)), 30.0)
    result = calibrate_slides([slide], ThresholdSettings())
    assert result.left_out is None
    assert any('lowest threshold' in note for note in result.notes)


def test_only_what_lies_in_counted_tiles_takes_part(tmp_path: Path) -> None:
    points = [(50, 50, 0.9), (150, 150, 0.8), (600, 50, 0.7), (300, 300, 0.2), (499.4, 10, 0.3), (499.6, 20, 0.3)]
    write_counted(tmp_path / 'counts', 'a.tif', points)
    write_counted(tmp_path / 'counts', 'b.tif', points)
    (tmp_path / 'known.csv').write_text('slide;pathologist\nA.svs;3\nother.tif;5\nb.tif;\n')
    slides, notes = read_slides(tmp_path / 'counts', tmp_path / 'known.csv', SHA, column='pathologist', radius_px=30)
    assert [(slide.name, slide.count) for slide in slides] == [('a.tif', 3.0)]
    assert sorted(slides[0].points[:, 2]) == [0.2, 0.3, 0.9]
    # 30 px of the model at 0.5 um/px are 60 px of the slide at 0.25.
    assert slides[0].radius_px == 60
    assert notes == [f'{tmp_path / "known.csv"} does not know b.tif']


def test_figures_outside_of_counted_tiles_are_neither_missed_nor_false(tmp_path: Path) -> None:
    write_counted(tmp_path / 'counts', 'a.tif', [(50, 50, 0.9), (495, 300, 0.8)])
    images = [make_image(1, 'wsi/a.tif', SIDE, SIDE, case_id='a', mpp=0.25)]
    annotations = [make_annotation(k, 1, 1, x, y) for k, (x, y) in enumerate([(52, 50), (505, 300), (900, 900)], 1)]
    write_json(tmp_path / 'ann.json', make_document(images, annotations, name='a', tool='tests'))
    slides, _ = read_slides(tmp_path / 'counts', tmp_path / 'ann.json', SHA, column='count', radius_px=30)
    result = calibrate_slides(slides, ThresholdSettings())
    assert (result.old['tp'], result.old['fp'], result.old['fn']) == (1, 0, 0)


@pytest.mark.parametrize(
    ('provenance', 'table', 'message'),
    [
        ({'checkpoint_sha256': 'other'}, 'slide,count\na.tif,3\n', 'counted with another checkpoint'),
        ({}, 'slide,count\nz.tif,3\n', 'no counts of a slide that .* knows'),
        ({}, 'slide,count\na.tif,many\n', "line 2, column 'count': expected a number of figures, found 'many'"),
        ({}, 'slide,mai\na.tif,3\n', "no column 'count'"),
    ],
)
def test_what_does_not_belong_together_is_refused(tmp_path: Path, provenance, table, message) -> None:
    write_counted(tmp_path / 'counts', 'a.tif', [(50, 50, 0.9)], **provenance)
    (tmp_path / 'known.csv').write_text(table)
    with pytest.raises(AnnotationError, match=message):
        read_slides(tmp_path / 'counts', tmp_path / 'known.csv', SHA, column='count', radius_px=30)


def test_slides_that_were_counted_at_different_thresholds_are_refused(tmp_path: Path) -> None:
    write_counted(tmp_path / 'counts', 'a.tif', [(50, 50, 0.9)])
    write_counted(tmp_path / 'counts', 'b.tif', [(50, 50, 0.9)], map_threshold=0.6)
    (tmp_path / 'known.csv').write_text('slide,count\na.tif,3\nb.tif,2\n')
    with pytest.raises(AnnotationError, match=r'2 thresholds \(0.5, 0.6\)'):
        read_slides(tmp_path / 'counts', tmp_path / 'known.csv', SHA, column='count', radius_px=30)


def test_a_slide_that_can_be_two_of_the_reference_is_refused(tmp_path: Path) -> None:
    write_counted(tmp_path / 'counts', 'a.svs', [(10, 10, 0.9)])
    (tmp_path / 'known.csv').write_text('slide,figures\na.tif,1\na.ndpi,5\n')
    with pytest.raises(AnnotationError, match=r'a\.tif and a\.ndpi may both be a\.svs'):
        read_slides(tmp_path / 'counts', tmp_path / 'known.csv', SHA, column='figures', radius_px=30)


def write_two_of_a_name(out: Path) -> None:
    for folder, score in (('c1', 0.9), ('c2', 0.8)):
        write_counted(out, f'{folder}_1.tif', [(50, 50, score)])
        report = json.loads((out / f'{folder}_1' / 'report.json').read_text())
        report['slide'] |= {'file_name': '1.tif', 'path': f'/slides/{folder}/1.tif'}
        write_json(out / f'{folder}_1' / 'report.json', report)


def test_slides_of_one_name_have_each_their_own_number(tmp_path: Path) -> None:
    write_two_of_a_name(tmp_path / 'counts')
    (tmp_path / 'known.csv').write_text('slide,count\nc2/1.tif,7\nc1/1.tif,3\n')
    slides, notes = read_slides(tmp_path / 'counts', tmp_path / 'known.csv', SHA, column='count', radius_px=30)
    assert [(slide.points[0, 2], slide.count) for slide in slides] == [(0.9, 3), (0.8, 7)]
    assert notes == []


def test_slides_of_one_name_have_each_their_own_figures(tmp_path: Path) -> None:
    write_two_of_a_name(tmp_path / 'counts')
    images = [make_image(k, f'wsi/c{k}/1.tif', SIDE, SIDE, case_id=str(k), mpp=0.25) for k in (1, 2)]
    annotations = [make_annotation(k, 2, 1, x, y) for k, (x, y) in enumerate([(52, 50), (300, 300)], 1)]
    write_json(tmp_path / 'ann.json', make_document(images, annotations, name='a', tool='tests'))
    slides, _ = read_slides(tmp_path / 'counts', tmp_path / 'ann.json', SHA, column='count', radius_px=30)
    assert [(slide.points[0, 2], slide.count) for slide in slides] == [(0.9, 0), (0.8, 2)]


@pytest.mark.parametrize(
    ('table', 'message'),
    [
        ('slide,count\n1.tif,3\n', r'1\.tif may be /slides/c1/1\.tif or /slides/c2/1\.tif: write its folder'),
        ('slide,count\nc1/1.tif,3\nx/c1/1.tif,4\n', r'c1/1\.tif and x/c1/1\.tif may both be /slides/c1/1\.tif'),
    ],
)
def test_a_name_that_fits_several_slides_is_refused(tmp_path: Path, table: str, message: str) -> None:
    write_two_of_a_name(tmp_path / 'counts')
    (tmp_path / 'known.csv').write_text(table)
    with pytest.raises(AnnotationError, match=message):
        read_slides(tmp_path / 'counts', tmp_path / 'known.csv', SHA, column='count', radius_px=30)

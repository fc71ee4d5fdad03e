"""mitouts reference-hotspots on counts that are written by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_records import predicted

from mitouts.formats.coco import (
    HARD_NEGATIVE,
    MITOTIC_FIGURE,
    make_annotation,
    make_document,
    make_image,
    write_json,
)
from mitouts.formats.predictions import write_predictions
from mitouts.formats.slide_csv import write_figures
from mitouts.formats.tables import read_table

WIDTH, HEIGHT, MPP = 1000, 800, 1.0
# The region is a square of 100 px, so DBSCAN begins with a radius of 70.7 px.
AREA_MM2 = 0.01
# Twelve figures, so two make a core: eight around (200, 200), three around (700, 600), and one 80 px from the nearest.
CLUSTER = [(180, 200), (220, 200), (200, 180), (200, 220), (190, 200), (210, 200), (200, 140), (200, 260)]
ANNOTATED = [*CLUSTER, (700, 600), (690, 600), (710, 600), (300, 200)]
# Inside the square from (150, 150) to (250, 250): the first three, the second on its corner.
PREDICTED = [(200, 200, 0.9), (150, 250, 0.8), (240, 240, 0.7), (149.9, 200, 0.9), (700, 600, 0.95)]
WEAK = [(200, 205, 0.5), (201, 199, 0.4)]

Points = Sequence[Sequence[float]]
Call = Callable[..., tuple[int, str, str]]


def write_counts(
    out: Path,
    name: str,
    figures: Points = PREDICTED,
    weak: Points = WEAK,
    *,
    not_counted: Points = ((240, 240),),
    unreadable: Sequence[Sequence[int]] = (),
    sha256: str = 'abc',
    **slide: Any,
) -> Path:
    folder = out / Path(name).stem
    points = np.array([*figures, *weak], dtype=float).reshape(-1, 3)
    provenance = {'checkpoint': 'a.pth', 'checkpoint_sha256': sha256, 'map_threshold': 0.5, 'slide_mpp': MPP}
    write_predictions(folder / 'predictions.json', [predicted(1, 0.9, points)], provenance)
    sure = np.array(figures, dtype=float).reshape(-1, 3)
    is_counted = [(x, y) not in [tuple(point) for point in not_counted] for x, y, _ in sure]
    write_figures(folder / 'figures.csv', sure, is_counted, mpp=MPP, comments={'slide': name, **provenance})
    report = {
        'provenance': provenance,
        'slide': {'file_name': name, 'width_px': WIDTH, 'height_px': HEIGHT, 'mpp': MPP, **slide},
        'counted_area': {'from': 'tissue'},
        'counts': {'figures': len(sure), 'excluded_because': None},
        'unreadable': {'rectangles_px': [list(rectangle) for rectangle in unreadable]},
    }
    write_json(folder / 'report.json', report)
    return folder


def write_annotations(path: Path, slides: Mapping[str, Points], category: int = MITOTIC_FIGURE, **image: Any) -> Path:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, (name, points) in enumerate(slides.items(), start=1):
        size = {'width': WIDTH, 'height': HEIGHT, 'mpp': MPP, 'case_id': Path(name).stem, **image}
        images.append(make_image(image_id, f'wsi/{name}', **size))
        for x, y in points:
            annotations.append(make_annotation(len(annotations) + 1, image_id, category, float(x), float(y)))
    # Look-alikes in the region are not counted with the figures, nor are those that are counted elsewhere.
    for category_id, extra in ((HARD_NEGATIVE, {}), (category, {'iscrowd': 1})):
        annotations.append(make_annotation(len(annotations) + 1, 1, category_id, 200.0, 201.0, **extra))
    write_json(path, make_document(images, annotations, name='slides', tool='tests'))
    return path


def rows_of(path: Path) -> dict[str, dict[str, str]]:
    table = read_table(path)
    return {cells[0]: dict(zip(table.names, cells)) for cells in table.rows}


def compare(call: Call, tmp_path: Path, annotations: Path, *options: object) -> tuple[int, dict[str, Any], str]:
    out = tmp_path / 'a table.csv'
    code, _, err = call(
        'reference-hotspots',
        annotations,
        *('--counts', tmp_path / 'counts', '--out', out, '--area-mm2', AREA_MM2),
        *options,
    )
    return code, rows_of(out) if out.exists() else {}, err


def test_both_are_counted_in_the_square_around_the_largest_cluster(call: Call, tmp_path: Path) -> None:
    write_counts(tmp_path / 'counts', 'a.tif', unreadable=[[240, 240, 20, 20], [160, 170, 4, 5], [900, 700, 50, 50]])
    annotations = write_annotations(tmp_path / 'ann.json', {'a.tif': ANNOTATED})
    code, rows, err = compare(call, tmp_path, annotations)
    assert code == 0
    row = rows['a.tif']
    # (200, 140) and (200, 260) belong to the cluster and lie outside the square.
    assert row['status'] == 'compared'
    assert (row['cluster_size'], row['clusters'], row['converged'], row['min_samples']) == ('8', '2', '1', '2')
    assert (row['roi_left_px'], row['roi_top_px'], row['roi_side_px']) == ('150.0', '150.0', '100.0')
    assert float(row['eps_um']) == pytest.approx(50 * np.sqrt(2))
    assert (row['reference_count'], row['predicted_count'], row['predicted_in_counted_tiles']) == ('6', '3', '2')
    assert (row['annotated_figures'], row['predicted_figures']) == ('12', '5')
    # 10.5 px of the first rectangle's sides are inside, and all of the second.
    assert float(row['roi_unreadable_mm2']) == pytest.approx((10.5**2 + 20) * 1e-6)
    assert '1 of 1 slides compared' in err
    document = json.loads((tmp_path / 'a table.json').read_text())
    assert document['slides'][0]['reference_count'] == 6
    assert document['provenance']['checkpoint_sha256'] == 'abc'
    assert document['provenance']['use'] == 'for research use only'
    assert (row['checkpoint'], row['use']) == ('a.pth', 'for research use only')


def test_every_slide_has_a_line_that_says_why_it_is_left_out(call: Call, tmp_path: Path) -> None:
    counts = tmp_path / 'counts'
    for name in ('a.tif', 'none.tif', 'single.tif', 'spot.svs', 'extra.tif'):
        write_counts(counts, name)
    write_counts(counts, 'cropped.tif', width_px=500)
    write_counts(counts, 'coarse.tif', mpp=0.5)
    write_json(counts / 'broken' / 'failed.json', {'slide': '/slides/broken.tif', 'reason': 'no slide'})
    slides: dict[str, Points] = dict.fromkeys(
        ['a.tif', 'cropped.tif', 'coarse.tif', 'broken.tif', 'gone.tif'], ANNOTATED
    )
    slides |= {'none.tif': [], 'single.tif': [(200, 200)], 'spot.tif': [(200, 200)] * 7}
    code, rows, err = compare(call, tmp_path, write_annotations(tmp_path / 'ann.json', slides))
    assert code == 0
    assert list(rows) == list(slides)
    left_out = {
        'cropped.tif': 'left out: annotated on 1000 x 800 px and counted on 500 x 800 px',
        'coarse.tif': 'left out: annotated at 1 um/px and counted at 0.5 um/px',
        'broken.tif': 'left out: counting it failed: no slide',
        'gone.tif': 'left out: there are no counts of it',
        'none.tif': 'left out: no annotated figure, so there is no reference region',
    }
    assert {name: row['status'] for name, row in rows.items() if row['status'] != 'compared'} == left_out
    assert all(not rows[name]['predicted_count'] for name in left_out)
    assert rows['gone.tif']['reference_count'] == '6'
    assert (rows['none.tif']['reference_count'], rows['none.tif']['predicted_figures']) == ('', '5')
    assert (rows['single.tif']['reference_count'], rows['single.tif']['converged']) == ('1', '1')
    assert (rows['spot.tif']['reference_count'], rows['spot.tif']['converged']) == ('7', '0')
    assert rows['spot.tif']['remark'] == 'DBSCAN found no second cluster'
    assert rows['spot.tif']['predicted_count'] == '3'
    assert 'holds slides without annotations: extra.tif' in err
    assert '3 of 8 slides compared' in err
    code, out, _ = call('correlate', tmp_path / 'a table.csv', *('--x', 'reference_count', '--y', 'predicted_count'))
    assert code == 0
    assert (json.loads(out)['n'], json.loads(out)['n_missing']) == (3, 5)


def test_the_resolution_is_the_one_of_the_counts(call: Call, tmp_path: Path) -> None:
    write_counts(tmp_path / 'counts', 'a.tif', mpp=0.98)
    annotations = write_annotations(tmp_path / 'ann.json', {'a.tif': ANNOTATED})
    _, rows, _ = compare(call, tmp_path, annotations)
    assert rows['a.tif']['mpp'] == '0.98'
    assert float(rows['a.tif']['roi_side_px']) == pytest.approx(100 / 0.98)


def test_slides_whose_size_or_resolution_was_not_known(call: Call, tmp_path: Path) -> None:
    write_counts(tmp_path / 'counts', 'a.tif')
    slides = {'a.tif': ANNOTATED, 'b.tif': ANNOTATED}
    annotations = write_annotations(tmp_path / 'ann.json', slides, width=801, mpp=None, size_known=False)
    _, rows, _ = compare(call, tmp_path, annotations)
    assert (rows['a.tif']['status'], rows['a.tif']['reference_count']) == ('compared', '6')
    assert rows['b.tif']['status'].endswith('there are no counts of it; no resolution (mpp), so the region has no size')


def test_another_category(call: Call, tmp_path: Path) -> None:
    write_counts(tmp_path / 'counts', 'a.tif')
    annotations = write_annotations(tmp_path / 'ann.json', {'a.tif': ANNOTATED})
    _, rows, _ = compare(call, tmp_path, annotations, '--category', HARD_NEGATIVE)
    assert (rows['a.tif']['reference_count'], rows['a.tif']['annotated_figures']) == ('1', '1')
    code, _, err = compare(call, tmp_path, annotations, '--category', 3)
    assert code == 2
    assert err.startswith('error: category 3 is none of the annotation file; it has 1 (mitotic figure), 2 (hard')


def test_slides_of_one_name_are_not_mixed_up(call: Call, tmp_path: Path) -> None:
    write_counts(tmp_path / 'counts', 'a.tif')
    write_counts(tmp_path / 'counts' / 'sub', 'a.tif').rename(tmp_path / 'counts' / 'a-2')
    (tmp_path / 'counts' / 'sub').rmdir()
    annotations = write_annotations(tmp_path / 'ann.json', {'a.tif': ANNOTATED})
    code, rows, _ = compare(call, tmp_path, annotations)
    assert code == 1
    assert rows['a.tif']['status'] == 'left out: several counts are of such a file: a, a-2'
    document = json.loads(annotations.read_text())
    document['images'].append({**document['images'][0], 'id': 2, 'file_name': 'other/a.tif'})
    write_json(annotations, document)
    (tmp_path / 'counts' / 'a-2').rename(tmp_path / 'elsewhere')
    compare(call, tmp_path, annotations)
    table = read_table(tmp_path / 'a table.csv')
    assert [cells[2] for cells in table.rows] == [
        'left out: 2 annotated slides have this file name',
        'left out: 2 annotated slides have this file name; no annotated figure, so there is no reference region',
    ]


def test_counts_that_cannot_be_compared_are_one_line(call: Call, tmp_path: Path) -> None:
    counts = tmp_path / 'counts'
    annotations = write_annotations(tmp_path / 'ann.json', {'a.tif': ANNOTATED, 'b.tif': ANNOTATED})
    code, _, err = compare(call, tmp_path, annotations)
    assert (code, err) == (2, f'error: {counts}: no such folder; expected the --out of mitouts count\n')
    counts.mkdir()
    assert 'holds no counts (*/report.json)' in compare(call, tmp_path, annotations)[2]
    folder = write_counts(counts, 'a.tif')
    write_counts(counts, 'b.tif', sha256='def')
    code, _, err = compare(call, tmp_path, annotations)
    assert code == 2
    assert 'a.tif and b.tif were counted with different models (checkpoint_sha256 abc and def)' in err
    write_counts(counts, 'b.tif')
    report = json.loads((folder / 'report.json').read_text())
    write_json(folder / 'report.json', {**report, 'counts': {'figures': 4}})
    assert 'report.json has 4 figures and predictions.json 5' in compare(call, tmp_path, annotations)[2]
    write_json(folder / 'report.json', {'slide': {}})
    assert 'is no report of mitouts count: it lacks provenance' in compare(call, tmp_path, annotations)[2]


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'slide': None}, 'it lacks slide.file_name'),
        ({'provenance': []}, 'provenance cannot be []'),
        ({'counts': {'figures': '5'}}, "counts.figures cannot be '5'"),
        ({'unreadable': {'rectangles_px': [[0, 0, 5]]}}, 'unreadable.rectangles_px cannot be'),
    ],
)
def test_a_report_of_another_kind_is_one_line(
    call: Call, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    annotations = write_annotations(tmp_path / 'ann.json', {'a.tif': ANNOTATED})
    folder = write_counts(tmp_path / 'counts', 'a.tif')
    report = json.loads((folder / 'report.json').read_text())
    write_json(folder / 'report.json', {**report, **changes})
    code, _, err = compare(call, tmp_path, annotations)
    assert (code, err.count('\n')) == (2, 1)
    assert message in err


def test_slides_of_one_name_are_told_apart_by_their_folders(call: Call, tmp_path: Path) -> None:
    for folder, figures in (('c1', PREDICTED), ('c#2', PREDICTED[:1])):
        counted = write_counts(tmp_path / 'counts', f'{folder}_1.tif', figures, path=f'/s/{folder}/1.tif')
        assert counted.name == f'{folder}_1'
    annotations = write_annotations(tmp_path / 'ann.json', {'c#2/1.tif': ANNOTATED, 'c1/1.tif': ANNOTATED})
    code, rows, _ = compare(call, tmp_path, annotations)
    assert code == 0
    assert {name: (row['status'], row['predicted_figures']) for name, row in rows.items()} == {
        'c#2/1.tif': ('compared', '1'),
        'c1/1.tif': ('compared', '5'),
    }

"""Cohorts: which slides are meant, who counts them, and what is left when one of them fails."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from dicom_files import write_dicom

from mitouts.errors import AnnotationError, ImageError
from mitouts.formats.coco import write_json
from mitouts.formats.tables import read_table
from mitouts.wsi.cohort import (
    REPORT_NAME,
    STAMP_NAME,
    WORK_NAME,
    CohortSlide,
    count_cohort,
    find_slides,
    outcomes,
    share_out,
    write_counts,
)

COUNTS = {
    'figures': 9,
    'count': 7,
    'count_ci95': [2.8, 14.4],
    'mai': 0.5,
    'mai_ci95': [0.2, 1.0],
    'unreadable_mm2': 0.0,
    'excluded_because': None,
}


def _files(folder: Path, *names: str, size: int = 10) -> list[Path]:
    for name in names:
        (folder / name).write_bytes(b'x' * size)
    return [folder / name for name in names]


def _report(folder: Path, **counts: Any) -> None:
    report = {
        'provenance': {
            'checkpoint': 'best.pth',
            'trained_on': {'dataset': 'fields', 'in_words': 'fields (train.json)'},
            'use': 'for research use only',
        },
        'slide': {'mpp': 0.25},
        'counts': {**COUNTS, **counts},
        'remarks': ['counted in all tissue', 'a "remark", with #1'],
        'hotspots': [{'area_mm2': 2.0, 'count': 5, 'per_mm2': 2.5}],
        'counted_area': {'from': 'tissue'},
    }
    write_json(folder / REPORT_NAME, report)


def test_folder_gives_its_slides_in_order(tmp_path: Path) -> None:
    _files(tmp_path, 'b.tif', 'a ü.SVS', 'notes.txt')
    slides, notes = find_slides(tmp_path)
    assert [(slide.path.name, slide.name) for slide in slides] == [('a ü.SVS', 'a ü'), ('b.tif', 'b')]
    assert notes == []


def test_folder_is_searched_below_and_what_a_count_left_in_it_is_no_slide(tmp_path: Path) -> None:
    for name in ('case 1/a.tif', 'case 2/b.svs', 'counts/a/overview.png'):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / 'counts/a' / STAMP_NAME).touch()
    slides, _ = find_slides(tmp_path)
    assert [slide.path for slide in slides] == [tmp_path / 'case 1/a.tif', tmp_path / 'case 2/b.svs']


@pytest.mark.parametrize('names', [('level 1.dcm',), ('label.dcm', 'level 0.dcm', 'level 1.dcm')])
def test_dicom_slide_is_one_slide_by_any_of_its_files(names: tuple[str, ...], tmp_path: Path) -> None:
    write_dicom(tmp_path / 'level 0.dcm', columns=2000)
    write_dicom(tmp_path / 'level 1.dcm', columns=500)
    write_dicom(tmp_path / 'label.dcm', flavor='LABEL')
    (tmp_path / 'list.txt').write_text('\n'.join(names))
    slides, notes = find_slides(tmp_path / 'list.txt')
    assert [(slide.path, slide.fault) for slide in slides] == [(tmp_path / 'level 0.dcm', None)]
    assert len(notes) == len(names) - 1
    assert [slide.path for slide in find_slides(tmp_path / names[0])[0]] == [tmp_path / 'level 0.dcm']
    assert [slide.path for slide in find_slides(tmp_path)[0]] == [tmp_path / 'level 0.dcm']


def test_label_without_its_slide_fails_with_the_reason(tmp_path: Path) -> None:
    (slide,), _ = find_slides(write_dicom(tmp_path / 'label.dcm', flavor='LABEL'))
    assert slide.fault is not None
    assert 'is the label of a slide' in slide.fault


def test_folder_of_a_label_alone_is_refused_with_the_reason(tmp_path: Path) -> None:
    write_dicom(tmp_path / 'label.dcm', flavor='LABEL')
    with pytest.raises(
        AnnotationError, match=r'holds no slide; .*label\.dcm is passed over: it is the label of a slide'
    ):
        find_slides(tmp_path)


def test_list_says_resolutions_regions_and_more(tmp_path: Path) -> None:
    (tmp_path / 'cohort.csv').write_text('slide;mpp;roi;pathologist\nx/1.svs;0.5;r.geojson;12\n2.svs;;;\n')
    (first, second), _ = find_slides(tmp_path / 'cohort.csv')
    assert first == CohortSlide(
        tmp_path / 'x/1.svs', '1', 'x/1.svs', mpp=0.5, roi=tmp_path / 'r.geojson', columns={'pathologist': '12'}
    )
    assert (second.mpp, second.roi, second.columns) == (None, None, {'pathologist': ''})


def test_text_list_has_a_path_on_each_line(tmp_path: Path) -> None:
    _files(tmp_path, '#3.svs')
    (tmp_path / 'list.txt').write_text('# comment\n1.svs\n\n/data/2.svs\n#3.svs\n')
    slides, _ = find_slides(tmp_path / 'list.txt')
    assert [slide.path for slide in slides] == [tmp_path / '1.svs', Path('/data/2.svs'), tmp_path / '#3.svs']


def test_same_slide_twice_is_counted_once_and_same_names_have_folders_of_their_own(tmp_path: Path) -> None:
    (tmp_path / 'cohort.csv').write_text('slide\na/1.svs\nb/1.svs\nb/../a/1.svs\nc/1.SVS\n')
    slides, notes = find_slides(tmp_path / 'cohort.csv')
    assert [slide.name for slide in slides] == ['a_1', 'b_1', 'c_1']
    assert [slide.label for slide in slides] == ['a/1.svs', 'b/1.svs', 'c/1.SVS']
    assert len(notes) == 1
    assert 'is counted once' in notes[0]


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('name\n1.svs\n', "has no column 'slide'"),
        ('slide\n', 'names no slide'),
        ('slide,mpp\n,0.25\n', 'line 2 names no slide'),
    ],
)
def test_bad_list_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / 'cohort.csv').write_text(content)
    with pytest.raises(AnnotationError, match=message):
        find_slides(tmp_path / 'cohort.csv')


def test_folder_without_slides_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match='holds no slide'):
        find_slides(tmp_path)


@pytest.mark.parametrize('ranks', [1, 2, 3, 7])
def test_every_slide_is_dealt_to_one_process(tmp_path: Path, ranks: int) -> None:
    sizes = [5, 900, 40, 41, 700, 3, 0, 62, 8, 9, 11]
    for number, size in enumerate(sizes):
        _files(tmp_path, f'{number}.tif', size=size)
    slides, _ = find_slides(tmp_path)
    dealt = [share_out(slides, rank, ranks) for rank in range(ranks)]
    assert sorted(slide.name for part in dealt for slide in part) == sorted(slide.name for slide in slides)
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1


def test_slide_that_fails_is_noted_and_the_others_are_counted(tmp_path: Path) -> None:
    _files(tmp_path, '1.tif', '2.tif', '3.tif')
    slides, _ = find_slides(tmp_path)
    told: list[str] = []

    def count(slide: CohortSlide, folder: Path) -> None:
        if slide.name == '2':
            raise ImageError('2.tif is no slide')
        _report(folder, excluded_because='0.50 mm2 of tumour' if slide.name == '3' else None)

    count_cohort(slides, tmp_path / 'out', count, lambda slide: {}, told=lambda slide, what: told.append(what))
    assert told == ['counting', 'done', 'counting', 'failed: 2.tif is no slide', 'counting', 'done']
    table, document = write_counts(outcomes(slides, tmp_path / 'out'), tmp_path / 'out')
    read = read_table(table)
    status = [row[read.index('status')] for row in read.rows]
    assert status == ['counted', 'failed: 2.tif is no slide', 'excluded: 0.50 mm2 of tumour']
    assert [row[read.index('count')] for row in read.rows] == ['7', '', '7']
    assert read.rows[0][read.index('hotspot_2_mm2_count')] == '5'
    assert read.rows[0][read.index('count_ci95_high')] == '14.4'
    assert {row[read.index('use')] for row in read.rows} == {'for research use only', ''}
    assert read.rows[0][read.index('trained_on')] == 'fields (train.json)'
    assert read.rows[0][read.index('remark')] == 'counted in all tissue; a "remark", with #1'
    assert json.loads(document.read_text())['slides'][0]['mai'] == 0.5


def test_interrupted_cohort_counts_none_twice_and_loses_none(tmp_path: Path) -> None:
    _files(tmp_path, '1.tif', '2.tif', '3.tif')
    slides, _ = find_slides(tmp_path)
    counted: list[str] = []
    killed: list[str] = []

    def count(slide: CohortSlide, folder: Path) -> None:
        (folder / WORK_NAME).mkdir(exist_ok=True)
        (folder / WORK_NAME / 'bands').write_text(slide.name)
        if slide.name == '2' and not killed:
            killed.append(slide.name)
            raise KeyboardInterrupt
        counted.append(slide.name)
        _report(folder)

    with pytest.raises(KeyboardInterrupt):
        count_cohort(slides, tmp_path / 'out', count, lambda slide: {'model': 1}, resume=True)
    assert (tmp_path / 'out' / '2' / WORK_NAME / 'bands').exists()
    assert [outcome.report is not None for outcome in outcomes(slides, tmp_path / 'out')] == [True, False, False]
    count_cohort(slides, tmp_path / 'out', count, lambda slide: {'model': 1}, resume=True)
    assert counted == ['1', '2', '3']
    assert not (tmp_path / 'out' / '2' / WORK_NAME).exists()
    count_cohort(slides, tmp_path / 'out', count, lambda slide: {'model': 2}, resume=True)
    assert counted == ['1', '2', '3'] * 2


def test_slide_that_cannot_be_looked_at_fails_alone(tmp_path: Path) -> None:
    slides = [CohortSlide(tmp_path / 'gone.tif', 'gone', 'gone.tif'), *find_slides(_files(tmp_path, '1.tif')[0])[0]]
    count_cohort(
        slides,
        tmp_path / 'out',
        lambda slide, folder: _report(folder),
        lambda slide: {'size': slide.path.stat().st_size},
    )
    found = outcomes(slides, tmp_path / 'out')
    assert 'No such file' in str(found[0].reason)
    assert found[1].report is not None


def test_column_of_the_list_with_the_name_of_a_count_keeps_its_values(tmp_path: Path) -> None:
    _files(tmp_path, '1.tif')
    (tmp_path / 'cohort.csv').write_text('slide,mai,site\n1.tif,12,X\n2.tif,13,Y\n')
    slides, _ = find_slides(tmp_path / 'cohort.csv')
    _report(tmp_path / 'out' / '1')
    table, _ = write_counts(outcomes(slides, tmp_path / 'out'), tmp_path / 'out')
    read = read_table(table)
    assert [row[read.index('given_mai')] for row in read.rows] == ['12', '13']
    assert [row[read.index('mai')] for row in read.rows] == ['0.5', '']
    assert [row[read.index('site')] for row in read.rows] == ['X', 'Y']
    assert [row[read.index('status')] for row in read.rows] == ['counted', 'not counted yet']


def test_no_reader_is_misled_by_a_sign_in_a_name(tmp_path: Path) -> None:
    """What a spreadsheet, a script, and a script that skips comments (as pandas does) see of ``a#1, "old".tif``."""
    name = 'a#1, "old".tif'
    _files(tmp_path, name)
    (tmp_path / 'cohort.csv').write_text('slide,block #,site\n"a#1, ""old"".tif",#7,"X, Y"\n')
    slides, _ = find_slides(tmp_path / 'cohort.csv')
    _report(tmp_path / 'out' / slides[0].name)
    table, _ = write_counts(outcomes(slides, tmp_path / 'out'), tmp_path / 'out')
    header, row = csv.reader(io.StringIO(table.read_text(encoding='utf-8')))
    cells = dict(zip(header, row))
    assert (cells['slide'], cells['block #'], cells['site'], cells['count']) == (name, '#7', 'X, Y', '7')
    assert header[0] == 'slide', 'nothing stands above the header'
    # A sign outside of quotes begins a comment, inside it is text.
    outside = ''.join(table.read_text(encoding='utf-8').split('"')[::2])
    assert '#' not in outside


def test_slides_of_one_name_are_told_apart_whatever_the_order_of_the_list(tmp_path: Path) -> None:
    for folder in ('c1', 'c2'):
        (tmp_path / folder).mkdir()
        _files(tmp_path / folder, '1.tif')
    counted: list[str] = []

    def count(slide: CohortSlide, folder: Path) -> None:
        counted.append(slide.label)
        _report(folder, count=int(slide.label[1]))

    for names in (['c1', 'c2'], ['c2', 'c1']):
        (tmp_path / 'list.txt').write_text('\n'.join(f'{name}/1.tif' for name in names))
        slides, _ = find_slides(tmp_path / 'list.txt')
        count_cohort(slides, tmp_path / 'out', count, lambda slide: {}, resume=True)
    assert counted == ['c1/1.tif', 'c2/1.tif'], 'each once'
    read = read_table(write_counts(outcomes(slides, tmp_path / 'out'), tmp_path / 'out')[0])
    assert [(row[read.index('slide')], row[read.index('count')]) for row in read.rows] == [
        ('c2/1.tif', '2'),
        ('c1/1.tif', '1'),
    ]


def test_a_report_of_another_slide_in_the_same_folder_is_not_taken(tmp_path: Path) -> None:
    for folder in ('c1', 'c2'):
        (tmp_path / folder).mkdir()
        _files(tmp_path / folder, '1.tif')
    first, _ = find_slides(tmp_path / 'c1' / '1.tif')
    second, _ = find_slides(tmp_path / 'c2' / '1.tif')
    count_cohort(first, tmp_path / 'out', lambda slide, folder: _report(folder), lambda slide: {})
    assert first[0].name == second[0].name
    assert outcomes(first, tmp_path / 'out')[0].report is not None
    assert outcomes(second, tmp_path / 'out')[0].report is None


@pytest.mark.parametrize('text', ['many', '-1', '0', '1e999'])
def test_slide_with_a_bad_resolution_is_faulty_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / 'cohort.csv').write_text(f'slide,mpp\n1.svs,{text}\n2.svs,0.5\n')
    (first, second), _ = find_slides(tmp_path / 'cohort.csv')
    assert f'found {text!r}' in str(first.fault)
    assert first.mpp is None
    assert (second.mpp, second.fault) == (0.5, None)

"""Reading the csv files of MITOS-ATYPIA 2014, in the tree of the challenge."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mitouts.converters.document import count_by_split, to_document
from mitouts.converters.mitos14 import SCANNERS, Mitos14
from mitouts.errors import AnnotationError
from mitouts.formats.coco import HARD_NEGATIVE, MITOTIC_FIGURE
from mitouts.formats.source import SourceSet

SIZES = {'A': (1539, 1376), 'H': (1663, 1485)}
LABELS = {
    'A03/mitosis/A03_00Aa_mitosis.csv': '100,200,1.0\n300,400,0.65\n',
    'A03/mitosis/A03_00Aa_not_mitosis.csv': '5,6,0.2\n',
    'H03/mitosis/H03_00Aa_mitosis.csv': '',
    'H03/mitosis/H03_00Aa_not_mitosis.csv': '7,8,0.35\n',
    'A05/mitosis/A05_12Dd_mitosis.csv': '9,10,0.8',
    'A05/mitosis/A05_12Dd_not_mitosis.csv': '',
}


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def _frame(root: Path, name: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = SIZES[path.name[0]]
    tifffile.memmap(path, shape=(height, width, 3), dtype='uint8', photometric='rgb')


def _note(source: SourceSet, start: str) -> str:
    (note,) = [note for note in source.notes if note.startswith(start)]
    return note


def test_figures_and_look_alikes(tmp_path: Path) -> None:
    source = Mitos14().read(_write(tmp_path, LABELS))
    assert [(f.file_name, f.x, f.y, f.category_id, f.extra['confidence']) for f in source.figures] == [
        ('A03/frames/x40/A03_00Aa.tiff', 100, 200, MITOTIC_FIGURE, 1),
        ('A03/frames/x40/A03_00Aa.tiff', 300, 400, MITOTIC_FIGURE, 0.65),
        ('A03/frames/x40/A03_00Aa.tiff', 5, 6, HARD_NEGATIVE, 0.2),
        ('A05/frames/x40/A05_12Dd.tiff', 9, 10, MITOTIC_FIGURE, 0.8),
        ('H03/frames/x40/H03_00Aa.tiff', 7, 8, HARD_NEGATIVE, 0.35),
    ]


def test_scanners_of_one_biopsy_share_its_case(tmp_path: Path) -> None:
    source = Mitos14().read(_write(tmp_path, LABELS))
    assert [(i.case_id, i.extra['scanner'], i.width, i.height, i.mpp) for i in source.images] == [
        ('03', 'Aperio', 1539, 1376, 0.2455),
        ('05', 'Aperio', 1539, 1376, 0.2455),
        ('03', 'Hamamatsu', 1663, 1485, pytest.approx(0.2274)),
    ]
    assert '1 biopsies are there under both scanners (A and H) and share a case_id: 03;' in ' '.join(source.notes)
    assert '0.2275 x 0.2273 um/px, the mean 0.2274' in _note(source, 'Hamamatsu')
    document = to_document(source, tool='t', arguments={})
    assert [image['split'] for image in document['images']] == ['val', 'train', 'val']


def test_a_fold_validates_within_cases_and_keeps_both_scanners_of_a_frame_together(tmp_path: Path) -> None:
    quarters = [f'{number:02d}{a}{b}' for number in range(2) for a in 'ABCD' for b in 'abcd'][:10]
    labels = {
        f'{slide}/mitosis/{slide}_{quarter}_mitosis.csv': '9,10,0.8'
        for slide in ('A05', 'H05', 'H04', 'H03', 'H12')
        for quarter in quarters
    }
    document = to_document(Mitos14().read(_write(tmp_path, labels)), tool='t', arguments={}, split='fold:0')
    splits = {image['file_name'][-13:-5]: image['split'] for image in document['images']}
    assert {name[1:3] for name in splits} == {'03', '05', '12'}
    assert {splits[f'{slide}_{quarter}'] for slide in ('H03', 'H12') for quarter in quarters} == {'test'}
    # The names of case 05 in the order of `printf NAME | sha256sum`.
    ordered = sorted((hashlib.sha256(f'H05_{quarter}'.encode()).hexdigest(), quarter) for quarter in quarters)
    for slide in ('A05', 'H05'):
        validating = {quarter for quarter in quarters if splits[f'{slide}_{quarter}'] == 'val'}
        assert validating == {quarter for _, quarter in ordered[:2]}
    info = document['info']['mitouts']
    assert info['within_case_validation'] is True
    assert any(note.startswith('validation is within cases') for note in info['notes'])
    assert 'left out 10 of 50 images because the split fold:0 says so' in info['notes']


def test_only_folds_say_that_they_validate_within_cases(tmp_path: Path) -> None:
    source = Mitos14().read(_write(tmp_path, LABELS))
    for split in (None, 'official', 'none'):
        info = to_document(source, tool='t', arguments={}, split=split)['info']['mitouts']
        assert 'within_case_validation' not in info


def test_mean_resolution_differs_little_from_either_direction() -> None:
    for scanner in SCANNERS.values():
        assert all(abs(mpp / scanner.mpp - 1) <= 0.001 for mpp in scanner.mpp_xy)


def test_frames_without_csv_are_negative_unless_nobody_labelled_their_slide(tmp_path: Path) -> None:
    labels = _write(tmp_path / 'labels', {name: text for name, text in LABELS.items() if name.startswith('A03')})
    names = ('A03/frames/x40/A03_00Aa.tiff', 'A03/frames/x40/A03_00Ab.tiff', 'A03/frames/x20/A03_00A.tiff')
    for name in (*names, 'A06/frames/x40/A06_00Aa.tiff'):
        _frame(tmp_path / 'images', name)
    source = Mitos14().read(labels, image_root=tmp_path / 'images')
    document = to_document(source, tool='t', arguments={}, image_root=tmp_path / 'images', out=tmp_path / 'a.json')
    assert [image['file_name'] for image in document['images']] == list(names[:2])
    assert [len([a for a in document['annotations'] if a['image_id'] == i['id']]) for i in document['images']] == [3, 0]
    assert any(note.startswith('1 frames have no csv') and 'A03_00Ab' in note for note in source.notes)
    assert _note(source, 'left out').endswith('slides that have no csv at all, so are unlabelled: A06')


def test_flat_folder_of_images(tmp_path: Path) -> None:
    labels = _write(tmp_path / 'labels', {Path(name).name: text for name, text in LABELS.items()})
    for frame in ('A03_00Aa', 'H03_00Aa', 'A05_12Dd'):
        _frame(tmp_path / 'images', f'{frame}.tif')
    source = Mitos14().read(labels, image_root=tmp_path / 'images')
    document = to_document(source, tool='t', arguments={}, image_root=tmp_path / 'images')
    assert [image['file_name'] for image in document['images']] == ['A03_00Aa.tif', 'A05_12Dd.tif', 'H03_00Aa.tif']


def test_image_of_the_other_scanner_is_refused(tmp_path: Path) -> None:
    labels = _write(tmp_path / 'labels', {'A03_00Aa_mitosis.csv': '1,2,1'})
    _frame(tmp_path / 'images', 'H03_00Aa.tiff')
    (tmp_path / 'images' / 'H03_00Aa.tiff').rename(tmp_path / 'images' / 'A03_00Aa.tiff')
    source = Mitos14().read(labels, image_root=tmp_path / 'images')
    with pytest.raises(AnnotationError, match='is 1663 x 1485 px, frames of the Aperio scanner have 1539 x 1376'):
        to_document(source, tool='t', arguments={}, image_root=tmp_path / 'images')


def test_rows_that_stand_twice_count_once(tmp_path: Path) -> None:
    files = {'A03_00Aa_mitosis.csv': '1,2,1.0\n3,4,1\n1,2,0.8', 'A03_00Aa_not_mitosis.csv': '1,2,0.2'}
    source = Mitos14().read(_write(tmp_path, files))
    assert [(f.x, f.y, f.category_id) for f in source.figures] == [(1, 2, 1), (3, 4, 1), (1, 2, 2)]
    assert _note(source, 'left out') == 'left out 1 rows of A03_00Aa that stand twice in their file'


def test_missing_file_of_a_pair_and_doubtful_confidence_are_said(tmp_path: Path) -> None:
    source = Mitos14().read(
        _write(tmp_path, {'A03_00Aa_mitosis.csv': '1,2,0.2', 'A03_00Ab_not_mitosis.csv': '1,2,0.6'})
    )
    assert any('1 of 2 labelled frames have no _mitosis.csv' in note and 'A03_00Ab' in note for note in source.notes)
    assert any(
        '1 of 2 labelled frames have no _not_mitosis.csv' in note and 'A03_00Aa' in note for note in source.notes
    )
    assert _note(source, '2 figures have a confidence').endswith('the first is in A03_00Aa')


def test_other_csv_files_are_passed_over_and_said(tmp_path: Path) -> None:
    source = Mitos14().read(_write(tmp_path, {**LABELS, 'A03/atypia/x20/A03_00A_decision.csv': '2\n'}))
    assert 'A03_00A_decision.csv' in _note(source, 'passed over 1 csv files')


@pytest.mark.parametrize(
    ('files', 'message'),
    [
        ({}, r'expected <frame>_mitosis\.csv and <frame>_not_mitosis\.csv .* found no csv$'),
        ({'B03_00Aa_mitosis.csv': ''}, r'such as A03_00Aa_mitosis\.csv, found B03_00Aa_mitosis\.csv$'),
        ({'A03_00A_mitosis.csv': ''}, r'of x40 frames'),
        ({'A03_00Aa_mitosis.csv': '1,2'}, r'line 1: expected "x,y,confidence", numbers .* found \'1,2\''),
        ({'A03_00Aa_mitosis.csv': 'x,y,c\n'}, r"line 1: expected .* found 'x,y,c'"),
        ({'A03_00Aa_mitosis.csv': '1,2,3'}, r'line 1: expected a confidence from 0 to 1, found 3'),
        ({'A03_00Aa_mitosis.csv': '1,2,nan'}, r'line 1: expected "x,y,confidence"'),
        ({'a/A03_00Aa_mitosis.csv': '', 'b/A03_00Aa_mitosis.csv': ''}, r'is elsewhere as well, as a/A03_00Aa'),
    ],
)
def test_other_files_are_refused(tmp_path: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        Mitos14().read(_write(tmp_path, files))


def test_two_images_of_a_frame_are_refused(tmp_path: Path) -> None:
    for name in ('a/A03_00Aa.tiff', 'b/A03_00Aa.png'):
        _frame(tmp_path / 'images', name)
    with pytest.raises(AnnotationError, match=r'two images of frame A03_00Aa: a/A03_00Aa\.tiff and b/A03_00Aa\.png'):
        Mitos14().read(_write(tmp_path / 'labels', LABELS), image_root=tmp_path / 'images')


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(st.binary(max_size=60), st.text('0123456789,.-e\n\r "naif', max_size=40).map(str.encode)))
def test_damaged_csv_never_ends_in_a_traceback(tmp_path: Path, text: bytes) -> None:
    (tmp_path / 'A03_00Aa_mitosis.csv').write_bytes(text)
    try:
        outcome: SourceSet | str = Mitos14().read(tmp_path)
    except AnnotationError as error:
        outcome = str(error)
    if isinstance(outcome, str):
        assert 'A03_00Aa_mitosis.csv' in outcome
    else:
        assert all(0 <= figure.extra['confidence'] <= 1 for figure in outcome.figures)


def test_a_frame_one_pixel_narrower_has_its_own_size_and_points_beside_it_stay(tmp_path: Path) -> None:
    files = {'H03_00Aa_mitosis.csv': '1662,5,0.65\n', 'H03_00Ab_mitosis.csv': '1662,5,1.0\n'}
    labels = _write(tmp_path / 'labels', files)
    for name, width in (('H03_00Aa', 1662), ('H03_00Ab', 1663)):
        (tmp_path / 'images').mkdir(exist_ok=True)
        tifffile.memmap(tmp_path / 'images' / f'{name}.tif', shape=(1485, width, 3), dtype='uint8', photometric='rgb')
    source = Mitos14().read(labels, image_root=tmp_path / 'images')
    document = to_document(source, tool='t', arguments={}, image_root=tmp_path / 'images')
    assert [image['width'] for image in document['images']] == [1662, 1663]
    assert [(each['point'], each['confidence']) for each in document['annotations']] == [
        ([1661, 5], 0.65),
        ([1662, 5], 1),
    ]


def test_without_images_no_size_is_claimed(tmp_path: Path) -> None:
    document = to_document(Mitos14().read(_write(tmp_path, LABELS)), tool='t', arguments={})
    assert {image['size_known'] for image in document['images']} == {False}


REAL = Path(__file__).resolve().parents[2].parent / 'shared' / 'data' / 'MITOS14'


def test_the_real_frames_come_whole(tmp_path: Path) -> None:
    if not REAL.is_dir():
        pytest.skip('MITOS14 is not at hand in ../shared/data')
    for path in REAL.rglob('*.csv'):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    document = to_document(Mitos14().read(tmp_path), tool='t', arguments={})
    counts = [each['category_id'] for each in document['annotations']]
    assert (len(document['images']), counts.count(MITOTIC_FIGURE), counts.count(HARD_NEGATIVE)) == (393, 743, 1057)
    confidences = [each['confidence'] for each in document['annotations'] if each['category_id'] == MITOTIC_FIGURE]
    assert [confidences.count(value) for value in (1, 0.8, 0.65)] == [315, 156, 272]


def test_the_folds_of_the_real_frames_are_balanced(tmp_path: Path) -> None:
    if not REAL.is_dir():
        pytest.skip('MITOS14 is not at hand in ../shared/data')
    for path in REAL.rglob('*.csv'):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    source, tested, frames = Mitos14().read(tmp_path), [], []
    for fold in range(5):
        document = to_document(source, tool='t', arguments={}, split=f'fold:{fold}')
        rows = count_by_split(document)
        tested.append(rows['test']['mitotic figure'])
        frames.append([rows[split]['images'] for split in ('train', 'val', 'test')])
    assert tested == [135, 167, 60, 58, 59]
    assert frames == [[181, 44, 65], [165, 40, 85], [197, 48, 45], [196, 48, 46], [193, 48, 49]]

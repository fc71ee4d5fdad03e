"""Reading the AMi-Br folder."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mitouts.converters.amibr import CROP_CENTER_PX, CROP_PX, has_padding, read_amibr, read_crop
from mitouts.errors import AnnotationError, AnnotationWarning, ImageError

SOURCE = Path(__file__).resolve().parents[2].parent / 'shared' / 'data' / 'AMi-Br'
HEADER = ',slide,dataset,uid,x,y,majority_atypical'
ROWS = ('0,002.tiff,MIDOG21,6,4422,216,False', '1,003.tiff,MIDOG21,7,1867,1583,True')


def _make(root: Path, *rows: str, header: str = HEADER) -> Path:
    (root / 'AMI-BR.csv').write_text('\n'.join((header, *rows)) + '\n')
    for folder in ('normal', 'atypical'):
        (root / 'patches' / folder).mkdir(parents=True, exist_ok=True)
    return root


def _add_crop(root: Path, name: str) -> np.ndarray:
    crop = np.random.default_rng(0).integers(1, 256, (CROP_PX, CROP_PX, 3), dtype=np.uint8)
    cv2.imwrite(str(root / 'patches' / name), crop[..., ::-1])
    return crop


def test_figures_and_crops(tmp_path: Path) -> None:
    _make(tmp_path, *ROWS)
    crop = _add_crop(tmp_path, 'normal/MIDOG21_6.png')
    _add_crop(tmp_path, 'atypical/MIDOG21_7.png')
    first, second = read_amibr(tmp_path)
    assert (first.slide, first.uid, first.x, first.y) == ('002.tiff', '6', 4422, 216)
    assert (first.atypical, second.atypical) == (False, True)
    np.testing.assert_array_equal(read_crop(first), crop)


def test_missing_crops_are_reported(tmp_path: Path) -> None:
    _make(tmp_path, *ROWS)
    _add_crop(tmp_path, 'normal/MIDOG21_6.png')
    with pytest.warns(AnnotationWarning, match=r'1 of 2 crops are missing .* left out: atypical/MIDOG21_7.png$'):
        assert [figure.uid for figure in read_amibr(tmp_path)] == ['6']


@pytest.mark.parametrize(
    ('header', 'rows', 'message'),
    [
        (HEADER, ROWS, r'none of the 2 crops .* is in patches/normal or patches/atypical'),
        (HEADER.replace('slide', 'Slide'), ROWS, r'lacks columns: slide; found .*Slide'),
        (HEADER, ('0,002.tiff,MIDOG21,6,44.5,216,False',), r"line 2: expected whole numbers .* x='44.5'"),
        (HEADER, ('0,two.tiff,MIDOG21,6,44,216,False',), r"line 2: .* slide='two.tiff'"),
        (HEADER, (ROWS[0], '1,003.tiff,MIDOG21,7,1,1,no'), r"line 3: majority_atypical .* found 'no'"),
        (HEADER, (ROWS[0], ROWS[0]), r'the uid 6 occurs twice'),
        (HEADER, ('0,002.tiff,MIDOG21,6',), r'line 2: '),
        (HEADER, ('0,../002.tiff,MIDOG21,6,1,1,True',), r'line 2: the file name .* leads out of the folder'),
        (HEADER, ('0,002.tiff,MIDOG21,../../6,1,1,True',), r'line 2: the file name .* leads out of the folder'),
        (HEADER, ('0,002.tiff,MIDOG21,6,99999999,1,True',), r'line 2: the coordinate 99999999 px is larger'),
        (HEADER, (), r'holds no figure'),
    ],
)
def test_broken_csv_is_refused(tmp_path: Path, header: str, rows: tuple[str, ...], message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        read_amibr(_make(tmp_path, *rows, header=header))


def test_wrong_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'MIDOG.json').touch()
    with pytest.raises(AnnotationError, match=r'expected the AMi-Br folder with AMI-BR.csv .* found MIDOG.json$'):
        read_amibr(tmp_path)
    with pytest.raises(AnnotationError, match='found no such folder'):
        read_amibr(tmp_path / 'nowhere')


@pytest.mark.parametrize(
    ('crop', 'message'),
    [
        (np.zeros((64, 128, 3), np.uint8), r'found shape \(64, 128, 3\)'),
        (np.zeros((128, 128), np.uint8), r'found shape \(128, 128\)'),
        (np.zeros((128, 128, 3), np.uint16), 'found shape .* uint16'),
        (None, 'not a readable image'),
    ],
)
def test_crop_of_another_kind_is_refused(tmp_path: Path, crop: np.ndarray | None, message: str) -> None:
    _make(tmp_path, ROWS[0])
    path = tmp_path / 'patches' / 'normal' / 'MIDOG21_6.png'
    if crop is None:
        path.write_bytes(b'no png')
    else:
        cv2.imwrite(str(path), crop)
    (figure,) = read_amibr(tmp_path)
    with pytest.raises(ImageError, match=message):
        read_crop(figure)


@pytest.mark.parametrize('side', [np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]])
def test_padding_is_a_black_outermost_line(side: object) -> None:
    crop = np.full((CROP_PX, CROP_PX, 3), 200, np.uint8)
    crop[10] = 0
    assert not has_padding(crop)
    crop[side] = 0
    assert has_padding(crop)


@pytest.fixture(scope='module')
def real() -> list[tuple[int, int, np.ndarray]]:
    if not SOURCE.is_dir():
        pytest.skip('the AMi-Br crops are not at ../shared/data/AMi-Br')
    return [(figure.x, figure.y, read_crop(figure)) for figure in read_amibr(SOURCE)]


def test_real_crops_end_where_the_slide_does(real: list[tuple[int, int, np.ndarray]]) -> None:
    """Black rows above a figure near the slide's top: row 0 of the slide is row 64 - y of the crop."""
    near_top = [(y, crop) for _, y, crop in real if y < CROP_PX // 2]
    near_left = [(x, crop) for x, _, crop in real if x < CROP_PX // 2]
    assert len(near_top) > 10
    assert len(near_left) > 10
    for y, crop in near_top:
        assert int(np.argmax(crop.any(axis=(1, 2)))) == 64 - y
    for x, crop in near_left:
        assert int(np.argmax(crop.any(axis=(0, 2)))) == 64 - x


def test_real_figures_are_in_the_middle_of_their_crops(real: list[tuple[int, int, np.ndarray]]) -> None:
    """The dark pixels average to 63.5 and not to 64, with a standard error below 0.1."""
    offsets = []
    grid = np.arange(44, 85)
    for _, _, crop in real:
        density = -np.log10((crop[44:85, 44:85].mean(axis=2) + 1) / 256)
        weight = np.clip(density - np.percentile(density, 80), 0, None)
        offsets.append(((weight.sum(0) * grid).sum(), (weight.sum(1) * grid).sum()) / weight.sum())
    mean, error = np.mean(offsets, axis=0), np.std(offsets, axis=0) / len(offsets) ** 0.5
    assert (error < 0.1).all()
    assert np.abs(mean - CROP_CENTER_PX) == pytest.approx(0, abs=0.2)
    assert (np.abs(mean - 64) > 3 * error).all()

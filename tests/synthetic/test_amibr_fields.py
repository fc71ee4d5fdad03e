"""AMi-Br fields, built from synthetic crops in which every pixel tells where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mitouts.converters.amibr import CROP_PX, Figure
from mitouts.errors import MitoutsError
from mitouts.synthetic.amibr_fields import (
    JITTER_PX,
    TILE_PX,
    AmibrField,
    SlideCrops,
    blob_center,
    build_field,
    collect_slides,
    draw_field,
    optical_density,
    plan_fields,
    scanner_of_slide,
    split_fold,
    split_paper,
)

MIDDLE = slice(TILE_PX, CROP_PX - TILE_PX)
FIGURE = np.array([10, 20, 250], dtype=np.uint8)


def _crop(number: int) -> np.ndarray:
    """Green and blue tell the pixel's place, red the crop; red is above 200 outside the four corner tiles."""
    rows, columns = np.mgrid[:CROP_PX, :CROP_PX]
    crop = np.stack([np.full_like(rows, number + 1), rows, columns], axis=2).astype(np.uint8)
    crop[MIDDLE, :, 0] = crop[:, MIDDLE, 0] = 201 + number
    crop[63:65, 63:65] = FIGURE
    return crop


def _figures(slide: str, places: Sequence[tuple[int, int]]) -> list[Figure]:
    stem = Path(slide).stem
    return [Figure(slide, f'{stem}-{n}', x, y, False, Path('unused.png')) for n, (x, y) in enumerate(places)]


def _slide(slide: str = '001.tiff', num_crops: int = 4) -> SlideCrops:
    figures = _figures(slide, [(1000 * n, 500) for n in range(num_crops)])
    (collected,), _ = collect_slides(figures, [_crop(n) for n in range(num_crops)])
    return collected


def _tiles(field: AmibrField, grid: int) -> np.ndarray:
    """Return the tiles, (grid, grid, 48, 48, 3)."""
    return field.image.reshape(grid, TILE_PX, grid, TILE_PX, 3).swapaxes(1, 2)


def _field(seed: int, *, grid: int = 3, positive: bool = True, noisy: bool = False) -> AmibrField:
    return build_field(_slide(), grid, np.random.default_rng(seed), positive=positive, noisy=noisy)


FIELDS = [_field(seed) for seed in range(300)]


def test_point_is_the_middle_of_the_figure_whatever_the_turn() -> None:
    turns = set()
    for field in FIELDS:
        assert len(field.points) == len(field.source_uids) in (1, 2)
        for x, y in field.points:
            left, top = int(x - 0.5), int(y - 0.5)
            assert (x, y) == (left + 0.5, top + 0.5)
            np.testing.assert_array_equal(field.image[top : top + 2, left : left + 2].reshape(4, 3), [FIGURE] * 4)
            # Two pixels beside the figure still tell their own place in the crop, and so how it was turned.
            right, below = field.image[top, left + 3].astype(int), field.image[top + 3, left].astype(int)
            turns.add((*np.sign(right - 63.5)[1:], *np.sign(below - 63.5)[1:]))
        assert (field.image == FIGURE).all(axis=2).sum() == 4 * len(field.points)
    assert len(turns) == 4


def test_figure_is_jittered_around_the_middle_of_its_tile() -> None:
    places = np.concatenate([field.points for field in FIELDS]) % TILE_PX
    middle = (TILE_PX - 1) / 2
    assert set((places - middle).ravel()) == set(range(-JITTER_PX, JITTER_PX + 1))


def test_one_field_in_five_has_two_figures_and_they_differ() -> None:
    two = [field for field in FIELDS if len(field.points) == 2]
    assert 0.15 < len(two) / len(FIELDS) < 0.25
    for field in two:
        assert len(set(field.source_uids)) == 2
        assert len({tuple(point) for point in field.points // TILE_PX}) == 2


def test_source_uid_names_the_crop_under_the_point() -> None:
    for field in FIELDS[:50]:
        for (x, y), uid in zip(field.points, field.source_uids, strict=True):
            red = int(field.image[int(y) + 3, int(x), 0])
            assert uid == f'001-{red - 201}'


def test_background_is_corners_of_crops_turned_in_all_ways() -> None:
    seen = set()
    for seed in range(40):
        field = _field(seed, positive=False)
        assert field.points.shape == (0, 2)
        assert field.source_uids == ()
        assert field.image[..., 0].max() <= 200
        for tile in _tiles(field, 3).reshape(-1, TILE_PX, TILE_PX, 3).astype(int):
            place = tile[..., 1:].reshape(-1, 2)
            assert {tuple(place.min(0)), tuple(place.max(0))} <= {
                *[(a, b) for a in (0, 80) for b in (0, 80)],
                *[(a, b) for a in (47, 127) for b in (47, 127)],
            }
            step = tile[0, 1, 1:] - tile[0, 0, 1:]
            seen.add((*place.min(0), *step))
    assert len(seen) == 4 * 4


def test_no_tile_repeats_before_all_were_used() -> None:
    tiles = _tiles(_field(0, grid=4, positive=False), 4).reshape(16, -1, 3)
    assert len({(int(tile[:, 0].max()), *tile[:, 1:].min(0)) for tile in tiles}) == 16


@pytest.mark.parametrize('noisy', [False, True])
def test_background_does_not_depend_on_the_label(noisy: bool) -> None:
    for seed in range(20):
        negative, other = _field(seed, positive=False), _field(seed, noisy=noisy)
        same = (_tiles(negative, 3) == _tiles(other, 3)).all(axis=(2, 3, 4))
        assert (~same).sum() == (0 if noisy else len(other.points))


def test_noise_annotates_the_dark_blob_of_the_darkest_tile() -> None:
    crops = np.full((4, CROP_PX, CROP_PX, 3), 200, np.uint8)
    rows, columns = np.mgrid[:CROP_PX, :CROP_PX]
    crops[1][(rows - 20) ** 2 + (columns - 30) ** 2 <= 36] = 40
    crops[2][(rows - 100) ** 2 + (columns - 100) ** 2 <= 36] = 90
    (slide,), _ = collect_slides(_figures('001.tiff', [(500 * n, 0) for n in range(4)]), list(crops))
    for seed in range(20):
        field = build_field(slide, 4, np.random.default_rng(seed), positive=True, noisy=True)
        dark = np.argwhere((field.image == 40).all(axis=2))
        assert field.is_noise
        assert field.source_uids == ()
        assert len(dark) == 113
        np.testing.assert_allclose(field.points, [dark.mean(axis=0)[::-1]], atol=0.3)


def test_blob_center_ignores_a_weaker_blob() -> None:
    rows, columns = np.mgrid[:48, :48]
    blobs = np.exp(-((rows - 12) ** 2 + (columns - 31.25) ** 2) / 50)
    blobs += 0.7 * np.exp(-((rows - 38) ** 2 + (columns - 10) ** 2) / 50)
    assert blob_center(blobs) == pytest.approx((31.25, 12), abs=0.05)
    assert blob_center(np.ones((5, 7))) == (3.0, 2.0)


def test_optical_density_of_a_flat_image() -> None:
    image = np.full((9, 9, 3), 63, np.uint8)
    np.testing.assert_allclose(optical_density(image), np.log10(4), rtol=1e-12)


def test_crops_near_another_figure_are_kept_out() -> None:
    """Figures 0 and 1 only reach into a corner of each other's crop, 2 and 3 also into the middle."""
    figures = _figures('001.tiff', [(500, 500), (570, 530), (3000, 500), (3030, 497), (5000, 500)])
    (slide,), _ = collect_slides(figures, [_crop(n) for n in range(5)])
    corners: dict[int, set[tuple[int, int]]] = {n: set() for n in range(5)}
    for number, x, y in slide.corners:
        corners[number].add((x, y))
    every = {(x, y) for x in (0, 80) for y in (0, 80)}
    assert slide.positives == (0, 1, 4)
    assert corners[0] == every - {(80, 80)}
    assert corners[1] == every - {(0, 0)}
    assert corners[2] == every - {(80, 0)}
    assert corners[3] == every - {(0, 80)}
    assert corners[4] == every


def test_padded_crops_and_small_slides_are_left_out() -> None:
    figures = [
        *_figures('001.tiff', [(1000 * n, 0) for n in range(4)]),
        *_figures('002.tiff', [(1000 * n, 0) for n in range(3)]),
        *_figures('003.tiff', [(1000 * n, 0) for n in range(2)]),
    ]
    crops = [np.full((CROP_PX, CROP_PX, 3), 99, np.uint8) for _ in figures]
    crops[1][:5] = 0
    crops[6][:, -1:] = 0
    slides, left_out = collect_slides(figures, crops)
    assert [(slide.slide, slide.uids) for slide in slides] == [('001.tiff', ('001-0', '001-2', '001-3'))]
    assert left_out == {'padded_crops': 2, 'unusable_slides': 2, 'crops_of_unusable_slides': 4}


@pytest.mark.parametrize('noise', [0.0, 0.25, 0.3, 1.0])
@pytest.mark.parametrize(('rate', 'expected'), [(0.5, 51), (0.1, 10), (1.0, 101), (0.0, 0)])
def test_shares_of_positive_and_noisy_fields_are_exact(noise: float, rate: float, expected: int) -> None:
    draws = plan_fields(101, rate, noise, seed=4, split_number=0)
    assert [draw.index for draw in draws] == list(range(101))
    assert sum(draw.positive for draw in draws) == expected
    assert sum(draw.noisy for draw in draws) == int(expected * noise + 0.5)
    assert all(draw.positive for draw in draws if draw.noisy)


def test_noise_changes_nothing_but_the_noisy_fields() -> None:
    slides = [_slide('001.tiff'), _slide('002.tiff', 6)]
    made = {
        noise: [draw_field(slides, 2, draw) for draw in plan_fields(40, 0.5, noise, seed=9, split_number=0)]
        for noise in (0.0, 0.3, 0.6)
    }
    noisy = {noise: {n for n, (_, field) in enumerate(fields) if field.is_noise} for noise, fields in made.items()}
    assert [len(noisy[noise]) for noise in (0.0, 0.3, 0.6)] == [0, 6, 12]
    assert noisy[0.3] < noisy[0.6]
    for (slide, clean), (other_slide, other) in zip(made[0.0], made[0.6], strict=True):
        assert slide.slide == other_slide.slide
        if not other.is_noise:
            np.testing.assert_array_equal(clean.image, other.image)
            np.testing.assert_array_equal(clean.points, other.points)


def test_same_seed_same_field_other_seed_or_split_another() -> None:
    slides = [_slide('001.tiff'), _slide('002.tiff', 6)]

    def images(seed: int, split_number: int) -> list[bytes]:
        draws = plan_fields(6, 0.5, 0.5, seed=seed, split_number=split_number)
        return [draw_field(slides, 3, draw)[1].image.tobytes() for draw in draws]

    assert images(0, 0) == images(0, 0)
    assert len({*images(0, 0), *images(1, 0), *images(0, 1)}) == 18


def test_slides_are_drawn_in_proportion_to_their_crops() -> None:
    slides = [_slide('001.tiff', 3), _slide('002.tiff', 9)]
    drawn = [draw_field(slides, 1, draw)[0].slide for draw in plan_fields(400, 0, 0, seed=0, split_number=0)]
    assert drawn.count('002.tiff') == pytest.approx(300, abs=30)


def _many_slides() -> list[SlideCrops]:
    return [_slide(f'{number:03d}.tiff', 3) for number in range(1, 151)]


def test_paper_split_is_that_of_midog21() -> None:
    parts = split_paper(_many_slides())
    numbers = {name: {int(slide.slide[:3]) for slide in part} for name, part in parts.items()}
    assert numbers['val'] == {*range(41, 46), *range(91, 96), *range(141, 146)}
    assert numbers['test'] == {*range(46, 51), *range(96, 101), *range(146, 151)}
    assert numbers['train'] == set(range(1, 151)) - numbers['val'] - numbers['test']


def test_folds_share_no_slide_and_test_each_once() -> None:
    slides = _many_slides()
    tested: list[str] = []
    for fold in range(5):
        parts = {name: {slide.slide for slide in part} for name, part in split_fold(slides, fold, seed=3).items()}
        following = {slide.slide for slide in split_fold(slides, (fold + 1) % 5, seed=3)['test']}
        assert parts['val'] == following
        assert parts['train'] == {slide.slide for slide in slides} - parts['val'] - parts['test']
        assert not parts['val'] & parts['test']
        assert len({scanner_of_slide(slide) for slide in parts['test']}) == 3
        tested += parts['test']
    assert sorted(tested) == [slide.slide for slide in slides]
    assert split_fold(slides, 0, seed=3)['test'] != split_fold(slides, 0, seed=4)['test']


def test_no_crop_stands_in_two_splits() -> None:
    figures = [f for n in range(1, 31) for f in _figures(f'{5 * n:03d}.tiff', [(1000 * k, 0) for k in range(3)])]
    slides, _ = collect_slides(figures, [np.full((CROP_PX, CROP_PX, 3), 9, np.uint8)] * len(figures))
    for parts in (split_paper(slides), split_fold(slides, 2, seed=0)):
        uids = [uid for part in parts.values() for slide in part for uid in slide.uids]
        assert len(uids) == len(set(uids)) == len(figures)


def test_split_without_a_slide_is_refused() -> None:
    with pytest.raises(MitoutsError, match='is left for val, test; use another split'):
        split_paper([_slide('001.tiff'), _slide('002.tiff')])
    with pytest.raises(MitoutsError, match='fold 5 does not exist; the folds are 0 to 4'):
        split_fold(_many_slides(), 5, seed=0)


@pytest.mark.parametrize(
    ('slide', 'scanner'),
    [
        ('001.tiff', 'Hamamatsu XR'),
        ('050.tiff', 'Hamamatsu XR'),
        ('051.tiff', 'Hamamatsu S360'),
        ('100.tiff', 'Hamamatsu S360'),
        ('101.tiff', 'Aperio CS2'),
        ('150.tiff', 'Aperio CS2'),
    ],
)
def test_scanner_follows_from_the_number(slide: str, scanner: str) -> None:
    assert scanner_of_slide(slide) == scanner


def test_unknown_slide_is_refused() -> None:
    with pytest.raises(MitoutsError, match=r'201.tiff: MIDOG 2021 has the slides 001.tiff to 200.tiff'):
        scanner_of_slide('201.tiff')

"""What lies around a patch: pixel for pixel what its source has there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from review_requests import coordinates_image, make_items

from mitouts.imaging.image import write_rgb
from mitouts.review.crops import CropSource
from mitouts.review.items import Item, build_items
from mitouts.review.squares import OUTSIDE
from mitouts.review.surroundings import Surroundings, source_roots

SOURCE = coordinates_image(200, 160)
X, Y, SIDE = 64, 32, 64


def patch_item(**changes: object) -> Item:
    item = replace(make_items(1)[0], file_name='p.png', width_px=SIDE, height_px=SIDE, x_px=60.0, y_px=3.0, mpp=1.0)
    return replace(item, source_image='wsi/s.png', source_xy_px=(X, Y), **changes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_rgb(tmp_path / 'originals' / 'wsi' / 's.png', SOURCE)
    write_rgb(tmp_path / 'patches' / 'p.png', SOURCE[Y : Y + SIDE, X : X + SIDE])
    return tmp_path


def field_of(folder: Path, item: Item, roots: list[Path]) -> np.ndarray:
    crops = CropSource(folder / 'patches', [item], surroundings=Surroundings(roots, [item]))
    decoded = cv2.imdecode(np.frombuffer(crops.field(item), np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).astype(int)


def test_the_field_goes_on_beyond_the_patch(folder: Path) -> None:
    item = patch_item()
    field = field_of(folder, item, [folder / 'originals'])
    left, top = X + 60 - 48, Y + 3 - 48
    assert field.shape == (97, 97, 3)
    # Thirteen rows lie above the source.
    assert top == -13
    assert (field[:8] > OUTSIDE - 4).all()
    expected = SOURCE[0 : top + 97, left : left + 97].astype(int)
    # Away from the edge, where a JPEG rings.
    assert np.abs(field[13:] - expected)[8:].max() <= 3


def test_without_the_source_it_stays_grey(folder: Path) -> None:
    field = field_of(folder, patch_item(), [folder / 'elsewhere'])
    assert (field[:35] > OUTSIDE - 4).all()
    assert (field[:, 75:] > OUTSIDE - 4).all()
    assert Surroundings([folder / 'elsewhere'], [patch_item()]).missing == ['wsi/s.png']


def test_a_patch_of_a_coarser_resolution_has_surroundings_of_the_same(folder: Path) -> None:
    # Each pixel of the patch is two of the source: what is around must be shrunk, and lie where it belongs.
    small = cv2.resize(SOURCE, (100, 80), interpolation=cv2.INTER_AREA)
    write_rgb(folder / 'patches' / 'p.png', small[16:48, 32:64])
    item = patch_item(width_px=32, height_px=32, x_px=16.0, y_px=16.0, mpp=2.0, source_downsample=2.0)
    item = replace(item, source_xy_px=(32, 16))
    field = field_of(folder, item, [folder / 'originals'])
    assert field.shape == (49, 49, 3)
    expected = small[16 + 16 - 24 : 16 + 16 + 25, 32 + 16 - 24 : 32 + 16 + 25].astype(int)
    assert np.abs(field - expected).max() <= 4


def test_a_broken_source_leaves_the_patch_to_be_judged(folder: Path) -> None:
    (folder / 'originals' / 'wsi' / 's.png').write_bytes(b'no image')
    item = patch_item()
    field = field_of(folder, item, [folder / 'originals'])
    assert (field[:35] > OUTSIDE - 4).all()
    assert np.abs(field[60, 30] - SOURCE[Y + 3 + 12, X + 60 - 18]).max() <= 4


def test_a_name_that_leads_elsewhere_is_not_followed(folder: Path) -> None:
    item = replace(patch_item(), source_image='../originals/wsi/s.png')
    assert Surroundings([folder / 'patches'], [item]).missing == ['../originals/wsi/s.png']


@pytest.mark.parametrize(
    ('given', 'recorded', 'roots'),
    [
        (None, None, ['patches', '.']),
        (None, '../originals', ['patches/../originals', 'patches', '.']),
        ('mine', '../originals', ['mine']),
        (None, 7, ['patches', '.']),
    ],
)
def test_where_sources_are_looked_for(given, recorded, roots) -> None:
    document = {'info': {'mitouts': {'source_root': recorded}}}
    found = source_roots(Path('patches'), Path('a.json'), document, Path(given) if given else None)
    assert found == [Path(root) for root in roots]


@pytest.mark.parametrize(
    ('entry', 'place'),
    [
        ({'source_image': 's.png', 'source_xy_px': [64, 32], 'source_downsample': 2.0}, (64, 32)),
        ({'source_image': 's.png', 'source_xy_px': [64, 32]}, (64, 32)),
        ({'source_image': 's.png'}, None),
        ({'source_image': 's.png', 'source_xy_px': ['a', 'b']}, None),
        ({'source_image': 's.png', 'source_xy_px': [1, 2], 'source_downsample': 0}, None),
        ({'source_image': None, 'source_xy_px': [1, 2]}, None),
        ({}, None),
    ],
)
def test_items_know_where_their_patch_was_cut(entry, place) -> None:
    image = {'id': 1, 'file_name': 'p.png', 'width': 64, 'height': 64, 'case_id': 'a', 'mpp': 1.0, **entry}
    sample = {'image_id': 1, 'file_name': 'p.png', 'label': 1, 'verdict': 'drop', 'reason': 'no_prediction'}
    samples = {'images': [{**sample, 'annotated_points': [], 'predicted_points': [[5.0, 6.0, 0.9]]}]}
    items = build_items(samples, {'images': [image], 'annotations': []})
    assert {item.source_xy_px for item in items} == {place}
    assert {item.source_image for item in items} == {'s.png' if place else ''}

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from review_requests import coordinates_image, make_items, write_images

from mitouts.errors import ImageError, ReviewError
from mitouts.imaging.image import write_rgb
from mitouts.review import crops as crops_module
from mitouts.review.cache import ByteCache
from mitouts.review.crops import CropSource
from mitouts.review.squares import OUTSIDE, cut


def decode(jpeg):
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def one_item(**further):
    return make_items(1, **further)[0]


def source(folder, *items, **options):
    return CropSource(write_images(folder, items), items, **options)


def padded(image, centre, side):
    """The same square by padding the whole image."""
    half = side // 2
    framed = np.pad(image, ((side, side), (side, side), (0, 0)), constant_values=OUTSIDE)
    left, top = centre[0] - half + side, centre[1] - half + side
    return framed[top : top + side, left : left + side]


@settings(max_examples=60)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 14), st.data())
def test_a_square_is_cut_around_its_pixel(width, height, half, data):
    image = coordinates_image(width, height)
    centre = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    side = 2 * half + 1
    square = cut(lambda x, y, w, h: image[y : y + h, x : x + w], width, height, centre, side)
    np.testing.assert_array_equal(square, padded(image, centre, side))
    np.testing.assert_array_equal(square[half, half], image[centre[1], centre[0]])


def test_a_square_beside_the_image_is_grey():
    image = coordinates_image(10, 10)
    square = cut(lambda x, y, w, h: image[y : y + h, x : x + w], 10, 10, (40, -40), 5)
    assert (square == OUTSIDE).all()


@pytest.mark.parametrize('suffix', ['png', 'tif'])
@pytest.mark.parametrize('xy', [(60.0, 50.0), (59.5, 49.5), (3.25, 98.6)])
def test_the_field_shows_96_um_around_the_anchor(tmp_path, suffix, xy):
    item = one_item(file_name=f'a.{suffix}', mpp=1.0, x_px=xy[0], y_px=xy[1])
    crops = source(tmp_path, item)
    assert crops.field_px(item) == 97
    field = decode(crops.field(item))
    expected = padded(coordinates_image(120, 100), item.anchor_px, 97)
    # Away from the border between image and grey, where a JPEG rings.
    smooth = cv2.erode((expected != OUTSIDE).all(-1).astype(np.uint8), np.ones((19, 19), np.uint8)) > 0
    difference = (field.astype(int) - expected)[smooth]
    assert np.abs(difference).max() <= 3
    # A shift by one pixel would be one grey level.
    assert np.abs(difference.mean(axis=0)).max() < 0.3


@pytest.mark.parametrize(
    ('mpp', 'field_px'), [(0.25, 385), (0.5, 193), (0.2431, 395), (0.7, 139), (None, 385), (20.0, 5), (0.05, 1921)]
)
def test_the_field_has_a_central_pixel_at_every_resolution(tmp_path, mpp, field_px):
    item = one_item(mpp=mpp)
    crops = source(tmp_path, item)
    assert crops.field_px(item) == field_px
    assert field_px % 2 == 1
    assert field_px >= (96 / mpp if mpp else 384)
    assert crops.mpp(item) == mpp
    assert decode(crops.field(item)).shape == (field_px, field_px, 3)


def test_the_resolution_of_the_file_serves_where_the_item_has_none(tmp_path):
    pixels = coordinates_image(120, 100)
    tifffile.imwrite(
        tmp_path / 'a.tif', pixels, photometric='rgb', resolution=(20_000, 20_000), resolutionunit='CENTIMETER'
    )
    item = one_item(file_name='a.tif', mpp=None)
    crops = CropSource(tmp_path, [item])
    assert crops.mpp(item) == pytest.approx(0.5)
    assert crops.field_px(item) == 193


@pytest.mark.parametrize(('mpp', 'shown_px'), [(0.25, 129), (1.0, 33), (None, 129)])
def test_the_thumb_shows_the_central_32_um(tmp_path, mpp, shown_px):
    item = one_item(mpp=mpp, x_px=60.0, y_px=50.0)
    thumb = decode(source(tmp_path, item).thumb(item))
    assert thumb.shape == (128, 128, 3)
    expected = padded(coordinates_image(120, 100), (60, 50), shown_px)
    # The mean over the middle half is that of the same part of the image.
    quarter = shown_px // 4
    middle = expected[quarter : shown_px - quarter, quarter : shown_px - quarter]
    np.testing.assert_allclose(thumb[32:96, 32:96].mean((0, 1)), middle.mean((0, 1)), atol=1.5)


def test_the_colours_are_not_subsampled(tmp_path):
    pixels = np.zeros((100, 120, 3), np.uint8)
    pixels[:, ::2] = 255, 0, 0
    pixels[:, 1::2] = 0, 0, 255
    write_rgb(tmp_path / 'a.png', pixels)
    item = one_item(file_name='a.png', x_px=60.0, y_px=50.0)
    field = decode(CropSource(tmp_path, [item]).field(item)).astype(int)
    assert np.abs(field[30:60, 40:60] - padded(pixels, (60, 50), 97)[30:60, 40:60]).max() < 30


def test_an_image_that_is_judged_as_a_whole_is_seen_as_a_whole(tmp_path):
    item = one_item(kind='image', mpp=2.0, x_px=59.5, y_px=49.5, annotated_xy_px=None)
    crops = source(tmp_path, item)
    assert item.anchor_px == (60, 50)
    assert crops.field_px(item) == 121
    field = decode(crops.field(item))
    assert np.abs(field[10:111, 0:120].astype(int) - coordinates_image(120, 101)).mean() < 2
    large = one_item(kind='image', width_px=100_000, height_px=50, x_px=49_999.5, file_name='0.png')
    assert crops.field_px(large) == crops_module.MAX_FIELD_PX


def test_a_slide_is_read_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(crops_module, '_WHOLE_TIFF_PX', 0)
    pixels = np.tile(coordinates_image(120, 100), (6, 6, 1))
    tifffile.imwrite(tmp_path / 'slide.tif', pixels, photometric='rgb', tile=(64, 64))
    items = [
        one_item(item_id=n, file_name='slide.tif', width_px=720, height_px=600, x_px=x, y_px=y, mpp=1.0)
        for n, (x, y) in enumerate([(300.0, 310.0), (5.0, 4.0), (719.0, 599.0), (640.5, 20.2)], start=1)
    ]
    crops = CropSource(tmp_path, items)
    for item in items:
        expected = crops_module.encode_jpeg(np.ascontiguousarray(padded(pixels, item.anchor_px, 97)))
        assert crops.field(item) == expected
    wrong = one_item(file_name='slide.tif', width_px=700, height_px=600)
    with pytest.raises(ImageError, match=r'is 720 x 600 px, but its annotation file says 700 x 600'):
        crops.field(wrong)


def test_threads_get_what_one_alone_gets(tmp_path, monkeypatch):
    monkeypatch.setattr(crops_module, '_WHOLE_TIFF_PX', 0)
    names = ['0.png', '0.tif', '1.png', '1.tif', '2.tif']
    items = [replace(item, file_name=names[item.item_id % len(names)]) for item in make_items(25)]
    write_images(tmp_path, [item for item in items if item.file_name.endswith('png')])
    for name in ('0.tif', '1.tif', '2.tif'):
        pixels = np.roll(coordinates_image(120, 100), int(name[0]), axis=0)
        tifffile.imwrite(tmp_path / name, pixels, tile=(16, 16), photometric='rgb', compression='zlib')
    alone = CropSource(tmp_path, items)
    expected = [alone.field(item) for item in items]
    shared = CropSource(tmp_path, items, crop_bytes=0, image_bytes=0)
    with ThreadPoolExecutor(6) as pool:
        for _ in range(3):
            assert list(pool.map(shared.field, items)) == expected


def test_an_image_is_decoded_once_and_a_crop_encoded_once(tmp_path, monkeypatch):
    calls = []
    read_rgb, encode_jpeg = crops_module.read_rgb, crops_module.encode_jpeg
    monkeypatch.setattr(crops_module, 'read_rgb', lambda *args: calls.append('decode') or read_rgb(*args))
    monkeypatch.setattr(crops_module, 'encode_jpeg', lambda *args: calls.append('encode') or encode_jpeg(*args))
    first, second = make_items(2)
    crops = source(tmp_path, first, second)
    for _ in range(3):
        crops.field(first), crops.thumb(first), crops.field(second)
    assert sorted(calls) == ['decode', 'encode', 'encode', 'encode']


def test_what_is_kept_is_bounded(tmp_path):
    cache = ByteCache(10)
    for key, size in [('a', 4), ('b', 4), ('c', 4)]:
        cache.get('a')
        cache.put(key, key.upper(), size)
    assert (cache.get('a'), cache.get('b'), cache.get('c')) == ('A', None, 'C')
    assert cache.num_bytes == 8
    cache.put('a', 'A2', 5)
    assert (cache.num_bytes, len(cache)) == (9, 2)
    cache.put('large', 'L', 99)
    assert (cache.get('large'), len(cache), cache.num_bytes) == ('L', 1, 99)


@pytest.mark.parametrize('content', [b'', b'no image', b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR'])
@pytest.mark.parametrize('suffix', ['png', 'tif', 'svs'])
def test_a_broken_image_is_named(tmp_path, content, suffix):
    (tmp_path / f'a.{suffix}').write_bytes(content)
    item = one_item(file_name=f'a.{suffix}', mpp=None)
    crops = CropSource(tmp_path, [item])
    assert (crops.mpp(item), crops.field_px(item)) == (None, 385)
    for cut_out in (crops.field, crops.thumb):
        with pytest.raises(ImageError, match=rf'a\.{suffix}'):
            cut_out(item)


def test_an_image_of_another_size_is_refused(tmp_path):
    item = one_item(width_px=120, height_px=100)
    write_rgb(tmp_path / item.file_name, coordinates_image(100, 120))
    with pytest.raises(ImageError, match='100 x 120 px, but its annotation file says 120 x 100'):
        CropSource(tmp_path, [item]).field(item)


def test_missing_images_are_counted_and_named_at_the_start(tmp_path):
    items = make_items(12, per_image=1)
    write_images(tmp_path, items[:6])
    with pytest.raises(ReviewError, match=r'6 of 12 images do not exist in .* \(10\.png, 11\.png, 6\.png, \.\.\.\): '):
        CropSource(tmp_path, items)


@pytest.mark.parametrize('name', ['../a.png', 'x/../../a.png', '/etc/passwd', '', '.', 'a\0.png', 'x/..'])
def test_a_file_name_that_leads_elsewhere_is_refused_at_the_start(tmp_path, name):
    write_rgb(tmp_path / 'a.png', coordinates_image(4, 4))
    with pytest.raises(ReviewError, match='1 of 1 file names may lead out of the image folder'):
        CropSource(tmp_path / 'x', [one_item(file_name=name)])


@pytest.mark.parametrize('mpp', [1e-6, 1e6, -0.25, 0.0, float('nan')])
def test_an_absurd_resolution_is_refused_at_the_start(tmp_path, mpp):
    with pytest.raises(ReviewError, match=r'0\.png: expected an mpp of 0\.05 to 20 um per pixel'):
        source(tmp_path, one_item(mpp=mpp))


@pytest.mark.parametrize(('suffix', 'never'), [('png', ('torch', 'mmengine', 'tifffile')), ('tif', ('torch', 'mmcv'))])
def test_serving_loads_no_deep_learning_library(tmp_path, suffix, never):
    pixels = coordinates_image(120, 100)
    write_rgb(tmp_path / f'a.{suffix}', pixels)
    code = (
        'import sys; from mitouts.review import crops, serving; from mitouts.review.items import Item; '
        f"item = Item(1, 'point', 0, 'a.{suffix}', 'a', '', 0.25, 120, 100, 20.0, 15.0); crops._WHOLE_TIFF_PX = 0; "
        f'source = crops.CropSource({str(tmp_path)!r}, [item]); source.field(item); source.thumb(item); '
        f'print([name for name in {never} if name in sys.modules])'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'

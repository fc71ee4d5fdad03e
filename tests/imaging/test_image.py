"""Images of every kind that a microscope's export may hold, and files that are no images."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mitouts.errors import AnnotationWarning, ImageError
from mitouts.imaging.image import read_rgb, write_rgb
from mitouts.imaging.samples import samples_to_rgb

WIDTH, HEIGHT = 30, 20


@pytest.fixture
def rgb() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.mark.parametrize('suffix', ['.png', '.tif', '.tiff', '.bmp', '.PNG'])
def test_lossless_formats_come_back_as_they_were(suffix: str, rgb: NDArray[np.uint8], tmp_path: Path) -> None:
    path = tmp_path / 'made' / f'image{suffix}'
    write_rgb(path, rgb)
    read = read_rgb(path, expected_size=(WIDTH, HEIGHT))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, rgb)
    with Image.open(path) as seen_by_pillow:
        np.testing.assert_array_equal(np.asarray(seen_by_pillow.convert('RGB')), rgb)


def test_jpeg_comes_back_nearly(tmp_path: Path) -> None:
    smooth = np.tile(np.linspace(40, 220, WIDTH).astype(np.uint8)[None, :, None], (HEIGHT, 1, 3))
    smooth[..., 2] //= 2
    write_rgb(tmp_path / 'image.jpg', smooth)
    np.testing.assert_allclose(read_rgb(tmp_path / 'image.jpg').astype(int), smooth, atol=12)


def test_grey_becomes_rgb(rgb: NDArray[np.uint8], tmp_path: Path) -> None:
    Image.fromarray(rgb[..., 0]).save(tmp_path / 'grey.png')
    np.testing.assert_array_equal(read_rgb(tmp_path / 'grey.png'), np.repeat(rgb[..., :1], 3, axis=2))


def test_palette_becomes_rgb(tmp_path: Path) -> None:
    blocks = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    blocks[:, : WIDTH // 2] = (200, 30, 90)
    Image.fromarray(blocks).convert('P', palette=Image.Palette.ADAPTIVE).save(tmp_path / 'palette.png')
    np.testing.assert_array_equal(read_rgb(tmp_path / 'palette.png'), blocks)


def test_alpha_is_blended_onto_white(rgb: NDArray[np.uint8], tmp_path: Path) -> None:
    alpha = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    alpha[0, :3] = (0, 255, 128)
    Image.fromarray(np.dstack([rgb, alpha])).save(tmp_path / 'rgba.png')
    opacity = alpha[..., None] / 255
    expected = rgb * opacity + 255 * (1 - opacity)
    read = read_rgb(tmp_path / 'rgba.png')
    np.testing.assert_allclose(read.astype(float), expected, atol=0.51)
    np.testing.assert_array_equal(read[0, 0], 255)
    np.testing.assert_array_equal(read[0, 1], rgb[0, 1])


@pytest.mark.parametrize('channels', [1, 3, 4])
def test_sixteen_bits_become_eight_with_a_warning(channels: int, rgb: NDArray[np.uint8], tmp_path: Path) -> None:
    deep = rgb.astype(np.uint16) * 257 + np.random.default_rng(1).integers(-120, 120, rgb.shape).clip(0).astype(
        np.uint16
    )
    deep = np.where(rgb == 255, 65535, deep)
    opaque = np.full((HEIGHT, WIDTH, 1), 65535)
    stored = {1: deep[..., 0], 3: deep[..., ::-1], 4: np.dstack([deep[..., ::-1], opaque])}[channels].astype(np.uint16)
    cv2.imwrite(str(tmp_path / 'deep.png'), stored)
    with pytest.warns(AnnotationWarning, match=r'deep\.png: 16-bit image, scaled by 1/257'):
        read = read_rgb(tmp_path / 'deep.png')
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, np.repeat(rgb[..., :1], 3, axis=2) if channels == 1 else rgb)


def test_eight_bits_give_no_warning(rgb: NDArray[np.uint8], tmp_path: Path) -> None:
    write_rgb(tmp_path / 'plain.png', rgb)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        read_rgb(tmp_path / 'plain.png')


def test_floating_point_image_is_refused(rgb: NDArray[np.uint8], tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / 'float.tif'), rgb.astype(np.float32))
    with pytest.raises(ImageError, match=r'float\.tif holds float32, expected 8 or 16 bits a channel'):
        read_rgb(tmp_path / 'float.tif')


def test_number_of_channels_that_means_nothing_is_refused() -> None:
    with pytest.raises(ImageError, match=r'scan\.tif has 5 channels, expected 1, 3 or 4'):
        samples_to_rgb(np.zeros((4, 4, 5), np.uint8), 'scan.tif')


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (lambda path: path.unlink(), r'image .*spoilt\.png does not exist'),
        (lambda path: path.write_bytes(b''), r'is empty \(0 bytes\)'),
        (lambda path: path.write_bytes(path.read_bytes()[:700]), r'cannot be read \(700 bytes\): it is broken'),
        (lambda path: path.write_text('slide 7'), "expected a slide .* found text that begins with 'slide 7'"),
    ],
    ids=['missing', 'zero bytes', 'truncated', 'text'],
)
def test_file_that_holds_no_image_is_refused(
    spoil: Callable[[Path], None], message: str, rgb: NDArray[np.uint8], tmp_path: Path
) -> None:
    path = tmp_path / 'spoilt.png'
    write_rgb(path, rgb)
    spoil(path)
    with pytest.raises(ImageError, match=message):
        read_rgb(path)


def test_truncated_jpeg_is_refused(rgb: NDArray[np.uint8], tmp_path: Path) -> None:
    write_rgb(tmp_path / 'image.jpg', rgb)
    data = (tmp_path / 'image.jpg').read_bytes()
    (tmp_path / 'image.jpg').write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match=r'image\.jpg cannot be read'):
        read_rgb(tmp_path / 'image.jpg')


def test_folder_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match='is a folder'):
        read_rgb(tmp_path)


def test_size_that_differs_from_the_annotation_file_is_refused(rgb: NDArray[np.uint8], tmp_path: Path) -> None:
    write_rgb(tmp_path / 'image.png', rgb)
    with pytest.raises(ImageError, match=r'is 30 x 20 px, but its annotation file says 20 x 30'):
        read_rgb(tmp_path / 'image.png', expected_size=(HEIGHT, WIDTH))


def test_suffix_that_names_no_format_is_refused(rgb: NDArray[np.uint8], tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"image\.xyz cannot be written: '\.xyz' is not one of \.png"):
        write_rgb(tmp_path / 'image.xyz', rgb)
    assert not (tmp_path / 'image.xyz').exists()

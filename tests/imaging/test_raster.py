"""PNG, JPEG and BMP as they are stored, against Pillow."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest

from mitouts.errors import AnnotationWarning, ImageError
from mitouts.imaging.image import read_rgb
from mitouts.imaging.image_header import probe

ORIENTATION = 0x0112


def image_of(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (40, 60, 3), dtype=np.uint8)


@pytest.mark.parametrize('name', ['a.jpg', 'a.png', 'a.webp'])
@pytest.mark.parametrize('orientation', [3, 6])
def test_exif_orientation_is_ignored_with_a_warning(name, orientation, tmp_path):
    exif = PIL.Image.Exif()
    exif[ORIENTATION] = orientation
    PIL.Image.fromarray(image_of()).save(tmp_path / name, exif=exif, lossless=True, quality=100, subsampling=0)
    with PIL.Image.open(tmp_path / name) as image:
        stored = np.asarray(image)
    with pytest.warns(AnnotationWarning, match=f'its orientation tag is {orientation} .*, and is ignored'):
        shown = read_rgb(tmp_path / name)
    np.testing.assert_allclose(shown, stored, atol=2)
    info = probe(tmp_path / name)
    assert (info.width, info.height) == (60, 40)


def test_upright_image_gives_no_warning(tmp_path, recwarn):
    exif = PIL.Image.Exif()
    exif[ORIENTATION] = 1
    PIL.Image.fromarray(image_of()).save(tmp_path / 'a.png', exif=exif)
    np.testing.assert_array_equal(read_rgb(tmp_path / 'a.png'), image_of())
    assert not recwarn.list


def test_broken_exif_does_not_matter(tmp_path, recwarn):
    PIL.Image.fromarray(image_of()).save(tmp_path / 'a.jpg', exif=b'Exif\0\0MM\0*' + b'\xff' * 20)
    assert read_rgb(tmp_path / 'a.jpg').shape == (40, 60, 3)
    assert not recwarn.list


@pytest.mark.parametrize('name', ['a.png', 'a.bmp', 'a.jpg'])
@pytest.mark.parametrize('share', [0.3, 0.9])
def test_cut_image_is_refused(name, share, tmp_path):
    PIL.Image.fromarray(image_of()).save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(share * len(data))])
    with pytest.raises(ImageError, match=rf'image .*{name} cannot be read'):
        read_rgb(tmp_path / name)

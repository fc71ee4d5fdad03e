"""Label images of every kind that tools write."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mitouts.errors import ImageError
from mitouts.imaging.label_image import read_labels, write_labels

CODES = np.array([[0, 1, 21], [255, 4, 9]], np.uint8)


def test_what_is_written_is_read(tmp_path) -> None:
    write_labels(tmp_path / 'new' / 'a.png', CODES)
    np.testing.assert_array_equal(read_labels(tmp_path / 'new' / 'a.png', (3, 2)), CODES)
    assert [path.name for path in (tmp_path / 'new').iterdir()] == ['a.png']


def test_palettes_are_read_as_indices_and_16_bits_as_codes(tmp_path) -> None:
    palette = Image.fromarray(CODES, mode=None).convert('L').copy()
    palette = Image.frombytes('P', palette.size, CODES.tobytes())
    palette.putpalette([level for code in range(256) for level in (255 - code, code // 2, 7)])
    palette.save(tmp_path / 'p.png')
    Image.fromarray(CODES.astype(np.uint16)).save(tmp_path / 'w.png')
    for name in ('p.png', 'w.png'):
        found = read_labels(tmp_path / name)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, CODES)


def test_colours_large_codes_other_sizes_and_rubbish(tmp_path) -> None:
    Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(tmp_path / 'rgb.png')
    Image.fromarray(np.full((2, 3), 300, np.uint16)).save(tmp_path / 'large.png')
    write_labels(tmp_path / 'a.png', CODES)
    (tmp_path / 'rubbish.png').write_bytes(b'no image')
    (tmp_path / 'half.png').write_bytes((tmp_path / 'a.png').read_bytes()[:45])
    for name, message in (
        ('rgb.png', 'has RGB pixels: expected one code a pixel'),
        ('large.png', 'holds codes from 300 to 300'),
        ('rubbish.png', 'cannot be read'),
        ('half.png', 'cannot be read'),
        ('none.png', 'does not exist'),
    ):
        with pytest.raises(ImageError, match=message):
            read_labels(tmp_path / name)
    with pytest.raises(ImageError, match='3 x 2 px, but its image is 2 x 3'):
        read_labels(tmp_path / 'a.png', (2, 3))

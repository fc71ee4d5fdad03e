"""Reads the image of a sample."""

from __future__ import annotations

from typing import Any

from mitouts.imaging.image import read_rgb
from mitouts.registry import TRANSFORMS
from mitouts.transforms.base import Transform


@TRANSFORMS.register_module()
class LoadImage(Transform):
    """Read ``img_path`` as RGB uint8 ``(H, W, 3)`` into ``img``.

    Grey images become RGB, alpha is blended onto white, 16-bit images are scaled to 8 bits with a warning.

    Raises:
        ImageError: The file is missing, unreadable, or not of the size that the annotation file states.
    """

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        results['img'] = read_rgb(results['img_path'], expected_size=(results['width'], results['height']))
        return results

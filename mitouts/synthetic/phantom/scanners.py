"""From stain concentrations to an RGB image: Beer-Lambert mixing, optics, sensor noise and compression."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Scanner:
    """How one scanner, with the stain protocol of its laboratory, shows haematoxylin and eosin.

    Attributes:
        hematoxylin_od: optical density of unit haematoxylin in red, green and blue (natural logarithm).
        eosin_od: the same for eosin.
        white: RGB of the empty slide, 0-255.
        blur_px: standard deviation of the point spread function.
        sharpening: strength of the scanner's unsharp mask.
        noise: standard deviation of the sensor noise at full brightness, in grey levels.
        fringe_px: shift of the red against the blue channel (lateral chromatic aberration).
        jpeg_quality: quality of the compression inside the slide file.
    """

    hematoxylin_od: tuple[float, float, float]
    eosin_od: tuple[float, float, float]
    white: tuple[float, float, float]
    blur_px: float
    sharpening: float
    noise: float
    fringe_px: float
    jpeg_quality: int


SCANNERS: dict[str, Scanner] = {
    'scanner_a': Scanner((0.60, 0.72, 0.32), (0.12, 0.93, 0.27), (244.0, 241.0, 245.0), 0.80, 0.0, 1.6, 0.15, 85),
    'scanner_b': Scanner((0.50, 0.79, 0.32), (0.15, 0.92, 0.35), (240.0, 236.0, 238.0), 1.00, 0.3, 2.0, 0.10, 80),
    'scanner_c': Scanner((0.53, 0.73, 0.43), (0.13, 0.80, 0.59), (243.0, 240.0, 234.0), 0.65, 0.6, 2.4, 0.45, 75),
    'scanner_d': Scanner((0.69, 0.65, 0.30), (0.09, 0.97, 0.18), (238.0, 240.0, 247.0), 0.75, 0.2, 1.4, 0.20, 90),
}
"""Four synthetic scanners; the stain vectors lie where those of H&E slides usually do."""


def acquire(
    hematoxylin: np.ndarray, eosin: np.ndarray, scanner: Scanner, stains_od: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Image of two concentration planes.

    The light that passes is ``white * exp(-(c_H * od_H + c_E * od_E))`` (Beer-Lambert), then blurred, shifted between
    channels, sharpened, made noisy and compressed.

    Args:
        hematoxylin: concentration, float32 (H, W).
        eosin: concentration, float32 (H, W).
        scanner: optics, sensor and compression.
        stains_od: optical densities of unit haematoxylin and eosin, (2, 3); a case varies its scanner's.
        rng: sensor noise.

    Returns:
        RGB uint8 (H, W, 3).
    """
    concentrations = np.stack([hematoxylin.ravel(), eosin.ravel()], axis=1)
    density = (concentrations @ stains_od.astype(np.float32)).reshape(*hematoxylin.shape, 3)
    light = cv2.exp(-density) * np.asarray(scanner.white, dtype=np.float32)
    light = cv2.GaussianBlur(light, (0, 0), scanner.blur_px)
    light = _fringed(light, scanner.fringe_px)
    if scanner.sharpening > 0:
        soft = cv2.GaussianBlur(light, (0, 0), 1.4)
        light = cv2.addWeighted(light, 1 + scanner.sharpening, soft, -scanner.sharpening, 0)
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    light = light + noise * (scanner.noise * np.sqrt(np.clip(light, 16, 255) / 255, dtype=np.float32))
    image = np.clip(light + 0.5, 0, 255).astype(np.uint8)
    return _compressed(image, scanner.jpeg_quality)


def _fringed(light: np.ndarray, fringe_px: float) -> np.ndarray:
    red, green, blue = cv2.split(light)
    height, width = red.shape
    moved = [
        cv2.warpAffine(
            channel, np.array([[1, 0, shift], [0, 1, shift]]), (width, height), borderMode=cv2.BORDER_REPLICATE
        )
        for channel, shift in ((red, fringe_px), (blue, -fringe_px))
    ]
    return cv2.merge([moved[0], green, moved[1]])


def _compressed(image: np.ndarray, quality: int) -> np.ndarray:
    _, data = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1])

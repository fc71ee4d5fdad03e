"""Turns stain concentrations into an RGB image: Beer-Lambert mixing, optics, sensor noise and compression."""

from __future__ import annotations

import cv2
import numpy as np

from mitouts.synthetic.optics import Scanner


def acquire(
    hematoxylin: np.ndarray, eosin: np.ndarray, scanner: Scanner, stains_od: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Render two concentration planes as an image.

    The light that passes is ``white * exp(-(c_H * od_H + c_E * od_E))`` (Beer-Lambert), then blurred, shifted between
    channels, sharpened, made noisy and compressed.

    Args:
        hematoxylin: concentration, float32 (H, W).
        eosin: concentration, float32 (H, W).
        stains_od: optical densities of unit haematoxylin and eosin, (2, 3); a case varies its scanner's.

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

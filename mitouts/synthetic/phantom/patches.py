"""Draws the shapes that cells are made of, and lays a rendered cell over a field."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

SUPERSAMPLING = 4


@dataclass(frozen=True)
class CellPatch:
    """One cell in two stains, laid over the tissue by ``tissue * (1 - opacity) + stain``.

    Attributes:
        hematoxylin: concentration that the cell adds, float32 (P, P), P odd.
        eosin: concentration that the cell adds, float32 (P, P).
        opacity: share of the tissue that the cell replaces, 0-1, float32 (P, P).
        centroid: (x, y) of the chromatin's centre of mass, in pixels from the patch's central pixel.
    """

    hematoxylin: np.ndarray
    eosin: np.ndarray
    opacity: np.ndarray
    centroid: tuple[float, float] = (0.0, 0.0)

    def lay_over(self, hematoxylin: np.ndarray, eosin: np.ndarray, x: int, y: int) -> None:
        """Blend the patch into both planes in place, its central pixel at (x, y); parts outside are cut off."""
        height, width = hematoxylin.shape
        size = len(self.opacity)
        left, top = x - size // 2, y - size // 2
        rows = slice(max(top, 0), min(top + size, height))
        columns = slice(max(left, 0), min(left + size, width))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return
        cut = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
        keep = 1 - self.opacity[cut]
        for plane, stain in ((hematoxylin, self.hematoxylin), (eosin, self.eosin)):
            plane[rows, columns] *= keep
            plane[rows, columns] += stain[cut]


def smooth_step(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return 0 below ``low``, 1 above ``high``, and a smooth cubic in between."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def grid(size_px: int, angle: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates along and across an axis at ``angle`` (radians) from the central pixel, float32 (P, P)."""
    axis = np.arange(size_px, dtype=np.float32) - size_px // 2
    x, y = axis[None, :], axis[:, None]
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return x * cos + y * sin, y * cos - x * sin


def ellipse_depth(size_px: int, semi_major_px: float, semi_minor_px: float, angle: float) -> np.ndarray:
    """Return the approximate depth below the outline of an ellipse in pixels (negative outside), float32 (P, P)."""
    along, across = grid(size_px, angle)
    radius = np.sqrt((along / semi_major_px) ** 2 + (across / semi_minor_px) ** 2)
    return (1 - radius) * np.float32(np.sqrt(semi_major_px * semi_minor_px))


def spot(size_px: int, x: float, y: float, radius_px: float, softness_px: float = 0.8) -> np.ndarray:
    """Draw a filled disc with a soft edge, 0-1, float32 (P, P)."""
    along, across = grid(size_px)
    depth = radius_px - np.sqrt((along - x) ** 2 + (across - y) ** 2)
    return smooth_step(depth, -softness_px, softness_px)


def strokes(size_px: int, segments: np.ndarray, widths_px: np.ndarray) -> np.ndarray:
    """Draw the union of round-ended strokes, anti-aliased, 0-1, float32 (P, P).

    Args:
        segments: end points (x0, y0, x1, y1) in pixels from the central pixel, (S, 4).
        widths_px: width of each segment, (S,).
    """
    side = size_px * SUPERSAMPLING
    canvas = np.zeros((side, side), dtype=np.uint8)
    # Pixel centres of the fine canvas lie half a fine pixel inside its cells.
    ends = ((segments + size_px // 2 + 0.5) * SUPERSAMPLING - 0.5) * 16
    for (x0, y0, x1, y1), width in zip(np.rint(ends).astype(int).tolist(), widths_px.tolist()):
        thickness = max(1, round(width * SUPERSAMPLING))
        cv2.line(canvas, (x0, y0), (x1, y1), 255, thickness, cv2.LINE_8, shift=4)
    return cv2.resize(canvas, (size_px, size_px), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def centre_of_mass(weights: np.ndarray) -> tuple[float, float]:
    """Return the centre of mass (x, y) of a patch, in pixels from its central pixel."""
    axis = np.arange(len(weights)) - len(weights) // 2
    total = float(weights.sum())
    return float(weights.sum(axis=0) @ axis) / total, float(weights.sum(axis=1) @ axis) / total

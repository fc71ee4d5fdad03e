"""Figures without pyplot, and pictures into files that are never half written."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

DPI = 100


def new_figure(width_px: int, height_px: int, rect: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)) -> Figure:
    """An empty figure of exactly this size, drawn by Agg: no display, no global state.

    Args:
        width_px: Width.
        height_px: Height.
        rect: Where the plots go, ``(left, bottom, width, height)`` as shares of the figure.
    """
    layout = ConstrainedLayoutEngine(rect=rect, wspace=0.04)
    figure = Figure(figsize=(width_px / DPI, height_px / DPI), dpi=DPI, layout=layout, facecolor='white')
    FigureCanvasAgg(figure)
    return figure


def figure_to_array(figure: Figure) -> np.ndarray:
    """Draw a figure.

    Returns:
        ``(H, W, 3)`` uint8, RGB.
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def write_png(path: str | Path, image: np.ndarray) -> None:
    """Write ``(H, W, 3)`` uint8 RGB; parents are made, and the file appears only when it is complete."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode('.png', cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    aside = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        aside.write_bytes(encoded.tobytes())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)

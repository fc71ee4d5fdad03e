"""Makes figures without pyplot, sets up panels for the screen, and writes pictures whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from mitouts.visualization.palette import FAINT_INK, css

DPI = 100


def new_figure(width_px: int, height_px: int, rect: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)) -> Figure:
    """Make an empty figure of exactly this size, drawn by Agg: no display, no global state.

    The plots go into ``rect``, ``(left, bottom, width, height)`` as shares of the figure.
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


def label_axes(axes: Axes, vertical: str, horizontal: str) -> None:
    """Name both axes of a panel for the screen, and leave its upper and right side open; ``$`` has no meaning."""
    axes.set_ylabel(vertical, fontsize=10.5, parse_math=False)
    axes.set_xlabel(horizontal, fontsize=10.5, parse_math=False)
    axes.tick_params(labelsize=9.5)
    axes.spines[['top', 'right']].set_visible(False)
    axes.set_axisbelow(True)


def write_in_middle(axes: Axes, text: str) -> None:
    """Write in the middle of an empty panel for the screen why it is empty."""
    axes.set(xticks=[], yticks=[])
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha='center', va='center', fontsize=10, color=css(FAINT_INK))


def write_png(path: str | Path, image: np.ndarray) -> None:
    """Write ``(H, W, 3)`` uint8 RGB as PNG; parent folders are created, and the file appears only when complete."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode('.png', cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    aside = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        aside.write_bytes(encoded.tobytes())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
